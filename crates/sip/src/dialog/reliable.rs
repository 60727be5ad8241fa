//! Provisional responses that the caller confirms (RFC 3262), as the one who sends them.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::transaction::Timers;
use crate::wire::{Request, Response};

/// Responses that wait behind an unconfirmed one; what is said after that many adds nothing.
const WAITING: usize = 4;

/// What a caller can and wants to confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirms {
    /// It knows nothing of PRACK.
    Never,
    /// It can.
    Can,
    /// It insists.
    Always,
}

impl Confirms {
    pub fn of(invite: &Request) -> Self {
        let named = |header| invite.headers.tokens(header).iter().any(|t| t == "100rel");
        if named("Require") {
            Self::Always
        } else if named("Supported") {
            Self::Can
        } else {
            Self::Never
        }
    }
}

/// The responses sent reliably, one at a time and in order (§3).
#[derive(Debug)]
pub(super) struct Reliable {
    timers: Timers,
    last_rseq: u32,
    unconfirmed: Option<Unconfirmed>,
    waiting: VecDeque<Response>,
}

#[derive(Debug)]
struct Unconfirmed {
    rseq: u32,
    response: Response,
    interval: Duration,
    next: Instant,
    give_up: Instant,
}

/// What a PRACK confirmed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Confirmed {
    /// Whether that response carried a session description.
    pub described: bool,
}

impl Reliable {
    /// `seed` makes the first RSeq, which no stranger should guess (§3).
    pub fn new(timers: Timers, seed: u32) -> Self {
        Self {
            timers,
            // Room for a call's responses below 2**32, and never 0.
            last_rseq: seed >> 2,
            unconfirmed: None,
            waiting: VecDeque::new(),
        }
    }

    /// Takes a response to be confirmed; what to send now, if anything.
    #[must_use]
    pub fn send(&mut self, response: Response, now: Instant) -> Option<Response> {
        if self.unconfirmed.is_some() {
            if self.waiting.len() < WAITING {
                self.waiting.push_back(response);
            }
            return None;
        }
        self.last_rseq += 1;
        let response = response
            .with("Require", "100rel")
            .with("RSeq", self.last_rseq.to_string());
        self.unconfirmed = Some(Unconfirmed {
            rseq: self.last_rseq,
            response: response.clone(),
            interval: self.timers.t1,
            next: now + self.timers.t1,
            give_up: now + self.timers.give_up(),
        });
        Some(response)
    }

    /// When [`Self::repeat`] is due, and when the caller is given up.
    pub fn deadlines(&self) -> Option<(Instant, Instant)> {
        self.unconfirmed.as_ref().map(|u| (u.next, u.give_up))
    }

    /// The unconfirmed response once more; the pause doubles without end (§3).
    pub fn repeat(&mut self, now: Instant) -> Option<&Response> {
        let unconfirmed = self.unconfirmed.as_mut()?;
        unconfirmed.interval *= 2;
        unconfirmed.next = now + unconfirmed.interval;
        Some(&unconfirmed.response)
    }

    /// Whether the answer to the call must wait: a description of ours is unconfirmed (§3).
    pub fn holds_answer(&self) -> bool {
        let described = |response: &Response| !response.body.is_empty();
        self.unconfirmed.iter().any(|u| described(&u.response))
            || self.waiting.iter().any(described)
    }

    /// A PRACK came; `None` when it confirms nothing that waits (481).
    pub fn confirm(&mut self, prack: &Request, invite_cseq: u32) -> Option<Confirmed> {
        let rack = prack.headers.get("RAck")?;
        let mut parts = rack.split_ascii_whitespace();
        let (rseq, cseq, method) = (parts.next()?, parts.next()?, parts.next()?);
        let unconfirmed = self.unconfirmed.as_ref()?;
        let same = rseq.parse() == Ok(unconfirmed.rseq)
            && cseq.parse() == Ok(invite_cseq)
            && method == "INVITE"
            && parts.next().is_none();
        if !same {
            return None;
        }
        let confirmed = self.unconfirmed.take()?;
        Some(Confirmed {
            described: !confirmed.response.body.is_empty(),
        })
    }

    /// The next response in line, once the one before it was confirmed.
    #[must_use]
    pub fn next(&mut self, now: Instant) -> Option<Response> {
        if self.unconfirmed.is_some() {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.send(next, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Headers, Method};

    fn provisional(status: u16, body: &str) -> Response {
        Response {
            status,
            headers: Headers::default(),
            body: body.into(),
        }
    }

    fn prack(rack: &str) -> Request {
        let mut request = Request::new(Method::PRack, "sip:x@h");
        request.headers.push("RAck", rack);
        request
    }

    #[test]
    fn responses_are_confirmed_one_by_one_and_in_order() {
        let (now, t1) = (Instant::now(), Duration::from_millis(500));
        let mut reliable = Reliable::new(Timers { t1 }, 40);
        let first = reliable.send(provisional(183, "v=0"), now).unwrap();
        assert_eq!(first.headers.get("RSeq"), Some("11"));
        assert!(reliable.send(provisional(180, ""), now).is_none());
        assert!(reliable.holds_answer());
        assert_eq!(reliable.deadlines(), Some((now + t1, now + t1 * 64)));
        assert!(reliable.repeat(now + t1).is_some());
        assert_eq!(reliable.deadlines().unwrap().0, now + t1 + t1 * 2);
        for wrong in [
            "12 1 INVITE",
            "11 2 INVITE",
            "11 1 BYE",
            "11 1",
            "x",
            "11 1 INVITE x",
        ] {
            assert_eq!(reliable.confirm(&prack(wrong), 1), None, "{wrong}");
        }
        let confirmed = reliable.confirm(&prack("11 1 INVITE"), 1);
        assert_eq!(confirmed, Some(Confirmed { described: true }));
        assert_eq!(reliable.confirm(&prack("11 1 INVITE"), 1), None);
        let second = reliable.next(now).unwrap();
        assert_eq!(second.headers.get("RSeq"), Some("12"));
        assert!(!reliable.holds_answer());
    }
}
