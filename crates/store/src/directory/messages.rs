//! Text messages, sent and received.

use model::{ContactId, TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};

use super::{
    Listed, MessageDirection, MessageId, MessageState, Page,
    entity::message::{self, ActiveModel, Column, Entity},
    page::list,
};
use crate::{Db, StoreError, from_ms, to_ms};

/// A text message as one company sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: MessageId,
    pub direction: MessageDirection,
    /// E.164 with `+`.
    pub sender: String,
    pub recipient: String,
    pub text: String,
    pub state: MessageState,
    /// Why it failed.
    pub reason: Option<String>,
    pub contact: Option<ContactId>,
    pub created_at: Timestamp,
}

/// A message to be kept.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub direction: MessageDirection,
    pub sender: String,
    pub recipient: String,
    pub text: String,
    pub state: MessageState,
    pub contact: Option<ContactId>,
}

/// Which messages to list.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    pub direction: Option<MessageDirection>,
    pub contact: Option<ContactId>,
}

impl From<message::Model> for Message {
    fn from(row: message::Model) -> Self {
        Self {
            id: MessageId(row.id),
            direction: MessageDirection::stored(&row.direction),
            sender: row.sender,
            recipient: row.recipient,
            text: row.text,
            state: MessageState::stored(&row.state),
            reason: row.reason,
            contact: row.contact_id.map(ContactId),
            created_at: from_ms(row.created_at),
        }
    }
}

impl Db {
    /// One page of a company's messages, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages(
        &self,
        tenant: TenantId,
        filter: &MessageFilter,
        page: Page,
    ) -> Result<Listed<Message>, StoreError> {
        let mut select = Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .order_by_desc(Column::Id);
        if let Some(direction) = filter.direction {
            select = select.filter(Column::Direction.eq(direction.as_str()));
        }
        if let Some(contact) = filter.contact {
            select = select.filter(Column::ContactId.eq(contact.0));
        }
        Ok(list(&self.conn, select, page).await?.map(Into::into))
    }

    /// Keeps a message.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_message(
        &self,
        tenant: TenantId,
        new: NewMessage,
        now: Timestamp,
    ) -> Result<MessageId, StoreError> {
        let row = ActiveModel {
            tenant_id: Set(tenant.0),
            direction: Set(new.direction.as_str().to_owned()),
            sender: Set(new.sender),
            recipient: Set(new.recipient),
            text: Set(new.text),
            state: Set(new.state.as_str().to_owned()),
            contact_id: Set(new.contact.map(|id| id.0)),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        Ok(MessageId(row.insert(&self.conn).await?.id))
    }

    /// Notes how far a message has come, and why no further.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_message_state(
        &self,
        tenant: TenantId,
        id: MessageId,
        state: MessageState,
        reason: Option<&str>,
    ) -> Result<bool, StoreError> {
        let changed = Entity::update_many()
            .col_expr(Column::State, Expr::value(state.as_str()))
            .col_expr(Column::Reason, Expr::value(reason.map(str::to_owned)))
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(changed.rows_affected > 0)
    }
}
