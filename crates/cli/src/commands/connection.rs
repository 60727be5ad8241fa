//! `membrane connection …`

use super::list::{self, Page};
use crate::error::Result;
use crate::http::{Call, Method};
use crate::input::{json_object_argument, selector};
use crate::output::{Printer, first_text, text_at};
use crate::session::Session;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub enum ConnectionCommand {
    Ensure(EnsureArgs),
    Get(GetArgs),
    List(ListArgs),
    Create(CreateArgs),
    Patch(PatchArgs),
    Delete(DeleteArgs),
    Archive(DeleteArgs),
}

const ENSURE: &str = "\
Examples:
  membrane connection ensure \"https://www.cloudtalk.io/\" --json
  membrane connection ensure cloudtalk.io --name \"Sales phones\"

The same address gives the same connection every time. What to do next depends on its state:
  READY                   use it: membrane action list --connectionId=<id> --intent \"…\"
  BUILDING                wait: membrane connection get <id> --wait
  CLIENT_ACTION_REQUIRED  show clientAction.uiUrl to the person, then wait again";

/// Find the connection to an app by its address, or make it
#[derive(Debug, Args)]
#[command(after_help = ENSURE)]
pub struct EnsureArgs {
    /// Address or domain of the app
    #[arg(value_name = "URL_OR_DOMAIN", value_parser = selector)]
    app: String,
    /// Name for the connection, if it has to be made
    #[arg(long)]
    name: Option<String>,
}

const GET: &str = "\
Examples:
  membrane connection get con_123 --json
  membrane connection get con_123 --wait --timeout 60 --json

With --wait the answer comes when the state is no longer BUILDING, or when the time is up.";

/// Show a connection, waiting for it to be built if asked
#[derive(Debug, Args)]
#[command(after_help = GET)]
pub struct GetArgs {
    /// Id or key
    #[arg(value_name = "ID_OR_KEY", value_parser = selector)]
    connection: String,
    #[command(flatten)]
    wait: Wait,
}

/// The long poll, as all `get` commands have it.
#[derive(Debug, Clone, Args)]
pub struct Wait {
    /// Wait until the state changes
    #[arg(long)]
    wait: bool,
    /// With --wait: for at most this long (1-60)
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=60))]
    timeout: u16,
}

impl Wait {
    pub fn on<'a>(&self, call: Call<'a>) -> Call<'a> {
        if self.wait {
            call.query("wait", Some(true))
                .query("timeout", Some(self.timeout))
                .waits(u64::from(self.timeout))
        } else {
            call
        }
    }
}

const LIST: &str = "\
Examples:
  membrane connection list
  membrane connection list --search cloudtalk --limit 20 --json";

/// List connections
#[derive(Debug, Args)]
#[command(after_help = LIST)]
pub struct ListArgs {
    /// Only connections of this integration
    #[arg(long = "integrationKey", value_name = "KEY")]
    integration_key: Option<String>,
    /// The same, by id
    #[arg(long = "integrationId", value_name = "ID")]
    integration_id: Option<String>,
    /// Only those whose name has these words
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
    #[command(flatten)]
    page: Page,
}

const CREATE: &str = "\
Examples:
  membrane connection create \"CloudTalk of the support team\"

When you know the app's address, `connection ensure` is surer.";

/// Make a connection from a description
#[derive(Debug, Args)]
#[command(after_help = CREATE)]
pub struct CreateArgs {
    /// What to connect to, in words
    #[arg(value_parser = selector)]
    intent: String,
    /// Name for the connection
    #[arg(long)]
    name: Option<String>,
}

const PATCH: &str = "\
Examples:
  membrane connection patch con_123 --data '{\"connectionKey\": \"cloudtalk-work\"}'
  membrane connection patch con_123 --data '{\"input\": {\"keyId\": \"…\", \"keySecret\": \"…\"}}'
  membrane connection patch con_123 --data @input.json      keeps a secret out of the shell's history";

/// Change a connection, or give it what it asks for
#[derive(Debug, Args)]
#[command(after_help = PATCH)]
pub struct PatchArgs {
    /// Id or key
    #[arg(value_name = "ID_OR_KEY", value_parser = selector)]
    connection: String,
    /// What to change, a JSON object; @FILE reads it, @- from standard input
    #[arg(short, long, value_name = "JSON", allow_hyphen_values = true)]
    data: String,
}

