//! The call list and its recordings.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Query, State},
};
use model::{
    AgentId, CallId, CallRecord, ContactId, Direction, LegAudio, LegId, NoAudio, RecordingRule,
    RecordingState, StreamQuality,
};
use serde::{Deserialize, Serialize};
use store::ledger::{CallQuery, CallStatus};

use crate::{
    Console,
    error::ConsoleError,
    session::{Person, Sight},
};

const PAGE: u64 = 25;

#[derive(Default, Deserialize)]
pub(crate) struct Filters {
    #[serde(default)]
    page: Option<u64>,
    status: Option<Status>,
    direction: Option<Direction>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Answered,
    Missed,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Calls {
    items: Vec<Call>,
    page: u64,
    pages: u64,
    total: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    id: CallId,
    direction: Direction,
    /// `running`, `answered`, `voicemail` or `missed`.
    status: &'static str,
    /// Absent when the caller hides it.
    external: Option<String>,
    internal: Option<String>,
    contact: Option<String>,
    agent: Option<String>,
    /// What the agent dialled, when he placed the call.
    dialled: Option<String>,
    /// The colleague whom an internal call was for.
    callee: Option<String>,
    /// Why the call was not placed.
    refused: Option<String>,
    /// The carriers that were asked, in order.
    attempts: Vec<Attempt>,
    started_at: String,
    waiting_ms: u64,
    talking_ms: u64,
    total_ms: u64,
    recording: Option<Recording>,
    /// The rule by which the conversation is not kept.
    not_recorded: Option<RecordingRule>,
    /// Whether this person may switch its recording now.
    may_switch_recording: bool,
    /// Whether this person may listen in now.
    may_monitor: bool,
    /// How the audio of its legs travelled.
    audio: Vec<Audio>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Audio {
    leg: LegId,
    /// Whose phone; null for the outside party.
    agent: Option<String>,
    codec: Option<String>,
    received: Option<Stream>,
    sent: Option<Stream>,
    round_trip_ms: Option<f32>,
    /// Why the party was not heard, when that happened.
    no_audio: Option<NoAudio>,
    /// Whether that is so still.
    is_missing: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stream {
    packets: u64,
    lost: u64,
    jitter_ms: f32,
    mos: f32,
}

#[derive(Serialize)]
struct Attempt {
    trunk: String,
    why: String,
    /// Absent for the one that connected the call, or still tries.
    failed: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recording {
    /// `running`, `paused`, `kept` or `failed`.
    state: &'static str,
    duration_ms: u64,
    /// Why it was cut short, when it was.
    problem: Option<String>,
}

/// What a person may do in running calls.
#[derive(Clone, Copy)]
struct May {
    switch: bool,
    monitor: bool,
}

/// The names behind the ids on one page.
struct Names {
    agents: HashMap<AgentId, String>,
    contacts: HashMap<ContactId, String>,
}

pub(crate) async fn list(
    State(console): State<Console>,
    person: Person,
    Query(filters): Query<Filters>,
) -> Result<Json<Calls>, ConsoleError> {
    let page = filters.page.unwrap_or(1).clamp(1, 1_000_000);
    let agent = match person.sight(&console).await? {
        Sight::Everybody => None,
        Sight::Own(agent) => Some(agent),
        Sight::Nothing => {
            return Ok(Json(Calls {
                items: Vec::new(),
                page: 1,
                pages: 1,
                total: 0,
            }));
        }
    };
    let query = CallQuery {
        status: filters.status.map(|status| match status {
            Status::Answered => CallStatus::Answered,
            Status::Missed => CallStatus::Missed,
        }),
        direction: filters.direction,
        agent,
        ..CallQuery::default()
    };
    let found = console
        .db
        .calls(person.tenant(), &query, PAGE, page)
        .await?;
    let names = names(&console, &person, &found.calls).await?;
    let monitor = person.supervises();
    let switch = match agent {
        Some(agent) => {
            let phone = &console.phone;
            phone.may_switch_recording(person.tenant(), agent).await?
        }
        None => monitor,
    };
    let may = May { switch, monitor };
    let items = found
        .calls
        .iter()
        .map(|record| call(record, &names, may))
        .collect();
    Ok(Json(Calls {
        items,
        page,
        pages: found.total.div_ceil(PAGE).max(1),
        total: found.total,
    }))
}

async fn names(
    console: &Console,
    person: &Person,
    calls: &[CallRecord],
) -> Result<Names, ConsoleError> {
    let agents: Vec<AgentId> = calls
        .iter()
        .flat_map(|call| {
            let heard = call.audio.iter().map(|leg| leg.agent);
            [call.agent, call.callee].into_iter().chain(heard)
        })
        .flatten()
        .collect();
    let contacts: Vec<ContactId> = calls.iter().filter_map(|call| call.contact).collect();
    let agents = console.db.agents_by_ids(person.tenant(), &agents).await?;
    let contacts = console
        .db
        .contacts_by_ids(person.tenant(), &contacts)
        .await?;
    Ok(Names {
        agents: agents
            .into_iter()
            .map(|agent| (agent.id, agent.full_name()))
            .collect(),
        contacts: contacts
            .into_iter()
            .map(|contact| (contact.id, contact.fields.name))
            .collect(),
    })
}

fn call(record: &CallRecord, names: &Names, may: May) -> Call {
    let talks = record.is_answered() && record.ended_at.is_none();
    Call {
        id: record.id,
        direction: record.direction,
        status: status(record),
        external: record.external.as_ref().map(ToString::to_string),
        internal: record.internal.as_ref().map(ToString::to_string),
        contact: record
            .contact
            .and_then(|id| names.contacts.get(&id).cloned()),
        agent: record.agent.and_then(|id| names.agents.get(&id).cloned()),
        dialled: record.dialled.clone(),
        callee: record.callee.and_then(|id| names.agents.get(&id).cloned()),
        refused: record.refused.clone(),
        attempts: record
            .attempts
            .iter()
            .map(|attempt| Attempt {
                trunk: attempt.name.clone(),
                why: attempt.why.clone(),
                failed: attempt.failed.clone(),
            })
            .collect(),
        started_at: record.started_at.to_string(),
        waiting_ms: record.waiting_ms,
        talking_ms: record.talking_ms,
        total_ms: record.total_ms,
        recording: playable(record),
        not_recorded: record.not_recorded,
        audio: record.audio.iter().map(|leg| audio(leg, names)).collect(),
        may_monitor: may.monitor && talks,
        may_switch_recording: may.switch && talks,
    }
}

fn audio(known: &LegAudio, names: &Names) -> Audio {
    let stream = |quality: &StreamQuality| Stream {
        packets: quality.packets,
        lost: quality.lost,
        jitter_ms: quality.jitter_ms,
        mos: quality.mos,
    };
    let quality = known.quality.as_ref();
    Audio {
        leg: known.leg,
        agent: known.agent.and_then(|id| names.agents.get(&id).cloned()),
        codec: quality.map(|quality| quality.codec.clone()),
        received: quality.map(|quality| stream(&quality.received)),
        sent: quality.and_then(|quality| quality.sent.as_ref().map(stream)),
        round_trip_ms: quality.and_then(|quality| quality.round_trip_ms),
        no_audio: known.no_audio,
        is_missing: known.is_missing,
    }
}

fn status(record: &CallRecord) -> &'static str {
    match record {
        record if record.ended_at.is_none() => "running",
        record if record.is_answered() => "answered",
        record if record.is_voicemail => "voicemail",
        _ => "missed",
    }
}

fn playable(record: &CallRecord) -> Option<Recording> {
    let recording = record.recording.as_ref()?;
    let (state, problem) = match &recording.state {
        RecordingState::Running => ("running", None),
        RecordingState::Paused => ("paused", None),
        RecordingState::Kept => ("kept", None),
        RecordingState::Failed { reason } => ("failed", Some(reason.clone())),
        RecordingState::Dropped => return None,
    };
    Some(Recording {
        state,
        duration_ms: recording.duration_ms,
        problem,
    })
}
