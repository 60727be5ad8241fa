//! The caller on his way from step to step.

use std::sync::Arc;

use model::{CallFact, HangupCause, QueueOutcome, Timestamp};

use super::{
    Output, PlaybackId,
    machine::{
        Announcement, Call, MenuPhase, MenuStage, Out, QueueStage, Repeat, Stage, after_seconds,
    },
};
use crate::flow::{MAX_STEP_VISITS, Menu, Prompt, Queue, Step};

impl Call {
    /// Leads the caller to a step, and through those that take no time. Without one, or when he has
    /// gone round too long, the call ends.
    pub(super) fn go(&mut self, now: Timestamp, target: Option<String>, out: &mut Out) {
        let flow = Arc::clone(&self.flow);
        let mut target = target;
        self.stage = Stage::Between;
        loop {
            self.visits += 1;
            let found = target.and_then(|key| flow.steps.get_key_value(&key));
            let Some((key, step)) = found.filter(|_| self.visits <= MAX_STEP_VISITS) else {
                return self.end(now, HangupCause::FlowEnded, out);
            };
            if let Some(kind) = step.kind() {
                out.fact(CallFact::StepEntered {
                    step: key.clone(),
                    kind,
                    name: step.label(key).to_owned(),
                });
            }
            match step {
                Step::Goto(goto) => target = Some(goto.target.clone()),
                Step::Recording(recording) => {
                    self.flow_recording = Some(recording.on);
                    target = recording.next.clone();
                }
                Step::Echo(echo) => {
                    let playback = self.play(echo.prompt.clone(), Repeat::Once, out);
                    self.stage = Stage::EchoPrompt {
                        playback,
                        seconds: echo.seconds,
                        next: echo.next.clone(),
                    };
                    return;
                }
                Step::Conference(conference) => {
                    return self.enter_conference(conference.room, out);
                }
                Step::Queue(queue) => match self.enter_queue(now, queue, out) {
                    Entered::Stays => return,
                    Entered::GoesOn(next) => target = next,
                },
                Step::Play(play) => {
                    let playback = self.play(play.prompt.clone(), Repeat::Once, out);
                    self.stage = Stage::Playing {
                        playback,
                        next: play.next.clone(),
                    };
                    return;
                }
                Step::Menu(menu) => {
                    let phase =
                        MenuPhase::Prompt(self.play(menu.prompt.clone(), Repeat::Once, out));
                    self.stage = Stage::Menu(MenuStage {
                        step: key.clone(),
                        asked: 1,
                        phase,
                    });
                    return;
                }
                Step::Voicemail(voicemail) => {
                    let playback = self.play(voicemail.prompt.clone(), Repeat::Once, out);
                    self.stage = Stage::Greeting {
                        playback,
                        max_seconds: voicemail.max_seconds,
                    };
                    return;
                }
                Step::End(end) => return self.enter_end(now, end.prompt.clone(), out),
            }
        }
    }

    fn enter_end(&mut self, now: Timestamp, prompt: Option<Prompt>, out: &mut Out) {
        let cause = HangupCause::FlowEnded;
        match prompt {
            Some(prompt) => {
                let playback = self.play(prompt, Repeat::Once, out);
                self.stage = Stage::LastWords { playback, cause };
            }
            None => self.end(now, cause, out),
        }
    }

