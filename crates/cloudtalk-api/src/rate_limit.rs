//! A fixed window of a minute for each company, shared by all its keys.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use http::HeaderMap;
use model::{TenantId, Timestamp};

const WINDOW_SECONDS: i64 = 60;

/// Where a company stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub limit: u32,
    pub remaining: u32,
    /// Unix seconds.
    pub resets_at: i64,
    pub allowed: bool,
}

#[derive(Clone, Copy)]
struct Window {
    since: i64,
    used: u32,
}

pub(crate) struct RateLimiter {
    limit: u32,
    /// One entry a company; only requests with a good key get here, so it can't be made to grow.
    windows: Mutex<HashMap<TenantId, Window>>,
}

impl RateLimiter {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            limit,
            windows: Mutex::default(),
        }
    }

    /// Counts a request. Refused ones are not counted: they would only push the window's end away.
    pub(crate) fn take(&self, tenant: TenantId, now: Timestamp) -> Standing {
        let now = now.as_second();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(tenant).or_insert(Window {
            since: now,
            used: 0,
        });
        if now >= window.since + WINDOW_SECONDS || now < window.since {
            *window = Window {
                since: now,
                used: 0,
            };
        }
        let allowed = self.limit == 0 || window.used < self.limit;
        if allowed {
            window.used = window.used.saturating_add(1);
        }
        Standing {
            limit: self.limit,
            remaining: self.limit.saturating_sub(window.used),
            resets_at: window.since + WINDOW_SECONDS,
            allowed,
        }
    }

    /// What an unknown caller is told: a window that has not begun.
    pub(crate) fn untouched(&self, now: Timestamp) -> Standing {
        Standing {
            limit: self.limit,
            remaining: self.limit,
            resets_at: now.as_second() + WINDOW_SECONDS,
            allowed: true,
        }
    }
}

impl Standing {
    pub(crate) fn write(self, headers: &mut HeaderMap, now: Timestamp) {
        headers.insert("x-cloudtalkapi-limit", self.limit.into());
        headers.insert("x-cloudtalkapi-remaining", self.remaining.into());
        headers.insert("x-cloudtalkapi-resettime", self.resets_at.into());
        if !self.allowed {
            headers.insert(
                http::header::RETRY_AFTER,
                (self.resets_at - now.as_second()).max(1).into(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_window_begins_with_the_first_request_and_lasts_a_minute() {
        let limiter = RateLimiter::new(2);
        let first = limiter.take(TenantId(1), at(100));
        assert_eq!(
            first,
            Standing {
                limit: 2,
                remaining: 1,
                resets_at: 160,
                allowed: true
            }
        );
        assert!(limiter.take(TenantId(1), at(130)).allowed);
        assert!(!limiter.take(TenantId(1), at(159)).allowed);
        assert_eq!(limiter.take(TenantId(1), at(160)).resets_at, 220);
    }

    #[test]
    fn companies_do_not_share_a_window() {
        let limiter = RateLimiter::new(1);
        assert!(limiter.take(TenantId(1), at(0)).allowed);
        assert!(limiter.take(TenantId(2), at(0)).allowed);
    }

    #[test]
    fn zero_means_no_limit() {
        let limiter = RateLimiter::new(0);
        assert!((0..1000).all(|_| limiter.take(TenantId(1), at(0)).allowed));
    }

    #[test]
    fn refusal_says_how_long_to_wait() {
        let limiter = RateLimiter::new(1);
        limiter.take(TenantId(1), at(100));
        let mut headers = HeaderMap::new();
        limiter
            .take(TenantId(1), at(118))
            .write(&mut headers, at(118));
        assert_eq!(headers["retry-after"], "42");
        assert_eq!(headers["x-cloudtalkapi-remaining"], "0");
    }
}
