//! What of an intent is a value and no word: quotations, addresses, dates, amounts, codes and names given to
//! things. Values say whether one thing is asked for or a list is narrowed, and nothing about what is done.

use super::words::{is_determiner, is_identifier, is_plural, is_preposition, is_stop};

const MONTHS: &str = "january february march april may june july august september october november december jan feb mar \
    apr jun jul aug sep sept oct nov dec januar februar märz mai juni juli oktober dezember enero febrero marzo abril \
    mayo junio julio agosto septiembre octubre noviembre diciembre janvier février mars avril juin juillet août \
    septembre octobre novembre décembre";
/// Months that are no other words.
const SURE_MONTHS: &str =
    "january february april june july august september october november december";
const CURRENCIES: &str = "eur euro euros usd gbp chf sek nok dkk pln czk jpy cny inr aud cad brl mxn dollar dollars bucks quid \
    pounds cents francs";
/// What is counted and measured: the number before it names nothing.
const UNITS: &str = "second seconds sec secs minute minutes min mins hour hours hr hrs day days night nights week weeks month \
    months year years quarter quarters time times percent point points people persons guests seats kg km mb gb px pcs";
/// After these a number says how many.
const COUNTED: &str =
    "last top first next latest past previous recent every only about around roughly";
/// After these a number is the end of a range.
const BOUNDS: &str = "between over under above below than exceeding least most beyond up";
/// After these a number of four digits may be a year.
const BEFORE_YEARS: &str = "in since of for from to until till before after by during year fy and bis seit ab depuis desde";
const ENDINGS: &str =
    "pdf doc docx xls xlsx csv ppt pptx txt png jpg jpeg gif svg mp3 wav mp4 mov zip json xml html";
const DOMAINS: &str = "com org net io de fr es eu uk app dev ai gov edu ch at info biz";
/// What numbers of documents begin with.
const CODES: [(&str, &str); 29] = [
    ("inv", "invoice"),
    ("po", "purchase order"),
    ("so", "sales order"),
    ("ord", "order"),
    ("cn", "credit note"),
    ("quo", "quote"),
    ("qt", "quote"),
    ("est", "estimate"),
    ("tkt", "ticket"),
    ("tic", "ticket"),
    ("rma", "return"),
    ("inc", "incident"),
    ("chg", "change"),
    ("req", "request"),
    ("cust", "customer"),
    ("cus", "customer"),
    ("wo", "work order"),
    ("emp", "employee"),
    ("sub", "subscription"),
    ("sku", "product"),
    ("pay", "payment"),
    ("je", "journal"),
    ("bill", "bill"),
    ("case", "case"),
    ("evt", "event"),
    ("txn", "transaction"),
    ("prod", "product"),
    ("acct", "account"),
    ("pr", "pull request"),
];

/// An intent without its values.
#[derive(Default)]
pub(super) struct Spared {
    pub(super) text: String,
    /// Something to look for or to narrow a list by.
    pub(super) value: bool,
    /// Something that names one thing.
    pub(super) one: bool,
    /// A number of things.
    pub(super) many: bool,
}

enum Part {
    Word,
    /// Narrows a list.
    Narrows,
    /// Names one thing; a prefix may say which kind.
    One(Option<String>),
    /// Says how many.
    Counts,
    /// Says nothing.
    Nothing,
    /// Stands for this word.
    For(String),
}

/// Takes out what is a value. `indexed` tells the words that actions have.
pub(super) fn set_aside(text: &str, indexed: impl Fn(&str) -> bool) -> Spared {
    let mut spared = Spared::default();
    let unquoted = without_quotations(text, &mut spared.value);
    let said: Vec<&str> = unquoted.split_whitespace().collect();
    let mut kept: Vec<String> = Vec::new();
    let mut at = 0;
    while at < said.len() {
        let (part, taken) = read(&said, at, &indexed);
        let last = said[at + taken - 1];
        at += taken;
        match part {
            Part::Word => {
                kept.push(last.to_owned());
                continue;
            }
            Part::Narrows => spared.value = true,
            Part::One(kind) => {
                spared.one = true;
                kept.extend(kind);
            }
            Part::Counts => spared.many = true,
            Part::Nothing => {}
            Part::For(word) => kept.push(word),
        }
        // The end of a clause stays one.
        if let (Some(end), Some(before)) = (
            last.chars().last().filter(|end| ends_clause(*end)),
            kept.last_mut(),
        ) && !before.ends_with(ends_clause)
        {
            before.push(end);
        }
    }
    spared.text = kept.join(" ");
    spared
}

