//! An agent passes the other party on: blind, to somebody who is rung or to a flow, or attended, to
//! the other party of a second call of his.
//!
//! Until the new party is there the agent's leg stays, unless he hangs up. When nothing comes of the
//! transfer the party is his again, or waits in the queue it came from if he is gone.

use std::sync::Arc;

use jiff::SignedDuration;
use model::{
    AgentId, CallFact, CallId, GroupId, HangupCause, LegId, RunningPrice, Timestamp, TransferKind,
};

use super::{
    Callee, Output,
    machine::{Call, LegOver, Out, Repeat, Stage, TalkingStage, after, after_seconds},
    monitor::dismiss,
};
use crate::flow::{Flow, Prompt, Step};

/// How long the target of a transfer rings.
pub const TRANSFER_RING_SECONDS: u32 = 30;

/// How long the party of another call may take to come.
const TAKE_PATIENCE: SignedDuration = SignedDuration::from_secs(40);

/// Where a party is passed on to.
#[derive(Clone, Debug, PartialEq)]
pub enum TransferTarget {
    /// Somebody who is rung.
    Callee {
        /// Who.
        callee: Callee,
        /// As people read it: a name or a number.
        label: String,
    },
    /// A call flow, or a group's queue as one.
    Flow {
        /// Which.
        flow: Arc<Flow>,
        /// As people read it.
        label: String,
    },
    /// The other party of another call of the agent's.
    Party {
        /// That call.
        call: CallId,
        /// The agent's leg in it.
        leg: LegId,
    },
}

/// A transfer that is not over.
#[derive(Debug)]
pub(super) struct Transfer {
    /// `None` once he hung up.
    referrer: Option<Referrer>,
    group: Option<GroupId>,
    hold_music: Prompt,
    /// The agent's phone holds, as most do before they pass a call on.
    held: bool,
    on_lost: Option<String>,
}

/// The agent who passes his party on.
#[derive(Debug)]
struct Referrer {
    leg: LegId,
    agent: AgentId,
    wrap_up_seconds: u32,
    referral: u32,
}

/// The party of another call that is on its way here.
#[derive(Debug)]
pub(super) struct TakingStage {
    pub leg: LegId,
    from: CallId,
    pub deadline: Timestamp,
}

impl Call {
    /// Which agent is on a leg of a conversation.
    pub(super) fn agent_on(&self, talking: &TalkingStage, leg: LegId) -> Option<AgentId> {
        let caller = self.new.agent.as_ref().map(|caller| caller.agent);
        if leg == self.caller {
            caller
        } else if leg != talking.leg {
            None
        } else if self.placed(talking) {
            talking.colleague
        } else {
            talking.agent
        }
    }

    /// Who talks, and to which colleague, when this one of ours is on the other leg.
    fn roles(&self, other: Option<AgentId>) -> (Option<AgentId>, Option<AgentId>) {
        match &self.new.agent {
            Some(caller) => (Some(caller.agent), other),
            None => (other, None),
        }
    }

    /// The agent on a leg of a running conversation, who may pass the other party on.
    #[must_use]
    pub fn talking_agent(&self, leg: LegId) -> Option<AgentId> {
        match &self.stage {
            Stage::Talking(talking) => self.agent_on(talking, leg),
            _ => None,
        }
    }

    pub(super) fn is_referrer(&self, leg: LegId) -> bool {
        let transfer = self.transfer.as_ref();
        let referrer = transfer.and_then(|transfer| transfer.referrer.as_ref());
        referrer.is_some_and(|referrer| referrer.leg == leg)
    }

    /// The phone of the agent who passes his party on holds it, or no longer does.
    pub(super) fn referrer_holds(&mut self, leg: LegId, held: bool, out: &mut Out) {
        if !self.is_referrer(leg) {
            return;
        }
        if let Some(transfer) = &mut self.transfer {
            let was = std::mem::replace(&mut transfer.held, held);
            // Until the party of another call is here, the one that waits hears the music of the hold.
            if was && !held && matches!(self.stage, Stage::Taking(_)) {
                out.act(Output::StopPlaying { leg: self.caller });
            }
        }
    }

