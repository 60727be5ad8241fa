//! The OAuth endpoints: pages for people ([`authorize`]), JSON for programs.

pub(crate) mod authorize;
mod metadata;
mod register;
mod token;

use axum::{
    Router,
    routing::{get, post},
};
use http::{HeaderValue, Method, header};
use tower_http::cors::{Any, CorsLayer};

use crate::SignIn;

/// What programs call. Open to browsers of any origin: no cookie counts here.
pub(crate) fn machine_routes() -> Router<SignIn> {
    Router::new()
        .route("/oauth/token", post(token::token))
        .route("/oauth/revoke", post(token::revoke))
        .route("/oauth/register", post(register::register))
        .route(
            "/.well-known/oauth-authorization-server",
            get(metadata::show),
        )
        .layer(cors())
}

pub(crate) fn well_known_routes(state: &SignIn) -> Router<SignIn> {
    const ROOT: &str = "/.well-known/oauth-authorization-server";
    let path = state
        .inner
        .oauth
        .gateway_base()
        .path()
        .trim_end_matches('/')
        .to_owned();
    let mut routes = Router::new().route(ROOT, get(metadata::show));
    if !path.is_empty() {
        routes = routes.route(&format!("{ROOT}{path}"), get(metadata::show));
    }
    routes.layer(cors())
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            header::HeaderName::from_static("membrane-api-version"),
        ])
}

/// RFC 6749 §5.1: answers with tokens, and those about them, are never stored.
const NO_STORE: [(header::HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
];
