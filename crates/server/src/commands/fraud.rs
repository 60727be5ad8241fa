//! `trunkline fraud`: whose outgoing calls are stopped, and letting him call again.

use std::process::ExitCode;

use anstream::println;
use clap::Subcommand;
use serde_json::{Value, json};

use super::ConfigArgs;
use crate::control::Operator;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show whose outgoing calls are stopped, and why
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Let somebody call out again
    Release {
        /// The agent's extension, id or name; or the company's name when all of it is stopped
        name: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List { json, config } => {
            let mut operator = Operator::reach(&config.load()?.data)?;
            let stops = operator.ask(&json!({"command": "fraud.list"}))?;
            if json {
                println!("{stops:#}");
            } else {
                list(stops.as_array().map(Vec::as_slice).unwrap_or_default());
            }
        }
        Command::Release { name, config } => {
            let request = json!({"command": "fraud.release", "name": name});
            Operator::reach(&config.load()?.data)?.ask(&request)?;
            println!("{name} may call out again");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(stops: &[Value]) {
    if stops.is_empty() {
        println!("nobody is stopped");
    }
    for stop in stops {
        let word = |name: &str| stop[name].as_str().unwrap_or("everybody").to_owned();
        println!(
            "{:<24} {:<24} since {}  {}",
            word("company"),
            word("name"),
            word("at"),
            word("reason")
        );
    }
}
