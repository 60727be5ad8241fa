//! From text to words, and from words to their stems.

use rust_stemmers::{Algorithm, Stemmer};

/// Words that say nothing about which action is meant.
const STOP: [&str; 62] = [
    "a", "an", "the", "of", "in", "on", "at", "to", "for", "from", "with", "by", "and", "or", "is",
    "are", "was", "were", "be", "been", "i", "me", "my", "we", "us", "our", "you", "your", "it",
    "its", "this", "that", "these", "those", "who", "what", "when", "where", "how", "do", "does",
    "did", "want", "need", "would", "like", "please", "can", "let", "their", "them", "they", "has",
    "have", "had", "about", "into", "there", "s", "again", "much", "somebody",
];

pub(super) fn is_stop(word: &str) -> bool {
    STOP.contains(&word)
}

/// A word of the intent or of an action's text.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    for letter in text.chars() {
        let boundary = !letter.is_alphanumeric()
            || (letter.is_uppercase() && before.is_lowercase())
            || is_han(letter) != is_han(before) && before.is_alphanumeric();
        if boundary && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

pub(super) fn is_han(letter: char) -> bool {
    matches!(letter, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

pub(super) fn stem(word: &str) -> String {
    Stemmer::create(Algorithm::English).stem(word).into_owned()
}

/// Whether the word looks like a plural: "calls", "categories", not "status".
pub(super) fn is_plural(word: &str) -> bool {
    word.len() > 3
        && word.ends_with('s')
        && !word.ends_with("ss")
        && !word.ends_with("us")
        && !word.ends_with("is")
}
