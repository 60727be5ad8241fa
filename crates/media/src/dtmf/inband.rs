use std::f32::consts::TAU;

use super::{COLUMNS, KEYS, ROWS};
use crate::codec::Rate;

/// Samples per look at 8 kHz: 12.75 ms, so that a tone of 40 ms fills two looks wherever it begins.
const BLOCK: usize = 102;
/// Looks that must agree before a digit counts, and that must differ before it has ended.
const HITS: u8 = 2;
/// Power of the weakest tone that counts, about -38 dBm0, in a look at 8 kHz.
const FLOOR: f32 = 4.0e6;
/// The column tone may be this much stronger than the row tone (4 dB) …
const FORWARD_TWIST: f32 = 2.5;
/// … or this much weaker (8 dB).
const REVERSE_TWIST: f32 = 6.3;
/// How much a tone must stand out among its group.
const RELATIVE: f32 = 6.3;
/// Share of the block's energy that must lie in the two tones: speech spreads wider.
const PURITY: f32 = 0.72;
/// Most that a column's second harmonic may hold of it: voices are rich in them, keys are not.
const COLUMN_HARMONIC: f32 = 0.1;
/// The same for rows, whose harmonics lie so close to the columns that a key leaks into them.
const ROW_HARMONIC: f32 = 0.5;

/// Finds digits in decoded audio.
#[derive(Debug)]
pub(crate) struct Detector {
    looks: [Goertzel; 16],
    block: usize,
    floor: f32,
    energy: f32,
    filled: usize,
    candidate: Option<char>,
    hits: u8,
    misses: u8,
    pressed: Option<char>,
}

/// One frequency's running filter.
#[derive(Clone, Copy, Debug, Default)]
struct Goertzel {
    coefficient: f32,
    previous: f32,
    before: f32,
}

impl Goertzel {
    fn new(hertz: f32, rate: Rate) -> Self {
        Self {
            coefficient: 2.0 * (TAU * hertz / rate.hertz() as f32).cos(),
            ..Self::default()
        }
    }

    fn add(&mut self, sample: f32) {
        let value = sample + self.coefficient * self.previous - self.before;
        self.before = self.previous;
        self.previous = value;
    }

    fn take_power(&mut self) -> f32 {
        let (a, b) = (self.previous, self.before);
        (self.previous, self.before) = (0.0, 0.0);
        a * a + b * b - self.coefficient * a * b
    }
}

impl Detector {
    /// A detector for samples of a rate.
    pub(crate) fn new(rate: Rate) -> Self {
        let mut looks = [Goertzel::default(); 16];
        for (i, hertz) in ROWS.iter().chain(&COLUMNS).enumerate() {
            looks[i] = Goertzel::new(*hertz, rate);
            looks[i + 8] = Goertzel::new(2.0 * hertz, rate);
        }
        // A look lasts as long at either rate; a filter's power grows by the square of its length.
        let times = rate.hertz() / Rate::Narrow.hertz();
        Self {
            looks,
            block: BLOCK * times,
            floor: FLOOR * (times * times) as f32,
            energy: 0.0,
            filled: 0,
            candidate: None,
            hits: 0,
            misses: 0,
            pressed: None,
        }
    }

    /// Whether a key is being held, as far as is certain.
    pub(crate) fn is_pressed(&self) -> bool {
        self.pressed.is_some()
    }

    /// Takes one sample; a digit when its press is certain.
    pub(crate) fn add(&mut self, sample: i16) -> Option<char> {
        let sample = f32::from(sample);
        self.energy += sample * sample;
        for look in &mut self.looks {
            look.add(sample);
        }
        self.filled += 1;
        if self.filled < self.block {
            return None;
        }
        self.filled = 0;
        let heard = self.look();
        self.energy = 0.0;
        self.judge(heard)
    }

    /// What this block holds.
    fn look(&mut self) -> Option<char> {
        let powers: [f32; 16] = std::array::from_fn(|i| self.looks[i].take_power());
        let (row, row_power) = strongest(&powers[..4])?;
        let (column, column_power) = strongest(&powers[4..8])?;
        let two_tones = (row_power + column_power) * 2.0 / self.block as f32;
        let is_digit = row_power > self.floor
            && column_power > self.floor
            && column_power < row_power * FORWARD_TWIST
            && row_power < column_power * REVERSE_TWIST
            && two_tones > self.energy * PURITY
            && powers[row + 8] < row_power * ROW_HARMONIC
            && powers[column + 12] < column_power * COLUMN_HARMONIC;
        is_digit.then_some(KEYS[row][column])
    }

