//! Audio sessions: reading offers, answering them, and making our own (RFC 3264, RFC 8866).

mod parse;

use std::fmt::Write as _;
use std::net::SocketAddr;

use parse::Media;
pub use parse::Offer;

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

impl Codec {
    /// The static payload type (RFC 3551).
    #[must_use]
    pub fn static_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }
}

impl Direction {
    fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same flow seen from the other side.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self::of(self.receives(), self.sends())
    }

    /// What remains when we may do this and the peer (as it says) does that.
    fn meeting(self, peer: Self) -> Self {
        Self::of(
            self.sends() && peer.receives(),
            self.receives() && peer.sends(),
        )
    }
}

impl Ours {
    /// The next description after a change: its version is one higher (RFC 3264 §8).
    #[must_use]
    pub fn changed(&self, direction: Direction) -> Self {
        let mut next = self.clone();
        if next.direction != direction {
            next.direction = direction;
            next.origin.version += 1;
        }
        next
    }
}

/// Whether an offer can be answered at all, before its owner is troubled.
pub(crate) fn check(text: &str) -> Result<(), SdpError> {
    Offer::parse(text)?
        .audio()
        .map(|_| ())
        .ok_or(SdpError::NoAudio)
}

/// The payload type we propose for RFC 4733 digits.
const TELEPHONE_EVENT: u8 = 101;

/// Our offer.
#[must_use]
pub fn offer(ours: &Ours) -> String {
    let codecs: Vec<(u8, Codec)> = ours
        .codecs
        .iter()
        .map(|c| (c.static_payload_type(), *c))
        .collect();
    let digits = ours.telephone_event.then_some(TELEPHONE_EVENT);
    head(ours)
        + &audio(
            ours,
            "RTP/AVP",
            &codecs,
            digits,
            ours.direction,
            ours.ptime_ms,
        )
}

/// Our answer to an offer, and what was agreed. Streams we do not take are
/// declined with port 0, in their place.
///
/// # Errors
/// [`SdpError::NoAudio`] or [`SdpError::NoCodec`].
pub fn answer(offer: &Offer, ours: &Ours) -> Result<(String, Negotiated), SdpError> {
    let (index, media) = offer.audio().ok_or(SdpError::NoAudio)?;
    let (codec, payload_type) = media.first_codec(&ours.codecs).ok_or(SdpError::NoCodec)?;
    let telephone_event = media.telephone_event().filter(|_| ours.telephone_event);
    let agreed = agree(ours, media, codec, payload_type, telephone_event)?;
    let mut text = head(ours);
    for (at, offered) in offer.media.iter().enumerate() {
        if at == index {
            let codecs = [(payload_type, codec)];
            text += &audio(
                ours,
                &media.protocol,
                &codecs,
                telephone_event,
                agreed.direction,
                agreed.ptime_ms,
            );
        } else {
            let formats = if offered.formats.is_empty() {
                "0".to_owned()
            } else {
                offered.formats.join(" ")
            };
            let _ = write!(
                text,
                "m={} 0 {} {formats}\r\n",
                offered.kind, offered.protocol
            );
        }
    }
    Ok((text, agreed))
}

/// What the peer's answer to our offer agrees to.
///
/// # Errors
/// [`SdpError::NoAudio`] or [`SdpError::NoCodec`].
pub fn negotiate_answer(ours: &Ours, answer: &Offer) -> Result<Negotiated, SdpError> {
    let (_, media) = answer.audio().ok_or(SdpError::NoAudio)?;
    let (codec, payload_type) = media.first_codec(&ours.codecs).ok_or(SdpError::NoCodec)?;
    let telephone_event = media.telephone_event().filter(|_| ours.telephone_event);
    agree(ours, media, codec, payload_type, telephone_event)
}

fn agree(
    ours: &Ours,
    media: &Media,
    codec: Codec,
    payload_type: u8,
    telephone_event: Option<u8>,
) -> Result<Negotiated, SdpError> {
    let remote_rtp = media.rtp().ok_or(SdpError::NoAudio)?;
    // RFC 3264 §8.4: an address of zeros was how hold used to be said.
    let held = remote_rtp.ip().is_unspecified();
    let peer = if held {
        Direction::of(media.direction.sends(), false)
    } else {
        media.direction
    };
    Ok(Negotiated {
        remote_rtp,
        remote_rtcp: media.rtcp(remote_rtp),
        codec,
        payload_type,
        telephone_event,
        // Frames longer than 60 ms or of odd length are not made here.
        ptime_ms: media
            .ptime_ms
            .filter(|ms| matches!(ms, 10 | 20 | 30 | 40 | 60))
            .unwrap_or(ours.ptime_ms),
        direction: ours.direction.meeting(peer),
    })
}

fn head(ours: &Ours) -> String {
    let Origin {
        session_id,
        version,
    } = ours.origin;
    let (family, ip) = family(ours.rtp);
    format!(
        "v=0\r\no=- {session_id} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n"
    )
}

fn family(address: SocketAddr) -> (&'static str, std::net::IpAddr) {
    (if address.is_ipv4() { "IP4" } else { "IP6" }, address.ip())
}

fn audio(
    ours: &Ours,
    protocol: &str,
    codecs: &[(u8, Codec)],
    digits: Option<u8>,
    direction: Direction,
    ptime_ms: u8,
) -> String {
    let mut text = format!("m=audio {} {protocol}", ours.rtp.port());
    for payload_type in codecs.iter().map(|(pt, _)| *pt).chain(digits) {
        let _ = write!(text, " {payload_type}");
    }
    text.push_str("\r\n");
    for (payload_type, codec) in codecs {
        let _ = write!(text, "a=rtpmap:{payload_type} {}/8000\r\n", codec.name());
    }
    if let Some(payload_type) = digits {
        let _ = write!(
            text,
            "a=rtpmap:{payload_type} telephone-event/8000\r\na=fmtp:{payload_type} 0-15\r\n"
        );
    }
    let _ = write!(text, "a=ptime:{ptime_ms}\r\na={}\r\n", direction.as_str());
    text
}

#[cfg(test)]
mod tests;
