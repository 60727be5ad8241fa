//! Errors as the interface's clients read them.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use gateway::{ErrorKind, GatewayError};
use http::{HeaderValue, StatusCode, header};

/// An error on its way out: always a JSON body with a `type` clients know.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    error: GatewayError,
}

impl ApiError {
    /// An error with a status other than its kind's.
    #[must_use]
    pub fn with_status(status: StatusCode, error: GatewayError) -> Self {
        Self { status, error }
    }
}

impl From<GatewayError> for ApiError {
    fn from(error: GatewayError) -> Self {
        let status =
            StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, error }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.error.body())).into_response();
        if self.error.kind == ErrorKind::NotAuthenticated {
            // RFC 9110 §15.5.2: a 401 names the way to authenticate.
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
