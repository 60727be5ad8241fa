//! Reading what somebody says he wants: which words count, what they may stand for, what is to be done, to
//! one thing or to many.

use super::lexicon::{Lexicon, Sureness, Verb, is_chinese, phrase_stem};
use super::meaning::StaticModel;
use super::spelling::{Spelling, corrections};
use super::values::{ends_clause, set_aside};
use super::words::{
    is_determiner, is_identifier, is_past, is_plural, is_preposition, is_stop, stem, words,
};
use super::{Index, special_stems};

/// An intent is a sentence; the rest of a page is not read.
const MAX_WORDS: usize = 40;
const MAX_INTENT: usize = 1_000;

/// Words of time: they narrow a list and seldom name what is listed.
const TIMES: &str = "today yesterday tomorrow week weeks month months year years day days hour hours minute minutes last past next \
    recent recently monday tuesday wednesday thursday friday saturday sunday january february march april june july august \
    september october november december daily weekly monthly yearly ago latest newest morning afternoon evening tonight";
/// Words that ask for all there is.
const MANY: &str = "all every list each everything overview many several various existing entire whole everyone available";
/// Words that make another verb of one: "call off".
const PARTICLES: &str = "up off out away down back over in on at to for with";
/// What a question asks about.
const HINTS: [(&str, &str); 8] = [
    ("who", "user"),
    ("whom", "user"),
    ("everybody", "user"),
    ("everyone", "user"),
    ("somebody", "user"),
    ("someone", "user"),
    ("where", "location"),
    ("when", "time"),
];
const ONE: &str = "one single specific particular certain id exact given individual";
const QUESTIONS: &str = "what which who where when whose is are was were does do did has have how";

/// How much a name says of what is asked for.
const NAME: f32 = 0.3;
/// How near a known word comes to a real one that it differs from by a letter.
const MAYBE_A_SLIP: f32 = 0.5;
/// What a word with a capital may stand for where something is moved to it, and how near that comes.
const STATES: [&str; 3] = ["status", "stage", "transition"];
const MAYBE_A_STATE: f32 = 0.6;
/// How much that counts which says which of many are meant.
const FILTER: f32 = 0.5;
/// How much the single words of a fixed expression count beside what it stands for.
const OF_EXPRESSION: f32 = 0.8;
/// Numbers and places in a row.
const QUANTITIES: &str = "two three four five six seven eight nine ten twelve dozen hundred thousand first second third couple few percent";
/// Words before what is wished for.
const LEADS: &str =
    "please then so and but just now can could would you kindly also i we us want need to like let";

/// One word of the intent with all it may stand for.
pub(super) struct Term {
    /// Stems with how close they are to what was said.
    pub(super) forms: Vec<(String, f32)>,
    pub(super) weight: f32,
}

/// What was understood.
pub(super) struct Intent {
    pub(super) terms: Vec<Term>,
    pub(super) verbs: Vec<Verb>,
    /// Asks for many.
    pub(super) plural: bool,
    /// Asks for one that is named.
    pub(super) one: bool,
    /// Gives a value to look for: an address, a number, something in quotes.
    pub(super) value: bool,
    /// The same in English and spelt well, for an embedding model.
    pub(super) english: String,
    /// Which special cases it asks for, a bit for each; see [`super::special`].
    pub(super) special: u32,
}

/// A word on its way to a term.
struct Token {
    word: String,
    /// Other readings of a misspelt or foreign word.
    others: Vec<String>,
    first: bool,
    before_determiner: bool,
    translated: bool,
    /// How much it counts when it is less than a word of its own.
    weight: f32,
    /// How near the other readings come.
    near: f32,
    /// Begins a clause, as wishes do.
    begins: bool,
    /// Says which things are meant and not what is done: "deleted contacts", "orders placed on Monday".
    describes: bool,
}

impl Token {
    fn new(word: &str, others: Vec<String>, first: bool) -> Self {
        Self {
            word: word.to_owned(),
            others,
            first,
            before_determiner: false,
            translated: false,
            weight: 1.0,
            near: 0.9,
            begins: false,
            describes: false,
        }
    }
}