    /// An agent's phone refers the other party to somebody.
    pub(super) fn referred(
        &mut self,
        now: Timestamp,
        leg: LegId,
        referral: u32,
        target: TransferTarget,
        out: &mut Out,
    ) {
        let agent = self.talking_agent(leg);
        let Some((agent, talking)) = agent.zip(self.take_talking_if(agent.is_some())) else {
            let status = match &self.stage {
                // Only our own people pass calls on.
                Stage::Talking(_) => 403,
                // RFC 3261 §21.4.27: one transfer at a time.
                _ if self.transfer.is_some() => 491,
                _ => 603,
            };
            return out.act(Output::RefuseReferral {
                leg,
                referral,
                status,
            });
        };
        let (kind, to) = match &target {
            TransferTarget::Callee { label, .. } | TransferTarget::Flow { label, .. } => {
                (TransferKind::Blind, label.clone())
            }
            TransferTarget::Party { .. } => (TransferKind::Attended, String::new()),
        };
        out.fact(CallFact::TransferStarted {
            leg,
            agent,
            kind,
            to,
        });
        out.act(Output::AcceptReferral { leg, referral });
        dismiss(&talking, out);
        if let Some(recording) = talking.recording {
            self.stop_recording(now, recording, out);
        }
        out.act(Output::Unbridge {
            a: self.caller,
            b: talking.leg,
        });
        if leg == self.caller {
            // From here on the call is about whom the agent had called.
            self.caller = talking.leg;
            self.new.agent = self.new.agent.take().and_then(|mut caller| {
                caller.agent = talking.colleague?;
                caller.name.clear();
                caller.extension.clear();
                Some(caller)
            });
        }
        let held = talking.held_by == Some(leg);
        if held && !matches!(target, TransferTarget::Party { .. }) {
            out.act(Output::StopPlaying { leg: self.caller });
        }
        let own = talking.agent == Some(agent);
        self.transfer = Some(Transfer {
            referrer: Some(Referrer {
                leg,
                agent,
                wrap_up_seconds: if own { talking.wrap_up_seconds } else { 0 },
                referral,
            }),
            group: talking.group,
            hold_music: talking.hold_music,
            held,
            on_lost: talking.on_lost,
        });
        self.set_out(now, agent, target, out);
    }

    /// The party is on its way.
    fn set_out(&mut self, now: Timestamp, agent: AgentId, target: TransferTarget, out: &mut Out) {
        match target {
            TransferTarget::Callee { callee, .. } => {
                self.play(Prompt::ringback(), Repeat::Forever, out);
                let give_up = after_seconds(now, TRANSFER_RING_SECONDS);
                self.dial(now, callee, give_up, out);
            }
            TransferTarget::Flow { flow, .. } => {
                // A queue takes everybody who is sent to it: that is all the agent waits for.
                self.completed(now, out);
                out.fact(CallFact::FlowStarted { flow: flow.id });
                let start = flow.start.clone();
                self.flow = flow;
                self.visits = 0;
                self.go(now, Some(start), out);
            }
            TransferTarget::Party { call, leg: theirs } => {
                self.last_leg += 1;
                let leg = LegId(self.last_leg);
                out.act(Output::TakeOver {
                    leg,
                    call,
                    theirs,
                    agent,
                });
                self.stage = Stage::Taking(TakingStage {
                    leg,
                    from: call,
                    deadline: after(now, TAKE_PATIENCE),
                });
            }
        }
    }

    /// The target is there: the two hear each other, and the agent is done.
    pub(super) fn passed_on(
        &mut self,
        now: Timestamp,
        leg: LegId,
        agent: Option<AgentId>,
        out: &mut Out,
    ) {
        self.completed(now, out);
        if let Some(agent) = agent {
            self.busy(agent, out);
        }
        let (agent, colleague) = self.roles(agent);
        self.talk(
            TalkingStage {
                leg,
                agent,
                colleague,
                wrap_up_seconds: 0,
                recording: None,
                group: None,
                hold_music: Prompt::music(),
                held_by: None,
                watcher: None,
                on_lost: None,
            },
            out,
        );
    }

    fn completed(&mut self, now: Timestamp, out: &mut Out) {
        out.fact(CallFact::TransferEnded { failed: None });
        if let Some(Transfer {
            referrer: Some(referrer),
            ..
        }) = self.transfer.take()
        {
            self.release(now, &referrer, 200, HangupCause::Transferred, out);
        }
    }

    /// Tells the agent how it came out and lets him go.
    fn release(
        &mut self,
        now: Timestamp,
        referrer: &Referrer,
        status: u16,
        cause: HangupCause,
        out: &mut Out,
    ) {
        let (leg, referral) = (referrer.leg, referrer.referral);
        out.act(Output::ReportReferral {
            leg,
            referral,
            status,
        });
        out.fact(CallFact::LegEnded { leg, cause });
        out.act(Output::HangUp { leg, cause });
        self.start_wrap_up(now, referrer.agent, referrer.wrap_up_seconds, out);
    }

    /// Nothing came of it: the party is the agent's again. If he is gone, it waits in its queue, goes
    /// where it would have gone without an agent, or the call ends.
    pub(super) fn not_passed_on(&mut self, now: Timestamp, cause: HangupCause, out: &mut Out) {
        let Some(transfer) = self.transfer.take() else {
            return;
        };
        out.fact(CallFact::TransferEnded {
            failed: Some(cause),
        });
        out.act(Output::StopPlaying { leg: self.caller });
        let Some(referrer) = transfer.referrer else {
            return match self.queue_of(transfer.group).or(transfer.on_lost) {
                Some(step) => self.go(now, Some(step), out),
                None => self.end(now, HangupCause::TransferFailed, out),
            };
        };
        out.act(Output::ReportReferral {
            leg: referrer.leg,
            referral: referrer.referral,
            status: status_of(cause),
        });
        let (agent, colleague) = self.roles(Some(referrer.agent));
        self.talk(
            TalkingStage {
                leg: referrer.leg,
                agent,
                colleague,
                wrap_up_seconds: referrer.wrap_up_seconds,
                recording: None,
                group: transfer.group,
                hold_music: transfer.hold_music,
                held_by: None,
                watcher: None,
                on_lost: transfer.on_lost,
            },
            out,
        );
        if transfer.held {
            self.held(referrer.leg, out);
        }
    }

