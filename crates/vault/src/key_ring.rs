//! The key-encryption keys that are live.

use std::path::Path;

use secrecy::SecretString;

use crate::{DataKey, VaultError, WrappedKey};

/// Why no usable key could be had at start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(String);

/// The key-encryption keys: the newest wraps, all of them unwrap.
pub struct KeyRing {}

impl KeyRing {
    /// Reads the key file, or makes one (mode 0600) when there is none.
    pub fn load_or_create(_path: &Path) -> Result<Self, KeyError> {
        todo!()
    }

    /// Keys from the environment, newest first; each is base64 of exactly 32 bytes.
    pub fn from_base64(_keys: &[SecretString]) -> Result<Self, KeyError> {
        todo!()
    }

    /// Id of the key that wraps new data keys.
    #[must_use]
    pub fn current_key_id(&self) -> &str {
        todo!()
    }

    /// Makes a data key for a tenant. Store the wrapped form, keep the other in memory only.
    pub fn new_data_key(&self, _tenant: &str) -> Result<(DataKey, WrappedKey), VaultError> {
        todo!()
    }

    /// Opens a stored data key.
    pub fn unwrap(&self, _tenant: &str, _wrapped: &WrappedKey) -> Result<DataKey, VaultError> {
        todo!()
    }

    /// Wraps a stored data key under the newest key; `None` when it already is.
    pub fn rewrap(&self, _tenant: &str, _wrapped: &WrappedKey) -> Result<Option<WrappedKey>, VaultError> {
        todo!()
    }
}