impl Intent {
    pub(super) fn read(text: &str, indexes: &[&Index], lexicon: &Lexicon) -> Self {
        let cut = text
            .char_indices()
            .nth(MAX_INTENT)
            .map_or(text, |(end, _)| &text[..end]);
        let mut intent = Self {
            terms: Vec::new(),
            verbs: Vec::new(),
            plural: false,
            one: false,
            value: false,
            english: String::new(),
            special: 0,
        };
        let indexed = |word: &str| {
            let stem = stem(word);
            indexes.iter().any(|index| index.has(&stem))
        };
        let spared = set_aside(cut, indexed);
        intent.value = spared.value;
        intent.one = spared.one;
        intent.plural = spared.many;
        let text = spared.text;
        let (said, begins) = clauses(&text);
        let reader = Reader {
            indexes,
            lexicon,
            names: capitalised(&text),
            targets: targets(&text),
            begins,
        };
        let language = lexicon.language(
            &said,
            |word| reader.is_english(word),
            |word| reader.slips(word),
        );
        let tokens = intent.tokens(&said, language, &reader);
        intent.find_verbs(&tokens, lexicon);
        let asks = language.is_none() && asks(&said);
        if asks {
            // "Which states can I move it to": nothing is moved.
            intent
                .verbs
                .retain(|verb| matches!(verb, Verb::List | Verb::Get));
        }
        if asks
            || (intent.verbs.is_empty() && said.first().is_some_and(|word| listed(QUESTIONS, word)))
        {
            let reads = [Verb::List, Verb::Get];
            let reads = reads
                .into_iter()
                .filter(|verb| !intent.verbs.contains(verb));
            let reads: Vec<Verb> = reads.collect();
            intent.verbs.extend(reads);
        }
        intent.make_terms(&tokens, &reader);
        let forms = intent.terms.iter().flat_map(|term| &term.forms);
        let forms = forms.filter(|(_, closeness)| *closeness > 0.4);
        intent.special = special_stems(forms.map(|(form, _)| form.as_str()));
        intent
    }

