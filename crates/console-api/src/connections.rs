//! The company's connections to apps.

use axum::{Json, extract::State};
use gateway::{ClientAction, Connection, ConnectionQuery, ConnectionState, Gateway};
use serde::Serialize;

use crate::{Console, error::ConsoleError, session::Person};

/// More than anybody reads on one screen.
const LIMIT: usize = 200;

#[derive(Serialize)]
pub(crate) struct Connections {
    items: Vec<Item>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    id: String,
    name: String,
    app: String,
    /// As programs see it: `READY`, `CLIENT_ACTION_REQUIRED` and so on.
    state: &'static str,
    error: Option<String>,
    /// The page on which a person completes what is missing.
    connect_url: Option<String>,
    created_at: String,
    last_active_at: Option<String>,
}

pub(crate) async fn list(
    State(console): State<Console>,
    person: Person,
) -> Result<Json<Connections>, ConsoleError> {
    if !person.may_see_connections() {
        return Err(ConsoleError::Forbidden);
    }
    let Some(caller) = console.gateway.caller_of_company(person.tenant()).await? else {
        return Ok(Json(Connections { items: Vec::new() }));
    };
    let query = ConnectionQuery {
        limit: LIMIT,
        ..ConnectionQuery::default()
    };
    let found = console.gateway.list_connections(&caller, &query).await?;
    Ok(Json(Connections {
        items: found
            .items
            .into_iter()
            .map(|connection| item(&console.gateway, connection))
            .collect(),
    }))
}

fn item(gateway: &Gateway, connection: Connection) -> Item {
    let waits = connection.state == ConnectionState::ClientActionRequired;
    let request = ClientAction::of(&connection)
        .filter(|_| waits)
        .and_then(|action| action.request_id);
    Item {
        connect_url: request.map(|request| gateway.connect_url(&request)),
        id: connection.public_id,
        name: connection.name,
        app: connection.app_domain,
        state: connection.state.as_str(),
        error: connection.error,
        created_at: connection.created_at.to_string(),
        last_active_at: connection.last_active_at.map(|at| at.to_string()),
    }
}
