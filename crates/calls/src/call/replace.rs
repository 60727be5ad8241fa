//! An agent's phone takes the place of another one (RFC 3891): it picks up what rings there, or takes
//! the conversation over.
//!
//! The phone calls and names the leg it wants. Until the machine has said that it may, that call is
//! nobody's: a refused one leaves no trace here.

use model::{AgentId, CallFact, HangupCause, LegId, OfferEnd, QueueOutcome, Timestamp};

use super::{
    Output,
    machine::{Call, Out, Stage, TalkingStage},
    monitor::dismiss,
    queue::stop_ringing,
};

/// The dialog is answered already, and only an early one was asked for (RFC 3891 §3).
const ANSWERED: u16 = 486;
/// A leg that nobody else may have.
const DECLINED: u16 = 603;

/// A phone in the place of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The leg that gives way.
    pub leg: LegId,
    /// Whose phone it is that comes.
    pub agent: AgentId,
    /// His name.
    pub agent_name: String,
    /// His after-call time; 0 is off.
    pub wrap_up_seconds: u32,
}

impl Call {
    /// Whether a phone of this agent may take the place of a leg: one that rings for an agent, or on
    /// which one talks.
    ///
    /// # Errors
    /// The SIP status that says why not.
    pub fn replaceable(&self, leg: LegId, agent: AgentId, early_only: bool) -> Result<(), u16> {
        let may = match &self.stage {
            Stage::Queue(queue) => {
                queue.ringing.iter().any(|ringing| ringing.leg == leg) && !self.placed_by(agent)
            }
            Stage::Dialing(dialing) if dialing.leg == leg => {
                let himself = self.placed_by(agent) && self.transfer.is_none();
                dialing.colleague.is_some() && !himself
            }
            Stage::Talking(talking) => {
                let other = if leg == self.caller {
                    talking.leg
                } else {
                    self.caller
                };
                if early_only && (leg == self.caller || leg == talking.leg) {
                    return Err(ANSWERED);
                }
                // Nobody talks with himself.
                self.agent_on(talking, leg).is_some()
                    && self.agent_on(talking, other) != Some(agent)
            }
            _ => false,
        };
        if may { Ok(()) } else { Err(DECLINED) }
    }

    /// The leg that the next party of this call will be.
    #[must_use]
    pub fn next_leg(&self) -> LegId {
        LegId(self.last_leg + 1)
    }

    /// A phone that has called is there in the place of a leg.
    pub(super) fn replaces(&mut self, now: Timestamp, replacement: Replacement, out: &mut Out) {
        let Replacement { leg, agent, .. } = replacement;
        if self.replaceable(leg, agent, false).is_err() {
            return;
        }
        let by = self.next_leg();
        match &self.stage {
            Stage::Queue(_) => self.picks_up(by, &replacement, out),
            Stage::Dialing(_) => self.picks_up_dialled(now, by, &replacement, out),
            Stage::Talking(_) => self.takes_over(now, by, &replacement, out),
            _ => {}
        }
    }

    /// From here on the leg is one of this call's. It is answered before the other one is let go (§4).
    fn comes_in(&mut self, by: LegId, of: AgentId, replacement: &Replacement, out: &mut Out) {
        self.last_leg = by.0;
        out.fact(CallFact::LegReplaced {
            leg: replacement.leg,
            of,
            by,
            agent: replacement.agent,
            agent_name: replacement.agent_name.clone(),
        });
        out.act(Output::Answer { leg: by });
    }

    /// What rings for a caller in a queue.
    fn picks_up(&mut self, by: LegId, replacement: &Replacement, out: &mut Out) {
        let Stage::Queue(mut queue) = std::mem::replace(&mut self.stage, Stage::Between) else {
            return;
        };
        let at = queue
            .ringing
            .iter()
            .position(|ringing| ringing.leg == replacement.leg);
        let Some(at) = at else { return };
        self.comes_in(by, queue.ringing[at].agent, replacement, out);
        // First, lest the ACD offers the caller to whoever is free now.
        out.act(Output::LeaveQueue { group: queue.group });
        self.busy(replacement.agent, out);
        for silent in queue.ringing.drain(..) {
            let cause = HangupCause::AnsweredElsewhere;
            stop_ringing(&silent, OfferEnd::Canceled, cause, out);
        }
        let (group, outcome) = (queue.group, QueueOutcome::Answered);
        out.fact(CallFact::QueueLeft { group, outcome });
        out.act(Output::StopPlaying { leg: self.caller });
        self.talk(
            TalkingStage {
                leg: by,
                agent: Some(replacement.agent),
                colleague: None,
                wrap_up_seconds: replacement.wrap_up_seconds,
                recording: None,
                group: Some(group),
                hold_music: queue.music,
                held_by: None,
                watcher: None,
                on_lost: queue.on_timeout,
            },
            out,
        );
    }

