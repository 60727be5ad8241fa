//! Building requests as values.

use serde_json::{Map, Value};
use url::Url;

use crate::manifest::{Action, AuthOption, Manifest};

/// What a connection signs in with. `Debug` shows nothing.
#[derive(Clone, Default)]
pub struct Credentials(Value);

impl Credentials {
    /// Wraps the opened credential: an object of field name to value.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self(value)
    }
}

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
    #[error("the credential has no usable {0}")]
    Credential(String),
    /// A formula of the manifest failed.
    #[error("{0}")]
    Formula(#[from] crate::FormulaError),
}

/// The base URL of a connection: the manifest's, or the one its parameters give where that is allowed.
pub fn base_url(_manifest: &Manifest, _parameters: &Value) -> Result<Url, RequestError> {
    todo!()
}

/// Builds the request of an action. `input` must have passed [`crate::check_input`].
pub fn prepare(
    _manifest: &Manifest,
    _auth: &AuthOption,
    _action: &Action,
    _input: &Value,
    _parameters: &Value,
    _credentials: &Credentials,
) -> Result<PreparedRequest, RequestError> {
    todo!()
}

/// Builds the request that shows whether a credential works.
pub fn prepare_test(
    _manifest: &Manifest,
    _auth: &AuthOption,
    _parameters: &Value,
    _credentials: &Credentials,
) -> Result<PreparedRequest, RequestError> {
    todo!()
}

/// Builds a raw request through a connection, with its credential and nothing the caller may not set.
pub fn proxy(
    _manifest: &Manifest,
    _auth: &AuthOption,
    _base: &Url,
    _credentials: &Credentials,
    _input: ProxyInput,
) -> Result<PreparedRequest, RequestError> {
    todo!()
}
