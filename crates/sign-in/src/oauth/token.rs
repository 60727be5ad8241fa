//! The token and revocation endpoints.

use accounts::{CodeExchange, GrantedTokens, RefreshExchange, TokenError};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::NO_STORE;
use crate::{SignIn, Visitor, sign_in::with_retry_after};

#[derive(Default, Deserialize)]
struct TokenRequest {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    code: Option<SecretString>,
    #[serde(default)]
    redirect_uri: Option<String>,
    #[serde(default)]
    code_verifier: Option<SecretString>,
    #[serde(default)]
    refresh_token: Option<SecretString>,
}

#[derive(Deserialize)]
struct RevokeRequest {
    token: SecretString,
}

pub(crate) async fn token(
    State(state): State<SignIn>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request: TokenRequest = match parse(&headers, &body) {
        Ok(request) => request,
        Err(why) => return refuse("invalid_request", &why),
    };
    let now = state.now();
    let oauth = &state.inner.oauth;
    match oauth.client(&request.client_id).await {
        Ok(Some(_)) => {}
        Ok(None) => return refuse("invalid_client", "client_id is missing or unknown"),
        Err(error) => return failure(&error),
    }
    let done = match request.grant_type.as_str() {
        "authorization_code" => {
            let (Some(code), Some(code_verifier), Some(redirect_uri)) =
                (request.code, request.code_verifier, request.redirect_uri)
            else {
                return refuse(
                    "invalid_request",
                    "code, code_verifier and redirect_uri are required",
                );
            };
            let exchange = CodeExchange {
                code,
                client_id: request.client_id,
                redirect_uri,
                code_verifier,
                source: visitor.source,
            };
            oauth.exchange(exchange, now).await
        }
        "refresh_token" => {
            let Some(refresh_token) = request.refresh_token else {
                return refuse("invalid_request", "refresh_token is required");
            };
            oauth
                .refresh(
                    RefreshExchange {
                        refresh_token,
                        client_id: request.client_id,
                        source: visitor.source,
                    },
                    now,
                )
                .await
        }
        "" => return refuse("invalid_request", "grant_type is required"),
        _ => {
            return refuse(
                "unsupported_grant_type",
                "grant_type must be authorization_code or refresh_token",
            );
        }
    };
    match done {
        Ok(tokens) => granted(&tokens),
        Err(TokenError::InvalidGrant(why)) => refuse("invalid_grant", why),
        Err(error @ TokenError::TooMany { until }) => {
            let body = json!({ "error": "temporarily_unavailable", "error_description": error.to_string() });
            with_retry_after(
                (StatusCode::TOO_MANY_REQUESTS, NO_STORE, Json(body)).into_response(),
                now,
                until,
            )
        }
        Err(error) => failure(&error),
    }
}

fn granted(tokens: &GrantedTokens) -> Response {
    let mut body = json!({
        "access_token": tokens.access_token.expose_secret(),
        "token_type": "Bearer",
        "expires_in": tokens.expires_in.as_secs(),
        "refresh_token": tokens.refresh_token.expose_secret(),
        "default_workspace_key": tokens.workspace_key,
        "email": tokens.user.email,
        "org_id": tokens.user.tenant.to_string(),
    });
    if let Some(tenant_key) = &tokens.tenant_key {
        body["default_tenant_key"] = json!(tenant_key);
    }
    (NO_STORE, Json(body)).into_response()
}

pub(crate) async fn revoke(
    State(state): State<SignIn>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request: RevokeRequest = match parse(&headers, &body) {
        Ok(request) => request,
        Err(why) => return refuse("invalid_request", &why),
    };
    match state.inner.oauth.revoke(&request.token, state.now()).await {
        Ok(()) => (NO_STORE, Json(json!({}))).into_response(),
        Err(error) => failure(&error),
    }
}

/// Form, as the RFCs say, or JSON, as many clients do.
fn parse<T: for<'de> Deserialize<'de>>(headers: &HeaderMap, body: &[u8]) -> Result<T, String> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if kind.to_ascii_lowercase().starts_with("application/json") {
        // Not the parser's own message: it may quote the secrets in the body.
        let members: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| "the body is not a JSON object")?;
        return serde_json::from_value(members.into())
            .map_err(|_| "a parameter is missing or not a string".into());
    }
    form(body)
}

fn form<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, String> {
    let mut pairs = Map::new();
    for (key, value) in url::form_urlencoded::parse(body) {
        // RFC 6749 §3.2: parameters must not appear twice.
        if pairs
            .insert(key.clone().into_owned(), value.into_owned().into())
            .is_some()
        {
            return Err(format!("{key} is given twice"));
        }
    }
    serde_json::from_value(pairs.into()).map_err(|_| "a required parameter is missing".into())
}

fn refuse(error: &str, description: &str) -> Response {
    (
        StatusCode::BAD_REQUEST,
        NO_STORE,
        Json(json!({ "error": error, "error_description": description })),
    )
        .into_response()
}

fn failure(error: &(dyn std::error::Error + 'static)) -> Response {
    tracing::error!(error, "the token endpoint failed");
    let body = json!({ "error": "server_error", "error_description": "the server failed; its log says why" });
    (StatusCode::INTERNAL_SERVER_ERROR, NO_STORE, Json(body)).into_response()
}
