//! What the folder one stands in says: `.membrane/config.json` and `membrane.config.yml`, found by walking up.

use crate::error::{CliError, Result};
use crate::secret::Secret;
use anyhow::Context as _;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

pub const FOLDER: &str = ".membrane";
pub const FOLDER_CONFIG: &str = "config.json";
pub const YAML_CONFIG: &str = "membrane.config.yml";

/// Both files' members; the spelling is the published one. Unknown members belong to other tools and are left alone.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Project {
    pub workspace_key: Option<String>,
    pub workspace_secret: Option<Secret>,
    pub tenant_key: Option<String>,
    pub test_customer_id: Option<String>,
    pub api_uri: Option<String>,
    pub console_uri: Option<String>,
    pub access_token: Option<Secret>,
}

impl Project {
    /// The nearest folder at or above `start` that has one of the files. The home folder is not a project:
    /// its `.membrane` holds the login.
    pub fn find(start: &Path, home: Option<&Path>) -> Result<Self> {
        for folder in start.ancestors() {
            if home == Some(folder) {
                break;
            }
            let json = folder.join(FOLDER).join(FOLDER_CONFIG);
            let yaml = folder.join(YAML_CONFIG);
            if json.is_file() || yaml.is_file() {
                let first = if json.is_file() {
                    read_json(&json)?
                } else {
                    Self::default()
                };
                let second = if yaml.is_file() {
                    read_yaml(&yaml)?
                } else {
                    Self::default()
                };
                return Ok(first.or(second));
            }
        }
        Ok(Self::default())
    }

    fn or(self, other: Self) -> Self {
        Self {
            workspace_key: self.workspace_key.or(other.workspace_key),
            workspace_secret: self.workspace_secret.or(other.workspace_secret),
            tenant_key: self.tenant_key.or(other.tenant_key),
            test_customer_id: self.test_customer_id.or(other.test_customer_id),
            api_uri: self.api_uri.or(other.api_uri),
            console_uri: self.console_uri.or(other.console_uri),
            access_token: self.access_token.or(other.access_token),
        }
    }
}

fn read_json(path: &Path) -> Result<Project> {
    let text = read(path)?;
    serde_json::from_str(&text).map_err(|error| broken(path.to_owned(), error.into()))
}

fn read_yaml(path: &Path) -> Result<Project> {
    let text = read(path)?;
    let object = flat_yaml(&text).map_err(|error| broken(path.to_owned(), error))?;
    serde_json::from_value(object).map_err(|error| broken(path.to_owned(), error.into()))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path)
        .with_context(|| format!("could not read {}", path.display()))
        .map_err(|error| CliError::local("bad_project_file", error))
}

fn broken(path: PathBuf, error: anyhow::Error) -> CliError {
    CliError::local(
        "bad_project_file",
        error.context(format!("{} is not usable", path.display())),
    )
    .hint("correct the file, or write it again with `membrane workspace init`")
}

/// The file is a flat list of `name: value`; a YAML library would bring far more language than it uses.
/// Nested blocks of other tools are skipped.
fn flat_yaml(text: &str) -> anyhow::Result<serde_json::Value> {
    let mut object = serde_json::Map::new();
    for (index, line) in text.lines().enumerate() {
        let blank =
            line.trim().is_empty() || line.trim_start().starts_with('#') || line.starts_with("---");
        if blank || line.starts_with([' ', '\t', '-']) {
            continue;
        }
        let (name, value) = line
            .split_once(':')
            .with_context(|| format!("line {} is not `name: value`", index + 1))?;
        if let Some(value) = scalar(value.trim()).with_context(|| format!("line {}", index + 1))? {
            object.insert(
                name.trim().trim_matches(['"', '\'']).to_owned(),
                value.into(),
            );
        }
    }
    Ok(object.into())
}

fn scalar(text: &str) -> anyhow::Result<Option<String>> {
    for quote in ['"', '\''] {
        if let Some(rest) = text.strip_prefix(quote) {
            let (inside, _) = rest.split_once(quote).context("a quote is not closed")?;
            return Ok(Some(inside.to_owned()));
        }
    }
    let bare = text.split(" #").next().unwrap_or("").trim();
    Ok(
        (!bare.is_empty() && !bare.starts_with('#') && bare != "~" && bare != "null")
            .then(|| bare.to_owned()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_flat_yaml_of_the_sdk() {
        let text = "# ours\nworkspaceKey: ws-1 # key\nworkspaceSecret: \"a: b # c\"\napiUri: 'http://h:1/m'\ntestCustomerId:\nother:\n  nested: 1\n";
        let object = flat_yaml(text).unwrap();
        assert_eq!(
            object,
            serde_json::json!({"workspaceKey": "ws-1", "workspaceSecret": "a: b # c", "apiUri": "http://h:1/m"})
        );
        assert!(
            flat_yaml("workspaceKey \"x\"")
                .unwrap_err()
                .to_string()
                .contains("line 1")
        );
    }

    #[test]
    fn the_nearest_folder_wins_and_home_is_no_project() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("home/project/deep");
        fs::create_dir_all(deep.join("..").join(FOLDER)).unwrap();
        fs::create_dir_all(dir.path().join("home").join(FOLDER)).unwrap();
        fs::write(
            dir.path().join("home/.membrane/config.json"),
            r#"{"tenantKey":"home"}"#,
        )
        .unwrap();
        let home = dir.path().join("home");
        assert!(
            Project::find(&deep, Some(&home))
                .unwrap()
                .tenant_key
                .is_none()
        );
        fs::write(
            dir.path().join("home/project/.membrane/config.json"),
            r#"{"tenantKey":"project"}"#,
        )
        .unwrap();
        assert_eq!(
            Project::find(&deep, Some(&home))
                .unwrap()
                .tenant_key
                .as_deref(),
            Some("project")
        );
    }
}
