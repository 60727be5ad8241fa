//! Ranking actions by intent: weighted fields, stems, spelling, words of the same meaning, other languages, and
//! whether what the action does is what was asked for.
//!
//! Start with [`Index::build`] and [`Index::search`]; [`search_all`] ranks over several indexes, and
//! [`eval`] measures how well all of this works on labelled intents.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::OnceLock,
};

mod describe;
pub mod eval;
mod fusion;
mod inflection;
mod intent;
mod lexicon;
mod meaning;
mod spelling;
#[cfg(test)]
mod tests;
mod values;
mod words;

pub use meaning::{ModelError, StaticModel, VectorsError, normalised, text_for_embedding};

use intent::Intent;
use lexicon::{Lexicon, Verb};
use spelling::Spelling;
use words::{is_stop, stem, words};

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
    /// How near it comes to what was asked for, from 0 to 1; comparable between searches.
    pub coverage: f32,
}

/// Below this coverage of the best hit, most likely nothing fits.
pub const FITS: f32 = 0.4;

/// Words of one workspace on top of the shipped ones.
pub struct Words(Lexicon);

impl Words {
    /// Reads lines in the form of the shipped files: `same: deal opportunity`, `phrase sign off = approve`,
    /// `invoice: rechnung | factura | facture | 发票`. What it can't read it skips.
    #[must_use]
    pub fn read(lines: &str) -> Self {
        Self(Lexicon::extended(lines))
    }
}

const FIELDS: usize = 6;
/// Title, key, search terms, description, path nouns, parameter names.
const WEIGHTS: [f32; FIELDS] = [2.0, 1.5, 2.0, 1.5, 0.7, 0.3];
/// How much a long field dilutes its words.
const LENGTH_EFFECT: f32 = 0.6;
/// How soon more occurrences stop helping.
const SATURATION: f32 = 5.0;
/// How much the part of the title counts that nobody asked for.
const TITLE_EFFECT: f32 = 0.6;
/// What is less alike is nothing that was asked for, where no word met.
const ALIKE: f32 = 0.4;
/// What is left of a special case that nobody asked for.
const SPECIAL_EFFECT: f32 = 0.85;
/// How much the part of the intent counts that the action has.
const COVER_EFFECT: f32 = 0.5;

/// What makes an action a special case that is meant only where somebody says so.
const SPECIAL: [&str; 26] = [
    "bulk",
    "batch",
    "mass",
    "draft",
    "drafts",
    "deleted",
    "archived",
    "suspended",
    "abandoned",
    "incremental",
    "default",
    "count",
    "counts",
    "preview",
    "metadata",
    "schema",
    "permanently",
    "deprecated",
    "legacy",
    "test",
    "history",
    "template",
    "templates",
    "repeating",
    "recurring",
    "related",
];

/// Which of [`SPECIAL`] are among these words, a bit for each.
fn special(said: &[String]) -> u32 {
    let at = |word: &String| SPECIAL.iter().position(|special| special == word);
    said.iter()
        .filter_map(at)
        .fold(0, |bits, at| bits | 1 << at)
}

/// Which of [`SPECIAL`] have one of these stems.
fn special_stems<'a>(stems: impl Iterator<Item = &'a str>) -> u32 {
    static STEMS: OnceLock<HashMap<String, u32>> = OnceLock::new();
    let known = STEMS.get_or_init(|| {
        let mut known = HashMap::new();
        for (at, word) in SPECIAL.iter().enumerate() {
            *known.entry(stem(word)).or_insert(0) |= 1 << at;
        }
        known
    });
    stems
        .filter_map(|stem| known.get(stem))
        .fold(0, |bits, more| bits | more)
}

/// One action that has a word.
#[derive(Clone, Copy)]
struct Posting {
    doc: u32,
    frequency: f32,
    in_title: bool,
}

