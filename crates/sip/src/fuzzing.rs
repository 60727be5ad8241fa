//! The parsers as fuzz targets call them: octets in, and what must hold for any
//! of them. Each panics when it does not; none is part of the interface.

use bytes::{Bytes, BytesMut};

use crate::net::{Framed, next_message};
use crate::registrar::Credentials;
use crate::sdp::{self, Offer};
use crate::trace::redact;
use crate::wire::{NameAddr, Screened, SipUri, Via, param, screen, split_list};
use crate::{Message, Transport};

const SOURCE: ([u8; 4], u16) = ([192, 0, 2, 9], 5060);

/// A datagram or a framed message, through the validation stage.
pub fn message(data: &[u8]) {
    for stream in [false, true] {
        match screen(data, SOURCE.into(), stream) {
            Screened::Request(request) => {
                for status in [100, 200, 404] {
                    let response = request.response(status, "tag").to_bytes();
                    let read = screen(&response, SOURCE.into(), false);
                    assert!(
                        matches!(read, Screened::Response(_)),
                        "an answer of ours cannot be read: {read:?}"
                    );
                }
                let _ = (request.top_via(), request.contact(), request.sdp());
            }
            Screened::Refused(answer) => {
                assert!(answer.starts_with(b"SIP/2.0 "));
                let ends = answer.windows(4).filter(|w| w == b"\r\n\r\n").count();
                assert_eq!(ends, 1, "a refusal carries lines of the request's making");
            }
            Screened::Response(response) => {
                let _ = (response.to_tag(), response.contact(), response.sdp());
            }
            Screened::Dropped | Screened::Noise | Screened::KeepAlive => {}
        }
    }
}

/// A stream: the same messages come out wherever the network cuts it.
pub fn stream(data: &[u8]) {
    let (step, data) = match data.split_first() {
        Some((first, rest)) => (usize::from(*first).max(1), rest),
        None => return,
    };
    let whole = cut([data]);
    assert_eq!(whole, cut(data.chunks(step)), "cut into pieces of {step}");
}

/// The messages of a connection that carried these pieces, and whether it ended.
fn cut<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Bytes>, bool) {
    const LONGEST: usize = 2_048;
    let (mut buffer, mut searched) = (BytesMut::new(), 0);
    let mut messages = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match next_message(&mut buffer, &mut searched, LONGEST) {
                Framed::Message(message) => messages.push(message),
                Framed::Ping => messages.push(Bytes::from_static(b"ping")),
                Framed::Incomplete => break,
                // What follows on such a connection is not read.
                Framed::Broken(_) | Framed::TooLarge(_) | Framed::Oversized => {
                    return (messages, true);
                }
            }
        }
    }
    (messages, false)
}

/// URIs, name-addr, Via and lists.
pub fn grammar(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = SipUri::parse(&text);
    if let Some(via) = Via::parse(&text) {
        let _ = (via.branch(), via.wants_rport());
        let _ = via.sent_by_is([127, 0, 0, 1].into());
    }
    if let Some(party) = NameAddr::parse(&text) {
        assert!(!party.uri.contains('>'));
        let _ = (party.param("tag"), SipUri::parse(&party.uri));
    }
    let length: usize = split_list(&text).map(str::len).sum();
    assert!(length <= text.len());
    let _ = param(&text, "lr");
}

/// An Authorization value.
pub fn digest(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = Credentials::parse(&text, "trunkline");
    let _ = Credentials::parse(&format!("Digest realm=\"trunkline\",{text}"), "trunkline");
}

/// A session description: our answer to it is one too.
pub fn session(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(offer) = Offer::parse(text) else {
        return;
    };
    let ours = sdp::Ours {
        rtp: ([192, 0, 2, 1], 4000).into(),
        codecs: vec![
            sdp::Codec::Pcmu,
            sdp::Codec::Pcma,
            sdp::Codec::G722,
            sdp::Codec::Opus,
        ],
        order: sdp::Order::Peers,
        security: sdp::Security::Off,
        ice: None,
        source: None,
        telephone_event: true,
        ptime_ms: 20,
        direction: sdp::Direction::SendRecv,
        origin: sdp::Origin {
            session_id: 1,
            version: 1,
        },
    };
    let encrypted = sdp::Ours {
        security: sdp::Security::Sdes(sdp::Sdes::with_fresh_keys(false)),
        ..ours.clone()
    };
    for ours in [ours, encrypted] {
        let _ = sdp::negotiate_answer(&ours, &offer);
        if let Ok((answer, _)) = sdp::answer(&offer, &ours) {
            let read = Offer::parse(&answer);
            assert!(read.is_ok(), "{read:?} for our own answer:\n{answer}");
        }
    }
}

/// What a trace makes of a message.
pub fn trace(data: &[u8]) {
    let octets = redact(data);
    assert_eq!(octets.len(), data.len());
    assert_eq!(redact(&octets), octets, "masked twice is masked once");
    let message = Message {
        at: jiff::Timestamp::UNIX_EPOCH,
        sent: false,
        transport: Transport::Udp,
        local: SOURCE.into(),
        remote: SOURCE.into(),
        octets: octets.into(),
    };
    let _ = (message.call_id(), message.users(), message.is_of_a_call());
    let drawn = crate::ladder([&message]);
    assert_eq!(drawn.lines().count(), 3, "{drawn}");
    let _ = crate::pcap([&message]);
}
