//! SRTP and SRTCP (RFC 3711, RFC 7714): packets are protected and opened where they lie.
//!
//! The ciphers are aws-lc's; what is here is the framing: key derivation, packet indices, replay
//! windows. Nothing allocates once the keys are set.

use aws_lc_rs::{
    aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    cipher::{AES_128, AES_256, Algorithm, EncryptingKey, EncryptionContext, UnboundCipherKey},
    hmac,
    iv::FixedLength,
};
use zeroize::Zeroizing;

/// How packets are protected (RFC 4568 §6.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES in counter mode with an 80 bit HMAC-SHA1 tag.
    AesCm128HmacSha1_80,
    /// The same with a 32 bit tag on RTP (RTCP keeps 80 bits).
    AesCm128HmacSha1_32,
    /// AES-128 in Galois/counter mode with a 128 bit tag; browsers may choose it.
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode with a 128 bit tag.
    AeadAes256Gcm,
}

/// One direction's suite and secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    suite: Suite,
    secret: Zeroizing<Vec<u8>>,
}

/// The keys of both directions of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Protects what we send.
    pub ours: Key,
    /// Protects what the peer sends.
    pub theirs: Key,
}

impl Key {
    /// A master key followed by its salt; `None` when the length is not the suite's.
    #[must_use]
    pub fn new(suite: Suite, secret: &[u8]) -> Option<Self> {
        (secret.len() == suite.key() + suite.salt()).then(|| Self {
            suite,
            secret: Zeroizing::new(secret.to_vec()),
        })
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?}, …)", self.suite)
    }
}

impl Suite {
    pub(crate) fn key(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    pub(crate) fn salt(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }
}

/// Sources whose packet numbers are kept; a phone has one, and another after a transfer.
const SOURCES: usize = 4;
/// The part of an RTP header that is always there.
const HEADER: usize = 12;
/// The part of an RTCP packet that is never encrypted.
const RTCP_HEADER: usize = 8;
/// Set in an SRTCP index: the packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Sending,
    Receiving,
}

/// One direction of a protected session.
pub(crate) struct Srtp {
    rtp: Cipher,
    rtcp: Cipher,
    direction: Direction,
    sources: [Source; SOURCES],
    next_source: usize,
}

/// The numbers of one sender's packets.
#[derive(Clone, Copy, Debug, Default)]
struct Source {
    ssrc: Option<u32>,
    /// The highest index of a packet that proved genuine: rollovers and sequence number.
    highest: Option<u64>,
    /// Bit n: the packet n before the highest has been seen.
    window: u64,
    rtcp_highest: Option<u32>,
    rtcp_window: u64,
}

/// Session keys of one kind of packet.
#[expect(
    clippy::large_enum_variant,
    reason = "each leg has four of one variant, and they live in a box"
)]
enum Cipher {
    Counter {
        cipher: EncryptingKey,
        salt: [u8; 14],
        authentication: hmac::Key,
        tag: usize,
    },
    Galois {
        key: LessSafeKey,
        salt: [u8; 12],
    },
}

impl std::fmt::Debug for Srtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Srtp")
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

impl Srtp {
    pub(crate) fn new(key: &Key, direction: Direction) -> Self {
        Self {
            rtp: Cipher::derive(key, 0),
            rtcp: Cipher::derive(key, 3),
            direction,
            sources: [Source::default(); SOURCES],
            next_source: 0,
        }
    }

