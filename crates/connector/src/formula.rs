//! Formulas: values that are computed from input and credentials.

/// Why a formula could not be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormulaError(pub String);
