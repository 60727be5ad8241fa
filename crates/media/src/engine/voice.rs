//! What is said to a peer as sound: frames are brought to the codec's rate, gathered into packets
//! of the agreed length and encoded.

use audio_codec::resampler::BoxedResampler;

use crate::{
    Codec,
    codec::{Encoder, FRAME_MS, Frame, Rate, WIDE_FRAME, resampler},
};

/// The longest packet of ours, in milliseconds.
pub(super) const LONGEST_MS: usize = 60;
/// Room for its payload: G.711 needs the most.
pub(super) const LONGEST: usize = LONGEST_MS * 8;

/// Frames in a row of narrower sound after which Opus is encoded so: 100 ms. A peer that takes another codec with each
/// packet must not have an encoder made for each; who begins to be heard should not be long in his word when it happens.
const SETTLED: u8 = 5;

/// The sound towards one leg's peer.
#[derive(Debug)]
pub(super) struct Voice {
    encoder: Encoder,
    /// The rate of what is encoded: the codec's own, but for Opus, which takes it as it comes.
    rate: Rate,
    /// How many frames in a row were narrower.
    narrower: u8,
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
            encoder: Encoder::new(codec, codec.rate()),
            rate: codec.rate(),
            narrower: 0,
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

    /// Follows the rate at which sound comes, where the codec can: between two packets, since a frame of Opus has one rate.
    fn follow(&mut self, rate: Rate) {
        self.narrower = match rate < self.rate {
            true => self.narrower.saturating_add(1),
            false => 0,
        };
        let changes = rate > self.rate || self.narrower >= SETTLED;
        if changes && self.codec() == Codec::Opus && self.pending_len == 0 {
            self.encoder = Encoder::new(self.codec(), rate);
            self.converter = None;
            (self.rate, self.narrower) = (rate, 0);
        }
    }

    /// Adds a frame to what is to be sent.
    pub(super) fn add(&mut self, frame: &Frame) {
        self.follow(frame.rate());
        let rate = self.rate;
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
        let samples = ms * self.rate.per_ms();
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
        let samples = ms * self.rate.per_ms();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(voice: &mut Voice, frames: usize, rate: Rate) -> Vec<Vec<u8>> {
        let mut frame = Frame::silence(rate);
        frame.samples_mut().fill(500);
        let mut packets = Vec::new();
        let mut out = [0; LONGEST];
        for _ in 0..frames {
            voice.add(&frame);
            while let Some(length) = voice.packet(FRAME_MS, &mut out) {
                packets.push(out[..length].to_vec());
            }
        }
        packets
    }

    /// Whether a packet of Opus holds speech no wider than a telephone's: configurations 0 to 3 (RFC 6716 §3.1).
    fn is_narrow(packet: &[u8]) -> bool {
        packet[0] >> 3 < 4
    }

    #[test]
    fn opus_is_as_wide_as_what_is_said_and_no_packet_is_missing() {
        let mut voice = Voice::new(Codec::Opus);
        let mut say = |rate, frames| {
            let packets = said(&mut voice, frames, rate);
            assert_eq!(packets.len(), frames, "{rate:?}");
            packets
                .iter()
                .map(|packet| is_narrow(packet))
                .collect::<Vec<_>>()
        };
        let telephone = say(Rate::Narrow, 60);
        assert!(!telephone[0] && telephone[59], "{telephone:?}");
        assert_eq!(say(Rate::Wide, 20), [false; 20]);
        assert_eq!(say(Rate::Narrow, 4), [false; 4], "it may be a moment");
        assert_eq!(say(Rate::Wide, 20), [false; 20]);
    }

    #[test]
    fn g722_stays_at_its_own_rate() {
        let mut voice = Voice::new(Codec::G722);
        let packets = said(&mut voice, 60, Rate::Narrow);
        assert!(packets.iter().all(|packet| packet.len() == 160));
    }
}
