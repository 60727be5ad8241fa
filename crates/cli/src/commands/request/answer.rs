//! The app's answer, printed: JSON indented, bytes as bytes, never bytes onto a terminal.

use crate::error::{CliError, Result, status_text};
use crate::http::{StatusCode, Streamed, refused};
use crate::json_text;
use crate::output::{Printer, human_size};
use crate::session::Session;
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

pub fn print(session: &Session, mut received: Streamed<'_>, file: Option<&Path>) -> Result<()> {
    let status = received.status();
    let kind = content_type(received.headers());
    if status.is_success() {
        match file {
            Some(path) => return save(session.printer, &mut received, path, &kind),
            None if !session.printer.json && !may_be_json(&kind) => {
                return pass_on(session.printer, &mut received, &kind);
            }
            None => {}
        }
    }
    let headers = received.headers().clone();
    let body = read_all(&mut received)?;
    if let Some(error) = gateways_own(session, status, &body) {
        return Err(error);
    }
    if session.printer.json {
        session
            .printer
            .json_text(&envelope(status, &headers, &body, &kind))?;
    } else {
        show(session.printer, &body, &kind)?;
    }
    if status.is_success() {
        return Ok(());
    }
    if session.printer.json {
        // The envelope already says it on stdout; a second object there would break its reader.
        session
            .printer
            .note(format!("the app answered {}", status_text(status.as_u16())));
    }
    Err(CliError::Upstream {
        status: status.as_u16(),
    })
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Text is read whole too, because some APIs call their JSON text.
fn may_be_json(kind: &str) -> bool {
    kind.is_empty()
        || kind.starts_with("text/")
        || kind == "application/json"
        || kind.ends_with("+json")
}

/// An error of the gateway rather than of the app: its types are a closed list, and it names what it could not do.
/// Apps are free to answer alike; then their answer is told in their own words all the same.
fn gateways_own(session: &Session, status: StatusCode, body: &[u8]) -> Option<CliError> {
    if status.is_success() {
        return None;
    }
    let value: Value = serde_json::from_slice(body).ok()?;
    let kind = value.get("type")?.as_str()?;
    value.get("message")?.as_str()?;
    let ours = [
        "bad_request",
        "connection",
        "configuration",
        "dependency_error",
        "custom_code",
        "action_run",
        "concurrency",
        "internal",
    ];
    ours.contains(&kind)
        .then(|| refused(status, Some(value.clone()), &session.settings.api_uri))
}

fn read_all(received: &mut Streamed<'_>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = received.chunk()? {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The answer goes beside the file first, so that a broken transfer leaves no half file under the good name.
fn save(printer: Printer, received: &mut Streamed<'_>, path: &Path, kind: &str) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = Path::new(&beside);
    let written = write_to(received, beside).and_then(|size| {
        let renamed = std::fs::rename(beside, path)
            .with_context(|| format!("could not write {}", path.display()));
        renamed
            .map(|()| size)
            .map_err(|error| CliError::local("output_failed", error))
    });
    let size = match written {
        Ok(size) => size,
        Err(error) => {
            let _ = std::fs::remove_file(beside);
            return Err(error);
        }
    };
    let status = received.status().as_u16();
    if printer.json {
        let headers = header_object(received.headers());
        let data = json!({"contentType": kind, "size": size, "file": path.display().to_string()});
        return printer.json_value(&json!({"status": status, "headers": headers, "data": data}));
    }
    let kind = if kind.is_empty() {
        String::new()
    } else {
        format!(" ({kind})")
    };
    printer.note(format!(
        "Saved {}{kind} to {}",
        human_size(size),
        path.display()
    ));
    Ok(())
}

fn write_to(received: &mut Streamed<'_>, path: &Path) -> Result<u64> {
    let failed = |error: std::io::Error| {
        let error =
            anyhow::Error::new(error).context(format!("could not write {}", path.display()));
        CliError::local("output_failed", error)
    };
    let mut file = File::create(path).map_err(failed)?;
    let mut size = 0;
    while let Some(chunk) = received.chunk()? {
        file.write_all(&chunk).map_err(failed)?;
        size += chunk.len() as u64;
    }
    Ok(size)
}

/// Bytes that are no text go to a pipe as they come, and to a terminal not at all.
fn pass_on(printer: Printer, received: &mut Streamed<'_>, kind: &str) -> Result<()> {
    if printer.stdout_is_terminal {
        let length = received
            .headers()
            .get("content-length")
            .and_then(|value| value.to_str().ok()?.parse().ok());
        return not_shown(printer, kind, length);
    }
    while let Some(chunk) = received.chunk()? {
        printer.bytes(&chunk)?;
    }
    Ok(())
}

fn not_shown(printer: Printer, kind: &str, size: Option<u64>) -> Result<()> {
    let kind = if kind.is_empty() { "binary data" } else { kind };
    let size = size
        .map(|bytes| format!(", {}", human_size(bytes)))
        .unwrap_or_default();
    printer.line(format!("{kind}{size}, not shown here."))?;
    printer.hint("add --output FILE to save it");
    Ok(())
}

fn show(printer: Printer, body: &[u8], kind: &str) -> Result<()> {
    match std::str::from_utf8(body) {
        Ok(text) => match json_text::pretty(text) {
            Some(pretty) => printer.bytes(format!("{pretty}\n").as_bytes()),
            None if printer.stdout_is_terminal => {
                let newline = if text.is_empty() || text.ends_with('\n') {
                    ""
                } else {
                    "\n"
                };
                printer.bytes(format!("{}{newline}", crate::output::clean(text)).as_bytes())
            }
            None => printer.bytes(body),
        },
        Err(_) if printer.stdout_is_terminal => not_shown(printer, kind, Some(body.len() as u64)),
        Err(_) => printer.bytes(body),
    }
}

/// `{status, headers, data}`, where `data` is the app's JSON word for word, or its text, or its bytes in base64.
fn envelope(status: StatusCode, headers: &HeaderMap, body: &[u8], kind: &str) -> String {
    let data = match std::str::from_utf8(body) {
        Ok("") => "null".to_owned(),
        Ok(text) if json_text::is_json(text) => text.trim().to_owned(),
        Ok(text) => Value::from(text).to_string(),
        Err(_) => json!({"contentType": kind, "encoding": "base64", "size": body.len(), "data": STANDARD.encode(body)}).to_string(),
    };
    format!(
        r#"{{"status":{},"headers":{},"data":{data}}}"#,
        status.as_u16(),
        header_object(headers)
    )
}

/// Repeated headers are joined as RFC 9110 §5.2 says.
fn header_object(headers: &HeaderMap) -> Value {
    let mut object = Map::new();
    for name in headers.keys() {
        let values = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        object.insert(
            name.to_string(),
            values.collect::<Vec<_>>().join(", ").into(),
        );
    }
    Value::Object(object)
}
