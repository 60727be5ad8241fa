//! What a call's facts add up to.

use model::{CallEvent, CallFact, CallRecord, RecordingId, Timestamp};

/// The row of a call, from its facts in order and nothing else. `None` when they don't begin with
/// [`CallFact::Started`].
#[must_use]
pub fn fold(events: &[CallEvent]) -> Option<CallRecord> {
    let _ = events;
    None
}

/// What was found on disk of a recording that its server did not close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Which.
    pub recording: RecordingId,
    /// Playable length.
    pub duration_ms: u64,
    /// Size of the repaired file.
    pub bytes: u64,
}

/// The facts that close a call whose server died.
#[derive(Clone, Debug, PartialEq)]
pub struct Closing {
    /// When the call was last known to live: the time to store the facts with, so that a night of
    /// downtime doesn't count as talking.
    pub at: Timestamp,
    /// What to append, in order.
    pub facts: Vec<CallFact>,
}

/// The recordings of a call that were never closed: what to look for on disk before [`close_lost`].
#[must_use]
pub fn open_recordings(events: &[CallEvent]) -> Vec<RecordingId> {
    let _ = events;
    Vec::new()
}

/// Closes a call whose server died. `None` when nothing is open: the call has ended and so has its
/// wrap-up. Recordings that are open and not among the `recovered` are told as failed.
#[must_use]
pub fn close_lost(events: &[CallEvent], recovered: &[Recovered], now: Timestamp) -> Option<Closing> {
    let _ = (events, recovered, now);
    None
}
