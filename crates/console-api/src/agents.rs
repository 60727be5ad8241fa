//! Agents: their switch, their devices and what they do now.

use axum::{Json, extract::State};
use model::{AgentId, AgentState, Availability};
use serde::Serialize;

use crate::{Console, error::ConsoleError, session::Person};

#[derive(Serialize)]
pub(crate) struct Agents {
    items: Vec<Agent>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Agent {
    id: AgentId,
    name: String,
    email: String,
    extension: u16,
    groups: Vec<String>,
    availability: Availability,
    /// What he does right now; absent until the phone system has met him.
    state: Option<AgentState>,
    /// How many of his devices are registered.
    devices: usize,
}

pub(crate) async fn list(
    State(console): State<Console>,
    person: Person,
) -> Result<Json<Agents>, ConsoleError> {
    let tenant = person.tenant();
    let groups = console.db.groups_of(tenant).await?;
    let memberships = console.db.memberships(tenant).await?;
    let groups_of = |agent: AgentId| {
        let joined = |group: &store::directory::Group| memberships.contains(&(group.id, agent));
        groups
            .iter()
            .filter(|group| joined(group))
            .map(|group| group.internal_name.clone())
            .collect()
    };
    let agents = console.db.agents_of(tenant).await?;
    let items = agents.into_iter().map(|agent| Agent {
        id: agent.id,
        name: agent.full_name(),
        groups: groups_of(agent.id),
        availability: agent.availability,
        state: console.phone.agent_state(agent.id),
        devices: console.phone.devices(&agent.sip_username),
        extension: agent.extension,
        email: agent.email,
    });
    Ok(Json(Agents {
        items: items.collect(),
    }))
}
