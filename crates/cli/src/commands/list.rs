//! What all lists share: `limit`, `cursor`, a table, and how to go on.

use crate::error::Result;
use crate::http::{Answer, Call};
use crate::output::{Printer, first_text, text_at};
use clap::Args;
use serde_json::Value;

#[derive(Debug, Clone, Default, Args)]
pub struct Page {
    /// At most this many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: Option<u16>,
    /// Go on where the last page ended
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
}

impl Page {
    pub fn on<'a>(&self, call: Call<'a>) -> Call<'a> {
        call.query("limit", self.limit)
            .query("cursor", self.cursor.as_ref())
    }
}

/// A column: its head and the places its text may stand, first found wins.
pub type Column = (&'static str, &'static [&'static str]);

/// JSON as it came, or a table and the way to the next page.
pub fn print(printer: Printer, answer: &Answer, columns: &[Column], nothing: &str) -> Result<()> {
    if printer.json {
        return printer.json_text(&answer.text);
    }
    let items = items(&answer.value);
    if items.is_empty() {
        printer.note(nothing);
        return Ok(());
    }
    let head: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let row = |item: &Value| {
        columns
            .iter()
            .map(|(_, places)| first_text(item, places).unwrap_or_default())
            .collect()
    };
    printer.table(&head, items.iter().map(row).collect())?;
    if answer.value.get("nothingFitsWell") == Some(&Value::Bool(true)) {
        printer.hint(
            "nothing fits well; say it in other words, or look at all of them without an intent",
        );
    }
    if let Some(cursor) = text_at(&answer.value, "/cursor") {
        printer.hint(format!("there is more: add --cursor={cursor}"));
    }
    Ok(())
}

/// `{items: […]}`, or a bare array as some endpoints answer.
pub fn items(answer: &Value) -> &[Value] {
    answer
        .get("items")
        .unwrap_or(answer)
        .as_array()
        .map_or(&[], Vec::as_slice)
}
