//! Finding connections the way callers name them.

use std::time::Duration;

use store::gateway::{Connection, ConnectionFilter, ConnectionLog, ConnectionState, PageOf, Reach};

use super::ConnectionQuery;
use crate::{Caller, Gateway, GatewayError, Page};

/// Rows looked at when a selector is a key.
const FEW: PageOf = PageOf {
    after: 0,
    limit: 50,
};
const LOG_LINES: u64 = 200;

/// The ways a call can say which connection it means, the most exact first.
#[derive(Clone, Debug, Default)]
pub struct ConnectionSelector {
    pub id: Option<String>,
    pub key: Option<String>,
    /// Integration id or key.
    pub integration: Option<String>,
}

impl ConnectionSelector {
    /// Whether it says anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.id.is_none() && self.key.is_none() && self.integration.is_none()
    }
}

impl Gateway {
    /// A connection by id, by key, or by its integration when there is exactly one. Archived ones are found
    /// by id only.
    ///
    /// # Errors
    /// `not_found` when there is none within reach.
    pub async fn connection(
        &self,
        caller: &Caller,
        selector: &str,
    ) -> Result<Connection, GatewayError> {
        self.connection_within(caller.reach(), &caller.workspace.public_id, selector)
            .await
    }

    pub(crate) async fn connection_within(
        &self,
        reach: Reach,
        workspace_id: &str,
        selector: &str,
    ) -> Result<Connection, GatewayError> {
        let db = &self.inner.db;
        if let Some(found) = db.connection_by_public_id(reach, selector).await? {
            return Ok(found);
        }
        let by_key = ConnectionFilter {
            key: Some(selector.to_owned()),
            ..Default::default()
        };
        if let Some(found) = best(db.connections(reach, &by_key, FEW).await?) {
            return Ok(found);
        }
        let missing = || GatewayError::not_found("connection", selector);
        let connector = self
            .inner
            .catalog
            .integration(workspace_id, selector)
            .ok_or_else(missing)?;
        let filter = ConnectionFilter {
            connector_key: Some(connector.manifest.key.clone()),
            ..Default::default()
        };
        let mut found = db.connections(reach, &filter, FEW).await?;
        if found.len() > 1 {
            let message = format!(
                "\"{selector}\" has {} connections; name one by its id or key",
                found.len()
            );
            return Err(GatewayError::bad_request(message));
        }
        found.pop().ok_or_else(missing)
    }

    /// The connection a call means, by the most exact thing it says. `None` when it says nothing.
    pub(crate) async fn selected(
        &self,
        caller: &Caller,
        selector: &ConnectionSelector,
    ) -> Result<Option<Connection>, GatewayError> {
        if let Some(name) = selector.id.as_ref().or(selector.key.as_ref()) {
            return Ok(Some(self.connection(caller, name).await?));
        }
        let Some(name) = &selector.integration else {
            return Ok(None);
        };
        let connector = self
            .inner
            .catalog
            .integration(&caller.workspace.public_id, name)
            .ok_or_else(|| GatewayError::not_found("integration", name))?;
        let found = self
            .default_connection(caller, &connector.manifest.key)
            .await?;
        found
            .map(Some)
            .ok_or_else(|| GatewayError::not_found("a connection for integration", name))
    }

    /// The connection to use for a connector when none is named: a READY one first, the oldest of those.
    pub(crate) async fn default_connection(
        &self,
        caller: &Caller,
        connector_key: &str,
    ) -> Result<Option<Connection>, GatewayError> {
        // A manager's token that names a tenant means that tenant here, not any of the workspace's.
        let reach = match &caller.customer {
            Some(customer) => Reach::customer(caller.workspace.id, customer.id),
            None => caller.reach(),
        };
        let filter = ConnectionFilter {
            connector_key: Some(connector_key.to_owned()),
            ..Default::default()
        };
        Ok(best(self.inner.db.connections(reach, &filter, FEW).await?))
    }

