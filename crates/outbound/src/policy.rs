//! Which targets a request may have.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use crate::address;
use crate::error::{OutboundError, display_target};

/// One exception from "public addresses only".
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub enum AllowEntry {
    /// Addresses in this network, whatever name leads there: `10.20.0.0/16`.
    Network {
        /// First address.
        address: IpAddr,
        /// Prefix length.
        prefix: u8,
    },
    /// This host name or address on any permitted port: `pbx.internal`.
    Host(String),
    /// Exactly this origin, whatever its port: `http://127.0.0.1:8080`.
    Origin {
        /// http or https.
        scheme: String,
        /// Host as in a URL.
        host: String,
        /// Port.
        port: u16,
    },
}

/// Text that is no network, host or origin.
#[derive(Debug, thiserror::Error)]
#[error(
    "\"{0}\" is neither a network (10.0.0.0/8), a host (pbx.internal) nor an origin (http://127.0.0.1:8080)"
)]
pub struct AllowEntryError(pub String);

impl AllowEntry {
    /// The origin of a URL, for a listener of our own.
    #[must_use]
    pub fn origin_of(url: &Url) -> Option<Self> {
        let (scheme, host, port) = (
            url.scheme().to_owned(),
            host_text(url)?,
            url.port_or_known_default()?,
        );
        matches!(scheme.as_str(), "http" | "https").then_some(Self::Origin { scheme, host, port })
    }
}

impl FromStr for AllowEntry {
    type Err = AllowEntryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || AllowEntryError(text.to_owned());
        let text = text.trim();
        if text.contains("://") {
            let url = Url::parse(text).map_err(|_| wrong())?;
            let bare = url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty();
            return Self::origin_of(&url).filter(|_| bare).ok_or_else(wrong);
        }
        if let Some((network, prefix)) = text.split_once('/') {
            let address: IpAddr = network.parse().map_err(|_| wrong())?;
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix
                .parse()
                .ok()
                .filter(|prefix| *prefix <= longest)
                .ok_or_else(wrong)?;
            return Ok(Self::Network { address, prefix });
        }
        let bracketed = text
            .parse::<std::net::Ipv6Addr>()
            .map(|address| format!("[{address}]"));
        match Host::parse(bracketed.as_deref().unwrap_or(text)) {
            Ok(host) => Ok(Self::Host(normal_host(&host.to_string()))),
            Err(_) => Err(wrong()),
        }
    }
}

impl TryFrom<String> for AllowEntry {
    type Error = AllowEntryError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AllowEntry> for String {
    fn from(entry: AllowEntry) -> Self {
        match entry {
            AllowEntry::Network { address, prefix } => format!("{address}/{prefix}"),
            AllowEntry::Host(host) => host,
            AllowEntry::Origin { scheme, host, port } => format!("{scheme}://{host}:{port}"),
        }
    }
}

/// A set of exceptions. The empty set means public addresses only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Allow(BTreeSet<AllowEntry>);

impl Allow {
    /// No exceptions.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Adds one.
    #[must_use]
    pub fn and(mut self, entry: AllowEntry) -> Self {
        self.0.insert(entry);
        self
    }
}

impl FromIterator<AllowEntry> for Allow {
    fn from_iter<I: IntoIterator<Item = AllowEntry>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

/// What the operator permits for the whole process.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Exceptions that hold for every request.
    pub allow: Allow,
    /// Sent when the request names no `User-Agent`.
    pub user_agent: String,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            allow: Allow::nothing(),
            user_agent: concat!("trunkline/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Ports where something other than HTTP listens, which could be made to read a request as its own commands:
/// the "bad ports" of the Fetch standard, SIP and common databases.
const REFUSED_PORTS: [u16; 84] = [
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102,
    103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465,
    512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993,
    995, 1433, 1719, 1720, 1723, 2049, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 6000, 6379,
    6566, 6667, 6697, 11211, 27017, 445,
];

/// What addresses a connection for one request may lead to. Connections are only shared between requests with
/// the same permission, so that one request's exception never serves another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Permission {
    networks: Vec<(IpAddr, u8)>,
    /// A host that may be anywhere.
    host: Option<String>,
}

impl Permission {
    /// Checks all that can be checked before a name is resolved.
    pub(crate) fn for_request(
        url: &Url,
        policy: &Allow,
        request: &Allow,
    ) -> Result<Self, OutboundError> {
        let refuse = |reason: &str| {
            Err(OutboundError::Refused {
                target: display_target(url),
                reason: reason.to_owned(),
            })
        };
        if !matches!(url.scheme(), "http" | "https") {
            return refuse("only http and https may be used");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("the URL holds a user name or password");
        }
        let (Some(host), Some(port)) = (host_text(url), url.port_or_known_default()) else {
            return refuse("the URL has no host");
        };
        let entries = || policy.0.iter().chain(&request.0);
        let own_origin = entries().any(|entry| {
            matches!(entry,
            AllowEntry::Origin { scheme, host: allowed, port: allowed_port }
                if scheme == url.scheme() && *allowed == host && *allowed_port == port)
        });
        if !own_origin && (port == 0 || REFUSED_PORTS.contains(&port)) {
            return refuse(&format!("port {port} is not for HTTP"));
        }
        let host_allowed = own_origin
            || entries()
                .any(|entry| matches!(entry, AllowEntry::Host(allowed) if *allowed == host));
        let networks = entries().filter_map(|entry| match entry {
            AllowEntry::Network { address, prefix } => Some((*address, *prefix)),
            _ => None,
        });
        let permission = Self {
            networks: networks.collect(),
            host: host_allowed.then_some(host),
        };
        // A name is checked when it is resolved; an address never is, so it is checked here.
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => None,
        };
        if let Some(address) = literal
            && let Err(reason) = permission.check(&host_text(url).unwrap_or_default(), address)
        {
            return refuse(&reason);
        }
        Ok(permission)
    }

    /// Whether a connection to `host` may go to `address`.
    pub(crate) fn check(&self, host: &str, address: IpAddr) -> Result<(), String> {
        let allowed = self.host.as_deref() == Some(normal_host(host).as_str())
            || self
                .networks
                .iter()
                .any(|(network, prefix)| address::contains(*network, *prefix, address));
        match address::special(address) {
            Some(what) if !allowed => Err(format!("{host} is {what}")),
            _ => Ok(()),
        }
    }
}

/// The host as it is compared: lower case, without the dot that ends a full name.
fn host_text(url: &Url) -> Option<String> {
    url.host_str()
        .map(normal_host)
        .filter(|host| !host.is_empty())
}

fn normal_host(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}
