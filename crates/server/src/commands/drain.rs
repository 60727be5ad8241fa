//! `trunkline drain`: no new calls, the running ones end by themselves, then the server ends.

use std::process::ExitCode;

use anstream::println;
use serde_json::json;

use super::ConfigArgs;
use crate::control::Operator;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How long running calls may go on [default: drain_seconds, 30]
    #[arg(long, value_name = "SECONDS")]
    within: Option<u64>,
    #[command(flatten)]
    config: ConfigArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut server = Operator::reach(&args.config.load()?.data)?;
    let reply = server.ask(&json!({ "command": "drain", "seconds": args.within }))?;
    println!(
        "draining: no new calls; running ones have {} s",
        reply["within_seconds"]
    );
    server.wait_for_the_end();
    println!("the server has ended");
    Ok(ExitCode::SUCCESS)
}
