//! Keeps secrets and floods out of records.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

const MASK: &str = "[redacted]";
/// A longer text is cut in a record.
const LONGEST_TEXT: usize = 4 * 1024;
/// A larger value is left out of a record.
const LARGEST_VALUE: usize = 256 * 1024;
/// Shorter texts are too common to be looked for.
const SHORTEST_SECRET: usize = 4;

/// Texts that must not appear in a record. `Debug` shows nothing.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.0.zeroize();
    }
}

impl Secrets {
    /// All texts of a credential, in the forms in which an app may echo them.
    pub(crate) fn of(credential: &Value) -> Self {
        let mut plain = Vec::new();
        collect(credential, &mut plain);
        plain.retain(|text| text.len() >= SHORTEST_SECRET);
        let mut all: Vec<String> = Vec::new();
        for text in &plain {
            all.push(text.clone());
            all.push(STANDARD.encode(text));
            all.push(url::form_urlencoded::byte_serialize(text.as_bytes()).collect());
        }
        // HTTP Basic joins two of them.
        for user in &plain {
            for password in &plain {
                all.push(STANDARD.encode(format!("{user}:{password}")));
            }
        }
        all.sort_by_key(|text| std::cmp::Reverse(text.len()));
        all.dedup();
        Self(all)
    }

    /// A text without the secrets.
    pub(crate) fn clean_text(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for secret in &self.0 {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), MASK);
            }
        }
        clean
    }

    /// A value fit for a record: without secrets, and of a bearable size.
    pub(crate) fn clean(&self, value: &Value) -> Value {
        let clean = self.clean_value(value);
        if clean.to_string().len() <= LARGEST_VALUE {
            return clean;
        }
        serde_json::json!({ "omitted": true, "reason": "too large for a record", "bytes": value.to_string().len() })
    }

    fn clean_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(cut(self.clean_text(text))),
            Value::Array(items) => items.iter().map(|item| self.clean_value(item)).collect(),
            Value::Object(members) => {
                let clean = |(name, value): (&String, &Value)| {
                    let value = if is_secret_name(name) && !value.is_null() {
                        MASK.into()
                    } else {
                        self.clean_value(value)
                    };
                    (self.clean_text(name), value)
                };
                Value::Object(members.iter().map(clean).collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Number(number) => into.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(members) => members.values().for_each(|item| collect(item, into)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Members whose values never belong into a record, whoever sent them.
fn is_secret_name(name: &str) -> bool {
    let name: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    [
        "password",
        "secret",
        "accesstoken",
        "refreshtoken",
        "apikey",
        "authorization",
        "privatekey",
        "setcookie",
    ]
    .iter()
    .any(|word| name.contains(word))
}

fn cut(text: String) -> String {
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let end = (0..=LONGEST_TEXT)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    format!("{}… ({} bytes)", &text[..end], text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_echo_of_a_secret_is_masked() {
        let secrets = Secrets::of(&json!({ "keyId": "user-1", "keySecret": "s3cr3t/x" }));
        let basic = STANDARD.encode("user-1:s3cr3t/x");
        let echoed = json!({
            "headers": { "authorization": format!("Basic {basic}") },
            "note": format!("got {basic} and s3cr3t/x and s3cr3t%2Fx"),
            "list": ["s3cr3t/x"],
            "password": "anything",
            "fine": 1,
        });
        let clean = secrets.clean(&echoed);
        let text = clean.to_string();
        assert!(!text.contains("s3cr3t") && !text.contains(&basic), "{text}");
        assert_eq!(clean["fine"], 1);
        assert_eq!(clean["password"], MASK);
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let secrets = Secrets::default();
        let clean = secrets.clean(&json!("ž".repeat(LONGEST_TEXT)));
        assert!(clean.as_str().expect("text").len() < LONGEST_TEXT + 40);
    }

    #[test]
    fn a_flood_is_left_out() {
        let clean = Secrets::default().clean(&json!(vec!["x".repeat(4000); 100]));
        assert_eq!(clean["omitted"], true);
    }
}
