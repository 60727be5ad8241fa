//! Call flows: what a caller goes through, as data that people edit.

use std::collections::BTreeMap;

use model::{FlowId, GroupId, RoomId, StepKind};
use serde::{Deserialize, Serialize};

mod check;
#[cfg(test)]
mod tests;

pub use check::{FlowProblem, Severity};

/// Steps a caller may enter in one call. A flow that loops longer is ended.
pub const MAX_STEP_VISITS: u32 = 50;

/// A graph of steps. Stored as JSON; calls in progress keep the version they began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Its row.
    pub id: FlowId,
    /// The key of the first step.
    pub start: String,
    /// Steps by key.
    pub steps: BTreeMap<String, Step>,
}

/// One node of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Step {
    /// Plays a prompt to its end.
    Play(Play),
    /// Asks for a key.
    Menu(Menu),
    /// Waits for an agent of a group.
    Queue(Queue),
    /// Takes a message and ends the call.
    Voicemail(Voicemail),
    /// Ends the call.
    End(End),
    /// Goes on elsewhere.
    Goto(Goto),
    /// Decides whether the conversation that follows is recorded.
    Recording(Recording),
    /// Lets the caller hear himself, and tells him how well his audio travels.
    Echo(Echo),
    /// Brings the caller into a conference room.
    Conference(Conference),
}

/// Plays a prompt to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Play {
    /// As people see it.
    #[serde(default)]
    pub name: String,
    /// What is heard.
    pub prompt: Prompt,
    /// Where to go on; the call ends when absent.
    #[serde(default)]
    pub next: Option<String>,
}

/// Asks for a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Menu {
    /// As people see it.
    #[serde(default)]
    pub name: String,
    /// What is heard; each try hears it again.
    pub prompt: Prompt,
    /// Where each key leads.
    pub keys: BTreeMap<char, String>,
    /// Heard after a key that leads nowhere.
    #[serde(default)]
    pub invalid: Option<Prompt>,
    /// How often the caller is asked again after no key or a wrong one.
    #[serde(default = "defaults::retries")]
    pub retries: u32,
    /// How long a key is waited for after the prompt.
    #[serde(default = "defaults::wait_seconds")]
    pub wait_seconds: u32,
    /// Whether a key cuts the prompt short. Otherwise keys count only after its end.
    #[serde(default = "defaults::yes")]
    pub interruptible: bool,
    /// Where to go on without a valid key; the call ends when absent.
    #[serde(default)]
    pub on_no_input: Option<String>,
}

/// Waits for an agent of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// As people see it.
    #[serde(default)]
    pub name: String,
    /// Whose agents.
    pub group: GroupId,
    /// How long at most, ringing included. 0 does not wait at all.
    #[serde(default = "defaults::max_wait_seconds")]
    pub max_wait_seconds: u32,
    /// Heard while waiting, over and over.
    #[serde(default = "Prompt::music")]
    pub music: Prompt,
    /// Said over the music from time to time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announcement: Option<Prompt>,
    /// How often.
    #[serde(default = "defaults::announce_every_seconds")]
    pub announce_every_seconds: u32,
    /// Where to go on when nobody is online; the call ends when absent.
    #[serde(default)]
    pub on_no_agents: Option<String>,
    /// Where to go on when nobody took the call in time; the call ends when absent.
    #[serde(default)]
    pub on_timeout: Option<String>,
}

/// Takes a message and ends the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voicemail {
    /// As people see it.
    #[serde(default)]
    pub name: String,
    /// The greeting before the beep.
    pub prompt: Prompt,
    /// The longest message.
    #[serde(default = "defaults::message_seconds")]
    pub max_seconds: u32,
}

/// Ends the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// As people see it.
    #[serde(default)]
    pub name: String,
    /// Last words.
    #[serde(default)]
    pub prompt: Option<Prompt>,
}

/// Goes on elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goto {
    /// The step's key.
    pub target: String,
}

/// Decides whether the conversation that follows is recorded, before what numbers and agents are set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// As people see it.
    #[serde(default)]
    pub name: String,
    /// Whether to keep it.
    pub on: bool,
    /// Where to go on; the call ends when absent.
    #[serde(default)]
    pub next: Option<String>,
}

/// Lets the caller hear himself, and tells him how well his audio travels. `#` ends it early.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Echo {
    /// As people see it.
    #[serde(default)]
    pub name: String,
    /// Heard first.
    #[serde(default = "Prompt::echo")]
    pub prompt: Prompt,
    /// How long he hears himself.
    #[serde(default = "defaults::echo_seconds")]
    pub seconds: u32,
    /// Where to go on; the call ends when absent.
    #[serde(default)]
    pub next: Option<String>,
}

