//! Judges a recording by the stamps and tones of those who spoke.

use anyhow::{Context, bail};

use super::signal::{STAMP, Stamp, decode, power_at, tone_of};

/// 10 ms: a lost packet empties at least one such block wherever it lies.
const BLOCK: usize = 80;
/// Below this share of the usual power a block counts as silent.
const SILENT: f32 = 0.1;

/// A WAV file's sound, channel by channel.
pub struct Sound {
    pub channels: Vec<Vec<i16>>,
    pub rate: u32,
}

/// One side of a recording.
#[derive(Debug, Default)]
pub struct Side {
    /// Where each packet of the leg lies, by its sequence number.
    pub places: Vec<Option<usize>>,
    /// Stamps that don't belong on this side.
    pub strangers: usize,
}

/// What a recording is worth.
#[derive(Debug, Default)]
pub struct Verdict {
    pub seconds: f64,
    /// Packets of the talk, on both sides, and how many of them are missing.
    pub expected: usize,
    pub missing: usize,
    /// Blocks of 10 ms, on both sides, without their tone.
    pub silent_blocks: usize,
    pub strangers: usize,
    /// How far the sides are apart: a moment that both spoke in lies this much later on the right.
    pub misaligned_ms: f64,
    /// The furthest that a packet lies from its place on its own side.
    pub wander_ms: f64,
}

impl Sound {
    /// Reads PCM of 16 bits or µ-law.
    pub fn parse(wav: &[u8]) -> anyhow::Result<Self> {
        if wav.get(..4) != Some(b"RIFF") || wav.get(8..12) != Some(b"WAVE") {
            bail!("not a WAV file");
        }
        let (mut format, mut rest) = (None, &wav[12..]);
        while rest.len() >= 8 {
            let (head, body) = rest.split_at(8);
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let chunk = &body[..length.min(body.len())];
            match &head[..4] {
                b"fmt " if chunk.len() >= 16 => format = Some(chunk),
                b"data" => {
                    if chunk.len() < length {
                        bail!(
                            "the header promises {length} bytes, the file has {}",
                            chunk.len()
                        );
                    }
                    return Self::samples(format.context("audio before its format")?, chunk);
                }
                _ => {}
            }
            rest = body.get(length + length % 2..).unwrap_or_default();
        }
        bail!("there is no audio in it")
    }

    fn samples(format: &[u8], data: &[u8]) -> anyhow::Result<Self> {
        let short = |at: usize| u16::from_le_bytes([format[at], format[at + 1]]);
        let channels = usize::from(short(2)).max(1);
        let rate = u32::from_le_bytes([format[4], format[5], format[6], format[7]]);
        let samples: Vec<i16> = match (short(0), short(14)) {
            (1, 16) => data
                .as_chunks::<2>()
                .0
                .iter()
                .map(|pair| i16::from_le_bytes(*pair))
                .collect(),
            (7, 8) => data.iter().map(|byte| decode(*byte)).collect(),
            (kind, bits) => bail!("audio of kind {kind} with {bits} bits"),
        };
        let channels = (0..channels)
            .map(|channel| {
                samples
                    .iter()
                    .copied()
                    .skip(channel)
                    .step_by(channels)
                    .collect()
            })
            .collect();
        Ok(Self { channels, rate })
    }
}

/// Finds a leg's packets in its channel.
pub fn find(leg: u16, samples: &[i16]) -> Side {
    let mut side = Side::default();
    let mut at = 0;
    while at + STAMP <= samples.len() {
        let Some(stamp) = Stamp::read_linear(&samples[at..]) else {
            at += 1;
            continue;
        };
        let place = stamp.sequence as usize;
        if stamp.leg == leg && place < 1 << 22 {
            if side.places.len() <= place {
                side.places.resize(place + 1, None);
            }
            side.places[place] = Some(at);
        } else {
            side.strangers += 1;
        }
        at += STAMP;
    }
    side
}

/// When the packets that must be in the recording were sent, in microseconds, by sequence number.
pub struct Spoken<'a> {
    pub leg: u16,
    pub sent_us: &'a [u64],
    pub first: usize,
    /// One past the last.
    pub end: usize,
}

/// Holds a two-sided recording against what was said.
pub fn judge(sound: &Sound, caller: &Spoken<'_>, agent: &Spoken<'_>) -> anyhow::Result<Verdict> {
    if sound.rate != 8_000 || sound.channels.len() != 2 {
        bail!("{} channels at {} Hz", sound.channels.len(), sound.rate);
    }
    let mut verdict = Verdict {
        seconds: sound.channels[0].len() as f64 / 8_000.0,
        ..Verdict::default()
    };
    let mut middles = [0.0; 2];
    for (at, spoken) in [caller, agent].into_iter().enumerate() {
        let samples = &sound.channels[at];
        let side = find(spoken.leg, samples);
        verdict.strangers += side.strangers;
        verdict.expected += spoken.end.saturating_sub(spoken.first);
        let mut offsets = Vec::new();
        for sequence in spoken.first..spoken.end {
            match side.places.get(sequence).copied().flatten() {
                Some(place) => {
                    offsets.push(place as f64 / 8.0 - spoken.sent_us[sequence] as f64 / 1_000.0);
                }
                None => verdict.missing += 1,
            }
        }
        if offsets.is_empty() {
            bail!("nothing of leg {} is in it", spoken.leg);
        }
        verdict.silent_blocks += silent_blocks(samples, &side, spoken);
        offsets.sort_by(f64::total_cmp);
        middles[at] = offsets[offsets.len() / 2];
        let (low, high) = (offsets[0], offsets[offsets.len() - 1]);
        verdict.wander_ms = verdict
            .wander_ms
            .max(high - middles[at])
            .max(middles[at] - low);
    }
    verdict.misaligned_ms = middles[1] - middles[0];
    Ok(verdict)
}

