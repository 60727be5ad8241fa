//! Tones: the beep before a voicemail, the ring a caller hears, digits in the audio.

use std::f32::consts::TAU;

use crate::{SAMPLE_RATE, Sound};

/// The beep after which a caller speaks: 1 kHz, 400 ms.
#[must_use]
pub fn beep() -> Sound {
    Sound::new(tones(&[1_000.0], 400, 0.25))
}

/// One turn of the European ring a caller hears: 425 Hz, one second on and four off. Play it repeated.
#[must_use]
pub fn ringback() -> Sound {
    let mut samples = tones(&[425.0], 1_000, 0.15);
    samples.resize(5 * SAMPLE_RATE as usize, 0);
    Sound::new(samples)
}

/// A sine of one pitch at an amplitude from 0 to 1.
#[must_use]
pub fn sine(hertz: f32, milliseconds: u32, amplitude: f32) -> Sound {
    Sound::new(tones(&[hertz], milliseconds, amplitude))
}

/// The two tones of a digit (ITU-T Q.23) with silence after it; `None` when it is no digit.
#[must_use]
pub fn digit(digit: char, on_ms: u32, off_ms: u32) -> Option<Sound> {
    let (row, column) = crate::dtmf::frequencies(digit)?;
    let mut samples = tones(&[row, column], on_ms, 0.2);
    samples.resize(samples.len() + (off_ms * SAMPLE_RATE / 1_000) as usize, 0);
    Some(Sound::new(samples))
}

/// A sum of sines with edges of 5 ms, so that nothing clicks. Each sine has the full amplitude.
fn tones(hertz: &[f32], milliseconds: u32, amplitude: f32) -> Vec<i16> {
    let length = (milliseconds * SAMPLE_RATE / 1_000) as usize;
    let edge = 40.0;
    (0..length)
        .map(|i| {
            let time = i as f32 / SAMPLE_RATE as f32;
            let envelope = (i as f32 / edge).min((length - i) as f32 / edge).min(1.0);
            let sum: f32 = hertz.iter().map(|f| (TAU * f * time).sin()).sum();
            (sum * amplitude * envelope * 32_767.0) as i16
        })
        .collect()
}
