//! `agents/…`

use std::collections::HashMap;

use axum::response::Response;
use model::{AgentId, Availability, NumberId, TenantId};
use serde_json::{Value, json};
use store::{
    Db, StoreError,
    directory::{Agent, AgentFilter, AgentPatch, AgentRole, NewAgent, NumberFilter, Page},
};

use super::{Asked, found};
use crate::{
    CloudTalk,
    body::{Fields, is_email},
    context::Context,
    error::{BAD_EMAIL, CoreError, Problems, REQUIRED},
    password, reply,
};

const NAME_LIMIT: usize = 255;
const PASSWORD_LIMIT: usize = 1024;
const WRAP_UP_SECONDS: u32 = 30;

/// The word for what an agent is doing.
pub(crate) fn status(state: &CloudTalk, agent: &Agent) -> &'static str {
    if agent.deleted_at.is_some() {
        return "offline";
    }
    if state.hooks.on_call(agent.tenant, agent.id) {
        return "calling";
    }
    match agent.availability {
        Availability::Online => "online",
        Availability::Idle => "paused",
        Availability::Offline => "offline",
    }
}

/// The E.164 of all numbers of a company.
pub(crate) async fn numbers_of(
    db: &Db,
    tenant: TenantId,
) -> Result<HashMap<NumberId, String>, StoreError> {
    let numbers = db
        .numbers(tenant, &NumberFilter::default(), Page::ALL)
        .await?;
    Ok(numbers
        .rows
        .into_iter()
        .map(|number| (number.id, number.e164))
        .collect())
}

pub(super) async fn index(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Context { query, tenant, .. } = asked.context;
    let db = asked.context.db();
    let filter = AgentFilter {
        id: query.id("id").map(AgentId),
        associated_number: query.number("associated_number"),
        extension: None,
    };
    let page = query.page();
    let agents = db.agents(*tenant, &filter, page).await?;
    let numbers = numbers_of(db, *tenant).await?;
    Ok(reply::list(
        agents,
        page,
        |agent| json!({"Agent": item(&asked.context.state, &agent, &numbers)}),
    ))
}

fn item(state: &CloudTalk, agent: &Agent, numbers: &HashMap<NumberId, String>) -> Value {
    json!({
        "id": agent.id.to_string(),
        "name": agent.sip_username,
        "firstname": agent.first_name,
        "lastname": agent.last_name,
        "email": agent.email,
        // Calls over an operator's own trunk cost nothing here, so no limit can be used up.
        "is_daily_limit_ok": true,
        "status_outbound": agent.status_outbound,
        "availability_status": status(state, agent),
        "extension": agent.extension.to_string(),
        "call_number_id": agent.default_number.map(|id| id.0),
        "default_number": default_number(agent, numbers),
        "associated_numbers": associated_numbers(agent, numbers),
    })
}

pub(crate) fn default_number<'a>(
    agent: &Agent,
    numbers: &'a HashMap<NumberId, String>,
) -> Option<&'a str> {
    agent
        .default_number
        .and_then(|id| numbers.get(&id))
        .map(String::as_str)
}

pub(crate) fn associated_numbers<'a>(
    agent: &Agent,
    numbers: &'a HashMap<NumberId, String>,
) -> Vec<&'a str> {
    agent
        .associated_numbers
        .iter()
        .filter_map(|id| numbers.get(id))
        .map(String::as_str)
        .collect()
}

pub(super) async fn add(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Asked {
        context, fields, ..
    } = asked;
    let (db, tenant) = (context.db(), context.tenant);
    let mut problems = Problems::default();
    let email = fields.email("email", &mut problems);
    let first_name = fields.required("firstname", NAME_LIMIT, &mut problems);
    let last_name = fields.required("lastname", NAME_LIMIT, &mut problems);
    let secret = fields.text("pass").unwrap_or_default();
    if secret.is_empty() {
        problems.add("pass", REQUIRED);
    } else if secret.len() > PASSWORD_LIMIT {
        problems.add("pass", crate::error::too_long(PASSWORD_LIMIT));
    }
    let extension = bounded(&fields, "extension", 1000..=9999, &mut problems).flatten();
    let common = common(context, &fields, &mut problems).await?;
    problems.finish()?;
    if let Some(seats) = context.state.config.max_agents
        && db.count_agents(tenant).await? >= seats
    {
        return Err(CoreError::NoSeat);
    }
    let new = NewAgent {
        first_name,
        last_name,
        email,
        extension: extension.unwrap_or_default(),
        sip_username: String::new(),
        password_hash: password::hash(secret.clone()).await,
        sip: password::sip_secrets("", "", ""),
        language: "en".into(),
        role: AgentRole::Agent,
        // No interface turns the switch yet; until a phone registers he is rung by nobody.
        availability: Availability::Online,
        status_outbound: common.status_outbound.unwrap_or(true),
        daily_price_limit: common.daily_price_limit.flatten(),
        default_number: common.default_number.flatten(),
        wrap_up_seconds: WRAP_UP_SECONDS,
    };
    let id = insert(context, new, extension, &secret).await?;
    context.state.hooks.directory_changed(tenant);
    Ok(reply::created(id.0))
}

