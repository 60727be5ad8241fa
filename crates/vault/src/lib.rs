//! Credentials at rest: envelope encryption.
