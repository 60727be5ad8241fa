//! Digest registrations per second: challenged and proven each time, as after a power cut.

use anyhow::bail;
use serde_json::json;

use super::{
    Out, Server,
    phones::{Phones, Registering, addresses},
    prepare::PASSWORD,
};
use crate::{api::Api, demo::Demo, process::Usage, ua::Ua};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    out: Out,
    /// Registrations per second, step by step.
    #[arg(long, value_delimiter = ',', default_value = "100,250,500,1000")]
    steps: Vec<f64>,
    /// Seconds of each step.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let demo = Demo::load(&args.server.data)?;
    let agents = Api::new(&demo)?.agents(PASSWORD)?;
    if agents.is_empty() {
        bail!("there are no agents: run `bench prepare` first");
    }
    let mut ua = Ua::open(demo.sip_address()?, &addresses())?;
    let mut phones = Phones::new(&mut ua, agents);
    let mut steps = Vec::new();
    for per_second in &args.steps {
        let count = (per_second * args.seconds as f64) as usize;
        let mut work = Registering::default();
        let (before, retransmitted) = (Usage::of(args.server.pid)?, ua.retransmitted);
        work.at_rate(&mut ua, &mut phones, *per_second, count)?;
        let after = Usage::of(args.server.pid)?;
        let failed = count - work.done();
        let step = json!({
            "per_second": per_second,
            "registrations": count,
            "failed": failed,
            "failures": work.failures,
            "took_ms": {"p50": work.took.median(), "p99": work.took.percentile(0.99), "max": work.took.max()},
            "cpu_ms_each": (after.cpu - before.cpu) * 1_000.0 / count.max(1) as f64,
            "sip_retransmitted": ua.retransmitted - retransmitted,
        });
        println!("{step}");
        steps.push(step);
        if failed * 10 > count {
            println!("more than a tenth failed: higher steps would tell nothing");
            break;
        }
    }
    phones.unregister_all(&mut ua)?;
    args.out.keep(
        "registrations",
        &json!({"phones": phones.list.len(), "steps": steps}),
    )
}
