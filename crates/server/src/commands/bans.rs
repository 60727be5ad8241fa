//! `trunkline bans`: who guessed passwords, and forgiving him.

use std::{net::IpAddr, process::ExitCode};

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
    /// Show the bans in force
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Listen to an address again
    Lift {
        /// The banned address
        address: IpAddr,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List { json, config } => {
            let bans =
                Operator::reach(&config.load()?.data)?.ask(&json!({ "command": "bans.list" }))?;
            if json {
                println!("{bans:#}");
            } else {
                list(bans.as_array().map(Vec::as_slice).unwrap_or_default());
            }
        }
        Command::Lift { address, config } => {
            let request = json!({ "command": "bans.lift", "address": address });
            let reply = Operator::reach(&config.load()?.data)?.ask(&request)?;
            match reply["lifted"].as_u64() {
                Some(1..) => println!("{address} is listened to again"),
                _ => println!("{address} was not banned; its failures are forgotten"),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(bans: &[Value]) {
    if bans.is_empty() {
        println!("nobody is banned");
    }
    for ban in bans {
        let word = |name: &str| ban[name].as_str().unwrap_or("every account").to_owned();
        println!(
            "{:<40} {:<20} until {}  (ban {})",
            word("address"),
            word("account"),
            word("until"),
            ban["step"]
        );
    }
}
