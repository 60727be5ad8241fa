//! Recorded audio: where it lies, how it is read, how long it is kept.
//!
//! A recording is written as a plain WAV file in the recordings folder,
//! `recordings/<company>/<year>/<month>/<day>/<recording>.wav`. Once its call is over the keeper seals it, where
//! encryption is on, and puts it in the archive; whatever the archive does, calls don't wait for it.

mod audio;
mod keeper;
mod peaks;
mod strays;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use archive::{Archive, ArchiveError};
use model::{CallId, RecordingId, RecordingKind, TenantId, Timestamp};
use store::{
    Db, StoreError,
    ledger::Recording,
    recordings::{Archived, Backlog, Deleted},
};
use tokio::sync::Notify;
use vault::{Context, KeyRing};

pub use audio::{Audio, AudioError, Channels};
pub use peaks::{BUCKETS, Peaks};
pub use strays::UNCLAIMED;

/// How recordings are kept after their calls.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// Where; absent: in the recordings folder.
    pub bucket: Option<Archive>,
    /// Sealed with a key of their own.
    pub encrypt: bool,
    /// Wraps those keys.
    pub keys: Arc<KeyRing>,
}

/// The recordings of this server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recordings {
    db: Db,
    root: PathBuf,
    keeping: Arc<Keeping>,
    /// Calls ended, or something else is due.
    due: Arc<Notify>,
}

/// Why audio could not be made, read or erased.
#[derive(Debug, thiserror::Error)]
pub enum RecordingsError {
    /// The folder or file could not be written or removed.
    #[error("{}: {source}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It lies in an archive that the settings don't name any more.
    #[error("the recording lies in {archive}, which is not configured")]
    Elsewhere {
        /// Where.
        archive: String,
    },
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A recording that can be played, or why not.
#[derive(Debug)]
pub enum Playable {
    /// Its audio.
    Audio(Audio),
    /// It was erased on request or by retention.
    Erased,
    /// There is none.
    None,
}

impl Recordings {
    /// Recordings below a folder.
    #[must_use]
    pub fn new(db: Db, root: PathBuf, keeping: Keeping) -> Self {
        Self {
            db,
            root,
            keeping: Arc::new(keeping),
            due: Arc::new(Notify::new()),
        }
    }

    /// A recording that begins now, and where. Nothing is asked for it, so that its first sample waits for
    /// nobody; [`Recordings::note`] comes after.
    pub(crate) fn place(
        &self,
        tenant: TenantId,
        call: CallId,
        id: RecordingId,
        kind: RecordingKind,
        now: Timestamp,
    ) -> Recording {
        let day = now.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
        let suffix = match kind {
            RecordingKind::Conversation => "",
            RecordingKind::Voicemail => strays::MESSAGE,
        };
        let file = format!(
            "{tenant}/{:04}/{:02}/{:02}/{id}{suffix}.wav",
            day.year(),
            day.month(),
            day.day()
        );
        Recording {
            id,
            tenant,
            call,
            kind,
            file,
            created_at: now,
            deleted_at: None,
            archived: None,
            attempts: 0,
        }
    }

    /// Keeps in mind that there is a recording.
    pub(crate) async fn note(&self, recording: &Recording) -> Result<(), RecordingsError> {
        Ok(self.db.add_recording(recording).await?)
    }

    /// The plain file of a recording that is not archived.
    #[must_use]
    pub fn path(&self, recording: &Recording) -> PathBuf {
        self.root.join(Path::new(&recording.file))
    }

    /// What can be played of a call: its last recording that is not deleted.
    ///
    /// # Errors
    /// When the database or the archive fails.
    pub async fn playable(
        &self,
        tenant: TenantId,
        call: CallId,
        channels: Channels,
    ) -> Result<Playable, AudioError> {
        Ok(match self.current(tenant, call).await? {
            Current::Recording(recording, source) => {
                let audio = Audio::open(source, channels).await?;
                tracing::trace!(recording.id = recording.id.0, "a recording is read");
                Playable::Audio(audio)
            }
            Current::Erased => Playable::Erased,
            Current::None => Playable::None,
        })
    }

