//! Calls that an agent places: to a colleague, or through carriers to the world.
//!
//! The agent is on the first leg, whether his phone called us or we rang it because he asked for the
//! call elsewhere. The callee's leg is dialled after it; carriers are asked one after the other
//! until one connects or the callee has spoken.

use model::{AgentId, CallFact, CallPrice, HangupCause, LegId, Timestamp, TrunkId};

use super::{
    CallerId, NewCall, Output,
    machine::{Call, LegOver, Out, Repeat, Stage, TalkingStage, after_seconds},
};
use crate::{
    flow::Prompt,
    routing::{TrunkFailure, moves_on},
};

/// How long an agent's phone rings when he asked for a call through an interface.
pub const CLICK_TO_CALL_RING_SECONDS: u32 = 20;

/// An agent on the calling side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallingAgent {
    /// Who.
    pub agent: AgentId,
    /// His name.
    pub name: String,
    /// His short number, as colleagues' phones show it.
    pub extension: String,
    /// What he dialled.
    pub dialled: String,
    /// His after-call time; 0 is off.
    pub wrap_up_seconds: u32,
}

/// How an agent's call begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// His phone called us.
    ByPhone,
    /// He asked for it elsewhere: his phone rings first.
    Elsewhere,
}

/// Whom an agent's call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callee {
    /// A colleague's phones.
    Agent {
        /// Who.
        agent: AgentId,
        /// His name.
        name: String,
    },
    /// Somebody outside, through these carriers in turn.
    Outside(Vec<TrunkDial>),
}

/// A carrier to ask, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkDial {
    /// Which.
    pub trunk: TrunkId,
    /// Its name.
    pub name: String,
    /// Why it.
    pub why: String,
    /// What it charges.
    pub price: Option<CallPrice>,
    /// The callee's number as it wants it.
    pub user: String,
    /// Our number as it wants it; `None` hides it.
    pub caller_id: Option<String>,
    /// How long it may take to say that the callee's phone rings, before the next one is asked.
    pub setup_seconds: u32,
}

/// A call an agent places.
#[derive(Clone, Debug)]
pub struct OutgoingCall {
    /// How it begins.
    pub begun: Begun,
    /// For whom.
    pub callee: Callee,
    /// How long the callee's phone rings.
    pub ring_seconds: u32,
}

/// A callee being rung.
#[derive(Debug)]
pub(super) struct DialingStage {
    pub leg: LegId,
    /// The carrier that is asked; `None` for a colleague.
    trunk: Option<TrunkDial>,
    /// The colleague who is rung.
    pub colleague: Option<AgentId>,
    /// Carriers that were not asked yet, the next one first.
    left: std::collections::VecDeque<TrunkDial>,
    /// When the callee has rung long enough.
    give_up: Timestamp,
    /// When the next carrier is asked if this one has not said that anything rings.
    move_on: Option<Timestamp>,
    rang: bool,
    /// The agent hears the carrier.
    early: bool,
    /// The agent has heard some carrier before the answer: his phone no longer rings by itself.
    was_early: bool,
}

impl DialingStage {
    pub fn deadline(&self) -> Timestamp {
        self.move_on.map_or(self.give_up, |at| at.min(self.give_up))
    }
}

impl Call {
    /// Takes a call that an agent places. `new.agent` says who.
    #[must_use]
    pub fn outgoing(new: NewCall, call: OutgoingCall, now: Timestamp) -> (Self, Vec<Output>) {
        let (mut machine, outputs) = Self::open(new);
        let mut out = Out::of(outputs);
        let ring = after_seconds(now, call.ring_seconds);
        if let Some(caller) = machine.new.agent.as_ref().map(|caller| caller.agent) {
            machine.busy(caller, &mut out);
        }
        match (call.begun, machine.new.agent.clone()) {
            (Begun::Elsewhere, Some(caller)) => {
                out.fact(CallFact::AgentDialed {
                    leg: LegId::FIRST,
                    agent: caller.agent,
                    agent_name: caller.name,
                });
                // His phone shows whom he is about to talk to.
                let shows = CallerId::of(machine.new.external.clone(), &caller.dialled);
                out.act(Output::Dial {
                    leg: LegId::FIRST,
                    agent: caller.agent,
                    caller_id: shows,
                });
                machine.stage = Stage::RingingCaller {
                    deadline: after_seconds(now, CLICK_TO_CALL_RING_SECONDS),
                    callee: call.callee,
                    ring_seconds: call.ring_seconds,
                };
            }
            _ => {
                machine.stage = Stage::Between;
                machine.dial(now, call.callee, ring, &mut out);
            }
        }
        (machine, out.into_outputs())
    }

