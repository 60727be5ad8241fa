//! A call as lists, reports and interfaces show it: the fold of its facts.

use serde::{Deserialize, Serialize};

use crate::{
    AgentId, AudioQuality, CallId, ContactId, Direction, GroupId, HangupCause, LegId, NoAudio,
    NumberId, OfferEnd, PeerReason, PhoneNumber, QueueOutcome, RecordingId, RecordingKind,
    RecordingRule, RingStrategy, TenantId, Timestamp, TransferKind, TrunkId,
};

/// One call. `calls::record::fold` makes it from the call's events and nothing else.
///
/// Durations are milliseconds. For a running call they count up to the last fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    pub id: CallId,
    pub tenant: TenantId,
    pub uuid: String,
    pub direction: Direction,
    /// `None` when the caller hides its number.
    pub external: Option<PhoneNumber>,
    pub internal: Option<PhoneNumber>,
    pub number: Option<NumberId>,
    pub contact: Option<ContactId>,
    pub trunk: Option<TrunkId>,
    /// First ring.
    pub started_at: Timestamp,
    /// When an agent and the customer first heard each other.
    pub answered_at: Option<Timestamp>,
    /// `None` while the call runs.
    pub ended_at: Option<Timestamp>,
    pub cause: Option<HangupCause>,
    /// What the peer that ended or refused the call last said about it.
    #[serde(default)]
    pub reason: Option<PeerReason>,
    /// The call in which a party of this one was passed on.
    #[serde(default)]
    pub continued_in: Option<CallId>,
    /// The agent who talked last, or who placed the call.
    pub agent: Option<AgentId>,
    /// What the agent dialled, when he placed the call.
    #[serde(default)]
    pub dialled: Option<String>,
    /// The colleague whom an internal call was for.
    #[serde(default)]
    pub callee: Option<AgentId>,
    /// Why the call was not placed.
    #[serde(default)]
    pub refused: Option<String>,
    /// The carriers that were asked to connect the call, in order.
    #[serde(default)]
    pub attempts: Vec<TrunkAttempt>,
    /// What the carriers charge, in millionths of the company's currency.
    #[serde(default)]
    pub cost_micros: u64,
    /// The same by carrier, with the talk it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trunk_shares: Vec<TrunkShare>,
    /// Start to end, waiting included.
    pub total_ms: u64,
    /// Both connected.
    pub talking_ms: u64,
    /// From leaving the menus to answer or abandonment.
    pub waiting_ms: u64,
    /// While some agent's phone rang.
    pub ringing_ms: u64,
    pub holding_ms: u64,
    pub wrap_up_ms: u64,
    /// The caller left a message that was kept.
    pub is_voicemail: bool,
    /// The one that stands for the call: what lists show and players play.
    pub recording: Option<RecordingRef>,
    /// All of them, in the order they began.
    #[serde(default)]
    pub recordings: Vec<RecordingRef>,
    /// The rule by which the conversation was not kept.
    #[serde(default)]
    pub not_recorded: Option<RecordingRule>,
    /// How the audio of its legs travelled, by leg.
    #[serde(default)]
    pub audio: Vec<LegAudio>,
    pub steps: Vec<CallStep>,
}

impl CallRecord {
    /// Whether an agent and the customer talked.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answered_at.is_some()
    }
}

/// What a call used of a trunk on its own legs; what a leg used in the call it came from is told there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkShare {
    pub trunk: TrunkId,
    /// Answered legs, by time.
    pub talking_ms: u64,
    pub cost_micros: u64,
    /// The end of the last of them, or as far as is known.
    pub until: Timestamp,
}

/// One carrier's chance to connect a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrunkAttempt {
    pub trunk: TrunkId,
    pub name: String,
    pub at: Timestamp,
    /// Why this carrier.
    pub why: String,
    /// The SIP status of its refusal, when it refused with one.
    pub status: Option<u16>,
    /// Why it did not connect the call; absent while it tries, and when it did.
    pub failed: Option<String>,
}

/// What is known of a call's recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordingRef {
    pub id: RecordingId,
    pub kind: RecordingKind,
    pub state: RecordingState,
    pub duration_ms: u64,
}

/// What is known of one party's audio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegAudio {
    pub leg: LegId,
    /// Whose phone; the outside party has none.
    pub agent: Option<AgentId>,
    /// Taken at the leg's end.
    pub quality: Option<AudioQuality>,
    /// Why the party was not heard, when that happened.
    pub no_audio: Option<NoAudio>,
    /// Whether that is so still.
    pub is_missing: bool,
}

/// How far a recording has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RecordingState {
    /// Being written.
    Running,
    /// Being written, but switched off at the moment.
    Paused,
    /// Complete.
    Kept,
    /// Cut short or never made; what there is can be played when `duration_ms` is above 0.
    Failed { reason: String },
    /// A message too short to keep.
    Dropped,
}

/// One thing the caller went through, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CallStep {
    Playback {
        name: String,
        at: Timestamp,
        total_ms: u64,
    },
    Menu {
        name: String,
        at: Timestamp,
        total_ms: u64,
        key: Option<char>,
    },
    Queue(QueueStep),
    /// An agent passed the other party on.
    Transfer(TransferStep),
    Voicemail {
        name: String,
        at: Timestamp,
        total_ms: u64,
        kept: bool,
    },
    Conference {
        name: String,
        at: Timestamp,
        total_ms: u64,
    },
}

/// One transfer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransferStep {
    /// Who passed the party on.
    pub agent: AgentId,
    pub kind: TransferKind,
    /// To whom, as people read it; empty for a party that came from another call.
    pub to: String,
    /// The call that party came from.
    pub from: Option<CallId>,
    pub at: Timestamp,
    pub result: TransferResult,
}

/// How a transfer came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferResult {
    Running,
    Completed,
    Failed(HangupCause),
}

/// A stay in a group's queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueStep {
    pub group: GroupId,
    pub name: String,
    pub strategy: RingStrategy,
    pub at: Timestamp,
    /// `None` while the caller waits.
    pub outcome: Option<QueueOutcome>,
    pub total_ms: u64,
    pub waiting_ms: u64,
    pub ringing_ms: u64,
    pub talking_ms: u64,
    pub offers: Vec<OfferStep>,
}

/// One ring of one agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferStep {
    pub agent: AgentId,
    pub agent_name: String,
    pub at: Timestamp,
    pub why: String,
    pub ringing_ms: u64,
    pub talking_ms: u64,
    pub total_ms: u64,
    /// `None` while it rings.
    pub result: Option<OfferResult>,
}

/// How the ring ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferResult {
    /// He talked to the caller.
    Answered,
    /// He did not.
    Missed(OfferEnd),
}
