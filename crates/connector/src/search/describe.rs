//! Titles and search terms for actions whose description gives none worth reading.
//!
//! An interface's own names range from "List Contacts" to "files.list", "ListUsageRecordThisMonth" or nothing
//! at all. Verb and object are what people ask for, so both are worked out from name, method and path.

use super::Doc;
use super::lexicon::{Lexicon, Verb};
use super::meaning::StaticModel;
use super::words::{is_determiner, is_plural, is_preposition, singular, stem, words};

/// Words before the verb that say how it is done: "Bulk move issues", "Re-opens an order".
const MANNERS: [&str; 5] = ["bulk", "batch", "mass", "async", "re"];

impl Doc {
    /// The same action with a title made of verb and object and with the nouns of its path as search terms.
    /// A title that reads well already is kept.
    #[must_use]
    pub fn described(mut self) -> Self {
        let verb = self.verb();
        let nouns = path_nouns(&self.path);
        let title = title(&self, verb, &nouns);
        let mut terms = vec![verb.name().to_owned()];
        terms.extend(nouns.iter().rev().take(2).map(|noun| singular(noun)));
        let new = terms
            .into_iter()
            .filter(|term| !self.search_terms.contains(term));
        let new: Vec<_> = new.collect();
        self.search_terms.extend(new);
        self.title = title;
        self
    }

    /// What it does: by its name, else by the last word of its path, else by method and path.
    pub(super) fn verb(&self) -> Verb {
        let (mut title, key) = (words(&self.title), words(&self.key));
        if title.len() > 1 && MANNERS.contains(&title[0].as_str()) && does(&title[1..]).is_some() {
            title.remove(0);
        }
        let plain = |word: Option<&String>| word.and_then(|word| self.plain(word));
        let named = plain(title.first())
            .or_else(|| plain(title.last()))
            .or_else(|| plain(key.first()))
            .or_else(|| plain(key.last()))
            .or_else(|| {
                does(&title).filter(|_| title.first().is_some_and(|word| !self.is_method(word)))
            });
        match named {
            // "Get tasks" is a list, whatever its author called it.
            Some(Verb::Get) if self.verb_of_request() == Verb::List && !self.path.is_empty() => {
                let mut said = title.iter().chain(&key);
                if said.any(|word| is_plural(word)) {
                    Verb::List
                } else {
                    Verb::Get
                }
            }
            Some(verb) => verb,
            None => self.verb_of_request(),
        }
    }

    /// What a word of the name says is done. "PostCustomers" is named for the method, which says less than the
    /// whole request.
    fn plain(&self, word: &str) -> Option<Verb> {
        let verb = Verb::plain(word)?;
        (!self.is_method(word) || verb == Verb::Get || verb == Verb::Delete).then_some(verb)
    }

    fn is_method(&self, word: &str) -> bool {
        self.method.eq_ignore_ascii_case(word)
    }

    fn verb_of_request(&self) -> Verb {
        let path = self.path.trim_end_matches('/').trim_end_matches(".json");
        let one = path.ends_with('}');
        let last = segments(&self.path).pop();
        let acts = last
            .as_ref()
            .filter(|_| !one)
            .and_then(|segment| action_of(segment));
        match (self.method.as_str(), acts) {
            ("DELETE", _) => Verb::Delete,
            ("PUT" | "PATCH" | "POST", Some(verb)) => verb,
            ("PUT" | "PATCH", None) => Verb::Update,
            ("POST", None) if one => Verb::Update,
            ("POST", None) => Verb::Create,
            (_, Some(Verb::List)) => Verb::List,
            _ if one => Verb::Get,
            _ => match last.as_ref().and_then(|segment| segment.last()) {
                Some(noun) if !is_plural(noun) => Verb::Get,
                _ => Verb::List,
            },
        }
    }
}

