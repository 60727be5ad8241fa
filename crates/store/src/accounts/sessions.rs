//! Browser sessions.

use model::{Timestamp, UserId};
use sea_orm::{ActiveValue::Set, entity::prelude::*};

use super::{TokenHash, User, users};
use crate::{Db, StoreError, from_ms, to_ms};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "user_sessions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub token_hash: String,
        pub user_id: i64,
        pub created_at: i64,
        pub last_seen_at: i64,
        pub expires_at: i64,
        pub user_agent: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub user: UserId,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
    pub user_agent: String,
}

/// A session to be.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub token_hash: TokenHash,
    pub user: UserId,
    pub expires_at: Timestamp,
    pub user_agent: String,
}

impl From<entity::Model> for Session {
    fn from(row: entity::Model) -> Self {
        Self {
            user: UserId(row.user_id),
            created_at: from_ms(row.created_at),
            last_seen_at: from_ms(row.last_seen_at),
            expires_at: from_ms(row.expires_at),
            user_agent: row.user_agent,
        }
    }
}

impl Db {
    /// Opens a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_session(&self, new: NewSession, now: Timestamp) -> Result<(), StoreError> {
        let row = entity::ActiveModel {
            token_hash: Set(new.token_hash.0),
            user_id: Set(new.user.0),
            created_at: Set(to_ms(now)),
            last_seen_at: Set(to_ms(now)),
            expires_at: Set(to_ms(new.expires_at)),
            user_agent: Set(new.user_agent),
        };
        entity::Entity::insert(row)
            .exec_without_returning(&self.conn)
            .await?;
        Ok(())
    }

    /// The session and its person, unless it has run out or he is disabled.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_session(
        &self,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<(Session, User)>, StoreError> {
        let session = entity::Entity::find_by_id(token.0.clone())
            .filter(entity::Column::ExpiresAt.gt(to_ms(now)))
            .one(&self.conn)
            .await?;
        let Some(session) = session else {
            return Ok(None);
        };
        let user = users::entity::Entity::find_by_id(session.user_id)
            .filter(users::entity::Column::DisabledAt.is_null())
            .one(&self.conn)
            .await?;
        Ok(user.map(|user| (session.into(), user.into())))
    }

    /// Notes that a session was used, and until when it now lives.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_session(
        &self,
        token: &TokenHash,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        entity::Entity::update_many()
            .col_expr(entity::Column::LastSeenAt, Expr::value(to_ms(now)))
            .col_expr(entity::Column::ExpiresAt, Expr::value(to_ms(expires_at)))
            .filter(entity::Column::TokenHash.eq(&token.0))
            .exec(&self.conn)
            .await?;
        Ok(())
    }

    /// Ends one session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_session(&self, token: &TokenHash) -> Result<(), StoreError> {
        entity::Entity::delete_by_id(token.0.clone())
            .exec(&self.conn)
            .await?;
        Ok(())
    }

    /// Ends every session of a person, after his password changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_sessions_of(&self, user: UserId) -> Result<(), StoreError> {
        entity::Entity::delete_many()
            .filter(entity::Column::UserId.eq(user.0))
            .exec(&self.conn)
            .await?;
        Ok(())
    }

    /// Forgets sessions that ran out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_sessions(&self, now: Timestamp) -> Result<u64, StoreError> {
        let done = entity::Entity::delete_many()
            .filter(entity::Column::ExpiresAt.lte(to_ms(now)))
            .exec(&self.conn)
            .await?;
        Ok(done.rows_affected)
    }
}
