//! Raw requests through a connection. Everything here is given by a caller who must not be able to send the
//! credential elsewhere, to replace it, or to smuggle a second request.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use url::Url;

use super::{
    Credentials, METHODS, PreparedRequest, RequestError, checked_header, credentials, fill_path,
    join_path, placeholders, set_path,
};
use crate::manifest::{AuthOption, Manifest};

const MAX_PATH: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;

/// A raw request through a connection.
#[derive(Clone, Default)]
pub struct ProxyInput {
    /// Method as the caller gave it.
    pub method: String,
    /// Path tail as it stood on the wire, query included, or an absolute URL on the connector's own host.
    pub path: String,
    /// Further query parameters, decoded.
    pub query: Vec<(String, String)>,
    /// Headers of the caller.
    pub headers: Vec<(String, String)>,
    /// Values for `{name}` in the path.
    pub path_parameters: Map<String, Value>,
    /// Body, if it is not streamed.
    pub body: Option<Vec<u8>>,
}

/// Builds a raw request through a connection, with its credential and nothing the caller may not set.
///
/// # Errors
/// See [`RequestError`]. Nothing may be sent then.
pub fn proxy(
    manifest: &Manifest,
    auth: &AuthOption,
    base: &Url,
    credentials: &Credentials,
    input: ProxyInput,
) -> Result<PreparedRequest, RequestError> {
    let method = input.method.to_ascii_uppercase();
    if !METHODS.contains(&method.as_str()) {
        // The text is the caller's; only its letters are repeated.
        let shown = method
            .chars()
            .filter(char::is_ascii_alphabetic)
            .take(20)
            .collect();
        return Err(RequestError::Method(shown));
    }
    let mut url = target(manifest, base, &input.path, &input.path_parameters)?;
    for (name, value) in &input.query {
        url.query_pairs_mut().append_pair(name, value);
    }
    let headers = forwarded_headers(input.headers)?;
    let mut prepared = PreparedRequest {
        method,
        url,
        headers,
        body: input.body,
    };
    credentials::apply(auth, credentials, &mut prepared)?;
    Ok(prepared)
}

fn target(
    manifest: &Manifest,
    base: &Url,
    tail: &str,
    values: &Map<String, Value>,
) -> Result<Url, RequestError> {
    if tail.len() > MAX_PATH {
        return Err(refused("it is too long"));
    }
    // Spaces are refused as well: on the wire there are none, and in JSON they are a mistake.
    if tail
        .chars()
        .any(|letter| letter.is_control() || letter.is_whitespace())
        || encodes_control(tail)
    {
        return Err(refused(
            "it holds spaces, line breaks or control characters; percent-encode spaces as %20",
        ));
    }
    if tail.contains('#') {
        return Err(refused("a fragment is never sent; write # as %23"));
    }
    let (path, query) = match tail.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (tail, None),
    };
    if path.contains('\\') {
        return Err(refused("it holds a backslash; write it as %5C"));
    }
    let (mut url, path) = match path.find("://").map(|at| &path[..at]) {
        Some(scheme) if is_scheme(scheme) => absolute(manifest, base, path)?,
        _ => (base.clone(), relative(base, path)?),
    };
    let path = filled(&path, values)?;
    set_path(&mut url, &path)?;
    url.set_query(query.filter(|query| !query.is_empty()));
    Ok(url)
}

/// An absolute URL may only repeat where the connection goes anyway.
fn absolute(manifest: &Manifest, base: &Url, text: &str) -> Result<(Url, String), RequestError> {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(refused("it holds a user name"));
    }
    let asked = Url::parse(&format!("{scheme}://{authority}"))
        .map_err(|_| refused("it is no readable URL"))?;
    let mut own = vec![base.clone()];
    // The app's other places count only for who uses the app at its usual place.
    if super::parse_base(&manifest.base_url.default)
        .is_ok_and(|usual| usual.origin() == base.origin())
    {
        own.extend(
            manifest
                .bases
                .values()
                .filter_map(|other| super::parse_base(&other.default).ok()),
        );
    }
    let Some(mut url) = own.into_iter().find(|own| own.origin() == asked.origin()) else {
        let reason = format!(
            "this connection only reaches {}",
            base.origin().ascii_serialization()
        );
        return Err(RequestError::Path(reason));
    };
    url.set_path("");
    url.set_query(None);
    Ok((url, format!("/{}", path.trim_start_matches('/'))))
}

