//! The ledger's vocabulary: what can be true of a call.
//!
//! A call's row, its agents' figures, webhooks and boards are all folds of these facts. A fact is
//! appended before anything depends on it, and never changed.

use serde::{Deserialize, Serialize};

use crate::{
    AgentId, CallId, ContactId, FlowId, GroupId, NumberId, PhoneNumber, RecordingId, RingStrategy,
    RoomId, TenantId, Timestamp, TrunkId,
};

/// One party's side of a call, numbered within the call. The leg that opened the call is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LegId(pub u32);

impl LegId {
    /// The leg whose INVITE opened the call.
    pub const FIRST: LegId = LegId(1);
}

impl std::fmt::Display for LegId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a trunk charges for a call, in millionths of the company's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CallPrice {
    pub per_minute_micros: u64,
    /// Talk is rounded up to whole steps of this many seconds; 0 counts as 1.
    pub step_seconds: u32,
}

impl CallPrice {
    /// What costs nothing, as far as is known.
    pub const FREE: Self = Self {
        per_minute_micros: 0,
        step_seconds: 1,
    };

    /// The price of so much talk.
    #[must_use]
    pub fn of(self, talked_ms: u64) -> u64 {
        let step_ms = u64::from(self.step_seconds.max(1)) * 1000;
        let steps = talked_ms.div_ceil(step_ms);
        let billed_ms = u128::from(steps) * u128::from(step_ms);
        let micros = billed_ms.saturating_mul(u128::from(self.per_minute_micros)) / 60_000;
        u64::try_from(micros).unwrap_or(u64::MAX)
    }
}

/// What a carrier charges for a leg that has talked already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningPrice {
    pub price: CallPrice,
    /// In the call that began it.
    pub talked_ms: u64,
    /// Whose leg it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<TrunkId>,
}

/// A fact with its place in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallEvent {
    /// Position within the call, from 1 without gaps.
    pub seq: u32,
    /// Whose call it is.
    pub tenant: TenantId,
    /// The call.
    pub call: CallId,
    /// When it became true.
    pub at: Timestamp,
    /// What became true.
    pub fact: CallFact,
}

/// Which way a call goes, seen from the company.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From outside to one of our numbers.
    Incoming,
    /// From an agent to the outside.
    Outgoing,
    /// Between agents.
    Internal,
}

/// How a digit reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DigitVia {
    /// RTP telephone-event (RFC 4733).
    Rfc4733,
    /// SIP INFO.
    Info,
    /// Tones in the audio.
    Inband,
}

/// The kind of a call-flow step that a caller went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// A sound or spoken text.
    Playback,
    /// A menu of keys.
    Menu,
    /// A group's queue.
    Queue,
    /// A mailbox.
    Voicemail,
    /// A conference room.
    Conference,
    /// The end.
    End,
}

/// How a caller left a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueOutcome {
    /// An agent took the call.
    Answered,
    /// Nobody eligible by status or device.
    NoAgentsOnline,
    /// Somebody was online, but busy all the time.
    NoAgentsAvailable,
    /// Phones rang, nobody took it.
    NoAgentsPickedUp,
    /// The caller hung up.
    Canceled,
}

/// How an offer to an agent ended without a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferEnd {
    /// His device said busy.
    Busy,
    /// It rang to the end of the time.
    NotPickedUp,
    /// He declined.
    Rejected,
    /// No device answered the request.
    Unavailable,
    /// The caller gave up or somebody else was faster.
    Canceled,
}

/// What a recording holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingKind {
    /// A conversation: the customer in the left channel, the agent in the right.
    Conversation,
    /// A message left by the caller.
    Voicemail,
}

/// What a peer's signalling says about the end of a leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerReason {
    /// The SIP status of a refusal, or from a Reason header (RFC 3326).
    pub sip: Option<u16>,
    /// The Q.850 cause.
    pub q850: Option<u16>,
    /// The peer's text.
    pub text: Option<String>,
}

/// How an agent passes his party on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// Without talking to the target first.
    Blind,
    /// After talking to it in a second call.
    Attended,
}

/// What is done with the parts of a conversation during which recording was switched off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseMode {
    /// They are left out: the file is shorter than the conversation.
    #[default]
    Cut,
    /// They are silent: the file is as long as the conversation.
    Silence,
}

/// Which rule decided about a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingRule {
    /// The company's switch for calls of this direction.
    Company,
    /// The number's setting.
    Number,
    /// The agent's setting.
    Agent,
    /// A step of the call flow.
    Flow,
}

/// How a supervisor takes part in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonitorMode {
    /// He hears both and nobody hears him.
    Listen,
    /// The agent hears him, the customer does not.
    Whisper,
    /// Everybody hears everybody.
    Barge,
}

