//! A connection's states and what moves it from one to the next.

use connector::manifest::AuthKind;
use serde_json::{Map, Value, json};
use store::gateway::{Connection, ConnectionChange, ConnectionState, RequestStatus};

use super::{
    ClientAction, ClientActionKind, PatchConnection,
    ensure::{check_key, check_name},
};
use crate::{Caller, ErrorKind, Gateway, GatewayError, local, send::Trial};

/// Writers that may be faster than us before we give up.
const TRIES: usize = 8;

impl Gateway {
    /// Changes a connection as it stands now. `plan` is asked again when somebody else was faster; `None`
    /// leaves it alone.
    pub(super) async fn change(
        &self,
        seen: &Connection,
        plan: impl Fn(&Connection) -> Option<ConnectionChange>,
    ) -> Result<Connection, GatewayError> {
        let mut current = seen.clone();
        for _ in 0..TRIES {
            let Some(change) = plan(&current) else {
                return Ok(current);
            };
            if let Some(changed) = self
                .inner
                .db
                .change_connection(&current, change, store::now())
                .await?
            {
                self.inner.changes.tell(changed.id);
                return Ok(changed);
            }
            let found = self
                .inner
                .db
                .connection_by_id(seen.reach(), seen.id)
                .await?;
            current =
                found.ok_or_else(|| GatewayError::not_found("connection", &seen.public_id))?;
        }
        let message = format!(
            "connection \"{}\" is being changed by others; try again",
            seen.public_id
        );
        Err(GatewayError::bad_request(message))
    }

    pub(super) async fn log(
        &self,
        connection: &Connection,
        kind: &str,
        message: &str,
    ) -> Result<(), GatewayError> {
        Ok(self
            .inner
            .db
            .log_connection(connection, kind, message, store::now())
            .await?)
    }

