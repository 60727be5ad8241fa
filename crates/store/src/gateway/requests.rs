//! Connection requests: the pending hand-off in which a person completes a connection.

use model::Timestamp;
use sea_orm::{ActiveValue::Set, entity::prelude::*};
use serde_json::Value;

use super::{
    ConnectionId, CustomerId, Reach, RequestId, WorkspaceId, entity::connection_request as entity,
    from_text, to_text,
};
use crate::{Db, StoreError, from_ms, to_ms};

/// How a connection request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestStatus {
    Pending,
    Success,
    Cancelled,
    Error,
}

impl RequestStatus {
    /// As the interface spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "success" => Self::Success,
            "cancelled" => Self::Cancelled,
            "error" => Self::Error,
            _ => Self::Pending,
        }
    }
}

/// An invitation to a person to complete a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionRequest {
    pub id: RequestId,
    /// Unguessable id shown outside.
    pub public_id: String,
    pub workspace: WorkspaceId,
    pub customer: CustomerId,
    pub connection: ConnectionId,
    pub status: RequestStatus,
    /// What the request asked for, echoed back.
    pub options: Value,
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A connection request to be.
#[derive(Clone, Debug)]
pub struct NewConnectionRequest {
    pub public_id: String,
    pub workspace: WorkspaceId,
    pub customer: CustomerId,
    pub connection: ConnectionId,
    pub options: Value,
}

impl TryFrom<entity::Model> for ConnectionRequest {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: RequestId(row.id),
            public_id: row.public_id,
            workspace: WorkspaceId(row.workspace_id),
            customer: CustomerId(row.customer_id),
            connection: ConnectionId(row.connection_id),
            status: RequestStatus::parse(&row.status),
            options: from_text("connection request", &row.options)?,
            error: row.error,
            created_at: from_ms(row.created_at),
            updated_at: from_ms(row.updated_at),
        })
    }
}

impl Db {
    /// Opens a connection request.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_connection_request(
        &self,
        new: NewConnectionRequest,
        now: Timestamp,
    ) -> Result<ConnectionRequest, StoreError> {
        let row = entity::ActiveModel {
            public_id: Set(new.public_id),
            workspace_id: Set(new.workspace.0),
            customer_id: Set(new.customer.0),
            connection_id: Set(new.connection.0),
            status: Set(RequestStatus::Pending.as_str().to_owned()),
            options: Set(to_text(&new.options)),
            error: Set(None),
            created_at: Set(to_ms(now)),
            updated_at: Set(to_ms(now)),
            ..Default::default()
        };
        row.insert(&self.conn).await?.try_into()
    }

    /// A connection request within reach.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn connection_request(
        &self,
        reach: Reach,
        public_id: &str,
    ) -> Result<Option<ConnectionRequest>, StoreError> {
        let mut query = entity::Entity::find()
            .filter(entity::Column::WorkspaceId.eq(reach.workspace.0))
            .filter(entity::Column::PublicId.eq(public_id));
        if let Some(customer) = reach.customer {
            query = query.filter(entity::Column::CustomerId.eq(customer.0));
        }
        query
            .one(&self.conn)
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// Tells the open requests of a connection how it ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settle_connection_requests(
        &self,
        workspace: WorkspaceId,
        connection: ConnectionId,
        status: RequestStatus,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        entity::Entity::update_many()
            .col_expr(entity::Column::Status, Expr::value(status.as_str()))
            .col_expr(entity::Column::Error, Expr::value(error.map(str::to_owned)))
            .col_expr(entity::Column::UpdatedAt, Expr::value(to_ms(now)))
            .filter(entity::Column::WorkspaceId.eq(workspace.0))
            .filter(entity::Column::ConnectionId.eq(connection.0))
            .filter(entity::Column::Status.is_in([
                RequestStatus::Pending.as_str(),
                RequestStatus::Error.as_str(),
            ]))
            .exec(&self.conn)
            .await?;
        Ok(())
    }
}
