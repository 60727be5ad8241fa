//! Ranking actions by intent: weighted fields, stems, spelling, words of the same meaning, other languages, and
//! whether what the action does is what was asked for.

use std::collections::{BTreeMap, HashMap};

mod lexicon;
mod spelling;
#[cfg(test)]
mod tests;
mod words;

use lexicon::{Lexicon, Verb};
use spelling::Spelling;
use words::{is_han, is_plural, is_stop, stem, words};

/// What the index knows of one action.
#[derive(Debug, Clone, Default)]
pub struct Doc {
    /// Key: `list-calls`.
    pub key: String,
    /// Title: `List Calls`.
    pub title: String,
    /// Description.
    pub description: String,
    /// Extra terms.
    pub search_terms: Vec<String>,
    /// HTTP method.
    pub method: String,
    /// Path template.
    pub path: String,
    /// Parameter names.
    pub parameters: Vec<String>,
}

/// One found action.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Position in the sequence the index was built from.
    pub doc: usize,
    /// Higher is better; comparable within one search only.
    pub score: f32,
    /// The words that matched.
    pub matched: Vec<String>,
}

const FIELDS: usize = 6;
/// Title, key, search terms, description, path nouns, parameter names.
const WEIGHTS: [f32; FIELDS] = [3.0, 2.0, 2.0, 1.0, 1.0, 0.3];
/// How much a long field dilutes its words.
const LENGTH_EFFECT: f32 = 0.4;
/// How soon more occurrences stop helping.
const SATURATION: f32 = 1.6;
/// An intent is a sentence; the rest of a page is not read.
const MAX_WORDS: usize = 40;
const MAX_INTENT: usize = 1_000;

/// A built index.
pub struct Index {
    /// Stem to documents with the weighted frequency.
    postings: HashMap<String, Vec<(u32, f32)>>,
    verbs: Vec<Option<Verb>>,
    spelling: Spelling,
}

impl Index {
    /// Builds an index.
    pub fn build(docs: impl Iterator<Item = Doc>) -> Self {
        let mut spoken = BTreeMap::new();
        let docs: Vec<_> = docs
            .map(|doc| {
                for word in texts(&doc).iter().flat_map(|text| words(text)) {
                    *spoken.entry(word).or_insert(0_u32) += 1;
                }
                (verb_of(&doc), field_stems(&doc))
            })
            .collect();
        let mut lengths = [0.0_f32; FIELDS];
        for (_, fields) in &docs {
            for (total, field) in lengths.iter_mut().zip(fields) {
                *total += field.len() as f32;
            }
        }
        let average = lengths.map(|total| (total / docs.len().max(1) as f32).max(1.0));
        let mut postings: HashMap<String, Vec<(u32, f32)>> = HashMap::new();
        for (at, (_, fields)) in docs.iter().enumerate() {
            for (term, frequency) in weighted(fields, &average) {
                postings
                    .entry(term)
                    .or_default()
                    .push((u32::try_from(at).unwrap_or(u32::MAX), frequency));
            }
        }
        for word in Lexicon::shipped().words() {
            spoken.entry(word.clone()).or_insert(0);
        }
        let spelling = Spelling::new(spoken.into_iter());
        Self {
            verbs: docs.iter().map(|doc| doc.0).collect(),
            postings,
            spelling,
        }
    }

    /// Ranks, best first. Nothing is returned when no word of the intent has anything to do with any action.
    #[must_use]
    pub fn search(&self, intent: &str, limit: usize) -> Vec<Hit> {
        let query = Query::read(intent, self);
        let mut scores: HashMap<u32, (f32, Vec<String>)> = HashMap::new();
        for term in &query.terms {
            for (doc, (score, matched)) in self.best_matches(term) {
                let entry = scores.entry(doc).or_default();
                entry.0 += score;
                if !entry.1.contains(&matched) {
                    entry.1.push(matched);
                }
            }
        }
        let mut hits: Vec<Hit> = scores
            .into_iter()
            .map(|(doc, (score, matched))| {
                let doc = doc as usize;
                Hit {
                    doc,
                    score: score * query.agreement(self.verbs[doc]),
                    matched,
                }
            })
            .collect();
        hits.sort_by(|left, right| {
            right
                .score
                .total_cmp(&left.score)
                .then(left.doc.cmp(&right.doc))
        });
        hits.truncate(limit);
        hits
    }

