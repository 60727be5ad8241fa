//! Connections and what happened to them.

use model::Timestamp;
use sea_orm::{ActiveValue::Set, QueryOrder, QuerySelect, entity::prelude::*};
use serde_json::Value;

use super::{
    ConnectionId, CustomerId, PageOf, Reach, WorkspaceId,
    entity::{connection as entity, connection_log as log},
    from_text, from_text_opt, to_text,
};
use crate::{Db, StoreError, from_ms, to_ms};

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    Building,
    ClientActionRequired,
    ConfigurationError,
    SetupFailed,
    Ready,
    Disconnecting,
}

impl ConnectionState {
    /// As the interface spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "BUILDING",
            Self::ClientActionRequired => "CLIENT_ACTION_REQUIRED",
            Self::ConfigurationError => "CONFIGURATION_ERROR",
            Self::SetupFailed => "SETUP_FAILED",
            Self::Ready => "READY",
            Self::Disconnecting => "DISCONNECTING",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "BUILDING" => Self::Building,
            "CLIENT_ACTION_REQUIRED" => Self::ClientActionRequired,
            "CONFIGURATION_ERROR" => Self::ConfigurationError,
            "READY" => Self::Ready,
            "DISCONNECTING" => Self::Disconnecting,
            _ => Self::SetupFailed,
        }
    }
}

/// A customer's link to an app.
#[derive(Clone, PartialEq)]
pub struct Connection {
    pub id: ConnectionId,
    /// Hex id shown outside.
    pub public_id: String,
    pub workspace: WorkspaceId,
    pub customer: CustomerId,
    pub name: String,
    pub key: Option<String>,
    /// `None`: no connector is known for the app.
    pub connector_key: Option<String>,
    pub connector_version: Option<String>,
    /// The app's domain, lower case, without `www.`.
    pub app_domain: String,
    pub state: ConnectionState,
    pub auth_option: Option<String>,
    /// Connector parameters, such as a base URL. No secrets.
    pub parameters: Value,
    /// What was typed, without its secret members.
    pub input: Value,
    pub meta: Value,
    /// Sealed by the vault; `None` when there is no credential.
    pub sealed_credential: Option<String>,
    /// What a person or agent must do next.
    pub client_action: Option<Value>,
    pub error: Option<String>,
    pub connected: bool,
    /// Counts changes, so that two writers can't overwrite each other.
    pub revision: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub last_active_at: Option<Timestamp>,
    pub archived_at: Option<Timestamp>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("public_id", &self.public_id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Its owner and nobody else.
    #[must_use]
    pub fn reach(&self) -> Reach {
        Reach::customer(self.workspace, self.customer)
    }
}

/// A connection to be.
#[derive(Clone)]
pub struct NewConnection {
    pub public_id: String,
    pub workspace: WorkspaceId,
    pub customer: CustomerId,
    pub name: String,
    pub key: Option<String>,
    pub connector_key: Option<String>,
    pub connector_version: Option<String>,
    pub app_domain: String,
    pub state: ConnectionState,
    pub auth_option: Option<String>,
    pub parameters: Value,
    pub meta: Value,
    pub client_action: Option<Value>,
    pub error: Option<String>,
}

/// Members to set; `None` leaves a member as it is.
#[derive(Clone, Default)]
pub struct ConnectionChange {
    pub name: Option<String>,
    pub key: Option<Option<String>>,
    pub connector: Option<(String, String)>,
    pub state: Option<ConnectionState>,
    pub auth_option: Option<Option<String>>,
    pub parameters: Option<Value>,
    pub input: Option<Value>,
    pub meta: Option<Value>,
    pub sealed_credential: Option<Option<String>>,
    pub client_action: Option<Option<Value>>,
    pub error: Option<Option<String>>,
    pub connected: Option<bool>,
    pub archived_at: Option<Option<Timestamp>>,
}

/// Which connections to list.
#[derive(Clone, Debug, Default)]
pub struct ConnectionFilter {
    pub search: Option<String>,
    pub connector_key: Option<String>,
    pub app_domain: Option<String>,
    pub key: Option<String>,
    pub connected: Option<bool>,
    pub include_archived: bool,
}

/// A line of a connection's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLog {
    pub id: i64,
    pub at: Timestamp,
    pub kind: String,
    pub message: String,
}

