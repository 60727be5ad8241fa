//! Recordings, after-call work and the end.

use jiff::SignedDuration;
use model::{
    AgentId, CallFact, HangupCause, LegId, OfferEnd, QueueOutcome, RecordingId, RecordingKind,
    Timestamp,
};

use super::{
    Output,
    machine::{Call, OpenRecording, Out, Stage, TalkingStage, after, after_seconds},
    recording_id,
};

/// A shorter message is taken for none: the caller waited for the beep to end and hung up.
pub const MIN_MESSAGE_MS: u64 = 2_000;

/// How long a recorder may take to close its file before the call ends without it.
const STOP_PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// How long after its time the end of a wrap-up is waited for.
const WRAP_UP_PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// Recordings in one call.
const MAX_RECORDINGS: u8 = 99;

impl Call {
    /// Starts to keep the customer's audio, and the agent's where there is one.
    pub(super) fn start_recording(
        &mut self,
        kind: RecordingKind,
        left: LegId,
        right: Option<LegId>,
        out: &mut Out,
    ) -> Option<RecordingId> {
        if self.recordings_made == MAX_RECORDINGS {
            return None;
        }
        self.recordings_made += 1;
        let recording = recording_id(self.new.id, self.recordings_made);
        self.recordings.push(OpenRecording {
            id: recording,
            kind,
            safe_ms: 0,
            paused: false,
            pauses: 0,
            stop_by: None,
        });
        out.fact(CallFact::RecordingStarted { recording, kind });
        out.act(Output::StartRecording {
            recording,
            kind,
            left,
            right,
        });
        Some(recording)
    }

    pub(super) fn stop_recording(&mut self, now: Timestamp, recording: RecordingId, out: &mut Out) {
        let open = self
            .recordings
            .iter_mut()
            .find(|open| open.id == recording && open.stop_by.is_none());
        if let Some(open) = open {
            open.stop_by = Some(after(now, STOP_PATIENCE));
            out.act(Output::StopRecording { recording });
        }
    }

    pub(super) fn checkpoint(&mut self, recording: RecordingId, duration_ms: u64, out: &mut Out) {
        if let Some(open) = self.recordings.iter_mut().find(|open| open.id == recording) {
            open.safe_ms = duration_ms;
            out.fact(CallFact::RecordingCheckpoint {
                recording,
                duration_ms,
            });
        }
    }

    pub(super) fn recording_stopped(
        &mut self,
        now: Timestamp,
        recording: RecordingId,
        duration_ms: u64,
        bytes: u64,
        out: &mut Out,
    ) {
        let Some(open) = self.take_recording(recording) else {
            return;
        };
        out.fact(CallFact::RecordingStopped {
            recording,
            duration_ms,
            bytes,
        });
        self.recording_over(now, &open, duration_ms, HangupCause::FlowEnded, out);
    }

    pub(super) fn recording_failed(
        &mut self,
        now: Timestamp,
        recording: RecordingId,
        reason: String,
        duration_ms: u64,
        out: &mut Out,
    ) {
        let Some(open) = self.take_recording(recording) else {
            return;
        };
        out.fact(CallFact::RecordingFailed {
            recording,
            reason,
            duration_ms,
        });
        self.recording_over(now, &open, duration_ms, HangupCause::MediaFailed, out);
    }

    fn take_recording(&mut self, recording: RecordingId) -> Option<OpenRecording> {
        let at = self
            .recordings
            .iter()
            .position(|open| open.id == recording)?;
        Some(self.recordings.swap_remove(at))
    }

    /// A conversation goes on without its recording. A mailbox that keeps nothing does not.
    fn recording_over(
        &mut self,
        now: Timestamp,
        open: &OpenRecording,
        duration_ms: u64,
        cause: HangupCause,
        out: &mut Out,
    ) {
        let recording = open.id;
        if open.kind == RecordingKind::Voicemail {
            let kept = duration_ms >= MIN_MESSAGE_MS;
            out.fact(CallFact::VoicemailLeft {
                recording,
                duration_ms,
                kept,
            });
            if !kept {
                out.act(Output::DiscardRecording { recording });
            }
        }
        match &self.stage {
            Stage::Message {
                recording: current, ..
            } if *current == recording => self.end(now, cause, out),
            Stage::Ending { .. } => self.conclude(out),
            _ => {}
        }
    }

