//! Titles and search terms for actions whose description gives none worth reading.
//!
//! An interface's own names range from "List Contacts" to "files.list", "ListUsageRecordThisMonth" or nothing
//! at all. Verb and object are what people ask for, so both are worked out from name, method and path.

use super::Doc;
use super::lexicon::{Lexicon, Verb};
use super::words::{is_plural, is_preposition, singular, stem, words};

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
        let lexicon = Lexicon::shipped();
        let (title, key) = (words(&self.title), words(&self.key));
        let plain = |word: Option<&String>| word.and_then(|word| Verb::plain(word));
        plain(title.first())
            .or_else(|| plain(title.last()))
            .or_else(|| plain(key.first()))
            .or_else(|| plain(key.last()))
            .or_else(|| {
                title
                    .first()
                    .filter(|word| !is_plural(word))
                    .and_then(|word| lexicon.main_verb(&stem(word)))
            })
            .unwrap_or_else(|| self.verb_of_request())
    }

    fn verb_of_request(&self) -> Verb {
        let path = self.path.trim_end_matches('/').trim_end_matches(".json");
        let one = path.ends_with('}');
        match self.method.as_str() {
            "DELETE" => Verb::Delete,
            "PUT" | "PATCH" => Verb::Update,
            "POST" if one => Verb::Update,
            "POST" => Verb::Create,
            _ if one => Verb::Get,
            _ if path_nouns(&self.path)
                .last()
                .is_some_and(|noun| !is_plural(noun)) =>
            {
                Verb::Get
            }
            _ => Verb::List,
        }
    }
}

/// Words of the path that name things: no placeholders, versions or file endings.
pub(super) fn path_nouns(path: &str) -> Vec<String> {
    let path = path.split('?').next().unwrap_or_default();
    let named = path.trim_end_matches(".json").split('/').filter(|segment| {
        !segment.contains('{') && !segment.chars().any(|letter| letter.is_ascii_digit())
    });
    let plumbing = [
        "api", "rest", "index", "json", "admin", "wp", "public", "services", "service",
    ];
    named
        .flat_map(words)
        .filter(|word| word.len() > 1 && !plumbing.contains(&word.as_str()))
        .collect()
}

fn title(doc: &Doc, verb: Verb, nouns: &[String]) -> String {
    let lexicon = Lexicon::shipped();
    let name = if doc.title.trim().is_empty() {
        &doc.key
    } else {
        &doc.title
    };
    let mut said = words(name);
    if said.is_empty() {
        said = nouns.iter().rev().take(2).rev().cloned().collect();
    }
    let starts_with_verb = said.first().is_some_and(|word| {
        Verb::plain(word).is_some()
            || (said.len() > 1 && !is_plural(word) && lexicon.main_verb(&stem(word)).is_some())
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
            "Delete projects tasks",
        );
        assert_title("Send SMS", "POST", "/sms/send.json", "Send SMS");
    }
}
