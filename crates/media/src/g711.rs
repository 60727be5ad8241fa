//! G.711: µ-law and A-law by table. The tables are computed at compile time from the definition.

const fn ulaw_decode(byte: u8) -> i16 {
    let value = !byte;
    let exponent = (value >> 4) & 7;
    let mantissa = (value & 0x0f) as i16;
    let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
    if value & 0x80 != 0 {
        -magnitude
    } else {
        magnitude
    }
}

const fn ulaw_encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let mut magnitude = (sample as i32).abs();
    if magnitude > 32_635 {
        magnitude = 32_635;
    }
    magnitude += 0x84;
    let exponent = 24 - (magnitude as u32).leading_zeros() as i32;
    let exponent = if exponent < 0 { 0 } else { exponent };
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | ((exponent as u8) << 4) | mantissa as u8)
}

const fn alaw_decode(byte: u8) -> i16 {
    let value = byte ^ 0x55;
    let exponent = (value >> 4) & 7;
    let mantissa = (value & 0x0f) as i16;
    let magnitude = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    if value & 0x80 != 0 {
        magnitude
    } else {
        -magnitude
    }
}

const fn alaw_encode(sample: i16) -> u8 {
    let (sign, magnitude) = if sample >= 0 {
        (0x80, sample as i32)
    } else {
        (0, -(sample as i32) - 1)
    };
    let exponent = 24 - ((magnitude | 0xff) as u32).leading_zeros() as i32;
    let mantissa = if exponent == 0 {
        magnitude >> 4
    } else {
        magnitude >> (exponent + 3)
    };
    (sign | ((exponent as u8) << 4) | (mantissa as u8 & 0x0f)) ^ 0x55
}

const fn decode_table(alaw: bool) -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = if alaw {
            alaw_decode(byte as u8)
        } else {
            ulaw_decode(byte as u8)
        };
        byte += 1;
    }
    table
}

const fn cross_table(from_alaw: bool) -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = if from_alaw {
            ulaw_encode(alaw_decode(byte as u8))
        } else {
            alaw_encode(ulaw_decode(byte as u8))
        };
        byte += 1;
    }
    table
}

/// Encoding looks up the upper 14 bits of a sample: below that neither law has a step.
const fn encode_table(alaw: bool) -> [u8; 16_384] {
    let mut table = [0; 16_384];
    let mut index = 0;
    while index < 16_384 {
        let sample = ((index as u16) << 2) as i16;
        table[index] = if alaw {
            alaw_encode(sample)
        } else {
            ulaw_encode(sample)
        };
        index += 1;
    }
    table
}

static ULAW_DECODE: [i16; 256] = decode_table(false);
static ALAW_DECODE: [i16; 256] = decode_table(true);
static ULAW_ENCODE: [u8; 16_384] = encode_table(false);
static ALAW_ENCODE: [u8; 16_384] = encode_table(true);
/// Every µ-law byte as its nearest A-law byte.
pub static ULAW_TO_ALAW: [u8; 256] = cross_table(false);
/// Every A-law byte as its nearest µ-law byte.
pub static ALAW_TO_ULAW: [u8; 256] = cross_table(true);

/// Decodes a µ-law byte.
#[must_use]
pub fn ulaw_to_linear(byte: u8) -> i16 {
    ULAW_DECODE[usize::from(byte)]
}

/// Decodes an A-law byte.
#[must_use]
pub fn alaw_to_linear(byte: u8) -> i16 {
    ALAW_DECODE[usize::from(byte)]
}

/// Encodes a sample in µ-law.
#[must_use]
pub fn linear_to_ulaw(sample: i16) -> u8 {
    ULAW_ENCODE[usize::from(sample as u16 >> 2)]
}

/// Encodes a sample in A-law.
#[must_use]
pub fn linear_to_alaw(sample: i16) -> u8 {
    ALAW_ENCODE[usize::from(sample as u16 >> 2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_bytes_decode_as_the_recommendation_says() {
        assert_eq!(
            (
                ulaw_to_linear(0xff),
                ulaw_to_linear(0x80),
                ulaw_to_linear(0x00)
            ),
            (0, 32_124, -32_124)
        );
        assert_eq!(
            (
                alaw_to_linear(0xd5),
                alaw_to_linear(0xaa),
                alaw_to_linear(0x2a)
            ),
            (8, 32_256, -32_256)
        );
    }

    #[test]
    fn every_byte_survives_a_round_trip() {
        for byte in 0..=255u8 {
            assert_eq!(
                alaw_to_linear(linear_to_alaw(alaw_to_linear(byte))),
                alaw_to_linear(byte),
                "A-law {byte}"
            );
            assert_eq!(
                ulaw_to_linear(linear_to_ulaw(ulaw_to_linear(byte))),
                ulaw_to_linear(byte),
                "µ-law {byte}"
            );
        }
    }

    #[test]
    fn samples_come_back_within_a_step() {
        for sample in (-32_000..32_000).step_by(7) {
            let tolerance = (f64::from(sample).abs() * 0.04) as i32 + 20;
            for back in [
                ulaw_to_linear(linear_to_ulaw(sample as i16)),
                alaw_to_linear(linear_to_alaw(sample as i16)),
            ] {
                assert!(
                    (i32::from(back) - sample).abs() <= tolerance,
                    "{sample} came back as {back}"
                );
            }
        }
    }

    #[test]
    fn crossing_laws_keeps_the_level() {
        for byte in 0..=255u8 {
            let before = i32::from(ulaw_to_linear(byte));
            let after = i32::from(alaw_to_linear(ULAW_TO_ALAW[usize::from(byte)]));
            assert!(
                (before - after).abs() <= before.abs() / 16 + 20,
                "{before} became {after}"
            );
        }
    }
}
