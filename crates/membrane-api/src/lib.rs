//! The Membrane-compatible HTTP face of the gateway: its API and the connect pages.
//!
//! Clients written for Membrane work against it unmodified; only the base address differs. This crate turns
//! requests into calls of [`gateway::Gateway`] and results into the interface's JSON. It refuses to know how
//! people sign in (behind [`Viewers`]), what a credential looks like, and SQL.
//!
//! Start with [`router`]. Routes are relative: the server mounts them under `/membrane` and, where wanted, at
//! the root of another listener.

mod actions;
mod body;
mod catalog;
mod connections;
mod error;
mod mcp;
mod owners;
mod pages;
mod params;
mod proxy;
mod runs;
mod views;

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRef, FromRequestParts},
    routing::{get, post},
};
use gateway::{Caller, Gateway, GatewayError};
use http::{HeaderName, Method, header, request::Parts};
use tower_http::cors::{Any, CorsLayer};

pub use error::ApiError;
pub use pages::{SignedIn, Viewers};

/// Largest request.
pub const LARGEST_REQUEST: usize = 10 * 1024 * 1024;

/// What the handlers use. Cheap to clone.
#[derive(Clone)]
pub struct MembraneApi {
    gateway: Gateway,
    viewers: Arc<dyn Viewers>,
    pages: Arc<pages::Pages>,
}

impl MembraneApi {
    /// The face of a gateway. `viewers` tells who is signed in at a browser, `style` is the sheet that
    /// all server-rendered pages of the house share.
    #[must_use]
    pub fn new(gateway: Gateway, viewers: Arc<dyn Viewers>, style: &'static str) -> Self {
        Self {
            gateway,
            viewers,
            pages: Arc::new(pages::Pages::new(style)),
        }
    }
}

impl FromRef<MembraneApi> for Gateway {
    fn from_ref(state: &MembraneApi) -> Self {
        state.gateway.clone()
    }
}

/// All routes of the interface. It has a fallback of its own, so that an unknown path is a typed 404.
pub fn router(state: MembraneApi) -> Router {
    let interface = interface().with_state(state.clone());
    let mcp = mcp::routes(&state, interface.clone());
    interface
        .merge(mcp)
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(cors())
}

/// The interface itself: what programs and pages call.
fn interface() -> Router<MembraneApi> {
    Router::new()
        .route("/", get(health))
        .merge(owners::routes())
        .merge(connections::routes())
        .merge(actions::routes())
        .merge(runs::routes())
        .merge(catalog::routes())
        .merge(proxy::routes())
        .merge(pages::routes())
        .route("/act", post(actions::act))
}

/// Browsers may call from anywhere: the interface knows no cookies.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("membrane-api-version"),
            HeaderName::from_static("api-version"),
            HeaderName::from_static("x-membrane-session-id"),
            HeaderName::from_static("mcp-protocol-version"),
        ])
}

async fn health() -> axum::Json<serde_json::Value> {
    axum::Json(
        serde_json::json!({ "status": "ok", "name": "trunkline", "version": env!("CARGO_PKG_VERSION") }),
    )
}

async fn unknown(uri: http::Uri) -> ApiError {
    GatewayError::not_found("path", uri.path()).into()
}

async fn wrong_method(method: Method, uri: http::Uri) -> ApiError {
    let message = format!("{method} is not something that \"{}\" can do", uri.path());
    ApiError::with_status(
        http::StatusCode::METHOD_NOT_ALLOWED,
        GatewayError::bad_request(message),
    )
}

/// The caller behind a request's bearer token.
pub(crate) struct Auth(pub Caller);

impl<S> FromRequestParts<S> for Auth
where
    S: Send + Sync,
    Gateway: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let header = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = header.and_then(bearer).ok_or_else(|| {
            GatewayError::not_authenticated("send the token as \"Authorization: Bearer <token>\"")
        })?;
        Ok(Self(Gateway::from_ref(state).authenticate(token).await?))
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    // RFC 9110 §11.1: the scheme is case-insensitive.
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}
