//! From text to words, and from words to their stems.

use rust_stemmers::{Algorithm, Stemmer};

/// Words that say nothing about which action is meant.
const STOP: &str = "a an the of in on at to for from with by and or is are was were be been being i me my mine we us \
    our ours you your yours it its this that these those who whom whose what which when where how do does did done \
    want wants wanted need needs needed would like please can could should will shall may might let lets their them \
    they he she him her his has have had having about into there here s t re ve ll d m again much some somebody \
    someone anybody anyone something anything via using use as so if then than just only also any out up off over \
    under between through during within without already still yet now really very too not no am im id's ok okay \
    hello hi hey thanks thank kindly one's both each per etc e g ie eg make sure try able going go must itself themselves himself herself yourself ourselves ever never because while since \
    until onto inside against across among around upon towards toward throughout instead even maybe perhaps although \
    whether else quite other others";

/// Words after which a noun comes.
const DETERMINERS: &str = "a an the my our your his her their this that these those some any all every each no another somebody \
    someone them him it us me everybody everyone one both new";

/// Words that end a noun group: what stands before them is what the sentence is about.
const PREPOSITIONS: &str = "of for from to in on at with by about into within under via per as belonging that which who whose where when \
    after before since until between during without using inside onto";

fn in_list(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|listed| listed == word)
}

pub(super) fn is_stop(word: &str) -> bool {
    in_list(STOP, word)
}

pub(super) fn is_determiner(word: &str) -> bool {
    in_list(DETERMINERS, word)
}

pub(super) fn is_preposition(word: &str) -> bool {
    in_list(PREPOSITIONS, word)
}

