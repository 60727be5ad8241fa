//! Reading a session description. Lines we do not know are passed over.

use std::net::{IpAddr, SocketAddr};

use super::{
    Codec, Direction, SdpError, TelephoneEvent,
    security::{Crypto, Profile},
    webrtc::{Dtls, Ice, Setup},
};

/// Streams one description may have; beyond it nobody means well.
const STREAMS: usize = 32;
/// Keys and ICE candidates that one stream may have.
const LINES: usize = 64;

/// A parsed session description, offer or answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub(super) media: Vec<Media>,
    /// The `mid`s that would share one transport (RFC 9143).
    bundle: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Media {
    pub kind: String,
    pub port: u16,
    pub protocol: String,
    pub formats: Vec<String>,
    address: Option<IpAddr>,
    rtpmaps: Vec<(u8, String)>,
    pub ptime_ms: Option<u8>,
    pub direction: Direction,
    rtcp: Option<(u16, Option<IpAddr>)>,
    /// RTP and RTCP on one port (RFC 5761).
    pub rtcp_mux: bool,
    /// The longest packet the peer takes, in milliseconds.
    pub max_ptime_ms: Option<u8>,
    pub crypto: Vec<Crypto>,
    /// `a=mid` (RFC 5888).
    pub mid: Option<String>,
    secure: Secure,
    candidates: Vec<String>,
}

/// What may stand at the session's level as well as at a stream's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Secure {
    fingerprint: Option<String>,
    setup: Option<Setup>,
    ufrag: Option<String>,
    pwd: Option<String>,
}

impl Secure {
    fn attribute(&mut self, value: &str) {
        let Some((name, value)) = value.split_once(':') else {
            return;
        };
        let value = value.trim();
        match name {
            "fingerprint" => self.fingerprint = Some(value.to_owned()),
            "setup" => self.setup = Setup::parse(value),
            "ice-ufrag" => self.ufrag = Some(value.to_owned()),
            "ice-pwd" => self.pwd = Some(value.to_owned()),
            _ => {}
        }
    }
}

impl Offer {
    /// Reads a description.
    ///
    /// # Errors
    /// When the text is not one. Unknown lines are no error.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let mut media: Vec<Media> = Vec::new();
        let (mut address, mut direction, mut ptime_ms) = (None, Direction::SendRecv, None);
        let mut secure = Secure::default();
        let mut bundle = Vec::new();
        let mut versioned = false;
        for (number, line) in text.lines().enumerate() {
            let problem = |problem| SdpError::Syntax {
                line: number + 1,
                problem,
            };
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            let (kind, value) = line.split_once('=').ok_or_else(|| problem("no type"))?;
            if kind.len() != 1 {
                return Err(problem("no type"));
            }
            if !versioned && (kind, value) != ("v", "0") {
                return Err(problem("must be v=0"));
            }
            versioned = true;
            let full = media.len() >= STREAMS;
            match (kind, media.last_mut()) {
                ("m", _) if full => return Err(problem("too many streams")),
                ("m", _) => {
                    let mut stream =
                        Media::parse(value).ok_or_else(|| problem("malformed stream"))?;
                    (stream.address, stream.direction, stream.ptime_ms) =
                        (address, direction, ptime_ms);
                    stream.secure = secure.clone();
                    media.push(stream);
                }
                ("c", stream) => {
                    let value = connection(value).ok_or_else(|| problem("malformed connection"))?;
                    *stream.map_or(&mut address, |s| &mut s.address) = value;
                }
                ("a", Some(stream)) => stream.attribute(value),
                ("a", None) => {
                    direction = direction_of(value).unwrap_or(direction);
                    ptime_ms = ptime_of(value).or(ptime_ms);
                    secure.attribute(value);
                    if let Some(mids) = value.strip_prefix("group:BUNDLE ") {
                        let mids = mids.split_ascii_whitespace().take(STREAMS);
                        bundle = mids.map(str::to_owned).collect();
                    }
                }
                _ => {}
            }
        }
        if !versioned {
            return Err(SdpError::Syntax {
                line: 1,
                problem: "empty",
            });
        }
        Ok(Self { media, bundle })
    }

    /// Where the peer receives audio, if it says.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.audio()?.1.address
    }

    /// The first audio stream that is wanted, and its place.
    pub(super) fn audio(&self) -> Option<(usize, &Media)> {
        self.audio_streams().next()
    }

    /// All audio streams that are wanted, with their places: some peers offer an encrypted and a
    /// clear one to choose from.
    pub(super) fn audio_streams(&self) -> impl Iterator<Item = (usize, &Media)> {
        self.media.iter().enumerate().filter(|(_, m)| {
            m.kind == "audio" && m.port != 0 && m.address.is_some() && m.profile().is_some()
        })
    }

    /// Whether the peer would have a stream share its transport with others.
    pub(super) fn bundles(&self, mid: &str) -> bool {
        self.bundle.iter().any(|bundled| bundled == mid)
    }

    /// The ICE credentials and candidates of the audio.
    #[must_use]
    pub fn ice(&self) -> Option<Ice> {
        self.audio()?.1.ice()
    }

    /// Whether a browser made this: its audio is protected by DTLS, and only so.
    #[must_use]
    pub fn wants_dtls(&self) -> bool {
        let mut profiles = self.audio_streams().map(|(_, media)| media.profile());
        profiles
            .next()
            .is_some_and(|first| first == Some(Profile::Dtls))
    }

    /// Whether the description asks us to wait: it takes no audio of ours, or
    /// names no address for it.
    #[must_use]
    pub fn is_hold(&self) -> bool {
        self.audio().is_some_and(|(_, m)| {
            let nowhere = m.ice().is_none() && m.address.is_some_and(|a| a.is_unspecified());
            nowhere || !m.direction.receives()
        })
    }
}

