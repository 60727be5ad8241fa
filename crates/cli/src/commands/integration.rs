//! `membrane integration …`

use super::list::{self, Page};
use crate::error::Result;
use crate::http::Call;
use crate::session::Session;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum IntegrationCommand {
    List(ListArgs),
}

const EXAMPLES: &str = "\
Examples:
  membrane integration list
  membrane integration list --search crm --connectors 1 --json";

/// List the apps this workspace uses
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ListArgs {
    /// Only those whose name has these words
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
    /// Also connectors that could become integrations
    #[arg(long, value_name = "0|1", num_args = 0..=1, default_missing_value = "1")]
    connectors: Option<String>,
    /// Also apps of the catalogue that could become integrations
    #[arg(long = "externalApps", value_name = "0|1", num_args = 0..=1, default_missing_value = "1")]
    external_apps: Option<String>,
    #[command(flatten)]
    page: Page,
}

pub fn run(session: &Session, command: IntegrationCommand) -> Result<()> {
    let IntegrationCommand::List(args) = command;
    let call = Call::get(&["integrations"])
        .query("search", args.search)
        .query("connectors", args.connectors)
        .query("externalApps", args.external_apps);
    let answer = session.send(args.page.on(call))?;
    list::print(
        session.printer,
        &answer,
        &[("id", &["/id"]), ("key", &["/key"]), ("name", &["/name"])],
        "No integrations.",
    )
}
