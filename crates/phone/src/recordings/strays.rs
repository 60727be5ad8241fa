//! Files that a killed server had begun and not noted yet.
//!
//! A recording begins with the first word, and its row comes a moment later ([`Recordings::place`]). A server that
//! is killed in between leaves a file that no row names. At the next start each is given to its call; what is no
//! call's is put where the operator finds it, out of the way of recordings to come.

use std::{collections::BTreeMap, io, path::Path};

use calls::call::recorded_call;
use jiff::{SignedDuration, civil::Date, tz::TimeZone};
use model::{CallRecord, RecordingId, RecordingKind, TenantId, Timestamp};
use store::{StoreError, ledger::Recording};

use super::Recordings;
use crate::clock;

/// Where files without a call lie, below the recordings folder.
pub const UNCLAIMED: &str = "unclaimed";
/// What the name of a message ends with.
pub(super) const MESSAGE: &str = "-voicemail";

/// A plain file, named as recordings are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    /// Below the recordings folder, with forward slashes.
    file: String,
    tenant: TenantId,
    day: Date,
    id: RecordingId,
    kind: RecordingKind,
}

impl Found {
    /// Reads the path that [`Recordings::place`] gives.
    fn parse(file: &str) -> Option<Self> {
        let mut parts = file.split('/');
        let tenant = TenantId(parts.next()?.parse().ok()?);
        let year = parts.next()?.parse().ok()?;
        let month = parts.next()?.parse().ok()?;
        let day = Date::new(year, month, parts.next()?.parse().ok()?).ok()?;
        let name = parts.next()?.strip_suffix(".wav")?;
        if parts.next().is_some() {
            return None;
        }
        let (id, kind) = match name.strip_suffix(MESSAGE) {
            Some(id) => (id, RecordingKind::Voicemail),
            None => (name, RecordingKind::Conversation),
        };
        Some(Self {
            file: file.to_owned(),
            tenant,
            day,
            id: RecordingId(id.parse().ok()?),
            kind,
        })
    }

    /// Whether a call with the right id is also of the right days: ids come again when a database is restored.
    fn is_of(&self, call: &CallRecord, now: Timestamp) -> bool {
        let day = |at: Timestamp| TimeZone::UTC.to_datetime(at).date();
        (day(call.started_at)..=day(call.ended_at.unwrap_or(now))).contains(&self.day)
    }
}

/// What became of a file.
enum Audio {
    /// It plays.
    Whole { began_at: Timestamp },
    /// It was begun, and nothing was said yet: it is gone.
    Empty,
    /// It can't be repaired.
    Broken(io::Error),
}

impl Recordings {
    /// Gives files that no row names to their calls. Must run before the first new recording.
    ///
    /// # Errors
    /// When the database fails. Files that can't be read or moved are told, and stay.
    pub(crate) async fn claim_strays(&self) -> Result<(), StoreError> {
        let root = self.root.clone();
        let found = tokio::task::spawn_blocking(move || plain_files(&root)).await;
        for stray in self.without_row(found.unwrap_or_default()).await? {
            self.claim(&stray).await?;
        }
        let folder = self.root.join(UNCLAIMED);
        let unclaimed = names(&folder).len();
        if unclaimed > 0 {
            tracing::error!(
                files = unclaimed,
                folder = %folder.display(),
                "recordings that belong to no call lie in this folder; take or remove them"
            );
        }
        Ok(())
    }

    async fn without_row(&self, found: Vec<Found>) -> Result<Vec<Found>, StoreError> {
        // Ids of a day are close together: one question a day and company.
        let mut days: BTreeMap<(TenantId, Date), Vec<Found>> = BTreeMap::new();
        for file in found {
            days.entry((file.tenant, file.day)).or_default().push(file);
        }
        let mut strays = Vec::new();
        for ((tenant, _), files) in days {
            let ids = || files.iter().map(|file| file.id);
            let (Some(first), Some(last)) = (ids().min(), ids().max()) else {
                continue;
            };
            let mut known = self.db.recordings_between(tenant, first, last).await?;
            known.sort_unstable();
            strays.extend(
                files
                    .into_iter()
                    .filter(|file| known.binary_search(&file.id).is_err()),
            );
        }
        Ok(strays)
    }

