//! `trunkline serve`: runs until Ctrl-C or SIGTERM, then ends in order.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use super::ConfigArgs;
use crate::{
    config::Config,
    security_log::SecurityLog,
    wiring::{self, MustEnd},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// At the first start create a demo company and write demo.json into the data folder; also TRUNKLINE_DEMO=1
    #[arg(long, env = "TRUNKLINE_DEMO", value_parser = clap::builder::FalseyValueParser::new(), default_value_t = false, num_args = 0)]
    demo: bool,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    log_to_stderr(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads could be started")?;
    runtime.block_on(serve(config, args.demo))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config, demo: bool) -> anyhow::Result<()> {
    // Asked for first: a signal during the start must end it in order too.
    let mut terminate = signal(SignalKind::terminate()).context("signals can't be received")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals can't be received")?;
    let on_terminate = config.drain_seconds.map(Duration::from_secs);
    let mut running = tokio::select! {
        running = wiring::start(config, demo) => running?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    running.announce();
    // How long calls may go on; without a limit they are ended at once.
    let drain = tokio::select! {
        _ = terminate.recv() => {
            tracing::info!("SIGTERM: ending in order");
            on_terminate
        }
        _ = interrupt.recv() => {
            tracing::info!("Ctrl-C: ending in order");
            None
        }
        why = running.must_end() => match why {
            MustEnd::Drained(limit) => Some(limit),
            MustEnd::Failed(failed) => {
                running.stop().await;
                anyhow::bail!("{failed}");
            }
        },
    };
    let end = async {
        if let Some(limit) = drain {
            running.drain(limit).await;
        }
        running.stop().await;
    };
    // A second signal means now.
    tokio::select! {
        () = end => {}
        _ = terminate.recv() => tracing::warn!("told twice: ending at once"),
        _ = interrupt.recv() => tracing::warn!("told twice: ending at once"),
    }
    Ok(())
}

/// Logs go to stderr, so that stdout is what the command says.
fn log_to_stderr(config: &Config) {
    let filter = EnvFilter::try_new(format!(
        "{},{},sqlx=warn,hyper=warn,sea_orm_migration=warn",
        config.log,
        sip::LOG_FILTER
    ))
    .unwrap_or_else(|_| EnvFilter::new("info"));
    let bans = SecurityLog {
        path: config.data.join("security.log"),
    };
    let registry = tracing_subscriber::registry().with(filter).with(bans);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    if config.log_json {
        registry.with(layer.json()).init();
    } else {
        registry.with(layer.compact()).init();
    }
}
