//! WAV files: prompts in, whatever their form, and recordings out as mono.

use crate::{SAMPLE_RATE, Sound, g711};

/// Why a file can't be played.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WavError {
    /// No WAV at all, or cut before its samples.
    #[error("the file is not a WAV file, or it is cut off")]
    NotWav,
    /// A coding we don't know.
    #[error("the WAV file has format {format} with {bits} bits, which is not supported")]
    Unsupported {
        /// The format tag.
        format: u16,
        /// Bits per sample.
        bits: u16,
    },
    /// A rate or number of channels out of all reason.
    #[error("the WAV file claims {channels} channels at {rate} Hz")]
    Unreasonable {
        /// Channels.
        channels: u16,
        /// Samples per second.
        rate: u32,
    },
}

/// The rate of what wideband codecs carry.
const WIDE_RATE: u32 = 16_000;

#[derive(Clone, Copy, Debug)]
struct Format {
    tag: u16,
    channels: u16,
    rate: u32,
    bits: u16,
}

/// Reads a WAV file of 8, 16 or 24-bit PCM or G.711, any rate and number of channels.
///
/// # Errors
/// When it is no WAV file or coded otherwise.
pub fn read(bytes: &[u8]) -> Result<Sound, WavError> {
    let (format, data) = chunks(bytes)?;
    if !(1..=8).contains(&format.channels) || !(1_000..=384_000).contains(&format.rate) {
        return Err(WavError::Unreasonable {
            channels: format.channels,
            rate: format.rate,
        });
    }
    let samples = decode(format, data)?;
    let channels = usize::from(format.channels);
    let mono: Vec<i16> = samples
        .chunks_exact(channels)
        .map(|frame| (frame.iter().map(|s| i32::from(*s)).sum::<i32>() / channels as i32) as i16)
        .collect();
    if format.rate < WIDE_RATE {
        return Ok(Sound::new(resample(&mono, format.rate, SAMPLE_RATE)));
    }
    // By way of 16 kHz, so that a sound is the same when it was written and is read again.
    let wide = resample(&mono, format.rate, WIDE_RATE);
    Ok(Sound::new(resample(&wide, WIDE_RATE, SAMPLE_RATE)).with_wide(wide))
}

/// Writes a sound as a 16-bit mono WAV file, at the best rate it has.
#[must_use]
pub fn write(sound: &Sound) -> Vec<u8> {
    match sound.wide() {
        Some(wide) => write_at(wide, WIDE_RATE),
        None => write_at(sound.samples(), SAMPLE_RATE),
    }
}

/// Writes samples of any rate as a 16-bit mono WAV file.
#[must_use]
pub fn write_at(samples: &[i16], rate: u32) -> Vec<u8> {
    let mut bytes = header(1, samples.len() as u64 * 2).to_vec();
    bytes[24..28].copy_from_slice(&rate.to_le_bytes());
    bytes[28..32].copy_from_slice(&(rate * 2).to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

fn chunks(bytes: &[u8]) -> Result<(Format, &[u8]), WavError> {
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(WavError::NotWav);
    }
    let mut rest = &bytes[12..];
    let mut format = None;
    while rest.len() >= 8 {
        let length = u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]) as usize;
        let body = &rest[8..];
        match (&rest[..4], format) {
            (b"fmt ", _) => {
                format = Some(parse_format(body.get(..length).ok_or(WavError::NotWav)?)?);
            }
            // Programs that write to a pipe can't fill in the length; then everything is data.
            (b"data", Some(format)) => return Ok((format, &body[..length.min(body.len())])),
            _ => {}
        }
        rest = body
            .get(length.saturating_add(length % 2)..)
            .ok_or(WavError::NotWav)?;
    }
    Err(WavError::NotWav)
}

fn parse_format(body: &[u8]) -> Result<Format, WavError> {
    if body.len() < 16 {
        return Err(WavError::NotWav);
    }
    let short = |at: usize| u16::from_le_bytes([body[at], body[at + 1]]);
    let mut tag = short(0);
    // The extensible form keeps the real tag at the head of its identifier.
    if tag == 0xfffe && body.len() >= 26 {
        tag = short(24);
    }
    let rate = u32::from_le_bytes([body[4], body[5], body[6], body[7]]);
    Ok(Format {
        tag,
        channels: short(2),
        rate,
        bits: short(14),
    })
}

fn decode(format: Format, data: &[u8]) -> Result<Vec<i16>, WavError> {
    let law = |decode: fn(u8) -> i16| data.iter().map(|byte| decode(*byte)).collect();
    Ok(match (format.tag, format.bits) {
        (1, 8) => data
            .iter()
            .map(|byte| (i16::from(*byte) - 128) << 8)
            .collect(),
        (1, 16) => data
            .chunks_exact(2)
            .map(|b| i16::from_le_bytes([b[0], b[1]]))
            .collect(),
        (1, 24) => data
            .chunks_exact(3)
            .map(|b| i16::from_le_bytes([b[1], b[2]]))
            .collect(),
        (6, 8) => law(g711::alaw_to_linear),
        (7, 8) => law(g711::ulaw_to_linear),
        (format, bits) => return Err(WavError::Unsupported { format, bits }),
    })
}

/// Changes the rate of a whole sound.
#[must_use]
pub fn resample(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    if from == to {
        return samples.to_vec();
    }
    let samples: Vec<f32> = samples.iter().map(|s| f32::from(*s) / 32_768.0).collect();
    crate::import::to_pcm(&crate::import::change_rate(&samples, from, to))
}

