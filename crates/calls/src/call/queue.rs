//! The caller in a queue, the agents' phones that ring for him, and the conversation.

use model::{CallFact, Direction, GroupId, HangupCause, LegId, OfferEnd, QueueOutcome, Timestamp};

use super::{
    Output,
    machine::{
        Call, LegOver, Out, QueueStage, RingingLeg, Stage, TalkingStage, after, after_seconds,
    },
    monitor::dismiss,
};
use crate::acd::{Offer, OfferId};

impl Call {
    pub(super) fn offered(&mut self, now: Timestamp, offer: Offer, out: &mut Out) {
        if self.is_finished() {
            return;
        }
        let caller_id = self.caller_id();
        let Stage::Queue(queue) = &mut self.stage else {
            return out.act(Output::OfferEnded {
                offer: offer.offer,
                reason: OfferEnd::Canceled,
            });
        };
        let known = queue
            .ringing
            .iter()
            .any(|ringing| ringing.offer == offer.offer || ringing.agent == offer.agent);
        if queue.group != offer.group || known {
            return out.act(Output::OfferEnded {
                offer: offer.offer,
                reason: OfferEnd::Canceled,
            });
        }
        self.last_leg += 1;
        let leg = LegId(self.last_leg);
        let Offer {
            offer,
            agent,
            agent_name,
            group,
            ring_for,
            wrap_up_seconds,
            why,
            ..
        } = offer;
        queue.ringing.push(RingingLeg {
            leg,
            offer,
            agent,
            wrap_up_seconds,
            deadline: after(now, ring_for),
            heard: false,
        });
        out.fact(CallFact::OfferMade {
            leg,
            agent,
            agent_name,
            group,
            why,
            offer: offer.0,
        });
        out.act(Output::Dial {
            leg,
            agent,
            caller_id,
        });
    }

    pub(super) fn leg_ringing(&mut self, leg: LegId, out: &mut Out) {
        let Stage::Queue(queue) = &mut self.stage else {
            return;
        };
        let Some(ringing) = queue
            .ringing
            .iter_mut()
            .find(|ringing| ringing.leg == leg && !ringing.heard)
        else {
            return;
        };
        ringing.heard = true;
        out.fact(CallFact::LegRinging { leg });
    }

    /// The first to answer wins. The others' phones stop.
    pub(super) fn leg_answered(&mut self, leg: LegId, out: &mut Out) {
        let Stage::Queue(queue) = &mut self.stage else {
            return;
        };
        let Some(at) = queue.ringing.iter().position(|ringing| ringing.leg == leg) else {
            return;
        };
        let winner = queue.ringing.swap_remove(at);
        out.fact(CallFact::OfferAnswered {
            leg,
            agent: winner.agent,
        });
        out.fact(CallFact::QueueLeft {
            group: queue.group,
            outcome: QueueOutcome::Answered,
        });
        out.fact(CallFact::Bridged {
            a: self.caller,
            b: leg,
        });
        out.act(Output::StopPlaying { leg: self.caller });
        out.act(Output::Bridge {
            a: self.caller,
            b: leg,
        });
        let group = queue.group;
        let losers = std::mem::take(&mut queue.ringing);
        let on_lost = queue.on_timeout.take();
        let hold_music = queue.music.clone();
        let mut talking = TalkingStage {
            leg,
            agent: Some(winner.agent),
            colleague: None,
            wrap_up_seconds: winner.wrap_up_seconds,
            recording: None,
            group: Some(group),
            hold_music,
            held_by: None,
            watcher: None,
            on_lost,
        };
        talking.recording = self.record_conversation(&talking, out);
        self.stage = Stage::Talking(talking);
        out.act(Output::OfferAnswered {
            offer: winner.offer,
        });
        for loser in losers {
            stop_ringing(
                &loser,
                OfferEnd::Canceled,
                HangupCause::AnsweredElsewhere,
                out,
            );
        }
    }

    /// A leg is over and we did not end it.
    pub(super) fn leg_over(&mut self, now: Timestamp, leg: LegId, over: LegOver, out: &mut Out) {
        if leg == self.caller {
            return self.caller_over(now, over, out);
        }
        if self.is_referrer(leg) {
            return self.referrer_over(now, out);
        }
        if self.monitor_over(leg, over.cause(HangupCause::AgentHangup), out) {
            return;
        }
        match &mut self.stage {
            Stage::Queue(queue) => {
                let Some(at) = queue.ringing.iter().position(|ringing| ringing.leg == leg) else {
                    return;
                };
                let RingingLeg { agent, offer, .. } = queue.ringing.swap_remove(at);
                queue.tried = true;
                let reason = over.offer_end();
                out.fact(CallFact::OfferEnded { leg, agent, reason });
                out.fact(CallFact::LegEnded {
                    leg,
                    cause: over.cause(HangupCause::Rejected),
                });
                out.act(Output::OfferEnded { offer, reason });
            }
            Stage::Talking(talking) if talking.leg == leg => self.agent_over(now, over, out),
            Stage::Dialing(_) => self.dialled_over(now, leg, over, out),
            Stage::Taking(taking) if taking.leg == leg => self.party_lost(now, over, out),
            _ => {}
        }
    }

    fn caller_over(&mut self, now: Timestamp, over: LegOver, out: &mut Out) {
        if !self.caller_up {
            return;
        }
        self.caller_up = false;
        let cause = over.cause(match &self.stage {
            Stage::Talking(talking) if self.placed(talking) => HangupCause::AgentHangup,
            Stage::RingingCaller { .. } => HangupCause::Rejected,
            Stage::Talking(_) | Stage::Message { .. } | Stage::Room { .. } => {
                HangupCause::CallerHangup
            }
            Stage::LastWords { cause, .. } => *cause,
            _ => HangupCause::CallerCanceled,
        });
        out.fact(CallFact::LegEnded {
            leg: self.caller,
            cause,
        });
        self.end(now, cause, out);
    }

