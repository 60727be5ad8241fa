//! The words of the product: ids, people, numbers, calls and the facts recorded about them.
//!
//! This crate knows no clock, socket, database or HTTP. Everything above it speaks in its types.
//! Start with [`CallFact`], the ledger's vocabulary, and the id types.

mod agent;
mod event;
mod id;
mod phone_number;
mod record;

pub use agent::{AgentState, Availability, RingStrategy};
pub use event::{
    AudioQuality, CallEvent, CallFact, CallPrice, DigitVia, Direction, HangupCause, LegId,
    MonitorMode, NoAudio, OfferEnd, PauseMode, PeerReason, QueueOutcome, RecordingKind,
    RecordingRule, RunningPrice, StepKind, StreamQuality, TransferKind,
};
pub use id::*;
pub use phone_number::{PhoneNumber, PhoneNumberError};
pub use record::{
    CallRecord, CallStep, LegAudio, OfferResult, OfferStep, QueueStep, RecordingRef,
    RecordingState, TransferResult, TransferStep, TrunkAttempt, TrunkShare,
};

/// An instant in UTC. Stored as epoch milliseconds, printed by the faces as each interface wants.
pub use jiff::Timestamp;
