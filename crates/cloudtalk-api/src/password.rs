//! What is kept of an agent's password: a slow hash for people, two digests for his phone.

use argon2::{Argon2, password_hash::PasswordHasher};
use md5::Md5;
use sha2::{Digest, Sha256};
use store::directory::SipSecrets;
use tokio::sync::Semaphore;

/// A hash takes a core for some 20 ms; more than this at once would be felt in the calls.
static TURNS: Semaphore = Semaphore::const_new(2);

/// An argon2id string.
pub(crate) async fn hash(password: String) -> String {
    let _turn = TURNS.acquire().await;
    let work = move || {
        Argon2::default()
            .hash_password(password.as_bytes())
            .expect("the default parameters and a password under 4 GiB are valid")
            .to_string()
    };
    tokio::task::spawn_blocking(work)
        .await
        .expect("hashing does not panic")
}

/// RFC 8760: `H(username:realm:password)`.
pub(crate) fn sip_secrets(username: &str, realm: &str, password: &str) -> SipSecrets {
    let text = format!("{username}:{realm}:{password}");
    SipSecrets {
        ha1_md5: hex::encode(Md5::digest(text.as_bytes())),
        ha1_sha256: hex::encode(Sha256::digest(text.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_of_the_rfc() {
        // RFC 2617 §3.5.
        let secrets = sip_secrets("Mufasa", "testrealm@host.com", "Circle Of Life");
        assert_eq!(secrets.ha1_md5, "939e7578ed9e3c518a452acee763bce9");
    }
}
