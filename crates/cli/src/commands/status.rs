//! `membrane status`

use crate::error::{CliError, Result};
use crate::http::Call;
use crate::output::first_text;
use crate::session::Session;
use serde_json::{Value, json};

pub fn run(session: &Session) -> Result<()> {
    let settings = &session.settings;
    let printer = session.printer;
    let api_uri = settings.api_uri.as_str();
    let account = match session.token() {
        Err(CliError::Local {
            key: "not_logged_in",
            ..
        }) => {
            if printer.json {
                return printer.json_value(&json!({"loggedIn": false, "apiUri": api_uri}));
            }
            printer.pairs(&[
                ("Login", Some("none".into())),
                ("API", Some(api_uri.into())),
            ])?;
            printer.hint("run `membrane login --tenant`");
            return Ok(());
        }
        Err(error) => return Err(error),
        Ok(_) => session.send(Call::get(&["account"]))?.value,
    };
    let facts = Facts::gather(session, &account);
    if printer.json {
        return printer.json_value(&json!({
            "loggedIn": true, "login": facts.how, "apiUri": api_uri, "email": facts.email,
            "workspaceKey": facts.workspace, "tenantKey": facts.tenant, "account": account,
        }));
    }
    let login = facts.email.as_ref().map_or_else(
        || facts.how.to_owned(),
        |email| format!("{email} ({})", facts.how),
    );
    printer.pairs(&[
        ("Login", Some(login)),
        ("API", Some(api_uri.to_owned())),
        ("Workspace", facts.workspace),
        ("Tenant", facts.tenant),
    ])
}

struct Facts {
    how: &'static str,
    email: Option<String>,
    workspace: Option<String>,
    tenant: Option<String>,
}

impl Facts {
    /// The gateway knows best; what is stored here fills the gaps.
    fn gather(session: &Session, account: &Value) -> Self {
        let settings = &session.settings;
        let from_outside = settings.access_token.is_some();
        let signed = !from_outside && settings.workspace_secret.is_some();
        let login = settings
            .credentials
            .logins
            .get(settings.api_uri.as_str())
            .filter(|_| !from_outside && !signed);
        Self {
            how: match (from_outside, signed, login) {
                (true, ..) => "access token from the environment or project",
                (_, true, _) => "workspace secret",
                (.., Some(login)) => login.token_kind.as_str(),
                _ => "unknown",
            },
            email: first_text(account, &["/email", "/user/email", "/account/email"])
                .or_else(|| login.and_then(|login| login.email.clone())),
            workspace: first_text(
                account,
                &[
                    "/workspaceKey",
                    "/workspace/key",
                    "/defaultWorkspaceKey",
                    "/default_workspace_key",
                ],
            )
            .or_else(|| settings.workspace_key.clone())
            .or_else(|| login.and_then(|login| login.workspace_key.clone())),
            tenant: first_text(
                account,
                &[
                    "/tenantKey",
                    "/tenant/internalId",
                    "/tenant/key",
                    "/user/internalId",
                ],
            )
            .or_else(|| settings.tenant_key.clone())
            .or_else(|| login.and_then(|login| login.tenant_key.clone())),
        }
    }
}
