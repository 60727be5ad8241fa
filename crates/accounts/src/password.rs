//! Passwords: argon2id, never more than a few at once.

use std::sync::Arc;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Each hash takes 19 MiB and a core for some 20 ms: this many run, so many wait, the rest is told to
/// come back. A flood of sign-ins must not take the calls down with it.
const RUNNING: usize = 2;
const WAITING: usize = 64;

pub(crate) const MIN_LENGTH: usize = 10;
/// Longer input would only buy a denial of service.
pub(crate) const MAX_LENGTH: usize = 1024;

/// Too many passwords are being checked at this moment.
#[derive(Debug, thiserror::Error)]
#[error("too many sign-ins at this moment")]
pub(crate) struct Busy;

#[derive(Clone)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
    /// Checked when there is no such person, so that both take the same time.
    decoy: Arc<str>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(RUNNING + WAITING)),
            running: Arc::new(Semaphore::new(RUNNING)),
            decoy: digest(b"nobody has this password").into(),
        }
    }

    pub(crate) async fn hash(&self, password: SecretString) -> Result<String, Busy> {
        self.work(move || digest(password.expose_secret().as_bytes()))
            .await
    }

    /// Whether the password fits. Without a hash it does the same work and says no.
    pub(crate) async fn verify(
        &self,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<bool, Busy> {
        let decoy = self.decoy.clone();
        self.work(move || {
            let known = hash.is_some();
            let hash = hash.as_deref().unwrap_or(&decoy);
            let fits = PasswordHash::new(hash).is_ok_and(|hash| {
                Argon2::default()
                    .verify_password(password.expose_secret().as_bytes(), &hash)
                    .is_ok()
            });
            fits && known
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let _place = self.places.try_acquire().map_err(|_| Busy)?;
        let _turn = self.running.acquire().await.map_err(|_| Busy)?;
        tokio::task::spawn_blocking(job).await.map_err(|_| Busy)
    }
}

fn digest(password: &[u8]) -> String {
    Argon2::default()
        .hash_password(password)
        .expect("the default parameters and a password under 4 GiB are valid")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse".into()).await.expect("free");
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(
            passwords
                .verify("correct horse".into(), Some(hash.clone()))
                .await
                .expect("free")
        );
        assert!(
            !passwords
                .verify("wrong horse".into(), Some(hash))
                .await
                .expect("free")
        );
    }

    #[tokio::test]
    async fn the_decoy_opens_no_door() {
        let passwords = Passwords::new();
        assert!(
            !passwords
                .verify("nobody has this password".into(), None)
                .await
                .expect("free")
        );
    }
}
