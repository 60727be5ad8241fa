//! One call as a state machine.
//!
//! The driver feeds [`Input`]s and carries out [`Output`]s one by one, in their order. Facts
//! ([`Output::Record`]) come before the commands that depend on them and must be durable before
//! those are carried out. Every call records [`CallFact::Started`] first and [`CallFact::Ended`]
//! exactly once; every leg ends exactly once.
//!
//! A leg is over for the call as soon as the call says [`Output::HangUp`]. What the network still
//! delivers for it is ignored here, and is the driver's to clean up: a phone that answers just when
//! it is cancelled is acknowledged and hung up.

use std::{collections::BTreeMap, sync::Arc};

use model::{
    AgentId, CallFact, CallId, ContactId, DigitVia, Direction, GroupId, HangupCause, LegId,
    MonitorMode, NoAudio, NumberId, OfferEnd, PhoneNumber, QueueOutcome, RecordingId,
    RecordingKind, RingStrategy, RoomId, RunningPrice, TrunkId,
};

use crate::{
    acd::{Offer, OfferId},
    flow::Prompt,
    recording,
    routing::TrunkFailure,
};

mod conference;
mod conversation;
mod doors;
mod ending;
mod machine;
mod monitor;
mod outgoing;
#[cfg(test)]
mod outgoing_tests;
mod queue;
mod replace;
#[cfg(test)]
mod replace_tests;
mod steps;
#[cfg(test)]
mod tests;
mod transfer;
#[cfg(test)]
mod transfer_tests;

pub use conference::RoomInfo;
pub use doors::{Doors, PinVerdict};
pub use ending::MIN_MESSAGE_MS;
pub use machine::Call;
pub use outgoing::{
    Begun, CLICK_TO_CALL_RING_SECONDS, Callee, CallingAgent, OutgoingCall, RING_SECONDS, TrunkDial,
};
pub use replace::Replacement;
pub use transfer::{TRANSFER_RING_SECONDS, TransferTarget};

/// A prompt being played, numbered within the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlaybackId(pub u32);

/// A call that has just come to be: from outside, or from an agent.
#[derive(Clone, Debug)]
pub struct NewCall {
    /// Given by the ledger.
    pub id: CallId,
    /// Stable public identity.
    pub uuid: String,
    /// Which way it goes.
    pub direction: Direction,
    /// The agent who placed it; `None` when it came from outside.
    pub agent: Option<CallingAgent>,
    /// The outside party; `None` when hidden, or when there is none.
    pub external: Option<PhoneNumber>,
    /// Our number that was dialled or is shown.
    pub internal: Option<PhoneNumber>,
    /// Its row.
    pub number: Option<NumberId>,
    /// The caller in the address book.
    pub contact: Option<ContactId>,
    /// Where it came in.
    pub trunk: Option<TrunkId>,
    /// The server that runs the call.
    pub node: String,
    /// The company's groups as they are now, for the names and strategies in the call's facts.
    pub groups: Arc<BTreeMap<GroupId, GroupInfo>>,
    /// Its conference rooms.
    pub rooms: Arc<BTreeMap<RoomId, RoomInfo>>,
    /// Whether conversations are recorded. Messages always are.
    pub recording: Arc<recording::Policy>,
}

/// Who calls, as a phone that we ring shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerId {
    /// A public number.
    Number(PhoneNumber),
    /// A colleague.
    Colleague {
        /// His short number.
        extension: String,
        /// His name.
        name: String,
    },
    /// Digits that are no public number.
    Digits(String),
    /// He doesn't say.
    Hidden,
}

impl CallerId {
    /// A number, or the digits where there is none, or nobody.
    pub(crate) fn of(number: Option<PhoneNumber>, digits: &str) -> Self {
        match number {
            Some(number) => Self::Number(number),
            None if digits.is_empty() => Self::Hidden,
            None => Self::Digits(digits.to_owned()),
        }
    }
}

/// What a call's facts say about a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// Its name.
    pub name: String,
    /// How it rings.
    pub strategy: RingStrategy,
}

