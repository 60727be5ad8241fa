//! How long the command line takes to start, beside an empty script of its closest relative.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, bail};
use serde_json::json;

use super::Out;
use crate::stats::Samples;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    out: Out,
    /// The `membrane` program.
    #[arg(long)]
    membrane: PathBuf,
    #[arg(long, default_value_t = 30)]
    runs: usize,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let membrane = args.membrane.to_string_lossy();
    let commands: [(&str, &[&str]); 2] = [(&membrane, &["--help"]), ("node", &["-e", "0"])];
    let mut took = [Samples::default(), Samples::default()];
    // The first round only warms the page cache.
    for round in 0..=args.runs {
        for (at, (program, arguments)) in commands.iter().enumerate() {
            let since = Instant::now();
            let status = Command::new(program)
                .args(*arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            let status = status.with_context(|| format!("{program} can't be started"))?;
            if !status.success() {
                bail!("{program} ended with {status}");
            }
            if round > 0 {
                took[at].add_ms(since.elapsed());
            }
        }
    }
    let [ours, node] = &took;
    let result = json!({
        "runs": args.runs,
        "membrane_help_ms": {"median": ours.median(), "max": ours.max()},
        "node_ms": {"median": node.median(), "max": node.max()},
        "ratio": ours.median() / node.median(),
    });
    println!("{}", serde_json::to_string_pretty(&result)?);
    args.out.keep("start", &result)
}
