//! The RTP header (RFC 3550 §5.1): read without trust, written in place.

/// Bytes of the header we write: no contributing sources, no extension.
pub(crate) const HEADER: usize = 12;

/// What a received packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    /// Where the payload lies in the datagram.
    pub(crate) payload: (usize, usize),
}

impl Packet {
    /// Reads a datagram; `None` when it is not RTP or its lengths don't add up.
    pub(crate) fn parse(datagram: &[u8]) -> Option<Self> {
        if datagram.len() < HEADER || datagram[0] >> 6 != 2 {
            return None;
        }
        // RFC 5761 §4: these values in the second byte are RTCP that strayed here.
        if (192..=223).contains(&datagram[1]) {
            return None;
        }
        let mut start = HEADER + 4 * usize::from(datagram[0] & 0x0f);
        if datagram[0] & 0x10 != 0 {
            let words = datagram.get(start + 2..start + 4)?;
            start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        let mut end = datagram.len();
        if datagram[0] & 0x20 != 0 {
            end = end.checked_sub(usize::from(*datagram.last()?))?;
        }
        if start > end {
            return None;
        }
        let long = |at: usize| {
            u32::from_be_bytes([
                datagram[at],
                datagram[at + 1],
                datagram[at + 2],
                datagram[at + 3],
            ])
        };
        Some(Self {
            payload_type: datagram[1] & 0x7f,
            marker: datagram[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([datagram[2], datagram[3]]),
            timestamp: long(4),
            ssrc: long(8),
            payload: (start, end),
        })
    }

    /// Writes the 12 bytes of a plain header.
    pub(crate) fn write(&self, header: &mut [u8]) {
        header[0] = 0x80;
        header[1] = self.payload_type & 0x7f | if self.marker { 0x80 } else { 0 };
        header[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        header[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        header[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// What a leg has received, counted as RFC 3550 appendix A asks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reception {
    pub(crate) ssrc: u32,
    pub(crate) packets: u64,
    pub(crate) highest: u16,
    cycles: u32,
    base: u32,
    received_of_source: u32,
    expected_before: u32,
    received_before: u32,
    transit: i64,
    /// Ticks of the source's clock in a millisecond.
    ticks_per_ms: Ticks,
    /// Jitter in timestamp units times 16 (appendix A.8).
    jitter: u32,
}

/// That of G.711 unless told otherwise.
#[derive(Clone, Copy, Debug)]
struct Ticks(u32);

impl Default for Ticks {
    fn default() -> Self {
        Self(8)
    }
}

impl Reception {
    /// Sets the clock that the source's timestamps count.
    pub(crate) fn set_clock(&mut self, ticks_per_ms: u32) {
        self.ticks_per_ms = Ticks(ticks_per_ms);
        self.jitter = 0;
    }

    /// Counts a packet that arrived at a time in microseconds.
    pub(crate) fn count(&mut self, packet: &Packet, arrival_us: u64) {
        self.packets += 1;
        let ticks_per_ms = u64::from(self.ticks_per_ms.0);
        let arrival = (arrival_us * ticks_per_ms / 1_000) as i64;
        let transit = arrival - i64::from(packet.timestamp);
        if self.ssrc != packet.ssrc || self.received_of_source == 0 {
            self.restart(packet, transit);
            return;
        }
        self.received_of_source += 1;
        let ahead = packet.sequence.wrapping_sub(self.highest);
        if ahead < 3_000 {
            if packet.sequence < self.highest {
                self.cycles += 1 << 16;
            }
            self.highest = packet.sequence;
        } else if ahead < 0xff9c {
            // Too far for reordering: the source restarted.
            self.restart(packet, transit);
            return;
        }
        let difference = (transit - self.transit).unsigned_abs();
        self.transit = transit;
        // A jump of the clock is no jitter.
        if difference < ticks_per_ms * 1_000 {
            self.jitter = (self.jitter + difference as u32).saturating_sub((self.jitter + 8) >> 4);
        }
    }

    fn restart(&mut self, packet: &Packet, transit: i64) {
        *self = Self {
            ssrc: packet.ssrc,
            packets: self.packets,
            highest: packet.sequence,
            base: u32::from(packet.sequence),
            received_of_source: 1,
            transit,
            ticks_per_ms: self.ticks_per_ms,
            ..Self::default()
        };
    }

    pub(crate) fn extended_highest(&self) -> u32 {
        self.cycles + u32::from(self.highest)
    }

    fn expected(&self) -> u32 {
        self.extended_highest()
            .wrapping_sub(self.base)
            .wrapping_add(1)
    }

    /// Packets of this source that never came.
    pub(crate) fn lost(&self) -> u32 {
        if self.received_of_source == 0 {
            0
        } else {
            self.expected().saturating_sub(self.received_of_source)
        }
    }

    pub(crate) fn jitter_timestamps(&self) -> u32 {
        self.jitter >> 4
    }

    pub(crate) fn jitter_ms(&self) -> f32 {
        self.jitter_timestamps() as f32 / self.ticks_per_ms.0 as f32
    }

    /// Loss since the last report in 256ths; starts the next interval.
    pub(crate) fn fraction_lost(&mut self) -> u8 {
        if self.received_of_source == 0 {
            return 0;
        }
        let expected = self.expected().saturating_sub(self.expected_before);
        let received = self.received_of_source.saturating_sub(self.received_before);
        self.expected_before = self.expected();
        self.received_before = self.received_of_source;
        match expected.saturating_sub(received) {
            0 => 0,
            lost => ((u64::from(lost) << 8) / u64::from(expected)).min(255) as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, timestamp: u32) -> Packet {
        Packet {
            payload_type: 0,
            marker: false,
            sequence,
            timestamp,
            ssrc: 7,
            payload: (12, 12),
        }
    }

    #[test]
    fn written_header_reads_back() {
        let mut bytes = [0; 20];
        let packet = Packet {
            payload_type: 101,
            marker: true,
            sequence: 65_535,
            timestamp: 1,
            ssrc: 9,
            payload: (12, 20),
        };
        packet.write(&mut bytes);
        assert_eq!(Packet::parse(&bytes), Some(packet));
    }

    #[test]
    fn lying_lengths_are_refused() {
        assert_eq!(Packet::parse(&[]), None);
        assert_eq!(Packet::parse(&[0x80; 11]), None);
        let mut many_sources = [0u8; 20];
        many_sources[0] = 0x8f;
        assert_eq!(Packet::parse(&many_sources), None);
        let mut padded = [0u8; 14];
        padded[0] = 0xa0;
        padded[13] = 200;
        assert_eq!(Packet::parse(&padded), None);
        let mut extended = [0xffu8; 16];
        extended[0] = 0x90;
        extended[1] = 0;
        assert_eq!(Packet::parse(&extended), None);
    }

    #[test]
    fn loss_survives_the_sequence_number_going_round() {
        let mut reception = Reception::default();
        for i in 0..100u32 {
            if i % 10 != 5 {
                reception.count(
                    &packet(65_500u16.wrapping_add(i as u16), i * 160),
                    u64::from(i) * 20_000,
                );
            }
        }
        assert_eq!(reception.lost(), 10);
        assert_eq!(reception.fraction_lost(), 25);
        assert_eq!(reception.jitter_timestamps(), 0);
    }
}
