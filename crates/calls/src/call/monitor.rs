//! A supervisor who listens in, whispers to the agent, or joins.

use jiff::SignedDuration;
use model::{AgentId, CallFact, HangupCause, LegId, MonitorMode, Timestamp};

use super::{
    Output,
    machine::{Call, Out, Stage, TalkingStage, after},
};

/// How long the supervisor's own phone rings.
const RING_FOR: SignedDuration = SignedDuration::from_secs(30);

/// A supervisor at a conversation.
#[derive(Debug)]
pub(super) struct Watcher {
    pub leg: LegId,
    pub agent: AgentId,
    pub mode: MonitorMode,
    /// When ringing him is given up; absent once he has answered.
    pub deadline: Option<Timestamp>,
}

/// Lets the supervisor go with the conversation he was at.
pub(super) fn dismiss(talking: &TalkingStage, out: &mut Out) {
    if let Some(watcher) = &talking.watcher {
        let (leg, cause) = (watcher.leg, HangupCause::AgentHangup);
        out.fact(CallFact::LegEnded { leg, cause });
        out.act(Output::HangUp { leg, cause });
    }
}

impl Call {
    /// A supervisor wants to listen in, or does so already and changes how. One at a time.
    pub(super) fn monitor(
        &mut self,
        now: Timestamp,
        agent: AgentId,
        mode: MonitorMode,
        out: &mut Out,
    ) {
        let caller_id = self.caller_id();
        let Stage::Talking(talking) = &mut self.stage else {
            return;
        };
        // Nobody can listen in on himself.
        if [talking.agent, talking.colleague].contains(&Some(agent)) {
            return;
        }
        match &mut talking.watcher {
            Some(watcher) if watcher.agent == agent && watcher.mode != mode => {
                watcher.mode = mode;
                if watcher.deadline.is_none() {
                    let leg = watcher.leg;
                    out.fact(CallFact::MonitorStarted { leg, agent, mode });
                    self.mix(out);
                }
            }
            Some(_) => {}
            None => {
                self.last_leg += 1;
                let leg = LegId(self.last_leg);
                talking.watcher = Some(Watcher {
                    leg,
                    agent,
                    mode,
                    deadline: Some(after(now, RING_FOR)),
                });
                out.fact(CallFact::MonitorOffered { leg, agent });
                out.act(Output::Dial {
                    leg,
                    agent,
                    caller_id,
                });
            }
        }
    }

    /// Whether the leg that answered is the supervisor's; then he hears and is heard as he asked.
    pub(super) fn monitor_answered(&mut self, leg: LegId, out: &mut Out) -> bool {
        let Stage::Talking(talking) = &mut self.stage else {
            return false;
        };
        let Some(watcher) = talking
            .watcher
            .as_mut()
            .filter(|watcher| watcher.leg == leg)
        else {
            return false;
        };
        watcher.deadline = None;
        let (agent, mode) = (watcher.agent, watcher.mode);
        out.fact(CallFact::MonitorStarted { leg, agent, mode });
        self.mix(out);
        true
    }

    /// Whether the leg that is over was the supervisor's; the conversation goes on without him.
    pub(super) fn monitor_over(&mut self, leg: LegId, cause: HangupCause, out: &mut Out) -> bool {
        let Stage::Talking(talking) = &mut self.stage else {
            return false;
        };
        let Some(watcher) = talking.watcher.take_if(|watcher| watcher.leg == leg) else {
            return false;
        };
        out.fact(CallFact::LegEnded { leg, cause });
        if watcher.deadline.is_none() {
            let b = talking.leg;
            out.act(Output::Bridge { a: self.caller, b });
        }
        true
    }

    pub(super) fn monitor_timer(&mut self, now: Timestamp, out: &mut Out) {
        let Stage::Talking(talking) = &self.stage else {
            return;
        };
        let late = talking
            .watcher
            .as_ref()
            .filter(|watcher| watcher.deadline.is_some_and(|deadline| deadline <= now))
            .map(|watcher| watcher.leg);
        if let Some(leg) = late {
            let cause = HangupCause::NoAnswer;
            self.monitor_over(leg, cause, out);
            out.act(Output::HangUp { leg, cause });
        }
    }

    fn mix(&self, out: &mut Out) {
        if let Stage::Talking(talking) = &self.stage
            && let Some(watcher) = &talking.watcher
        {
            let (customer, agent) = self.sides(talking);
            out.act(Output::Monitor {
                customer,
                agent,
                supervisor: watcher.leg,
                mode: watcher.mode,
            });
        }
    }
}
