//! `demo.json`: how a started server says where it is and who may come in.

use std::{net::SocketAddr, path::Path};

use anyhow::Context;
use serde::Deserialize;

#[derive(Clone, Deserialize)]
pub struct Demo {
    pub cloudtalk: CloudTalk,
    pub membrane: Membrane,
    pub sip: Sip,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudTalk {
    pub base_url: String,
    pub key_id: String,
    pub key_secret: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membrane {
    pub api_uri: String,
    pub token: String,
}

#[derive(Clone, Deserialize)]
pub struct Sip {
    pub host: String,
    pub port: u16,
    pub numbers: Vec<Number>,
}

#[derive(Clone, Deserialize)]
pub struct Number {
    pub e164: String,
}

impl Demo {
    pub fn load(data: &Path) -> anyhow::Result<Self> {
        let path = data.join("demo.json");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} can't be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not understood", path.display()))
    }

    pub fn sip_address(&self) -> anyhow::Result<SocketAddr> {
        let host = self
            .sip
            .host
            .parse()
            .with_context(|| format!("{} is no address", self.sip.host))?;
        Ok(SocketAddr::new(host, self.sip.port))
    }
}
