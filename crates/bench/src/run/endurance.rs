//! Very many short calls at one rate: does memory stay what it was, do set-ups stay as fast?

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;

use super::{
    Out, Server,
    exchange::{Exchange, Plan},
    phones::{Phones, addresses},
    prepare::{DIRECT, PASSWORD},
};
use crate::{api::Api, demo::Demo, process::Usage, stats::Samples, ua::Ua};

/// The run is looked at so often.
const LOOKS: usize = 10;
/// Calls that are over leave their last traces within this time.
const REST: Duration = Duration::from_secs(3);

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    out: Out,
    /// Calls altogether.
    #[arg(long, default_value_t = 100_000)]
    calls: usize,
    /// Calls per second.
    #[arg(long, default_value_t = 200.0)]
    per_second: f64,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let demo = Demo::load(&args.server.data)?;
    let agents = Api::new(&demo)?.agents(PASSWORD)?;
    if agents.is_empty() {
        bail!("there are no agents: run `bench prepare` first");
    }
    let number = demo
        .sip
        .numbers
        .get(DIRECT)
        .context("the demo has too few numbers")?
        .e164
        .clone();
    let mut ua = Ua::open(demo.sip_address()?, &addresses())?;
    let mut phones = Phones::new(&mut ua, agents);
    phones.register_all(&mut ua, 100.0)?;
    let (mut failed, mut done) = (0, 0);
    let (mut resident, mut open_files) = (Vec::new(), Vec::new());
    let mut set_up = Samples::default();
    let before = Usage::of(args.server.pid)?;
    for look in 1..=LOOKS {
        let calls = args.calls * look / LOOKS - done;
        done += calls;
        let plan = Plan {
            number: number.clone(),
            digit: None,
            calls,
            per_second: args.per_second,
            talk: Duration::from_millis(500),
            ring: Duration::ZERO,
            patience: Duration::from_secs(20),
        };
        let outcome = Exchange::new(&mut ua, &phones, plan, None)?.run(&mut ())?;
        failed += outcome.failed();
        for reason in outcome.failures() {
            println!("{reason:?}");
        }
        std::thread::sleep(REST);
        let usage = Usage::of(args.server.pid)?;
        resident.push(usage.resident_kb as f64 / 1_024.0);
        open_files.push(usage.open_files);
        set_up.extend(outcome.set_up.values());
        println!("{done} calls: {} MB", usage.resident_kb / 1_024);
    }
    let after = Usage::of(args.server.pid)?;
    phones.unregister_all(&mut ua)?;
    let result = json!({
        "calls": done,
        "per_second": args.per_second,
        "failed": failed,
        "set_up_ms": {"p50": set_up.median(), "p99": set_up.percentile(0.99), "max": set_up.max()},
        "cpu_ms_per_call": (after.cpu - before.cpu) * 1_000.0 / done.max(1) as f64,
        "rss_mb": {"before": before.resident_kb as f64 / 1_024.0, "first": resident.first(), "last": resident.last(), "all": resident},
        "open_files": open_files,
    });
    println!("{result}");
    args.out.keep("endurance", &result)
}
