//! Audio sessions: reading offers, answering them, and making our own (RFC 3264, RFC 8866).

use std::net::{IpAddr, SocketAddr};

/// What we can do in a session, and where we receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    pub rtp: SocketAddr,
    /// In order of preference.
    pub codecs: Vec<Codec>,
    /// Whether we take RFC 4733 digits.
    pub telephone_event: bool,
    pub ptime_ms: u8,
    pub direction: Direction,
    /// The `o=` line's identity; keep it, and its version rises on change.
    pub origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub session_id: u64,
    pub version: u64,
}

/// A codec we can name. The payload type of G.711 is static.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// Which way audio flows, from the point of view of whoever says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

/// The agreed session, from our side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Where the peer receives RTP.
    pub remote_rtp: SocketAddr,
    /// Where the peer receives RTCP.
    pub remote_rtcp: SocketAddr,
    pub codec: Codec,
    /// Payload type both use for the codec.
    pub payload_type: u8,
    /// Payload type of RFC 4733 digits, with the 8 kHz clock, if agreed.
    pub telephone_event: Option<u8>,
    pub ptime_ms: u8,
    /// What we do: `SendRecv` talks both ways, anything else is some kind of hold.
    pub direction: Direction,
}

/// A parsed session description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    _address: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Not a session description; 400 on the wire.
    #[error("line {line} of the session description: {problem}")]
    Syntax { line: usize, problem: &'static str },
    /// No audio stream, or none with an address; 488 on the wire.
    #[error("no usable audio stream")]
    NoAudio,
    /// 488 on the wire.
    #[error("no codec in common")]
    NoCodec,
}

impl SdpError {
    /// The SIP status that says this.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Syntax { .. } => 400,
            Self::NoAudio | Self::NoCodec => 488,
        }
    }
}

impl Offer {
    /// # Errors
    /// When the text is not a session description. Unknown lines are no error.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let _ = text;
        Err(SdpError::NoAudio)
    }
}

/// Our offer.
#[must_use]
pub fn offer(ours: &Ours) -> String {
    let _ = ours;
    String::new()
}

/// Our answer to an offer, and what was agreed.
///
/// # Errors
/// [`SdpError::NoAudio`] or [`SdpError::NoCodec`].
pub fn answer(offer: &Offer, ours: &Ours) -> Result<(String, Negotiated), SdpError> {
    let _ = (offer, ours);
    Err(SdpError::NoAudio)
}

/// What the peer's answer to our offer agrees to.
///
/// # Errors
/// [`SdpError::NoAudio`] or [`SdpError::NoCodec`].
pub fn negotiate_answer(ours: &Ours, answer: &Offer) -> Result<Negotiated, SdpError> {
    let _ = (ours, answer);
    Err(SdpError::NoAudio)
}
