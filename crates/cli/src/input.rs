//! Values people type: JSON, `k=v` pairs, `@file`.

use crate::error::{CliError, Result};
use crate::json_text;
use anyhow::Context as _;
use std::fs;
use std::io::Read as _;

/// JSON given to `flag`: in place, or `@FILE`, or `@-` for standard input. The text is checked and kept as it is.
pub fn json_argument(flag: &str, text: &str) -> Result<String> {
    let (text, origin) = match text.strip_prefix('@') {
        Some(name) => {
            let bytes = read_named(name)?;
            let text = String::from_utf8(bytes)
                .map_err(|_| CliError::usage(format!("{flag}: {name} is not UTF-8 text")))?;
            (text, format!(" in {name}"))
        }
        None => (text.to_owned(), String::new()),
    };
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(error) => {
            // The parser's own words end with the place; it is said once, in front.
            let why = error.to_string();
            let why = why.split(" at line ").next().unwrap_or_default();
            let place = format!("line {}, column {}", error.line(), error.column());
            Err(CliError::usage(format!(
                "{flag} is not valid JSON{origin}: {why} at {place}"
            ))
            .hint(json_hint(&text)))
        }
    }
}

fn json_hint(text: &str) -> String {
    let text = text.trim();
    if text.contains('\'') && !text.contains('"') {
        "JSON wants double quotes around names and text; put single quotes around the whole: '{\"key\": \"value\"}'".into()
    } else if text.starts_with('{') && !text.contains('"') {
        "the shell removed the double quotes: put single quotes around the whole, as in '{\"key\": \"value\"}'".into()
    } else {
        "an object looks like '{\"key\": \"value\"}'; @FILE reads it from a file, @- from standard input".into()
    }
}

/// The JSON must be an object, as for action input.
pub fn json_object_argument(flag: &str, text: &str) -> Result<String> {
    let json = json_argument(flag, text)?;
    if json.trim_start().starts_with('{') {
        return Ok(json);
    }
    Err(CliError::usage(format!("{flag} must be a JSON object"))
        .hint("for example '{\"key\": \"value\"}'"))
}

/// `-` is standard input.
pub fn read_named(name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match name {
        "-" => std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("could not read standard input"),
        path => fs::read(path)
            .map(|content| bytes = content)
            .map(|()| 0)
            .with_context(|| format!("could not read {path}")),
    };
    read.map_err(|error| CliError::local("unreadable_input", error))?;
    Ok(bytes)
}

/// `name=value`; only the first `=` divides.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as name=value".to_owned()),
    }
}

/// An id, key or address: anything but nothing, because nothing would name the whole list.
pub fn selector(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("it must not be empty".into())
    } else {
        Ok(text.to_owned())
    }
}

/// `Name: value`, as HTTP writes it.
pub fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as `Name: value`")?;
    let (name, value) = (name.trim(), value.trim());
    reqwest::header::HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("`{name}` cannot be a header name"))?;
    reqwest::header::HeaderValue::from_str(value)
        .map_err(|_| "the value holds characters no header can carry".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `90s`, `5m`, `24h`, `7d`, in seconds.
pub fn duration(text: &str) -> Result<i64, String> {
    let wrong = || "write it as a number and a unit: 90s, 5m, 1h, 24h, 7d".to_owned();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let seconds = number
        .parse::<i64>()
        .ok()
        .and_then(|count| count.checked_mul(factor))
        .ok_or_else(wrong)?;
    if seconds == 0 || seconds > 3650 * 86_400 {
        Err("it must be more than nothing and at most ten years".into())
    } else {
        Ok(seconds)
    }
}

/// `{"name":<json>,…}` from parts that are JSON text already, so that no number is rounded on the way.
pub fn object_of(parts: &[(&str, String)]) -> String {
    let members: Vec<_> = parts
        .iter()
        .map(|(name, json)| format!("{}:{json}", serde_json::Value::from(*name)))
        .collect();
    debug_assert!(json_text::is_json(&format!("{{{}}}", members.join(","))));
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_json_names_the_place_and_the_remedy() {
        let error = json_argument("--input", "{\"a\": 1,\n \"b\" 2}").unwrap_err();
        assert_eq!(
            error.message(),
            "--input is not valid JSON: expected `:` at line 2, column 6"
        );
        let error = json_argument("--input", "{key: value}").unwrap_err();
        assert!(
            error.hint_text().unwrap().contains("the shell removed"),
            "{:?}",
            error.hint_text()
        );
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn durations_are_numbers_with_units() {
        assert_eq!(duration("5m"), Ok(300));
        assert_eq!(duration("24h"), Ok(86_400));
        for bad in [
            "",
            "5",
            "m",
            "5x",
            "0s",
            "-1h",
            "99999999999999999999h",
            "1h30m",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pairs_split_once() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("=b").is_err());
        assert!(pair("ab").is_err());
    }
}
