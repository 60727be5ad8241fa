//! The key file: one base64 key a line, newest first, readable by its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::KeyError;
use crate::key_ring::Kek;

/// A key file is a few lines; anything larger is another file.
const MAX_FILE_BYTES: u64 = 16 * 1024;

const HEAD: &str = "# Encryption keys, newest first. Whoever has this file and the database can read all credentials.\n\
                    # Keep a copy in a safe place: without it stored credentials are lost.\n";

/// The keys in the file, or `None` when there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<Kek>>, KeyError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path)(error)),
    };
    // The open file is what is checked, so it cannot be exchanged in between.
    let metadata = file.metadata().map_err(failed(path))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::TooOpen {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(failed(path))?;
    text.lines()
        .enumerate()
        .map(|(at, line)| (at, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| {
            Kek::from_base64(line).map_err(|reason| KeyError::Syntax {
                path: path.to_owned(),
                line: at + 1,
                reason,
            })
        })
        .collect::<Result<Vec<_>, _>>()
        .map(Some)
}

/// Makes the file unless there is one; never replaces.
pub(crate) fn create(path: &Path, keys: &[Kek]) -> Result<(), KeyError> {
    let written = write_beside(path, keys)?;
    // A link fails when the name is taken, which a rename does not.
    let linked = fs::hard_link(&written, path);
    fs::remove_file(&written).map_err(failed(&written))?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(path)(error)),
        _ => {
            tracing::info!(path = %path.display(), "made a new key file");
            sync_folder(path)
        }
    }
}

/// Exchanges the file's content in one step.
pub(crate) fn replace(path: &Path, keys: &[Kek]) -> Result<(), KeyError> {
    let written = write_beside(path, keys)?;
    fs::rename(&written, path).map_err(failed(path))?;
    sync_folder(path)
}

fn write_beside(path: &Path, keys: &[Kek]) -> Result<PathBuf, KeyError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}", rand::random::<u64>()));
    let beside = path.with_file_name(name);
    let mut text = Zeroizing::new(HEAD.to_owned());
    for key in keys {
        text.push_str(&key.to_base64());
        text.push('\n');
    }
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(failed(path))?;
    Ok(beside)
}

/// A new name is durable only when its folder is.
fn sync_folder(path: &Path) -> Result<(), KeyError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed(path))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> KeyError + '_ {
    move |source| KeyError::Io {
        path: path.to_owned(),
        source,
    }
}