    fn enter_queue(&mut self, now: Timestamp, queue: &Queue, out: &mut Out) -> Entered {
        let group = queue.group;
        // A group deleted under the flow's feet has nobody online.
        let Some(info) = self.new.groups.get(&group) else {
            return Entered::GoesOn(queue.on_no_agents.clone());
        };
        out.fact(CallFact::QueueJoined {
            group,
            name: info.name.clone(),
            strategy: info.strategy,
        });
        if queue.max_wait_seconds == 0 {
            out.fact(CallFact::QueueLeft {
                group,
                outcome: QueueOutcome::NoAgentsAvailable,
            });
            return Entered::GoesOn(queue.on_timeout.clone());
        }
        self.play(queue.music.clone(), Repeat::Forever, out);
        out.act(Output::JoinQueue { group });
        self.stage = Stage::Queue(QueueStage {
            group,
            deadline: after_seconds(now, queue.max_wait_seconds),
            on_no_agents: queue.on_no_agents.clone(),
            on_timeout: queue.on_timeout.clone(),
            ringing: Vec::new(),
            tried: false,
            music: queue.music.clone(),
            announcement: queue.announcement.clone().map(|prompt| Announcement {
                prompt,
                every_seconds: queue.announce_every_seconds,
                due: after_seconds(now, queue.announce_every_seconds.max(1)),
            }),
        });
        Entered::Stays
    }

    pub(super) fn menu_digit(&mut self, now: Timestamp, digit: char, out: &mut Out) {
        let flow = Arc::clone(&self.flow);
        let Stage::Menu(stage) = &self.stage else {
            return;
        };
        let Some(menu) = menu_of(&flow, &stage.step) else {
            return;
        };
        let hears = matches!(stage.phase, MenuPhase::Prompt(_) | MenuPhase::Invalid(_));
        if hears && !menu.interruptible {
            return;
        }
        if hears {
            out.act(Output::StopPlaying { leg: self.caller });
        }
        match menu.keys.get(&digit) {
            Some(target) => {
                out.fact(CallFact::MenuLeft {
                    step: stage.step.clone(),
                    key: Some(digit),
                });
                self.go(now, Some(target.clone()), out);
            }
            None => self.ask_again(now, menu.invalid.clone(), out),
        }
    }

    pub(super) fn menu_played(&mut self, now: Timestamp, finished: PlaybackId, out: &mut Out) {
        let flow = Arc::clone(&self.flow);
        let Stage::Menu(stage) = &mut self.stage else {
            return;
        };
        let Some(menu) = menu_of(&flow, &stage.step) else {
            return;
        };
        match stage.phase {
            MenuPhase::Prompt(playback) if playback == finished => {
                stage.phase = MenuPhase::Waiting(after_seconds(now, menu.wait_seconds));
            }
            MenuPhase::Invalid(playback) if playback == finished => {
                let playback = self.play(menu.prompt.clone(), Repeat::Once, out);
                self.set_menu_phase(MenuPhase::Prompt(playback));
            }
            _ => {}
        }
    }

    /// The caller pressed nothing, or a key that leads nowhere and of which he is told.
    pub(super) fn ask_again(&mut self, now: Timestamp, invalid: Option<Prompt>, out: &mut Out) {
        let flow = Arc::clone(&self.flow);
        let Stage::Menu(stage) = &mut self.stage else {
            return;
        };
        let Some(menu) = menu_of(&flow, &stage.step) else {
            return;
        };
        if stage.asked > menu.retries {
            out.fact(CallFact::MenuLeft {
                step: stage.step.clone(),
                key: None,
            });
            return self.go(now, menu.on_no_input.clone(), out);
        }
        stage.asked += 1;
        let phase = match invalid {
            Some(prompt) => MenuPhase::Invalid(self.play(prompt, Repeat::Once, out)),
            None => MenuPhase::Prompt(self.play(menu.prompt.clone(), Repeat::Once, out)),
        };
        self.set_menu_phase(phase);
    }

    fn set_menu_phase(&mut self, phase: MenuPhase) {
        if let Stage::Menu(stage) = &mut self.stage {
            stage.phase = phase;
        }
    }
}

enum Entered {
    Stays,
    GoesOn(Option<String>),
}

fn menu_of<'a>(flow: &'a crate::flow::Flow, step: &str) -> Option<&'a Menu> {
    match flow.steps.get(step) {
        Some(Step::Menu(menu)) => Some(menu),
        _ => None,
    }
}
