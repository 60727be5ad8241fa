//! The call list and its recordings.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Path, Query, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use model::{AgentId, CallId, CallRecord, ContactId, Direction, RecordingState};
use phone::recordings::Playable;
use serde::{Deserialize, Serialize};
use store::ledger::{CallQuery, CallStatus};
use tower::ServiceExt;
use tower_http::services::ServeFile;

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
    /// `running`, `kept` or `failed`.
    state: &'static str,
    duration_ms: u64,
    /// Why it was cut short, when it was.
    problem: Option<String>,
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
    let items = found
        .calls
        .iter()
        .map(|record| call(record, &names))
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
        .flat_map(|call| [call.agent, call.callee])
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

fn call(record: &CallRecord, names: &Names) -> Call {
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

/// The WAV, whole or the range a player asks for.
pub(crate) async fn recording(
    State(console): State<Console>,
    person: Person,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ConsoleError> {
    const MISSING: ConsoleError = ConsoleError::NotFound("recording");
    let id: CallId = id.parse().map_err(|_| MISSING)?;
    let call = console.db.call(person.tenant(), id).await?.ok_or(MISSING)?;
    let visible = match person.sight(&console).await? {
        Sight::Everybody => true,
        Sight::Own(agent) => call.agent == Some(agent),
        Sight::Nothing => false,
    };
    if !visible {
        return Err(MISSING);
    }
    match console
        .phone
        .recordings()
        .playable(person.tenant(), id)
        .await?
    {
        Playable::File(path) => {
            let served = ServeFile::new(path).oneshot(request).await;
            let mut response = served.into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("audio/wav"));
            headers.insert(
                header::CACHE_CONTROL,
                HeaderValue::from_static("private, no-store"),
            );
            if let Ok(name) = HeaderValue::try_from(format!("inline; filename=\"call-{id}.wav\"")) {
                headers.insert(header::CONTENT_DISPOSITION, name);
            }
            Ok(response)
        }
        Playable::Erased => Err(ConsoleError::Erased),
        Playable::None => Err(MISSING),
    }
}
