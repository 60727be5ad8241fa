//! Identifiers no peer can guess: tags, branches, Call-IDs.

/// A fresh dialog tag.
pub(crate) fn tag() -> String {
    hex::encode(rand::random::<[u8; 8]>())
}

/// A fresh transaction branch with the cookie of RFC 3261 §8.1.1.7.
pub(crate) fn branch() -> String {
    format!("z9hG4bK{}", hex::encode(rand::random::<[u8; 12]>()))
}

/// A fresh Call-ID.
pub(crate) fn call_id() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}
