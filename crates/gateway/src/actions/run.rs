//! Running an action.

use connector::{ActionFailure, check_input, prepare, read_answer};
use model::Timestamp;
use outbound::OutboundError;
use serde_json::{Map, Value, json};
use store::gateway::Connection;

use super::{ActionScope, Details, record::Record};
use crate::{
    Caller, CatalogAction, ErrorKind, Gateway, GatewayError,
    connections::{input_error, require_ready},
    redact::Secrets,
    send::WholeAnswer,
};

/// What a run gave.
#[derive(Clone, Debug)]
pub struct RunOutcome {
    pub output: Value,
    pub action_run_id: String,
}

/// How far a run got, for its record.
#[derive(Default)]
struct Progress {
    secrets: Secrets,
    details: Option<Details>,
}

impl Gateway {
    /// Runs an action through a connection: the one that is named, or the caller's own for the app.
    ///
    /// # Errors
    /// `not_found`; `bad_request` when the input does not fit; `connection` when the connection is not READY or
    /// the app refuses its credential; `action_run` when the app answers with an error. A run that began is
    /// recorded, and the error names it.
    pub async fn run_action(
        &self,
        caller: &Caller,
        selector: &str,
        scope: &ActionScope,
        input: Option<Value>,
        meta: Option<Value>,
    ) -> Result<RunOutcome, GatewayError> {
        let named = self.selected(caller, &scope.connection).await?;
        let action = self
            .resolve(caller, selector, scope, named.as_ref())
            .await?;
        let connection = match named {
            Some(connection) => connection,
            None => self.connection_for(caller, &action).await?,
        };
        require_ready(&connection)?;
        let started_at = store::now();
        let clock = std::time::Instant::now();
        let given = input.unwrap_or_else(|| Value::Object(Map::new()));
        let mut progress = Progress::default();
        let result = self
            .perform(&connection, &action, &given, &mut progress)
            .await;
        let record = Record {
            connection: &connection,
            action: &action,
            input: &given,
            meta,
            started_at,
            duration: clock.elapsed(),
            details: progress.details,
            secrets: &progress.secrets,
        };
        let outcome = self.keep(record, result).await?;
        self.learn_from_run(caller, &action).await;
        Ok(outcome)
    }

    /// The caller's own connection to the action's app.
    async fn connection_for(
        &self,
        caller: &Caller,
        action: &CatalogAction,
    ) -> Result<Connection, GatewayError> {
        let manifest = &action.connector.manifest;
        let found = self.default_connection(caller, &manifest.key).await?;
        found.ok_or_else(|| {
            let domain = manifest
                .domains
                .first()
                .map_or(manifest.key.as_str(), String::as_str);
            GatewayError::bad_request(format!(
                "there is no connection to {}; make one first (connection ensure \"{domain}\")",
                manifest.name
            ))
        })
    }

    async fn perform(
        &self,
        connection: &Connection,
        action: &CatalogAction,
        given: &Value,
        progress: &mut Progress,
    ) -> Result<Value, GatewayError> {
        let spec = action.action();
        let manifest = &action.connector.manifest;
        // Secrets are known before the input is looked at: an error may quote the input.
        let opened = self.open_credential(connection).await?;
        progress.secrets = opened.secrets.clone();
        let input =
            check_input(&spec.input_schema, given).map_err(|error| input_error("input", &error))?;
        let (_, option) = self.means_of(connection)?;
        let request = prepare(
            manifest,
            option,
            spec,
            &input,
            &connection.parameters,
            &opened.credentials,
        )
        .map_err(|error| {
            GatewayError::bad_request(opened.secrets.clean_text(&error.to_string()))
        })?;
        let mut details =
            json!({ "request": { "method": request.method, "url": plain_url(&request.url) } });
        let answer = self.exchange(&action.connector, request).await;
        let answer =
            answer.map_err(|error| self.unreachable(connection, &error, &opened.secrets))?;
        details["response"] = json!({ "status": answer.status, "contentType": answer.header(http::header::CONTENT_TYPE), "bytes": answer.body.len() });
        progress.details = Some(details);
        match read_answer(
            manifest,
            spec,
            &input,
            &opened.credentials,
            answer.as_answer(),
        ) {
            Ok(output) => Ok(output),
            Err(failure) => Err(self
                .refused(connection, action, &failure, &answer, &opened.secrets)
                .await?),
        }
    }

    fn unreachable(
        &self,
        connection: &Connection,
        error: &OutboundError,
        secrets: &Secrets,
    ) -> GatewayError {
        let kind = if matches!(error, OutboundError::Refused { .. }) {
            ErrorKind::Configuration
        } else {
            ErrorKind::Connection
        };
        let data = json!({ "connectionId": connection.public_id, "connectorKey": connection.connector_key });
        GatewayError::new(kind, secrets.clean_text(&error.to_string())).with_data(data)
    }

    /// What the caller is told when the app said no.
    async fn refused(
        &self,
        connection: &Connection,
        action: &CatalogAction,
        failure: &ActionFailure,
        answer: &WholeAnswer,
        secrets: &Secrets,
    ) -> Result<GatewayError, GatewayError> {
        let manifest = &action.connector.manifest;
        let mut data = json!({
            "connectionId": connection.public_id,
            "connectorKey": manifest.key,
            "status": failure.status,
            "response": failure.excerpt.as_deref().map(|excerpt| secrets.clean_text(excerpt)),
        });
        let message = secrets.clean_text(&failure.message);
        if failure.unauthorized && self.credential_refused(connection).await? {
            let message = format!(
                "{} no longer accepts the credential of connection \"{}\": {message}",
                manifest.name, connection.name
            );
            return Ok(GatewayError::new(ErrorKind::AccessTokenExpired, message).with_data(data));
        }
        if manifest.retry.statuses.contains(&failure.status) {
            if let Some(wait) = retry_hint(manifest, answer, store::now()) {
                data["retryAfterSeconds"] = wait.into();
            }
            return Ok(GatewayError::new(ErrorKind::UpstreamRateLimit, message).with_data(data));
        }
        Ok(GatewayError::new(ErrorKind::ActionRun, message).with_data(data))
    }
}

/// Seconds to wait, as the app says it.
fn retry_hint(manifest: &connector::Manifest, answer: &WholeAnswer, now: Timestamp) -> Option<i64> {
    let header =
        |name: &Option<String>| -> Option<&str> { answer.header(name.as_deref()?.parse().ok()?) };
    if let Some(seconds) =
        header(&manifest.retry.after_header).and_then(|text| text.trim().parse::<i64>().ok())
    {
        return Some(seconds.max(0));
    }
    let reset: i64 = header(&manifest.retry.reset_header)?.trim().parse().ok()?;
    Some((reset - now.as_second()).max(0))
}

/// A URL fit for a record: without the query, which may hold a credential.
fn plain_url(url: &url::Url) -> String {
    let mut plain = url.clone();
    plain.set_query(None);
    plain.set_fragment(None);
    // A URL without host has no user to remove; ours always has one.
    let _ = plain.set_username("");
    let _ = plain.set_password(None);
    plain.into()
}
