//! Which files hold recorded audio. How long and how whole each is stands in the call's record.

use model::{CallId, RecordingId, RecordingKind, TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, QuerySelect, entity::prelude::*};

use super::entity::recording::{ActiveModel, Column, Entity, Model};
use crate::{
    Db, StoreError, from_ms,
    recordings::{Archived, kind_of, kind_text},
    to_ms,
};

/// A file of recorded audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    pub id: RecordingId,
    pub tenant: TenantId,
    pub call: CallId,
    /// Path below the recordings folder, with forward slashes.
    pub file: String,
    pub kind: RecordingKind,
    pub created_at: Timestamp,
    /// Set when its audio was erased on request or by retention.
    pub deleted_at: Option<Timestamp>,
    /// Where it is kept since its call is over; absent while it is a plain file in the folder.
    pub archived: Option<Archived>,
    /// How often archiving it has failed.
    pub attempts: u32,
}

impl From<Model> for Recording {
    fn from(row: Model) -> Self {
        let archived = Option::<Archived>::from(&row);
        Self {
            id: RecordingId(row.id),
            tenant: TenantId(row.tenant_id),
            call: CallId(row.call_id),
            kind: kind_of(&row.kind),
            file: row.file,
            created_at: from_ms(row.created_at),
            deleted_at: row.deleted_at.map(from_ms),
            archived,
            attempts: u32::try_from(row.attempts).unwrap_or(0),
        }
    }
}

impl Db {
    /// Notes where a recording is written. A file that was begun and is not noted when the server dies finds its
    /// owner at the next start.
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
            kind: Set(kind_text(recording.kind).to_owned()),
            is_local: Set(true),
            attempts: Set(0),
            ..Default::default()
        };
        row.insert(&self.conn).await?;
        Ok(())
    }

    /// The recordings of a company with ids in this range, bounds included, erased ones too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recordings_between(
        &self,
        tenant: TenantId,
        first: RecordingId,
        last: RecordingId,
    ) -> Result<Vec<RecordingId>, StoreError> {
        let ids: Vec<i64> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.between(first.0, last.0))
            .into_tuple()
            .all(&self.conn)
            .await?;
        Ok(ids.into_iter().map(RecordingId).collect())
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
}
