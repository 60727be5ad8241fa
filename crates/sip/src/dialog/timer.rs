//! Session timers (RFC 4028): who refreshes, when, and when a silent peer is given up.

use std::time::Duration;

use crate::wire::{Headers, Request, Response, param};

/// The longest interval agreed to, in seconds.
const LONGEST: u64 = 86_400;

/// Who sends the refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresher {
    Us,
    Peer,
}

/// An interval both sides know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SessionTimer {
    /// In seconds.
    pub interval: u64,
    pub refresher: Refresher,
}

/// What we ask for when a session's interval is ours to propose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// In seconds.
    pub interval: u64,
    /// The shortest interval taken, in seconds.
    pub min: u64,
}

/// The interval is below our minimum: 422 with Min-SE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooShort;

impl Terms {
    pub fn of(limits: &crate::Limits) -> Self {
        let min = limits.min_session.as_secs().max(1);
        Self {
            interval: limits.session.as_secs().clamp(min, LONGEST.max(min)),
            min,
        }
    }

    /// A 422 said what the peer, or a proxy on the way, takes at least. False when that asks for
    /// nothing new, so that asking again would bring the same answer.
    pub fn raise(&mut self, refusal: &Response) -> bool {
        let least = refusal
            .headers
            .get("Min-SE")
            .and_then(seconds)
            .filter(|least| (self.interval + 1..=LONGEST).contains(least));
        self.interval = least.unwrap_or(self.interval);
        self.min = least.unwrap_or(self.min);
        least.is_some()
    }

    /// Asks for a session timer in an INVITE that opens a dialog; the peer chooses who refreshes.
    pub fn propose(self, headers: &mut Headers) {
        headers.push("Session-Expires", self.interval.to_string());
        headers.push("Min-SE", self.min.to_string());
    }
}

impl SessionTimer {
    /// What a request of the peer comes to, we being the one to choose within its limits (§9).
    pub fn answering(request: &Request, terms: Terms) -> Result<Option<Self>, TooShort> {
        let peer_can = request
            .headers
            .tokens("Supported")
            .iter()
            .any(|t| t == "timer");
        let Some(value) = request.headers.get("Session-Expires") else {
            // A caller that can, but leaves it to us: then we see to it that neither end talks to a
            // peer that is gone.
            let least = request.headers.get("Min-SE").and_then(seconds).unwrap_or(0);
            let interval = terms.interval.max(least).min(LONGEST);
            let refresher = Refresher::Us;
            return Ok(peer_can.then_some(Self {
                interval,
                refresher,
            }));
        };
        let Some(interval) = seconds(value) else {
            return Ok(None);
        };
        if interval < terms.min {
            return Err(TooShort);
        }
        let asked = value
            .split_once(';')
            .and_then(|(_, params)| param(params, "refresher"));
        let refresher = match asked.as_deref() {
            // Table 2: a peer that can't has its interval from a proxy, and we refresh.
            _ if !peer_can => Refresher::Us,
            Some("uas") => Refresher::Us,
            _ => Refresher::Peer,
        };
        Ok(Some(Self {
            interval: interval.min(LONGEST),
            refresher,
        }))
    }

    /// What the answer to a request of ours agrees to (§7.2). A shorter interval than we take is
    /// refreshed as slowly as ours.
    pub fn answered(response: &Response, terms: Terms) -> Option<Self> {
        let value = response.headers.get("Session-Expires")?;
        let refresher = match value
            .split_once(';')
            .and_then(|(_, p)| param(p, "refresher"))
        {
            Some(who) if who.eq_ignore_ascii_case("uas") => Refresher::Peer,
            _ => Refresher::Us,
        };
        Some(Self {
            interval: seconds(value)?.clamp(terms.min, LONGEST.max(terms.min)),
            refresher,
        })
    }

    /// As our 2xx says it.
    pub fn grant(self, request: &Request, response: Response) -> Response {
        let peer_can = request
            .headers
            .tokens("Supported")
            .iter()
            .any(|t| t == "timer");
        // §9: required of a peer that refreshes, and of one that understands; of no other.
        let response = if peer_can {
            response.with("Require", "timer")
        } else {
            response
        };
        let who = match self.refresher {
            Refresher::Us => "uas",
            Refresher::Peer => "uac",
        };
        response.with(
            "Session-Expires",
            format!("{};refresher={who}", self.interval),
        )
    }