    /// Lets the work of building a connector end: the connection asks for sign-in, or says why it failed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finish_building(
        &self,
        connection: &Connection,
        failure: Option<String>,
    ) -> Result<Connection, GatewayError> {
        let Some(failure) = failure else {
            return self.require_client_action(connection, None, "built").await;
        };
        let changed = self
            .change(connection, |_| {
                Some(ConnectionChange {
                    state: Some(ConnectionState::SetupFailed),
                    error: Some(Some(failure.clone())),
                    client_action: Some(None),
                    connected: Some(false),
                    ..Default::default()
                })
            })
            .await?;
        self.log(&changed, "failed", &failure).await?;
        Ok(changed)
    }

    /// The connection waits for somebody to authenticate.
    pub(super) async fn require_client_action(
        &self,
        connection: &Connection,
        error: Option<String>,
        why: &str,
    ) -> Result<Connection, GatewayError> {
        let action = self.next_step(connection, error.is_some()).await?;
        let changed = self
            .change(connection, |_| {
                Some(ConnectionChange {
                    state: Some(ConnectionState::ClientActionRequired),
                    client_action: Some(Some(action.to_value())),
                    error: Some(error.clone()),
                    connected: Some(false),
                    ..Default::default()
                })
            })
            .await?;
        self.log(
            &changed,
            "client_action_required",
            error.as_deref().unwrap_or(why),
        )
        .await?;
        Ok(changed)
    }

    async fn next_step(
        &self,
        connection: &Connection,
        again: bool,
    ) -> Result<ClientAction, GatewayError> {
        let (connector, option) = self.means_of(connection)?;
        let name = &connector.manifest.name;
        let request = self.pending_request(connection).await?;
        let description = match (again, option.kind) {
            (true, _) => {
                format!("{name} no longer accepts the stored credential. Connect it again.")
            }
            (false, AuthKind::ClientCredentials) => {
                format!("Connect {name}: open the page and sign in, or give an API key.")
            }
            (false, AuthKind::OAuth2) => format!("Connect {name}: open the page and allow access."),
        };
        Ok(ClientAction {
            kind: ClientActionKind::Connect,
            description,
            request_id: Some(request.public_id),
            agent_instructions: Some(instructions(connection, option)),
        })
    }

    /// Changes what a connection is called, its parameters or its credential.
    ///
    /// # Errors
    /// When a member is no good; a refused credential leaves the connection as it was.
    pub async fn patch_connection(
        &self,
        caller: &Caller,
        selector: &str,
        patch: PatchConnection,
    ) -> Result<Connection, GatewayError> {
        let seen = self.live_connection(caller, selector).await?;
        let name = patch.name.map(|name| check_name(&name)).transpose()?;
        let key = patch.key.map(|key| check_key(&key)).transpose()?;
        if let Some(key) = &key {
            let owner = self
                .owner_of(&seen)
                .await?
                .ok_or_else(|| GatewayError::not_found("tenant of connection", selector))?;
            self.check_key_is_free(&owner, key, Some(&seen)).await?;
        }
        let mut current = seen;
        if name.is_some() || key.is_some() || patch.meta.is_some() {
            let change = ConnectionChange {
                name,
                key: key.map(Some),
                meta: patch.meta,
                ..Default::default()
            };
            current = self.change(&current, |_| Some(change.clone())).await?;
        }
        match (patch.input, patch.parameters) {
            (Some(input), parameters) => {
                self.connect_with_input(&current, input, parameters, patch.auth_option.as_deref())
                    .await
            }
            (None, Some(parameters)) => self.set_parameters(&current, parameters).await,
            (None, None) => Ok(current),
        }
    }

    /// Parameters decide where a credential goes, so one that is stored must be given again with them.
    async fn set_parameters(
        &self,
        connection: &Connection,
        parameters: Value,
    ) -> Result<Connection, GatewayError> {
        let merged = merge(&connection.parameters, &parameters)?;
        if merged == connection.parameters {
            return Ok(connection.clone());
        }
        if connection.sealed_credential.is_some() {
            let message = "connectorParameters decide where the credential is sent; give \"input\" with the credential again";
            return Err(GatewayError::field("connectorParameters", message));
        }
        if let Ok((connector, _)) = self.means_of(connection) {
            connector::base_url(&connector.manifest, &merged)
                .map_err(|error| GatewayError::field("connectorParameters", error.to_string()))?;
        }
        let change = ConnectionChange {
            parameters: Some(merged),
            ..Default::default()
        };
        self.change(connection, |_| Some(change.clone())).await
    }

    /// Puts a connection away and erases its credential.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn archive_connection(
        &self,
        caller: &Caller,
        selector: &str,
    ) -> Result<Connection, GatewayError> {
        let seen = self.connection(caller, selector).await?;
        if seen.archived_at.is_some() {
            return Ok(seen);
        }
        let now = store::now();
        let change = ConnectionChange {
            archived_at: Some(Some(now)),
            ..Default::default()
        };
        let archived = self.change(&seen, |_| Some(change.clone())).await?;
        let erased = self.erase_credential(&archived).await?;
        self.inner
            .db
            .settle_connection_requests(
                erased.workspace,
                erased.id,
                RequestStatus::Cancelled,
                None,
                now,
            )
            .await?;
        self.log(&erased, "archived", "archived").await?;
        Ok(erased)
    }

    /// Takes an archived connection back. It has to be connected again.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn restore_connection(
        &self,
        caller: &Caller,
        selector: &str,
    ) -> Result<Connection, GatewayError> {
        let seen = self.connection(caller, selector).await?;
        if seen.archived_at.is_none() {
            return Ok(seen);
        }
        let owner = self
            .owner_of(&seen)
            .await?
            .ok_or_else(|| GatewayError::not_found("connection", selector))?;
        let key_taken = match &seen.key {
            Some(key) => self
                .check_key_is_free(&owner, key, Some(&seen))
                .await
                .is_err(),
            None => false,
        };
        let change = ConnectionChange {
            archived_at: Some(None),
            // Somebody may have given the key to another connection meanwhile.
            key: key_taken.then_some(None),
            ..Default::default()
        };
        let restored = self.change(&seen, |_| Some(change.clone())).await?;
        self.log(&restored, "restored", "restored").await?;
        self.ask_again(&restored).await
    }

    /// Asks for authentication anew; until it is given the connection can't be used.
    ///
    /// # Errors
    /// `not_found`, or `configuration` when there is no connector.
    pub async fn reconnect(
        &self,
        caller: &Caller,
        selector: &str,
    ) -> Result<Connection, GatewayError> {
        let seen = self.live_connection(caller, selector).await?;
        if seen.state == ConnectionState::Ready {
            return self
                .require_client_action(&seen, None, "connecting again was asked for")
                .await;
        }
        self.ask_again(&seen).await
    }

    async fn ask_again(&self, connection: &Connection) -> Result<Connection, GatewayError> {
        match self.means_of(connection) {
            Ok(_) => {
                self.require_client_action(connection, None, "waiting for sign-in")
                    .await
            }
            Err(_) => Ok(connection.clone()),
        }
    }

    /// Erases a connection's credential.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn disconnect(&self, caller: &Caller, selector: &str) -> Result<(), GatewayError> {
        let seen = self.live_connection(caller, selector).await?;
        let erased = self.erase_credential(&seen).await?;
        self.log(&erased, "disconnected", "the credential was erased")
            .await?;
        self.ask_again(&erased).await?;
        Ok(())
    }

    async fn erase_credential(&self, connection: &Connection) -> Result<Connection, GatewayError> {
        self.revoke_issued_key(connection).await;
        let erased = self
            .change(connection, |_| {
                Some(ConnectionChange {
                    sealed_credential: Some(None),
                    input: Some(Value::Object(Map::new())),
                    connected: Some(false),
                    state: Some(ConnectionState::ClientActionRequired),
                    client_action: Some(None),
                    ..Default::default()
                })
            })
            .await?;
        Ok(erased)
    }

    /// Whether a connection's credential works. One that no longer does is marked so.
    ///
    /// # Errors
    /// `not_found`, or `connection` when there is no credential.
    pub async fn test_connection(
        &self,
        caller: &Caller,
        selector: &str,
    ) -> Result<bool, GatewayError> {
        let seen = self.live_connection(caller, selector).await?;
        match self.trial(&seen).await? {
            Trial::Works => Ok(true),
            Trial::Rejected(failure) => {
                if failure.unauthorized {
                    self.mark_rejected(&seen, &failure.message).await?;
                }
                Ok(false)
            }
            Trial::Unreachable(reason) => {
                self.log(&seen, "test_failed", &reason).await?;
                Ok(false)
            }
        }
    }

    async fn trial(&self, connection: &Connection) -> Result<Trial, GatewayError> {
        let (connector, option) = self.means_of(connection)?;
        let opened = self.open_credential(connection).await?;
        self.try_credential(connector, option, &connection.parameters, &opened)
            .await
    }

    /// An app refused a connection's credential: asks once more, and only then gives the credential up. One
    /// forbidden path must not end a connection that works.
    pub(crate) async fn credential_refused(&self, seen: &Connection) -> Result<bool, GatewayError> {
        match self.trial(seen).await? {
            Trial::Rejected(failure) if failure.unauthorized => {
                self.mark_rejected(seen, &failure.message).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn mark_rejected(&self, seen: &Connection, message: &str) -> Result<(), GatewayError> {
        let current = self
            .inner
            .db
            .connection_by_id(seen.reach(), seen.id)
            .await?;
        // Whoever connected anew meanwhile keeps his new credential.
        if current.as_ref().is_none_or(|now| {
            now.sealed_credential != seen.sealed_credential || now.state != ConnectionState::Ready
        }) {
            return Ok(());
        }
        let action = self.next_step(seen, true).await?;
        let changed = self
            .change(seen, |now| {
                (now.sealed_credential == seen.sealed_credential).then(|| ConnectionChange {
                    state: Some(ConnectionState::ClientActionRequired),
                    client_action: Some(Some(action.to_value())),
                    error: Some(Some(message.to_owned())),
                    connected: Some(false),
                    ..Default::default()
                })
            })
            .await?;
        self.log(&changed, "credential_refused", message).await?;
        tracing::info!(connection.id = %seen.public_id, "the app refused the connection's credential");
        Ok(())
    }

    /// A connection that is not archived.
    pub(crate) async fn live_connection(
        &self,
        caller: &Caller,
        selector: &str,
    ) -> Result<Connection, GatewayError> {
        let found = self.connection(caller, selector).await?;
        if found.archived_at.is_some() {
            return Err(GatewayError::not_found("connection", selector));
        }
        Ok(found)
    }

    /// Ends the API key that one click made for a connection.
    pub(super) async fn revoke_issued_key(&self, connection: &Connection) {
        let Some(key_id) = super::connect::issued_key(connection) else {
            return;
        };
        let (Some(local), Ok(Some(workspace))) = (
            &self.inner.local_phone,
            self.inner.db.workspace(connection.workspace).await,
        ) else {
            return;
        };
        if let Err(error) = local.revoke_key(workspace.tenant, key_id).await {
            tracing::warn!(connection.id = %connection.public_id, error = &error as &dyn std::error::Error, "an API key could not be revoked");
        }
    }
}

/// Refuses a connection that can't be used now, before anything is sent.
pub(crate) fn require_ready(connection: &Connection) -> Result<(), GatewayError> {
    if connection.archived_at.is_some() {
        return Err(GatewayError::not_found("connection", &connection.public_id));
    }
    if connection.state == ConnectionState::Ready {
        return Ok(());
    }
    let reason = connection
        .error
        .clone()
        .unwrap_or_else(|| match connection.state {
            ConnectionState::ClientActionRequired => {
                "somebody has to connect it first; see clientAction of the connection".to_owned()
            }
            _ => "it is not ready".to_owned(),
        });
    let message = format!(
        "connection \"{}\" is {}: {reason}",
        connection.name,
        connection.state.as_str()
    );
    let data = json!({
        "connectionId": connection.public_id,
        "connectorKey": connection.connector_key,
        "state": connection.state.as_str(),
    });
    Err(GatewayError::new(ErrorKind::ConnectionDefunct, message).with_data(data))
}

/// Members of `new` over those of `old`; `null` takes a member away.
pub(super) fn merge(old: &Value, new: &Value) -> Result<Value, GatewayError> {
    let Some(changes) = new.as_object() else {
        return Err(GatewayError::field(
            "connectorParameters",
            "connectorParameters must be an object",
        ));
    };
    let mut merged = old.as_object().cloned().unwrap_or_default();
    for (name, value) in changes {
        if value.is_null() {
            merged.shift_remove(name);
        } else {
            merged.insert(name.clone(), value.clone());
        }
    }
    Ok(Value::Object(merged))
}

fn instructions(connection: &Connection, option: &connector::AuthOption) -> String {
    let id = &connection.public_id;
    let members = option
        .input_schema
        .get("properties")
        .and_then(Value::as_object);
    let example: Map<String, Value> = members
        .into_iter()
        .flat_map(|members| members.keys())
        .map(|name| (name.clone(), "…".into()))
        .collect();
    let example = json!({ "input": example });
    format!(
        "Show uiUrl to the user and wait: GET /connections/{id} until state is READY. If the user has given you the \
         credential already, send PATCH /connections/{id} with {example} (membrane connection patch {id} --data '{example}'). \
         Do not ask for it in the chat."
    )
}

/// Names of parameters that a form may carry next to the credential.
pub(super) fn form_parameters(manifest: &connector::Manifest) -> Vec<&str> {
    let mut names: Vec<&str> = local::base_parameters(manifest).collect();
    names.dedup();
    names
}
