//! The OAuth 2.1 server: code flow with PKCE, rotating refresh tokens, dynamic registration.

mod authorize;
mod clients;
mod exchange;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use model::{TenantId, Timestamp, UserId};
use secrecy::SecretString;
use store::{
    Db, StoreError,
    accounts::{Grant, GrantId, TokenKind, User},
};
use url::Url;

pub use authorize::{AuthorizeParams, AuthorizeProblem, AuthorizeRequest};
pub use clients::{CLI_CLIENT_ID, Client, ClientMetadata, RegisterError};
pub use exchange::{CodeExchange, GrantedTokens, RefreshExchange, TokenError};

use crate::{Throttle, ThrottleRule};

/// What an access token is to say.
#[derive(Clone, Debug)]
pub struct IssueFor {
    pub user: User,
    /// The company of the phone system, which is one workspace of the gateway.
    pub tenant: TenantId,
    pub kind: TokenKind,
    /// To be carried by the token, and asked of [`Grants::is_live`] whenever it is used.
    pub grant: GrantId,
    pub expires_in: SignedDuration,
    pub now: Timestamp,
}

/// A signed access token and the names that go with it.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    pub access_token: SecretString,
    pub workspace_key: String,
    pub tenant_key: Option<String>,
}

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("the access token could not be made")]
pub struct IssueError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Makes access tokens. The gateway implements it, because its SDK wants tokens signed with the
/// workspace secret.
#[async_trait]
pub trait TokenIssuer: Send + Sync + 'static {
    /// Signs a token.
    async fn issue(&self, request: IssueFor) -> Result<IssuedToken, IssueError>;

    /// The grant named in an access token of ours, if its signature holds, for revocation.
    async fn grant_of(&self, access_token: &str) -> Option<GrantId>;
}

/// The server's addresses.
#[derive(Clone, Debug)]
pub struct OauthConfig {
    /// The public base of the gateway, under which the pages are: `https://host/membrane`.
    pub gateway_base: Url,
    /// Other bases under which it is reached, such as a listener of its own.
    pub other_bases: Vec<Url>,
}

/// Hands tokens to programs. Cheap to clone.
#[derive(Clone)]
pub struct OauthServer {
    db: Db,
    issuer: Arc<dyn TokenIssuer>,
    headless: Arc<[String]>,
    gateway_base: Url,
    issuer_id: String,
    in_exchange: exchange::InExchange,
    guesses: Throttle,
    registrations: Throttle,
}

impl OauthServer {
    #[must_use]
    pub fn new(db: Db, issuer: Arc<dyn TokenIssuer>, config: &OauthConfig) -> Self {
        let plain = |base: &Url| base.as_str().trim_end_matches('/').to_owned();
        let bases = std::iter::once(&config.gateway_base).chain(&config.other_bases);
        Self {
            db,
            issuer,
            headless: bases
                .map(|base| format!("{}/oauth/code", plain(base)))
                .collect(),
            issuer_id: plain(&config.gateway_base),
            gateway_base: config.gateway_base.clone(),
            in_exchange: exchange::InExchange::default(),
            guesses: Throttle::new(ThrottleRule {
                free_attempts: 60,
                first_wait: SignedDuration::from_secs(5),
                longest_wait: SignedDuration::from_mins(5),
                forget_after: SignedDuration::from_mins(10),
            }),
            registrations: Throttle::new(ThrottleRule {
                free_attempts: 20,
                first_wait: SignedDuration::from_secs(60),
                longest_wait: SignedDuration::from_hours(1),
                forget_after: SignedDuration::from_hours(1),
            }),
        }
    }

    /// The public base of the gateway.
    #[must_use]
    pub fn gateway_base(&self) -> &Url {
        &self.gateway_base
    }

    /// The issuer identifier of RFC 8414: the public base without a slash at its end.
    #[must_use]
    pub fn issuer_id(&self) -> &str {
        &self.issuer_id
    }

    /// What people allowed, for the gateway and the console.
    #[must_use]
    pub fn grants(&self) -> Grants {
        Grants::new(self.db.clone())
    }
}

/// The consents people gave.
#[derive(Clone)]
pub struct Grants {
    db: Db,
}

impl Grants {
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Whether tokens of this grant still count: not revoked, and its person not disabled. Asked on every
    /// request that carries such a token; two reads by key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_live(&self, grant: GrantId) -> Result<bool, StoreError> {
        Ok(self.db.live_grant(grant).await?.is_some())
    }

    /// The live grant and its person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live(&self, grant: GrantId) -> Result<Option<(Grant, User)>, StoreError> {
        self.db.live_grant(grant).await
    }

    /// A person's live grants, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of_user(&self, user: UserId) -> Result<Vec<Grant>, StoreError> {
        self.db.grants_of(user).await
    }

    /// Takes a grant back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke(&self, grant: GrantId, now: Timestamp) -> Result<(), StoreError> {
        self.db.revoke_grant(grant, now).await
    }
}
