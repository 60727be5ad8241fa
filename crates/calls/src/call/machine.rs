//! The states of a call and the way its inputs take through them.

use std::sync::Arc;

use jiff::SignedDuration;
use model::{
    AgentId, CallFact, CallId, GroupId, HangupCause, LegId, OfferEnd, RecordingId, RecordingKind,
    RoomId, Timestamp,
};

use super::{
    Callee, Input, NewCall, Output, PlaybackId,
    conference::PinStage,
    monitor::Watcher,
    outgoing::DialingStage,
    transfer::{TakingStage, Transfer},
};
use crate::{
    acd::OfferId,
    flow::{Flow, Prompt},
};

/// How long the caller's ACK is waited for. RFC 3261 §13.3.1.4 gives up repeating the 200 after 64*T1
/// (32 s), so the signalling reports first.
const CONNECT_PATIENCE: SignedDuration = SignedDuration::from_secs(40);

/// Keys that are put on record in one call. A device gone mad must not fill the ledger.
const MAX_DIGIT_FACTS: u32 = 500;

/// One call.
#[derive(Debug)]
pub struct Call {
    pub(super) new: NewCall,
    pub(super) flow: Arc<Flow>,
    pub(super) stage: Stage,
    /// The leg of the party the call is about: the one that opened it, until an agent on that leg
    /// transfers the other.
    pub(super) caller: LegId,
    /// Whether the caller's leg is not over yet.
    pub(super) caller_up: bool,
    /// Whether the caller's leg was answered, by us or by him.
    pub(super) answered: bool,
    pub(super) last_leg: u32,
    pub(super) last_playback: u32,
    pub(super) visits: u32,
    pub(super) digit_facts: u32,
    /// What a step of the flow said about recording.
    pub(super) flow_recording: Option<bool>,
    /// Legs that should be heard and are not.
    pub(super) unheard: Vec<LegId>,
    /// Facts about hold and missing audio so far.
    pub(super) notes: u32,
    pub(super) recordings: Vec<OpenRecording>,
    pub(super) recordings_made: u8,
    /// Agents who are in this call past the queues.
    pub(super) busy: Vec<AgentId>,
    /// An agent is passing the caller on.
    pub(super) transfer: Option<Transfer>,
    /// Agents who work after their conversation, and when that is over even if nobody says so.
    pub(super) wrap_ups: Vec<(AgentId, Timestamp)>,
}

/// Where the caller is.
#[derive(Debug)]
pub(super) enum Stage {
    /// We answered; his ACK is on its way.
    Connecting { deadline: Timestamp, then: Opening },
    /// The phone of an agent who asked for a call elsewhere rings.
    RingingCaller {
        deadline: Timestamp,
        callee: Callee,
        ring_seconds: u32,
    },
    /// The callee of an agent's call, or of a transfer, is being rung.
    Dialing(DialingStage),
    /// The party of another call is on its way here.
    Taking(TakingStage),
    /// On the way from one step to the next, only within one input.
    Between,
    /// He hears a prompt of the flow.
    Playing {
        playback: PlaybackId,
        next: Option<String>,
    },
    /// He is asked for a key.
    Menu(MenuStage),
    /// He waits for an agent.
    Queue(QueueStage),
    /// He talks with an agent.
    Talking(TalkingStage),
    /// He hears the greeting of a mailbox.
    Greeting {
        playback: PlaybackId,
        max_seconds: u32,
    },
    /// He hears the beep.
    Beep {
        playback: PlaybackId,
        max_seconds: u32,
    },
    /// He leaves a message.
    Message {
        recording: RecordingId,
        deadline: Timestamp,
    },
    /// He hears what the echo test is about to do.
    EchoPrompt {
        playback: PlaybackId,
        seconds: u32,
        next: Option<String>,
    },
    /// He hears himself.
    Echo {
        deadline: Timestamp,
        next: Option<String>,
    },
    /// He is asked for the PIN of a conference room.
    Pin(PinStage),
    /// He hears which room he is about to enter.
    RoomDoor { playback: PlaybackId, room: RoomId },
    /// He is in it.
    Room {
        room: RoomId,
        recording: Option<RecordingId>,
    },
    /// He hears the last prompt, then the call ends with this cause.
    LastWords {
        playback: PlaybackId,
        cause: HangupCause,
    },
    /// All legs are over, recordings are being closed.
    Ending { cause: HangupCause },
    /// The call is over, agents may work after it.
    Ended,
    /// Nothing comes out any more.
    Finished,
}

