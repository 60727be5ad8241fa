//! Reading a recording, plain or sealed, here or in a bucket, as recorded or as one channel.

use std::{io, ops::Range, path::PathBuf, sync::Arc};

use archive::{Archive, ArchiveError};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use media::wav;
use store::{StoreError, ledger::Recording, recordings::Archived};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use vault::{
    KeyRing, VaultError, WrappedKey,
    chunks::{CHUNK, ChunkCipher, HEADER, Layout},
};

use super::{RecordingsError, context};

/// Plain bytes read at once: a reader of an hour's call holds no more than this.
const BLOCK: u64 = 16 * CHUNK as u64;

/// What a listener wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Each side in its channel; messages have one.
    AsRecorded,
    /// Both sides in one channel.
    Mono,
}

/// Why a recording can't be read.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The file can't be read.
    #[error("the recording can't be read")]
    File(#[from] io::Error),
    /// Its key is gone, or it was changed.
    #[error("the recording can't be opened")]
    Sealed(#[from] VaultError),
    /// It can't be had.
    #[error(transparent)]
    Recordings(#[from] RecordingsError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ArchiveError> for AudioError {
    fn from(error: ArchiveError) -> Self {
        Self::Recordings(error.into())
    }
}

/// Where the plain bytes of a recording come from.
#[derive(Clone)]
pub(super) enum Source {
    File(PathBuf),
    Plain {
        archive: Archive,
        key: String,
        length: u64,
    },
    Sealed {
        archive: Archive,
        key: String,
        cipher: Arc<ChunkCipher>,
        layout: Layout,
    },
}

impl Source {
    pub(super) async fn archived(
        archive: Archive,
        archived: &Archived,
        keys: &KeyRing,
        recording: &Recording,
    ) -> Result<Self, AudioError> {
        let key = archived.key.clone();
        let length = archive.length(&key).await?;
        let Some(wrapped) = &archived.data_key else {
            return Ok(Self::Plain {
                archive,
                key,
                length,
            });
        };
        let layout = Layout::of(length)?;
        let (tenant, id) = (recording.tenant.to_string(), recording.id.to_string());
        let data_key = keys.unwrap(&tenant, &WrappedKey(wrapped.clone()))?;
        let header = archive.read(&key, 0..HEADER as u64).await?;
        let cipher = ChunkCipher::of_header(&data_key, &context(&tenant, &id), &header)?;
        Ok(Self::Sealed {
            archive,
            key,
            cipher: Arc::new(cipher),
            layout,
        })
    }

    async fn length(&self) -> Result<u64, AudioError> {
        Ok(match self {
            Self::File(path) => tokio::fs::metadata(path).await?.len(),
            Self::Plain { length, .. } => *length,
            Self::Sealed { layout, .. } => layout.plain,
        })
    }

    /// Reads plain bytes, which must be there.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, AudioError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        match self {
            Self::File(path) => {
                let mut file = tokio::fs::File::open(path).await?;
                file.seek(io::SeekFrom::Start(range.start)).await?;
                let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
                let mut bytes = vec![0; length];
                file.read_exact(&mut bytes).await?;
                Ok(bytes.into())
            }
            Self::Plain { archive, key, .. } => Ok(archive.read(key, range).await?),
            Self::Sealed {
                archive,
                key,
                cipher,
                layout,
            } => {
                let chunks = layout.chunks(&range);
                let sealed = archive.read(key, layout.sealed(&chunks)).await?;
                let mut plain = Vec::with_capacity(chunks.len() * CHUNK);
                for (number, sealed) in chunks.clone().zip(layout.split(&sealed)) {
                    plain.extend(cipher.open(number, number == layout.last, sealed)?);
                }
                let from = u64::from(chunks.start) * CHUNK as u64;
                let part = usize::try_from(range.start - from).unwrap_or(usize::MAX)
                    ..usize::try_from(range.end - from).unwrap_or(usize::MAX);
                let plain = Bytes::from(plain);
                if part.end > plain.len() {
                    return Err(VaultError::Malformed.into());
                }
                Ok(plain.slice(part))
            }
        }
    }
}

