//! Request bodies: JSON and forms become one tree, and fields are read from it with PHP's leniency.

use axum::{
    body::Body,
    extract::{FromRequest, Multipart, Request},
};
use http::header;
use model::PhoneNumber;
use serde_json::{Map, Value};

use crate::{
    error::{BAD_EMAIL, CoreError, Problems, REQUIRED, bad_number, too_long},
    form,
};

const MAX_BYTES: usize = 2 * 1024 * 1024;

/// The tree of a body. Unknown fields are there and nobody looks at them.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    root: Map<String, Value>,
    /// A file came along.
    pub has_files: bool,
}

/// Reads the body of a write, also of a DELETE. None at all is the same as `{}`.
pub(crate) async fn read(request: Request<Body>) -> Result<Fields, CoreError> {
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
        .to_ascii_lowercase();
    if kind.starts_with("multipart/form-data") {
        return multipart(request).await;
    }
    let bytes = axum::body::to_bytes(request.into_body(), MAX_BYTES)
        .await
        .map_err(|_| CoreError::Malformed)?;
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Ok(Fields {
            root: Map::new(),
            has_files: false,
        });
    }
    let is_form = kind.starts_with("application/x-www-form-urlencoded");
    // Command line clients call JSON a form when nobody stops them.
    let tree = if is_form && !text.starts_with(b"{")
        || !is_form && !kind.contains("json") && !text.starts_with(b"{")
    {
        form::parse(text).map_err(|_| CoreError::Malformed)?
    } else {
        serde_json::from_slice(text).map_err(|_| CoreError::Malformed)?
    };
    match tree {
        Value::Object(root) => Ok(Fields {
            root,
            has_files: false,
        }),
        _ => Err(CoreError::Malformed),
    }
}

async fn multipart(request: Request<Body>) -> Result<Fields, CoreError> {
    let (parts, body) = request.into_parts();
    let body = Body::new(http_body_util::Limited::new(body, MAX_BYTES));
    let mut parts = Multipart::from_request(Request::from_parts(parts, body), &())
        .await
        .map_err(|_| CoreError::Malformed)?;
    let mut tree = form::Tree::default();
    let mut has_files = false;
    while let Some(field) = parts.next_field().await.map_err(|_| CoreError::Malformed)? {
        let name = field.name().unwrap_or_default().to_owned();
        if field.file_name().is_some() {
            has_files = true;
            continue;
        }
        let text = field.text().await.map_err(|_| CoreError::Malformed)?;
        tree.insert(&name, text).map_err(|_| CoreError::Malformed)?;
    }
    match tree.finish() {
        Value::Object(root) => Ok(Fields { root, has_files }),
        _ => Err(CoreError::Malformed),
    }
}

/// A scalar as text. `None` for what is no scalar; null is the empty text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(flag) => Some(if *flag { "1".into() } else { "0".into() }),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

impl Fields {
    #[cfg(test)]
    pub(crate) fn of(value: Value) -> Self {
        let Value::Object(root) = value else {
            panic!("not an object")
        };
        Self {
            root,
            has_files: false,
        }
    }

    /// A sub-object of a list, read the same way.
    fn nested(root: Map<String, Value>) -> Self {
        Self {
            root,
            has_files: false,
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.root.contains_key(name)
    }

    /// Whether the field is there with any content.
    pub(crate) fn says_something(&self, name: &str) -> bool {
        match self.root.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(map)) => !map.is_empty(),
            Some(_) => true,
        }
    }

    /// The field verbatim; `None` when absent, empty when null.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        scalar(self.root.get(name)?)
    }

    /// The field without outer blanks, at most `limit` characters.
    pub(crate) fn limited(
        &self,
        name: &str,
        limit: usize,
        problems: &mut Problems,
    ) -> Option<String> {
        let text = self.text(name)?.trim().to_owned();
        if text.chars().count() > limit {
            problems.add(name, too_long(limit));
        }
        Some(text)
    }

    /// A field that must be there and say something.
    pub(crate) fn required(&self, name: &str, limit: usize, problems: &mut Problems) -> String {
        let text = self.limited(name, limit, problems).unwrap_or_default();
        if text.is_empty() {
            problems.add(name, REQUIRED);
        }
        text
    }

    /// A field that may be absent, but not empty.
    pub(crate) fn not_empty(
        &self,
        name: &str,
        limit: usize,
        problems: &mut Problems,
    ) -> Option<String> {
        self.has(name).then(|| self.required(name, limit, problems))
    }

    /// `true`, `"1"`, `"true"` and their opposites. Anything else is a problem.
    pub(crate) fn flag(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        let text = self.text(name)?;
        match text.trim().to_ascii_lowercase().as_str() {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            "" => None,
            _ => {
                problems.add(name, "Please supply a valid value.");
                None
            }
        }
    }

    /// A whole number; `Some(None)` when sent empty.
    pub(crate) fn integer(&self, name: &str, problems: &mut Problems) -> Option<Option<i64>> {
        let text = self.text(name)?;
        let text = text.trim();
        if text.is_empty() {
            return Some(None);
        }
        let number = text.parse().ok();
        if number.is_none() {
            problems.add(name, "Please supply a valid number.");
        }
        Some(number)
    }

    /// An e-mail address that must be there.
    pub(crate) fn email(&self, name: &str, problems: &mut Problems) -> String {
        let text = self.text(name).unwrap_or_default().trim().to_owned();
        if !is_email(&text) {
            problems.add(name, BAD_EMAIL);
        }
        text
    }

    /// A phone number that must be there.
    pub(crate) fn phone(&self, name: &str, problems: &mut Problems) -> Option<PhoneNumber> {
        let text = self.text(name).unwrap_or_default();
        if text.trim().is_empty() {
            problems.add(name, REQUIRED);
            return None;
        }
        let number = phone_number(&text);
        if number.is_none() {
            problems.add(name, bad_number(&text));
        }
        number
    }

    /// A list of objects such as `ContactNumber`. `None` when absent; an empty text, null or an object
    /// whose values are all empty clears the set; a lone object counts as a list of one.
    pub(crate) fn objects(&self, name: &str, problems: &mut Problems) -> Option<Vec<Fields>> {
        let items = match self.root.get(name)? {
            Value::Null => Vec::new(),
            Value::String(text) if text.trim().is_empty() => Vec::new(),
            Value::Array(items) => items.clone(),
            Value::Object(map)
                if map
                    .keys()
                    .all(|key| key.bytes().all(|byte| byte.is_ascii_digit())) =>
            {
                map.values().cloned().collect()
            }
            object @ Value::Object(_) => vec![object.clone()],
            _ => {
                problems.add(name, "Please supply a valid list.");
                Vec::new()
            }
        };
        let mut list = Vec::new();
        for item in items {
            match item {
                Value::Object(map)
                    if map
                        .values()
                        .all(|value| scalar(value).is_some_and(|text| text.trim().is_empty())) => {}
                Value::Object(map) => list.push(Fields::nested(map)),
                Value::Null => {}
                Value::String(text) if text.trim().is_empty() => {}
                _ => problems.add(name, "Please supply a valid list."),
            }
        }
        Some(list)
    }

    /// A list of names: an array of texts, or one text. `None` when something else is in it.
    pub(crate) fn names(&self, name: &str) -> Option<Vec<String>> {
        let items = match self.root.get(name)? {
            Value::Array(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>()?,
            other => vec![scalar(other)?],
        };
        let names: Vec<String> = items.iter().map(|item| item.trim().to_owned()).collect();
        (!names.iter().any(String::is_empty)).then_some(names)
    }
}