/// What a call begins with.
#[derive(Debug)]
pub(super) enum Opening {
    Flow,
    Announcement(Prompt),
}

#[derive(Debug)]
pub(super) struct MenuStage {
    pub step: String,
    /// How often he was asked, this time included.
    pub asked: u32,
    pub phase: MenuPhase,
}

#[derive(Debug)]
pub(super) enum MenuPhase {
    /// He hears that his key was wrong.
    Invalid(PlaybackId),
    /// He hears the menu.
    Prompt(PlaybackId),
    /// A key is waited for.
    Waiting(Timestamp),
}

#[derive(Debug)]
pub(super) struct QueueStage {
    pub group: GroupId,
    pub deadline: Timestamp,
    pub on_no_agents: Option<String>,
    pub on_timeout: Option<String>,
    /// Agents' phones that are being rung.
    pub ringing: Vec<RingingLeg>,
    /// Whether any offer was made and came to nothing.
    pub tried: bool,
    /// Heard by the caller while he waits, and by the customer while an agent holds.
    pub music: Prompt,
    pub announcement: Option<Announcement>,
}

/// What a waiting caller is told from time to time.
#[derive(Debug)]
pub(super) struct Announcement {
    pub prompt: Prompt,
    pub every_seconds: u32,
    pub due: Timestamp,
}

#[derive(Debug)]
pub(super) struct RingingLeg {
    pub leg: LegId,
    pub offer: OfferId,
    pub agent: AgentId,
    pub wrap_up_seconds: u32,
    pub deadline: Timestamp,
    /// His device said that it rings.
    pub heard: bool,
}

#[derive(Debug)]
pub(super) struct TalkingStage {
    pub leg: LegId,
    /// Who of us talks; `None` when an agent connected two outside parties.
    pub agent: Option<AgentId>,
    /// The colleague on the other leg, where both are ours.
    pub colleague: Option<AgentId>,
    pub wrap_up_seconds: u32,
    pub recording: Option<RecordingId>,
    /// The queue the caller came from.
    pub group: Option<GroupId>,
    pub hold_music: Prompt,
    /// The leg that holds it.
    pub held_by: Option<LegId>,
    pub watcher: Option<Watcher>,
    /// Where the caller goes on should the agent's leg break.
    pub on_lost: Option<String>,
}

#[derive(Debug)]
pub(super) struct OpenRecording {
    pub id: RecordingId,
    pub kind: RecordingKind,
    /// Length at the last checkpoint.
    pub safe_ms: u64,
    pub paused: bool,
    pub pauses: u32,
    /// It was asked to stop, and counts as failed at this time.
    pub stop_by: Option<Timestamp>,
}

/// What one input leads to. Facts go out before commands, so that the driver stores them at once.
#[derive(Debug, Default)]
pub(super) struct Out {
    facts: Vec<CallFact>,
    actions: Vec<Output>,
}

impl Out {
    pub(super) fn fact(&mut self, fact: CallFact) {
        self.facts.push(fact);
    }

    pub(super) fn act(&mut self, action: Output) {
        self.actions.push(action);
    }

    /// What was decided so far.
    pub(super) fn of(outputs: Vec<Output>) -> Self {
        let mut out = Self::default();
        for output in outputs {
            match output {
                Output::Record(fact) => out.fact(fact),
                action => out.act(action),
            }
        }
        out
    }

    pub(super) fn into_outputs(self) -> Vec<Output> {
        if self.facts.is_empty() {
            return self.actions;
        }
        self.facts
            .into_iter()
            .map(Output::Record)
            .chain(self.actions)
            .collect()
    }
}

