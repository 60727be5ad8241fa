//! What descriptions of browsers say beyond RTP: DTLS (RFC 5763, 8842) and ICE (RFC 8839).

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