    fn tokens(
        &mut self,
        said: &[String],
        language: Option<usize>,
        reader: &Reader<'_>,
    ) -> Vec<Option<Token>> {
        let lexicon = reader.lexicon;
        let stems: Vec<String> = said.iter().map(|word| phrase_stem(word)).collect();
        let mut tokens: Vec<Option<Token>> = Vec::new();
        // Words of fixed expressions that other words stand in.
        let mut spent = vec![false; said.len()];
        let mut filtering = false;
        let mut at = 0;
        while at < said.len() {
            if spent[at] {
                if language.is_none() {
                    self.say(&said[at]);
                }
                at += 1;
                continue;
            }
            let word = &said[at];
            let first = tokens.iter().flatten().next().is_none();
            let before_determiner = said.get(at + 1).is_some_and(|next| is_determiner(next));
            let token = |word: &str, others: Vec<String>| {
                Some(Token {
                    before_determiner,
                    ..Token::new(word, others, first)
                })
            };
            let foreign = |meaning: &[Vec<String>]| {
                meaning
                    .iter()
                    .map(|word| alternatives(word, first))
                    .collect::<Vec<_>>()
            };
            let mut taken = 1;
            let before = tokens.len();
            let phrase = lexicon.phrase(&stems[at..]).filter(|(places, _)| {
                language.is_none() && places.iter().all(|place| !spent[at + place])
            });
            let parted = (at + 2..said.len().min(at + 6))
                .filter(|later| language.is_none() && !spent[*later])
                .find_map(|later| {
                    let pair = [stems[at].clone(), stems[later].clone()];
                    let meaning = lexicon
                        .phrase(&pair)
                        .filter(|_| listed(PARTICLES, &said[later]))?;
                    Some((later, meaning.1))
                });
            if is_chinese(word) {
                self.plural |= ["所有", "列表", "全部", "列出", "哪些"]
                    .iter()
                    .any(|many| word.contains(many));
                tokens.extend(foreign(&lexicon.translate_han(word)));
            } else if is_identifier(word) {
                self.one = true;
            } else if let Some((length, meaning)) =
                language.and_then(|language| lexicon.translate_phrase(language, &said[at..]))
            {
                tokens.extend(foreign(&meaning));
                taken = length;
            } else if let Some((particle, meaning)) =
                language.and_then(|language| lexicon.translate_parted(language, &said[at..]))
            {
                // "Sag den Termin ab": the verb's first half comes last.
                spent[at + particle] = true;
                tokens.extend(foreign(&meaning));
            } else if let Some(meaning) =
                language.and_then(|language| lexicon.translate(language, word))
            {
                self.plural |= word.len() > 4 && word.ends_with('s') && language != Some(0);
                tokens.extend(foreign(&meaning));
            } else if let Some((places, meaning)) = phrase {
                let last = places.last().copied().unwrap_or_default();
                let whole = last + 1 == places.len();
                let own = &said[at..=at + last];
                let loose = !whole
                    || own.iter().any(|word| {
                        is_stop(word) || is_preposition(word) || listed(PARTICLES, word)
                    });
                tokens.extend(expressed(meaning, first));
                if loose {
                    for place in places.into_iter().skip(1) {
                        spent[at + place] = true;
                    }
                } else {
                    self.plural |= own.iter().any(|word| is_plural(word));
                    // What they mean together is said already.
                    let own = own.iter().map(|word| token(word, Vec::new()));
                    tokens.extend(own.map(|token| {
                        token.map(|token| Token {
                            weight: OF_EXPRESSION,
                            ..token
                        })
                    }));
                    taken = places.len();
                }
            } else if let Some((later, meaning)) = parted {
                // "Throw a person out": the verb's second half comes later.
                spent[later] = true;
                tokens.extend(expressed(meaning, first));
            } else if let Some((_, hint)) = HINTS.iter().find(|(asked, _)| asked == word) {
                tokens.push(token(hint, Vec::new()).map(|token| Token {
                    first: false,
                    weight: if at == 0 { 1.1 } else { 0.5 },
                    ..token
                }));
            } else if language != Some(0) && reader.is_name(word) {
                // Who or what is called so, nobody knows; mostly it is a person.
                let others = ["member", "person", "contact"].map(str::to_owned);
                tokens.push(token("user", others.to_vec()).map(|token| Token {
                    first: false,
                    weight: NAME,
                    ..token
                }));
            } else if is_stop(word) && !(first && word == "let") {
                self.one |= listed(ONE, word);
                tokens.push(None);
            } else {
                self.one |= listed(ONE, word);
                self.plural |= listed(MANY, word) || is_plural(word);
                let joined = said.get(at + 1).map(|next| format!("{word}{next}"));
                match joined.map(|joined| (reader.joins(word, &said[at + 1], &joined), joined)) {
                    Some((Joins::Instead, joined)) => {
                        self.plural |= is_plural(&joined);
                        tokens.push(token(&joined, Vec::new()));
                        taken = 2;
                    }
                    joined => {
                        if let Some((Joins::Also, joined)) = joined {
                            tokens.push(token(&joined, Vec::new()));
                        }
                        // A foreign word that no glossary has is not a misspelt English one.
                        let understood = if language.is_some() {
                            vec![(word.clone(), Vec::new(), 0.9)]
                        } else {
                            reader.understand(word)
                        };
                        tokens.extend(understood.into_iter().map(|(word, others, near)| {
                            token(&word, others).map(|token| Token { near, ..token })
                        }));
                        if let Some(Some(token)) = tokens.last_mut()
                            && token.first
                            && let Some(thing) = lexicon.made_by(&stem(&token.word))
                            && (acts(token) || lexicon.main_verb(&token.word).is_some())
                        {
                            tokens.push(Some(Token {
                                weight: 1.1,
                                ..Token::new(thing, Vec::new(), false)
                            }));
                        }
                    }
                }
            }
            if language.is_none() {
                if is_relative(said, at) && tokens[..before].iter().flatten().next().is_some() {
                    filtering = true;
                } else if reader.begins[at] {
                    filtering = false;
                }
                let describes = describes(said, at, &tokens[..before], reader);
                let is_target = reader.targets.contains(word);
                for token in tokens[before..].iter_mut().flatten() {
                    token.begins = reader.begins[at];
                    token.describes = describes != Describes::Nothing || is_target;
                    if filtering || is_target || describes == Describes::After {
                        token.weight *= FILTER;
                    }
                    if is_target && reader.is_known(word) {
                        // What something is moved to most often is a state.
                        token.others.extend(STATES.map(str::to_owned));
                        token.near = MAYBE_A_STATE;
                    }
                }
            }
            if language != Some(0) && reader.is_name(word) {
                self.say("someone");
            } else if language.is_some() || is_chinese(word) || !reader.is_english(word) {
                for token in tokens[before..].iter().flatten() {
                    self.say(&token.word);
                }
            } else {
                for word in &said[at..said.len().min(at + taken)] {
                    self.say(reader.spelt(word));
                }
            }
            if language.is_none() && is_preposition(word) && !matches!(tokens.last(), Some(None)) {
                tokens.push(None);
            }
            at += taken;
        }
        tokens
    }

