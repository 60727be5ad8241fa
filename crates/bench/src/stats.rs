//! Numbers drawn from many: percentiles and the like.

use std::time::Duration;

/// Samples, sorted on demand.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn add_ms(&mut self, value: Duration) {
        self.add(value.as_secs_f64() * 1_000.0);
    }

    pub fn values(&self) -> impl Iterator<Item = f64> {
        self.0.iter().copied()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value that this share of the samples doesn't exceed (nearest rank); 0 without samples.
    pub fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
    }

    pub fn median(&self) -> f64 {
        self.percentile(0.5)
    }

    pub fn max(&self) -> f64 {
        self.percentile(1.0)
    }
}

impl Extend<f64> for Samples {
    fn extend<T: IntoIterator<Item = f64>>(&mut self, values: T) {
        self.0.extend(values);
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_that_occurred() {
        let samples: Samples = (1..=100).rev().map(f64::from).collect();
        assert_eq!(
            (samples.median(), samples.percentile(0.99), samples.max()),
            (50.0, 99.0, 100.0)
        );
        assert_eq!(Samples::default().median(), 0.0);
    }
}