impl TryFrom<entity::Model> for Connection {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: ConnectionId(row.id),
            public_id: row.public_id,
            workspace: WorkspaceId(row.workspace_id),
            customer: CustomerId(row.customer_id),
            name: row.name,
            key: row.key,
            connector_key: row.connector_key,
            connector_version: row.connector_version,
            app_domain: row.app_domain,
            state: ConnectionState::parse(&row.state),
            auth_option: row.auth_option,
            parameters: from_text("connection parameters", &row.parameters)?,
            input: from_text("connection input", &row.input)?,
            meta: from_text("connection meta", &row.meta)?,
            sealed_credential: row.sealed_credential,
            client_action: from_text_opt("client action", row.client_action.as_deref())?,
            error: row.error,
            connected: row.connected,
            revision: row.revision,
            created_at: from_ms(row.created_at),
            updated_at: from_ms(row.updated_at),
            last_active_at: row.last_active_at.map(from_ms),
            archived_at: row.archived_at.map(from_ms),
        })
    }
}

fn within(reach: Reach) -> sea_orm::Select<entity::Entity> {
    let mut query =
        entity::Entity::find().filter(entity::Column::WorkspaceId.eq(reach.workspace.0));
    if let Some(customer) = reach.customer {
        query = query.filter(entity::Column::CustomerId.eq(customer.0));
    }
    query
}

