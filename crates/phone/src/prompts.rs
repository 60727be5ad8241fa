//! From a flow's prompt to samples: the built-in sounds, and speech rendered once and cached.

use std::{path::PathBuf, sync::Arc};

use calls::flow::{Flow, Prompt, Step};
use media::{Sound, music, speech::Speech, tone};

/// The sounds of this server. Cheap to clone.
#[derive(Clone)]
pub struct Prompts {
    speech: Arc<Speech>,
    music: Arc<Sound>,
    beep: Arc<Sound>,
    ringback: Arc<Sound>,
}

impl Prompts {
    /// Keeps rendered speech below a folder.
    #[must_use]
    pub fn new(cache: PathBuf) -> Self {
        Self {
            speech: Arc::new(Speech::new(cache)),
            music: Arc::new(music::on_hold()),
            beep: Arc::new(tone::beep()),
            ringback: Arc::new(tone::ringback()),
        }
    }

    /// The samples of a prompt, `None` when it can't be made: the call goes on without, and the
    /// operator is told.
    pub(crate) async fn sound(&self, prompt: &Prompt) -> Option<Arc<Sound>> {
        match prompt {
            Prompt::Sound { name } if name == "music" => Some(Arc::clone(&self.music)),
            Prompt::Sound { name } if name == "beep" => Some(Arc::clone(&self.beep)),
            Prompt::Sound { name } if name == "ringback" => Some(Arc::clone(&self.ringback)),
            Prompt::Sound { name } => {
                tracing::warn!(sound = %name, "there is no sound of this name; the call goes on without it");
                None
            }
            Prompt::Speech { text, language } => match self.speech.render(text, language).await {
                Ok(sound) => Some(sound),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, %language, "a prompt could not be spoken; the call goes on without it");
                    None
                }
            },
        }
    }

    /// Renders what a flow says, so that its first caller doesn't wait for it.
    pub async fn prepare(&self, flow: &Flow) {
        for step in flow.steps.values() {
            for prompt in prompts_of(step) {
                self.sound(prompt).await;
            }
        }
    }
}

fn prompts_of(step: &Step) -> Vec<&Prompt> {
    match step {
        Step::Play(step) => vec![&step.prompt],
        Step::Menu(step) => std::iter::once(&step.prompt).chain(&step.invalid).collect(),
        Step::Queue(step) => vec![&step.music],
        Step::Voicemail(step) => vec![&step.prompt],
        Step::End(step) => step.prompt.iter().collect(),
        Step::Goto(_) => Vec::new(),
    }
}