/// Why a party's audio does not reach us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoAudio {
    /// Not one packet came: a firewall, or an address that can't be reached.
    NeverHeard,
    /// Not one packet came, and the device told a private address although it is elsewhere: its network translates
    /// addresses and it does not know.
    PrivateAddress,
    /// Packets come, in a coding that was not agreed.
    WrongCodec,
    /// Packets come from another address than the one the audio began with.
    OtherSource,
    /// Packets come and hold nothing but silence: a muted or missing microphone.
    Muted,
    /// Packets came and then stopped.
    Stopped,
}

/// How one direction of a leg's audio travelled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamQuality {
    /// Packets that arrived.
    pub packets: u64,
    /// Packets that were lost on the way.
    pub lost: u64,
    /// Interarrival jitter (RFC 3550 §6.4.1), in milliseconds.
    pub jitter_ms: f32,
    /// Mean opinion score for listening, 1 to 4.5, estimated by the E-model (ITU-T G.107).
    pub mos: f32,
}

/// How a leg's audio travelled, both ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AudioQuality {
    /// As SDP names it, such as `PCMU`.
    pub codec: String,
    /// From the party to us.
    pub received: StreamQuality,
    /// From us to the party, as its reports say; absent when it sent none.
    pub sent: Option<StreamQuality>,
    /// There and back, in milliseconds, as the last report gave it.
    pub round_trip_ms: Option<f32>,
}

/// The technical reason for the end of a leg or a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HangupCause {
    /// The outside party hung up.
    CallerHangup,
    /// The agent hung up.
    AgentHangup,
    /// The caller gave up before anybody answered.
    CallerCanceled,
    /// The flow came to its end.
    FlowEnded,
    /// The far end was busy.
    Busy,
    /// The far end declined.
    Rejected,
    /// It rang without an answer.
    NoAnswer,
    /// Somebody else answered first.
    AnsweredElsewhere,
    /// An agent passed his party on and is done.
    Transferred,
    /// A party was passed on to nobody, and the agent who did it was gone.
    TransferFailed,
    /// The number is not ours, or has no routing.
    NotRouted,
    /// The caller is on the blacklist, or whom an agent wanted to call.
    Blacklisted,
    /// A call that may not be placed: by its agent's rights, a limit, or a stop against toll fraud.
    NotAllowed,
    /// No trunk could take the call.
    Congestion,
    /// Nobody has the number, as the carrier says.
    Unallocated,
    /// Signalling failed: the peer went away or broke the protocol.
    SignallingFailed,
    /// No audio could be set up (no codec in common, no free port).
    MediaFailed,
    /// The operator ended it, for example by a shutdown.
    OperatorEnded,
    /// The server died while the call was up.
    NodeLost,
}

