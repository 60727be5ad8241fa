//! One file per command.

pub mod bans;
pub mod config;
pub mod doctor;
pub mod drain;
pub mod fraud;
pub mod search;
pub mod serve;
pub mod trace;
pub mod trunk;

use std::path::PathBuf;

use crate::config::{Config, ConfigProblems, Sources};

/// Flags of every command that needs the configuration.
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {
    /// Settings file (TOML); also TRUNKLINE_CONFIG
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for database, keys and recordings [default: data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Listen here for web, API and gateway [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// Also serve the gateway at the root of this address
    #[arg(long, value_name = "ADDR")]
    gateway_http: Option<String>,
    /// Listen here for SIP on UDP and TCP [default: 127.0.0.1:5060]
    #[arg(long, value_name = "ADDR")]
    sip: Option<String>,
    /// Also listen here for SIP over TLS
    #[arg(long, value_name = "ADDR")]
    sip_tls: Option<String>,
    /// Also listen here for SIP over WebSocket
    #[arg(long, value_name = "ADDR")]
    sip_ws: Option<String>,
    /// Also listen here for SIP over WebSocket with TLS
    #[arg(long, value_name = "ADDR")]
    sip_wss: Option<String>,
    /// Certificate for SIP over TLS (PEM); read again when it changes
    #[arg(long, value_name = "FILE")]
    sip_tls_cert: Option<String>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE")]
    sip_tls_key: Option<String>,
    /// Address that phones are told when SIP listens on all
    #[arg(long, value_name = "IP")]
    sip_advertise: Option<String>,
    /// Ports for audio [default: 20000-29999]
    #[arg(long, value_name = "A-B")]
    rtp_ports: Option<String>,
    /// How browsers and the command line reach this server
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Level or filter of the log [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl ConfigArgs {
    /// Merges file, environment and flags.
    pub fn load(&self) -> Result<Config, ConfigProblems> {
        let mut sources = Sources::default();
        let variable = |name: &str| std::env::var(name).ok();
        if let Some(file) = self
            .config
            .clone()
            .or_else(|| variable("TRUNKLINE_CONFIG").map(PathBuf::from))
        {
            sources.file(&file);
        }
        sources.environment(variable);
        sources.flag("data", self.data.as_deref());
        sources.flag("http", self.http.as_deref());
        sources.flag("gateway_http", self.gateway_http.as_deref());
        sources.flag("sip", self.sip.as_deref());
        sources.flag("sip_tls", self.sip_tls.as_deref());
        sources.flag("sip_ws", self.sip_ws.as_deref());
        sources.flag("sip_wss", self.sip_wss.as_deref());
        sources.flag("sip_tls_cert", self.sip_tls_cert.as_deref());
        sources.flag("sip_tls_key", self.sip_tls_key.as_deref());
        sources.flag("sip_advertise", self.sip_advertise.as_deref());
        sources.flag("rtp_ports", self.rtp_ports.as_deref());
        sources.flag("public_url", self.public_url.as_deref());
        sources.flag("log", self.log.as_deref());
        sources.config()
    }
}
