//! Notes on contacts.

use model::{AgentId, ContactId, TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};

use super::{
    Listed, NoteId, Page,
    entity::note::{self, ActiveModel, Column, Entity},
    page::list,
};
use crate::{Db, StoreError, from_ms, to_ms};

/// What somebody wrote about a contact, verbatim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub id: NoteId,
    pub contact: ContactId,
    pub agent: Option<AgentId>,
    pub note: String,
    pub created_at: Timestamp,
}

/// Changes to a note; absent fields stay.
#[derive(Clone, Debug, Default)]
pub struct NotePatch {
    pub contact: Option<ContactId>,
    pub agent: Option<Option<AgentId>>,
    pub note: Option<String>,
}

/// Which notes to list.
#[derive(Clone, Debug, Default)]
pub struct NoteFilter {
    pub contact: Option<ContactId>,
    pub agent: Option<AgentId>,
    /// Somewhere in the text.
    pub keyword: Option<String>,
}

impl From<note::Model> for Note {
    fn from(row: note::Model) -> Self {
        Self {
            id: NoteId(row.id),
            contact: ContactId(row.contact_id),
            agent: row.agent_id.map(AgentId),
            note: row.note,
            created_at: from_ms(row.created_at),
        }
    }
}

impl Db {
    /// One page of a company's contact notes, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn notes(
        &self,
        tenant: TenantId,
        filter: &NoteFilter,
        page: Page,
    ) -> Result<Listed<Note>, StoreError> {
        let mut select = Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .order_by_desc(Column::Id);
        if let Some(contact) = filter.contact {
            select = select.filter(Column::ContactId.eq(contact.0));
        }
        if let Some(agent) = filter.agent {
            select = select.filter(Column::AgentId.eq(agent.0));
        }
        if let Some(keyword) = &filter.keyword {
            select = select.filter(super::contacts::contains_lower(Column::Note, keyword));
        }
        Ok(list(&self.conn, select, page).await?.map(Into::into))
    }

    /// Adds a note to a contact, who must be the company's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_note(
        &self,
        tenant: TenantId,
        contact: ContactId,
        agent: Option<AgentId>,
        note: &str,
        now: Timestamp,
    ) -> Result<NoteId, StoreError> {
        let row = ActiveModel {
            tenant_id: Set(tenant.0),
            contact_id: Set(contact.0),
            agent_id: Set(agent.map(|id| id.0)),
            note: Set(note.to_owned()),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        Ok(NoteId(row.insert(&self.conn).await?.id))
    }

    /// Changes a note; `false` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn edit_note(
        &self,
        tenant: TenantId,
        id: NoteId,
        patch: NotePatch,
    ) -> Result<bool, StoreError> {
        let mut row = ActiveModel {
            tenant_id: Set(tenant.0),
            ..Default::default()
        };
        if let Some(contact) = patch.contact {
            row.contact_id = Set(contact.0);
        }
        if let Some(agent) = patch.agent {
            row.agent_id = Set(agent.map(|id| id.0));
        }
        if let Some(note) = patch.note {
            row.note = Set(note);
        }
        let changed = Entity::update_many()
            .set(row)
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(changed.rows_affected > 0)
    }

    /// Removes a note.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_note(&self, tenant: TenantId, id: NoteId) -> Result<bool, StoreError> {
        let gone = Entity::delete_many()
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(gone.rows_affected > 0)
    }
}
