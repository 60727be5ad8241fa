//! Closing calls whose server died.

use jiff::SignedDuration;
use model::{
    AgentId, CallEvent, CallFact, GroupId, HangupCause, LegId, OfferEnd, QueueOutcome, RecordingId,
    RecordingKind, Timestamp,
};

use crate::call::MIN_MESSAGE_MS;

/// What was found on disk of a recording that its server did not close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Which.
    pub recording: RecordingId,
    /// What it keeps.
    pub kind: RecordingKind,
    /// When it began, as far as is known without the call's facts.
    pub started_at: Timestamp,
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
    Open::of(events)
        .recordings
        .iter()
        .map(|recording| recording.id)
        .collect()
}

/// The recordings that a call's facts tell of, open or not. A file that is the call's and not among them was begun
/// when its fact could not be stored.
#[must_use]
pub fn told_recordings(events: &[CallEvent]) -> Vec<RecordingId> {
    let told = events.iter().filter_map(|event| match event.fact {
        CallFact::RecordingStarted { recording, .. } => Some(recording),
        _ => None,
    });
    told.collect()
}

/// Closes a call whose server died. `None` when nothing is open: the call has ended and so has its
/// wrap-up. Recordings that are open and not among the `recovered` are told as failed; those that were recovered
/// and no fact tells of are told from their beginning.
#[must_use]
pub fn close_lost(
    events: &[CallEvent],
    recovered: &[Recovered],
    now: Timestamp,
) -> Option<Closing> {
    if !matches!(events.first()?.fact, CallFact::Started { .. }) {
        return None;
    }
    let last = events.last()?.at;
    let open = Open::of(events);
    if open.ended && open.wrap_ups.is_empty() {
        return None;
    }
    let untold = untold(events, recovered);
    let alive = if open.ended {
        open.wrap_ups
            .iter()
            .map(|&(_, until)| until)
            .max()
            .unwrap_or(last)
    } else {
        let heard = |recovered: &Recovered| {
            let known = open
                .recordings
                .iter()
                .find(|recording| recording.id == recovered.recording);
            let is_untold = || untold.contains(&recovered);
            let started = match known {
                Some(known) => known.started,
                None => is_untold().then_some(recovered.started_at)?,
            };
            let length = SignedDuration::from_millis(i64::try_from(recovered.duration_ms).ok()?);
            started.checked_add(length).ok()
        };
        recovered.iter().filter_map(heard).max().unwrap_or(last)
    };
    // A clock that was set back must not let time run backwards within the call.
    let at = alive.min(now).max(last);
    Some(Closing {
        at,
        facts: open.close(recovered, &untold),
    })
}

/// What was recovered and no fact tells of.
fn untold<'a>(events: &[CallEvent], recovered: &'a [Recovered]) -> Vec<&'a Recovered> {
    let told = told_recordings(events);
    recovered
        .iter()
        .filter(|found| !told.contains(&found.recording))
        .collect()
}

struct OpenRecording {
    id: RecordingId,
    kind: RecordingKind,
    started: Timestamp,
    /// Length at the last checkpoint.
    safe_ms: u64,
}

/// What is not over after a call's facts.
#[derive(Default)]
struct Open {
    ended: bool,
    legs: Vec<LegId>,
    offers: Vec<(LegId, AgentId)>,
    menu: Option<String>,
    queue: Option<GroupId>,
    /// A party is being passed on.
    transfer: bool,
    recordings: Vec<OpenRecording>,
    /// Who, and when his time is over.
    wrap_ups: Vec<(AgentId, Timestamp)>,
    /// A message that was recorded to its end, of which it isn't said yet whether it was kept.
    messages: Vec<(RecordingId, u64)>,
    voicemails: Vec<RecordingId>,
}

impl Open {
    fn of(events: &[CallEvent]) -> Self {
        let mut open = Self::default();
        for event in events {
            open.take(event);
        }
        open
    }

