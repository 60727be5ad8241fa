use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::SAMPLE_RATE;

/// Bytes before the samples.
pub(crate) const HEADER: usize = 44;

/// The header of a 16-bit PCM file with so many bytes of samples.
pub(crate) fn header(channels: u16, data: u64) -> [u8; HEADER] {
    let data = u32::try_from(data).unwrap_or(u32::MAX - 64);
    let mut head = [0; HEADER];
    head[..4].copy_from_slice(b"RIFF");
    head[4..8].copy_from_slice(&(data + 36).to_le_bytes());
    head[8..16].copy_from_slice(b"WAVEfmt ");
    head[16..20].copy_from_slice(&16u32.to_le_bytes());
    head[20..22].copy_from_slice(&1u16.to_le_bytes());
    head[22..24].copy_from_slice(&channels.to_le_bytes());
    head[24..28].copy_from_slice(&SAMPLE_RATE.to_le_bytes());
    head[28..32].copy_from_slice(&(SAMPLE_RATE * u32::from(channels) * 2).to_le_bytes());
    head[32..34].copy_from_slice(&(channels * 2).to_le_bytes());
    head[34..36].copy_from_slice(&16u16.to_le_bytes());
    head[36..40].copy_from_slice(b"data");
    head[40..44].copy_from_slice(&data.to_le_bytes());
    head
}

/// A WAV file that grows and is playable after every checkpoint.
#[derive(Debug)]
pub(super) struct Growing {
    path: PathBuf,
    file: File,
    channels: u16,
    data: u64,
}

impl Growing {
    pub(super) fn create(path: &Path, channels: u16) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // What people said is for the owner of this process alone.
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(&header(channels, 0))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            channels,
            data: 0,
        })
    }

    pub(super) fn append(&mut self, block: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(block) {
            // A full disk takes a part of the block; the header counts whole ones only.
            let _ = self.file.set_len(self.bytes());
            return Err(error);
        }
        self.data += block.len() as u64;
        Ok(())
    }

    /// Makes the header tell the truth. Notices also that the file was deleted: what is written
    /// to it then is lost without any error.
    pub(super) fn checkpoint(&mut self) -> io::Result<()> {
        std::fs::metadata(&self.path)?;
        self.file.rewind()?;
        self.file.write_all(&header(self.channels, self.data))?;
        self.file.seek(SeekFrom::End(0))?;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    pub(super) fn bytes(&self) -> u64 {
        HEADER as u64 + self.data
    }

    pub(super) fn duration_ms(&self) -> u64 {
        self.data / (u64::from(self.channels) * 2) / 8
    }
}

/// Why writing failed, in words.
pub(super) fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::QuotaExceeded => "the disk quota is used up".to_owned(),
        io::ErrorKind::FileTooLarge => {
            "the file has become too large for its file system".to_owned()
        }
        io::ErrorKind::NotFound => "the file or its folder is gone".to_owned(),
        io::ErrorKind::PermissionDenied => "writing there is not permitted".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        _ => format!("writing failed: {error}"),
    }
}
