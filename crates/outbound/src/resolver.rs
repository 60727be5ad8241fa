//! Names to addresses, and no address that may not be reached.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::policy::Permission;

/// Where addresses come from: the system, or a test.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of a name.
    ///
    /// # Errors
    /// When there are none or nobody could be asked.
    async fn lookup(&self, name: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
pub(crate) struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await;
        let bare = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        match found {
            Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
            // RFC 6761 §6.3: these are loopback whatever the resolver knows, so they are refused as such.
            Err(_) if bare == "localhost" || bare.ends_with(".localhost") => {
                Ok(vec![Ipv4Addr::LOCALHOST.into()])
            }
            Err(error) => Err(error),
        }
    }
}

/// Resolves at the moment of connecting, and gives the connector exactly the addresses it has checked, so a
/// name that changes its answer in between gains nothing.
pub(crate) struct CheckedResolver {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) permission: Permission,
}

/// A resolved address may not be reached.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct AddressRefused(pub(crate) String);

/// The name has no address.
#[derive(Debug, thiserror::Error)]
#[error("{0} has no address")]
pub(crate) struct NoAddress(pub(crate) String);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, permission) = (Arc::clone(&self.lookup), self.permission.clone());
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let addresses = lookup
                .lookup(&host)
                .await
                .map_err(|_| NoAddress(host.clone()))?;
            if addresses.is_empty() {
                return Err(NoAddress(host).into());
            }
            // One bad address condemns the name: which one is tried first is the attacker's choice.
            for address in &addresses {
                permission.check(&host, *address).map_err(AddressRefused)?;
            }
            let addresses: Addrs = Box::new(
                addresses
                    .into_iter()
                    .map(|address| SocketAddr::new(address, 0)),
            );
            Ok(addresses)
        })
    }
}
