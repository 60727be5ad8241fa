//! Sealing and opening single fields with a tenant's data key.

use secrecy::SecretSlice;

/// Bytes that never show in `Debug` and are wiped when dropped.
pub type SecretBytes = SecretSlice<u8>;

/// Why something stored could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The text is not a sealed record of ours.
    #[error("the sealed record is malformed")]
    Malformed,
    /// The key it was sealed with is not live.
    #[error("the record was sealed with key {key_id}, which is not among the live keys")]
    UnknownKey {
        /// Id of the missing key.
        key_id: String,
    },
    /// Wrong key, changed bytes, or a record from another row.
    #[error("the record does not belong here or was changed")]
    NotAuthentic,
}

/// A tenant's data key as stored: safe to write to a database.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct WrappedKey(pub String);

/// A tenant's data key, in memory.
pub struct DataKey {}

/// Where a record belongs; bound into it, so that it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Tenant id.
    pub tenant: &'a str,
    /// Connection id.
    pub connection: &'a str,
    /// Field name.
    pub field: &'a str,
}

/// Encrypts one field into a text record.
#[must_use]
pub fn seal(_key: &DataKey, _context: &Context<'_>, _plain: &SecretBytes) -> String {
    todo!()
}

/// Decrypts a record made by [`seal`] with the same key and context.
pub fn open(_key: &DataKey, _context: &Context<'_>, _sealed: &str) -> Result<SecretBytes, VaultError> {
    todo!()
}
