//! REFER taken by us (RFC 3515), and the subscription that tells its sender how it goes.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::leg::{Referral, ReferralId, Replaces};
use crate::transaction::ServerHandle;
use crate::wire::{NameAddr, Request, SipUri, param, phrase, unescape};

/// Subscriptions one dialog may hold; a phone needs one.
const MOST: usize = 4;
/// How long a subscription lives, as NOTIFY says. The call ends sooner.
const EXPIRES: u64 = 300;

/// A REFER that waits for its owner's word.
pub(super) struct Asked {
    pub id: ReferralId,
    pub request: Request,
    pub tx: ServerHandle,
    pub deadline: Instant,
}

impl Asked {
    /// Whether its sender wants to hear nothing of what follows (RFC 4488).
    pub fn is_silent(&self) -> bool {
        let refer_sub = self.request.headers.get("Refer-Sub");
        refer_sub.is_some_and(|value| value.trim().eq_ignore_ascii_case("false"))
    }
}

/// Reads a REFER.
///
/// # Errors
/// The status that refuses it.
pub(super) fn read(request: &Request) -> Result<Referral, u16> {
    let mut all = request.headers.all("Refer-To");
    let (Some(value), None) = (all.next(), all.next()) else {
        return Err(400);
    };
    let to = NameAddr::parse(value).ok_or(400_u16)?;
    let (address, headers) = to.uri.split_once('?').unwrap_or((&to.uri, ""));
    let uri = SipUri::parse(address).map_err(|problem| match problem {
        crate::wire::UriProblem::Scheme => 416_u16,
        crate::wire::UriProblem::Syntax => 400,
    })?;
    let method = address
        .split_once(';')
        .and_then(|(_, p)| param(p, "method"));
    if method.is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
        // RFC 3515 §2.4.2 leaves other methods to policy; ours is calls.
        return Err(603);
    }
    let mut replaces = headers.split('&').filter_map(|header| {
        let (name, value) = header.split_once('=')?;
        name.eq_ignore_ascii_case("Replaces")
            .then(|| unescape(value))
    });
    let replaces = match (replaces.next(), replaces.next()) {
        (None, _) => None,
        (Some(value), None) => Some(Replaces::parse(&value).ok_or(400_u16)?),
        (Some(_), Some(_)) => return Err(400),
    };
    Ok(Referral {
        id: ReferralId(request.cseq()),
        to_user: uri.user,
        to_host: uri.host,
        replaces,
        referred_by: request
            .headers
            .get("Referred-By")
            .and_then(NameAddr::parse)
            .map(|by| by.uri),
    })
}

/// What a NOTIFY says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub id: ReferralId,
    pub event: String,
    pub state: String,
    pub body: String,
}

/// The subscriptions of one dialog. One NOTIFY at a time goes out for each, so that none overtakes another.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    open: Vec<Subscription>,
    any: bool,
}

#[derive(Debug)]
struct Subscription {
    id: ReferralId,
    /// The first of a dialog goes without an id (RFC 3515 §2.4.6).
    named: bool,
    waiting: VecDeque<u16>,
    /// A NOTIFY is on its way.
    sent: bool,
    /// The last one was said.
    over: bool,
}

impl Subscriptions {
    pub fn is_full(&self) -> bool {
        self.open.len() >= MOST
    }

    /// A REFER was accepted: its sender is told 100 at once.
    pub fn open(&mut self, id: ReferralId) {
        self.open.push(Subscription {
            id,
            named: self.any,
            waiting: VecDeque::from([100]),
            sent: false,
            over: false,
        });
        self.any = true;
    }

    /// How it goes; a final status is the last word, and what was not said before it no longer is.
    pub fn report(&mut self, id: ReferralId, status: u16) {
        let open = self
            .open
            .iter_mut()
            .find(|open| open.id == id && !open.over);
        let Some(open) = open else { return };
        if status >= 200 {
            open.over = true;
            open.waiting.clear();
        }
        if open.waiting.back() != Some(&status) && open.waiting.len() < 8 {
            open.waiting.push_back(status);
        }
    }

