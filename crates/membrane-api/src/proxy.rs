//! Raw requests through a connection, in both forms.

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    response::Response,
    routing::{any, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{StreamExt, TryStreamExt};
use gateway::{Gateway, GatewayError, ProxyBody, ProxyCall};
use http::header;
use serde_json::{Map, Value, json};

use crate::{
    ApiError, Auth, LARGEST_REQUEST, MembraneApi, actions,
    body::{self, Json, Members},
};

/// Bodies up to this size are sent with their length, which some servers insist on; larger ones as they come.
const WHOLE: u64 = 1024 * 1024;

pub(crate) fn routes() -> Router<MembraneApi> {
    Router::new()
        .route("/connections/{selector}/proxy", any(by_path))
        .route("/connections/{selector}/proxy/", any(by_path))
        .route("/connections/{selector}/proxy/{*tail}", any(by_path))
        .route("/connections/{selector}/request", post(by_json))
}

async fn by_path(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    request: Request,
) -> Result<Response, ApiError> {
    // The tail is taken from the wire: a decoded or tidied path would be another one.
    let path_and_query = request
        .uri()
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str)
        .to_owned();
    let (selector, tail) =
        split(&path_and_query).ok_or_else(|| GatewayError::not_found("path", &path_and_query))?;
    let selector = percent_encoding::percent_decode_str(selector)
        .decode_utf8()
        .map_err(|_| GatewayError::bad_request("the connection's name is not UTF-8"))?
        .into_owned();
    let headers = request.headers().iter();
    let headers = headers
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    let call = ProxyCall {
        method: request.method().as_str().to_owned(),
        path: tail.to_owned(),
        headers,
        body: streamed(request).await?,
        ..actions::empty_call()
    };
    Ok(relay(gateway.proxy(&caller, &selector, call).await?))
}

/// Selector and tail of `…/connections/{selector}/proxy/{tail}`, both as on the wire.
fn split(path: &str) -> Option<(&str, &str)> {
    let (_, rest) = path.split_once("/connections/")?;
    let (selector, rest) = rest.split_once('/')?;
    let tail = rest.strip_prefix("proxy")?;
    Some((selector, tail.strip_prefix('/').unwrap_or(tail)))
}

async fn streamed(request: Request) -> Result<ProxyBody, ApiError> {
    let length: Option<u64> = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length| length > LARGEST_REQUEST as u64)
        || length.is_some_and(|length| length <= WHOLE)
    {
        let bytes = body::read(request).await?;
        return Ok(if bytes.is_empty() {
            ProxyBody::Empty
        } else {
            ProxyBody::Bytes(bytes)
        });
    }
    if length.is_none()
        && !request.headers().contains_key(header::TRANSFER_ENCODING)
        && request.version() < http::Version::HTTP_2
    {
        return Ok(ProxyBody::Empty);
    }
    let limited = http_body_util::Limited::new(request.into_body(), LARGEST_REQUEST);
    let stream = Body::new(limited)
        .into_data_stream()
        .map_err(std::io::Error::other);
    Ok(ProxyBody::Stream(stream.boxed()))
}

async fn by_json(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
    body: Json,
) -> Result<Response, ApiError> {
    let call = json_call(body.members()?.into_value())?;
    Ok(relay(gateway.proxy(&caller, &selector, call).await?))
}

/// `{method, path, query?, headers?, pathParameters?, data?}` with the aliases `url` and `body`.
pub(crate) fn json_call(value: Value) -> Result<ProxyCall, GatewayError> {
    let mut members = Members::from_value(value)?;
    let path = members
        .any_text(&["path", "url"])?
        .ok_or_else(|| GatewayError::field("path", "path is missing"))?;
    let method = members
        .text("method")?
        .unwrap_or_else(|| "GET".to_owned())
        .to_ascii_uppercase();
    let data = members.take("data");
    let data = data.or(members.take("body"));
    let mut headers = pairs("headers", members.object("headers")?)?;
    let has_type = headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let body = match data {
        None => ProxyBody::Empty,
        Some(Value::String(text)) => ProxyBody::Bytes(text.into()),
        Some(value) => {
            if !has_type {
                headers.push(("content-type".into(), "application/json".into()));
            }
            ProxyBody::Bytes(value.to_string().into())
        }
    };
    let path_parameters = match members.object("pathParameters")? {
        Some(Value::Object(values)) => values,
        _ => Map::new(),
    };
    Ok(ProxyCall {
        method,
        path,
        query: pairs("query", members.object("query")?)?,
        headers,
        path_parameters,
        body,
    })
}

fn pairs(what: &str, value: Option<Value>) -> Result<Vec<(String, String)>, GatewayError> {
    let Some(Value::Object(members)) = value else {
        return Ok(Vec::new());
    };
    let mut pairs = Vec::new();
    for (name, value) in members {
        let values = match value {
            Value::Array(values) => values,
            Value::Null => continue,
            value => vec![value],
        };
        for value in values {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                _ => {
                    return Err(GatewayError::field(
                        what,
                        format!("{what}.{name} must be text"),
                    ));
                }
            };
            pairs.push((name.clone(), text));
        }
    }
    Ok(pairs)
}

/// The app's answer as ours: status, headers and body unchanged.
fn relay(answer: outbound::OutboundResponse) -> Response {
    let mut response = Response::new(Body::from_stream(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// An answer's body where only JSON fits.
pub(crate) fn as_json(content_type: Option<&str>, bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    if let Ok(value) = serde_json::from_slice(bytes) {
        return value;
    }
    let textual = content_type.is_none_or(|kind| {
        kind.starts_with("text/") || kind.contains("json") || kind.contains("xml")
    });
    match std::str::from_utf8(bytes) {
        Ok(text) if textual => text.into(),
        _ => {
            json!({ "contentType": content_type, "encoding": "base64", "size": bytes.len(), "data": STANDARD.encode(bytes) })
        }
    }
}
