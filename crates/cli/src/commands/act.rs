//! `membrane act`

use super::run_output;
use crate::error::Result;
use crate::http::Call;
use crate::input::{json_argument, json_object_argument, object_of, selector};
use crate::session::Session;
use clap::{ArgGroup, Args};
use serde_json::Value;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  membrane act --key list-agents --connectionId=con_123
  membrane act --api '{\"method\": \"GET\", \"path\": \"/agents/index.json\"}' --connectionId=con_123 --json

Exactly one of --api, --code, --key and --id says what to do.";

/// Do one thing in an app: an action, a request or a piece of code
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("what").required(true).args(["api", "code", "key", "id"]))]
pub struct ActArgs {
    /// A request to the app: {method, path, query?, headers?, body?}
    #[arg(long, value_name = "JSON")]
    api: Option<String>,
    /// A JavaScript module exporting a function
    #[arg(long, value_name = "JS")]
    code: Option<String>,
    /// An action by its key
    #[arg(long, value_parser = selector)]
    key: Option<String>,
    /// An action by its id
    #[arg(long, value_parser = selector)]
    id: Option<String>,
    #[command(flatten)]
    scope: super::scope::Scope,
    /// Input, JSON; @FILE reads it, @- from standard input
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    input: Option<String>,
    /// Notes to keep with the run, a JSON object
    #[arg(long, value_name = "JSON")]
    meta: Option<String>,
    /// Save the output: decoded when it is a file, as JSON otherwise
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(session: &Session, args: ActArgs) -> Result<()> {
    let text = |value: &Option<String>| {
        value
            .as_ref()
            .map(|text| Value::from(text.as_str()).to_string())
    };
    let mut parts = vec![
        (
            "api",
            args.api
                .as_deref()
                .map(|api| json_object_argument("--api", api))
                .transpose()?,
        ),
        ("code", text(&args.code)),
        ("key", text(&args.key)),
        ("id", text(&args.id)),
        (
            "input",
            args.input
                .as_deref()
                .map(|input| json_argument("--input", input))
                .transpose()?,
        ),
        (
            "meta",
            args.meta
                .as_deref()
                .map(|meta| json_object_argument("--meta", meta))
                .transpose()?,
        ),
    ];
    parts.extend(
        args.scope
            .members()
            .map(|(name, value)| (name, text(&value.cloned()))),
    );
    let given: Vec<_> = parts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let answer = session.send(Call::post(&["act"]).json_text(object_of(&given)))?;
    run_output::print(session.printer, &answer, args.output.as_ref())
}
