//! Checking what a caller gives against a JSON Schema.

use serde_json::Value;

/// One thing wrong with the input.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct InputProblem {
    /// Where, as `contact.emails[0]`; empty for the input as a whole.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// The input does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(|p| p.message.as_str()).collect::<Vec<_>>().join("; "))]
pub struct InputError {
    /// All problems, in document order.
    pub problems: Vec<InputProblem>,
}

/// Checks `input` against `schema` and returns it with harmless conversions done ("5" to 5 where only a
/// number fits). Members the schema does not name are left alone.
///
/// # Errors
/// All problems together.
pub fn check_input(_schema: &Value, _input: &Value) -> Result<Value, InputError> {
    todo!()
}
