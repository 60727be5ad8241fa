//! Giving a connection its credential.

use connector::{AuthOption, Manifest, check_input, manifest::AuthKind};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use store::gateway::{Connection, ConnectionChange, ConnectionState, RequestStatus, Workspace};

use super::lifecycle::{form_parameters, merge};
use crate::{Connector, ErrorKind, Gateway, GatewayError, credentials::opened, local, send::Trial};

/// Marks input of a connection whose key one click made.
const ISSUED_HERE: &str = "issuedHere";
/// Names under which the phone system's connector takes its key.
const KEY_ID: &str = "keyId";
const KEY_SECRET: &str = "keySecret";

/// What is to be tried.
struct Candidate {
    credential: Value,
    parameters: Value,
    /// What of the input may be shown again.
    shown: Map<String, Value>,
}

impl Gateway {
    /// Tries a credential and, when the app accepts it, makes the connection READY with it.
    ///
    /// # Errors
    /// When a field is no good or the app does not accept the credential; then nothing is stored of it.
    pub async fn connect_with_input(
        &self,
        connection: &Connection,
        input: Value,
        parameters: Option<Value>,
        auth_option: Option<&str>,
    ) -> Result<Connection, GatewayError> {
        let mut wanted = connection.clone();
        if let Some(option) = auth_option {
            wanted.auth_option = Some(option.to_owned());
        }
        let (connector, option) = self.means_of(&wanted)?;
        if option.kind == AuthKind::OAuth2 {
            let message = format!(
                "{} is connected by allowing access in a browser, not by typing a credential",
                connector.manifest.name
            );
            return Err(GatewayError::field("input", message));
        }
        let given = merge(
            &connection.parameters,
            &parameters.unwrap_or_else(|| json!({})),
        )?;
        let mut candidate = candidate(&connector.manifest, option, input, given)?;
        self.aim_at_this_phone(connector, &mut candidate).await;
        self.settle(&wanted, connector, option, candidate).await
    }

    /// Connects the phone system in the same house: makes an API key and uses it.
    ///
    /// # Errors
    /// When this connection is not for it, or belongs to somebody else than the company itself.
    pub async fn connect_this_phone(
        &self,
        connection: &Connection,
        workspace: &Workspace,
    ) -> Result<Connection, GatewayError> {
        let (connector, option) = self.means_of(connection)?;
        let local = self.local_phone_for(&connector.manifest).ok_or_else(|| {
            GatewayError::bad_request(format!(
                "{} can't be connected with one click",
                connector.manifest.name
            ))
        })?;
        if !self.is_companys_own(connection, workspace).await? {
            return Err(GatewayError::access_denied(
                "only the company's own tenant can be given a key by one click",
            ));
        }
        let (key_id, secret) = local
            .issue_key(workspace.tenant, &connection.name)
            .await
            .map_err(|error| GatewayError::internal("the phone system made no API key", &error))?;
        let candidate = Candidate {
            credential: json!({ KEY_ID: key_id, KEY_SECRET: secret.expose_secret() }),
            parameters: Value::Object(local::point_at(&connector.manifest, &local.base_url())),
            shown: Map::from_iter([
                (KEY_ID.to_owned(), key_id.clone().into()),
                (ISSUED_HERE.to_owned(), true.into()),
            ]),
        };
        let settled = self.settle(connection, connector, option, candidate).await;
        if settled.is_err()
            && let Err(error) = local.revoke_key(workspace.tenant, &key_id).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an unused API key could not be revoked"
            );
        }
        settled
    }

    /// Whether a connection belongs to the tenant that the company's own people share.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_companys_own(
        &self,
        connection: &Connection,
        workspace: &Workspace,
    ) -> Result<bool, GatewayError> {
        let owner = self.owner_of(connection).await?;
        Ok(connection.workspace == workspace.id
            && owner.is_some_and(|owner| owner.internal_id == workspace.default_tenant_key))
    }

    /// A key of this installation is meant for this installation, unless another place is named.
    async fn aim_at_this_phone(&self, connector: &Connector, candidate: &mut Candidate) {
        let manifest = &connector.manifest;
        let Some(local) = self.local_phone_for(manifest) else {
            return;
        };
        let named = form_parameters(manifest)
            .iter()
            .any(|name| candidate.parameters.get(name).is_some());
        let Some(key_id) = candidate.credential.get(KEY_ID).and_then(Value::as_str) else {
            return;
        };
        if !named && local.owns_key(key_id).await {
            candidate.parameters = Value::Object(local::point_at(manifest, &local.base_url()));
        }
    }

    async fn settle(
        &self,
        connection: &Connection,
        connector: &Connector,
        option: &AuthOption,
        candidate: Candidate,
    ) -> Result<Connection, GatewayError> {
        connector::base_url(&connector.manifest, &candidate.parameters)
            .map_err(|error| GatewayError::field("baseUrl", error.to_string()))?;
        let opened = opened(candidate.credential.clone());
        match self
            .try_credential(connector, option, &candidate.parameters, &opened)
            .await?
        {
            Trial::Works => self.make_ready(connection, option, candidate).await,
            Trial::Rejected(failure) => {
                let message = format!(
                    "{} did not accept the credential: {}",
                    connector.manifest.name, failure.message
                );
                self.tell_failure(connection, message, failure.status.into())
                    .await
            }
            Trial::Unreachable(reason) => {
                let message = format!("{} could not be reached: {reason}", connector.manifest.name);
                self.tell_failure(connection, message, Value::Null).await
            }
        }
    }

    async fn make_ready(
        &self,
        connection: &Connection,
        option: &AuthOption,
        candidate: Candidate,
    ) -> Result<Connection, GatewayError> {
        let sealed = self
            .seal_credential(connection, &candidate.credential)
            .await?;
        let ready = self
            .change(connection, |now| {
                // Put away while the credential was tried: it stays away.
                now.archived_at.is_none().then(|| ConnectionChange {
                    state: Some(ConnectionState::Ready),
                    connected: Some(true),
                    client_action: Some(None),
                    error: Some(None),
                    auth_option: Some(Some(option.key.clone())),
                    parameters: Some(candidate.parameters.clone()),
                    input: Some(Value::Object(candidate.shown.clone())),
                    sealed_credential: Some(Some(sealed.clone())),
                    ..Default::default()
                })
            })
            .await?;
        if ready.archived_at.is_some() {
            return Err(GatewayError::not_found("connection", &connection.public_id));
        }
        if issued_key(connection) != issued_key(&ready) {
            self.revoke_issued_key(connection).await;
        }
        self.inner
            .db
            .settle_connection_requests(
                ready.workspace,
                ready.id,
                RequestStatus::Success,
                None,
                store::now(),
            )
            .await?;
        self.log(&ready, "connected", "the credential works")
            .await?;
        tracing::info!(connection.id = %ready.public_id, "connection is ready");
        Ok(ready)
    }

    /// A credential that does not work: the connection says so, unless it has one that does.
    async fn tell_failure(
        &self,
        connection: &Connection,
        message: String,
        status: Value,
    ) -> Result<Connection, GatewayError> {
        let changed = self
            .change(connection, |now| {
                (now.state == ConnectionState::ClientActionRequired).then(|| ConnectionChange {
                    error: Some(Some(message.clone())),
                    ..Default::default()
                })
            })
            .await?;
        self.log(&changed, "connect_failed", &message).await?;
        let data = json!({ "connectionId": changed.public_id, "state": changed.state.as_str(), "upstreamStatus": status });
        Err(GatewayError::new(ErrorKind::BadRequest, message).with_data(data))
    }
}

