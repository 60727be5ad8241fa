//! Receipts: what was deleted, when, and by which rule. They outlive the audio.

use model::{CallId, RecordingId, RecordingKind, TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};

use crate::{Db, StoreError, from_ms, ledger::entity::recording, to_ms};

pub(super) mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "recording_receipts")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub tenant_id: i64,
        pub recording_id: i64,
        pub call_id: i64,
        pub kind: String,
        pub recorded_at: i64,
        pub deleted_at: i64,
        pub rule: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// When and by which rule something is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    pub at: Timestamp,
    /// For people: `conversations are kept for 30 days`, `asked for by ann@example.com`.
    pub rule: String,
}

/// Proof that a recording was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub recording: RecordingId,
    pub call: CallId,
    pub kind: RecordingKind,
    pub recorded_at: Timestamp,
    pub deleted_at: Timestamp,
    pub rule: String,
}

impl Db {
    /// A page of a company's receipts, newest first, and how many there are. Pages count from 1.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recording_receipts(
        &self,
        tenant: TenantId,
        size: u64,
        page: u64,
    ) -> Result<(Vec<Receipt>, u64), StoreError> {
        let pages = entity::Entity::find()
            .filter(entity::Column::TenantId.eq(tenant.0))
            .order_by_desc(entity::Column::DeletedAt)
            .order_by_desc(entity::Column::Id)
            .paginate(&self.conn, size);
        let rows = pages.fetch_page(page.saturating_sub(1)).await?;
        let receipts = rows.into_iter().map(|row| Receipt {
            recording: RecordingId(row.recording_id),
            call: CallId(row.call_id),
            kind: kind_of(&row.kind),
            recorded_at: from_ms(row.recorded_at),
            deleted_at: from_ms(row.deleted_at),
            rule: row.rule,
        });
        Ok((receipts.collect(), pages.num_items().await?))
    }
}

pub(super) fn receipt_row(row: &recording::Model, deleted: &Deleted) -> entity::ActiveModel {
    entity::ActiveModel {
        tenant_id: Set(row.tenant_id),
        recording_id: Set(row.id),
        call_id: Set(row.call_id),
        kind: Set(row.kind.clone()),
        recorded_at: Set(row.created_at),
        deleted_at: Set(to_ms(deleted.at)),
        rule: Set(deleted.rule.clone()),
        ..Default::default()
    }
}

pub(crate) fn kind_text(kind: RecordingKind) -> &'static str {
    match kind {
        RecordingKind::Conversation => "conversation",
        RecordingKind::Voicemail => "voicemail",
    }
}

pub(crate) fn kind_of(text: &str) -> RecordingKind {
    match text {
        "voicemail" => RecordingKind::Voicemail,
        _ => RecordingKind::Conversation,
    }
}
