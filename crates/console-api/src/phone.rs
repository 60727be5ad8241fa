//! The phone in the page: what it registers with, and the agent's own switch.

use axum::{Json, extract::State};
use model::{Availability, Timestamp};
use serde::{Deserialize, Serialize};
use store::directory::Agent;

use crate::{
    Console,
    error::ConsoleError,
    ice::IceServer,
    session::{Acting, Person},
};

#[derive(Serialize)]
pub(crate) struct Answer {
    /// Absent for people who are no agents.
    phone: Option<WebPhone>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WebPhone {
    name: String,
    extension: u16,
    availability: Availability,
}

/// What the page's phone registers with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Credential {
    name: String,
    /// The address of record is `sip:{username}@{domain}`.
    username: String,
    domain: String,
    /// For digest authentication, until `expires_at`. Ask again before.
    authorization_username: String,
    password: String,
    expires_at: Timestamp,
    ice_servers: Vec<IceServer>,
}

#[derive(Deserialize)]
pub(crate) struct Switch {
    availability: Availability,
}

/// Whether the signed-in person has a phone, and how his switch stands.
pub(crate) async fn show(
    State(console): State<Console>,
    person: Person,
) -> Result<Json<Answer>, ConsoleError> {
    let agent = own_agent(&console, &person).await?;
    Ok(Json(Answer {
        phone: agent.map(|agent| WebPhone {
            name: agent.full_name(),
            extension: agent.extension,
            availability: agent.availability,
        }),
    }))
}

/// Makes what the page registers with. Never cached: it holds a password.
pub(crate) async fn credential(
    State(console): State<Console>,
    Acting(person): Acting,
) -> Result<([(http::HeaderName, &'static str); 1], Json<Credential>), ConsoleError> {
    let agent = own_agent(&console, &person)
        .await?
        .ok_or(ConsoleError::NotFound("agent"))?;
    let made = console
        .phone
        .web_credential(&agent)
        .await?
        .ok_or(ConsoleError::NotFound("agent"))?;
    let credential = Credential {
        name: agent.full_name(),
        domain: console.addresses.sip_host.clone(),
        authorization_username: made.username,
        password: made.password,
        expires_at: made.expires_at,
        ice_servers: console.ice.entries(&agent.sip_username, (console.clock)()),
        username: agent.sip_username,
    };
    let no_store = [(http::header::CACHE_CONTROL, "no-store")];
    Ok((no_store, Json(credential)))
}

/// Turns the signed-in agent's switch.
pub(crate) async fn switch(
    State(console): State<Console>,
    Acting(person): Acting,
    Json(switch): Json<Switch>,
) -> Result<Json<serde_json::Value>, ConsoleError> {
    let agent = own_agent(&console, &person)
        .await?
        .ok_or(ConsoleError::NotFound("agent"))?;
    let known = console
        .phone
        .set_availability(person.tenant(), agent.id, switch.availability)
        .await?;
    if !known {
        return Err(ConsoleError::NotFound("agent"));
    }
    Ok(Json(
        serde_json::json!({ "availability": switch.availability }),
    ))
}

/// People are agents by the address they sign in with.
async fn own_agent(console: &Console, person: &Person) -> Result<Option<Agent>, ConsoleError> {
    let found = console.db.agent_by_email(&person.0.user.email).await?;
    Ok(found
        .map(|(agent, _)| agent)
        .filter(|agent| agent.tenant == person.tenant()))
}
