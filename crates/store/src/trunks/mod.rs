//! Carriers, their prices and states, a company's rules for outgoing calls, and who was stopped.
//!
//! Settings are kept as the JSON of their owner's format; what is in them is not looked at here.
//! A trunk without a tenant is shared by all companies: they use it, the operator alone changes it.

mod entity;
mod migration;
mod outgoing;
#[cfg(test)]
mod tests;

use model::{CallPrice, TenantId, Timestamp, TrunkId};
use sea_orm::{
    ActiveValue::Set, Condition, QueryOrder, QuerySelect, TransactionTrait, entity::prelude::*,
    sea_query::OnConflict,
};
use sea_orm_migration::prelude::MigrationTrait;
use serde_json::Value;

use self::entity::{event, price, trunk};
use crate::{Db, StoreError, directory::taken, from_ms, to_ms};

pub use outgoing::{OutgoingCall, OutgoingStop, TrunkUse};

/// State changes kept of one trunk.
const EVENTS_KEPT: u64 = 500;
/// Rows in one statement; engines bound how many values one may have.
const BATCH: usize = 200;

pub(crate) fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(migration::CreateTrunks),
        Box::new(migration::AddCallCosts),
        Box::new(migration::AddTrunkShares),
    ]
}

/// A carrier's connection as stored.
#[derive(Clone, PartialEq)]
pub struct Trunk {
    pub id: TrunkId,
    /// Whose; `None` is shared by all companies.
    pub tenant: Option<TenantId>,
    /// Unique in the installation.
    pub name: String,
    pub settings: Value,
    /// The data key its password is sealed with, wrapped.
    pub wrapped_key: Option<String>,
    pub sealed_password: Option<String>,
    pub is_enabled: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Trunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trunk")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A trunk to be stored, new or in place of what was.
#[derive(Clone, Debug)]
pub struct TrunkRow {
    pub name: String,
    pub settings: Value,
    /// The wrapped key and what it sealed; `None` leaves what is there.
    pub password: Option<SealedPassword>,
    pub is_enabled: bool,
}

/// A password as `vault` sealed it.
#[derive(Clone, Debug)]
pub struct SealedPassword {
    pub wrapped_key: String,
    pub sealed: String,
}

/// A change of a trunk's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkEvent {
    pub at: Timestamp,
    /// `registered`, `answering`, `failing`, `unknown`…
    pub state: String,
    pub detail: String,
}

fn trunk_of(row: trunk::Model) -> Result<Trunk, StoreError> {
    Ok(Trunk {
        id: TrunkId(row.id),
        tenant: row.tenant_id.map(TenantId),
        name: row.name,
        settings: serde_json::from_str(&row.settings).map_err(|source| StoreError::Corrupt {
            what: "trunk",
            source,
        })?,
        wrapped_key: row.wrapped_key,
        sealed_password: row.sealed_password,
        is_enabled: row.is_enabled,
        created_at: from_ms(row.created_at),
        updated_at: from_ms(row.updated_at),
    })
}

/// Rows of one owner: a company, or the installation itself.
fn owned(owner: Option<TenantId>) -> Condition {
    let column = trunk::Column::TenantId;
    Condition::all().add(match owner {
        Some(tenant) => column.eq(tenant.0),
        None => column.is_null(),
    })
}

fn active(row: TrunkRow, now: Timestamp) -> trunk::ActiveModel {
    let mut active = trunk::ActiveModel {
        name: Set(row.name),
        settings: Set(row.settings.to_string()),
        is_enabled: Set(row.is_enabled),
        updated_at: Set(to_ms(now)),
        ..Default::default()
    };
    if let Some(password) = row.password {
        active.wrapped_key = Set(Some(password.wrapped_key));
        active.sealed_password = Set(Some(password.sealed));
    }
    active
}

