//! What people attach to calls: tags, notes, ratings.

use std::collections::{HashMap, HashSet};

use model::{CallId, TagId, TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};

use super::{
    Tag,
    entity::{call_note, call_rating, call_tag, tag},
};
use crate::{Db, StoreError, to_ms};

/// Everything attached to a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallLabels {
    pub tags: Vec<Tag>,
    pub notes: Vec<CallNote>,
    pub ratings: Vec<CallRating>,
}

/// What somebody wrote about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallNote {
    pub id: i64,
    pub note: String,
}

/// How a call was rated, and by whom (`agent`, `customer`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRating {
    pub id: i64,
    pub kind: String,
    pub rating: i32,
}

impl Db {
    /// The labels of these calls; calls without any are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn call_labels(
        &self,
        tenant: TenantId,
        calls: &[CallId],
    ) -> Result<HashMap<CallId, CallLabels>, StoreError> {
        let ids = || calls.iter().map(|id| id.0);
        let mut labels: HashMap<CallId, CallLabels> = HashMap::new();
        let links = call_tag::Entity::find()
            .filter(call_tag::Column::TenantId.eq(tenant.0))
            .filter(call_tag::Column::CallId.is_in(ids()))
            .order_by_asc(call_tag::Column::TagId)
            .all(&self.conn)
            .await?;
        let names: HashMap<i64, String> = tag::Entity::find()
            .filter(tag::Column::TenantId.eq(tenant.0))
            .filter(tag::Column::Id.is_in(links.iter().map(|link| link.tag_id)))
            .all(&self.conn)
            .await?
            .into_iter()
            .map(|tag| (tag.id, tag.name))
            .collect();
        for link in links {
            let Some(name) = names.get(&link.tag_id) else {
                continue;
            };
            labels
                .entry(CallId(link.call_id))
                .or_default()
                .tags
                .push(Tag {
                    id: TagId(link.tag_id),
                    name: name.clone(),
                });
        }
        let notes = call_note::Entity::find()
            .filter(call_note::Column::TenantId.eq(tenant.0))
            .filter(call_note::Column::CallId.is_in(ids()))
            .order_by_asc(call_note::Column::Id)
            .all(&self.conn)
            .await?;
        for row in notes {
            labels
                .entry(CallId(row.call_id))
                .or_default()
                .notes
                .push(CallNote {
                    id: row.id,
                    note: row.note,
                });
        }
        let ratings = call_rating::Entity::find()
            .filter(call_rating::Column::TenantId.eq(tenant.0))
            .filter(call_rating::Column::CallId.is_in(ids()))
            .order_by_asc(call_rating::Column::Id)
            .all(&self.conn)
            .await?;
        for row in ratings {
            let rating = CallRating {
                id: row.id,
                kind: row.kind,
                rating: row.rating,
            };
            labels
                .entry(CallId(row.call_id))
                .or_default()
                .ratings
                .push(rating);
        }
        Ok(labels)
    }

    /// Puts a tag on a call. Doing it twice is doing it once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tag_call(
        &self,
        tenant: TenantId,
        call: CallId,
        tag: TagId,
    ) -> Result<(), StoreError> {
        let row = call_tag::ActiveModel {
            call_id: Set(call.0),
            tag_id: Set(tag.0),
            tenant_id: Set(tenant.0),
        };
        call_tag::Entity::insert(row)
            .on_conflict_do_nothing()
            .exec_without_returning(&self.conn)
            .await?;
        Ok(())
    }

    /// Writes a note on a call.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_call_note(
        &self,
        tenant: TenantId,
        call: CallId,
        note: &str,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        let row = call_note::ActiveModel {
            tenant_id: Set(tenant.0),
            call_id: Set(call.0),
            note: Set(note.to_owned()),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        Ok(row.insert(&self.conn).await?.id)
    }

    /// Rates a call.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rate_call(
        &self,
        tenant: TenantId,
        call: CallId,
        kind: &str,
        rating: i32,
    ) -> Result<i64, StoreError> {
        let row = call_rating::ActiveModel {
            tenant_id: Set(tenant.0),
            call_id: Set(call.0),
            kind: Set(kind.to_owned()),
            rating: Set(rating),
            ..Default::default()
        };
        Ok(row.insert(&self.conn).await?.id)
    }
}

impl Db {
    /// Those of these calls whose audio was erased and none is left. The table is the ledger's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn calls_with_erased_audio(
        &self,
        tenant: TenantId,
        calls: &[CallId],
    ) -> Result<HashSet<CallId>, StoreError> {
        use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
        let query = Query::select()
            .columns([Alias::new("call_id"), Alias::new("deleted_at")])
            .from(Alias::new("recordings"))
            .and_where(Expr::col(Alias::new("tenant_id")).eq(tenant.0))
            .and_where(Expr::col(Alias::new("call_id")).is_in(calls.iter().map(|id| id.0)))
            .to_owned();
        let (mut erased, mut kept) = (HashSet::new(), HashSet::new());
        for row in self.conn.query_all(&query).await? {
            let call = CallId(row.try_get("", "call_id")?);
            let deleted_at: Option<i64> = row.try_get("", "deleted_at")?;
            if deleted_at.is_some() {
                erased.insert(call)
            } else {
                kept.insert(call)
            };
        }
        Ok(&erased - &kept)
    }
}
