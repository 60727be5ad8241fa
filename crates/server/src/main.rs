//! `trunkline`: the server's command line. Configuration and wiring; no business rules.

mod commands;
mod config;
mod control;
mod demo;
mod embedding;
mod faces;
mod glue;
mod http;
mod recovery;
mod security_log;
mod web_sip;
mod wiring;

use clap::{Parser, Subcommand};

/// Password hashes take 19 MiB for a moment, on whatever thread is free. The C library keeps that much
/// for each of its arenas, a gigabyte after two hundred sign-ins; this one gives it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A cloud phone system and an integration gateway on your own machine.
#[derive(Debug, Parser)]
#[command(name = "trunkline", version, propagate_version = true)]
#[command(
    after_help = "Start here:\n  trunkline serve --demo     a demo company, and what to open and type\n  trunkline doctor           what is wrong with this machine, if anything"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until Ctrl-C or SIGTERM
    Serve(commands::serve::Args),
    /// Show and lift the bans of those who guess passwords
    Bans(commands::bans::Args),
    /// Show, add, test and remove the carriers' connections
    Trunk(commands::trunk::Args),
    /// Show whose outgoing calls were stopped as toll fraud, and release them
    Fraud(commands::fraud::Args),
    /// See the signalling of a call, a number or a device
    Trace(commands::trace::Args),
    /// Let running calls end, take no new ones, then end the server
    Drain(commands::drain::Args),
    /// Say what is wrong with this machine and what to do about it
    Doctor(commands::doctor::Args),
    /// Measure action search
    Search(commands::search::Args),
    /// Check the configuration without starting
    Config(commands::config::Args),
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Serve(args) => commands::serve::run(args),
        Command::Bans(args) => commands::bans::run(args),
        Command::Trunk(args) => commands::trunk::run(args),
        Command::Fraud(args) => commands::fraud::run(args),
        Command::Trace(args) => commands::trace::run(args),
        Command::Drain(args) => commands::drain::run(args),
        Command::Doctor(args) => commands::doctor::run(args),
        Command::Search(args) => commands::search::run(args),
        Command::Config(args) => commands::config::run(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the last word to the operator")]
            {
                eprintln!("error: {error}");
                for cause in error.chain().skip(1) {
                    eprintln!("  because {cause}");
                }
            }
            std::process::ExitCode::FAILURE
        }
    }
}
