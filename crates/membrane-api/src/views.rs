//! Our objects in the interface's words.

use std::collections::{HashMap, hash_map::Entry};

use connector::search::FITS;
use gateway::{
    CatalogAction, ClientAction, Connection, ConnectionRequest, ConnectionState, Connector,
    Customer, Found, FoundAction, Gateway, GatewayError, Page, Ranked, RecordedRun, RequestStatus,
    Workspace,
};
use model::Timestamp;
use serde_json::{Map, Value, json};

/// Milliseconds and `Z`, as JavaScript prints instants.
pub(crate) fn time(at: Timestamp) -> String {
    jiff::fmt::temporal::DateTimePrinter::new()
        .precision(Some(3))
        .timestamp_to_string(&at)
}

pub(crate) fn page<T>(page: Page<T>, view: impl FnMut(T) -> Value) -> Value {
    let mut body = Map::new();
    body.insert("items".into(), page.items.into_iter().map(view).collect());
    if let Some(cursor) = page.cursor {
        body.insert("cursor".into(), cursor.into());
    }
    Value::Object(body)
}

pub(crate) fn customer(customer: &Customer) -> Value {
    json!({
        "id": customer.public_id,
        "name": customer.name.as_deref().unwrap_or(&customer.internal_id),
        "internalId": customer.internal_id,
        "fields": customer.fields,
        "isActive": true,
        "createdAt": time(customer.created_at),
        "lastActiveAt": time(customer.last_active_at),
    })
}

pub(crate) fn workspace(workspace: &Workspace) -> Value {
    json!({
        "id": workspace.public_id,
        "key": workspace.key,
        "name": workspace.name,
        "createdAt": time(workspace.created_at),
    })
}

/// A mark of letters, as an image that needs no other server.
fn logo(connector: &Connector) -> String {
    let logo = &connector.manifest.logo;
    let color = logo
        .color
        .as_deref()
        .filter(|color| is_color(color))
        .unwrap_or("#55616f");
    let text: String = logo
        .text
        .chars()
        .filter(|c| c.is_alphanumeric())
        .take(3)
        .collect();
    let svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 64 64'><rect width='64' height='64' rx='14' fill='{color}'/><text x='32' \
         y='42' font-family='sans-serif' font-size='28' font-weight='700' text-anchor='middle' fill='#fff'>{text}</text></svg>"
    );
    let encoded = percent_encoding::utf8_percent_encode(&svg, percent_encoding::NON_ALPHANUMERIC);
    format!("data:image/svg+xml,{encoded}")
}

