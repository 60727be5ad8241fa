//! `membrane agent-session …`

use super::connection::Wait;
use super::list::{self, Page};
use crate::error::Result;
use crate::http::{Answer, Call};
use crate::input::selector;
use crate::output::{Printer, first_text, text_at};
use crate::session::Session;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub enum AgentSessionCommand {
    Create(CreateArgs),
    /// List sessions
    List(Page),
    Get(GetArgs),
    Send(SendArgs),
    /// Stop what a session is doing
    Abort(SessionId),
    /// Show what was said in a session
    Messages(SessionId),
}

const CREATE: &str = "\
Examples:
  membrane agent-session create --agent connection-building --message \"Connect our ticket system at help.example.com\"";

/// Start a session that builds something
#[derive(Debug, Args)]
#[command(after_help = CREATE)]
pub struct CreateArgs {
    /// Which builder
    #[arg(long, value_name = "AGENT", value_parser = ["connection-building", "action-building", "membrane"])]
    agent: Option<String>,
    /// What it shall do
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    message: String,
}

/// Show a session, waiting until it is idle if asked
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  membrane agent-session get <id> --wait --timeout 60")]
pub struct GetArgs {
    #[command(flatten)]
    session: SessionId,
    #[command(flatten)]
    wait: Wait,
}

/// Say something more to a session
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  membrane agent-session send <id> --message \"Use the sandbox address\""
)]
pub struct SendArgs {
    #[command(flatten)]
    session: SessionId,
    /// What to say
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    message: String,
}

#[derive(Debug, Args)]
pub struct SessionId {
    /// Id of the session
    #[arg(value_parser = selector)]
    id: String,
}

pub fn run(session: &Session, command: AgentSessionCommand) -> Result<()> {
    let printer = session.printer;
    match command {
        AgentSessionCommand::Create(args) => {
            let mut body = json!({"prompt": args.message});
            if let Some(agent) = args.agent {
                body["agentName"] = json!(agent);
            }
            show(
                printer,
                &session.send(Call::post(&["agent", "sessions"]).json(&body))?,
            )
        }
        AgentSessionCommand::List(page) => {
            let answer = session.send(page.on(Call::get(&["agent", "sessions"])))?;
            let columns: &[list::Column] = &[
                ("id", &["/id"]),
                ("status", &["/status"]),
                ("state", &["/state"]),
                ("title", &["/title", "/prompt"]),
            ];
            list::print(printer, &answer, columns, "No sessions.")
        }
        AgentSessionCommand::Get(args) => show(
            printer,
            &session.send(
                args.wait
                    .on(Call::get(&["agent", "sessions", &args.session.id])),
            )?,
        ),
        AgentSessionCommand::Send(args) => {
            let call = Call::post(&["agent", "sessions", &args.session.id, "message"]);
            done(
                printer,
                &session.send(call.json(&json!({"input": args.message})))?,
                "Sent.",
            )
        }
        AgentSessionCommand::Abort(args) => done(
            printer,
            &session.send(Call::post(&["agent", "sessions", &args.id, "interrupt"]))?,
            "Stopped.",
        ),
        AgentSessionCommand::Messages(args) => messages(
            printer,
            &session.send(Call::get(&["agent", "sessions", &args.id, "messages"]))?,
        ),
    }
}

fn done(printer: Printer, answer: &Answer, said: &str) -> Result<()> {
    if printer.json {
        printer.json_text(&answer.text)
    } else {
        printer.line(said)
    }
}

fn show(printer: Printer, answer: &Answer) -> Result<()> {
    if printer.json {
        return printer.json_text(&answer.text);
    }
    let it = &answer.value;
    printer.pairs(&[
        ("Session", text_at(it, "/id")),
        ("Status", text_at(it, "/status")),
        ("State", text_at(it, "/state")),
        ("Title", text_at(it, "/title")),
        ("Summary", text_at(it, "/summary")),
        ("Error", first_text(it, &["/error/message", "/error"])),
    ])
}

fn messages(printer: Printer, answer: &Answer) -> Result<()> {
    if printer.json {
        return printer.json_text(&answer.text);
    }
    for message in list::items(&answer.value) {
        let role = first_text(message, &["/role", "/info/role"]).unwrap_or_default();
        let parts = message
            .get("parts")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let text: Vec<_> = parts
            .iter()
            .filter_map(|part| text_at(part, "/text"))
            .collect();
        printer.line(crate::output::clean(&format!(
            "{role}: {}",
            text.join("\n")
        )))?;
    }
    Ok(())
}
