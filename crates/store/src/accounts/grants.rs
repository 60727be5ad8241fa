//! What people allowed which client, and the refresh tokens that hang on it.

use model::{Timestamp, UserId};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DatabaseTransaction, QueryOrder, TransactionTrait,
    entity::prelude::*,
};

use super::{TokenHash, TokenKind, User, users};
use crate::{Db, StoreError, from_ms, to_ms};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "oauth_grants")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub user_id: i64,
        pub client_id: String,
        pub token_kind: super::TokenKind,
        pub client_name: String,
        pub created_at: i64,
        pub revoked_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod refresh {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "oauth_refresh_tokens")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub token_hash: String,
        pub grant_id: i64,
        pub created_at: i64,
        pub expires_at: i64,
        pub used_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// One consent: this person let this client act for him.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrantId(pub i64);

impl std::fmt::Display for GrantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for GrantId {
    type Err = std::num::ParseIntError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Self)
    }
}

/// A consent as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    pub user: UserId,
    pub client_id: String,
    pub kind: TokenKind,
    /// What the client called itself, such as `claude`. Not to be trusted, only shown.
    pub client_name: String,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// A consent to be.
#[derive(Clone, Debug)]
pub struct NewGrant {
    pub user: UserId,
    pub client_id: String,
    pub kind: TokenKind,
    pub client_name: String,
}

/// What became of a refresh token that was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It was good: it is used up now and the new one stands in its place.
    Rotated(Box<(Grant, User)>),
    /// It had been used before, so two parties hold it. Its grant is revoked now.
    Reused(GrantId),
    /// Unknown, expired, revoked, of another client or of a disabled person.
    Invalid,
}

impl From<entity::Model> for Grant {
    fn from(row: entity::Model) -> Self {
        Self {
            id: GrantId(row.id),
            user: UserId(row.user_id),
            client_id: row.client_id,
            kind: row.token_kind,
            client_name: row.client_name,
            created_at: from_ms(row.created_at),
            revoked_at: row.revoked_at.map(from_ms),
        }
    }
}

impl Db {
    /// The grant, when it is neither revoked nor its person disabled.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_grant(&self, id: GrantId) -> Result<Option<(Grant, User)>, StoreError> {
        live(&self.conn, id.0).await
    }

    /// The grants of a person that still count, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn grants_of(&self, user: UserId) -> Result<Vec<Grant>, StoreError> {
        let rows = entity::Entity::find()
            .filter(entity::Column::UserId.eq(user.0))
            .filter(entity::Column::RevokedAt.is_null())
            .order_by_desc(entity::Column::Id)
            .all(&self.conn)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Takes a grant back. Revoking twice keeps the first time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_grant(&self, id: GrantId, now: Timestamp) -> Result<(), StoreError> {
        revoke(&self.conn, id.0, now).await
    }

    /// The grant behind a refresh token in whatever state, for revocation.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn grant_of_refresh_token(
        &self,
        token: &TokenHash,
    ) -> Result<Option<GrantId>, StoreError> {
        let row = refresh::Entity::find_by_id(token.0.clone())
            .one(&self.conn)
            .await?;
        Ok(row.map(|row| GrantId(row.grant_id)))
    }

    /// Adds the first refresh token of a grant.
    pub(super) async fn insert_refresh_token(
        conn: &impl ConnectionTrait,
        grant: GrantId,
        token: TokenHash,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let row = refresh::ActiveModel {
            token_hash: Set(token.0),
            grant_id: Set(grant.0),
            created_at: Set(to_ms(now)),
            expires_at: Set(to_ms(expires_at)),
            used_at: Set(None),
        };
        refresh::Entity::insert(row)
            .exec_without_returning(conn)
            .await?;
        Ok(())
    }

    /// Adds a grant.
    pub(super) async fn insert_grant(
        conn: &impl ConnectionTrait,
        new: NewGrant,
        now: Timestamp,
    ) -> Result<GrantId, StoreError> {
        let row = entity::ActiveModel {
            user_id: Set(new.user.0),
            client_id: Set(new.client_id),
            token_kind: Set(new.kind),
            client_name: Set(new.client_name),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        Ok(GrantId(row.insert(conn).await?.id))
    }

    /// Trades a refresh token for the next one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rotate_refresh_token(
        &self,
        old: &TokenHash,
        new: TokenHash,
        client_id: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Rotation, StoreError> {
        let tx = self.conn.begin().await?;
        // The write comes first: it takes the lock, so what is read afterwards can't be overtaken.
        let claimed = refresh::Entity::update_many()
            .col_expr(refresh::Column::UsedAt, Expr::value(to_ms(now)))
            .filter(refresh::Column::TokenHash.eq(&old.0))
            .filter(refresh::Column::UsedAt.is_null())
            .filter(refresh::Column::ExpiresAt.gt(to_ms(now)))
            .exec(&tx)
            .await?
            .rows_affected
            == 1;
        let outcome = rotate(&tx, claimed, old, new, client_id, now, expires_at).await?;
        tx.commit().await?;
        Ok(outcome)
    }
}

async fn rotate(
    tx: &DatabaseTransaction,
    claimed: bool,
    old: &TokenHash,
    new: TokenHash,
    client_id: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Rotation, StoreError> {
    let Some(token) = refresh::Entity::find_by_id(old.0.clone()).one(tx).await? else {
        return Ok(Rotation::Invalid);
    };
    if !claimed {
        if token.used_at.is_none() {
            return Ok(Rotation::Invalid); // it has expired
        }
        revoke(tx, token.grant_id, now).await?;
        return Ok(Rotation::Reused(GrantId(token.grant_id)));
    }
    match live(tx, token.grant_id).await? {
        Some((grant, user)) if grant.client_id == client_id => {
            Db::insert_refresh_token(tx, grant.id, new, now, expires_at).await?;
            Ok(Rotation::Rotated(Box::new((grant, user))))
        }
        _ => Ok(Rotation::Invalid),
    }
}

async fn live(conn: &impl ConnectionTrait, id: i64) -> Result<Option<(Grant, User)>, StoreError> {
    let grant = entity::Entity::find_by_id(id)
        .filter(entity::Column::RevokedAt.is_null())
        .one(conn)
        .await?;
    let Some(grant) = grant else { return Ok(None) };
    let user = users::entity::Entity::find_by_id(grant.user_id)
        .filter(users::entity::Column::DisabledAt.is_null())
        .one(conn)
        .await?;
    Ok(user.map(|user| (grant.into(), user.into())))
}

pub(super) async fn revoke(
    conn: &impl ConnectionTrait,
    id: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    entity::Entity::update_many()
        .col_expr(entity::Column::RevokedAt, Expr::value(to_ms(now)))
        .filter(entity::Column::Id.eq(id))
        .filter(entity::Column::RevokedAt.is_null())
        .exec(conn)
        .await?;
    Ok(())
}
