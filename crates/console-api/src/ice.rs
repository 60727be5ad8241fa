//! Servers that help a browser's audio through firewalls (STUN, TURN).

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

/// How long a TURN credential holds: as long as a long working day.
const TURN_SECONDS: i64 = 12 * 3_600;

/// What browsers are told to use besides the direct way.
#[derive(Clone, Debug, Default)]
pub struct IceServers {
    /// `stun:` and `turn:` or `turns:` URLs (RFC 7064, RFC 7065).
    pub urls: Vec<String>,
    /// Shared with the TURN server, which takes credentials derived from it (coturn's
    /// `use-auth-secret`).
    pub turn_secret: Option<SecretString>,
}

/// One entry of a browser's `iceServers`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct IceServer {
    urls: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

impl IceServers {
    /// For one person, from now on. The credential is the end of its validity and the name,
    /// proven by the shared secret.
    pub(crate) fn entries(&self, name: &str, now: Timestamp) -> Vec<IceServer> {
        let username = format!("{}:{name}", now.as_second() + TURN_SECONDS);
        let credential = self.turn_secret.as_ref().map(|secret| {
            let key = hmac::Key::new(
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                secret.expose_secret().as_bytes(),
            );
            STANDARD.encode(hmac::sign(&key, username.as_bytes()))
        });
        let entry = |url: &String| {
            let relays = url.starts_with("turn");
            IceServer {
                urls: url.clone(),
                username: relays
                    .then(|| username.clone())
                    .filter(|_| credential.is_some()),
                credential: credential.clone().filter(|_| relays),
            }
        };
        self.urls.iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_get_a_credential_that_ends_and_others_none() {
        let servers = IceServers {
            urls: vec!["stun:a.example".into(), "turn:b.example:3478".into()],
            turn_secret: Some("north".to_owned().into()),
        };
        let now = Timestamp::from_second(1_000).expect("in range");
        let [stun, turn] = &servers.entries("1001", now)[..] else {
            panic!("two entries")
        };
        assert_eq!((&stun.username, &stun.credential), (&None, &None));
        assert_eq!(turn.username.as_deref(), Some("44200:1001"));
        // openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(
            turn.credential.as_deref(),
            Some("4uV1hwFsYeZqS8qVN6XUc8n1ihQ=")
        );
    }
}
