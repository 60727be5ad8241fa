//! The demo company: seeded at the first start with `--demo`, described in `demo.json`.
//!
//! That file is a stable contract for scripts: its shape changes only by additions.

mod contacts;
mod seed;

use std::{io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use anyhow::Context;
use serde::{Deserialize, Serialize};

pub use seed::{Addresses, seed};

/// Name of the file in the data folder.
pub const FILE: &str = "demo.json";

/// What `demo.json` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Demo {
    pub http: String,
    pub console: Console,
    pub cloudtalk: CloudTalk,
    pub membrane: Membrane,
    pub sip: Sip,
}

/// How the owner signs in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Console {
    pub url: String,
    pub email: String,
    pub password: String,
}

/// How programs reach the phone system.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudTalk {
    pub base_url: String,
    pub key_id: String,
    pub key_secret: String,
}

/// How programs reach the gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membrane {
    pub api_uri: String,
    pub workspace_key: String,
    pub workspace_secret: String,
    pub tenant_key: String,
    pub token: String,
}

/// Whom to call, and as whom to answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sip {
    pub host: String,
    pub port: u16,
    pub numbers: Vec<DemoNumber>,
    pub agents: Vec<DemoAgent>,
}

/// A number to dial.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DemoNumber {
    pub e164: String,
    /// Name of its flow; empty when the number leads nowhere.
    pub flow: String,
}

/// A phone to register.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DemoAgent {
    pub id: i64,
    pub extension: String,
    pub username: String,
    pub password: String,
    pub groups: Vec<String>,
    /// How the agent signs in to the console, where he has a phone too. Missing in files of
    /// earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<AgentConsole>,
}

/// How an agent signs in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentConsole {
    pub email: String,
    pub password: String,
}

impl Demo {
    /// The file of an earlier start, `None` when there is none.
    ///
    /// # Errors
    /// When it is there but can't be read.
    pub fn load(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = data.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("{} can't be read", path.display()));
            }
        };
        let demo = serde_json::from_str(&text)
            .with_context(|| format!("{} was changed and can't be understood", path.display()))?;
        Ok(Some(demo))
    }

    /// The same company at the addresses of this start.
    pub fn moved(&mut self, addresses: &Addresses) {
        self.http.clone_from(&addresses.http);
        self.console.url.clone_from(&addresses.http);
        self.cloudtalk.base_url = format!("{}/api", addresses.http);
        self.membrane.api_uri = format!("{}/membrane", addresses.http);
        self.sip.host = addresses.sip.ip().to_string();
        self.sip.port = addresses.sip.port();
    }

    /// Writes the file, readable by its owner alone, in one piece.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&self, data: &Path) -> anyhow::Result<()> {
        let path = data.join(FILE);
        let fresh = data.join(format!("{FILE}.new"));
        let write = || -> std::io::Result<()> {
            // A leftover of a killed start may have any mode.
            match std::fs::remove_file(&fresh) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)
        };
        write().with_context(|| format!("{} can't be written", path.display()))
    }
}
