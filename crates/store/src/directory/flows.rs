//! Call flows, kept as the JSON of their own format. What is in them is not looked at here.

use model::{FlowId, TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};
use serde_json::Value;

use super::entity::flow::{self, ActiveModel, Column, Entity};
use crate::{Db, StoreError, from_ms, to_ms};

/// A stored call flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    pub id: FlowId,
    pub tenant: TenantId,
    pub name: String,
    pub flow: Value,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A flow to be stored.
#[derive(Clone, Debug)]
pub struct NewFlow {
    pub name: String,
    pub flow: Value,
}

fn flow_of(row: flow::Model) -> Result<Flow, StoreError> {
    Ok(Flow {
        id: FlowId(row.id),
        tenant: TenantId(row.tenant_id),
        name: row.name,
        flow: serde_json::from_str(&row.flow).map_err(|source| StoreError::Corrupt {
            what: "call flow",
            source,
        })?,
        created_at: from_ms(row.created_at),
        updated_at: from_ms(row.updated_at),
    })
}

impl Db {
    /// All flows of a company, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn flows(&self, tenant: TenantId) -> Result<Vec<Flow>, StoreError> {
        let rows = Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .order_by_asc(Column::Id)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(flow_of).collect()
    }

    /// The flow with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn flow(&self, tenant: TenantId, id: FlowId) -> Result<Option<Flow>, StoreError> {
        let row = Entity::find_by_id(id.0)
            .filter(Column::TenantId.eq(tenant.0))
            .one(&self.conn)
            .await?;
        row.map(flow_of).transpose()
    }

    /// Adds a flow.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_flow(
        &self,
        tenant: TenantId,
        new: NewFlow,
        now: Timestamp,
    ) -> Result<FlowId, StoreError> {
        let row = ActiveModel {
            tenant_id: Set(tenant.0),
            name: Set(new.name),
            flow: Set(new.flow.to_string()),
            created_at: Set(to_ms(now)),
            updated_at: Set(to_ms(now)),
            ..Default::default()
        };
        Ok(FlowId(row.insert(&self.conn).await?.id))
    }

    /// Replaces a flow; `false` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_flow(
        &self,
        tenant: TenantId,
        id: FlowId,
        new: NewFlow,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let row = ActiveModel {
            name: Set(new.name),
            flow: Set(new.flow.to_string()),
            updated_at: Set(to_ms(now)),
            ..Default::default()
        };
        let changed = Entity::update_many()
            .set(row)
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(changed.rows_affected > 0)
    }

    /// Removes a flow. Numbers that point to it become dead ends: check before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_flow(&self, tenant: TenantId, id: FlowId) -> Result<bool, StoreError> {
        let gone = Entity::delete_many()
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(gone.rows_affected > 0)
    }
}
