//! Music on hold, composed here and synthesised at start, so that nobody's recording is shipped.

use std::f32::consts::TAU;

use crate::{SAMPLE_RATE, Sound};

/// Length of an eighth note in samples: 92 beats a minute.
const EIGHTH: usize = 2_608;
/// Aimed level of the loop, relative to full scale: -20 dBFS.
const LEVEL: f32 = 0.1;
/// The chords under the melody, two per bar, as MIDI notes.
const CHORDS: [[u8; 3]; 8] = [
    [48, 55, 64],
    [45, 52, 60],
    [41, 53, 57],
    [43, 50, 59],
    [48, 55, 64],
    [52, 55, 59],
    [41, 53, 60],
    [43, 53, 59],
];
/// The melody in eighths over the chords, four to each; 0 rests.
const MELODY: [u8; 64] = [
    76, 0, 79, 76, 72, 0, 74, 76, 77, 0, 76, 74, 74, 0, 71, 0, //
    72, 74, 76, 0, 79, 0, 76, 74, 72, 0, 69, 72, 71, 0, 0, 0, //
    76, 0, 79, 84, 83, 0, 79, 76, 77, 0, 81, 77, 74, 0, 71, 74, //
    72, 0, 76, 79, 76, 0, 74, 71, 69, 72, 74, 71, 72, 0, 0, 0,
];

/// A calm melody over slow chords, about 21 seconds, that loops without a seam.
#[must_use]
pub fn on_hold() -> Sound {
    let length = MELODY.len() * EIGHTH;
    let mut mix = vec![0.0f32; length];
    for (step, &note) in MELODY.iter().enumerate() {
        if note != 0 {
            pluck(&mut mix, step * EIGHTH, note, 0.5, 0.9);
        }
    }
    for bar in 0..MELODY.len() / 4 {
        let chord = CHORDS[bar % CHORDS.len()];
        for (voice, &note) in chord.iter().enumerate() {
            // Broken upwards, as a harp would.
            pluck(
                &mut mix,
                bar * 4 * EIGHTH + voice * EIGHTH / 2,
                note,
                0.28,
                1.8,
            );
        }
    }
    let power = mix.iter().map(|s| s * s).sum::<f32>() / length as f32;
    let gain = LEVEL / power.sqrt().max(f32::EPSILON);
    Sound::new(
        mix.iter()
            .map(|s| ((s * gain).clamp(-0.9, 0.9) * 32_767.0) as i16)
            .collect(),
    )
}

/// Adds a soft plucked note; its tail wraps round to the start, which makes the loop seamless.
fn pluck(mix: &mut [f32], start: usize, note: u8, level: f32, seconds: f32) {
    let hertz = 440.0 * 2f32.powf((f32::from(note) - 69.0) / 12.0);
    let length = (seconds * SAMPLE_RATE as f32) as usize;
    let all = mix.len();
    for i in 0..length {
        let time = i as f32 / SAMPLE_RATE as f32;
        let attack = (i as f32 / 80.0).min(1.0);
        let release = ((length - i) as f32 / 400.0).min(1.0);
        let phase = TAU * hertz * time;
        let wave = phase.sin()
            + 0.35 * (2.0 * phase).sin() * (-4.0 * time).exp()
            + 0.12 * (3.0 * phase).sin() * (-7.0 * time).exp();
        mix[(start + i) % all] += wave * level * attack * release * (-2.6 * time / seconds).exp();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn music_is_neither_loud_nor_clipped_and_joins_its_own_start() {
        let music = on_hold();
        let samples = music.samples();
        let power =
            samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64;
        let dbfs = 10.0 * (power / 32_767f64.powi(2)).log10();
        assert!((-21.5..=-18.5).contains(&dbfs), "{dbfs} dBFS");
        assert!(samples.iter().all(|s| s.abs() < 29_500));
        let seam = i32::from(samples[0]) - i32::from(samples[samples.len() - 1]);
        assert!(seam.abs() < 3_000, "a click of {seam} at the seam");
        assert!(music.duration().as_secs() >= 15);
    }
}
