//! `/actions`, `/action` and `/act`.

use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};
use gateway::{
    ActionQuery, ActionScope, Caller, ConnectionSelector, Gateway, GatewayError, ProxyBody,
    ProxyCall, RunOutcome,
};
use serde_json::{Map, Value, json};

use crate::{ApiError, Auth, MembraneApi, body::Json, params::Params, proxy, views};

type Answer = Result<axum::Json<Value>, ApiError>;

/// Items of a ranked list unless told otherwise.
const RANKED_LIMIT: usize = 10;

pub(crate) fn routes() -> Router<MembraneApi> {
    Router::new()
        .route("/actions", get(list).post(cannot_build))
        .route(
            "/actions/{selector}",
            get(read).put(read_only).patch(read_only).delete(read_only),
        )
        .route("/actions/{selector}/run", post(run))
        .route(
            "/action",
            get(read_by_query)
                .put(read_only)
                .patch(read_only)
                .delete(read_only),
        )
        .route("/action/run", post(run_by_query))
        .route("/connections/{connection}/actions", get(list_of_connection))
        .route(
            "/connections/{connection}/actions/{selector}",
            get(read_of_connection).put(read_of_connection),
        )
        .route(
            "/connections/{connection}/actions/{selector}/run",
            post(run_of_connection),
        )
        .route(
            "/connections/{connection}/actions/{selector}/setup",
            post(read_of_connection),
        )
        .route(
            "/connections/{connection}/actions/{selector}/reset",
            post(read_of_connection),
        )
}

fn scope(connection: ConnectionSelector) -> ActionScope {
    ActionScope { connection }
}

fn of_connection(id: String) -> ActionScope {
    scope(ConnectionSelector {
        id: Some(id),
        ..Default::default()
    })
}

async fn list(State(gateway): State<Gateway>, Auth(caller): Auth, params: Params) -> Answer {
    page(&gateway, &caller, scope(params.connection()), &params).await
}

async fn list_of_connection(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(connection): Path<String>,
    params: Params,
) -> Answer {
    page(&gateway, &caller, of_connection(connection), &params).await
}

async fn page(gateway: &Gateway, caller: &Caller, scope: ActionScope, params: &Params) -> Answer {
    let intent = params.text("intent");
    let limit = if intent.is_some() {
        params.limit(RANKED_LIMIT, 1000)?
    } else {
        params.page_limit()?
    };
    let query = ActionQuery {
        scope,
        external_app: params.text("externalAppId"),
        intent,
        search: params.text("search"),
        cursor: params.text("cursor"),
        limit,
    };
    let page = gateway.list_actions(caller, &query).await?;
    let ranked = page.items.iter().filter(|found| found.score.is_some());
    let best = ranked.map(|found| found.coverage).max_by(f32::total_cmp);
    let view = views::page(page, |found| views::action(&found, &caller.workspace));
    Ok(axum::Json(views::doubt(view, best)))
}

async fn read(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
    params: Params,
) -> Answer {
    one(&gateway, &caller, &selector, scope(params.connection())).await
}

async fn read_by_query(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    params: Params,
) -> Answer {
    one(
        &gateway,
        &caller,
        &named(&params)?,
        scope(params.connection()),
    )
    .await
}

async fn read_of_connection(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path((connection, selector)): Path<(String, String)>,
) -> Answer {
    one(&gateway, &caller, &selector, of_connection(connection)).await
}

async fn one(gateway: &Gateway, caller: &Caller, selector: &str, scope: ActionScope) -> Answer {
    let found = gateway.action(caller, selector, &scope).await?;
    Ok(axum::Json(views::action(&found, &caller.workspace)))
}

/// The action that the query of a singular path names.
fn named(params: &Params) -> Result<String, GatewayError> {
    params
        .text("id")
        .or_else(|| params.text("key"))
        .ok_or_else(|| GatewayError::bad_request("name the action by \"id\" or \"key\""))
}

async fn run(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
    params: Params,
    body: Json,
) -> Answer {
    run_wrapped(&gateway, &caller, &selector, &params, body).await
}

async fn run_by_query(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    params: Params,
    body: Json,
) -> Answer {
    run_wrapped(&gateway, &caller, &named(&params)?, &params, body).await
}

