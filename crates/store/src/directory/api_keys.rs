//! Keys to the CloudTalk-compatible API.

use model::{TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};

use super::{
    entity::api_key::{self, ActiveModel, Column, Entity},
    page::taken,
};
use crate::{Db, StoreError, from_ms, to_ms};

/// A key as lists show it and as a request is checked against it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub tenant: TenantId,
    /// Public: 22 capital letters and digits.
    pub key_id: String,
    /// Hex SHA-256 of the secret. The secret is 128 random bits or more, so no slow hash is needed.
    pub secret_sha256: String,
    pub name: String,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey")
            .field("tenant", &self.tenant)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// A key to be.
#[derive(Clone)]
pub struct NewApiKey {
    pub key_id: String,
    pub secret_sha256: String,
    pub name: String,
}

impl From<api_key::Model> for ApiKey {
    fn from(row: api_key::Model) -> Self {
        Self {
            tenant: TenantId(row.tenant_id),
            key_id: row.key_id,
            secret_sha256: row.secret_sha256,
            name: row.name,
            created_at: from_ms(row.created_at),
            revoked_at: row.revoked_at.map(from_ms),
        }
    }
}

impl Db {
    /// The key with this public id, of whatever company, unless revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_key(&self, key_id: &str) -> Result<Option<ApiKey>, StoreError> {
        let row = Entity::find()
            .filter(Column::KeyId.eq(key_id))
            .filter(Column::RevokedAt.is_null())
            .one(&self.conn)
            .await?;
        Ok(row.map(Into::into))
    }

    /// A company's keys, oldest first, revoked ones included.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_keys(&self, tenant: TenantId) -> Result<Vec<ApiKey>, StoreError> {
        let rows = Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .order_by_asc(Column::Id)
            .all(&self.conn)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the id is taken.
    pub async fn add_api_key(
        &self,
        tenant: TenantId,
        new: NewApiKey,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = ActiveModel {
            tenant_id: Set(tenant.0),
            key_id: Set(new.key_id),
            secret_sha256: Set(new.secret_sha256),
            name: Set(new.name),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        match row.insert(&self.conn).await {
            Ok(_) => Ok(()),
            Err(error) => Err(taken(error, &[("key_id", "key id")])),
        }
    }

    /// Revokes a key: the next request with it is refused.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_api_key(
        &self,
        tenant: TenantId,
        key_id: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let changed = Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(to_ms(now)))
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::KeyId.eq(key_id))
            .filter(Column::RevokedAt.is_null())
            .exec(&self.conn)
            .await?;
        Ok(changed.rows_affected > 0)
    }
}
