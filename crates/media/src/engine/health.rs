//! How punctual the media threads are.

use std::sync::atomic::{AtomicU64, Ordering};

/// Quarters of octaves from 1 µs to some 16 s.
const BUCKETS: usize = 96;
/// Lateness of a tick that listeners may begin to hear: it is told to the operator.
pub(super) const ALARM_US: u64 = 10_000;
/// A measurement looks back over this time, and over as much again.
const PERIOD_US: u64 = 60_000_000;

/// How late the media threads' ticks have been in the last one to two minutes, all threads
/// together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Ticks measured.
    pub ticks: u64,
    /// Half of them were no later than this, in microseconds (to a fifth).
    pub p50_us: u64,
    /// All but one of a hundred.
    pub p99_us: u64,
    /// The latest.
    pub max_us: u64,
    /// Ticks over 10 ms late since the start: audio stutters then.
    pub alarms: u64,
}

/// One thread's measurements. Written by the thread alone, read by anybody.
#[derive(Debug)]
pub(super) struct Lateness {
    banks: [Bank; 2],
    current: AtomicU64,
    alarms: AtomicU64,
}

#[derive(Debug)]
struct Bank {
    counts: [AtomicU64; BUCKETS],
    max_us: AtomicU64,
}

impl Default for Bank {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; BUCKETS],
            max_us: AtomicU64::new(0),
        }
    }
}

impl Default for Lateness {
    fn default() -> Self {
        Self {
            banks: Default::default(),
            current: AtomicU64::new(0),
            alarms: AtomicU64::new(0),
        }
    }
}

fn bucket(us: u64) -> usize {
    let us = us.max(1);
    let octave = us.ilog2();
    let quarter = ((us << 2) >> octave) & 3;
    (octave as usize * 4 + quarter as usize).min(BUCKETS - 1)
}

/// The upper end of a bucket.
fn ceiling(bucket: usize) -> u64 {
    let (octave, quarter) = ((bucket / 4) as u32, (bucket % 4) as u64);
    ((5 + quarter) << octave).div_ceil(4)
}

impl Lateness {
    /// Counts a tick.
    pub(super) fn count(&self, late_us: u64) {
        let current = self.current.load(Ordering::Relaxed) as usize & 1;
        let bank = &self.banks[current];
        bank.counts[bucket(late_us)].fetch_add(1, Ordering::Relaxed);
        bank.max_us.fetch_max(late_us, Ordering::Relaxed);
        if late_us > ALARM_US {
            self.alarms.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets the period before the last when the next begins.
    pub(super) fn turn(&self, now_us: u64) {
        let current = (now_us / PERIOD_US) & 1;
        if self.current.swap(current, Ordering::Relaxed) != current {
            let bank = &self.banks[current as usize];
            for count in &bank.counts {
                count.store(0, Ordering::Relaxed);
            }
            bank.max_us.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn alarms(&self) -> u64 {
        self.alarms.load(Ordering::Relaxed)
    }
}

impl Health {
    pub(super) fn of<'a>(threads: impl Iterator<Item = &'a Lateness>) -> Self {
        let mut counts = [0u64; BUCKETS];
        let mut health = Self::default();
        for thread in threads {
            health.alarms += thread.alarms();
            for bank in &thread.banks {
                health.max_us = health.max_us.max(bank.max_us.load(Ordering::Relaxed));
                for (sum, count) in counts.iter_mut().zip(&bank.counts) {
                    *sum += count.load(Ordering::Relaxed);
                }
            }
        }
        health.ticks = counts.iter().sum();
        let at = |share: u64| {
            let mut left = (health.ticks * share).div_ceil(100);
            let found = counts.iter().position(|count| {
                left = left.saturating_sub(*count);
                left == 0
            });
            found.map_or(0, ceiling).min(health.max_us)
        };
        (health.p50_us, health.p99_us) = (at(50), at(99));
        health
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_a_fifth() {
        let lateness = Lateness::default();
        for us in 1..=10_000 {
            lateness.count(us);
        }
        lateness.count(50_000);
        let health = Health::of([&lateness].into_iter());
        assert!((5_000..=6_250).contains(&health.p50_us), "{health:?}");
        assert!((9_900..=12_400).contains(&health.p99_us), "{health:?}");
        assert_eq!(
            (health.max_us, health.ticks, health.alarms),
            (50_000, 10_001, 1)
        );
    }

    #[test]
    fn what_is_over_two_minutes_old_is_forgotten() {
        let lateness = Lateness::default();
        lateness.count(50_000);
        lateness.turn(PERIOD_US);
        lateness.count(100);
        assert_eq!(Health::of([&lateness].into_iter()).max_us, 50_000);
        lateness.turn(2 * PERIOD_US);
        assert_eq!(Health::of([&lateness].into_iter()).max_us, 100);
    }
}