    /// Protects the RTP packet at the buffer's start; its new length. `None` when the buffer has
    /// no room for the tag.
    pub(crate) fn seal_rtp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        debug_assert_eq!(self.direction, Direction::Sending);
        let (ssrc, sequence) = (long(buffer, 8)?, short(buffer, 2)?);
        let header = header_length(&buffer[..length])?;
        let source = self.source(ssrc);
        let index = self.sources[source].estimate(sequence);
        self.sources[source].saw(index);
        self.rtp.seal_rtp(buffer, header, length, ssrc, index)
    }

    /// Opens the RTP packet; its new length. `None` when it is forged or was seen before.
    pub(crate) fn open_rtp(&mut self, packet: &mut [u8]) -> Option<usize> {
        let (ssrc, sequence) = (long(packet, 8)?, short(packet, 2)?);
        let header = header_length(packet)?;
        let known = self.known(ssrc);
        let index = known.map_or(u64::from(sequence), |source| {
            self.sources[source].estimate(sequence)
        });
        if known.is_some_and(|source| !self.sources[source].is_new(index)) {
            return None;
        }
        let length = self.rtp.open_rtp(packet, header, ssrc, index)?;
        // Only a genuine packet may move the counters.
        let source = self.source(ssrc);
        self.sources[source].saw(index);
        Some(length)
    }

    /// Protects the RTCP packet at the buffer's start; its new length.
    pub(crate) fn seal_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let ssrc = long(buffer, 4)?;
        let source = self.source(ssrc);
        let source = &mut self.sources[source];
        let index = source.rtcp_highest.map_or(1, |index| index + 1) & !ENCRYPTED;
        source.rtcp_highest = Some(index);
        self.rtcp.seal_rtcp(buffer, length, ssrc, index)
    }

    /// Opens the RTCP packet; its new length. `None` when it is forged or was seen before.
    pub(crate) fn open_rtcp(&mut self, packet: &mut [u8]) -> Option<usize> {
        let ssrc = long(packet, 4)?;
        let word = self.rtcp.rtcp_index(packet)?;
        let index = word & !ENCRYPTED;
        if let Some(source) = self.known(ssrc)
            && !self.sources[source].is_new_rtcp(index)
        {
            return None;
        }
        let length = self.rtcp.open_rtcp(packet, ssrc, word)?;
        let source = self.source(ssrc);
        self.sources[source].saw_rtcp(index);
        Some(length)
    }

    fn known(&self, ssrc: u32) -> Option<usize> {
        self.sources
            .iter()
            .position(|source| source.ssrc == Some(ssrc))
    }

    /// The numbers of a source; the one not touched for longest gives way to a new one.
    fn source(&mut self, ssrc: u32) -> usize {
        if let Some(at) = self.known(ssrc) {
            return at;
        }
        let at = self.next_source;
        self.next_source = (at + 1) % SOURCES;
        self.sources[at] = Source {
            ssrc: Some(ssrc),
            ..Source::default()
        };
        at
    }
}

impl Source {
    /// The index of a sequence number: the one nearest to the highest (RFC 3711 §3.3.1).
    fn estimate(&self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else {
            return u64::from(sequence);
        };
        let step = i64::from(sequence.wrapping_sub(highest as u16) as i16);
        highest
            .checked_add_signed(step)
            .unwrap_or(u64::from(sequence))
    }

    fn is_new(&self, index: u64) -> bool {
        match self.highest {
            Some(highest) if index <= highest => {
                let behind = highest - index;
                behind < 64 && self.window & (1 << behind) == 0
            }
            _ => true,
        }
    }

    fn saw(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index <= highest => {
                let behind = highest - index;
                if behind < 64 {
                    self.window |= 1 << behind;
                }
            }
            highest => {
                let ahead = highest.map_or(64, |highest| index - highest);
                self.window = if ahead < 64 { self.window << ahead } else { 0 } | 1;
                self.highest = Some(index);
            }
        }
    }

    fn is_new_rtcp(&self, index: u32) -> bool {
        match self.rtcp_highest {
            Some(highest) if index <= highest => {
                let behind = highest - index;
                behind < 64 && self.rtcp_window & (1 << behind) == 0
            }
            _ => true,
        }
    }

    fn saw_rtcp(&mut self, index: u32) {
        match self.rtcp_highest {
            Some(highest) if index <= highest => {
                let behind = highest - index;
                if behind < 64 {
                    self.rtcp_window |= 1 << behind;
                }
            }
            highest => {
                let ahead = highest.map_or(64, |highest| index - highest);
                self.rtcp_window = if ahead < 64 {
                    self.rtcp_window << ahead
                } else {
                    0
                } | 1;
                self.rtcp_highest = Some(index);
            }
        }
    }
}

