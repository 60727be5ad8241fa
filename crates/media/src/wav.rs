//! WAV files: prompts in, whatever their form, and recordings out as mono.

use std::{
    f64::consts::PI,
    io::{self, Read, Write},
};

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
    Ok(Sound::new(resample(&mono, format.rate, SAMPLE_RATE)))
}

/// Writes a sound as a 16-bit mono WAV file.
#[must_use]
pub fn write(sound: &Sound) -> Vec<u8> {
    let data = sound.samples().len() as u64 * 2;
    let mut bytes = crate::recorder::wav_header(1, data).to_vec();
    bytes.extend(
        sound
            .samples()
            .iter()
            .flat_map(|sample| sample.to_le_bytes()),
    );
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

/// Zero crossings of the filter's sinc on either side: enough for 60 dB against aliases.
const CROSSINGS: f64 = 16.0;

/// Changes the rate with a windowed sinc. Done once per sound, so it is exact, not fast.
#[must_use]
pub fn resample(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    if from == to || samples.is_empty() {
        return samples.to_vec();
    }
    let step = f64::from(from) / f64::from(to);
    // Going down, what lies above the new band must go first.
    let cutoff = 0.94 * (1.0 / step).min(1.0);
    let reach = CROSSINGS / cutoff;
    let length = (samples.len() as u64 * u64::from(to) / u64::from(from)) as usize;
    (0..length)
        .map(|i| {
            let centre = i as f64 * step;
            let first = (centre - reach).ceil().max(0.0) as usize;
            let last = ((centre + reach).floor() as usize).min(samples.len() - 1);
            let sum: f64 = (first..=last)
                .map(|at| f64::from(samples[at]) * kernel(at as f64 - centre, cutoff, reach))
                .sum();
            sum.round().clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

fn kernel(distance: f64, cutoff: f64, reach: f64) -> f64 {
    let x = PI * distance * cutoff;
    let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
    let at = PI * distance / reach;
    // Blackman's window.
    cutoff * sinc * (0.42 + 0.5 * at.cos() + 0.08 * (2.0 * at).cos())
}

/// Copies a stereo recording of ours as mono, both sides mixed, block by block. Returns the bytes
/// written. A mono one is copied as it is.
///
/// # Errors
/// When reading or writing fails, or the file is no recording of ours.
pub fn mono_from_stereo(mut from: impl Read, mut to: impl Write) -> io::Result<u64> {
    let mut head = [0; 44];
    from.read_exact(&mut head)?;
    if &head[..4] != b"RIFF" || &head[36..40] != b"data" || head[34] != 16 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file is no recording of ours",
        ));
    }
    if head[22] == 1 {
        to.write_all(&head)?;
        return Ok(44 + io::copy(&mut from, &mut to)?);
    }
    let data = u64::from(u32::from_le_bytes([head[40], head[41], head[42], head[43]]));
    to.write_all(&crate::recorder::wav_header(1, data / 2))?;
    let mut written = 44;
    let mut left = data;
    let mut block = vec![0; 64 * 1_024];
    while left >= 4 {
        let length = left.min(block.len() as u64) as usize / 4 * 4;
        from.read_exact(&mut block[..length])?;
        let length_out = mix(&mut block[..length]);
        to.write_all(&block[..length_out])?;
        written += length_out as u64;
        left -= length as u64;
    }
    Ok(written)
}

/// Mixes stereo samples down where they lie; the length of the mono samples.
fn mix(block: &mut [u8]) -> usize {
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
        let mut stereo = crate::recorder::wav_header(2, 8).to_vec();
        for sample in [100i16, 23, -5, 30_000] {
            stereo.extend(sample.to_le_bytes());
        }
        let mut mono = Vec::new();
        assert_eq!(
            mono_from_stereo(&stereo[..], &mut mono).expect("copied"),
            48
        );
        assert_eq!(read(&mono).expect("readable").samples(), [123, 29_995]);
    }
}