    pub(super) fn recording_timers(&mut self, now: Timestamp, out: &mut Out) {
        while let Some(open) = self
            .recordings
            .iter()
            .find(|open| open.stop_by.is_some_and(|by| by <= now))
        {
            let (id, safe_ms) = (open.id, open.safe_ms);
            self.recording_failed(
                now,
                id,
                "the recorder did not close the file in time".to_owned(),
                safe_ms,
                out,
            );
        }
    }

    pub(super) fn start_wrap_up(
        &mut self,
        now: Timestamp,
        agent: AgentId,
        seconds: u32,
        out: &mut Out,
    ) {
        self.busy.retain(|busy| *busy != agent);
        if seconds > 0 {
            out.fact(CallFact::WrapUpStarted { agent, seconds });
            self.wrap_ups
                .push((agent, after(after_seconds(now, seconds), WRAP_UP_PATIENCE)));
        }
        out.act(Output::StartWrapUp { agent, seconds });
    }

    /// An agent is in this call although no queue gave it to him, until the call ends.
    pub(super) fn busy(&mut self, agent: AgentId, out: &mut Out) {
        if !self.busy.contains(&agent) {
            self.busy.push(agent);
            out.act(Output::AgentBusy { agent });
        }
    }

    pub(super) fn wrap_up_ended(&mut self, agent: AgentId, out: &mut Out) {
        let Some(at) = self.wrap_ups.iter().position(|(who, _)| *who == agent) else {
            return;
        };
        self.wrap_ups.swap_remove(at);
        out.fact(CallFact::WrapUpEnded { agent });
        self.finish_when_done(out);
    }

    pub(super) fn wrap_up_timers(&mut self, now: Timestamp, out: &mut Out) {
        while let Some(&(agent, _)) = self.wrap_ups.iter().find(|(_, until)| *until <= now) {
            self.wrap_up_ended(agent, out);
        }
    }

    /// A running call ends; an ended one no longer waits for after-call work.
    pub(super) fn ended_by_operator(&mut self, now: Timestamp, cause: HangupCause, out: &mut Out) {
        match self.stage {
            Stage::Ended => {
                while let Some(&(agent, _)) = self.wrap_ups.first() {
                    self.wrap_up_ended(agent, out);
                }
            }
            Stage::Ending { .. } | Stage::Finished => {}
            _ => self.end(now, cause, out),
        }
    }

    /// Ends every leg and gives everything back. [`CallFact::Ended`] follows when the recordings are
    /// closed, so that a call that has ended is whole.
    pub(super) fn end(&mut self, now: Timestamp, cause: HangupCause, out: &mut Out) {
        self.leave_queue(QueueOutcome::Canceled, OfferEnd::Canceled, cause, out);
        self.stop_dialing(cause, out);
        self.stop_transfer(now, cause, out);
        if let Stage::Menu(menu) = &self.stage {
            out.fact(CallFact::MenuLeft {
                step: menu.step.clone(),
                key: None,
            });
        }
        // The recorder stops while its legs still exist.
        if let Stage::Message { recording, .. }
        | Stage::Room {
            recording: Some(recording),
            ..
        }
        | Stage::Talking(TalkingStage {
            recording: Some(recording),
            ..
        }) = self.stage
        {
            self.stop_recording(now, recording, out);
        }
        if self.caller_up {
            self.caller_up = false;
            out.fact(CallFact::LegEnded {
                leg: self.caller,
                cause,
            });
            out.act(Output::HangUp {
                leg: self.caller,
                cause,
            });
        }
        if let Stage::Talking(talking) = std::mem::replace(&mut self.stage, Stage::Ending { cause })
        {
            out.fact(CallFact::LegEnded {
                leg: talking.leg,
                cause,
            });
            out.act(Output::HangUp {
                leg: talking.leg,
                cause,
            });
            self.conversation_over(now, &talking, out);
        }
        for agent in std::mem::take(&mut self.busy) {
            self.start_wrap_up(now, agent, 0, out);
        }
        self.conclude(out);
    }

    fn conclude(&mut self, out: &mut Out) {
        let Stage::Ending { cause } = self.stage else {
            return;
        };
        if self.recordings.is_empty() {
            out.fact(CallFact::Ended { cause });
            self.stage = Stage::Ended;
            self.finish_when_done(out);
        }
    }

    fn finish_when_done(&mut self, out: &mut Out) {
        if matches!(self.stage, Stage::Ended) && self.wrap_ups.is_empty() {
            self.stage = Stage::Finished;
            out.act(Output::Finished);
        }
    }
}
