//! Settings of a workspace's interface, by name.

use sea_orm::{ActiveValue::Set, entity::prelude::*, sea_query::OnConflict};
use serde_json::Value;

use super::{WorkspaceId, entity::setting as entity, from_text, to_text};
use crate::{Db, StoreError};

impl Db {
    /// A setting, when it has been set.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gateway_setting(
        &self,
        workspace: WorkspaceId,
        name: &str,
    ) -> Result<Option<Value>, StoreError> {
        let query = entity::Entity::find()
            .filter(entity::Column::WorkspaceId.eq(workspace.0))
            .filter(entity::Column::Name.eq(name));
        query
            .one(&self.conn)
            .await?
            .map(|row| from_text("setting", &row.value))
            .transpose()
    }

    /// Sets a setting.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_gateway_setting(
        &self,
        workspace: WorkspaceId,
        name: &str,
        value: &Value,
    ) -> Result<(), StoreError> {
        let row = entity::ActiveModel {
            workspace_id: Set(workspace.0),
            name: Set(name.to_owned()),
            value: Set(to_text(value)),
            ..Default::default()
        };
        let replace = OnConflict::columns([entity::Column::WorkspaceId, entity::Column::Name])
            .update_column(entity::Column::Value)
            .to_owned();
        entity::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&self.conn)
            .await?;
        Ok(())
    }
}
