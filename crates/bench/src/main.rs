//! Loads a running Trunkline from outside and compares it with plain yardsticks.
//!
//! It shares no code with what it judges: the SIP user agent, the audio senders and the HTTP client are its
//! own, and it knows the server by `demo.json`, its interfaces and `/proc`. It draws no conclusions about other
//! machines: every figure stands beside a yardstick of the same run. Start with [`run`], one file per measurement;
//! `docs/performance.md` says what each of them means.
#![expect(
    clippy::print_stdout,
    reason = "a program that prints what it measured"
)]

mod api;
mod demo;
mod http;
mod process;
mod run;
mod stats;
mod ua;
mod voice;

use clap::Parser;

fn main() -> anyhow::Result<()> {
    run::main(run::Args::parse())
}
