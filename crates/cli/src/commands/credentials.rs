//! `membrane credentials`

use crate::error::{CliError, Result};
use crate::secret::Secret;
use crate::session::Session;
use clap::Args;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  membrane credentials --json
  eval \"$(membrane credentials --shell)\"     set them in this shell

The workspace secret can sign tokens for every tenant: treat it as a password.";

/// Print what the SDK needs: address, workspace key and secret, tenant
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CredentialsArgs {
    /// As lines a shell can run
    #[arg(long, conflicts_with = "json")]
    shell: bool,
}

pub fn run(session: &Session, args: &CredentialsArgs) -> Result<()> {
    let printer = session.printer;
    let found = Found::gather(session)?;
    let secret = found.secret.as_ref().map(Secret::expose);
    let api_uri = session.settings.api_uri.as_str();
    if printer.json {
        return printer.json_value(&json!({
            "apiUri": api_uri, "workspaceKey": found.key, "workspaceSecret": secret, "tenantKey": found.tenant,
        }));
    }
    if args.shell {
        let lines = [
            ("MEMBRANE_API_URI", Some(api_uri)),
            ("MEMBRANE_WORKSPACE_KEY", found.key.as_deref()),
            ("MEMBRANE_WORKSPACE_SECRET", secret),
            ("MEMBRANE_TENANT_KEY", found.tenant.as_deref()),
        ];
        for (name, value) in lines
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
        {
            printer.line(format!("export {name}={}", quoted(value)))?;
        }
        return Ok(());
    }
    printer.pairs(&[
        ("API", Some(api_uri.to_owned())),
        ("Workspace", found.key),
        (
            "Secret",
            Some(if secret.is_some() {
                "(hidden)".into()
            } else {
                "(not known to this login)".into()
            }),
        ),
        ("Tenant", found.tenant),
    ])?;
    if secret.is_some() {
        printer.hint("--json or --shell prints the secret too");
    }
    Ok(())
}

struct Found {
    key: Option<String>,
    secret: Option<Secret>,
    tenant: Option<String>,
}

impl Found {
    /// From the environment or the project; failing that, what the login may see of its workspace.
    fn gather(session: &Session) -> Result<Self> {
        let settings = &session.settings;
        if settings.workspace_secret.is_some() {
            let (key, secret) = (
                settings.workspace_key.clone(),
                settings.workspace_secret.clone(),
            );
            return Ok(Self {
                key,
                secret,
                tenant: settings.tenant_key.clone(),
            });
        }
        let login = session.login()?;
        let wanted = settings
            .workspace_key
            .as_ref()
            .or(login.workspace_key.as_ref());
        // A login that may not list workspaces still knows its own key.
        let seen = match session.find_workspace(&login, wanted.map_or("", String::as_str)) {
            Ok(workspace) => Some(workspace),
            Err(
                CliError::Api {
                    status: 401 | 403 | 404,
                    ..
                }
                | CliError::Local {
                    key: "no_workspace",
                    ..
                },
            ) => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            key: seen
                .as_ref()
                .map(|workspace| workspace.key.clone())
                .or_else(|| wanted.cloned()),
            secret: seen.and_then(|workspace| workspace.secret),
            tenant: settings.tenant_key.clone().or(login.tenant_key),
        })
    }
}

/// In single quotes, where a shell reads nothing but the closing one.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        assert_eq!(super::quoted("a'b $x `y`"), r"'a'\''b $x `y`'");
    }
}
