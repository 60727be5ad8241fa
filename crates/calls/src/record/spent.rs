//! What carriers charge for the legs of a call.

use model::{CallPrice, LegId, RunningPrice, Timestamp, TrunkId, TrunkShare};

use super::ms;

/// The legs that carriers connected, each for the time it was answered.
#[derive(Debug, Default)]
pub(super) struct Spent(Vec<Leg>);

#[derive(Debug)]
struct Leg {
    leg: LegId,
    /// Not known of legs that came from another call before it was kept.
    trunk: Option<TrunkId>,
    price: CallPrice,
    /// What another call has paid for.
    before_ms: u64,
    answered: Option<Timestamp>,
    ended: Option<Timestamp>,
}

impl Leg {
    /// Talk and cost in this call, and when it was over; `None` before it is answered.
    fn used(&self, until: Timestamp) -> Option<(u64, u64, Timestamp)> {
        let until = self.ended.unwrap_or(until);
        let talked_ms = ms(self.answered?, until);
        let all = self.price.of(self.before_ms.saturating_add(talked_ms));
        // Steps begun in the call before are paid there.
        let cost_micros = all.saturating_sub(self.price.of(self.before_ms));
        Some((talked_ms, cost_micros, until))
    }
}

impl Spent {
    /// A carrier is asked.
    pub(super) fn asked(&mut self, leg: LegId, trunk: TrunkId, price: Option<CallPrice>) {
        self.add(leg, Some(trunk), price.unwrap_or(CallPrice::FREE));
    }

    fn add(&mut self, leg: LegId, trunk: Option<TrunkId>, price: CallPrice) {
        self.0.push(Leg {
            leg,
            trunk,
            price,
            before_ms: 0,
            answered: None,
            ended: None,
        });
    }

    /// The leg of another call goes on here.
    pub(super) fn taken(&mut self, leg: LegId, running: RunningPrice, at: Timestamp) {
        self.add(leg, running.trunk, running.price);
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
        let used = self.0.iter().filter_map(|leg| leg.used(until));
        used.map(|(_, cost_micros, _)| cost_micros)
            .fold(0, u64::saturating_add)
    }

    /// The same by trunk, in the order they were asked.
    pub(super) fn shares(&self, until: Timestamp) -> Vec<TrunkShare> {
        let mut shares: Vec<TrunkShare> = Vec::new();
        for leg in &self.0 {
            let (Some(trunk), Some((talking_ms, cost_micros, until))) =
                (leg.trunk, leg.used(until))
            else {
                continue;
            };
            match shares.iter_mut().find(|share| share.trunk == trunk) {
                Some(share) => {
                    share.talking_ms += talking_ms;
                    share.cost_micros = share.cost_micros.saturating_add(cost_micros);
                    share.until = share.until.max(until);
                }
                None => shares.push(TrunkShare {
                    trunk,
                    talking_ms,
                    cost_micros,
                    until,
                }),
            }
        }
        shares
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
        let trunk = TrunkId(7);
        first.asked(LegId(2), trunk, Some(price));
        assert_eq!(first.total(at(50)), 0);
        first.answered(LegId(2), at(10));
        assert_eq!(first.total(at(11)), 60_000);
        first.ended(LegId(2), at(80));
        assert_eq!(first.total(at(500)), 120_000);
        let mut second = Spent::default();
        let running = RunningPrice {
            price,
            talked_ms: 70_000,
            trunk: Some(trunk),
        };
        second.taken(LegId(3), running, at(80));
        // The second minute is paid already.
        assert_eq!(second.total(at(130)), 0);
        second.ended(LegId(3), at(131));
        assert_eq!(second.total(at(500)), 60_000);
    }

    #[test]
    fn each_trunk_has_its_share_whatever_it_charges() {
        let price = CallPrice {
            per_minute_micros: 60_000,
            step_seconds: 1,
        };
        let at = |seconds| Timestamp::from_second(seconds).expect("in range");
        let share = |trunk, talking_ms, cost_micros, until| TrunkShare {
            trunk: TrunkId(trunk),
            talking_ms,
            cost_micros,
            until: at(until),
        };
        let mut spent = Spent::default();
        // Its carrier refused.
        spent.asked(LegId(2), TrunkId(1), Some(price));
        spent.ended(LegId(2), at(5));
        assert_eq!(spent.shares(at(9)), []);
        // The next one has no price list.
        spent.asked(LegId(3), TrunkId(2), None);
        spent.answered(LegId(3), at(10));
        // Another call's party came, and later one more through the same trunk.
        let running = RunningPrice {
            price,
            talked_ms: 70_000,
            trunk: Some(TrunkId(1)),
        };
        spent.taken(LegId(4), running, at(20));
        spent.ended(LegId(4), at(50));
        spent.asked(LegId(5), TrunkId(1), Some(price));
        spent.answered(LegId(5), at(60));
        assert_eq!(
            spent.shares(at(70)),
            [share(2, 60_000, 0, 70), share(1, 40_000, 40_000, 70)]
        );
        for leg in [3, 5] {
            spent.ended(LegId(leg), at(80));
        }
        assert_eq!(
            spent.shares(at(500)),
            [share(2, 70_000, 0, 80), share(1, 50_000, 50_000, 80)]
        );
        assert_eq!(spent.total(at(500)), 50_000);
    }
}
