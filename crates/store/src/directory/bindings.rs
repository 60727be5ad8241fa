//! Bindings of the SIP registrar, so that phones stay reachable over a restart.

use model::Timestamp;
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*, sea_query::OnConflict};
use serde_json::Value;

use super::entity::binding::{ActiveModel, Column, Entity};
use crate::{Db, StoreError, from_ms, to_ms};

/// Where a device can be reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The address-of-record's user.
    pub username: String,
    /// What tells the user's devices apart: the `+sip.instance` with reg-id, else the contact URI.
    pub instance: String,
    /// The registrar's own description: contact URI, flow, path and whatever it needs.
    pub binding: Value,
    pub expires_at: Timestamp,
}

impl Db {
    /// Keeps a binding, in place of the device's former one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_binding(&self, binding: &Binding) -> Result<(), StoreError> {
        let row = ActiveModel {
            username: Set(binding.username.clone()),
            instance: Set(binding.instance.clone()),
            binding: Set(binding.binding.to_string()),
            expires_at: Set(to_ms(binding.expires_at)),
            ..Default::default()
        };
        let replace = OnConflict::columns([Column::Username, Column::Instance])
            .update_columns([Column::Binding, Column::ExpiresAt])
            .to_owned();
        Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&self.conn)
            .await?;
        Ok(())
    }

    /// Forgets a device.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_binding(&self, username: &str, instance: &str) -> Result<(), StoreError> {
        Entity::delete_many()
            .filter(Column::Username.eq(username))
            .filter(Column::Instance.eq(instance))
            .exec(&self.conn)
            .await?;
        Ok(())
    }

    /// All bindings that still hold. Expired ones are dropped on the way.
    ///
    /// # Errors
    /// When the database fails or a binding is unreadable.
    pub async fn load_bindings(&self, now: Timestamp) -> Result<Vec<Binding>, StoreError> {
        Entity::delete_many()
            .filter(Column::ExpiresAt.lte(to_ms(now)))
            .exec(&self.conn)
            .await?;
        let rows = Entity::find()
            .order_by_asc(Column::Id)
            .all(&self.conn)
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Binding {
                    username: row.username,
                    instance: row.instance,
                    binding: serde_json::from_str(&row.binding).map_err(|source| {
                        StoreError::Corrupt {
                            what: "SIP binding",
                            source,
                        }
                    })?,
                    expires_at: from_ms(row.expires_at),
                })
            })
            .collect()
    }
}
