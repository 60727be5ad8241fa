//! What is said to a peer as sound: frames are brought to the codec's rate, gathered into packets
//! of the agreed length and encoded.

use audio_codec::resampler::BoxedResampler;

use crate::{
    Codec,
    codec::{Encoder, FRAME_MS, Frame, WIDE_FRAME, resampler},
};

/// The longest packet of ours, in milliseconds.
pub(super) const LONGEST_MS: usize = 60;
/// Room for its payload: G.711 needs the most.
pub(super) const LONGEST: usize = LONGEST_MS * 8;

/// The sound towards one leg's peer.
#[derive(Debug)]
pub(super) struct Voice {
    encoder: Encoder,
    pending: [i16; LONGEST_MS * 16],
    pending_len: usize,
    /// From the other rate to the codec's; made when sound of that rate first comes.
    converter: Option<Converter>,
}

struct Converter(BoxedResampler);

impl std::fmt::Debug for Converter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Converter")
    }
}

impl Voice {
    pub(super) fn new(codec: Codec) -> Self {
        Self {
            encoder: Encoder::new(codec),
            pending: [0; LONGEST_MS * 16],
            pending_len: 0,
            converter: None,
        }
    }

    pub(super) fn codec(&self) -> Codec {
        self.encoder.codec()
    }

    /// The length of packets: what was agreed, as far as the codec can make it.
    pub(super) fn packet_ms(&self, ptime_ms: u32) -> usize {
        let ms = (ptime_ms as usize).clamp(10, LONGEST_MS) / 10 * 10;
        match self.codec() {
            // Opus knows no frames of 30 or 50 ms, and loses less when packets are short.
            Codec::Opus if ms > FRAME_MS => FRAME_MS,
            _ => ms,
        }
    }

    /// Adds a frame to what is to be sent.
    pub(super) fn add(&mut self, frame: &Frame) {
        let rate = self.codec().rate();
        let mut converted = [0; WIDE_FRAME];
        let samples = if frame.rate() == rate {
            frame.samples()
        } else {
            let Converter(converter) = self
                .converter
                .get_or_insert_with(|| Converter(resampler(frame.rate(), rate)));
            let length = converter
                .resample_into(frame.samples(), &mut converted)
                .unwrap_or(0);
            &converted[..length]
        };
        let room = self.pending.len() - self.pending_len;
        let samples = &samples[..samples.len().min(room)];
        self.pending[self.pending_len..self.pending_len + samples.len()].copy_from_slice(samples);
        self.pending_len += samples.len();
    }

    /// Encodes the next packet into `out` when enough sound is there: its length in bytes.
    pub(super) fn packet(&mut self, ms: usize, out: &mut [u8; LONGEST]) -> Option<usize> {
        let samples = ms * self.codec().rate().per_ms();
        if self.pending_len < samples {
            return None;
        }
        let length = self.encoder.encode(&self.pending[..samples], out);
        self.pending.copy_within(samples..self.pending_len, 0);
        self.pending_len -= samples;
        Some(length)
    }

    /// Fills up with silence what is begun of a packet.
    pub(super) fn complete(&mut self, ms: usize) {
        let samples = ms * self.codec().rate().per_ms();
        if self.pending_len > 0 && self.pending_len < samples {
            self.pending[self.pending_len..samples].fill(0);
            self.pending_len = samples;
        }
    }

    /// Forgets what is begun of a packet.
    pub(super) fn clear(&mut self) {
        self.pending_len = 0;
    }
}
