//! `membrane workspace …`: a workspace's elements as a file beside the code that uses them.

use super::run_output::save;
use crate::credentials::write_private;
use crate::error::{CliError, Result};
use crate::http::Call;
use crate::input::selector;
use crate::json_text;
use crate::project::YAML_CONFIG;
use crate::session::Session;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

#[derive(Debug, Subcommand)]
pub enum WorkspaceCommand {
    Init(InitArgs),
    /// Fetch the workspace's elements into a file
    Pull,
    /// Send the file's elements to the workspace
    Push,
    /// Show which elements differ between the file and the workspace
    Diff,
}

const INIT: &str = "\
Examples:
  membrane workspace init --key my-workspace --secret \"$SECRET\"

Writes membrane.config.yml (readable by you only) in this folder. It holds the secret: keep it out of version control.";

/// Tie this folder to a workspace
#[derive(Debug, Args)]
#[command(after_help = INIT)]
pub struct InitArgs {
    /// Key of the workspace
    #[arg(long, value_parser = selector)]
    key: String,
    /// Secret of the workspace
    #[arg(long, value_parser = selector)]
    secret: String,
}

const FILE: &str = "membrane.workspace.json";

pub fn run(session: &Session, command: WorkspaceCommand) -> Result<()> {
    match command {
        WorkspaceCommand::Init(args) => init(session, &args),
        WorkspaceCommand::Pull => pull(session),
        WorkspaceCommand::Push => push(session),
        WorkspaceCommand::Diff => diff(session),
    }
}

/// The commands' names of old, without `workspace` in front.
pub fn run_old(session: &Session, command: WorkspaceCommand) -> Result<()> {
    let name = match &command {
        WorkspaceCommand::Init(_) => "init",
        WorkspaceCommand::Pull => "pull",
        WorkspaceCommand::Push => "push",
        WorkspaceCommand::Diff => "diff",
    };
    session.printer.warning(format!(
        "`membrane {name}` is the old name of `membrane workspace {name}`"
    ));
    run(session, command)
}

fn init(session: &Session, args: &InitArgs) -> Result<()> {
    let path = Path::new(YAML_CONFIG);
    if path.exists() {
        let error = anyhow::Error::msg(format!("{YAML_CONFIG} is already there"));
        return Err(CliError::local("already_exists", error).hint("remove it first, or edit it"));
    }
    for (flag, value) in [("--key", &args.key), ("--secret", &args.secret)] {
        if value.contains(['"', '\n', '\r']) {
            return Err(CliError::usage(format!(
                "{flag} holds a quote or a line break, which no key or secret has"
            )));
        }
    }
    let api_uri = session.settings.api_uri.as_str();
    let text = format!(
        "workspaceKey: \"{}\"\nworkspaceSecret: \"{}\"\napiUri: \"{api_uri}\"\n",
        args.key, args.secret
    );
    write_private(path, text.as_bytes())
        .with_context(|| format!("could not write {YAML_CONFIG}"))
        .map_err(|error| CliError::local("output_failed", error))?;
    report(session, "Wrote", YAML_CONFIG)
}

fn pull(session: &Session) -> Result<()> {
    let export = export(session)?;
    let text = json_text::pretty(&export.to_string()).unwrap_or_default() + "\n";
    save(Path::new(FILE), text.as_bytes())?;
    report(session, "Pulled into", FILE)
}

fn push(session: &Session) -> Result<()> {
    let text = read_file()?;
    let answer = session
        .send(Call::post(&["import"]).json_text(text))
        .map_err(not_offered)?;
    if session.printer.json {
        session.printer.json_text(&answer.text)
    } else {
        session.printer.line(format!("Pushed {FILE}."))
    }
}

fn diff(session: &Session) -> Result<()> {
    let here: Value = serde_json::from_str(&read_file()?).expect("checked when it was read");
    let there = export(session)?;
    let changes = changes(&here, &there);
    if session.printer.json {
        return session.printer.json_value(&json!({"changes": changes}));
    }
    if changes.is_empty() {
        return session.printer.line("No differences.");
    }
    changes
        .iter()
        .try_for_each(|change| session.printer.line(crate::output::clean(change)))
}

/// `+ name` is only in the file, `- name` only in the workspace, `~ name` in both but not alike.
fn changes(here: &Value, there: &Value) -> Vec<String> {
    let (mut lines, mut names) = (Vec::new(), BTreeSet::new());
    let (here, there) = (elements(here), elements(there));
    names.extend(here.iter().chain(&there).map(|(name, _)| name.clone()));
    let find = |list: &[(String, Value)], name: &str| {
        list.iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.clone())
    };
    for name in names {
        match (find(&here, &name), find(&there, &name)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(_), Some(_)) => lines.push(format!("~ {name}")),
            (Some(_), None) => lines.push(format!("+ {name}")),
            (None, _) => lines.push(format!("- {name}")),
        }
    }
    lines
}

/// The elements by a name that stays the same over time: `actions/list-tags`.
fn elements(export: &Value) -> Vec<(String, Value)> {
    let Some(families) = export.as_object() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (family, content) in families {
        match content.as_array() {
            None => found.push((family.clone(), content.clone())),
            Some(items) => found.extend(items.iter().enumerate().map(|(index, item)| {
                let name = crate::output::first_text(item, &["/key", "/uuid", "/id"])
                    .unwrap_or_else(|| index.to_string());
                (format!("{family}/{name}"), item.clone())
            })),
        }
    }
    found
}

fn export(session: &Session) -> Result<Value> {
    Ok(session
        .send(Call::get(&["export"]))
        .map_err(not_offered)?
        .value)
}

fn not_offered(error: CliError) -> CliError {
    match error {
        CliError::Api { status: 404, .. } => CliError::local(
            "not_offered",
            anyhow::Error::msg("this gateway does not offer export and import yet"),
        ),
        other => other,
    }
}

fn read_file() -> Result<String> {
    let text = std::fs::read_to_string(FILE)
        .with_context(|| format!("could not read {FILE}"))
        .map_err(|error| {
            CliError::local("unreadable_input", error).hint("`membrane workspace pull` writes it")
        })?;
    if json_text::is_json(&text) {
        return Ok(text);
    }
    Err(CliError::local(
        "unreadable_input",
        anyhow::Error::msg(format!("{FILE} is not valid JSON")),
    ))
}

fn report(session: &Session, verb: &str, file: &str) -> Result<()> {
    if session.printer.json {
        session.printer.json_value(&json!({"file": file}))
    } else {
        session.printer.line(format!("{verb} {file}."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_by_element() {
        let here = json!({"actions": [{"key": "a", "x": 1}, {"key": "new"}], "v": 1});
        let there = json!({"actions": [{"key": "a", "x": 2}, {"key": "old"}], "v": 1});
        assert_eq!(
            changes(&here, &there),
            ["~ actions/a", "+ actions/new", "- actions/old"]
        );
        assert!(changes(&here, &here).is_empty());
    }
}
