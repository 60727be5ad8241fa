//! Who is signed in, and where things are.

use axum::{Json, extract::State};
use serde::Serialize;

use crate::{Addresses, Console, error::ConsoleError, session::Person};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    name: String,
    email: String,
    role: &'static str,
    company: String,
    time_zone: String,
    sees_connections: bool,
    /// Sets up the company.
    manages: bool,
    /// Looks after running calls.
    supervises: bool,
    /// For the sign-out form.
    csrf: String,
    addresses: Addresses,
}

pub(crate) async fn show(
    State(console): State<Console>,
    person: Person,
) -> Result<Json<Me>, ConsoleError> {
    let company = console
        .db
        .tenant(person.tenant())
        .await?
        .ok_or(ConsoleError::NotFound("company"))?;
    Ok(Json(Me {
        role: person.0.user.role.as_str(),
        sees_connections: person.may_see_connections(),
        manages: person.manages(),
        supervises: person.supervises(),
        name: person.0.user.name,
        email: person.0.user.email,
        company: company.name,
        time_zone: company.time_zone,
        csrf: person.0.csrf,
        addresses: Addresses::clone(&console.addresses),
    }))
}