impl Call {
    /// Takes a call that came in, or that an agent made to a number of ours, and leads it along a flow.
    #[must_use]
    pub fn incoming(new: NewCall, flow: Arc<Flow>, now: Timestamp) -> (Self, Vec<Output>) {
        let started = CallFact::FlowStarted { flow: flow.id };
        Self::led(new, flow, Opening::Flow, Some(started), now)
    }

    /// Takes a call to a number of ours that leads nowhere: says so and ends with
    /// [`HangupCause::NotRouted`].
    #[must_use]
    pub fn not_routed(new: NewCall, announcement: Prompt, now: Timestamp) -> (Self, Vec<Output>) {
        let opening = Opening::Announcement(announcement);
        Self::led(new, Arc::new(nowhere()), opening, None, now)
    }

    fn led(
        new: NewCall,
        flow: Arc<Flow>,
        then: Opening,
        second: Option<CallFact>,
        now: Timestamp,
    ) -> (Self, Vec<Output>) {
        let (mut call, mut outputs) = Self::open(new);
        outputs.extend(second.map(Output::Record));
        let mut out = Out::of(outputs);
        if let Some(caller) = call.new.agent.as_ref().map(|caller| caller.agent) {
            call.busy(caller, &mut out);
        }
        out.act(Output::Answer { leg: call.caller });
        call.flow = flow;
        call.answered = true;
        call.stage = Stage::Connecting {
            deadline: after(now, CONNECT_PATIENCE),
            then,
        };
        (call, out.into_outputs())
    }

    /// A call with its first facts, and nothing done about it yet.
    pub(super) fn open(new: NewCall) -> (Self, Vec<Output>) {
        let mut outputs = vec![Output::Record(CallFact::Started {
            uuid: new.uuid.clone(),
            direction: new.direction,
            external: new.external.clone(),
            internal: new.internal.clone(),
            number: new.number,
            contact: new.contact,
            trunk: new.trunk,
            node: new.node.clone(),
        })];
        if let Some(caller) = &new.agent {
            outputs.push(Output::Record(CallFact::AgentCalls {
                agent: caller.agent,
                agent_name: caller.name.clone(),
                dialled: caller.dialled.clone(),
            }));
        }
        let call = Self {
            new,
            flow: Arc::new(nowhere()),
            stage: Stage::Between,
            caller: LegId::FIRST,
            caller_up: true,
            answered: false,
            last_leg: LegId::FIRST.0,
            last_playback: 0,
            visits: 0,
            digit_facts: 0,
            flow_recording: None,
            unheard: Vec::new(),
            notes: 0,
            recordings: Vec::new(),
            recordings_made: 0,
            busy: Vec::new(),
            transfer: None,
            wrap_ups: Vec::new(),
        };
        (call, outputs)
    }