    /// For each document the best of the words a term may stand for; several of them prove no more than one.
    fn best_matches(&self, term: &Term) -> HashMap<u32, (f32, String)> {
        let mut best: HashMap<u32, (f32, String)> = HashMap::new();
        for (word, closeness) in &term.forms {
            let Some(list) = self.postings.get(word) else {
                continue;
            };
            let count = self.verbs.len() as f32;
            let found = list.len() as f32;
            let rarity = (1.0 + (count - found + 0.5) / (found + 0.5)).ln();
            for (doc, frequency) in list {
                let score = closeness * term.weight * rarity * frequency / (SATURATION + frequency);
                let entry = best.entry(*doc).or_default();
                if score > entry.0 {
                    *entry = (score, word.clone());
                }
            }
        }
        best
    }
}

/// One word of the intent with all it may stand for.
struct Term {
    forms: Vec<(String, f32)>,
    weight: f32,
}

struct Query {
    terms: Vec<Term>,
    verbs: Vec<Verb>,
    plural: bool,
    one: bool,
}

impl Query {
    fn read(intent: &str, index: &Index) -> Self {
        let lexicon = Lexicon::shipped();
        let cut = intent
            .char_indices()
            .nth(MAX_INTENT)
            .map_or(intent, |(end, _)| &intent[..end]);
        let mut query = Self {
            terms: Vec::new(),
            verbs: Vec::new(),
            plural: false,
            one: false,
        };
        let mut stems: Vec<String> = Vec::new();
        let mut alternatives = Vec::new();
        for word in words(cut).into_iter().take(MAX_WORDS) {
            if word.chars().any(|letter| letter.is_ascii_digit()) {
                // "call 123": the number names one of them and is no word.
                query.one = true;
            } else if word.starts_with(is_han) {
                stems.extend(lexicon.translate_han(&word).into_iter().map(stem));
            } else if matches!(
                word.as_str(),
                "one" | "single" | "specific" | "particular" | "id"
            ) {
                query.one = true;
            } else if !is_stop(&word) {
                query.plural |= is_plural(&word);
                match index.understand(&word, lexicon) {
                    Meaning::Words(found) => stems.extend(found),
                    Meaning::OneOf(found) => {
                        // The likeliest correction is treated like a written word, the others may match as well.
                        let mut found = found.into_iter();
                        stems.extend(found.next());
                        alternatives
                            .push((stems.len().saturating_sub(1), found.collect::<Vec<_>>()));
                    }
                }
            }
        }
        for pair in stems.windows(2) {
            if let Some(meaning) = lexicon.phrase(&pair[0], &pair[1]) {
                query.terms.extend(meaning.iter().map(|word| Term {
                    forms: index.forms(word, lexicon),
                    weight: 0.9,
                }));
                query
                    .verbs
                    .extend(meaning.iter().flat_map(|word| lexicon.verbs(word)));
            }
        }
        for (at, stem) in stems.iter().enumerate() {
            query.verbs.extend(lexicon.verbs(stem));
            // What an action does decides less than what it is about; the agreement below says the rest.
            let is_plain_verb = !lexicon.verbs(stem).is_empty() && lexicon.related(stem).is_empty();
            let mut forms = index.forms(stem, lexicon);
            let others = alternatives
                .iter()
                .filter(|(place, _)| *place == at)
                .flat_map(|(_, others)| others);
            forms.extend(others.map(|other| (other.clone(), 0.95)));
            query.terms.push(Term {
                forms,
                weight: if is_plain_verb { 0.5 } else { 1.0 },
            });
        }
        query
    }

    /// How well what the action does fits what was asked for.
    fn agreement(&self, doc: Option<Verb>) -> f32 {
        let Some(doc) = doc else { return 1.0 };
        let reads = matches!(doc, Verb::List | Verb::Get);
        let many_or_one = match (doc, self.one, self.plural) {
            (Verb::List, true, false) => 0.7,
            (Verb::Get, false, true) => 0.9,
            (Verb::Get, true, _) => 1.35,
            (Verb::List, false, true) => 1.15,
            _ => 1.0,
        };
        let wanted = &self.verbs;
        let fit = if wanted.is_empty() {
            if reads { 1.15 } else { 1.0 }
        } else if doc == Verb::Get && wanted.contains(&Verb::List) && !self.one {
            // "Show the history": looking at it is how, the history is what.
            1.1
        } else if wanted.contains(&doc) {
            1.35
        } else if reads
            && wanted
                .iter()
                .any(|verb| matches!(verb, Verb::List | Verb::Get))
        {
            1.2
        } else if matches!(doc, Verb::Create | Verb::Send)
            && wanted
                .iter()
                .any(|verb| matches!(verb, Verb::Create | Verb::Send))
        {
            1.15
        } else if doc == Verb::Delete {
            // Nothing is deleted on a guess.
            0.55
        } else {
            0.8
        };
        fit * many_or_one
    }
}

