//! How a session's audio is protected: keys in the description (SDES, RFC 4568) or agreed by
//! DTLS between the peers (RFC 5763), and the stream profile that says so.

use std::fmt;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use rand::Rng as _;
use zeroize::Zeroizing;

use super::webrtc::Dtls;

/// What we are ready for in a session.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Security {
    /// Clear RTP only; encrypted offers are refused.
    #[default]
    Off,
    /// SRTP with keys in the description.
    Sdes(Sdes),
    /// SRTP with keys agreed by DTLS.
    Dtls(Dtls),
}

/// What was agreed about a session's protection.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Agreed {
    /// Clear RTP.
    #[default]
    Clear,
    /// SRTP, with the key of each direction.
    Sdes {
        /// Protects what we send.
        ours: Crypto,
        /// Protects what the peer sends.
        theirs: Crypto,
    },
    /// SRTP with keys that DTLS brings: the peer's fingerprint and role.
    Dtls(Dtls),
}

/// Readiness for SDES, with the keys of this leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdes {
    /// Whether clear audio is refused. If not, we offer `RTP/AVP` with keys (RFC 8643) and take
    /// encrypted and clear offers alike.
    pub required: bool,
    /// Our suites in order of preference, each with a key of its own.
    pub crypto: Vec<Crypto>,
}

/// A crypto suite and a master key for it: one `a=crypto` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// Names the line in offer and answer.
    pub tag: u32,
    /// How packets are protected.
    pub suite: Suite,
    /// Master key and salt.
    pub key: SrtpKey,
}

/// How packets are protected (RFC 4568 §6.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`
    AesCm128HmacSha1_32,
    /// `AEAD_AES_256_GCM`
    AeadAes256Gcm,
}

/// Master key followed by master salt. Overwritten when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKey(Zeroizing<Vec<u8>>);

impl SrtpKey {
    /// The bytes of key and salt.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SrtpKey(…)")
    }
}

impl Suite {
    /// All that we speak, best first.
    pub const ALL: [Self; 3] = [
        Self::AeadAes256Gcm,
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
    ];

    /// Its registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Bytes of master key and salt together.
    #[must_use]
    pub fn key_length(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16 + 14,
            Self::AeadAes256Gcm => 32 + 12,
        }
    }
}

impl Sdes {
    /// Readiness with fresh random keys for every suite.
    #[must_use]
    pub fn with_fresh_keys(required: bool) -> Self {
        let crypto = (1..).zip(Suite::ALL).map(|(tag, suite)| {
            let mut key = Zeroizing::new(vec![0; suite.key_length()]);
            rand::rng().fill_bytes(&mut key);
            Crypto {
                tag,
                suite,
                key: SrtpKey(key),
            }
        });
        Self {
            required,
            crypto: crypto.collect(),
        }
    }

    /// Our line that answers one of the peer's: the first of its lines whose suite we speak.
    /// The answer carries the tag of the offer (RFC 4568 §5.1.2).
    pub(super) fn answer(&self, offered: &[Crypto]) -> Option<(Crypto, Crypto)> {
        offered.iter().find_map(|theirs| {
            let ours = self.crypto.iter().find(|own| own.suite == theirs.suite)?;
            let ours = Crypto {
                tag: theirs.tag,
                ..ours.clone()
            };
            Some((ours, theirs.clone()))
        })
    }

    /// Our offered line that the peer's answer took up.
    pub(super) fn accepted(&self, answered: &[Crypto]) -> Option<(Crypto, Crypto)> {
        answered.iter().find_map(|theirs| {
            let ours = self
                .crypto
                .iter()
                .find(|own| own.suite == theirs.suite && own.tag == theirs.tag)?;
            Some((ours.clone(), theirs.clone()))
        })
    }
}

impl Crypto {
    /// Reads the value of an `a=crypto` line; `None` for suites and parameters that we don't
    /// speak, which leaves the peer's other lines to choose from.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split_ascii_whitespace();
        let tag = parts.next()?.parse().ok()?;
        let name = parts.next()?;
        let suite = Suite::ALL
            .into_iter()
            .find(|suite| suite.name().eq_ignore_ascii_case(name))?;
        let inline = parts.next()?.strip_prefix("inline:")?;
        // More than one key, or a key named by an MKI in each packet (`|1:4`), is not for phones.
        if inline.contains(';') {
            return None;
        }
        let mut fields = inline.split('|');
        let key = fields.next()?;
        if fields.any(|field| field.contains(':')) {
            return None;
        }
        // Session parameters may weaken or change the protection (RFC 4568 §6.3); a window size
        // and the default key derivation rate don't.
        if parts.any(|parameter| parameter != "KDR=0" && !parameter.starts_with("WSH=")) {
            return None;
        }
        // Some peers leave the padding out.
        let key = Zeroizing::new(STANDARD_NO_PAD.decode(key.trim_end_matches('=')).ok()?);
        (key.len() == suite.key_length()).then_some(Self {
            tag,
            suite,
            key: SrtpKey(key),
        })
    }

    /// The line's value.
    pub(super) fn value(&self) -> Zeroizing<String> {
        let key = STANDARD.encode(self.key.expose());
        Zeroizing::new(format!("{} {} inline:{key}", self.tag, self.suite.name()))
    }
}

/// The transport profile of a stream (RFC 3551, 3711, 4585, 5124, 5764).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// `RTP/AVP` and `RTP/AVPF`
    Clear,
    /// `RTP/SAVP` and `RTP/SAVPF`
    Encrypted,
    /// `UDP/TLS/RTP/SAVP` and `UDP/TLS/RTP/SAVPF`
    Dtls,
}

impl Profile {
    pub(super) fn of(protocol: &str) -> Option<Self> {
        Some(match protocol {
            "RTP/AVP" | "RTP/AVPF" => Self::Clear,
            "RTP/SAVP" | "RTP/SAVPF" => Self::Encrypted,
            "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF" => Self::Dtls,
            _ => return None,
        })
    }
}
