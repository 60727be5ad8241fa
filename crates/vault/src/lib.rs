//! Credentials at rest: envelope encryption.
//!
//! Every tenant has its own data key; the data key is stored wrapped by a key-encryption key that never
//! leaves the machine's key file (or environment). A stolen database is therefore noise, and a row moved to
//! another tenant, connection or field does not open.
//!
//! This crate knows no database and no network, and touches one file: the key file. Start with [`KeyRing`].

pub mod chunks;
mod cipher;
mod data_key;
mod key_file;
mod key_ring;
#[cfg(test)]
mod tests;

pub use data_key::{Context, DataKey, SecretBytes, VaultError, WrappedKey, open, seal};
pub use key_ring::{KeyError, KeyRing};
