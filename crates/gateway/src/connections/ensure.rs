//! Finding or making a connection.

use std::sync::Arc;

use serde_json::{Map, Value};
use store::gateway::{
    Connection, ConnectionChange, ConnectionFilter, ConnectionState, Customer, NewConnection,
    PageOf,
};
use url::{Host, Url};

use super::{CreateConnection, select::best};
use crate::{Caller, Connector, Gateway, GatewayError, ids};

const FEW: PageOf = PageOf {
    after: 0,
    limit: 50,
};
const LONGEST_URL: usize = 2000;
const LONGEST_KEY: usize = 100;
const LONGEST_NAME: usize = 200;
const NOT_AN_APP: &str =
    "appUrl must be a URL or domain, such as \"https://slack.com\" or \"slack.com\"";

/// The domain an app is known by: lower case, without `www.`.
///
/// # Errors
/// When the text is no URL or domain of an app: no dot in the host, or an address instead of a name.
pub fn normalise_app_url(text: &str) -> Result<String, GatewayError> {
    let refuse = || GatewayError::field("appUrl", NOT_AN_APP);
    let text = text.trim();
    if text.is_empty() || text.chars().count() > LONGEST_URL {
        return Err(refuse());
    }
    let lower: String = text
        .chars()
        .take(8)
        .collect::<String>()
        .to_ascii_lowercase();
    let has_scheme = lower.starts_with("http://") || lower.starts_with("https://");
    let url = if has_scheme {
        Url::parse(text)
    } else {
        Url::parse(&format!("https://{text}"))
    };
    let url = url.map_err(|_| refuse())?;
    let Some(Host::Domain(host)) = url.host() else {
        return Err(refuse());
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let domain = host.strip_prefix("www.").unwrap_or(&host);
    if !host.contains('.') || domain.is_empty() || domain.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err(refuse());
    }
    Ok(domain.to_owned())
}

impl Gateway {
    /// The caller's connection to an app, made when there is none. The same call gives the same connection.
    ///
    /// # Errors
    /// When the text names no app.
    pub async fn ensure_connection(
        &self,
        caller: &Caller,
        app_url: &str,
        name: Option<String>,
    ) -> Result<Connection, GatewayError> {
        let domain = normalise_app_url(app_url)?;
        let name = name.map(|name| check_name(&name)).transpose()?;
        let owner = caller.owner()?;
        let connector = self.inner.catalog.by_host(&domain).cloned();
        if let Some(found) = self.existing(owner, connector.as_deref(), &domain).await? {
            return self.revive(found, connector).await;
        }
        let create = CreateConnection {
            name,
            ..Default::default()
        };
        self.make(owner, connector, domain, create).await
    }

    /// A new connection by connector, integration, app or intent. Unless several are wanted, the tenant's own
    /// one for the app is returned.
    ///
    /// # Errors
    /// When a named connector does not exist, or the input is no good.
    pub async fn create_connection(
        &self,
        caller: &Caller,
        mut new: CreateConnection,
    ) -> Result<Connection, GatewayError> {
        let owner = caller.owner()?;
        new.name = new.name.map(|name| check_name(&name)).transpose()?;
        new.key = new.key.map(|key| check_key(&key)).transpose()?;
        let (connector, domain) = self.wanted_app(caller, &new)?;
        let input = new.input.take();
        let parameters = new.parameters.clone();
        let existing = if new.allow_multiple || new.key.is_some() {
            None
        } else {
            self.existing(owner, connector.as_deref(), &domain).await?
        };
        let connection = match existing {
            Some(found) => self.revive(found, connector).await?,
            None => self.make(owner, connector, domain, new).await?,
        };
        match input {
            Some(input) => {
                self.connect_with_input(&connection, input, parameters, None)
                    .await
            }
            None => Ok(connection),
        }
    }

    /// What a new connection is to: by the most exact thing said about it.
    fn wanted_app(
        &self,
        caller: &Caller,
        new: &CreateConnection,
    ) -> Result<(Option<Arc<Connector>>, String), GatewayError> {
        let catalog = &self.inner.catalog;
        let named = [
            (
                "connector",
                new.connector.as_deref(),
                new.connector
                    .as_deref()
                    .and_then(|name| catalog.connector(name)),
            ),
            (
                "integration",
                new.integration.as_deref(),
                new.integration
                    .as_deref()
                    .and_then(|name| catalog.integration(&caller.workspace.public_id, name)),
            ),
            (
                "app",
                new.external_app.as_deref(),
                new.external_app
                    .as_deref()
                    .and_then(|name| catalog.app(name)),
            ),
        ];
        for (what, name, found) in named {
            let Some(name) = name else { continue };
            let connector = found.ok_or_else(|| GatewayError::not_found(what, name))?;
            return Ok((Some(connector.clone()), domain_of(connector)));
        }
        let Some(intent) = new
            .intent
            .as_deref()
            .map(str::trim)
            .filter(|intent| !intent.is_empty())
        else {
            return Err(GatewayError::bad_request(
                "say what to connect: \"connectorKey\", \"integrationKey\" or \"intent\"",
            ));
        };
        if let Ok(domain) = normalise_app_url(intent) {
            return Ok((catalog.by_host(&domain).cloned(), domain));
        }
        match catalog.by_intent(intent) {
            Some(connector) => Ok((Some(connector.clone()), domain_of(connector))),
            None => Err(GatewayError::field(
                "intent",
                "no app is known by that intent; give the app's URL, such as \"https://slack.com\"",
            )),
        }
    }