/// A recording as a WAV file of 16 bit at 8 kHz, any part of which can be read.
pub struct Audio {
    source: Source,
    recorded: u16,
    mono: bool,
    /// Bytes of samples, as recorded.
    data: u64,
}

impl std::fmt::Debug for Audio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audio")
            .field("channels", &self.channels())
            .field("length", &self.length())
            .finish_non_exhaustive()
    }
}

impl Audio {
    pub(super) async fn open(source: Source, channels: Channels) -> Result<Self, AudioError> {
        let length = source.length().await?;
        let head = source.read(0..wav::HEADER.min(length)).await?;
        let head = wav::recording_head(&head).ok_or_else(|| {
            let reason = "the file is no recording of ours";
            io::Error::new(io::ErrorKind::InvalidData, reason)
        })?;
        let there = length - wav::HEADER;
        // A file that grows counts up to where it is safe; one that was never finished to its end.
        let data = match head.data {
            0 => there,
            data => data.min(there),
        };
        let frame = u64::from(head.channels) * 2;
        Ok(Self {
            source,
            recorded: head.channels,
            mono: channels == Channels::Mono && head.channels == 2,
            data: data / frame * frame,
        })
    }

    /// Channels of the file that is read.
    #[must_use]
    pub fn channels(&self) -> u16 {
        if self.mono { 1 } else { self.recorded }
    }

    /// How long it plays, in milliseconds.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        self.data / (u64::from(self.recorded) * 2) / 8
    }

    /// Bytes of the whole file.
    #[must_use]
    pub fn length(&self) -> u64 {
        wav::HEADER + self.samples()
    }

    fn samples(&self) -> u64 {
        if self.mono { self.data / 2 } else { self.data }
    }

    /// Bytes of a part of the file, as they are asked for. A failure on the way ends them with an error.
    pub fn stream(
        self,
        range: Range<u64>,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let range = range.start.min(self.length())..range.end.min(self.length());
        let head = wav::header(self.channels(), self.samples());
        let start = usize::try_from(range.start.min(wav::HEADER)).unwrap_or(0);
        let end = usize::try_from(range.end.min(wav::HEADER)).unwrap_or(0);
        let head = Bytes::copy_from_slice(&head[start..end.max(start)]);
        let from = range.start.max(wav::HEADER) - wav::HEADER;
        let to = range.end.max(wav::HEADER) - wav::HEADER;
        let blocks = stream::try_unfold((self, from), move |(audio, at)| async move {
            if at >= to {
                return Ok::<_, AudioError>(None);
            }
            let until = to.min(at + BLOCK);
            let bytes = audio.part(at..until).await?;
            Ok(Some((bytes, (audio, until))))
        });
        stream::once(async { Ok(head) })
            .chain(blocks)
            .filter(|part| {
                let empty = part.as_ref().is_ok_and(Bytes::is_empty);
                std::future::ready(!empty)
            })
            .map(|part| part.map_err(io::Error::other))
    }

    /// Samples of the file that is read, by their bytes.
    async fn part(&self, range: Range<u64>) -> Result<Bytes, AudioError> {
        if !self.mono {
            let range = wav::HEADER + range.start..wav::HEADER + range.end;
            return self.source.read(range).await;
        }
        // Whole frames, of which the first and last byte may not be wanted.
        let frames = range.start / 2..range.end.div_ceil(2);
        let stereo = wav::HEADER + frames.start * 4..wav::HEADER + frames.end * 4;
        let mut mono = self.source.read(stereo).await?.to_vec();
        let length = wav::mix_down(&mut mono);
        mono.truncate(length);
        let skipped = usize::try_from(range.start % 2).unwrap_or(0);
        let wanted = usize::try_from(range.end - range.start).unwrap_or(0);
        Ok(Bytes::from(mono).slice(skipped..skipped + wanted))
    }
}
