//! The phone system in the same house.

use std::fmt;

use async_trait::async_trait;
use connector::Manifest;
use model::TenantId;
use outbound::{Allow, AllowEntry};
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use crate::Gateway;

/// Key of the connector that speaks to this phone system.
pub const LOCAL_CONNECTOR: &str = "cloudtalk";

/// The phone system could not make a key.
#[derive(Debug)]
pub struct LocalKeyError(pub Box<dyn std::error::Error + Send + Sync>);

impl fmt::Display for LocalKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the phone system could not make an API key")
    }
}

impl std::error::Error for LocalKeyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.0.as_ref())
    }
}

/// What the gateway asks of the phone system it shares an installation with.
#[async_trait]
pub trait LocalPhone: Send + Sync + 'static {
    /// Makes an API key of a company, for a connection of that name.
    async fn issue_key(
        &self,
        owner: TenantId,
        name: &str,
    ) -> Result<(String, SecretString), LocalKeyError>;

    /// Ends a key made for a connection that is no more.
    async fn revoke_key(&self, owner: TenantId, key_id: &str) -> Result<(), LocalKeyError>;

    /// Whether a key id is one of this installation's.
    async fn owns_key(&self, key_id: &str) -> bool;

    /// Where the API is reached from this machine, such as `http://127.0.0.1:8080/api`.
    fn base_url(&self) -> Url;
}

impl Gateway {
    /// The phone system in the same house, if it can be a target of this connector.
    pub(crate) fn local_phone_for(&self, manifest: &Manifest) -> Option<&dyn LocalPhone> {
        self.inner
            .local_phone
            .as_deref()
            .filter(|_| manifest.key == LOCAL_CONNECTOR)
    }

    /// Whether this installation has a phone system that the connector can be pointed at by one click.
    #[must_use]
    pub fn offers_this_phone(&self, connector_key: &str) -> bool {
        self.inner.local_phone.is_some() && connector_key == LOCAL_CONNECTOR
    }

    /// What a request to `url` may reach beyond public addresses: our own API and nothing else of this origin.
    pub(crate) fn allowance(&self, manifest: &Manifest, url: &Url) -> Allow {
        let Some(local) = self.local_phone_for(manifest) else {
            return Allow::nothing();
        };
        if !below(&local.base_url(), url) {
            return Allow::nothing();
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Allow::nothing();
        };
        std::iter::once(AllowEntry::Origin {
            scheme: url.scheme().to_owned(),
            host: host.to_owned(),
            port,
        })
        .collect()
    }
}

/// Whether `url` has the origin of `base` and a path at or below its path.
fn below(base: &Url, url: &Url) -> bool {
    let prefix = base.path().trim_end_matches('/');
    base.origin() == url.origin()
        && url.username().is_empty()
        && url.password().is_none()
        && url
            .path()
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Parameters that point every base URL of a connector at the same place.
pub(crate) fn point_at(manifest: &Manifest, base: &Url) -> Map<String, Value> {
    let target = base.as_str().trim_end_matches('/');
    base_parameters(manifest)
        .map(|name| (name.to_owned(), Value::String(target.to_owned())))
        .collect()
}

/// Names of the parameters that replace a base URL.
pub(crate) fn base_parameters(manifest: &Manifest) -> impl Iterator<Item = &str> {
    std::iter::once(&manifest.base_url)
        .chain(manifest.bases.values())
        .filter_map(|base| base.parameter.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_api_is_below_our_api() {
        let base: Url = "http://127.0.0.1:8080/api".parse().expect("url");
        let is_below = |text: &str| below(&base, &text.parse().expect("url"));
        assert!(is_below("http://127.0.0.1:8080/api"));
        assert!(is_below(
            "http://127.0.0.1:8080/api/calls/index.json?limit=1"
        ));
        for other in [
            "http://127.0.0.1:8080/",
            "http://127.0.0.1:8080/apis",
            "http://127.0.0.1:8080/membrane/self",
            "http://127.0.0.1:8080/api/../console",
            "http://127.0.0.1:8080/api/%2e%2e/console",
            "http://127.0.0.1:8081/api/x",
            "https://127.0.0.1:8080/api/x",
            "http://localhost:8080/api/x",
            "http://u:p@127.0.0.1:8080/api/x",
        ] {
            assert!(!is_below(other), "{other}");
        }
    }
}
