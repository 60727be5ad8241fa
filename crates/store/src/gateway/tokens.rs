//! Personal tokens (`pat-…`), kept as hashes.

use model::Timestamp;
use sea_orm::{ActiveValue::Set, entity::prelude::*};

use super::{CustomerId, TokenId, WorkspaceId, entity::personal_token as entity};
use crate::{Db, StoreError, from_ms, to_ms};

/// A token somebody made for himself or for a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalToken {
    pub id: TokenId,
    pub public_id: String,
    pub workspace: WorkspaceId,
    /// `None`: a manager's.
    pub customer: Option<CustomerId>,
    pub is_admin: bool,
    pub name: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

/// A personal token to be.
#[derive(Clone)]
pub struct NewPersonalToken {
    pub public_id: String,
    pub workspace: WorkspaceId,
    pub customer: Option<CustomerId>,
    pub is_admin: bool,
    pub name: String,
    /// Hex SHA-256 of the token.
    pub sha256: String,
    pub expires_at: Option<Timestamp>,
}

impl From<entity::Model> for PersonalToken {
    fn from(row: entity::Model) -> Self {
        Self {
            id: TokenId(row.id),
            public_id: row.public_id,
            workspace: WorkspaceId(row.workspace_id),
            customer: row.customer_id.map(CustomerId),
            is_admin: row.is_admin,
            name: row.name,
            created_at: from_ms(row.created_at),
            expires_at: row.expires_at.map(from_ms),
            revoked_at: row.revoked_at.map(from_ms),
        }
    }
}

impl Db {
    /// Keeps a personal token's hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_personal_token(
        &self,
        new: NewPersonalToken,
        now: Timestamp,
    ) -> Result<PersonalToken, StoreError> {
        let row = entity::ActiveModel {
            public_id: Set(new.public_id),
            workspace_id: Set(new.workspace.0),
            customer_id: Set(new.customer.map(|id| id.0)),
            is_admin: Set(new.is_admin),
            name: Set(new.name),
            sha256: Set(new.sha256),
            created_at: Set(to_ms(now)),
            expires_at: Set(new.expires_at.map(to_ms)),
            revoked_at: Set(None),
            ..Default::default()
        };
        Ok(row.insert(&self.conn).await?.into())
    }

    /// The token with this hash. The hash is the secret, so no workspace is named: it is the answer.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn personal_token(&self, sha256: &str) -> Result<Option<PersonalToken>, StoreError> {
        Ok(entity::Entity::find()
            .filter(entity::Column::Sha256.eq(sha256))
            .one(&self.conn)
            .await?
            .map(Into::into))
    }

    /// Ends a token; whether there was one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_personal_token(
        &self,
        workspace: WorkspaceId,
        public_id: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = entity::Entity::update_many()
            .col_expr(entity::Column::RevokedAt, Expr::value(to_ms(now)))
            .filter(entity::Column::WorkspaceId.eq(workspace.0))
            .filter(entity::Column::PublicId.eq(public_id))
            .filter(entity::Column::RevokedAt.is_null())
            .exec(&self.conn)
            .await?;
        Ok(done.rows_affected > 0)
    }
}
