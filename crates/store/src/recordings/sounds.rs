//! The sounds a company uploaded, by name. Their audio lies in the data folder.

use model::{TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*, sea_query::OnConflict};

use crate::{Db, StoreError, from_ms, to_ms};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sounds")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub tenant_id: i64,
        pub name: String,
        pub duration_ms: i64,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A sound of a company.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSound {
    pub id: i64,
    pub tenant: TenantId,
    /// As call flows name it; unique in the company.
    pub name: String,
    pub duration_ms: u64,
    pub created_at: Timestamp,
}

impl From<entity::Model> for StoredSound {
    fn from(row: entity::Model) -> Self {
        Self {
            id: row.id,
            tenant: TenantId(row.tenant_id),
            name: row.name,
            duration_ms: u64::try_from(row.duration_ms).unwrap_or(0),
            created_at: from_ms(row.created_at),
        }
    }
}

impl Db {
    /// A company's sounds, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sounds(&self, tenant: TenantId) -> Result<Vec<StoredSound>, StoreError> {
        let rows = entity::Entity::find()
            .filter(entity::Column::TenantId.eq(tenant.0))
            .order_by_asc(entity::Column::Name)
            .all(&self.conn)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// The sound with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sound(
        &self,
        tenant: TenantId,
        id: i64,
    ) -> Result<Option<StoredSound>, StoreError> {
        let row = entity::Entity::find_by_id(id)
            .filter(entity::Column::TenantId.eq(tenant.0))
            .one(&self.conn)
            .await?;
        Ok(row.map(Into::into))
    }

    /// The sound with this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sound_named(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Option<StoredSound>, StoreError> {
        let row = entity::Entity::find()
            .filter(entity::Column::TenantId.eq(tenant.0))
            .filter(entity::Column::Name.eq(name))
            .one(&self.conn)
            .await?;
        Ok(row.map(Into::into))
    }

    /// Adds a sound; `None` when the name is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_sound(
        &self,
        tenant: TenantId,
        name: &str,
        duration_ms: u64,
        now: Timestamp,
    ) -> Result<Option<StoredSound>, StoreError> {
        let row = entity::ActiveModel {
            tenant_id: Set(tenant.0),
            name: Set(name.to_owned()),
            duration_ms: Set(i64::try_from(duration_ms).unwrap_or(i64::MAX)),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        let taken = OnConflict::columns([entity::Column::TenantId, entity::Column::Name])
            .do_nothing()
            .to_owned();
        let added = entity::Entity::insert(row)
            .on_conflict(taken)
            .exec_without_returning(&self.conn)
            .await?;
        if added == 0 {
            return Ok(None);
        }
        self.sound_named(tenant, name).await
    }

    /// Names a sound anew; `false` when there is none, or the name is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rename_sound(
        &self,
        tenant: TenantId,
        id: i64,
        name: &str,
    ) -> Result<bool, StoreError> {
        if let Some(other) = self.sound_named(tenant, name).await? {
            return Ok(other.id == id);
        }
        let changed = entity::Entity::update_many()
            .col_expr(entity::Column::Name, Expr::value(name))
            .filter(entity::Column::TenantId.eq(tenant.0))
            .filter(entity::Column::Id.eq(id))
            .exec(&self.conn)
            .await?;
        Ok(changed.rows_affected > 0)
    }

    /// Removes a sound. The caller removes its audio.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_sound(&self, tenant: TenantId, id: i64) -> Result<bool, StoreError> {
        let gone = entity::Entity::delete_many()
            .filter(entity::Column::TenantId.eq(tenant.0))
            .filter(entity::Column::Id.eq(id))
            .exec(&self.conn)
            .await?;
        Ok(gone.rows_affected > 0)
    }
}