pub(crate) fn is_color(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

pub(crate) fn connector(connector: &Connector) -> Value {
    let manifest = &connector.manifest;
    let options: Map<String, Value> = manifest
        .auth
        .iter()
        .map(|option| {
            let view = json!({ "type": option.kind, "title": option.title, "description": option.description, "inputSchema": option.input_schema });
            (option.key.clone(), view)
        })
        .collect();
    json!({
        "id": connector.id,
        "key": manifest.key,
        "uuid": manifest.uuid,
        "name": manifest.name,
        "description": manifest.description,
        "logoUri": logo(connector),
        "categories": manifest.categories,
        "externalAppId": connector.app_id,
        "isPublic": true,
        "version": manifest.version,
        "baseUri": manifest.base_url.default,
        "type": manifest.auth.first().map(|option| option.kind),
        "inputSchema": manifest.auth.first().map(|option| &option.input_schema),
        "options": options,
    })
}

pub(crate) fn app(connector: &Connector, connected: bool) -> Value {
    let manifest = &connector.manifest;
    json!({
        "id": connector.app_id,
        "key": manifest.key,
        "name": manifest.name,
        "description": manifest.description,
        "logoUri": logo(connector),
        "appUrl": manifest.domains.first().map(|domain| format!("https://{domain}/")),
        "domains": manifest.domains,
        "categories": manifest.categories,
        "defaultConnectorId": connector.id,
        "isConnected": connected,
    })
}

pub(crate) fn integration(connector: &Connector, workspace: &Workspace) -> Value {
    let manifest = &connector.manifest;
    json!({
        "id": connector.integration_id(&workspace.public_id),
        "key": manifest.key,
        "name": manifest.name,
        "logoUri": logo(connector),
        "connectorId": connector.id,
        "connectorVersion": manifest.version,
        "externalAppId": connector.app_id,
        "authType": manifest.auth.first().map(|option| option.kind),
        "hasMissingParameters": false,
        "createdAt": time(workspace.created_at),
        "updatedAt": time(workspace.created_at),
    })
}

/// What is shown of a connection beyond the usual.
#[derive(Clone, Copy, Default)]
pub(crate) struct Extra {
    /// Parameters and the input that is not secret. Credentials are never shown.
    pub settings: bool,
}

/// A connection with the tenant that owns it.
pub(crate) fn connection(
    gateway: &Gateway,
    workspace: &Workspace,
    connection: &Connection,
    owner: Option<&Customer>,
    extra: Extra,
) -> Value {
    let connector = connection
        .connector_key
        .as_deref()
        .and_then(|key| gateway.catalog().connector(key));
    let owner_id = owner
        .map(|owner| owner.public_id.clone())
        .unwrap_or_default();
    let mut view = json!({
        "id": connection.public_id,
        "name": connection.name,
        "key": connection.key,
        "userId": owner_id,
        "tenantId": owner_id,
        "state": connection.state.as_str(),
        "connected": connection.connected,
        "disconnected": !connection.connected,
        "appDomain": connection.app_domain,
        "isTest": false,
        "isDefunct": connection.state == ConnectionState::SetupFailed,
        "isDeactivated": false,
        "canTest": connection.sealed_credential.is_some(),
        "canRefreshCredentials": false,
        "meta": connection.meta,
        "createdAt": time(connection.created_at),
        "updatedAt": time(connection.updated_at),
    });
    let members = view.as_object_mut().expect("an object was just made");
    if let Some(connector) = connector {
        let integration_id = connector.integration_id(&workspace.public_id);
        members.insert("integrationId".into(), integration_id.clone().into());
        members.insert(
            "integrationKey".into(),
            connector.manifest.key.clone().into(),
        );
        members.insert("connectorId".into(), connector.id.clone().into());
        members.insert("connectorKey".into(), connector.manifest.key.clone().into());
        members.insert(
            "connectorVersion".into(),
            connection.connector_version.clone().into(),
        );
        members.insert("externalAppId".into(), connector.app_id.clone().into());
        let expanded = json!({ "id": integration_id, "key": connector.manifest.key, "name": connector.manifest.name, "logoUri": logo(connector) });
        members.insert("integration".into(), expanded);
    }
    if let Some(owner) = owner {
        members.insert("user".into(), customer(owner));
    }
    let optional = [
        (
            "authOptionKey",
            connection.auth_option.clone().map(Value::String),
        ),
        (
            "error",
            connection
                .error
                .clone()
                .map(|message| json!({ "type": "connection", "message": message })),
        ),
        ("clientAction", client_action(gateway, connection)),
        (
            "lastActiveAt",
            connection.last_active_at.map(time).map(Value::String),
        ),
        (
            "archivedAt",
            connection.archived_at.map(time).map(Value::String),
        ),
    ];
    members.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?))),
    );
    if let Some(message) = &connection.error {
        members.insert(
            "errors".into(),
            json!([{ "type": "connection", "message": message }]),
        );
    }
    if extra.settings {
        members.insert("connectorParameters".into(), connection.parameters.clone());
        members.insert("input".into(), connection.input.clone());
    }
    view
}

/// Present if and only if the connection waits for somebody.
fn client_action(gateway: &Gateway, connection: &Connection) -> Option<Value> {
    if connection.state != ConnectionState::ClientActionRequired || connection.archived_at.is_some()
    {
        return None;
    }
    let action = ClientAction::of(connection)?;
    let mut view = Map::new();
    view.insert("type".into(), json!(action.kind));
    view.insert("description".into(), action.description.into());
    if let Some(request) = action.request_id {
        view.insert("uiUrl".into(), gateway.connect_url(&request).into());
    }
    if let Some(text) = action.agent_instructions {
        view.insert("agentInstructions".into(), text.into());
    }
    Some(Value::Object(view))
}

/// Owners of connections, read once each.
#[derive(Default)]
pub(crate) struct Owners(HashMap<i64, Option<Customer>>);

impl Owners {
    pub(crate) async fn of(
        &mut self,
        gateway: &Gateway,
        connection: &Connection,
    ) -> Result<Option<&Customer>, GatewayError> {
        let key = connection.customer.0;
        let owner = match self.0.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(gateway.owner_of(connection).await?),
        };
        Ok(owner.as_ref())
    }
}

pub(crate) fn action(found: &FoundAction, workspace: &Workspace) -> Value {
    let mut view = catalog_action(&found.action, workspace);
    if let (Some(id), Some(members)) = (&found.connection_id, view.as_object_mut()) {
        members.insert("connectionId".into(), id.clone().into());
    }
    if let Some(score) = found.score {
        explain(&mut view, score, &found.matched, found.coverage);
        learned(&mut view, found.learned_runs);
    }
    view
}

/// Says how well something fits what was looked for, and by which words.
fn explain(view: &mut Value, score: f32, matched: &[String], coverage: f32) {
    if let Some(members) = view.as_object_mut() {
        // Two digits tell the order; more would look like a measurement.
        let rounded = |number: f32| (f64::from(number) * 100.0).round() / 100.0;
        members.insert("score".into(), rounded(score).into());
        members.insert("matched".into(), json!(matched));
        members.insert("coverage".into(), rounded(coverage).into());
    }
}

fn learned(view: &mut Value, runs: Option<i64>) {
    if let (Some(runs), Some(members)) = (runs, view.as_object_mut()) {
        members.insert("learned".into(), json!({ "runs": runs }));
    }
}

