//! Sealing and opening single fields with a tenant's data key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret, SecretBox, SecretSlice};
use serde::{Deserialize, Serialize};

use crate::cipher;

/// Bytes that never show in `Debug` and are wiped when dropped.
pub type SecretBytes = SecretSlice<u8>;

/// Why something stored could not be opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WrappedKey(pub String);

impl WrappedKey {
    /// Id of the key-encryption key that wraps it.
    ///
    /// # Errors
    /// [`VaultError::Malformed`].
    pub fn key_id(&self) -> Result<&str, VaultError> {
        self.parts().map(|parts| parts.0)
    }

    pub(crate) fn new(kek_id: &str, data_key_id: &str, sealed: &[u8]) -> Self {
        Self(format!(
            "{WRAP_VERSION}.{kek_id}.{data_key_id}.{}",
            STANDARD_NO_PAD.encode(sealed)
        ))
    }

    /// Key-encryption key id, data key id, sealed bytes.
    pub(crate) fn parts(&self) -> Result<(&str, &str, Vec<u8>), VaultError> {
        let mut parts = self.0.split('.');
        let (Some(WRAP_VERSION), Some(kek), Some(id), Some(sealed), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(VaultError::Malformed);
        };
        let sealed = STANDARD_NO_PAD
            .decode(sealed)
            .map_err(|_| VaultError::Malformed)?;
        Ok((kek, id, sealed))
    }
}

const WRAP_VERSION: &str = "w1";
const SEAL_VERSION: &str = "s1";

/// A tenant's data key, in memory. `Debug` shows its id only.
pub struct DataKey {
    id: String,
    key: SecretBox<[u8; cipher::KEY_LEN]>,
}

impl DataKey {
    pub(crate) fn new(id: String, key: SecretBox<[u8; cipher::KEY_LEN]>) -> Self {
        Self { id, key }
    }

    /// Id of this key; every record sealed with it carries it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; cipher::KEY_LEN] {
        self.key.expose_secret()
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

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

impl Context<'_> {
    pub(crate) fn associated_data(&self, key_id: &str) -> Vec<u8> {
        cipher::associated_data(&[
            SEAL_VERSION,
            key_id,
            self.tenant,
            self.connection,
            self.field,
        ])
    }
}

/// Encrypts one field into a text record.
#[must_use]
pub fn seal(key: &DataKey, context: &Context<'_>, plain: &SecretBytes) -> String {
    let associated = context.associated_data(&key.id);
    let sealed = cipher::encrypt(key.bytes(), plain.expose_secret(), &associated);
    format!(
        "{SEAL_VERSION}.{}.{}",
        key.id,
        STANDARD_NO_PAD.encode(sealed)
    )
}

/// Decrypts a record made by [`seal`] with the same key and context.
///
/// # Errors
/// [`VaultError::UnknownKey`] when another data key sealed it, [`VaultError::NotAuthentic`] when it was
/// changed or moved here from another row.
pub fn open(key: &DataKey, context: &Context<'_>, sealed: &str) -> Result<SecretBytes, VaultError> {
    let mut parts = sealed.split('.');
    let (Some(SEAL_VERSION), Some(key_id), Some(body), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(VaultError::Malformed);
    };
    if key_id != key.id {
        return Err(VaultError::UnknownKey {
            key_id: key_id.to_owned(),
        });
    }
    let body = STANDARD_NO_PAD
        .decode(body)
        .map_err(|_| VaultError::Malformed)?;
    let plain = cipher::decrypt(key.bytes(), &body, &context.associated_data(key_id))?;
    // A box of the exact size: shrinking the vector instead could leave an unwiped copy behind.
    Ok(SecretBytes::new(Box::from(plain.as_slice())))
}