    /// Whether this agent placed the call, and so is on its first leg.
    pub(super) fn placed_by(&self, agent: AgentId) -> bool {
        self.new.agent.as_ref().map(|caller| caller.agent) == Some(agent)
    }

    /// The agent's phone, rung because he asked for a call elsewhere, was picked up.
    pub(super) fn caller_answered(&mut self, now: Timestamp, out: &mut Out) {
        if !matches!(self.stage, Stage::RingingCaller { .. }) {
            return;
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Between);
        if let Stage::RingingCaller {
            callee,
            ring_seconds,
            ..
        } = stage
        {
            self.answered = true;
            out.fact(CallFact::CallerConnected);
            self.play(Prompt::ringback(), Repeat::Forever, out);
            self.dial(now, callee, after_seconds(now, ring_seconds), out);
        }
    }

    pub(super) fn dial(
        &mut self,
        now: Timestamp,
        callee: Callee,
        give_up: Timestamp,
        out: &mut Out,
    ) {
        self.last_leg += 1;
        let leg = LegId(self.last_leg);
        let mut stage = DialingStage {
            leg,
            trunk: None,
            colleague: None,
            left: std::collections::VecDeque::new(),
            give_up,
            move_on: None,
            rang: false,
            early: false,
            was_early: false,
        };
        match callee {
            Callee::Agent { agent, name } => {
                out.fact(CallFact::AgentDialed {
                    leg,
                    agent,
                    agent_name: name,
                });
                stage.colleague = Some(agent);
                let caller_id = self.caller_id();
                out.act(Output::Dial {
                    leg,
                    agent,
                    caller_id,
                });
                self.stage = Stage::Dialing(stage);
            }
            Callee::Outside(trunks) => {
                stage.left = trunks.into();
                self.last_leg -= 1;
                if !self.ask_next(now, stage, out) {
                    self.not_connected(now, HangupCause::Congestion, out);
                }
            }
        }
    }

    /// Asks the next carrier; when there is none left the call ends.
    fn ask_next(&mut self, now: Timestamp, mut stage: DialingStage, out: &mut Out) -> bool {
        let Some(trunk) = stage.left.pop_front() else {
            return false;
        };
        self.last_leg += 1;
        stage.leg = LegId(self.last_leg);
        out.fact(CallFact::TrunkDialed {
            leg: stage.leg,
            trunk: trunk.trunk,
            trunk_name: trunk.name.clone(),
            why: trunk.why.clone(),
            price: trunk.price,
        });
        out.act(Output::DialTrunk {
            leg: stage.leg,
            dial: trunk.clone(),
        });
        // Who is the last keeps all the time there is.
        stage.move_on = (!stage.left.is_empty()).then(|| after_seconds(now, trunk.setup_seconds));
        stage.trunk = Some(trunk);
        stage.rang = false;
        stage.early = false;
        self.stage = Stage::Dialing(stage);
        true
    }

    /// Who calls, as the phones we ring show it.
    pub(super) fn caller_id(&self) -> CallerId {
        match &self.new.agent {
            Some(caller) => CallerId::Colleague {
                extension: caller.extension.clone(),
                name: caller.name.clone(),
            },
            None => CallerId::of(self.new.external.clone(), ""),
        }
    }

