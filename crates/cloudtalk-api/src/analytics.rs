//! The detail of a call: what the caller went through, step by step. No envelope, UTC, real numbers.

use axum::response::Response;
use http::StatusCode;
use model::{
    CallId, CallRecord, CallStep, OfferEnd, OfferResult, OfferStep, QueueOutcome, QueueStep,
    RingStrategy, TenantId, TransferResult,
};
use serde_json::{Value, json};
use store::StoreError;

use crate::{
    CloudTalk,
    call_json::{Surroundings, attempts, direction, recording_error, seconds, talking_seconds},
    countries, dates,
    reply::json,
};

/// The answer to `GET /api/calls/{id}`.
pub(crate) async fn detail(state: &CloudTalk, tenant: TenantId, id: &str) -> Response {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = ["callId must be a number conforming to the specified constraints"];
        return json(
            StatusCode::BAD_REQUEST,
            &json!({"statusCode": 400, "message": message, "error": "Bad Request"}),
        );
    }
    // Too many digits are a number that no call has.
    match read(state, tenant, CallId(id.parse().unwrap_or(-1))).await {
        Ok(Some(body)) => json(StatusCode::OK, &body),
        Ok(None) => {
            let message = format!("Call with id '{id}' doesn't exist on company '{tenant}'");
            json(
                StatusCode::NOT_FOUND,
                &json!({"statusCode": 404, "message": message, "error": "Not Found"}),
            )
        }
        Err(error) => failed(&error),
    }
}

pub(crate) fn failed(error: &StoreError) -> Response {
    tracing::error!(error = error as &dyn std::error::Error, "request failed");
    json(
        StatusCode::INTERNAL_SERVER_ERROR,
        &json!({"statusCode": 500, "message": "Internal server error"}),
    )
}

async fn read(
    state: &CloudTalk,
    tenant: TenantId,
    id: CallId,
) -> Result<Option<Value>, StoreError> {
    let Some(call) = state.db.call(tenant, id).await? else {
        return Ok(None);
    };
    let around = Surroundings::of(state, tenant, std::slice::from_ref(&call)).await?;
    let resolved = if call.is_answered() {
        None
    } else {
        state.db.call_resolving(&call).await?
    };
    let resolver = match resolved.as_ref().and_then(|resolved| resolved.agent) {
        Some(agent) => state
            .db
            .agent(tenant, agent)
            .await?
            .map(|agent| agent.full_name()),
        None => None,
    };
    let resolution = Resolution::of(resolved.as_ref(), resolver);
    Ok(Some(
        Detail {
            call: &call,
            around: &around,
            resolution,
        }
        .json(),
    ))
}

/// The later call that made good for a missed one.
struct Resolution {
    by: Option<i64>,
    call: Value,
}

impl Resolution {
    fn of(call: Option<&CallRecord>, agent_name: Option<String>) -> Self {
        let call_json = json!({
            "id": call.map(|call| call.id.0),
            "date": call.map(|call| dates::utc(call.started_at)),
            "agent": {"id": call.and_then(|call| call.agent).map(|agent| agent.0), "name": agent_name},
        });
        Self {
            by: call.map(|call| call.id.0),
            call: call_json,
        }
    }

    fn none() -> Self {
        Self::of(None, None)
    }
}

struct Detail<'a> {
    call: &'a CallRecord,
    around: &'a Surroundings,
    resolution: Resolution,
}

