//! What there is to connect: connectors, apps, integrations, search, and lists of things not kept here.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use gateway::{
    Caller, ConnectionQuery, Connector, ElementKind, Gateway, GatewayError, Page, Ranked,
    SearchQuery, SearchSettings,
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

/// A connector, with how well it fits where a text was looked for.
struct Match {
    connector: Arc<Connector>,
    ranked: Option<Ranked<Arc<Connector>>>,
}

/// Connectors that a text names, the best first; all without one, cut into a page.
fn matching(gateway: &Gateway, params: &Params) -> Result<Page<Match>, GatewayError> {
    let catalog = gateway.catalog();
    let mut found: Vec<Match> = match params.get("search").map(str::trim) {
        None | Some("") => {
            let all = catalog.connectors().iter().cloned();
            all.map(|connector| Match {
                connector,
                ranked: None,
            })
            .collect()
        }
        Some(text) => named(gateway, text),
    };
    if let Some(category) = params.get("category") {
        found.retain(|found| {
            let categories = &found.connector.manifest.categories;
            categories.iter().any(|own| own == category)
        });
    }
    if let Some(app) = params.get("externalAppId") {
        found.retain(|found| found.connector.app_id == app || found.connector.manifest.key == app);
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

/// What has the text in it; where nothing has, what fits it: misspelt, in another language, or in other words.
fn named(gateway: &Gateway, text: &str) -> Vec<Match> {
    let lower = text.to_lowercase();
    let contains = |connector: &Connector| {
        let manifest = &connector.manifest;
        [&manifest.name, &manifest.key, &manifest.description]
            .into_iter()
            .chain(&manifest.domains)
            .chain(&manifest.categories)
            .any(|part| part.to_lowercase().contains(&lower))
    };
    let mut found = gateway.fitting_apps(text);
    for connector in gateway.catalog().connectors() {
        let known = found.iter().any(|found| found.item.id == connector.id);
        if !known && contains(connector) {
            // A part of a word says little, but it was typed as it stands there.
            found.push(Ranked::by_name(connector.clone(), 0.5, text));
        }
    }
    if found.iter().any(|found| contains(&found.item)) {
        found.retain(|found| contains(&found.item));
    }
    let matches = found.into_iter().map(|ranked| Match {
        connector: ranked.item.clone(),
        ranked: Some(ranked),
    });
    matches.collect()
}

async fn connectors(State(gateway): State<Gateway>, Auth(_): Auth, params: Params) -> Answer {
    Ok(axum::Json(views::page(
        matching(&gateway, &params)?,
        |found| views::explained(views::connector(&found.connector), found.ranked.as_ref()),
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
    for found in page.items {
        let connected = is_connected(&gateway, &caller, &found.connector).await?;
        if wanted.is_none_or(|wanted| wanted == connected) {
            let view = views::app(&found.connector, connected);
            items.push(views::explained(view, found.ranked.as_ref()));
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
        |found| {
            let view = views::integration(&found.connector, &caller.workspace);
            views::explained(view, found.ranked.as_ref())
        },
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
    let best = page.items.iter().map(|found| found.coverage);
    let best = best.max_by(f32::total_cmp);
    let view = views::page(page, |found| views::ranked(&found, &caller.workspace));
    Ok(axum::Json(views::doubt(view, best)))
}