    /// What rings for a colleague, or for whom a party is passed on to.
    fn picks_up_dialled(
        &mut self,
        now: Timestamp,
        by: LegId,
        replacement: &Replacement,
        out: &mut Out,
    ) {
        let Stage::Dialing(dialing) = &mut self.stage else {
            return;
        };
        let Some(of) = dialing.colleague.replace(replacement.agent) else {
            return;
        };
        dialing.leg = by;
        self.comes_in(by, of, replacement, out);
        let (leg, cause) = (replacement.leg, HangupCause::AnsweredElsewhere);
        out.fact(CallFact::LegEnded { leg, cause });
        out.act(Output::HangUp { leg, cause });
        self.callee_answered(now, by, out);
    }

    /// A running conversation.
    fn takes_over(&mut self, now: Timestamp, by: LegId, replacement: &Replacement, out: &mut Out) {
        let Some(talking) = self.take_talking() else {
            return;
        };
        let (leg, agent) = (replacement.leg, replacement.agent);
        let Some(of) = self.agent_on(&talking, leg) else {
            return;
        };
        self.comes_in(by, of, replacement, out);
        self.part(now, &talking, out);
        let cause = HangupCause::Transferred;
        out.fact(CallFact::LegEnded { leg, cause });
        out.act(Output::HangUp { leg, cause });
        let next = self.in_place(&talking, by, replacement);
        if of != agent {
            let own = talking.agent == Some(of);
            let seconds = if own { talking.wrap_up_seconds } else { 0 };
            self.start_wrap_up(now, of, seconds, out);
            self.busy(agent, out);
        }
        let holds = talking.held_by.filter(|holder| *holder != leg);
        self.talk(next, out);
        if let Some(holder) = holds {
            self.held(holder, out);
        }
    }

    /// Two who talked no longer hear each other, nor the music of a hold.
    fn part(&mut self, now: Timestamp, talking: &TalkingStage, out: &mut Out) {
        dismiss(talking, out);
        if let Some(recording) = talking.recording {
            self.stop_recording(now, recording, out);
        }
        let (a, b) = (self.caller, talking.leg);
        out.act(Output::Unbridge { a, b });
        if let Some(holder) = talking.held_by {
            let leg = if holder == a { b } else { a };
            out.act(Output::StopPlaying { leg });
        }
    }

    /// The conversation as it goes on with the new leg in the place of the old one.
    fn in_place(
        &mut self,
        talking: &TalkingStage,
        by: LegId,
        replacement: &Replacement,
    ) -> TalkingStage {
        let agent = Some(replacement.agent);
        let placed = self.placed(talking);
        let mut next = TalkingStage {
            leg: talking.leg,
            agent: talking.agent,
            colleague: talking.colleague,
            wrap_up_seconds: talking.wrap_up_seconds,
            recording: None,
            group: talking.group,
            hold_music: talking.hold_music.clone(),
            held_by: None,
            watcher: None,
            on_lost: talking.on_lost.clone(),
        };
        if replacement.leg != self.caller {
            next.leg = by;
            if placed {
                next.colleague = agent;
                return next;
            }
        } else {
            self.caller = by;
            if let Some(caller) = &mut self.new.agent {
                caller.agent = replacement.agent;
                caller.name.clone_from(&replacement.agent_name);
                caller.extension.clear();
            }
            if !placed {
                return next;
            }
        }
        next.agent = agent;
        // Who has nothing to write up after this talk, has nothing after its second half.
        if talking.wrap_up_seconds > 0 {
            next.wrap_up_seconds = replacement.wrap_up_seconds;
        }
        next
    }
}