/// Something that happened to the call.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The caller confirmed our answer (ACK): he hears us.
    Connected {
        /// His leg.
        leg: LegId,
    },
    /// Somebody pressed a key.
    Digit {
        /// On which leg.
        leg: LegId,
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        digit: char,
        /// How it came.
        via: DigitVia,
    },
    /// A prompt was played to its end, or could not be played at all. Not sent for one that was
    /// stopped or replaced.
    PlaybackFinished {
        /// To whom.
        leg: LegId,
        /// Which.
        playback: PlaybackId,
    },
    /// The ACD chose an agent for this caller.
    Offered(Offer),
    /// The ACD took an offer back.
    OfferWithdrawn {
        /// Which.
        offer: OfferId,
        /// Why.
        reason: OfferEnd,
    },
    /// The ACD has nobody for this caller and has let him go.
    QueueExhausted {
        /// The queue that gave up.
        group: GroupId,
        /// Why.
        outcome: QueueOutcome,
    },
    /// A phone says that it rings.
    LegRinging {
        /// Whose.
        leg: LegId,
    },
    /// A phone or carrier that we called lets itself be heard before it answers.
    LegEarly {
        /// Whose.
        leg: LegId,
    },
    /// A carrier did not connect the call.
    TrunkFailed {
        /// The leg it was asked for.
        leg: LegId,
        /// How it failed.
        failure: TrunkFailure,
    },
    /// A phone was picked up.
    LegAnswered {
        /// Whose.
        leg: LegId,
    },
    /// A leg could not be set up, or broke: refused, unreachable, no media, signalling lost.
    LegFailed {
        /// Which.
        leg: LegId,
        /// Why.
        cause: HangupCause,
    },
    /// The far end hung up (BYE), or the caller gave up (CANCEL).
    LegHungUp {
        /// Whose.
        leg: LegId,
    },
    /// Audio up to here is safe on disk.
    RecordingCheckpoint {
        /// Which.
        recording: RecordingId,
        /// So far.
        duration_ms: u64,
    },
    /// The recorder closed its file after [`Output::StopRecording`].
    RecordingStopped {
        /// Which.
        recording: RecordingId,
        /// Whole length.
        duration_ms: u64,
        /// Whole size.
        bytes: u64,
    },
    /// The recorder gave up.
    RecordingFailed {
        /// Which.
        recording: RecordingId,
        /// What went wrong, for people.
        reason: String,
        /// What was kept.
        duration_ms: u64,
    },
    /// An agent's phone refers the other party to somebody (REFER, RFC 3515).
    Referred {
        /// His leg.
        leg: LegId,
        /// Which REFER of that leg.
        referral: u32,
        /// To whom.
        target: TransferTarget,
    },
    /// What [`Output::TakeOver`] asked for is here, and its audio is agreed. If it can't come, that is
    /// [`Input::LegFailed`].
    PartyJoined {
        /// Its leg in this call.
        leg: LegId,
        /// Which agent it is; `None` when it is from outside.
        agent: Option<AgentId>,
        /// What a carrier charges for it.
        price: Option<RunningPrice>,
    },
    /// Another call takes over the party that the agent on this leg talks with.
    HandOver {
        /// The agent's leg.
        leg: LegId,
        /// Who he is.
        agent: AgentId,
        /// The other call.
        to: CallId,
    },
    /// An agent's phone has called to take the place of a leg, and [`Call::replaceable`] said that it
    /// may. It is the leg [`Call::next_leg`] told before.
    Replaces(Replacement),
    /// Somebody who may do so switches the recording of the conversation on or off.
    SwitchRecording {
        /// Which.
        on: bool,
    },
    /// A supervisor wants to take part in the conversation, or differently than he does.
    Monitor {
        /// Who: his phone is rung.
        agent: AgentId,
        /// How.
        mode: MonitorMode,
    },
    /// A party's phone put us on hold.
    Held {
        /// Whose.
        leg: LegId,
    },
    /// It came back.
    Retrieved {
        /// Whose.
        leg: LegId,
    },
    /// A party should be heard and has not been for a while.
    AudioMissing {
        /// Who.
        leg: LegId,
        /// The likely reason.
        reason: NoAudio,
    },
    /// It is heard again.
    AudioBack {
        /// Who.
        leg: LegId,
    },
    /// What [`Output::TryPin`] came to.
    PinTried {
        /// Whether he enters.
        verdict: PinVerdict,
    },
    /// The caller was let into the room of [`Output::EnterRoom`].
    RoomEntered,
    /// All places in that room are taken.
    RoomFull,
    /// The operator ends the call, for example at shutdown.
    End {
        /// Why.
        cause: HangupCause,
    },
    /// The ACD says that the agent is done with the call.
    WrapUpEnded {
        /// Who.
        agent: AgentId,
    },
}