    /// Which call it is.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.new.id
    }

    /// Whether [`Output::Finished`] was given.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Finished)
    }

    /// Takes in something that happened. What no longer matters (a leg that is over, an offer that
    /// came too late) changes nothing.
    #[must_use]
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Output> {
        let mut out = Out::default();
        match input {
            Input::Connected { leg } => self.connected(now, leg, &mut out),
            Input::Digit { leg, digit, via } => {
                let digit = digit.to_ascii_uppercase();
                if leg == self.caller && matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D') {
                    if self.keeps_digits() {
                        out.fact(CallFact::DigitPressed { leg, digit, via });
                    }
                    self.digit(now, digit, &mut out);
                }
            }
            Input::PlaybackFinished { leg, playback } => {
                if leg == self.caller {
                    self.played(now, playback, &mut out);
                }
            }
            Input::Offered(offer) => self.offered(now, offer, &mut out),
            Input::OfferWithdrawn { offer, reason } => {
                self.offer_withdrawn(offer, reason, &mut out);
            }
            Input::QueueExhausted { group, outcome } => {
                self.queue_exhausted(now, group, outcome, &mut out);
            }
            Input::LegRinging { leg } => {
                self.leg_ringing(leg, &mut out);
                self.callee_ringing(leg, &mut out);
            }
            Input::LegEarly { leg } => {
                self.leg_ringing(leg, &mut out);
                self.callee_early(leg, &mut out);
            }
            Input::TrunkFailed { leg, failure } => {
                self.trunk_failed(now, leg, &failure, &mut out);
            }
            Input::LegAnswered { leg } if leg == self.caller => self.caller_answered(now, &mut out),
            Input::LegAnswered { leg } => {
                if !self.monitor_answered(leg, &mut out) {
                    self.leg_answered(leg, &mut out);
                    self.callee_answered(now, leg, &mut out);
                }
            }
            Input::LegFailed { leg, cause } => {
                self.leg_over(now, leg, LegOver::Failed(cause), &mut out);
            }
            Input::LegHungUp { leg } => self.leg_over(now, leg, LegOver::HungUp, &mut out),
            Input::RecordingCheckpoint {
                recording,
                duration_ms,
            } => self.checkpoint(recording, duration_ms, &mut out),
            Input::RecordingStopped {
                recording,
                duration_ms,
                bytes,
            } => {
                self.recording_stopped(now, recording, duration_ms, bytes, &mut out);
            }
            Input::RecordingFailed {
                recording,
                reason,
                duration_ms,
            } => {
                self.recording_failed(now, recording, reason, duration_ms, &mut out);
            }
            Input::Referred {
                leg,
                referral,
                target,
            } => self.referred(now, leg, referral, target, &mut out),
            Input::PartyJoined { leg, agent, price } => {
                self.party_joined(now, (leg, agent, price), &mut out);
            }
            Input::HandOver { leg, agent, to } => self.hand_over(now, leg, agent, to, &mut out),
            Input::Replaces(replacement) => self.replaces(now, replacement, &mut out),
            Input::SwitchRecording { on } => self.switch_recording(on, &mut out),
            Input::Monitor { agent, mode } => self.monitor(now, agent, mode, &mut out),
            Input::Held { leg } => self.held(leg, &mut out),
            Input::Retrieved { leg } => self.retrieved(leg, &mut out),
            Input::AudioMissing { leg, reason } => self.audio_missing(leg, reason, &mut out),
            Input::AudioBack { leg } => self.audio_back(leg, &mut out),
            Input::PinTried { verdict } => self.pin_tried(verdict, &mut out),
            Input::RoomEntered => self.room_entered(&mut out),
            Input::RoomFull => self.room_full(&mut out),
            Input::End { cause } => self.ended_by_operator(now, cause, &mut out),
            Input::WrapUpEnded { agent } => self.wrap_up_ended(agent, &mut out),
        }
        out.into_outputs()
    }

    /// When [`Call::on_time`] must be called at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let stage = match &self.stage {
            Stage::Connecting { deadline, .. }
            | Stage::Message { deadline, .. }
            | Stage::Echo { deadline, .. }
            | Stage::RingingCaller { deadline, .. } => Some(*deadline),
            Stage::Pin(pin) => pin.deadline,
            Stage::Dialing(dialing) => Some(dialing.deadline()),
            Stage::Taking(taking) => Some(taking.deadline),
            Stage::Menu(MenuStage {
                phase: MenuPhase::Waiting(deadline),
                ..
            }) => Some(*deadline),
            Stage::Queue(queue) => {
                let rings = queue.ringing.iter().map(|ringing| ringing.deadline);
                let announcement = queue.announcement.as_ref().map(|told| told.due);
                Some(
                    rings
                        .chain(announcement)
                        .fold(queue.deadline, Timestamp::min),
                )
            }
            Stage::Talking(talking) => talking
                .watcher
                .as_ref()
                .and_then(|watcher| watcher.deadline),
            _ => None,
        };
        let recordings = self
            .recordings
            .iter()
            .filter_map(|recording| recording.stop_by);
        let wrap_ups = self.wrap_ups.iter().map(|(_, until)| *until);
        recordings.chain(wrap_ups).chain(stage).min()
    }

    /// Fires the timers that are due. Early and repeated calls do no harm.
    #[must_use]
    pub fn on_time(&mut self, now: Timestamp) -> Vec<Output> {
        let mut out = Out::default();
        match &self.stage {
            Stage::Connecting { deadline, .. } if *deadline <= now => {
                self.end(now, HangupCause::SignallingFailed, &mut out);
            }
            Stage::Message { deadline, .. } if *deadline <= now => {
                self.end(now, HangupCause::FlowEnded, &mut out);
            }
            Stage::Menu(MenuStage {
                phase: MenuPhase::Waiting(deadline),
                ..
            }) if *deadline <= now => {
                self.ask_again(now, None, &mut out);
            }
            Stage::Echo { deadline, .. } if *deadline <= now => self.echo_over(&mut out),
            Stage::Pin(PinStage {
                deadline: Some(deadline),
                ..
            }) if *deadline <= now => self.judge_pin(&mut out),
            Stage::Queue(_) => self.queue_timers(now, &mut out),
            Stage::RingingCaller { deadline, .. } if *deadline <= now => {
                self.end(now, HangupCause::NoAnswer, &mut out);
            }
            Stage::Dialing(_) => self.dialing_timers(now, &mut out),
            Stage::Taking(_) => self.taking_timers(now, &mut out),
            Stage::Talking(_) => self.monitor_timer(now, &mut out),
            _ => {}
        }
        self.recording_timers(now, &mut out);
        self.wrap_up_timers(now, &mut out);
        out.into_outputs()
    }

    fn connected(&mut self, now: Timestamp, leg: LegId, out: &mut Out) {
        if leg != self.caller || !matches!(self.stage, Stage::Connecting { .. }) {
            return;
        }
        out.fact(CallFact::CallerConnected);
        match std::mem::replace(&mut self.stage, Stage::Between) {
            Stage::Connecting {
                then: Opening::Announcement(prompt),
                ..
            } => {
                let playback = self.play(prompt, Repeat::Once, out);
                self.stage = Stage::LastWords {
                    playback,
                    cause: HangupCause::NotRouted,
                };
            }
            _ => {
                let start = self.flow.start.clone();
                self.go(now, Some(start), out);
            }
        }
    }

    /// Keys are for the flow. What a customer types while he talks with an agent (a card number, a
    /// password) is nobody's business, and neither is a PIN.
    fn keeps_digits(&mut self) -> bool {
        let for_flow = self.caller_up
            && !matches!(
                self.stage,
                Stage::Talking(_)
                    | Stage::Pin(_)
                    | Stage::Room { .. }
                    | Stage::RingingCaller { .. }
                    | Stage::Dialing(_)
                    | Stage::Taking(_)
                    | Stage::Ending { .. }
                    | Stage::Ended
                    | Stage::Finished
            );
        self.digit_facts += u32::from(for_flow && self.digit_facts < MAX_DIGIT_FACTS + 1);
        for_flow && self.digit_facts <= MAX_DIGIT_FACTS
    }

    fn digit(&mut self, now: Timestamp, digit: char, out: &mut Out) {
        match &self.stage {
            Stage::Menu(_) => self.menu_digit(now, digit, out),
            Stage::Pin(_) => self.pin_digit(now, digit, out),
            Stage::Message { .. } if digit == '#' => self.end(now, HangupCause::FlowEnded, out),
            Stage::Echo { .. } if digit == '#' => self.echo_over(out),
            _ => {}
        }
    }

    fn played(&mut self, now: Timestamp, finished: PlaybackId, out: &mut Out) {
        match &mut self.stage {
            Stage::Playing { playback, next } if *playback == finished => {
                let next = next.take();
                self.go(now, next, out);
            }
            Stage::EchoPrompt {
                playback,
                seconds,
                next,
            } if *playback == finished => {
                let (seconds, next) = (*seconds, next.take());
                out.act(Output::Echo { leg: self.caller });
                self.stage = Stage::Echo {
                    deadline: after_seconds(now, seconds),
                    next,
                };
            }
            Stage::Menu(_) => self.menu_played(now, finished, out),
            Stage::Pin(_) => self.pin_asked(now, finished),
            Stage::RoomDoor { playback, room } if *playback == finished => {
                let room = *room;
                out.act(Output::EnterRoom {
                    leg: self.caller,
                    room,
                });
                self.stage = Stage::Room {
                    room,
                    recording: None,
                };
            }
            Stage::Greeting {
                playback,
                max_seconds,
            } if *playback == finished => {
                let max_seconds = *max_seconds;
                let playback = self.play(Prompt::beep(), Repeat::Once, out);
                self.stage = Stage::Beep {
                    playback,
                    max_seconds,
                };
            }
            Stage::Beep {
                playback,
                max_seconds,
            } if *playback == finished => {
                let deadline = after_seconds(now, *max_seconds);
                // A mailbox is entered at most once a call: it ends it.
                let recording =
                    self.start_recording(RecordingKind::Voicemail, self.caller, None, out);
                match recording {
                    Some(recording) => {
                        self.stage = Stage::Message {
                            recording,
                            deadline,
                        }
                    }
                    None => self.end(now, HangupCause::MediaFailed, out),
                }
            }
            Stage::LastWords { playback, cause } if *playback == finished => {
                let cause = *cause;
                self.end(now, cause, out);
            }
            _ => {}
        }
    }

    /// He has heard himself long enough: now he hears how well that went.
    fn echo_over(&mut self, out: &mut Out) {
        let Stage::Echo { next, .. } = &mut self.stage else {
            return;
        };
        let next = next.take();
        out.act(Output::Unbridge {
            a: self.caller,
            b: self.caller,
        });
        self.last_playback += 1;
        let playback = PlaybackId(self.last_playback);
        out.act(Output::TellQuality {
            leg: self.caller,
            playback,
        });
        self.stage = Stage::Playing { playback, next };
    }

    pub(super) fn play(&mut self, prompt: Prompt, repeat: Repeat, out: &mut Out) -> PlaybackId {
        self.play_to(self.caller, prompt, repeat, out)
    }

    pub(super) fn play_to(
        &mut self,
        leg: LegId,
        prompt: Prompt,
        repeat: Repeat,
        out: &mut Out,
    ) -> PlaybackId {
        self.last_playback += 1;
        let playback = PlaybackId(self.last_playback);
        out.act(Output::Play {
            leg,
            playback,
            prompt,
            repeat: repeat == Repeat::Forever,
        });
        playback
    }
}

