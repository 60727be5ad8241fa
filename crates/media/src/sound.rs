use std::time::Duration;

use crate::codec::Rate;

/// Something to play: 8 kHz mono samples, and perhaps the same at 16 kHz for legs that carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    samples: Vec<i16>,
    /// Twice as many.
    wide: Option<Vec<i16>>,
}

impl Sound {
    /// Wraps 8 kHz mono samples.
    #[must_use]
    pub fn new(samples: Vec<i16>) -> Self {
        Self {
            samples,
            wide: None,
        }
    }

    /// Adds the same sound at 16 kHz.
    #[must_use]
    pub fn with_wide(mut self, mut wide: Vec<i16>) -> Self {
        // Resamplers may differ by a few samples; what is played has one position at both rates.
        wide.resize(self.samples.len() * 2, 0);
        self.wide = Some(wide);
        self
    }

    /// Its samples at 8 kHz.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// Its samples at 16 kHz, if it has them.
    #[must_use]
    pub fn wide(&self) -> Option<&[i16]> {
        self.wide.as_deref()
    }

    /// Samples in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        self.samples.len() + self.wide.as_ref().map_or(0, Vec::len)
    }

    /// How long it plays.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.samples.len() as u64 * 125)
    }

    /// Its samples at a rate; those at 8 kHz where it has no others.
    pub(crate) fn at(&self, rate: Rate) -> &[i16] {
        match rate {
            Rate::Narrow => &self.samples,
            Rate::Wide => self.wide().unwrap_or(&self.samples),
        }
    }
}
