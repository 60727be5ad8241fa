//! Random tokens and the hashes by which they are found again.

use sha2::{Digest, Sha256};
use store::accounts::TokenHash;
use subtle::ConstantTimeEq;

/// 256 random bits in hex.
#[must_use]
pub fn random_token() -> String {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes[..]);
    hex::encode(bytes)
}

/// 140 random bits that a person can copy: no look-alikes, and never a leading dash that a shell or an
/// argument parser would take for an option.
pub(crate) fn random_code() -> String {
    const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
    let mut bytes = [0_u8; 28];
    rand::fill(&mut bytes[..]);
    bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect()
}

pub(crate) fn hash(token: &str) -> TokenHash {
    TokenHash(hex::encode(Sha256::digest(token.as_bytes())))
}

/// Compares in a time that depends on the lengths only.
#[must_use]
pub fn secrets_match(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_never_repeat() {
        assert_eq!(random_token().len(), 64);
        assert_ne!(random_token(), random_token());
    }

    #[test]
    fn codes_can_be_typed_after_a_command() {
        for _ in 0..200 {
            let code = random_code();
            assert_eq!(code.len(), 28);
            assert!(
                code.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "{code}"
            );
        }
    }
}