/// A built index.
pub struct Index {
    /// Stem to documents with the weighted frequency.
    postings: HashMap<Box<str>, Vec<Posting>>,
    verbs: Vec<Verb>,
    /// How many words a title has besides its verb.
    title_words: Vec<u16>,
    /// How many placeholders a path has: one of many's parts is asked for less often than the many.
    places: Vec<u8>,
    /// Which of [`SPECIAL`] a title has.
    special: Vec<u32>,
    pub(in crate::search) spelling: Spelling,
    /// What the app is called.
    names: HashSet<String>,
    /// What the bundled model makes of the actions.
    bundled: Option<meaning::Vectors>,
    /// What the operator's own embedding model makes of them, where there is one.
    meaning: OnceLock<meaning::Vectors>,
}

/// What takes part beside the words.
#[derive(Debug, Clone, Copy, Default)]
pub enum Meaning<'a> {
    /// Nothing: words stand alone.
    Words,
    /// The bundled model.
    #[default]
    Bundled,
    /// Another model's vector for the intent, of length one; the bundled model where an index has no vectors of
    /// that model.
    Vector(&'a [f32]),
}

impl Index {
    /// Builds an index of actions.
    pub fn build(docs: impl Iterator<Item = Doc>) -> Self {
        let docs: Vec<Doc> = docs.map(Doc::described).collect();
        let bundled = meaning::Vectors::bundled(&docs);
        let mut index = Self::of(docs.into_iter());
        index.bundled = Some(bundled);
        index
    }

    /// Builds an index of things that do nothing, such as apps: their titles stay as they are.
    pub fn of_things(docs: impl Iterator<Item = Doc>) -> Self {
        let mut index = Self::of(docs);
        index.verbs.fill(Verb::List);
        index
    }

    fn of(docs: impl Iterator<Item = Doc>) -> Self {
        let mut spoken = BTreeMap::new();
        let docs: Vec<Prepared> = docs.map(|doc| Prepared::new(&doc, &mut spoken)).collect();
        let mut lengths = [0.0_f32; FIELDS];
        for doc in &docs {
            for (total, field) in lengths.iter_mut().zip(&doc.fields) {
                *total += field.len() as f32;
            }
        }
        let average = lengths.map(|total| (total / docs.len().max(1) as f32).max(1.0));
        let mut postings: HashMap<Box<str>, Vec<Posting>> = HashMap::new();
        for (at, doc) in docs.iter().enumerate() {
            for (term, frequency) in doc.weighted(&average) {
                let posting = Posting {
                    doc: u32::try_from(at).unwrap_or(u32::MAX),
                    frequency,
                    in_title: doc.fields[0].iter().any(|word| word == term),
                };
                match postings.get_mut(term) {
                    Some(list) => list.push(posting),
                    None => drop(postings.insert(term.into(), vec![posting])),
                }
            }
        }
        for list in postings.values_mut() {
            list.shrink_to_fit();
        }
        Self {
            verbs: docs.iter().map(|doc| doc.verb).collect(),
            title_words: docs.iter().map(|doc| doc.title_words).collect(),
            places: docs.iter().map(|doc| doc.places).collect(),
            special: docs.iter().map(|doc| doc.special).collect(),
            postings,
            spelling: Spelling::new(spoken.into_iter()),
            names: HashSet::new(),
            bundled: None,
            meaning: OnceLock::new(),
        }
    }

    /// The index of an app that may be called by these names in an intent.
    #[must_use]
    pub fn of_app<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        for name in names {
            let squeezed: String = words(name).concat();
            if squeezed.len() > 2 {
                self.names.insert(squeezed);
            }
        }
        self
    }

    /// How many actions it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.verbs.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.verbs.is_empty()
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        let lists: usize = self
            .postings
            .iter()
            .map(|(word, list)| word.len() + 48 + list.len() * size_of::<Posting>())
            .sum();
        let vectors = self.meaning.get().into_iter().chain(&self.bundled);
        let vectors: usize = vectors.map(meaning::Vectors::size).sum();
        lists + self.verbs.len() * 8 + self.spelling.size() + vectors
    }

    /// Ranks, best first. Nothing is returned when no word of the intent has anything to do with any action.
    #[must_use]
    pub fn search(&self, intent: &str, limit: usize) -> Vec<Hit> {
        let found = search_all(&[self], intent, None, limit);
        found.into_iter().map(|(_, hit)| hit).collect()
    }

    pub(in crate::search) fn has(&self, stem: &str) -> bool {
        self.postings.contains_key(stem)
    }

    fn list(&self, stem: &str) -> &[Posting] {
        self.postings.get(stem).map_or(&[], Vec::as_slice)
    }
}

