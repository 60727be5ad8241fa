//! What it does to a call's row that a phone took the place of another.

use model::{AgentId, CallEvent, CallFact, Direction, OfferStep};

use super::{Fold, Ring, Span};

impl Fold {
    /// The call is whose phone it is at now; the queue tells both what rang and who took it.
    pub(super) fn leg_replaced(&mut self, event: &CallEvent) {
        let CallFact::LegReplaced {
            leg,
            of,
            by,
            agent,
            agent_name,
        } = &event.fact
        else {
            return;
        };
        self.replacements.push((*by, *agent));
        if let Some((dialled, _)) = &mut self.dialled
            && *dialled == *leg
        {
            *dialled = *by;
        }
        let step = OfferStep {
            agent: *agent,
            agent_name: agent_name.clone(),
            at: event.at,
            why: "took the call himself".to_owned(),
            ringing_ms: 0,
            talking_ms: 0,
            total_ms: 0,
            result: Some(model::OfferResult::Answered),
        };
        if self.ring(*leg).is_some()
            && let Some(stay) = self.stay()
        {
            stay.rings.push(Ring {
                leg: *by,
                step,
                rang_at: None,
                rang_ms: Some(0),
                talked: Span::default(),
                over: false,
            });
        }
        if self.transfer().is_some() {
            self.passed_to = Some(*agent);
        } else {
            *self.place_of(*of) = Some(*agent);
        }
    }

    /// Where the row names this agent, or would.
    fn place_of(&mut self, agent: AgentId) -> &mut Option<AgentId> {
        let incoming = self.record.direction == Direction::Incoming;
        if incoming || self.record.agent == Some(agent) {
            &mut self.record.agent
        } else {
            &mut self.record.callee
        }
    }
}