const DELETE: &str = "\
Examples:
  membrane connection delete con_123

`delete` and `archive` are two names for the same: it can no longer be used, its records stay.";

/// Archive a connection
#[derive(Debug, Args)]
#[command(after_help = DELETE)]
pub struct DeleteArgs {
    /// Id or key
    #[arg(value_name = "ID_OR_KEY", value_parser = selector)]
    connection: String,
}

pub fn run(session: &Session, command: ConnectionCommand) -> Result<()> {
    let call = match command {
        ConnectionCommand::List(args) => return list(session, &args),
        ConnectionCommand::Delete(args) | ConnectionCommand::Archive(args) => {
            return archive(session, &args.connection);
        }
        ConnectionCommand::Ensure(args) => Call::post(&["connections", "ensure"])
            .json(&ensure_body(&args.app, args.name.as_deref())),
        ConnectionCommand::Get(args) => args.wait.on(Call::get(&["connections", &args.connection])),
        ConnectionCommand::Create(args) => {
            Call::post(&["connections"]).json(&intent_body(&args.intent, args.name.as_deref()))
        }
        ConnectionCommand::Patch(args) => {
            let data = json_object_argument("--data", &args.data)?;
            Call::new(Method::PATCH, &["connections", &args.connection]).json_text(data)
        }
    };
    let answer = session.send(call)?;
    if session.printer.json {
        return session.printer.json_text(&answer.text);
    }
    show(session.printer, &answer.value)
}

pub fn ensure_body(app: &str, name: Option<&str>) -> Value {
    with_name(json!({"appUrl": app}), name)
}

pub fn intent_body(intent: &str, name: Option<&str>) -> Value {
    with_name(json!({"intent": intent}), name)
}

fn with_name(mut body: Value, name: Option<&str>) -> Value {
    if let Some(name) = name {
        body["name"] = json!(name);
    }
    body
}

fn list(session: &Session, args: &ListArgs) -> Result<()> {
    let call = Call::get(&["connections"])
        .query("integrationKey", args.integration_key.as_ref())
        .query("integrationId", args.integration_id.as_ref())
        .query("search", args.search.as_ref());
    let answer = session.send(args.page.on(call))?;
    list::print(
        session.printer,
        &answer,
        &[
            ("id", &["/id"]),
            ("key", &["/key"]),
            ("name", &["/name"]),
            ("state", &["/state"]),
        ],
        "No connections. `membrane connection ensure <url>` makes one.",
    )
}

fn archive(session: &Session, connection: &str) -> Result<()> {
    let answer = session.send(Call::new(Method::DELETE, &["connections", connection]))?;
    if session.printer.json {
        session.printer.json_text(&answer.text)
    } else {
        session.printer.line(format!("Archived {connection}."))
    }
}

/// A connection for eyes: what it is, and what comes next.
pub fn show(printer: Printer, connection: &Value) -> Result<()> {
    let id = text_at(connection, "/id").unwrap_or_default();
    let state = text_at(connection, "/state").unwrap_or_default();
    printer.pairs(&[
        ("Connection", text_at(connection, "/id")),
        ("Name", text_at(connection, "/name")),
        ("Key", text_at(connection, "/key")),
        ("State", text_at(connection, "/state")),
        (
            "Error",
            first_text(
                connection,
                &["/error/message", "/error", "/errors/0/message", "/errors/0"],
            ),
        ),
        ("To do", text_at(connection, "/clientAction/description")),
        ("Open", text_at(connection, "/clientAction/uiUrl")),
        (
            "For agents",
            text_at(connection, "/clientAction/agentInstructions"),
        ),
    ])?;
    match state.as_str() {
        "READY" => printer.hint(format!(
            "find an action with `membrane action list --connectionId={id} --intent \"…\"`"
        )),
        "BUILDING" => printer.hint(format!("wait with `membrane connection get {id} --wait`")),
        "CLIENT_ACTION_REQUIRED" => printer.hint(format!(
            "when it is done, look again with `membrane connection get {id}`"
        )),
        _ => {}
    }
    Ok(())
}
