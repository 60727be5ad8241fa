//! What happens to recordings without anybody waiting for it: they are archived, and in the end deleted.

use std::time::Duration;

use archive::Archive;
use bytes::Bytes;
use jiff::SignedDuration;
use model::{RecordingKind, TenantId, Timestamp};
use store::{
    StoreError,
    ledger::Recording,
    recordings::{Archived, Deleted},
};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;
use vault::chunks::{CHUNK, ChunkCipher};

use super::{Recordings, RecordingsError, context};
use crate::clock;

/// Recordings taken on at once.
const BATCH: u64 = 50;
/// How often it is looked for recordings that are due again.
const PACE: Duration = Duration::from_secs(15);
/// How often retention is applied.
const SWEEP: Duration = Duration::from_secs(3_600);
/// The longest pause between two attempts at one recording.
const LONGEST_PAUSE: u64 = 3_600;
/// How long one recording may take: an hour of stereo is 115 MB.
const PATIENCE: Duration = Duration::from_secs(900);

impl Recordings {
    /// Archives what is due and applies retention, until it is told to stop. What was begun is begun again at the
    /// next start.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        let mut sweep = tokio::time::interval(SWEEP);
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = tokio::select! {
                () = stop.cancelled() => return,
                _ = sweep.tick() => Due::Retention,
                _ = pace.tick() => Due::Archive,
                () = self.due.notified() => Due::Archive,
            };
            let work = async {
                match due {
                    Due::Archive => self.archive_all_due().await,
                    Due::Retention => self.apply_retention(clock::now()).await.map(drop),
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                done = work => if let Err(error) = done {
                    tracing::error!(error = &error as &dyn std::error::Error, "recordings could not be looked after");
                }
            }
        }
    }

    /// Archives everything that is due now.
    ///
    /// # Errors
    /// When the database fails. What the archive refuses is noted and tried again later.
    pub async fn archive_all_due(&self) -> Result<(), StoreError> {
        if !self.archives() {
            return Ok(());
        }
        loop {
            let due = self.db.recordings_to_archive(clock::now(), BATCH).await?;
            if due.is_empty() {
                return Ok(());
            }
            for recording in due {
                self.archive_one(&recording).await?;
            }
        }
    }

    async fn archive_one(&self, recording: &Recording) -> Result<(), StoreError> {
        let (tenant, id) = (recording.tenant, recording.id);
        let done = tokio::time::timeout(PATIENCE, self.move_to_archive(recording)).await;
        let problem = match done {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(RecordingsError::Store(error))) => return Err(error),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it took longer than {} minutes", PATIENCE.as_secs() / 60),
        };
        let pause = pause_after(recording.attempts);
        tracing::warn!(recording.id = id.0, %problem, again_in_seconds = pause.as_secs(), "a recording could not be archived; it stays in the recordings folder");
        let try_at = clock::now().checked_add(pause).unwrap_or(Timestamp::MAX);
        self.db.archive_failed(tenant, id, &problem, try_at).await
    }

    /// Every step may be the last before a crash: the row says where the audio is, and the plain file goes only
    /// after the row knows of another.
    async fn move_to_archive(&self, recording: &Recording) -> Result<(), RecordingsError> {
        if recording.archived.is_none() {
            let path = self.path(recording);
            match tokio::fs::File::open(&path).await {
                Ok(file) => self.copy(recording, file).await?,
                // It failed before its first sample, or somebody removed it: nothing to keep.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(RecordingsError::File { path, source }),
            }
        }
        self.remove_plain(recording).await?;
        self.db
            .recording_left_folder(recording.tenant, recording.id)
            .await?;
        Ok(())
    }

    async fn copy(
        &self,
        recording: &Recording,
        file: tokio::fs::File,
    ) -> Result<(), RecordingsError> {
        let archive = match &self.keeping.bucket {
            Some(bucket) => bucket.clone(),
            None => Archive::folder(&self.root)?,
        };
        let (tenant, id) = (recording.tenant.to_string(), recording.id.to_string());
        let (key, sealed) = if self.keeping.encrypt {
            let (data_key, wrapped) = self.keeping.keys.new_data_key(&tenant);
            let cipher = ChunkCipher::new(&data_key, &context(&tenant, &id));
            let key = format!("{}.sealed", recording.file);
            (key, Some((cipher, wrapped)))
        } else {
            (recording.file.clone(), None)
        };
        let cipher = sealed.as_ref().map(|(cipher, _)| cipher);
        let mut writer = archive.write(&key);
        if let Err(error) = write_all(&mut writer, file, cipher, &self.path(recording)).await {
            writer.abandon().await;
            return Err(error);
        }
        writer.finish().await?;
        let archived = Archived {
            at: clock::now(),
            archive: archive.name().to_owned(),
            key: key.clone(),
            data_key: sealed.map(|(_, wrapped)| wrapped.0),
        };
        let kept = self
            .db
            .recording_archived(recording.tenant, recording.id, &archived)
            .await?;
        if !kept {
            // It was deleted meanwhile.
            archive.delete(&key).await?;
        }
        Ok(())
    }

    /// Deletes what has been kept for as long as its company wants; how many.
    ///
    /// # Errors
    /// When the database fails. What can't be removed is told and tried again at the next sweep.
    pub async fn apply_retention(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut deleted = 0;
        for tenant in self.db.tenants().await? {
            let settings = self.db.recording_settings(tenant.id).await?;
            let rules = [
                (
                    RecordingKind::Conversation,
                    settings.conversation_days,
                    "conversations",
                ),
                (
                    RecordingKind::Voicemail,
                    settings.voicemail_days,
                    "messages",
                ),
            ];
            for (kind, days, what) in rules {
                if let Some(days) = days {
                    let plural = if days == 1 { "" } else { "s" };
                    let rule = format!("{what} are kept for {days} day{plural}");
                    deleted += self.delete_older(tenant.id, kind, days, &rule, now).await?;
                }
            }
        }
        if deleted > 0 {
            tracing::info!(
                recordings = deleted,
                "recordings were deleted by retention; receipts are kept"
            );
        }
        Ok(deleted)
    }

    async fn delete_older(
        &self,
        tenant: TenantId,
        kind: RecordingKind,
        days: u32,
        rule: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let age = SignedDuration::from_hours(i64::from(days) * 24);
        let Ok(before) = now.checked_sub(age) else {
            return Ok(0);
        };
        let receipt = Deleted {
            at: now,
            rule: rule.to_owned(),
        };
        let mut deleted = 0;
        loop {
            let old = self
                .db
                .recordings_before(tenant, kind, before, BATCH)
                .await?;
            let mut stuck = 0;
            for recording in &old {
                match self.delete(recording, &receipt).await {
                    Ok(_) => deleted += 1,
                    Err(RecordingsError::Store(error)) => return Err(error),
                    Err(error) => {
                        stuck += 1;
                        tracing::error!(
                            recording.id = recording.id.0,
                            error = &error as &dyn std::error::Error,
                            "a recording whose time is over could not be deleted"
                        );
                    }
                }
            }
            if stuck > 0 || (old.len() as u64) < BATCH {
                return Ok(deleted);
            }
        }
    }
}

