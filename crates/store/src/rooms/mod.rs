//! The conference rooms a company set up.

mod migration;
#[cfg(test)]
mod tests;

use model::{RoomId, TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*, sea_query::OnConflict};
use sea_orm_migration::MigrationTrait;

use crate::{Db, StoreError, from_ms, to_ms};

pub(crate) fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(migration::CreateRooms)]
}

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "conference_rooms")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub tenant_id: i64,
        pub name: String,
        pub extension: i64,
        pub pin: Option<String>,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRoom {
    pub id: RoomId,
    pub settings: RoomSettings,
    pub created_at: Timestamp,
}

/// What a company sets about a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSettings {
    /// As people see and hear it.
    pub name: String,
    /// Phones of the company dial `*5` and this; unique in the company.
    pub extension: u16,
    /// The digits that participants key in, if any.
    pub pin: Option<String>,
}

impl From<entity::Model> for StoredRoom {
    fn from(row: entity::Model) -> Self {
        Self {
            id: RoomId(row.id),
            settings: RoomSettings {
                name: row.name,
                extension: u16::try_from(row.extension).unwrap_or(0),
                pin: row.pin,
            },
            created_at: from_ms(row.created_at),
        }
    }
}

impl Db {
    /// A company's rooms, by extension.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rooms(&self, tenant: TenantId) -> Result<Vec<StoredRoom>, StoreError> {
        let rows = entity::Entity::find()
            .filter(entity::Column::TenantId.eq(tenant.0))
            .order_by_asc(entity::Column::Extension)
            .all(&self.conn)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Adds a room; `None` when the extension is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_room(
        &self,
        tenant: TenantId,
        settings: &RoomSettings,
        now: Timestamp,
    ) -> Result<Option<StoredRoom>, StoreError> {
        let extension = i64::from(settings.extension);
        let row = entity::ActiveModel {
            tenant_id: Set(tenant.0),
            name: Set(settings.name.clone()),
            extension: Set(extension),
            pin: Set(settings.pin.clone()),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        let taken = OnConflict::columns([entity::Column::TenantId, entity::Column::Extension])
            .do_nothing()
            .to_owned();
        let added = entity::Entity::insert(row)
            .on_conflict(taken)
            .exec_without_returning(&self.conn)
            .await?;
        if added == 0 {
            return Ok(None);
        }
        let row = self.room_at(tenant, extension).await?;
        Ok(row.map(Into::into))
    }

    /// Sets a room anew. Without a PIN it keeps none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_room(
        &self,
        tenant: TenantId,
        room: RoomId,
        settings: &RoomSettings,
    ) -> Result<RoomChange, StoreError> {
        let extension = i64::from(settings.extension);
        if let Some(other) = self.room_at(tenant, extension).await?
            && other.id != room.0
        {
            return Ok(RoomChange::ExtensionTaken);
        }
        let changed = entity::Entity::update_many()
            .col_expr(entity::Column::Name, Expr::value(settings.name.clone()))
            .col_expr(entity::Column::Extension, Expr::value(extension))
            .col_expr(entity::Column::Pin, Expr::value(settings.pin.clone()))
            .filter(entity::Column::TenantId.eq(tenant.0))
            .filter(entity::Column::Id.eq(room.0))
            .exec(&self.conn)
            .await?;
        Ok(match changed.rows_affected {
            0 => RoomChange::NoSuchRoom,
            _ => RoomChange::Done,
        })
    }

    /// Removes a room. Who is in it stays until he hangs up.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_room(&self, tenant: TenantId, room: RoomId) -> Result<bool, StoreError> {
        let gone = entity::Entity::delete_many()
            .filter(entity::Column::TenantId.eq(tenant.0))
            .filter(entity::Column::Id.eq(room.0))
            .exec(&self.conn)
            .await?;
        Ok(gone.rows_affected > 0)
    }

    async fn room_at(
        &self,
        tenant: TenantId,
        extension: i64,
    ) -> Result<Option<entity::Model>, StoreError> {
        Ok(entity::Entity::find()
            .filter(entity::Column::TenantId.eq(tenant.0))
            .filter(entity::Column::Extension.eq(extension))
            .one(&self.conn)
            .await?)
    }
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomChange {
    Done,
    NoSuchRoom,
    ExtensionTaken,
}
