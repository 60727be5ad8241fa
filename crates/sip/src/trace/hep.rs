//! HEP version 3, as Homer takes it: one datagram a message, made of chunks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::Message;
use super::pcap::ends;
use crate::Transport;

/// Payload that leaves room for the chunks around it in one datagram.
const LONGEST: usize = 64_000;
/// The protocol type of SIP.
const SIP: u8 = 1;
/// Names us among the capture agents of one Homer.
const AGENT: u32 = 5060;

/// The way to a Homer server.
#[derive(Debug)]
pub(super) struct Sender {
    socket: UdpSocket,
}

impl Sender {
    pub fn to(server: SocketAddr) -> std::io::Result<Self> {
        let any: IpAddr = if server.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// Sends a message; a Homer that is away misses it.
    pub fn send(&self, message: &Message, call: Option<&str>) {
        let _ = self.socket.send(&packet(message, call));
    }
}

pub(super) fn packet(message: &Message, call: Option<&str>) -> Vec<u8> {
    let (from, to) = ends(message);
    let micros = message.at.as_microsecond();
    let seconds = u32::try_from(micros.div_euclid(1_000_000)).unwrap_or_default();
    let fraction = u32::try_from(micros.rem_euclid(1_000_000)).unwrap_or_default();
    let protocol = match message.transport {
        Transport::Udp => 17,
        _ => 6,
    };
    let mut out = b"HEP3\0\0".to_vec();
    let v4 = from.is_ipv4() && to.is_ipv4();
    chunk(&mut out, 1, &[if v4 { 2 } else { 10 }]);
    chunk(&mut out, 2, &[protocol]);
    for (v4_kind, v6_kind, end) in [(3, 5, from), (4, 6, to)] {
        match end.ip() {
            IpAddr::V4(ip) if v4 => chunk(&mut out, v4_kind, &ip.octets()),
            IpAddr::V4(ip) => chunk(&mut out, v6_kind, &ip.to_ipv6_mapped().octets()),
            IpAddr::V6(ip) => chunk(&mut out, v6_kind, &ip.octets()),
        }
    }
    chunk(&mut out, 7, &from.port().to_be_bytes());
    chunk(&mut out, 8, &to.port().to_be_bytes());
    chunk(&mut out, 9, &seconds.to_be_bytes());
    chunk(&mut out, 10, &fraction.to_be_bytes());
    chunk(&mut out, 11, &[SIP]);
    chunk(&mut out, 12, &AGENT.to_be_bytes());
    let payload = &message.octets[..message.octets.len().min(LONGEST)];
    chunk(&mut out, 15, payload);
    // Both legs of a call get one name, by which Homer shows them together.
    if let Some(call) = call {
        chunk(&mut out, 17, call.as_bytes());
    }
    let length = u16::try_from(out.len()).unwrap_or(u16::MAX);
    out[4..6].copy_from_slice(&length.to_be_bytes());
    out
}

fn chunk(out: &mut Vec<u8>, kind: u16, data: &[u8]) {
    let length = u16::try_from(data.len() + 6).unwrap_or(u16::MAX);
    out.extend_from_slice(&0_u16.to_be_bytes());
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(data);
}
