//! `/connections` and `/connection-requests`.

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use gateway::{
    Caller, Connection, ConnectionQuery, CreateConnection, Gateway, GatewayError, PatchConnection,
};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    ApiError, Auth, MembraneApi,
    body::{Json, Members},
    params::Params,
    views::{self, Extra, Owners},
};

type Answer = Result<axum::Json<Value>, ApiError>;

pub(crate) fn routes() -> Router<MembraneApi> {
    Router::new()
        .route("/connections", get(list).post(create))
        .route("/connections/ensure", post(ensure))
        .route(
            "/connections/{selector}",
            get(read).patch(patch).put(patch).delete(archive),
        )
        .route("/connections/{selector}/restore", post(restore))
        .route("/connections/{selector}/reconnect", post(reconnect))
        .route("/connections/{selector}/disconnect", post(disconnect))
        .route("/connections/{selector}/test", post(test))
        .route("/connections/{selector}/refresh", post(refresh))
        .route(
            "/connections/{selector}/refresh-credentials",
            post(refresh_credentials),
        )
        .route("/connections/{selector}/logs", get(logs))
        .route("/connections/{selector}/dependencies", get(dependencies))
        .route("/connection-requests", post(create_request))
        .route("/connection-requests/{id}", get(read_request))
        .route("/connection-options", post(options))
}

async fn view(gateway: &Gateway, caller: &Caller, connection: &Connection, extra: Extra) -> Answer {
    let mut owners = Owners::default();
    let owner = owners.of(gateway, connection).await?;
    Ok(axum::Json(views::connection(
        gateway,
        &caller.workspace,
        connection,
        owner,
        extra,
    )))
}

/// Managers may see a connection's settings. Credentials stay in the vault whoever asks.
fn extra(caller: &Caller, params: &Params) -> Extra {
    Extra {
        settings: caller.is_admin && params.flag("includeSecrets") == Some(true),
    }
}

async fn list(State(gateway): State<Gateway>, Auth(caller): Auth, params: Params) -> Answer {
    let connected = params.flag("connected").or_else(|| {
        params
            .flag("disconnected")
            .map(|disconnected| !disconnected)
    });
    let query = ConnectionQuery {
        search: params.text("search"),
        connector: params
            .text("connectorId")
            .or_else(|| params.text("connectorKey")),
        integration: params
            .text("integrationId")
            .or_else(|| params.text("integrationKey")),
        external_app: params.text("externalAppId"),
        tenant: params.text("tenantId").or_else(|| params.text("userId")),
        connected,
        include_archived: params.flag("includeArchived") == Some(true),
        cursor: params.text("cursor"),
        limit: params.page_limit()?,
    };
    let page = gateway.list_connections(&caller, &query).await?;
    let mut owners = Owners::default();
    let mut items = Vec::with_capacity(page.items.len());
    for connection in &page.items {
        let owner = owners.of(&gateway, connection).await?;
        items.push(views::connection(
            &gateway,
            &caller.workspace,
            connection,
            owner,
            extra(&caller, &params),
        ));
    }
    Ok(axum::Json(views::page(
        gateway::Page {
            items,
            cursor: page.cursor,
        },
        |item| item,
    )))
}

async fn ensure(State(gateway): State<Gateway>, Auth(caller): Auth, body: Json) -> Answer {
    let mut members = body.members()?;
    let name = members.text("name")?;
    let connection = match members.text("appUrl")? {
        Some(app_url) => gateway.ensure_connection(&caller, &app_url, name).await?,
        // An older generation of the call said what it wanted in words.
        None => {
            let intent = members.text("intent")?.ok_or_else(|| {
                GatewayError::field("appUrl", "appUrl is missing: give the app's URL or domain")
            })?;
            gateway
                .create_connection(
                    &caller,
                    CreateConnection {
                        name,
                        intent: Some(intent),
                        ..Default::default()
                    },
                )
                .await?
        }
    };
    view(&gateway, &caller, &connection, Extra::default()).await
}

async fn create(State(gateway): State<Gateway>, Auth(caller): Auth, body: Json) -> Answer {
    let connection = gateway
        .create_connection(&caller, wanted(&mut body.members()?)?)
        .await?;
    view(&gateway, &caller, &connection, Extra::default()).await
}

/// The members with which a call says what it wants connected.
pub(crate) fn wanted(members: &mut Members) -> Result<CreateConnection, GatewayError> {
    Ok(CreateConnection {
        name: members.text("name")?,
        key: members.any_text(&["key", "connectionKey"])?,
        connector: members.any_text(&["connectorId", "connectorKey", "connectorUuid"])?,
        integration: members.any_text(&["integrationId", "integrationKey"])?,
        external_app: members.any_text(&["externalAppId", "externalAppUuid"])?,
        intent: members.text("intent")?,
        auth_option: members.text("authOptionKey")?,
        parameters: members.object("connectorParameters")?,
        input: members.object("input")?.or(members.object("credentials")?),
        meta: members.object("meta")?,
        allow_multiple: members.flag("allowMultipleConnections")?,
    })
}