/// Ranks over several indexes at once, best first, each hit with the place of its index. A word is as rare as it
/// is in all of them together, so that scores compare.
#[must_use]
pub fn search_all(
    indexes: &[&Index],
    intent: &str,
    own: Option<&Words>,
    limit: usize,
) -> Vec<(usize, Hit)> {
    search_hybrid(indexes, intent, own, Meaning::Bundled, limit)
}

/// As [`search_all`], with another model or none.
#[must_use]
pub fn search_hybrid(
    indexes: &[&Index],
    intent: &str,
    own: Option<&Words>,
    meaning: Meaning<'_>,
    limit: usize,
) -> Vec<(usize, Hit)> {
    let lexicon = match own {
        Some(own) => &own.0,
        None => Lexicon::shipped(),
    };
    let named = named_apps(indexes, intent);
    let intent = Intent::read(&without_names(intent, indexes, &named), indexes, lexicon);
    let rarity = Rarity::of(indexes, &intent);
    let meant = Meant::new(meaning, &intent);
    let scored = indexes
        .iter()
        .map(|index| (score(index, &intent, &rarity), meant.alike(index)));
    let hits = fusion::fused(indexes, scored.collect(), &intent);
    let mut found: Vec<(usize, Scored)> = Vec::new();
    for (at, hits) in hits.into_iter().enumerate() {
        let favour = if named.is_empty() || named.contains(&at) {
            1.0
        } else {
            0.5
        };
        found.extend(hits.into_iter().map(|mut hit| {
            hit.score *= favour;
            (at, hit)
        }));
    }
    if found.len() > limit && limit > 0 {
        found.select_nth_unstable_by(limit - 1, order);
    }
    found.truncate(limit);
    found.sort_by(order);
    let explain = |(at, hit): (usize, Scored)| {
        let hit = Hit {
            doc: hit.doc as usize,
            score: hit.score,
            matched: matched(indexes[at], &intent, hit.doc),
            coverage: hit.coverage,
        };
        (at, hit)
    };
    found.into_iter().map(explain).collect()
}

fn order(left: &(usize, Scored), right: &(usize, Scored)) -> std::cmp::Ordering {
    let by_score = right.1.score.total_cmp(&left.1.score);
    by_score.then((left.0, left.1.doc).cmp(&(right.0, right.1.doc)))
}

/// An intent as vectors.
struct Meant<'a> {
    bundled: Option<Vec<f32>>,
    given: Option<&'a [f32]>,
}

impl<'a> Meant<'a> {
    fn new(meaning: Meaning<'a>, intent: &Intent) -> Self {
        let given = match meaning {
            Meaning::Words => {
                return Self {
                    bundled: None,
                    given: None,
                };
            }
            Meaning::Bundled => None,
            Meaning::Vector(vector) => Some(vector),
        };
        Self {
            bundled: Some(StaticModel::bundled().embed(&intent.english)),
            given,
        }
    }

    /// How alike each action of an index is.
    fn alike(&self, index: &Index) -> Option<fusion::Alike> {
        let given = || index.meaning.get()?.alike(self.given?);
        let bundled = || index.bundled.as_ref()?.alike(self.bundled.as_deref()?);
        let of = |bundled| move |cosines| fusion::Alike { cosines, bundled };
        given().map(of(false)).or_else(|| bundled().map(of(true)))
    }
}

