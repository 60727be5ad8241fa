//! A company's rules for outgoing calls, and whom they stopped.

use axum::{Json, extract::State};
use model::{AgentId, GroupId};
use phone::outgoing::OutgoingSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Console,
    error::ConsoleError,
    session::{Manager, Person},
};

#[derive(Serialize)]
pub(crate) struct Outgoing {
    settings: OutgoingSettings,
    stops: Vec<Stop>,
    /// Those that a route may be for.
    groups: Vec<Group>,
}

#[derive(Serialize)]
struct Group {
    id: GroupId,
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stop {
    /// Absent: the whole company.
    agent: Option<AgentId>,
    agent_name: Option<String>,
    reason: String,
    at: String,
}

pub(crate) async fn show(
    State(console): State<Console>,
    person: Person,
) -> Result<Json<Outgoing>, ConsoleError> {
    person.must_manage()?;
    let tenant = person.tenant();
    let stops = console.phone.stops(Some(tenant)).await?;
    let groups = console.db.groups_of(tenant).await?;
    Ok(Json(Outgoing {
        groups: groups
            .into_iter()
            .map(|group| Group {
                id: group.id,
                name: group.internal_name,
            })
            .collect(),
        settings: console.phone.outgoing_settings(tenant).await?,
        stops: stops
            .into_iter()
            .map(|stop| Stop {
                agent: stop.agent,
                agent_name: stop.agent_name,
                reason: stop.reason,
                at: stop.at.to_string(),
            })
            .collect(),
    }))
}

pub(crate) async fn save(
    State(console): State<Console>,
    manager: Manager,
    Json(settings): Json<OutgoingSettings>,
) -> Result<Json<Value>, ConsoleError> {
    let tenant = manager.tenant();
    console
        .phone
        .set_outgoing_settings(tenant, &settings)
        .await?;
    Ok(Json(json!({ "saved": true })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    /// Absent: the whole company.
    agent: Option<AgentId>,
}

pub(crate) async fn release(
    State(console): State<Console>,
    manager: Manager,
    Json(release): Json<Release>,
) -> Result<Json<Value>, ConsoleError> {
    let released = console
        .phone
        .release(manager.tenant(), release.agent, manager.email())
        .await?;
    if released {
        Ok(Json(json!({ "released": true })))
    } else {
        Err(ConsoleError::NotFound("stop"))
    }
}
