//! Recordings: playing, drawing, switching, deleting, and what a company sets about them.

use std::collections::BTreeMap;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use axum_extra::{TypedHeader, headers::Range};
use http::{StatusCode, header};
use model::{AgentId, CallId, CallRecord, MonitorMode, NumberId, PauseMode, RecordingKind};
use phone::recordings::{Audio, Channels, Peaks, Playable};
use serde::{Deserialize, Serialize};
use store::recordings::{AgentRecording, Deleted, Receipt, RecordingSettings};

use crate::{
    Console,
    error::ConsoleError,
    session::{Acting, Person, Sight},
};

const MISSING: ConsoleError = ConsoleError::NotFound("recording");
/// Receipts on a page.
const PAGE: u64 = 50;
/// The longest time that can be set: a hundred years.
const MOST_DAYS: u32 = 36_500;

/// A call that this person may hear.
async fn heard(console: &Console, person: &Person, id: &str) -> Result<CallRecord, ConsoleError> {
    let id: CallId = id.parse().map_err(|_| MISSING)?;
    let call = console.db.call(person.tenant(), id).await?.ok_or(MISSING)?;
    let visible = match person.sight(console).await? {
        Sight::Everybody => true,
        Sight::Own(agent) => call.agent == Some(agent),
        Sight::Nothing => false,
    };
    if visible { Ok(call) } else { Err(MISSING) }
}

/// The WAV, whole or the range a player asks for.
pub(crate) async fn play(
    State(console): State<Console>,
    person: Person,
    Path(id): Path<String>,
    range: Option<TypedHeader<Range>>,
) -> Result<Response, ConsoleError> {
    let call = heard(&console, &person, &id).await?;
    let recordings = console.phone.recordings();
    let playable = recordings
        .playable(person.tenant(), call.id, Channels::AsRecorded)
        .await?;
    match playable {
        Playable::Audio(audio) => Ok(served(audio, range.map(|range| range.0), call.id)),
        Playable::Erased => Err(ConsoleError::Erased),
        Playable::None => Err(MISSING),
    }
}

/// RFC 9110 §14: one range is served, several are answered with the whole file.
fn served(audio: Audio, range: Option<Range>, call: CallId) -> Response {
    use std::ops::Bound;
    let length = audio.length();
    let wanted: Vec<_> = range
        .iter()
        .flat_map(|range| range.satisfiable_ranges(length))
        .collect();
    let (status, part) = match (&range, wanted.as_slice()) {
        (None, _) | (Some(_), [_, _, ..]) => (StatusCode::OK, 0..length),
        (Some(_), []) => {
            let note = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
            return (StatusCode::RANGE_NOT_SATISFIABLE, note).into_response();
        }
        (Some(_), [(from, to)]) => {
            let from = match from {
                Bound::Included(at) => *at,
                Bound::Excluded(at) => at + 1,
                Bound::Unbounded => 0,
            };
            let to = match to {
                Bound::Included(at) => at + 1,
                Bound::Excluded(at) => *at,
                Bound::Unbounded => length,
            };
            (StatusCode::PARTIAL_CONTENT, from..to.min(length))
        }
    };
    let mut response = (
        status,
        [
            (header::CONTENT_TYPE, "audio/wav".to_owned()),
            (header::CACHE_CONTROL, "private, no-store".to_owned()),
            (header::ACCEPT_RANGES, "bytes".to_owned()),
            (
                header::CONTENT_LENGTH,
                part.end.saturating_sub(part.start).to_string(),
            ),
            (
                header::CONTENT_DISPOSITION,
                format!("inline; filename=\"call-{call}.wav\""),
            ),
        ],
    )
        .into_response();
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(note) = format!("bytes {}-{}/{length}", part.start, part.end - 1).parse()
    {
        response.headers_mut().insert(header::CONTENT_RANGE, note);
    }
    *response.body_mut() = Body::from_stream(audio.stream(part));
    response
}

/// The outline of a recording.
pub(crate) async fn peaks(
    State(console): State<Console>,
    person: Person,
    Path(id): Path<String>,
) -> Result<Json<Peaks>, ConsoleError> {
    let call = heard(&console, &person, &id).await?;
    let recordings = console.phone.recordings();
    let peaks = recordings.peaks(person.tenant(), call.id).await?;
    peaks.map(Json).ok_or(MISSING)
}

