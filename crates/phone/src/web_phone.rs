//! How the console's own phone registers: with a name and a password that hold for an hour.
//!
//! The page never sees the secret of the agent's devices. Its password is derived from the stored
//! digest of that secret, so nothing more is kept, a restart changes nothing, and a new secret
//! ends what was derived from the old one.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use model::Timestamp;
use sha2::Sha256;
use store::{StoreError, directory::Agent};

use crate::{Phone, clock, devices::from_hex};

/// How long a page may register with what it was given.
pub const LIFETIME: Duration = Duration::from_secs(3_600);
/// Between the agent's username and the end of its validity. No username of ours holds it.
const MARK: char = '~';

/// What a page registers with for a while.
#[derive(Clone, PartialEq, Eq)]
pub struct WebCredential {
    /// For digest authentication; the address of record stays the agent's own.
    pub username: String,
    pub password: String,
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for WebCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebCredential({})", self.username)
    }
}

/// Makes a credential for the holder of a device secret.
#[must_use]
pub fn issue(account: &str, ha1_sha256: &[u8; 32], now: Timestamp) -> WebCredential {
    let expires_at = now.checked_add(LIFETIME).unwrap_or(Timestamp::MAX);
    let username = format!("{account}{MARK}{}", expires_at.as_second());
    WebCredential {
        password: password(&username, ha1_sha256),
        username,
        expires_at,
    }
}

impl Phone {
    /// A credential under which a page registers as this agent's phone; `None` when the agent is
    /// gone or has no device secret.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn web_credential(&self, agent: &Agent) -> Result<Option<WebCredential>, StoreError> {
        let found = self.db().agent_by_sip_username(&agent.sip_username).await?;
        let secret = found
            .filter(|(other, _)| (other.tenant, other.id) == (agent.tenant, agent.id))
            .and_then(|(_, secrets)| from_hex(&secrets.ha1_sha256));
        Ok(secret.map(|secret| issue(&agent.sip_username, &secret, clock::now())))
    }
}

/// Whose credential a username is, when it is one and still holds.
pub(crate) fn account(username: &str, now: Timestamp) -> Option<&str> {
    let (account, expires_at) = username.rsplit_once(MARK)?;
    let expires_at: i64 = expires_at.parse().ok()?;
    (expires_at > now.as_second()).then_some(account)
}

/// The password that goes with a username.
pub(crate) fn password(username: &str, ha1_sha256: &[u8; 32]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(ha1_sha256).expect("HMAC takes keys of any length");
    mac.update(b"trunkline web phone\0");
    mac.update(username.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    #[test]
    fn a_credential_holds_for_an_hour_and_for_its_own_secret() {
        let now = Timestamp::from_second(1_000_000).expect("in range");
        let made = issue("1001", &SECRET, now);
        let later = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).expect("in range");
        assert_eq!(account(&made.username, later(3_599)), Some("1001"));
        assert_eq!(account(&made.username, later(3_600)), None);
        assert_eq!(made.password, password(&made.username, &SECRET));
        assert_ne!(made.password, password(&made.username, &[8; 32]));
    }

    #[test]
    fn plain_usernames_and_longer_ends_are_no_credentials() {
        let now = Timestamp::from_second(1_000_000).expect("in range");
        for username in ["1001", "1001~", "1001~x", "~"] {
            assert_eq!(account(username, now), None, "{username}");
        }
        let made = issue("1001", &SECRET, now);
        assert_ne!(password("1001~9999999999", &SECRET), made.password);
    }
}
