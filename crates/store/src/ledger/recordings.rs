//! Which files hold recorded audio. How long and how whole each is stands in the call's record.

use model::{CallId, RecordingId, TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};

use super::entity::recording::{ActiveModel, Column, Entity, Model};
use crate::{Db, StoreError, from_ms, to_ms};

/// A file of recorded audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    pub id: RecordingId,
    pub tenant: TenantId,
    pub call: CallId,
    /// Path below the recordings folder, with forward slashes.
    pub file: String,
    pub created_at: Timestamp,
    /// Set when its audio was erased on request or by retention.
    pub deleted_at: Option<Timestamp>,
}

impl From<Model> for Recording {
    fn from(row: Model) -> Self {
        Self {
            id: RecordingId(row.id),
            tenant: TenantId(row.tenant_id),
            call: CallId(row.call_id),
            file: row.file,
            created_at: from_ms(row.created_at),
            deleted_at: row.deleted_at.map(from_ms),
        }
    }
}

impl Db {
    /// Notes where a recording is about to be written. Called before the first sample, so that a
    /// file on disk always has an owner.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_recording(&self, recording: &Recording) -> Result<(), StoreError> {
        let row = ActiveModel {
            id: Set(recording.id.0),
            tenant_id: Set(recording.tenant.0),
            call_id: Set(recording.call.0),
            file: Set(recording.file.clone()),
            created_at: Set(to_ms(recording.created_at)),
            deleted_at: Set(recording.deleted_at.map(to_ms)),
        };
        row.insert(&self.conn).await?;
        Ok(())
    }

    /// The recordings of a call, oldest first, erased ones included.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recordings_of(
        &self,
        tenant: TenantId,
        call: CallId,
    ) -> Result<Vec<Recording>, StoreError> {
        let rows = Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::CallId.eq(call.0))
            .order_by_asc(Column::Id)
            .all(&self.conn)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Marks a recording as erased. The caller removes the file first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark_recording_deleted(
        &self,
        tenant: TenantId,
        id: RecordingId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let changed = Entity::update_many()
            .col_expr(Column::DeletedAt, Expr::value(to_ms(now)))
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.eq(id.0))
            .filter(Column::DeletedAt.is_null())
            .exec(&self.conn)
            .await?;
        Ok(changed.rows_affected > 0)
    }
}