    /// The callee's phone rings.
    pub(super) fn callee_ringing(&mut self, leg: LegId, out: &mut Out) {
        let answered = self.answered;
        let Stage::Dialing(stage) = &mut self.stage else {
            return;
        };
        if stage.leg != leg || stage.rang {
            return;
        }
        stage.rang = true;
        stage.move_on = None;
        out.fact(CallFact::LegRinging { leg });
        if answered || stage.early {
            return;
        }
        if stage.was_early {
            self.play(Prompt::ringback(), Repeat::Forever, out);
        } else {
            out.act(Output::Ring { leg: self.caller });
        }
    }

    /// The carrier lets its own ringing, or an announcement, be heard before the answer.
    pub(super) fn callee_early(&mut self, leg: LegId, out: &mut Out) {
        let answered = self.answered;
        let Stage::Dialing(stage) = &mut self.stage else {
            return;
        };
        if stage.leg != leg || stage.early {
            return;
        }
        let played = answered || stage.was_early;
        stage.early = true;
        stage.was_early = true;
        stage.move_on = None;
        if played {
            out.act(Output::StopPlaying { leg: self.caller });
        }
        if !answered {
            out.act(Output::Progress { leg: self.caller });
        }
        out.act(Output::Bridge {
            a: self.caller,
            b: leg,
        });
    }

