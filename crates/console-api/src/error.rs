//! Failures as the web app reads them: `{"error":{"code","message"}}`.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use gateway::GatewayError;
use http::StatusCode;
use phone::trunks::TrunkError;
use serde_json::json;
use store::StoreError;

/// Why a request got nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsoleError {
    #[error("sign in first")]
    NotSignedIn,
    #[error("your role does not show this")]
    Forbidden,
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("the page is out of date: load it again")]
    WrongToken,
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Conflict(String),
    #[error("the trunk's password can't be opened")]
    Vault,
    #[error("this recording was erased")]
    Erased,
    #[error("the recording can't be read")]
    Audio(#[from] phone::recordings::AudioError),
    #[error("the database failed")]
    Store(#[from] StoreError),
    #[error("the gateway failed")]
    Gateway(#[from] GatewayError),
}

impl From<TrunkError> for ConsoleError {
    fn from(error: TrunkError) -> Self {
        match error {
            TrunkError::Invalid(_) => Self::Invalid(error.to_string()),
            TrunkError::NameTaken(_) => Self::Conflict(error.to_string()),
            TrunkError::NotFound(_) => Self::NotFound("trunk"),
            TrunkError::Store(error) => Self::Store(error),
            TrunkError::Vault(_) => Self::Vault,
        }
    }
}

impl IntoResponse for ConsoleError {
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            Self::NotSignedIn => (StatusCode::UNAUTHORIZED, "not_signed_in"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            Self::WrongToken => (StatusCode::FORBIDDEN, "wrong_token"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Erased => (StatusCode::GONE, "erased"),
            Self::Store(_) | Self::Gateway(_) | Self::Vault | Self::Audio(_) => {
                tracing::error!(
                    error = &self as &dyn std::error::Error,
                    "the console could not answer"
                );
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
        };
        (
            status,
            Json(json!({ "error": { "code": code, "message": self.to_string() } })),
        )
            .into_response()
    }
}

pub(crate) async fn no_such_route() -> ConsoleError {
    ConsoleError::NotFound("page")
}
