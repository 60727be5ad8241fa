//! Sound in place of sound that was lost (in the manner of G.711 appendix I): what was heard goes on by its own pitch.

/// Over which the past is compared with itself.
const WINDOW_MS: usize = 10;
/// Between the periods of a high and of a low voice.
const SHORTEST_US: usize = 2_500;
const LONGEST_MS: usize = 15;
/// What is needed of the past to tell its pitch.
pub(crate) const PAST_MS: usize = WINDOW_MS + LONGEST_MS;

/// Continues a past of at least 15 ms by its own pitch. `per_ms` are the samples of a millisecond.
pub(crate) fn go_on(past: &[i16], per_ms: usize, out: &mut [i16]) {
    let period = pitch(past, per_ms);
    for at in 0..out.len() {
        out[at] = if at < period {
            past[past.len() - period + at]
        } else {
            out[at - period]
        };
    }
}

/// The period after which the past repeats itself best.
fn pitch(past: &[i16], per_ms: usize) -> usize {
    let window = per_ms * WINDOW_MS;
    let shortest = per_ms * SHORTEST_US / 1_000;
    let longest = (per_ms * LONGEST_MS).min(past.len().saturating_sub(window));
    let recent = &past[past.len() - window..];
    let mut best = (longest, f32::MIN);
    for lag in shortest..=longest {
        let earlier = &past[past.len() - window - lag..past.len() - lag];
        let (mut product, mut energy) = (0.0f32, 1.0f32);
        for (a, b) in recent.iter().zip(earlier).step_by(2) {
            product += f32::from(*a) * f32::from(*b);
            energy += f32::from(*b) * f32::from(*b);
        }
        let likeness = product / energy.sqrt();
        if likeness > best.1 {
            best = (lag, likeness);
        }
    }
    best.0
}

/// Fills a gap between what came before and what came after it, both of at least 15 ms: the one goes on into it,
/// the other is led back into it, and they change over on the way.
pub(crate) fn bridge(before: &[i16], after: &[i16], per_ms: usize, gap: &mut [i16]) {
    go_on(before, per_ms, gap);
    let mut reversed = [0; 64 * 16];
    let mut led_back = [0; 64 * 16];
    let known = after.len().min(PAST_MS * per_ms);
    for (reversed, sample) in reversed[..known]
        .iter_mut()
        .zip(after[..known].iter().rev())
    {
        *reversed = *sample;
    }
    let length = gap.len().min(led_back.len());
    go_on(&reversed[..known], per_ms, &mut led_back[..length]);
    for (at, sample) in gap[..length].iter_mut().enumerate() {
        let (passed, left) = (at as i32 + 1, (length - at) as i32);
        let back = i32::from(led_back[length - 1 - at]);
        *sample = ((i32::from(*sample) * left + back * passed) / (left + passed)) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(samples: std::ops::Range<i32>) -> Vec<i16> {
        let at = |n: i32| (f64::from(n) * 200.0 * std::f64::consts::TAU / 8_000.0).sin() * 8_000.0;
        samples.map(|n| at(n) as i16).collect()
    }

    #[test]
    fn a_gap_in_a_tone_is_not_heard() {
        let (before, after) = (tone(0..200), tone(360..520));
        let mut gap = [0; 160];
        bridge(&before, &after, 8, &mut gap);
        for (made, real) in gap.iter().zip(tone(200..360)) {
            assert!(
                (i32::from(*made) - i32::from(real)).abs() < 1_200,
                "{made} for {real}"
            );
        }
    }

    #[test]
    fn between_silence_there_is_silence() {
        let mut gap = [7; 480];
        bridge(&[0; 200], &[0; 160], 8, &mut gap);
        assert_eq!(gap, [0; 480]);
    }
}
