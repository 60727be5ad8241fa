//! Who may sign in: users, sessions, one-time links and what the OAuth server must remember.
//!
//! Tokens arrive here hashed ([`TokenHash`]) and passwords as argon2id strings; nothing in these tables
//! opens a door by itself. Everything that may happen only once (a link, a code, a refresh token) is
//! claimed by a single conditional `UPDATE`, so that of two parallel claims exactly one wins.

mod grants;
mod migration;
mod oauth;
mod sessions;
mod setup_links;
mod users;

pub use grants::{Grant, GrantId, NewGrant, Rotation};
pub use oauth::{ClaimedCode, CodeClaim, NewCode, OauthClient, TokenKind};
pub use sessions::{NewSession, Session};
pub use users::{NewUser, Role, User};

use sea_orm_migration::prelude::*;

/// SHA-256 of a random token, in lower-case hex: all that the tables keep of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash(pub String);

pub(crate) fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(migration::CreateAccounts)]
}
