//! The one writer of facts.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use model::{CallEvent, CallFact, CallId, CallRecord, TenantId, Timestamp};
use sea_orm::{
    ActiveValue::Set, QueryOrder, QuerySelect, TransactionTrait, entity::prelude::*,
    sea_query::OnConflict,
};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{
    entity::{call, event, share},
    query::{ANSWERED, MISSED, RUNNING, direction_text, events_of},
};
use crate::{Db, StoreError, from_ms, to_ms};

/// Facts that wait for the writer. A full queue makes callers wait: facts are never dropped.
const QUEUE: usize = 4096;
/// Facts in one transaction at most.
const BATCH: usize = 512;
/// Ids start here, so that a call's id is never mistaken for a row number or an agent's id.
const FIRST_CALL_ID: i64 = 100_000_000;
/// How many recent facts a slow listener may lag behind before he must read from the table.
const LIVE: usize = 4096;

/// Why a fact was not kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The database refused the batch.
    #[error("the fact could not be stored: {0}")]
    Store(Arc<StoreError>),
    /// The writer has stopped: the server is going down.
    #[error("the ledger is closed")]
    Closed,
}

/// The handle on the writer. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    queue: mpsc::Sender<Append>,
    live: broadcast::Sender<Arc<CallEvent>>,
    next_call: Arc<AtomicI64>,
}

struct Append {
    tenant: TenantId,
    call: CallId,
    at: Timestamp,
    facts: Vec<CallFact>,
    done: oneshot::Sender<Result<(), LedgerError>>,
}

impl Ledger {
    /// Starts the writer. It ends, its queue written, when the last handle is dropped; the returned
    /// task tells when.
    ///
    /// # Errors
    /// When the highest call id can't be read.
    pub async fn start(db: Db) -> Result<(Self, tokio::task::JoinHandle<()>), StoreError> {
        let highest = call::Entity::find()
            .order_by_desc(call::Column::Id)
            .limit(1)
            .one(&db.conn)
            .await?;
        let next = highest.map_or(FIRST_CALL_ID, |row| row.id.max(FIRST_CALL_ID)) + 1;
        let (queue, inbox) = mpsc::channel(QUEUE);
        let (live, _) = broadcast::channel(LIVE);
        let writer = Writer {
            db,
            live: live.clone(),
            running: HashMap::new(),
        };
        let task = tokio::spawn(writer.run(inbox));
        Ok((
            Self {
                queue,
                live,
                next_call: Arc::new(AtomicI64::new(next)),
            },
            task,
        ))
    }

    /// An id for a call that is about to start. Never given twice.
    #[must_use]
    pub fn new_call_id(&self) -> CallId {
        CallId(self.next_call.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes facts of one call true, in order. When this returns they survive a crash of the process.
    ///
    /// # Errors
    /// When the database refuses or the ledger is closed; then none of them is true.
    pub async fn append(
        &self,
        tenant: TenantId,
        call: CallId,
        at: Timestamp,
        facts: Vec<CallFact>,
    ) -> Result<(), LedgerError> {
        let (done, answer) = oneshot::channel();
        let append = Append {
            tenant,
            call,
            at,
            facts,
            done,
        };
        self.queue
            .send(append)
            .await
            .map_err(|_| LedgerError::Closed)?;
        answer.await.map_err(|_| LedgerError::Closed)?
    }

    /// Facts as they become true, of all companies.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<CallEvent>> {
        self.live.subscribe()
    }
}

struct Writer {
    db: Db,
    live: broadcast::Sender<Arc<CallEvent>>,
    /// Events of calls that still change, so that a batch folds without reading them back.
    running: HashMap<CallId, Vec<CallEvent>>,
}

impl Writer {
    async fn run(mut self, mut inbox: mpsc::Receiver<Append>) {
        let mut batch = Vec::with_capacity(BATCH);
        while inbox.recv_many(&mut batch, BATCH).await > 0 {
            let result = self.commit(&batch).await.map_err(|error| {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "facts could not be stored"
                );
                LedgerError::Store(Arc::new(error))
            });
            // After a failure the cache may hold facts that were rolled back.
            if result.is_err() {
                self.running.clear();
            }
            for append in batch.drain(..) {
                // A caller that went away no longer needs the answer.
                let _ = append.done.send(result.clone());
            }
        }
    }

    async fn commit(&mut self, batch: &[Append]) -> Result<(), StoreError> {
        let mut events = Vec::with_capacity(batch.len() * 2);
        let mut touched: Vec<CallId> = Vec::new();
        for append in batch {
            if !self.running.contains_key(&append.call) {
                let known = events_of(&self.db.conn, append.tenant, append.call).await?;
                self.running.insert(append.call, known);
            }
            let history = self.running.entry(append.call).or_default();
            for fact in &append.facts {
                let seq = u32::try_from(history.len() + 1).unwrap_or(u32::MAX);
                let at = from_ms(to_ms(append.at));
                let event = CallEvent {
                    seq,
                    tenant: append.tenant,
                    call: append.call,
                    at,
                    fact: fact.clone(),
                };
                history.push(event.clone());
                events.push(event);
            }
            if !touched.contains(&append.call) {
                touched.push(append.call);
            }
        }
        self.write(&events, &touched).await?;
        for event in events {
            // Nobody listening is fine.
            let _ = self.live.send(Arc::new(event));
        }
        self.forget_ended(&touched);
        Ok(())
    }

