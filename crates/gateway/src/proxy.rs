//! Raw requests through a connection.

use std::pin::Pin;

use bytes::Bytes;
use connector::{ProxyInput, RequestError, base_url};
use futures::Stream;
use http::{HeaderMap, HeaderName};
use outbound::{OutboundError, OutboundResponse, RequestBody};
use serde_json::{Map, Value, json};

use crate::{
    Caller, ErrorKind, Gateway, GatewayError, connections::require_ready, send::SendOptions,
};

/// Headers of an answer that belong to the hop it came over, or would be wrong after it.
const NOT_BACK: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
];
/// The app's cookies would be set on our own origin, and would reach other connections from there.
const NOT_OURS: [&str; 4] = [
    "set-cookie",
    "strict-transport-security",
    "alt-svc",
    "clear-site-data",
];

/// A raw request as the caller gave it.
#[derive(Default)]
pub struct ProxyCall {
    pub method: String,
    /// The path as it stood on the wire, with its query, or an absolute URL on the app's own host.
    pub path: String,
    /// Further query parameters, decoded.
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    /// Values for `{name}` in the path.
    pub path_parameters: Map<String, Value>,
    pub body: ProxyBody,
}

/// The body of a raw request.
#[derive(Default)]
pub enum ProxyBody {
    #[default]
    Empty,
    Bytes(Bytes),
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static>>),
}

impl Gateway {
    /// Sends a raw request through a connection. The app's answer comes back as it is, errors included.
    ///
    /// # Errors
    /// `not_found`; `connection` when it is not READY; `bad_request` when the request leads elsewhere;
    /// `configuration` or `connection` when the app can't be reached.
    pub async fn proxy(
        &self,
        caller: &Caller,
        selector: &str,
        call: ProxyCall,
    ) -> Result<OutboundResponse, GatewayError> {
        let connection = self.live_connection(caller, selector).await?;
        require_ready(&connection)?;
        let (connector, option) = self.means_of(&connection)?;
        let manifest = &connector.manifest;
        let base = base_url(manifest, &connection.parameters).map_err(|error| refused(&error))?;
        let opened = self.open_credential(&connection).await?;
        let input = ProxyInput {
            method: call.method,
            path: call.path,
            query: call.query,
            headers: call.headers,
            path_parameters: call.path_parameters,
            body: None,
        };
        let request = connector::proxy(manifest, option, &base, &opened.credentials, input)
            .map_err(|error| refused(&error))?;
        let body = match call.body {
            ProxyBody::Empty => RequestBody::Empty,
            ProxyBody::Bytes(bytes) => RequestBody::Bytes(bytes),
            ProxyBody::Stream(stream) => RequestBody::Stream(stream),
        };
        let method = request.method.clone();
        let answer = self
            .send(
                connector,
                request,
                SendOptions {
                    body: Some(body),
                    decompress: false,
                },
            )
            .await;
        let mut answer = answer.map_err(|error| {
            let kind = if matches!(error, OutboundError::Refused { .. }) {
                ErrorKind::Configuration
            } else {
                ErrorKind::Connection
            };
            let data =
                json!({ "connectionId": connection.public_id, "connectorKey": manifest.key });
            GatewayError::new(kind, opened.secrets.clean_text(&error.to_string())).with_data(data)
        })?;
        clean_headers(&mut answer.headers);
        let status = answer.status.as_u16();
        tracing::info!(connection.id = %connection.public_id, http.method = %method, http.status = status, "proxied");
        if status == 401 {
            self.credential_refused(&connection).await?;
        }
        self.inner
            .db
            .connection_used(connection.reach(), connection.id, store::now())
            .await?;
        Ok(answer)
    }
}

fn refused(error: &RequestError) -> GatewayError {
    let field = match error {
        RequestError::PathParameter { .. } => "pathParameters",
        RequestError::Path(_) => "path",
        RequestError::Header { .. } => "headers",
        RequestError::Method(_) => "method",
        _ => return GatewayError::new(ErrorKind::Configuration, error.to_string()),
    };
    GatewayError::field(field, error.to_string())
}

fn clean_headers(headers: &mut HeaderMap) {
    // RFC 9110 §7.6.1: "Connection" names further headers of this hop.
    let named: Vec<HeaderName> = headers
        .get_all(http::header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in NOT_BACK.into_iter().chain(NOT_OURS) {
        headers.remove(name);
    }
}
