//! The web app's files, embedded when the server is built.

use axum::{
    extract::{OriginalUri, Path, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header, uri::PathAndQuery};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::{Console, error::ConsoleError, session};

/// `web/dist`. May be missing when the server is built without Node; then a page says how to get it.
#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Files;

/// Mantine sets element styles, hence the exception for styles; scripts come from here only.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Trunkline</title>\
    <link rel=stylesheet href=/assets/pages.css><main class=card><h1>The web app is not in this build</h1>\
    <p>The server runs, and its interfaces and phones work. To add the app, run <code>make web</code> in the \
    source folder and build the server again.</p></main>";

/// Every page of the app is the same document; strangers are sent to sign in first.
pub(crate) async fn page(
    State(console): State<Console>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    signed_in_or_sent(&console, &uri, &headers)
        .await
        .map_or_else(|elsewhere| elsewhere, |()| index())
}

/// The address of a recording as the CloudTalk interface hands it out: plays to who is signed in.
pub(crate) async fn play(
    State(console): State<Console>,
    Path(id): Path<u64>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    signed_in_or_sent(&console, &uri, &headers)
        .await
        .map_or_else(
            |elsewhere| elsewhere,
            |()| Redirect::to(&format!("/console/api/calls/{id}/recording")).into_response(),
        )
}

async fn signed_in_or_sent(
    console: &Console,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), Response> {
    match session::find(console, headers).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => {
            let return_to = uri.path_and_query().map_or("/", PathAndQuery::as_str);
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("return_to", return_to)
                .finish();
            Err(Redirect::to(&format!("/sign-in?{query}")).into_response())
        }
        Err(error) => Err(ConsoleError::Store(error).into_response()),
    }
}

fn index() -> Response {
    let html = match Files::get("index.html") {
        Some(file) => String::from_utf8_lossy(&file.data).into_owned(),
        None => NOT_BUILT.to_owned(),
    };
    let headers = [
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (headers, Html(html)).into_response()
}

pub(crate) async fn asset(Path(file): Path<String>) -> Response {
    // The names carry a hash of their content.
    serve(
        &format!("assets/{file}"),
        "public, max-age=31536000, immutable",
    )
}

pub(crate) async fn favicon() -> Response {
    serve("favicon.svg", "public, max-age=86400")
}

fn serve(name: &str, cache: &'static str) -> Response {
    let Some(file) = Files::get(name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = content_type(&file);
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    (headers, file.data).into_response()
}

fn content_type(file: &EmbeddedFile) -> HeaderValue {
    HeaderValue::try_from(file.metadata.mimetype())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