impl Cipher {
    /// Derives session keys; `label` is that of the encryption key: 0 for RTP, 3 for RTCP
    /// (RFC 3711 §4.3.2).
    fn derive(key: &Key, label: u8) -> Self {
        let suite = key.suite;
        let (master, salt) = key.secret.split_at(suite.key());
        let mut session = Zeroizing::new([0; 32]);
        let encryption = &mut session[..suite.key()];
        keystream(suite, master, salt, label, encryption);
        let mut long_salt = [0; 14];
        keystream(
            suite,
            master,
            salt,
            label + 2,
            &mut long_salt[..suite.salt()],
        );
        let tag = match suite {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => {
                let algorithm = match suite {
                    Suite::AeadAes128Gcm => &AES_128_GCM,
                    _ => &AES_256_GCM,
                };
                let key = UnboundKey::new(algorithm, encryption).expect("the suite's length");
                let mut salt = [0; 12];
                salt.copy_from_slice(&long_salt[..12]);
                return Self::Galois {
                    key: LessSafeKey::new(key),
                    salt,
                };
            }
            // RTCP keeps the long tag (RFC 4568 §6.2.2).
            Suite::AesCm128HmacSha1_32 if label == 0 => 4,
            Suite::AesCm128HmacSha1_32 | Suite::AesCm128HmacSha1_80 => 10,
        };
        let mut authentication = Zeroizing::new([0; 20]);
        keystream(suite, master, salt, label + 1, &mut authentication[..]);
        Self::Counter {
            cipher: counter(suite, encryption),
            salt: long_salt,
            authentication: hmac::Key::new(
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                &authentication[..],
            ),
            tag,
        }
    }

    fn seal_rtp(
        &self,
        buffer: &mut [u8],
        header: usize,
        length: usize,
        ssrc: u32,
        index: u64,
    ) -> Option<usize> {
        match self {
            Self::Counter {
                cipher,
                salt,
                authentication,
                tag,
            } => {
                crypt(cipher, salt, ssrc, index, &mut buffer[header..length])?;
                let rollovers = ((index >> 16) as u32).to_be_bytes();
                let computed = sign(authentication, &buffer[..length], &rollovers);
                buffer
                    .get_mut(length..length + tag)?
                    .copy_from_slice(&computed.as_ref()[..*tag]);
                Some(length + tag)
            }
            Self::Galois { key, salt } => {
                let (head, rest) = buffer.split_at_mut(header);
                let (payload, behind) = rest.split_at_mut(length - header);
                let nonce = galois_nonce(salt, ssrc, index);
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::from(&*head), payload)
                    .ok()?;
                behind.get_mut(..16)?.copy_from_slice(tag.as_ref());
                Some(length + 16)
            }
        }
    }

    fn open_rtp(&self, packet: &mut [u8], header: usize, ssrc: u32, index: u64) -> Option<usize> {
        match self {
            Self::Counter {
                cipher,
                salt,
                authentication,
                tag,
            } => {
                let length = packet.len().checked_sub(*tag).filter(|l| *l >= header)?;
                let (body, received) = packet.split_at_mut(length);
                let rollovers = ((index >> 16) as u32).to_be_bytes();
                let computed = sign(authentication, body, &rollovers);
                same(&computed.as_ref()[..*tag], received)?;
                crypt(cipher, salt, ssrc, index, &mut body[header..])?;
                Some(length)
            }
            Self::Galois { key, salt } => {
                let (head, sealed) = packet.split_at_mut(header);
                let nonce = galois_nonce(salt, ssrc, index);
                let opened = key.open_in_place(nonce, Aad::from(&*head), sealed).ok()?;
                Some(header + opened.len())
            }
        }
    }

    fn seal_rtcp(&self, buffer: &mut [u8], length: usize, ssrc: u32, index: u32) -> Option<usize> {
        let word = (index | ENCRYPTED).to_be_bytes();
        match self {
            Self::Counter {
                cipher,
                salt,
                authentication,
                tag,
            } => {
                let (at, end) = (length + 4, length + 4 + tag);
                buffer.get(..end)?;
                let body = &mut buffer[RTCP_HEADER..length];
                crypt(cipher, salt, ssrc, u64::from(index), body)?;
                buffer[length..at].copy_from_slice(&word);
                let computed = sign(authentication, &buffer[..at], &[]);
                buffer[at..end].copy_from_slice(&computed.as_ref()[..*tag]);
                Some(end)
            }
            Self::Galois { key, salt } => {
                let end = length + 16 + 4;
                buffer.get(..end)?;
                let mut associated = [0; RTCP_HEADER + 4];
                associated[..RTCP_HEADER].copy_from_slice(&buffer[..RTCP_HEADER]);
                associated[RTCP_HEADER..].copy_from_slice(&word);
                let nonce = galois_nonce(salt, ssrc, u64::from(index));
                let body = &mut buffer[RTCP_HEADER..length];
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::from(&associated), body)
                    .ok()?;
                buffer[length..length + 16].copy_from_slice(tag.as_ref());
                buffer[length + 16..end].copy_from_slice(&word);
                Some(end)
            }
        }
    }

    /// The index of a packet with the flag that it is encrypted.
    fn rtcp_index(&self, packet: &[u8]) -> Option<u32> {
        let behind = match self {
            Self::Counter { tag, .. } => *tag,
            Self::Galois { .. } => 0,
        };
        let at = packet.len().checked_sub(behind + 4)?;
        long(packet, at).filter(|_| at >= RTCP_HEADER)
    }

    fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, word: u32) -> Option<usize> {
        // Our suites encrypt always: a clear packet under them is not the peer's.
        let index = (word & ENCRYPTED != 0).then_some(u64::from(word & !ENCRYPTED))?;
        match self {
            Self::Counter {
                cipher,
                salt,
                authentication,
                tag,
            } => {
                let signed = packet.len().checked_sub(*tag)?;
                let (body, received) = packet.split_at_mut(signed);
                let computed = sign(authentication, body, &[]);
                same(&computed.as_ref()[..*tag], received)?;
                let length = signed.checked_sub(4).filter(|l| *l >= RTCP_HEADER)?;
                crypt(cipher, salt, ssrc, index, &mut body[RTCP_HEADER..length])?;
                Some(length)
            }
            Self::Galois { key, salt } => {
                let sealed_end = packet.len().checked_sub(4)?;
                if sealed_end < RTCP_HEADER + 16 {
                    return None;
                }
                let mut associated = [0; RTCP_HEADER + 4];
                associated[..RTCP_HEADER].copy_from_slice(&packet[..RTCP_HEADER]);
                associated[RTCP_HEADER..].copy_from_slice(&word.to_be_bytes());
                let nonce = galois_nonce(salt, ssrc, index);
                let sealed = &mut packet[RTCP_HEADER..sealed_end];
                let opened = key
                    .open_in_place(nonce, Aad::from(&associated), sealed)
                    .ok()?;
                Some(RTCP_HEADER + opened.len())
            }
        }
    }
}

