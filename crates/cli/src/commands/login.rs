//! `membrane login`: OAuth 2.1 code flow with PKCE, with a browser beside us or on another machine.

use super::loopback::Loopback;
use super::open::in_browser;
use crate::credentials::{Login, PendingLogin, TokenKind};
use crate::error::{CliError, Result};
use crate::http::Call;
use crate::input::selector;
use crate::pkce;
use crate::secret::Secret;
use crate::session::{CLIENT_ID, Session, TokenAnswer};
use crate::settings::ApiUri;
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::IsTerminal as _;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  membrane login --tenant --clientName=claude
  membrane login --tenant --apiUri https://phone.example.com/membrane
  membrane login start --tenant          only print the address to open
  membrane login complete <code>         finish with the code the page shows

With a terminal and a browser the page opens by itself. Otherwise the address is printed: open it anywhere,
and bring the code back with `login complete`.";

/// Sign in to the gateway
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = false)]
pub struct LoginArgs {
    /// Sign in for one tenant, so that later commands need no keys
    #[arg(long, global = true)]
    tenant: bool,
    /// The agent that will use this login: claude, openclaw, codex, warp, windsurf, …
    #[arg(long = "clientName", global = true, value_name = "AGENT_TYPE")]
    client_name: Option<String>,
    /// Print the address instead of opening a browser
    #[arg(long = "non-interactive", alias = "nonInteractive", global = true)]
    non_interactive: bool,
    #[command(subcommand)]
    step: Option<Step>,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Print the address to open, and stop there
    Start,
    /// Finish a sign-in with the code the page showed
    Complete {
        /// The code
        #[arg(value_parser = selector)]
        code: String,
    },
}

const BROWSER_LIMIT: Duration = Duration::from_secs(300);

pub fn run(session: &Session, args: LoginArgs) -> Result<()> {
    if let Some(Step::Complete { code }) = &args.step {
        return complete(session, code.trim());
    }
    let api_uri = &session.settings.api_uri;
    if !api_uri.is_encrypted() && !api_uri.is_loopback() {
        session.printer.warning(format!(
            "{} is not encrypted: others on the way can read the login",
            api_uri.as_str()
        ));
    }
    let attempt = Attempt::new(api_uri.clone(), &args);
    let has_person = std::io::stdin().is_terminal() && session.printer.stdout_is_terminal;
    let headless = args.step.is_some() || args.non_interactive || !has_person;
    if headless {
        headless_start(session, attempt)
    } else {
        with_browser(session, &attempt)
    }
}

/// One try to sign in: what is asked for, and the secrets that tie the answer to the question.
struct Attempt {
    api_uri: ApiUri,
    verifier: Secret,
    state: String,
    token_kind: TokenKind,
    client_name: Option<String>,
}

impl Attempt {
    fn new(api_uri: ApiUri, args: &LoginArgs) -> Self {
        Self {
            api_uri,
            verifier: Secret::new(pkce::random_token()),
            state: pkce::random_token(),
            token_kind: if args.tenant {
                TokenKind::Tenant
            } else {
                TokenKind::PlatformUser
            },
            client_name: args.client_name.clone(),
        }
    }

    fn authorization_url(&self, redirect_uri: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", CLIENT_ID)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("code_challenge", &pkce::challenge(self.verifier.expose()))
            .append_pair("code_challenge_method", "S256")
            .append_pair("state", &self.state)
            .append_pair("token_type", self.token_kind.as_str());
        if let Some(name) = &self.client_name {
            query.append_pair("client_name", name);
        }
        format!(
            "{}/oauth/authorize?{}",
            self.api_uri.as_str(),
            query.finish()
        )
    }
}

fn headless_start(session: &Session, attempt: Attempt) -> Result<()> {
    let redirect_uri = format!("{}/oauth/code", attempt.api_uri.as_str());
    let url = attempt.authorization_url(&redirect_uri);
    session.settings.store.save_pending(&PendingLogin {
        api_uri: attempt.api_uri.as_str().to_owned(),
        code_verifier: attempt.verifier,
        redirect_uri,
        token_kind: attempt.token_kind,
        client_name: attempt.client_name,
    })?;
    let next = "membrane login complete <code>";
    if session.printer.json {
        return session
            .printer
            .json_value(&json!({"authorizationUrl": url, "next": next}));
    }
    session.printer.line(format!("Open this address in a browser and sign in:\n\n  {url}\n\nThen finish with the code it shows:\n\n  {next}"))
}

