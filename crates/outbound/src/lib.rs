//! The one HTTP client that leaves the house: address filter, limits and redaction.
