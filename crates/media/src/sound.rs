use std::time::Duration;

/// Something to play: 8 kHz mono samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    samples: Vec<i16>,
}

impl Sound {
    /// Wraps 8 kHz mono samples.
    #[must_use]
    pub fn new(samples: Vec<i16>) -> Self {
        Self { samples }
    }

    /// Its samples.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// How long it plays.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.samples.len() as u64 * 125)
    }
}
