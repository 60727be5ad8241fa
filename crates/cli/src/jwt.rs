//! The two things the command line does with tokens: sign one with the workspace secret, read the end of one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// What a locally signed token says.
#[derive(Debug, Clone)]
pub struct Claims<'a> {
    pub workspace_key: &'a str,
    /// `None` signs at workspace level, which only a manager token makes sense of.
    pub tenant_key: Option<&'a str>,
    pub manager: bool,
    pub expires_at: i64,
}

/// HS256 with the claim spelling the SDK uses: `id` and `iss`.
pub fn sign(claims: &Claims<'_>, secret: &str) -> String {
    let mut payload = serde_json::Map::new();
    if let Some(tenant) = claims.tenant_key {
        payload.insert("id".into(), json!(tenant));
    }
    payload.insert("iss".into(), json!(claims.workspace_key));
    if claims.manager || claims.tenant_key.is_none() {
        payload.insert("isAdmin".into(), json!(true));
    }
    payload.insert("exp".into(), json!(claims.expires_at));
    let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let body = URL_SAFE_NO_PAD.encode(Value::Object(payload).to_string());
    let signed = format!("{head}.{body}");
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(signed.as_bytes());
    format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    )
}

/// The `exp` of a token, unverified: only good for deciding whether it is worth sending.
pub fn expires_at(token: &str) -> Option<i64> {
    let body = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(body.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<Value>(&bytes)
        .ok()?
        .get("exp")?
        .as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_another_implementation_does() {
        // Expected value computed with an independent HMAC implementation.
        let claims = Claims {
            workspace_key: "ws",
            tenant_key: Some("t1"),
            manager: false,
            expires_at: 2_000_000_000,
        };
        assert_eq!(
            sign(&claims, "s3cret"),
            include_str!("../tests/data/signed.jwt").trim()
        );
    }

    #[test]
    fn reads_the_end_of_a_token() {
        let claims = Claims {
            workspace_key: "ws",
            tenant_key: None,
            manager: true,
            expires_at: 1_900_000_000,
        };
        assert_eq!(expires_at(&sign(&claims, "x")), Some(1_900_000_000));
        assert_eq!(expires_at("pat-abc"), None);
        assert_eq!(expires_at("a.%%%.c"), None);
    }
}
