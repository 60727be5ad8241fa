//! Carriers: their state, and changing them. Shared ones are shown and belong to the operator.

use axum::{
    Json,
    extract::{Path, State},
};
use calls::routing::{Rates, TrunkSettings};
use model::{TenantId, TrunkId};
use phone::trunks::{Problem, TrunkChange, TrunkView, describe};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Console,
    error::ConsoleError,
    session::{Manager, Person},
};

/// Changes of state that the list tells of each trunk.
const EVENTS: u64 = 10;

#[derive(Serialize)]
pub(crate) struct Trunks {
    items: Vec<Trunk>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Trunk {
    id: TrunkId,
    name: String,
    /// All companies use it, and the operator alone changes it.
    is_shared: bool,
    is_enabled: bool,
    /// `registered`, `answering`, `registering`, `failing`, `unknown`, `unusable` or `disabled`.
    state: &'static str,
    detail: String,
    has_password: bool,
    settings: TrunkSettings,
    prices: usize,
    /// Outgoing calls now, and today's sums.
    calls: u32,
    talked_ms: u64,
    spent_micros: u64,
    events: Vec<Event>,
}

#[derive(Serialize)]
struct Event {
    at: String,
    state: String,
    detail: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Change {
    name: String,
    settings: TrunkSettings,
    /// Absent keeps the one there is.
    #[serde(default)]
    password: Option<String>,
    #[serde(default = "yes")]
    is_enabled: bool,
}

fn yes() -> bool {
    true
}

impl From<Change> for TrunkChange {
    fn from(change: Change) -> Self {
        Self {
            name: change.name,
            settings: change.settings,
            password: change
                .password
                .filter(|password| !password.is_empty())
                .map(Into::into),
            is_enabled: change.is_enabled,
        }
    }
}

pub(crate) async fn list(
    State(console): State<Console>,
    person: Person,
) -> Result<Json<Trunks>, ConsoleError> {
    person.must_manage()?;
    let mut items = Vec::new();
    for trunk in console.phone.trunks().list(Some(person.tenant())) {
        items.push(shown(&console, trunk).await?);
    }
    Ok(Json(Trunks { items }))
}

async fn shown(console: &Console, trunk: TrunkView) -> Result<Trunk, ConsoleError> {
    let (state, detail) = match (&trunk.unusable, trunk.is_enabled) {
        (_, false) => ("disabled", String::new()),
        (Some(why), true) => ("unusable", why.clone()),
        (None, true) => describe(&trunk.status),
    };
    let events = console.phone.trunks().events(trunk.id, EVENTS).await?;
    Ok(Trunk {
        id: trunk.id,
        name: trunk.name,
        is_shared: trunk.tenant.is_none(),
        is_enabled: trunk.is_enabled,
        state,
        detail,
        has_password: trunk.has_password,
        settings: trunk.settings,
        prices: trunk.prices,
        calls: trunk.calls,
        talked_ms: trunk.talked_ms,
        spent_micros: trunk.spent_micros,
        events: events
            .into_iter()
            .map(|event| Event {
                at: event.at.to_string(),
                state: event.state,
                detail: event.detail,
            })
            .collect(),
    })
}

pub(crate) async fn add(
    State(console): State<Console>,
    manager: Manager,
    Json(change): Json<Change>,
) -> Result<Json<Value>, ConsoleError> {
    let trunks = console.phone.trunks();
    let id = trunks.add(Some(manager.tenant()), change.into()).await?;
    Ok(Json(json!({ "id": id })))
}

pub(crate) async fn save(
    State(console): State<Console>,
    manager: Manager,
    Path(id): Path<i64>,
    Json(change): Json<Change>,
) -> Result<Json<Value>, ConsoleError> {
    let trunks = console.phone.trunks();
    let owner = Some(manager.tenant());
    trunks.save(owner, TrunkId(id), change.into()).await?;
    Ok(Json(json!({ "id": id })))
}

pub(crate) async fn remove(
    State(console): State<Console>,
    manager: Manager,
    Path(id): Path<i64>,
) -> Result<Json<Value>, ConsoleError> {
    let trunks = console.phone.trunks();
    trunks.remove(Some(manager.tenant()), TrunkId(id)).await?;
    Ok(Json(json!({ "id": id })))
}

#[derive(Serialize)]
pub(crate) struct Tested {
    ok: bool,
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    step: &'static str,
    ok: bool,
    found: String,
    hint: Option<&'static str>,
}

pub(crate) async fn test(
    State(console): State<Console>,
    manager: Manager,
    Path(id): Path<i64>,
) -> Result<Json<Tested>, ConsoleError> {
    let id = seen(&console, manager.tenant(), id)?;
    let report = console.phone.trunks().test(id).await?;
    let steps = report.steps.iter().map(|step| Step {
        step: step.action.as_str(),
        ok: step.result.is_ok(),
        found: match &step.result {
            Ok(found) => found.clone(),
            Err(problem) => problem.to_string(),
        },
        hint: step.result.as_ref().err().map(Problem::hint),
    });
    Ok(Json(Tested {
        ok: report.succeeded(),
        steps: steps.collect(),
    }))
}

/// Puts a price list, given as text, in place of the one there is. Shared trunks' prices are the operator's.
pub(crate) async fn prices(
    State(console): State<Console>,
    manager: Manager,
    Path(id): Path<i64>,
    list: String,
) -> Result<Json<Value>, ConsoleError> {
    let id = seen(&console, manager.tenant(), id)?;
    let trunks = console.phone.trunks();
    let own = trunks
        .list(Some(manager.tenant()))
        .iter()
        .any(|trunk| trunk.id == id && trunk.tenant.is_some());
    if !own {
        return Err(ConsoleError::NotFound("trunk"));
    }
    let prices =
        Rates::parse_list(&list).map_err(|problem| ConsoleError::Invalid(problem.to_string()))?;
    trunks.set_prices(id, &prices).await?;
    Ok(Json(json!({ "prices": prices.len() })))
}

/// A trunk the company uses.
fn seen(console: &Console, tenant: TenantId, id: i64) -> Result<TrunkId, ConsoleError> {
    let trunks = console.phone.trunks().list(Some(tenant));
    let found = trunks.iter().find(|trunk| trunk.id.0 == id);
    found
        .map(|trunk| trunk.id)
        .ok_or(ConsoleError::NotFound("trunk"))
}