/// A flow for calls that follow none.
fn nowhere() -> Flow {
    Flow {
        id: model::FlowId(0),
        start: String::new(),
        steps: Default::default(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Once,
    Forever,
}

/// How a leg came to its end without our doing.
#[derive(Clone, Copy)]
pub(super) enum LegOver {
    HungUp,
    Failed(HangupCause),
}

impl LegOver {
    /// What that means for the leg, had its owner the choice to hang up.
    pub(super) fn cause(self, hung_up: HangupCause) -> HangupCause {
        match self {
            Self::HungUp => hung_up,
            Self::Failed(cause) => cause,
        }
    }

    /// What it means for an offer.
    pub(super) fn offer_end(self) -> OfferEnd {
        match self {
            Self::HungUp | Self::Failed(HangupCause::Rejected) => OfferEnd::Rejected,
            Self::Failed(HangupCause::Busy) => OfferEnd::Busy,
            Self::Failed(HangupCause::NoAnswer) => OfferEnd::NotPickedUp,
            Self::Failed(_) => OfferEnd::Unavailable,
        }
    }
}

pub(super) fn after(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

pub(super) fn after_seconds(now: Timestamp, seconds: u32) -> Timestamp {
    after(now, SignedDuration::from_secs(i64::from(seconds)))
}
