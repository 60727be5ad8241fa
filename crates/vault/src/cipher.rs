//! XChaCha20-Poly1305 with a random nonce in front. The nonce is 24 bytes, so random ones do not collide.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::VaultError;

pub(crate) const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 24;

pub(crate) fn encrypt(key: &[u8; KEY_LEN], plain: &[u8], associated: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_LEN] = rand::random();
    let body = XChaCha20Poly1305::new(key.into())
        .encrypt(
            &XNonce::from(nonce),
            Payload {
                msg: plain,
                aad: associated,
            },
        )
        .expect("a field is far below the cipher's 256 GB limit");
    [nonce.as_slice(), &body].concat()
}

pub(crate) fn decrypt(
    key: &[u8; KEY_LEN],
    sealed: &[u8],
    associated: &[u8],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (nonce, body) = sealed
        .split_first_chunk::<NONCE_LEN>()
        .ok_or(VaultError::Malformed)?;
    XChaCha20Poly1305::new(key.into())
        .decrypt(
            &XNonce::from(*nonce),
            Payload {
                msg: body,
                aad: associated,
            },
        )
        .map(Zeroizing::new)
        .map_err(|_| VaultError::NotAuthentic)
}

/// Joins fields so that no two different lists give the same bytes: each is preceded by its length.
pub(crate) fn associated_data(fields: &[&str]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(fields.iter().map(|field| field.len() + 8).sum());
    for field in fields {
        joined.extend_from_slice(&(field.len() as u64).to_be_bytes());
        joined.extend_from_slice(field.as_bytes());
    }
    joined
}
