//! The road to the gateway. Commands are sequential, so calls block; the async runtime and TLS exist only from the
//! first call on, which keeps `--help` and usage errors instant.

use crate::error::{CliError, Result};
use crate::secret::Secret;
use crate::settings::ApiUri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
pub use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tokio::runtime::Runtime;

/// RFC 3986 §2.3: what needs no encoding anywhere.
pub const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than any answer the gateway holds back on purpose, save long polls, which set their own.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
/// No bytes for this long means the other side is gone, however long the whole answer is.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// Answers to ordinary calls are objects and lists; a recording in base64 is the largest.
const MAX_ANSWER: usize = 512 * 1024 * 1024;

/// One call, described.
#[derive(Debug)]
pub struct Call<'a> {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Body>,
    token: Option<&'a Secret>,
    timeout: Duration,
}

#[derive(Debug)]
enum Body {
    Json(String),
    Form(Vec<(&'static str, String)>),
}

impl<'a> Call<'a> {
    /// `segments` are encoded one by one: whatever an id holds, it stays one segment.
    pub fn new(method: Method, segments: &[&str]) -> Self {
        let path = segments
            .iter()
            .map(|segment| format!("/{}", encode_segment(segment)))
            .collect();
        Self {
            method,
            path,
            query: Vec::new(),
            body: None,
            token: None,
            timeout: ANSWER_TIMEOUT,
        }
    }

    pub fn get(segments: &[&str]) -> Self {
        Self::new(Method::GET, segments)
    }

    pub fn post(segments: &[&str]) -> Self {
        Self::new(Method::POST, segments)
    }

    pub fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.query.push((name, value.to_string()));
        }
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.json_text(body.to_string())
    }

    /// A body that is JSON text already, sent as it is.
    pub fn json_text(mut self, body: String) -> Self {
        self.body = Some(Body::Json(body));
        self
    }