/// A phone number in any spelling. A minus in front makes it a negative number, not a spelling.
pub(crate) fn phone_number(text: &str) -> Option<PhoneNumber> {
    if text.trim().starts_with('-') {
        return None;
    }
    PhoneNumber::parse(text).ok()
}

/// Something before and after one `@`, with a dot in what follows. Whether anybody reads it is not asked.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let labels_fit = domain.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    });
    let local_fits = !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local
            .chars()
            .all(|c| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c));
    local_fits && text.len() <= 254 && domain.contains('.') && labels_fit
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for good in [
            "a@b.sk",
            "first.last+tag@sub.example.test",
            "žofia@příklad.test",
        ] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "", "a", "a@b", "@b.sk", "a@", "a b@c.sk", "a@@b.sk", "a@b..sk", "a@-b.sk", ".a@b.sk",
            "a@b.sk\n",
        ] {
            assert!(!is_email(bad), "{bad:?}");
        }
    }

    #[test]
    fn scalars_are_taken_in_any_dress() {
        let fields = Fields::of(
            json!({"a": "1", "b": true, "c": "false", "d": 0, "e": "", "f": "maybe", "n": "12", "m": 12}),
        );
        let mut problems = Problems::default();
        let flags: Vec<Option<bool>> = ["a", "b", "c", "d", "e", "x"]
            .iter()
            .map(|name| fields.flag(name, &mut problems))
            .collect();
        assert_eq!(
            flags,
            [Some(true), Some(true), Some(false), Some(false), None, None]
        );
        assert_eq!(
            fields.integer("n", &mut problems),
            fields.integer("m", &mut problems)
        );
        assert_eq!(fields.integer("e", &mut problems), Some(None));
        problems.finish().expect("no problem so far");
        let mut problems = Problems::default();
        fields.flag("f", &mut problems);
        assert!(problems.finish().is_err());
    }

    #[test]
    fn a_set_is_cleared_in_each_spelling() {
        for spelling in [
            json!(""),
            json!(null),
            json!([]),
            json!([{"public_number": ""}]),
            json!({"public_number": ""}),
        ] {
            let mut problems = Problems::default();
            let list = Fields::of(json!({"ContactNumber": spelling}))
                .objects("ContactNumber", &mut problems)
                .expect("present");
            assert!(list.is_empty());
            problems.finish().expect("no problem");
        }
        assert!(
            Fields::of(json!({}))
                .objects("ContactNumber", &mut Problems::default())
                .is_none()
        );
    }

    #[test]
    fn phone_numbers_come_as_text_or_number() {
        for value in [
            json!("+421 900 111 222"),
            json!("421900111222"),
            json!(421_900_111_222_u64),
        ] {
            let number = Fields::of(json!({"n": value}))
                .phone("n", &mut Problems::default())
                .expect("valid");
            assert_eq!(number.as_str(), "+421900111222");
        }
        for value in [
            json!("-421900111222"),
            json!("abc"),
            json!(12),
            json!(""),
            json!(null),
            json!([]),
        ] {
            let mut problems = Problems::default();
            assert!(
                Fields::of(json!({"n": value}))
                    .phone("n", &mut problems)
                    .is_none()
            );
            assert!(problems.finish().is_err());
        }
    }
}