/// `{input, meta?}` around the input.
async fn run_wrapped(
    gateway: &Gateway,
    caller: &Caller,
    selector: &str,
    params: &Params,
    body: Json,
) -> Answer {
    let mut members = body.members()?;
    let (input, meta) = (members.take("input"), members.take("meta"));
    let outcome = gateway
        .run_action(caller, selector, &scope(params.connection()), input, meta)
        .await?;
    Ok(outcome_view(outcome))
}

/// Here the body is the input itself.
async fn run_of_connection(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path((connection, selector)): Path<(String, String)>,
    body: Json,
) -> Answer {
    let outcome = gateway
        .run_action(&caller, &selector, &of_connection(connection), body.0, None)
        .await?;
    Ok(outcome_view(outcome))
}

fn outcome_view(outcome: RunOutcome) -> axum::Json<Value> {
    axum::Json(json!({ "output": outcome.output, "actionRunId": outcome.action_run_id }))
}

/// `POST /act`: one of an action, a raw request or (not here) code.
pub(crate) async fn act(State(gateway): State<Gateway>, Auth(caller): Auth, body: Json) -> Answer {
    let mut members = body.members()?;
    let action = (members.text("id")?, members.text("key")?);
    let (api, code) = (members.take("api"), members.take("code"));
    let connection = ConnectionSelector {
        id: members.text("connectionId")?,
        key: members.text("connectionKey")?,
        integration: members.any_text(&["integrationId", "integrationKey"])?,
    };
    let (input, meta) = (members.take("input"), members.take("meta"));
    if let Some(name) = members.left() {
        return Err(
            GatewayError::field(name, format!("\"{name}\" is not a member of this call")).into(),
        );
    }
    match (action, api, code) {
        ((Some(selector), None) | (None, Some(selector)), None, None) => {
            let outcome = gateway
                .run_action(&caller, &selector, &scope(connection), input, meta)
                .await?;
            Ok(outcome_view(outcome))
        }
        ((None, None), Some(api), None) => act_api(&gateway, &caller, &connection, api).await,
        ((None, None), None, Some(_)) => Err(GatewayError::field(
            "code",
            "running code is not available on this server; use \"key\", \"id\" or \"api\"",
        )
        .into()),
        _ => Err(GatewayError::bad_request(
            "give exactly one of \"id\", \"key\", \"api\" and \"code\"",
        )
        .into()),
    }
}

/// A raw request whose answer comes back as JSON.
async fn act_api(
    gateway: &Gateway,
    caller: &Caller,
    connection: &ConnectionSelector,
    api: Value,
) -> Answer {
    let selector = connection
        .id
        .as_ref()
        .or(connection.key.as_ref())
        .or(connection.integration.as_ref());
    let selector = selector.ok_or_else(|| GatewayError::bad_request("\"api\" needs a connection: give \"connectionId\", \"connectionKey\" or \"integrationKey\""))?;
    let call = proxy::json_call(api)?;
    let answer = gateway.proxy(caller, selector, call).await?;
    let status = answer.status;
    let content_type = answer
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let bytes =
        answer.body.bytes().await.map_err(|error| {
            GatewayError::new(gateway::ErrorKind::Connection, error.to_string())
        })?;
    let output = proxy::as_json(content_type.as_deref(), &bytes);
    if status.is_success() {
        return Ok(axum::Json(json!({ "output": output })));
    }
    let data = json!({ "status": status.as_u16(), "response": output });
    let message = format!("the app answered with status {}", status.as_u16());
    Err(GatewayError::new(gateway::ErrorKind::ActionRun, message)
        .with_data(data)
        .into())
}

/// Actions of connectors that ship with the product are the same for everybody.
async fn read_only(Auth(_): Auth) -> ApiError {
    GatewayError::access_denied("this action belongs to its connector and can't be changed").into()
}

async fn cannot_build(Auth(_): Auth) -> ApiError {
    let message = "making actions is not available on this server yet; search with GET /actions?intent=…, or send a request with POST /act {\"api\": …}";
    GatewayError::bad_request(message).into()
}

/// An empty call, for `json_call`'s callers that fill it themselves.
pub(crate) fn empty_call() -> ProxyCall {
    ProxyCall {
        body: ProxyBody::Empty,
        path_parameters: Map::new(),
        ..ProxyCall::default()
    }
}
