//! The gateway for agents that speak the Model Context Protocol, over its Streamable HTTP transport.
//!
//! `/mcp/integrate-anything` offers a fixed set of tools, each a thin call of the interface's own path of the same
//! meaning; `/mcp` offers one tool for each action of what is connected. Every request stands alone: there is no
//! session, nothing is pushed, and each request is answered by one JSON document, as the transport allows.

mod actions;
mod tools;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{FromRef, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use gateway::{Caller, Gateway, GatewayError};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;

use crate::{ApiError, MembraneApi, bearer, params::Params};

/// Versions of the protocol this server speaks, the newest first.
const VERSIONS: [&str; 3] = ["2025-06-18", "2025-03-26", "2024-11-05"];
/// Largest answer of a tool. A model reads far less.
const LARGEST_RESULT: usize = 4 * 1024 * 1024;
const FIXED: &str = "/mcp/integrate-anything";
const METADATA: &str = "/.well-known/oauth-protected-resource/mcp/integrate-anything";

// JSON-RPC 2.0 §5.1.
const PARSE_ERROR: i64 = -32_700;
const INVALID_REQUEST: i64 = -32_600;
const METHOD_NOT_FOUND: i64 = -32_601;
const INVALID_PARAMS: i64 = -32_602;

#[derive(Clone)]
struct Mcp {
    gateway: Gateway,
    /// The interface whose paths the tools call.
    interface: Router,
}

impl FromRef<Mcp> for Gateway {
    fn from_ref(state: &Mcp) -> Self {
        state.gateway.clone()
    }
}

/// Routes of the protocol in front of `interface`.
pub(crate) fn routes(state: &MembraneApi, interface: Router) -> Router {
    let gateway = Gateway::from_ref(state);
    Router::new()
        .route("/mcp", post(actions_endpoint))
        .route(FIXED, post(fixed_endpoint))
        .route(METADATA, get(metadata))
        .with_state(Mcp { gateway, interface })
}

/// Where a client finds the server that gives out tokens (RFC 9728).
async fn metadata(State(gateway): State<Gateway>) -> axum::Json<Value> {
    let base = gateway.base_url();
    axum::Json(json!({
        "resource": format!("{base}{FIXED}"),
        "authorization_servers": [base],
        "bearer_methods_supported": ["header"],
        "token_type": "tenant",
    }))
}

async fn fixed_endpoint(
    State(mcp): State<Mcp>,
    params: Params,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    mcp.answer(&params, &headers, &body, Offer::Fixed).await
}

async fn actions_endpoint(
    State(mcp): State<Mcp>,
    params: Params,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let apps = params.get("apps").map(|apps| {
        let apps = apps.split(',').map(|app| app.trim().to_owned());
        apps.filter(|app| !app.is_empty()).collect()
    });
    mcp.answer(&params, &headers, &body, Offer::Actions(apps))
        .await
}

/// Which tools an endpoint has.
enum Offer {
    Fixed,
    /// Those of the named apps, or of all that are connected.
    Actions(Option<Vec<String>>),
}

/// Who calls, and with what.
struct Call<'a> {
    caller: Caller,
    token: &'a str,
}

/// What a call of the interface came to.
struct Outcome {
    status: StatusCode,
    text: String,
}

/// An error of the protocol, not of a tool.
struct RpcError {
    code: i64,
    message: String,
}

impl RpcError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl Mcp {
    async fn answer(
        &self,
        params: &Params,
        headers: &HeaderMap,
        body: &[u8],
        offer: Offer,
    ) -> Response {
        let authorization = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let Some(token) = authorization
            .and_then(bearer)
            .or_else(|| params.get("token"))
        else {
            return self.unauthorized(GatewayError::not_authenticated(
                "send the token as \"Authorization: Bearer <token>\"",
            ));
        };
        let caller = match self.gateway.authenticate(token).await {
            Ok(caller) => caller,
            Err(error) if error.kind == gateway::ErrorKind::NotAuthenticated => {
                return self.unauthorized(error);
            }
            Err(error) => return ApiError::from(error).into_response(),
        };
        let Ok(message) = serde_json::from_slice::<Value>(body) else {
            let error = RpcError::new(PARSE_ERROR, "the body is not JSON");
            return reply(&Value::Null, Err(error));
        };
        let Some(method) = message.get("method").and_then(Value::as_str) else {
            if message.get("result").is_some() || message.get("error").is_some() {
                // An answer to something we never ask.
                return StatusCode::ACCEPTED.into_response();
            }
            let text = "send one JSON-RPC 2.0 request with \"method\"; batches are not taken";
            return reply(&Value::Null, Err(RpcError::new(INVALID_REQUEST, text)));
        };
        let Some(id) = message.get("id").filter(|id| !id.is_null()) else {
            // A notification is never answered.
            return StatusCode::ACCEPTED.into_response();
        };
        let params = message.get("params").and_then(Value::as_object);
        let call = Call { caller, token };
        reply(id, self.handle(&call, method, params, &offer).await)
    }

