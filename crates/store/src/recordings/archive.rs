//! Recordings on their way from the recordings folder to where they are kept.

use model::{RecordingId, RecordingKind, TenantId, Timestamp};
use sea_orm::{
    ActiveValue::Set, Condition, QueryOrder, QuerySelect, TransactionTrait, entity::prelude::*,
    sea_query::Expr,
};

use super::{
    Deleted,
    receipts::{kind_text, receipt_row},
};
use crate::{
    Db, StoreError, from_ms,
    ledger::{
        Recording,
        entity::{call, recording},
    },
    to_ms,
};

/// Where a recording is kept after its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// Since when.
    pub at: Timestamp,
    /// The store: `local`, or the URL of a bucket.
    pub archive: String,
    /// Its name in there.
    pub key: String,
    /// The wrapped key it is sealed with; absent: it is a plain WAV file.
    pub data_key: Option<String>,
}

/// Recordings that should have been archived and are not yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many.
    pub waiting: u64,
    /// Why the last attempt at one of them failed.
    pub problem: Option<String>,
}

impl Db {
    /// Recordings of all companies whose call is over and whose plain file is still in the recordings folder, due
    /// before a moment, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recordings_to_archive(
        &self,
        now: Timestamp,
        most: u64,
    ) -> Result<Vec<Recording>, StoreError> {
        let rows = recording::Entity::find()
            .filter(self.waiting())
            .filter(
                Condition::any()
                    .add(recording::Column::TryAt.is_null())
                    .add(recording::Column::TryAt.lte(to_ms(now))),
            )
            .order_by_asc(recording::Column::TryAt)
            .order_by_asc(recording::Column::Id)
            .limit(most)
            .all(&self.conn)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// How many recordings wait to be archived.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn archive_backlog(&self) -> Result<Backlog, StoreError> {
        let waiting = recording::Entity::find()
            .filter(self.waiting())
            .count(&self.conn)
            .await?;
        let last = recording::Entity::find()
            .filter(self.waiting())
            .filter(recording::Column::Problem.is_not_null())
            .order_by_desc(recording::Column::TryAt)
            .one(&self.conn)
            .await?;
        Ok(Backlog {
            waiting,
            problem: last.and_then(|row| row.problem),
        })
    }

    fn waiting(&self) -> Condition {
        let ended = sea_orm::sea_query::Query::select()
            .column(call::Column::Id)
            .from(call::Entity)
            .and_where(call::Column::EndedAt.is_not_null())
            .to_owned();
        Condition::all()
            .add(recording::Column::IsLocal.eq(true))
            .add(recording::Column::DeletedAt.is_null())
            .add(recording::Column::CallId.in_subquery(ended))
    }

    /// Notes where a recording is kept from now on. Its plain file is removed after that.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recording_archived(
        &self,
        tenant: TenantId,
        id: RecordingId,
        archived: &Archived,
    ) -> Result<bool, StoreError> {
        let row = recording::ActiveModel {
            archived_at: Set(Some(to_ms(archived.at))),
            archive: Set(Some(archived.archive.clone())),
            archive_key: Set(Some(archived.key.clone())),
            data_key: Set(archived.data_key.clone()),
            problem: Set(None),
            ..Default::default()
        };
        let changed = recording::Entity::update_many()
            .set(row)
            .filter(recording::Column::TenantId.eq(tenant.0))
            .filter(recording::Column::Id.eq(id.0))
            .filter(recording::Column::DeletedAt.is_null())
            .exec(&self.conn)
            .await?;
        Ok(changed.rows_affected > 0)
    }

    /// Notes that the plain file is gone from the recordings folder.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recording_left_folder(
        &self,
        tenant: TenantId,
        id: RecordingId,
    ) -> Result<(), StoreError> {
        recording::Entity::update_many()
            .col_expr(recording::Column::IsLocal, Expr::value(false))
            .filter(recording::Column::TenantId.eq(tenant.0))
            .filter(recording::Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(())
    }

    /// Notes that a recording could not be archived, and when to try again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn archive_failed(
        &self,
        tenant: TenantId,
        id: RecordingId,
        problem: &str,
        try_at: Timestamp,
    ) -> Result<(), StoreError> {
        use sea_orm::ExprTrait;
        recording::Entity::update_many()
            .col_expr(
                recording::Column::Attempts,
                Expr::col(recording::Column::Attempts).add(1),
            )
            .col_expr(recording::Column::Problem, Expr::value(problem))
            .col_expr(recording::Column::TryAt, Expr::value(to_ms(try_at)))
            .filter(recording::Column::TenantId.eq(tenant.0))
            .filter(recording::Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(())
    }

    /// Recordings of a kind that began before a moment and are not deleted yet, oldest first. Those of calls that
    /// still run are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recordings_before(
        &self,
        tenant: TenantId,
        kind: RecordingKind,
        before: Timestamp,
        most: u64,
    ) -> Result<Vec<Recording>, StoreError> {
        let ended = sea_orm::sea_query::Query::select()
            .column(call::Column::Id)
            .from(call::Entity)
            .and_where(call::Column::TenantId.eq(tenant.0))
            .and_where(call::Column::EndedAt.is_not_null())
            .to_owned();
        let rows = recording::Entity::find()
            .filter(recording::Column::TenantId.eq(tenant.0))
            .filter(recording::Column::Kind.eq(kind_text(kind)))
            .filter(recording::Column::CreatedAt.lt(to_ms(before)))
            .filter(recording::Column::DeletedAt.is_null())
            .filter(recording::Column::CallId.in_subquery(ended))
            .order_by_asc(recording::Column::CreatedAt)
            .limit(most)
            .all(&self.conn)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Marks a recording as deleted and keeps a receipt of it, both or neither. The audio is removed first. `false`
    /// when it was deleted before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_recording(
        &self,
        tenant: TenantId,
        id: RecordingId,
        deleted: &Deleted,
    ) -> Result<bool, StoreError> {
        let change = self.conn.begin().await?;
        let row = recording::Entity::find()
            .filter(recording::Column::TenantId.eq(tenant.0))
            .filter(recording::Column::Id.eq(id.0))
            .filter(recording::Column::DeletedAt.is_null())
            .one(&change)
            .await?;
        let Some(row) = row else {
            return Ok(false);
        };
        recording::Entity::update_many()
            .set(recording::ActiveModel {
                deleted_at: Set(Some(to_ms(deleted.at))),
                is_local: Set(false),
                data_key: Set(None),
                peaks: Set(None),
                ..Default::default()
            })
            .filter(recording::Column::TenantId.eq(tenant.0))
            .filter(recording::Column::Id.eq(id.0))
            .exec(&change)
            .await?;
        super::receipts::entity::Entity::insert(receipt_row(&row, deleted))
            .exec_without_returning(&change)
            .await?;
        change.commit().await?;
        Ok(true)
    }

    /// The peaks of a recording, when they were computed before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recording_peaks(
        &self,
        tenant: TenantId,
        id: RecordingId,
    ) -> Result<Option<String>, StoreError> {
        let peaks: Option<Option<String>> = recording::Entity::find()
            .select_only()
            .column(recording::Column::Peaks)
            .filter(recording::Column::TenantId.eq(tenant.0))
            .filter(recording::Column::Id.eq(id.0))
            .into_tuple()
            .one(&self.conn)
            .await?;
        Ok(peaks.flatten())
    }

    /// Keeps the peaks of a recording.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_recording_peaks(
        &self,
        tenant: TenantId,
        id: RecordingId,
        peaks: &str,
    ) -> Result<(), StoreError> {
        recording::Entity::update_many()
            .col_expr(recording::Column::Peaks, Expr::value(peaks))
            .filter(recording::Column::TenantId.eq(tenant.0))
            .filter(recording::Column::Id.eq(id.0))
            .filter(recording::Column::DeletedAt.is_null())
            .exec(&self.conn)
            .await?;
        Ok(())
    }
}

impl From<&recording::Model> for Option<Archived> {
    fn from(row: &recording::Model) -> Self {
        Some(Archived {
            at: from_ms(row.archived_at?),
            archive: row.archive.clone()?,
            key: row.archive_key.clone()?,
            data_key: row.data_key.clone(),
        })
    }
}
