//! What a leg says: a tone, and within each packet a stamp that tells whose it is, which one, and
//! when it left.
//!
//! The stamp is 24 quiet samples at the head of a packet, one nibble each, written with the sixteen
//! smallest positive µ-law values. They survive decoding to linear samples and encoding again, so a
//! stamp is found in a packet that was forwarded and in a recording alike.

/// Samples of a packet of 20 ms.
pub const FRAME: usize = 160;
/// Samples of a stamp.
pub const STAMP: usize = 24;
const SYNC: [u8; 4] = [0xa, 0x5, 0xc, 0x3];
/// Room at full scale, about -13 dBm0 for the tone.
const AMPLITUDE: f32 = 8_000.0;

/// Who sent a packet, which of his it is, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub leg: u16,
    pub sequence: u32,
    /// Microseconds of the wall clock, the lowest 32 bits.
    pub sent_us: u32,
}

impl Stamp {
    fn nibbles(self) -> [u8; STAMP] {
        let mut nibbles = [0; STAMP];
        nibbles[..4].copy_from_slice(&SYNC);
        let value = u128::from(self.leg) << 56
            | u128::from(self.sequence & 0xff_ffff) << 32
            | u128::from(self.sent_us);
        for (at, nibble) in nibbles[4..22].iter_mut().enumerate() {
            *nibble = (value >> (4 * (17 - at)) & 0xf) as u8;
        }
        let sum = nibbles[4..22]
            .iter()
            .fold(7u8, |sum, nibble| sum.rotate_left(3) ^ nibble);
        nibbles[22] = sum >> 4;
        nibbles[23] = sum & 0xf;
        nibbles
    }

    fn from_nibbles(nibbles: &[u8; STAMP]) -> Option<Self> {
        let value = nibbles[4..22]
            .iter()
            .fold(0u128, |value, nibble| value << 4 | u128::from(*nibble));
        let stamp = Self {
            leg: (value >> 56) as u16,
            sequence: (value >> 32) as u32 & 0xff_ffff,
            sent_us: value as u32,
        };
        (stamp.nibbles() == *nibbles).then_some(stamp)
    }

    /// Writes over the head of a µ-law packet.
    pub fn write(self, payload: &mut [u8]) {
        for (byte, nibble) in payload.iter_mut().zip(self.nibbles()) {
            *byte = 0xf0 | nibble;
        }
    }

    /// Of a µ-law packet.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let head: &[u8; STAMP] = payload.first_chunk()?;
        if head.iter().any(|byte| byte & 0xf0 != 0xf0) {
            return None;
        }
        Self::from_nibbles(&head.map(|byte| byte & 0xf))
    }

    /// Of linear samples.
    pub fn read_linear(samples: &[i16]) -> Option<Self> {
        let head: &[i16; STAMP] = samples.first_chunk()?;
        // Cheap first: nearly every place in a recording fails here.
        if head[0] != linear_of(SYNC[0])
            || head[1] != linear_of(SYNC[1])
            || head
                .iter()
                .any(|sample| sample & 7 != 0 || !(0..=120).contains(sample))
        {
            return None;
        }
        Self::from_nibbles(&head.map(|sample| 15 - (sample / 8) as u8))
    }
}

const fn linear_of(nibble: u8) -> i16 {
    (15 - nibble as i16) * 8
}

/// A tone that starts where it began with each packet: its frequencies are multiples of 50 Hz, of which
/// 20 ms hold a whole number of periods.
pub fn tone(hertz: u16) -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    for (at, byte) in frame.iter_mut().enumerate() {
        let phase = std::f32::consts::TAU * f32::from(hertz) * at as f32 / 8_000.0;
        *byte = encode((AMPLITUDE * phase.sin()) as i16);
    }
    frame
}

/// The tone of a leg: neighbours differ, and callers (even) lie below agents (odd).
pub fn tone_of(leg: u16) -> u16 {
    let step = leg / 2 % 8;
    if leg.is_multiple_of(2) {
        400 + step * 100
    } else {
        1_500 + step * 100
    }
}

/// µ-law (G.711), for making tones only: packets are never judged through it.
pub fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80u8 } else { 0 };
    let magnitude = i32::from(sample).abs().min(32_635) + 132;
    let exponent = (24 - (magnitude as u32).leading_zeros()).min(7);
    let mantissa = (magnitude >> (exponent + 3)) & 0xf;
    !(sign | (exponent as u8) << 4 | mantissa as u8)
}

/// µ-law to linear.
pub fn decode(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = ((i32::from(byte & 0xf) << 3) + 132) << (byte >> 4 & 7);
    let magnitude = (magnitude - 132) as i16;
    if byte & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// How much of a frequency a block holds (Goertzel), as the mean square of that part.
pub fn power_at(hertz: u16, block: &[i16]) -> f32 {
    let coefficient = 2.0 * (std::f32::consts::TAU * f32::from(hertz) / 8_000.0).cos();
    let (mut previous, mut before) = (0.0f32, 0.0f32);
    for sample in block {
        let value = f32::from(*sample) + coefficient * previous - before;
        (before, previous) = (previous, value);
    }
    let energy = previous * previous + before * before - coefficient * previous * before;
    2.0 * energy / (block.len() * block.len()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mu_law_matches_its_table() {
        // G.711 table 2a: quantisation values of the ends and the middle.
        assert_eq!(
            (decode(0x80), decode(0x00), decode(0xff), decode(0xf0)),
            (32_124, -32_124, 0, 120)
        );
        for byte in 0..=255u8 {
            if byte != 0x7f {
                assert_eq!(encode(decode(byte)), byte);
            }
        }
    }

    #[test]
    fn a_stamp_is_read_from_a_packet_and_from_a_recording() {
        for stamp in [
            Stamp {
                leg: 0,
                sequence: 0,
                sent_us: 0,
            },
            Stamp {
                leg: 65_535,
                sequence: 0xff_ffff,
                sent_us: u32::MAX,
            },
        ] {
            let mut payload = tone(900);
            stamp.write(&mut payload);
            assert_eq!(Stamp::read(&payload), Some(stamp));
            assert_eq!(Stamp::read_linear(&payload.map(decode)), Some(stamp));
            payload[9] ^= 1;
            assert_eq!(Stamp::read(&payload), None);
        }
        assert_eq!(Stamp::read(&tone(900)), None);
        assert_eq!(Stamp::read(&[0xf5; 10]), None);
    }

    #[test]
    fn a_stamped_tone_is_heard_and_its_absence_too() {
        let mut payload = tone(700);
        Stamp {
            leg: 3,
            sequence: 9,
            sent_us: 1,
        }
        .write(&mut payload);
        let samples = payload.map(decode);
        let heard = power_at(700, &samples[..80]);
        assert!(heard > 4.0e6, "{heard}");
        assert!(power_at(1_900, &samples) < heard / 20.0);
        assert_eq!(power_at(700, &[0; 80]), 0.0);
    }
}
