//! From a path to its handler: which path space, who asks, how often, what for.
//!
//! The order is part of the contract. In the core, a wrong verb is told to anybody, a wrong path only
//! to those with a key; in analytics a wrong path is told to anybody.

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{Request, State},
    response::Response,
    routing::any,
};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::json;

use crate::{
    CloudTalk, analytics,
    auth::{self, Denied},
    body,
    context::Context,
    core::{self, Operation},
    error::CoreError,
    input::QueryString,
    reply::json,
};

/// Serves `/api/…` and `/v1/…`.
pub fn router(state: CloudTalk) -> Router {
    Router::new()
        .route("/api", any(dispatch))
        .route("/api/", any(dispatch))
        .route("/api/{*path}", any(dispatch))
        .route("/v1", any(dispatch))
        .route("/v1/", any(dispatch))
        .route("/v1/{*path}", any(dispatch))
        .with_state(state)
}

/// The four path spaces, each with its own way to fail.
enum Space {
    Core,
    /// The path's last segment.
    Analytics(String),
    CueCards,
    V1,
}

impl Space {
    fn of(path: &str) -> Self {
        if path == "/v1" || path.starts_with("/v1/") {
            return Self::V1;
        }
        match path.strip_prefix("/api/") {
            Some("cuecards") => Self::CueCards,
            Some(rest) => match rest.strip_prefix("calls/") {
                Some(id) if !id.is_empty() && !id.contains('/') && !rest.ends_with(".json") => {
                    Self::Analytics(id.to_owned())
                }
                _ => Self::Core,
            },
            None => Self::Core,
        }
    }
}

