//! `trunkline config`: says whether the configuration is right, and what it comes to.

use std::process::ExitCode;

use anstream::println;

use super::ConfigArgs;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    println!("data           {}", config.data.display());
    println!("http           {}", config.http);
    println!(
        "gateway-http   {}",
        config
            .gateway_http
            .map_or_else(|| "-".into(), |address| address.to_string())
    );
    println!(
        "sip            {} (phones are told {})",
        config.sip, config.sip_advertise
    );
    println!(
        "rtp-ports      {}-{} on {}",
        config.rtp_ports.0, config.rtp_ports.1, config.rtp_bind
    );
    println!(
        "recordings     {}, {}",
        config.recordings_bucket.as_ref().map_or_else(
            || config.data.join("recordings").display().to_string(),
            ToString::to_string
        ),
        if config.recordings_encrypt {
            "encrypted"
        } else {
            "not encrypted"
        }
    );
    println!("public-url     {}", config.public_base(config.http));
    Ok(ExitCode::SUCCESS)
}
