//! A packet capture that Wireshark, tshark and sngrep open: the libpcap file
//! format with raw IP packets. TCP, TLS and WebSocket messages are shown as
//! datagrams too; that is how they can be read without keys and handshakes.

use std::net::{IpAddr, SocketAddr};

use super::Message;

/// `LINKTYPE_RAW`: the packet begins with its IP header.
const LINKTYPE_RAW: u32 = 101;
/// Octets of a capture file before its first packet.
pub const PCAP_HEADER: usize = 24;
/// What an IPv4 datagram can hold.
const LONGEST: usize = 65_535 - 20 - 8;
const UDP: u8 = 17;

/// The file's octets.
#[must_use]
pub fn pcap<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002_u32, 0, 0, 262_144, LINKTYPE_RAW] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    for message in messages {
        let packet = packet(message);
        let micros = message.at.as_microsecond();
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        for word in [
            u32::try_from(micros.div_euclid(1_000_000)).unwrap_or_default(),
            u32::try_from(micros.rem_euclid(1_000_000)).unwrap_or_default(),
            length,
            length,
        ] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&packet);
    }
    file
}

fn packet(message: &Message) -> Vec<u8> {
    let (from, to) = ends(message);
    let payload = &message.octets[..message.octets.len().min(LONGEST)];
    let length = u16::try_from(payload.len() + 8).unwrap_or(u16::MAX);
    let (mut ip, pseudo) = match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let mut header = vec![0x45, 0];
            header.extend_from_slice(&(length + 20).to_be_bytes());
            header.extend_from_slice(&[0, 0, 0x40, 0, 64, UDP, 0, 0]);
            header.extend_from_slice(&source.octets());
            header.extend_from_slice(&target.octets());
            let sum = checksum(&header).to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            let pseudo = [&source.octets()[..], &target.octets()[..]].concat();
            (header, pseudo)
        }
        (source, target) => {
            let (source, target) = (as_v6(source), as_v6(target));
            let mut header = vec![0x60, 0, 0, 0];
            header.extend_from_slice(&length.to_be_bytes());
            header.extend_from_slice(&[UDP, 64]);
            header.extend_from_slice(&source);
            header.extend_from_slice(&target);
            (header, [source, target].concat())
        }
    };
    let mut udp = Vec::with_capacity(8 + payload.len());
    udp.extend_from_slice(&from.port().to_be_bytes());
    udp.extend_from_slice(&to.port().to_be_bytes());
    udp.extend_from_slice(&length.to_be_bytes());
    udp.extend_from_slice(&[0, 0]);
    udp.extend_from_slice(payload);
    let summed = [
        pseudo,
        vec![0, UDP],
        length.to_be_bytes().to_vec(),
        udp.clone(),
    ];
    // RFC 768: zero says there is none, so it is sent as all ones.
    let sum = match checksum(&summed.concat()) {
        0 => u16::MAX,
        sum => sum,
    };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    ip.extend_from_slice(&udp);
    ip
}

/// Sender and receiver.
pub(super) fn ends(message: &Message) -> (SocketAddr, SocketAddr) {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (local, remote) = (plain(message.local), plain(message.remote));
    if message.sent {
        (local, remote)
    } else {
        (remote, local)
    }
}

fn as_v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// RFC 1071.
fn checksum(octets: &[u8]) -> u16 {
    let mut sum: u32 = octets
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}