    /// As a refresh of ours says it: the roles stay as they are.
    pub fn renew(self, terms: Terms, headers: &mut Headers) {
        let who = match self.refresher {
            Refresher::Us => "uac",
            Refresher::Peer => "uas",
        };
        let interval = self.interval.max(terms.min);
        headers.push("Session-Expires", format!("{interval};refresher={who}"));
        headers.push("Min-SE", terms.min.to_string());
    }

    /// When we refresh, if that is our duty: at half time (§7.2).
    pub fn refresh_after(self) -> Option<Duration> {
        (self.refresher == Refresher::Us).then(|| Duration::from_secs(self.interval) / 2)
    }

    /// When a session without a refresh is over: a little before the interval ends (§10).
    pub fn expires_after(self) -> Duration {
        let interval = Duration::from_secs(self.interval);
        interval - (interval / 3).min(Duration::from_secs(32))
    }
}

/// The delta-seconds at the start of a value.
fn seconds(value: &str) -> Option<u64> {
    let digits = value.split(';').next().unwrap_or_default().trim();
    let clean = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    clean.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Method;

    const TERMS: Terms = Terms {
        interval: 1800,
        min: 90,
    };

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut request = Request::new(Method::Invite, "sip:x@h");
        for (name, value) in headers {
            request.headers.push(name, *value);
        }
        request
    }

    fn response(headers: &[(&str, &str)]) -> Response {
        headers.iter().fold(
            Response {
                status: 200,
                headers: Headers::default(),
                body: Vec::new(),
            },
            |response, (name, value)| response.with(name, *value),
        )
    }

    #[test]
    fn roles_follow_table_2_of_rfc_4028() {
        let timer = ("Supported", "timer");
        let chosen = |headers: &[(&str, &str)]| {
            let agreed = SessionTimer::answering(&request(headers), TERMS);
            agreed.map(|agreed| agreed.map(|timer| (timer.interval, timer.refresher)))
        };
        let expires = |value| ("Session-Expires", value);
        assert_eq!(chosen(&[]), Ok(None));
        assert_eq!(chosen(&[timer]), Ok(Some((1800, Refresher::Us))));
        assert_eq!(
            chosen(&[timer, ("Min-SE", "2000")]),
            Ok(Some((2000, Refresher::Us)))
        );
        assert_eq!(
            chosen(&[timer, expires("600")]),
            Ok(Some((600, Refresher::Peer)))
        );
        assert_eq!(
            chosen(&[timer, expires("600;refresher=uas")]),
            Ok(Some((600, Refresher::Us)))
        );
        assert_eq!(chosen(&[expires("600")]), Ok(Some((600, Refresher::Us))));
        assert_eq!(chosen(&[timer, expires("89")]), Err(TooShort));
        assert_eq!(chosen(&[timer, expires("soon")]), Ok(None));
    }

    #[test]
    fn the_peers_answer_decides_and_a_short_one_is_bounded() {
        let agreed =
            |value| SessionTimer::answered(&response(&[("Session-Expires", value)]), TERMS);
        let timer = |interval, refresher| {
            Some(SessionTimer {
                interval,
                refresher,
            })
        };
        assert_eq!(agreed("300;refresher=uas"), timer(300, Refresher::Peer));
        assert_eq!(agreed("300;refresher=uac"), timer(300, Refresher::Us));
        assert_eq!(agreed("1"), timer(90, Refresher::Us));
        assert_eq!(SessionTimer::answered(&response(&[]), TERMS), None);
    }

    #[test]
    fn a_422_raises_the_interval_once() {
        let mut terms = TERMS;
        assert!(terms.raise(&response(&[("Min-SE", "3600")])));
        assert_eq!((terms.interval, terms.min), (3600, 3600));
        assert!(!terms.raise(&response(&[("Min-SE", "3600")])));
        assert!(!terms.raise(&response(&[("Min-SE", "99999999999999999999")])));
        assert!(!terms.raise(&response(&[])));
    }

    #[test]
    fn a_session_is_refreshed_at_half_time_and_given_up_before_its_end() {
        let ours = SessionTimer {
            interval: 90,
            refresher: Refresher::Us,
        };
        assert_eq!(ours.refresh_after(), Some(Duration::from_secs(45)));
        assert_eq!(ours.expires_after(), Duration::from_secs(60));
        let theirs = SessionTimer {
            interval: 1800,
            refresher: Refresher::Peer,
        };
        assert_eq!(theirs.refresh_after(), None);
        assert_eq!(theirs.expires_after(), Duration::from_secs(1768));
    }
}