/// The key derivation function (RFC 3711 §4.3.3; with AES-256 RFC 6188). A salt of 96 bits counts
/// as if zeros followed it (RFC 7714 §11).
fn keystream(suite: Suite, master: &[u8], salt: &[u8], label: u8, out: &mut [u8]) {
    let mut iv = [0; 16];
    iv[..salt.len()].copy_from_slice(salt);
    iv[7] ^= label;
    out.fill(0);
    counter(suite, master)
        .less_safe_encrypt(out, EncryptionContext::Iv128(FixedLength::from(iv)))
        .expect("a counter mode takes any length");
}

fn counter(suite: Suite, key: &[u8]) -> EncryptingKey {
    let algorithm: &'static Algorithm = match suite {
        Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 | Suite::AeadAes128Gcm => &AES_128,
        Suite::AeadAes256Gcm => &AES_256,
    };
    let key = UnboundCipherKey::new(algorithm, key).expect("the length is the suite's");
    EncryptingKey::ctr(key).expect("AES has a counter mode")
}

/// RFC 3711 §4.1.1.
fn crypt(
    cipher: &EncryptingKey,
    salt: &[u8; 14],
    ssrc: u32,
    index: u64,
    data: &mut [u8],
) -> Option<()> {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(salt);
    for (byte, of_ssrc) in iv[4..8].iter_mut().zip(ssrc.to_be_bytes()) {
        *byte ^= of_ssrc;
    }
    for (byte, of_index) in iv[8..14].iter_mut().zip(&index.to_be_bytes()[2..]) {
        *byte ^= of_index;
    }
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    cipher.less_safe_encrypt(data, context).ok().map(|_| ())
}

/// RFC 7714 §8.1 and §9.1.
fn galois_nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    let mut iv = *salt;
    for (byte, of_ssrc) in iv[2..6].iter_mut().zip(ssrc.to_be_bytes()) {
        *byte ^= of_ssrc;
    }
    for (byte, of_index) in iv[6..].iter_mut().zip(&index.to_be_bytes()[2..]) {
        *byte ^= of_index;
    }
    Nonce::assume_unique_for_key(iv)
}

fn sign(key: &hmac::Key, packet: &[u8], rollovers: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(packet);
    context.update(rollovers);
    context.sign()
}

/// Whether two tags are equal, in time that doesn't tell where they differ.
fn same(a: &[u8], b: &[u8]) -> Option<()> {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).ok()
}

/// The length of an RTP header with its sources and extension, which stay readable.
fn header_length(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let mut length = HEADER + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        length += 4 + 4 * usize::from(short(packet, length + 2)?);
    }
    (length <= packet.len()).then_some(length)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