    fn say(&mut self, word: &str) {
        if !self.english.is_empty() {
            self.english.push(' ');
        }
        self.english.push_str(word);
    }

    fn find_verbs(&mut self, tokens: &[Option<Token>], lexicon: &Lexicon) {
        let alone = tokens.iter().flatten().count() == 1;
        let mut maybe = Vec::new();
        self.verbs = commands(tokens, lexicon);
        if !self.verbs.is_empty() {
            return;
        }
        for token in tokens.iter().flatten().filter(|token| !token.describes) {
            let participle =
                !token.first && (token.word.ends_with("ed") || token.word.ends_with("ing"));
            let words = std::iter::once(&token.word).chain(&token.others);
            for (verb, sureness) in words
                .take(if token.translated { 3 } else { 1 })
                .flat_map(|word| lexicon.verbs_of(word))
            {
                let surely = match sureness {
                    Sureness::Plain => true,
                    // A word on its own names a thing; "deleted" and "waiting" describe one.
                    Sureness::Own => !alone && !participle,
                    Sureness::Maybe => acts(token) || (*verb == Verb::List && !alone),
                };
                let new = token.word == "new" && self.verbs.is_empty();
                if new || (surely && !self.verbs.contains(verb)) {
                    self.verbs.push(*verb);
                } else if token.first && !token.translated && !alone {
                    maybe.push(*verb);
                }
            }
        }
        let things = tokens.iter().flatten().filter(|token| !token.describes);
        if self.verbs.is_empty() && things.count() == 2 {
            // "text somebody" is a wish, "call summary" a thing: with one word after it, it may be either.
            self.verbs.extend(
                maybe
                    .into_iter()
                    .filter(|_| matches!(tokens.last(), Some(None))),
            );
        }
    }

    fn make_terms(&mut self, tokens: &[Option<Token>], reader: &Reader<'_>) {
        let lexicon = reader.lexicon;
        let head = head(tokens, lexicon);
        for (at, token) in tokens.iter().enumerate() {
            let Some(token) = token else { continue };
            let stem_of = stem(&token.word);
            let verbs = lexicon.verbs_of(&token.word);
            let plain = verbs
                .iter()
                .any(|(_, sureness)| *sureness == Sureness::Plain);
            let own = verbs.iter().any(|(_, sureness)| *sureness == Sureness::Own);
            let mut weight = token.weight;
            if plain || matches!(token.word.as_str(), "let" | "give" | "new") {
                // Many interfaces have one action that searches, and it is called that.
                let searches = matches!(token.word.as_str(), "search" | "find");
                weight *= if searches { 0.5 } else { 0.3 };
            } else if listed(TIMES, &token.word)
                || listed(MANY, &token.word)
                || listed(ONE, &token.word)
                || listed(QUANTITIES, &token.word)
            {
                weight *= 0.25;
            } else if acts(token) && !own {
                // "Bill a client": what is made is a bill.
                weight *= 1.2;
            } else if own {
                weight *= if token.first { 1.0 } else { 0.75 };
            } else if head == Some(at) {
                weight *= 1.2;
            }
            if self.terms.iter().any(|term| term.forms[0].0 == stem_of) {
                continue;
            }
            let mut forms = reader.forms(&stem_of);
            for other in &token.others {
                let other = stem(other);
                if !forms.iter().any(|(known, _)| *known == other) {
                    forms.push((other, token.near));
                }
            }
            self.terms.push(Term { forms, weight });
        }
    }