    async fn current(&self, tenant: TenantId, call: CallId) -> Result<Current, AudioError> {
        let all = self.db.recordings_of(tenant, call).await?;
        let erased = !all.is_empty();
        for recording in all
            .into_iter()
            .rev()
            .filter(|recording| recording.deleted_at.is_none())
        {
            if let Some(source) = self.source(&recording).await? {
                return Ok(Current::Recording(Box::new(recording), source));
            }
        }
        Ok(if erased {
            Current::Erased
        } else {
            Current::None
        })
    }

    /// Where a recording is read from; `None` when its file is gone.
    async fn source(&self, recording: &Recording) -> Result<Option<audio::Source>, AudioError> {
        let Some(archived) = &recording.archived else {
            let path = self.path(recording);
            let there = tokio::fs::try_exists(&path).await.unwrap_or(false);
            return Ok(there.then_some(audio::Source::File(path)));
        };
        let archive = self.archive(archived)?;
        let source =
            audio::Source::archived(archive, archived, &self.keeping.keys, recording).await?;
        Ok(Some(source))
    }

    /// Erases all audio of a call, with receipts. `false` when there was none.
    ///
    /// # Errors
    /// When a file can't be removed; it then still counts as there.
    pub async fn erase(
        &self,
        tenant: TenantId,
        call: CallId,
        deleted: &Deleted,
    ) -> Result<bool, RecordingsError> {
        let mut any = false;
        for recording in self.db.recordings_of(tenant, call).await? {
            if recording.deleted_at.is_none() {
                any |= self.delete(&recording, deleted).await?;
            }
        }
        Ok(any)
    }

    /// Erases a message too short to keep.
    pub(crate) async fn discard(
        &self,
        tenant: TenantId,
        call: CallId,
        id: RecordingId,
        now: Timestamp,
    ) -> Result<(), RecordingsError> {
        let deleted = Deleted {
            at: now,
            rule: "a message shorter than 2 seconds is not kept".to_owned(),
        };
        for recording in self.db.recordings_of(tenant, call).await? {
            if recording.id == id && recording.deleted_at.is_none() {
                self.delete(&recording, &deleted).await?;
            }
        }
        Ok(())
    }

    /// Removes the audio wherever it is, then marks the row and keeps a receipt.
    async fn delete(
        &self,
        recording: &Recording,
        deleted: &Deleted,
    ) -> Result<bool, RecordingsError> {
        self.remove_plain(recording).await?;
        if let Some(archived) = &recording.archived {
            self.archive(archived)?.delete(&archived.key).await?;
        }
        let (tenant, id) = (recording.tenant, recording.id);
        Ok(self.db.delete_recording(tenant, id, deleted).await?)
    }

    async fn remove_plain(&self, recording: &Recording) -> Result<(), RecordingsError> {
        let path = self.path(recording);
        match tokio::fs::remove_file(&path).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(RecordingsError::File { path, source }),
        }
    }

    /// The archive a recording lies in.
    fn archive(&self, archived: &Archived) -> Result<Archive, RecordingsError> {
        if archived.archive == archive::LOCAL {
            return Ok(Archive::folder(&self.root)?);
        }
        self.keeping
            .bucket
            .clone()
            .filter(|bucket| bucket.name() == archived.archive)
            .ok_or_else(|| RecordingsError::Elsewhere {
                archive: archived.archive.clone(),
            })
    }

    /// Recordings that wait to be archived; none where they stay as they are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        if !self.archives() {
            return Ok(Backlog::default());
        }
        self.db.archive_backlog().await
    }

    /// Whether recordings are moved or sealed after their calls.
    fn archives(&self) -> bool {
        self.keeping.bucket.is_some() || self.keeping.encrypt
    }

    /// A call is over: its recordings can be archived.
    pub(crate) fn call_over(&self) {
        self.due.notify_one();
    }
}

enum Current {
    Recording(Box<Recording>, audio::Source),
    Erased,
    None,
}

/// What the bytes of a sealed recording are bound to.
fn context<'a>(tenant: &'a str, recording: &'a str) -> Context<'a> {
    Context {
        tenant,
        connection: recording,
        field: "recording",
    }
}
