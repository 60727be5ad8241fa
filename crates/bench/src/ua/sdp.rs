//! Session descriptions: one stream of µ-law with key presses beside it.

use std::net::{IpAddr, SocketAddr};

/// The payload type under which we take key presses.
const EVENTS: u8 = 101;

/// Where a peer wants its audio, and how it takes key presses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    pub audio: SocketAddr,
    pub events: Option<u8>,
}

/// What we offer or answer; `events` is the peer's payload type when we answer.
pub fn describe(audio: SocketAddr, session: u64, events: Option<u8>) -> String {
    let (ip, port, events) = (audio.ip(), audio.port(), events.unwrap_or(EVENTS));
    format!(
        "v=0\r\no=bench {session} 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 {events}\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:{events} telephone-event/8000\r\na=fmtp:{events} 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

impl Remote {
    /// `None` when there is no audio in it that we speak.
    pub fn parse(body: &str) -> Option<Self> {
        let (mut address, mut port, mut events) = (None::<IpAddr>, None::<u16>, None);
        for line in body.lines() {
            if let Some(value) = line.strip_prefix("c=IN IP4 ") {
                address = value.trim().parse().ok();
            } else if let Some(value) = line.strip_prefix("m=audio ") {
                let mut words = value.split(' ');
                port = words.next()?.parse().ok();
                words.find(|word| word.trim() == "0")?;
            } else if let Some((number, name)) = line
                .strip_prefix("a=rtpmap:")
                .and_then(|value| value.split_once(' '))
                && name
                    .to_ascii_lowercase()
                    .starts_with("telephone-event/8000")
            {
                events = number.parse().ok();
            }
        }
        Some(Self {
            audio: SocketAddr::new(address?, port.filter(|port| *port > 0)?),
            events,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_described_is_read() {
        let audio: SocketAddr = "127.0.1.1:4000".parse().unwrap();
        assert_eq!(
            Remote::parse(&describe(audio, 7, Some(96))),
            Some(Remote {
                audio,
                events: Some(96)
            })
        );
        assert_eq!(
            Remote::parse(&describe(audio, 7, None).replace("RTP/AVP 0 ", "RTP/AVP 8 ")),
            None
        );
    }
}
