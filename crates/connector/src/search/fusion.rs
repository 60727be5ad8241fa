//! Words and meaning together: one score of what both say of an action.
//!
//! The weights were fitted on labelled intents for some thirty interfaces (softmax over an interface's actions);
//! `trunkline search eval` measures what they are worth on others.

use super::{ALIKE, Index, Scored, intent::Intent};

/// The score by words, against the best of all actions.
const WORDS: f32 = 1.52;
/// How much of the intent the action has.
const COVERAGE: f32 = 1.79;
/// The score by words once more, as far as the best action has all of the intent.
const WORDS_SUFFICE: f32 = 2.21;
/// The cosine of intent and action.
const COSINE: f32 = 2.76;
/// The cosine, as far as what is done agrees with what is asked for.
const COSINE_IN_AGREEMENT: f32 = 2.93;
/// The cosine against the best of all actions.
const RELATIVE_COSINE: f32 = 3.39;
/// Each placeholder in the path.
const PLACE: f32 = -0.35;

/// Each way in which it is a special case that nobody asked for.
const UNASKED: f32 = -0.4;

/// Nothing fits where the bundled model's best cosine is less than 0.33: seven of eight requests that nothing fits
/// are below, and one of fourteen others.
const NEAR: f32 = super::FITS / 0.33;

/// How alike the actions of an index are to the intent.
pub(super) struct Alike {
    pub(super) cosines: Vec<f32>,
    /// Whether the bundled model says so, whose cosines are known to tell whether anything fits.
    pub(super) bundled: bool,
}

/// Scores of the actions of each index: by words for those that have some, and the cosines of all, where there
/// are any; then the best score of all is one.
pub(super) fn fused(
    indexes: &[&Index],
    scored: Vec<(Vec<Scored>, Option<Alike>)>,
    intent: &Intent,
) -> Vec<Vec<Scored>> {
    if scored.iter().all(|(_, alike)| alike.is_none()) {
        return scored.into_iter().map(|(by_words, _)| by_words).collect();
    }
    let best = Best::of(&scored, intent.special);
    let fused = indexes.iter().zip(scored);
    let mut fused: Vec<Vec<Scored>> = fused
        .map(|(index, (by_words, alike))| match alike {
            Some(alike) => best.both(index, by_words, &alike, intent),
            None => best.words(index, by_words),
        })
        .collect();
    let highest = fused.iter().flatten().map(|hit| hit.score);
    let highest = highest.fold(f32::MIN, f32::max);
    for hit in fused.iter_mut().flatten() {
        // Sums of evidence become scores whose ratios tell, for use and names multiply them.
        hit.score = ((hit.score - highest) / 2.0).exp();
    }
    fused
}

/// What the actions are held against.
struct Best {
    score: f32,
    coverage: f32,
    alike: f32,
    /// Special cases that are asked for.
    special: u32,
}

impl Best {
    fn of(scored: &[(Vec<Scored>, Option<Alike>)], special: u32) -> Self {
        let mut best = Self {
            score: f32::EPSILON,
            coverage: 0.0,
            alike: 0.05,
            special,
        };
        for (by_words, alike) in scored {
            for hit in by_words {
                if hit.score > best.score {
                    (best.score, best.coverage) = (hit.score, hit.coverage);
                }
            }
            let alike = alike.iter().flat_map(|alike| alike.cosines.iter().copied());
            best.alike = alike.fold(best.alike, f32::max);
        }
        best
    }

    /// What speaks against an action whatever was said of it.
    fn odds(&self, index: &Index, doc: usize) -> f32 {
        let unasked = (index.special[doc] & !self.special).count_ones();
        PLACE * f32::from(index.places[doc]) + UNASKED * unasked as f32
    }

    /// What words alone say.
    fn by_words(&self, hit: &Scored) -> f32 {
        let score = hit.score / self.score;
        (WORDS + WORDS_SUFFICE * self.coverage) * score + COVERAGE * hit.coverage
    }

    fn words(&self, index: &Index, mut hits: Vec<Scored>) -> Vec<Scored> {
        for hit in &mut hits {
            hit.score = self.by_words(hit) + self.odds(index, hit.doc as usize);
        }
        hits
    }

    fn both(
        &self,
        index: &Index,
        by_words: Vec<Scored>,
        alike: &Alike,
        intent: &Intent,
    ) -> Vec<Scored> {
        let cosines = &alike.cosines;
        let mut found: Vec<Scored> = cosines
            .iter()
            .enumerate()
            .map(|(doc, cosine)| {
                let agreement = intent.agreement(index.verbs[doc]).sqrt();
                let score = COSINE * cosine
                    + COSINE_IN_AGREEMENT * cosine.max(0.0) * agreement
                    + RELATIVE_COSINE * cosine / self.alike
                    + self.odds(index, doc);
                Scored {
                    doc: u32::try_from(doc).unwrap_or(u32::MAX),
                    score,
                    coverage: 0.0,
                }
            })
            .collect();
        for hit in by_words {
            let both = &mut found[hit.doc as usize];
            both.score += self.by_words(&hit);
            both.coverage = hit.coverage;
        }
        found.retain(|hit| hit.coverage > 0.0 || cosines[hit.doc as usize] >= ALIKE);
        for hit in found.iter_mut().filter(|_| alike.bundled) {
            hit.coverage = (cosines[hit.doc as usize] * NEAR).clamp(0.0, 1.0);
        }
        found
    }
}