enum Due {
    Archive,
    Retention,
}

/// Puts a file into the archive, sealed or as it is.
async fn write_all(
    writer: &mut archive::Writer,
    mut file: tokio::fs::File,
    cipher: Option<&ChunkCipher>,
    path: &std::path::Path,
) -> Result<(), RecordingsError> {
    let failed = |source| RecordingsError::File {
        path: path.to_owned(),
        source,
    };
    if let Some(cipher) = cipher {
        writer.append(cipher.header().into()).await?;
    }
    let mut chunk = read_chunk(&mut file).await.map_err(failed)?;
    let mut number = 0;
    loop {
        // Which chunk is the last is known when nothing follows it.
        let next = if chunk.len() == CHUNK {
            read_chunk(&mut file).await.map_err(failed)?
        } else {
            Vec::new()
        };
        let last = next.is_empty();
        let bytes = match cipher {
            Some(cipher) => cipher.seal(number, last, &chunk),
            None => chunk,
        };
        writer.append(Bytes::from(bytes)).await?;
        if last {
            return Ok(());
        }
        (chunk, number) = (next, number + 1);
    }
}

async fn read_chunk(file: &mut tokio::fs::File) -> std::io::Result<Vec<u8>> {
    let mut chunk = Vec::with_capacity(CHUNK);
    file.take(CHUNK as u64).read_to_end(&mut chunk).await?;
    Ok(chunk)
}

/// Longer after each failure: 15 s, 30 s, a minute … an hour.
fn pause_after(attempts: u32) -> Duration {
    Duration::from_secs((15u64 << attempts.min(8)).min(LONGEST_PAUSE))
}
