//! The manifest: all the product knows about talking to one app.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::schema::{InputError, Schema};

mod check;

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
    /// How the app says that something failed.
    #[serde(default)]
    pub errors: Errors,
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
    #[serde(skip)]
    input: Option<Schema>,
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

/// How the app says that something failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Errors {
    /// Statuses that mean "the credential is no longer accepted".
    pub unauthorized_statuses: Vec<u16>,
    /// Where the text for people is: formulas over `$.output`, the first that gives text wins.
    pub messages: Vec<Value>,
}

impl Default for Errors {
    fn default() -> Self {
        let paths = [
            "$.output.message",
            "$.output.error.message",
            "$.output.error",
            "$.output.errors[0].message",
        ];
        Self {
            unauthorized_statuses: vec![401],
            messages: paths
                .iter()
                .map(|path| serde_json::json!({ "$var": path }))
                .collect(),
        }
    }
}

/// When an answer is a failure although its status does not say so, or not precisely.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailureRule {
    /// Formula over `$.output` and `$.input`.
    pub when: Value,
    /// The rule holds when `when` gives one of these; with none, when it gives nothing.
    #[serde(default)]
    pub equals: Vec<Value>,
    /// Only for this status; 2xx when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Text for the caller: a formula over `$.output` and `$.input`.
    pub message: Value,
    /// There is nothing under the given id.
    #[serde(default)]
    pub not_found: bool,
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
    /// Failures the status does not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureRule>,
    #[serde(skip)]
    input: Option<Schema>,
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
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > check::MAX_TEXT {
            return Err(ManifestError {
                problems: vec![format!("it is larger than {} bytes", check::MAX_TEXT)],
            });
        }
        let mut manifest: Self = serde_json::from_str(text).map_err(|error| ManifestError {
            problems: vec![error.to_string()],
        })?;
        let mut problems = check::problems(&manifest);
        for action in &mut manifest.actions {
            action.id = action_id(&manifest.key, &action.key);
            match Schema::compile(&action.input_schema) {
                Ok(schema) => action.input = Some(schema),
                Err(reason) => {
                    problems.push(format!("action {}: inputSchema: {reason}", action.key));
                }
            }
        }
        for option in &mut manifest.auth {
            match Schema::compile(&option.input_schema) {
                Ok(schema) => option.input = Some(schema),
                Err(reason) => problems.push(format!("auth {}: inputSchema: {reason}", option.key)),
            }
        }
        if problems.is_empty() {
            Ok(manifest)
        } else {
            Err(ManifestError { problems })
        }
    }

    /// The action with this key or id.
    #[must_use]
    pub fn action(&self, key_or_id: &str) -> Option<&Action> {
        self.actions
            .iter()
            .find(|action| action.key == key_or_id || action.id == key_or_id)
    }

    /// The way to sign in with this key; the default one for `None`.
    #[must_use]
    pub fn auth_option(&self, key: Option<&str>) -> Option<&AuthOption> {
        match key {
            Some(key) => self.auth.iter().find(|option| option.key == key),
            None => self.auth.first(),
        }
    }

    /// Whether a host name belongs to this app: one of its domains or below one.
    #[must_use]
    pub fn serves_host(&self, host: &str) -> bool {
        self.domains.iter().any(|domain| is_on_domain(host, domain))
    }
}

impl Action {
    /// Checks what a caller gives; see [`Schema::check`].
    ///
    /// # Errors
    /// All problems together.
    pub fn check_input(&self, input: &Value) -> Result<Value, InputError> {
        check_against(self.input.as_ref(), &self.input_schema, input)
    }

    /// What the search index should know of this action.
    #[must_use]
    pub fn search_doc(&self) -> crate::search::Doc {
        let properties = self
            .input_schema
            .get("properties")
            .and_then(Value::as_object);
        crate::search::Doc {
            key: self.key.clone(),
            title: self.name.clone(),
            description: self.description.clone(),
            search_terms: self.search_terms.clone(),
            method: self.request.method.clone(),
            path: self.request.path.clone(),
            parameters: properties
                .map(|all| all.keys().cloned().collect())
                .unwrap_or_default(),
        }
    }
}

impl AuthOption {
    /// Checks what a person typed; see [`Schema::check`].
    ///
    /// # Errors
    /// All problems together.
    pub fn check_input(&self, input: &Value) -> Result<Value, InputError> {
        check_against(self.input.as_ref(), &self.input_schema, input)
    }

    /// The part of a checked input that is no secret: what may be stored in the open and shown again.
    #[must_use]
    pub fn parameters(&self, input: &Value) -> Value {
        let properties = self
            .input_schema
            .get("properties")
            .and_then(Value::as_object);
        let open = |name: &str| {
            let property = properties.and_then(|all| all.get(name));
            property.is_some_and(|property| property.get("isSensitive") != Some(&Value::Bool(true)))
        };
        let members = input.as_object().into_iter().flatten();
        Value::Object(
            members
                .filter(|(name, _)| open(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }
}

/// A parsed manifest has its schemas ready; one made in code compiles them now.
fn check_against(
    ready: Option<&Schema>,
    source: &Value,
    input: &Value,
) -> Result<Value, InputError> {
    match ready {
        Some(schema) => schema.check(input),
        None => crate::schema::check_input(source, input),
    }
}

/// Ids must survive restarts, upgrades and other installations, so they come from the keys alone.
fn action_id(connector: &str, action: &str) -> String {
    let digest = Sha256::new()
        .chain_update(connector)
        .chain_update([0])
        .chain_update(action)
        .finalize();
    digest[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(crate) fn is_on_domain(host: &str, domain: &str) -> bool {
    let (host, domain) = (host.to_ascii_lowercase(), domain.to_ascii_lowercase());
    host == domain
        || host
            .strip_suffix(&domain)
            .is_some_and(|rest| rest.ends_with('.'))
}
