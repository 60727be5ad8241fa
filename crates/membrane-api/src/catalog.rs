//! What there is to connect: connectors, apps, integrations, search, and lists of things not kept here.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use gateway::{
    Caller, ConnectionQuery, Connector, ElementKind, Gateway, GatewayError, Page, SearchQuery,
    SearchSettings,
};
use serde_json::{Value, json};

use crate::{ApiError, Auth, MembraneApi, body::Json, params::Params, views};

type Answer = Result<axum::Json<Value>, ApiError>;

/// Element families of the interface that this server keeps none of.
const EMPTY_LISTS: [&str; 20] = [
    "/packages",
    "/screens",
    "/flows",
    "/data-sources",
    "/field-mappings",
    "/data-link-tables",
    "/app-event-types",
    "/app-data-schemas",
    "/flow-instances",
    "/flow-runs",
    "/data-source-instances",
    "/field-mapping-instances",
    "/action-instances",
    "/data-link-table-instances",
    "/app-event-subscriptions",
    "/app-data-schema-instances",
    "/external-event-subscriptions",
    "/scenarios",
    "/agent/sessions",
    "/alerts",
];

pub(crate) fn routes() -> Router<MembraneApi> {
    let routes = Router::new()
        .route("/connectors", get(connectors))
        .route("/connectors/{selector}", get(connector))
        .route("/external-apps", get(apps))
        .route("/external-apps/{selector}", get(app))
        .route("/integrations", get(integrations))
        .route("/integrations/{selector}", get(integration))
        .route("/search", get(search))
        .route("/search/settings", get(read_settings).put(write_settings));
    EMPTY_LISTS
        .into_iter()
        .fold(routes, |routes, path| routes.route(path, get(nothing)))
}

async fn nothing(Auth(_): Auth) -> axum::Json<Value> {
    axum::Json(json!({ "items": [] }))
}

/// Connectors that a text names, all without one, cut into a page.
fn matching(gateway: &Gateway, params: &Params) -> Result<Page<Arc<Connector>>, GatewayError> {
    let catalog = gateway.catalog();
    let text = params.get("search").map(str::to_lowercase);
    let fits = |connector: &&Arc<Connector>| {
        let manifest = &connector.manifest;
        let mut parts = [&manifest.name, &manifest.key, &manifest.description]
            .into_iter()
            .chain(&manifest.domains)
            .chain(&manifest.categories);
        text.as_ref()
            .is_none_or(|text| parts.any(|part| part.to_lowercase().contains(text.as_str())))
    };
    let mut found: Vec<Arc<Connector>> =
        catalog.connectors().iter().filter(fits).cloned().collect();
    if let Some(text) = text.as_deref().filter(|_| found.is_empty()) {
        // Nothing has the text in it: misspelt, in another language, or said in other words.
        found.extend(catalog.find_apps(text).into_iter().map(|app| app.item));
    }
    if let Some(category) = params.get("category") {
        found.retain(|connector| {
            connector
                .manifest
                .categories
                .iter()
                .any(|own| own == category)
        });
    }
    if let Some(app) = params.get("externalAppId") {
        found.retain(|connector| connector.app_id == app || connector.manifest.key == app);
    }
    let start = match params.get("cursor") {
        None => 0,
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| GatewayError::field("cursor", "cursor is not one of this list's"))?,
    };
    let limit = params.page_limit()?;
    let more = found.len() > start.saturating_add(limit);
    let items = found.into_iter().skip(start).take(limit).collect();
    Ok(Page {
        items,
        cursor: more.then(|| (start + limit).to_string()),
    })
}

async fn connectors(State(gateway): State<Gateway>, Auth(_): Auth, params: Params) -> Answer {
    Ok(axum::Json(views::page(
        matching(&gateway, &params)?,
        |connector| views::connector(&connector),
    )))
}

async fn connector(
    State(gateway): State<Gateway>,
    Auth(_): Auth,
    Path(selector): Path<String>,
) -> Answer {
    let found = gateway
        .catalog()
        .connector(&selector)
        .ok_or_else(|| GatewayError::not_found("connector", &selector))?;
    Ok(axum::Json(views::connector(found)))
}

async fn apps(State(gateway): State<Gateway>, Auth(caller): Auth, params: Params) -> Answer {
    let page = matching(&gateway, &params)?;
    let wanted = params.flag("isConnected");
    let mut items = Vec::new();
    for connector in page.items {
        let connected = is_connected(&gateway, &caller, &connector).await?;
        if wanted.is_none_or(|wanted| wanted == connected) {
            items.push(views::app(&connector, connected));
        }
    }
    Ok(axum::Json(views::page(
        Page {
            items,
            cursor: page.cursor,
        },
        |item| item,
    )))
}

async fn app(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
) -> Answer {
    let found = gateway
        .catalog()
        .app(&selector)
        .ok_or_else(|| GatewayError::not_found("app", &selector))?;
    let connected = is_connected(&gateway, &caller, found).await?;
    Ok(axum::Json(views::app(found, connected)))
}

async fn is_connected(
    gateway: &Gateway,
    caller: &Caller,
    connector: &Connector,
) -> Result<bool, GatewayError> {
    let query = ConnectionQuery {
        connector: Some(connector.id.clone()),
        connected: Some(true),
        limit: 1,
        ..Default::default()
    };
    Ok(!gateway
        .list_connections(caller, &query)
        .await?
        .items
        .is_empty())
}

async fn integrations(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    params: Params,
) -> Answer {
    Ok(axum::Json(views::page(
        matching(&gateway, &params)?,
        |connector| views::integration(&connector, &caller.workspace),
    )))
}

async fn integration(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
) -> Answer {
    let found = gateway
        .catalog()
        .integration(&caller.workspace.public_id, &selector);
    let found = found.ok_or_else(|| GatewayError::not_found("integration", &selector))?;
    Ok(axum::Json(views::integration(found, &caller.workspace)))
}

async fn read_settings(State(gateway): State<Gateway>, Auth(caller): Auth) -> Answer {
    caller.require_admin()?;
    let settings = gateway.search_settings(&caller).await?;
    Ok(axum::Json(json!(settings)))
}

async fn write_settings(State(gateway): State<Gateway>, Auth(caller): Auth, body: Json) -> Answer {
    let mut members = body.members()?;
    let settings = SearchSettings {
        learn: members.flag("learn")?,
        words: members.text("words")?.unwrap_or_default(),
    };
    gateway.set_search_settings(&caller, &settings).await?;
    Ok(axum::Json(json!(settings)))
}

async fn search(State(gateway): State<Gateway>, Auth(caller): Auth, params: Params) -> Answer {
    let kind = match params.get("elementType") {
        None => None,
        Some(name) => match ElementKind::parse(name) {
            Some(kind) => Some(kind),
            // A family we keep none of: nothing found, as with its list.
            None => return Ok(axum::Json(json!({ "items": [] }))),
        },
    };
    let query = SearchQuery {
        text: params.text("q").unwrap_or_default(),
        kind,
        cursor: params.text("cursor"),
        limit: params.limit(20, 100)?,
    };
    let page = gateway.search(&caller, &query).await?;
    Ok(axum::Json(views::page(page, |found| {
        views::ranked(&found, &caller.workspace)
    })))
}
