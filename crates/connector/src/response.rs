//! Reading answers.

use serde_json::Value;

use crate::manifest::{Action, Manifest};

/// An answer as received.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, if any.
    pub content_type: Option<&'a str>,
    /// `Content-Disposition`, if any.
    pub content_disposition: Option<&'a str>,
    /// Whole body.
    pub body: &'a [u8],
}

/// The app did not do it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ActionFailure {
    /// What happened, for the caller.
    pub message: String,
    /// HTTP status of the app's answer.
    pub status: u16,
    /// True when the app no longer accepts the credential.
    pub unauthorized: bool,
    /// True when there is nothing under the given id.
    pub not_found: bool,
    /// A short redacted part of the answer.
    pub excerpt: Option<String>,
}

/// Turns the answer to an action's request into its output.
pub fn read_answer(_manifest: &Manifest, _action: &Action, _input: &Value, _answer: Answer<'_>) -> Result<Value, ActionFailure> {
    todo!()
}

/// Whether the answer to the test request means that the credential works.
pub fn read_test_answer(_manifest: &Manifest, _answer: Answer<'_>) -> Result<(), ActionFailure> {
    todo!()
}
