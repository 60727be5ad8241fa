//! Codecs: how sound becomes payloads and payloads become sound again.

use audio_codec::{
    Decoder as _, Encoder as _,
    g722::{G722Decoder, G722Encoder},
    resampler::BoxedResampler,
};
use opus_rs::{Application, OpusDecoder, OpusEncoder};

use crate::g711;

/// How a leg's audio is coded on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, static payload type 9.
    G722,
    /// Opus (RFC 6716, RFC 7587), mono, 16 or 24 kbit/s with redundancy against loss when we encode.
    Opus,
}

/// The rates at which sound is worked with inside: the engine needs no others, because G.722 ends
/// at 7 kHz and Opus on a phone call holds no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rate {
    /// 8,000 samples per second.
    Narrow,
    /// 16,000 samples per second.
    Wide,
}

/// Samples in 20 ms at the wider rate.
pub(crate) const WIDE_FRAME: usize = 320;
/// Milliseconds that a frame lasts.
pub(crate) const FRAME_MS: usize = 20;
/// The most one packet may hold: Opus allows 120 ms.
pub(crate) const LONGEST_PACKET_MS: usize = 120;
/// Room for the samples of the longest packet.
pub(crate) const LONGEST_PACKET: usize = LONGEST_PACKET_MS * 16;

impl Rate {
    pub(crate) fn hertz(self) -> usize {
        match self {
            Self::Narrow => 8_000,
            Self::Wide => 16_000,
        }
    }

    /// Samples in a millisecond.
    pub(crate) fn per_ms(self) -> usize {
        self.hertz() / 1_000
    }

    /// Samples in a frame of 20 ms.
    pub(crate) fn frame(self) -> usize {
        self.per_ms() * FRAME_MS
    }
}

/// 20 ms of mono sound: the unit in which players, mixers, detectors and codecs meet.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    rate: Rate,
    samples: [i16; WIDE_FRAME],
}

impl Frame {
    pub(crate) fn silence(rate: Rate) -> Self {
        Self {
            rate,
            samples: [0; WIDE_FRAME],
        }
    }

    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    pub(crate) fn samples(&self) -> &[i16] {
        &self.samples[..self.rate.frame()]
    }

    pub(crate) fn samples_mut(&mut self) -> &mut [i16] {
        &mut self.samples[..self.rate.frame()]
    }
}

impl Codec {
    /// Ticks per second of its RTP timestamps. G.722 counts 8,000 by an old mistake
    /// (RFC 3551 §4.5.2), Opus always 48,000 (RFC 7587 §4.1).
    #[must_use]
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::Opus => 48_000,
        }
    }

    /// Ticks per millisecond of its RTP timestamps.
    pub(crate) fn ticks_per_ms(self) -> u32 {
        self.clock_rate() / 1_000
    }

    /// The rate that keeps what it can carry.
    pub(crate) fn rate(self) -> Rate {
        match self {
            Self::Pcmu | Self::Pcma => Rate::Narrow,
            Self::G722 | Self::Opus => Rate::Wide,
        }
    }

    /// Whether one can be had from the other byte by byte.
    pub(crate) fn is_g711(self) -> bool {
        matches!(self, Self::Pcmu | Self::Pcma)
    }

    /// Whether packets of one can be passed on to a leg of the other without decoding.
    pub(crate) fn passes_to(self, other: Self) -> bool {
        self == other || (self.is_g711() && other.is_g711())
    }

    /// The codec of a static payload type (RFC 3551 table 4).
    pub(crate) fn of_static(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            _ => None,
        }
    }

    /// Its encoding name in SDP.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
        }
    }

    /// The sound in a payload, in milliseconds; `None` when it is malformed.
    pub(crate) fn duration_ms(self, payload: &[u8]) -> Option<usize> {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => Some(payload.len() / 8),
            Self::Opus => opus_duration_ms(payload),
        }
    }

    /// Rewrites a payload of one G.711 law as the other, in place.
    pub(crate) fn cross(self, to: Self, payload: &mut [u8]) {
        let table = match (self, to) {
            (Self::Pcmu, Self::Pcma) => &g711::ULAW_TO_ALAW,
            (Self::Pcma, Self::Pcmu) => &g711::ALAW_TO_ULAW,
            _ => return,
        };
        for byte in payload {
            *byte = table[usize::from(*byte)];
        }
    }
}

/// The length of an Opus packet by its first bytes (RFC 6716 §3.1), in whole milliseconds.
fn opus_duration_ms(payload: &[u8]) -> Option<usize> {
    let toc = *payload.first()?;
    // Durations in units of 2.5 ms.
    let frame = match toc >> 3 {
        config @ 0..12 => [4, 8, 16, 24][usize::from(config & 3)],
        config @ 12..16 => [4, 8][usize::from(config & 1)],
        config => [1, 2, 4, 8][usize::from(config & 3)],
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(payload.get(1)? & 0x3f),
    };
    let duration = frame * count * 5 / 2;
    (1..=LONGEST_PACKET_MS)
        .contains(&duration)
        .then_some(duration)
}

/// Turns the payloads of one stream into samples at one rate.
pub(crate) struct Decoder {
    rate: Rate,
    kind: DecoderKind,
}

enum DecoderKind {
    /// Both laws: they have no state. The resampler is there for the wider rate.
    G711(Option<Box<BoxedResampler>>),
    G722(Box<G722Decoder>),
    Opus(Box<Opus>),
}

struct Opus {
    decoder: OpusDecoder,
    samples: [f32; LONGEST_PACKET],
}

