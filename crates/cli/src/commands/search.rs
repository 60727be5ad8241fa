//! `membrane search`

use super::list::{self, Page};
use crate::error::Result;
use crate::http::Call;
use crate::input::selector;
use crate::session::Session;
use clap::Args;
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  membrane search cloudtalk
  membrane search \"send sms\" --elementType action --limit 5 --json";

/// Search apps, connectors, connections and actions at once
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SearchArgs {
    /// Words to look for
    #[arg(value_parser = selector)]
    query: String,
    /// Only this kind: connector, app, integration, action, connection
    #[arg(long = "elementType", value_name = "TYPE")]
    element_type: Option<String>,
    #[command(flatten)]
    page: Page,
}

pub fn run(session: &Session, args: SearchArgs) -> Result<()> {
    let call = Call::get(&["search"])
        .query("q", Some(args.query))
        .query("elementType", args.element_type);
    let answer = session.send(args.page.on(call))?;
    if session.printer.json {
        return session.printer.json_value(&with_output(answer.value));
    }
    list::print(
        session.printer,
        &answer,
        &[
            ("type", &["/elementType"]),
            ("id", &["/element/id"]),
            ("key", &["/element/key"]),
            ("name", &["/element/name"]),
            ("score", &["/score"]),
        ],
        "Nothing found.",
    )
}

/// Published instructions read the hits at `output.items` as well as at `items`.
fn with_output(mut answer: Value) -> Value {
    let items = answer.get("items").cloned();
    if let (Some(object), Some(items)) = (answer.as_object_mut(), items) {
        object.insert("output".into(), json!({"items": items}));
    }
    answer
}
