use crate::{
    Codec,
    rtp::{HEADER, Packet},
};

/// A jump of a source's clock against ours that can be no jitter, in milliseconds.
const JUMP_MS: i64 = 1_000;

/// Our outgoing stream to one peer: one SSRC, one run of sequence numbers and one clock, whatever
/// sources take turns in it.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) ssrc: u32,
    pub(super) packets: u32,
    pub(super) octets: u32,
    sequence: u16,
    /// Ticks of our timestamps in a millisecond.
    ticks_per_ms: u32,
    /// The timestamp that falls on `clock_us`.
    timestamp: u32,
    clock_us: u64,
    running: bool,
    source: Source,
}

/// Whose audio the stream carries now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    None,
    Generated,
    Forwarded(Translation),
}

/// How numbers of a forwarded stream become ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Translation {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Their first sequence number: what is older belongs to before the switch.
    first: u16,
    highest: u16,
    last_timestamp: u32,
    last_us: u64,
    seen: u32,
}

impl Sender {
    pub(super) fn new(ssrc: u32) -> Self {
        Self {
            ssrc,
            packets: 0,
            octets: 0,
            sequence: rand::random::<u16>() >> 1,
            ticks_per_ms: Codec::Pcmu.ticks_per_ms(),
            timestamp: rand::random(),
            clock_us: 0,
            running: false,
            source: Source::None,
        }
    }

    /// Counts as a codec's packets are counted from now on.
    pub(super) fn set_clock(&mut self, codec: Codec, now_us: u64) {
        (self.timestamp, self.clock_us) = (self.timestamp_at(now_us), now_us.max(self.clock_us));
        self.ticks_per_ms = codec.ticks_per_ms();
        self.source = Source::None;
    }

    /// The timestamp of a moment.
    pub(super) fn timestamp_at(&self, now_us: u64) -> u32 {
        if !self.running {
            return self.timestamp;
        }
        let passed_us = now_us.saturating_sub(self.clock_us);
        self.timestamp
            .wrapping_add((passed_us * u64::from(self.ticks_per_ms) / 1_000) as u32)
    }

    /// Ends the present source; the next packet carries a marker.
    pub(super) fn switch(&mut self) {
        self.source = Source::None;
    }

    /// The header of audio made here, of so many milliseconds.
    pub(super) fn generated(&mut self, payload_type: u8, ms: usize, now_us: u64) -> Packet {
        let marker = self.source != Source::Generated;
        if marker {
            self.timestamp = self.timestamp_at(now_us);
            self.clock_us = now_us;
            self.source = Source::Generated;
        }
        let packet = self.next(payload_type, marker, self.timestamp, now_us);
        let ticks = ms as u32 * self.ticks_per_ms;
        self.timestamp = self.timestamp.wrapping_add(ticks);
        self.clock_us += ms as u64 * 1_000;
        packet
    }

    /// The header of a telephone-event of ours; all packets of a press share its timestamp.
    pub(super) fn event(
        &mut self,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        now_us: u64,
    ) -> Packet {
        self.source = Source::None;
        self.next(payload_type, marker, timestamp, now_us)
    }

    /// The header of a packet that is passed on; `None` when it came too late to be. An event's
    /// timestamp stands still, so only audio tells of the source's clock.
    pub(super) fn forwarded(
        &mut self,
        packet: &Packet,
        payload_type: u8,
        audio: bool,
        now_us: u64,
    ) -> Option<Packet> {
        let mut marker = packet.marker;
        let mut translation = match self.source {
            Source::Forwarded(translation)
                if translation.continues(packet, audio, now_us, self.ticks_per_ms) =>
            {
                translation
            }
            _ => {
                marker = true;
                self.translate(packet, now_us)
            }
        };
        if translation.seen < 1_000 && (packet.sequence.wrapping_sub(translation.first) as i16) < 0
        {
            return None;
        }
        translation.seen = translation.seen.saturating_add(1);
        let sequence = packet.sequence.wrapping_add(translation.sequence);
        let timestamp = packet.timestamp.wrapping_add(translation.timestamp);
        if (packet.sequence.wrapping_sub(translation.highest) as i16) >= 0 {
            translation.highest = packet.sequence;
            self.sequence = sequence;
            if audio {
                (translation.last_timestamp, translation.last_us) = (packet.timestamp, now_us);
                (self.timestamp, self.clock_us) = (
                    timestamp.wrapping_add(20 * self.ticks_per_ms),
                    now_us + 20_000,
                );
            }
        }
        self.running = true;
        self.source = Source::Forwarded(translation);
        Some(Packet {
            payload_type,
            marker,
            sequence,
            timestamp,
            ssrc: self.ssrc,
            payload: packet.payload,
        })
    }