/// The stems of the words an intent is about, at most eight: what similar intents have in common.
#[must_use]
pub fn key_words(intent: &str) -> Vec<String> {
    let intent = Intent::read(intent, &[], Lexicon::shipped());
    let telling = intent.terms.iter().filter(|term| term.weight >= 0.3);
    telling
        .filter_map(|term| Some(term.forms.first()?.0.clone()))
        .take(8)
        .collect()
}

/// Places of the apps an intent calls by name.
fn named_apps(indexes: &[&Index], intent: &str) -> Vec<usize> {
    if indexes.len() < 2 {
        return Vec::new();
    }
    let said = words(intent);
    let is_named = |index: &&Index| {
        (0..said.len()).any(|at| {
            (1..=3.min(said.len() - at))
                .any(|length| index.names.contains(&said[at..at + length].concat()))
        })
    };
    indexes
        .iter()
        .enumerate()
        .filter(|(_, index)| is_named(index))
        .map(|(at, _)| at)
        .collect()
}

/// The intent without the names of the apps it means, for they say nothing about the action.
fn without_names(intent: &str, indexes: &[&Index], named: &[usize]) -> String {
    let is_name = |word: &str| {
        let squeezed = words(word).concat();
        named
            .iter()
            .any(|at| indexes[*at].names.contains(&squeezed))
    };
    if named.is_empty() {
        return intent.to_owned();
    }
    intent
        .split_whitespace()
        .filter(|word| !is_name(word))
        .collect::<Vec<_>>()
        .join(" ")
}

/// How much each word tells.
struct Rarity(HashMap<String, f32>);

impl Rarity {
    fn of(indexes: &[&Index], intent: &Intent) -> Self {
        let count: usize = indexes.iter().map(|index| index.len()).sum();
        let mut rarity = HashMap::new();
        for (word, _) in intent.terms.iter().flat_map(|term| &term.forms) {
            if !rarity.contains_key(word) {
                let found: usize = indexes.iter().map(|index| index.list(word).len()).sum();
                let (count, found) = (count as f32, found as f32);
                rarity.insert(
                    word.clone(),
                    (1.0 + (count - found + 0.5) / (found + 0.5)).ln() + 0.4,
                );
            }
        }
        Self(rarity)
    }

    fn get(&self, word: &str) -> f32 {
        self.0.get(word).copied().unwrap_or(0.0)
    }
}

struct Scored {
    doc: u32,
    score: f32,
    coverage: f32,
}

fn score(index: &Index, intent: &Intent, rarity: &Rarity) -> Vec<Scored> {
    let count = index.len();
    let (mut total, mut covered, mut in_title) = (
        vec![0.0_f32; count],
        vec![0.0_f32; count],
        vec![0.0_f32; count],
    );
    let mut best = vec![(0.0_f32, 0.0_f32); count];
    let mut touched: Vec<u32> = Vec::new();
    let mut asked = 0.0;
    let mut closest: HashMap<&str, f32> = HashMap::new();
    for term in &intent.terms {
        asked += term.weight;
        for (word, closeness) in &term.forms {
            let list = index.list(word);
            if list.is_empty() {
                continue;
            }
            let rare = rarity.get(word);
            for posting in list {
                // Several of the words a term may stand for prove no more than the best of them.
                let score = closeness * term.weight * rare * posting.frequency
                    / (SATURATION + posting.frequency);
                let entry = &mut best[posting.doc as usize];
                if entry.0 == 0.0 {
                    touched.push(posting.doc);
                }
                if score > entry.0 {
                    *entry = (score, closeness.min(1.0) * term.weight);
                }
            }
            let known = closest.entry(word).or_default();
            *known = known.max(closeness.min(1.0));
        }
        for doc in touched.drain(..) {
            let doc = doc as usize;
            total[doc] += best[doc].0;
            covered[doc] += best[doc].1;
            best[doc] = (0.0, 0.0);
        }
    }
    for (word, closeness) in closest {
        for posting in index.list(word).iter().filter(|posting| posting.in_title) {
            in_title[posting.doc as usize] += closeness;
        }
    }
    let mut found = Vec::new();
    for doc in (0..count).filter(|doc| total[*doc] > 0.0) {
        let title = (in_title[doc] / f32::from(index.title_words[doc].max(1))).min(1.0);
        let cover = (covered[doc] / f32::max(asked, 0.1)).min(1.0);
        let score = total[doc]
            * (1.0 - TITLE_EFFECT + TITLE_EFFECT * title)
            * (1.0 - COVER_EFFECT + COVER_EFFECT * cover)
            * SPECIAL_EFFECT.powi(
                (index.special[doc] & !intent.special)
                    .count_ones()
                    .cast_signed(),
            )
            * intent.agreement(index.verbs[doc]);
        found.push(Scored {
            doc: u32::try_from(doc).unwrap_or(u32::MAX),
            score,
            coverage: cover,
        });
    }
    found
}

