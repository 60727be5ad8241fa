//! Where data and talk go: data to stdout, talk to stderr, and how both look.

use crate::error::{CliError, Result};
use crate::json_text;
use comfy_table::{ContentArrangement, Table, TableStyle};
use owo_colors::OwoColorize as _;
use serde_json::Value;
use std::io::{self, IsTerminal as _, Write as _};

/// Writes what a command has to say. Cheap to make; holds no handle.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    /// Machine-readable answers were asked for.
    pub json: bool,
    pub stdout_is_terminal: bool,
}

impl Printer {
    pub fn new(json: bool) -> Self {
        Self {
            json,
            stdout_is_terminal: io::stdout().is_terminal(),
        }
    }

    /// Plain text on stdout.
    pub fn line(&self, text: impl AsRef<str>) -> Result<()> {
        let mut out = anstream::stdout().lock();
        stdout_result(
            out.write_all(text.as_ref().as_bytes())
                .and_then(|()| out.write_all(b"\n"))
                .and_then(|()| out.flush()),
        )
    }

    /// Bytes on stdout, as they are.
    pub fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        stdout_result(out.write_all(bytes).and_then(|()| out.flush()))
    }

    /// An API answer, unchanged in meaning: indented for eyes, as received for programs.
    pub fn json_text(&self, text: &str) -> Result<()> {
        let text = text.trim();
        match self
            .stdout_is_terminal
            .then(|| json_text::pretty(text))
            .flatten()
        {
            Some(pretty) => self.bytes(format!("{pretty}\n").as_bytes()),
            None => self.bytes(format!("{text}\n").as_bytes()),
        }
    }

    pub fn json_value(&self, value: &Value) -> Result<()> {
        self.json_text(&value.to_string())
    }

    /// Columns without lines around them, headed by small words.
    pub fn table(&self, head: &[&str], rows: Vec<Vec<String>>) -> Result<()> {
        let mut table = Table::new();
        table
            .load_style(TableStyle::new())
            .set_content_arrangement(ContentArrangement::Dynamic);
        if !self.stdout_is_terminal {
            // A pipe has no width: wrapping would break what grep and awk look for.
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        table.set_header(
            head.iter()
                .map(|cell| cell.to_uppercase())
                .collect::<Vec<_>>(),
        );
        for row in rows {
            table.add_row(
                row.into_iter()
                    .map(|cell| one_line(&cell))
                    .collect::<Vec<_>>(),
            );
        }
        let text = table.to_string();
        let lines = text
            .lines()
            .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
        self.line(lines.collect::<Vec<_>>().join("\n"))
    }

    /// `Name  value` pairs; pairs without a value are left out.
    pub fn pairs(&self, pairs: &[(&str, Option<String>)]) -> Result<()> {
        let width = pairs
            .iter()
            .filter(|(_, value)| value.is_some())
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or(0);
        for (name, value) in pairs {
            if let Some(value) = value {
                self.line(format!("{:<width$}  {}", name, clean(value)))?;
            }
        }
        Ok(())
    }

    /// Talk: progress and advice, never data.
    pub fn note(&self, text: impl AsRef<str>) {
        talk(text.as_ref());
    }

    pub fn hint(&self, text: impl AsRef<str>) {
        talk(&format!("{} {}", "hint:".cyan().bold(), text.as_ref()));
    }

    pub fn warning(&self, text: impl AsRef<str>) {
        talk(&format!("{} {}", "warning:".yellow().bold(), text.as_ref()));
    }

    /// The end of a failed command.
    pub fn error(&self, error: &CliError) {
        if matches!(error, CliError::StdoutClosed) {
            return;
        }
        if self.json
            && let Some(body) = error.to_json()
        {
            // Nobody is left to tell when stdout is gone too.
            let _ = self.json_value(&body);
            return;
        }
        talk(&format!(
            "{} {}",
            "error:".red().bold(),
            clean(&error.message())
        ));
        for cause in error.causes() {
            talk(&format!("  {} {}", "caused by:".red(), clean(&cause)));
        }
        if let Some(hint) = error.hint_text() {
            self.hint(clean(hint));
        }
    }
}

fn talk(text: &str) {
    let mut err = anstream::stderr().lock();
    // stderr closed: the exit code still tells.
    let _ = err
        .write_all(text.as_bytes())
        .and_then(|()| err.write_all(b"\n"));
}

fn stdout_result(result: io::Result<()>) -> Result<()> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => CliError::StdoutClosed,
        _ => CliError::local(
            "output_failed",
            anyhow::Error::new(error).context("could not write to standard output"),
        ),
    })
}

/// Text from elsewhere must not drive the terminal: escape sequences in a name could hide or forge what is shown.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

fn one_line(text: &str) -> String {
    clean(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A member of an answer as text: strings bare, other scalars as JSON, nothing for null.
pub fn text_at(value: &Value, pointer: &str) -> Option<String> {
    match value.pointer(pointer)? {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// As [`text_at`], with the first of several places that has something.
pub fn first_text(value: &Value, pointers: &[&str]) -> Option<String> {
    pointers.iter().find_map(|pointer| text_at(value, pointer))
}

/// 32044 → `32.0 kB`.
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let mut size = bytes as f64 / 1000.0;
    let mut unit = 0;
    while size >= 999.95 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_naturally() {
        assert_eq!(human_size(0), "0 bytes");
        assert_eq!(human_size(999), "999 bytes");
        assert_eq!(human_size(32_044), "32.0 kB");
        assert_eq!(human_size(999_960), "1.0 MB");
    }

    #[test]
    fn escape_sequences_from_elsewhere_are_defused() {
        assert_eq!(clean("a\u{1b}[2Jb\r"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
