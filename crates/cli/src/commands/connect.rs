//! `membrane connect`: the way for people. Opens the page and stays until the connection is there.

use super::connection::{self, ensure_body, intent_body};
use super::connection_request::Target;
use super::open::in_browser;
use crate::error::{CliError, Result};
use crate::http::Call;
use crate::output::text_at;
use crate::session::{Session, now};
use clap::Args;
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  membrane connect cloudtalk.io
  membrane connect --integrationKey cloudtalk --name \"Sales phones\"
  membrane connect --connectionId con_123                 connect it again
  membrane connect cloudtalk.io --non-interactive         only print the page's address";

/// Connect an app in the browser and wait until it is done
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ConnectArgs {
    /// Address of the app, or what to connect to in words
    #[arg(value_name = "APP")]
    app: Option<String>,
    #[command(flatten)]
    target: Target,
    /// What to connect to, in words
    #[arg(long, conflicts_with = "app")]
    intent: Option<String>,
    /// Make a second connection even if there is one already
    #[arg(long = "allowMultipleConnections")]
    allow_multiple: bool,
    /// Print the page's address and do not wait
    #[arg(long = "non-interactive", alias = "nonInteractive")]
    non_interactive: bool,
}

/// As long as a person may take over a sign-in page.
const PATIENCE_SECONDS: i64 = 900;

pub fn run(session: &Session, args: ConnectArgs) -> Result<()> {
    let printer = session.printer;
    let mut begun = begin(session, &args)?;
    let interactive =
        !args.non_interactive && printer.stdout_is_terminal && std::io::stdin().is_terminal();
    let Some(url) = begun.url().filter(|_| !begun.is_done()) else {
        return begun.finish(session);
    };
    if !interactive {
        if printer.json {
            return printer.json_value(&begun.object);
        }
        printer.line(&url)?;
        printer.hint("give this address to the person who owns the account");
        return Ok(());
    }
    printer.note(format!("Connect in your browser: {url}"));
    in_browser(&url);
    let end = now() + PATIENCE_SECONDS;
    while !begun.is_done() {
        if now() > end {
            let error = anyhow::Error::msg("nobody finished the page within 15 minutes");
            return Err(
                CliError::local("not_connected", error).hint(format!("it is still open at {url}"))
            );
        }
        // A person is at work on the other side; once a second is soon enough for them and little for the server.
        std::thread::sleep(Duration::from_secs(1));
        begun.look_again(session)?;
    }
    begun.finish(session)
}

/// Either a connection that wants something, or an invitation to make one.
struct Begun {
    is_request: bool,
    object: Value,
}

fn begin(session: &Session, args: &ConnectArgs) -> Result<Begun> {
    let target = &args.target;
    let name = target.name.as_deref();
    if let Some(words) = args.app.as_ref().or(args.intent.as_ref()) {
        let is_address = args.app.is_some() && words.contains('.') && !words.trim().contains(' ');
        let call = if is_address {
            Call::post(&["connections", "ensure"]).json(&ensure_body(words, name))
        } else {
            Call::post(&["connections"]).json(&intent_body(words, name))
        };
        return Ok(Begun {
            is_request: false,
            object: session.send(call)?.value,
        });
    }
    if let Some(connection) = target
        .connection_id
        .as_ref()
        .or(target.connection_key.as_ref())
    {
        let object = session
            .send(Call::post(&["connections", connection, "reconnect"]))?
            .value;
        return Ok(Begun {
            is_request: false,
            object,
        });
    }
    if target.members().is_empty() {
        return Err(CliError::usage("nothing says what to connect")
            .hint("give the app's address: `membrane connect cloudtalk.io`, or a flag such as --integrationKey"));
    }
    let mut body = target.request_body();
    if args.allow_multiple {
        body["allowMultipleConnections"] = json!(true);
    }
    Ok(Begun {
        is_request: true,
        object: session
            .send(Call::post(&["connection-requests"]).json(&body))?
            .value,
    })
}

impl Begun {
    fn url(&self) -> Option<String> {
        text_at(
            &self.object,
            if self.is_request {
                "/url"
            } else {
                "/clientAction/uiUrl"
            },
        )
    }

    fn is_done(&self) -> bool {
        if self.is_request {
            text_at(&self.object, "/status").is_some_and(|status| status != "pending")
        } else {
            text_at(&self.object, "/state").is_none_or(|state| {
                !matches!(state.as_str(), "CLIENT_ACTION_REQUIRED" | "BUILDING")
            })
        }
    }

    fn look_again(&mut self, session: &Session) -> Result<()> {
        let (list, id) = if self.is_request {
            ("connection-requests", "/requestId")
        } else {
            ("connections", "/id")
        };
        let id = text_at(&self.object, id).unwrap_or_default();
        self.object = session.send(Call::get(&[list, &id]))?.value;
        Ok(())
    }

    /// The connection that came of it.
    fn finish(self, session: &Session) -> Result<()> {
        let connection = match text_at(&self.object, "/resultConnectionId") {
            Some(id) => session.send(Call::get(&["connections", &id]))?.value,
            None if self.is_request => {
                let why = text_at(&self.object, "/resultError/message")
                    .or_else(|| text_at(&self.object, "/resultError"));
                let status = text_at(&self.object, "/status").unwrap_or_default();
                let message = why.unwrap_or_else(|| format!("the request ended as {status}"));
                return Err(CliError::local(
                    "not_connected",
                    anyhow::Error::msg(message),
                ));
            }
            None => self.object,
        };
        if session.printer.json {
            session.printer.json_value(&connection)
        } else {
            connection::show(session.printer, &connection)
        }
    }
}