/// What the words of a name say is done: "Cancel order", "Cancels an order". What is made private is not made.
fn does(name: &[String]) -> Option<Verb> {
    let (first, rest) = name.split_first()?;
    let next = rest.first();
    let third_person = || {
        next.is_some_and(|next| {
            is_determiner(next) || matches!(next.as_str(), "one" | "single" | "multiple")
        })
    };
    if first == "make" || (is_plural(first) && !third_person()) {
        return None;
    }
    Verb::plain(first).or_else(|| Lexicon::shipped().main_verb(first))
}

/// What the last part of a path says is done: "cancel", "add_tags", "search".
fn action_of(segment: &[String]) -> Option<Verb> {
    does(segment)
}

/// "mypermissions" and "changelog" as two words each, both known; nothing of a word that is known itself.
pub(super) fn parts(word: &str) -> Option<(&str, &str)> {
    let (lexicon, model) = (Lexicon::shipped(), StaticModel::bundled());
    if word.len() < 7 || !word.is_ascii() || model.has_word(word) || model.has_word(&singular(word))
    {
        return None;
    }
    let known = |word: &str| {
        (word.len() > 3 || word == "my")
            && (model.has_word(word) || model.has_word(&singular(word)))
            && (word == "my" || lexicon.knows(&stem(word)))
    };
    let ends = (2..=word.len() - 3).rev();
    ends.map(|at| word.split_at(at))
        .find(|(left, right)| known(left) && (known(right) || *right == "log"))
}

/// A text with its joined words taken apart.
pub(super) fn parted(text: &str) -> String {
    let said = words(text).into_iter().flat_map(|word| match parts(&word) {
        Some((left, right)) => vec![left.to_owned(), right.to_owned()],
        None => vec![word],
    });
    said.collect::<Vec<_>>().join(" ")
}

/// Words of the path that name things: no placeholders, versions or file endings.
pub(super) fn path_nouns(path: &str) -> Vec<String> {
    segments(path).into_iter().flatten().collect()
}

/// The named parts of a path, each as its words.
fn segments(path: &str) -> Vec<Vec<String>> {
    let path = path.split('?').next().unwrap_or_default();
    let named = path.trim_end_matches(".json").split('/').filter(|segment| {
        !segment.contains('{') && !segment.chars().any(|letter| letter.is_ascii_digit())
    });
    let plumbing = [
        "api", "rest", "index", "json", "admin", "wp", "public", "services", "service", "actions",
    ];
    let said = named.map(|segment| {
        let said = words(segment).into_iter();
        said.filter(|word| word.len() > 1 && !plumbing.contains(&word.as_str()))
            .collect::<Vec<_>>()
    });
    said.filter(|segment| !segment.is_empty()).collect()
}

/// Verb and object by the path alone: "Send invoice", "List customer orders".
fn title_of_path(path: &str, verb: Verb) -> String {
    let mut segments = segments(path);
    let ends_in_place = path
        .trim_end_matches('/')
        .trim_end_matches(".json")
        .ends_with('}');
    let action = match segments.last() {
        Some(last) if !ends_in_place && segments.len() > 1 && action_of(last).is_some() => {
            segments.pop()
        }
        _ => None,
    };
    let mut nouns: Vec<Vec<String>> = segments.into_iter().rev().take(2).rev().collect();
    let many = verb == Verb::List && action.is_none();
    let count = nouns.len();
    for (at, noun) in nouns.iter_mut().enumerate() {
        if let Some(word) = noun.last_mut().filter(|_| !many || at + 1 < count) {
            *word = singular(word);
        }
    }
    let mut said = action.unwrap_or_else(|| vec![verb.name().to_owned()]);
    said.extend(nouns.into_iter().flatten());
    sentence(&said)
}

