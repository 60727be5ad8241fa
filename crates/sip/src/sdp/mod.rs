//! Audio sessions: reading offers, answering them, and making our own (RFC 3264, RFC 8866).

mod parse;
mod security;
mod webrtc;

use std::fmt::Write as _;
use std::net::SocketAddr;

use parse::Media;
pub use parse::Offer;
use security::Profile;
pub use security::{Agreed, Crypto, Sdes, Security, SrtpKey, Suite};
pub use webrtc::{Dtls, Ice, Setup, Source};

/// What we can do in a session, and where we receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    pub rtp: SocketAddr,
    /// In order of preference.
    pub codecs: Vec<Codec>,
    /// Whose order decides when we answer.
    pub order: Order,
    /// Whether we take RFC 4733 digits.
    pub telephone_event: bool,
    pub ptime_ms: u8,
    pub direction: Direction,
    /// How audio may be protected. Keys stay the same for the life of a leg.
    pub security: Security,
    /// Our ICE credentials and candidates, for peers that need it.
    pub ice: Option<Ice>,
    /// The source of our packets, for peers that tell streams apart by it. The same for the life
    /// of a leg.
    pub source: Option<Source>,
    /// The `o=` line's identity; keep it, and its version rises on change.
    pub origin: Origin,
}

/// Whose preference decides among the codecs that both speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The offerer's, as RFC 3264 §6.1 advises.
    #[default]
    Peers,
    /// Ours: it saves transcoding towards a leg whose codec is settled.
    Ours,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub session_id: u64,
    pub version: u64,
}

/// A codec we can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s. Its RTP clock is 8000 although it carries 16 kHz (RFC 3551 §4.5.2).
    G722,
    /// Opus (RFC 7587).
    Opus,
}

/// How RFC 4733 digits travel in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// The payload type both use.
    pub payload_type: u8,
    /// Ticks per second of timestamps and durations.
    pub clock_rate: u32,
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
    /// What else the peer may send, since we offered it (RFC 3264 §5.1): the other codecs, and all
    /// under the numbers that we gave them. Empty when the offer was the peer's: we answer with one
    /// codec, under its number.
    pub also_audio: Vec<(u8, Codec)>,
    /// The same for digits.
    pub also_events: Vec<TelephoneEvent>,
    /// RFC 4733 digits, if agreed.
    pub telephone_event: Option<TelephoneEvent>,
    /// Payload type of comfort noise (RFC 3389) that the peer may send.
    pub comfort_noise: Option<u8>,
    /// RTP and RTCP share our port and the peer's (RFC 5761).
    pub rtcp_mux: bool,
    /// How audio is protected.
    pub security: Agreed,
    /// The peer's ICE credentials and candidates.
    pub ice: Option<Ice>,
    /// Audio per packet that the peer wants, 10 to 60 ms.
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
    /// Encryption is required here and was not offered, or the other way round; 488 on the wire.
    #[error("{0}")]
    Security(&'static str),
}

impl SdpError {
    /// The SIP status that says this.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Syntax { .. } => 400,
            Self::NoAudio | Self::NoCodec | Self::Security(_) => 488,
        }
    }

    /// The code of the Warning that explains it (RFC 3261 §20.43).
    #[must_use]
    pub fn warning(&self) -> u16 {
        match self {
            Self::NoAudio => 304,
            Self::NoCodec => 305,
            Self::Syntax { .. } | Self::Security(_) => 399,
        }
    }
}

