//! How fast one source may start requests.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

/// Sources remembered at once; beyond it, those at rest are forgotten first.
const SOURCES: usize = 50_000;

/// A token bucket per source.
pub(crate) struct RateLimit {
    per_second: f64,
    burst: f64,
    buckets: HashMap<IpAddr, (f64, Instant)>,
}

impl RateLimit {
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: per_second.into(),
            burst: burst.max(1).into(),
            buckets: HashMap::new(),
        }
    }

    /// Takes one token; false when there is none left.
    pub fn take(&mut self, source: IpAddr, now: Instant) -> bool {
        let (per_second, burst) = (self.per_second, self.burst);
        if self.buckets.len() >= SOURCES && !self.buckets.contains_key(&source) {
            self.forget_rested(now);
            if self.buckets.len() >= SOURCES {
                return false;
            }
        }
        let (tokens, since) = self.buckets.entry(source).or_insert((burst, now));
        let gained = now.saturating_duration_since(*since).as_secs_f64() * per_second;
        *tokens = (*tokens + gained).min(burst);
        *since = now;
        if *tokens < 1.0 {
            return false;
        }
        *tokens -= 1.0;
        true
    }

    /// Forgets sources whose bucket has filled again.
    pub fn forget_rested(&mut self, now: Instant) {
        let (per_second, burst) = (self.per_second, self.burst);
        self.buckets.retain(|_, (tokens, since)| {
            *tokens + now.saturating_duration_since(*since).as_secs_f64() * per_second < burst
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let now = Instant::now();
        let source = IpAddr::from([192, 0, 2, 1]);
        let mut limit = RateLimit::new(10, 3);
        assert!((0..3).all(|_| limit.take(source, now)));
        assert!(!limit.take(source, now));
        assert!(limit.take(IpAddr::from([192, 0, 2, 2]), now));
        assert!(limit.take(source, now + Duration::from_millis(101)));
        limit.forget_rested(now + Duration::from_secs(9));
        assert!(limit.buckets.is_empty());
    }
}
