//! Words that mean the same, read from the data files.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use super::words::{is_han, stem};

/// What an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Verb {
    List,
    Get,
    Create,
    Update,
    Delete,
    Send,
}

impl Verb {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "list" => Self::List,
            "get" => Self::Get,
            "create" => Self::Create,
            "update" => Self::Update,
            "delete" => Self::Delete,
            "send" => Self::Send,
            _ => return None,
        })
    }
}

/// The shipped lexicon.
pub(super) struct Lexicon {
    /// Stem to what it does.
    verbs: HashMap<String, Vec<Verb>>,
    /// Stem to stems of the same meaning, with how close they are.
    related: HashMap<String, Vec<(String, f32)>>,
    /// Two words to what they stand for.
    phrases: HashMap<(String, String), Vec<String>>,
    /// Foreign word to English words; an empty list for a word that says nothing.
    foreign: HashMap<String, Vec<String>>,
    /// English words as written, for spelling.
    words: Vec<String>,
    longest_han: usize,
}

impl Lexicon {
    pub(super) fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Lexicon> = OnceLock::new();
        SHIPPED.get_or_init(|| {
            Self::read(
                include_str!("../../data/synonyms.txt"),
                include_str!("../../data/glossary.txt"),
            )
        })
    }

    fn read(synonyms: &str, glossary: &str) -> Self {
        let mut lexicon = Self {
            verbs: HashMap::new(),
            related: HashMap::new(),
            phrases: HashMap::new(),
            foreign: HashMap::new(),
            words: Vec::new(),
            longest_han: 0,
        };
        for line in lines(synonyms) {
            lexicon.read_synonyms(line);
        }
        for line in lines(glossary) {
            lexicon.read_foreign(line);
        }
        lexicon
    }

    fn read_synonyms(&mut self, line: &str) {
        if let Some((words, meaning)) = line
            .strip_prefix("phrase ")
            .and_then(|rest| rest.split_once('='))
        {
            let words: Vec<_> = words.split_whitespace().map(stem).collect();
            if let [first, second] = words.as_slice() {
                let meaning = meaning.split_whitespace().map(stem).collect();
                self.phrases
                    .insert((first.clone(), second.clone()), meaning);
            }
        } else if let Some((verb, words)) = line
            .strip_prefix("verb ")
            .and_then(|rest| rest.split_once(':'))
        {
            let Some(verb) = Verb::parse(verb.trim()) else {
                return;
            };
            for word in words.split_whitespace() {
                self.words.push(word.to_owned());
                self.verbs.entry(stem(word)).or_default().push(verb);
            }
        } else if let Some(words) = line.strip_prefix("noun:") {
            self.words
                .extend(words.split_whitespace().map(str::to_owned));
            let words: Vec<_> = words.split_whitespace().map(stem).collect();
            for (at, word) in words.iter().enumerate() {
                for (other_at, other) in
                    words.iter().enumerate().filter(|(_, other)| *other != word)
                {
                    // The first word is what the others have in common.
                    let closeness = if at == 0 || other_at == 0 { 0.75 } else { 0.4 };
                    self.related
                        .entry(word.clone())
                        .or_default()
                        .push((other.clone(), closeness));
                }
            }
        }
    }

    fn read_foreign(&mut self, line: &str) {
        let Some((words, meaning)) = line
            .split_once(':')
            .and_then(|(_, rest)| rest.split_once('='))
        else {
            return;
        };
        let meaning: Vec<String> = meaning
            .split_whitespace()
            .filter(|word| *word != "-")
            .map(str::to_owned)
            .collect();
        for word in words.split_whitespace() {
            if word.starts_with(is_han) {
                self.longest_han = self.longest_han.max(word.chars().count());
            }
            for form in HashSet::from([word.to_owned(), fold(word)]) {
                self.foreign.entry(form).or_insert_with(|| meaning.clone());
            }
        }
    }

    pub(super) fn verbs(&self, stem: &str) -> &[Verb] {
        self.verbs.get(stem).map_or(&[], Vec::as_slice)
    }

    pub(super) fn related(&self, stem: &str) -> &[(String, f32)] {
        self.related.get(stem).map_or(&[], Vec::as_slice)
    }

    pub(super) fn phrase(&self, first: &str, second: &str) -> Option<&[String]> {
        self.phrases
            .get(&(first.to_owned(), second.to_owned()))
            .map(Vec::as_slice)
    }

    pub(super) fn knows(&self, stem: &str) -> bool {
        self.verbs.contains_key(stem) || self.related.contains_key(stem)
    }

    /// All English words it knows, for spelling.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// English words for a foreign one, also when it has an ending the glossary does not list.
    pub(super) fn translate(&self, word: &str) -> Option<&[String]> {
        let folded = fold(word);
        let shorter = (1..=2)
            .filter_map(|cut| folded.get(..folded.len().checked_sub(cut)?))
            .filter(|form| form.len() >= 4);
        std::iter::once(folded.as_str())
            .chain(shorter)
            .find_map(|form| self.foreign.get(form))
            .or_else(|| self.foreign.get(word))
            .map(Vec::as_slice)
    }

    /// Cuts a Chinese text into words it knows, longest first, and gives their meanings.
    pub(super) fn translate_han(&self, text: &str) -> Vec<&str> {
        let letters: Vec<char> = text.chars().collect();
        let mut meanings = Vec::new();
        let mut at = 0;
        while at < letters.len() {
            let found = (1..=self.longest_han.min(letters.len() - at))
                .rev()
                .find_map(|length| {
                    let word: String = letters[at..at + length].iter().collect();
                    self.foreign.get(&word).map(|meaning| (length, meaning))
                });
            at += match found {
                Some((length, meaning)) => {
                    meanings.extend(meaning.iter().map(String::as_str));
                    length
                }
                None => 1,
            };
        }
        meanings
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Without accents, so that "numero" is "número".
fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    for letter in word.chars() {
        match letter {
            'á' | 'à' | 'â' | 'ä' | 'ã' => folded.push('a'),
            'é' | 'è' | 'ê' | 'ë' => folded.push('e'),
            'í' | 'ì' | 'î' | 'ï' => folded.push('i'),
            'ó' | 'ò' | 'ô' | 'ö' | 'õ' => folded.push('o'),
            'ú' | 'ù' | 'û' | 'ü' => folded.push('u'),
            'ñ' => folded.push('n'),
            'ç' => folded.push('c'),
            'ß' => folded.push_str("ss"),
            other => folded.push(other),
        }
    }
    folded
}
