//! Words that mean the same, read from the data files.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use rust_stemmers::{Algorithm, Stemmer};

use super::inflection;
use super::spelling::Spelling;
use super::words::{fold, is_han, stem};

/// The files about English words; of two lines about one expression the later one holds.
const ENGLISH: [&str; 4] = [
    include_str!("../../data/synonyms.txt"),
    include_str!("../../data/everyday.txt"),
    include_str!("../../data/idioms.txt"),
    include_str!("../../data/concepts.txt"),
];
const GLOSSARY: &str = include_str!("../../data/glossary.txt");

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
    const ALL: [(&'static str, Self); 6] = [
        ("list", Self::List),
        ("get", Self::Get),
        ("create", Self::Create),
        ("update", Self::Update),
        ("delete", Self::Delete),
        ("send", Self::Send),
    ];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(name, _)| *name == text)
            .map(|row| row.1)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|row| row.1 == self)
            .map_or("get", |row| row.0)
    }

    /// The words interfaces themselves use for what they do.
    pub(super) fn plain(word: &str) -> Option<Self> {
        Some(match word {
            "list" | "index" | "search" | "find" | "query" | "lists" => Self::List,
            "get" | "fetch" | "show" | "read" | "retrieve" | "view" | "download" | "gets"
            | "retrieves" => Self::Get,
            "create" | "add" | "insert" | "post" | "new" | "creates" | "adds" => Self::Create,
            "update" | "edit" | "patch" | "modify" | "set" | "put" | "change" | "updates" => {
                Self::Update
            }
            "delete" | "remove" | "destroy" | "deletes" | "removes" => Self::Delete,
            "send" | "sends" => Self::Send,
            _ => return None,
        })
    }
}

/// How surely a word is a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sureness {
    /// Says what is done and nothing else: "delete".
    Plain,
    /// A verb with a meaning of its own: "archive".
    Own,
    /// As often the name of a thing: "record".
    Maybe,
}

/// Synonyms, verbs and glossaries.
pub(super) struct Lexicon {
    verbs: HashMap<String, Vec<(Verb, Sureness)>>,
    /// Verbs as they are written.
    verb_words: HashSet<String>,
    /// Stem to stems of the same meaning, with how close they are.
    related: HashMap<String, Vec<(String, f32)>>,
    /// Fixed expressions by their first word, the longest first.
    phrases: HashMap<String, Vec<Phrase>>,
    /// Stem of a verb to the thing it makes: to dial is to make a call.
    made_by: HashMap<String, String>,
    /// German, Spanish, French.
    languages: [Language; 3],
    /// Chinese words to English ones.
    han: HashMap<String, Meaning>,
    longest_han: usize,
    pub(super) spelling: Spelling,
    known: HashSet<String>,
}

/// A fixed expression: "get rid of", "put * in charge".
struct Phrase {
    /// The words after the first; none for a gap.
    rest: Vec<Option<String>>,
    meaning: Meaning,
}

/// How close an everyday expression is to what it is said for.
const SAID_FOR: f32 = 0.75;
/// Up to so many words may stand in a gap.
const LONGEST_GAP: usize = 4;

impl Phrase {
    /// Places of its words in `words`, which start with the word before `rest`.
    fn find(&self, words: &[String]) -> Option<Vec<usize>> {
        let mut places = vec![0];
        let mut at = 1;
        let mut gap = false;
        for part in &self.rest {
            let Some(word) = part else {
                gap = true;
                continue;
            };
            let last = if gap { at + LONGEST_GAP } else { at };
            let first = if gap { at + 1 } else { at };
            let place = (first..=last).find(|place| words.get(*place) == Some(word))?;
            places.push(place);
            at = place + 1;
            gap = false;
        }
        Some(places)
    }
}

/// What is compared in fixed expressions: the stem, one for all forms of the small verbs.
pub(super) fn phrase_stem(word: &str) -> String {
    match word {
        "does" | "did" | "done" | "doing" => "do".to_owned(),
        "are" | "was" | "were" | "be" | "been" | "am" | "being" => "is".to_owned(),
        "has" | "had" | "having" => "have".to_owned(),
        "gave" | "given" | "giving" => "give".to_owned(),
        "took" | "taken" => "take".to_owned(),
        "went" | "gone" | "goes" => "go".to_owned(),
        "got" | "gotten" => "get".to_owned(),
        "told" => "tell".to_owned(),
        "sent" => "send".to_owned(),
        "came" => "come".to_owned(),
        "kept" => "keep".to_owned(),
        "thrown" | "threw" => "throw".to_owned(),
        "brought" => "bring".to_owned(),
        "made" => "make".to_owned(),
        "paid" => "pay".to_owned(),
        "an" => "a".to_owned(),
        "our" | "your" | "their" | "his" | "her" | "its" | "my" => "my".to_owned(),
        _ => stem(word),
    }
}

