//! What an agent may be doing, and how a group rings its agents.

use serde::{Deserialize, Serialize};

/// What an agent chose in the status switch. Whether a device is registered, and whether a call is
/// up, are facts of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Takes calls.
    #[default]
    Online,
    /// Logged in, not taking queue calls (break, lunch, meeting).
    Idle,
    /// No calls either way.
    Offline,
}

/// The order in which a group's free agents are rung.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RingStrategy {
    /// Everyone at once; the first to answer wins.
    RingAll,
    /// Round robin that remembers who was rung last.
    RoundRobin,
    /// Anyone eligible, by chance.
    Random,
    /// Who has waited longest since his last call.
    #[default]
    LongestIdle,
}

/// What an agent does right now, as boards show it: his switch, his devices and his calls together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// Takes the next call.
    Available,
    /// His phone rings for a queue's caller.
    Ringing,
    /// In a conversation.
    OnCall,
    /// Works on a call after its end.
    WrapUp,
    /// Gets no calls: idle, offline, or without a registered device.
    Away,
}