fn relative(base: &Url, path: &str) -> Result<String, RequestError> {
    if path.starts_with("//") {
        return Err(refused("it starts with two slashes"));
    }
    // Text that would change the host if it were glued to the base URL. It is not glued, but nobody means it well.
    let first = path.split('/').next().unwrap_or_default();
    if first.starts_with(['@', ':'])
        || (first.starts_with('.') && !first.starts_with(".well-known"))
    {
        return Err(refused("it must start with a slash or a name"));
    }
    let first_lower = first.to_ascii_lowercase();
    if [
        "http:",
        "https:",
        "file:",
        "ftp:",
        "gopher:",
        "unix:",
        "data:",
        "javascript:",
    ]
    .iter()
    .any(|scheme| first_lower.starts_with(scheme))
    {
        return Err(refused("it is no readable URL"));
    }
    Ok(join_path(base.path(), path))
}

fn filled(path: &str, values: &Map<String, Value>) -> Result<String, RequestError> {
    let names = placeholders(path).map_err(refused)?;
    if let Some(unused) = values.keys().find(|name| !names.contains(&name.as_str())) {
        let reason = format!("the path has no {{{unused}}}");
        return Err(RequestError::PathParameter {
            name: unused.clone(),
            reason,
        });
    }
    fill_path(path, values)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Encoded line breaks and NULs have broken enough servers; no app needs them in a path or query we forward.
fn encodes_control(tail: &str) -> bool {
    let path = tail.split('?').next().unwrap_or_default();
    let mut text = path.to_owned();
    for _ in 0..4 {
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded.chars().any(char::is_control) {
            return true;
        }
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    false
}

fn refused(reason: &str) -> RequestError {
    RequestError::Path(reason.to_owned())
}

fn forwarded_headers(given: Vec<(String, String)>) -> Result<Vec<(String, String)>, RequestError> {
    if given.len() > MAX_HEADERS {
        let reason = format!("there are more than {MAX_HEADERS}");
        return Err(RequestError::Header {
            name: "count".to_owned(),
            reason,
        });
    }
    let mut headers = Vec::with_capacity(given.len());
    for (name, value) in given {
        headers.push(checked_header(&name, value)?);
    }
    if let Some((name, _)) = headers.iter().find(|(name, _)| is_method_override(name)) {
        let reason = "the method cannot be changed by a header".to_owned();
        return Err(RequestError::Header {
            name: name.clone(),
            reason,
        });
    }
    // RFC 9110 §7.6.1: what Connection names belongs to this hop as well.
    let named: Vec<String> = headers
        .iter()
        .filter(|(name, _)| name == "connection")
        .flat_map(|(_, value)| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    headers.retain(|(name, _)| !is_dropped(name) && !named.contains(name));
    Ok(headers)
}

fn is_method_override(name: &str) -> bool {
    matches!(
        name,
        "x-http-method-override" | "x-http-method" | "x-method-override"
    )
}

/// Headers that belong to this hop, say who or where the caller is, or sign in.
fn is_dropped(name: &str) -> bool {
    const NAMES: [&str; 30] = [
        "host",
        "authorization",
        "cookie",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "keep-alive",
        "http2-settings",
        "expect",
        "forwarded",
        "via",
        "origin",
        "referer",
        "x-request-id",
        "x-real-ip",
        "x-client-ip",
        "true-client-ip",
        "x-scheme",
        "x-original-forwarded-for",
        "x-original-url",
        "x-rewrite-url",
        "x-request-start",
        "x-amzn-trace-id",
        "forwarded-for-header",
        "cdn-loop",
        "membrane-api-version",
        "x-cluster-client-ip",
    ];
    const PREFIXES: [&str; 5] = ["proxy-", "x-forwarded-", "x-membrane-", "cf-", "sec-"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