    fn judge(&mut self, heard: Option<char>) -> Option<char> {
        if let Some(pressed) = self.pressed {
            self.misses = if heard == Some(pressed) {
                0
            } else {
                self.misses + 1
            };
            if self.misses < HITS {
                return None;
            }
            self.pressed = None;
        }
        if heard.is_none() || heard != self.candidate {
            self.candidate = heard;
            self.hits = u8::from(heard.is_some());
            return None;
        }
        self.hits += 1;
        if self.hits < HITS {
            return None;
        }
        (self.pressed, self.misses, self.hits, self.candidate) = (heard, 0, 0, None);
        heard
    }
}

/// The strongest of a group, if it stands out.
fn strongest(powers: &[f32]) -> Option<(usize, f32)> {
    let (index, power) = powers
        .iter()
        .copied()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    powers
        .iter()
        .enumerate()
        .all(|(i, other)| i == index || other * RELATIVE < power)
        .then_some((index, power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone;

    fn detect(samples: impl IntoIterator<Item = i16>) -> String {
        let mut detector = Detector::new(Rate::Narrow);
        samples
            .into_iter()
            .filter_map(|sample| detector.add(sample))
            .collect()
    }

    fn press(digit: char, on_ms: u32, off_ms: u32) -> Vec<i16> {
        tone::digit(digit, on_ms, off_ms)
            .expect("a digit")
            .samples()
            .to_vec()
    }

    #[test]
    fn every_key_is_found_wherever_in_a_block_it_begins() {
        for lead in (0..BLOCK).step_by(17) {
            let mut samples = vec![0; lead];
            for digit in KEYS.iter().flatten() {
                samples.extend(press(*digit, 50, 50));
            }
            assert_eq!(
                detect(samples),
                KEYS.iter().flatten().collect::<String>(),
                "after {lead} samples"
            );
        }
    }

    #[test]
    fn a_long_press_is_one_digit_and_two_short_ones_are_two() {
        assert_eq!(detect(press('7', 900, 50)), "7");
        assert_eq!(
            detect([press('7', 60, 50), press('7', 60, 50)].concat()),
            "77"
        );
    }

    #[test]
    fn a_tick_of_twenty_milliseconds_is_no_digit() {
        for lead in (0..BLOCK).step_by(5) {
            assert_eq!(detect([vec![0; lead], press('5', 20, 60)].concat()), "");
        }
    }

    #[test]
    fn a_single_tone_music_and_lopsided_pairs_are_no_digits() {
        assert_eq!(detect(tone::sine(770.0, 500, 0.5).samples().to_vec()), "");
        assert_eq!(detect(crate::music::on_hold().samples().to_vec()), "");
        let row = tone::sine(770.0, 300, 0.02);
        let column = tone::sine(1_336.0, 300, 0.5);
        assert_eq!(
            detect(
                row.samples()
                    .iter()
                    .zip(column.samples())
                    .map(|(a, b)| a + b)
            ),
            ""
        );
    }

    #[tokio::test]
    async fn speech_is_not_mistaken_for_digits() {
        let folder = tempfile::tempdir().expect("a folder");
        let speech = crate::speech::Speech::new(folder.path().to_owned(), Vec::new());
        let text = "Thank you for calling. Our opening hours are from nine to five, Monday to Friday. \
            Please listen carefully, as our menu has changed. Who do you want to speak to, and what is it about? \
            I would like to ask whether the blue umbrella that I ordered three weeks ago is ready to be collected.";
        for language in ["en", "de", "sk"] {
            let sound = speech
                .render(text, language)
                .await
                .expect("tests need flite and espeak-ng");
            assert_eq!(detect(sound.samples().iter().copied()), "", "in {language}");
        }
    }

    #[test]
    fn digits_are_heard_through_noise_and_g711() {
        let mut noise = 1u32;
        let samples: Vec<i16> = "1590#D"
            .chars()
            .flat_map(|digit| press(digit, 70, 70))
            .collect();
        let heard = detect(samples.into_iter().map(|sample| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noisy = sample.saturating_add((noise >> 22) as i16 - 512);
            crate::g711::ulaw_to_linear(crate::g711::linear_to_ulaw(noisy))
        }));
        assert_eq!(heard, "1590#D");
    }
}
