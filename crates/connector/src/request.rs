//! Building requests as values.
//!
//! Two rules hold for whatever a caller gives: a path parameter stays one path segment, and the request goes to
//! the connector's own origin with the connection's own credential.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};
use url::{Host, Url};

use crate::formula::{self, Scope};
use crate::manifest::{Action, AuthOption, BaseUrl, Manifest, Request, is_on_domain};

mod credentials;
mod proxy;

pub use credentials::Credentials;
pub use proxy::{ProxyInput, proxy};

/// Methods a connection may use. TRACE and CONNECT are tools against proxies, not for apps.
pub const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// All but RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const MAX_PATH_PARAMETER: usize = 2_000;

/// A request ready to be sent. `Debug` shows neither header values nor the query nor the body.
#[derive(Clone)]
pub struct PreparedRequest {
    /// Method, upper case.
    pub method: String,
    /// Absolute URL.
    pub url: Url,
    /// Headers in order; names lower case.
    pub headers: Vec<(String, String)>,
    /// Body, if any; its content type is among the headers.
    pub body: Option<Vec<u8>>,
}

impl std::fmt::Debug for PreparedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        let target = format!(
            "{}{}",
            self.url.origin().ascii_serialization(),
            self.url.path()
        );
        f.debug_struct("PreparedRequest")
            .field("method", &self.method)
            .field("target", &target)
            .field("headers", &names)
            .field("body_bytes", &self.body.as_ref().map(Vec::len))
            .finish()
    }
}

/// Why no request could be built. Messages are meant for the caller and hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A path parameter is missing or cannot be one path segment.
    #[error("path parameter {name}: {reason}")]
    PathParameter {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The path of a proxy request leads elsewhere.
    #[error("path refused: {0}")]
    Path(String),
    /// A query parameter cannot be sent.
    #[error("query parameter {name}: {reason}")]
    Query {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A header cannot be sent.
    #[error("header {name}: {reason}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The method is not one a connection may use.
    #[error("method {0} cannot be used here; use GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS")]
    Method(String),
    /// The base URL is no good.
    #[error("base URL refused: {0}")]
    BaseUrl(String),
    /// The credential lacks a field the connector needs.
    #[error("the credential has no usable {0}; connect again")]
    Credential(String),
    /// A formula of the manifest failed.
    #[error("{0}")]
    Formula(#[from] crate::FormulaError),
}

/// The base URL of a connection: the manifest's, or the one its parameters give where that is allowed.
///
/// # Errors
/// [`RequestError::BaseUrl`] when the one given is not http(s), holds a user name, or leaves the allowed domains.
pub fn base_url(manifest: &Manifest, parameters: &Value) -> Result<Url, RequestError> {
    resolve_base(&manifest.base_url, parameters)
}

/// Builds the request of an action. `input` must have passed [`Action::check_input`].
///
/// # Errors
/// See [`RequestError`].
pub fn prepare(
    manifest: &Manifest,
    auth: &AuthOption,
    action: &Action,
    input: &Value,
    parameters: &Value,
    credentials: &Credentials,
) -> Result<PreparedRequest, RequestError> {
    let base = request_base(manifest, &action.request, parameters)?;
    build(
        &action.request,
        &base,
        &Scope {
            input: Some(input),
            ..Scope::default()
        },
        auth,
        credentials,
    )
}

/// Builds the request that shows whether a credential works.
///
/// # Errors
/// See [`RequestError`].
pub fn prepare_test(
    manifest: &Manifest,
    auth: &AuthOption,
    parameters: &Value,
    credentials: &Credentials,
) -> Result<PreparedRequest, RequestError> {
    let base = request_base(manifest, &manifest.test, parameters)?;
    build(&manifest.test, &base, &Scope::default(), auth, credentials)
}

fn build(
    request: &Request,
    base: &Url,
    scope: &Scope<'_>,
    auth: &AuthOption,
    credentials: &Credentials,
) -> Result<PreparedRequest, RequestError> {
    let mut parameters = Map::new();
    for (name, template) in &request.path_parameters {
        parameters.extend(formula::evaluate(template, scope)?.map(|value| (name.clone(), value)));
    }
    let path = fill_path(&request.path, &parameters)?;
    let mut url = base.clone();
    set_path(&mut url, &join_path(base.path(), &path))?;
    for (name, template) in &request.query {
        if let Some(value) = formula::evaluate(template, scope)? {
            append_query(&mut url, name, &value)?;
        }
    }
    let mut headers = Vec::new();
    for (name, template) in &request.headers {
        if let Some(value) = formula::evaluate(template, scope)?
            .as_ref()
            .and_then(formula::scalar_text)
        {
            headers.push(checked_header(name, value)?);
        }
    }
    let body = match &request.data {
        Some(data) => formula::evaluate(data, scope)?.map(|value| value.to_string().into_bytes()),
        None => None,
    };
    if body.is_some() && !headers.iter().any(|(name, _)| name == "content-type") {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    if !headers.iter().any(|(name, _)| name == "accept") {
        headers.push((
            "accept".to_owned(),
            "application/json, */*;q=0.8".to_owned(),
        ));
    }
    let mut prepared = PreparedRequest {
        method: request.method.clone(),
        url,
        headers,
        body,
    };
    credentials::apply(auth, credentials, &mut prepared)?;
    Ok(prepared)
}

fn request_base(
    manifest: &Manifest,
    request: &Request,
    parameters: &Value,
) -> Result<Url, RequestError> {
    let main = base_url(manifest, parameters)?;
    let Some(base) = request
        .base
        .as_ref()
        .and_then(|name| manifest.bases.get(name))
    else {
        return Ok(main);
    };
    // Who runs the app elsewhere has all of it there, unless he says where this part is.
    let moved = given_base(&manifest.base_url, parameters).is_some()
        && given_base(base, parameters).is_none();
    if moved {
        Ok(main)
    } else {
        resolve_base(base, parameters)
    }
}

fn given_base<'a>(base: &BaseUrl, parameters: &'a Value) -> Option<&'a str> {
    let name = base.parameter.as_ref()?;
    parameters
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.trim().is_empty())
}

