//! Reading answers: what an app sent becomes an action's output, or a failure a caller can act on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::formula::{self, Scope};
use crate::manifest::{Action, FailureRule, Manifest, OutputKind};
use crate::request::Credentials;

const MAX_EXCERPT: usize = 500;
const MAX_MESSAGE: usize = 300;
const MAX_FILE_NAME: usize = 200;

/// An answer as received.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, if any.
    pub content_type: Option<&'a str>,
    /// `Content-Disposition`, if any.
    pub content_disposition: Option<&'a str>,
    /// Whole body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// JSON when it is, text when it is readable, nothing when there is nothing.
    fn value(&self) -> Option<Value> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Some(Value::Null);
        }
        match serde_json::from_slice(self.body) {
            Ok(value) => Some(value),
            Err(_) => std::str::from_utf8(self.body).ok().map(Value::from),
        }
    }

    fn claims_json(&self) -> bool {
        self.content_type.is_some_and(|kind| {
            let kind = kind
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase();
            kind == "application/json" || kind.ends_with("+json")
        })
    }
}

/// The app did not do it. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ActionFailure {
    /// What happened, for the caller.
    pub message: String,
    /// HTTP status of the app's answer.
    pub status: u16,
    /// True when the app no longer accepts the credential.
    pub unauthorized: bool,
    /// True when there is nothing under the given id.
    pub not_found: bool,
    /// A short redacted part of the answer.
    pub excerpt: Option<String>,
}

/// Turns the answer to an action's request into its output. `secrets` is what the request was signed with, so
/// that an app that repeats it in an error does not give it away.
///
/// # Errors
/// [`ActionFailure`] for an error status, for an answer that is a failure by the action's rules, and for one
/// that cannot be read.
pub fn read_answer(
    manifest: &Manifest,
    action: &Action,
    input: &Value,
    secrets: &Credentials,
    answer: Answer<'_>,
) -> Result<Value, ActionFailure> {
    let reader = Reader {
        manifest,
        secrets,
        answer,
    };
    let body = answer.value();
    let scope = Scope {
        input: Some(input),
        output: body.as_ref(),
        ..Scope::default()
    };
    for rule in &action.failures {
        if let Some(message) = reader.failure_by(rule, &scope) {
            return Err(ActionFailure {
                not_found: rule.not_found,
                unauthorized: false,
                ..reader.failure(message)
            });
        }
    }
    if !answer.is_success() {
        return Err(reader.error_status(&scope));
    }
    if action.output == OutputKind::Binary {
        return Ok(binary(&answer));
    }
    let Some(value) = &body else {
        return Ok(binary(&answer));
    };
    if value.is_string() && answer.claims_json() {
        return Err(reader.failure(format!(
            "{} says it sent JSON but it cannot be read",
            manifest.name
        )));
    }
    match &action.output_mapping {
        None => Ok(value.clone()),
        Some(mapping) => formula::evaluate(mapping, &scope)
            .map(Option::unwrap_or_default)
            .map_err(|error| reader.failure(format!("the answer could not be mapped: {error}"))),
    }
}

/// Whether the answer to the test request means that the credential works.
///
/// # Errors
/// [`ActionFailure`] when it does not.
pub fn read_test_answer(
    manifest: &Manifest,
    secrets: &Credentials,
    answer: Answer<'_>,
) -> Result<(), ActionFailure> {
    if answer.is_success() {
        return Ok(());
    }
    let body = answer.value();
    let scope = Scope {
        output: body.as_ref(),
        ..Scope::default()
    };
    Err(Reader {
        manifest,
        secrets,
        answer,
    }
    .error_status(&scope))
}

struct Reader<'a> {
    manifest: &'a Manifest,
    secrets: &'a Credentials,
    answer: Answer<'a>,
}

impl Reader<'_> {
    fn failure(&self, message: String) -> ActionFailure {
        ActionFailure {
            message,
            status: self.answer.status,
            unauthorized: false,
            not_found: false,
            excerpt: self.excerpt(),
        }
    }

    fn error_status(&self, scope: &Scope<'_>) -> ActionFailure {
        let status = self.answer.status;
        let said = self.manifest.errors.messages.iter().find_map(|place| {
            let found = formula::evaluate(place, scope).ok().flatten()?;
            formula::scalar_text(&found).filter(|text| !text.trim().is_empty())
        });
        let message = match said {
            Some(text) => format!(
                "{} answered {status}: {}",
                self.manifest.name,
                self.plain(&text, MAX_MESSAGE)
            ),
            None => format!("{} answered {status}", self.manifest.name),
        };
        ActionFailure {
            unauthorized: self.manifest.errors.unauthorized_statuses.contains(&status),
            not_found: status == 404,
            ..self.failure(message)
        }
    }

    /// The message when the rule holds.
    fn failure_by(&self, rule: &FailureRule, scope: &Scope<'_>) -> Option<String> {
        let status_fits = match rule.status {
            Some(status) => status == self.answer.status,
            None => self.answer.is_success(),
        };
        let found = formula::evaluate(&rule.when, scope).ok()?;
        let holds = match found {
            Some(value) => rule.equals.contains(&value),
            None => rule.equals.is_empty(),
        };
        if !(status_fits && holds) {
            return None;
        }
        let text = formula::evaluate(&rule.message, scope).ok().flatten();
        let text = text
            .as_ref()
            .and_then(formula::scalar_text)
            .unwrap_or_default();
        Some(self.plain(&text, MAX_MESSAGE))
    }

    fn excerpt(&self) -> Option<String> {
        // Masked before it is cut: half a secret is not recognised.
        let text = std::str::from_utf8(self.answer.body).ok()?;
        let excerpt = self.plain(text.get(..64 * 1024).unwrap_or(text), MAX_EXCERPT);
        (!excerpt.is_empty()).then_some(excerpt)
    }

    /// Text of the app made harmless: masked, on one line, short.
    fn plain(&self, text: &str, limit: usize) -> String {
        let masked = self.secrets.mask(text);
        let line = masked.split(|letter: char| letter.is_whitespace() || letter.is_control());
        let line = line
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        match line.char_indices().nth(limit) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

/// The JSON form of bytes.
fn binary(answer: &Answer<'_>) -> Value {
    let mut output = json!({
        "contentType": answer.content_type.unwrap_or("application/octet-stream"),
        "encoding": "base64",
        "size": answer.body.len(),
        "data": STANDARD.encode(answer.body),
    });
    if let Some(name) = answer.content_disposition.and_then(file_name) {
        output["fileName"] = name.into();
    }
    output
}

/// The file name of `Content-Disposition`, without folders and nothing a shell or terminal trips over.
fn file_name(disposition: &str) -> Option<String> {
    let parameters = disposition
        .split(';')
        .skip(1)
        .filter_map(|part| part.trim().split_once('='));
    let (mut plain, mut extended) = (None, None);
    for (name, value) in parameters {
        match name.trim().to_ascii_lowercase().as_str() {
            "filename" => plain = Some(value.trim().trim_matches('"').to_owned()),
            // RFC 8187: charset'language'percent-encoded
            "filename*" => {
                let encoded = value.trim().splitn(3, '\'').nth(2);
                extended =
                    encoded.map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned());
            }
            _ => {}
        }
    }
    let name = extended.or(plain)?;
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name
        .chars()
        .filter(|letter| !letter.is_control())
        .take(MAX_FILE_NAME)
        .collect();
    let name = name.trim_matches(['.', ' ']);
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests;