/// A word of the intent or of an action's text: "listPhoneNumbers" is three, "SMSMessage" two.
pub(super) fn words(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (at, letter) in letters.iter().copied().enumerate() {
        let before = at.checked_sub(1).map_or(' ', |at| letters[at]);
        let after = letters.get(at + 1).copied().unwrap_or(' ');
        let capital = letter.is_uppercase()
            && (before.is_lowercase() || (before.is_uppercase() && after.is_lowercase()));
        let boundary = !letter.is_alphanumeric()
            || capital
            || (is_han(letter) != is_han(before) && before.is_alphanumeric());
        // "don't", "what's": the rest after the apostrophe is no word of its own, but in "l'appel" it is the word.
        if matches!(letter, '\'' | '’') && before.is_alphabetic() && after.is_alphabetic() {
            if matches!(word.as_str(), "l" | "d" | "j" | "n" | "qu") {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        if boundary && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

pub(super) fn is_han(letter: char) -> bool {
    matches!(letter, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// Whether it names one particular thing: has a digit, but is no word such as "mp3" or "2fa".
pub(super) fn is_identifier(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    digits > 0 && (digits == word.len() || digits > 1)
}

pub(super) fn stem(word: &str) -> String {
    if let Some(thing) = thing(word) {
        return thing.to_owned();
    }
    let word = regular(word);
    Stemmer::create(Algorithm::English).stem(word).into_owned()
}

/// A recording is no record, a meeting not what it takes to meet, an activity activates nothing and a customer is
/// not customised.
const THINGS: [&str; 13] = [
    "recording",
    "meeting",
    "booking",
    "listing",
    "setting",
    "rating",
    "opening",
    "training",
    "activity",
    "revision",
    "customer",
    "important",
    "production",
];

fn thing(word: &str) -> Option<&'static str> {
    THINGS.iter().copied().find(|thing| {
        let (start, last) = thing.split_at(thing.len() - 1);
        let rest = word.strip_prefix(start);
        rest.is_some_and(|rest| match rest.strip_prefix(last) {
            Some(end) => matches!(end, "" | "s"),
            None => last == "y" && rest == "ies",
        })
    })
}

/// Forms that no rule finds.
const IRREGULAR: [(&str, &str); 62] = [
    ("people", "person"),
    ("children", "child"),
    ("men", "man"),
    ("women", "woman"),
    ("sent", "send"),
    ("bought", "buy"),
    ("sold", "sell"),
    ("paid", "pay"),
    ("told", "tell"),
    ("wrote", "write"),
    ("written", "write"),
    ("spoke", "speak"),
    ("spoken", "speak"),
    ("said", "say"),
    ("made", "make"),
    ("gave", "give"),
    ("given", "give"),
    ("took", "take"),
    ("taken", "take"),
    ("got", "get"),
    ("found", "find"),
    ("heard", "hear"),
    ("held", "hold"),
    ("kept", "keep"),
    ("left", "leave"),
    ("lost", "lose"),
    ("won", "win"),
    ("ran", "run"),
    ("began", "begin"),
    ("begun", "begin"),
    ("broke", "break"),
    ("broken", "break"),
    ("brought", "bring"),
    ("built", "build"),
    ("chose", "choose"),
    ("chosen", "choose"),
    ("came", "come"),
    ("did", "do"),
    ("done", "do"),
    ("drew", "draw"),
    ("forgot", "forget"),
    ("forgotten", "forget"),
    ("froze", "freeze"),
    ("frozen", "freeze"),
    ("went", "go"),
    ("gone", "go"),
    ("grew", "grow"),
    ("knew", "know"),
    ("known", "know"),
    ("met", "meet"),
    ("rang", "ring"),
    ("saw", "see"),
    ("seen", "see"),
    ("shown", "show"),
    ("spent", "spend"),
    ("stole", "steal"),
    ("stolen", "steal"),
    ("taught", "teach"),
    ("threw", "throw"),
    ("thrown", "throw"),
    ("thought", "think"),
    ("understood", "understand"),
];

fn regular(word: &str) -> &str {
    IRREGULAR
        .iter()
        .find(|(form, _)| *form == word)
        .map_or(word, |row| row.1)
}

/// Whether the verb says what has happened: "booked", "sent".
pub(super) fn is_past(word: &str) -> bool {
    (word.len() > 4 && word.ends_with("ed")) || regular(word) != word
}

/// Whether the word looks like a plural: "calls", "categories", not "status".
pub(super) fn is_plural(word: &str) -> bool {
    matches!(
        word,
        "people" | "children" | "media" | "criteria" | "employees"
    ) || (word.len() > 3
        && word.ends_with('s')
        && ![
            "ss",
            "us",
            "is",
            "sms",
            "news",
            "address",
            "always",
            "this",
            "days",
            "hours",
            "minutes",
            "weeks",
            "months",
            "analytics",
            "settings",
            "details",
        ]
        .iter()
        .any(|end| word.ends_with(end)))
}

/// "categories" is "category"; what is no plural stays.
pub(super) fn singular(word: &str) -> String {
    if word == "people" {
        return "person".to_owned();
    }
    if !is_plural(word) {
        return word.to_owned();
    }
    if let Some(start) = word.strip_suffix("ies").filter(|start| start.len() > 2) {
        return format!("{start}y");
    }
    for end in ["sses", "xes", "ches", "shes", "zes"] {
        if word.ends_with(end) {
            return word[..word.len() - 2].to_owned();
        }
    }
    word[..word.len() - 1].to_owned()
}

/// Without accents, so that "numero" is "número".
pub(super) fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    for letter in word.chars() {
        match letter {
            'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' => folded.push('a'),
            'é' | 'è' | 'ê' | 'ë' => folded.push('e'),
            'í' | 'ì' | 'î' | 'ï' => folded.push('i'),
            'ó' | 'ò' | 'ô' | 'ö' | 'õ' => folded.push('o'),
            'ú' | 'ù' | 'û' | 'ü' => folded.push('u'),
            'ñ' => folded.push('n'),
            'ç' => folded.push('c'),
            'ß' => folded.push_str("ss"),
            'œ' => folded.push_str("oe"),
            other => folded.push(other),
        }
    }
    folded
}
