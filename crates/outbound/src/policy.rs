//! Which targets a request may have.

/// One exception from "public addresses only".
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AllowEntry {
    /// Addresses in this network, whatever name leads there: `10.20.0.0/16`.
    Network { /** First address. */ address: std::net::IpAddr, /** Prefix length. */ prefix: u8 },
    /// This host name or address on any permitted port: `pbx.internal`.
    Host(String),
    /// Exactly this origin: `http://127.0.0.1:8080`.
    Origin { /** http or https. */ scheme: String, /** Host as in a URL. */ host: String, /** Port. */ port: u16 },
}

/// Text that is no network, host or origin.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is neither a network (10.0.0.0/8), a host (pbx.internal) nor an origin (http://127.0.0.1:8080)")]
pub struct AllowEntryError(pub String);

impl std::str::FromStr for AllowEntry {
    type Err = AllowEntryError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Err(AllowEntryError(text.to_owned()))
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
        format!("{entry:?}")
    }
}

/// A set of exceptions. The empty set means public addresses only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Allow(std::collections::BTreeSet<AllowEntry>);

impl Allow {
    /// No exceptions.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
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
        Self { allow: Allow::nothing(), user_agent: concat!("trunkline/", env!("CARGO_PKG_VERSION")).to_owned() }
    }
}
