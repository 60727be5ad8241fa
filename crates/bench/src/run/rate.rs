//! Short two-leg calls per second, each with its facts in the ledger, in rising steps.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;

use super::{
    Out, Server,
    exchange::{Exchange, Plan},
    phones::{Phones, addresses},
    prepare::{DIRECT, PASSWORD},
};
use crate::{api::Api, demo::Demo, process::Usage, ua::Ua};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    out: Out,
    /// Phones that register per second beforehand; thousands are a power cut's end.
    #[arg(long, default_value_t = 100.0)]
    register_rate: f64,
    /// Calls per second, step by step.
    #[arg(long, value_delimiter = ',', default_value = "10,25,50,100,200")]
    steps: Vec<f64>,
    /// Seconds of each step.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Go on after a step in which more than a tenth of the calls failed.
    #[arg(long)]
    all: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let demo = Demo::load(&args.server.data)?;
    let mut api = Api::new(&demo)?;
    let agents = api.agents(PASSWORD)?;
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
    phones.register_all(&mut ua, args.register_rate)?;
    let mut steps = Vec::new();
    for per_second in &args.steps {
        let calls = (per_second * args.seconds as f64) as usize;
        let plan = Plan {
            number: number.clone(),
            digit: None,
            calls,
            per_second: *per_second,
            talk: Duration::from_millis(500),
            ring: Duration::ZERO,
            patience: Duration::from_secs(20),
        };
        let before = Usage::of(args.server.pid)?;
        let outcome = Exchange::new(&mut ua, &phones, plan, None)?.run(&mut ())?;
        let after = Usage::of(args.server.pid)?;
        let step = json!({
            "per_second": per_second,
            "calls": calls,
            "failed": outcome.failed(),
            "failures": outcome.failures(),
            "set_up_ms": {"p50": outcome.set_up.median(), "p99": outcome.set_up.percentile(0.99), "max": outcome.set_up.max()},
            "set_ups_over_100_ms_by_second": outcome.slow,
            "to_agent_ms": {"p50": outcome.to_agent.median(), "p99": outcome.to_agent.percentile(0.99)},
            "confirmed_ms": {"p50": outcome.confirmed.median(), "p99": outcome.confirmed.percentile(0.99)},
            "hang_up_ms": {"p50": outcome.torn_down.median(), "p99": outcome.torn_down.percentile(0.99)},
            "cpu_ms_per_call": (after.cpu - before.cpu) * 1_000.0 / calls.max(1) as f64,
            "sip_retransmitted": outcome.retransmitted,
            "took_s": outcome.took.as_secs_f64(),
            "rss_mb": after.resident_kb as f64 / 1_024.0,
            "open_files": after.open_files,
        });
        println!("{step}");
        let failed = outcome.failed();
        steps.push(step);
        if failed * 10 > calls && !args.all {
            println!("more than a tenth failed: higher steps would tell nothing");
            break;
        }
        // What is left of this step must not weigh on the next one.
        std::thread::sleep(Duration::from_secs(3));
    }
    phones.unregister_all(&mut ua)?;
    args.out.keep("rate", &json!({ "steps": steps }))
}