/// Something for the driver to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Make a fact durable before carrying out what follows.
    Record(CallFact),
    /// Answer the caller (200). His ACK comes back as [`Input::Connected`].
    Answer {
        /// The caller's leg.
        leg: LegId,
    },
    /// Play to a leg, in place of what it hears now.
    Play {
        /// To whom.
        leg: LegId,
        /// Comes back in [`Input::PlaybackFinished`].
        playback: PlaybackId,
        /// What.
        prompt: Prompt,
        /// Over and over until stopped. Then it never finishes.
        repeat: bool,
    },
    /// Silence what a leg hears from us.
    StopPlaying {
        /// To whom.
        leg: LegId,
    },
    /// Tell the ACD: the caller waits ([`crate::acd::Fact::CallerJoined`]).
    JoinQueue {
        /// For whom.
        group: GroupId,
    },
    /// Tell the ACD: he doesn't any more ([`crate::acd::Fact::CallerLeft`]).
    LeaveQueue {
        /// Where he waited.
        group: GroupId,
    },
    /// Tell the ACD: its offer was taken ([`crate::acd::Fact::OfferAnswered`]).
    OfferAnswered {
        /// Which.
        offer: OfferId,
    },
    /// Tell the ACD: its offer came to nothing ([`crate::acd::Fact::OfferEnded`]).
    OfferEnded {
        /// Which.
        offer: OfferId,
        /// Why.
        reason: OfferEnd,
    },
    /// Ring an agent: all his devices as one leg, of which the first to answer wins.
    Dial {
        /// The new leg.
        leg: LegId,
        /// Whose devices.
        agent: AgentId,
        /// What his phone shows.
        caller_id: CallerId,
    },
    /// Ask a carrier to connect the call.
    DialTrunk {
        /// The new leg.
        leg: LegId,
        /// Which, and how.
        dial: TrunkDial,
    },
    /// Tell a caller who is not answered yet that it rings (180).
    Ring {
        /// The caller's leg.
        leg: LegId,
    },
    /// Let a caller who is not answered yet hear what is bridged to him (183 with SDP).
    Progress {
        /// The caller's leg.
        leg: LegId,
    },
    /// Tell the ACD: an agent is in a call that came past the queues
    /// ([`crate::acd::Fact::AgentBusy`]). [`Output::StartWrapUp`] ends it.
    AgentBusy {
        /// Who.
        agent: AgentId,
    },
    /// Tell an agent's phone that its REFER is accepted (202).
    AcceptReferral {
        /// His leg.
        leg: LegId,
        /// Which.
        referral: u32,
    },
    /// Refuse it.
    RefuseReferral {
        /// His leg.
        leg: LegId,
        /// Which.
        referral: u32,
        /// The SIP status that says why.
        status: u16,
    },
    /// Tell it what came of the transfer.
    ReportReferral {
        /// His leg.
        leg: LegId,
        /// Which.
        referral: u32,
        /// As the target answered.
        status: u16,
    },
    /// Ask another call for the party that the agent on a leg of it talks with
    /// ([`Input::HandOver`]). It comes as [`Input::PartyJoined`].
    TakeOver {
        /// The new leg in this call.
        leg: LegId,
        /// The other call.
        call: CallId,
        /// The agent's leg there.
        theirs: LegId,
        /// Who he is.
        agent: AgentId,
    },
    /// Give a leg to the call that asked for it. It is over for this one.
    HandOver {
        /// Which.
        leg: LegId,
        /// Which agent it is; `None` when it is from outside.
        agent: Option<AgentId>,
    },
    /// End a leg in whatever state: refuse, cancel or BYE.
    HangUp {
        /// Which.
        leg: LegId,
        /// Why.
        cause: HangupCause,
    },
    /// Let two legs hear each other.
    Bridge {
        /// One.
        a: LegId,
        /// The other.
        b: LegId,
    },
    /// Part two legs again.
    Unbridge {
        /// One.
        a: LegId,
        /// The other.
        b: LegId,
    },
    /// Start to keep audio. Failure comes back as [`Input::RecordingFailed`] and stops nothing else.
    StartRecording {
        /// Its id, made by [`recording_id`].
        recording: RecordingId,
        /// What it holds.
        kind: RecordingKind,
        /// Heard in the left channel: the customer.
        left: LegId,
        /// Heard in the right channel: the agent. A message has none; the left leg itself stands for what it hears in a
        /// conference room.
        right: Option<LegId>,
    },
    /// Keep nothing of what is said from now on.
    PauseRecording {
        /// Which.
        recording: RecordingId,
    },
    /// Keep it again.
    ResumeRecording {
        /// Which.
        recording: RecordingId,
    },
    /// Let three legs hear each other as the mode says, in place of a bridge.
    Monitor {
        /// The customer's.
        customer: LegId,
        /// The agent's.
        agent: LegId,
        /// The supervisor's.
        supervisor: LegId,
        /// Who hears whom.
        mode: MonitorMode,
    },
    /// Say something over the music a leg hears, which goes on beneath it.
    Announce {
        /// To whom.
        leg: LegId,
        /// What.
        prompt: Prompt,
    },
    /// Ask the room's door ([`Doors::tried`]), which counts over all calls. Comes back as [`Input::PinTried`].
    TryPin {
        /// Which room's.
        room: RoomId,
        /// Whose phone it is, if an agent's.
        agent: Option<AgentId>,
        /// Whether the PIN is the room's.
        is_right: bool,
    },
    /// Let a leg hear everybody in a room and them it, until it ends. Comes back as [`Input::RoomEntered`] or
    /// [`Input::RoomFull`].
    EnterRoom {
        /// Whose.
        leg: LegId,
        /// Which.
        room: RoomId,
    },
    /// Let a leg hear itself, until [`Output::Unbridge`] with itself.
    Echo {
        /// Whose.
        leg: LegId,
    },
    /// Tell a leg how its audio travels. The end comes back as [`Input::PlaybackFinished`].
    TellQuality {
        /// To whom.
        leg: LegId,
        /// Which.
        playback: PlaybackId,
    },
    /// Close the file. The end comes back as [`Input::RecordingStopped`].
    StopRecording {
        /// Which.
        recording: RecordingId,
    },
    /// Erase a message too short to keep.
    DiscardRecording {
        /// Which.
        recording: RecordingId,
    },
    /// Tell the ACD: the agent's conversation is over and he has this long for after-call work
    /// ([`crate::acd::Fact::ConversationEnded`]). Its end comes back as [`Input::WrapUpEnded`].
    StartWrapUp {
        /// Who.
        agent: AgentId,
        /// How long; 0 frees him at once and nothing comes back.
        seconds: u32,
    },
    /// Nothing more will come out, the call may be forgotten. Tell the ACD
    /// ([`crate::acd::Fact::CallGone`]).
    Finished,
}

/// The id of a call's `n`-th recording, counted from 1: the call's id and two digits. Ids need no
/// counter of their own and are known before the first sample.
///
/// # Panics
/// When `n` is 0 or above 99.
#[must_use]
pub fn recording_id(call: CallId, n: u8) -> RecordingId {
    assert!((1..=99).contains(&n), "a call has recordings 1 to 99");
    RecordingId(call.0 * 100 + i64::from(n))
}

/// The call that a recording is of.
#[must_use]
pub fn recorded_call(recording: RecordingId) -> CallId {
    CallId(recording.0 / 100)
}
