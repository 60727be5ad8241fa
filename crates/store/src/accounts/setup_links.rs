//! The one-time link with which an installation gets its first owner.

use model::Timestamp;
use sea_orm::{ActiveValue::Set, Condition, entity::prelude::*};

use super::TokenHash;
use crate::{Db, StoreError, to_ms};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "setup_links")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub token_hash: String,
        pub created_at: i64,
        pub expires_at: i64,
        pub used_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn open(link: &TokenHash, now: Timestamp) -> Condition {
    Condition::all()
        .add(entity::Column::TokenHash.eq(&link.0))
        .add(entity::Column::UsedAt.is_null())
        .add(entity::Column::ExpiresAt.gt(to_ms(now)))
}

impl Db {
    /// Makes this the one valid link: those handed out before stop working.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replace_setup_link(
        &self,
        link: TokenHash,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        entity::Entity::delete_many()
            .filter(entity::Column::UsedAt.is_null())
            .exec(&self.conn)
            .await?;
        let row = entity::ActiveModel {
            token_hash: Set(link.0),
            created_at: Set(to_ms(now)),
            expires_at: Set(to_ms(expires_at)),
            used_at: Set(None),
        };
        entity::Entity::insert(row)
            .exec_without_returning(&self.conn)
            .await?;
        Ok(())
    }

    /// Whether the link can still be used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn setup_link_is_open(
        &self,
        link: &TokenHash,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(entity::Entity::find()
            .filter(open(link, now))
            .one(&self.conn)
            .await?
            .is_some())
    }

    /// Uses the link up. `true` for exactly one caller.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_setup_link(
        &self,
        link: &TokenHash,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = entity::Entity::update_many()
            .col_expr(entity::Column::UsedAt, Expr::value(to_ms(now)))
            .filter(open(link, now))
            .exec(&self.conn)
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// Makes a claimed link usable again, when what it was claimed for could not be done.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_setup_link(&self, link: &TokenHash) -> Result<(), StoreError> {
        entity::Entity::update_many()
            .col_expr(entity::Column::UsedAt, Expr::value(Option::<i64>::None))
            .filter(entity::Column::TokenHash.eq(&link.0))
            .exec(&self.conn)
            .await?;
        Ok(())
    }
}
