//! Sending.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HOST, LOCATION, TRANSFER_ENCODING,
    USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::body::{Coding, Limits, ResponseBody};
use crate::error::{OutboundError, display_target};
use crate::policy::{Allow, Permission, Policy};
use crate::resolver::{AddressRefused, CheckedResolver, Lookup, NoAddress, SystemLookup};

/// Redirects within one origin that are followed.
const MAX_REDIRECTS: usize = 3;
/// Clients kept, one for each set of permissions; more sets than this are not in use at one time.
const MAX_CLIENTS: usize = 128;

/// Time limits of one request.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until the response headers are there. A streamed request body is only held to `total`.
    pub headers: Duration,
    /// Longest silence while the body arrives.
    pub idle: Duration,
    /// The whole exchange.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            headers: Duration::from_secs(30),
            idle: Duration::from_secs(20),
            total: Duration::from_secs(60),
        }
    }
}

/// A request body.
#[derive(Default)]
pub enum RequestBody {
    /// None.
    #[default]
    Empty,
    /// Known bytes.
    Bytes(Bytes),
    /// Bytes as they come.
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static>>),
}

/// One request. `Debug` shows no query, header value or body.
pub struct OutboundRequest {
    /// Method.
    pub method: Method,
    /// Absolute URL.
    pub url: Url,
    /// Headers, credentials included.
    pub headers: HeaderMap,
    /// Body.
    pub body: RequestBody,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Largest answer body, before and after decompression.
    pub max_response_bytes: u64,
    /// Undo `Content-Encoding` (actions) or hand the bytes on as they are (proxy).
    pub decompress: bool,
    /// Exceptions for this request, on top of the policy's.
    pub allow: Allow,
}

impl OutboundRequest {
    /// A request with default limits, nothing allowed beyond the policy, decompression on.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: RequestBody::Empty,
            timeouts: Timeouts::default(),
            max_response_bytes: 32 * 1024 * 1024,
            decompress: true,
            allow: Allow::nothing(),
        }
    }
}

impl std::fmt::Debug for OutboundRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboundRequest")
            .field("method", &self.method)
            .field("target", &display_target(&self.url))
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("timeouts", &self.timeouts)
            .field("max_response_bytes", &self.max_response_bytes)
            .finish_non_exhaustive()
    }
}

/// An answer whose body has not been read yet.
pub struct OutboundResponse {
    /// Status.
    pub status: StatusCode,
    /// Headers as received; without `Content-Encoding` and `Content-Length` when decompressed.
    pub headers: HeaderMap,
    /// Body, limited in size and time.
    pub body: ResponseBody,
}

impl std::fmt::Debug for OutboundResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboundResponse")
            .field("status", &self.status)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    inner: Arc<Inner>,
}

struct Inner {
    policy: Policy,
    lookup: Arc<dyn Lookup>,
    clients: Mutex<HashMap<ClientKey, reqwest::Client>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    permission: Permission,
    connect: Duration,
}

impl Outbound {
    /// Builds the client.
    ///
    /// # Errors
    /// When the TLS or DNS part cannot be set up.
    pub fn new(policy: Policy) -> Result<Self, OutboundError> {
        Self::with_lookup(policy, Arc::new(SystemLookup))
    }