/// Brings the caller into a conference room, where he stays until he hangs up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conference {
    /// As people see it.
    #[serde(default)]
    pub name: String,
    /// Which room.
    pub room: RoomId,
}

/// Something to be heard.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Prompt {
    /// Text for the built-in speech.
    Speech {
        /// What is said.
        text: String,
        /// A language tag such as `en` or `sk`.
        #[serde(default = "defaults::language")]
        language: String,
    },
    /// A sound by its name in the library.
    Sound {
        /// Its name. `beep`, `music` and `ringback` always exist.
        name: String,
    },
}

impl Prompt {
    /// Says a text.
    #[must_use]
    pub fn speech(text: impl Into<String>, language: impl Into<String>) -> Self {
        Self::Speech {
            text: text.into(),
            language: language.into(),
        }
    }

    /// The built-in music on hold.
    #[must_use]
    pub fn music() -> Self {
        Self::Sound {
            name: "music".to_owned(),
        }
    }

    /// What a caller hears while the other phone rings.
    #[must_use]
    pub fn ringback() -> Self {
        Self::Sound {
            name: "ringback".to_owned(),
        }
    }

    /// What the echo test says first.
    #[must_use]
    pub fn echo() -> Self {
        Self::speech(
            "This is the echo test. After the tone you hear yourself. Press hash to hear the result.",
            "en",
        )
    }

    /// The beep after a voicemail greeting.
    #[must_use]
    pub fn beep() -> Self {
        Self::Sound {
            name: "beep".to_owned(),
        }
    }
}

impl Step {
    /// Everything a caller can hear in it.
    #[must_use]
    pub fn prompts(&self) -> Vec<&Prompt> {
        match self {
            Self::Play(step) => vec![&step.prompt],
            Self::Menu(step) => std::iter::once(&step.prompt).chain(&step.invalid).collect(),
            Self::Queue(step) => std::iter::once(&step.music)
                .chain(&step.announcement)
                .collect(),
            Self::Voicemail(step) => vec![&step.prompt],
            Self::End(step) => step.prompt.iter().collect(),
            Self::Echo(step) => vec![&step.prompt],
            Self::Goto(_) | Self::Recording(_) | Self::Conference(_) => Vec::new(),
        }
    }

    /// The name people gave it, or else what it says or its key.
    pub(crate) fn label<'a>(&'a self, key: &'a str) -> &'a str {
        let name = match self {
            Self::Play(step) => match (&step.prompt, step.name.as_str()) {
                (Prompt::Sound { name } | Prompt::Speech { text: name, .. }, "") => name,
                (_, name) => name,
            },
            Self::Menu(step) => &step.name,
            Self::Queue(step) => &step.name,
            Self::Voicemail(step) => &step.name,
            Self::End(step) => &step.name,
            Self::Echo(step) if step.name.is_empty() => "Echo test",
            Self::Echo(step) => &step.name,
            Self::Conference(step) if step.name.is_empty() => "Conference",
            Self::Conference(step) => &step.name,
            Self::Goto(_) | Self::Recording(_) => "",
        };
        if name.is_empty() { key } else { name }
    }

    /// Its kind in the ledger. A jump leaves no trace of its own.
    pub(crate) fn kind(&self) -> Option<StepKind> {
        match self {
            Self::Play(_) => Some(StepKind::Playback),
            Self::Menu(_) => Some(StepKind::Menu),
            Self::Queue(_) => Some(StepKind::Queue),
            Self::Voicemail(_) => Some(StepKind::Voicemail),
            Self::End(_) => Some(StepKind::End),
            Self::Echo(_) => Some(StepKind::Playback),
            Self::Conference(_) => Some(StepKind::Conference),
            Self::Goto(_) | Self::Recording(_) => None,
        }
    }
}

mod defaults {
    pub(super) fn retries() -> u32 {
        3
    }
    pub(super) fn wait_seconds() -> u32 {
        5
    }
    pub(super) fn yes() -> bool {
        true
    }
    pub(super) fn max_wait_seconds() -> u32 {
        60
    }
    pub(super) fn message_seconds() -> u32 {
        120
    }
    pub(super) fn announce_every_seconds() -> u32 {
        30
    }
    pub(super) fn echo_seconds() -> u32 {
        20
    }
    pub(super) fn language() -> String {
        "en".to_owned()
    }
}
