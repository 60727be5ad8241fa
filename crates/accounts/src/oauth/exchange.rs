//! The second half: codes and refresh tokens become access tokens.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use model::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use store::{
    StoreError,
    accounts::{CodeClaim, Grant, Rotation, TokenHash, User},
};

use super::{IssueError, IssueFor, OauthServer};
use crate::{
    Attempt,
    sessions::after,
    token::{hash, random_token, secrets_match},
};

const ACCESS_LIFE: SignedDuration = SignedDuration::from_hours(1);
/// Counted anew with each use: a program that runs once a quarter stays signed in.
const REFRESH_LIFE: SignedDuration = SignedDuration::from_hours(100 * 24);

/// A code to be redeemed.
pub struct CodeExchange {
    pub code: SecretString,
    pub client_id: String,
    /// Must repeat the one the code was asked for with.
    pub redirect_uri: String,
    pub code_verifier: SecretString,
    pub source: String,
}

/// A refresh token to be traded.
pub struct RefreshExchange {
    pub refresh_token: SecretString,
    pub client_id: String,
    pub source: String,
}

/// What the program gets.
#[derive(Clone, Debug)]
pub struct GrantedTokens {
    pub access_token: SecretString,
    pub refresh_token: SecretString,
    pub expires_in: SignedDuration,
    pub workspace_key: String,
    pub tenant_key: Option<String>,
    pub user: User,
    pub grant: Grant,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// One answer for unknown, used, expired, foreign and mismatched: a guesser learns nothing.
    #[error("{0}")]
    InvalidGrant(&'static str),
    #[error("too many attempts; try again after {until}")]
    TooMany { until: Timestamp },
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

const BAD_CODE: TokenError =
    TokenError::InvalidGrant("the code is wrong, used or expired; sign in again to get a new one");
const BAD_REFRESH: TokenError =
    TokenError::InvalidGrant("the refresh token is wrong, used or expired; sign in again");

/// The codes being redeemed at this moment.
///
/// Two redemptions at the same time are one program that sent its request twice: one gets the tokens, the
/// other is refused, and that is all. A replay after the tokens went out is a thief, and revokes them.
/// On several nodes the second request may count as a replay: then nobody gets tokens, which is safe.
#[derive(Clone, Default)]
pub(super) struct InExchange(Arc<Mutex<HashSet<TokenHash>>>);

struct Turn<'a> {
    codes: &'a InExchange,
    code: TokenHash,
}

impl InExchange {
    fn enter(&self, code: &TokenHash) -> Option<Turn<'_>> {
        let free = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(code.clone());
        free.then(|| Turn {
            codes: self,
            code: code.clone(),
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.codes
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.code);
    }
}

impl OauthServer {
    /// Redeems a code. Whatever comes of it, the code is used up; a second use revokes what came of the
    /// first (RFC 6749 §4.1.2).
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn exchange(
        &self,
        request: CodeExchange,
        now: Timestamp,
    ) -> Result<GrantedTokens, TokenError> {
        self.slow_down(&request.source, now)?;
        let code_hash = hash(request.code.expose_secret());
        let _turn = self.in_exchange.enter(&code_hash).ok_or(BAD_CODE)?;
        let refresh_token = random_token();
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(
            request.code_verifier.expose_secret().as_bytes(),
        ));
        let fits_verifier = verifier_is_well_formed(request.code_verifier.expose_secret());
        let claim = self
            .db
            .claim_code(
                &code_hash,
                hash(&refresh_token),
                after(now, REFRESH_LIFE),
                now,
                |code| {
                    fits_verifier
                        && code.client_id == request.client_id
                        && code.redirect_uri == request.redirect_uri
                        && secrets_match(&code.code_challenge, &challenge)
                },
            )
            .await?;
        match claim {
            CodeClaim::Granted(grant, _) => {
                // Not live: the person was disabled between consent and now.
                let (grant, user) = self.db.live_grant(grant).await?.ok_or(BAD_CODE)?;
                self.guesses.forgive(&request.source);
                self.tokens(grant, user, refresh_token, now).await
            }
            CodeClaim::Reused => {
                tracing::warn!(client.id = %request.client_id, "a code was presented twice; its grant is revoked");
                Err(BAD_CODE)
            }
            CodeClaim::Refused(_) | CodeClaim::Invalid => Err(BAD_CODE),
        }
    }

    /// Trades a refresh token for new tokens. The old one is used up; a second use revokes the grant,
    /// because then two parties hold it (OAuth 2.1 §4.3.1).
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn refresh(
        &self,
        request: RefreshExchange,
        now: Timestamp,
    ) -> Result<GrantedTokens, TokenError> {
        self.slow_down(&request.source, now)?;
        let new = random_token();
        let rotation = self
            .db
            .rotate_refresh_token(
                &hash(request.refresh_token.expose_secret()),
                hash(&new),
                &request.client_id,
                now,
                after(now, REFRESH_LIFE),
            )
            .await?;
        match rotation {
            Rotation::Rotated(live) => {
                let (grant, user) = *live;
                self.guesses.forgive(&request.source);
                self.tokens(grant, user, new, now).await
            }
            Rotation::Reused(grant) => {
                tracing::warn!(grant.id = %grant, "a refresh token was presented twice; its grant is revoked");
                Err(BAD_REFRESH)
            }
            Rotation::Invalid => Err(BAD_REFRESH),
        }
    }

    /// Revokes the grant behind a refresh or access token. Unknown tokens are no error (RFC 7009 §2.2).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke(&self, token: &SecretString, now: Timestamp) -> Result<(), StoreError> {
        let by_refresh = self
            .db
            .grant_of_refresh_token(&hash(token.expose_secret()))
            .await?;
        let grant = match by_refresh {
            Some(grant) => Some(grant),
            None => self.issuer.grant_of(token.expose_secret()).await,
        };
        match grant {
            Some(grant) => self.db.revoke_grant(grant, now).await,
            None => Ok(()),
        }
    }

    async fn tokens(
        &self,
        grant: Grant,
        user: User,
        refresh_token: String,
        now: Timestamp,
    ) -> Result<GrantedTokens, TokenError> {
        let request = IssueFor {
            tenant: user.tenant,
            user: user.clone(),
            kind: grant.kind,
            grant: grant.id,
            expires_in: ACCESS_LIFE,
            now,
        };
        let issued = self.issuer.issue(request).await?;
        Ok(GrantedTokens {
            access_token: issued.access_token,
            refresh_token: refresh_token.into(),
            expires_in: ACCESS_LIFE,
            workspace_key: issued.workspace_key,
            tenant_key: issued.tenant_key,
            user,
            grant,
        })
    }

    /// Codes and tokens are too long to guess; this only keeps somebody from trying at full speed.
    fn slow_down(&self, source: &str, now: Timestamp) -> Result<(), TokenError> {
        match self.guesses.attempt(source, now) {
            Attempt::Allowed => Ok(()),
            Attempt::Blocked { until } => Err(TokenError::TooMany { until }),
        }
    }
}

/// RFC 7636 §4.1.
fn verifier_is_well_formed(verifier: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}
