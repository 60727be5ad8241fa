//! What callers are told when something does not work.

use serde_json::{Value, json};
use store::StoreError;

/// The families of errors that clients tell apart by `type` and `key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    BadRequest,
    NotAuthenticated,
    AccessDenied,
    NotFound,
    AlreadyExists,
    /// The connection is not READY.
    ConnectionDefunct,
    /// The app no longer accepts the credential.
    AccessTokenExpired,
    /// The app asks to slow down.
    UpstreamRateLimit,
    /// The app could not be reached.
    Connection,
    /// The connector or the connection's parameters are no good.
    Configuration,
    /// The app answered an action with an error.
    ActionRun,
    /// Our own fault; details are in the log under `errorId`.
    Internal,
}

impl ErrorKind {
    /// The `type` of the error body.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::BadRequest
            | Self::NotAuthenticated
            | Self::AccessDenied
            | Self::NotFound
            | Self::AlreadyExists => "bad_request",
            Self::ConnectionDefunct
            | Self::AccessTokenExpired
            | Self::UpstreamRateLimit
            | Self::Connection => "connection",
            Self::Configuration => "configuration",
            Self::ActionRun => "action_run",
            Self::Internal => "internal",
        }
    }

    /// The `key` of the error body.
    #[must_use]
    pub fn key(self) -> Option<&'static str> {
        match self {
            Self::NotAuthenticated => Some("not_authenticated"),
            Self::AccessDenied => Some("access_denied"),
            Self::NotFound => Some("not_found"),
            Self::AlreadyExists => Some("already_exists"),
            Self::ConnectionDefunct => Some("connection_is_defunct"),
            Self::AccessTokenExpired => Some("access_token_expired"),
            Self::UpstreamRateLimit => Some("rate_limit_exceeded"),
            Self::BadRequest
            | Self::Connection
            | Self::Configuration
            | Self::ActionRun
            | Self::Internal => None,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::NotAuthenticated => 401,
            Self::AccessDenied => 403,
            Self::NotFound => 404,
            Self::Internal => 500,
            _ => 400,
        }
    }
}

/// One error for the caller: safe to show, free of secrets.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct GatewayError {
    pub kind: ErrorKind,
    pub message: String,
    /// Facts for programs.
    pub data: Option<Box<Value>>,
    /// The run that failed, when there was one.
    pub action_run_id: Option<String>,
}

impl GatewayError {
    /// An error of a kind.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            data: None,
            action_run_id: None,
        }
    }

    /// The request can't be done as given.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadRequest, message)
    }

    /// One field of the request is no good.
    #[must_use]
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let data = json!({ "field": field, "problems": [{ "field": field, "message": message }] });
        Self::bad_request(message).with_data(data)
    }

    /// Nothing here by that name, or not for this caller.
    #[must_use]
    pub fn not_found(what: &str, selector: &str) -> Self {
        // A selector is the caller's own text; it is cut so that an answer can't be blown up by it.
        let shown: String = selector.chars().take(100).collect();
        Self::new(
            ErrorKind::NotFound,
            format!("{what} \"{shown}\" was not found"),
        )
    }

    /// The token is missing or no good.
    #[must_use]
    pub fn not_authenticated(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotAuthenticated, message)
    }

    /// The caller may not do this.
    #[must_use]
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::AccessDenied, message)
    }

    /// Adds facts for programs.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(Box::new(data));
        self
    }

    /// Something of ours broke. The cause goes to the log, the caller gets its number.
    pub(crate) fn internal(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let error_id = crate::ids::public_id();
        tracing::error!(error.id = %error_id, error = error, "{what}");
        Self::new(ErrorKind::Internal, "something went wrong on our side")
            .with_data(json!({ "errorId": error_id }))
    }

    /// The body as clients of the interface expect it.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = serde_json::Map::new();
        body.insert("type".into(), self.kind.type_name().into());
        if let Some(key) = self.kind.key() {
            body.insert("key".into(), key.into());
        }
        body.insert("message".into(), self.message.clone().into());
        if let Some(data) = &self.data {
            body.insert("data".into(), Value::clone(data));
        }
        if let Some(id) = &self.action_run_id {
            body.insert("actionRunId".into(), id.clone().into());
        }
        Value::Object(body)
    }
}

impl From<StoreError> for GatewayError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate { what } => {
                Self::new(ErrorKind::AlreadyExists, format!("{what} is already used"))
            }
            other => Self::internal("the gateway's tables failed", &other),
        }
    }
}

impl From<vault::VaultError> for GatewayError {
    fn from(error: vault::VaultError) -> Self {
        Self::internal("a sealed record could not be opened", &error)
    }
}
