//! Putting the credential into a request, and keeping it out of everything else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{PreparedRequest, RequestError, checked_header};
use crate::formula::{self, Scope};
use crate::manifest::AuthOption;

/// Shorter values are not masked: every text holds a "1".
const MIN_MASKED: usize = 6;
const MASK: &str = "***";

/// What a connection signs in with. `Debug` shows nothing.
#[derive(Clone, Default)]
pub struct Credentials(Value);

impl Credentials {
    /// Wraps the opened credential: an object of field name to value.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    /// `text` with every form in which a request carries this credential replaced by `***`.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mut values = Vec::new();
        collect_texts(&self.0, &mut values);
        let mut forms = Vec::new();
        for value in &values {
            forms.extend([
                (*value).to_owned(),
                STANDARD.encode(value),
                utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
                // As it stands inside JSON text.
                Value::from(*value).to_string().trim_matches('"').to_owned(),
            ]);
            // HTTP Basic joins two of them.
            forms.extend(
                values
                    .iter()
                    .map(|other| STANDARD.encode(format!("{value}:{other}"))),
            );
        }
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.iter().fold(text.to_owned(), |text, form| {
            text.replace(form.as_str(), MASK)
        })
    }

    fn evaluate(&self, template: &Value, what: &str) -> Result<String, RequestError> {
        let scope = Scope {
            credentials: Some(&self.0),
            ..Scope::default()
        };
        formula::evaluate(template, &scope)?
            .as_ref()
            .and_then(formula::scalar_text)
            .filter(|text| !text.is_empty() && !text.contains(char::is_control))
            .ok_or_else(|| RequestError::Credential(what.to_owned()))
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

fn collect_texts<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if text.len() >= MIN_MASKED => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(members) => members
            .values()
            .for_each(|member| collect_texts(member, texts)),
        _ => {}
    }
}

/// Adds the credential last, over anything of the same name.
pub(super) fn apply(
    auth: &AuthOption,
    credentials: &Credentials,
    request: &mut PreparedRequest,
) -> Result<(), RequestError> {
    let placement = &auth.apply;
    if let Some(basic) = &placement.basic {
        let username = credentials.evaluate(&basic.username, "user name")?;
        // RFC 7617: the first colon ends the user name.
        if username.contains(':') {
            return Err(RequestError::Credential("user name".to_owned()));
        }
        let password = credentials.evaluate(&basic.password, "password")?;
        set_header(
            request,
            "authorization",
            format!(
                "Basic {}",
                STANDARD.encode(format!("{username}:{password}"))
            ),
        )?;
    }
    if let Some(bearer) = &placement.bearer {
        let token = credentials.evaluate(bearer, "token")?;
        set_header(request, "authorization", format!("Bearer {token}"))?;
    }
    for (name, template) in &placement.headers {
        let value = credentials.evaluate(template, name)?;
        set_header(request, name, value)?;
    }
    if !placement.query.is_empty() {
        remove_query(&mut request.url, |name| placement.query.contains_key(name));
        for (name, template) in &placement.query {
            let value = credentials.evaluate(template, name)?;
            request.url.query_pairs_mut().append_pair(name, &value);
        }
    }
    Ok(())
}

fn set_header(
    request: &mut PreparedRequest,
    name: &str,
    value: String,
) -> Result<(), RequestError> {
    let (name, value) = checked_header(name, value)?;
    request.headers.retain(|(other, _)| *other != name);
    request.headers.push((name, value));
    Ok(())
}

/// Removes pairs by decoded name and leaves the others byte for byte.
fn remove_query(url: &mut url::Url, unwanted: impl Fn(&str) -> bool) {
    let Some(query) = url.query() else { return };
    let is_unwanted = |pair: &str| {
        url::form_urlencoded::parse(pair.as_bytes())
            .next()
            .is_some_and(|(name, _)| unwanted(&name))
    };
    let kept: Vec<_> = query.split('&').filter(|pair| !is_unwanted(pair)).collect();
    let kept = (!kept.is_empty()).then(|| kept.join("&"));
    url.set_query(kept.as_deref());
}
