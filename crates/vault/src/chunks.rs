//! Files at rest: sealed in chunks, so that a part can be read without the rest.
//!
//! The STREAM construction over XChaCha20-Poly1305: a chunk's nonce is a random prefix of 19 bytes, the chunk's
//! number and whether it is the last. Chunks can't be reordered, dropped, cut off or taken from another file.

use std::ops::Range;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::{Context, DataKey, VaultError};

/// Plain bytes in a chunk; the last may hold fewer.
pub const CHUNK: usize = 64 * 1024;

const MAGIC: &[u8; 8] = b"TLSEAL1\n";
const PREFIX: usize = 19;
/// Bytes before the first chunk.
pub const HEADER: usize = MAGIC.len() + PREFIX;
const TAG: usize = 16;
const SEALED: u64 = (CHUNK + TAG) as u64;

/// Seals or opens the chunks of one file.
pub struct ChunkCipher {
    cipher: XChaCha20Poly1305,
    prefix: [u8; PREFIX],
    associated: Vec<u8>,
}

impl ChunkCipher {
    /// For a new file. Give each file a key of its own.
    #[must_use]
    pub fn new(key: &DataKey, context: &Context<'_>) -> Self {
        Self::with_prefix(key, context, rand::random())
    }

    /// For a file that begins with this header.
    ///
    /// # Errors
    /// [`VaultError::Malformed`] when it is no header of ours.
    pub fn of_header(
        key: &DataKey,
        context: &Context<'_>,
        header: &[u8],
    ) -> Result<Self, VaultError> {
        let prefix = header
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.try_into().ok())
            .ok_or(VaultError::Malformed)?;
        Ok(Self::with_prefix(key, context, prefix))
    }

    fn with_prefix(key: &DataKey, context: &Context<'_>, prefix: [u8; PREFIX]) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(key.bytes().into()),
            prefix,
            associated: context.associated_data(key.id()),
        }
    }

    /// What the file begins with.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        [MAGIC.as_slice(), &self.prefix].concat()
    }

    /// Seals a chunk. All but the last hold [`CHUNK`] bytes.
    #[must_use]
    pub fn seal(&self, number: u32, last: bool, plain: &[u8]) -> Vec<u8> {
        let payload = Payload {
            msg: plain,
            aad: &self.associated,
        };
        self.cipher
            .encrypt(&self.nonce(number, last), payload)
            .expect("a chunk is far below the cipher's 256 GB limit")
    }

    /// Opens a chunk.
    ///
    /// # Errors
    /// [`VaultError::NotAuthentic`] when it was changed, moved or cut, or another file's.
    pub fn open(&self, number: u32, last: bool, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let payload = Payload {
            msg: sealed,
            aad: &self.associated,
        };
        self.cipher
            .decrypt(&self.nonce(number, last), payload)
            .map_err(|_| VaultError::NotAuthentic)
    }

    fn nonce(&self, number: u32, last: bool) -> XNonce {
        let mut nonce = [0; PREFIX + 5];
        nonce[..PREFIX].copy_from_slice(&self.prefix);
        nonce[PREFIX..PREFIX + 4].copy_from_slice(&number.to_be_bytes());
        nonce[PREFIX + 4] = u8::from(last);
        XNonce::from(nonce)
    }
}

/// Where the chunks of a sealed file lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    sealed: u64,
    /// Plain bytes in all.
    pub plain: u64,
    /// Number of the last chunk.
    pub last: u32,
}

impl Layout {
    /// Of a sealed file of so many bytes.
    ///
    /// # Errors
    /// [`VaultError::Malformed`] when no file of ours has that length.
    pub fn of(sealed: u64) -> Result<Self, VaultError> {
        let body = sealed
            .checked_sub(HEADER as u64)
            .filter(|body| *body > 0 && (body - 1) % SEALED >= TAG as u64 - 1)
            .ok_or(VaultError::Malformed)?;
        let chunks = body.div_ceil(SEALED);
        Ok(Self {
            sealed,
            plain: body - chunks * TAG as u64,
            last: u32::try_from(chunks - 1).map_err(|_| VaultError::Malformed)?,
        })
    }