/// The id of the key that one click made for a connection.
pub(super) fn issued_key(connection: &Connection) -> Option<&str> {
    connection
        .input
        .get(ISSUED_HERE)
        .filter(|issued| **issued == Value::Bool(true))?;
    connection.input.get(KEY_ID)?.as_str()
}

/// Parts input into credential and parameters and checks both.
fn candidate(
    manifest: &Manifest,
    option: &AuthOption,
    input: Value,
    parameters: Value,
) -> Result<Candidate, GatewayError> {
    let Value::Object(mut members) = input else {
        return Err(GatewayError::field(
            "input",
            "input must be an object with the fields of the sign-in form",
        ));
    };
    let mut parameters = parameters;
    for name in form_parameters(manifest) {
        let Some(value) = members.shift_remove(name) else {
            continue;
        };
        match value {
            Value::Null => {}
            Value::String(text) if text.trim().is_empty() => {}
            Value::String(text) => parameters = merge(&parameters, &json!({ name: text.trim() }))?,
            _ => return Err(GatewayError::field(name, format!("{name} must be text"))),
        }
    }
    let credential = check_input(&option.input_schema, &Value::Object(members))
        .map_err(|error| input_error("input", &error))?;
    let shown = shown(option, &credential);
    Ok(Candidate {
        credential,
        parameters,
        shown,
    })
}

/// Fields the schema names and does not call sensitive.
fn shown(option: &AuthOption, credential: &Value) -> Map<String, Value> {
    let properties = option
        .input_schema
        .get("properties")
        .and_then(Value::as_object);
    let plain = |schema: &Value| {
        schema.get("isSensitive") != Some(&Value::Bool(true))
            && matches!(
                schema.get("type").and_then(Value::as_str),
                Some("string" | "number" | "integer" | "boolean")
            )
    };
    let names = properties
        .into_iter()
        .flatten()
        .filter(|(_, schema)| plain(schema))
        .map(|(name, _)| name);
    names
        .filter_map(|name| Some((name.clone(), credential.get(name)?.clone())))
        .collect()
}

/// All problems of an input, the first one in the message.
pub(crate) fn input_error(what: &str, error: &connector::InputError) -> GatewayError {
    let first = error.problems.first();
    let field = first.map_or("", |problem| problem.field.as_str());
    let message = match first {
        Some(problem) if problem.message.contains(problem.field.as_str()) => {
            format!("{what}: {error}")
        }
        Some(problem) => format!("{what}: {}: {error}", problem.field),
        None => format!("{what} does not fit its schema"),
    };
    GatewayError::bad_request(message)
        .with_data(json!({ "field": field, "problems": error.problems }))
}
