//! Carriers: how we reach them, prove ourselves to them and know them again.

mod agent;
mod line;
mod probe;
mod proof;
mod resolve;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::Transport;
use crate::wire::{host_port, phrase};
pub(crate) use line::{Line, Trunks, set};
pub(crate) use probe::probe;
pub(crate) use proof::Authenticator;
pub(crate) use resolve::{Dns, Records, Target};

/// A carrier as the stack needs to know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// What its owner calls it; in every event, log line and incoming call.
    pub key: String,
    /// The carrier's domain or address. Without a port it is looked up by NAPTR
    /// and SRV (RFC 3263) before its addresses are tried.
    pub server: HostPort,
    /// UDP, TCP or TLS; `None` takes what the carrier's DNS names, else UDP.
    /// TLS that was asked for is never left for something else.
    pub transport: Option<Transport>,
    /// Everything is sent here instead; requests still name the server.
    pub outbound_proxy: Option<HostPort>,
    /// Set when the carrier wants us registered.
    pub registration: Option<Registration>,
    /// What answers the carrier's digest challenges.
    pub credential: Option<TrunkCredential>,
    /// The domain in From and P-Asserted-Identity; `None` means the server's.
    pub from_domain: Option<String>,
    /// Networks its calls come from, besides the addresses `server` leads to. Ports don't matter.
    pub sources: Vec<IpNet>,
    /// How often the carrier is asked whether it is there (OPTIONS); `None` never asks.
    pub keep_alive: Option<Duration>,
    /// Whether what it says about callers (P-Asserted-Identity, RFC 3325) is believed.
    pub trusts_identity: bool,
    /// How its certificate is checked.
    pub tls: TrunkTls,
}

impl Trunk {
    /// A trunk with nothing but a name and a server: no registration, no
    /// credential, asked every 30 seconds whether it is there.
    #[must_use]
    pub fn new(key: impl Into<String>, server: HostPort) -> Self {
        Self {
            key: key.into(),
            server,
            transport: None,
            outbound_proxy: None,
            registration: None,
            credential: None,
            from_domain: None,
            sources: Vec::new(),
            keep_alive: Some(Duration::from_secs(30)),
            trusts_identity: true,
            tls: TrunkTls::default(),
        }
    }
}

/// A host, and a port if one was named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name, or an address without brackets.
    pub host: String,
    pub port: Option<u16>,
}

/// A text is no `host` or `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a host such as sip.example.com, 203.0.113.5:5060 or [2001:db8::5]:5060")]
pub struct HostPortError {
    text: String,
}

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = match text.trim().parse::<std::net::Ipv6Addr>() {
            Ok(bare) => Some((bare.to_string(), None)),
            Err(_) => host_port(text),
        };
        parsed
            .filter(|(host, port)| host.len() <= 253 && *port != Some(0))
            .map(|(host, port)| Self { host, port })
            .ok_or_else(|| HostPortError { text: text.into() })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// How we register with a carrier (RFC 3261 §10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The user of the address-of-record, often the account's number.
    pub user: String,
    /// The user of our Contact, which the carrier puts into the Request-URI of its calls; `None` means `user`.
    pub contact_user: Option<String>,
    /// How long a registration is asked for; the carrier may grant less.
    pub expires: Duration,
}

/// A user name and password for digest.
#[derive(Clone)]
pub struct TrunkCredential {
    pub username: String,
    pub password: SecretString,
}

impl PartialEq for TrunkCredential {
    fn eq(&self, other: &Self) -> bool {
        self.username == other.username
            && self.password.expose_secret() == other.password.expose_secret()
    }
}

impl fmt::Debug for TrunkCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrunkCredential({}, ..)", self.username)
    }
}

/// How a carrier's TLS certificate is checked: always against its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkTls {
    /// PEM file of the authorities to trust instead of the system's.
    pub authorities: Option<PathBuf>,
    /// The name its certificate must show; `None` means the server's host.
    pub name: Option<String>,
}

/// What is known about a trunk now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrunkStatus {
    /// Not tried yet, or never asked (no registration and no keep-alive).
    Unknown,
    /// The first registration is on its way.
    Registering,
    Registered {
        until: Timestamp,
        via: SocketAddr,
        transport: Transport,
    },
    /// It answers our OPTIONS.
    Answering {
        /// From request to answer.
        round_trip: Duration,
        via: SocketAddr,
        transport: Transport,
    },
    Failing {
        since: Timestamp,
        why: TrunkProblem,
        retry_at: Timestamp,
    },
}