/// What a word of the intent was understood as.
enum Meaning {
    /// Each of these.
    Words(Vec<String>),
    /// One of these, probably the first.
    OneOf(Vec<String>),
}

impl Index {
    /// The stems a word stands for: itself, its translation, or its corrections.
    fn understand(&self, word: &str, lexicon: &Lexicon) -> Meaning {
        let own = stem(word);
        if self.postings.contains_key(&own) || (word.is_ascii() && lexicon.knows(&own)) {
            return Meaning::Words(vec![own]);
        }
        if let Some(meaning) = lexicon.translate(word) {
            return Meaning::Words(meaning.iter().map(|word| stem(word)).collect());
        }
        let corrected: Vec<_> = self
            .spelling
            .corrections(word)
            .iter()
            .map(|(known, _)| stem(known))
            .collect();
        if corrected.is_empty() {
            Meaning::Words(vec![own])
        } else {
            Meaning::OneOf(corrected)
        }
    }

    /// A stem and what else it may be called.
    fn forms(&self, stem: &str, lexicon: &Lexicon) -> Vec<(String, f32)> {
        let related = lexicon.related(stem);
        // Where the word itself is not used, the nearest other word is as good as it gets.
        let lift = if self.postings.contains_key(stem) {
            1.0
        } else {
            1.25
        };
        let related = related
            .iter()
            .map(|(word, closeness)| (word.clone(), closeness * lift));
        std::iter::once((stem.to_owned(), 1.0))
            .chain(related)
            .collect()
    }
}

/// What an action does, by its title, else its key, else its method.
fn verb_of(doc: &Doc) -> Option<Verb> {
    let lexicon = Lexicon::shipped();
    const PLAIN: [(&str, Verb); 12] = [
        ("list", Verb::List),
        ("get", Verb::Get),
        ("create", Verb::Create),
        ("add", Verb::Create),
        ("update", Verb::Update),
        ("edit", Verb::Update),
        ("delete", Verb::Delete),
        ("remove", Verb::Delete),
        ("send", Verb::Send),
        ("fetch", Verb::Get),
        ("show", Verb::Get),
        ("insert", Verb::Create),
    ];
    let (title, key) = (words(&doc.title), words(&doc.key));
    let plain = |word: &String| PLAIN.iter().find(|(name, _)| name == word).map(|row| row.1);
    let named = title.iter().take(1).chain(&key).find_map(plain);
    named
        .or_else(|| {
            title
                .first()
                .and_then(|word| lexicon.verbs(&stem(word)).first().copied())
        })
        .or(match doc.method.as_str() {
            "GET" if doc.path.trim_end_matches(".json").ends_with('}') => Some(Verb::Get),
            "GET" => Some(Verb::List),
            "POST" => Some(Verb::Create),
            "PUT" | "PATCH" => Some(Verb::Update),
            "DELETE" => Some(Verb::Delete),
            _ => None,
        })
}

/// The text of each field.
fn texts(doc: &Doc) -> [String; FIELDS] {
    // Placeholders, versions and file endings are no nouns.
    let noun = |segment: &&str| {
        !segment.contains('{') && !segment.chars().any(|letter| letter.is_ascii_digit())
    };
    let path = doc
        .path
        .trim_end_matches(".json")
        .split('/')
        .filter(noun)
        .collect::<Vec<_>>()
        .join(" ");
    [
        doc.title.clone(),
        doc.key.clone(),
        doc.search_terms.join(" "),
        doc.description.clone(),
        path,
        doc.parameters.join(" "),
    ]
}

fn field_stems(doc: &Doc) -> [Vec<String>; FIELDS] {
    texts(doc).map(|text| {
        words(&text)
            .iter()
            .filter(|word| !is_stop(word))
            .map(|word| stem(word))
            .collect()
    })
}

/// Frequencies over all fields, each weighted and held against the field's usual length.
fn weighted(fields: &[Vec<String>; FIELDS], average: &[f32; FIELDS]) -> BTreeMap<String, f32> {
    let mut frequencies = BTreeMap::new();
    for ((field, weight), average) in fields.iter().zip(WEIGHTS).zip(average) {
        let dilution = 1.0 - LENGTH_EFFECT + LENGTH_EFFECT * field.len() as f32 / average;
        for term in field {
            *frequencies.entry(term.clone()).or_insert(0.0) += weight / dilution;
        }
    }
    frequencies
}
