//! `membrane external-app …`

use super::list::{self, Page};
use crate::error::Result;
use crate::http::Call;
use crate::session::Session;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum ExternalAppCommand {
    List(ListArgs),
}

const EXAMPLES: &str = "\
Examples:
  membrane external-app list --search cloudtalk --json";

/// List the apps of the catalogue
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ListArgs {
    /// Only those whose name has these words
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
    #[command(flatten)]
    page: Page,
}

pub fn run(session: &Session, command: ExternalAppCommand) -> Result<()> {
    let ExternalAppCommand::List(args) = command;
    let answer = session.send(
        args.page
            .on(Call::get(&["external-apps"]).query("search", args.search)),
    )?;
    let columns: &[list::Column] = &[
        ("id", &["/id"]),
        ("key", &["/key"]),
        ("name", &["/name"]),
        ("url", &["/appUrl", "/url", "/domain"]),
    ];
    list::print(session.printer, &answer, columns, "No app by that name.")
}