impl Codec {
    /// The payload type under which we offer it: static where RFC 3551 gives one.
    #[must_use]
    pub fn offered_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 107,
        }
    }

    /// Ticks per second of its RTP timestamps.
    #[must_use]
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::Opus => 48_000,
        }
    }

    fn of_encoding(encoding: &str) -> Option<Self> {
        Some(match encoding {
            "pcmu/8000" | "pcmu/8000/1" => Self::Pcmu,
            "pcma/8000" | "pcma/8000/1" => Self::Pcma,
            "g722/8000" | "g722/8000/1" => Self::G722,
            // RFC 7587 §7: always two channels in the map, whatever is sent.
            "opus/48000/2" => Self::Opus,
            _ => return None,
        })
    }

    fn encoding(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU/8000",
            Self::Pcma => "PCMA/8000",
            Self::G722 => "G722/8000",
            Self::Opus => "opus/48000/2",
        }
    }

    /// Parameters we ask for: speech in one channel, with redundancy against loss.
    fn parameters(self) -> Option<&'static str> {
        match self {
            Self::Opus => Some("useinbandfec=1;maxaveragebitrate=24000;stereo=0"),
            Self::Pcmu | Self::Pcma | Self::G722 => None,
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

/// The payload type we propose for RFC 4733 digits on the clock of G.711 and G.722 …
const TELEPHONE_EVENT: u8 = 101;
/// … and on that of Opus.
const TELEPHONE_EVENT_WIDE: u8 = 102;

/// Our offer.
#[must_use]
pub fn offer(ours: &Ours) -> String {
    let codecs: Vec<(u8, Codec)> = ours
        .codecs
        .iter()
        .map(|c| (c.offered_payload_type(), *c))
        .collect();
    let digits = offered_events(ours);
    let (protocol, crypto): (&str, &[Crypto]) = match &ours.security {
        Security::Off => ("RTP/AVP", &[]),
        // RFC 8643: who can't encrypt reads this as a clear offer.
        Security::Sdes(sdes) if !sdes.required => ("RTP/AVP", &sdes.crypto),
        Security::Sdes(sdes) => ("RTP/SAVP", &sdes.crypto),
        Security::Dtls(_) => ("UDP/TLS/RTP/SAVPF", &[]),
    };
    let dtls = match &ours.security {
        Security::Dtls(dtls) => Some(dtls),
        Security::Off | Security::Sdes(_) => None,
    };
    let mid = ours.ice.as_ref().map(|_| "0");
    let mut text = head(ours);
    if let Some(mid) = mid {
        // RFC 8829 §5.2.1: who speaks ICE and DTLS may refuse an offer that bundles nothing.
        let _ = write!(text, "a=group:BUNDLE {mid}\r\n");
    }
    text + &Stream {
        ours,
        protocol,
        codecs: &codecs,
        digits: &digits,
        crypto,
        dtls,
        ice: ours.ice.as_ref(),
        mid,
        rtcp_mux: true,
        direction: ours.direction,
        ptime_ms: ours.ptime_ms,
    }
    .text()
}

/// Digits as we offer them: on the clock of each codec.
fn offered_events(ours: &Ours) -> Vec<TelephoneEvent> {
    let clocks = [(TELEPHONE_EVENT, 8_000), (TELEPHONE_EVENT_WIDE, 48_000)];
    clocks
        .into_iter()
        .filter(|(_, clock)| ours.codecs.iter().any(|codec| codec.clock_rate() == *clock))
        .filter(|_| ours.telephone_event)
        .map(|(payload_type, clock_rate)| TelephoneEvent {
            payload_type,
            clock_rate,
        })
        .collect()
}

/// Our answer to an offer, and what was agreed. Streams we do not take are
/// declined with port 0, in their place.
///
/// # Errors
/// [`SdpError::NoAudio`], [`SdpError::NoCodec`] or [`SdpError::Security`].
pub fn answer(offer: &Offer, ours: &Ours) -> Result<(String, Negotiated), SdpError> {
    let mut refused = SdpError::NoAudio;
    let chosen = offer.audio_streams().find_map(|(index, media)| {
        match protection(&ours.security, media, Sdes::answer) {
            Ok(security) => Some((index, media, security)),
            Err(error) => {
                refused = error;
                None
            }
        }
    });
    let Some((index, media, security)) = chosen else {
        return Err(refused);
    };
    let agreed = agree(ours, media, security)?;
    let mut text = head(ours);
    if let Some(mid) = offer.media[index]
        .mid
        .as_ref()
        .filter(|mid| offer.bundles(mid))
    {
        let _ = write!(text, "a=group:BUNDLE {mid}\r\n");
    }
    for (at, offered) in offer.media.iter().enumerate() {
        if at == index {
            text += &answered(ours, media, &agreed);
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
/// [`SdpError::NoAudio`], [`SdpError::NoCodec`] or [`SdpError::Security`].
pub fn negotiate_answer(ours: &Ours, answer: &Offer) -> Result<Negotiated, SdpError> {
    let (_, media) = answer.audio().ok_or(SdpError::NoAudio)?;
    let security = protection(&ours.security, media, Sdes::accepted)?;
    let mut agreed = agree(ours, media, security)?;
    let offered = ours
        .codecs
        .iter()
        .map(|codec| (codec.offered_payload_type(), *codec));
    let kept = media.codecs(&ours.codecs).into_iter();
    for (payload_type, codec) in offered.chain(kept.map(|(codec, pt)| (pt, codec))) {
        let known = |(known, _): &(u8, Codec)| *known == payload_type;
        if payload_type != agreed.payload_type && !agreed.also_audio.iter().any(known) {
            agreed.also_audio.push((payload_type, codec));
        }
    }
    agreed.also_events = offered_events(ours);
    Ok(agreed)
}

/// Finds our line and the peer's that belong together.
type Pairing = fn(&Sdes, &[Crypto]) -> Option<(Crypto, Crypto)>;

/// How a stream of the peer's is protected, if that is what we are ready for.
fn protection(ours: &Security, media: &Media, pair: Pairing) -> Result<Agreed, SdpError> {
    const NO_SUITE: SdpError = SdpError::Security("no crypto suite in common");
    const REQUIRED: SdpError = SdpError::Security("encrypted audio is required here");
    let profile = media.profile().ok_or(SdpError::NoAudio)?;
    match (ours, profile) {
        (Security::Off, Profile::Clear) => Ok(Agreed::Clear),
        // RFC 8643: a clear profile with keys asks for encryption as far as the other can.
        (Security::Sdes(sdes), Profile::Clear) => match pair(sdes, &media.crypto) {
            Some(keys) => Ok(sdes_pair(keys)),
            None if sdes.required => Err(REQUIRED),
            None => Ok(Agreed::Clear),
        },
        (Security::Dtls(_), Profile::Clear) => Err(REQUIRED),
        (Security::Sdes(sdes), Profile::Encrypted) => {
            pair(sdes, &media.crypto).map(sdes_pair).ok_or(NO_SUITE)
        }
        (Security::Dtls(_), Profile::Dtls) => {
            let dtls = media.dtls().filter(|dtls| dtls.digest().is_some());
            dtls.map(Agreed::Dtls)
                .ok_or(SdpError::Security("no DTLS fingerprint"))
        }
        (Security::Off, _) => Err(SdpError::Security("encrypted audio is not offered here")),
        (Security::Sdes(_), Profile::Dtls) => Err(SdpError::Security("DTLS is not offered here")),
        (Security::Dtls(_), Profile::Encrypted) => Err(SdpError::Security(
            "keys in the description are not taken here",
        )),
    }
}

fn sdes_pair((ours, theirs): (Crypto, Crypto)) -> Agreed {
    Agreed::Sdes { ours, theirs }
}

fn agree(ours: &Ours, media: &Media, security: Agreed) -> Result<Negotiated, SdpError> {
    if ours.ice.is_some() && media.ice().is_none() {
        return Err(SdpError::Security("no ICE credentials"));
    }
    let remote_rtp = media.rtp().ok_or(SdpError::NoAudio)?;
    let common = media.codecs(&ours.codecs);
    let chosen = match ours.order {
        Order::Peers => common.first(),
        Order::Ours => common
            .iter()
            .min_by_key(|(codec, _)| ours.codecs.iter().position(|own| own == codec)),
    };
    let (codec, payload_type) = *chosen.ok_or(SdpError::NoCodec)?;
    // RFC 3264 §8.4: an address of zeros was how hold used to be said. With ICE it says that the
    // address is found by checks.
    let held = remote_rtp.ip().is_unspecified() && media.ice().is_none();
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
        also_audio: Vec::new(),
        also_events: Vec::new(),
        telephone_event: media
            .telephone_event(codec.clock_rate())
            .filter(|_| ours.telephone_event),
        comfort_noise: media
            .comfort_noise()
            .filter(|_| codec.clock_rate() == 8_000),
        rtcp_mux: media.rtcp_mux,
        security,
        ice: media.ice(),
        ptime_ms: packet_length(media, ours.ptime_ms),
        direction: ours.direction.meeting(peer),
    })
}

/// Milliseconds per packet that suit the peer: tens from 10 to 60, within its maximum.
fn packet_length(media: &Media, ours: u8) -> u8 {
    let wanted = media
        .ptime_ms
        .filter(|ms| (10..=60).contains(ms) && ms % 10 == 0)
        .unwrap_or(ours);
    let most = media.max_ptime_ms.unwrap_or(60) / 10 * 10;
    wanted.min(most.max(10))
}

/// The stream of our answer.
fn answered(ours: &Ours, media: &Media, agreed: &Negotiated) -> String {
    let crypto = match &agreed.security {
        Agreed::Sdes { ours, .. } => std::slice::from_ref(ours),
        Agreed::Clear | Agreed::Dtls(_) => &[],
    };
    // An answerer begins the handshake unless the offerer wants to (RFC 5763 §5).
    let dtls = match (&ours.security, &agreed.security) {
        (Security::Dtls(ours), Agreed::Dtls(theirs)) => Some(Dtls {
            setup: match theirs.setup {
                Setup::Active => Setup::Passive,
                Setup::ActPass if ours.setup == Setup::Passive => Setup::Passive,
                Setup::Passive | Setup::ActPass => Setup::Active,
            },
            ..ours.clone()
        }),
        _ => None,
    };
    Stream {
        ours,
        protocol: &media.protocol,
        codecs: &[(agreed.payload_type, agreed.codec)],
        digits: agreed.telephone_event.as_slice(),
        crypto,
        dtls: dtls.as_ref(),
        ice: ours.ice.as_ref().filter(|_| agreed.ice.is_some()),
        mid: media.mid.as_deref(),
        rtcp_mux: agreed.rtcp_mux,
        direction: agreed.direction,
        ptime_ms: agreed.ptime_ms,
    }
    .text()
}

fn head(ours: &Ours) -> String {
    let Origin {
        session_id,
        version,
    } = ours.origin;
    let (family, ip) = family(ours.rtp);
    // Our ICE agent only answers checks (RFC 8839 §5.3).
    let lite = ours.ice.as_ref().map_or("", |_| "a=ice-lite\r\n");
    format!(
        "v=0\r\no=- {session_id} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n{lite}"
    )
}

fn family(address: SocketAddr) -> (&'static str, std::net::IpAddr) {
    (if address.is_ipv4() { "IP4" } else { "IP6" }, address.ip())
}

/// An audio stream of ours, to be written.
struct Stream<'a> {
    ours: &'a Ours,
    protocol: &'a str,
    codecs: &'a [(u8, Codec)],
    digits: &'a [TelephoneEvent],
    crypto: &'a [Crypto],
    dtls: Option<&'a Dtls>,
    ice: Option<&'a Ice>,
    mid: Option<&'a str>,
    rtcp_mux: bool,
    direction: Direction,
    ptime_ms: u8,
}

impl Stream<'_> {
    fn text(&self) -> String {
        let mut text = format!("m=audio {} {}", self.ours.rtp.port(), self.protocol);
        let digits = self.digits.iter().map(|event| event.payload_type);
        for payload_type in self.codecs.iter().map(|(pt, _)| *pt).chain(digits) {
            let _ = write!(text, " {payload_type}");
        }
        text.push_str("\r\n");
        for (payload_type, codec) in self.codecs {
            let _ = write!(text, "a=rtpmap:{payload_type} {}\r\n", codec.encoding());
            if let Some(parameters) = codec.parameters() {
                let _ = write!(text, "a=fmtp:{payload_type} {parameters}\r\n");
            }
        }
        for TelephoneEvent {
            payload_type,
            clock_rate,
        } in self.digits
        {
            let _ = write!(
                text,
                "a=rtpmap:{payload_type} telephone-event/{clock_rate}\r\na=fmtp:{payload_type} 0-15\r\n"
            );
        }
        for crypto in self.crypto {
            let _ = write!(text, "a=crypto:{}\r\n", crypto.value().as_str());
        }
        if let Some(mid) = self.mid {
            let _ = write!(text, "a=mid:{mid}\r\n");
        }
        if let Some(dtls) = self.dtls {
            let setup = dtls.setup.as_str();
            let _ = write!(
                text,
                "a=fingerprint:{}\r\na=setup:{setup}\r\n",
                dtls.fingerprint
            );
        }
        if let Some(ice) = self.ice {
            let _ = write!(
                text,
                "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n",
                ice.ufrag, ice.pwd
            );
            for candidate in &ice.candidates {
                let _ = write!(text, "a=candidate:{candidate}\r\n");
            }
            text.push_str("a=end-of-candidates\r\n");
            // Pages find the audio by the stream that it belongs to (RFC 8830).
            text.push_str("a=msid:trunkline audio\r\n");
        }
        if let Some(Source { ssrc, cname }) = &self.ours.source {
            let _ = write!(text, "a=ssrc:{ssrc} cname:{cname}\r\n");
        }
        if self.rtcp_mux {
            text.push_str("a=rtcp-mux\r\n");
        }
        let _ = write!(
            text,
            "a=ptime:{}\r\na={}\r\n",
            self.ptime_ms,
            self.direction.as_str()
        );
        text
    }
}

#[cfg(test)]
mod tests;