/// A view with how well it fits what was looked for, where something was.
pub(crate) fn explained<T>(mut view: Value, ranked: Option<&Ranked<T>>) -> Value {
    if let Some(ranked) = ranked {
        explain(&mut view, ranked.score, &ranked.matched, ranked.coverage);
        learned(&mut view, ranked.learned_runs);
    }
    view
}

/// Says of a ranked list that nothing in it has much of what was asked for. Nothing is hidden.
pub(crate) fn doubt(mut page: Value, best_coverage: Option<f32>) -> Value {
    if best_coverage.is_some_and(|coverage| coverage < FITS)
        && let Some(members) = page.as_object_mut()
    {
        members.insert("nothingFitsWell".into(), true.into());
    }
    page
}

pub(crate) fn ranked(ranked: &Ranked<Found>, workspace: &Workspace) -> Value {
    explained(found(&ranked.item, workspace), Some(ranked))
}

fn catalog_action(found: &CatalogAction, workspace: &Workspace) -> Value {
    let action = found.action();
    let connector = &found.connector;
    json!({
        "id": action.id,
        "key": action.key,
        "name": action.name,
        "description": action.description,
        "type": "api-request-to-external-app",
        "config": { "request": action.request },
        "inputSchema": action.input_schema,
        "outputSchema": action.output_schema,
        "defaultOutputSchema": action.output_schema,
        "state": "READY",
        "revision": connector.manifest.version,
        "isReadOnly": true,
        "isPublic": true,
        "isDeactivated": false,
        "integrationId": connector.integration_id(&workspace.public_id),
        "integrationKey": connector.manifest.key,
        "externalAppId": connector.app_id,
        "createdAt": time(workspace.created_at),
        "updatedAt": time(workspace.created_at),
    })
}

fn found(found: &Found, workspace: &Workspace) -> Value {
    let (kind, element) = match found {
        Found::Connector(item) => (
            "connector",
            brief(
                &item.id,
                Some(&item.manifest.key),
                &item.manifest.name,
                Some(&logo(item)),
            ),
        ),
        Found::App(item) => (
            "app",
            brief(
                &item.app_id,
                Some(&item.manifest.key),
                &item.manifest.name,
                Some(&logo(item)),
            ),
        ),
        Found::Integration(item) => {
            let id = item.integration_id(&workspace.public_id);
            (
                "integration",
                brief(
                    &id,
                    Some(&item.manifest.key),
                    &item.manifest.name,
                    Some(&logo(item)),
                ),
            )
        }
        Found::Action(item) => {
            let action = item.action();
            let mut view = brief(
                &action.id,
                Some(&action.key),
                &action.name,
                Some(&logo(&item.connector)),
            );
            view["description"] = action.description.clone().into();
            view["integrationKey"] = item.connector.manifest.key.clone().into();
            ("action", view)
        }
        Found::Connection(item) => {
            let mut view = brief(&item.public_id, item.key.as_deref(), &item.name, None);
            view["state"] = item.state.as_str().into();
            ("connection", view)
        }
    };
    json!({ "elementType": kind, "element": element })
}

fn brief(id: &str, key: Option<&str>, name: &str, logo: Option<&str>) -> Value {
    json!({ "id": id, "key": key, "name": name, "logoUri": logo })
}

pub(crate) fn run(recorded: &RecordedRun, details: bool) -> Value {
    let run = &recorded.run;
    let completed = run
        .started_at
        .checked_add(jiff::SignedDuration::from_millis(run.duration_ms))
        .unwrap_or(run.started_at);
    let mut view = json!({
        "id": run.public_id,
        "name": run.name,
        "status": run.status.as_str(),
        "createdAt": time(run.started_at),
        "completedAt": time(completed),
        "duration": run.duration_ms,
        "input": run.input,
        "output": run.output,
        "error": run.error,
        "actionId": run.action_id,
        "actionKey": run.action_key,
        "connectionId": recorded.connection_id,
        "integrationId": recorded.integration_id,
        "userId": recorded.tenant_id,
        "tenantId": recorded.tenant_id,
        "meta": run.meta,
        "action": { "id": run.action_id, "key": run.action_key, "connectionId": recorded.connection_id, "input": run.input },
    });
    if details {
        view["details"] = run.details.clone().unwrap_or(Value::Null);
    }
    view
}

pub(crate) fn request(
    gateway: &Gateway,
    request: &ConnectionRequest,
    connection: &Connection,
    tenant_id: &str,
) -> Value {
    let mut view = request.options.as_object().cloned().unwrap_or_default();
    let done = request.status == RequestStatus::Success;
    let own = json!({
        "requestId": request.public_id,
        "tenantId": tenant_id,
        "status": request.status.as_str(),
        "url": gateway.connect_url(&request.public_id),
        "connectionId": connection.public_id,
        "resultConnectionId": done.then_some(&connection.public_id),
        "resultError": request.error.as_ref().map(|message| json!({ "message": message })),
        "createdAt": time(request.created_at),
        "updatedAt": time(request.updated_at),
    });
    if let Value::Object(own) = own {
        view.extend(own.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Value::Object(view)
}
