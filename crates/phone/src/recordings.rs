//! Where recorded audio lies: `recordings/<company>/<year>/<month>/<day>/<recording>.wav`.

use std::path::{Path, PathBuf};

use model::{CallId, RecordingId, RecordingKind, TenantId, Timestamp};
use store::{Db, StoreError, ledger::Recording};

/// The recordings of this server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recordings {
    db: Db,
    root: PathBuf,
}

/// Why a file could not be made or erased.
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
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A recording that can be played, or why not.
#[derive(Debug)]
pub enum Playable {
    /// The file.
    File(PathBuf),
    /// It was erased on request or by retention.
    Erased,
    /// There is none.
    None,
}

impl Recordings {
    /// Recordings below a folder.
    #[must_use]
    pub fn new(db: Db, root: PathBuf) -> Self {
        Self { db, root }
    }

    /// Makes room for a recording and notes it, before its first sample.
    pub(crate) async fn create(
        &self,
        tenant: TenantId,
        call: CallId,
        id: RecordingId,
        kind: RecordingKind,
        now: Timestamp,
    ) -> Result<PathBuf, RecordingsError> {
        let day = now.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
        let suffix = match kind {
            RecordingKind::Conversation => "",
            RecordingKind::Voicemail => "-voicemail",
        };
        let file = format!(
            "{tenant}/{:04}/{:02}/{:02}/{id}{suffix}.wav",
            day.year(),
            day.month(),
            day.day()
        );
        let path = self.root.join(&file);
        if let Some(folder) = path.parent() {
            let made = tokio::fs::create_dir_all(folder).await;
            made.map_err(|source| RecordingsError::File {
                path: folder.to_owned(),
                source,
            })?;
        }
        let recording = Recording {
            id,
            tenant,
            call,
            file,
            created_at: now,
            deleted_at: None,
        };
        self.db.add_recording(&recording).await?;
        Ok(path)
    }

    /// The file of a recording.
    #[must_use]
    pub fn path(&self, recording: &Recording) -> PathBuf {
        self.root.join(Path::new(&recording.file))
    }

    /// What can be played of a call.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn playable(&self, tenant: TenantId, call: CallId) -> Result<Playable, StoreError> {
        let all = self.db.recordings_of(tenant, call).await?;
        let erased = !all.is_empty();
        for recording in all
            .iter()
            .rev()
            .filter(|recording| recording.deleted_at.is_none())
        {
            let path = self.path(recording);
            if tokio::fs::try_exists(&path).await.unwrap_or(false) {
                return Ok(Playable::File(path));
            }
        }
        Ok(if erased {
            Playable::Erased
        } else {
            Playable::None
        })
    }

    /// Erases all audio of a call. `false` when there was none.
    ///
    /// # Errors
    /// When a file can't be removed; it then still counts as there.
    pub async fn erase(
        &self,
        tenant: TenantId,
        call: CallId,
        now: Timestamp,
    ) -> Result<bool, RecordingsError> {
        let mut any = false;
        for recording in self.db.recordings_of(tenant, call).await? {
            if recording.deleted_at.is_none() {
                self.remove(&recording).await?;
                any |= self
                    .db
                    .mark_recording_deleted(tenant, recording.id, now)
                    .await?;
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
        for recording in self.db.recordings_of(tenant, call).await? {
            if recording.id == id {
                self.remove(&recording).await?;
                self.db.mark_recording_deleted(tenant, id, now).await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, recording: &Recording) -> Result<(), RecordingsError> {
        let path = self.path(recording);
        match tokio::fs::remove_file(&path).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(RecordingsError::File { path, source }),
        }
    }
}
