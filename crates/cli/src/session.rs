//! What a command holds while it runs: the settings, the way to the gateway, and whose token goes with each call.

use crate::credentials::{Login, TokenKind};
use crate::error::{CliError, Result};
use crate::http::{Answer, Call, Http};
use crate::jwt;
use crate::output::{Printer, text_at};
use crate::secret::Secret;
use crate::settings::{GlobalFlags, Settings};
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::time::{SystemTime, UNIX_EPOCH};

pub const CLIENT_ID: &str = "membrane-cli";
/// A token with less left than this is renewed before it is used: it must survive the call it goes with.
const RENEW_BEFORE: i64 = 60;
const SIGNED_FOR: i64 = 3600;

pub struct Session {
    pub settings: Settings,
    pub printer: Printer,
    http: OnceCell<Http>,
    token: OnceCell<Secret>,
}

impl Session {
    pub fn new(flags: GlobalFlags, printer: Printer) -> Result<Self> {
        let settings = Settings::resolve(flags)?;
        Ok(Self {
            settings,
            printer,
            http: OnceCell::new(),
            token: OnceCell::new(),
        })
    }

    pub fn http(&self) -> Result<&Http> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = Http::new(self.settings.api_uri.clone())?;
        Ok(self.http.get_or_init(|| http))
    }

    /// Sends with the token this command acts under.
    pub fn send(&self, call: Call<'_>) -> Result<Answer> {
        let token = self.token()?.clone();
        self.http()?.send(call.token(&token))
    }

    /// Given from outside > signed with the workspace secret > the stored login.
    pub fn token(&self) -> Result<&Secret> {
        if let Some(token) = self.token.get() {
            return Ok(token);
        }
        let token = self.find_token()?;
        Ok(self.token.get_or_init(|| token))
    }

    fn find_token(&self) -> Result<Secret> {
        let settings = &self.settings;
        if let Some(token) = &settings.access_token {
            if settings.flags.tenant_key.is_some() || settings.flags.workspace_key.is_some() {
                self.printer.warning("the access token already says which workspace and tenant: the flags change nothing");
            }
            return Ok(token.clone());
        }
        if settings.workspace_secret.is_some() {
            return self.sign(settings.tenant_key.as_deref(), false, SIGNED_FOR);
        }
        let login = self.login()?;
        match (login.token_kind, self.wanted_tenant(&login)) {
            (TokenKind::PlatformUser, Some(tenant)) => self.derived_token(&login, &tenant),
            (TokenKind::Tenant, _) => self.fixed_tenant_token(&login),
            (TokenKind::PlatformUser, None) => Ok(login.access_token),
        }
    }

    /// Signs here, with the workspace secret.
    pub fn sign(&self, tenant: Option<&str>, manager: bool, seconds: i64) -> Result<Secret> {
        let (Some(key), Some(secret)) = (
            &self.settings.workspace_key,
            &self.settings.workspace_secret,
        ) else {
            let error =
                CliError::usage("there is a workspace secret, but no workspace key to go with it");
            return Err(error.hint("set MEMBRANE_WORKSPACE_KEY or give --workspaceKey"));
        };
        let claims = jwt::Claims {
            workspace_key: key,
            tenant_key: tenant,
            manager,
            expires_at: now() + seconds,
        };
        Ok(Secret::new(jwt::sign(&claims, secret.expose())))
    }

    /// The stored login at this gateway, renewed when it is about to end.
    pub fn login(&self) -> Result<Login> {
        let settings = &self.settings;
        let login = settings.credentials.logins.get(settings.api_uri.as_str());
        let login = login.cloned().ok_or_else(|| self.not_logged_in())?;
        if needs_renewal(&login) {
            self.renew()
        } else {
            Ok(login)
        }
    }

    fn not_logged_in(&self) -> CliError {
        let settings = &self.settings;
        let here = settings.api_uri.as_str();
        let error = CliError::local(
            "not_logged_in",
            anyhow::Error::msg(format!("not logged in to {here}")),
        );
        match settings
            .credentials
            .logins
            .keys()
            .find(|other| *other != here)
        {
            Some(other) => error.hint(format!(
                "run `membrane login --tenant`; there is a login at {other}, chosen with --apiUri"
            )),
            None => error.hint("run `membrane login --tenant`"),
        }
    }

    /// Spends the refresh token. It rotates: the new one is on disk before anything uses the new access token, and a
    /// second command waiting at the lock finds the work done.
    fn renew(&self) -> Result<Login> {
        let store = &self.settings.store;
        let here = self.settings.api_uri.as_str();
        let lock = store.lock()?;
        let mut credentials = store.load()?;
        let Some(login) = credentials.logins.get_mut(here) else {
            return Err(self.not_logged_in());
        };
        if !needs_renewal(login) {
            return Ok(login.clone());
        }
        let Some(refresh) = login.refresh_token.clone() else {
            return expired_but_maybe_usable(login);
        };
        let call = Call::post(&["oauth", "token"]).form(vec![
            ("grant_type", "refresh_token".into()),
            ("refresh_token", refresh.expose().into()),
            ("client_id", CLIENT_ID.into()),
        ]);
        let answer = self.http()?.send(call).map_err(|error| match error {
            CliError::Api {
                status: 400 | 401, ..
            } => login_ended(here),
            other => other,
        })?;
        let fresh = TokenAnswer::read(&answer.value)?;
        login.access_token = fresh.access_token;
        login.refresh_token = fresh.refresh_token.or(Some(refresh));
        login.expires_at = fresh.expires_at;
        login.derived.clear();
        let login = login.clone();
        store.save_locked(&lock, &credentials)?;
        Ok(login)
    }

    fn wanted_tenant(&self, login: &Login) -> Option<String> {
        self.settings
            .tenant_key
            .clone()
            .or_else(|| login.tenant_key.clone())
    }

    /// A tenant login is for one tenant; asking for another one with it must not quietly act on the first.
    fn fixed_tenant_token(&self, login: &Login) -> Result<Secret> {
        let differs = |flag: &Option<String>, stored: &Option<String>| matches!((flag, stored), (Some(flag), Some(stored)) if flag != stored);
        let flags = &self.settings.flags;
        if differs(&flags.tenant_key, &login.tenant_key)
            || differs(&flags.workspace_key, &login.workspace_key)
        {
            let own = login.tenant_key.as_deref().unwrap_or("another");
            let error = anyhow::Error::msg(format!("this login is for tenant {own} only"));
            return Err(CliError::local("wrong_tenant", error).hint(
                "log in without --tenant to act for several tenants, or set MEMBRANE_WORKSPACE_KEY and MEMBRANE_WORKSPACE_SECRET",
            ));
        }
        Ok(login.access_token.clone())
    }

    /// A person's login, exchanged for a token of one tenant and remembered until it ends.
    fn derived_token(&self, login: &Login, tenant: &str) -> Result<Secret> {
        let workspace = self.workspace(login)?;
        let name = format!("{}/{tenant}", workspace.key);
        if let Some(token) = login.derived.get(&name)
            && jwt::expires_at(token.expose()).is_some_and(|end| end - now() > RENEW_BEFORE)
        {
            return Ok(token.clone());
        }
        let token = self.exchange(login, &workspace, &json!({"tenantKey": tenant}))?;
        let here = self.settings.api_uri.as_str();
        self.settings.store.update(|credentials| {
            if let Some(stored) = credentials.logins.get_mut(here) {
                stored.derived.insert(name, token.clone());
            }
            Ok(())
        })?;
        Ok(token)
    }

    /// `POST /org-workspaces/{id}/access-token` under the person's own login.
    pub fn exchange(&self, login: &Login, workspace: &Workspace, body: &Value) -> Result<Secret> {
        let id = match &workspace.id {
            Some(id) => id.clone(),
            None => self
                .find_workspace(login, &workspace.key)?
                .id
                .unwrap_or_else(|| workspace.key.clone()),
        };
        let call = Call::post(&["org-workspaces", &id, "access-token"])
            .json(body)
            .token(&login.access_token);
        let answer = self.http()?.send(call)?;
        let token = text_at(&answer.value, "/token").ok_or_else(|| incomplete("token"))?;
        Ok(Secret::new(token))
    }

    /// The workspace a person's login acts in: named, the login's own, or the only one there is.
    pub fn workspace(&self, login: &Login) -> Result<Workspace> {
        match self
            .settings
            .workspace_key
            .as_ref()
            .or(login.workspace_key.as_ref())
        {
            Some(key) => Ok(Workspace {
                id: None,
                key: key.clone(),
                secret: None,
            }),
            None => self.find_workspace(login, ""),
        }
    }

    /// Looks a workspace up by key or id; the empty key stands for the only one.
    pub fn find_workspace(&self, login: &Login, key: &str) -> Result<Workspace> {
        let answer = self
            .http()?
            .send(Call::get(&["org-workspaces"]).token(&login.access_token))?;
        let items = answer
            .value
            .get("items")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let mut matching = items.iter().filter(|item| {
            key.is_empty()
                || [text_at(item, "/key"), text_at(item, "/id")]
                    .iter()
                    .flatten()
                    .any(|name| name == key)
        });
        match (matching.next(), matching.next()) {
            (Some(item), None) => Ok(Workspace {
                id: text_at(item, "/id"),
                key: text_at(item, "/key").unwrap_or_default(),
                secret: text_at(item, "/secret").map(Secret::new),
            }),
            (Some(_), Some(_)) => {
                let names: Vec<_> = items
                    .iter()
                    .filter_map(|item| text_at(item, "/key"))
                    .collect();
                Err(CliError::usage("this login sees several workspaces")
                    .hint(format!("choose with --workspaceKey: {}", names.join(", "))))
            }
            (None, _) => Err(CliError::local(
                "no_workspace",
                anyhow::Error::msg(format!("this login sees no workspace {key}")),
            )),
        }
    }
}

