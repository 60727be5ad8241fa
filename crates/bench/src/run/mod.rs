//! The measurements, one file each.

mod calls;
mod endurance;
mod exchange;
mod floor;
mod phones;
mod prepare;
mod proxy;
mod rate;
mod registrations;
mod report;
mod start;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, Subcommand};
use serde_json::Value;

/// Loads a running Trunkline from outside and compares it with plain yardsticks.
#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Adds agents to the demo company, as many as the other measurements need.
    Prepare(prepare::Args),
    /// Recorded calls at once: packets, delay, recordings, processor and memory per call.
    Calls(calls::Args),
    /// Short calls per second, in steps.
    Rate(rate::Args),
    /// Very many short calls, and whether memory stays what it was.
    Endurance(endurance::Args),
    /// Digest registrations per second, in steps.
    Registrations(registrations::Args),
    /// The bare media loop: what recorded calls cost at the least on this machine.
    Floor(floor::Args),
    /// The loop itself, in a process of its own; `floor` starts it.
    #[command(hide = true)]
    FloorLoop(floor::LoopArgs),
    /// A request through the gateway's proxy against the same request sent directly.
    Proxy(proxy::Args),
    /// Start time of the command line against that of an empty script.
    Start(start::Args),
    /// The table of what the runs above left in a folder.
    Report(report::Args),
}

/// The server to load.
#[derive(clap::Args)]
struct Server {
    /// Its data folder, with `demo.json`.
    #[arg(long)]
    data: PathBuf,
    /// Its process.
    #[arg(long)]
    pid: u32,
}

/// Where a result goes, beside stdout.
#[derive(clap::Args)]
struct Out {
    /// Folder for results as JSON.
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Out {
    fn keep(&self, name: &str, result: &Value) -> anyhow::Result<()> {
        let Some(folder) = &self.out else {
            return Ok(());
        };
        let path = folder.join(format!("{name}.json"));
        std::fs::write(&path, serde_json::to_string_pretty(result)?)
            .with_context(|| format!("{} can't be written", path.display()))
    }

    fn read(folder: &Path, name: &str) -> Option<Value> {
        let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).ok()?;
        serde_json::from_str(&text).ok()
    }
}

pub fn main(args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Prepare(args) => prepare::run(&args),
        What::Calls(args) => calls::run(&args),
        What::Rate(args) => rate::run(&args),
        What::Endurance(args) => endurance::run(&args),
        What::Registrations(args) => registrations::run(&args),
        What::Floor(args) => floor::run(&args),
        What::FloorLoop(args) => floor::run_loop(&args),
        What::Proxy(args) => proxy::run(&args),
        What::Start(args) => start::run(&args),
        What::Report(args) => report::run(&args),
    }
}
