//! Tenants of a workspace, created when a token first names them.

use model::Timestamp;
use sea_orm::{
    ActiveValue::Set, QueryOrder, QuerySelect, entity::prelude::*, sea_query::OnConflict,
};
use serde_json::Value;

use super::{
    CustomerId, PageOf, Reach, WorkspaceId, entity::customer as entity, from_text_opt, to_text,
};
use crate::{Db, StoreError, from_ms, to_ms};

/// How stale `last_active_at` may be. Writing it on every request would make each read a write.
const ACTIVE_GRAIN_MS: i64 = 60_000;

/// A tenant of a workspace.
#[derive(Clone, PartialEq)]
pub struct Customer {
    pub id: CustomerId,
    /// Hex id shown outside.
    pub public_id: String,
    pub workspace: WorkspaceId,
    /// The key tokens name it by.
    pub internal_id: String,
    pub name: Option<String>,
    pub fields: Option<Value>,
    /// Data key of this customer's secrets, wrapped by the vault; made with the first secret.
    pub wrapped_key: Option<String>,
    /// Free credentials of the customer itself, sealed.
    pub sealed_credentials: Option<String>,
    pub created_at: Timestamp,
    pub last_active_at: Timestamp,
}

impl std::fmt::Debug for Customer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Customer")
            .field("id", &self.id)
            .field("internal_id", &self.internal_id)
            .finish_non_exhaustive()
    }
}

/// What a token says about its tenant.
#[derive(Clone, Copy, Debug)]
pub struct CustomerSeen<'a> {
    pub workspace: WorkspaceId,
    pub internal_id: &'a str,
    pub name: Option<&'a str>,
    pub fields: Option<&'a Value>,
    /// Hex id in case the tenant is new.
    pub public_id: &'a str,
}

impl TryFrom<entity::Model> for Customer {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: CustomerId(row.id),
            public_id: row.public_id,
            workspace: WorkspaceId(row.workspace_id),
            internal_id: row.internal_id,
            name: row.name,
            fields: from_text_opt("tenant fields", row.fields.as_deref())?,
            wrapped_key: row.wrapped_key,
            sealed_credentials: row.sealed_credentials,
            created_at: from_ms(row.created_at),
            last_active_at: from_ms(row.last_active_at),
        })
    }
}

fn find(reach: Reach) -> sea_orm::Select<entity::Entity> {
    let mut query =
        entity::Entity::find().filter(entity::Column::WorkspaceId.eq(reach.workspace.0));
    if let Some(customer) = reach.customer {
        query = query.filter(entity::Column::Id.eq(customer.0));
    }
    query
}

