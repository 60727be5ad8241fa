//! What the stack asks its owner about devices and trunks.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who may register, and which sources are carriers.
///
/// The stack knows usernames and digests only; people, extensions and numbers
/// are the implementor's business.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// The digests of a device's password, `None` when there is no such device.
    async fn device(&self, username: &str) -> Option<DeviceCredential>;

    /// Keeps the complete set of a username's bindings; empty means none are left.
    async fn save_bindings(&self, username: &str, bindings: &[Binding]);

    /// All bindings kept, asked once at start.
    async fn load_bindings(&self) -> Vec<(String, Binding)>;

    /// Whether a call from this source is a carrier's and needs no digest.
    fn admits(&self, source: SocketAddr) -> bool;
}

/// `H(username:realm:password)` in both algorithms, so that the password itself
/// need not be kept (RFC 3261 §22.4, RFC 8760).
#[derive(Clone)]
pub struct DeviceCredential {
    pub(crate) ha1_md5: [u8; 16],
    pub(crate) ha1_sha256: [u8; 32],
    pub(crate) account: Option<String>,
}

impl DeviceCredential {
    /// From stored digests.
    #[must_use]
    pub fn from_digests(ha1_md5: [u8; 16], ha1_sha256: [u8; 32]) -> Self {
        Self {
            ha1_md5,
            ha1_sha256,
            account: None,
        }
    }

    /// The same proof, standing for another username: who presents it registers and calls as
    /// that one. For further credentials of one device.
    #[must_use]
    pub fn for_account(self, username: &str) -> Self {
        Self {
            account: Some(username.to_owned()),
            ..self
        }
    }

    /// From a password, for the realm the stack was configured with.
    #[must_use]
    pub fn from_password(username: &str, realm: &str, password: &str) -> Self {
        use md5::Digest as _;
        let text = format!("{username}:{realm}:{password}");
        Self {
            ha1_md5: md5::Md5::digest(text.as_bytes()).into(),
            ha1_sha256: sha2::Sha256::digest(text.as_bytes()).into(),
            account: None,
        }
    }

    /// The MD5 digest, to be stored.
    #[must_use]
    pub fn md5(&self) -> [u8; 16] {
        self.ha1_md5
    }

    /// The SHA-256 digest, to be stored.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        self.ha1_sha256
    }
}

impl fmt::Debug for DeviceCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceCredential(..)")
    }
}

/// One device reachable for a username, until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The Contact URI as the device gave it.
    pub contact: String,
    /// Where its REGISTER came from: requests to it are sent there, unless by a path.
    pub received: SocketAddr,
    pub transport: Transport,
    pub expires_at: Timestamp,
    pub call_id: String,
    pub cseq: u32,
    pub user_agent: Option<String>,
    /// What the device calls itself for good (`+sip.instance`, RFC 5626 §4.1),
    /// with its `reg-id` when it keeps several ways to us.
    #[serde(default)]
    pub instance: Option<String>,
    /// The proxies between us and the device, nearest first (Path, RFC 3327):
    /// requests to it go by them.
    #[serde(default)]
    pub path: Vec<String>,
    /// The UDP listener of ours it registered at: a NAT lets only that one in.
    #[serde(default)]
    pub registered_at: Option<SocketAddr>,
}

impl Binding {
    /// Whether the device is a browser, which takes audio by ICE and DTLS only.
    #[must_use]
    pub fn is_browser(&self) -> bool {
        matches!(self.transport, Transport::Ws | Transport::Wss)
    }
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    /// WebSocket, as browsers speak (RFC 7118).
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// As written in a Via header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }
}

/// A text names no transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not one of udp, tcp, tls, ws and wss")]
pub struct TransportError {
    text: String,
}

impl FromStr for Transport {
    type Err = TransportError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];
        let named = |transport: &Self| transport.as_str().eq_ignore_ascii_case(text);
        all.into_iter()
            .find(named)
            .ok_or_else(|| TransportError { text: text.into() })
    }
}