    pub fn form(mut self, fields: Vec<(&'static str, String)>) -> Self {
        self.body = Some(Body::Form(fields));
        self
    }

    pub fn token(mut self, token: &'a Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// For long polls: what the server was asked to wait, and a margin.
    pub fn waits(mut self, seconds: u64) -> Self {
        self.timeout = Duration::from_secs(seconds.saturating_add(20));
        self
    }
}

/// `.` and `..` would be taken for steps through folders by every URL library; encoded dots are dots to them too,
/// so such an id travels in a form no server resolves to anything.
fn encode_segment(segment: &str) -> String {
    match segment {
        "." | ".." => segment.replace('.', "%252E"),
        _ => utf8_percent_encode(segment, UNRESERVED).to_string(),
    }
}

/// A 2xx answer, as text and as value.
#[derive(Debug)]
pub struct Answer {
    pub text: String,
    pub value: Value,
}

/// One client for the whole run of a command.
pub struct Http {
    runtime: Runtime,
    client: reqwest::Client,
    base: ApiUri,
}

impl Http {
    pub fn new(base: ApiUri) -> Result<Self> {
        let failed = |error: anyhow::Error| {
            CliError::local(
                "no_http_client",
                error.context("could not start the HTTP client"),
            )
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.into()))?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("membrane-cli/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(IDLE_TIMEOUT)
            // A redirect would carry the token to wherever it points, or turn a POST into a GET.
            .redirect(reqwest::redirect::Policy::none());
        if base.is_loopback() {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| failed(error.into()))?;
        Ok(Self {
            runtime,
            client,
            base,
        })
    }

    /// Sends and reads the whole answer. Outside 2xx it is an error that carries the body.
    pub fn send(&self, call: Call<'_>) -> Result<Answer> {
        let (status, text) = self.send_any(call)?;
        let parsed = serde_json::from_str::<Value>(&text).ok();
        if !status.is_success() {
            return Err(refused(status, parsed, &self.base));
        }
        match parsed {
            Some(value) => Ok(Answer { text, value }),
            None if text.trim().is_empty() => Ok(Answer { text: "{}".into(), value: Value::Object(Default::default()) }),
            None => Err(CliError::local("not_a_gateway", anyhow::Error::msg(format!("{} did not answer with JSON", self.base.as_str())))
                .hint("check the address: --apiUri must end where the gateway's paths begin, for example in /membrane")),
        }
    }

    fn send_any(&self, call: Call<'_>) -> Result<(StatusCode, String)> {
        let url = format!("{}{}", self.base.as_str(), call.path);
        let mut request = self
            .client
            .request(call.method, &url)
            .timeout(call.timeout)
            .header(ACCEPT, "application/json");
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        if let Some(token) = call.token {
            request = request.header(AUTHORIZATION, bearer(token)?);
        }
        request = match call.body {
            None => request,
            Some(Body::Json(text)) => request
                .header("content-type", "application/json")
                .body(text),
            Some(Body::Form(fields)) => request.form(&fields),
        };
        self.runtime.block_on(async {
            let mut response = request
                .send()
                .await
                .map_err(|error| self.unreachable(error))?;
            let status = response.status();
            let mut bytes = Vec::new();
            while let Some(chunk) = response
                .chunk()
                .await
                .map_err(|error| self.unreachable(error))?
            {
                if bytes.len() + chunk.len() > MAX_ANSWER {
                    return Err(CliError::local(
                        "answer_too_large",
                        anyhow::Error::msg("the answer is larger than 512 MB"),
                    )
                    .hint("fetch it with `membrane request … --output FILE`, which streams"));
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
        })
    }

    /// For `request`: any URL below the base, the answer not yet read.
    pub fn open(
        &self,
        method: Method,
        path_and_query: &str,
        prepare: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
        token: &Secret,
    ) -> Result<Streamed<'_>> {
        let url = format!("{}{path_and_query}", self.base.as_str());
        let request =
            prepare(self.client.request(method, url)).header(AUTHORIZATION, bearer(token)?);
        let response = self
            .runtime
            .block_on(async { request.send().await })
            .map_err(|error| self.unreachable(error))?;
        Ok(Streamed {
            http: self,
            response,
        })
    }

    /// reqwest's own text names the whole URL, query and all; the base says enough.
    fn unreachable(&self, error: reqwest::Error) -> CliError {
        let base = self.base.as_str();
        let (what, hint) = if error.is_timeout() {
            (
                format!("{base} did not answer in time"),
                "try again; if it stays so, look at the server's log".to_owned(),
            )
        } else if error.is_connect() {
            let hint = "is the server running? Start it with `trunkline serve`, or name another with --apiUri";
            (format!("could not reach {base}"), hint.to_owned())
        } else {
            (
                format!("the exchange with {base} broke off"),
                "try again".to_owned(),
            )
        };
        CliError::local(
            "network",
            anyhow::Error::new(error.without_url()).context(what),
        )
        .hint(hint)
    }
}

/// An answer whose body is still coming.
pub struct Streamed<'a> {
    http: &'a Http,
    response: reqwest::Response,
}

impl Streamed<'_> {
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub fn headers(&self) -> &reqwest::header::HeaderMap {
        self.response.headers()
    }

    /// The next piece of the body.
    pub fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let chunk = self
            .http
            .runtime
            .block_on(self.response.chunk())
            .map_err(|error| self.http.unreachable(error))?;
        Ok(chunk.map(|bytes| bytes.to_vec()))
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| {
        CliError::local(
            "bad_token",
            anyhow::Error::msg("the access token holds characters no header can carry"),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A non-2xx answer of the gateway itself, with what usually helps.
pub fn refused(status: StatusCode, parsed: Option<Value>, base: &ApiUri) -> CliError {
    let body = parsed.unwrap_or(Value::Null);
    let key = body.get("key").and_then(Value::as_str).unwrap_or_default();
    let hint = match (status.as_u16(), key) {
        (401, _) => Some("log in with `membrane login --tenant`, or check MEMBRANE_ACCESS_TOKEN".to_owned()),
        (_, "connection_is_defunct") => {
            Some("connect it again: `membrane connect --connectionId <id>`, or open the uiUrl of `membrane connection get <id> --json`".to_owned())
        }
        (404, _) if !body.is_object() => {
            Some(format!("{} may not be the gateway's address: see --apiUri", base.as_str()))
        }
        (429, _) => Some("wait a moment, then try again".to_owned()),
        _ => None,
    };
    CliError::Api {
        status: status.as_u16(),
        body,
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment() {
        let call = Call::get(&["connections", "a/b?c#d %2e", ".."]);
        assert_eq!(call.path, "/connections/a%2Fb%3Fc%23d%20%252e/%252E%252E");
        let url = url::Url::parse(&format!("http://h/membrane{}", call.path)).unwrap();
        assert!(url.path().starts_with("/membrane/connections/"));
    }
}
