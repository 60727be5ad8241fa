//! Misspelt words, by a deletion index: every known word is filed under itself and itself with letters left
//! out; a misspelt word meets its correction where both have lost the letters they differ in.

use std::collections::{BTreeMap, BTreeSet};

const MIN_LENGTH: usize = 3;
const MAX_LENGTH: usize = 24;

/// Words and, sorted, the hash of each shortened form with the word it came from. A clash of hashes costs a
/// comparison and nothing else.
#[derive(Default)]
pub(super) struct Spelling {
    words: Vec<(Box<str>, u32)>,
    forms: Vec<(u32, u32)>,
}

impl Spelling {
    /// `words` with how often each is used.
    pub(super) fn new(words: impl Iterator<Item = (String, u32)>) -> Self {
        let mut spelling = Self::default();
        for (word, uses) in words.filter(|(word, _)| may_be_misspelt(word)) {
            let at = u32::try_from(spelling.words.len()).unwrap_or(u32::MAX);
            let forms = deletions(&word, allowed(&word));
            spelling
                .forms
                .extend(forms.iter().map(|form| (hash(form), at)));
            spelling.words.push((word.into(), uses));
        }
        spelling.forms.sort_unstable();
        spelling.forms.shrink_to_fit();
        spelling
    }

    /// Bytes it takes.
    pub(super) fn size(&self) -> usize {
        self.forms.len() * 8
            + self
                .words
                .iter()
                .map(|(word, _)| word.len() + 20)
                .sum::<usize>()
    }

    /// Whether this very word is known.
    pub(super) fn has(&self, word: &str) -> bool {
        // They were given in order.
        self.words
            .binary_search_by(|(known, _)| (**known).cmp(word))
            .is_ok()
    }

    fn near<'a>(&'a self, wrong: &Wrong) -> impl Iterator<Item = (&'a str, u32)> {
        let mut found: BTreeSet<u32> = BTreeSet::new();
        for form in &wrong.forms {
            let start = self.forms.partition_point(|(known, _)| known < form);
            let same = self.forms[start..]
                .iter()
                .take_while(|(known, _)| known == form);
            found.extend(same.map(|(_, at)| *at));
        }
        found
            .into_iter()
            .filter_map(|at| self.words.get(at as usize))
            .map(|(word, uses)| (&**word, *uses))
    }
}

struct Wrong {
    forms: Vec<u32>,
}

/// The nearest words of all these indexes with their distance, likeliest first.
pub(super) fn corrections<'a>(
    word: &str,
    indexes: impl Iterator<Item = &'a Spelling>,
) -> Vec<(&'a str, usize)> {
    if !may_be_misspelt(word) {
        return Vec::new();
    }
    let limit = allowed(word);
    let wrong = Wrong {
        forms: deletions(word, limit)
            .iter()
            .map(|form| hash(form))
            .collect(),
    };
    let mut uses: BTreeMap<&str, u32> = BTreeMap::new();
    for index in indexes {
        for (known, count) in index.near(&wrong) {
            *uses.entry(known).or_default() += count;
        }
    }
    let mut found: Vec<(usize, &str, u32)> = uses
        .into_iter()
        .map(|(known, count)| (distance(word, known), known, count))
        .filter(|(distance, known, _)| {
            *distance <= limit.min(allowed(known)) || (*distance == 2 && abridges(word, known))
        })
        .collect();
    // "brd" is "board" sooner than "bird" or "bad".
    if found.iter().any(|(_, known, _)| abridges(word, known)) {
        found.retain(|(_, known, _)| abridges(word, known));
    }
    // People seldom miss the first letter, and drop letters sooner than they invent some.
    let first = word.chars().next();
    let cost = |distance: usize, known: &str| distance + usize::from(known.chars().next() != first);
    let Some(nearest) = found.iter().map(|row| cost(row.0, row.1)).min() else {
        return Vec::new();
    };
    found.retain(|row| cost(row.0, row.1) == nearest);
    let skeleton = consonants(word);
    found.sort_by_key(|(_, known, uses)| {
        (
            known.chars().next() != first,
            consonants(known) != skeleton,
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

fn consonants(word: &str) -> String {
    word.chars()
        .filter(|letter| !"aeiouy".contains(*letter))
        .collect()
}

/// Whether it is the other without its vowels: "brd", "usrs".
fn abridges(word: &str, known: &str) -> bool {
    word.len() > 2 && word.chars().next() == known.chars().next() && consonants(known) == word
}

fn may_be_misspelt(word: &str) -> bool {
    (MIN_LENGTH..=MAX_LENGTH).contains(&word.chars().count())
        && word.chars().all(char::is_alphabetic)
}

/// How many mistakes a word may have.
fn allowed(word: &str) -> usize {
    if word.chars().count() >= 5 { 2 } else { 1 }
}

/// FNV-1a.
fn hash(form: &str) -> u32 {
    form.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
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
        let corrections = |word: &str| corrections(word, std::iter::once(&spelling));
        assert_eq!(corrections("sned"), [("send", 1)]);
        assert_eq!(corrections("mesasge"), [("message", 1)]);
        assert_eq!(corrections("cntct"), [("contact", 2)]);
        assert!(corrections("ca").is_empty() && corrections("zebra").is_empty());
    }
}
