//! What a stack is told when it starts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Listeners, names and limits of one [`SipStack`](crate::SipStack).
#[derive(Clone, Debug)]
pub struct SipConfig {
    /// Where UDP is received; port 0 takes a free one.
    pub udp: Option<SocketAddr>,
    /// Where TCP connections are accepted; port 0 takes a free one.
    pub tcp: Option<SocketAddr>,
    /// Where TLS connections are accepted; needs the certificate.
    pub tls: Option<SocketAddr>,
    /// Where WebSocket connections are accepted (RFC 7118).
    pub ws: Option<SocketAddr>,
    /// The same over TLS; needs the certificate.
    pub wss: Option<SocketAddr>,
    pub certificate: Option<Certificate>,
    /// The address peers are told to reach us at (Via, Contact).
    pub advertise: IpAddr,
    /// The digest realm.
    pub realm: String,
    /// Value of the User-Agent and Server headers.
    pub user_agent: String,
    pub limits: Limits,
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
            udp: Some(local),
            tcp: Some(local),
            tls: None,
            ws: None,
            wss: None,
            certificate: None,
            advertise: IpAddr::V4(Ipv4Addr::LOCALHOST),
            realm: "trunkline".into(),
            user_agent: concat!("Trunkline/", env!("CARGO_PKG_VERSION")).into(),
            limits: Limits::default(),
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
    /// A TCP connection silent for this long, with no device behind it, is closed.
    pub connection_idle: Duration,
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
            connection_idle: Duration::from_secs(180),
            message_bytes: 65_535,
            bindings_per_user: 10,
            bindings: 20_000,
            registration: (Duration::from_secs(60), Duration::from_secs(3600)),
            banning: Banning::default(),
            nonce_lifetime: Duration::from_secs(300),
            min_session: Duration::from_secs(90),
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
