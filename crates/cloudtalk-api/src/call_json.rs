//! A call as `calls/index` shows it, with everybody who took part.

use std::collections::{HashMap, HashSet};

use model::{
    AgentId, CallId, CallRecord, CallStep, ContactId, Direction, GroupId, NumberId, RecordingState,
    TenantId,
};
use serde_json::{Map, Value, json};
use store::{
    StoreError,
    directory::{Agent, CallLabels, Contact, GroupFilter, Number, NumberFilter, Page},
};

use crate::{
    CloudTalk,
    context::{Context, shown},
    core::agents,
};

/// What a page of calls refers to, read in a few queries however many calls there are.
pub(crate) struct Surroundings {
    pub numbers: HashMap<NumberId, Number>,
    pub agents: HashMap<AgentId, Agent>,
    pub contacts: HashMap<ContactId, Contact>,
    pub groups: HashMap<AgentId, Vec<(GroupId, String)>>,
    pub labels: HashMap<CallId, CallLabels>,
    e164: HashMap<NumberId, String>,
    erased: HashSet<CallId>,
}

impl Surroundings {
    pub(crate) async fn of(
        state: &CloudTalk,
        tenant: TenantId,
        calls: &[CallRecord],
    ) -> Result<Self, StoreError> {
        let db = &state.db;
        let contacts: HashSet<ContactId> = calls.iter().filter_map(|call| call.contact).collect();
        let contacts = db
            .contacts_by_ids(tenant, &contacts.into_iter().collect::<Vec<_>>())
            .await?;
        let mut agents: HashSet<AgentId> = calls.iter().filter_map(|call| call.agent).collect();
        agents.extend(
            contacts
                .iter()
                .filter_map(|contact| contact.fields.favorite_agent),
        );
        let agents = db
            .agents_by_ids(tenant, &agents.into_iter().collect::<Vec<_>>())
            .await?;
        let numbers = db
            .numbers(tenant, &NumberFilter::default(), Page::ALL)
            .await?
            .rows;
        let names: HashMap<GroupId, String> = db
            .groups(tenant, &GroupFilter::default(), Page::ALL)
            .await?
            .rows
            .into_iter()
            .map(|group| (group.id, group.internal_name))
            .collect();
        let mut groups: HashMap<AgentId, Vec<(GroupId, String)>> = HashMap::new();
        for (group, agent) in db.memberships(tenant).await? {
            if let Some(name) = names.get(&group) {
                groups.entry(agent).or_default().push((group, name.clone()));
            }
        }
        let ids: Vec<CallId> = calls.iter().map(|call| call.id).collect();
        Ok(Self {
            e164: numbers
                .iter()
                .map(|number| (number.id, number.e164.clone()))
                .collect(),
            numbers: numbers
                .into_iter()
                .map(|number| (number.id, number))
                .collect(),
            agents: agents.into_iter().map(|agent| (agent.id, agent)).collect(),
            contacts: contacts
                .into_iter()
                .map(|contact| (contact.id, contact))
                .collect(),
            groups,
            labels: db.call_labels(tenant, &ids).await?,
            erased: db.calls_with_erased_audio(tenant, &ids).await?,
        })
    }

    /// Whether there is audio to be played.
    pub(crate) fn is_recorded(&self, call: &CallRecord) -> bool {
        has_audio(call) && !self.erased.contains(&call.id)
    }
}

/// Whether a call's record promises audio. What became of the file later is not in it.
pub(crate) fn has_audio(call: &CallRecord) -> bool {
    call.recording
        .as_ref()
        .is_some_and(|recording| match recording.state {
            RecordingState::Kept => true,
            RecordingState::Failed { .. } => recording.duration_ms > 0,
            RecordingState::Running | RecordingState::Paused | RecordingState::Dropped => false,
        })
}

/// Why a recording is not whole, or was never made.
pub(crate) fn recording_error(call: &CallRecord) -> Option<&str> {
    match &call.recording.as_ref()?.state {
        RecordingState::Failed { reason } => Some(reason),
        _ => None,
    }
}

