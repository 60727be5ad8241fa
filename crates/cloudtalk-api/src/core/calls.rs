//! `calls/index` and `calls/create`

use axum::response::Response;
use model::{AgentId, CallId, ContactId, Direction, TagId, Timestamp};
use store::{
    directory::{AgentFilter, Listed, Page},
    ledger::{CallQuery, CallStatus},
};

use super::Asked;
use crate::{
    ClickToCall,
    call_json::{Surroundings, item},
    context::Context,
    dates::{self, Bound},
    error::{BAD_TYPE, CoreError, Problems, REQUIRED},
    reply,
};

pub(super) async fn index(asked: Asked<'_>) -> Result<Response, CoreError> {
    let context = asked.context;
    let page = context.query.page();
    let query = query(context).await?;
    let found = context
        .db()
        .calls(context.tenant, &query, page.limit, page.number)
        .await?;
    let around = Surroundings::of(&context.state, context.tenant, &found.calls).await?;
    let listed = Listed {
        rows: found.calls,
        total: found.total,
    };
    Ok(reply::list(listed, page, |call| {
        item(context, &call, &around)
    }))
}

/// Rings the agent's phone, then the callee's. The answer comes when the agent's phone is about to
/// ring; there is no call id in it.
pub(super) async fn create(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Asked {
        context, fields, ..
    } = asked;
    let mut problems = Problems::default();
    let agent = fields.integer("agent_id", &mut problems).flatten();
    if agent.is_none() {
        problems.add("agent_id", REQUIRED);
    }
    let callee = fields.phone("callee_number", &mut problems);
    if callee.is_none() && !fields.says_something("callee_number") {
        problems.add("callee_number", REQUIRED);
    }
    problems.finish()?;
    let (Some(agent), Some(callee)) = (agent, callee) else {
        return Err(CoreError::Malformed);
    };
    let begun = context
        .state
        .hooks
        .click_to_call(context.tenant, AgentId(agent), callee)
        .await?;
    match begun {
        ClickToCall::Begun => Ok(reply::done()),
        ClickToCall::UnknownAgent => Err(CoreError::NotFound),
        ClickToCall::AgentNotOnline => Err(CoreError::AgentNotOnline),
        ClickToCall::AgentCalling => Err(CoreError::AgentCalling),
        ClickToCall::Refused(reason) => Err(CoreError::CallRefused(reason)),
    }
}

async fn query(context: &Context) -> Result<CallQuery, CoreError> {
    let sent = &context.query;
    let mut problems = Problems::default();
    let direction = sent.get("type").and_then(|word| {
        let direction = match word {
            "incoming" => Some(Direction::Incoming),
            "outgoing" => Some(Direction::Outgoing),
            "internal" => Some(Direction::Internal),
            _ => None,
        };
        if direction.is_none() {
            problems.add("type", BAD_TYPE);
        }
        direction
    });
    let status = sent.get("status").and_then(|word| {
        let status = match word {
            "answered" => Some(CallStatus::Answered),
            "missed" => Some(CallStatus::Missed),
            _ => None,
        };
        if status.is_none() {
            problems.add("status", "Please supply a valid status.");
        }
        status
    });
    let from = bound(context, "date_from", Bound::From, &mut problems);
    let to = bound(context, "date_to", Bound::To, &mut problems);
    problems.finish()?;
    Ok(CallQuery {
        id: sent.id("call_id").map(CallId),
        direction,
        status,
        external: sent.number("public_external"),
        internal: sent.number("public_internal"),
        contact: sent.id("contact_id").map(ContactId),
        agent: agent(context).await?,
        tag: sent.id("tag_id").map(TagId),
        from,
        to,
    })
}

/// By id, by extension, or by both when they mean the same.
async fn agent(context: &Context) -> Result<Option<AgentId>, CoreError> {
    const NOBODY: AgentId = AgentId(-1);
    let by_id = context.query.id("user_id").map(AgentId);
    let Some(extension) = context.query.get("agent_extension") else {
        return Ok(by_id);
    };
    let Ok(extension) = extension.parse() else {
        return Ok(Some(NOBODY));
    };
    let filter = AgentFilter {
        extension: Some(extension),
        ..Default::default()
    };
    let holder = context
        .db()
        .agents(context.tenant, &filter, Page::ALL)
        .await?
        .rows
        .pop()
        .map_or(NOBODY, |agent| agent.id);
    Ok(Some(if by_id.is_none_or(|id| id == holder) {
        holder
    } else {
        NOBODY
    }))
}

/// One end of a range of time, in company time unless it says otherwise.
pub(super) fn bound(
    context: &Context,
    name: &str,
    bound: Bound,
    problems: &mut Problems,
) -> Option<Timestamp> {
    let text = context.query.get(name)?;
    let at = dates::parse(text, &context.zone, bound);
    if at.is_none() {
        problems.add(name, "Please supply a valid date.");
    }
    at
}
