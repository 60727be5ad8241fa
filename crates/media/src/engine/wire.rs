//! A leg's wire: the sockets, and how packets are protected on them.
//!
//! Everything above a wire sees plain RTP and RTCP. [`Wire::receive`] opens what arrives where it
//! lies; [`Wire::send_rtp`] and [`Wire::send_rtcp`] protect what leaves where it lies, for which
//! the caller leaves [`TRAILER`] bytes of room behind it. Another kind of protection is another
//! variant of [`Protection`].

use std::{io, net::SocketAddr, time::Instant};

use super::command::RemoteMedia;
use crate::{
    ports::Pair,
    srtp::{Direction, Keys, Srtp},
    webrtc::{self, News, WebRtc},
};

/// Room behind a packet for what protection adds.
pub(super) const TRAILER: usize = 32;

/// How two peers send each other packets.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) sockets: Pair,
    protection: Protection,
    /// RTP and RTCP share the first socket (RFC 5761).
    rtcp_mux: bool,
}

#[derive(Debug)]
enum Protection {
    /// RTP as it is.
    None,
    /// SRTP with keys that the signalling brought.
    Srtp(Box<Both>),
    /// SRTP with keys agreed by DTLS, on a way that ICE found.
    WebRtc(Box<WebRtc>),
}

#[derive(Debug)]
struct Both {
    keys: Keys,
    sending: Srtp,
    receiving: Srtp,
}

/// Which of a leg's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    Rtp,
    Rtcp,
}

/// A datagram that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Plain RTP of this length lies in the buffer.
    Rtp { length: usize, from: SocketAddr },
    /// Plain RTCP of this length lies in the buffer.
    Rtcp { length: usize, from: SocketAddr },
    /// It belonged to the wire itself, which answered it.
    Taken,
    /// It was neither, forged, or replayed.
    Refused,
}

impl Wire {
    pub(super) fn new(sockets: Pair) -> Self {
        Self {
            sockets,
            protection: Protection::None,
            rtcp_mux: false,
        }
    }

    /// A wire to a browser.
    pub(super) fn browser(sockets: Pair, connection: WebRtc) -> Self {
        Self {
            sockets,
            protection: Protection::WebRtc(Box::new(connection)),
            rtcp_mux: true,
        }
    }

    /// Takes up what was agreed. A wire that was ready for a browser becomes a plain one when it
    /// was a desk phone that answered.
    pub(super) fn agree(&mut self, remote: &RemoteMedia) {
        if let (Protection::WebRtc(connection), Some(peer)) = (&mut self.protection, &remote.webrtc)
        {
            let socket = &self.sockets.rtp;
            connection.agree(peer, Instant::now(), &mut |datagram, to| {
                let _ = socket.send_to(datagram, to);
            });
            return;
        }
        self.rtcp_mux = remote.rtcp_mux;
        self.protect(remote.keys.as_ref());
    }

    /// Keys that stay the same keep their counters: a session that merely changes must not reuse
    /// an old packet number.
    fn protect(&mut self, keys: Option<&Keys>) {
        match (keys, &mut self.protection) {
            (None, _) => self.protection = Protection::None,
            (Some(keys), Protection::Srtp(both)) if both.keys == *keys => {}
            (Some(keys), Protection::Srtp(both)) if both.keys.ours == keys.ours => {
                both.receiving = Srtp::new(&keys.theirs, Direction::Receiving);
                both.keys = keys.clone();
            }
            (Some(keys), _) => {
                self.protection = Protection::Srtp(Box::new(Both {
                    sending: Srtp::new(&keys.ours, Direction::Sending),
                    receiving: Srtp::new(&keys.theirs, Direction::Receiving),
                    keys: keys.clone(),
                }));
            }
        }
    }

    /// Reads and opens the next datagram of a socket.
    ///
    /// # Errors
    /// Those of the socket; `WouldBlock` when it is empty.
    pub(super) fn receive(&mut self, socket: Socket, buffer: &mut [u8]) -> io::Result<Received> {
        let socket = match socket {
            Socket::Rtp => &self.sockets.rtp,
            Socket::Rtcp => &self.sockets.rtcp,
        };
        let (length, from) = socket.recv_from(buffer)?;
        let datagram = &mut buffer[..length];
        if let Protection::WebRtc(connection) = &mut self.protection {
            let answer = &mut |datagram: &[u8], to| {
                let _ = socket.send_to(datagram, to);
            };
            let received = connection.receive(datagram, from, Instant::now(), answer);
            return Ok(match received {
                webrtc::Received::Rtp(length) => Received::Rtp { length, from },
                webrtc::Received::Rtcp(length) => Received::Rtcp { length, from },
                webrtc::Received::Nothing => Received::Taken,
                webrtc::Received::Refused => Received::Refused,
            });
        }
        let rtcp = is_rtcp(datagram);
        let opened = match &mut self.protection {
            Protection::None => Some(length),
            Protection::Srtp(both) if rtcp => both.receiving.open_rtcp(datagram),
            Protection::Srtp(both) => both.receiving.open_rtp(datagram),
            Protection::WebRtc(_) => None,
        };
        Ok(match opened {
            Some(length) if rtcp => Received::Rtcp { length, from },
            Some(length) => Received::Rtp { length, from },
            None => Received::Refused,
        })
    }

    /// Protects and sends the RTP packet of `length` bytes at the buffer's start; `false` when it
    /// was lost here.
    pub(super) fn send_rtp(&mut self, buffer: &mut [u8], length: usize, to: SocketAddr) -> bool {
        let length = match &mut self.protection {
            Protection::None => Some(length),
            Protection::Srtp(both) => both.sending.seal_rtp(buffer, length),
            Protection::WebRtc(connection) => connection.seal_rtp(buffer, length),
        };
        // A full buffer or an unreachable peer loses a packet, as the network would.
        length.is_some_and(|length| self.sockets.rtp.send_to(&buffer[..length], to).is_ok())
    }

    /// The same for RTCP.
    pub(super) fn send_rtcp(&mut self, buffer: &mut [u8], length: usize, to: SocketAddr) -> bool {
        let length = match &mut self.protection {
            Protection::None => Some(length),
            Protection::Srtp(both) => both.sending.seal_rtcp(buffer, length),
            Protection::WebRtc(connection) => connection.seal_rtcp(buffer, length),
        };
        let socket = if self.rtcp_mux {
            &self.sockets.rtp
        } else {
            &self.sockets.rtcp
        };
        length.is_some_and(|length| socket.send_to(&buffer[..length], to).is_ok())
    }

    /// Does what is due on the wire itself; what became of it.
    pub(super) fn tick(&mut self) -> Option<News> {
        let Protection::WebRtc(connection) = &mut self.protection else {
            return None;
        };
        let socket = &self.sockets.rtp;
        connection.tick(Instant::now(), &mut |datagram, to| {
            let _ = socket.send_to(datagram, to);
        });
        connection.news()
    }

    /// Where packets go, on a wire that finds out by itself; `Some(None)` while it hasn't.
    pub(super) fn found(&self) -> Option<Option<SocketAddr>> {
        match &self.protection {
            Protection::WebRtc(connection) => Some(connection.target()),
            Protection::None | Protection::Srtp(_) => None,
        }
    }

    pub(super) fn rtcp_mux(&self) -> bool {
        self.rtcp_mux
    }
}

/// RFC 5761 §4: these values of the second byte are RTCP, wherever they arrive.
fn is_rtcp(datagram: &[u8]) -> bool {
    datagram
        .get(1)
        .is_some_and(|second| (192..=223).contains(second))
}
