//! How good a connection sounds, estimated from what was counted: the E-model of ITU-T G.107.

use crate::Codec;

/// What is known of the way to one listener.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// How audio is coded.
    pub codec: Codec,
    /// Packets lost, 0 to 1.
    pub loss: f32,
    /// Interarrival jitter, in milliseconds.
    pub jitter_ms: f32,
    /// There and back, in milliseconds; unknown counts as none.
    pub round_trip_ms: Option<f32>,
}

/// The rating of a connection on which everything is at the recommendation's defaults.
const BEST: f32 = 93.2;
/// Packetisation and coding at both ends, in milliseconds.
const ENDS_MS: f32 = 30.0;

/// Mean opinion score, 1 (bad) to 4.5, of listening and talking over a path.
///
/// R = Ro - Is - Id - Ie,eff (G.107 §7.1) with everything but delay and loss at the defaults, which gives 93.2.
/// Delay costs little up to 177 ms and then more (the usual fit to §7.4); loss costs by how robust the codec is
/// (§7.5, values of G.113 appendix I). Loss is taken as random, since bursts are not counted.
#[must_use]
pub fn mos(path: &Path) -> f32 {
    let (ie, bpl) = robustness(path.codec);
    let loss = path.loss.clamp(0.0, 1.0) * 100.0;
    let ie_effective = ie + (95.0 - ie) * loss / (loss + bpl);
    // A listener's buffer holds about twice the jitter.
    let delay = path.round_trip_ms.unwrap_or(0.0) / 2.0 + 2.0 * path.jitter_ms + ENDS_MS;
    let id = 0.024 * delay + 0.11 * (delay - 177.3).max(0.0);
    score(BEST - id - ie_effective)
}

/// G.107 annex B.
fn score(r: f32) -> f32 {
    if r <= 0.0 {
        return 1.0;
    }
    let r = r.min(100.0);
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
}

/// Impairment of the coding itself, and its robustness against loss.
fn robustness(codec: Codec) -> (f32, f32) {
    match codec {
        // With packet loss concealment (G.711 appendix I), as every phone has.
        Codec::Pcmu | Codec::Pcma => (0.0, 25.1),
        // G.113 appendix I has no narrowband values for these: those of G.113 appendix IV for the wideband scale,
        // less what the wider band is worth, and for Opus its own concealment.
        Codec::G722 => (0.0, 20.0),
        Codec::Opus => (0.0, 30.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(loss: f32, round_trip_ms: f32) -> Path {
        Path {
            codec: Codec::Pcmu,
            loss,
            jitter_ms: 0.0,
            round_trip_ms: Some(round_trip_ms),
        }
    }

    #[test]
    fn scores_are_those_of_the_recommendation() {
        // R 93.2 is 4.41, R 80 is 4.02, R 50 is 2.58 (G.107 annex B).
        for (r, mos) in [(93.2, 4.41), (80.0, 4.02), (50.0, 2.58)] {
            assert!((score(r) - mos).abs() < 0.01, "{r}: {}", score(r));
        }
        assert!((mos(&path(0.0, 0.0)) - 4.39).abs() < 0.02);
        // 5 % loss: Ie,eff = 95 * 5 / 30.1 = 15.8.
        assert!((mos(&path(0.05, 0.0)) - 3.91).abs() < 0.05);
    }

    #[test]
    fn loss_and_delay_only_ever_cost() {
        let by_loss: Vec<f32> = (0..20).map(|i| mos(&path(i as f32 / 20.0, 20.0))).collect();
        assert!(by_loss.windows(2).all(|pair| pair[1] < pair[0]));
        let by_delay: Vec<f32> = (0..20).map(|i| mos(&path(0.0, i as f32 * 60.0))).collect();
        assert!(by_delay.windows(2).all(|pair| pair[1] < pair[0]));
        assert!(mos(&path(1.0, 5_000.0)) >= 1.0);
    }
}
