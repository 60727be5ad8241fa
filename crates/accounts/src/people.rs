//! The service and its people.

use model::{TenantId, Timestamp, UserId};
use secrecy::{ExposeSecret, SecretString};
use store::{
    Db, StoreError,
    accounts::{NewUser, Role, User},
};

use crate::{
    cookie::CookiePolicy,
    password::{MAX_LENGTH, MIN_LENGTH, Passwords},
    sessions::SignInThrottles,
};

/// People and their sessions. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    pub(crate) db: Db,
    pub(crate) cookies: CookiePolicy,
    pub(crate) passwords: Passwords,
    pub(crate) throttles: SignInThrottles,
}

/// A person to be added.
pub struct NewPerson {
    pub tenant: TenantId,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub password: SecretString,
}

/// Why a person could not be added.
#[derive(Debug, thiserror::Error)]
pub enum CreateUserError {
    #[error("this is not an email address")]
    Email,
    #[error("the address is already used")]
    EmailTaken,
    #[error("a name is needed")]
    Name,
    #[error("the password needs at least {MIN_LENGTH} characters")]
    PasswordTooShort,
    #[error("the password may have at most {MAX_LENGTH} bytes")]
    PasswordTooLong,
    #[error("too many passwords are being checked at this moment")]
    Busy,
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for CreateUserError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate { .. } => Self::EmailTaken,
            other => Self::Store(other),
        }
    }
}

impl Accounts {
    /// The service over a database. `cookies` says whether the public address is HTTPS.
    #[must_use]
    pub fn new(db: Db, cookies: CookiePolicy) -> Self {
        Self {
            db,
            cookies,
            passwords: Passwords::new(),
            throttles: SignInThrottles::new(),
        }
    }

    /// How cookies are named and set.
    #[must_use]
    pub fn cookies(&self) -> CookiePolicy {
        self.cookies
    }

    /// Adds a person.
    ///
    /// # Errors
    /// When a field does not fit or the address is taken.
    pub async fn create_user(
        &self,
        person: NewPerson,
        now: Timestamp,
    ) -> Result<User, CreateUserError> {
        check_person(&person.email, &person.name, &person.password)?;
        let password_hash = self
            .passwords
            .hash(person.password)
            .await
            .map_err(|_| CreateUserError::Busy)?;
        let new = NewUser {
            tenant: person.tenant,
            email: person.email,
            name: person.name.trim().to_owned(),
            role: person.role,
            password_hash,
        };
        Ok(self.db.create_user(new, now).await?)
    }

    /// Gives a person a new password and ends his sessions everywhere.
    ///
    /// # Errors
    /// When the password does not fit.
    pub async fn set_password(
        &self,
        user: UserId,
        password: SecretString,
    ) -> Result<(), CreateUserError> {
        check_password(&password)?;
        let hash = self
            .passwords
            .hash(password)
            .await
            .map_err(|_| CreateUserError::Busy)?;
        self.db.set_password_hash(user, &hash).await?;
        self.db.delete_sessions_of(user).await?;
        Ok(())
    }

    /// Whether nobody can sign in yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn needs_owner(&self) -> Result<bool, StoreError> {
        Ok(!self.db.any_user().await?)
    }

    /// The name of a company, for pages.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn company_name(&self, tenant: TenantId) -> Result<String, StoreError> {
        Ok(self
            .db
            .tenant(tenant)
            .await?
            .map(|tenant| tenant.name)
            .unwrap_or_default())
    }

    /// The person with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.db.user(id).await
    }
}

/// The rules every person's form obeys, so that a form can be checked before anything is created.
pub(crate) fn check_person(
    email: &str,
    name: &str,
    password: &SecretString,
) -> Result<(), CreateUserError> {
    if !plausible_email(email.trim()) {
        return Err(CreateUserError::Email);
    }
    if name.trim().is_empty() || name.chars().count() > 200 {
        return Err(CreateUserError::Name);
    }
    check_password(password)
}

fn check_password(password: &SecretString) -> Result<(), CreateUserError> {
    let password = password.expose_secret();
    if password.chars().count() < MIN_LENGTH {
        return Err(CreateUserError::PasswordTooShort);
    }
    if password.len() > MAX_LENGTH {
        return Err(CreateUserError::PasswordTooLong);
    }
    Ok(())
}

/// Catches slips of the pen; only a message that arrives proves an address.
fn plausible_email(email: &str) -> bool {
    let Some((local, domain)) = email.rsplit_once('@') else {
        return false;
    };
    email.len() <= 254
        && !local.is_empty()
        && !domain.is_empty()
        && !email.chars().any(|c| c.is_whitespace() || c.is_control())
        && !domain.starts_with('.')
        && !domain.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_for_slips() {
        for good in ["a@b", "Owner@Example.test", "x+y@sub.example.test"] {
            assert!(plausible_email(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a b@c", "a@.c", "a@c."] {
            assert!(!plausible_email(bad), "{bad}");
        }
    }
}
