//! Digest registrations per second: challenged and proven each time, as after a power cut.

use anyhow::bail;
use serde_json::{Value, json};

use super::{
    Out, Server,
    phones::{Phones, Registering, addresses},
    prepare::PASSWORD,
};
use crate::{
    api::{Agent, Api},
    demo::Demo,
    process::Usage,
    ua::Ua,
};

/// Phones that the server lets one agent have.
const MOST_OF_ONE: usize = 10;

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
    /// Phones registered at once in the end, for the memory that a binding takes; 0 leaves this out.
    #[arg(long, default_value_t = 0)]
    bindings: usize,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let demo = Demo::load(&args.server.data)?;
    let agents = Api::new(&demo)?.agents(PASSWORD)?;
    if agents.is_empty() {
        bail!("there are no agents: run `bench prepare` first");
    }
    let mut ua = Ua::open(demo.sip_address()?, &addresses())?;
    let mut phones = Phones::new(&mut ua, agents.clone());
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
    let mut result = json!({"phones": phones.list.len(), "steps": steps});
    if args.bindings > 0 {
        result["bindings"] = bindings(args, &mut ua, agents)?;
        println!("{}", result["bindings"]);
    }
    args.out.keep("registrations", &result)
}

/// Registers so many phones at once, and again, as they do within their time.
fn bindings(args: &Args, ua: &mut Ua, agents: Vec<Agent>) -> anyhow::Result<Value> {
    const PER_SECOND: f64 = 500.0;
    let each = args.bindings.div_ceil(agents.len());
    if each > MOST_OF_ONE {
        bail!(
            "{} agents have {MOST_OF_ONE} phones each at most: run `bench prepare --agents {}` first",
            agents.len(),
            args.bindings.div_ceil(MOST_OF_ONE)
        );
    }
    let mut phones = Phones::of_each(ua, agents, each);
    let resident = || Usage::of(args.server.pid).map(|usage| usage.resident_kb as f64 / 1_024.0);
    let before = resident()?;
    phones.register_all(ua, PER_SECOND)?;
    let registered = resident()?;
    phones.register_all(ua, PER_SECOND)?;
    let refreshed = resident()?;
    let count = phones.list.len();
    phones.unregister_all(ua)?;
    Ok(json!({
        "registered": count,
        "rss_mb": {"before": before, "registered": registered, "refreshed": refreshed, "left": resident()?},
        "kb_each": (registered - before) * 1_024.0 / count as f64,
    }))
}
