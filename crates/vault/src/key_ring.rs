//! The key-encryption keys that are live.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::cipher::{self, KEY_LEN};
use crate::{DataKey, VaultError, WrappedKey, key_file};

/// Why no usable key could be had at start. No message holds key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Others than the owner can read or write the file.
    #[error("key file {} may be read by others (mode {mode:04o}); run: chmod 600 {}", .path.display(), .path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file cannot be read or written.
    #[error("key file {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("key file {} line {line}: {reason}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A key given by environment is no key.
    #[error("encryption key {position}: {reason}")]
    Key {
        /// Position in the list, from 1.
        position: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// No key at all.
    #[error("there is no encryption key")]
    Empty,
}

/// The key-encryption keys, newest first: the newest wraps, all of them unwrap.
pub struct KeyRing {
    keys: Vec<Kek>,
}

pub(crate) struct Kek {
    id: String,
    key: SecretBox<[u8; KEY_LEN]>,
}

impl Kek {
    pub(crate) fn generate() -> Self {
        Self::new(SecretBox::init_with_mut(|key: &mut [u8; KEY_LEN]| {
            rand::fill(key);
        }))
    }

    fn new(key: SecretBox<[u8; KEY_LEN]>) -> Self {
        // An id taken from the key itself stays right wherever the key is kept.
        let digest = Sha256::new()
            .chain_update(b"trunkline key id")
            .chain_update(key.expose_secret())
            .finalize();
        Self {
            id: hex::encode(&digest[..6]),
            key,
        }
    }

    /// Reads base64 of exactly 32 bytes, padded or not.
    pub(crate) fn from_base64(text: &str) -> Result<Self, &'static str> {
        let bytes = STANDARD_NO_PAD
            .decode(text.trim().trim_end_matches('='))
            .map(Zeroizing::new)
            .map_err(|_| "is not base64")?;
        let mut key: [u8; KEY_LEN] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| "must be exactly 32 bytes, make one with: openssl rand -base64 32")?;
        let kek = Self::new(SecretBox::init_with_mut(|slot: &mut [u8; KEY_LEN]| {
            slot.copy_from_slice(&key);
        }));
        key.zeroize();
        Ok(kek)
    }

    pub(crate) fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.key.expose_secret()))
    }
}

impl KeyRing {
    /// Reads the key file, or makes one (mode 0600) when there is none.
    ///
    /// # Errors
    /// When others may read the file, or it is no key file.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        let keys = match key_file::read(path)? {
            Some(keys) => keys,
            None => {
                key_file::create(path, &[Kek::generate()])?;
                // Read back: another process may have been first.
                key_file::read(path)?.ok_or(KeyError::Empty)?
            }
        };
        Self::new(keys)
    }

    /// Keys from the environment, newest first; each is base64 of exactly 32 bytes.
    ///
    /// # Errors
    /// When one is not, or there is none.
    pub fn from_base64(keys: &[SecretString]) -> Result<Self, KeyError> {
        let keys = keys
            .iter()
            .enumerate()
            .map(|(at, key)| {
                Kek::from_base64(key.expose_secret()).map_err(|reason| KeyError::Key {
                    position: at + 1,
                    reason,
                })
            })
            .collect::<Result<_, _>>()?;
        Self::new(keys)
    }

    /// Puts a new key in front of the key file and returns the ring with it. Old keys stay until
    /// [`KeyRing::retire_old`], so data keys can be rewrapped while the product runs.
    ///
    /// # Errors
    /// As [`KeyRing::load_or_create`].
    pub fn rotate(path: &Path) -> Result<Self, KeyError> {
        let mut ring = Self::load_or_create(path)?;
        ring.keys.insert(0, Kek::generate());
        key_file::replace(path, &ring.keys)?;
        Ok(ring)
    }

    /// Drops all keys but the newest from the key file. Rewrap every data key first.
    ///
    /// # Errors
    /// As [`KeyRing::load_or_create`].
    pub fn retire_old(path: &Path) -> Result<Self, KeyError> {
        let mut ring = Self::load_or_create(path)?;
        ring.keys.truncate(1);
        key_file::replace(path, &ring.keys)?;
        Ok(ring)
    }

    /// Id of the key that wraps new data keys.
    #[must_use]
    pub fn current_key_id(&self) -> &str {
        &self.current().id
    }

    /// Ids of all live keys, newest first.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Makes a data key for a tenant. Store the wrapped form, keep the other in memory only.
    #[must_use]
    pub fn new_data_key(&self, tenant: &str) -> (DataKey, WrappedKey) {
        let id = hex::encode(rand::random::<[u8; 6]>());
        let key = DataKey::new(
            id,
            SecretBox::init_with_mut(|key: &mut [u8; KEY_LEN]| rand::fill(key)),
        );
        let wrapped = wrap(self.current(), tenant, &key);
        (key, wrapped)
    }

    /// Opens a stored data key.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`] when its key-encryption key is gone, [`VaultError::NotAuthentic`] when it
    /// was changed or belongs to another tenant.
    pub fn unwrap(&self, tenant: &str, wrapped: &WrappedKey) -> Result<DataKey, VaultError> {
        let (kek_id, data_key_id, sealed) = wrapped.parts()?;
        let kek = self
            .keys
            .iter()
            .find(|key| key.id == kek_id)
            .ok_or_else(|| VaultError::UnknownKey {
                key_id: kek_id.to_owned(),
            })?;
        let plain = cipher::decrypt(
            kek.key.expose_secret(),
            &sealed,
            &wrap_context(kek_id, data_key_id, tenant),
        )?;
        if plain.len() != KEY_LEN {
            return Err(VaultError::Malformed);
        }
        let key = SecretBox::init_with_mut(|slot: &mut [u8; KEY_LEN]| slot.copy_from_slice(&plain));
        Ok(DataKey::new(data_key_id.to_owned(), key))
    }

    /// Wraps a stored data key under the newest key; `None` when it already is.
    ///
    /// # Errors
    /// As [`KeyRing::unwrap`].
    pub fn rewrap(
        &self,
        tenant: &str,
        wrapped: &WrappedKey,
    ) -> Result<Option<WrappedKey>, VaultError> {
        if wrapped.key_id()? == self.current().id {
            return Ok(None);
        }
        let key = self.unwrap(tenant, wrapped)?;
        Ok(Some(wrap(self.current(), tenant, &key)))
    }

    fn new(keys: Vec<Kek>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::Empty);
        }
        Ok(Self { keys })
    }

    fn current(&self) -> &Kek {
        self.keys.first().expect("a ring is never built empty")
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.key_ids()).finish()
    }
}

fn wrap(kek: &Kek, tenant: &str, key: &DataKey) -> WrappedKey {
    let sealed = cipher::encrypt(
        kek.key.expose_secret(),
        key.bytes(),
        &wrap_context(&kek.id, key.id(), tenant),
    );
    WrappedKey::new(&kek.id, key.id(), &sealed)
}

fn wrap_context(kek_id: &str, data_key_id: &str, tenant: &str) -> Vec<u8> {
    cipher::associated_data(&["w1", kek_id, data_key_id, tenant])
}
