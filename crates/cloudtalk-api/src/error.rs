//! What can go wrong, and how each path space says it.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};
use store::StoreError;

use crate::{PhoneFailed, reply::json};

/// Failures of the core API. Texts are those that clients compare.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CoreError {
    #[error("no valid key")]
    Unauthorized,
    #[error("the sender is not the company's")]
    UnauthorizedAction,
    #[error("bad request")]
    BadRequest,
    #[error("no seat is left")]
    NoSeat,
    #[error("the agent is not online")]
    AgentNotOnline,
    #[error("the agent is in a call")]
    AgentCalling,
    #[error("the call may not be placed: {0}")]
    CallRefused(String),
    #[error("not found")]
    NotFound,
    #[error("no such route")]
    NoRoute { path: String },
    #[error("wrong verb")]
    MethodNotAllowed,
    #[error("invalid fields")]
    Invalid(Problems),
    /// Invalid in a way that no field is to blame for.
    #[error("the body can't be read")]
    Malformed,
    #[error("{0}")]
    Gone(&'static str),
    #[error("too many requests")]
    TooManyRequests,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Phone(#[from] PhoneFailed),
}

impl CoreError {
    pub(crate) fn respond(self) -> Response {
        let (status, message) = match &self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Self::UnauthorizedAction => (StatusCode::UNAUTHORIZED, "Unauthorized action"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, "Bad request"),
            Self::NoSeat => (StatusCode::FORBIDDEN, "Max. number of agents reached."),
            Self::AgentNotOnline => (StatusCode::FORBIDDEN, "Agent is not online."),
            Self::AgentCalling => (StatusCode::CONFLICT, "Agent is already calling."),
            Self::CallRefused(reason) => (StatusCode::FORBIDDEN, reason.as_str()),
            Self::NotFound | Self::NoRoute { .. } => (StatusCode::NOT_FOUND, "Not found."),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
            Self::Invalid(_) | Self::Malformed => {
                (StatusCode::NOT_ACCEPTABLE, "Invalid input data.")
            }
            Self::Gone(message) => (StatusCode::GONE, *message),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests"),
            Self::Store(_) | Self::Phone(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong.")
            }
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = &self as &dyn std::error::Error, "request failed");
        }
        let envelope = json!({"status": status.as_u16(), "message": message});
        let body = match &self {
            Self::Invalid(problems) => {
                json!({"responseData": {"status": status.as_u16(), "message": message, "data": problems.fields}})
            }
            // Seen in the wild without the envelope; with both, either reader is content.
            Self::NoRoute { path } => {
                json!({"name": "Not Found", "message": "Not Found", "url": path, "responseData": envelope})
            }
            _ => json!({"responseData": envelope}),
        };
        json(status, &body)
    }
}

pub(crate) const REQUIRED: &str = "This field is required.";
pub(crate) const BAD_TYPE: &str = "Please supply a valid type.";
pub(crate) const BAD_EMAIL: &str = "Please supply a valid email address.";
pub(crate) const TAG_TAKEN: &str = "Tag has already been used. Please select different one.";

/// Which fields are wrong, and why. The key is the leaf's name, also of a nested field.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    fields: Map<String, Value>,
}

impl Problems {
    pub(crate) fn one(field: &str, message: impl Into<String>) -> CoreError {
        let mut problems = Self::default();
        problems.add(field, message);
        CoreError::Invalid(problems)
    }

    pub(crate) fn add(&mut self, field: &str, message: impl Into<String>) {
        let list = self
            .fields
            .entry(field)
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(Value::String(message.into()));
        }
    }

    /// Fine, or all that is wrong at once.
    pub(crate) fn finish(self) -> Result<(), CoreError> {
        if self.fields.is_empty() {
            Ok(())
        } else {
            Err(CoreError::Invalid(self))
        }
    }
}

/// The text for a number that can't be one.
pub(crate) fn bad_number(as_sent: &str) -> String {
    let shown: String = as_sent.chars().take(60).collect();
    format!("Please supply only valid numbers. Number {shown} is not valid.")
}

/// The text for a value that is too long.
pub(crate) fn too_long(limit: usize) -> String {
    format!("Maximum length is {limit} characters.")
}
