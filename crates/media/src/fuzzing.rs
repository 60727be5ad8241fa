//! The parsers as fuzz targets call them: octets in, and what must hold for any
//! of them. Each panics when it does not; none is part of the interface.

use std::path::Path;

use crate::codec::{Decoder, LONGEST_PACKET, Rate};
use crate::dtmf::{EventPayload, EventReceiver};
use crate::rtp::{Packet, Reception};
use crate::srtp::{Direction, Key, Srtp, Suite};
use crate::{Codec, rtcp, wav};

/// A stream of RTP packets, each behind its length.
pub fn rtp(data: &[u8]) {
    let mut reception = Reception::default();
    for (at, datagram) in pieces(data).enumerate() {
        let Some(packet) = Packet::parse(datagram) else {
            continue;
        };
        let (start, end) = packet.payload;
        assert!(start <= end && end <= datagram.len());
        reception.count(&packet, at as u64 * 20_000);
        let _ = (reception.lost(), reception.fraction_lost());
        let _ = (reception.extended_highest(), reception.jitter_timestamps());
    }
}

/// A compound RTCP packet.
pub fn rtcp(data: &[u8]) {
    let _ = rtcp::parse(data, 0x5060_5060);
}

/// RFC 4733 payloads, each behind its length; a press is at most one digit.
pub fn event(data: &[u8]) {
    let mut receiver = EventReceiver::default();
    let mut presses = std::collections::HashSet::new();
    let mut digits = 0;
    for payload in pieces(data) {
        let timestamp = u32::from(payload.last().copied().unwrap_or_default());
        if let Some(event) = EventPayload::parse(payload) {
            let known = event.bytes();
            assert_eq!(EventPayload::parse(&known), Some(event));
            presses.insert(timestamp);
            digits += usize::from(receiver.receive(1, timestamp, event).is_some());
        }
    }
    assert!(presses.len() > 4 || digits <= presses.len());
}

/// Payloads of a stream, each behind its length; the first octet names the codec.
pub fn codec(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let codec = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus][usize::from(kind & 3)];
    let rate = if kind & 4 == 0 {
        Rate::Narrow
    } else {
        Rate::Wide
    };
    let mut decoder = Decoder::new(codec, rate);
    let mut samples = [0; LONGEST_PACKET];
    for payload in pieces(data) {
        assert!(decoder.decode(codec, payload, &mut samples) <= samples.len());
    }
}

/// A packet under SRTP or SRTCP; the first octet names the suite. None that was
/// not sealed with the key is opened.
pub fn srtp(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let (suite, length) = [
        (Suite::AesCm128HmacSha1_80, 30),
        (Suite::AesCm128HmacSha1_32, 30),
        (Suite::AeadAes256Gcm, 44),
    ][usize::from(kind % 3)];
    let key = Key::new(suite, &[7; 44][..length]).expect("the suite's length");
    let mut srtp = Srtp::new(&key, Direction::Receiving);
    for datagram in pieces(data) {
        if let Some(length) = srtp.open_rtp(&mut datagram.to_vec()) {
            assert!(length <= datagram.len());
        }
        if let Some(length) = srtp.open_rtcp(&mut datagram.to_vec()) {
            assert!(length <= datagram.len());
        }
    }
}

/// An uploaded sound file.
pub fn wav(data: &[u8]) {
    let _ = wav::read(data);
    let _ = wav::recording_head(data);
    wav::mix_down(&mut data.to_vec());
}

/// A recording a killed process left behind, in a file of the caller's.
pub fn recording(data: &[u8], file: &Path) {
    std::fs::write(file, data).expect("a file to write");
    if let Ok(first) = crate::recorder::recover(file) {
        let again = crate::recorder::recover(file).expect("what was repaired is whole");
        assert_eq!(first, again);
    }
}

/// Parts of the input, each behind one octet that is its length.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first()?;
        let (piece, after) = rest.split_at(usize::from(*length).min(rest.len()));
        data = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};

    use super::*;

    /// What libFuzzer does for as long as one likes (`fuzz/`), for a moment in every test run.
    fn fuzz(seeds: &[&[u8]], target: impl Fn(&[u8])) {
        let mut rng = SmallRng::seed_from_u64(0x5060);
        for round in 0..4_000 {
            let mut data = seeds[round % seeds.len()].to_vec();
            for _ in 0..rng.random_range(1..5) {
                let at = rng.random_range(0..=data.len());
                match rng.random_range(0..4) {
                    0 => data.truncate(at),
                    1 if at < data.len() => data[at] = rng.random(),
                    2 => data.splice(at..at, [0xff, 0x7f, 0]).for_each(drop),
                    _ => data.extend_from_within(at..),
                }
            }
            target(&data);
        }
        for _ in 0..1_000 {
            let mut noise = vec![0; rng.random_range(0..300)];
            rng.fill_bytes(&mut noise);
            target(&noise);
        }
    }

    const RTP: &[u8] = &[
        20, 0xb1, 0x80, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 0, 0, 0, 1, 9, 9, 9, 2, 13, 0x80, 0, 0, 2,
        0, 0, 1, 64, 1, 2, 3, 4, 7,
    ];

    #[test]
    fn packets_hold() {
        fuzz(&[RTP], rtp);
        fuzz(&[RTP, &[0, 20, 0x80, 0, 0, 1]], srtp);
        let sender_report = [
            0x81, 200, 0, 12, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0,
            3, 0x50, 0x60, 0x50, 0x60, 0, 0, 0, 1,
        ];
        fuzz(&[&sender_report], super::rtcp);
        fuzz(&[&[4, 5, 0x0a, 0, 160, 4, 5, 0x8a, 1, 64]], event);
    }

    #[test]
    fn payloads_hold() {
        fuzz(&[&[2, 20, 1, 2, 3], &[3, 10, 0xf8, 0xff, 0xfe, 1]], codec);
    }

    #[test]
    fn files_hold() {
        let sound = wav::write(&crate::Sound::new(vec![1, -1, 300, 4]));
        fuzz(&[&sound], super::wav);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.wav");
        for at in 0..sound.len() {
            recording(&sound[..at], &file);
            let mut changed = sound.clone();
            changed[at] ^= 0xff;
            recording(&changed, &file);
        }
    }
}
