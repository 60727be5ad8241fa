//! Signing in and staying signed in.

use jiff::SignedDuration;
use model::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use store::{
    StoreError,
    accounts::{NewSession, User},
};

use crate::{
    Accounts, Attempt, SESSION_COOKIE, Throttle, ThrottleRule,
    password::MAX_LENGTH,
    token::{hash, random_token, secrets_match},
};

/// A session unused for this long is over.
const IDLE_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// However busy, a session ends after this long.
const WHOLE_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How stale "last seen" may be: not every request is a write.
const TOUCH_EVERY: SignedDuration = SignedDuration::from_mins(5);

/// The token in the session cookie.
#[derive(Clone)]
pub struct SessionToken(SecretString);

impl SessionToken {
    /// The token itself, for the cookie.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

/// What somebody typed into the sign-in form, and from where.
pub struct Credentials {
    pub email: String,
    pub password: SecretString,
    /// The network address he came from.
    pub source: String,
    pub user_agent: String,
}

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Wrong password, unknown address or disabled person: the same answer for all.
    #[error("email or password is wrong")]
    Wrong,
    #[error("too many attempts; try again after {until}")]
    TooMany { until: Timestamp },
    #[error("too many sign-ins at this moment")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who sits at this browser.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub user: User,
    /// To be put into every form as a hidden field and compared by [`SignedIn::csrf_matches`].
    pub csrf: String,
}

impl SignedIn {
    /// Whether a form came from a page we made for this session.
    #[must_use]
    pub fn csrf_matches(&self, field: &str) -> bool {
        secrets_match(&self.csrf, field)
    }
}

#[derive(Clone)]
pub(crate) struct SignInThrottles {
    /// One account from one place: strict.
    account_and_source: Throttle,
    /// One place trying many accounts.
    source: Throttle,
    /// One account from many places: mild, or anybody could lock anybody out.
    account: Throttle,
}

impl SignInThrottles {
    pub(crate) fn new() -> Self {
        let rule = |free_attempts, first_wait, longest_wait| {
            Throttle::new(ThrottleRule {
                free_attempts,
                first_wait: SignedDuration::from_secs(first_wait),
                longest_wait: SignedDuration::from_secs(longest_wait),
                forget_after: SignedDuration::from_mins(30),
            })
        };
        Self {
            account_and_source: rule(5, 30, 900),
            source: rule(50, 10, 900),
            account: rule(30, 5, 30),
        }
    }

    fn check(&self, email: &str, source: &str, now: Timestamp) -> Attempt {
        let pair = self.account_and_source.attempt(&pair(email, source), now);
        if pair != Attempt::Allowed {
            return pair;
        }
        let source = self.source.attempt(source, now);
        if source != Attempt::Allowed {
            return source;
        }
        self.account.attempt(email, now)
    }

    fn forgive(&self, email: &str, source: &str) {
        self.account_and_source.forgive(&pair(email, source));
        self.account.forgive(email);
        self.source.forgive(source);
    }
}

fn pair(email: &str, source: &str) -> String {
    format!("{source} {email}")
}

/// The form token that belongs to a cookie value. Knowing it does not give the cookie away.
#[must_use]
pub fn csrf_of(cookie: &str) -> String {
    hex::encode(
        Sha256::new()
            .chain_update(b"form token of ")
            .chain_update(cookie.as_bytes())
            .finalize(),
    )
}

impl Accounts {
    /// Checks a password and opens a session.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn sign_in(
        &self,
        credentials: Credentials,
        now: Timestamp,
    ) -> Result<(SessionToken, User), SignInError> {
        let email: String = credentials
            .email
            .trim()
            .to_lowercase()
            .chars()
            .take(254)
            .collect();
        if let Attempt::Blocked { until } = self.throttles.check(&email, &credentials.source, now) {
            tracing::warn!(user.source = %credentials.source, "sign-in refused: too many attempts");
            return Err(SignInError::TooMany { until });
        }
        let found = self.db.password_hash_by_email(&email).await?;
        let hash = found.as_ref().map(|(_, hash)| hash.clone());
        let password = if credentials.password.expose_secret().len() > MAX_LENGTH {
            SecretString::default()
        } else {
            credentials.password
        };
        let fits = self
            .passwords
            .verify(password, hash)
            .await
            .map_err(|_| SignInError::Busy)?;
        match found {
            Some((user, _)) if fits && user.disabled_at.is_none() => {
                self.throttles.forgive(&email, &credentials.source);
                let token = self
                    .open_session(&user, &credentials.user_agent, now)
                    .await?;
                tracing::info!(user.id = %user.id, "signed in");
                Ok((token, user))
            }
            _ => {
                tracing::info!(user.source = %credentials.source, "sign-in refused: wrong email or password");
                Err(SignInError::Wrong)
            }
        }
    }

    /// Opens a session for somebody who has just proved who he is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_session(
        &self,
        user: &User,
        user_agent: &str,
        now: Timestamp,
    ) -> Result<SessionToken, StoreError> {
        let token = random_token();
        let session = NewSession {
            token_hash: hash(&token),
            user: user.id,
            expires_at: after(now, IDLE_LIFE),
            user_agent: user_agent.chars().take(300).collect(),
        };
        self.db.create_session(session, now).await?;
        self.db.purge_sessions(now).await?;
        Ok(SessionToken(token.into()))
    }

    /// Who the value of a `Cookie` header belongs to, if anybody is signed in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signed_in(
        &self,
        cookie_header: &str,
        now: Timestamp,
    ) -> Result<Option<SignedIn>, StoreError> {
        let Some(token) = self.cookies.find(SESSION_COOKIE, cookie_header) else {
            return Ok(None);
        };
        let token_hash = hash(&token);
        let Some((session, user)) = self.db.live_session(&token_hash, now).await? else {
            return Ok(None);
        };
        if now.duration_since(session.last_seen_at) > TOUCH_EVERY {
            let expires_at = after(now, IDLE_LIFE).min(after(session.created_at, WHOLE_LIFE));
            self.db.touch_session(&token_hash, now, expires_at).await?;
        }
        Ok(Some(SignedIn {
            user,
            csrf: csrf_of(&token),
        }))
    }

    /// Ends the session of a `Cookie` header, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sign_out(&self, cookie_header: &str) -> Result<(), StoreError> {
        match self.cookies.find(SESSION_COOKIE, cookie_header) {
            Some(token) => self.db.delete_session(&hash(&token)).await,
            None => Ok(()),
        }
    }
}

pub(crate) fn after(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.checked_add(span).unwrap_or(Timestamp::MAX)
}