fn with_browser(session: &Session, attempt: &Attempt) -> Result<()> {
    let listener = Loopback::bind()?;
    let redirect_uri = listener.redirect_uri();
    let url = attempt.authorization_url(&redirect_uri);
    let opened = in_browser(&url);
    session.printer.note(if opened {
        "Sign in on the page that opens in your browser. If none opens, use this address:"
    } else {
        "Open this address in your browser:"
    });
    session.printer.note(format!("\n  {url}\n"));
    session.printer.note("Waiting (at most 5 minutes) …");
    let code = listener.wait_for_code(&attempt.state, BROWSER_LIMIT)?;
    let asked = PendingLogin {
        api_uri: attempt.api_uri.as_str().to_owned(),
        code_verifier: attempt.verifier.clone(),
        redirect_uri,
        token_kind: attempt.token_kind,
        client_name: attempt.client_name.clone(),
    };
    exchange(session, &asked, &code)
}

fn complete(session: &Session, code: &str) -> Result<()> {
    let store = &session.settings.store;
    let pending = store.pending()?.ok_or_else(|| {
        CliError::local(
            "no_pending_login",
            anyhow::Error::msg("no sign-in was started here"),
        )
        .hint(
            "start with `membrane login --tenant`, open the address it prints, then bring its code",
        )
    })?;
    exchange(session, &pending, code)?;
    // Kept until here: a mistyped code can be tried again.
    store.clear_pending()
}

/// The code and the verifier become a login.
fn exchange(session: &Session, asked: &PendingLogin, code: &str) -> Result<()> {
    let other_gateway = asked.api_uri != session.settings.api_uri.as_str();
    let fresh_http;
    let http = if other_gateway {
        fresh_http = crate::http::Http::new(ApiUri::parse(&asked.api_uri)?)?;
        &fresh_http
    } else {
        session.http()?
    };
    let call = Call::post(&["oauth", "token"]).form(vec![
        ("grant_type", "authorization_code".into()),
        ("code", code.into()),
        ("redirect_uri", asked.redirect_uri.clone()),
        ("client_id", CLIENT_ID.into()),
        ("code_verifier", asked.code_verifier.expose().into()),
    ]);
    let answer = http.send(call).map_err(|error| match error {
        CliError::Api { status: 400 | 401, .. } => {
            error.hint("a code works once and for a short time: check it, or start again with `membrane login --tenant`")
        }
        other => other,
    })?;
    let token = TokenAnswer::read(&answer.value)?;
    let login = Login {
        access_token: token.access_token,
        refresh_token: token.refresh_token,
        expires_at: token.expires_at,
        token_kind: asked.token_kind,
        workspace_key: token.workspace_key,
        tenant_key: token.tenant_key,
        email: token.email,
        org_id: token.org_id,
        client_name: asked.client_name.clone(),
        derived: Default::default(),
    };
    let told = login.clone();
    session.settings.store.update(|credentials| {
        credentials.api_uri = Some(asked.api_uri.clone());
        credentials.logins.insert(asked.api_uri.clone(), login);
        Ok(())
    })?;
    report(session, &asked.api_uri, &told)
}

fn report(session: &Session, api_uri: &str, login: &Login) -> Result<()> {
    let printer = session.printer;
    if printer.json {
        return printer.json_value(&json!({
            "loggedIn": true, "apiUri": api_uri, "email": login.email, "tokenType": login.token_kind.as_str(),
            "workspaceKey": login.workspace_key, "tenantKey": login.tenant_key,
        }));
    }
    let who = login
        .email
        .as_ref()
        .map(|email| format!(" as {email}"))
        .unwrap_or_default();
    printer.line(crate::output::clean(&format!(
        "Logged in to {api_uri}{who}."
    )))?;
    printer.hint("next: `membrane connection ensure \"https://www.cloudtalk.io/\"`");
    if session.settings.access_token.is_some() {
        printer.warning("MEMBRANE_ACCESS_TOKEN is set and will be used instead of this login");
    }
    Ok(())
}