/// Bytes before the samples of a recording.
pub const HEADER: u64 = crate::recorder::WAV_HEADER as u64;

/// The header of a 16-bit PCM file at 8 kHz with so many bytes of samples.
#[must_use]
pub fn header(channels: u16, data: u64) -> [u8; 44] {
    crate::recorder::wav_header(channels, data)
}

/// What the header of a recording says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingHead {
    /// 1 or 2.
    pub channels: u16,
    /// Bytes of samples that were safe when it was written; 0 before the first checkpoint.
    pub data: u64,
}

/// Reads the header of a recording of ours; `None` when it is none.
#[must_use]
pub fn recording_head(bytes: &[u8]) -> Option<RecordingHead> {
    let head: &[u8; 44] = bytes.first_chunk()?;
    let channels = u16::from_le_bytes([head[22], head[23]]);
    let ours = &head[..4] == b"RIFF" && &head[8..16] == b"WAVEfmt " && &head[36..40] == b"data";
    (ours && (1..=2).contains(&channels) && head[34] == 16).then(|| RecordingHead {
        channels,
        data: u64::from(u32::from_le_bytes([head[40], head[41], head[42], head[43]])),
    })
}

/// Mixes 16-bit stereo samples down where they lie; the bytes of the mono samples.
pub fn mix_down(block: &mut [u8]) -> usize {
    for i in 0..block.len() / 4 {
        let at = i * 4;
        let left = i16::from_le_bytes([block[at], block[at + 1]]);
        let right = i16::from_le_bytes([block[at + 2], block[at + 3]]);
        // People rarely speak at once, so adding keeps each as loud as he was.
        block[i * 2..i * 2 + 2].copy_from_slice(&left.saturating_add(right).to_le_bytes());
    }
    block.len() / 2
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;
    type Law = fn(i16) -> u8;

    use super::*;
    use crate::tone;

    fn file(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        bytes.extend(tag.to_le_bytes());
        bytes.extend(channels.to_le_bytes());
        bytes.extend(rate.to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(0u16.to_le_bytes());
        bytes.extend(bits.to_le_bytes());
        bytes.extend(b"data\xff\xff\xff\xff");
        bytes.extend(data);
        bytes
    }

    fn level(samples: &[i16]) -> f64 {
        (samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
    }

    fn sine(hertz: f64, rate: u32) -> Vec<i16> {
        (0..rate)
            .map(|i| ((f64::from(i) / f64::from(rate) * hertz * 2.0 * PI).sin() * 10_000.0) as i16)
            .collect()
    }

    #[test]
    fn every_coding_is_read() {
        let sound = tone::beep();
        let pcm: Vec<u8> = sound
            .samples()
            .iter()
            .flat_map(|s| s.to_le_bytes())
            .collect();
        assert_eq!(read(&file(1, 1, 8_000, 16, &pcm)), Ok(sound.clone()));
        assert_eq!(read(&write(&sound)), Ok(sound.clone()));
        let laws = [(6, g711::linear_to_alaw as Law), (7, g711::linear_to_ulaw)];
        for (tag, encode) in laws {
            let data: Vec<u8> = sound.samples().iter().map(|s| encode(*s)).collect();
            let back = read(&file(tag, 1, 8_000, 8, &data)).expect("readable");
            // A pure 1 kHz has four values only, so their quantisation doesn't average out.
            assert!((level(back.samples()) / level(sound.samples()) - 1.0).abs() < 0.04);
        }
        assert_eq!(
            read(&file(1, 2, 8_000, 8, &[128, 128, 138, 148]))
                .expect("readable")
                .samples(),
            [0, 15 << 8]
        );
    }

    #[test]
    fn resampling_keeps_the_band_and_drops_what_lies_above() {
        for rate in [16_000, 22_050, 44_100, 48_000] {
            let kept = resample(&sine(1_000.0, rate), rate, 8_000);
            assert!(
                (level(&kept) / 7_071.0 - 1.0).abs() < 0.02,
                "1 kHz at {rate}: {}",
                level(&kept)
            );
            let dropped = resample(&sine(5_500.0, rate), rate, 8_000);
            assert!(
                level(&dropped[100..7_800]) < 30.0,
                "5.5 kHz at {rate}: {}",
                level(&dropped)
            );
        }
    }

    #[test]
    fn broken_files_are_refused_without_harm() {
        let good = file(1, 1, 8_000, 16, &[0; 8]);
        for cut in 0..good.len() {
            let _ = read(&good[..cut]);
        }
        assert_eq!(
            read(b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd"),
            Err(WavError::NotWav)
        );
        assert_eq!(
            read(&file(0x55, 1, 8_000, 16, &[])),
            Err(WavError::Unsupported {
                format: 0x55,
                bits: 16
            })
        );
        assert_eq!(
            read(&file(1, 0, 8_000, 16, &[])),
            Err(WavError::Unreasonable {
                channels: 0,
                rate: 8_000
            })
        );
    }

    #[test]
    fn both_sides_are_in_the_mono_copy() {
        let mut block: Vec<u8> = [100i16, 23, -5, 30_000, 30_000, 30_000]
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        let length = mix_down(&mut block);
        let mut mono = header(1, length as u64).to_vec();
        mono.extend(&block[..length]);
        assert_eq!(
            read(&mono).expect("readable").samples(),
            [123, 29_995, i16::MAX]
        );
        let head = recording_head(&mono).expect("ours");
        assert_eq!((head.channels, head.data), (1, 6));
        assert_eq!(recording_head(&mono[..43]), None);
    }
}
