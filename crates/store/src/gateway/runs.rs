//! Records of action runs. They arrive redacted: this module never sees a credential.

use model::Timestamp;
use sea_orm::{ActiveValue::Set, QueryOrder, QuerySelect, entity::prelude::*};
use serde_json::Value;

use super::{
    ConnectionId, CustomerId, PageOf, Reach, RunId, WorkspaceId, entity::action_run as entity,
    from_text_opt, to_text,
};
use crate::{Db, StoreError, from_ms, to_ms};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    Success,
    Error,
}

impl RunStatus {
    /// As the interface spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
        }
    }
}

/// One execution of an action.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionRun {
    pub id: RunId,
    /// Hex id shown outside as `actionRunId`.
    pub public_id: String,
    pub workspace: WorkspaceId,
    pub customer: CustomerId,
    pub connection: Option<ConnectionId>,
    pub action_id: String,
    pub action_key: String,
    pub name: String,
    pub connector_key: Option<String>,
    pub status: RunStatus,
    pub input: Option<Value>,
    pub output: Option<Value>,
    pub error: Option<Value>,
    /// The raw exchange, redacted.
    pub details: Option<Value>,
    pub meta: Option<Value>,
    pub started_at: Timestamp,
    pub duration_ms: i64,
}

/// A run to record.
#[derive(Clone)]
pub struct NewActionRun {
    pub public_id: String,
    pub workspace: WorkspaceId,
    pub customer: CustomerId,
    pub connection: Option<ConnectionId>,
    pub action_id: String,
    pub action_key: String,
    pub name: String,
    pub connector_key: Option<String>,
    pub status: RunStatus,
    pub input: Option<Value>,
    pub output: Option<Value>,
    pub error: Option<Value>,
    pub details: Option<Value>,
    pub meta: Option<Value>,
    pub started_at: Timestamp,
    pub duration_ms: i64,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    pub action: Option<String>,
    pub connection: Option<ConnectionId>,
    pub connector_key: Option<String>,
    pub status: Option<RunStatus>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

impl TryFrom<entity::Model> for ActionRun {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: RunId(row.id),
            public_id: row.public_id,
            workspace: WorkspaceId(row.workspace_id),
            customer: CustomerId(row.customer_id),
            connection: row.connection_id.map(ConnectionId),
            action_id: row.action_id,
            action_key: row.action_key,
            name: row.name,
            connector_key: row.connector_key,
            status: if row.status == RunStatus::Success.as_str() {
                RunStatus::Success
            } else {
                RunStatus::Error
            },
            input: from_text_opt("run input", row.input.as_deref())?,
            output: from_text_opt("run output", row.output.as_deref())?,
            error: from_text_opt("run error", row.error.as_deref())?,
            details: from_text_opt("run details", row.details.as_deref())?,
            meta: from_text_opt("run meta", row.meta.as_deref())?,
            started_at: from_ms(row.started_at),
            duration_ms: row.duration_ms,
        })
    }
}

fn within(reach: Reach) -> sea_orm::Select<entity::Entity> {
    let mut query =
        entity::Entity::find().filter(entity::Column::WorkspaceId.eq(reach.workspace.0));
    if let Some(customer) = reach.customer {
        query = query.filter(entity::Column::CustomerId.eq(customer.0));
    }
    query
}

impl Db {
    /// Records a run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_action_run(&self, new: NewActionRun) -> Result<(), StoreError> {
        let row = entity::ActiveModel {
            public_id: Set(new.public_id),
            workspace_id: Set(new.workspace.0),
            customer_id: Set(new.customer.0),
            connection_id: Set(new.connection.map(|id| id.0)),
            action_id: Set(new.action_id),
            action_key: Set(new.action_key),
            name: Set(new.name),
            connector_key: Set(new.connector_key),
            status: Set(new.status.as_str().to_owned()),
            input: Set(new.input.as_ref().map(to_text)),
            output: Set(new.output.as_ref().map(to_text)),
            error: Set(new.error.as_ref().map(to_text)),
            details: Set(new.details.as_ref().map(to_text)),
            meta: Set(new.meta.as_ref().map(to_text)),
            started_at: Set(to_ms(new.started_at)),
            duration_ms: Set(new.duration_ms),
            ..Default::default()
        };
        entity::Entity::insert(row)
            .exec_without_returning(&self.conn)
            .await?;
        Ok(())
    }

    /// One run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn action_run(
        &self,
        reach: Reach,
        public_id: &str,
    ) -> Result<Option<ActionRun>, StoreError> {
        let query = within(reach).filter(entity::Column::PublicId.eq(public_id));
        query
            .one(&self.conn)
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// Runs, newest first. `page.after` is the oldest row seen so far, 0 to start.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn action_runs(
        &self,
        reach: Reach,
        filter: &RunFilter,
        page: PageOf,
    ) -> Result<Vec<ActionRun>, StoreError> {
        use sea_orm::ExprTrait;
        let mut query = within(reach)
            .order_by_desc(entity::Column::Id)
            .limit(page.limit);
        if page.after > 0 {
            query = query.filter(entity::Column::Id.lt(page.after));
        }
        if let Some(action) = &filter.action {
            query = query.filter(
                entity::Column::ActionId
                    .eq(action)
                    .or(entity::Column::ActionKey.eq(action)),
            );
        }
        if let Some(connection) = filter.connection {
            query = query.filter(entity::Column::ConnectionId.eq(connection.0));
        }
        if let Some(key) = &filter.connector_key {
            query = query.filter(entity::Column::ConnectorKey.eq(key));
        }
        if let Some(status) = filter.status {
            query = query.filter(entity::Column::Status.eq(status.as_str()));
        }
        if let Some(from) = filter.from {
            query = query.filter(entity::Column::StartedAt.gte(to_ms(from)));
        }
        if let Some(to) = filter.to {
            query = query.filter(entity::Column::StartedAt.lte(to_ms(to)));
        }
        query
            .all(&self.conn)
            .await?
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    }
}