    /// How well what an action does fits what was asked for.
    pub(super) fn agreement(&self, doc: Verb) -> f32 {
        let many_or_one = match (doc, self.one, self.plural) {
            (Verb::List, true, false) => 0.75,
            (Verb::Get, false, true) => 0.9,
            (Verb::Get, true, _) => 1.3,
            (Verb::List, false, true) => 1.15,
            (Verb::List, false, false) if self.value => 1.1,
            _ => 1.0,
        };
        let fit = self
            .verbs
            .iter()
            .enumerate()
            .map(|(at, wanted)| fit(*wanted, doc, self.one) - 0.04 * at.min(2) as f32)
            .fold(None, |best: Option<f32>, fit| {
                Some(best.map_or(fit, |best| best.max(fit)))
            });
        let fit = fit.unwrap_or(match doc {
            Verb::List if self.plural || self.value => 1.3,
            Verb::List | Verb::Get => 1.15,
            Verb::Delete => 0.7,
            _ if self.plural || self.value || self.one => 0.85,
            _ => 0.95,
        });
        fit * many_or_one
    }
}

/// What later clauses wish where the first one only tells: "I booked it by mistake, undo it".
fn commands(tokens: &[Option<Token>], lexicon: &Lexicon) -> Vec<Verb> {
    let mut commands = Vec::new();
    for token in tokens.iter().flatten().filter(|token| token.begins) {
        let told = is_past(&token.word) || token.word.ends_with("ing");
        if told || token.describes || token.translated {
            continue;
        }
        let acting = || {
            lexicon
                .verbs_of(&token.word)
                .first()
                .filter(|_| token.before_determiner)
        };
        let Some(verb) = lexicon.main_verb(&token.word).or_else(|| Some(acting()?.0)) else {
            continue;
        };
        if token.first {
            return Vec::new();
        }
        if !commands.contains(&verb) {
            commands.push(verb);
        }
    }
    commands
}

#[derive(PartialEq)]
enum Describes {
    Nothing,
    /// "Deleted contacts".
    Before,
    /// "Orders placed on Monday".
    After,
}

/// Whether a participle says which things are meant.
fn describes(
    said: &[String],
    at: usize,
    before: &[Option<Token>],
    reader: &Reader<'_>,
) -> Describes {
    let word = &said[at];
    if !is_past(word) || reader.lexicon.verbs_of(word).is_empty() {
        return Describes::Nothing;
    }
    let is_thing =
        |token: &Token| !is_past(&token.word) && reader.lexicon.main_verb(&token.word).is_none();
    let after_noun = matches!(before.last(), Some(Some(token)) if is_thing(token))
        && !at.checked_sub(1).is_some_and(|at| is_stop(&said[at]));
    match said.get(at + 1) {
        Some(next) if is_preposition(next) || listed(TIMES, next) => {
            if after_noun {
                Describes::After
            } else {
                Describes::Nothing
            }
        }
        Some(next) if !is_stop(next) && !is_determiner(next) && !after_noun => Describes::Before,
        _ => Describes::Nothing,
    }
}

/// "That have not been paid", "whose trial ends".
fn is_relative(said: &[String], at: usize) -> bool {
    const AFTER: &str = "is are was were has have had do does did can could should will would not still never nobody no";
    match said[at].as_str() {
        "whose" => at > 0,
        "that" | "who" | "which" => {
            // "Tell me who is off" asks for nothing else.
            let after_thing = at > 0 && (said[at] == "that" || !is_stop(&said[at - 1]));
            after_thing && said.get(at + 1).is_some_and(|next| listed(AFTER, next))
        }
        _ => false,
    }
}

/// Whether it is a question that wants to know and not how something is done.
fn asks(said: &[String]) -> bool {
    let mut said = said
        .iter()
        .map(String::as_str)
        .skip_while(|word| listed("so and but ok hey hi hello", word));
    let Some(first) = said.next() else {
        return false;
    };
    let rest: Vec<&str> = said.take(5).collect();
    let next = rest.first().copied().unwrap_or_default();
    let how_to = rest.first() == Some(&"to")
        || rest.windows(2).any(|pair| {
            matches!(pair[0], "do" | "can" | "should" | "could" | "would")
                && matches!(pair[1], "i" | "we" | "you" | "one")
        })
        || rest.iter().any(|word| matches!(*word, "possible" | "way"));
    match first {
        "what" | "which" | "who" | "whose" | "whom" | "is" | "are" | "was" | "were" | "has"
        | "did" | "does" => !rest.iter().any(|word| matches!(*word, "possible" | "way")),
        "why" => true,
        "where" | "when" => !how_to,
        "how" => listed(
            "many much long often far big old is are did does has have was were soon well",
            next,
        ),
        "do" | "have" | "had" => listed("we i you they any all", next),
        _ => false,
    }
}