impl Decoder {
    pub(crate) fn new(codec: Codec, rate: Rate) -> Self {
        let kind = match codec {
            Codec::Pcmu | Codec::Pcma => {
                let up = (rate == Rate::Wide)
                    .then(|| resampler(Rate::Narrow, Rate::Wide))
                    .map(Box::new);
                DecoderKind::G711(up)
            }
            Codec::G722 => DecoderKind::G722(Box::new(G722Decoder::with_options(
                audio_codec::g722::Bitrate::Mode1_64000,
                false,
                rate == Rate::Narrow,
            ))),
            Codec::Opus => DecoderKind::Opus(Box::new(Opus {
                decoder: OpusDecoder::new(rate.hertz() as i32, 1)
                    .expect("both rates are rates of Opus"),
                samples: [0.0; LONGEST_PACKET],
            })),
        };
        Self { rate, kind }
    }

    /// Decodes a payload of the stream; the number of samples, 0 when it is malformed.
    pub(crate) fn decode(
        &mut self,
        codec: Codec,
        payload: &[u8],
        out: &mut [i16; LONGEST_PACKET],
    ) -> usize {
        match &mut self.kind {
            DecoderKind::G711(up) => {
                let table: fn(u8) -> i16 = match codec {
                    Codec::Pcma => g711::alaw_to_linear,
                    _ => g711::ulaw_to_linear,
                };
                let most = LONGEST_PACKET_MS * 8;
                let payload = &payload[..payload.len().min(most)];
                let Some(up) = up else {
                    for (sample, byte) in out.iter_mut().zip(payload) {
                        *sample = table(*byte);
                    }
                    return payload.len();
                };
                let mut narrow = [0; LONGEST_PACKET_MS * 8];
                for (sample, byte) in narrow.iter_mut().zip(payload) {
                    *sample = table(*byte);
                }
                up.resample_into(&narrow[..payload.len()], out).unwrap_or(0)
            }
            DecoderKind::G722(decoder) => {
                let most = LONGEST_PACKET / 2;
                let payload = &payload[..payload.len().min(most)];
                decoder.decode_into(payload, out).unwrap_or(0)
            }
            DecoderKind::Opus(opus) => {
                let Some(ms) = opus_duration_ms(payload) else {
                    return 0;
                };
                let length = ms * self.rate.per_ms();
                opus.run(length, out, |decoder, samples| {
                    decoder.decode(payload, length, samples)
                })
            }
        }
    }

    /// Fills a gap of `length` samples as the codec itself knows how: Opus continues its model,
    /// or rebuilds what was lost from the packet after it. `false` for codecs that can't.
    pub(crate) fn conceal(
        &mut self,
        next: Option<&[u8]>,
        length: usize,
        out: &mut [i16; LONGEST_PACKET],
    ) -> bool {
        let DecoderKind::Opus(opus) = &mut self.kind else {
            return false;
        };
        let filled = opus.run(length, out, |decoder, samples| match next {
            Some(next) => decoder.decode_fec(next, length, samples),
            None => decoder.decode(&[], length, samples),
        });
        filled == length
    }
}

impl Opus {
    fn run(
        &mut self,
        length: usize,
        out: &mut [i16; LONGEST_PACKET],
        decode: impl FnOnce(&mut OpusDecoder, &mut [f32]) -> Result<usize, &'static str>,
    ) -> usize {
        let length = length.min(LONGEST_PACKET);
        let Ok(decoded) = decode(&mut self.decoder, &mut self.samples[..length]) else {
            return 0;
        };
        let decoded = decoded.min(length);
        for (sample, value) in out.iter_mut().zip(&self.samples[..decoded]) {
            *sample = (value * 32_768.0) as i16;
        }
        decoded
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

/// Turns sound into the payloads of one stream.
pub(crate) struct Encoder {
    codec: Codec,
    kind: EncoderKind,
}

enum EncoderKind {
    G711,
    G722(Box<G722Encoder>),
    Opus(Box<OpusEncoder>),
}

impl Encoder {
    /// An encoder that takes samples at this rate, which only Opus can have otherwise than its own: what holds no more
    /// than a telephone carries costs half as much to encode as that.
    pub(crate) fn new(codec: Codec, rate: Rate) -> Self {
        let kind = match codec {
            Codec::Pcmu | Codec::Pcma => EncoderKind::G711,
            Codec::G722 => EncoderKind::G722(Box::new(G722Encoder::new())),
            Codec::Opus => {
                let mut encoder = OpusEncoder::new(rate.hertz() as i32, 1, Application::Voip)
                    .expect("both rates are rates of Opus");
                // Enough for speech at each rate, cheap, and with the last frame repeated coarsely
                // against loss.
                encoder.bitrate_bps = match rate {
                    Rate::Narrow => 16_000,
                    Rate::Wide => 24_000,
                };
                encoder.complexity = 5;
                encoder.use_inband_fec = true;
                encoder.packet_loss_perc = 5;
                EncoderKind::Opus(Box::new(encoder))
            }
        };
        Self { codec, kind }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Encodes whole frames; the length of the payload, 0 when nothing can be sent.
    pub(crate) fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        match &mut self.kind {
            EncoderKind::G711 => {
                let table: fn(i16) -> u8 = match self.codec {
                    Codec::Pcma => g711::linear_to_alaw,
                    _ => g711::linear_to_ulaw,
                };
                for (byte, sample) in out.iter_mut().zip(samples) {
                    *byte = table(*sample);
                }
                samples.len().min(out.len())
            }
            EncoderKind::G722(encoder) => encoder.encode_into(samples, out).unwrap_or(0),
            EncoderKind::Opus(encoder) => {
                encoder.encode_i16(samples, samples.len(), out).unwrap_or(0)
            }
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

/// A converter between the rates. Making one computes its filter, so make it once per stream.
pub(crate) fn resampler(from: Rate, to: Rate) -> BoxedResampler {
    BoxedResampler::new(from.hertz(), to.hertz()).expect("both rates are above zero")
}