/// Seconds as people count them. Talk that took place is never 0: that would mean a missed call.
pub(crate) fn seconds(ms: u64) -> u64 {
    (ms + 500) / 1000
}

pub(crate) fn talking_seconds(call: &CallRecord) -> u64 {
    let seconds = seconds(call.talking_ms);
    if call.is_answered() {
        seconds.max(1)
    } else {
        0
    }
}

/// What the carriers charge, with six decimals. Trunks without a price list cost nothing here.
fn price(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

pub(crate) fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming => "incoming",
        Direction::Outgoing => "outgoing",
        Direction::Internal => "internal",
    }
}

/// One item of the list. The order of the keys is that of the original.
pub(crate) fn item(context: &Context, call: &CallRecord, around: &Surroundings) -> Value {
    let mut item = Map::new();
    item.insert("Cdr".into(), cdr(context, call, around));
    if let Some(number) = call.number.and_then(|id| around.numbers.get(&id)) {
        item.insert("CallNumber".into(), call_number(number));
    }
    if let Some(agent) = call.agent.and_then(|id| around.agents.get(&id)) {
        item.insert("Agent".into(), agent_block(context, agent, around));
    }
    if let Some(contact) = call.contact.and_then(|id| around.contacts.get(&id)) {
        item.insert("Contact".into(), contact_block(context, contact, around));
    }
    let none = CallLabels::default();
    let labels = around.labels.get(&call.id).unwrap_or(&none);
    let ratings = labels.ratings.iter();
    let ratings: Vec<Value> =
        ratings.map(|rating| json!({"id": rating.id.to_string(), "type": rating.kind, "rating": rating.rating})).collect();
    item.insert("Ratings".into(), ratings.into());
    item.insert(
        "BillingCall".into(),
        json!({"price": price(call.cost_micros)}),
    );
    let notes: Vec<Value> = labels
        .notes
        .iter()
        .map(|note| json!({"id": note.id.to_string(), "note": note.note}))
        .collect();
    item.insert("Notes".into(), notes.into());
    let tags: Vec<Value> = labels
        .tags
        .iter()
        .map(|tag| json!({"id": tag.id.to_string(), "name": tag.name}))
        .collect();
    item.insert("Tags".into(), tags.into());
    Value::Object(item)
}

fn cdr(context: &Context, call: &CallRecord, around: &Surroundings) -> Value {
    let number = call.number.and_then(|id| around.numbers.get(&id));
    let is_redirected = number.is_some_and(|number| number.is_redirected);
    let is_local = match (&call.external, &call.internal) {
        (Some(external), Some(internal)) => external.calling_code() == internal.calling_code(),
        _ => false,
    };
    let recorded = around.is_recorded(call);
    let mut cdr = json!({
        "id": call.id.to_string(),
        "uuid": call.uuid,
        "billsec": seconds(call.total_ms).to_string(),
        "type": direction(call.direction),
        "public_external": shown(call.external.as_ref()),
        "public_internal": call.internal.as_ref().map(model::PhoneNumber::as_str),
        "recorded": recorded,
        "is_voicemail": call.is_voicemail,
        "fax_email": null,
        "is_redirected": if is_redirected { "1" } else { "0" },
        "redirected_from": "",
        "transferred_from": transferred_from(call),
        "is_local": is_local,
        "user_id": call.agent.map(|id| id.to_string()),
        "talking_time": talking_seconds(call).to_string(),
        "waiting_time": seconds(call.waiting_ms),
        "wrapup_time": seconds(call.wrap_up_ms).to_string(),
        "started_at": context.date(call.started_at),
    });
    if let Some(fields) = cdr.as_object_mut() {
        if let Some(at) = call.answered_at {
            fields.insert("answered_at".into(), context.date(at).into());
        }
        if let Some(at) = call.ended_at {
            fields.insert("ended_at".into(), context.date(at).into());
        }
        // Ours: the original says neither why a call ended nor why audio is missing.
        if let Some(cause) = call.cause {
            fields.insert("hangup_cause".into(), json!(cause));
        }
        // Ours too: what an agent dialled, why it was refused, and which carriers were asked.
        if let Some(dialled) = &call.dialled {
            fields.insert("dialled".into(), dialled.as_str().into());
        }
        if let Some(reason) = &call.refused {
            fields.insert("refused".into(), reason.as_str().into());
        }
        if !call.attempts.is_empty() {
            fields.insert("trunk_attempts".into(), attempts(call));
        }
        if let Some(reason) = &call.reason {
            fields.insert("hangup_reason".into(), json!(reason));
        }
        if let Some(reason) = recording_error(call) {
            fields.insert("recording_error".into(), reason.into());
        }
        if recorded {
            let link = format!("{}/r/play/{}", context.state.config.public_url, call.id);
            fields.insert("recording_link".into(), link.into());
        }
    }
    cdr
}

