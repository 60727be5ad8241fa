//! Reading a session description. Lines we do not know are passed over.

use std::net::{IpAddr, SocketAddr};

use super::{Codec, Direction, SdpError};

/// Streams one description may have; beyond it nobody means well.
const STREAMS: usize = 32;

/// A parsed session description, offer or answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub(super) media: Vec<Media>,
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
}

impl Offer {
    /// Reads a description.
    ///
    /// # Errors
    /// When the text is not one. Unknown lines are no error.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let mut media: Vec<Media> = Vec::new();
        let (mut address, mut direction, mut ptime_ms) = (None, Direction::SendRecv, None);
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
        Ok(Self { media })
    }

    /// The first audio stream that is wanted, and its place.
    pub(super) fn audio(&self) -> Option<(usize, &Media)> {
        self.media.iter().enumerate().find(|(_, m)| {
            m.kind == "audio"
                && m.port != 0
                && m.address.is_some()
                && matches!(m.protocol.as_str(), "RTP/AVP" | "RTP/AVPF")
        })
    }

    /// Whether the description asks us to wait: it takes no audio of ours, or
    /// names no address for it.
    #[must_use]
    pub fn is_hold(&self) -> bool {
        self.audio().is_some_and(|(_, m)| {
            !m.direction.receives() || m.address.is_some_and(|a| a.is_unspecified())
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
                _ => None,
            },
        }
    }

    /// The first of the peer's codecs that is one of ours.
    pub fn first_codec(&self, ours: &[Codec]) -> Option<(Codec, u8)> {
        self.payload_types().find_map(|pt| {
            let codec = match self.encoding(pt)? {
                "pcmu/8000" | "pcmu/8000/1" => Codec::Pcmu,
                "pcma/8000" | "pcma/8000/1" => Codec::Pcma,
                _ => return None,
            };
            ours.contains(&codec).then_some((codec, pt))
        })
    }

    /// The payload type of digits with the clock of G.711.
    pub fn telephone_event(&self) -> Option<u8> {
        let digits = |pt: &u8| {
            self.encoding(*pt)
                .is_some_and(|e| e == "telephone-event/8000" || e == "telephone-event/8000/1")
        };
        self.payload_types().find(digits)
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
    attribute.strip_prefix("ptime:")?.trim().parse().ok()
}
