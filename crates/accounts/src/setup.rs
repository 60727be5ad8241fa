//! The first owner: an installation without people hands out one link, once.

use async_trait::async_trait;
use jiff::SignedDuration;
use model::{TenantId, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use store::{
    StoreError,
    accounts::{Role, User},
};

use crate::{
    Accounts, CreateUserError, NewPerson,
    people::check_person,
    sessions::after,
    token::{hash, random_token},
};

/// Long enough to read the log over a coffee; a restart prints a new one.
const LINK_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// The secret part of a set-up link.
#[derive(Clone)]
pub struct SetupToken(SecretString);

impl SetupToken {
    /// The path under the public address, `/setup/…`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/setup/{}", self.0.expose_secret())
    }
}

impl std::fmt::Debug for SetupToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetupToken(…)")
    }
}

/// The company that a set-up creates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCompany {
    pub name: String,
    /// IANA name.
    pub time_zone: String,
    /// ISO 3166 alpha-2.
    pub country_code: String,
}

/// A company could not be created.
#[derive(Debug, thiserror::Error)]
#[error("the company could not be created")]
pub struct CompanyError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Creates a company with all it needs: settings, workspace, keys. The server knows how.
#[async_trait]
pub trait CompanyCreator: Send + Sync + 'static {
    /// Creates it and gives its id.
    async fn create_company(&self, company: NewCompany) -> Result<TenantId, CompanyError>;
}

/// What the first owner typed.
pub struct OwnerForm {
    pub company: NewCompany,
    pub name: String,
    pub email: String,
    pub password: SecretString,
}

/// Why a set-up did not happen.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Unknown, used or expired.
    #[error("this link is not valid any more")]
    Link,
    #[error("the company needs a name")]
    CompanyName,
    #[error("there is no time zone called {0}")]
    TimeZone(String),
    #[error("a country is two letters, such as SK")]
    Country,
    #[error(transparent)]
    Owner(#[from] CreateUserError),
    #[error(transparent)]
    Company(#[from] CompanyError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// A link with which the first owner comes in, or `None` when somebody can sign in already. Each call
    /// makes the links before it invalid.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn first_owner_link(&self, now: Timestamp) -> Result<Option<SetupToken>, StoreError> {
        if self.db.any_user().await? {
            return Ok(None);
        }
        let token = random_token();
        self.db
            .replace_setup_link(hash(&token), now, after(now, LINK_LIFE))
            .await?;
        Ok(Some(SetupToken(token.into())))
    }

    /// Whether a link's token can still be used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn setup_link_is_open(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.db.setup_link_is_open(&hash(token), now).await? && !self.db.any_user().await?)
    }

    /// Uses a link up: creates the company and its owner.
    ///
    /// # Errors
    /// See [`SetupError`]; after any of them but [`SetupError::Link`] the link still works.
    pub async fn set_up(
        &self,
        token: &str,
        form: OwnerForm,
        companies: &dyn CompanyCreator,
        now: Timestamp,
    ) -> Result<User, SetupError> {
        if !self.setup_link_is_open(token, now).await? {
            return Err(SetupError::Link);
        }
        check_company(&form.company)?;
        check_person(&form.email, &form.name, &form.password)?;
        let link = hash(token);
        if !self.db.claim_setup_link(&link, now).await? {
            return Err(SetupError::Link);
        }
        let made = self.create_owner(form, companies, now).await;
        if made.is_err() {
            self.db.release_setup_link(&link).await?;
        }
        made
    }

    async fn create_owner(
        &self,
        form: OwnerForm,
        companies: &dyn CompanyCreator,
        now: Timestamp,
    ) -> Result<User, SetupError> {
        let OwnerForm {
            company,
            name,
            email,
            password,
        } = form;
        let tenant = companies.create_company(company).await?;
        let person = NewPerson {
            tenant,
            email,
            name,
            role: Role::Owner,
            password,
        };
        let user = self.create_user(person, now).await?;
        tracing::info!(user.id = %user.id, tenant.id = %tenant, "the first owner was set up");
        Ok(user)
    }
}

fn check_company(company: &NewCompany) -> Result<(), SetupError> {
    if company.name.trim().is_empty() || company.name.chars().count() > 200 {
        return Err(SetupError::CompanyName);
    }
    if jiff::tz::TimeZone::get(&company.time_zone).is_err() {
        return Err(SetupError::TimeZone(company.time_zone.clone()));
    }
    if company.country_code.len() != 2
        || !company
            .country_code
            .bytes()
            .all(|byte| byte.is_ascii_uppercase())
    {
        return Err(SetupError::Country);
    }
    Ok(())
}