async fn read(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
    params: Params,
) -> Answer {
    let connection = match params.wait()? {
        Some(timeout) => {
            gateway
                .wait_for_connection(&caller, &selector, timeout)
                .await?
        }
        None => gateway.connection(&caller, &selector).await?,
    };
    view(&gateway, &caller, &connection, extra(&caller, &params)).await
}

async fn patch(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
    body: Json,
) -> Answer {
    let mut members = body.members()?;
    let change = PatchConnection {
        name: members.text("name")?,
        key: members.any_text(&["key", "connectionKey"])?,
        auth_option: members.text("authOptionKey")?,
        parameters: members.object("connectorParameters")?,
        input: members.object("input")?.or(members.object("credentials")?),
        meta: members.object("meta")?,
    };
    let connection = gateway.patch_connection(&caller, &selector, change).await?;
    view(&gateway, &caller, &connection, Extra::default()).await
}

async fn archive(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
) -> Result<StatusCode, ApiError> {
    gateway.archive_connection(&caller, &selector).await?;
    Ok(StatusCode::OK)
}

async fn restore(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
) -> Answer {
    let connection = gateway.restore_connection(&caller, &selector).await?;
    view(&gateway, &caller, &connection, Extra::default()).await
}

async fn reconnect(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
) -> Answer {
    let connection = gateway.reconnect(&caller, &selector).await?;
    view(&gateway, &caller, &connection, Extra::default()).await
}

async fn disconnect(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
) -> Result<StatusCode, ApiError> {
    gateway.disconnect(&caller, &selector).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn test(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
) -> Answer {
    Ok(axum::Json(
        json!({ "success": gateway.test_connection(&caller, &selector).await? }),
    ))
}

/// Typed credentials don't expire by the clock, so refreshing one is finding out whether it still works.
async fn refresh(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
) -> Answer {
    gateway.test_connection(&caller, &selector).await?;
    let connection = gateway.connection(&caller, &selector).await?;
    view(&gateway, &caller, &connection, Extra::default()).await
}

async fn refresh_credentials(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
) -> Result<StatusCode, ApiError> {
    gateway.test_connection(&caller, &selector).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn logs(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
) -> Answer {
    let lines = gateway.connection_logs(&caller, &selector).await?;
    let view = |line: &gateway::ConnectionLog| json!({ "type": line.kind, "message": line.message, "createdAt": views::time(line.at) });
    Ok(axum::Json(lines.iter().map(view).collect()))
}

async fn dependencies(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
) -> Answer {
    gateway.connection(&caller, &selector).await?;
    Ok(axum::Json(json!([])))
}

async fn create_request(State(gateway): State<Gateway>, Auth(caller): Auth, body: Json) -> Answer {
    let mut members = body.members()?;
    let mut echo = members.to_value();
    if let Some(echo) = echo.as_object_mut() {
        // What is echoed is stored, and a credential is not stored in the clear.
        echo.shift_remove("input");
        echo.shift_remove("credentials");
    }
    let connection = members.any_text(&["connectionId", "connectionKey"])?;
    let mut new = wanted(&mut members)?;
    new.input = None;
    let request = gateway
        .request_connection(&caller, connection.as_deref(), new, echo)
        .await?;
    request_view(&gateway, &caller, &request.public_id).await
}

async fn read_request(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(id): Path<String>,
) -> Answer {
    request_view(&gateway, &caller, &id).await
}

async fn request_view(gateway: &Gateway, caller: &Caller, id: &str) -> Answer {
    let (request, connection) = gateway.connection_request(caller.reach(), id).await?;
    let owner = gateway.owner_of(&connection).await?;
    let tenant_id = owner.map(|owner| owner.public_id).unwrap_or_default();
    Ok(axum::Json(views::request(
        gateway,
        &request,
        &connection,
        &tenant_id,
    )))
}

async fn options(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    body: Json,
) -> Result<Response, ApiError> {
    let mut members = body.members()?;
    let catalog = gateway.catalog();
    let connection = match members.text("connectionId")? {
        Some(id) => gateway.connection(&caller, &id).await?.connector_key,
        None => None,
    };
    let connector = members
        .any_text(&["connectorId", "connectorKey"])?
        .or(connection);
    let integration = members.any_text(&["integrationId", "integrationKey"])?;
    let found = match (&connector, &integration) {
        (Some(name), _) => catalog
            .connector(name)
            .ok_or_else(|| GatewayError::not_found("connector", name))?,
        (None, Some(name)) => {
            let found = catalog.integration(&caller.workspace.public_id, name);
            found.ok_or_else(|| GatewayError::not_found("integration", name))?
        }
        (None, None) => {
            return Err(GatewayError::bad_request(
                "name a connector, an integration or a connection",
            )
            .into());
        }
    };
    let view = |option: &connector::AuthOption| {
        json!({
            "key": option.key,
            "type": option.kind,
            "title": option.title,
            "description": option.description,
            "inputSchema": option.input_schema,
        })
    };
    let options: Vec<Value> = found.manifest.auth.iter().map(view).collect();
    Ok(axum::Json(options).into_response())
}
