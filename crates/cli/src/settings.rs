//! Everything that is decided before a command runs: which gateway, which workspace and tenant, whose token.
//!
//! Order, strongest first: flag, environment, project files, remembered login, default.

use crate::credentials::{CredentialStore, Credentials};
use crate::error::{CliError, Result};
use crate::project::Project;
use crate::secret::Secret;
use std::path::PathBuf;
use std::{env, path::Path};
use url::{Host, Url};

/// The gateway of a Trunkline started with its defaults.
pub const DEFAULT_API_URI: &str = "http://127.0.0.1:8080/membrane";

/// The environment names, all in one place.
pub mod env_vars {
    pub const ACCESS_TOKEN: &[&str] = &["MEMBRANE_ACCESS_TOKEN", "MEMBRANE_TOKEN"];
    pub const API_URI: &[&str] = &["MEMBRANE_API_URI", "MEMBRANE_API_URL"];
    pub const WORKSPACE_KEY: &[&str] = &["MEMBRANE_WORKSPACE_KEY"];
    pub const WORKSPACE_SECRET: &[&str] = &["MEMBRANE_WORKSPACE_SECRET"];
    pub const TENANT_KEY: &[&str] = &["MEMBRANE_TENANT_KEY", "MEMBRANE_TEST_CUSTOMER_ID"];
    pub const CONSOLE_URI: &[&str] = &["MEMBRANE_CONSOLE_URI"];
}

/// The flags every command has.
#[derive(Debug, Clone, Default)]
pub struct GlobalFlags {
    pub api_uri: Option<String>,
    pub workspace_key: Option<String>,
    pub tenant_key: Option<String>,
}

/// Resolved once, then only read.
#[derive(Debug)]
pub struct Settings {
    pub api_uri: ApiUri,
    pub console_uri: Option<String>,
    pub workspace_key: Option<String>,
    pub workspace_secret: Option<Secret>,
    pub tenant_key: Option<String>,
    /// A token given from outside; beats every other.
    pub access_token: Option<Secret>,
    /// As given, to tell a wish from a default.
    pub flags: GlobalFlags,
    pub store: CredentialStore,
    pub credentials: Credentials,
}

impl Settings {
    pub fn resolve(flags: GlobalFlags) -> Result<Self> {
        let home = home_folder()?;
        let start = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let project = Project::find(&start, Some(&home))?;
        let store = CredentialStore::new(home.join(".membrane"));
        let credentials = store.load()?;
        Self::combine(flags, &from_env, project, store, credentials)
    }

    fn combine(
        flags: GlobalFlags,
        env: &dyn Fn(&[&str]) -> Option<String>,
        project: Project,
        store: CredentialStore,
        credentials: Credentials,
    ) -> Result<Self> {
        let api_uri = flags
            .api_uri
            .clone()
            .or_else(|| env(env_vars::API_URI))
            .or(project.api_uri)
            .or_else(|| credentials.api_uri.clone())
            .unwrap_or_else(|| DEFAULT_API_URI.to_owned());
        let env_token = env(env_vars::ACCESS_TOKEN).map(Secret::new);
        let env_secret = env(env_vars::WORKSPACE_SECRET).map(Secret::new);
        // A project's token stands behind a secret from the environment.
        let access_token = if env_secret.is_some() {
            env_token
        } else {
            env_token.or(project.access_token)
        };
        Ok(Self {
            api_uri: ApiUri::parse(&api_uri)?,
            console_uri: env(env_vars::CONSOLE_URI).or(project.console_uri),
            workspace_key: flags
                .workspace_key
                .clone()
                .or_else(|| env(env_vars::WORKSPACE_KEY))
                .or(project.workspace_key),
            workspace_secret: env_secret.or(project.workspace_secret),
            tenant_key: flags
                .tenant_key
                .clone()
                .or_else(|| env(env_vars::TENANT_KEY))
                .or(project.tenant_key)
                .or(project.test_customer_id),
            access_token,
            flags,
            store,
            credentials,
        })
    }
}

fn from_env(names: &[&str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.trim().is_empty()))
}

fn home_folder() -> Result<PathBuf> {
    env::home_dir()
        .filter(|home| home != Path::new(""))
        .ok_or_else(|| {
            CliError::local(
                "no_home",
                anyhow::Error::msg("there is no home folder to keep the login in"),
            )
            .hint("set HOME to a folder you own")
        })
}

/// The gateway's base address: http or https, no credentials, no trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiUri(Url);

impl ApiUri {
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            CliError::usage(format!(
                "`{}` is not a usable API address: {why}",
                without_userinfo(text)
            ))
            .hint(format!("it looks like {DEFAULT_API_URI}"))
        };
        let url = Url::parse(text.trim()).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("only http and https work"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it must not hold a user or a password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it must not hold a query or a fragment"));
        }
        let mut url = url;
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// This machine talking to itself: no proxy between, and plain http is fine.
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        }
    }

    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }
}

fn without_userinfo(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}://…{}", &text[..scheme], &text[at..])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(
        flag: Option<&str>,
        env: Option<&'static str>,
        project: Option<&str>,
        stored: Option<&str>,
    ) -> String {
        let lookup = move |names: &[&str]| {
            env.filter(|_| names == env_vars::API_URI)
                .map(ToOwned::to_owned)
        };
        let project = Project {
            api_uri: project.map(Into::into),
            ..Project::default()
        };
        let credentials = Credentials {
            api_uri: stored.map(Into::into),
            ..Credentials::default()
        };
        let flags = GlobalFlags {
            api_uri: flag.map(Into::into),
            ..GlobalFlags::default()
        };
        let store = CredentialStore::new(PathBuf::from("/nowhere"));
        Settings::combine(flags, &lookup, project, store, credentials)
            .unwrap()
            .api_uri
            .as_str()
            .to_owned()
    }

    #[test]
    fn the_stronger_source_wins() {
        let (f, e, p, s) = (
            Some("http://flag/"),
            Some("http://env"),
            Some("http://project/x/"),
            Some("http://stored"),
        );
        assert_eq!(settings(f, e, p, s), "http://flag");
        assert_eq!(settings(None, e, p, s), "http://env");
        assert_eq!(settings(None, None, p, s), "http://project/x");
        assert_eq!(settings(None, None, None, s), "http://stored");
        assert_eq!(settings(None, None, None, None), DEFAULT_API_URI);
    }

    #[test]
    fn addresses_that_cannot_work_are_refused_without_echoing_a_password() {
        for bad in ["", "host", "ftp://h/x", "http://h/?a=1"] {
            assert_eq!(ApiUri::parse(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
        let error = ApiUri::parse("http://me:hunter2@h/").unwrap_err();
        assert!(!error.message().contains("hunter2"), "{}", error.message());
    }
}
