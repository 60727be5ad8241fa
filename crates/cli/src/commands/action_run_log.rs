//! `membrane action-run-log …`

use crate::error::Result;
use crate::http::Call;
use crate::input::selector;
use crate::json_text;
use crate::output::{first_text, text_at};
use crate::session::Session;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum ActionRunLogCommand {
    Get(GetArgs),
}

const EXAMPLES: &str = "\
Examples:
  membrane action-run-log get <actionRunId>
  membrane action-run-log get <actionRunId> --details --json";

/// Show what one run did
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GetArgs {
    /// The actionRunId of a run
    #[arg(value_parser = selector)]
    id: String,
    /// With the request that went to the app and its answer
    #[arg(long)]
    details: bool,
}

pub fn run(session: &Session, command: ActionRunLogCommand) -> Result<()> {
    let ActionRunLogCommand::Get(args) = command;
    let mut path = vec!["action-run-logs", &args.id];
    if args.details {
        path.push("details");
    }
    let answer = session.send(Call::get(&path))?;
    if session.printer.json {
        return session.printer.json_text(&answer.text);
    }
    if args.details {
        return session
            .printer
            .line(json_text::pretty(&answer.text).unwrap_or(answer.text));
    }
    let run = &answer.value;
    session.printer.pairs(&[
        ("Run", text_at(run, "/id")),
        (
            "Action",
            first_text(run, &["/action/key", "/action/name", "/name", "/actionId"]),
        ),
        (
            "Connection",
            first_text(run, &["/connection/name", "/connectionId"]),
        ),
        ("Status", text_at(run, "/status")),
        ("Started", text_at(run, "/createdAt")),
        (
            "Took",
            text_at(run, "/duration").map(|ms| format!("{ms} ms")),
        ),
        ("Error", first_text(run, &["/error/message", "/error"])),
    ])
}
