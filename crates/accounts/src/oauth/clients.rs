//! Which programs may ask, and where they may be answered.

use model::Timestamp;
use serde::Deserialize;
use store::{StoreError, accounts::OauthClient};
use url::{Host, Url};

use super::OauthServer;
use crate::{Attempt, token::random_token};

/// The command line. It is built in: a public client that listens on loopback or shows a code.
pub const CLI_CLIENT_ID: &str = "membrane-cli";

const MAX_URIS: usize = 10;
const MAX_URI_LENGTH: usize = 2000;

/// A program that may ask for authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub client_id: String,
    /// What it registered as; shown to people, not trusted.
    pub name: String,
    pub redirect_uris: Vec<String>,
    pub created_at: Option<Timestamp>,
}

/// What a program says of itself when it registers (RFC 7591 §2). Members we have no use for are ignored,
/// as the RFC asks.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ClientMetadata {
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    #[serde(default)]
    pub client_name: Option<String>,
    #[serde(default)]
    pub token_endpoint_auth_method: Option<String>,
    #[serde(default)]
    pub grant_types: Option<Vec<String>>,
    #[serde(default)]
    pub response_types: Option<Vec<String>>,
}

/// Why a registration was refused.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("{0}")]
    RedirectUri(String),
    #[error("{0}")]
    Metadata(String),
    #[error("too many registrations; try again after {until}")]
    TooMany { until: Timestamp },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OauthServer {
    /// Registers a program. Only public clients exist here: there is no client secret to leak.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub async fn register(
        &self,
        metadata: ClientMetadata,
        source: &str,
        now: Timestamp,
    ) -> Result<Client, RegisterError> {
        check_metadata(&metadata)?;
        if let Attempt::Blocked { until } = self.registrations.attempt(source, now) {
            return Err(RegisterError::TooMany { until });
        }
        let name: String = metadata
            .client_name
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect();
        let client = OauthClient {
            client_id: format!("client_{}", &random_token()[..32]),
            name,
            redirect_uris: metadata.redirect_uris,
            created_at: now,
        };
        self.db.create_oauth_client(&client).await?;
        Ok(client.into())
    }

    /// The program with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn client(&self, client_id: &str) -> Result<Option<Client>, StoreError> {
        if client_id == CLI_CLIENT_ID {
            return Ok(Some(Client {
                client_id: CLI_CLIENT_ID.into(),
                name: "Membrane command line".into(),
                redirect_uris: Vec::new(),
                created_at: None,
            }));
        }
        Ok(self.db.oauth_client(client_id).await?.map(Into::into))
    }

    /// Whether an answer may be sent there.
    pub(super) fn may_redirect(&self, client: &Client, redirect_uri: &str) -> bool {
        if client.client_id == CLI_CLIENT_ID {
            return self.is_headless(redirect_uri) || loopback(redirect_uri).is_some();
        }
        client
            .redirect_uris
            .iter()
            .any(|registered| registered == redirect_uri || same_but_port(registered, redirect_uri))
    }

    /// Whether the code is to be shown to the person instead of sent to a program.
    #[must_use]
    pub fn is_headless(&self, redirect_uri: &str) -> bool {
        self.headless.iter().any(|known| known == redirect_uri)
    }
}

impl From<OauthClient> for Client {
    fn from(row: OauthClient) -> Self {
        Self {
            client_id: row.client_id,
            name: row.name,
            redirect_uris: row.redirect_uris,
            created_at: Some(row.created_at),
        }
    }
}