impl Media {
    fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split_ascii_whitespace();
        let kind = parts.next()?.to_ascii_lowercase();
        // `port/count` is for layered streams; the first port counts.
        let port = parts.next()?.split('/').next()?.parse().ok()?;
        let protocol = parts.next()?.to_owned();
        Some(Self {
            kind,
            port,
            protocol,
            formats: parts.take(128).map(str::to_owned).collect(),
            address: None,
            rtpmaps: Vec::new(),
            ptime_ms: None,
            direction: Direction::SendRecv,
            rtcp: None,
            rtcp_mux: false,
            max_ptime_ms: None,
            crypto: Vec::new(),
            mid: None,
            secure: Secure::default(),
            candidates: Vec::new(),
        })
    }

    pub fn profile(&self) -> Option<Profile> {
        Profile::of(&self.protocol)
    }

    /// The peer's part in a DTLS association, when it described one.
    pub fn dtls(&self) -> Option<Dtls> {
        Some(Dtls {
            fingerprint: self.secure.fingerprint.clone()?,
            setup: self.secure.setup.unwrap_or(Setup::ActPass),
        })
    }

    /// The peer's ICE credentials and candidates, when it speaks ICE.
    pub fn ice(&self) -> Option<Ice> {
        Some(Ice {
            ufrag: self.secure.ufrag.clone()?,
            pwd: self.secure.pwd.clone()?,
            candidates: self.candidates.clone(),
        })
    }

    fn attribute(&mut self, value: &str) {
        if let Some(direction) = direction_of(value) {
            self.direction = direction;
        } else if let Some(ptime) = ptime_of(value) {
            self.ptime_ms = Some(ptime);
        } else if let Some(map) = value.strip_prefix("rtpmap:") {
            if let Some((pt, encoding)) = map.split_once(' ')
                && let Ok(pt) = pt.parse::<u8>()
                && self.rtpmaps.len() < 128
            {
                self.rtpmaps
                    .push((pt, encoding.trim().to_ascii_lowercase()));
            }
        } else if let Some(rtcp) = value.strip_prefix("rtcp:") {
            let (port, rest) = rtcp.split_once(' ').unwrap_or((rtcp, ""));
            if let Ok(port) = port.trim().parse() {
                self.rtcp = Some((port, connection(rest).flatten()));
            }
        } else if let Some(crypto) = value.strip_prefix("crypto:") {
            if self.crypto.len() < LINES {
                self.crypto.extend(Crypto::parse(crypto));
            }
        } else if let Some(candidate) = value.strip_prefix("candidate:") {
            if self.candidates.len() < LINES {
                self.candidates.push(candidate.trim().to_owned());
            }
        } else if let Some(ms) = value.strip_prefix("maxptime:") {
            self.max_ptime_ms = milliseconds(ms);
        } else if let Some(mid) = value.strip_prefix("mid:") {
            self.mid = Some(mid.trim().to_owned());
        } else if value.trim() == "rtcp-mux" {
            self.rtcp_mux = true;
        } else {
            self.secure.attribute(value);
        }
    }

    /// The payload types of the stream in the peer's order of preference.
    fn payload_types(&self) -> impl Iterator<Item = u8> {
        self.formats
            .iter()
            .filter_map(|f| f.parse::<u8>().ok())
            .filter(|pt| *pt < 128)
    }

    fn encoding(&self, payload_type: u8) -> Option<&str> {
        let mapped = self.rtpmaps.iter().find(|(pt, _)| *pt == payload_type);
        match mapped {
            Some((_, encoding)) => Some(encoding),
            None => match payload_type {
                0 => Some("pcmu/8000"),
                8 => Some("pcma/8000"),
                9 => Some("g722/8000"),
                13 => Some("cn/8000"),
                _ => None,
            },
        }
    }

    /// The codecs that both sides speak with the peer's payload types, in the peer's order.
    pub fn codecs(&self, ours: &[Codec]) -> Vec<(Codec, u8)> {
        self.payload_types()
            .filter_map(|pt| Some((Codec::of_encoding(self.encoding(pt)?)?, pt)))
            .filter(|(codec, _)| ours.contains(codec))
            .collect()
    }

    /// The payload type of digits. RFC 4733 §2.1 wants them on the clock of the audio, but some
    /// phones know no clock than that of G.711: better a digit on the wrong clock than none.
    pub fn telephone_event(&self, clock_rate: u32) -> Option<TelephoneEvent> {
        let digits = |clock_rate: u32| {
            let payload_type = self.payload_types().find(|pt| {
                self.encoding(*pt)
                    .and_then(|encoding| encoding.strip_prefix("telephone-event/"))
                    .and_then(|rest| rest.trim_end_matches("/1").parse().ok())
                    == Some(clock_rate)
            })?;
            Some(TelephoneEvent {
                payload_type,
                clock_rate,
            })
        };
        digits(clock_rate).or_else(|| digits(8_000))
    }

    /// The payload type of comfort noise (RFC 3389), which belongs to codecs of 8 kHz.
    pub fn comfort_noise(&self) -> Option<u8> {
        self.payload_types()
            .find(|pt| matches!(self.encoding(*pt), Some("cn/8000" | "cn/8000/1")))
    }

    pub fn rtp(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address?, self.port))
    }

    /// RFC 3605, else the next port.
    pub fn rtcp(&self, rtp: SocketAddr) -> SocketAddr {
        match self.rtcp {
            Some((port, address)) => SocketAddr::new(address.unwrap_or(rtp.ip()), port),
            None => SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1)),
        }
    }
}

/// The address of a `c=` value: `Some(None)` for a host name, which we do not look up.
fn connection(value: &str) -> Option<Option<IpAddr>> {
    let mut parts = value.split_ascii_whitespace();
    let (net, family, address) = (parts.next()?, parts.next()?, parts.next()?);
    if net != "IN" || !matches!(family, "IP4" | "IP6") {
        return None;
    }
    Some(address.split('/').next().and_then(|a| a.parse().ok()))
}

fn direction_of(attribute: &str) -> Option<Direction> {
    Some(match attribute.trim() {
        "sendrecv" => Direction::SendRecv,
        "sendonly" => Direction::SendOnly,
        "recvonly" => Direction::RecvOnly,
        "inactive" => Direction::Inactive,
        _ => return None,
    })
}

fn ptime_of(attribute: &str) -> Option<u8> {
    milliseconds(attribute.strip_prefix("ptime:")?)
}

/// A length of packets; some peers write fractions.
fn milliseconds(value: &str) -> Option<u8> {
    let whole = value.trim().split('.').next()?;
    whole.parse::<u32>().ok().map(|ms| ms.min(255) as u8)
}