impl Db {
    /// Creates a connection.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_connection(
        &self,
        new: NewConnection,
        now: Timestamp,
    ) -> Result<Connection, StoreError> {
        let row = entity::ActiveModel {
            public_id: Set(new.public_id),
            workspace_id: Set(new.workspace.0),
            customer_id: Set(new.customer.0),
            name: Set(new.name),
            key: Set(new.key),
            connector_key: Set(new.connector_key),
            connector_version: Set(new.connector_version),
            app_domain: Set(new.app_domain),
            state: Set(new.state.as_str().to_owned()),
            auth_option: Set(new.auth_option),
            parameters: Set(to_text(&new.parameters)),
            input: Set("{}".to_owned()),
            meta: Set(to_text(&new.meta)),
            sealed_credential: Set(None),
            client_action: Set(new.client_action.as_ref().map(to_text)),
            error: Set(new.error),
            connected: Set(false),
            revision: Set(1),
            created_at: Set(to_ms(now)),
            updated_at: Set(to_ms(now)),
            last_active_at: Set(None),
            archived_at: Set(None),
            ..Default::default()
        };
        row.insert(&self.conn).await?.try_into()
    }

    /// A connection by its hex id, archived or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn connection_by_public_id(
        &self,
        reach: Reach,
        public_id: &str,
    ) -> Result<Option<Connection>, StoreError> {
        let query = within(reach).filter(entity::Column::PublicId.eq(public_id));
        query
            .one(&self.conn)
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// A connection by row key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn connection_by_id(
        &self,
        reach: Reach,
        id: ConnectionId,
    ) -> Result<Option<Connection>, StoreError> {
        within(reach)
            .filter(entity::Column::Id.eq(id.0))
            .one(&self.conn)
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// Connections within reach, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn connections(
        &self,
        reach: Reach,
        filter: &ConnectionFilter,
        page: PageOf,
    ) -> Result<Vec<Connection>, StoreError> {
        use sea_orm::ExprTrait;
        let mut query = within(reach)
            .filter(entity::Column::Id.gt(page.after))
            .order_by_asc(entity::Column::Id)
            .limit(page.limit);
        if !filter.include_archived {
            query = query.filter(entity::Column::ArchivedAt.is_null());
        }
        if let Some(key) = &filter.connector_key {
            query = query.filter(entity::Column::ConnectorKey.eq(key));
        }
        if let Some(domain) = &filter.app_domain {
            query = query.filter(entity::Column::AppDomain.eq(domain));
        }
        if let Some(key) = &filter.key {
            query = query.filter(entity::Column::Key.eq(key));
        }
        if let Some(connected) = filter.connected {
            query = query.filter(entity::Column::Connected.eq(connected));
        }
        if let Some(text) = &filter.search {
            let part = |column: entity::Column| column.contains(text.as_str());
            let any = part(entity::Column::Name)
                .or(part(entity::Column::Key))
                .or(part(entity::Column::AppDomain));
            query = query.filter(any);
        }
        query
            .all(&self.conn)
            .await?
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    }

    /// Changes a connection that still stands at the revision that was read. `None`: somebody was faster.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change_connection(
        &self,
        seen: &Connection,
        change: ConnectionChange,
        now: Timestamp,
    ) -> Result<Option<Connection>, StoreError> {
        use entity::Column;
        let mut update = entity::Entity::update_many()
            .filter(Column::WorkspaceId.eq(seen.workspace.0))
            .filter(Column::CustomerId.eq(seen.customer.0))
            .filter(Column::Id.eq(seen.id.0))
            .filter(Column::Revision.eq(seen.revision))
            .col_expr(Column::Revision, Expr::value(seen.revision + 1))
            .col_expr(Column::UpdatedAt, Expr::value(to_ms(now)));
        let mut set = |column: Column, value: sea_orm::Value| {
            let current = std::mem::replace(&mut update, entity::Entity::update_many());
            update = current.col_expr(column, Expr::value(value));
        };
        if let Some(name) = change.name {
            set(Column::Name, name.into());
        }
        if let Some(key) = change.key {
            set(Column::Key, key.into());
        }
        if let Some((key, version)) = change.connector {
            set(Column::ConnectorKey, key.into());
            set(Column::ConnectorVersion, version.into());
        }
        if let Some(state) = change.state {
            set(Column::State, state.as_str().into());
        }
        if let Some(option) = change.auth_option {
            set(Column::AuthOption, option.into());
        }
        if let Some(parameters) = change.parameters {
            set(Column::Parameters, to_text(&parameters).into());
        }
        if let Some(input) = change.input {
            set(Column::Input, to_text(&input).into());
        }
        if let Some(meta) = change.meta {
            set(Column::Meta, to_text(&meta).into());
        }
        if let Some(sealed) = change.sealed_credential {
            set(Column::SealedCredential, sealed.into());
        }
        if let Some(action) = change.client_action {
            set(Column::ClientAction, action.as_ref().map(to_text).into());
        }
        if let Some(error) = change.error {
            set(Column::Error, error.into());
        }
        if let Some(connected) = change.connected {
            set(Column::Connected, connected.into());
        }
        if let Some(archived) = change.archived_at {
            set(Column::ArchivedAt, archived.map(to_ms).into());
        }
        let done = update.exec(&self.conn).await?;
        if done.rows_affected == 0 {
            return Ok(None);
        }
        self.connection_by_id(seen.reach(), seen.id).await
    }

    /// Notes that a connection was used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn connection_used(
        &self,
        reach: Reach,
        id: ConnectionId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut update = entity::Entity::update_many()
            .col_expr(entity::Column::LastActiveAt, Expr::value(to_ms(now)))
            .filter(entity::Column::WorkspaceId.eq(reach.workspace.0))
            .filter(entity::Column::Id.eq(id.0));
        if let Some(customer) = reach.customer {
            update = update.filter(entity::Column::CustomerId.eq(customer.0));
        }
        update.exec(&self.conn).await?;
        Ok(())
    }

    /// Adds a line to a connection's history. Never pass a secret.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log_connection(
        &self,
        connection: &Connection,
        kind: &str,
        message: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = log::ActiveModel {
            workspace_id: Set(connection.workspace.0),
            customer_id: Set(connection.customer.0),
            connection_id: Set(connection.id.0),
            at: Set(to_ms(now)),
            kind: Set(kind.to_owned()),
            message: Set(message.to_owned()),
            ..Default::default()
        };
        log::Entity::insert(row)
            .exec_without_returning(&self.conn)
            .await?;
        Ok(())
    }

    /// A connection's history, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn connection_logs(
        &self,
        reach: Reach,
        id: ConnectionId,
        limit: u64,
    ) -> Result<Vec<ConnectionLog>, StoreError> {
        let mut query = log::Entity::find()
            .filter(log::Column::WorkspaceId.eq(reach.workspace.0))
            .filter(log::Column::ConnectionId.eq(id.0))
            .order_by_desc(log::Column::Id)
            .limit(limit);
        if let Some(customer) = reach.customer {
            query = query.filter(log::Column::CustomerId.eq(customer.0));
        }
        let rows = query.all(&self.conn).await?;
        Ok(rows
            .into_iter()
            .map(|row| ConnectionLog {
                id: row.id,
                at: from_ms(row.at),
                kind: row.kind,
                message: row.message,
            })
            .collect())
    }
}