fn check_metadata(metadata: &ClientMetadata) -> Result<(), RegisterError> {
    if metadata.redirect_uris.is_empty() || metadata.redirect_uris.len() > MAX_URIS {
        return Err(RegisterError::RedirectUri(format!(
            "give one to {MAX_URIS} redirect_uris"
        )));
    }
    if let Some(bad) = metadata.redirect_uris.iter().find(|uri| !registrable(uri)) {
        let shown: String = bad.chars().take(200).collect();
        return Err(RegisterError::RedirectUri(format!(
            "{shown:?} is neither https nor http on a loopback address, or has a fragment or user part"
        )));
    }
    if metadata
        .token_endpoint_auth_method
        .as_deref()
        .is_some_and(|method| method != "none")
    {
        return Err(RegisterError::Metadata(
            "token_endpoint_auth_method must be \"none\"".into(),
        ));
    }
    let known = ["authorization_code", "refresh_token"];
    if let Some(bad) = metadata
        .grant_types
        .iter()
        .flatten()
        .find(|grant| !known.contains(&grant.as_str()))
    {
        return Err(RegisterError::Metadata(format!(
            "grant type {bad:?} is not offered"
        )));
    }
    if let Some(bad) = metadata
        .response_types
        .iter()
        .flatten()
        .find(|kind| *kind != "code")
    {
        return Err(RegisterError::Metadata(format!(
            "response type {bad:?} is not offered"
        )));
    }
    Ok(())
}

fn registrable(uri: &str) -> bool {
    if uri.len() > MAX_URI_LENGTH {
        return false;
    }
    loopback(uri).is_some()
        || plain_url(uri).is_some_and(|url| url.scheme() == "https" && url.host().is_some())
}

/// A URL without user part and fragment, spelled as its parser spells it: no `\`, tab or other character
/// that two readers take differently.
fn plain_url(uri: &str) -> Option<Url> {
    let url = Url::parse(uri).ok()?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\' || c == '@';
    (url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && !uri.contains(odd))
    .then_some(url)
}

/// An `http` URL on this machine (RFC 8252 §7.3).
fn loopback(uri: &str) -> Option<Url> {
    let url = plain_url(uri)?;
    let local = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address == std::net::Ipv4Addr::LOCALHOST,
        Host::Ipv6(address) => address == std::net::Ipv6Addr::LOCALHOST,
    };
    (url.scheme() == "http" && local && uri.len() <= MAX_URI_LENGTH).then_some(url)
}

/// RFC 8252 §7.3: a program on this machine can't know its port when it registers.
fn same_but_port(registered: &str, asked: &str) -> bool {
    let (Some(mut registered), Some(mut asked)) = (loopback(registered), loopback(asked)) else {
        return false;
    };
    registered.set_port(None).is_ok() && asked.set_port(None).is_ok() && registered == asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_counts_as_loopback() {
        for good in [
            "http://127.0.0.1:4000/callback",
            "http://localhost/cb?x=1",
            "http://[::1]:1/",
        ] {
            assert!(loopback(good).is_some(), "{good}");
        }
        for bad in [
            "https://127.0.0.1/",
            "http://127.0.0.1.evil.test/",
            "http://localhost.evil.test/",
            "http://127.0.0.1@evil.test/",
            "http://evil.test/#http://127.0.0.1/",
            "http://127.0.0.1\\@evil.test/",
            "http://0.0.0.0/",
            "http://10.0.0.1/",
            "javascript:alert(1)//127.0.0.1",
            "http://127.0.0.1/#x",
            "//127.0.0.1/",
        ] {
            assert!(loopback(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_registered_loopback_address_may_change_its_port_only() {
        assert!(same_but_port(
            "http://127.0.0.1:1/cb",
            "http://127.0.0.1:2/cb"
        ));
        assert!(same_but_port(
            "http://127.0.0.1/cb",
            "http://127.0.0.1:2/cb"
        ));
        assert!(!same_but_port(
            "http://127.0.0.1:1/cb",
            "http://127.0.0.1:1/other"
        ));
        assert!(!same_but_port(
            "http://127.0.0.1:1/cb",
            "http://localhost:1/cb"
        ));
        assert!(!same_but_port(
            "https://a.test/cb",
            "https://a.test:8443/cb"
        ));
    }

    #[test]
    fn odd_addresses_can_not_be_registered() {
        assert!(registrable("https://app.example.test/cb"));
        for bad in [
            "http://app.example.test/cb",
            "https://a@b.test/",
            "https://a.test/#f",
            "data:text/html,x",
            "com.app:/x",
            "",
        ] {
            assert!(!registrable(bad), "{bad}");
        }
    }
}