    /// A NOTIFY was answered; a subscription its sender no longer has is over.
    pub fn answered(&mut self, id: ReferralId, known: bool) {
        if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
            open.sent = false;
        }
        self.open
            .retain(|open| open.id != id || known && !(open.over && open.waiting.is_empty()));
    }

    /// The next NOTIFY that may go.
    pub fn next(&mut self) -> Option<Notice> {
        self.take(|open| !open.sent)
    }

    /// What is left to say when the dialog ends, whether or not the last NOTIFY was answered.
    pub fn rest(&mut self) -> Option<Notice> {
        self.take(|_| true)
    }

    fn take(&mut self, may: impl Fn(&Subscription) -> bool) -> Option<Notice> {
        let open = self
            .open
            .iter_mut()
            .find(|open| !open.waiting.is_empty() && may(open))?;
        let status = open.waiting.pop_front()?;
        open.sent = true;
        let event = if open.named {
            format!("refer;id={}", open.id.0)
        } else {
            "refer".to_owned()
        };
        let state = if open.over && open.waiting.is_empty() {
            "terminated;reason=noresource".to_owned()
        } else {
            format!("active;expires={EXPIRES}")
        };
        Some(Notice {
            id: open.id,
            event,
            state,
            body: format!("SIP/2.0 {status} {}\r\n", phrase(status)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Method;

    fn refer(headers: &[(&str, &str)]) -> Request {
        let mut request = Request::new(Method::Refer, "sip:x@h");
        request.headers.push("CSeq", "7 REFER");
        for (name, value) in headers {
            request.headers.push(name, *value);
        }
        request
    }

    #[test]
    fn targets_are_read_with_the_dialog_they_replace() {
        let blind = read(&refer(&[
            ("Refer-To", "\"Bob\" <sip:102@h;transport=udp>"),
            ("Referred-By", "<sip:101@h>"),
        ]))
        .unwrap();
        assert_eq!((blind.id, blind.to_user.as_str()), (ReferralId(7), "102"));
        assert_eq!(blind.referred_by.as_deref(), Some("sip:101@h"));
        let attended = "<sip:102@h?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2%3Bearly-only>";
        assert_eq!(
            read(&refer(&[("Refer-To", attended)])).unwrap().replaces,
            Some(Replaces {
                call_id: "a@b".into(),
                to_tag: "1".into(),
                from_tag: "2".into(),
                early_only: true,
            })
        );
        for (value, status) in [
            ("", 400),
            ("<http://x>", 416),
            ("<sip:x@h;method=BYE>", 603),
            ("<sip:x@h?Replaces=a>", 400),
            ("<sip:x@h?Replaces=a&Replaces=b>", 400),
        ] {
            assert_eq!(read(&refer(&[("Refer-To", value)])), Err(status), "{value}");
        }
        assert_eq!(read(&refer(&[])), Err(400));
        let twice = refer(&[("Refer-To", "<sip:a@h>"), ("Refer-To", "<sip:b@h>")]);
        assert_eq!(read(&twice), Err(400));
    }

    #[test]
    fn notifications_follow_each_other_and_end_with_the_final_one() {
        let (first, second) = (ReferralId(7), ReferralId(9));
        let mut all = Subscriptions::default();
        all.open(first);
        all.open(second);
        let said = |all: &mut Subscriptions| all.next().map(|n| (n.event, n.state, n.body));
        let (event, state, body) = said(&mut all).unwrap();
        assert_eq!(
            (event.as_str(), body.as_str()),
            ("refer", "SIP/2.0 100 Trying\r\n")
        );
        assert_eq!(state, "active;expires=300");
        assert_eq!(said(&mut all).unwrap().0, "refer;id=9");
        all.report(first, 180);
        all.report(first, 180);
        // The one before has no answer yet.
        assert_eq!(said(&mut all), None);
        all.answered(first, true);
        assert_eq!(said(&mut all).unwrap().2, "SIP/2.0 180 Ringing\r\n");
        all.report(first, 486);
        all.report(first, 200);
        all.answered(first, true);
        let (_, state, body) = said(&mut all).unwrap();
        assert_eq!(state, "terminated;reason=noresource");
        assert_eq!(body, "SIP/2.0 486 Busy Here\r\n");
        all.answered(first, true);
        all.answered(second, false);
        assert!(all.open.is_empty());
    }
}