/// The carriers that were asked to connect a call, and what came of it.
pub(crate) fn attempts(call: &CallRecord) -> Value {
    let attempts = call.attempts.iter().map(|attempt| {
        json!({
            "trunk": attempt.name,
            "why": attempt.why,
            "status": attempt.status,
            "failed": attempt.failed,
        })
    });
    attempts.collect()
}

/// The call whose party came to this one.
fn transferred_from(call: &CallRecord) -> Option<String> {
    call.steps.iter().find_map(|step| match step {
        CallStep::Transfer(step) => step.from.map(|from| from.to_string()),
        _ => None,
    })
}

fn call_number(number: &Number) -> Value {
    json!({
        "id": number.id.to_string(),
        "internal_name": number.internal_name,
        "caller_id_e164": number.e164,
        "country_code": number.country_code,
        "area_code": number.area_code,
    })
}

fn agent_block(context: &Context, agent: &Agent, around: &Surroundings) -> Value {
    let groups: Vec<&str> = around
        .groups
        .get(&agent.id)
        .map_or_else(Vec::new, |groups| {
            groups.iter().map(|(_, name)| name.as_str()).collect()
        });
    json!({
        "id": agent.id.to_string(),
        "firstname": agent.first_name,
        "lastname": agent.last_name,
        "fullname": agent.full_name(),
        "email": agent.email,
        "language": agent.language,
        "role": agent.role.as_str(),
        "status": agents::status(&context.state, agent),
        "default_outbound_number": agents::default_number(agent, &around.e164),
        "associated_numbers": agents::associated_numbers(agent, &around.e164),
        "groups": groups,
    })
}

fn contact_block(context: &Context, contact: &Contact, around: &Surroundings) -> Value {
    let fields = &contact.fields;
    let tags: Vec<Value> = contact
        .tags
        .iter()
        .map(|tag| json!({"id": tag.id.to_string(), "name": tag.name}))
        .collect();
    let urls: Vec<Value> = contact
        .urls
        .iter()
        .map(|url| json!({"name": url.name, "url": url.url}))
        .collect();
    let favorite = fields.favorite_agent.and_then(|id| around.agents.get(&id));
    let mut block = json!({
        "id": contact.id.to_string(),
        "name": fields.name,
        "title": fields.title,
        "company": fields.company,
        "industry": fields.industry,
        "address": fields.address,
        "city": fields.city,
        "zip": fields.zip.as_deref().unwrap_or_default(),
        "state": fields.state,
        "type": fields.kind.as_str(),
        "tags": tags,
        "external_urls": urls,
        "contact_numbers": contact.numbers,
        "contact_emails": contact.emails,
        "favorite_agent": favorite.map(|agent| agent_block(context, agent, around)),
    });
    if let Some(block) = block.as_object_mut()
        && !contact.attributes.is_empty()
    {
        let custom: Vec<Value> = contact
            .attributes
            .iter()
            .map(|value| json!({"key": value.title, "value": value.value}))
            .collect();
        block.insert("custom_fields".into(), custom.into());
    }
    block
}