/// English words in a row, each with others of the same meaning.
pub(super) type Meaning = Vec<Vec<String>>;

/// The glossary of one language.
struct Language {
    stemmer: Algorithm,
    /// Word or fixed expression without accents, and its stem, to English words; empty for one that says nothing.
    words: HashMap<String, Meaning>,
    /// May join words to one.
    compounds: bool,
}

impl Language {
    fn new(stemmer: Algorithm, compounds: bool) -> Self {
        Self {
            stemmer,
            words: HashMap::new(),
            compounds,
        }
    }

    fn stem(&self, word: &str) -> String {
        fold(&Stemmer::create(self.stemmer).stem(word))
    }

    fn add(&mut self, word: &str, meaning: &Meaning) {
        let word = word.replace('_', " ");
        self.words
            .entry(fold(&word))
            .or_insert_with(|| meaning.clone());
        if !word.contains(' ') && !meaning.is_empty() && word.len() > 3 {
            self.words
                .entry(self.stem(&word))
                .or_insert_with(|| meaning.clone());
        }
    }

    fn look_up(&self, word: &str) -> Option<&Meaning> {
        let folded = fold(word);
        self.words
            .get(&folded)
            .or_else(|| {
                self.words.get(
                    &folded
                        .replace("ae", "a")
                        .replace("oe", "o")
                        .replace("ue", "u"),
                )
            })
            .or_else(|| (word.len() > 3).then(|| self.words.get(&self.stem(word)))?)
    }

    /// A form the stemmer does not lead back: "angelegt", "mándale".
    fn inflected(&self, word: &str) -> Option<Meaning> {
        let folded = fold(word);
        let forms = match self.stemmer {
            Algorithm::German => inflection::german(&folded),
            Algorithm::Spanish => inflection::spanish(&folded),
            _ => return None,
        };
        let mut known = forms.iter().filter_map(|form| self.look_up(form));
        known.find(|meaning| !meaning.is_empty()).cloned()
    }

    /// "Sag den Termin ab": what the verb means with the particle at the end of its clause, and the particle's place.
    fn parted(&self, words: &[String]) -> Option<(usize, &Meaning)> {
        let verb = words.first().filter(|_| self.compounds)?;
        let verb = inflection::german_infinitive(verb);
        words.iter().enumerate().skip(1).find_map(|(at, particle)| {
            // "Auf" and "an" begin most of what comes between.
            let next = words.get(at + 1);
            let ends =
                next.is_none_or(|next| matches!(next.as_str(), "und" | "oder" | "bitte" | "damit"));
            if !ends || !inflection::is_particle(particle) {
                return None;
            }
            let meaning = self.look_up(&format!("{particle}{verb}"))?;
            (!meaning.is_empty()).then_some((at, meaning))
        })
    }

    /// "Anrufaufzeichnung": the parts, the last one first, because it names the thing.
    fn split(&self, word: &str) -> Option<Meaning> {
        let folded = fold(word);
        if !self.compounds || folded.len() < 7 || !folded.is_ascii() {
            return None;
        }
        for at in 3..=folded.len() - 3 {
            let (front, back) = folded.split_at(at);
            let Some(last) = self.look_up(back).filter(|meaning| !meaning.is_empty()) else {
                continue;
            };
            let links = ["", "s", "n", "en", "es", "er", "e"];
            let known = links
                .iter()
                .filter_map(|link| front.strip_suffix(link))
                .find_map(|front| {
                    self.look_up(front)
                        .filter(|meaning| !meaning.is_empty())
                        .cloned()
                        .or_else(|| self.split(front))
                });
            if let Some(first) = known {
                return Some(first.into_iter().chain(last.iter().cloned()).collect());
            }
        }
        None
    }
}