fn title(doc: &Doc, verb: Verb, nouns: &[String]) -> String {
    let name = if doc.title.trim().is_empty() {
        &doc.key
    } else {
        &doc.title
    };
    let mut said = words(name);
    let in_path = |word: &String| {
        let word = singular(word);
        nouns.iter().any(|noun| singular(noun) == word) || doc.path.contains(&word)
    };
    let named_for_request = said.first().is_some_and(|first| doc.is_method(first));
    if !nouns.is_empty()
        && (said.is_empty() || (named_for_request && said[1..].iter().all(in_path)))
    {
        return title_of_path(&doc.path, verb);
    }
    if named_for_request {
        verb.name().clone_into(&mut said[0]);
        return sentence(&said);
    }
    let starts_with_verb = said.first().is_some_and(|word| {
        Verb::plain(word).is_some()
            || (said.len() > 1 && (word == "make" || does(&said).is_some()))
            || (said.len() > 2 && MANNERS.contains(&word.as_str()) && does(&said[1..]).is_some())
    });
    if starts_with_verb {
        return if doc.title.contains(' ') {
            doc.title.clone()
        } else {
            sentence(&said)
        };
    }
    if said.len() > 1 && said.last().is_some_and(|word| Verb::plain(word).is_some()) {
        // "files.list" and "permissions-create": the verb comes first, one thing at a time unless it lists.
        let verb_word = said.pop().unwrap_or_default();
        if let Some(object) = said.last_mut().filter(|_| verb != Verb::List) {
            *object = singular(object);
        }
        said.insert(0, verb_word);
        return sentence(&said);
    }
    if doc.title.contains(' ') && said.iter().any(|word| is_preposition(word)) {
        return doc.title.clone();
    }
    said.insert(0, verb.name().to_owned());
    sentence(&said)
}

fn sentence(words: &[String]) -> String {
    let text = words.join(" ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_title(name: &str, method: &str, path: &str, title: &str) {
        let doc = Doc {
            title: name.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            ..Doc::default()
        };
        assert_eq!(doc.described().title, title);
    }

    #[test]
    fn raw_names_become_verb_and_object() {
        assert_title(
            "permissions-create",
            "POST",
            "/files/{id}/permissions",
            "Create permission",
        );
        assert_title("files.list", "GET", "/files", "List files");
        assert_title(
            "ListUsageRecordThisMonth",
            "GET",
            "/Usage/ThisMonth.json",
            "List usage record this month",
        );
        assert_title("Contacts", "GET", "/contacts", "List contacts");
        assert_title("Contacts", "GET", "/contacts/{id}", "Get contacts");
        assert_title(
            "",
            "DELETE",
            "/v1/projects/{p}/tasks/{t}",
            "Delete project task",
        );
        assert_title("Send SMS", "POST", "/sms/send.json", "Send SMS");
        assert_title(
            "Cancels an order",
            "POST",
            "/orders/{id}/cancel.json",
            "Cancels an order",
        );
        assert_title("Contacts", "PUT", "/contacts/{id}", "Update contacts");
    }

    #[track_caller]
    fn assert_verb(name: &str, method: &str, path: &str, verb: Verb) {
        let doc = Doc {
            title: name.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            ..Doc::default()
        };
        assert_eq!(doc.verb(), verb, "{name}");
    }

    #[test]
    fn names_in_the_third_person_and_with_a_manner_say_what_is_done() {
        let order = "/orders/{id}";
        assert_verb(
            "Cancels an order",
            "POST",
            "/orders/{id}/cancel",
            Verb::Delete,
        );
        assert_verb("Applies a hold on an order", "PUT", order, Verb::Update);
        assert_verb("Bulk delete orders", "POST", "/orders/bulk", Verb::Delete);
        assert_verb(
            "Make comment private",
            "PUT",
            "/comments/{id}/make_private",
            Verb::Update,
        );
        assert_verb("Orders", "GET", "/orders", Verb::List);
    }

    #[test]
    fn joined_words_are_taken_apart_unless_they_are_known() {
        assert_eq!(parted("List mypermissions"), "list my permissions");
        assert_eq!(parted("List issuelinks"), "list issue links");
        assert_eq!(parted("List recordings"), "list recordings");
    }
}
