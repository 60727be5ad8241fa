//! Workspaces: one per company.

use model::{TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};

use super::{WorkspaceId, duplicate, entity::workspace as entity};
use crate::{Db, StoreError, from_ms, to_ms};

/// The gateway's side of a company.
#[derive(Clone, PartialEq, Eq)]
pub struct Workspace {
    pub id: WorkspaceId,
    /// Hex id shown outside.
    pub public_id: String,
    /// The company that owns it.
    pub tenant: TenantId,
    /// Public key, named by tokens.
    pub key: String,
    pub name: String,
    /// The tenant key that the company's own people share.
    pub default_tenant_key: String,
    /// Data key of the workspace's own secrets, wrapped by the vault.
    pub wrapped_key: String,
    /// The token-signing secret, sealed by the vault.
    pub sealed_secret: String,
    pub created_at: Timestamp,
}

impl std::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workspace")
            .field("id", &self.id)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A workspace to be.
#[derive(Clone)]
pub struct NewWorkspace {
    pub public_id: String,
    pub tenant: TenantId,
    pub key: String,
    pub name: String,
    pub default_tenant_key: String,
    pub wrapped_key: String,
    pub sealed_secret: String,
}

impl From<entity::Model> for Workspace {
    fn from(row: entity::Model) -> Self {
        Self {
            id: WorkspaceId(row.id),
            public_id: row.public_id,
            tenant: TenantId(row.tenant_id),
            key: row.key,
            name: row.name,
            default_tenant_key: row.default_tenant_key,
            wrapped_key: row.wrapped_key,
            sealed_secret: row.sealed_secret,
            created_at: from_ms(row.created_at),
        }
    }
}

impl Db {
    /// Creates a company's workspace.
    ///
    /// # Errors
    /// `Duplicate` when the company has one or the key is taken.
    pub async fn create_workspace(
        &self,
        new: NewWorkspace,
        now: Timestamp,
    ) -> Result<Workspace, StoreError> {
        let row = entity::ActiveModel {
            public_id: Set(new.public_id),
            tenant_id: Set(new.tenant.0),
            key: Set(new.key),
            name: Set(new.name),
            default_tenant_key: Set(new.default_tenant_key),
            wrapped_key: Set(new.wrapped_key),
            sealed_secret: Set(new.sealed_secret),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        let row = row
            .insert(&self.conn)
            .await
            .map_err(|error| duplicate("workspace key or company", error))?;
        Ok(row.into())
    }

    /// The workspace with this row key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        Ok(entity::Entity::find_by_id(id.0)
            .one(&self.conn)
            .await?
            .map(Into::into))
    }

    /// The workspace a token names.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workspace_by_key(&self, key: &str) -> Result<Option<Workspace>, StoreError> {
        let row = entity::Entity::find()
            .filter(entity::Column::Key.eq(key))
            .one(&self.conn)
            .await?;
        Ok(row.map(Into::into))
    }

    /// A company's workspace.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workspace_of_tenant(
        &self,
        tenant: TenantId,
    ) -> Result<Option<Workspace>, StoreError> {
        let row = entity::Entity::find()
            .filter(entity::Column::TenantId.eq(tenant.0))
            .one(&self.conn)
            .await?;
        Ok(row.map(Into::into))
    }

    /// All workspaces, oldest first: for key rotation and checks by the operator.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workspaces(&self) -> Result<Vec<Workspace>, StoreError> {
        let rows = entity::Entity::find()
            .order_by_asc(entity::Column::Id)
            .all(&self.conn)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}
