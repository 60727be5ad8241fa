//! Dynamic client registration (RFC 7591).

use accounts::{ClientMetadata, RegisterError};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use model::Timestamp;
use serde_json::json;

use super::NO_STORE;
use crate::{SignIn, Visitor, sign_in::with_retry_after};

pub(crate) async fn register(
    State(state): State<SignIn>,
    visitor: Visitor,
    body: Bytes,
) -> Response {
    let metadata: ClientMetadata = match serde_json::from_slice(&body) {
        Ok(metadata) => metadata,
        Err(error) => {
            return refuse(
                "invalid_client_metadata",
                &format!("the body is not the expected JSON: {error}"),
            );
        }
    };
    let now = state.now();
    match state
        .inner
        .oauth
        .register(metadata, &visitor.source, now)
        .await
    {
        Ok(client) => {
            let body = json!({
                "client_id": client.client_id,
                "client_id_issued_at": client.created_at.map(Timestamp::as_second),
                "client_name": client.name,
                "redirect_uris": client.redirect_uris,
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
            });
            (StatusCode::CREATED, NO_STORE, Json(body)).into_response()
        }
        Err(RegisterError::RedirectUri(why)) => refuse("invalid_redirect_uri", &why),
        Err(RegisterError::Metadata(why)) => refuse("invalid_client_metadata", &why),
        Err(error @ RegisterError::TooMany { until }) => {
            let body = json!({ "error": "temporarily_unavailable", "error_description": error.to_string() });
            with_retry_after(
                (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response(),
                now,
                until,
            )
        }
        Err(RegisterError::Store(error)) => {
            tracing::error!(%error, "a client could not be registered");
            let body = json!({ "error": "server_error", "error_description": "the server failed; its log says why" });
            (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
        }
    }
}

fn refuse(error: &str, description: &str) -> Response {
    (
        StatusCode::BAD_REQUEST,
        NO_STORE,
        Json(json!({ "error": error, "error_description": description })),
    )
        .into_response()
}