    async fn existing(
        &self,
        owner: &Customer,
        connector: Option<&Connector>,
        domain: &str,
    ) -> Result<Option<Connection>, GatewayError> {
        let reach = store::gateway::Reach::customer(owner.workspace, owner.id);
        let by_connector = connector.map(|connector| ConnectionFilter {
            connector_key: Some(connector.manifest.key.clone()),
            ..Default::default()
        });
        let by_domain = ConnectionFilter {
            app_domain: Some(domain.to_owned()),
            ..Default::default()
        };
        for filter in by_connector.iter().chain(std::iter::once(&by_domain)) {
            if let Some(found) = best(self.inner.db.connections(reach, filter, FEW).await?) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A connection that failed for want of a connector goes on once there is one.
    async fn revive(
        &self,
        found: Connection,
        connector: Option<Arc<Connector>>,
    ) -> Result<Connection, GatewayError> {
        match connector {
            Some(connector) if found.connector_key.is_none() => {
                let manifest = &connector.manifest;
                let change = ConnectionChange {
                    connector: Some((manifest.key.clone(), manifest.version.clone())),
                    ..Default::default()
                };
                let found = self.change(&found, |_| Some(change.clone())).await?;
                self.require_client_action(&found, None, "a connector for this app is known now")
                    .await
            }
            _ => Ok(found),
        }
    }

    async fn make(
        &self,
        owner: &Customer,
        connector: Option<Arc<Connector>>,
        domain: String,
        new: CreateConnection,
    ) -> Result<Connection, GatewayError> {
        let manifest = connector.as_ref().map(|connector| &connector.manifest);
        let default_name =
            manifest.map_or_else(|| domain.clone(), |manifest| manifest.name.clone());
        if let Some(key) = &new.key {
            self.check_key_is_free(owner, key, None).await?;
        }
        if let (Some(manifest), Some(option)) = (manifest, new.auth_option.as_deref())
            && manifest.auth_option(Some(option)).is_none()
        {
            return Err(GatewayError::field(
                "authOptionKey",
                format!("{} has no sign-in option \"{option}\"", manifest.name),
            ));
        }
        let error = manifest.is_none().then(|| no_connector(&domain));
        let row = NewConnection {
            public_id: ids::public_id(),
            workspace: owner.workspace,
            customer: owner.id,
            name: new.name.unwrap_or(default_name),
            key: new.key,
            connector_key: manifest.map(|manifest| manifest.key.clone()),
            connector_version: manifest.map(|manifest| manifest.version.clone()),
            app_domain: domain,
            state: ConnectionState::SetupFailed,
            auth_option: new.auth_option,
            parameters: new.parameters.unwrap_or_else(|| Value::Object(Map::new())),
            meta: new.meta.unwrap_or_else(|| Value::Object(Map::new())),
            client_action: None,
            error: error.clone(),
        };
        let db = &self.inner.db;
        let made = db.create_connection(row, store::now()).await?;
        tracing::info!(connection.id = %made.public_id, connector.key = made.connector_key, "connection created");
        match error {
            Some(error) => {
                db.log_connection(&made, "failed", &error, store::now())
                    .await?;
                Ok(made)
            }
            None => self.require_client_action(&made, None, "created").await,
        }
    }

    pub(super) async fn check_key_is_free(
        &self,
        owner: &Customer,
        key: &str,
        but: Option<&Connection>,
    ) -> Result<(), GatewayError> {
        let reach = store::gateway::Reach::customer(owner.workspace, owner.id);
        let filter = ConnectionFilter {
            key: Some(key.to_owned()),
            ..Default::default()
        };
        let taken = self.inner.db.connections(reach, &filter, FEW).await?;
        if taken
            .iter()
            .any(|other| but.is_none_or(|own| own.id != other.id))
        {
            return Err(store::StoreError::Duplicate {
                what: "connection key",
            }
            .into());
        }
        Ok(())
    }
}

fn no_connector(domain: &str) -> String {
    format!(
        "no connector is known for {domain} on this server, and building one automatically is not available yet; \
         list the apps that can be connected with GET /connectors"
    )
}

fn domain_of(connector: &Connector) -> String {
    connector
        .manifest
        .domains
        .first()
        .cloned()
        .unwrap_or_else(|| connector.manifest.key.clone())
}

pub(super) fn check_name(name: &str) -> Result<String, GatewayError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control)
    {
        return Err(GatewayError::field(
            "name",
            format!("name must have 1 to {LONGEST_NAME} characters"),
        ));
    }
    Ok(name.to_owned())
}

pub(super) fn check_key(key: &str) -> Result<String, GatewayError> {
    let key = key.trim();
    if key.is_empty() || key.chars().count() > LONGEST_KEY || key.chars().any(char::is_control) {
        return Err(GatewayError::field(
            "key",
            format!("key must have 1 to {LONGEST_KEY} characters"),
        ));
    }
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_urls_become_domains() {
        for (given, domain) in [
            ("https://www.cloudtalk.io/", "cloudtalk.io"),
            ("cloudtalk.io", "cloudtalk.io"),
            ("WWW.CloudTalk.IO/pricing?x=1", "cloudtalk.io"),
            ("http://my.cloudtalk.io:8080", "my.cloudtalk.io"),
            ("HTTPS://slack.com", "slack.com"),
            ("user@slack.com", "slack.com"),
            ("bücher.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(normalise_app_url(given).expect(given), domain, "{given}");
        }
    }

    #[test]
    fn what_names_no_app_is_refused() {
        let long = format!("https://a.example/{}", "x".repeat(2000));
        for given in [
            "",
            " ",
            "localhost",
            "https://localhost:8080",
            "10.0.0.1",
            "www.10.0.0.1",
            "http://127.0.0.1/",
            "2130706433",
            "[::1]",
            "http://[::ffff:10.0.0.1]/",
            "ftp://files.example",
            "https://",
            "not a url",
            "https://exa mple.com",
            &long,
        ] {
            assert!(normalise_app_url(given).is_err(), "{given}");
        }
    }
}
