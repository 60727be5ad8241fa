//! The folder `~/.membrane`: who is logged in where. Files are 0600, the folder 0700, and every write is a rename,
//! so that a crash leaves the old or the new file and never half of one.

use crate::error::{CliError, Result};
use crate::secret::Secret;
use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const CREDENTIALS: &str = "credentials.json";
const PENDING: &str = "pending-login.json";
const LOCK: &str = "credentials.lock";

/// What a login is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    Tenant,
    PlatformUser,
}

impl TokenKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::PlatformUser => "platform-user",
        }
    }
}

/// One login at one gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    pub access_token: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// Unix seconds; `None` when the gateway named no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    pub token_kind: TokenKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// Tenant tokens a person's login was exchanged for, by `workspace/tenant`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub derived: BTreeMap<String, Secret>,
}

/// Logins are kept by the address that issued them: a token never travels to another gateway because a project
/// file or a flag named one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Credentials {
    /// The gateway of the last login, used when nothing else names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_uri: Option<String>,
    pub logins: BTreeMap<String, Login>,
}

/// A headless login between `login` and `login complete`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingLogin {
    pub api_uri: String,
    pub code_verifier: Secret,
    pub redirect_uri: String,
    pub token_kind: TokenKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
}

/// The folder itself.
#[derive(Debug, Clone)]
pub struct CredentialStore {
    folder: PathBuf,
}

impl CredentialStore {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub fn load(&self) -> Result<Credentials> {
        Ok(self.read(CREDENTIALS)?.unwrap_or_default())
    }

    /// Changes the file while no other `membrane` does; `change` sees what is on disk now, not what was read earlier.
    pub fn update<T>(&self, change: impl FnOnce(&mut Credentials) -> Result<T>) -> Result<T> {
        let _lock = self.lock()?;
        let mut credentials = self.load()?;
        let outcome = change(&mut credentials)?;
        self.write(CREDENTIALS, &credentials)?;
        Ok(outcome)
    }

    /// Held while a rotating refresh token is in flight: two commands spending the same one would look like theft.
    pub fn lock(&self) -> Result<File> {
        self.make_folder()?;
        let path = self.folder.join(LOCK);
        let file =
            open_private(&path).with_context(|| format!("could not open {}", path.display()));
        let file = file.map_err(|error| CliError::local("credentials_file", error))?;
        file.lock()
            .with_context(|| format!("could not lock {}", path.display()))
            .map_err(|error| CliError::local("credentials_file", error))?;
        Ok(file)
    }

    /// Only for callers that hold [`Self::lock`].
    pub fn save_locked(&self, _lock: &File, credentials: &Credentials) -> Result<()> {
        self.write(CREDENTIALS, credentials)
    }

    pub fn pending(&self) -> Result<Option<PendingLogin>> {
        self.read(PENDING)
    }

    pub fn save_pending(&self, pending: &PendingLogin) -> Result<()> {
        self.write(PENDING, pending)
    }

    pub fn clear_pending(&self) -> Result<()> {
        let path = self.folder.join(PENDING);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let error = anyhow::Error::new(error)
                    .context(format!("could not remove {}", path.display()));
                Err(CliError::local("credentials_file", error))
            }
            _ => Ok(()),
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.folder.join(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let error =
                    anyhow::Error::new(error).context(format!("could not read {}", path.display()));
                return Err(CliError::local("credentials_file", error));
            }
        };
        // serde's message may quote the offending value; the position alone cannot leak a token.
        serde_json::from_str(&text).map(Some).map_err(|error| {
            let place = format!("{} is damaged at line {}", path.display(), error.line());
            CliError::local("credentials_file", anyhow::Error::msg(place))
                .hint("remove the file and run `membrane login` again")
        })
    }

    fn write<T: Serialize>(&self, name: &str, content: &T) -> Result<()> {
        self.make_folder()?;
        let path = self.folder.join(name);
        let text =
            serde_json::to_string_pretty(content).expect("these types have string keys only");
        write_private(&path, text.as_bytes())
            .with_context(|| format!("could not write {}", path.display()))
            .map_err(|error| CliError::local("credentials_file", error))
    }

    fn make_folder(&self) -> Result<()> {
        make_private_folder(&self.folder)
            .with_context(|| format!("could not create {}", self.folder.display()))
            .map_err(|error| CliError::local("credentials_file", error))
    }
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    if !folder.is_dir() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    if fs::metadata(folder)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

fn open_private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Writes beside the target and renames over it. The new file is private from its first byte.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    // A leftover of a killed run may have other rights.
    let _ = fs::remove_file(&beside);
    let written = (|| {
        let mut file = open_private(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path)
            .expect("it was just written")
            .permissions()
            .mode()
            & 0o777
    }

    #[test]
    fn files_are_private_even_where_they_were_not() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(".membrane");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.join(CREDENTIALS), "{}").unwrap();
        fs::set_permissions(folder.join(CREDENTIALS), fs::Permissions::from_mode(0o644)).unwrap();
        let store = CredentialStore::new(folder.clone());
        store
            .update(|credentials| {
                credentials.api_uri = Some("http://h".into());
                Ok(())
            })
            .unwrap();
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join(CREDENTIALS)), 0o600);
        assert_eq!(store.load().unwrap().api_uri.as_deref(), Some("http://h"));
        let names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 2, "no temporary file stays: {names:?}");
    }

    #[test]
    fn a_damaged_file_is_named_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(CREDENTIALS), r#"{"logins":"tok-secret"}"#).unwrap();
        let error = CredentialStore::new(dir.path().to_owned())
            .load()
            .unwrap_err();
        assert!(error.message().contains("damaged"), "{}", error.message());
        assert!(!format!("{error:?}").contains("tok-secret"));
    }
}
