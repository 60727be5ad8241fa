use std::{
    fs::OpenOptions,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::file::{HEADER, header};

/// What a repaired file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Its length.
    pub duration_ms: u64,
    /// Its size.
    pub bytes: u64,
}

/// Makes a file whole that a killed process left behind: its header says again how much follows.
/// One that is already whole stays as it is.
///
/// # Errors
/// When the file can't be read or written, or is no recording of ours.
pub fn recover(path: &Path) -> io::Result<Recovered> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut head = [0; HEADER];
    file.read_exact(&mut head).map_err(|_| foreign())?;
    let channels = u16::from_le_bytes([head[22], head[23]]);
    let ours = &head[..4] == b"RIFF"
        && &head[8..16] == b"WAVEfmt "
        && &head[36..40] == b"data"
        && (1..=2).contains(&channels);
    if !ours || u32::from_le_bytes([head[24], head[25], head[26], head[27]]) != crate::SAMPLE_RATE {
        return Err(foreign());
    }
    let block = u64::from(channels) * 2;
    let data = (file.seek(SeekFrom::End(0))? - HEADER as u64) / block * block;
    // A kill may fall between two bytes of a sample.
    file.set_len(HEADER as u64 + data)?;
    let fresh = header(channels, data);
    if fresh != head {
        file.rewind()?;
        io::Write::write_all(&mut file, &fresh)?;
    }
    file.sync_all()?;
    Ok(Recovered {
        duration_ms: data / block / 8,
        bytes: HEADER as u64 + data,
    })
}

fn foreign() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the file is no recording of ours",
    )
}