impl Detail<'_> {
    fn json(&self) -> Value {
        let Self { call, around, .. } = self;
        let contact = call.contact.and_then(|id| around.contacts.get(&id));
        let number = call.number.and_then(|id| around.numbers.get(&id));
        let country = call
            .external
            .as_ref()
            .and_then(countries::by_number)
            .map(|country| country.alpha2);
        let labels = around.labels.get(&call.id);
        let tags: Vec<Value> = labels
            .map(|labels| {
                labels
                    .tags
                    .iter()
                    .map(|tag| json!({"id": tag.id.0, "label": tag.name}))
                    .collect()
            })
            .unwrap_or_default();
        let notes: Vec<&str> = labels
            .map(|labels| labels.notes.iter().map(|note| note.note.as_str()).collect())
            .unwrap_or_default();
        json!({
            "cdr_id": call.id.0,
            "uuid": call.uuid,
            "company_id": call.tenant.0,
            "date": dates::utc(call.started_at),
            "contact": {
                "id": contact.map(|contact| contact.id.0),
                "name": contact.map(|contact| contact.fields.name.as_str()),
                "country": country,
                "number": call.external,
            },
            "call_tags": tags,
            "call_rating": labels.and_then(|labels| labels.ratings.first()).map(|rating| rating.rating),
            "internal_number": {
                "id": call.number.map(|id| id.0),
                "name": number.map(|number| number.internal_name.as_str()),
                "number": call.internal,
            },
            "call_times": {
                "talking_time": talking_seconds(call),
                "wrap_up_time": seconds(call.wrap_up_ms),
                "ringing_time": seconds(call.ringing_ms),
                "total_time": seconds(call.total_ms),
                "waiting_time": seconds(call.waiting_ms),
                "holding_time": seconds(call.holding_ms),
            },
            "direction": direction(call.direction),
            "type": kind(call),
            "status": status(call.is_answered()),
            "call_steps": call.steps.iter().map(|step| self.step(step)).collect::<Vec<_>>(),
            "notes": notes,
            "recorded": around.is_recorded(call),
            "recording_error": recording_error(call),
            "hangup_cause": call.cause,
            "dialled": call.dialled,
            "refused": call.refused,
            "trunk_attempts": attempts(call),
            "hangup_reason": call.reason,
            "audio_quality": call.audio,
            // Nothing closes yet: there are no business hours.
            "out_of_office": false,
        })
    }

    fn step(&self, step: &CallStep) -> Value {
        match step {
            CallStep::Playback { name, at, total_ms } => {
                json!({"type": "playback", "id": null, "date": dates::utc(*at), "file": name, "total_time": seconds(*total_ms)})
            }
            CallStep::Conference { name, at, total_ms } => {
                json!({"type": "conference", "id": null, "name": name, "date": dates::utc(*at), "total_time": seconds(*total_ms)})
            }
            CallStep::Menu {
                at, total_ms, key, ..
            } => json!({
                "type": "ivr",
                "id": null,
                "date": dates::utc(*at),
                "total_time": seconds(*total_ms),
                "option": key.map(String::from),
            }),
            CallStep::Queue(queue) => self.queue(queue),
            CallStep::Transfer(step) => json!({
                "type": "transfer",
                "id": step.from.map(|from| from.0),
                "date": dates::utc(step.at),
                "endpoint": step.to,
                "status": if step.result == TransferResult::Completed { "answered" } else { "missed" },
            }),
            CallStep::Voicemail {
                at, total_ms, kept, ..
            } => json!({
                "type": "voicemail",
                "date": dates::utc(*at),
                "status": if *kept { "SUCCESS" } else { "FAILED" },
                "total_time": seconds(*total_ms),
            }),
        }
    }

    fn queue(&self, queue: &QueueStep) -> Value {
        let answered = queue.outcome == Some(QueueOutcome::Answered);
        let reason = queue.outcome.and_then(|outcome| match outcome {
            QueueOutcome::Answered => None,
            QueueOutcome::NoAgentsOnline => Some("no_agents_online"),
            QueueOutcome::NoAgentsAvailable => Some("no_agents_available"),
            QueueOutcome::NoAgentsPickedUp => Some("no_agents_picked_up"),
            QueueOutcome::Canceled => Some("canceled"),
        });
        let none = Resolution::none();
        let resolution = if answered { &none } else { &self.resolution };
        json!({
            "type": "queue",
            "id": queue.group.0,
            "name": queue.name,
            "date": dates::utc(queue.at),
            "call_times": {
                "talking_time": seconds(queue.talking_ms),
                "wrap_up_time": answered.then(|| seconds(self.call.wrap_up_ms)),
                "ringing_time": seconds(queue.ringing_ms),
                "total_time": seconds(queue.total_ms),
                "waiting_time": seconds(queue.waiting_ms),
                "holding_time": answered.then(|| seconds(self.call.holding_ms)),
            },
            "status": status(answered),
            "reason": reason,
            "resolved_by": resolution.by,
            "resolved_by_call": resolution.call,
            "strategy": match queue.strategy {
                RingStrategy::RingAll => "ringall",
                // The original has no word for longest idle; it too goes round and remembers.
                RingStrategy::RoundRobin | RingStrategy::LongestIdle => "rrmemory",
                RingStrategy::Random => "random",
            },
            "agent_calls": queue.offers.iter().map(|offer| self.offer(offer)).collect::<Vec<_>>(),
        })
    }

    fn offer(&self, offer: &OfferStep) -> Value {
        let answered = offer.result == Some(OfferResult::Answered);
        let reason = offer.result.and_then(|result| match result {
            OfferResult::Answered => None,
            OfferResult::Missed(OfferEnd::Busy) => Some("busy"),
            OfferResult::Missed(OfferEnd::NotPickedUp) => Some("not_picked_up"),
            OfferResult::Missed(OfferEnd::Rejected) => Some("rejected"),
            OfferResult::Missed(OfferEnd::Unavailable) => Some("unavailable"),
            OfferResult::Missed(OfferEnd::Canceled) => Some("canceled"),
        });
        let groups: Vec<i64> = self
            .around
            .groups
            .get(&offer.agent)
            .map_or_else(Vec::new, |groups| {
                groups.iter().map(|(id, _)| id.0).collect()
            });
        let none = Resolution::none();
        let resolution = if answered || self.call.is_answered() {
            &none
        } else {
            &self.resolution
        };
        json!({
            "type": "agent",
            "id": offer.agent.0,
            "name": offer.agent_name,
            "date": dates::utc(offer.at),
            "call_id": self.call.id.0,
            "call_times": {
                "talking_time": answered.then(|| seconds(offer.talking_ms)),
                "wrap_up_time": answered.then(|| seconds(self.call.wrap_up_ms)),
                "ringing_time": seconds(offer.ringing_ms),
                "total_time": seconds(offer.total_ms),
                "holding_time": answered.then(|| seconds(self.call.holding_ms)),
            },
            "group_ids": groups,
            "status": status(answered),
            "reason": reason,
            "resolved_by": resolution.by,
            "resolved_by_call": resolution.call,
        })
    }
}

fn status(answered: bool) -> &'static str {
    if answered { "answered" } else { "missed" }
}

/// What kind of call the details say it is.
fn kind(call: &CallRecord) -> &'static str {
    let passed_on = |step: &CallStep| matches!(step, CallStep::Transfer(step) if step.result == TransferResult::Completed);
    if call.steps.iter().any(passed_on) {
        "transferred"
    } else {
        "regular"
    }
}
