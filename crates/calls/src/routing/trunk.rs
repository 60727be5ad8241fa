//! What an operator says of a carrier's connection.

use serde::{Deserialize, Serialize};

use super::{NumberFormat, TrunkLimits};

/// How messages travel to a carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrunkTransport {
    /// RFC 3261 §18.
    Udp,
    /// RFC 3261 §18.
    Tcp,
    /// TLS, the carrier's certificate checked.
    Tls,
}

/// Whether audio is encrypted (SDES, RFC 4568).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SrtpPolicy {
    /// Never.
    #[default]
    Off,
    /// When the carrier agrees.
    Optional,
    /// Calls without it fail.
    Required,
}

/// How the caller's number is asserted (RFC 3325).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerIdHeader {
    /// In From and in P-Asserted-Identity.
    #[default]
    PAssertedIdentity,
    /// In From alone.
    From,
    /// In P-Asserted-Identity alone; From names our user at the carrier.
    PAssertedIdentityOnly,
}

/// An audio codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722,
    /// Opus.
    Opus,
}

/// How we say to a carrier where we are (RFC 3261 §10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registration {
    /// How long one registration is asked for.
    pub expires_seconds: u32,
    /// The user of our Contact; the user name when absent.
    pub contact_user: Option<String>,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            expires_seconds: 300,
            contact_user: None,
        }
    }
}

/// A carrier's connection, without its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrunkSettings {
    /// Host name or address, with `:port` when it isn't found by SRV.
    pub server: String,
    /// Absent: as the carrier's DNS says, else UDP.
    pub transport: Option<TrunkTransport>,
    /// Where requests go first, `host[:port]`.
    pub outbound_proxy: Option<String>,
    /// Our user at the carrier; needed to register and to answer challenges.
    pub username: Option<String>,
    /// The user of digests where it differs.
    pub auth_username: Option<String>,
    /// The domain of From and of what we register; the server's name when absent.
    pub domain: Option<String>,
    /// Present: we register.
    pub register: Option<Registration>,
    /// Networks in CIDR form from which its calls come. The addresses of the server itself always
    /// count.
    pub sources: Vec<String>,
    /// In the order of preference; none means ours.
    pub codecs: Vec<Codec>,
    /// Whether audio is encrypted.
    pub srtp: SrtpPolicy,
    /// How numbers are written to it.
    pub numbers_out: NumberFormat,
    /// How it writes numbers.
    pub numbers_in: NumberFormat,
    /// ISO 3166 alpha-2: whose national numbers it uses; the company's country when absent.
    pub country: Option<String>,
    /// How the caller's number is asserted.
    pub caller_id: CallerIdHeader,
    /// Whether a P-Asserted-Identity of it is believed.
    pub trusted: bool,
    /// Seconds between OPTIONS requests; 0 asks none.
    pub keep_alive_seconds: u32,
    /// How long it may take to say that the callee's phone rings, before the next trunk is tried.
    pub setup_seconds: u32,
    /// Whether it takes outgoing calls.
    pub outbound: bool,
    /// Whether it takes emergency calls, and knows where callers are.
    pub emergency: bool,
    /// What it may be used for.
    pub limits: TrunkLimits,
}

impl Default for TrunkSettings {
    fn default() -> Self {
        Self {
            server: String::new(),
            transport: None,
            outbound_proxy: None,
            username: None,
            auth_username: None,
            domain: None,
            register: None,
            sources: Vec::new(),
            codecs: Vec::new(),
            srtp: SrtpPolicy::default(),
            numbers_out: NumberFormat::default(),
            numbers_in: NumberFormat::default(),
            country: None,
            caller_id: CallerIdHeader::default(),
            trusted: false,
            keep_alive_seconds: 60,
            setup_seconds: 12,
            outbound: true,
            emergency: false,
            limits: TrunkLimits::default(),
        }
    }
}

/// Something wrong with a trunk's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrunkProblem {
    /// The setting's name.
    pub field: &'static str,
    /// What is wrong and what is wanted.
    pub message: String,
}

impl TrunkSettings {
    /// All that is wrong.
    #[must_use]
    pub fn problems(&self) -> Vec<TrunkProblem> {
        let mut problems = Vec::new();
        let mut add = |field, message: &str| {
            problems.push(TrunkProblem {
                field,
                message: message.to_owned(),
            });
        };
        if !is_host(&self.server) {
            add(
                "server",
                "must be a host name or address, with :port if need be, such as sip.carrier.example:5060",
            );
        }
        if self
            .outbound_proxy
            .as_deref()
            .is_some_and(|proxy| !is_host(proxy))
        {
            add(
                "outbound_proxy",
                "must be a host name or address, with :port if need be",
            );
        }
        if self
            .domain
            .as_deref()
            .is_some_and(|domain| !is_host(domain))
        {
            add("domain", "must be a host name or address");
        }
        for (field, name) in [
            ("username", &self.username),
            ("auth_username", &self.auth_username),
        ] {
            let bad = |name: &String| {
                name.is_empty()
                    || name.len() > 128
                    || name.chars().any(|c| c.is_control() || c.is_whitespace())
            };
            if name.as_ref().is_some_and(bad) {
                add(field, "must be 1 to 128 characters without spaces");
            }
        }
        if self.register.is_some() && self.username.is_none() {
            add("username", "is needed to register");
        }
        if self
            .register
            .as_ref()
            .is_some_and(|register| !(30..=86_400).contains(&register.expires_seconds))
        {
            add("register", "expires_seconds must be from 30 to 86400");
        }
        for source in &self.sources {
            if !is_network(source) {
                add("sources", "must be networks such as 203.0.113.0/24");
            }
        }
        if self.keep_alive_seconds != 0 && !(10..=3600).contains(&self.keep_alive_seconds) {
            add("keep_alive_seconds", "must be 0 or from 10 to 3600");
        }
        if !(2..=60).contains(&self.setup_seconds) {
            add("setup_seconds", "must be from 2 to 60");
        }
        let is_country = |country: &String| {
            country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase())
        };
        if self
            .country
            .as_ref()
            .is_some_and(|country| !is_country(country))
        {
            add("country", "must be two capital letters such as SK");
        }
        for (field, text) in [
            ("numbers_out", &self.numbers_out.prefix),
            ("numbers_in", &self.numbers_in.strip),
        ] {
            let dialable = |b: u8| b.is_ascii_digit() || b"+*#".contains(&b);
            if text.len() > 15 || !text.bytes().all(dialable) {
                add(field, "must be at most 15 digits, +, * or #");
            }
        }
        problems
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, port)) => match port.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None => return false,
            },
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let named = !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    let literal = text.starts_with('[') && host.parse::<std::net::Ipv6Addr>().is_ok();
    let port_good = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    port_good && (literal || (named && !text.starts_with('[')))
}

fn is_network(text: &str) -> bool {
    let (address, length) = text
        .split_once('/')
        .map_or((text, None), |(address, length)| (address, Some(length)));
    let Ok(address) = address.parse::<std::net::IpAddr>() else {
        return false;
    };
    let widest: u8 = if address.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|length| length.parse::<u8>().is_ok_and(|length| length <= widest))
}