impl Db {
    /// The trunks of all companies and the shared ones, by id: what signalling is built from.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trunks(&self) -> Result<Vec<Trunk>, StoreError> {
        let rows = trunk::Entity::find()
            .order_by_asc(trunk::Column::Id)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(trunk_of).collect()
    }

    /// A company's trunks and the shared ones, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trunks_of(&self, tenant: TenantId) -> Result<Vec<Trunk>, StoreError> {
        let mine = Condition::any()
            .add(trunk::Column::TenantId.eq(tenant.0))
            .add(trunk::Column::TenantId.is_null());
        let rows = trunk::Entity::find()
            .filter(mine)
            .order_by_asc(trunk::Column::Id)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(trunk_of).collect()
    }

    /// Adds a trunk to a company, or to the installation.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the name is taken.
    pub async fn add_trunk(
        &self,
        owner: Option<TenantId>,
        row: TrunkRow,
        now: Timestamp,
    ) -> Result<TrunkId, StoreError> {
        let row = trunk::ActiveModel {
            tenant_id: Set(owner.map(|tenant| tenant.0)),
            created_at: Set(to_ms(now)),
            ..active(row, now)
        };
        match row.insert(&self.conn).await {
            Ok(row) => Ok(TrunkId(row.id)),
            Err(error) => Err(taken(error, &[("name", "name")])),
        }
    }

    /// Replaces what is known of a trunk; `false` when its owner has none of this id.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the name is taken.
    pub async fn save_trunk(
        &self,
        owner: Option<TenantId>,
        id: TrunkId,
        row: TrunkRow,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let changed = trunk::Entity::update_many()
            .set(active(row, now))
            .filter(owned(owner))
            .filter(trunk::Column::Id.eq(id.0))
            .exec(&self.conn)
            .await
            .map_err(|error| taken(error, &[("name", "name")]))?;
        Ok(changed.rows_affected > 0)
    }

    /// Removes a trunk with its prices and events; `false` when its owner has none of this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_trunk(
        &self,
        owner: Option<TenantId>,
        id: TrunkId,
    ) -> Result<bool, StoreError> {
        let gone = trunk::Entity::delete_many()
            .filter(owned(owner))
            .filter(trunk::Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(gone.rows_affected > 0)
    }

    /// A trunk's prices by prefix (digits without `+`).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trunk_prices(&self, id: TrunkId) -> Result<Vec<(String, CallPrice)>, StoreError> {
        let rows = price::Entity::find()
            .filter(price::Column::TrunkId.eq(id.0))
            .order_by_asc(price::Column::Prefix)
            .all(&self.conn)
            .await?;
        let prices = rows.into_iter().map(|row| {
            let price = CallPrice {
                per_minute_micros: u64::try_from(row.per_minute_micros).unwrap_or(0),
                step_seconds: u32::try_from(row.step_seconds).unwrap_or(1),
            };
            (row.prefix, price)
        });
        Ok(prices.collect())
    }

    /// Puts a price list in place of the one there is.
    ///
    /// # Errors
    /// When the database fails; then the old list stays.
    pub async fn replace_trunk_prices(
        &self,
        id: TrunkId,
        prices: &[(String, CallPrice)],
    ) -> Result<(), StoreError> {
        let transaction = self.conn.begin().await?;
        price::Entity::delete_many()
            .filter(price::Column::TrunkId.eq(id.0))
            .exec(&transaction)
            .await?;
        for some in prices.chunks(BATCH) {
            let rows = some.iter().map(|(prefix, price)| price::ActiveModel {
                trunk_id: Set(id.0),
                prefix: Set(prefix.clone()),
                per_minute_micros: Set(i64::try_from(price.per_minute_micros).unwrap_or(i64::MAX)),
                step_seconds: Set(i32::try_from(price.step_seconds).unwrap_or(60)),
            });
            let last_wins = OnConflict::columns([price::Column::TrunkId, price::Column::Prefix])
                .update_columns([price::Column::PerMinuteMicros, price::Column::StepSeconds])
                .to_owned();
            price::Entity::insert_many(rows)
                .on_conflict(last_wins)
                .exec_without_returning(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Keeps a change of a trunk's state; of old ones only the latest stay.
    ///
    /// # Errors
    /// When the database fails, or the trunk is gone.
    pub async fn add_trunk_event(&self, id: TrunkId, new: TrunkEvent) -> Result<(), StoreError> {
        let row = event::ActiveModel {
            trunk_id: Set(id.0),
            at: Set(to_ms(new.at)),
            state: Set(new.state),
            detail: Set(new.detail),
            ..Default::default()
        };
        row.insert(&self.conn).await?;
        let oldest_kept: Option<i64> = event::Entity::find()
            .select_only()
            .column(event::Column::Id)
            .filter(event::Column::TrunkId.eq(id.0))
            .order_by_desc(event::Column::Id)
            .offset(EVENTS_KEPT)
            .limit(1)
            .into_tuple()
            .one(&self.conn)
            .await?;
        if let Some(oldest) = oldest_kept {
            event::Entity::delete_many()
                .filter(event::Column::TrunkId.eq(id.0))
                .filter(event::Column::Id.lte(oldest))
                .exec(&self.conn)
                .await?;
        }
        Ok(())
    }

    /// The latest changes of a trunk's state, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trunk_events(
        &self,
        id: TrunkId,
        limit: u64,
    ) -> Result<Vec<TrunkEvent>, StoreError> {
        let rows = event::Entity::find()
            .filter(event::Column::TrunkId.eq(id.0))
            .order_by_desc(event::Column::Id)
            .limit(limit)
            .all(&self.conn)
            .await?;
        let events = rows.into_iter().map(|row| TrunkEvent {
            at: from_ms(row.at),
            state: row.state,
            detail: row.detail,
        });
        Ok(events.collect())
    }
}
