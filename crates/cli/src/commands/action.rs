//! `membrane action …`

use super::connection::Wait;
use super::list::{self, Page};
use super::run_output;
use super::scope::Scope;
use crate::error::{CliError, Result};
use crate::http::{Answer, Call, Method};
use crate::input::{json_object_argument, object_of, selector};
use crate::json_text;
use crate::output::text_at;
use crate::session::Session;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum ActionCommand {
    List(ListArgs),
    Get(GetArgs),
    Run(RunArgs),
    Create(CreateArgs),
    Update(ChangeArgs),
    Replace(ReplaceArgs),
    Delete(DeleteArgs),
}

const LIST: &str = "\
Examples:
  membrane action list --connectionId=con_123 --intent \"download a call recording\" --limit 10 --json
  membrane action list --connectionId=con_123

Say what you want to do; the best match comes first. Each has an inputSchema that says what `action run` takes.";

/// Find actions, best match for an intent first
#[derive(Debug, Args)]
#[command(after_help = LIST)]
pub struct ListArgs {
    #[command(flatten)]
    scope: Scope,
    /// Only actions for this app of the catalogue
    #[arg(long = "externalAppId", value_name = "ID")]
    external_app_id: Option<String>,
    /// What you want to do, in your own words (at most 200 characters)
    #[arg(long, value_name = "QUERY")]
    intent: Option<String>,
    #[command(flatten)]
    page: Page,
}

/// A ranked list is only good at its top.
const BEST_MATCHES: u16 = 10;

const GET: &str = "\
Examples:
  membrane action get send-sms --connectionId=con_123
  membrane action get 66f1c0ffee66f1c0ffee0001 --wait --json";

/// Show an action with its input and output schema
#[derive(Debug, Args)]
#[command(after_help = GET)]
pub struct GetArgs {
    /// Id or key
    #[arg(value_name = "ID_OR_KEY", value_parser = selector)]
    action: String,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    wait: Wait,
}

const RUN: &str = "\
Examples:
  membrane action run list-calls --connectionId=con_123 --json
  membrane action run send-sms --connectionId=con_123 \\
    --input '{\"recipient\": \"+421900000001\", \"sender\": \"+421200000001\", \"message\": \"Hello\"}'
  membrane action run create-contact --connectionId=con_123 --input @contact.json
  membrane action run get-call-recording --connectionId=con_123 --input '{\"callId\": \"1\"}' --output call.wav

The result is in `output` of the JSON.";

/// Run an action
#[derive(Debug, Args)]
#[command(after_help = RUN)]
pub struct RunArgs {
    /// Id or key
    #[arg(value_name = "ID_OR_KEY", value_parser = selector)]
    action: String,
    #[command(flatten)]
    scope: Scope,
    /// Its input, a JSON object; @FILE reads it, @- from standard input
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    input: Option<String>,
    /// Save the output: decoded when it is a file, as JSON otherwise
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const CREATE: &str = "\
Examples:
  membrane action create \"list the calls of an agent\" --connectionId=con_123
  membrane action create --key list-tags --name \"List tags\" --connectionId=con_123 \\
    --type api-request-to-external-app --config '{\"request\": {\"method\": \"GET\", \"path\": \"/tags/index.json\"}}'";

/// Make an action, from a description or from a definition
#[derive(Debug, Args)]
#[command(after_help = CREATE)]
pub struct CreateArgs {
    /// What it shall do, in words
    #[arg(value_name = "INTENT")]
    words: Option<String>,
    /// The same as a flag
    #[arg(long, conflicts_with = "words")]
    intent: Option<String>,
    /// Key to call it by
    #[arg(long)]
    key: Option<String>,
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    /// Kind of action, such as api-request-to-external-app
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// What it does, a JSON object for its type
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// What it takes, a JSON Schema
    #[arg(long = "inputSchema", value_name = "JSON")]
    input_schema: Option<String>,
    #[command(flatten)]
    scope: Scope,
}

/// Change some members of an action
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  membrane action update list-tags --connectionId=con_123 --data '{\"name\": \"All tags\"}'"
)]
pub struct ChangeArgs {
    #[command(flatten)]
    change: Change,
}

/// Put a whole new definition in an action's place
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  membrane action replace list-tags --connectionId=con_123 --data @list-tags.json"
)]
pub struct ReplaceArgs {
    #[command(flatten)]
    change: Change,
}

#[derive(Debug, Args)]
struct Change {
    /// Id or key
    #[arg(value_name = "ID_OR_KEY", value_parser = selector)]
    action: String,
    /// The members, a JSON object; @FILE reads it, @- from standard input
    #[arg(short, long, value_name = "JSON", allow_hyphen_values = true)]
    data: String,
    #[command(flatten)]
    scope: Scope,
}

/// Delete an action
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  membrane action delete list-tags --connectionId=con_123")]
pub struct DeleteArgs {
    /// Id or key
    #[arg(value_name = "ID_OR_KEY", value_parser = selector)]
    action: String,
    #[command(flatten)]
    scope: Scope,
}