    /// The chunks that hold a range of plain bytes, which must not be empty.
    #[must_use]
    pub fn chunks(&self, plain: &Range<u64>) -> Range<u32> {
        let first = plain.start / CHUNK as u64;
        let last = plain.end.saturating_sub(1).min(self.plain) / CHUNK as u64;
        let number = |chunk: u64| u32::try_from(chunk).unwrap_or(self.last).min(self.last);
        number(first)..number(last) + 1
    }

    /// The sealed bytes of chunks.
    #[must_use]
    pub fn sealed(&self, chunks: &Range<u32>) -> Range<u64> {
        let at = |chunk: u32| (HEADER as u64 + u64::from(chunk) * SEALED).min(self.sealed);
        at(chunks.start)..at(chunks.end)
    }

    /// Splits sealed bytes of chunks into those of each.
    pub fn split<'a>(&self, sealed: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        sealed.chunks(CHUNK + TAG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyRing;

    fn key() -> DataKey {
        let folder = tempfile::tempdir().expect("a folder");
        let ring = KeyRing::load_or_create(&folder.path().join("k")).expect("keys");
        ring.new_data_key("1").0
    }

    const CONTEXT: Context<'static> = Context {
        tenant: "1",
        connection: "101",
        field: "recording",
    };

    fn seal(key: &DataKey, plain: &[u8]) -> Vec<u8> {
        let cipher = ChunkCipher::new(key, &CONTEXT);
        let mut file = cipher.header();
        let chunks: Vec<&[u8]> = match plain {
            [] => vec![&[]],
            plain => plain.chunks(CHUNK).collect(),
        };
        for (number, chunk) in chunks.iter().enumerate() {
            file.extend(cipher.seal(number as u32, number + 1 == chunks.len(), chunk));
        }
        file
    }

    #[test]
    fn any_part_of_a_file_opens_by_itself() {
        let key = key();
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5] {
            let plain: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let file = seal(&key, &plain);
            let layout = Layout::of(file.len() as u64).expect("a layout");
            assert_eq!(layout.plain, length as u64);
            let cipher = ChunkCipher::of_header(&key, &CONTEXT, &file[..HEADER]).expect("ours");
            for range in [0..1, 10..length, length / 2..length] {
                let range = range.start as u64..range.end as u64;
                if range.is_empty() || range.end > layout.plain {
                    continue;
                }
                let chunks = layout.chunks(&range);
                let bytes = layout.sealed(&chunks);
                let bytes = &file[bytes.start as usize..bytes.end as usize];
                let opened: Vec<u8> = chunks
                    .clone()
                    .zip(layout.split(bytes))
                    .flat_map(|(number, sealed)| {
                        cipher
                            .open(number, number == layout.last, sealed)
                            .expect("authentic")
                    })
                    .collect();
                let from = chunks.start as usize * CHUNK;
                assert_eq!(
                    opened[range.start as usize - from..range.end as usize - from],
                    plain[range.start as usize..range.end as usize],
                );
            }
        }
    }

    #[test]
    fn a_changed_moved_or_cut_file_does_not_open() {
        let key = key();
        let file = seal(&key, &vec![9; 2 * CHUNK + 7]);
        let layout = Layout::of(file.len() as u64).expect("a layout");
        let cipher = ChunkCipher::of_header(&key, &CONTEXT, &file[..HEADER]).expect("ours");
        let chunk = |number: u32| {
            let range = layout.sealed(&(number..number + 1));
            file[range.start as usize..range.end as usize].to_vec()
        };
        assert!(cipher.open(0, false, &chunk(0)).is_ok());
        assert!(cipher.open(1, false, &chunk(0)).is_err(), "moved");
        assert!(cipher.open(1, true, &chunk(1)).is_err(), "cut off after it");
        let mut changed = chunk(0);
        changed[100] ^= 1;
        assert!(cipher.open(0, false, &changed).is_err());
        let elsewhere = Context {
            connection: "102",
            ..CONTEXT
        };
        let other = ChunkCipher::of_header(&key, &elsewhere, &file[..HEADER]).expect("ours");
        assert!(
            other.open(0, false, &chunk(0)).is_err(),
            "another recording's"
        );
        assert!(ChunkCipher::of_header(&key, &CONTEXT, b"RIFF").is_err());
        for no_length in [
            0,
            HEADER as u64,
            HEADER as u64 + 15,
            HEADER as u64 + SEALED + 3,
        ] {
            assert!(Layout::of(no_length).is_err(), "{no_length}");
        }
    }
}
