//! The gateway's rows: workspaces, their tenants, connections, action runs and personal tokens.
//!
//! A company of the phone system is one *workspace*. A workspace's tenants are called **customers** in code,
//! so that they are never mistaken for the company ([`model::TenantId`]). Whatever belongs to a customer is
//! asked for with a [`Reach`], which names the workspace and, unless a manager asks, the customer: a row out of
//! reach reads as absent.

mod connections;
mod customers;
mod entity;
mod ids;
mod m031_search_uses;
mod migration;
mod requests;
mod runs;
mod search_uses;
mod settings;
mod tokens;
mod workspaces;

pub use connections::{
    Connection, ConnectionChange, ConnectionFilter, ConnectionLog, ConnectionState, NewConnection,
};
pub use customers::{Customer, CustomerSeen};
pub use ids::{ConnectionId, CustomerId, Reach, RequestId, RunId, TokenId, WorkspaceId};
pub use requests::{ConnectionRequest, NewConnectionRequest, RequestStatus};
pub use runs::{ActionRun, NewActionRun, RunFilter, RunStatus};
pub use search_uses::SearchUse;
pub use tokens::{NewPersonalToken, PersonalToken};
pub use workspaces::{NewWorkspace, Workspace};

use sea_orm_migration::prelude::*;

use crate::StoreError;

pub(crate) fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(migration::CreateGateway),
        Box::new(m031_search_uses::CreateSearchUses),
    ]
}

/// A page of a list: rows after `after`, oldest or newest first as the list says.
#[derive(Clone, Copy, Debug)]
pub struct PageOf {
    /// The last row key of the page before; 0 starts.
    pub after: i64,
    /// Rows at most.
    pub limit: u64,
}

fn to_text(value: &serde_json::Value) -> String {
    value.to_string()
}

fn from_text(what: &'static str, text: &str) -> Result<serde_json::Value, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Corrupt { what, source })
}

fn from_text_opt(
    what: &'static str,
    text: Option<&str>,
) -> Result<Option<serde_json::Value>, StoreError> {
    text.map(|text| from_text(what, text)).transpose()
}

/// Turns the engine's "unique" refusal into our word.
fn duplicate(what: &'static str, error: sea_orm::DbErr) -> StoreError {
    match error.sql_err() {
        Some(sea_orm::SqlErr::UniqueConstraintViolation(_)) => StoreError::Duplicate { what },
        _ => StoreError::Engine(error),
    }
}
