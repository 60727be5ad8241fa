//! Reading calls: by id, filtered lists, the ones still open.

use model::{
    AgentId, CallEvent, CallFact, CallId, CallRecord, ContactId, Direction, TagId, TenantId,
    Timestamp,
};
use sea_orm::{
    Condition, PaginatorTrait, QueryOrder, QuerySelect,
    entity::prelude::*,
    sea_query::{Alias, Expr, ExprTrait, Query},
};

use super::entity::{call, event};
use crate::{Db, StoreError, from_ms, to_ms};

/// Whether anybody talked. A call that still runs unanswered counts as missed in neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStatus {
    /// An agent and the customer talked.
    Answered,
    /// It ended without a conversation; voicemail counts as missed.
    Missed,
}

/// Which calls to list. Absent filters let everything through.
#[derive(Clone, Debug, Default)]
pub struct CallQuery {
    pub id: Option<CallId>,
    pub direction: Option<Direction>,
    pub status: Option<CallStatus>,
    /// The outside number, E.164 with `+`.
    pub external: Option<String>,
    /// Our number, E.164 with `+`.
    pub internal: Option<String>,
    pub contact: Option<ContactId>,
    pub agent: Option<AgentId>,
    pub tag: Option<TagId>,
    /// First ring at or after.
    pub from: Option<Timestamp>,
    /// First ring at or before.
    pub to: Option<Timestamp>,
}

/// One page of calls, newest first.
#[derive(Clone, Debug)]
pub struct CallPage {
    pub calls: Vec<CallRecord>,
    /// All that match, not only this page.
    pub total: u64,
}

impl CallQuery {
    fn condition(&self, tenant: TenantId) -> Condition {
        use call::Column;
        let mut all = Condition::all().add(Column::TenantId.eq(tenant.0));
        let mut add = |filter: Option<sea_orm::sea_query::SimpleExpr>| {
            if let Some(filter) = filter {
                all = all.clone().add(filter);
            }
        };
        add(self.id.map(|id| Column::Id.eq(id.0)));
        add(self
            .direction
            .map(|d| Column::Direction.eq(direction_text(d))));
        add(self.status.map(|status| match status {
            CallStatus::Answered => Column::Status.eq(ANSWERED),
            CallStatus::Missed => Column::Status.eq(MISSED),
        }));
        add(self
            .external
            .as_ref()
            .map(|number| Column::External.eq(number.as_str())));
        add(self
            .internal
            .as_ref()
            .map(|number| Column::Internal.eq(number.as_str())));
        add(self.contact.map(|id| Column::ContactId.eq(id.0)));
        add(self.agent.map(|id| Column::AgentId.eq(id.0)));
        add(self.from.map(|at| Column::StartedAt.gte(to_ms(at))));
        add(self.to.map(|at| Column::StartedAt.lte(to_ms(at))));
        if let Some(tag) = self.tag {
            let tagged = Query::select()
                .column(Alias::new("call_id"))
                .from(Alias::new("call_tags"))
                .and_where(Expr::col(Alias::new("tag_id")).eq(tag.0))
                .and_where(Expr::col(Alias::new("tenant_id")).eq(tenant.0))
                .to_owned();
            all = all.add(Column::Id.in_subquery(tagged));
        }
        all
    }
}

pub(super) const RUNNING: &str = "running";
pub(super) const ANSWERED: &str = "answered";
pub(super) const MISSED: &str = "missed";

pub(super) fn direction_text(direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming => "incoming",
        Direction::Outgoing => "outgoing",
        Direction::Internal => "internal",
    }
}

pub(super) fn record_of(row: &call::Model) -> Result<CallRecord, StoreError> {
    serde_json::from_str(&row.record).map_err(|source| StoreError::Corrupt {
        what: "call record",
        source,
    })
}

impl Db {
    /// One page of a company's calls, newest first; `page` counts from 1.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn calls(
        &self,
        tenant: TenantId,
        query: &CallQuery,
        limit: u64,
        page: u64,
    ) -> Result<CallPage, StoreError> {
        let select = call::Entity::find().filter(query.condition(tenant));
        let total = select.clone().count(&self.conn).await?;
        let rows = select
            .order_by_desc(call::Column::StartedAt)
            .order_by_desc(call::Column::Id)
            .limit(limit)
            .offset(page.saturating_sub(1).saturating_mul(limit))
            .all(&self.conn)
            .await?;
        let calls = rows.iter().map(record_of).collect::<Result<_, _>>()?;
        Ok(CallPage { calls, total })
    }

    /// The call with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn call(
        &self,
        tenant: TenantId,
        id: CallId,
    ) -> Result<Option<CallRecord>, StoreError> {
        let row = call::Entity::find_by_id(id.0)
            .filter(call::Column::TenantId.eq(tenant.0))
            .one(&self.conn)
            .await?;
        row.as_ref().map(record_of).transpose()
    }

    /// The first answered call with the same outside number after a missed one: who resolved it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn call_resolving(
        &self,
        missed: &CallRecord,
    ) -> Result<Option<CallRecord>, StoreError> {
        let Some(external) = &missed.external else {
            return Ok(None);
        };
        let row = call::Entity::find()
            .filter(call::Column::TenantId.eq(missed.tenant.0))
            .filter(call::Column::External.eq(external.as_str()))
            .filter(call::Column::Status.eq(ANSWERED))
            .filter(call::Column::StartedAt.gt(to_ms(missed.started_at)))
            .order_by_asc(call::Column::StartedAt)
            .one(&self.conn)
            .await?;
        row.as_ref().map(record_of).transpose()
    }

    /// Every fact of a call, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn call_events(
        &self,
        tenant: TenantId,
        id: CallId,
    ) -> Result<Vec<CallEvent>, StoreError> {
        events_of(&self.conn, tenant, id).await
    }

    /// Calls without an end, of all companies: at start-up, what the last run left behind.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_calls(&self) -> Result<Vec<(TenantId, CallId)>, StoreError> {
        let rows = call::Entity::find()
            .filter(call::Column::EndedAt.is_null())
            .all(&self.conn)
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| (TenantId(row.tenant_id), CallId(row.id)))
            .collect())
    }
}

pub(super) async fn events_of(
    conn: &impl ConnectionTrait,
    tenant: TenantId,
    id: CallId,
) -> Result<Vec<CallEvent>, StoreError> {
    let rows = event::Entity::find()
        .filter(event::Column::TenantId.eq(tenant.0))
        .filter(event::Column::CallId.eq(id.0))
        .order_by_asc(event::Column::Seq)
        .all(conn)
        .await?;
    rows.into_iter().map(event_of).collect()
}

fn event_of(row: event::Model) -> Result<CallEvent, StoreError> {
    let fact: CallFact = serde_json::from_str(&row.fact).map_err(|source| StoreError::Corrupt {
        what: "call fact",
        source,
    })?;
    Ok(CallEvent {
        seq: u32::try_from(row.seq).unwrap_or(0),
        tenant: TenantId(row.tenant_id),
        call: CallId(row.call_id),
        at: from_ms(row.at),
        fact,
    })
}