impl TrunkStatus {
    /// Whether calls have a chance there; what was never asked has one.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !matches!(self, Self::Failing { .. })
    }

    /// Whether two differ in more than figures that move by themselves.
    pub(crate) fn is_news(&self, before: &Self) -> bool {
        match (self, before) {
            (
                Self::Registered { via, transport, .. },
                Self::Registered {
                    via: old,
                    transport: by,
                    ..
                },
            )
            | (
                Self::Answering { via, transport, .. },
                Self::Answering {
                    via: old,
                    transport: by,
                    ..
                },
            ) => (via, transport) != (old, by),
            (Self::Failing { why, .. }, Self::Failing { why: old, .. }) => why != old,
            _ => std::mem::discriminant(self) != std::mem::discriminant(before),
        }
    }
}

/// Why a trunk can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrunkProblem {
    #[error("the name {name} has no address: {detail}")]
    NotResolved { name: String, detail: String },
    #[error("{transport} connection to {remote} failed: {detail}")]
    NotConnected {
        transport: &'static str,
        remote: SocketAddr,
        detail: String,
    },
    #[error("the certificate of {remote} was not accepted for {name}: {detail}")]
    Certificate {
        remote: SocketAddr,
        name: String,
        detail: String,
    },
    #[error("no answer from {remote} to {method} within {seconds} s")]
    NoAnswer {
        method: &'static str,
        remote: SocketAddr,
        seconds: u64,
    },
    #[error("the carrier asks for a password and the trunk has none")]
    NoCredential,
    #[error("the carrier refused the user name or password ({status} to our answer)")]
    WrongPassword { status: u16 },
    #[error("the carrier's challenge can't be answered: {detail}")]
    Challenge { detail: String },
    #[error("the carrier answered {method} with {status} {}", phrase(*.status))]
    Refused { method: &'static str, status: u16 },
    #[error("the trunk can't be tried: {detail}")]
    Local { detail: String },
}

impl TrunkProblem {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotResolved { .. } => {
                "check the spelling of the server's name and this machine's DNS"
            }
            Self::NotConnected { .. } => {
                "check server, port and transport, and whether a firewall lets us out"
            }
            Self::Certificate { .. } => {
                "use the name the carrier's certificate is for, or name the file of its authority"
            }
            Self::NoAnswer { .. } => {
                "check server, port and transport, and whether the carrier knows this machine's address"
            }
            Self::NoCredential => "set the user name and password the carrier gave you",
            Self::WrongPassword { .. } => "check user name and password with the carrier",
            Self::Challenge { .. } => "ask the carrier for digest with MD5 or SHA-256 and qop auth",
            Self::Refused { status: 403, .. } => {
                "the carrier knows us and says no: check account, user and the address it expects"
            }
            Self::Refused { status: 404, .. } => {
                "the carrier doesn't know the registration user: check it"
            }
            Self::Refused { status: 500.., .. } => "the carrier has a problem; try again later",
            Self::Refused { .. } => "ask the carrier what it wants",
            Self::Local { .. } => "check the listeners of this server (sip, sip_tls)",
        }
    }
}

/// What a test of a trunk found, step by step. Later steps are missing once
/// nothing is left to try.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeReport {
    pub steps: Vec<ProbeStep>,
}

impl ProbeReport {
    /// Whether the carrier can be used: it took the registration, or answered
    /// where none is wanted.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.steps.last().is_some_and(|step| step.result.is_ok())
    }
}

/// One step of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeStep {
    pub action: ProbeAction,
    /// What was found, in a sentence; or why not.
    pub result: Result<String, TrunkProblem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeAction {
    Resolve,
    Connect,
    Options,
    Register,
}

impl ProbeAction {
    /// As shown to operators.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Options => "options",
            Self::Register => "register",
        }
    }
}

/// Whether a caller's identity may be told to the callee (RFC 3323, RFC 3325).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Privacy {
    #[default]
    None,
    /// From is anonymous and `Privacy: id` asks the carrier to keep it so.
    Id,
}

/// What a carrier is told about a caller, besides From.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user of P-Asserted-Identity, as the carrier wants it written.
    pub asserted: Option<String>,
    pub privacy: Privacy,
}
