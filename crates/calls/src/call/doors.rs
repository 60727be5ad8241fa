//! How often the PINs of conference rooms may be tried, over all calls: three tries a call bound nobody who calls again.

use std::collections::{HashMap, VecDeque};

use jiff::SignedDuration;
use model::{AgentId, RoomId, Timestamp};

/// Wrong PINs of one side of a door within a time; then it stays shut for that side until the oldest of them is as old.
/// Forty a day find one of four digits in some months, and one of six never.
const BOUNDS: [(usize, SignedDuration); 2] = [
    (12, SignedDuration::from_mins(15)),
    (40, SignedDuration::from_hours(24)),
];
/// The most, over the longest time.
const KEPT: usize = BOUNDS[1].0;

/// What becomes of somebody who keyed in a PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinVerdict {
    /// It is right.
    Enters,
    /// It is wrong.
    Wrong {
        /// And the last for a while.
        shuts: bool,
    },
    /// Right or wrong, nobody enters from there now.
    Shut,
}

/// The doors of rooms with a PIN. Each has a side for each agent, who is known by his phone, and one for everybody
/// else: strangers who guess keep no agent out.
#[derive(Debug, Default)]
pub struct Doors {
    wrong: HashMap<(RoomId, Option<AgentId>), VecDeque<Timestamp>>,
}

impl Doors {
    /// Somebody keyed in a PIN.
    pub fn tried(
        &mut self,
        now: Timestamp,
        room: RoomId,
        agent: Option<AgentId>,
        is_right: bool,
    ) -> PinVerdict {
        let side = (room, agent);
        if self
            .wrong
            .get(&side)
            .is_some_and(|wrong| is_shut(wrong, now))
        {
            return PinVerdict::Shut;
        }
        if is_right {
            return PinVerdict::Enters;
        }
        self.wrong.retain(|_, wrong| {
            wrong
                .back()
                .is_some_and(|at| is_within(*at, BOUNDS[1].1, now))
        });
        let wrong = self.wrong.entry(side).or_default();
        if wrong.len() == KEPT {
            wrong.pop_front();
        }
        wrong.push_back(now);
        PinVerdict::Wrong {
            shuts: is_shut(wrong, now),
        }
    }
}

fn is_within(at: Timestamp, time: SignedDuration, now: Timestamp) -> bool {
    now.duration_since(at) < time
}

fn is_shut(wrong: &VecDeque<Timestamp>, now: Timestamp) -> bool {
    BOUNDS.iter().any(|(most, time)| {
        let oldest = wrong.len().checked_sub(*most).and_then(|at| wrong.get(at));
        oldest.is_some_and(|at| is_within(*at, *time, now))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId(7);

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + minutes * 60).expect("in range")
    }

    #[test]
    fn a_door_is_shut_after_a_dozen_wrong_pins_and_opens_again() {
        let mut doors = Doors::default();
        for n in 0..12 {
            let shuts = n == 11;
            assert_eq!(
                doors.tried(at(0), ROOM, None, false),
                PinVerdict::Wrong { shuts }
            );
        }
        assert_eq!(doors.tried(at(14), ROOM, None, true), PinVerdict::Shut);
        // An agent comes in, and another room is another door.
        let agent = Some(AgentId(3));
        assert_eq!(doors.tried(at(14), ROOM, agent, true), PinVerdict::Enters);
        let other = doors.tried(at(14), RoomId(8), None, false);
        assert_eq!(other, PinVerdict::Wrong { shuts: false });
        // What is keyed in at a shut door doesn't keep it shut.
        assert_eq!(doors.tried(at(15), ROOM, None, true), PinVerdict::Enters);
    }

    #[test]
    fn patience_does_not_help_either() {
        let mut doors = Doors::default();
        let tried = |doors: &mut Doors, minute| doors.tried(at(minute), ROOM, None, false);
        // Two minutes between two tries.
        let verdicts: Vec<_> = (0..60).map(|n| tried(&mut doors, n * 2)).collect();
        assert_eq!(verdicts[39], PinVerdict::Wrong { shuts: true });
        assert!(
            verdicts[40..]
                .iter()
                .all(|verdict| *verdict == PinVerdict::Shut)
        );
        assert_eq!(tried(&mut doors, 24 * 60 - 1), PinVerdict::Shut);
        assert_eq!(
            tried(&mut doors, 24 * 60),
            PinVerdict::Wrong { shuts: true }
        );
        let guesses = (0..7 * 24 * 60).filter(|minute| {
            let verdict = doors.tried(at(10_000 + minute), ROOM, None, false);
            matches!(verdict, PinVerdict::Wrong { .. })
        });
        assert_eq!(guesses.count(), 7 * 40, "a week of calls");
    }

    #[test]
    fn who_is_right_counts_for_nothing() {
        let mut doors = Doors::default();
        for minute in 0..1_000 {
            assert_eq!(
                doors.tried(at(minute), ROOM, None, true),
                PinVerdict::Enters
            );
        }
        assert!(doors.wrong.is_empty());
    }
}
