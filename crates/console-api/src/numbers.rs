//! Our numbers and where their calls go.

use axum::{Json, extract::State};
use model::NumberId;
use serde::Serialize;
use store::directory::{Group, NumberFilter, Page, Route};

use crate::{Console, error::ConsoleError, session::Person};

#[derive(Serialize)]
pub(crate) struct Numbers {
    items: Vec<Number>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Number {
    id: NumberId,
    e164: String,
    name: String,
    /// What answers: absent when callers hear an announcement only.
    route: Option<Answers>,
}

#[derive(Serialize)]
struct Answers {
    /// `flow`, `group`, `agent`, `conference` or `fax`.
    kind: &'static str,
    name: String,
}

pub(crate) async fn list(
    State(console): State<Console>,
    person: Person,
) -> Result<Json<Numbers>, ConsoleError> {
    let tenant = person.tenant();
    let numbers = console
        .db
        .numbers(tenant, &NumberFilter::default(), Page::ALL)
        .await?;
    let flows = console.db.flows(tenant).await?;
    let groups = console.db.groups_of(tenant).await?;
    let agents = console.db.agents_of(tenant).await?;
    let rooms = console.db.rooms(tenant).await?;
    let answers = |route| {
        let (kind, name) = match route {
            Route::Flow(id) => (
                "flow",
                flows
                    .iter()
                    .find(|flow| flow.id == id)
                    .map(|flow| flow.name.clone()),
            ),
            Route::Group(id) => (
                "group",
                groups.iter().find(|group| group.id == id).map(name_of),
            ),
            Route::Agent(id) => (
                "agent",
                agents
                    .iter()
                    .find(|agent| agent.id == id)
                    .map(store::directory::Agent::full_name),
            ),
            Route::Conference(id) => (
                "conference",
                rooms
                    .iter()
                    .find(|room| room.id.0 == id)
                    .map(|room| room.settings.name.clone()),
            ),
            Route::Fax(id) => ("fax", Some(id.to_string())),
        };
        Answers {
            kind,
            name: name.unwrap_or_default(),
        }
    };
    let items = numbers.rows.into_iter().map(|number| Number {
        id: number.id,
        e164: number.e164,
        name: number.internal_name,
        route: number.route.map(answers),
    });
    Ok(Json(Numbers {
        items: items.collect(),
    }))
}

fn name_of(group: &Group) -> String {
    group.internal_name.clone()
}