    async fn handle(
        &self,
        call: &Call<'_>,
        method: &str,
        params: Option<&Map<String, Value>>,
        offer: &Offer,
    ) -> Result<Value, RpcError> {
        match method {
            "initialize" => Ok(initialized(params)),
            "ping" => Ok(json!({})),
            "tools/list" => Ok(json!({ "tools": match offer {
                Offer::Fixed => tools::list(),
                Offer::Actions(apps) => self.action_tools(call, apps.as_deref()).await?,
            } })),
            "tools/call" => {
                let name = params
                    .and_then(|params| params.get("name"))
                    .and_then(Value::as_str)
                    .ok_or_else(|| RpcError::new(INVALID_PARAMS, "name the tool by \"name\""))?;
                let empty = Map::new();
                let arguments = match params.and_then(|params| params.get("arguments")) {
                    None | Some(Value::Null) => &empty,
                    Some(Value::Object(arguments)) => arguments,
                    Some(_) => {
                        return Err(RpcError::new(
                            INVALID_PARAMS,
                            "\"arguments\" must be an object",
                        ));
                    }
                };
                match offer {
                    Offer::Fixed => self.call_fixed(call, name, arguments).await,
                    Offer::Actions(apps) => {
                        self.call_action(call, apps.as_deref(), name, arguments)
                            .await
                    }
                }
            }
            _ => Err(RpcError::new(
                METHOD_NOT_FOUND,
                format!("this server has no method \"{method}\""),
            )),
        }
    }

    async fn call_fixed(
        &self,
        call: &Call<'_>,
        name: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Value, RpcError> {
        let tool = tools::find(name).ok_or_else(|| unknown_tool(name))?;
        let request = match tool.request(arguments) {
            Ok(request) => request,
            Err(problem) => return Ok(result(problem, true)),
        };
        let outcome = self.send(call, request).await;
        Ok(result(outcome.text, !outcome.status.is_success()))
    }

    /// Calls the interface as the caller.
    async fn send(&self, call: &Call<'_>, request: tools::InterfaceRequest) -> Outcome {
        let problem = |text: String| Outcome {
            status: StatusCode::BAD_GATEWAY,
            text,
        };
        let body = request.body.map_or_else(Body::empty, |body| {
            Body::from(Value::Object(body).to_string())
        });
        let built = Request::builder()
            .method(request.method)
            .uri(request.path)
            .header(header::AUTHORIZATION, format!("Bearer {}", call.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        let request = match built {
            Ok(request) => request,
            Err(error) => return problem(format!("the arguments make no request: {error}")),
        };
        let Ok(response) = self.interface.clone().oneshot(request).await;
        let status = response.status();
        match axum::body::to_bytes(response.into_body(), LARGEST_RESULT).await {
            Ok(bytes) => Outcome {
                status,
                text: String::from_utf8_lossy(&bytes).into_owned(),
            },
            Err(_) => problem(format!(
                "the answer has more than {} MiB; ask for less, for instance with a limit",
                LARGEST_RESULT / 1024 / 1024
            )),
        }
    }

    fn unauthorized(&self, error: GatewayError) -> Response {
        let mut response = ApiError::from(error).into_response();
        let base = self.gateway.base_url();
        // RFC 9728 §5.1: a client learns here where to get a token.
        let challenge = format!("Bearer resource_metadata=\"{base}{METADATA}\"");
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

fn initialized(params: Option<&Map<String, Value>>) -> Value {
    let asked = params
        .and_then(|params| params.get("protocolVersion"))
        .and_then(Value::as_str);
    let version = VERSIONS
        .into_iter()
        .find(|version| Some(*version) == asked)
        .unwrap_or(VERSIONS[0]);
    json!({
        "protocolVersion": version,
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "trunkline", "version": env!("CARGO_PKG_VERSION") },
        "instructions": "Connect an app (ensure-connection), find an action by saying what you want (search-tools), then run it (run-tool).",
    })
}

fn unknown_tool(name: &str) -> RpcError {
    RpcError::new(
        INVALID_PARAMS,
        format!("there is no tool \"{name}\"; tools/list names them all"),
    )
}

/// What a tool came to, as the protocol wraps it.
fn result(text: String, is_error: bool) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": is_error })
}

fn reply(id: &Value, outcome: Result<Value, RpcError>) -> Response {
    axum::Json(match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => {
            let error = json!({ "code": error.code, "message": error.message });
            json!({ "jsonrpc": "2.0", "id": id, "error": error })
        }
    })
    .into_response()
}