fn fit(wanted: Verb, doc: Verb, one: bool) -> f32 {
    use Verb::{Create, Delete, Get, List, Send, Update};
    match (wanted, doc) {
        (List, Get) if !one => 1.12,
        (Get, List) => 1.2,
        _ if wanted == doc => 1.35,
        (Create, Send) | (Send, Create) => 1.15,
        (List, Get) => 1.25,
        (Update, Create) | (Create, Update) => 0.9,
        (Update, Send) | (Send, Update) => 0.85,
        // Nothing is deleted on a guess.
        (_, Delete) => 0.55,
        (Delete, Update) => 0.85,
        (List | Get, _) | (_, List | Get) => 0.7,
        _ => 0.65,
    }
}

/// The token that names what the intent is about: the last noun before the first preposition.
fn head(tokens: &[Option<Token>], lexicon: &Lexicon) -> Option<usize> {
    let is_noun = |token: &Token| {
        token.weight >= 1.0
            && !lexicon
                .verbs_of(&token.word)
                .iter()
                .any(|(_, sureness)| *sureness != Sureness::Maybe)
            && !listed(TIMES, &token.word)
    };
    let mut last = None;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Some(token) if is_noun(token) => last = Some(at),
            None if last.is_some() => break,
            _ => {}
        }
    }
    last
}

/// Whether a word that may be a verb is one here: it comes first and its object follows.
fn acts(token: &Token) -> bool {
    token.first && token.before_determiner && !token.translated
}

/// One foreign word: all it may mean; "a+b" is taken apart by the lexicon already.
fn alternatives(meaning: &[String], first: bool) -> Option<Token> {
    let (word, others) = meaning.split_first()?;
    Some(Token {
        translated: true,
        ..Token::new(word, others.to_vec(), first)
    })
}

/// What a fixed expression stands for.
fn expressed(meaning: &[Vec<String>], first: bool) -> impl Iterator<Item = Option<Token>> {
    meaning.iter().map(move |words| {
        alternatives(words, first).map(|token| Token {
            translated: false,
            ..token
        })
    })
}

/// Words with one capital that no sentence begins with, in small letters.
fn capitalised(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut begins = true;
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|letter: char| !letter.is_alphanumeric());
        let whose = bare.strip_suffix("'s").or_else(|| bare.strip_suffix("’s"));
        let bare = whose.unwrap_or(bare);
        let mut letters = bare.chars();
        if !begins
            && letters.next().is_some_and(char::is_uppercase)
            && letters.all(char::is_lowercase)
            && bare.chars().count() > 2
        {
            names.push(bare.to_lowercase());
            names.extend(whose.map(|name| format!("{}s", name.to_lowercase())));
        }
        begins = word.ends_with(['.', '!', '?', ':']);
    }
    // "Maria is off": only who is called so is and has something.
    let mut said = text.split_whitespace();
    if let (Some(first), Some("is" | "was" | "has" | "wants" | "needs" | "will" | "left")) =
        (said.next(), said.next())
        && first.starts_with(char::is_uppercase)
        && first.chars().skip(1).all(char::is_lowercase)
    {
        names.push(first.to_lowercase());
    }
    names
}

/// Words with a capital after "to", "into" or "as": what something becomes or where it goes.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut after = false;
    for word in text.split_whitespace() {
        let capital = word.starts_with(char::is_uppercase) && word.chars().any(char::is_lowercase);
        if after && capital {
            targets.extend(words(word));
        } else {
            after = matches!(word, "to" | "into" | "as" | "status" | "stage");
        }
        after &= !word.ends_with(ends_clause);
    }
    targets
}

/// The words of a text and which of them begin a clause.
fn clauses(text: &str) -> (Vec<String>, Vec<bool>) {
    let (mut said, mut begins) = (Vec::new(), Vec::new());
    let mut at_start = true;
    for chunk in text.split_whitespace() {
        for word in words(chunk).into_iter().flat_map(uncontracted) {
            begins.push(at_start);
            at_start &= listed(LEADS, &word);
            said.push(word);
        }
        at_start |= chunk.ends_with(ends_clause) || chunk.ends_with(['–', '—']) || chunk == "-";
    }
    said.truncate(MAX_WORDS);
    begins.truncate(MAX_WORDS);
    (said, begins)
}