    /// A connection, once it is no longer being built or the time is up.
    ///
    /// # Errors
    /// `not_found`; `not_authenticated` when the caller's permission was taken back while he waited.
    pub async fn wait_for_connection(
        &self,
        caller: &Caller,
        selector: &str,
        timeout: Duration,
    ) -> Result<Connection, GatewayError> {
        let deadline = tokio::time::Instant::now() + timeout;
        let mut seen = self.connection(caller, selector).await?;
        if seen.state != ConnectionState::Building {
            return Ok(seen);
        }
        let mut watcher = self.inner.changes.watch(seen.id);
        loop {
            // Read after watching: a change in between would be lost otherwise.
            seen = self.connection(caller, selector).await?;
            if seen.state != ConnectionState::Building {
                break;
            }
            if tokio::time::timeout_at(deadline, watcher.changed())
                .await
                .is_err()
            {
                break;
            }
        }
        self.still_welcome(caller).await?;
        Ok(seen)
    }

    /// A page of connections, oldest first.
    ///
    /// # Errors
    /// When the cursor is none of ours.
    pub async fn list_connections(
        &self,
        caller: &Caller,
        query: &ConnectionQuery,
    ) -> Result<Page<Connection>, GatewayError> {
        let Some(connector_key) = self.connector_filter(caller, query) else {
            return Ok(Page::empty());
        };
        let mut reach = caller.reach();
        if let Some(tenant) = &query.tenant {
            let Some(customer) = self.inner.db.customer(reach, tenant).await? else {
                return Ok(Page::empty());
            };
            reach = Reach::customer(caller.workspace.id, customer.id);
        }
        let filter = ConnectionFilter {
            search: query.search.clone(),
            connector_key,
            connected: query.connected,
            include_archived: query.include_archived,
            ..Default::default()
        };
        let page = PageOf {
            after: Page::<Connection>::position(query.cursor.as_deref())?,
            limit: query.limit as u64 + 1,
        };
        let rows = self.inner.db.connections(reach, &filter, page).await?;
        Ok(Page::of(rows, query.limit, |row| row.id.0))
    }

    /// The connector key that all connector-like filters agree on. `None`: nothing can fit.
    fn connector_filter(&self, caller: &Caller, query: &ConnectionQuery) -> Option<Option<String>> {
        let catalog = &self.inner.catalog;
        let mut wanted: Option<String> = None;
        let named = [
            query
                .connector
                .as_deref()
                .map(|name| catalog.connector(name)),
            query
                .integration
                .as_deref()
                .map(|name| catalog.integration(&caller.workspace.public_id, name)),
            query.external_app.as_deref().map(|name| catalog.app(name)),
        ];
        for connector in named.into_iter().flatten() {
            let key = connector?.manifest.key.clone();
            if wanted.as_ref().is_some_and(|other| *other != key) {
                return None;
            }
            wanted = Some(key);
        }
        Some(wanted)
    }

    /// What happened to a connection, newest first.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn connection_logs(
        &self,
        caller: &Caller,
        selector: &str,
    ) -> Result<Vec<ConnectionLog>, GatewayError> {
        let connection = self.connection(caller, selector).await?;
        Ok(self
            .inner
            .db
            .connection_logs(connection.reach(), connection.id, LOG_LINES)
            .await?)
    }

    /// The tenant that owns a connection.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn owner_of(
        &self,
        connection: &Connection,
    ) -> Result<Option<store::gateway::Customer>, GatewayError> {
        Ok(self
            .inner
            .db
            .customer_by_id(connection.workspace, connection.customer)
            .await?)
    }
}

/// READY before others, then the oldest.
pub(super) fn best(mut found: Vec<Connection>) -> Option<Connection> {
    found.sort_by_key(|connection| (connection.state != ConnectionState::Ready, connection.id));
    found.into_iter().next()
}