    /// An agent who hangs up ends the call. One whose leg broke must not cost us the customer: he goes
    /// on where he would have gone without an agent.
    fn agent_over(&mut self, now: Timestamp, over: LegOver, out: &mut Out) {
        let Some(mut talking) = self.take_talking() else {
            return;
        };
        let outside = match talking.agent {
            Some(agent) => self.placed_by(agent) && self.new.direction != Direction::Internal,
            None => true,
        };
        let cause = over.cause(if outside {
            HangupCause::CallerHangup
        } else {
            HangupCause::AgentHangup
        });
        out.fact(CallFact::LegEnded {
            leg: talking.leg,
            cause,
        });
        self.conversation_over(now, &talking, out);
        match (over, talking.on_lost.take()) {
            (LegOver::Failed(_), Some(next)) => {
                out.act(Output::Unbridge {
                    a: self.caller,
                    b: talking.leg,
                });
                self.go(now, Some(next), out);
            }
            _ => self.end(now, cause, out),
        }
    }

    /// Whether the agent who talks is the one who placed the call.
    pub(super) fn placed(&self, talking: &TalkingStage) -> bool {
        talking.agent.is_some_and(|agent| self.placed_by(agent))
    }

    pub(super) fn take_talking(&mut self) -> Option<TalkingStage> {
        match std::mem::replace(&mut self.stage, Stage::Between) {
            Stage::Talking(talking) => Some(talking),
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// Closes the recording and gives the agent back.
    pub(super) fn conversation_over(
        &mut self,
        now: Timestamp,
        talking: &TalkingStage,
        out: &mut Out,
    ) {
        dismiss(talking, out);
        if let Some(recording) = talking.recording {
            self.stop_recording(now, recording, out);
        }
        if let Some(agent) = talking.agent {
            self.start_wrap_up(now, agent, talking.wrap_up_seconds, out);
        }
    }

    pub(super) fn offer_withdrawn(&mut self, offer: OfferId, reason: OfferEnd, out: &mut Out) {
        let Stage::Queue(queue) = &mut self.stage else {
            return;
        };
        let Some(at) = queue
            .ringing
            .iter()
            .position(|ringing| ringing.offer == offer)
        else {
            return;
        };
        let RingingLeg { leg, agent, .. } = queue.ringing.swap_remove(at);
        queue.tried = true;
        let cause = HangupCause::NoAnswer;
        out.fact(CallFact::OfferEnded { leg, agent, reason });
        out.fact(CallFact::LegEnded { leg, cause });
        out.act(Output::HangUp { leg, cause });
        out.act(Output::OfferEnded { offer, reason });
    }

    pub(super) fn queue_exhausted(
        &mut self,
        now: Timestamp,
        group: GroupId,
        outcome: QueueOutcome,
        out: &mut Out,
    ) {
        match &mut self.stage {
            Stage::Queue(queue) if queue.group == group => {
                let next = queue.on_no_agents.take();
                self.leave_queue(outcome, OfferEnd::Unavailable, HangupCause::NoAnswer, out);
                self.go(now, next, out);
            }
            _ => {}
        }
    }

    pub(super) fn queue_timers(&mut self, now: Timestamp, out: &mut Out) {
        let Stage::Queue(queue) = &mut self.stage else {
            return;
        };
        let mut at = 0;
        while at < queue.ringing.len() {
            if queue.ringing[at].deadline <= now {
                let late = queue.ringing.remove(at);
                queue.tried = true;
                stop_ringing(&late, OfferEnd::NotPickedUp, HangupCause::NoAnswer, out);
            } else {
                at += 1;
            }
        }
        if let Some(told) = &mut queue.announcement
            && told.due <= now
        {
            told.due = after_seconds(now, told.every_seconds.max(1));
            out.act(Output::Announce {
                leg: LegId::FIRST,
                prompt: told.prompt.clone(),
            });
        }
        if queue.deadline <= now {
            let rang = queue.tried || !queue.ringing.is_empty();
            let outcome = if rang {
                QueueOutcome::NoAgentsPickedUp
            } else {
                QueueOutcome::NoAgentsAvailable
            };
            let next = queue.on_timeout.take();
            self.leave_queue(outcome, OfferEnd::NotPickedUp, HangupCause::NoAnswer, out);
            self.go(now, next, out);
        }
    }

    /// Takes the caller out of the queue he is in; phones that ring for him stop.
    pub(super) fn leave_queue(
        &mut self,
        outcome: QueueOutcome,
        reason: OfferEnd,
        cause: HangupCause,
        out: &mut Out,
    ) {
        let Stage::Queue(QueueStage { group, ringing, .. }) = &mut self.stage else {
            return;
        };
        let group = *group;
        for ringing in ringing.drain(..) {
            stop_ringing(&ringing, reason, cause, out);
        }
        out.fact(CallFact::QueueLeft { group, outcome });
        out.act(Output::LeaveQueue { group });
    }
}

pub(super) fn stop_ringing(
    ringing: &RingingLeg,
    reason: OfferEnd,
    cause: HangupCause,
    out: &mut Out,
) {
    let &RingingLeg {
        leg, offer, agent, ..
    } = ringing;
    out.fact(CallFact::OfferEnded { leg, agent, reason });
    out.fact(CallFact::LegEnded { leg, cause });
    out.act(Output::HangUp { leg, cause });
    out.act(Output::OfferEnded { offer, reason });
}
