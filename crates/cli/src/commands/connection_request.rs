//! `membrane connection-request …`

use crate::error::{CliError, Result};
use crate::http::Call;
use crate::input::selector;
use crate::output::{Printer, text_at};
use crate::session::Session;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

#[derive(Debug, Subcommand)]
pub enum ConnectionRequestCommand {
    Create(CreateArgs),
    Get(GetArgs),
}

const CREATE: &str = "\
Examples:
  membrane connection-request create --integrationKey cloudtalk --json
  membrane connection-request create --connectionId con_123         to connect it again

Give the url to the person; `connection-request get <requestId>` tells when they are done.";

/// Make a link a person can open to connect an app
#[derive(Debug, Args)]
#[command(after_help = CREATE)]
pub struct CreateArgs {
    #[command(flatten)]
    target: Target,
}

/// What is to be connected. `connect` takes the same flags.
#[derive(Debug, Clone, Default, Args)]
pub struct Target {
    /// Connector to use
    #[arg(long = "connectorId", value_name = "ID", value_parser = selector)]
    pub connector_id: Option<String>,
    /// The same, by its key
    #[arg(long = "connectorKey", value_name = "KEY", value_parser = selector)]
    pub connector_key: Option<String>,
    /// Integration to connect
    #[arg(long = "integrationId", value_name = "ID", value_parser = selector)]
    pub integration_id: Option<String>,
    /// The same, by its key
    #[arg(long = "integrationKey", value_name = "KEY", value_parser = selector)]
    pub integration_key: Option<String>,
    /// Connection to connect again
    #[arg(long = "connectionId", value_name = "ID", value_parser = selector)]
    pub connection_id: Option<String>,
    /// The same, by its key
    #[arg(long = "connectionKey", value_name = "KEY", value_parser = selector)]
    pub connection_key: Option<String>,
    /// Name for the connection
    #[arg(long)]
    pub name: Option<String>,
}

impl Target {
    /// The members that were given; empty when nothing says what to connect.
    pub fn members(&self) -> Map<String, Value> {
        let all = [
            ("connectorId", &self.connector_id),
            ("connectorKey", &self.connector_key),
            ("integrationId", &self.integration_id),
            ("integrationKey", &self.integration_key),
            ("connectionId", &self.connection_id),
            ("connectionKey", &self.connection_key),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))))
            .collect()
    }

    pub fn request_body(&self) -> Value {
        let mut members = self.members();
        if let Some(name) = &self.name {
            members.insert("name".into(), json!(name));
        }
        Value::Object(members)
    }
}

const GET: &str = "\
Examples:
  membrane connection-request get <requestId> --json";

/// Show whether the person is done
#[derive(Debug, Args)]
#[command(after_help = GET)]
pub struct GetArgs {
    #[arg(value_name = "REQUEST_ID", value_parser = selector)]
    request: String,
}

pub fn run(session: &Session, command: ConnectionRequestCommand) -> Result<()> {
    let answer = match command {
        ConnectionRequestCommand::Create(args) => {
            if args.target.members().is_empty() {
                return Err(CliError::usage("nothing says what to connect")
                    .hint("give --integrationKey, --connectorId or --connectionId; `membrane connection ensure <url>` needs none"));
            }
            session.send(Call::post(&["connection-requests"]).json(&args.target.request_body()))?
        }
        ConnectionRequestCommand::Get(args) => {
            session.send(Call::get(&["connection-requests", &args.request]))?
        }
    };
    if session.printer.json {
        session.printer.json_text(&answer.text)
    } else {
        show(session.printer, &answer.value)
    }
}

fn show(printer: Printer, request: &Value) -> Result<()> {
    printer.pairs(&[
        ("Request", text_at(request, "/requestId")),
        ("Status", text_at(request, "/status")),
        ("Open", text_at(request, "/url")),
        ("Connection", text_at(request, "/resultConnectionId")),
        (
            "Error",
            text_at(request, "/resultError/message").or_else(|| text_at(request, "/resultError")),
        ),
    ])
}