    fn take(&mut self, event: &CallEvent) {
        match &event.fact {
            CallFact::Started { .. } => self.legs.push(LegId::FIRST),
            // The first leg is open from the start.
            CallFact::TrunkDialed { leg, .. } | CallFact::AgentDialed { leg, .. } => {
                if *leg != LegId::FIRST {
                    self.legs.push(*leg);
                }
            }
            CallFact::LegTaken { leg, .. } | CallFact::LegReplaced { by: leg, .. } => {
                self.legs.push(*leg);
            }
            CallFact::TransferStarted { .. } => self.transfer = true,
            CallFact::TransferEnded { .. } => self.transfer = false,
            CallFact::StepEntered { step, kind, .. } => {
                self.menu = (*kind == model::StepKind::Menu).then(|| step.clone());
            }
            CallFact::MenuLeft { .. } => self.menu = None,
            CallFact::QueueJoined { group, .. } => self.queue = Some(*group),
            CallFact::QueueLeft { .. } => self.queue = None,
            CallFact::MonitorOffered { leg, .. } => self.legs.push(*leg),
            CallFact::OfferMade { leg, agent, .. } => {
                self.legs.push(*leg);
                self.offers.push((*leg, *agent));
            }
            CallFact::OfferAnswered { leg, .. } | CallFact::OfferEnded { leg, .. } => {
                self.offers.retain(|(offered, _)| offered != leg);
            }
            CallFact::LegEnded { leg, .. } => self.legs.retain(|open| open != leg),
            CallFact::RecordingStarted { recording, kind } => {
                self.recordings.push(OpenRecording {
                    id: *recording,
                    kind: *kind,
                    started: event.at,
                    safe_ms: 0,
                });
                if *kind == RecordingKind::Voicemail {
                    self.voicemails.push(*recording);
                }
            }
            CallFact::RecordingCheckpoint {
                recording,
                duration_ms,
            } => {
                if let Some(open) = self
                    .recordings
                    .iter_mut()
                    .find(|open| open.id == *recording)
                {
                    open.safe_ms = *duration_ms;
                }
            }
            CallFact::RecordingStopped {
                recording,
                duration_ms,
                ..
            }
            | CallFact::RecordingFailed {
                recording,
                duration_ms,
                ..
            } => {
                self.recordings.retain(|open| open.id != *recording);
                if self.voicemails.contains(recording) {
                    self.messages.push((*recording, *duration_ms));
                }
            }
            CallFact::VoicemailLeft { recording, .. } => {
                self.messages.retain(|(message, _)| message != recording);
            }
            CallFact::Ended { .. } => self.ended = true,
            CallFact::WrapUpStarted { agent, seconds } => {
                let until = event
                    .at
                    .checked_add(SignedDuration::from_secs(i64::from(*seconds)))
                    .unwrap_or(Timestamp::MAX);
                self.wrap_ups.push((*agent, until));
            }
            CallFact::WrapUpEnded { agent } => {
                if let Some(done) = self.wrap_ups.iter().position(|(who, _)| who == agent) {
                    self.wrap_ups.remove(done);
                }
            }
            CallFact::FlowStarted { .. }
            | CallFact::AgentCalls { .. }
            | CallFact::CallRefused { .. }
            | CallFact::TrunkFailed { .. }
            | CallFact::CalleeAnswered { .. }
            | CallFact::CallerConnected
            | CallFact::DigitPressed { .. }
            | CallFact::LegRinging { .. }
            | CallFact::LegGiven { .. }
            | CallFact::LegReason { .. }
            | CallFact::Bridged { .. }
            | CallFact::RoomEntered { .. }
            | CallFact::RecordingSkipped { .. }
            | CallFact::RecordingPaused { .. }
            | CallFact::RecordingResumed { .. }
            | CallFact::MonitorStarted { .. }
            | CallFact::LegHeld { .. }
            | CallFact::LegRetrieved { .. }
            | CallFact::AudioMissing { .. }
            | CallFact::AudioBack { .. }
            | CallFact::LegMeasured { .. } => {}
        }
    }

    fn close(mut self, recovered: &[Recovered], untold: &[&Recovered]) -> Vec<CallFact> {
        let cause = HangupCause::NodeLost;
        let mut facts = Vec::new();
        if !self.ended {
            facts.extend(
                self.menu
                    .take()
                    .map(|step| CallFact::MenuLeft { step, key: None }),
            );
            facts.extend(
                self.offers
                    .iter()
                    .map(|&(leg, agent)| CallFact::OfferEnded {
                        leg,
                        agent,
                        reason: OfferEnd::Canceled,
                    }),
            );
            facts.extend(self.queue.map(|group| CallFact::QueueLeft {
                group,
                outcome: QueueOutcome::Canceled,
            }));
            if self.transfer {
                let failed = Some(cause);
                facts.push(CallFact::TransferEnded { failed });
            }
            facts.extend(
                self.legs
                    .iter()
                    .map(|&leg| CallFact::LegEnded { leg, cause }),
            );
            for open in &self.recordings {
                let recording = open.id;
                let found = recovered
                    .iter()
                    .find(|recovered| recovered.recording == recording);
                let duration_ms = found.map_or(0, |found| found.duration_ms);
                facts.push(match found {
                    Some(found) => CallFact::RecordingStopped {
                        recording,
                        duration_ms,
                        bytes: found.bytes,
                    },
                    None => CallFact::RecordingFailed {
                        recording,
                        reason: missing(open.safe_ms),
                        duration_ms,
                    },
                });
                if open.kind == RecordingKind::Voicemail {
                    self.messages.push((recording, duration_ms));
                }
            }
            for found in untold {
                let (recording, kind) = (found.recording, found.kind);
                let duration_ms = found.duration_ms;
                facts.push(CallFact::RecordingStarted { recording, kind });
                facts.push(CallFact::RecordingStopped {
                    recording,
                    duration_ms,
                    bytes: found.bytes,
                });
                if kind == RecordingKind::Voicemail {
                    self.messages.push((recording, duration_ms));
                }
            }
            facts.extend(self.messages.iter().map(|&(recording, duration_ms)| {
                CallFact::VoicemailLeft {
                    recording,
                    duration_ms,
                    kept: duration_ms >= MIN_MESSAGE_MS,
                }
            }));
        }
        facts.extend(
            self.wrap_ups
                .iter()
                .map(|&(agent, _)| CallFact::WrapUpEnded { agent }),
        );
        if !self.ended {
            facts.push(CallFact::Ended { cause });
        }
        facts
    }
}

fn missing(safe_ms: u64) -> String {
    match safe_ms {
        0 => "the server died before any audio was safe".to_owned(),
        safe_ms => format!(
            "the server died and the file with {} s of audio was not found",
            safe_ms / 1000
        ),
    }
}