pub(super) fn ends_clause(letter: char) -> bool {
    matches!(letter, ',' | ';' | '.' | '!' | '?' | ':')
}

fn without_quotations(text: &str, found: &mut bool) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['"', '“', '„', '«']) {
        let after = start + rest[start..].chars().next().map_or(1, char::len_utf8);
        let Some(length) = rest[after..].find(['"', '”', '“', '»']) else {
            break;
        };
        kept.push_str(&rest[..start]);
        kept.push(' ');
        *found = true;
        let end = after + length;
        rest = &rest[end + rest[end..].chars().next().map_or(1, char::len_utf8)..];
    }
    kept.push_str(rest);
    if kept.trim().is_empty() {
        return text.to_owned();
    }
    kept
}

/// What the word at this place is, and how many words it takes.
fn read(said: &[&str], at: usize, indexed: &impl Fn(&str) -> bool) -> (Part, usize) {
    let word = said[at];
    let letters = word.chars().filter(|letter| letter.is_alphabetic()).count();
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let lower = bare(word).to_lowercase();
    if (word.contains('@') && word.contains('.'))
        || word.starts_with("http://")
        || word.starts_with("https://")
        || lower.starts_with("www.")
    {
        return (Part::Narrows, 1);
    }
    if let Some((start, end)) = lower.rsplit_once('.')
        && start.chars().any(char::is_alphabetic)
    {
        if listed(ENDINGS, end) {
            return (Part::For("file".to_owned()), 1);
        }
        if listed(DOMAINS, end) && !start.contains(super::words::is_han) {
            return (Part::Narrows, 1);
        }
    }
    if listed(
        "called named titled entitled labelled labeled namens",
        &lower,
    ) && let Some(length) = given_name(said, at)
    {
        // What is called so is said before, the name itself may be any words.
        return (Part::Nothing, length);
    }
    if digits == 0 {
        let (month, days) = (listed(MONTHS, &lower), next_is_day(said, at));
        return match (month, days) {
            (true, 0) if !listed(SURE_MONTHS, &lower) => (Part::Word, 1),
            (true, days) => (Part::Narrows, 1 + days),
            _ => (Part::Word, 1),
        };
    }
    if letters == 0 {
        return number(said, at, digits);
    }
    let is_short_date = |start: &str, most: usize| {
        lower.strip_prefix(start).is_some_and(|rest| {
            (1..=most).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    if is_short_date("q", 1) || is_short_date("fy", 4) || is_short_date("kw", 2) {
        return (Part::Narrows, 1);
    }
    if let Some(rest) = with_number_before(&lower) {
        return match rest {
            "am" | "pm" | "h" | "uhr" | "st" | "nd" | "rd" | "th" | "er" => {
                (Part::Narrows, 1 + usize::from(is_month(said, at + 1)))
            }
            "€" | "k" | "m" | "eur" | "usd" | "x" => (Part::Nothing, 1),
            unit if unit.starts_with('-') && unit.len() > 3 => (Part::For(unit[1..].to_owned()), 1),
            unit if listed(UNITS, unit) => (Part::For(unit.to_owned()), 1),
            _ => code(word, letters, digits, indexed),
        };
    }
    code(word, letters, digits, indexed)
}

/// A word of digits and signs alone.
fn number(said: &[&str], at: usize, digits: usize) -> (Part, usize) {
    let word = bare(said[at]);
    let before = at.checked_sub(1).map(|at| bare(said[at]).to_lowercase());
    let before = before.as_deref().unwrap_or_default();
    let next = said.get(at + 1).map(|next| bare(next).to_lowercase());
    let next = next.as_deref().unwrap_or_default();
    let ended = said[at].ends_with([',', ';', '!', '?']);
    if word.ends_with('%') {
        return (Part::For("percent".to_owned()), 1);
    }
    if word.contains(['€', '$', '£', '¥']) {
        return (Part::Nothing, 1);
    }
    if !ended && listed(CURRENCIES, next) {
        return (Part::Nothing, 2);
    }
    if listed(CURRENCIES, before) {
        return (Part::Nothing, 1);
    }
    if !ended && is_month(said, at + 1) {
        // "3 May 2024"
        return (Part::Narrows, 2 + next_is_year(said, at + 1));
    }
    if !ended && matches!(next, "de" | "of") && is_month(said, at + 2) {
        return (Part::Narrows, 3 + next_is_year(said, at + 2));
    }
    let range = matches!(
        next,
        "to" | "and" | "bis" | "a" | "y" | "au" | "until" | "through" | "–" | "-"
    );
    if range
        && said
            .get(at + 2)
            .is_some_and(|end| end.starts_with(|letter: char| letter.is_ascii_digit()))
        && (is_month(said, at + 3) || listed(BOUNDS, before))
    {
        return (Part::Narrows, 3 + usize::from(is_month(said, at + 3)));
    }
    if word.starts_with('+') || (digits >= 3 && word.contains(['-', '/'])) || word.contains(':') {
        // A phone number, a date or a time narrows a search, it names no record.
        return (Part::Narrows, 1);
    }
    if word.contains(['-', '/']) || word.matches('.').count() == 2 {
        return (Part::Narrows, 1);
    }
    if word.starts_with('#') {
        return (Part::One(None), 1);
    }
    if word.contains(['.', ',', '\'']) {
        return (Part::Nothing, 1);
    }
    if word.len() == 4
        && (word.starts_with("19") || word.starts_with("20"))
        && (listed(BEFORE_YEARS, before) || listed(MONTHS, before))
    {
        return (Part::Narrows, 1);
    }
    if listed(BOUNDS, before) {
        return (Part::Narrows, 1);
    }
    if !ended && listed(UNITS, next) {
        return (Part::Nothing, 1);
    }
    if listed(COUNTED, before) {
        return (Part::Counts, 1);
    }
    // "Order 3 stickers" against "order 450789 items".
    let counts = digits <= 3 && (before.is_empty() || is_stop(before) || digits <= 2);
    if !ended && counts && is_plural(next) {
        return (Part::Counts, 1);
    }
    (Part::One(None), 1)
}

/// A word of letters and digits: "INV-0457", "cus_9s6XKz", "5b10ac8d82e0".
fn code(
    word: &str,
    letters: usize,
    digits: usize,
    indexed: &impl Fn(&str) -> bool,
) -> (Part, usize) {
    let name = bare(word);
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if !name.chars().all(is_plain) {
        return (Part::Word, 1);
    }
    let start = name
        .find(|letter: char| !letter.is_ascii_alphabetic())
        .unwrap_or(name.len());
    let (prefix, rest) = name.split_at(start);
    let number = rest.trim_start_matches(['-', '_']);
    let parted = number.len() < rest.len();
    let numbered = number.starts_with(|letter: char| letter.is_ascii_digit());
    let capitals = prefix.len() > 1 && prefix.chars().all(char::is_uppercase);
    let lower = prefix.to_lowercase();
    if listed("top last first next", &lower) && parted {
        return (Part::Counts, 1);
    }
    let of_kind = if prefix.len() > 10 || prefix.is_empty() {
        false
    } else if parted && rest.starts_with('_') {
        numbered || (number.len() >= 6 && number.chars().any(|letter| letter.is_ascii_digit()))
    } else if parted {
        numbered && (capitals || indexed(&lower) || is_code(&lower).is_some())
    } else {
        capitals && numbered && number.len() >= 3
    };
    if of_kind {
        let kind = is_code(&lower).map(str::to_owned);
        let said = || (indexed(&lower) && lower.len() > 3).then_some(lower.clone());
        return (Part::One(kind.or_else(said)), 1);
    }
    if digits > 0 && letters > 0 && word.len() >= 8 && is_identifier(word) && !word.contains('_') {
        return (Part::One(None), 1);
    }
    (Part::Word, 1)
}

fn is_code(prefix: &str) -> Option<&'static str> {
    let known = CODES.iter().find(|(short, _)| *short == prefix);
    known.map(|(_, kind)| *kind)
}

/// How many words "called …" takes: "a folder called Taxes 2024", not "who called" or "the client called support".
fn given_name(said: &[&str], at: usize) -> Option<usize> {
    let before = |back: usize| at.checked_sub(back).map(|at| said[at].to_lowercase());
    let thing = before(1)?;
    let introduced = (2..=4).find_map(|back| before(back).filter(|word| is_determiner(word)))?;
    let new = matches!(introduced.as_str(), "a" | "an" | "new" | "another");
    if is_stop(&thing) || (!new && at < 3) {
        return None;
    }
    let ends = |word: &str| {
        let word = bare(word).to_lowercase();
        is_stop(&word) || is_preposition(&word)
    };
    let names = said[at + 1..].iter().take(3);
    let mut length = 1;
    for name in names.take_while(|name| !ends(name)) {
        length += 1;
        if name.ends_with(ends_clause) {
            break;
        }
    }
    (length > 1).then_some(length)
}

fn bare(word: &str) -> &str {
    word.trim_matches(|letter: char| {
        !letter.is_alphanumeric() && !matches!(letter, '#' | '+' | '%' | '€' | '$' | '£' | '¥')
    })
}

fn is_month(said: &[&str], at: usize) -> bool {
    let word = said.get(at).map(|word| bare(word).to_lowercase());
    word.is_some_and(|word| listed(MONTHS, &word))
}

/// How many words of a day and a year follow a month.
fn next_is_day(said: &[&str], at: usize) -> usize {
    let next = said.get(at + 1).filter(|_| !said[at].ends_with(','));
    let Some(next) = next.map(|next| bare(next)) else {
        return 0;
    };
    let number = next.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let is_day =
        !number.is_empty() && number.len() <= 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_day {
        1 + next_is_year(said, at + 1)
    } else {
        0
    }
}

fn next_is_year(said: &[&str], at: usize) -> usize {
    let next = said.get(at + 1).map_or("", |next| bare(next));
    usize::from(next.len() == 4 && next.bytes().all(|byte| byte.is_ascii_digit()))
}

/// "30-minute" and "9am" without their number.
fn with_number_before(word: &str) -> Option<&str> {
    let rest = word.trim_start_matches(|letter: char| {
        letter.is_ascii_digit() || matches!(letter, ':' | '.' | ',')
    });
    (rest.len() < word.len()
        && rest
            .chars()
            .all(|letter| letter.is_alphabetic() || letter == '-'))
    .then_some(rest)
}

fn listed(list: &str, word: &str) -> bool {
    !word.is_empty() && list.split_whitespace().any(|listed| listed == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spared(text: &str) -> Spared {
        set_aside(text, |word| matches!(word, "order" | "ticket"))
    }

    #[test]
    fn dates_and_times_narrow_and_name_nothing() {
        for (text, left) in [
            ("orders between 1 and 15 November", "orders between"),
            ("bills from 1 July 2023 to 30 June 2024", "bills from to"),
            ("shifts on March 3rd at 9am", "shifts on at"),
            ("leave since 2024-03-01", "leave since"),
            ("turnover in 2023", "turnover in"),
            ("sales of Q3", "sales of"),
            ("citas del 3 de mayo", "citas del"),
            ("calls at 10:30, please", "calls at, please"),
        ] {
            let spared = spared(text);
            assert_eq!(spared.text, left);
            assert!(spared.value && !spared.one, "{text}");
        }
        assert_eq!(spared("what may I do").text, "what may I do");
    }

    #[test]
    fn codes_name_one_thing_and_may_say_of_which_kind() {
        for (text, left) in [
            ("move PROJ-482 on", "move on"),
            ("email INV-0457 to Bob", "email invoice to Bob"),
            ("close ticket-12", "close ticket"),
            ("refund cus_9s6XKz", "refund customer"),
            ("user 5b10ac8d82e05b22cc7d4ef5", "user"),
            ("PO12345, approve it", "purchase order, approve it"),
            ("call 123", "call"),
            ("items of order 450789469", "items of order"),
        ] {
            let spared = spared(text);
            assert_eq!(spared.text, left);
            assert!(spared.one && !spared.value, "{text}");
        }
        for text in ["mp3", "turn on 2fa", "wifi-6"] {
            let spared = spared(text);
            assert_eq!(spared.text, text);
            assert!(!spared.one);
        }
    }

    #[test]
    fn amounts_and_counts_name_nothing() {
        for (text, left) in [
            ("give back 29.90 EUR", "give back"),
            ("a 30-minute break", "a minute break"),
            ("wait 15 minutes", "wait minutes"),
            ("20% off", "percent off"),
            ("1,200 came in", "came in"),
            ("pay €50", "pay"),
        ] {
            let spared = spared(text);
            assert_eq!(spared.text, left);
            assert!(!spared.one && !spared.value, "{text}");
        }
        assert!(spared("last 5 bills").many && spared("add 12 chairs").many);
    }

    #[test]
    fn names_given_to_things_are_no_words() {
        assert_eq!(
            spared("make a folder called Tax Forms for Bob").text,
            "make a folder for Bob"
        );
        assert_eq!(spared("who called yesterday").text, "who called yesterday");
        assert_eq!(
            spared("the client called support").text,
            "the client called support"
        );
        assert_eq!(spared("upload report.pdf").text, "upload file");
        assert!(spared("who writes from acme.com").value);
    }
}
