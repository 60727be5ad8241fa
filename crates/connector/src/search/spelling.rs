//! Misspelt words, by a deletion index: every known word is filed under itself and itself with letters left
//! out; a misspelt word meets its correction where both have lost the letters they differ in.

use std::collections::{BTreeSet, HashMap};

const MIN_LENGTH: usize = 3;
const MAX_LENGTH: usize = 24;

#[derive(Default)]
pub(super) struct Spelling {
    words: Vec<(String, u32)>,
    by_deletion: HashMap<String, Vec<u32>>,
}

impl Spelling {
    /// `words` with how often each is used.
    pub(super) fn new(words: impl Iterator<Item = (String, u32)>) -> Self {
        let mut spelling = Self::default();
        for (word, uses) in
            words.filter(|(word, _)| (MIN_LENGTH..=MAX_LENGTH).contains(&word.chars().count()))
        {
            let at = u32::try_from(spelling.words.len()).unwrap_or(u32::MAX);
            for form in deletions(&word, allowed(&word)) {
                spelling.by_deletion.entry(form).or_default().push(at);
            }
            spelling.words.push((word, uses));
        }
        spelling
    }

    /// The nearest known words with their distance, most used first.
    pub(super) fn corrections(&self, word: &str) -> Vec<(&str, usize)> {
        if !(MIN_LENGTH..=MAX_LENGTH).contains(&word.chars().count()) {
            return Vec::new();
        }
        let limit = allowed(word);
        let candidates: BTreeSet<u32> = deletions(word, limit)
            .iter()
            .filter_map(|form| self.by_deletion.get(form))
            .flatten()
            .copied()
            .collect();
        let mut found: Vec<(usize, &str, u32)> = candidates
            .into_iter()
            .filter_map(|at| self.words.get(at as usize))
            .map(|(known, uses)| (distance(word, known), known.as_str(), *uses))
            .filter(|(distance, _, _)| *distance <= limit)
            .collect();
        let Some(nearest) = found.iter().map(|row| row.0).min() else {
            return Vec::new();
        };
        found.retain(|row| row.0 == nearest);
        // People seldom miss the first letter.
        let first = word.chars().next();
        found.sort_by_key(|(_, known, uses)| {
            (
                known.chars().next() != first,
                std::cmp::Reverse(*uses),
                *known,
            )
        });
        found
            .into_iter()
            .take(3)
            .map(|(distance, known, _)| (known, distance))
            .collect()
    }
}

/// How many mistakes a word may have.
fn allowed(word: &str) -> usize {
    if word.chars().count() >= 5 { 2 } else { 1 }
}

fn deletions(word: &str, depth: usize) -> BTreeSet<String> {
    let mut all = BTreeSet::from([word.to_owned()]);
    let mut edge = vec![word.to_owned()];
    for _ in 0..depth {
        let mut next = Vec::new();
        for form in &edge {
            for (at, letter) in form.char_indices() {
                let shorter = format!("{}{}", &form[..at], &form[at + letter.len_utf8()..]);
                if shorter.len() > 1 && all.insert(shorter.clone()) {
                    next.push(shorter);
                }
            }
        }
        edge = next;
    }
    all
}

/// Insertions, deletions, changes and swaps of neighbours.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before_last = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for i in 1..=left.len() {
        let mut row = vec![i; right.len() + 1];
        for j in 1..=right.len() {
            let change = usize::from(left[i - 1] != right[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + change);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_one_step() {
        for (wrong, right) in [
            ("sned", "send"),
            ("mesage", "message"),
            ("calll", "call"),
            ("cell", "call"),
            ("contat", "contact"),
        ] {
            assert_eq!(distance(wrong, right), 1, "{wrong}");
        }
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn the_nearest_words_are_found_and_short_ones_left_alone() {
        let words = ["send", "message", "contact", "delete", "call"];
        let spelling = Spelling::new(words.iter().map(|word| ((*word).to_owned(), 1)));
        assert_eq!(spelling.corrections("sned"), [("send", 1)]);
        assert_eq!(spelling.corrections("mesasge"), [("message", 1)]);
        assert!(spelling.corrections("ca").is_empty() && spelling.corrections("zebra").is_empty());
    }
}