async fn dispatch(State(state): State<CloudTalk>, request: Request) -> Response {
    let is_head = request.method() == Method::HEAD;
    let response = match Space::of(request.uri().path()) {
        Space::Core => core_space(state, request).await,
        Space::Analytics(id) => analytics_space(state, request, &id).await,
        Space::CueCards => plain_space(state, request, CUE_CARDS).await,
        Space::V1 => plain_space(state, request, V1).await,
    };
    if !is_head {
        return response;
    }
    // A length that was set stays; the server would otherwise say 0.
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact()
        && !parts.headers.contains_key(http::header::CONTENT_LENGTH)
    {
        parts
            .headers
            .insert(http::header::CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, Body::empty())
}

async fn core_space(state: CloudTalk, request: Request) -> Response {
    let now = store::now();
    let untouched = state.limiter.untouched(now);
    let (mut response, standing) =
        match admit_core(&state, request.method(), request.uri(), request.headers()).await {
            Err(error) => (error.respond(), untouched),
            Ok((tenant, operation)) => {
                let standing = state.limiter.take(tenant, now);
                if standing.allowed {
                    let answered = core_operation(state, tenant, operation, request, now).await;
                    (answered.unwrap_or_else(CoreError::respond), standing)
                } else {
                    (CoreError::TooManyRequests.respond(), standing)
                }
            }
        };
    standing.write(response.headers_mut(), now);
    response
}

type Found = Option<(Operation, Option<String>)>;

async fn admit_core(
    state: &CloudTalk,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(model::TenantId, Found), CoreError> {
    let found = core::find(uri.path());
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    if let Some((operation, _)) = &found
        && operation.method() != *method
    {
        return Err(CoreError::MethodNotAllowed);
    }
    let tenant = auth::tenant_of(&state.db, headers)
        .await?
        .map_err(|_| CoreError::Unauthorized)?;
    Ok((tenant, found))
}

async fn core_operation(
    state: CloudTalk,
    tenant: model::TenantId,
    found: Found,
    request: Request,
    now: model::Timestamp,
) -> Result<Response, CoreError> {
    let Some((operation, id)) = found else {
        return Err(CoreError::NoRoute {
            path: request.uri().path().to_owned(),
        });
    };
    let company = state
        .db
        .tenant(tenant)
        .await?
        .ok_or(CoreError::Unauthorized)?;
    let query = QueryString::parse(request.uri().query());
    let context = Context::new(state, &company, now, query, request.headers().clone());
    // Ids are decimal; anything else is an id that nobody has.
    let id = match id.map(|id| id.parse::<i64>()) {
        None => 0,
        Some(Ok(id)) if id > 0 => id,
        Some(_) => return Err(CoreError::NotFound),
    };
    let fields = match operation.method() {
        Method::GET => body::Fields::default(),
        _ => body::read(request).await?,
    };
    core::run(&context, operation, id, fields).await
}

async fn analytics_space(state: CloudTalk, request: Request, id: &str) -> Response {
    let now = store::now();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let message = format!("Cannot {} {}", request.method(), request.uri().path());
        return json(
            StatusCode::NOT_FOUND,
            &json!({"message": message, "error": "Not Found", "statusCode": 404}),
        );
    }
    let mut standing = state.limiter.untouched(now);
    let headers = request.into_parts().0.headers;
    let mut response = match auth::tenant_of(&state.db, &headers).await {
        Err(error) => analytics::failed(&error),
        Ok(Err(denied)) => {
            let message = match denied {
                Denied::NoHeader => "Authorization header is missing".to_owned(),
                Denied::UnknownKey => "Company API key doesn't exist.".to_owned(),
                Denied::Unreadable { scheme } => format!("Invalid Authorization header - {scheme}")
                    .trim_end()
                    .to_owned(),
            };
            json(
                StatusCode::UNAUTHORIZED,
                &json!({"statusCode": 401, "message": message}),
            )
        }
        Ok(Ok(tenant)) => {
            standing = state.limiter.take(tenant, now);
            if standing.allowed {
                analytics::detail(&state, tenant, id).await
            } else {
                json(
                    StatusCode::TOO_MANY_REQUESTS,
                    &json!({"statusCode": 429, "message": "Too Many Requests"}),
                )
            }
        }
    };
    standing.write(response.headers_mut(), now);
    response
}

/// A path space that has no operation of ours yet: it knows who asks, and then has nothing.
#[derive(Clone, Copy)]
struct Plain {
    unauthorized: fn() -> serde_json::Value,
    not_found: fn() -> serde_json::Value,
    too_many: fn() -> serde_json::Value,
    failed: fn() -> serde_json::Value,
}

const CUE_CARDS: Plain = Plain {
    unauthorized: || json!({"success": false, "errors": ["unauthorized"]}),
    not_found: || json!({"success": false, "errors": ["not found"]}),
    too_many: || json!({"success": false, "errors": ["too many requests"]}),
    failed: || json!({"success": false, "errors": ["error processing cue card"]}),
};

const V1: Plain = Plain {
    unauthorized: || json!({"code": "UNAUTHORIZED", "message": "You are not authorized to access this resource."}),
    not_found: || json!({"code": "NOT_FOUND", "message": "The requested resource was not found."}),
    too_many: || json!({"code": "TOO_MANY_REQUESTS", "message": "Too Many Requests"}),
    failed: || json!({"code": "INTERNAL_SERVER_ERROR", "message": "An unexpected error occurred on the server."}),
};

async fn plain_space(state: CloudTalk, request: Request, space: Plain) -> Response {
    let now = store::now();
    let mut standing = state.limiter.untouched(now);
    let headers = request.into_parts().0.headers;
    let mut response = match auth::tenant_of(&state.db, &headers).await {
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "request failed");
            json(StatusCode::INTERNAL_SERVER_ERROR, &(space.failed)())
        }
        Ok(Err(_)) => json(StatusCode::UNAUTHORIZED, &(space.unauthorized)()),
        Ok(Ok(tenant)) => {
            standing = state.limiter.take(tenant, now);
            if standing.allowed {
                json(StatusCode::NOT_FOUND, &(space.not_found)())
            } else {
                json(StatusCode::TOO_MANY_REQUESTS, &(space.too_many)())
            }
        }
    };
    standing.write(response.headers_mut(), now);
    response
}
