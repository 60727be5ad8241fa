//! Ids as the outside sees them: 24 hex digits.

use sha2::{Digest, Sha256};

/// A fresh id: seconds since 1970 (4 bytes) and 64 random bits.
pub(crate) fn public_id() -> String {
    let seconds = store::now().as_second();
    let mut bytes = [0_u8; 12];
    // The low 32 bits are the conventional time part of such ids.
    bytes[..4].copy_from_slice(&seconds.to_be_bytes()[4..]);
    rand::fill(&mut bytes[4..]);
    hex::encode(bytes)
}

/// An id that can't be guessed: 192 random bits, for links.
pub(crate) fn link_id() -> String {
    secret_hex(24)
}

/// Random bytes in hex.
pub(crate) fn secret_hex(bytes: usize) -> String {
    let mut buffer = vec![0_u8; bytes];
    rand::fill(&mut buffer[..]);
    hex::encode(buffer)
}

/// An id that is the same wherever the same thing is described.
pub(crate) fn derived_id(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(&hash.finalize()[..12])
}