/// Finds the extension and the device's name while others may be doing the same.
async fn insert(
    context: &Context,
    mut new: NewAgent,
    wanted: Option<u16>,
    secret: &str,
) -> Result<AgentId, CoreError> {
    let (db, tenant) = (context.db(), context.tenant);
    let realm = &context.state.config.sip_realm;
    let mut in_full = false;
    for _ in 0..8 {
        new.extension = match wanted {
            Some(extension) => extension,
            None => db
                .next_free_extension(tenant)
                .await?
                .ok_or(CoreError::NoSeat)?,
        };
        // The extension alone, unless another company's agent has it.
        new.sip_username = if in_full {
            format!("{tenant}{}", new.extension)
        } else {
            new.extension.to_string()
        };
        new.sip = password::sip_secrets(&new.sip_username, realm, secret);
        match db.add_agent(tenant, new.clone(), context.now).await {
            Ok(id) => return Ok(id),
            Err(StoreError::Duplicate {
                what: "sip_username",
            }) => in_full = true,
            Err(StoreError::Duplicate { what: "extension" }) if wanted.is_none() => {}
            Err(StoreError::Duplicate { what: "extension" }) => {
                return Err(Problems::one(
                    "extension",
                    "Extension has already been used. Please select different one.",
                ));
            }
            Err(error) => return Err(taken_email(error)),
        }
    }
    Err(CoreError::Store(StoreError::Duplicate {
        what: "extension",
    }))
}

fn taken_email(error: StoreError) -> CoreError {
    match error {
        StoreError::Duplicate { what: "email" } => Problems::one(
            "email",
            "Email has already been used. Please select different one.",
        ),
        other => other.into(),
    }
}

pub(super) async fn edit(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Asked {
        context,
        fields,
        id,
    } = asked;
    let (db, tenant, id) = (context.db(), context.tenant, AgentId(id));
    if db
        .agent(tenant, id)
        .await?
        .is_none_or(|agent| agent.deleted_at.is_some())
    {
        return Err(CoreError::NotFound);
    }
    let mut problems = Problems::default();
    let email = fields.limited("email", NAME_LIMIT, &mut problems);
    if email.as_ref().is_some_and(|email| !is_email(email)) {
        problems.add("email", BAD_EMAIL);
    }
    let first_name = fields.not_empty("firstname", NAME_LIMIT, &mut problems);
    let last_name = fields.not_empty("lastname", NAME_LIMIT, &mut problems);
    let common = common(context, &fields, &mut problems).await?;
    problems.finish()?;
    let patch = AgentPatch {
        first_name,
        last_name,
        email,
        status_outbound: common.status_outbound,
        daily_price_limit: common.daily_price_limit,
        default_number: common.default_number,
        ..Default::default()
    };
    found(
        db.edit_agent(tenant, id, patch)
            .await
            .map_err(taken_email)?,
    )?;
    context.state.hooks.directory_changed(tenant);
    Ok(reply::done())
}

pub(super) async fn delete(asked: Asked<'_>) -> Result<Response, CoreError> {
    let context = asked.context;
    found(
        context
            .db()
            .delete_agent(context.tenant, AgentId(asked.id), context.now)
            .await?,
    )?;
    context.state.hooks.directory_changed(context.tenant);
    Ok(reply::done())
}

/// What add and edit share.
struct Common {
    status_outbound: Option<bool>,
    daily_price_limit: Option<Option<u16>>,
    default_number: Option<Option<NumberId>>,
}

async fn common(
    context: &Context,
    fields: &Fields,
    problems: &mut Problems,
) -> Result<Common, CoreError> {
    let default_number = fields
        .integer("call_number_id", problems)
        .map(|id| id.map(NumberId));
    if let Some(Some(number)) = default_number
        && context.db().number(context.tenant, number).await?.is_none()
    {
        problems.add("call_number_id", "Please supply a valid value.");
    }
    Ok(Common {
        status_outbound: fields.flag("status_outbound", problems),
        daily_price_limit: bounded(fields, "daily_price_limit", 1..=200, problems),
        default_number,
    })
}

fn bounded(
    fields: &Fields,
    name: &str,
    bounds: std::ops::RangeInclusive<u16>,
    problems: &mut Problems,
) -> Option<Option<u16>> {
    let value = fields.integer(name, problems)?;
    let Some(value) = value else {
        return Some(None);
    };
    match u16::try_from(value)
        .ok()
        .filter(|value| bounds.contains(value))
    {
        Some(value) => Some(Some(value)),
        None => {
            problems.add(
                name,
                format!(
                    "Please supply a number from {} to {}.",
                    bounds.start(),
                    bounds.end()
                ),
            );
            None
        }
    }
}
