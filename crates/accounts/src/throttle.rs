//! Slowing down who guesses.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::SignedDuration;
use model::Timestamp;

/// At most this many keys are remembered; past it the one that is forgiven soonest is forgotten.
const MAX_KEYS: usize = 20_000;

/// How many attempts are free, and how the wait grows after them.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleRule {
    pub free_attempts: u32,
    /// The wait after the first attempt too many; it doubles with each further one.
    pub first_wait: SignedDuration,
    pub longest_wait: SignedDuration,
    /// Quiet time after which all is forgotten.
    pub forget_after: SignedDuration,
}

/// Counts attempts per key. An attempt is charged before its outcome is known, so that parallel guesses
/// can't slip through together, and given back on success.
#[derive(Clone, Debug)]
pub struct Throttle {
    rule: ThrottleRule,
    keys: Arc<Mutex<HashMap<String, Count>>>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    attempts: u32,
    blocked_until: Timestamp,
    last: Timestamp,
}

/// What the throttle says to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    Allowed,
    /// Not before this instant.
    Blocked {
        until: Timestamp,
    },
}

impl Throttle {
    #[must_use]
    pub fn new(rule: ThrottleRule) -> Self {
        Self {
            rule,
            keys: Arc::default(),
        }
    }

    /// Charges an attempt to a key, unless it has to wait.
    #[must_use]
    pub fn attempt(&self, key: &str, now: Timestamp) -> Attempt {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MAX_KEYS && !keys.contains_key(key) {
            make_room(&mut keys, self.rule.forget_after, now);
        }
        let count = keys.entry(key.to_owned()).or_insert(Count {
            attempts: 0,
            blocked_until: now,
            last: now,
        });
        if now.duration_since(count.last) > self.rule.forget_after {
            count.attempts = 0;
        }
        if now < count.blocked_until {
            return Attempt::Blocked {
                until: count.blocked_until,
            };
        }
        count.attempts = count.attempts.saturating_add(1);
        count.last = now;
        if count.attempts >= self.rule.free_attempts {
            count.blocked_until = later(now, self.wait(count.attempts));
        }
        Attempt::Allowed
    }

    /// Takes back what was charged to a key: the attempt was honest.
    pub fn forgive(&self, key: &str) {
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    fn wait(&self, attempts: u32) -> SignedDuration {
        let doublings = (attempts - self.rule.free_attempts).min(20);
        self.rule
            .first_wait
            .saturating_mul(1 << doublings)
            .min(self.rule.longest_wait)
    }
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

fn make_room(keys: &mut HashMap<String, Count>, forget_after: SignedDuration, now: Timestamp) {
    keys.retain(|_, count| now.duration_since(count.last) <= forget_after);
    if keys.len() >= MAX_KEYS
        && let Some(soonest) = keys
            .iter()
            .min_by_key(|(_, count)| count.blocked_until)
            .map(|(key, _)| key.clone())
    {
        keys.remove(&soonest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> Throttle {
        Throttle::new(ThrottleRule {
            free_attempts: 3,
            first_wait: SignedDuration::from_secs(10),
            longest_wait: SignedDuration::from_secs(60),
            forget_after: SignedDuration::from_secs(600),
        })
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let throttle = throttle();
        for _ in 0..3 {
            assert_eq!(throttle.attempt("a", at(0)), Attempt::Allowed);
        }
        let mut now = 0;
        for wait in [10, 20, 40, 60, 60] {
            assert_eq!(
                throttle.attempt("a", at(now + wait - 1)),
                Attempt::Blocked {
                    until: at(now + wait)
                }
            );
            now += wait;
            assert_eq!(throttle.attempt("a", at(now)), Attempt::Allowed);
        }
    }

    #[test]
    fn one_key_does_not_slow_another() {
        let throttle = throttle();
        for _ in 0..4 {
            let _ = throttle.attempt("a", at(0));
        }
        assert!(matches!(
            throttle.attempt("a", at(0)),
            Attempt::Blocked { .. }
        ));
        assert_eq!(throttle.attempt("b", at(0)), Attempt::Allowed);
    }

    #[test]
    fn success_and_quiet_are_forgiven() {
        let throttle = throttle();
        for _ in 0..3 {
            let _ = throttle.attempt("a", at(0));
        }
        throttle.forgive("a");
        assert_eq!(throttle.attempt("a", at(0)), Attempt::Allowed);
        for _ in 0..3 {
            let _ = throttle.attempt("b", at(0));
        }
        for _ in 0..3 {
            assert_eq!(throttle.attempt("b", at(1000)), Attempt::Allowed);
        }
    }

    #[test]
    fn memory_stays_bounded() {
        let throttle = throttle();
        for key in 0..MAX_KEYS + 50 {
            let _ = throttle.attempt(&key.to_string(), at(0));
        }
        assert!(throttle.keys.lock().expect("fine").len() <= MAX_KEYS);
    }
}
