//! The manifest: all the product knows about talking to one app.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The manifest format this code reads.
pub const FORMAT: &str = "trunkline.connector/1";

/// One connector.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: String,
    /// Stable key: `cloudtalk`.
    pub key: String,
    /// Name for people.
    pub name: String,
    /// Stable id across installations.
    pub uuid: String,
    /// Version of this manifest: `1.0.0`.
    pub version: String,
    /// One or two sentences.
    #[serde(default)]
    pub description: String,
    /// Domains of the app; a URL given by a user is matched against them.
    pub domains: Vec<String>,
    /// What to show as a logo.
    #[serde(default)]
    pub logo: Logo,
    /// Categories for browsing.
    #[serde(default)]
    pub categories: Vec<String>,
    /// Where requests go.
    pub base_url: BaseUrl,
    /// Further places, for actions whose `request.base` names one.
    #[serde(default)]
    pub bases: BTreeMap<String, BaseUrl>,
    /// Ways to sign in; the first is the default.
    pub auth: Vec<AuthOption>,
    /// Request that shows whether a credential works.
    pub test: Request,
    /// How the app asks callers to slow down.
    #[serde(default)]
    pub retry: Retry,
    /// What can be done.
    pub actions: Vec<Action>,
}

/// A logo made of text.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Logo {
    /// One to three letters.
    pub text: String,
    /// Background as `#rrggbb`.
    pub color: Option<String>,
}

/// A base URL and who may change it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BaseUrl {
    /// Used when the connection gives none.
    pub default: String,
    /// Connection parameter that replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// When set, a replacement must be on one of these domains or below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
}

/// One way to sign in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthOption {
    /// Stable key within the connector.
    pub key: String,
    /// Kind of authentication.
    #[serde(rename = "type")]
    pub kind: AuthKind,
    /// Title for people.
    #[serde(default)]
    pub title: String,
    /// Where to find the values; shown above the form.
    #[serde(default)]
    pub description: String,
    /// What a person must give. Members marked `isSensitive` are secrets.
    pub input_schema: Value,
    /// Where the credential goes in a request.
    #[serde(default)]
    pub apply: AuthPlacement,
    /// Settings of the `oauth2` kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
}

/// Kinds of authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthKind {
    /// Something typed into a form.
    #[serde(rename = "client-credentials")]
    ClientCredentials,
    /// OAuth 2.
    #[serde(rename = "oauth2")]
    OAuth2,
}

/// Where a credential goes. Values are formulas over `$.credentials`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuthPlacement {
    /// HTTP Basic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuth>,
    /// `Authorization: Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Value>,
    /// Headers by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub headers: Map<String, Value>,
    /// Query parameters by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub query: Map<String, Value>,
}

/// User name and password of HTTP Basic.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicAuth {
    /// User name.
    pub username: Value,
    /// Password.
    pub password: Value,
}

/// Settings of OAuth 2; read by the code flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OAuth2 {
    /// Where the person is sent.
    pub authorize_uri: String,
    /// Where codes and refresh tokens are redeemed.
    pub token_uri: String,
    /// Scopes to ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Where the client id and secret go: `headers` or `body`.
    #[serde(default)]
    pub client_auth_location: ClientAuthLocation,
    /// The provider issues no refresh token.
    #[serde(default)]
    pub no_refresh_token: bool,
    /// The provider refuses PKCE.
    #[serde(default)]
    pub skip_pkce: bool,
    /// Further members of the authorisation request.
    #[serde(default)]
    pub extra: Map<String, Value>,
}

/// Where client id and secret go in a token request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuthLocation {
    /// HTTP Basic.
    #[default]
    Headers,
    /// Form members.
    Body,
}

/// A request template. Values are formulas over `$.input`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: String,
    /// Path below the base URL with `{name}` placeholders.
    pub path: String,
    /// Which of the manifest's `bases`; the base URL when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Value of each placeholder.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub path_parameters: Map<String, Value>,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub query: Map<String, Value>,
    /// Headers.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub headers: Map<String, Value>,
    /// JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// How the app asks callers to slow down.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retry {
    /// Statuses that mean "later".
    pub statuses: Vec<u16>,
    /// Header with seconds or a date to wait.
    pub after_header: Option<String>,
    /// Header with the unix time in seconds at which to try again.
    pub reset_header: Option<String>,
}

/// What an action gives back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// A JSON value.
    #[default]
    Json,
    /// Bytes, given as base64 with their content type and size.
    Binary,
}

/// One action.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Action {
    /// 24 hex digits derived from connector and action key; filled by [`Manifest::parse`].
    #[serde(default, skip_deserializing)]
    pub id: String,
    /// Stable key: `send-sms`.
    pub key: String,
    /// Title: `Send SMS`.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// Other words people use for it.
    #[serde(default)]
    pub search_terms: Vec<String>,
    /// What it takes.
    pub input_schema: Value,
    /// What it gives.
    pub output_schema: Value,
    /// What it sends.
    pub request: Request,
    /// Formula over `$.output` and `$.input` that reshapes the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_mapping: Option<Value>,
    /// Kind of the answer.
    #[serde(default)]
    pub output: OutputKind,
}

/// The manifest cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("connector manifest is not usable: {}", .problems.join("; "))]
pub struct ManifestError {
    /// All problems found.
    pub problems: Vec<String>,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// All problems together.
    pub fn parse(_text: &str) -> Result<Self, ManifestError> {
        todo!()
    }

    /// The action with this key or id.
    #[must_use]
    pub fn action(&self, key_or_id: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.key == key_or_id || action.id == key_or_id)
    }

    /// The way to sign in with this key; the default one for `None`.
    #[must_use]
    pub fn auth_option(&self, key: Option<&str>) -> Option<&AuthOption> {
        match key {
            Some(key) => self.auth.iter().find(|option| option.key == key),
            None => self.auth.first(),
        }
    }
}
