//! The first half of the flow: a program sends a person here to ask for consent.

use jiff::SignedDuration;
use model::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use store::{
    StoreError,
    accounts::{NewCode, TokenKind, User},
};

use super::OauthServer;
use crate::{
    sessions::after,
    token::{hash, random_code},
};

/// OAuth 2.1 §4.1.2 allows ten minutes; a person needs less to copy a code.
const CODE_LIFE: SignedDuration = SignedDuration::from_mins(5);

/// The parameters as they stand in the query, none of them believed yet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuthorizeParams {
    #[serde(default)]
    pub response_type: String,
    #[serde(default)]
    pub client_id: String,
    #[serde(default)]
    pub redirect_uri: String,
    #[serde(default)]
    pub code_challenge: String,
    #[serde(default)]
    pub code_challenge_method: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// What the program calls itself: `claude`, `codex`.
    #[serde(default, alias = "clientName", skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
}

/// A request that holds water.
#[derive(Clone, Debug)]
pub struct AuthorizeRequest {
    pub client_id: String,
    /// What to show the person: the name given with this request, or the registered one.
    pub client_name: String,
    pub redirect_uri: String,
    /// The code is shown, not sent.
    pub headless: bool,
    pub code_challenge: String,
    pub state: Option<String>,
    pub kind: TokenKind,
}

/// What is wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizeProblem {
    /// Nobody we may answer: tell the person, redirect nowhere (RFC 6749 §4.1.2.1).
    #[error("{0}")]
    Tell(String),
    /// The program's own fault; it is told where it listens.
    #[error("{error}: {description}")]
    Answer {
        redirect_uri: String,
        headless: bool,
        state: Option<String>,
        error: &'static str,
        description: String,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OauthServer {
    /// Checks a request. Client and redirect address come first: until both are known there is no one to
    /// answer.
    ///
    /// # Errors
    /// See [`AuthorizeProblem`].
    pub async fn check(
        &self,
        params: &AuthorizeParams,
    ) -> Result<AuthorizeRequest, AuthorizeProblem> {
        let Some(client) = self.client(&params.client_id).await? else {
            return Err(AuthorizeProblem::Tell(
                "The program that sent you here is not known on this server.".into(),
            ));
        };
        if !self.may_redirect(&client, &params.redirect_uri) {
            return Err(AuthorizeProblem::Tell(
                "The program that sent you here gave a return address that is not its own.".into(),
            ));
        }
        let headless = self.is_headless(&params.redirect_uri);
        let answer = |error, description: &str| AuthorizeProblem::Answer {
            redirect_uri: params.redirect_uri.clone(),
            headless,
            state: params.state.clone(),
            error,
            description: description.into(),
        };
        if params.response_type != "code" {
            return Err(answer(
                "unsupported_response_type",
                "response_type must be code",
            ));
        }
        if params.code_challenge.is_empty() {
            return Err(answer("invalid_request", "code_challenge is required"));
        }
        // "plain" and its absence, which means "plain", are how PKCE gets switched off.
        if params.code_challenge_method != "S256" {
            return Err(answer(
                "invalid_request",
                "code_challenge_method must be S256",
            ));
        }
        if !is_s256(&params.code_challenge) {
            return Err(answer(
                "invalid_request",
                "code_challenge is not the base64url of a SHA-256",
            ));
        }
        if params
            .state
            .as_ref()
            .is_some_and(|state| state.len() > 2000)
        {
            return Err(answer("invalid_request", "state is longer than 2000 bytes"));
        }
        let kind = match params.token_type.as_deref() {
            None | Some("" | "platform-user") => TokenKind::PlatformUser,
            Some("tenant") => TokenKind::Tenant,
            Some(_) => {
                return Err(answer(
                    "invalid_request",
                    "token_type must be tenant or platform-user",
                ));
            }
        };
        let client_name = params
            .client_name
            .as_deref()
            .map(readable)
            .filter(|name| !name.is_empty());
        Ok(AuthorizeRequest {
            client_id: client.client_id,
            client_name: client_name.unwrap_or_else(|| readable(&client.name)),
            redirect_uri: params.redirect_uri.clone(),
            headless,
            code_challenge: params.code_challenge.clone(),
            state: params.state.clone(),
            kind,
        })
    }

    /// The person said yes: makes the code.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn allow(
        &self,
        request: &AuthorizeRequest,
        user: &User,
        now: Timestamp,
    ) -> Result<SecretString, StoreError> {
        // A used code is kept for a while, so that a replay is recognised and its grant revoked.
        self.db
            .purge_codes(after(now, SignedDuration::from_hours(-24)))
            .await?;
        let code = random_code();
        let new = NewCode {
            code_hash: hash(&code),
            user: user.id,
            client_id: request.client_id.clone(),
            redirect_uri: request.redirect_uri.clone(),
            code_challenge: request.code_challenge.clone(),
            kind: request.kind,
            client_name: request.client_name.clone(),
            expires_at: after(now, CODE_LIFE),
        };
        self.db.create_code(new, now).await?;
        Ok(code.into())
    }
}

fn is_s256(challenge: &str) -> bool {
    challenge.len() == 43
        && challenge
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A name as one line of visible text: no control or direction-changing characters that could make the
/// consent page say something else.
fn readable(name: &str) -> String {
    let tricky = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    name.chars()
        .filter(|c| !tricky(c))
        .take(80)
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_could_mislead() {
        assert_eq!(readable(" claude\n"), "claude");
        assert_eq!(readable("cla\u{202e}edu"), "claedu");
        assert_eq!(readable(&"x".repeat(500)).len(), 80);
    }

    #[test]
    fn a_challenge_is_43_url_safe_characters() {
        assert!(is_s256("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        assert!(!is_s256("short"));
        assert!(!is_s256("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"));
    }
}
