//! Definitions of contact attributes.

use model::TenantId;
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};

use super::{
    AttributeId,
    entity::attribute::{ActiveModel, Column, Entity},
};
use crate::{Db, StoreError};

/// Something a company notes about its contacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub id: AttributeId,
    pub title: String,
}

impl Db {
    /// A company's attributes, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attributes(&self, tenant: TenantId) -> Result<Vec<Attribute>, StoreError> {
        let rows = Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .order_by_asc(Column::Id)
            .all(&self.conn)
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| Attribute {
                id: AttributeId(row.id),
                title: row.title,
            })
            .collect())
    }

    /// Defines an attribute.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_attribute(
        &self,
        tenant: TenantId,
        title: &str,
    ) -> Result<AttributeId, StoreError> {
        let row = ActiveModel {
            tenant_id: Set(tenant.0),
            title: Set(title.trim().to_owned()),
            ..Default::default()
        };
        Ok(AttributeId(row.insert(&self.conn).await?.id))
    }
}
