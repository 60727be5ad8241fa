//! Sending.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::{Allow, OutboundError, Policy};

/// Time limits of one request.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until the response headers are there.
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

/// One request.
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

/// An answer whose body has not been read yet.
pub struct OutboundResponse {
    /// Status.
    pub status: StatusCode,
    /// Headers as received; without `Content-Encoding` and `Content-Length` when decompressed.
    pub headers: HeaderMap,
    /// Body, limited in size and time.
    pub body: ResponseBody,
}

/// The body: a stream of chunks, or all of it by [`ResponseBody::bytes`].
pub struct ResponseBody(Pin<Box<dyn Stream<Item = Result<Bytes, OutboundError>> + Send + 'static>>);

impl ResponseBody {
    /// Reads it all.
    ///
    /// # Errors
    /// As the stream's items.
    pub async fn bytes(self) -> Result<Bytes, OutboundError> {
        todo!()
    }
}

impl Stream for ResponseBody {
    type Item = Result<Bytes, OutboundError>;
    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    #[expect(dead_code)]
    policy: std::sync::Arc<Policy>,
}

impl Outbound {
    /// Builds the client.
    ///
    /// # Errors
    /// When the TLS or DNS part cannot be set up.
    pub fn new(policy: Policy) -> Result<Self, OutboundError> {
        Ok(Self { policy: std::sync::Arc::new(policy) })
    }

    /// Sends one request.
    ///
    /// # Errors
    /// See [`OutboundError`]. An answer with an error status is an answer.
    pub async fn send(&self, _request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        todo!()
    }
}