pub fn run(session: &Session, command: ActionCommand) -> Result<()> {
    match command {
        ActionCommand::List(args) => list(session, args),
        ActionCommand::Get(args) => get(session, &args),
        ActionCommand::Run(args) => run_action(session, &args),
        ActionCommand::Create(args) => create(session, args),
        ActionCommand::Update(args) => change(session, Method::PATCH, &args.change),
        ActionCommand::Replace(args) => change(session, Method::PUT, &args.change),
        ActionCommand::Delete(args) => delete(session, &args),
    }
}

fn list(session: &Session, args: ListArgs) -> Result<()> {
    let mut page = args.page;
    if args.intent.is_some() {
        page.limit = page.limit.or(Some(BEST_MATCHES));
    }
    let call = args
        .scope
        .on(Call::get(&["actions"]))
        .query("externalAppId", args.external_app_id)
        .query("intent", args.intent);
    let answer = session.send(page.on(call))?;
    list::print(
        session.printer,
        &answer,
        &[
            ("key", &["/key", "/id"]),
            ("name", &["/name"]),
            ("description", &["/description"]),
        ],
        "No action fits. `membrane request` reaches the app directly.",
    )
}

fn get(session: &Session, args: &GetArgs) -> Result<()> {
    let call = args.scope.on(Call::get(&["actions", &args.action]));
    show(session, &session.send(args.wait.on(call))?)
}

fn show(session: &Session, answer: &Answer) -> Result<()> {
    let printer = session.printer;
    if printer.json {
        return printer.json_text(&answer.text);
    }
    let action = &answer.value;
    printer.pairs(&[
        (
            "Action",
            text_at(action, "/key").or_else(|| text_at(action, "/id")),
        ),
        ("Id", text_at(action, "/id")),
        ("Name", text_at(action, "/name")),
        ("About", text_at(action, "/description")),
        ("State", text_at(action, "/state")),
        (
            "Error",
            text_at(action, "/errors/0/message").or_else(|| text_at(action, "/errors/0")),
        ),
    ])?;
    for (title, member) in [("Input", "inputSchema"), ("Output", "outputSchema")] {
        if let Some(schema) = action.get(member).filter(|schema| !schema.is_null()) {
            printer.line(format!(
                "{title} schema:\n{}",
                json_text::pretty(&schema.to_string()).unwrap_or_default()
            ))?;
        }
    }
    Ok(())
}

fn run_action(session: &Session, args: &RunArgs) -> Result<()> {
    let input = args
        .input
        .as_deref()
        .map(|text| json_object_argument("--input", text))
        .transpose()?;
    let body = input.map_or_else(|| "{}".to_owned(), |input| object_of(&[("input", input)]));
    let call = args
        .scope
        .on(Call::post(&["actions", &args.action, "run"]))
        .json_text(body);
    let answer = session
        .send(call)
        .map_err(|error| explain_missing_scope(error, args))?;
    run_output::print(session.printer, &answer, args.output.as_ref())
}

fn explain_missing_scope(error: CliError, args: &RunArgs) -> CliError {
    let unscoped = args
        .scope
        .members()
        .iter()
        .all(|(_, value)| value.is_none());
    match &error {
        CliError::Api {
            status: 400 | 404,
            hint: None,
            ..
        } if unscoped => error.hint("name the connection to run it through: --connectionId=<id>"),
        CliError::Api {
            status: 400,
            body,
            hint: None,
        } if body.get("key").and_then(Value::as_str).is_none() => {
            let name = &args.action;
            error.hint(format!("`membrane action get {name}` shows what it takes"))
        }
        _ => error,
    }
}

fn create(session: &Session, args: CreateArgs) -> Result<()> {
    let text = |value: &Option<String>| {
        value
            .as_ref()
            .map(|text| Value::from(text.as_str()).to_string())
    };
    let config = args
        .config
        .as_deref()
        .map(|text| json_object_argument("--config", text))
        .transpose()?;
    let schema = args
        .input_schema
        .as_deref()
        .map(|text| json_object_argument("--inputSchema", text))
        .transpose()?;
    let intent = args.words.or(args.intent);
    if intent.is_none() && config.is_none() && args.kind.is_none() {
        return Err(CliError::usage("nothing says what the action shall do")
            .hint("describe it in words, or give --type and --config"));
    }
    let own = [
        ("intent", text(&intent)),
        ("key", text(&args.key)),
        ("name", text(&args.name)),
        ("type", text(&args.kind)),
    ];
    let scope = args
        .scope
        .members()
        .map(|(name, value)| (name, text(&value.cloned())));
    let given = own
        .into_iter()
        .chain([("config", config), ("inputSchema", schema)])
        .chain(scope);
    let parts: Vec<_> = given
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let answer = session.send(Call::post(&["actions"]).json_text(object_of(&parts)))?;
    show(session, &answer)
}

fn change(session: &Session, method: Method, change: &Change) -> Result<()> {
    let data = json_object_argument("--data", &change.data)?;
    let call = change
        .scope
        .on(Call::new(method, &["actions", &change.action]))
        .json_text(data);
    show(session, &session.send(call)?)
}

fn delete(session: &Session, args: &DeleteArgs) -> Result<()> {
    let call = args
        .scope
        .on(Call::new(Method::DELETE, &["actions", &args.action]));
    let answer = session.send(call)?;
    if session.printer.json {
        session.printer.json_text(&answer.text)
    } else {
        session.printer.line(format!("Deleted {}.", args.action))
    }
}
