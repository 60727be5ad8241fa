//! Activities in a contact's timeline.

use model::{ContactId, TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};

use super::{
    ActivityId, ActivityKind, Listed, Page,
    entity::activity::{self, ActiveModel, Column, Entity},
    page::list,
};
use crate::{Db, StoreError, from_ms, to_ms};

/// An order, a ticket or the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    pub id: ActivityId,
    pub contact: ContactId,
    pub kind: ActivityKind,
    pub name: String,
    pub description: String,
    pub author: String,
    /// Its id where it came from; opaque.
    pub external_id: String,
    pub external_url: String,
    pub activity_at: Timestamp,
    pub created_at: Timestamp,
}

/// An activity to be.
#[derive(Clone, Debug)]
pub struct NewActivity {
    pub kind: ActivityKind,
    pub name: String,
    pub description: String,
    pub author: String,
    pub external_id: String,
    pub external_url: String,
    pub activity_at: Timestamp,
}

/// Changes to an activity; absent fields stay.
#[derive(Clone, Debug, Default)]
pub struct ActivityPatch {
    pub contact: Option<ContactId>,
    pub kind: Option<ActivityKind>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub author: Option<String>,
    pub external_id: Option<String>,
    pub external_url: Option<String>,
    pub activity_at: Option<Timestamp>,
}

/// Which activities to list.
#[derive(Clone, Debug, Default)]
pub struct ActivityFilter {
    pub contact: Option<ContactId>,
    /// As sent; an unknown word matches nothing.
    pub kind: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

impl From<activity::Model> for Activity {
    fn from(row: activity::Model) -> Self {
        Self {
            id: ActivityId(row.id),
            contact: ContactId(row.contact_id),
            kind: ActivityKind::stored(&row.kind),
            name: row.name,
            description: row.description,
            author: row.author,
            external_id: row.external_id,
            external_url: row.external_url,
            activity_at: from_ms(row.activity_at),
            created_at: from_ms(row.created_at),
        }
    }
}

impl Db {
    /// One page of a company's activities, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn activities(
        &self,
        tenant: TenantId,
        filter: &ActivityFilter,
        page: Page,
    ) -> Result<Listed<Activity>, StoreError> {
        let mut select = Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .order_by_desc(Column::ActivityAt)
            .order_by_desc(Column::Id);
        if let Some(contact) = filter.contact {
            select = select.filter(Column::ContactId.eq(contact.0));
        }
        if let Some(kind) = &filter.kind {
            select = select.filter(Column::Kind.eq(kind.as_str()));
        }
        if let Some(from) = filter.from {
            select = select.filter(Column::ActivityAt.gte(to_ms(from)));
        }
        if let Some(to) = filter.to {
            select = select.filter(Column::ActivityAt.lte(to_ms(to)));
        }
        Ok(list(&self.conn, select, page).await?.map(Into::into))
    }

    /// Adds an activity to a contact, who must be the company's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_activity(
        &self,
        tenant: TenantId,
        contact: ContactId,
        new: NewActivity,
        now: Timestamp,
    ) -> Result<ActivityId, StoreError> {
        let row = ActiveModel {
            tenant_id: Set(tenant.0),
            contact_id: Set(contact.0),
            kind: Set(new.kind.as_str().to_owned()),
            name: Set(new.name),
            description: Set(new.description),
            author: Set(new.author),
            external_id: Set(new.external_id),
            external_url: Set(new.external_url),
            activity_at: Set(to_ms(new.activity_at)),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        Ok(ActivityId(row.insert(&self.conn).await?.id))
    }

    /// Changes an activity; `false` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn edit_activity(
        &self,
        tenant: TenantId,
        id: ActivityId,
        patch: ActivityPatch,
    ) -> Result<bool, StoreError> {
        let mut row = ActiveModel {
            tenant_id: Set(tenant.0),
            ..Default::default()
        };
        if let Some(contact) = patch.contact {
            row.contact_id = Set(contact.0);
        }
        if let Some(kind) = patch.kind {
            row.kind = Set(kind.as_str().to_owned());
        }
        if let Some(at) = patch.activity_at {
            row.activity_at = Set(to_ms(at));
        }
        for (field, value) in [
            (&mut row.name, patch.name),
            (&mut row.description, patch.description),
            (&mut row.author, patch.author),
            (&mut row.external_id, patch.external_id),
            (&mut row.external_url, patch.external_url),
        ] {
            if let Some(value) = value {
                *field = Set(value);
            }
        }
        let changed = Entity::update_many()
            .set(row)
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(changed.rows_affected > 0)
    }

    /// Removes an activity.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_activity(
        &self,
        tenant: TenantId,
        id: ActivityId,
    ) -> Result<bool, StoreError> {
        let gone = Entity::delete_many()
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(gone.rows_affected > 0)
    }
}