/// What became true of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CallFact {
    /// The call exists. Always the first fact.
    Started {
        /// Stable public identity, as webhooks carry it.
        uuid: String,
        direction: Direction,
        /// The outside party; `None` when it hides its number.
        external: Option<PhoneNumber>,
        /// Our number that was dialled or shown.
        internal: Option<PhoneNumber>,
        number: Option<NumberId>,
        contact: Option<ContactId>,
        trunk: Option<TrunkId>,
        /// The server that runs the call.
        node: String,
    },
    /// An agent placed the call, from his phone or through an interface.
    AgentCalls {
        agent: AgentId,
        agent_name: String,
        /// What he dialled.
        dialled: String,
    },
    /// The call may not be placed, and why not, in words for people.
    CallRefused { reason: String },
    /// A carrier is asked to connect the call, and why this one.
    TrunkDialed {
        leg: LegId,
        trunk: TrunkId,
        trunk_name: String,
        why: String,
        /// What a minute costs there; absent when nobody has said.
        price: Option<CallPrice>,
    },
    /// It could not or would not.
    TrunkFailed {
        leg: LegId,
        trunk: TrunkId,
        /// The SIP status of its refusal, when it gave one.
        status: Option<u16>,
        reason: String,
    },
    /// An agent's phone is rung past the queues: a colleague calls him, or he asked for a call.
    AgentDialed {
        leg: LegId,
        agent: AgentId,
        agent_name: String,
    },
    /// The called party picked up.
    CalleeAnswered { leg: LegId },
    /// A call flow took over.
    FlowStarted { flow: FlowId },
    /// We answered the caller, so that he hears the flow.
    CallerConnected,
    /// The caller reached a step.
    StepEntered {
        step: String,
        kind: StepKind,
        name: String,
    },
    /// A key was pressed.
    DigitPressed {
        leg: LegId,
        digit: char,
        via: DigitVia,
    },
    /// The caller left a menu; `key` is absent when he pressed nothing valid.
    MenuLeft { step: String, key: Option<char> },
    /// The caller waits in a queue.
    QueueJoined {
        group: GroupId,
        name: String,
        strategy: RingStrategy,
    },
    /// The caller left the queue.
    QueueLeft {
        group: GroupId,
        outcome: QueueOutcome,
    },
    /// An agent's phone is rung, and why his, why now.
    OfferMade {
        leg: LegId,
        agent: AgentId,
        agent_name: String,
        group: GroupId,
        why: String,
        /// Counts the offers a company's queues make while the server runs, in the order of their decisions. The order of
        /// facts is not that: each call writes its own. 0 in facts older than this field.
        #[serde(default)]
        offer: u64,
    },
    /// His device says that it rings.
    LegRinging { leg: LegId },
    /// He picked up.
    OfferAnswered { leg: LegId, agent: AgentId },
    /// He did not.
    OfferEnded {
        leg: LegId,
        agent: AgentId,
        reason: OfferEnd,
    },
    /// A leg hears everybody in a conference room, and they it.
    RoomEntered {
        leg: LegId,
        room: RoomId,
        name: String,
    },
    /// Two legs hear each other.
    Bridged { a: LegId, b: LegId },
    /// Audio is being kept.
    RecordingStarted {
        recording: RecordingId,
        kind: RecordingKind,
    },
    /// The conversation is not kept, and which rule says so.
    RecordingSkipped { rule: RecordingRule },
    /// Recording was switched off for a part of the conversation.
    RecordingPaused { recording: RecordingId },
    /// It was switched on again.
    RecordingResumed { recording: RecordingId },
    /// A supervisor's phone is rung, for him to listen in.
    MonitorOffered { leg: LegId, agent: AgentId },
    /// He listens in, whispers or joins from now on.
    MonitorStarted {
        leg: LegId,
        agent: AgentId,
        mode: MonitorMode,
    },
    /// A party put the other on hold.
    LegHeld { leg: LegId },
    /// It came back.
    LegRetrieved { leg: LegId },
    /// A party is not heard although it should be.
    AudioMissing { leg: LegId, reason: NoAudio },
    /// It is heard again.
    AudioBack { leg: LegId },
    /// How a leg's audio travelled, taken at its end.
    LegMeasured { leg: LegId, quality: AudioQuality },
    /// Audio up to here is safe on disk. Times count from the recording's start.
    RecordingCheckpoint {
        recording: RecordingId,
        duration_ms: u64,
    },
    /// The recording is complete.
    RecordingStopped {
        recording: RecordingId,
        duration_ms: u64,
        bytes: u64,
    },
    /// The recording could not be made or completed; the call goes on.
    RecordingFailed {
        recording: RecordingId,
        reason: String,
        duration_ms: u64,
    },
    /// The caller's message was kept, or dropped because it was empty.
    VoicemailLeft {
        recording: RecordingId,
        duration_ms: u64,
        kept: bool,
    },
    /// An agent passes the other party on. An attended transfer says by [`CallFact::LegTaken`] to whom.
    TransferStarted {
        /// His leg.
        leg: LegId,
        agent: AgentId,
        kind: TransferKind,
        /// The target, as people read it.
        to: String,
    },
    /// The party has reached the target; or not, and why.
    TransferEnded { failed: Option<HangupCause> },
    /// The party of another call came to this one.
    LegTaken {
        leg: LegId,
        from: CallId,
        agent: Option<AgentId>,
        /// Of a carrier's leg: what it goes on costing here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        price: Option<RunningPrice>,
    },
    /// A party of this call went to another one.
    LegGiven { leg: LegId, to: CallId },
    /// An agent's phone took the place of another agent's, or of another phone of his (RFC 3891): it
    /// picked up what rang there, or took the conversation over.
    LegReplaced {
        /// The leg that gave way.
        leg: LegId,
        /// Whose it was.
        of: AgentId,
        /// The leg that is there now.
        by: LegId,
        agent: AgentId,
        agent_name: String,
    },
    /// Why the peer of a leg ended or refused it, in its own words.
    LegReason { leg: LegId, reason: PeerReason },
    /// A leg is over.
    LegEnded { leg: LegId, cause: HangupCause },
    /// The call is over. No fact but wrap-up follows.
    Ended { cause: HangupCause },
    /// The agent works on the call after its end.
    WrapUpStarted { agent: AgentId, seconds: u32 },
    /// He is done with it.
    WrapUpEnded { agent: AgentId },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn talk_is_charged_in_whole_steps() {
        let by_minute = CallPrice {
            per_minute_micros: 20_000,
            step_seconds: 60,
        };
        assert_eq!(by_minute.of(0), 0);
        assert_eq!(by_minute.of(1), 20_000);
        assert_eq!(by_minute.of(60_001), 40_000);
        let by_second = CallPrice {
            step_seconds: 1,
            ..by_minute
        };
        assert_eq!(by_second.of(1_500), 666);
        let dear = CallPrice {
            per_minute_micros: u64::MAX,
            step_seconds: 0,
        };
        assert_eq!(dear.of(u64::MAX), u64::MAX);
    }
}