    pub(super) fn callee_answered(&mut self, now: Timestamp, leg: LegId, out: &mut Out) {
        match &self.stage {
            Stage::Dialing(stage) if stage.leg == leg => {}
            _ => return,
        }
        let Stage::Dialing(stage) = std::mem::replace(&mut self.stage, Stage::Between) else {
            return;
        };
        out.fact(CallFact::CalleeAnswered { leg });
        if !self.answered {
            self.answered = true;
            out.act(Output::Answer { leg: self.caller });
        } else {
            out.act(Output::StopPlaying { leg: self.caller });
        }
        if stage.was_early {
            out.act(Output::StopPlaying { leg: self.caller });
        }
        if self.transfer.is_some() {
            return self.passed_on(now, leg, stage.colleague, out);
        }
        let Some(caller) = self.new.agent.clone() else {
            return;
        };
        // Colleagues have nothing to write up after a talk among themselves.
        let wrap_up_seconds = match stage.trunk {
            Some(_) => caller.wrap_up_seconds,
            None => 0,
        };
        self.talk(
            TalkingStage {
                leg,
                agent: Some(caller.agent),
                colleague: stage.colleague,
                wrap_up_seconds,
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

    /// Connects the caller with the other leg.
    pub(super) fn talk(&mut self, mut talking: TalkingStage, out: &mut Out) {
        let (caller, leg) = (self.caller, talking.leg);
        out.fact(CallFact::Bridged { a: caller, b: leg });
        out.act(Output::Bridge { a: caller, b: leg });
        if let Some(colleague) = talking.colleague {
            self.busy(colleague, out);
        }
        talking.recording = self.record_conversation(&talking, out);
        self.stage = Stage::Talking(talking);
    }

    /// A carrier did not connect the call: the next one is asked, unless this one spoke for the callee.
    pub(super) fn trunk_failed(
        &mut self,
        now: Timestamp,
        leg: LegId,
        failure: &TrunkFailure,
        out: &mut Out,
    ) {
        match &self.stage {
            Stage::Dialing(stage) if stage.leg == leg => {}
            _ => return,
        }
        let Stage::Dialing(stage) = std::mem::replace(&mut self.stage, Stage::Between) else {
            return;
        };
        let cause = cause_of(failure, stage.rang);
        if let Some(trunk) = &stage.trunk {
            out.fact(CallFact::TrunkFailed {
                leg,
                trunk: trunk.trunk,
                status: failure.status(),
                reason: failure.to_string(),
            });
        }
        out.fact(CallFact::LegEnded { leg, cause });
        if stage.early {
            out.act(Output::Unbridge {
                a: self.caller,
                b: leg,
            });
            if self.answered || stage.was_early {
                self.play(Prompt::ringback(), Repeat::Forever, out);
            }
        }
        if moves_on(failure, stage.rang) && self.ask_next(now, stage, out) {
            return;
        }
        self.not_connected(now, cause, out);
    }

    /// Nobody could be reached. An agent whose own phone is up hears so.
    pub(super) fn not_connected(&mut self, now: Timestamp, cause: HangupCause, out: &mut Out) {
        if self.transfer.is_some() {
            return self.not_passed_on(now, cause, out);
        }
        if !self.answered {
            return self.end(now, cause, out);
        }
        let text = match cause {
            HangupCause::Busy => "The number is busy.",
            HangupCause::NoAnswer => "There was no answer.",
            HangupCause::Rejected => "The call was declined.",
            HangupCause::Unallocated => "The number is not in use.",
            _ => "The call could not be connected.",
        };
        let playback = self.play(Prompt::speech(text, "en"), Repeat::Once, out);
        self.stage = Stage::LastWords { playback, cause };
    }

    /// A colleague's phone, or the agent's own one rung first, did not take the call.
    pub(super) fn dialled_over(
        &mut self,
        now: Timestamp,
        leg: LegId,
        over: LegOver,
        out: &mut Out,
    ) {
        match &self.stage {
            Stage::Dialing(stage) if stage.leg == leg => {}
            _ => return,
        }
        if matches!(&self.stage, Stage::Dialing(stage) if stage.trunk.is_some()) {
            let failure = match over {
                LegOver::Failed(HangupCause::MediaFailed) => TrunkFailure::NoAudio,
                _ => TrunkFailure::Unreachable("the leg broke".to_owned()),
            };
            return self.trunk_failed(now, leg, &failure, out);
        }
        let cause = over.cause(HangupCause::Rejected);
        out.fact(CallFact::LegEnded { leg, cause });
        self.stage = Stage::Between;
        self.not_connected(now, cause, out);
    }

    /// The callee has rung long enough, or a carrier has been silent for too long.
    pub(super) fn dialing_timers(&mut self, now: Timestamp, out: &mut Out) {
        let Stage::Dialing(stage) = &self.stage else {
            return;
        };
        let (leg, late) = (stage.leg, stage.give_up <= now);
        if late {
            let cause = HangupCause::NoAnswer;
            out.act(Output::HangUp { leg, cause });
            out.fact(CallFact::LegEnded { leg, cause });
            self.stage = Stage::Between;
            self.not_connected(now, cause, out);
        } else if stage.move_on.is_some_and(|at| at <= now) {
            out.act(Output::HangUp {
                leg,
                cause: HangupCause::NoAnswer,
            });
            self.trunk_failed(now, leg, &TrunkFailure::TimedOut, out);
        }
    }

    /// Ends what is being dialled, for a call that ends.
    pub(super) fn stop_dialing(&mut self, cause: HangupCause, out: &mut Out) {
        if let Stage::Dialing(stage) = &self.stage {
            let leg = stage.leg;
            out.fact(CallFact::LegEnded { leg, cause });
            out.act(Output::HangUp { leg, cause });
        }
    }
}

/// What a carrier's failure means for the call.
fn cause_of(failure: &TrunkFailure, rang: bool) -> HangupCause {
    match failure {
        TrunkFailure::Refused { status, .. } => match status {
            486 | 600 => HangupCause::Busy,
            603 | 403 | 606 | 607 => HangupCause::Rejected,
            404 | 410 | 484 | 604 => HangupCause::Unallocated,
            480 | 487 => HangupCause::NoAnswer,
            408 if rang => HangupCause::NoAnswer,
            488 | 415 => HangupCause::MediaFailed,
            _ => HangupCause::Congestion,
        },
        TrunkFailure::NoAudio => HangupCause::MediaFailed,
        TrunkFailure::TimedOut | TrunkFailure::Unreachable(_) | TrunkFailure::Limited(_) => {
            HangupCause::Congestion
        }
    }
}

/// How long a call may take to be connected, the agent's own phone not counted.
pub const RING_SECONDS: u32 = 90;