/// The words of an action that the intent met.
fn matched(index: &Index, intent: &Intent, doc: u32) -> Vec<String> {
    let mut matched = Vec::new();
    for term in &intent.terms {
        let has = |word: &&(String, f32)| {
            index
                .list(&word.0)
                .binary_search_by_key(&doc, |posting| posting.doc)
                .is_ok()
        };
        if let Some((word, _)) = term
            .forms
            .iter()
            .find(has)
            .filter(|(word, _)| !matched.contains(word))
        {
            matched.push(word.clone());
        }
    }
    matched
}

/// An action's words, ready to be filed.
struct Prepared {
    fields: [Vec<String>; FIELDS],
    verb: Verb,
    title_words: u16,
    places: u8,
    special: u32,
}

impl Prepared {
    fn new(doc: &Doc, spoken: &mut BTreeMap<String, u32>) -> Self {
        let mut fields = texts(doc).map(|text| {
            let mut stems = Vec::new();
            for word in words(&text).into_iter().filter(|word| !is_stop(word)) {
                if let Some((left, right)) = describe::parts(&word) {
                    for part in [left, right].into_iter().filter(|part| !is_stop(part)) {
                        stems.push(stem(part));
                        *spoken.entry(part.to_owned()).or_insert(0) += 1;
                    }
                }
                stems.push(stem(&word));
                *spoken.entry(word).or_insert(0_u32) += 1;
            }
            stems
        });
        // The title is what its words say and no longer for being written in one.
        let title = words(&describe::parted(&doc.title)).into_iter();
        fields[0] = title
            .filter(|word| !is_stop(word))
            .map(|word| stem(&word))
            .collect();
        let verb = stem(doc.verb().name());
        let is_plain = |(at, word): &(usize, &String)| {
            **word == verb || (*at == 0 && Verb::plain(word).is_some())
        };
        let others = fields[0]
            .iter()
            .enumerate()
            .filter(|word| !is_plain(word))
            .count();
        Self {
            fields,
            verb: doc.verb(),
            title_words: u16::try_from(others).unwrap_or(u16::MAX),
            special: special(&words(&doc.title)),
            places: doc
                .path
                .split('/')
                .filter(|part| part.contains('{'))
                .fold(0, |count, _| count.saturating_add(1)),
        }
    }

    /// Frequencies over all fields, each weighted and held against the field's usual length.
    fn weighted(&self, average: &[f32; FIELDS]) -> BTreeMap<&str, f32> {
        let mut frequencies = BTreeMap::new();
        for ((field, weight), average) in self.fields.iter().zip(WEIGHTS).zip(average) {
            let dilution = 1.0 - LENGTH_EFFECT + LENGTH_EFFECT * field.len() as f32 / average;
            for term in field {
                *frequencies.entry(term.as_str()).or_insert(0.0) += weight / dilution;
            }
        }
        frequencies
    }
}

/// The text of each field.
fn texts(doc: &Doc) -> [String; FIELDS] {
    [
        doc.title.clone(),
        doc.key.clone(),
        doc.search_terms.join(" "),
        doc.description.clone(),
        describe::path_nouns(&doc.path).join(" "),
        doc.parameters.join(" "),
    ]
}
