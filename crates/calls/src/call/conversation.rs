//! What happens while people talk: recording switched off and on, hold, a party that is not heard.

use model::{CallFact, LegId, NoAudio, RecordingKind};

use super::{
    Output,
    machine::{Call, Out, Repeat, Stage, TalkingStage},
};

/// How often recording may be switched off in one recording. A stuck key must not fill the ledger.
const MAX_PAUSES: u32 = 200;
/// How often hold and missing audio are put on record in one call.
const MAX_NOTES: u32 = 200;

impl Call {
    /// Begins to keep a conversation, if the rules say so.
    pub(super) fn record_conversation(
        &mut self,
        talking: &TalkingStage,
        out: &mut Out,
    ) -> Option<model::RecordingId> {
        let (customer, agent) = self.sides(talking);
        let decision =
            self.new
                .recording
                .decide(self.new.direction, talking.agent, self.flow_recording);
        if decision.record {
            return self.start_recording(RecordingKind::Conversation, customer, Some(agent), out);
        }
        out.fact(CallFact::RecordingSkipped {
            rule: decision.rule,
        });
        None
    }

    /// Somebody with the right to do so switches recording. On begins a recording where the rules had none.
    pub(super) fn switch_recording(&mut self, on: bool, out: &mut Out) {
        let Stage::Talking(talking) = &self.stage else {
            return;
        };
        let (customer, agent) = self.sides(talking);
        let running = talking.recording.and_then(|id| {
            self.recordings
                .iter_mut()
                .find(|open| open.id == id && open.stop_by.is_none())
        });
        match running {
            Some(open) if open.paused == on => {
                if !on && open.pauses >= MAX_PAUSES {
                    return;
                }
                let recording = open.id;
                open.paused = !on;
                open.pauses += u32::from(!on);
                if on {
                    out.fact(CallFact::RecordingResumed { recording });
                    out.act(Output::ResumeRecording { recording });
                } else {
                    out.fact(CallFact::RecordingPaused { recording });
                    out.act(Output::PauseRecording { recording });
                }
            }
            Some(_) => {}
            None if on => {
                let recording =
                    self.start_recording(RecordingKind::Conversation, customer, Some(agent), out);
                if let Stage::Talking(talking) = &mut self.stage {
                    talking.recording = recording;
                }
            }
            None => {}
        }
    }

    /// The customer's leg and the agent's: the agent is the caller where he placed the call.
    pub(super) fn sides(&self, talking: &TalkingStage) -> (LegId, LegId) {
        if self.placed(talking) {
            (talking.leg, self.caller)
        } else {
            (self.caller, talking.leg)
        }
    }

    /// An agent's phone holds the conversation: whoever he talks with hears music meanwhile.
    pub(super) fn held(&mut self, leg: LegId, out: &mut Out) {
        let Stage::Talking(talking) = &self.stage else {
            self.referrer_holds(leg, true, out);
            return;
        };
        let (customer, agent) = self.sides(talking);
        // A customer's own hold is his telephone's affair; among colleagues both are agents.
        let listener = match leg {
            leg if leg == agent && talking.agent.is_some() => customer,
            leg if leg == customer && self.agent_on(talking, leg).is_some() => agent,
            _ => return,
        };
        let music = match &mut self.stage {
            Stage::Talking(talking) if talking.held_by.is_none() => {
                talking.held_by = Some(leg);
                talking.hold_music.clone()
            }
            _ => return,
        };
        if self.may_note() {
            out.fact(CallFact::LegHeld { leg });
        }
        self.play_to(listener, music, Repeat::Forever, out);
    }

    /// It came back.
    pub(super) fn retrieved(&mut self, leg: LegId, out: &mut Out) {
        self.referrer_holds(leg, false, out);
        let listener = match &mut self.stage {
            Stage::Talking(talking) if talking.held_by == Some(leg) => {
                talking.held_by = None;
                if leg == self.caller {
                    talking.leg
                } else {
                    self.caller
                }
            }
            _ => return,
        };
        if self.may_note() {
            out.fact(CallFact::LegRetrieved { leg });
        }
        out.act(Output::StopPlaying { leg: listener });
    }

    pub(super) fn audio_missing(&mut self, leg: LegId, reason: NoAudio, out: &mut Out) {
        if self.is_up(leg) && !self.unheard.contains(&leg) && self.may_note() {
            self.unheard.push(leg);
            out.fact(CallFact::AudioMissing { leg, reason });
        }
    }

    pub(super) fn audio_back(&mut self, leg: LegId, out: &mut Out) {
        if self.is_up(leg)
            && let Some(at) = self.unheard.iter().position(|unheard| *unheard == leg)
        {
            self.unheard.swap_remove(at);
            out.fact(CallFact::AudioBack { leg });
        }
    }

    fn is_up(&self, leg: LegId) -> bool {
        match &self.stage {
            Stage::Ending { .. } | Stage::Ended | Stage::Finished => false,
            Stage::Talking(talking) if talking.leg == leg => true,
            _ => leg == self.caller && self.caller_up,
        }
    }

    fn may_note(&mut self) -> bool {
        self.notes = self.notes.saturating_add(1);
        self.notes <= MAX_NOTES
    }
}
