//! From a flow's prompt to samples: built-in sounds, uploaded ones, and speech rendered once and cached.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use calls::flow::{Flow, Prompt};
use media::{
    Sound, music,
    speech::{Provider, Speech},
    tone,
};
use model::TenantId;
use outbound::Outbound;
use store::Db;

use crate::{
    phone::Folders,
    sounds::{SoundError, Sounds},
    speech_service::{RemoteSpeech, SpeechService},
};

/// Prompts that failed and are remembered, so that each is told once.
const MOST_TOLD: usize = 1_000;

/// The sounds of this server. Cheap to clone.
#[derive(Clone)]
pub struct Prompts {
    db: Db,
    speech: Arc<Speech>,
    sounds: Sounds,
    music: Arc<Sound>,
    beep: Arc<Sound>,
    /// Prompts whose failure the operator was told of.
    told: Arc<Mutex<HashSet<(TenantId, Prompt)>>>,
    /// Since when music plays, for everybody.
    since: Instant,
}

impl Prompts {
    /// Keeps rendered speech and uploaded sounds in their folders; a service on the network may speak first.
    #[must_use]
    pub fn new(db: Db, folders: &Folders, service: Option<(SpeechService, Outbound)>) -> Self {
        let services = service.into_iter().map(|(service, outbound)| {
            Arc::new(RemoteSpeech::new(service, outbound)) as Arc<dyn Provider>
        });
        Self {
            speech: Arc::new(Speech::new(folders.speech.clone(), services.collect())),
            sounds: Sounds::new(db.clone(), folders.sounds.clone()),
            db,
            music: Arc::new(music::on_hold()),
            beep: Arc::new(tone::beep()),
            told: Arc::default(),
            since: Instant::now(),
        }
    }

    /// The uploaded sounds.
    #[must_use]
    pub fn sounds(&self) -> &Sounds {
        &self.sounds
    }

    /// Where a sound that is played over and over is now, in samples: it plays on whether anybody listens or not.
    pub(crate) fn position(&self, sound: &Sound) -> usize {
        let samples = self.since.elapsed().as_micros() / 125;
        let length = sound.samples().len().max(1) as u128;
        usize::try_from(samples % length).unwrap_or(0)
    }

    /// The samples of a prompt, `None` when it can't be made: the call goes on without, and the
    /// operator is told once.
    pub(crate) async fn sound(&self, tenant: TenantId, prompt: &Prompt) -> Option<Arc<Sound>> {
        let made = match prompt {
            Prompt::Sound { name } => match name.as_str() {
                "music" => return Some(Arc::clone(&self.music)),
                "beep" => return Some(Arc::clone(&self.beep)),
                "ringback" => return Some(self.ringback(tenant).await),
                name => self.sounds.samples(tenant, name).await.map_err(|error| {
                    let missing = matches!(error, SoundError::NotFound);
                    let why = if missing {
                        "no sound of this name was uploaded".to_owned()
                    } else {
                        error.to_string()
                    };
                    format!("the sound {name:?}: {why}")
                }),
            },
            Prompt::Speech { text, language } => self
                .speech
                .render(text, language)
                .await
                .map_err(|error| format!("a text in {language:?}: {error}")),
        };
        match made {
            Ok(sound) => {
                self.told().remove(&(tenant, prompt.clone()));
                Some(sound)
            }
            Err(problem) => {
                self.tell_once(tenant, prompt, &problem);
                None
            }
        }
    }

    /// What a caller hears while a phone rings, as it sounds in the company's country.
    async fn ringback(&self, tenant: TenantId) -> Arc<Sound> {
        let company = self.db.tenant(tenant).await.ok().flatten();
        let country = company.map_or_else(String::new, |company| company.country_code);
        Arc::new(tone::ringback(&country))
    }

    fn tell_once(&self, tenant: TenantId, prompt: &Prompt, problem: &str) {
        let mut told = self.told();
        if told.len() < MOST_TOLD && told.insert((tenant, prompt.clone())) {
            tracing::error!(tenant.id = tenant.0, %problem, "a prompt can't be heard; calls go on without it. This is told once");
        }
    }

    fn told(&self) -> std::sync::MutexGuard<'_, HashSet<(TenantId, Prompt)>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renders what a flow says, so that its first caller doesn't wait for it.
    pub async fn prepare(&self, tenant: TenantId, flow: &Flow) {
        for step in flow.steps.values() {
            for prompt in step.prompts() {
                self.sound(tenant, prompt).await;
            }
        }
    }
}
