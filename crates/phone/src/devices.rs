//! What signalling asks about devices and carriers.

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use sip::{Binding, DeviceCredential, Directory};
use store::{Db, directory::Binding as Kept};

use crate::{clock, web_phone};

const ALL: &str = "all";

/// The company directory, as the registrar sees it.
pub struct Devices {
    db: Db,
    trunks: Vec<Network>,
    realm: String,
}

/// An address range in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("{text:?} is not a network such as 203.0.113.0/24"))?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => widest,
            Some(text) => text
                .parse()
                .ok()
                .filter(|prefix| *prefix <= widest)
                .ok_or_else(|| format!("/{text} is not a prefix length up to {widest}"))?,
        };
        Ok(Self { address, prefix })
    }
}

impl Network {
    fn contains(self, other: IpAddr) -> bool {
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix);
                shift == 32 || u32::from(network) >> shift == u32::from(other) >> shift
            }
            (IpAddr::V6(network), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.prefix);
                shift == 128 || u128::from(network) >> shift == u128::from(other) >> shift
            }
            _ => false,
        }
    }
}

impl Devices {
    /// Devices of all companies, which prove themselves in a realm; calls from these networks are
    /// the carrier's.
    #[must_use]
    pub fn new(db: Db, trunks: Vec<Network>, realm: &str) -> Self {
        Self {
            db,
            trunks,
            realm: realm.to_owned(),
        }
    }
}

#[async_trait]
impl Directory for Devices {
    async fn device(&self, username: &str) -> Option<DeviceCredential> {
        let web = web_phone::account(username, clock::now());
        let account = web.unwrap_or(username);
        let (_, secrets) = match self.db.agent_by_sip_username(account).await {
            Ok(found) => found?,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a device could not be looked up"
                );
                return None;
            }
        };
        let md5 = from_hex(&secrets.ha1_md5)?;
        let sha256 = from_hex(&secrets.ha1_sha256)?;
        Some(if web.is_some() {
            let password = web_phone::password(username, &sha256);
            DeviceCredential::from_password(username, &self.realm, &password).for_account(account)
        } else {
            DeviceCredential::from_digests(md5, sha256)
        })
    }

    async fn save_bindings(&self, username: &str, bindings: &[Binding]) {
        // One row holds all of a username's bindings: the registrar always gives the complete set.
        let kept = match bindings.iter().map(|binding| binding.expires_at).max() {
            None => self.db.delete_binding(username, ALL).await,
            Some(expires_at) => {
                let binding = serde_json::to_value(bindings).unwrap_or_default();
                self.db
                    .save_binding(&Kept {
                        username: username.to_owned(),
                        instance: ALL.to_owned(),
                        binding,
                        expires_at,
                    })
                    .await
            }
        };
        if let Err(error) = kept {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "registrations could not be kept; they are lost at a restart"
            );
        }
    }

    async fn load_bindings(&self) -> Vec<(String, Binding)> {
        let rows = match self.db.load_bindings(clock::now()).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "kept registrations could not be read; phones register again by themselves"
                );
                return Vec::new();
            }
        };
        let all = rows.into_iter().flat_map(|row| {
            let bindings: Vec<Binding> = serde_json::from_value(row.binding).unwrap_or_default();
            bindings
                .into_iter()
                .map(move |binding| (row.username.clone(), binding))
        });
        all.collect()
    }

    fn admits(&self, source: SocketAddr) -> bool {
        self.trunks
            .iter()
            .any(|network| network.contains(source.ip()))
    }
}

pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let network: Network = "203.0.113.64/26".parse().expect("valid");
        assert!(network.contains("203.0.113.64".parse().expect("address")));
        assert!(network.contains("::ffff:203.0.113.127".parse().expect("address")));
        assert!(!network.contains("203.0.113.128".parse().expect("address")));
        assert!("203.0.113.0/33".parse::<Network>().is_err());
        let all: Network = "::/0".parse().expect("valid");
        assert!(all.contains("2001:db8::1".parse().expect("address")));
    }
}