/// Blocks of 10 ms without their tone, in a recording of two legs; seconds at its ends are left out.
pub fn listen(sound: &Sound, legs: [u16; 2], after: f64, before: f64) -> anyhow::Result<usize> {
    if sound.rate != 8_000 || sound.channels.len() != 2 {
        bail!("{} channels at {} Hz", sound.channels.len(), sound.rate);
    }
    let samples = |seconds: f64| (seconds * 8_000.0) as usize;
    let mut silent = 0;
    for (channel, leg) in sound.channels.iter().zip(legs) {
        let end = channel.len().saturating_sub(samples(before));
        let stretch = channel
            .get(samples(after)..end)
            .context("it is too short")?;
        let own = stretch.as_chunks::<BLOCK>().0;
        let heard: f32 = own.iter().map(|block| power_at(tone_of(leg), block)).sum();
        let all: f32 = stretch
            .iter()
            .map(|sample| f32::from(*sample).powi(2))
            .sum();
        if heard * BLOCK as f32 <= all * 0.5 {
            bail!("leg {leg} isn't what is heard on its side");
        }
        silent += silent_in(stretch, leg);
    }
    Ok(silent)
}

/// Listens with the ear, not the eye: between the first and the last packet the tone must never stop.
fn silent_blocks(samples: &[i16], side: &Side, spoken: &Spoken<'_>) -> usize {
    let wanted = side
        .places
        .get(spoken.first..spoken.end.min(side.places.len()))
        .unwrap_or_default();
    let mut found = wanted.iter().flatten();
    let Some(start) = found.next() else { return 0 };
    let end = found.next_back().unwrap_or(start);
    silent_in(&samples[*start..*end], spoken.leg)
}

fn silent_in(stretch: &[i16], leg: u16) -> usize {
    let hertz = tone_of(leg);
    let mut powers: Vec<f32> = stretch
        .as_chunks::<BLOCK>()
        .0
        .iter()
        .map(|block| power_at(hertz, block))
        .collect();
    let all = powers.clone();
    powers.sort_by(f32::total_cmp);
    let usual = powers.get(powers.len() / 2).copied().unwrap_or(0.0);
    all.iter().filter(|power| **power <= usual * SILENT).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::signal::{FRAME, tone};

    /// A channel with packets of a leg, from a place on, some left out.
    fn speak(leg: u16, start: usize, packets: u32, lost: &[u32]) -> Vec<i16> {
        let mut samples = vec![0; start];
        for sequence in 0..packets {
            let mut payload = tone(tone_of(leg));
            Stamp {
                leg,
                sequence,
                sent_us: 0,
            }
            .write(&mut payload);
            if lost.contains(&sequence) {
                samples.extend([0; FRAME]);
            } else {
                samples.extend(payload.map(decode));
            }
        }
        samples
    }

    fn spoken(leg: u16, sent_us: &[u64]) -> Spoken<'_> {
        Spoken {
            leg,
            sent_us,
            first: 0,
            end: sent_us.len(),
        }
    }

    #[test]
    fn a_whole_recording_is_found_whole() {
        let sent: Vec<u64> = (0..100).map(|at| 5_000_000 + at * 20_000).collect();
        let sound = Sound {
            channels: vec![speak(6, 333, 100, &[]), speak(7, 333, 100, &[])],
            rate: 8_000,
        };
        let verdict = judge(&sound, &spoken(6, &sent), &spoken(7, &sent)).unwrap();
        assert_eq!(
            (
                verdict.expected,
                verdict.missing,
                verdict.silent_blocks,
                verdict.strangers
            ),
            (200, 0, 0, 0)
        );
        assert!(verdict.misaligned_ms.abs() < 0.01 && verdict.wander_ms < 0.01);
    }

    #[test]
    fn a_lost_packet_and_a_shifted_side_are_noticed() {
        let sent: Vec<u64> = (0..100).map(|at| 5_000_000 + at * 20_000).collect();
        let sound = Sound {
            channels: vec![speak(6, 0, 100, &[50]), speak(7, 240, 100, &[])],
            rate: 8_000,
        };
        let verdict = judge(&sound, &spoken(6, &sent), &spoken(7, &sent)).unwrap();
        assert_eq!((verdict.missing, verdict.silent_blocks), (1, 2));
        assert!(
            (verdict.misaligned_ms - 30.0).abs() < 0.01,
            "{}",
            verdict.misaligned_ms
        );
    }

    #[test]
    fn swapped_sides_are_noticed() {
        let sent: Vec<u64> = (0..10).map(|at| at * 20_000).collect();
        let sound = Sound {
            channels: vec![speak(7, 0, 10, &[]), speak(6, 0, 10, &[])],
            rate: 8_000,
        };
        assert!(judge(&sound, &spoken(6, &sent), &spoken(7, &sent)).is_err());
    }

    #[test]
    fn wav_files_of_both_kinds_are_read() {
        let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0LIST\x01\0\0\0x\0data\x08\0\0\0".to_vec();
        wav.extend([1, 0, 2, 0, 3, 0, 4, 0]);
        let sound = Sound::parse(&wav).unwrap();
        assert_eq!(
            (sound.channels, sound.rate),
            (vec![vec![1, 3], vec![2, 4]], 8_000)
        );
        assert!(Sound::parse(&wav[..wav.len() - 1]).is_err());
        assert!(Sound::parse(b"RIFF").is_err());
    }
}
