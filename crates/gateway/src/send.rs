//! Sending what the connector crate built.

use std::sync::Arc;

use bytes::Bytes;
use connector::{
    ActionFailure, Answer, AuthOption, PreparedRequest, prepare_test, read_test_answer,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use outbound::{OutboundError, OutboundRequest, OutboundResponse, RequestBody};
use serde_json::Value;
use store::gateway::Connection;

use crate::{Connector, ErrorKind, Gateway, GatewayError, credentials::Opened};

/// Largest answer of an app.
const LARGEST_ANSWER: u64 = 30 * 1024 * 1024;

/// An answer read to its end.
pub(crate) struct WholeAnswer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl WholeAnswer {
    pub(crate) fn header(&self, name: http::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn as_answer(&self) -> Answer<'_> {
        Answer {
            status: self.status,
            content_type: self.header(http::header::CONTENT_TYPE),
            content_disposition: self.header(http::header::CONTENT_DISPOSITION),
            body: &self.body,
        }
    }
}

/// What the test request showed.
pub(crate) enum Trial {
    Works,
    /// The app answered, and it was a no.
    Rejected(ActionFailure),
    /// The app could not be asked.
    Unreachable(String),
}

impl Gateway {
    /// The connector of a connection and the way it signs in.
    pub(crate) fn means_of<'a>(
        &'a self,
        connection: &Connection,
    ) -> Result<(&'a Arc<Connector>, &'a AuthOption), GatewayError> {
        let unknown = || {
            let message = format!("no connector is known for {}", connection.app_domain);
            GatewayError::new(ErrorKind::Configuration, message)
        };
        let key = connection.connector_key.as_deref().ok_or_else(unknown)?;
        let connector = self.inner.catalog.connector(key).ok_or_else(unknown)?;
        let option = connector
            .manifest
            .auth_option(connection.auth_option.as_deref())
            .ok_or_else(|| {
                let option = connection.auth_option.as_deref().unwrap_or("default");
                GatewayError::new(
                    ErrorKind::Configuration,
                    format!(
                        "{} has no sign-in option \"{option}\"",
                        connector.manifest.name
                    ),
                )
            })?;
        Ok((connector, option))
    }

    /// Sends a request; the body of the answer is still to be read.
    pub(crate) async fn send(
        &self,
        connector: &Connector,
        request: PreparedRequest,
        options: SendOptions,
    ) -> Result<OutboundResponse, OutboundError> {
        let setup = |reason: &str| OutboundError::Setup {
            reason: reason.to_owned(),
        };
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| setup("the method is malformed"))?;
        let allow = self.allowance(&connector.manifest, &request.url);
        let mut out = OutboundRequest::new(method, request.url);
        for (name, value) in &request.headers {
            let name: HeaderName = name
                .parse()
                .map_err(|_| setup("a header name is malformed"))?;
            let mut value =
                HeaderValue::from_str(value).map_err(|_| setup("a header value is malformed"))?;
            value.set_sensitive(true);
            out.headers.append(name, value);
        }
        out.body = match (options.body, request.body) {
            (Some(body), _) => body,
            (None, Some(bytes)) => RequestBody::Bytes(bytes.into()),
            (None, None) => RequestBody::Empty,
        };
        out.decompress = options.decompress;
        out.max_response_bytes = LARGEST_ANSWER;
        out.allow = allow;
        self.inner.outbound.send(out).await
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn exchange(
        &self,
        connector: &Connector,
        request: PreparedRequest,
    ) -> Result<WholeAnswer, OutboundError> {
        let answer = self
            .send(
                connector,
                request,
                SendOptions {
                    body: None,
                    decompress: true,
                },
            )
            .await?;
        Ok(WholeAnswer {
            status: answer.status.as_u16(),
            headers: answer.headers,
            body: answer.body.bytes().await?,
        })
    }

    /// Asks the app whether a credential works.
    pub(crate) async fn try_credential(
        &self,
        connector: &Connector,
        option: &AuthOption,
        parameters: &Value,
        opened: &Opened,
    ) -> Result<Trial, GatewayError> {
        let request = prepare_test(&connector.manifest, option, parameters, &opened.credentials)
            .map_err(|error| {
                GatewayError::bad_request(opened.secrets.clean_text(&error.to_string()))
            })?;
        let answer = match self.exchange(connector, request).await {
            Ok(answer) => answer,
            Err(error) => {
                return Ok(Trial::Unreachable(
                    opened.secrets.clean_text(&error.to_string()),
                ));
            }
        };
        match read_test_answer(&connector.manifest, &opened.credentials, answer.as_answer()) {
            Ok(()) => Ok(Trial::Works),
            Err(mut failure) => {
                failure.message = opened.secrets.clean_text(&failure.message);
                Ok(Trial::Rejected(failure))
            }
        }
    }
}

/// How a request is sent.
pub(crate) struct SendOptions {
    /// In place of the prepared request's own.
    pub body: Option<RequestBody>,
    pub decompress: bool,
}
