//! What a run gave back: `{output, actionRunId}`, where `output` may be a file in JSON form.

use crate::error::{CliError, Result};
use crate::http::Answer;
use crate::json_text;
use crate::output::{Printer, human_size, text_at};
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Prints the result of `action run` or `act`, or saves it.
pub fn print(printer: Printer, answer: &Answer, file: Option<&PathBuf>) -> Result<()> {
    let output = answer.value.get("output").unwrap_or(&Value::Null);
    let run_id = text_at(&answer.value, "/actionRunId");
    match (Binary::of(output)?, file) {
        (Some(binary), Some(path)) => {
            save(path, &binary.bytes)?;
            let size = binary.bytes.len();
            saved(printer, path, size, &binary.content_type, run_id)
        }
        (None, Some(path)) => {
            let text = json_text::pretty(&output.to_string()).unwrap_or_default() + "\n";
            save(path, text.as_bytes())?;
            saved(printer, path, text.len(), "application/json", run_id)
        }
        (_, None) if printer.json => printer.json_text(&answer.text),
        (Some(binary), None) if printer.stdout_is_terminal => {
            let size = human_size(binary.bytes.len() as u64);
            printer.line(format!("{}, {size}, not shown here.", binary.content_type))?;
            printer.hint("add --output FILE to save it");
            Ok(())
        }
        (Some(binary), None) => printer.bytes(&binary.bytes),
        (None, None) => {
            printer
                .line(json_text::pretty(&raw_output(&answer.text, output)).unwrap_or_default())?;
            if let (Some(id), true) = (run_id, printer.stdout_is_terminal) {
                printer.note(format!("Run {id}"));
            }
            Ok(())
        }
    }
}

/// The text of `output` as the server wrote it, numbers untouched.
fn raw_output(text: &str, parsed: &Value) -> String {
    #[derive(serde::Deserialize)]
    struct Raw<'a> {
        #[serde(borrow)]
        output: Option<&'a serde_json::value::RawValue>,
    }
    match serde_json::from_str::<Raw<'_>>(text) {
        Ok(Raw { output: Some(raw) }) => raw.get().to_owned(),
        _ => parsed.to_string(),
    }
}

pub fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes)
        .with_context(|| format!("could not write {}", path.display()))
        .map_err(|error| CliError::local("output_failed", error))
}

fn saved(
    printer: Printer,
    path: &Path,
    size: usize,
    content_type: &str,
    run_id: Option<String>,
) -> Result<()> {
    if printer.json {
        let file =
            json!({"contentType": content_type, "size": size, "file": path.display().to_string()});
        return printer.json_value(&json!({"output": file, "actionRunId": run_id}));
    }
    printer.note(format!(
        "Saved {} ({content_type}) to {}",
        human_size(size as u64),
        path.display()
    ));
    Ok(())
}

/// `{contentType, encoding: "base64", size, data}`, decoded.
struct Binary {
    content_type: String,
    bytes: Vec<u8>,
}

impl Binary {
    fn of(output: &Value) -> Result<Option<Self>> {
        let (Some("base64"), Some(data)) = (
            output.get("encoding").and_then(Value::as_str),
            output.get("data").and_then(Value::as_str),
        ) else {
            return Ok(None);
        };
        let bytes = STANDARD
            .decode(data)
            .context("the output says base64 but is none");
        let bytes = bytes.map_err(|error| CliError::local("bad_output", error))?;
        let content_type =
            text_at(output, "/contentType").unwrap_or_else(|| "application/octet-stream".into());
        Ok(Some(Self {
            content_type,
            bytes,
        }))
    }
}
