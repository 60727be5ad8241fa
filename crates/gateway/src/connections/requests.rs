//! Connection requests: what the connect page shows and completes.

use serde_json::Value;
use store::gateway::{Connection, ConnectionRequest, NewConnectionRequest, Reach, RequestStatus};

use super::{ClientAction, CreateConnection};
use crate::{Caller, Gateway, GatewayError, ids};

impl Gateway {
    /// Invites somebody to complete a connection, an existing one or a new one.
    ///
    /// # Errors
    /// As for the connection it is about.
    pub async fn request_connection(
        &self,
        caller: &Caller,
        connection: Option<&str>,
        new: CreateConnection,
        options: Value,
    ) -> Result<ConnectionRequest, GatewayError> {
        let connection = match connection {
            Some(selector) => self.live_connection(caller, selector).await?,
            None => self.create_connection(caller, new).await?,
        };
        self.means_of(&connection)?;
        let row = NewConnectionRequest {
            public_id: ids::link_id(),
            workspace: connection.workspace,
            customer: connection.customer,
            connection: connection.id,
            options,
        };
        Ok(self
            .inner
            .db
            .create_connection_request(row, store::now())
            .await?)
    }

    /// A connection request and its connection, within reach.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn connection_request(
        &self,
        reach: Reach,
        request_id: &str,
    ) -> Result<(ConnectionRequest, Connection), GatewayError> {
        let missing = || GatewayError::not_found("connection request", request_id);
        let request = self
            .inner
            .db
            .connection_request(reach, request_id)
            .await?
            .ok_or_else(missing)?;
        let connection = self
            .inner
            .db
            .connection_by_id(
                Reach::customer(request.workspace, request.customer),
                request.connection,
            )
            .await?;
        Ok((request, connection.ok_or_else(missing)?))
    }

    /// The open request of a connection's next step, or a new one.
    pub(super) async fn pending_request(
        &self,
        connection: &Connection,
    ) -> Result<ConnectionRequest, GatewayError> {
        let known = ClientAction::of(connection).and_then(|action| action.request_id);
        if let Some(id) = known {
            let found = self
                .inner
                .db
                .connection_request(connection.reach(), &id)
                .await?;
            if let Some(found) = found.filter(|request| request.status == RequestStatus::Pending) {
                return Ok(found);
            }
        }
        let row = NewConnectionRequest {
            public_id: ids::link_id(),
            workspace: connection.workspace,
            customer: connection.customer,
            connection: connection.id,
            options: serde_json::json!({}),
        };
        Ok(self
            .inner
            .db
            .create_connection_request(row, store::now())
            .await?)
    }
}