    async fn write(&self, events: &[CallEvent], touched: &[CallId]) -> Result<(), StoreError> {
        let rows = events
            .iter()
            .map(event_row)
            .collect::<Result<Vec<_>, _>>()?;
        let records: Vec<CallRecord> = touched
            .iter()
            .filter_map(|id| calls::record::fold(self.running.get(id)?))
            .collect();
        let shares: Vec<_> = records.iter().flat_map(share_rows).collect();
        let records = records
            .iter()
            .map(call_row)
            .collect::<Result<Vec<_>, _>>()?;
        let transaction = self.db.conn.begin().await?;
        event::Entity::insert_many(rows)
            .exec_without_returning(&transaction)
            .await?;
        if !records.is_empty() {
            let replace = OnConflict::column(call::Column::Id)
                .update_columns([
                    call::Column::ContactId,
                    call::Column::AgentId,
                    call::Column::Status,
                    call::Column::EndedAt,
                    call::Column::Record,
                    call::Column::TrunkId,
                    call::Column::TalkingMs,
                    call::Column::CostMicros,
                ])
                .to_owned();
            call::Entity::insert_many(records)
                .on_conflict(replace)
                .exec_without_returning(&transaction)
                .await?;
        }
        if !shares.is_empty() {
            let both = [share::Column::CallId, share::Column::TrunkId];
            let replace = OnConflict::columns(both)
                .update_columns([
                    share::Column::Until,
                    share::Column::TalkingMs,
                    share::Column::CostMicros,
                ])
                .to_owned();
            share::Entity::insert_many(shares)
                .on_conflict(replace)
                .exec_without_returning(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Calls whose last fact is in need no cache; a late wrap-up reads them back.
    fn forget_ended(&mut self, touched: &[CallId]) {
        for id in touched {
            let over = self.running.get(id).is_some_and(|events| {
                events
                    .iter()
                    .any(|event| matches!(event.fact, CallFact::Ended { .. }))
            });
            if over {
                self.running.remove(id);
            }
        }
    }
}

fn event_row(event: &CallEvent) -> Result<event::ActiveModel, StoreError> {
    let fact = serde_json::to_string(&event.fact).map_err(|source| StoreError::Corrupt {
        what: "call fact",
        source,
    })?;
    Ok(event::ActiveModel {
        tenant_id: Set(event.tenant.0),
        call_id: Set(event.call.0),
        seq: Set(i32::try_from(event.seq).unwrap_or(i32::MAX)),
        at: Set(to_ms(event.at)),
        fact: Set(fact),
        ..Default::default()
    })
}

fn share_rows(record: &CallRecord) -> impl Iterator<Item = share::ActiveModel> + '_ {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    record
        .trunk_shares
        .iter()
        .map(move |used| share::ActiveModel {
            call_id: Set(record.id.0),
            trunk_id: Set(used.trunk.0),
            tenant_id: Set(record.tenant.0),
            until: Set(to_ms(used.until)),
            talking_ms: Set(whole(used.talking_ms)),
            cost_micros: Set(whole(used.cost_micros)),
        })
}

fn call_row(record: &CallRecord) -> Result<call::ActiveModel, StoreError> {
    let status = match (record.is_answered(), record.ended_at) {
        (true, _) => ANSWERED,
        (false, Some(_)) => MISSED,
        (false, None) => RUNNING,
    };
    let json = serde_json::to_string(record).map_err(|source| StoreError::Corrupt {
        what: "call record",
        source,
    })?;
    Ok(call::ActiveModel {
        id: Set(record.id.0),
        tenant_id: Set(record.tenant.0),
        uuid: Set(record.uuid.clone()),
        direction: Set(direction_text(record.direction).to_owned()),
        external: Set(record.external.as_ref().map(ToString::to_string)),
        internal: Set(record.internal.as_ref().map(ToString::to_string)),
        number_id: Set(record.number.map(|id| id.0)),
        contact_id: Set(record.contact.map(|id| id.0)),
        agent_id: Set(record.agent.map(|id| id.0)),
        status: Set(status.to_owned()),
        started_at: Set(to_ms(record.started_at)),
        ended_at: Set(record.ended_at.map(to_ms)),
        record: Set(json),
        trunk_id: Set(record.trunk.map(|id| id.0)),
        talking_ms: Set(i64::try_from(record.talking_ms).unwrap_or(i64::MAX)),
        cost_micros: Set(i64::try_from(record.cost_micros).unwrap_or(i64::MAX)),
    })
}