impl Lexicon {
    pub(super) fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Lexicon> = OnceLock::new();
        SHIPPED.get_or_init(|| Self::read(&ENGLISH, &[GLOSSARY]))
    }

    /// The shipped one with more lines, in the forms of the data files; lines it can't read are skipped.
    pub(super) fn extended(more: &str) -> Self {
        let english: Vec<_> = ENGLISH.into_iter().chain([more]).collect();
        Self::read(&english, &[GLOSSARY, more])
    }

    fn read(synonyms: &[&str], glossaries: &[&str]) -> Self {
        let mut lexicon = Self {
            verbs: HashMap::new(),
            verb_words: HashSet::new(),
            related: HashMap::new(),
            phrases: HashMap::new(),
            made_by: HashMap::new(),
            languages: [
                Language::new(Algorithm::German, true),
                Language::new(Algorithm::Spanish, false),
                Language::new(Algorithm::French, false),
            ],
            han: HashMap::new(),
            longest_han: 1,
            spelling: Spelling::default(),
            known: HashSet::new(),
        };
        let mut spoken: HashSet<String> = HashSet::new();
        for line in synonyms.iter().flat_map(|text| lines(text)) {
            lexicon.read_synonyms(line, &mut spoken);
        }
        for line in glossaries.iter().flat_map(|text| lines(text)) {
            lexicon.read_foreign(line);
        }
        let mut spoken: Vec<_> = spoken.into_iter().collect();
        spoken.sort_unstable();
        lexicon.known = spoken.iter().map(|word| stem(word)).collect();
        // "lst" is "list" sooner than "last".
        let uses = |word: &str| if Verb::plain(word).is_some() { 5 } else { 1 };
        lexicon.spelling = Spelling::new(spoken.into_iter().map(|word| {
            let uses = uses(&word);
            (word, uses)
        }));
        lexicon
    }

    fn read_synonyms(&mut self, line: &str, spoken: &mut HashSet<String>) {
        let mut note = |words: &str| spoken.extend(words.split_whitespace().map(str::to_owned));
        if let Some((words, meaning)) = line
            .strip_prefix("phrase ")
            .and_then(|rest| rest.split_once('='))
        {
            note(&words.replace('*', " "));
            self.add_phrase(words, meaning);
            return;
        }
        if let Some((words, meant)) = line
            .strip_prefix("as ")
            .and_then(|rest| rest.split_once('='))
        {
            note(words);
            for word in words.split_whitespace() {
                self.point(&stem(word), meant);
            }
            return;
        }
        if let Some((concept, expressions)) = line
            .strip_prefix("is ")
            .and_then(|rest| rest.split_once('='))
        {
            note(concept);
            let concept: Vec<_> = concept.split_whitespace().collect();
            for expression in expressions.split(',').map(str::trim) {
                note(expression);
                self.say_for(expression, &concept);
            }
            return;
        }
        if let Some((verbs, thing)) = line
            .strip_prefix("does ")
            .and_then(|rest| rest.split_once('='))
        {
            let thing = thing.trim();
            let verbs = verbs.split_whitespace().map(stem);
            self.made_by
                .extend(verbs.map(|verb| (verb, thing.to_owned())));
            return;
        }
        let Some((head, words)) = line.split_once(':') else {
            return;
        };
        if let Some((sureness, verb)) = head.split_once(' ') {
            let sureness = match sureness {
                "plain" => Sureness::Plain,
                "verb" => Sureness::Own,
                "maybe" => Sureness::Maybe,
                _ => return,
            };
            let Some(verb) = Verb::parse(verb.trim()) else {
                return;
            };
            note(words);
            for word in words.split_whitespace() {
                self.verb_words.insert(word.to_owned());
                let list = self.verbs.entry(stem(word)).or_default();
                if !list.iter().any(|(known, _)| *known == verb) {
                    list.push((verb, sureness));
                }
            }
        } else if head == "known" {
            note(words);
        } else if head == "same" {
            note(words);
            self.relate(&words.split_whitespace().map(stem).collect::<Vec<_>>());
        }
    }

    fn add_phrase(&mut self, words: &str, meaning: &str) {
        let mut words = words.split_whitespace();
        let Some(first) = words.next() else { return };
        let rest: Vec<_> = words
            .map(|word| (word != "*").then(|| phrase_stem(word)))
            .collect();
        let meaning = meaning
            .split_whitespace()
            .map(|word| word.split('/').map(str::to_owned).collect())
            .collect();
        let known = self.phrases.entry(phrase_stem(first)).or_default();
        known.retain(|phrase| phrase.rest != rest);
        known.push(Phrase { rest, meaning });
        known.sort_by_key(|phrase| std::cmp::Reverse(phrase.rest.iter().flatten().count()));
    }

    /// One of the expressions for a concept.
    fn say_for(&mut self, expression: &str, concept: &[&str]) {
        let words: Vec<_> = expression.split_whitespace().collect();
        let [word] = words[..] else {
            // What a phrase stands for already comes first.
            let rest: Vec<_> = words
                .iter()
                .skip(1)
                .map(|word| Some(phrase_stem(word)))
                .collect();
            let first = words.first().map(|word| phrase_stem(word));
            let list = first.and_then(|first| self.phrases.get_mut(&first));
            let known = list.and_then(|list| list.iter_mut().find(|phrase| phrase.rest == rest));
            match (known, concept) {
                (Some(phrase), [one]) => {
                    if let Some(last) = phrase.meaning.last_mut()
                        && !last.iter().any(|word| word == one)
                    {
                        last.push((*one).to_owned());
                    }
                }
                (Some(_), _) => {}
                (None, _) => self.add_phrase(expression, &concept.join(" ")),
            }
            return;
        };
        let word = stem(word);
        for concept in concept
            .iter()
            .map(|word| stem(word))
            .filter(|concept| *concept != word)
        {
            let list = self.related.entry(word.clone()).or_default();
            if !list.iter().any(|(known, _)| *known == concept) {
                list.push((concept, SAID_FOR));
            }
        }
    }

    /// An everyday word to what interfaces say, the likeliest first.
    fn point(&mut self, word: &str, meant: &str) {
        let list = self.related.entry(word.to_owned()).or_default();
        for (at, meant) in meant.split_whitespace().map(stem).enumerate() {
            // As close as a group's first word at the start, as its others at the end.
            let closeness = f32::max(0.8 - 0.08 * at as f32, 0.45);
            match list.iter_mut().find(|(known, _)| *known == meant) {
                Some(known) => known.1 = known.1.max(closeness),
                None if meant == word => {}
                None => list.push((meant, closeness)),
            }
        }
    }

    fn relate(&mut self, words: &[String]) {
        for (at, word) in words.iter().enumerate() {
            for (other_at, other) in words.iter().enumerate().filter(|(_, other)| *other != word) {
                // The first word is what the others have in common.
                let closeness = if at == 0 || other_at == 0 { 0.75 } else { 0.45 };
                let list = self.related.entry(word.clone()).or_default();
                match list.iter_mut().find(|(known, _)| known == other) {
                    Some(known) => known.1 = known.1.max(closeness),
                    None => list.push((other.clone(), closeness)),
                }
            }
        }
    }

    /// `english words: German | Spanish | French | Chinese`.
    fn read_foreign(&mut self, line: &str) {
        let Some((english, foreign)) = line
            .split_once(':')
            .filter(|(_, foreign)| foreign.contains('|'))
        else {
            return;
        };
        let words: Vec<Vec<String>> = english
            .split_whitespace()
            .map(|row| row.split('+').map(str::to_owned).collect())
            .collect();
        // The first row is the meaning; single words after it are others of the same.
        let mut meaning: Meaning = Vec::new();
        for row in words.into_iter().filter(|row| row != &["-"]) {
            match meaning.last_mut() {
                Some(last) => last.extend(row),
                None => meaning.extend(row.into_iter().map(|word| vec![word])),
            }
        }
        for (at, words) in foreign.split('|').enumerate() {
            for word in words.split_whitespace() {
                let word = word.to_lowercase();
                if let Some(language) = self.languages.get_mut(at) {
                    language.add(&word, &meaning);
                } else {
                    self.longest_han = self.longest_han.max(word.chars().count());
                    self.han.entry(word).or_insert_with(|| meaning.clone());
                }
            }
        }
    }

    /// What the word may say is done. "Invitation" and "follower" have the stem of a verb and are none.
    pub(super) fn verbs_of(&self, word: &str) -> &[(Verb, Sureness)] {
        const ENDS_OF_NOUNS: [&str; 8] = ["tion", "sion", "ment", "er", "or", "al", "ance", "ence"];
        let verbs = self.verbs.get(&stem(word)).map_or(&[][..], Vec::as_slice);
        let one = word.strip_suffix('s').unwrap_or(word);
        let is_noun = ENDS_OF_NOUNS.iter().any(|end| one.ends_with(end));
        if is_noun && !self.verb_words.contains(one) {
            return &[];
        }
        verbs
    }

    /// What the word does when it surely is a verb.
    pub(super) fn main_verb(&self, word: &str) -> Option<Verb> {
        self.verbs_of(word)
            .iter()
            .find(|(_, sureness)| *sureness != Sureness::Maybe)
            .map(|row| row.0)
    }

    pub(super) fn related(&self, stem: &str) -> &[(String, f32)] {
        self.related.get(stem).map_or(&[], Vec::as_slice)
    }

    /// What a fixed expression that begins with the first of these words stands for, and the places of its
    /// words; see [`phrase_stem`].
    pub(super) fn phrase(&self, words: &[String]) -> Option<(Vec<usize>, &Meaning)> {
        let known = self.phrases.get(words.first()?)?;
        known
            .iter()
            .find_map(|phrase| Some((phrase.find(words)?, &phrase.meaning)))
    }

    /// The thing a verb makes when it comes first.
    pub(super) fn made_by(&self, stem: &str) -> Option<&str> {
        self.made_by.get(stem).map(String::as_str)
    }

    pub(super) fn knows(&self, stem: &str) -> bool {
        self.known.contains(stem)
    }

    /// Which language most of the words are, when it is none of English. `may_be` tells words that are misspelt
    /// English ones at a slip of one letter.
    pub(super) fn language(
        &self,
        words: &[String],
        is_english: impl Fn(&str) -> bool,
        may_be: impl Fn(&str) -> bool,
    ) -> Option<usize> {
        let knows = |language: &Language, word: &String| {
            language.look_up(word).is_some()
                || (!is_english(word)
                    && (language.inflected(word).is_some() || language.split(word).is_some()))
        };
        let english = words
            .iter()
            .filter(|word| is_english(word) || may_be(word))
            .count();
        let score = |language: &Language| {
            let known = words.iter().filter(|word| knows(language, word));
            // Two languages may share a word, seldom an expression.
            let expressions = words
                .windows(2)
                .filter(|pair| language.words.contains_key(&fold(&pair.join(" "))));
            known.count() + 2 * expressions.count()
        };
        let scores = self.languages.each_ref().map(score);
        let best = (0..3).max_by_key(|at| (scores[*at], 3 - at))?;
        let accents = words.iter().any(|word| !word.is_ascii());
        // "Ticket kommentieren": one word is English as well, the other is not.
        let tips = || {
            let mut known = words
                .iter()
                .filter(|word| knows(&self.languages[best], word));
            known.any(|word| !is_english(word) && !may_be(word))
        };
        let is_foreign = scores[best] > english
            || (scores[best] == english && tips())
            || (accents && scores[best] + 1 >= english);
        (scores[best] > 0 && is_foreign).then_some(best)
    }

    /// English words for a foreign one.
    pub(super) fn translate(&self, language: usize, word: &str) -> Option<Meaning> {
        let language = &self.languages[language];
        language
            .look_up(word)
            .cloned()
            .or_else(|| language.inflected(word))
            .or_else(|| language.split(word))
    }

    /// English words for a verb that begins `words` and whose first half ends their clause, and the place of that.
    pub(super) fn translate_parted(
        &self,
        language: usize,
        words: &[String],
    ) -> Option<(usize, Meaning)> {
        let (at, meaning) = self.languages[language].parted(words)?;
        Some((at, meaning.clone()))
    }

    /// English words for a fixed expression at the start of `words`, and its length.
    pub(super) fn translate_phrase(
        &self,
        language: usize,
        words: &[String],
    ) -> Option<(usize, Meaning)> {
        (2..=4.min(words.len())).rev().find_map(|length| {
            let meaning = self.languages[language]
                .words
                .get(&fold(&words[..length].join(" ")))?;
            Some((length, meaning.clone()))
        })
    }

    /// Cuts a Chinese text into words it knows, longest first, and gives their meanings.
    pub(super) fn translate_han(&self, text: &str) -> Meaning {
        let letters: Vec<char> = text.chars().collect();
        let mut meanings = Vec::new();
        let mut at = 0;
        while at < letters.len() {
            let found = (1..=self.longest_han.min(letters.len() - at))
                .rev()
                .find_map(|length| {
                    let word: String = letters[at..at + length].iter().collect();
                    self.han.get(&word).map(|meaning| (length, meaning))
                });
            at += match found {
                Some((length, meaning)) => {
                    meanings.extend(meaning.iter().cloned());
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

/// Whether the word is written with Chinese characters.
pub(super) fn is_chinese(word: &str) -> bool {
    word.starts_with(is_han)
}
