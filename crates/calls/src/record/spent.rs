//! What carriers charge for the legs of a call.

use model::{CallPrice, LegId, RunningPrice, Timestamp};

use super::ms;

/// The legs that cost something, each for the time it was answered.
#[derive(Debug, Default)]
pub(super) struct Spent(Vec<Leg>);

#[derive(Debug)]
struct Leg {
    leg: LegId,
    price: CallPrice,
    /// What another call has paid for.
    before_ms: u64,
    answered: Option<Timestamp>,
    ended: Option<Timestamp>,
}

impl Spent {
    /// A carrier is asked.
    pub(super) fn asked(&mut self, leg: LegId, price: CallPrice) {
        self.0.push(Leg {
            leg,
            price,
            before_ms: 0,
            answered: None,
            ended: None,
        });
    }

    /// The leg of another call goes on here.
    pub(super) fn taken(&mut self, leg: LegId, running: RunningPrice, at: Timestamp) {
        self.asked(leg, running.price);
        if let Some(leg) = self.0.last_mut() {
            leg.before_ms = running.talked_ms;
            leg.answered = Some(at);
        }
    }

    pub(super) fn answered(&mut self, leg: LegId, at: Timestamp) {
        if let Some(leg) = self.find(leg) {
            leg.answered.get_or_insert(at);
        }
    }

    pub(super) fn ended(&mut self, leg: LegId, at: Timestamp) {
        if let Some(leg) = self.find(leg) {
            leg.ended.get_or_insert(at);
        }
    }

    fn find(&mut self, leg: LegId) -> Option<&mut Leg> {
        self.0.iter_mut().find(|known| known.leg == leg)
    }

    /// All of it, in millionths; what still talks does so until then.
    pub(super) fn total(&self, until: Timestamp) -> u64 {
        let each = self.0.iter().filter_map(|leg| {
            let talked = ms(leg.answered?, leg.ended.unwrap_or(until));
            let all = leg.price.of(leg.before_ms.saturating_add(talked));
            // Steps begun in the call before are paid there.
            Some(all.saturating_sub(leg.price.of(leg.before_ms)))
        });
        each.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_that_goes_on_elsewhere_is_paid_once() {
        let price = CallPrice {
            per_minute_micros: 60_000,
            step_seconds: 60,
        };
        let at = |seconds| Timestamp::from_second(seconds).expect("in range");
        let mut first = Spent::default();
        first.asked(LegId(2), price);
        assert_eq!(first.total(at(50)), 0);
        first.answered(LegId(2), at(10));
        assert_eq!(first.total(at(11)), 60_000);
        first.ended(LegId(2), at(80));
        assert_eq!(first.total(at(500)), 120_000);
        let mut second = Spent::default();
        let talked_ms = 70_000;
        second.taken(LegId(3), RunningPrice { price, talked_ms }, at(80));
        // The second minute is paid already.
        assert_eq!(second.total(at(130)), 0);
        second.ended(LegId(3), at(131));
        assert_eq!(second.total(at(500)), 60_000);
    }
}
