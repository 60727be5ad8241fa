//! Connections: a tenant's authorised links to apps.

mod connect;
mod ensure;
mod lifecycle;
mod requests;
mod select;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::gateway::Connection;

pub(crate) use connect::input_error;
pub use ensure::normalise_app_url;
pub(crate) use lifecycle::require_ready;
pub use select::ConnectionSelector;

/// What a person or agent has to do next, kept with the connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientAction {
    #[serde(rename = "type")]
    pub kind: ClientActionKind,
    pub description: String,
    /// The connection request whose page completes it.
    #[serde(default)]
    pub request_id: Option<String>,
    #[serde(default)]
    pub agent_instructions: Option<String>,
}

/// Kinds of next steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientActionKind {
    /// Authenticate, for the first time or again.
    Connect,
    /// Say more about what is wanted.
    ProvideInput,
}

impl ClientAction {
    /// The next step of a connection, if it has one.
    #[must_use]
    pub fn of(connection: &Connection) -> Option<Self> {
        serde_json::from_value(connection.client_action.clone()?).ok()
    }

    fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("a struct of texts is always JSON")
    }
}

/// Members of a new connection.
#[derive(Clone, Debug, Default)]
pub struct CreateConnection {
    pub name: Option<String>,
    pub key: Option<String>,
    /// Connector id, key or uuid.
    pub connector: Option<String>,
    /// Integration id or key.
    pub integration: Option<String>,
    /// External app id or key.
    pub external_app: Option<String>,
    /// An app's name, domain or a sentence about it.
    pub intent: Option<String>,
    pub auth_option: Option<String>,
    pub parameters: Option<Value>,
    /// What the sign-in form would ask for.
    pub input: Option<Value>,
    pub meta: Option<Value>,
    /// Always make a new one, even when the tenant has one for the app.
    pub allow_multiple: bool,
}

/// Members to change. `None` leaves a member as it is.
#[derive(Clone, Debug, Default)]
pub struct PatchConnection {
    pub name: Option<String>,
    pub key: Option<String>,
    pub auth_option: Option<String>,
    pub parameters: Option<Value>,
    pub input: Option<Value>,
    pub meta: Option<Value>,
}

/// Which connections to list.
#[derive(Clone, Debug, Default)]
pub struct ConnectionQuery {
    pub search: Option<String>,
    pub connector: Option<String>,
    pub integration: Option<String>,
    pub external_app: Option<String>,
    /// A tenant's id or key; only a manager sees others.
    pub tenant: Option<String>,
    pub connected: Option<bool>,
    pub include_archived: bool,
    pub cursor: Option<String>,
    pub limit: usize,
}
