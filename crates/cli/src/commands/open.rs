//! `membrane open`

use crate::error::Result;
use crate::session::Session;
use clap::Args;
use percent_encoding::utf8_percent_encode;
use serde_json::json;
use std::io::IsTerminal as _;

const EXAMPLES: &str = "\
Examples:
  membrane open                       the console
  membrane open connections           its list of connections
  membrane open connections con_123   one of them";

/// Open the console in a browser
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct OpenArgs {
    /// Place in the console, outermost first
    #[arg(value_name = "PLACE")]
    place: Vec<String>,
}

pub fn run(session: &Session, args: &OpenArgs) -> Result<()> {
    let settings = &session.settings;
    let base = settings
        .console_uri
        .clone()
        .unwrap_or_else(|| settings.api_uri.origin());
    let encoded = args
        .place
        .iter()
        .flat_map(|word| word.split('/'))
        .filter(|word| !word.is_empty());
    let path: String = encoded
        .map(|word| format!("/{}", utf8_percent_encode(word, crate::http::UNRESERVED)))
        .collect();
    let url = format!(
        "{}{}",
        base.trim_end_matches('/'),
        if path.is_empty() { "/".into() } else { path }
    );
    if session.printer.json {
        return session.printer.json_value(&json!({"url": url}));
    }
    if session.printer.stdout_is_terminal && std::io::stdin().is_terminal() && in_browser(&url) {
        session.printer.note("Opened in your browser:");
    }
    session.printer.line(url)
}

/// Starts the person's browser; `false` when there is none to start. Only web addresses: what a gateway answers must
/// not become a command or a file to open.
pub fn in_browser(url: &str) -> bool {
    let is_web = url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    is_web && open::that_detached(url).is_ok()
}