    /// The step of the flow that is a group's queue.
    fn queue_of(&self, group: Option<GroupId>) -> Option<String> {
        let group = group?;
        let mut steps = self.flow.steps.iter();
        steps
            .find(|(_, step)| matches!(step, Step::Queue(queue) if queue.group == group))
            .map(|(key, _)| key.clone())
    }

    /// The agent hung up before the target was there; the transfer goes on without him.
    pub(super) fn referrer_over(&mut self, now: Timestamp, out: &mut Out) {
        let transfer = self.transfer.as_mut();
        let Some(referrer) = transfer.and_then(|transfer| transfer.referrer.take()) else {
            return;
        };
        let cause = HangupCause::Transferred;
        out.fact(CallFact::LegEnded {
            leg: referrer.leg,
            cause,
        });
        self.start_wrap_up(now, referrer.agent, referrer.wrap_up_seconds, out);
    }

    /// The party of the other call is here, and its audio with it.
    pub(super) fn party_joined(
        &mut self,
        now: Timestamp,
        (leg, agent, price): (LegId, Option<AgentId>, Option<RunningPrice>),
        out: &mut Out,
    ) {
        match &self.stage {
            Stage::Taking(taking) if taking.leg == leg => {
                let from = taking.from;
                self.stage = Stage::Between;
                out.fact(CallFact::LegTaken {
                    leg,
                    from,
                    agent,
                    price,
                });
                if self.transfer.as_ref().is_some_and(|transfer| transfer.held) {
                    out.act(Output::StopPlaying { leg: self.caller });
                }
                self.passed_on(now, leg, agent, out);
            }
            // It came too late; no fact knows it.
            _ => out.act(Output::HangUp {
                leg,
                cause: HangupCause::TransferFailed,
            }),
        }
    }

    /// It could not come.
    pub(super) fn party_lost(&mut self, now: Timestamp, over: LegOver, out: &mut Out) {
        self.stage = Stage::Between;
        self.not_passed_on(now, over.cause(HangupCause::CallerHangup), out);
    }

    pub(super) fn taking_timers(&mut self, now: Timestamp, out: &mut Out) {
        let Stage::Taking(taking) = &self.stage else {
            return;
        };
        if taking.deadline <= now {
            let cause = HangupCause::SignallingFailed;
            out.act(Output::HangUp {
                leg: taking.leg,
                cause,
            });
            self.party_lost(now, LegOver::Failed(cause), out);
        }
    }

    /// Ends a transfer with its call.
    pub(super) fn stop_transfer(&mut self, now: Timestamp, cause: HangupCause, out: &mut Out) {
        if let Stage::Taking(taking) = &self.stage {
            out.act(Output::HangUp {
                leg: taking.leg,
                cause,
            });
        }
        let Some(transfer) = self.transfer.take() else {
            return;
        };
        out.fact(CallFact::TransferEnded {
            failed: Some(cause),
        });
        if let Some(referrer) = transfer.referrer {
            self.release(now, &referrer, 487, cause, out);
        }
    }

    /// Another call of the agent on this leg takes the other party; this call is over for both.
    pub(super) fn hand_over(
        &mut self,
        now: Timestamp,
        leg: LegId,
        agent: AgentId,
        to: CallId,
        out: &mut Out,
    ) {
        let ours = self.talking_agent(leg) == Some(agent);
        let Some(talking) = self.take_talking_if(ours) else {
            return;
        };
        let cause = HangupCause::Transferred;
        let given = if leg == self.caller {
            talking.leg
        } else {
            self.caller
        };
        let agent = self.agent_on(&talking, given);
        out.fact(CallFact::LegGiven { leg: given, to });
        dismiss(&talking, out);
        if let Some(recording) = talking.recording {
            self.stop_recording(now, recording, out);
        }
        out.act(Output::Unbridge {
            a: self.caller,
            b: talking.leg,
        });
        out.act(Output::HandOver { leg: given, agent });
        out.act(Output::HangUp { leg, cause });
        for leg in [given, leg] {
            out.fact(CallFact::LegEnded { leg, cause });
        }
        self.caller_up = false;
        if let Some(agent) = talking.agent {
            self.start_wrap_up(now, agent, talking.wrap_up_seconds, out);
        }
        self.end(now, cause, out);
    }

    fn take_talking_if(&mut self, wanted: bool) -> Option<TalkingStage> {
        if wanted { self.take_talking() } else { None }
    }
}

/// What the agent's phone is told of a target that could not be reached.
fn status_of(cause: HangupCause) -> u16 {
    match cause {
        HangupCause::Busy => 486,
        HangupCause::Rejected => 603,
        HangupCause::NoAnswer => 480,
        HangupCause::Unallocated => 404,
        HangupCause::MediaFailed => 488,
        _ => 503,
    }
}