/// A workspace as far as it is known.
#[derive(Debug, Clone)]
pub struct Workspace {
    pub id: Option<String>,
    pub key: String,
    pub secret: Option<Secret>,
}

/// The members of a token response we use (RFC 6749 §5.1 and the gateway's own).
pub struct TokenAnswer {
    pub access_token: Secret,
    pub refresh_token: Option<Secret>,
    pub expires_at: Option<i64>,
    pub workspace_key: Option<String>,
    pub tenant_key: Option<String>,
    pub email: Option<String>,
    pub org_id: Option<String>,
}

impl TokenAnswer {
    pub fn read(body: &Value) -> Result<Self> {
        let access_token =
            text_at(body, "/access_token").ok_or_else(|| incomplete("access_token"))?;
        let lifetime = body.get("expires_in").and_then(Value::as_i64);
        Ok(Self {
            expires_at: lifetime
                .map(|seconds| now().saturating_add(seconds))
                .or_else(|| jwt::expires_at(&access_token)),
            access_token: Secret::new(access_token),
            refresh_token: text_at(body, "/refresh_token").map(Secret::new),
            workspace_key: text_at(body, "/default_workspace_key"),
            tenant_key: text_at(body, "/default_tenant_key"),
            email: text_at(body, "/email"),
            org_id: text_at(body, "/org_id"),
        })
    }
}

fn incomplete(member: &str) -> CliError {
    CliError::local(
        "incomplete_answer",
        anyhow::Error::msg(format!("the gateway's answer has no `{member}`")),
    )
}

fn needs_renewal(login: &Login) -> bool {
    login
        .expires_at
        .is_some_and(|end| end - now() < RENEW_BEFORE)
}

fn expired_but_maybe_usable(login: &Login) -> Result<Login> {
    match login.expires_at {
        Some(end) if end <= now() => {
            let error = CliError::local("login_ended", anyhow::Error::msg("the login has expired"));
            Err(error.hint("run `membrane login --tenant` again"))
        }
        _ => Ok(login.clone()),
    }
}

fn login_ended(here: &str) -> CliError {
    CliError::local(
        "login_ended",
        anyhow::Error::msg(format!("the login at {here} has ended")),
    )
    .hint("run `membrane login --tenant` again")
}

/// Unix seconds. The one clock of the command line.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
