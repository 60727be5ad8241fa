//! Changes of the session that we ask for: one at a time, and again when the peer asked for one at
//! the same moment (RFC 3261 §14.1).

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::Method;

/// Changes an owner may order ahead.
const AHEAD: usize = 4;
/// How often one change is asked for.
const TRIES: u32 = 6;

/// What is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A new description of our side.
    Offer(String),
    /// That the session goes on as it is (RFC 4028).
    Refresh,
}

/// Our changes of one session.
#[derive(Debug, Default)]
pub(super) struct Changes {
    ordered: VecDeque<String>,
    refresh: bool,
    tries: u32,
    stage: Stage,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Idle,
    /// Refused for now.
    Waiting { wanted: Wanted, until: Instant },
    /// On the wire.
    Asked {
        wanted: Wanted,
        method: Method,
        cseq: u32,
    },
}

impl Changes {
    /// Orders a change; false when too many wait.
    pub fn order(&mut self, sdp: String) -> bool {
        let room = self.ordered.len() < AHEAD;
        if room {
            self.ordered.push_back(sdp);
        }
        room
    }

    /// Orders a refresh. One that is due already is enough.
    pub fn refresh(&mut self) {
        self.refresh = true;
    }

    /// What to ask for now, if nothing is on the wire and nothing must wait. Whoever takes it says
    /// so with [`Self::asked`].
    pub fn next(&mut self, now: Instant) -> Option<Wanted> {
        match &self.stage {
            Stage::Asked { .. } => None,
            Stage::Waiting { until, .. } if *until > now => None,
            Stage::Waiting { wanted, .. } => Some(wanted.clone()),
            Stage::Idle => {
                self.tries = 0;
                match self.ordered.pop_front() {
                    Some(sdp) => Some(Wanted::Offer(sdp)),
                    None => std::mem::take(&mut self.refresh).then_some(Wanted::Refresh),
                }
            }
        }
    }

    /// It is on the wire.
    pub fn asked(&mut self, wanted: Wanted, method: Method, cseq: u32) {
        self.tries += 1;
        self.stage = Stage::Asked {
            wanted,
            method,
            cseq,
        };
    }

    /// When something that must wait may be asked for again.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Waiting { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// The request on the wire, if it is this one.
    pub fn method_of(&self, number: u32) -> Option<Method> {
        match &self.stage {
            Stage::Asked { method, cseq, .. } if *cseq == number => Some(*method),
            _ => None,
        }
    }

    /// Whether an INVITE of ours is unanswered: an offer of the peer has to wait.
    pub fn offers(&self) -> bool {
        matches!(&self.stage, Stage::Asked { method, .. } if *method == Method::Invite)
    }

    /// It was answered for good; what it was.
    pub fn settled(&mut self) -> Option<Wanted> {
        match std::mem::take(&mut self.stage) {
            Stage::Asked { wanted, .. } => Some(wanted),
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// It is to be asked for again then; what it was when it was asked for often enough.
    pub fn again(&mut self, until: Instant) -> Option<Wanted> {
        let wanted = self.settled()?;
        if self.tries >= TRIES {
            return Some(wanted);
        }
        self.stage = Stage::Waiting { wanted, until };
        None
    }
}

/// How long to wait after a 491 (RFC 3261 §14.1, in steps of 10 ms when T1 is 500 ms): whoever made the
/// Call-ID waits 2.1 to 4 s, the other side up to 2 s, so that the two don't meet again.
pub(super) fn glare_wait(call_id_is_ours: bool, random: u16, t1: Duration) -> Duration {
    let steps = if call_id_is_ours {
        210 + u32::from(random) % 191
    } else {
        u32::from(random) % 201
    };
    t1 / 50 * steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_change_at_a_time_and_a_refused_one_waits() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut changes = Changes::default();
        assert!(changes.order("a".into()) && changes.order("b".into()));
        changes.refresh();
        let first = changes.next(now).unwrap();
        assert_eq!(first, Wanted::Offer("a".into()));
        changes.asked(first, Method::Invite, 5);
        assert!(changes.offers());
        assert_eq!((changes.next(now), changes.method_of(4)), (None, None));
        assert_eq!(changes.again(later), None);
        assert_eq!((changes.next(now), changes.deadline()), (None, Some(later)));
        let again = changes.next(later).unwrap();
        assert_eq!(again, Wanted::Offer("a".into()));
        changes.asked(again, Method::Invite, 6);
        assert_eq!(changes.settled(), Some(Wanted::Offer("a".into())));
        assert_eq!(changes.next(now), Some(Wanted::Offer("b".into())));
        assert_eq!(changes.next(now), Some(Wanted::Refresh));
        assert_eq!(changes.next(now), None);
    }

    #[test]
    fn a_change_that_is_always_refused_is_given_up() {
        let now = Instant::now();
        let mut changes = Changes::default();
        changes.refresh();
        for cseq in 0..TRIES {
            let wanted = changes.next(now).unwrap();
            changes.asked(wanted, Method::Update, cseq);
            let given_up = changes.again(now);
            assert_eq!(given_up.is_some(), cseq + 1 == TRIES);
        }
        assert_eq!(changes.next(now), None);
    }

    #[test]
    fn after_a_glare_the_two_sides_never_meet_again_at_once() {
        let t1 = Duration::from_millis(500);
        let ms = |ours, random| glare_wait(ours, random, t1).as_millis();
        for random in (0..=u16::MAX).step_by(7) {
            assert!((2100..=4000).contains(&ms(true, random)));
            assert!((0..=2000).contains(&ms(false, random)));
        }
    }
}
