//! `membrane token`

use crate::credentials::TokenKind;
use crate::error::{CliError, Result};
use crate::input::duration;
use crate::secret::Secret;
use crate::session::Session;
use clap::Args;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  membrane token --tenantKey customer-17
  membrane token --manager --expiresIn 5m
  curl -H \"Authorization: Bearer $(membrane token)\" \"$MEMBRANE_API_URI/self\"";

/// Print an access token for the SDK or for raw HTTP
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TokenArgs {
    /// For managing the workspace rather than acting for a tenant
    #[arg(long)]
    manager: bool,
    /// How long it is good for: 5m, 1h, 24h
    #[arg(long = "expiresIn", value_name = "TIME", default_value = "1h", value_parser = duration)]
    expires_in: i64,
}

pub fn run(session: &Session, args: &TokenArgs) -> Result<()> {
    let token = make(session, args)?;
    if session.printer.json {
        return session
            .printer
            .json_value(&json!({"token": token.expose()}));
    }
    session.printer.line(token.expose())
}

fn make(session: &Session, args: &TokenArgs) -> Result<Secret> {
    let settings = &session.settings;
    let tenant = settings.tenant_key.as_deref();
    if settings.workspace_secret.is_some() {
        if tenant.is_none() && !args.manager {
            let error = CliError::usage("nothing says for which tenant");
            return Err(
                error.hint("give --tenantKey, or --manager for a token of the workspace itself")
            );
        }
        return session.sign(tenant, args.manager, args.expires_in);
    }
    let login = session.login()?;
    if login.token_kind == TokenKind::Tenant {
        // Such a login cannot make tokens; its own is one, for its own tenant and its own time.
        if args.manager {
            let error = anyhow::Error::msg("a tenant's login cannot make a manager token");
            return Err(CliError::local("wrong_tenant", error)
                .hint("log in without --tenant, or set MEMBRANE_WORKSPACE_SECRET"));
        }
        return session.token().cloned();
    }
    let mut body = json!({"expiresIn": args.expires_in});
    if args.manager {
        body["isAdmin"] = json!(true);
    }
    if let Some(tenant) = tenant.or(login.tenant_key.as_deref()) {
        body["tenantKey"] = json!(tenant);
    }
    session.exchange(&login, &session.workspace(&login)?, &body)
}
