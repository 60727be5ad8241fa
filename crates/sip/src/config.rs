//! What a stack is told when it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use crate::{HostPort, TraceConfig, Transport};

/// Listeners, names and limits of one [`SipStack`](crate::SipStack).
#[derive(Clone, Debug)]
pub struct SipConfig {
    /// Where messages and connections are received.
    pub listeners: Vec<Listener>,
    /// What TLS and WSS listeners show.
    pub certificate: Option<Certificate>,
    /// Networks on our side of the NAT: peers there are told a listener's own
    /// address instead of its public one. Loopback is always among them.
    pub local_networks: Vec<IpNet>,
    /// Edge proxies that are believed when they say where a request came from.
    pub trusted_proxies: Vec<IpNet>,
    /// Name servers asked for trunks' names; none means those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// The digest realm.
    pub realm: String,
    /// Value of the User-Agent and Server headers.
    pub user_agent: String,
    pub limits: Limits,
    pub trace: TraceConfig,
}

/// One address and what is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub transport: Transport,
    /// Port 0 takes a free one. `[::]` takes IPv6 only: IPv4 has listeners of its own.
    pub bind: SocketAddr,
    /// How peers outside our networks reach it (Via, Contact); the port is the
    /// bound one unless named. `None` means by the address itself.
    pub public: Option<HostPort>,
}

impl Listener {
    /// A listener that is reached at its own address.
    #[must_use]
    pub fn new(transport: Transport, bind: SocketAddr) -> Self {
        Self {
            transport,
            bind,
            public: None,
        }
    }
}

/// A text describes no listener.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a listener such as \"udp 10.0.0.5:5060 as sip.example.com:5060\"")]
pub struct ListenerError {
    text: String,
}

/// As operators write it: transport and address, then `as` and the public host
/// and port where peers outside know it by others.
impl FromStr for Listener {
    type Err = ListenerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let parsed = match words.as_slice() {
            [transport, bind] => Some((transport, bind, None)),
            [transport, bind, "as", public] => Some((transport, bind, Some(public))),
            _ => None,
        };
        let listener = parsed.and_then(|(transport, bind, public)| {
            Some(Self {
                transport: transport.parse().ok()?,
                bind: bind.parse().ok()?,
                public: public.map(|host| host.parse()).transpose().ok()?,
            })
        });
        listener.ok_or_else(|| ListenerError { text: text.into() })
    }
}

/// The files TLS listeners show, read again when they change.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate and those that vouch for it, PEM.
    pub chain: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

impl Default for SipConfig {
    fn default() -> Self {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
        Self {
            listeners: vec![
                Listener::new(Transport::Udp, local),
                Listener::new(Transport::Tcp, local),
            ],
            certificate: None,
            local_networks: Vec::new(),
            trusted_proxies: Vec::new(),
            name_servers: Vec::new(),
            realm: "trunkline".into(),
            user_agent: concat!("Trunkline/", env!("CARGO_PKG_VERSION")).into(),
            limits: Limits::default(),
            trace: TraceConfig::default(),
        }
    }
}

/// Bounds that keep one peer, or all of them, from exhausting the stack.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Transactions running at once, both directions; above it requests get 503.
    pub transactions: usize,
    /// New requests one source address may start per second, on average.
    pub requests_per_second: u32,
    /// How far a source may exceed that average for a moment.
    pub request_burst: u32,
    /// TCP connections open at once.
    pub connections: usize,
    /// Of those, how many one source may have open to us.
    pub connections_per_source: usize,
    /// A TCP connection silent for this long, with no device behind it, is closed.
    pub connection_idle: Duration,
    /// How often something is sent where nothing else is, so that NATs and proxies on the way keep it open: to phones
    /// behind a NAT, carriers we registered with and WebSockets. Whole seconds; the shortest-lived NATs forget after
    /// thirty.
    pub keep_open: Duration,
    /// Longest message accepted on a stream.
    pub message_bytes: usize,
    /// Devices one username may register.
    pub bindings_per_user: usize,
    /// Bindings over all usernames.
    pub bindings: usize,
    /// Shortest registration accepted (423 below it) and the longest granted.
    pub registration: (Duration, Duration),
    /// When guessing passwords ends in a ban.
    pub banning: Banning,
    /// How long a digest nonce is good for.
    pub nonce_lifetime: Duration,
    /// Shortest session interval accepted (422 below it), RFC 4028.
    pub min_session: Duration,
    /// The session interval we propose: at half of it we, or the peer, make sure that the other end
    /// is still there.
    pub session: Duration,
    /// RFC 3261 T1; a constant of the protocol, shortened by tests only.
    pub t1: Duration,
    /// Room in the receiver of [`SipEvent`](crate::SipEvent)s; when it is full, calls get 503.
    pub events: usize,
    /// Room in the event receiver of one leg.
    pub leg_events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transactions: 20_000,
            requests_per_second: 200,
            request_burst: 400,
            connections: 2_000,
            connections_per_source: 500,
            connection_idle: Duration::from_secs(180),
            keep_open: Duration::from_secs(25),
            message_bytes: 65_535,
            bindings_per_user: 10,
            bindings: 20_000,
            registration: (Duration::from_secs(60), Duration::from_secs(3600)),
            banning: Banning::default(),
            nonce_lifetime: Duration::from_secs(300),
            min_session: Duration::from_secs(90),
            session: Duration::from_secs(1800),
            t1: Duration::from_millis(500),
            events: 256,
            leg_events: 32,
        }
    }
}

/// When a source that guesses is no longer listened to, and for how long.
#[derive(Clone, Debug)]
pub struct Banning {
    /// Wrong passwords from one source, or for one account at a source that a
    /// registered device or a carrier shares, that bring a ban.
    pub failures: u32,
    /// Wrong passwords for one account from all sources together, above which a
    /// source gets a quarter of the attempts.
    pub account_failures: u32,
    /// How long a source must behave for its failures to be forgotten.
    pub window: Duration,
    /// The lengths of the first, second and further bans; the last repeats.
    pub steps: Vec<Duration>,
}

impl Default for Banning {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Self {
            failures: 10,
            account_failures: 50,
            window: minutes(10),
            steps: vec![minutes(1), minutes(10), minutes(60), minutes(24 * 60)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_written_in_words() {
        let read = |text: &str| text.parse::<Listener>();
        let plain = read("tls [::]:5061").expect("a listener");
        assert_eq!((plain.transport, plain.public), (Transport::Tls, None));
        let natted = read("UDP 10.0.0.5:5060 as sip.example.com:5080").expect("a listener");
        let public = natted.public.expect("told by another name");
        assert_eq!(public.to_string(), "sip.example.com:5080");
        for bad in [
            "",
            "udp",
            "sctp 10.0.0.5:1",
            "udp 10.0.0.5",
            "udp 10.0.0.5:1 as",
            "udp 10.0.0.5:1 at x",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