/// "don't" is two words.
fn uncontracted(word: String) -> Vec<String> {
    let two = match word.as_str() {
        "dont" | "doesnt" | "didnt" => ["do", "not"],
        "isnt" | "arent" | "wasnt" => ["is", "not"],
        "hasnt" | "havent" => ["have", "not"],
        "cant" | "cannot" | "couldnt" => ["can", "not"],
        "wont" | "wouldnt" => ["will", "not"],
        "whats" => ["what", "is"],
        "whos" => ["who", "is"],
        "wheres" => ["where", "is"],
        "hows" => ["how", "is"],
        _ => return vec![word],
    };
    two.map(str::to_owned).into()
}

fn listed(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|listed| listed == word)
}

/// Whether two words may be written as one.
enum Joins {
    Not,
    Also,
    Instead,
}

/// What is known while an intent is read.
struct Reader<'a> {
    indexes: &'a [&'a Index],
    lexicon: &'a Lexicon,
    /// Words with a capital inside a sentence.
    names: Vec<String>,
    /// Words with a capital that say what something becomes: "move it to In Review".
    targets: Vec<String>,
    /// Which words begin a clause.
    begins: Vec<bool>,
}

impl Reader<'_> {
    /// "Dave": an unknown word with a capital inside a sentence.
    fn is_name(&self, word: &str) -> bool {
        self.names.iter().any(|name| name == word) && !self.is_known(word)
    }

    fn indexed(&self, stem: &str) -> bool {
        self.indexes.iter().any(|index| index.has(stem))
    }

    fn is_known(&self, word: &str) -> bool {
        let stem = stem(word);
        self.indexed(&stem) || self.lexicon.knows(&stem)
    }

    fn is_english(&self, word: &str) -> bool {
        word.is_ascii() && (is_stop(word) || is_preposition(word) || self.is_known(word))
    }

    /// Whether it is an English word but for one letter.
    fn slips(&self, word: &str) -> bool {
        word.len() > 3
            && word.is_ascii()
            && corrections(word, self.spellings())
                .first()
                .is_some_and(|(_, distance)| *distance == 1)
    }

    fn spellings(&self) -> impl Iterator<Item = &Spelling> {
        let indexes = self.indexes.iter().map(|index| &index.spelling);
        indexes.chain(std::iter::once(&self.lexicon.spelling))
    }

    /// "web hook" where the word is "webhook".
    fn joins(&self, left: &str, right: &str, joined: &str) -> Joins {
        let plain =
            |word: &str| is_stop(word) || word.chars().any(|letter| letter.is_ascii_digit());
        if joined.len() < 6 || plain(left) || plain(right) || !self.indexed(&stem(joined)) {
            Joins::Not
        } else if self.indexed(&stem(left)) && self.indexed(&stem(right)) {
            Joins::Also
        } else {
            Joins::Instead
        }
    }

    /// "updat", which only its stem is known of: as it is spelt.
    fn spelt<'b>(&'b self, word: &'b str) -> &'b str {
        let stem_of = stem(word);
        let spoken = |word: &str| {
            self.spellings().any(|spelling| spelling.has(word))
                || StaticModel::bundled().has_word(word)
        };
        if stem_of != word || word.len() < 4 || spoken(word) {
            return word;
        }
        let near = corrections(word, self.spellings());
        let same = |known: &&str| stem(known) == stem_of;
        near.into_iter()
            .map(|(known, _)| known)
            .find(same)
            .unwrap_or(word)
    }

    /// The words a written one stands for, each with other readings and how near those come.
    fn understand(&self, word: &str) -> Vec<(String, Vec<String>, f32)> {
        if self.is_known(word) {
            return vec![(word.to_owned(), Vec::new(), 0.9)];
        }
        if let Some((left, right)) = self.split(word) {
            return vec![(left, Vec::new(), 0.9), (right, Vec::new(), 0.9)];
        }
        let near = corrections(word, self.spellings());
        if word.len() > 3 && StaticModel::bundled().has_word(word) {
            // "Network" is no slip for "rework"; "massage" may be one for "message".
            let near = near.into_iter().filter(|(known, distance)| {
                *distance == 1 && known.chars().next() == word.chars().next()
            });
            let near = near.map(|(known, _)| known.to_owned()).collect();
            return vec![(word.to_owned(), near, MAYBE_A_SLIP)];
        }
        let mut known = near.into_iter().map(|(known, _)| known.to_owned());
        match known.next() {
            Some(first) => vec![(first, known.collect(), 0.9)],
            None => vec![(word.to_owned(), Vec::new(), 0.9)],
        }
    }

    /// "phonenumber".
    fn split(&self, word: &str) -> Option<(String, String)> {
        if word.len() < 7 || !word.is_ascii() {
            return None;
        }
        (3..=word.len() - 3)
            .map(|at| word.split_at(at))
            .find(|(left, right)| self.indexed(&stem(left)) && self.indexed(&stem(right)))
            .map(|(left, right)| (left.to_owned(), right.to_owned()))
    }

    /// A stem and what else it may be called.
    fn forms(&self, stem: &str) -> Vec<(String, f32)> {
        let related = self.lexicon.related(stem);
        // Where the word itself is not used, the nearest other word is as good as it gets.
        let lift = if self.indexed(stem) { 0.85 } else { 1.1 };
        let mut forms = vec![(stem.to_owned(), 1.0)];
        forms.extend(
            related
                .iter()
                .map(|(word, closeness)| (word.clone(), closeness * lift)),
        );
        forms
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Doc, Index};
    use super::*;

    fn read(text: &str) -> Intent {
        let titles = [
            "List orders",
            "Rework teams",
            "Update customers",
            "Move deals",
        ];
        let docs = titles.map(|title| Doc {
            title: title.to_owned(),
            ..Doc::default()
        });
        let index = Index::build(docs.into_iter());
        Intent::read(text, &[&index], Lexicon::shipped())
    }

    fn weight(intent: &Intent, word: &str) -> f32 {
        let has = |term: &&Term| term.forms[0].0 == stem(word);
        intent
            .terms
            .iter()
            .find(has)
            .map_or(0.0, |term| term.weight)
    }

    #[test]
    fn participles_say_which_things_are_meant() {
        assert_eq!(read("show deleted contacts").verbs, [Verb::Get]);
        assert!(read("orders sent since Monday").verbs.is_empty());
        let placed = read("orders placed between 1 and 15 November");
        assert!(placed.verbs.is_empty() && placed.plural && !placed.one);
        assert!(weight(&placed, "placed") < weight(&placed, "orders") / 2.0);
        // With nothing else to do, they say what is wished for.
        assert_eq!(read("I want this order deleted").verbs, [Verb::Delete]);
    }

    #[test]
    fn questions_change_nothing_unless_they_ask_how_to() {
        let asked = read("which stages can I move this deal to?");
        assert_eq!(asked.verbs, [Verb::List, Verb::Get]);
        assert_eq!(
            read("has the customer cancelled?").verbs,
            [Verb::List, Verb::Get]
        );
        assert_eq!(read("how do I delete an order").verbs, [Verb::Delete]);
        assert_eq!(
            read("is it possible to delete an order").verbs,
            [Verb::Delete]
        );
    }

    #[test]
    fn a_later_clause_wishes_what_the_first_one_explains() {
        assert_eq!(
            read("I got this order wrong, delete it").verbs,
            [Verb::Delete]
        );
        assert_eq!(
            read("add a customer, then delete the order").verbs[0],
            Verb::Create
        );
    }

    #[test]
    fn real_words_are_no_slips_and_cut_ones_are_spelt_out() {
        let network = read("the network team");
        assert!(network.english.contains("network"), "{}", network.english);
        let cut = read("updat custmer");
        assert_eq!(cut.english, "update customer");
        for named in ["what is on Tom's order", "Maria is off"] {
            let english = read(named).english;
            assert!(english.contains("someone"), "{english}");
        }
    }

    #[test]
    fn clauses_that_narrow_and_states_count_less() {
        let relative = read("orders that have no customer");
        assert!(weight(&relative, "customer") < 0.6);
        let moved = read("move the deal to In Review");
        assert_eq!(moved.verbs, [Verb::Update]);
        assert!(weight(&moved, "review") < 0.6);
    }
}