    /// Builds the client over another source of addresses.
    ///
    /// # Errors
    /// As [`Outbound::new`].
    pub fn with_lookup(policy: Policy, lookup: Arc<dyn Lookup>) -> Result<Self, OutboundError> {
        // Fails when there is one already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Ok(Self {
            inner: Arc::new(Inner {
                policy,
                lookup,
                clients: Mutex::default(),
            }),
        })
    }

    /// Sends one request.
    ///
    /// A GET or HEAD is redirected within its own origin at most three times; any other redirect is the answer.
    ///
    /// # Errors
    /// See [`OutboundError`]. An answer with an error status is an answer.
    pub async fn send(
        &self,
        mut request: OutboundRequest,
    ) -> Result<OutboundResponse, OutboundError> {
        let deadline = Instant::now() + request.timeouts.total;
        let may_follow = matches!(request.method, Method::GET | Method::HEAD)
            && matches!(request.body, RequestBody::Empty);
        let mut redirects = 0;
        loop {
            let body = std::mem::take(&mut request.body);
            let response = self.exchange(&mut request, body, deadline).await?;
            let next = redirect_target(&request.url, &response)
                .filter(|_| may_follow && redirects < MAX_REDIRECTS);
            let Some(next) = next else {
                return finish(&request, response, deadline);
            };
            redirects += 1;
            request.url = next;
        }
    }

    /// The request is borrowed exclusively because its body is not `Sync`: a shared borrow across an await
    /// would keep the future on one thread.
    async fn exchange(
        &self,
        request: &mut OutboundRequest,
        body: RequestBody,
        deadline: Instant,
    ) -> Result<reqwest::Response, OutboundError> {
        let target = display_target(&request.url);
        let permission =
            Permission::for_request(&request.url, &self.inner.policy.allow, &request.allow)?;
        let client = self.client(ClientKey {
            permission,
            connect: request.timeouts.connect,
        })?;
        let streamed = matches!(body, RequestBody::Stream(_));
        let mut outgoing = client
            .request(request.method.clone(), request.url.clone())
            .headers(self.headers(request));
        outgoing = match body {
            RequestBody::Empty => outgoing,
            RequestBody::Bytes(bytes) => outgoing.body(bytes),
            RequestBody::Stream(stream) => outgoing.body(reqwest::Body::wrap_stream(stream)),
        };
        let headers_end = if streamed {
            deadline
        } else {
            deadline.min(Instant::now() + request.timeouts.headers)
        };
        let started = Instant::now();
        let outcome = tokio::time::timeout_at(headers_end, outgoing.send()).await;
        let outcome = match outcome {
            Ok(outcome) => outcome.map_err(|error| from_reqwest(&request.url, error)),
            Err(_) => Err(OutboundError::Timeout {
                target: target.clone(),
                what: if headers_end == deadline {
                    "total"
                } else {
                    "headers"
                },
            }),
        };
        let status = outcome
            .as_ref()
            .ok()
            .map(|response| response.status().as_u16());
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(http.method = %request.method, http.target = %target, http.status = status, duration_ms, "outbound request");
        outcome
    }

    fn headers(&self, request: &OutboundRequest) -> HeaderMap {
        let mut headers = request.headers.clone();
        // These follow from the URL and the body; a second opinion is how requests are smuggled.
        for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        if !headers.contains_key(USER_AGENT)
            && let Ok(agent) = HeaderValue::from_str(&self.inner.policy.user_agent)
        {
            headers.insert(USER_AGENT, agent);
        }
        if request.decompress {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers
    }

    fn client(&self, key: ClientKey) -> Result<reqwest::Client, OutboundError> {
        let mut clients = self
            .inner
            .clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build_client(&key, &self.inner.lookup)?;
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build_client(
    key: &ClientKey,
    lookup: &Arc<dyn Lookup>,
) -> Result<reqwest::Client, OutboundError> {
    let builder = || {
        let resolver = CheckedResolver {
            lookup: Arc::clone(lookup),
            permission: key.permission.clone(),
        };
        reqwest::Client::builder()
            .dns_resolver(resolver)
            // A proxy from the environment would resolve names behind our back.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(key.connect)
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(32)
            .tcp_nodelay(true)
    };
    builder()
        .build()
        .or_else(|error| {
            // A machine without root certificates can still use plain HTTP; HTTPS then fails as untrusted.
            tracing::warn!(reason = %root_cause(&error), "no root certificates could be loaded, https will not work");
            builder().tls_certs_only([]).build()
        })
        .map_err(|error| OutboundError::Setup { reason: root_cause(&error) })
}

/// Where a redirect leads when it stays within the origin.
fn redirect_target(from: &Url, response: &reqwest::Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let next = from.join(location).ok()?;
    let stays =
        next.origin() == from.origin() && next.username().is_empty() && next.password().is_none();
    stays.then_some(next)
}

fn finish(
    request: &OutboundRequest,
    response: reqwest::Response,
    deadline: Instant,
) -> Result<OutboundResponse, OutboundError> {
    let target = display_target(&request.url);
    let limit = request.max_response_bytes;
    let status = response.status();
    let mut headers = response.headers().clone();
    let bodiless = request.method == Method::HEAD
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    let coding = if request.decompress && !bodiless {
        coding(&headers, &target)?
    } else {
        Coding::Identity
    };
    if !bodiless
        && response
            .content_length()
            .is_some_and(|length| length > limit)
    {
        return Err(OutboundError::TooLarge { target, limit });
    }
    if coding != Coding::Identity {
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
    }
    let url = request.url.clone();
    let chunks = response
        .bytes_stream()
        .map(move |chunk| chunk.map_err(|error| from_reqwest(&url, error)));
    let limits = Limits {
        target,
        max_bytes: limit,
        idle: request.timeouts.idle,
        deadline,
    };
    Ok(OutboundResponse {
        status,
        headers,
        body: ResponseBody::new(Box::pin(chunks), coding, limits),
    })
}

fn coding(headers: &HeaderMap, target: &str) -> Result<Coding, OutboundError> {
    let names: Vec<String> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && name != "identity")
        .collect();
    match names
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] => Ok(Coding::Identity),
        ["gzip" | "x-gzip"] => Ok(Coding::Gzip),
        ["deflate"] => Ok(Coding::Deflate),
        // We asked for gzip only; several layers are how a bomb grows.
        _ => Err(OutboundError::Protocol {
            target: target.to_owned(),
            reason: "its content encoding was not asked for".to_owned(),
        }),
    }
}

fn from_reqwest(url: &Url, error: reqwest::Error) -> OutboundError {
    let target = display_target(url);
    let error = error.without_url();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(AddressRefused(reason)) = current.downcast_ref() {
            return OutboundError::Refused {
                target,
                reason: reason.clone(),
            };
        }
        if let Some(NoAddress(host)) = current.downcast_ref() {
            return OutboundError::Resolve { host: host.clone() };
        }
        cause = current.source();
    }
    let reason = root_cause(&error);
    if error.is_timeout() {
        OutboundError::Timeout {
            target,
            what: "connect",
        }
    } else if error.is_connect() || error.is_request() {
        OutboundError::Connect { target, reason }
    } else {
        OutboundError::Protocol { target, reason }
    }
}

/// The innermost message: the outer ones only say that something failed.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