impl Db {
    /// The tenant a valid token names: created on first sight, its name and fields kept up to date.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn customer_seen(
        &self,
        seen: CustomerSeen<'_>,
        now: Timestamp,
    ) -> Result<Customer, StoreError> {
        if let Some(known) = self.customer_row(seen.workspace, seen.internal_id).await? {
            return self.refresh_customer(known, seen, now).await;
        }
        let row = entity::ActiveModel {
            public_id: Set(seen.public_id.to_owned()),
            workspace_id: Set(seen.workspace.0),
            internal_id: Set(seen.internal_id.to_owned()),
            name: Set(seen.name.map(str::to_owned)),
            fields: Set(seen.fields.map(to_text)),
            created_at: Set(to_ms(now)),
            last_active_at: Set(to_ms(now)),
            ..Default::default()
        };
        // Two first requests at once: the second insert gives way and reads what the first wrote.
        let give_way =
            OnConflict::columns([entity::Column::WorkspaceId, entity::Column::InternalId])
                .do_nothing()
                .to_owned();
        entity::Entity::insert(row)
            .on_conflict(give_way)
            .exec_without_returning(&self.conn)
            .await?;
        let row = self.customer_row(seen.workspace, seen.internal_id).await?;
        row.ok_or_else(|| StoreError::Engine(DbErr::RecordNotFound("tenant just created".into())))?
            .try_into()
    }

    async fn customer_row(
        &self,
        workspace: WorkspaceId,
        internal_id: &str,
    ) -> Result<Option<entity::Model>, StoreError> {
        let query = entity::Entity::find()
            .filter(entity::Column::WorkspaceId.eq(workspace.0))
            .filter(entity::Column::InternalId.eq(internal_id));
        Ok(query.one(&self.conn).await?)
    }

    async fn refresh_customer(
        &self,
        known: entity::Model,
        seen: CustomerSeen<'_>,
        now: Timestamp,
    ) -> Result<Customer, StoreError> {
        let name = seen.name.map(str::to_owned).or_else(|| known.name.clone());
        let fields = seen.fields.map(to_text).or_else(|| known.fields.clone());
        let idle = to_ms(now) - known.last_active_at;
        if name == known.name && fields == known.fields && idle < ACTIVE_GRAIN_MS {
            return known.try_into();
        }
        let mut row: entity::ActiveModel = known.into();
        row.name = Set(name);
        row.fields = Set(fields);
        row.last_active_at = Set(to_ms(now));
        row.update(&self.conn).await?.try_into()
    }

    /// A tenant by its hex id or the key tokens name it by.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn customer(
        &self,
        reach: Reach,
        selector: &str,
    ) -> Result<Option<Customer>, StoreError> {
        use sea_orm::ExprTrait;
        let either = entity::Column::PublicId
            .eq(selector)
            .or(entity::Column::InternalId.eq(selector));
        find(reach)
            .filter(either)
            .one(&self.conn)
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// A tenant by row key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn customer_by_id(
        &self,
        workspace: WorkspaceId,
        id: CustomerId,
    ) -> Result<Option<Customer>, StoreError> {
        find(Reach::customer(workspace, id))
            .one(&self.conn)
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// Tenants within reach, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn customers(&self, reach: Reach, page: PageOf) -> Result<Vec<Customer>, StoreError> {
        let query = find(reach)
            .filter(entity::Column::Id.gt(page.after))
            .order_by_asc(entity::Column::Id)
            .limit(page.limit);
        query
            .all(&self.conn)
            .await?
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    }

    /// Sets what the tenant says about itself. `None` leaves a value as it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_customer(
        &self,
        reach: Reach,
        id: CustomerId,
        name: Option<&str>,
        fields: Option<&Value>,
        sealed_credentials: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut update = entity::Entity::update_many()
            .filter(entity::Column::WorkspaceId.eq(reach.workspace.0))
            .filter(entity::Column::Id.eq(reach.customer.unwrap_or(id).0))
            .filter(entity::Column::Id.eq(id.0))
            // An update needs a column even when nothing changes.
            .col_expr(entity::Column::Id, Expr::col(entity::Column::Id));
        if let Some(name) = name {
            update = update.col_expr(entity::Column::Name, Expr::value(name));
        }
        if let Some(fields) = fields {
            update = update.col_expr(entity::Column::Fields, Expr::value(to_text(fields)));
        }
        if let Some(sealed) = sealed_credentials {
            update = update.col_expr(entity::Column::SealedCredentials, Expr::value(sealed));
        }
        update.exec(&self.conn).await?;
        Ok(())
    }

    /// Gives the tenant a data key unless it has one; the key that counts is returned.
    ///
    /// # Errors
    /// When the database fails or the tenant is gone.
    pub async fn customer_data_key(
        &self,
        workspace: WorkspaceId,
        id: CustomerId,
        wrapped: &str,
    ) -> Result<String, StoreError> {
        entity::Entity::update_many()
            .col_expr(entity::Column::WrappedKey, Expr::value(wrapped))
            .filter(entity::Column::WorkspaceId.eq(workspace.0))
            .filter(entity::Column::Id.eq(id.0))
            .filter(entity::Column::WrappedKey.is_null())
            .exec(&self.conn)
            .await?;
        let row = self.customer_by_id(workspace, id).await?;
        row.and_then(|row| row.wrapped_key)
            .ok_or_else(|| StoreError::Engine(DbErr::RecordNotFound("tenant".into())))
    }
}
