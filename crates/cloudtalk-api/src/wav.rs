//! Recordings on their way out: a byte range, and two channels mixed to one.

use std::{ops::Range, path::Path};

use http::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

/// The range that a client asks for, within `length` bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    Part(Range<u64>),
    /// RFC 9110 §15.5.17.
    Impossible,
}

/// RFC 9110 §14.2. A header that is not understood, or asks for several ranges, is ignored.
pub(crate) fn wanted(header: Option<&HeaderValue>, length: u64) -> Wanted {
    let spec = header
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().strip_prefix("bytes="));
    let Some((first, last)) = spec.and_then(|spec| spec.trim().split_once('-')) else {
        return Wanted::All;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return Wanted::All,
    };
    if range.is_empty() {
        Wanted::Impossible
    } else {
        Wanted::Part(range)
    }
}

/// Where the samples of a file lie, and how many channels they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub channels: u16,
    pub sample_rate: u32,
    pub data_at: u64,
    pub data_bytes: u64,
}

/// Reads the chunks of a 16-bit PCM file. A file whose sizes were never written, because the server
/// died, counts to its end.
pub(crate) async fn layout(path: &Path) -> std::io::Result<Option<Layout>> {
    let mut file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    let mut head = [0u8; 12];
    if file.read_exact(&mut head).await.is_err() || &head[..4] != b"RIFF" || &head[8..] != b"WAVE" {
        return Ok(None);
    }
    let mut format = None;
    let mut at = 12u64;
    loop {
        let mut chunk = [0u8; 8];
        file.seek(SeekFrom::Start(at)).await?;
        if file.read_exact(&mut chunk).await.is_err() {
            return Ok(None);
        }
        let size = u64::from(u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]));
        match &chunk[..4] {
            b"fmt " => {
                let mut fmt = [0u8; 16];
                file.read_exact(&mut fmt).await?;
                let channels = u16::from_le_bytes([fmt[2], fmt[3]]);
                let sample_rate = u32::from_le_bytes([fmt[4], fmt[5], fmt[6], fmt[7]]);
                let is_pcm16 = fmt[..2] == [1, 0] && fmt[14..] == [16, 0];
                format = is_pcm16.then_some((channels, sample_rate));
            }
            b"data" => {
                let left = length.saturating_sub(at + 8);
                let data_bytes = if size == 0 || size > left { left } else { size };
                return Ok(format.map(|(channels, sample_rate)| Layout {
                    channels,
                    sample_rate,
                    data_at: at + 8,
                    data_bytes,
                }));
            }
            _ => {}
        }
        at += 8 + size + size % 2;
    }
}

/// A stereo file as one channel, header included. 16 minutes of a call are 15 MB: mixed in one go,
/// off the async threads.
pub(crate) fn mixed(path: &Path, layout: Layout) -> std::io::Result<Vec<u8>> {
    use std::io::{Read, Seek};
    let mut file = std::fs::File::open(path)?;
    file.seek(std::io::SeekFrom::Start(layout.data_at))?;
    let mut stereo = Vec::new();
    file.take(layout.data_bytes).read_to_end(&mut stereo)?;
    let mono_bytes = u32::try_from(stereo.len() / 4 * 2).unwrap_or(u32::MAX);
    let mut out = header(mono_bytes, layout.sample_rate);
    out.reserve(stereo.len() / 2);
    for frame in stereo.chunks_exact(4) {
        let left = i32::from(i16::from_le_bytes([frame[0], frame[1]]));
        let right = i32::from(i16::from_le_bytes([frame[2], frame[3]]));
        // Both parties seldom speak at once: a sum keeps the loudness, the clamp the rest.
        let sum = (left + right).clamp(i32::from(i16::MIN), i32::from(i16::MAX));
        out.extend_from_slice(&i16::try_from(sum).unwrap_or_default().to_le_bytes());
    }
    Ok(out)
}

fn header(data_bytes: u32, sample_rate: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(44);
    header.extend_from_slice(b"RIFF");
    header.extend_from_slice(&data_bytes.saturating_add(36).to_le_bytes());
    header.extend_from_slice(b"WAVEfmt ");
    header.extend_from_slice(&16u32.to_le_bytes());
    header.extend_from_slice(&1u16.to_le_bytes());
    header.extend_from_slice(&1u16.to_le_bytes());
    header.extend_from_slice(&sample_rate.to_le_bytes());
    header.extend_from_slice(&(sample_rate * 2).to_le_bytes());
    header.extend_from_slice(&2u16.to_le_bytes());
    header.extend_from_slice(&16u16.to_le_bytes());
    header.extend_from_slice(b"data");
    header.extend_from_slice(&data_bytes.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(header: &str) -> Wanted {
        wanted(Some(&header.parse().expect("a header")), 100)
    }

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        assert_eq!(wanted(None, 100), Wanted::All);
        assert_eq!(ask("bytes=0-9"), Wanted::Part(0..10));
        assert_eq!(ask("bytes=90-"), Wanted::Part(90..100));
        assert_eq!(ask("bytes=-10"), Wanted::Part(90..100));
        assert_eq!(ask("bytes=-1000"), Wanted::Part(0..100));
        assert_eq!(ask("bytes=50-1000"), Wanted::Part(50..100));
        for ignored in [
            "bytes=0-1,4-5",
            "bytes=9-1",
            "lines=0-1",
            "bytes=a-b",
            "bytes=-",
        ] {
            assert_eq!(ask(ignored), Wanted::All, "{ignored}");
        }
        for impossible in ["bytes=100-", "bytes=200-300", "bytes=-0"] {
            assert_eq!(ask(impossible), Wanted::Impossible, "{impossible}");
        }
    }
}
