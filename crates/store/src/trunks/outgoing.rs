//! A company's rules for outgoing calls, what it called, and who was stopped.

use model::{AgentId, TenantId, Timestamp, TrunkId};
use sea_orm::{
    ActiveValue::Set,
    QueryOrder, QuerySelect,
    entity::prelude::*,
    sea_query::{Alias, ExprTrait, OnConflict},
};
use serde_json::Value;

use super::entity::{settings, stop};
use crate::{
    Db, StoreError, from_ms,
    ledger::{calls_table as call, shares_table as share},
    to_ms,
};

/// Outgoing calls are stopped until a person releases them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingStop {
    pub tenant: TenantId,
    /// Whose; `None` is the whole company.
    pub agent: Option<AgentId>,
    pub reason: String,
    pub at: Timestamp,
}

/// A call that an agent placed, as far as sums need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingCall {
    pub agent: AgentId,
    pub started_at: Timestamp,
    pub talking_ms: u64,
    pub cost_micros: u64,
}

/// What was called through a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkUse {
    pub trunk: TrunkId,
    pub talking_ms: u64,
    pub cost_micros: u64,
}

fn stop_of(row: stop::Model) -> OutgoingStop {
    OutgoingStop {
        tenant: TenantId(row.tenant_id),
        agent: row.agent_id.map(AgentId),
        reason: row.reason,
        at: from_ms(row.at),
    }
}

fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl Db {
    /// What a company set for its outgoing calls; `None` when it never did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outgoing_settings(&self, tenant: TenantId) -> Result<Option<Value>, StoreError> {
        let row = settings::Entity::find_by_id(tenant.0)
            .one(&self.conn)
            .await?;
        row.map(|row| {
            serde_json::from_str(&row.settings).map_err(|source| StoreError::Corrupt {
                what: "settings of outgoing calls",
                source,
            })
        })
        .transpose()
    }

    /// Sets it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_outgoing_settings(
        &self,
        tenant: TenantId,
        new: &Value,
    ) -> Result<(), StoreError> {
        let row = settings::ActiveModel {
            tenant_id: Set(tenant.0),
            settings: Set(new.to_string()),
        };
        let replace = OnConflict::column(settings::Column::TenantId)
            .update_column(settings::Column::Settings)
            .to_owned();
        settings::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&self.conn)
            .await?;
        Ok(())
    }

    /// A company's stops in force, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outgoing_stops(&self, tenant: TenantId) -> Result<Vec<OutgoingStop>, StoreError> {
        let rows = stop::Entity::find()
            .filter(stop::Column::TenantId.eq(tenant.0))
            .filter(stop::Column::ReleasedAt.is_null())
            .order_by_asc(stop::Column::Id)
            .all(&self.conn)
            .await?;
        Ok(rows.into_iter().map(stop_of).collect())
    }

    /// Keeps a stop.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_outgoing_stop(&self, new: &OutgoingStop) -> Result<(), StoreError> {
        let row = stop::ActiveModel {
            tenant_id: Set(new.tenant.0),
            agent_id: Set(new.agent.map(|agent| agent.0)),
            reason: Set(new.reason.clone()),
            at: Set(to_ms(new.at)),
            released_at: Set(None),
            released_by: Set(None),
            ..Default::default()
        };
        row.insert(&self.conn).await?;
        Ok(())
    }

    /// Marks the stops of an agent, or of the whole company, as released; how many that were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_outgoing_stops(
        &self,
        tenant: TenantId,
        agent: Option<AgentId>,
        by: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let row = stop::ActiveModel {
            released_at: Set(Some(to_ms(now))),
            released_by: Set(Some(by.to_owned())),
            ..Default::default()
        };
        let whose = match agent {
            Some(agent) => stop::Column::AgentId.eq(agent.0),
            None => stop::Column::AgentId.is_null(),
        };
        let changed = stop::Entity::update_many()
            .set(row)
            .filter(stop::Column::TenantId.eq(tenant.0))
            .filter(stop::Column::ReleasedAt.is_null())
            .filter(whose)
            .exec(&self.conn)
            .await?;
        Ok(changed.rows_affected)
    }

    /// The outgoing calls of a company since a moment, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outgoing_calls_since(
        &self,
        tenant: TenantId,
        since: Timestamp,
    ) -> Result<Vec<OutgoingCall>, StoreError> {
        let rows: Vec<(i64, i64, i64, i64)> = call::Entity::find()
            .select_only()
            .column(call::Column::AgentId)
            .column(call::Column::StartedAt)
            .column(call::Column::TalkingMs)
            .column(call::Column::CostMicros)
            .filter(call::Column::TenantId.eq(tenant.0))
            .filter(call::Column::Direction.eq("outgoing"))
            .filter(call::Column::StartedAt.gte(to_ms(since)))
            .filter(call::Column::AgentId.is_not_null())
            .order_by_asc(call::Column::StartedAt)
            .into_tuple()
            .all(&self.conn)
            .await?;
        let calls =
            rows.into_iter().map(
                |(agent, started_at, talking_ms, cost_micros)| OutgoingCall {
                    agent: AgentId(agent),
                    started_at: from_ms(started_at),
                    talking_ms: positive(talking_ms),
                    cost_micros: positive(cost_micros),
                },
            );
        Ok(calls.collect())
    }

    /// What was used of each trunk since a moment, by all companies: by legs that were up then, whole, in whatever
    /// call they were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trunk_use_since(&self, since: Timestamp) -> Result<Vec<TrunkUse>, StoreError> {
        // Sums of big integers are decimals on PostgreSQL unless told otherwise.
        let sum = |column: share::Column| column.sum().cast_as(Alias::new("BIGINT"));
        let rows: Vec<(i64, i64, i64)> = share::Entity::find()
            .select_only()
            .column(share::Column::TrunkId)
            .column_as(sum(share::Column::TalkingMs), "talking")
            .column_as(sum(share::Column::CostMicros), "cost")
            .filter(share::Column::Until.gte(to_ms(since)))
            .group_by(share::Column::TrunkId)
            .into_tuple()
            .all(&self.conn)
            .await?;
        let uses = rows.into_iter().map(|(trunk, talking, cost)| TrunkUse {
            trunk: TrunkId(trunk),
            talking_ms: positive(talking),
            cost_micros: positive(cost),
        });
        Ok(uses.collect())
    }
}