    async fn claim(&self, stray: &Found) -> Result<(), StoreError> {
        let call = recorded_call(stray.id);
        let record = self.db.call(stray.tenant, call).await?;
        let record = record.filter(|record| stray.is_of(record, clock::now()));
        let path = self.root.join(&stray.file);
        let (file, repaired) = (
            path.clone(),
            tokio::task::spawn_blocking(move || repair(&path)),
        );
        let audio = match repaired.await {
            Ok(audio) => audio,
            Err(error) => Audio::Broken(io::Error::other(error)),
        };
        match (audio, record) {
            (Audio::Empty, _) => {
                tracing::info!(
                    call.id = call.0,
                    "a recording was begun before the server died, and nothing was in it"
                );
            }
            (Audio::Whole { began_at }, Some(record)) => {
                let recording = Recording {
                    id: stray.id,
                    tenant: stray.tenant,
                    call,
                    kind: stray.kind,
                    file: stray.file.clone(),
                    created_at: began_at.max(record.started_at),
                    deleted_at: None,
                    archived: None,
                    attempts: 0,
                };
                self.db.add_recording(&recording).await?;
                tracing::warn!(
                    call.id = call.0,
                    recording.id = stray.id.0,
                    "a recording that was begun as the server died was given back to its call"
                );
            }
            (audio, _) => {
                let why = match audio {
                    Audio::Broken(error) => error.to_string(),
                    _ => "there is no such call".to_owned(),
                };
                self.put_aside(stray, &file, &why);
            }
        }
        Ok(())
    }

    /// Out of the way: a call to come may get this id.
    fn put_aside(&self, stray: &Found, path: &Path, why: &str) {
        let folder = self.root.join(UNCLAIMED);
        let message = match stray.kind {
            RecordingKind::Conversation => "",
            RecordingKind::Voicemail => MESSAGE,
        };
        let (tenant, day, id) = (stray.tenant, stray.day, stray.id);
        let to = (1..)
            .map(|n: u32| match n {
                1 => folder.join(format!("{tenant}-{day}-{id}{message}.wav")),
                n => folder.join(format!("{tenant}-{day}-{id}{message}-{n}.wav")),
            })
            .find(|path| !path.exists());
        let moved = std::fs::create_dir_all(&folder)
            .and_then(|()| to.map_or(Ok(()), |to| std::fs::rename(path, to)));
        match moved {
            Ok(()) => {
                tracing::error!(file = %stray.file, %why, "a recording can't be given to a call");
            }
            Err(error) => tracing::error!(
                file = %stray.file, %why, %error,
                "a recording can't be given to a call, nor moved away"
            ),
        }
    }
}

/// All plain files below the recordings folder that are named as recordings.
fn plain_files(root: &Path) -> Vec<Found> {
    let mut folders = vec![String::new()];
    // Company, year, month, day.
    for _ in 0..4 {
        let below = folders.iter().flat_map(|folder| {
            let names = names(&root.join(folder)).into_iter();
            names
                .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
                .map(move |name| match folder.as_str() {
                    "" => name,
                    folder => format!("{folder}/{name}"),
                })
        });
        folders = below.collect();
    }
    let files = folders.iter().flat_map(|folder| {
        let names = names(&root.join(folder)).into_iter();
        names.filter_map(move |name| Found::parse(&format!("{folder}/{name}")))
    });
    files.collect()
}

/// What is in a folder; nothing when there is none.
fn names(folder: &Path) -> Vec<String> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let is_absent = matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            );
            if !is_absent {
                tracing::error!(folder = %folder.display(), %error, "recordings can't be looked through");
            }
            return Vec::new();
        }
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

fn repair(path: &Path) -> Audio {
    let about = std::fs::metadata(path);
    // Its last sample was written then; repairing it changes that.
    let written_at = about.as_ref().ok().and_then(|about| about.modified().ok());
    let written_at = written_at.and_then(|at| Timestamp::try_from(at).ok());
    let is_bare = about.is_ok_and(|about| about.len() <= media::wav::HEADER);
    let repaired = match is_bare {
        true => None,
        false => match media::recorder::recover(path) {
            Ok(repaired) => Some(repaired).filter(|repaired| repaired.duration_ms > 0),
            Err(error) => return Audio::Broken(error),
        },
    };
    let Some(repaired) = repaired else {
        return match std::fs::remove_file(path) {
            Ok(()) => Audio::Empty,
            Err(error) => Audio::Broken(error),
        };
    };
    let length = i64::try_from(repaired.duration_ms).unwrap_or(i64::MAX);
    let began_at = written_at
        .unwrap_or_else(clock::now)
        .checked_sub(SignedDuration::from_millis(length));
    Audio::Whole {
        began_at: began_at.unwrap_or(Timestamp::MIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_give_are_looked_at() {
        let found = Found::parse("7/2026/02/28/10000000101-voicemail.wav").expect("ours");
        assert_eq!(
            (found.tenant, found.id),
            (TenantId(7), RecordingId(10_000_000_101))
        );
        assert_eq!(
            (found.day, found.kind),
            (jiff::civil::date(2026, 2, 28), RecordingKind::Voicemail)
        );
        for foreign in [
            "7/2026/02/30/101.wav",
            "7/2026/02/28/101.wav.sealed",
            "7/2026/02/28/notes.wav",
            "7/2026/02/28/101/1.wav",
            "unclaimed/7-2026-02-28-101.wav",
            "101.wav",
        ] {
            assert_eq!(Found::parse(foreign), None, "{foreign}");
        }
    }
}
