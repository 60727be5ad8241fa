//! Tones: the beep before a voicemail, the ring a caller hears, digits in the audio.

use std::f32::consts::TAU;

use crate::{SAMPLE_RATE, Sound};

/// The beep after which a caller speaks: 1 kHz, 400 ms.
#[must_use]
pub fn beep() -> Sound {
    Sound::new(tones(&[1_000.0], 400, 0.25))
}

/// One turn of the ring a caller hears in a country (ISO 3166 alpha-2), by the table of ITU-T E.180. Play it repeated.
#[must_use]
pub fn ringback(country: &str) -> Sound {
    // Pitches, and how long it is on and off in milliseconds.
    let (hertz, cadence): (&[f32], &[u32]) = match country {
        "US" | "CA" | "PR" | "JM" => (&[440.0, 480.0], &[2_000, 4_000]),
        "GB" | "IE" | "NZ" | "SG" | "HK" | "MT" | "CY" => {
            (&[400.0, 450.0], &[400, 200, 400, 2_000])
        }
        "AU" => (&[413.0, 438.0], &[400, 200, 400, 2_000]),
        "IN" | "ZA" => (&[375.0, 425.0], &[400, 200, 400, 2_000]),
        "JP" => (&[384.0, 416.0], &[1_000, 2_000]),
        "KR" => (&[440.0, 480.0], &[1_000, 2_000]),
        "CN" => (&[450.0], &[1_000, 4_000]),
        "FR" => (&[440.0], &[1_500, 3_500]),
        "ES" => (&[425.0], &[1_500, 3_000]),
        "AT" => (&[420.0], &[1_000, 5_000]),
        "SE" => (&[425.0], &[1_000, 5_000]),
        "HU" => (&[425.0], &[1_250, 3_750]),
        "IL" => (&[400.0], &[1_000, 3_000]),
        "TR" => (&[450.0], &[2_000, 4_000]),
        // Most of Europe and of Latin America.
        _ => (&[425.0], &[1_000, 4_000]),
    };
    let amplitude = 0.15 / hertz.len() as f32;
    let mut samples = Vec::new();
    for pair in cadence.chunks_exact(2) {
        samples.extend(tones(hertz, pair[0], amplitude));
        samples.resize(samples.len() + (pair[1] * SAMPLE_RATE / 1_000) as usize, 0);
    }
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