    /// Leaves out a packet of a forwarded stream without leaving a hole in the numbers.
    pub(super) fn skip(&mut self, packet: &Packet) {
        if let Source::Forwarded(translation) = &mut self.source
            && packet.sequence == translation.highest.wrapping_add(1)
        {
            translation.sequence = translation.sequence.wrapping_sub(1);
            translation.highest = packet.sequence;
        }
    }

    pub(super) fn count(&mut self, octets: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self
            .octets
            .wrapping_add(octets.saturating_sub(HEADER) as u32);
    }

    fn next(&mut self, payload_type: u8, marker: bool, timestamp: u32, now_us: u64) -> Packet {
        if !self.running {
            self.clock_us = now_us;
            self.running = true;
        }
        self.sequence = self.sequence.wrapping_add(1);
        Packet {
            payload_type,
            marker,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            payload: (HEADER, HEADER),
        }
    }

    fn translate(&mut self, packet: &Packet, now_us: u64) -> Translation {
        let timestamp = self.timestamp_at(now_us);
        Translation {
            ssrc: packet.ssrc,
            sequence: self.sequence.wrapping_add(1).wrapping_sub(packet.sequence),
            timestamp: timestamp.wrapping_sub(packet.timestamp),
            first: packet.sequence,
            highest: packet.sequence,
            last_timestamp: packet.timestamp,
            last_us: now_us,
            seen: 0,
        }
    }
}

impl Translation {
    /// Whether a packet belongs to the stream this was made for.
    fn continues(&self, packet: &Packet, audio: bool, now_us: u64, ticks_per_ms: u32) -> bool {
        let steps = packet.sequence.wrapping_sub(self.highest) as i16;
        if packet.ssrc != self.ssrc || !(-100..3_000).contains(&steps) {
            return false;
        }
        let passed_ms = (now_us.saturating_sub(self.last_us) / 1_000) as i64;
        let stepped = i64::from(packet.timestamp.wrapping_sub(self.last_timestamp) as i32);
        let stepped_ms = stepped / i64::from(ticks_per_ms);
        // A long wait may end in a burst of packets that are late but in order.
        !audio || (stepped_ms > -JUMP_MS && stepped_ms < passed_ms + JUMP_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> Packet {
        Packet {
            payload_type: 0,
            marker: false,
            sequence,
            timestamp,
            ssrc,
            payload: (12, 172),
        }
    }

    #[test]
    fn sources_taking_turns_make_one_stream() {
        let mut sender = Sender::new(9);
        let mut now = 1_000_000;
        let mut sent = Vec::new();
        for _ in 0..3 {
            sent.push(sender.generated(0, 20, now));
            now += 20_000;
        }
        for i in 0..3 {
            sent.extend(sender.forwarded(
                &packet(5, 65_534u16.wrapping_add(i), 7_000 + u32::from(i) * 160),
                0,
                true,
                now,
            ));
            now += 20_000;
        }
        for i in 0..3 {
            sent.extend(sender.forwarded(
                &packet(6, 100 + i, 9 + u32::from(i) * 160),
                0,
                true,
                now,
            ));
            now += 20_000;
        }
        assert_eq!(
            sent.iter().map(|p| p.marker).collect::<Vec<_>>(),
            [true, false, false, true, false, false, true, false, false]
        );
        for pair in sent.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
            assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 160);
            assert_eq!(pair[1].ssrc, pair[0].ssrc);
        }
    }

    #[test]
    fn loss_and_reordering_are_passed_on_as_they_are() {
        let mut sender = Sender::new(9);
        let mut numbers = Vec::new();
        for (at, sequence) in [10u16, 11, 13, 12, 16].into_iter().enumerate() {
            let packet = packet(5, sequence, u32::from(sequence) * 160);
            numbers.extend(
                sender
                    .forwarded(&packet, 0, true, 20_000 * at as u64)
                    .map(|p| p.sequence),
            );
        }
        let first = numbers[0];
        assert_eq!(
            numbers
                .iter()
                .map(|n| n.wrapping_sub(first))
                .collect::<Vec<_>>(),
            [0, 1, 3, 2, 6]
        );
    }

    #[test]
    fn a_jump_of_the_senders_clock_does_not_reach_the_listener() {
        let mut sender = Sender::new(9);
        let before = sender
            .forwarded(&packet(5, 1, 160), 0, true, 0)
            .expect("sent");
        let after = sender
            .forwarded(&packet(5, 2, 900_000), 0, true, 20_000)
            .expect("sent");
        assert!(after.marker);
        assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 160);
    }

    #[test]
    fn what_was_left_out_leaves_no_hole() {
        let mut sender = Sender::new(9);
        let before = sender
            .forwarded(&packet(5, 1, 160), 0, true, 0)
            .expect("sent");
        sender.skip(&packet(5, 2, 320));
        let after = sender
            .forwarded(&packet(5, 3, 480), 0, true, 40_000)
            .expect("sent");
        assert_eq!(after.sequence, before.sequence.wrapping_add(1));
    }
}