/// Deletes a call's recording for good.
pub(crate) async fn delete(
    State(console): State<Console>,
    Acting(person): Acting,
    Path(id): Path<String>,
) -> Result<StatusCode, ConsoleError> {
    if !person.manages() {
        return Err(ConsoleError::Forbidden);
    }
    let call = heard(&console, &person, &id).await?;
    let deleted = Deleted {
        at: (console.clock)(),
        rule: format!("asked for by {}", person.0.user.email),
    };
    let recordings = console.phone.recordings();
    let erased = recordings
        .erase(person.tenant(), call.id, &deleted)
        .await
        .map_err(phone::recordings::AudioError::from)?;
    if erased {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(MISSING)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Switch {
    on: bool,
}

/// Switches the recording of a running call on or off: agents with the right to in their own calls, supervisors in
/// every call.
pub(crate) async fn switch(
    State(console): State<Console>,
    Acting(person): Acting,
    Path(id): Path<String>,
    Json(Switch { on }): Json<Switch>,
) -> Result<StatusCode, ConsoleError> {
    let call = heard(&console, &person, &id).await?;
    let may = match person.sight(&console).await? {
        Sight::Own(agent) => {
            let phone = &console.phone;
            phone.may_switch_recording(person.tenant(), agent).await?
        }
        _ => person.supervises(),
    };
    if !may {
        return Err(ConsoleError::Forbidden);
    }
    if console.phone.switch_recording(person.tenant(), call.id, on) {
        Ok(StatusCode::ACCEPTED)
    } else {
        Err(ConsoleError::Conflict("the call is over".to_owned()))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Monitor {
    mode: MonitorMode,
}

/// Rings the supervisor's own phone to let him take part in a running conversation.
pub(crate) async fn monitor(
    State(console): State<Console>,
    Acting(person): Acting,
    Path(id): Path<String>,
    Json(Monitor { mode }): Json<Monitor>,
) -> Result<StatusCode, ConsoleError> {
    if !person.supervises() {
        return Err(ConsoleError::Forbidden);
    }
    let call = heard(&console, &person, &id).await?;
    let agent = console.db.agent_by_email(&person.0.user.email).await?;
    let (agent, _) = agent
        .filter(|(agent, _)| agent.tenant == person.tenant())
        .ok_or_else(|| ConsoleError::Conflict("you have no phone here: listening in rings the phone of the agent with your email address".to_owned()))?;
    if console.phone.devices(&agent.sip_username) == 0 {
        return Err(ConsoleError::Conflict(
            "your phone is not registered: listening in rings it".to_owned(),
        ));
    }
    if console
        .phone
        .monitor(person.tenant(), call.id, agent.id, mode)
    {
        Ok(StatusCode::ACCEPTED)
    } else {
        Err(ConsoleError::Conflict("the call is over".to_owned()))
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Settings {
    incoming: bool,
    outgoing: bool,
    internal: bool,
    agents_may_switch: bool,
    pause_mode: PauseMode,
    /// Null: they are kept for ever.
    conversation_days: Option<u32>,
    voicemail_days: Option<u32>,
    /// Numbers and agents that differ from the company.
    #[serde(default)]
    numbers: Vec<NumberRule>,
    #[serde(default)]
    agents: Vec<AgentRule>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NumberRule {
    id: i64,
    record: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AgentRule {
    id: i64,
    record: Option<bool>,
    may_switch: Option<bool>,
}

pub(crate) async fn settings(
    State(console): State<Console>,
    person: Person,
) -> Result<Json<Settings>, ConsoleError> {
    if !person.supervises() {
        return Err(ConsoleError::Forbidden);
    }
    let set = console.db.recording_settings(person.tenant()).await?;
    Ok(Json(Settings {
        incoming: set.incoming,
        outgoing: set.outgoing,
        internal: set.internal,
        agents_may_switch: set.agents_may_switch,
        pause_mode: set.pause_mode,
        conversation_days: set.conversation_days,
        voicemail_days: set.voicemail_days,
        numbers: set
            .numbers
            .into_iter()
            .map(|(id, record)| NumberRule { id: id.0, record })
            .collect(),
        agents: set
            .agents
            .into_iter()
            .map(|(id, rules)| AgentRule {
                id: id.0,
                record: rules.record,
                may_switch: rules.may_switch,
            })
            .collect(),
    }))
}

pub(crate) async fn save_settings(
    State(console): State<Console>,
    Acting(person): Acting,
    Json(wanted): Json<Settings>,
) -> Result<StatusCode, ConsoleError> {
    if !person.manages() {
        return Err(ConsoleError::Forbidden);
    }
    for (field, days) in [
        ("conversationDays", wanted.conversation_days),
        ("voicemailDays", wanted.voicemail_days),
    ] {
        if days.is_some_and(|days| !(1..=MOST_DAYS).contains(&days)) {
            return Err(ConsoleError::Invalid(format!(
                "{field} must be from 1 to {MOST_DAYS}, or null to keep recordings for ever"
            )));
        }
    }
    let tenant = person.tenant();
    let own = console.db.agents_of(tenant).await?;
    if let Some(rule) = wanted
        .agents
        .iter()
        .find(|rule| !own.iter().any(|agent| agent.id.0 == rule.id))
    {
        return Err(ConsoleError::Invalid(format!(
            "agents: there is no agent {}",
            rule.id
        )));
    }
    for rule in &wanted.numbers {
        if console
            .db
            .number(tenant, NumberId(rule.id))
            .await?
            .is_none()
        {
            return Err(ConsoleError::Invalid(format!(
                "numbers: there is no number {}",
                rule.id
            )));
        }
    }
    let numbers: BTreeMap<_, _> = wanted
        .numbers
        .iter()
        .map(|rule| (NumberId(rule.id), rule.record))
        .collect();
    let agents: BTreeMap<_, _> = wanted
        .agents
        .iter()
        .map(|rule| {
            let rules = AgentRecording {
                record: rule.record,
                may_switch: rule.may_switch,
            };
            (AgentId(rule.id), rules)
        })
        .collect();
    let settings = RecordingSettings {
        incoming: wanted.incoming,
        outgoing: wanted.outgoing,
        internal: wanted.internal,
        agents_may_switch: wanted.agents_may_switch,
        pause_mode: wanted.pause_mode,
        conversation_days: wanted.conversation_days,
        voicemail_days: wanted.voicemail_days,
        numbers,
        agents,
    };
    console
        .db
        .save_recording_settings(tenant, &settings)
        .await?;
    console.phone.directory_changed(tenant).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Default, Deserialize)]
pub(crate) struct Turned {
    page: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipts {
    items: Vec<Shown>,
    page: u64,
    pages: u64,
    total: u64,
    /// Recordings that wait to be archived, and why the last attempt failed.
    waiting: u64,
    problem: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    call: CallId,
    kind: RecordingKind,
    recorded_at: String,
    deleted_at: String,
    rule: String,
}

/// What was deleted, when, and by which rule.
pub(crate) async fn receipts(
    State(console): State<Console>,
    person: Person,
    Query(turned): Query<Turned>,
) -> Result<Json<Receipts>, ConsoleError> {
    if !person.supervises() {
        return Err(ConsoleError::Forbidden);
    }
    let page = turned.page.unwrap_or(1).clamp(1, 1_000_000);
    let (receipts, total) = console
        .db
        .recording_receipts(person.tenant(), PAGE, page)
        .await?;
    let backlog = console.phone.recordings().backlog().await?;
    let items = receipts.into_iter().map(|receipt: Receipt| Shown {
        call: receipt.call,
        kind: receipt.kind,
        recorded_at: receipt.recorded_at.to_string(),
        deleted_at: receipt.deleted_at.to_string(),
        rule: receipt.rule,
    });
    Ok(Json(Receipts {
        items: items.collect(),
        page,
        pages: total.div_ceil(PAGE).max(1),
        total,
        waiting: backlog.waiting,
        problem: backlog.problem,
    }))
}