fn resolve_base(base: &BaseUrl, parameters: &Value) -> Result<Url, RequestError> {
    let Some(given) = given_base(base, parameters) else {
        return parse_base(&base.default).map_err(RequestError::BaseUrl);
    };
    let url = parse_base(given).map_err(RequestError::BaseUrl)?;
    let host = url.host_str().unwrap_or_default();
    if base.domains.is_empty() || base.domains.iter().any(|domain| is_on_domain(host, domain)) {
        Ok(url)
    } else {
        Err(RequestError::BaseUrl(format!(
            "{host} is not on {}",
            base.domains.join(" or ")
        )))
    }
}

/// Reads a base URL: http or https, a host, a path, nothing else.
pub(crate) fn parse_base(text: &str) -> Result<Url, String> {
    let text = text.trim();
    // The URL reader removes line breaks and turns backslashes around; what a person saw must be what is used.
    if text
        .chars()
        .any(|letter| letter.is_control() || letter.is_whitespace() || letter == '\\')
    {
        return Err("it holds spaces, backslashes or control characters".to_owned());
    }
    let mut url = Url::parse(text).map_err(|error| format!("it is no absolute URL ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("scheme {} is not http or https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err("it must not hold a user name or password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it must not hold a query or fragment".to_owned());
    }
    if matches!(url.host(), Some(Host::Domain(name)) if name.ends_with('.')) {
        return Err("the host name must not end with a dot".to_owned());
    }
    if text.split("://").nth(1).is_some_and(has_dot_segment) {
        return Err("the path must not climb".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Names in `{braces}`, in order.
pub(crate) fn placeholders(path: &str) -> Result<Vec<&str>, &'static str> {
    let mut names = Vec::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("a { is never closed")?;
        let plain = name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-');
        if before.contains('}') || name.is_empty() || !plain {
            return Err("placeholders must look like {name}");
        }
        names.push(name);
        rest = after;
    }
    if rest.contains('}') {
        Err("a } was never opened")
    } else {
        Ok(names)
    }
}

/// Puts encoded values into the path. Each value stays inside its segment.
fn fill_path(path: &str, values: &Map<String, Value>) -> Result<String, RequestError> {
    let mut filled = String::with_capacity(path.len() + 32);
    let mut rest = path;
    let mut names = Vec::new();
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        filled.push_str(before);
        filled.push_str(&encode_segment(name, values.get(name))?);
        names.push(name);
        rest = after;
    }
    filled.push_str(rest);
    // A value and the text around it must not make a dot segment together.
    if has_dot_segment(&filled) {
        return Err(match names.first() {
            Some(name) => path_parameter(name, "would leave its place in the path"),
            None => RequestError::Path("it climbs with . or .. steps".to_owned()),
        });
    }
    Ok(filled)
}

fn encode_segment(name: &str, value: Option<&Value>) -> Result<String, RequestError> {
    let text = match value {
        None | Some(Value::Null) => return Err(path_parameter(name, "is missing")),
        Some(Value::Array(_) | Value::Object(_)) => {
            return Err(path_parameter(name, "must be a text or a number"));
        }
        Some(value) => formula::scalar_text(value).unwrap_or_default(),
    };
    if text.is_empty() {
        return Err(path_parameter(name, "must not be empty"));
    }
    if text.len() > MAX_PATH_PARAMETER {
        return Err(path_parameter(name, "is too long"));
    }
    if text.chars().any(char::is_control) {
        return Err(path_parameter(name, "must not hold control characters"));
    }
    // Servers decode and then walk the path; a value that would climb there is refused rather than encoded.
    if has_dot_segment(&text) {
        return Err(path_parameter(name, "must not hold . or .. as a path step"));
    }
    Ok(utf8_percent_encode(&text, SEGMENT).to_string())
}

fn path_parameter(name: &str, reason: &str) -> RequestError {
    RequestError::PathParameter {
        name: name.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Whether some step of a path is `.` or `..`, also behind encodings and in front of `;parameters`.
pub(crate) fn has_dot_segment(path: &str) -> bool {
    let mut text = path.to_owned();
    // Each server on the way may decode once; three rounds are more than any chain in use.
    for _ in 0..4 {
        let dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
        if text.split(['/', '\\']).any(dots) {
            return true;
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    false
}

fn join_path(base: &str, path: &str) -> String {
    format!(
        "{}/{}",
        base.trim_end_matches('/'),
        path.trim_start_matches('/')
    )
}

/// Sets the path and makes sure that the URL reader did not understand it differently.
fn set_path(url: &mut Url, path: &str) -> Result<(), RequestError> {
    let origin = url.origin();
    url.set_path(path);
    let steps = |path: &str| path.split('/').count();
    if url.origin() == origin && steps(url.path()) == steps(path) {
        Ok(())
    } else {
        Err(RequestError::Path(
            "it cannot be put below the base URL".to_owned(),
        ))
    }
}

fn append_query(url: &mut Url, name: &str, value: &Value) -> Result<(), RequestError> {
    match value {
        Value::Null => {}
        Value::Array(items) => {
            for item in items {
                append_query(url, name, item)?;
            }
        }
        value => {
            let text = formula::scalar_text(value).ok_or_else(|| RequestError::Query {
                name: name.to_owned(),
                reason: "must be a text, number or boolean".to_owned(),
            })?;
            url.query_pairs_mut().append_pair(name, &text);
        }
    }
    Ok(())
}

/// Why this is no header name, if so.
pub(crate) fn header_name_problem(name: &str) -> Option<&'static str> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 256 || !name.bytes().all(token) {
        Some("is no header name")
    } else {
        None
    }
}

/// A header whose name and value cannot break out of their line.
fn checked_header(name: &str, value: String) -> Result<(String, String), RequestError> {
    // A name that is not a token may hold anything, so it is not repeated.
    if let Some(reason) = header_name_problem(name) {
        return Err(RequestError::Header {
            name: "name".to_owned(),
            reason: reason.to_owned(),
        });
    }
    if value
        .chars()
        .any(|letter| letter.is_control() && letter != '\t')
    {
        let reason = "the value must not hold line breaks or control characters".to_owned();
        return Err(RequestError::Header {
            name: name.to_owned(),
            reason,
        });
    }
    Ok((name.to_ascii_lowercase(), value))
}

#[cfg(test)]
mod tests;
