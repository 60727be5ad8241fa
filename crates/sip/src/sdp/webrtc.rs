//! What descriptions of browsers say beyond RTP: DTLS (RFC 5763, 8842), ICE (RFC 8839) and sources
//! (RFC 5576).

/// One side's part in a DTLS association.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dtls {
    /// `a=fingerprint`: hash function and value of the certificate, as `sha-256 AB:CD:…`.
    pub fingerprint: String,
    /// Who begins the handshake.
    pub setup: Setup,
}

/// `a=setup` (RFC 4145).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// Begins.
    Active,
    /// Waits.
    Passive,
    /// Leaves it to the answerer; only in offers.
    ActPass,
}

/// One side's ICE credentials and candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ice {
    /// `a=ice-ufrag`
    pub ufrag: String,
    /// `a=ice-pwd`
    pub pwd: String,
    /// Values of `a=candidate` lines.
    pub candidates: Vec<String>,
}

/// Whose packets a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As the packets say.
    pub ssrc: u32,
    /// As its reports say (RFC 5576 §6.1).
    pub cname: String,
}

impl Dtls {
    /// Readiness with the certificate of this SHA-256.
    #[must_use]
    pub fn with_sha256(digest: &[u8], setup: Setup) -> Self {
        let bytes: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        Self {
            fingerprint: format!("sha-256 {}", bytes.join(":")),
            setup,
        }
    }

    /// The digest of the certificate; `None` when the function is none we trust or the value is
    /// none of its (RFC 8122 §5).
    #[must_use]
    pub fn digest(&self) -> Option<Vec<u8>> {
        let (function, value) = self.fingerprint.split_once(' ')?;
        let length = match function.to_ascii_lowercase().as_str() {
            "sha-256" => 32,
            "sha-384" => 48,
            "sha-512" => 64,
            _ => return None,
        };
        let bytes = value
            .trim()
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16));
        let digest: Vec<u8> = bytes.collect::<Result<_, _>>().ok()?;
        (digest.len() == length).then_some(digest)
    }
}

impl Ice {
    /// An agent with one host candidate, which is all that an ICE-lite agent needs.
    #[must_use]
    pub fn host(ufrag: &str, pwd: &str, address: std::net::SocketAddr) -> Self {
        // RFC 8445 §5.1.2.1 for the one component of a host candidate.
        let priority = (126_u32 << 24) + (65_535 << 8) + 255;
        Self {
            ufrag: ufrag.to_owned(),
            pwd: pwd.to_owned(),
            candidates: vec![format!(
                "1 1 udp {priority} {} {} typ host",
                address.ip(),
                address.port()
            )],
        }
    }
}

impl Setup {
    pub(super) fn parse(value: &str) -> Option<Self> {
        Some(match value.trim() {
            "active" => Self::Active,
            "passive" => Self::Passive,
            "actpass" => Self::ActPass,
            _ => return None,
        })
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
        }
    }
}
