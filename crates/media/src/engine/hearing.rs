//! What is heard from a peer as sound: a jitter buffer, the decoder behind it, and something
//! plausible where packets are missing.
//!
//! Exists only while somebody needs a leg's sound ([`super::leg::Leg::tune`]); packets that are
//! merely passed on never come here.

use crate::{
    Codec,
    codec::{Decoder, FRAME_MS, Frame, LONGEST_PACKET, LONGEST_PACKET_MS, Rate},
    conceal,
    rtp::Packet,
};

/// Senders whose timestamps are off by less are taken to mean the moment that is due.
const NEAR_MS: i64 = 2;
/// Packets that may wait: 320 ms of 10 ms packets.
const SLOTS: usize = 32;
/// The longest payload kept: 20 ms of Opus at its highest rate.
const PAYLOAD: usize = 1_276;
/// Bounds of the delay that is added against jitter.
const LEAST_DELAY_MS: u32 = 40;
const MOST_DELAY_MS: u32 = 200;
/// Concealed sound fades to nothing within this time.
const FADE_MS: usize = 60;
/// A gap that lasts longer is no loss but silence of the sender.
const SILENCE_MS: u32 = 200;
/// Late packets in a row after which it was the sender's clock that jumped.
const STRAYS: u8 = 5;
/// Frames over which the least waiting sound is taken before delay is cut: 1 s.
const WINDOW: u8 = 50;
/// Amplitude of the noise that stands in for a sender that is silent and described none: dead
/// silence sounds like a call that was cut.
const FAINT: f32 = 8.0;
/// Mean square below which a frame can be left out without being missed.
const QUIET: i64 = 200 * 200;
/// Samples over which real sound is blended in after concealment, per millisecond of 4.
const BLEND_MS: usize = 4;
/// Samples kept of the past at the wider rate: enough for two periods of a low voice.
const PAST: usize = 640;

/// A packet that waits for its turn.
struct Slot {
    used: bool,
    codec: Codec,
    timestamp: u32,
    length: usize,
    payload: [u8; PAYLOAD],
}

/// The sound of one leg's peer.
pub(super) struct Hearing {
    /// How the newest packets are coded: their clock is ours.
    codec: Codec,
    rate: Rate,
    decoders: Decoders,
    /// Of what was decoded last: it conceals what is missing.
    last: Codec,
    slots: Box<[Slot; SLOTS]>,
    ssrc: u32,
    state: State,
    /// The timestamp of the sound that is due.
    next: u32,
    jitter: Jitter,
    strays: u8,
    /// Sound decoded and not yet taken.
    ready: Box<[i16; LONGEST_PACKET + PAST]>,
    ready_from: usize,
    ready_to: usize,
    /// The least sound waiting in this window, in milliseconds, and how many frames it spans.
    least_waiting: u32,
    seen: u8,
    concealed_ms: u32,
    past: [i16; PAST],
    /// The noise that is heard while the sender is silent: as it described it (RFC 3389), else a
    /// faint one, and none before it was heard at all. An amplitude.
    noise: f32,
    random: u32,
    pub(super) counts: Counts,
}

/// A decoder for each codec that has come. Each is made once, so that a peer who takes turns with
/// codecs costs no more memory than one who doesn't.
struct Decoders {
    g711: Option<Decoder>,
    g722: Option<Decoder>,
    opus: Option<Decoder>,
}

impl Decoders {
    fn of(&mut self, codec: Codec, rate: Rate) -> &mut Decoder {
        let decoder = match codec {
            Codec::Pcmu | Codec::Pcma => &mut self.g711,
            Codec::G722 => &mut self.g722,
            Codec::Opus => &mut self.opus,
        };
        decoder.get_or_insert_with(|| Decoder::new(codec, rate))
    }
}

/// What happened to the sound, for quality figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Frames of 20 ms that were made up.
    pub(super) concealed: u64,
    /// Packets that came too late to be heard.
    pub(super) late: u64,
    /// The delay that is added against jitter at present.
    pub(super) delay_ms: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing to play.
    Idle,
    /// The first packets wait until enough are there.
    Filling {
        until_us: u64,
    },
    Playing,
}

/// How unevenly packets arrive.
#[derive(Clone, Copy, Debug, Default)]
struct Jitter {
    /// Arrival minus timestamp of the promptest packet, drifting up slowly.
    base_us: Option<i64>,
    /// How much later than that others came: rises at once, falls within seconds.
    spread_us: i64,
}

impl Jitter {
    fn count(&mut self, transit_us: i64) {
        let base = self.base_us.get_or_insert(transit_us);
        if (transit_us - *base).abs() > 2_000_000 {
            *self = Self {
                base_us: Some(transit_us),
                spread_us: self.spread_us,
            };
            return;
        }
        // 10 µs per packet follow a clock that runs away by 500 ppm.
        *base = transit_us.min(*base + 10);
        let late = transit_us - *base;
        if late > self.spread_us {
            self.spread_us = late;
        } else {
            self.spread_us -= (self.spread_us - late) / 256;
        }
    }

    fn target_ms(&self) -> u32 {
        let spread = u32::try_from(self.spread_us / 1_000).unwrap_or(0);
        (spread + FRAME_MS as u32).clamp(LEAST_DELAY_MS, MOST_DELAY_MS)
    }
}

impl Hearing {
    pub(super) fn new(codec: Codec, rate: Rate) -> Self {
        let slots: Vec<Slot> = (0..SLOTS)
            .map(|_| Slot {
                used: false,
                codec,
                timestamp: 0,
                length: 0,
                payload: [0; PAYLOAD],
            })
            .collect();
        let Ok(slots) = slots.into_boxed_slice().try_into() else {
            unreachable!("as many were made as there are slots");
        };
        let mut decoders = Decoders {
            g711: None,
            g722: None,
            opus: None,
        };
        decoders.of(codec, rate);
        Self {
            codec,
            rate,
            decoders,
            last: codec,
            slots,
            ssrc: 0,
            state: State::Idle,
            next: 0,
            jitter: Jitter::default(),
            strays: 0,
            ready: Box::new([0; LONGEST_PACKET + PAST]),
            ready_from: 0,
            ready_to: 0,
            least_waiting: u32::MAX,
            seen: 0,
            concealed_ms: 0,
            past: [0; PAST],
            noise: 0.0,
            random: 1,
            counts: Counts::default(),
        }
    }

    /// The rate at which it hears.
    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes a packet of audio as it arrives.
    pub(super) fn insert(&mut self, codec: Codec, packet: &Packet, payload: &[u8], now_us: u64) {
        if payload.is_empty() || payload.len() > PAYLOAD {
            return;
        }
        if self.ssrc != packet.ssrc {
            self.restart();
            self.jitter.base_us = None;
            self.ssrc = packet.ssrc;
        } else if self.codec.ticks_per_ms() != codec.ticks_per_ms() {
            self.change_clock(codec.ticks_per_ms(), packet.timestamp);
            self.jitter.base_us = None;
        }
        self.codec = codec;
        self.decoders.of(codec, self.rate);
        let ticks = i64::from(self.codec.ticks_per_ms());
        // The timestamp may go round: what counts are differences, which survive the cast.
        let sent_us = i64::from(packet.timestamp) * 1_000 / ticks;
        self.jitter.count(now_us as i64 - sent_us);
        if self.state == State::Playing {
            self.noise = FAINT;
            let ahead = self.ahead_ms(packet.timestamp);
            if ahead < -NEAR_MS {
                self.counts.late += 1;
                self.strays += 1;
                if self.strays < STRAYS {
                    return;
                }
                self.restart();
            } else if ahead > 2_000 {
                self.restart();
            }
        }
        self.strays = 0;
        if self.state == State::Idle {
            let wait = u64::from(self.jitter.target_ms().saturating_sub(FRAME_MS as u32 / 2));
            self.state = State::Filling {
                until_us: now_us + wait * 1_000,
            };
        }
        self.keep(codec, packet.timestamp, payload);
    }

    /// Counts in another codec's clock from a packet on that begins where what waits ends.
    fn change_clock(&mut self, ticks: u32, begin: u32) {
        let before = i64::from(self.codec.ticks_per_ms());
        let due = match (self.state, self.earliest()) {
            (State::Playing, _) | (_, None) => self.next,
            (_, Some(first)) => self.slots[first].timestamp,
        };
        let ahead = |timestamp: u32| i64::from(timestamp.wrapping_sub(due) as i32);
        let ends = self.slots.iter().filter(|slot| slot.used).map(|slot| {
            let ms = slot.codec.duration_ms(&slot.payload[..slot.length]);
            ahead(slot.timestamp) + ms.unwrap_or(FRAME_MS) as i64 * before
        });
        let end = ends.max().unwrap_or(0).max(0);
        let anew = |timestamp: u32| {
            let until_end = (end - ahead(timestamp)) / before * i64::from(ticks);
            begin.wrapping_sub(until_end as u32)
        };
        for slot in self.slots.iter_mut().filter(|slot| slot.used) {
            slot.timestamp = anew(slot.timestamp);
        }
        self.next = anew(due);
    }

    /// The sender describes the noise in its silence (RFC 3389 §3.1): minus dBov in the first byte.
    pub(super) fn insert_noise(&mut self, payload: &[u8]) {
        if let Some(level) = payload.first() {
            let dbov = f32::from(level & 0x7f).clamp(30.0, 127.0);
            self.noise = 32_768.0 * 10f32.powf(-dbov / 20.0);
        }
    }

    /// The next 20 ms. Called by the wheel, whatever has arrived.
    pub(super) fn next(&mut self, now_us: u64) -> Frame {
        if let State::Filling { until_us } = self.state
            && now_us >= until_us
            && let Some(first) = self.earliest()
        {
            self.next = self.slots[first].timestamp;
            self.state = State::Playing;
            self.concealed_ms = 0;
            (self.least_waiting, self.seen) = (u32::MAX, 0);
        }
        let mut frame = Frame::silence(self.rate);
        if self.state != State::Playing {
            self.fill_noise(&mut frame);
            return frame;
        }
        self.counts.delay_ms = self.jitter.target_ms();
        while self.ready_to - self.ready_from < self.rate.frame() {
            if !self.decode_next() {
                break;
            }
        }
        let length = self.ready_to - self.ready_from;
        if length == 0 {
            // The sender stopped: nothing came for a while.
            self.state = State::Idle;
            self.fill_noise(&mut frame);
            return frame;
        }
        let take = length.min(self.rate.frame());
        let from = self.ready_from;
        frame.samples_mut()[..take].copy_from_slice(&self.ready[from..from + take]);
        self.ready_from += take;
        self.cut_delay(&frame);
        frame
    }

    /// Decodes what is due, or makes it up; `false` when there has been nothing for too long.
    fn decode_next(&mut self) -> bool {
        if self.ready_from > 0 {
            self.ready.copy_within(self.ready_from..self.ready_to, 0);
            (self.ready_from, self.ready_to) = (0, self.ready_to - self.ready_from);
        }
        self.forget_past();
        let ticks = self.codec.ticks_per_ms();
        let mut out = [0; LONGEST_PACKET];
        if let Some(at) = self.slot_at(self.next) {
            let slot = &self.slots[at];
            let (codec, timestamp) = (slot.codec, slot.timestamp);
            self.last = codec;
            let length = self.decoders.of(codec, self.rate).decode(
                codec,
                &slot.payload[..slot.length],
                &mut out,
            );
            let ms = codec
                .duration_ms(&slot.payload[..slot.length])
                .unwrap_or(FRAME_MS);
            self.slots[at].used = false;
            self.next = timestamp.wrapping_add(ms as u32 * ticks);
            if length > 0 {
                if self.concealed_ms > 0 {
                    self.blend(&mut out[..length]);
                }
                self.concealed_ms = 0;
                self.push(&out[..length]);
                return true;
            }
        }
        // Lost, or not there yet. If something later is there it is lost, and the clock goes on;
        // if not, waiting lets the delay grow to what the network needs.
        let following = self.earliest();
        if following.is_none() && self.concealed_ms >= SILENCE_MS {
            return false;
        }
        let gap_ms = following.map_or(FRAME_MS as i64, |at| {
            self.ahead_ms(self.slots[at].timestamp)
        });
        let ms = gap_ms.clamp(1, FRAME_MS as i64) as usize;
        if gap_ms > i64::from(SILENCE_MS) {
            // The sender was silent and speaks again: go on where it does.
            if let Some(at) = following {
                self.next = self.slots[at].timestamp;
            }
            return true;
        }
        let length = ms * self.rate.per_ms();
        // Only a packet of the same codec tells what was before it.
        let same = |at: &usize| self.slots[*at].codec == self.last;
        let fec = following.filter(same).filter(|_| gap_ms <= FRAME_MS as i64);
        let filled = {
            let next = fec.map(|at| &self.slots[at].payload[..self.slots[at].length]);
            self.decoders
                .of(self.last, self.rate)
                .conceal(next, length, &mut out)
        };
        if !filled {
            self.repeat(&mut out[..length]);
        }
        self.concealed_ms += ms as u32;
        self.counts.concealed += 1;
        if following.is_some() {
            self.next = self.next.wrapping_add(ms as u32 * ticks);
        }
        self.push(&out[..length]);
        true
    }

    /// Leaves out a quiet frame when more sound has been waiting for a second than the network's
    /// jitter asks for; a loud one too when it is far more.
    fn cut_delay(&mut self, frame: &Frame) {
        let waiting = self.waiting_ms();
        self.least_waiting = self.least_waiting.min(waiting);
        self.seen = self.seen.saturating_add(1);
        let target = self.jitter.target_ms();
        let far = self.least_waiting > target + 80;
        let quiet = frame
            .samples()
            .iter()
            .map(|s| i64::from(*s) * i64::from(*s))
            .sum::<i64>()
            < QUIET * frame.samples().len() as i64;
        if self.seen < WINDOW || !(quiet || far) {
            return;
        }
        if self.least_waiting > target + FRAME_MS as u32 {
            let whole = |own: &Self| own.ready_to - own.ready_from >= own.rate.frame();
            if whole(self) || (self.decode_next() && whole(self)) {
                self.ready_from += self.rate.frame();
            }
        }
        (self.least_waiting, self.seen) = (u32::MAX, 0);
    }

    /// Sound that has arrived and is not taken yet.
    fn waiting_ms(&self) -> u32 {
        let ready = (self.ready_to - self.ready_from) / self.rate.per_ms();
        let newest = self
            .slots
            .iter()
            .filter(|slot| slot.used)
            .map(|slot| self.ahead_ms(slot.timestamp) + FRAME_MS as i64)
            .max();
        ready as u32 + newest.and_then(|ms| u32::try_from(ms).ok()).unwrap_or(0)
    }

    /// How far a timestamp lies ahead of what is due, in milliseconds.
    fn ahead_ms(&self, timestamp: u32) -> i64 {
        let ticks = i64::from(self.codec.ticks_per_ms());
        i64::from(timestamp.wrapping_sub(self.next) as i32).div_euclid(ticks)
    }

    fn keep(&mut self, codec: Codec, timestamp: u32, payload: &[u8]) {
        if self
            .slots
            .iter()
            .any(|slot| slot.used && slot.timestamp == timestamp)
        {
            return;
        }
        let free = self.slots.iter().position(|slot| !slot.used);
        let Some(at) = free.or_else(|| self.earliest()) else {
            return;
        };
        let slot = &mut self.slots[at];
        (slot.used, slot.codec, slot.timestamp) = (true, codec, timestamp);
        slot.length = payload.len();
        slot.payload[..payload.len()].copy_from_slice(payload);
    }

    /// The packet that begins where sound is due. Some senders' clocks are off by a few ticks.
    fn slot_at(&self, timestamp: u32) -> Option<usize> {
        let near = NEAR_MS as i32 * self.codec.ticks_per_ms() as i32;
        self.slots.iter().position(|slot| {
            slot.used && (slot.timestamp.wrapping_sub(timestamp) as i32).abs() <= near
        })
    }

    /// Drops packets whose sound was made up already, or overlaps what was heard.
    fn forget_past(&mut self) {
        for at in 0..SLOTS {
            if self.slots[at].used && self.ahead_ms(self.slots[at].timestamp) < -NEAR_MS {
                self.slots[at].used = false;
                self.counts.late += 1;
            }
        }
    }

    fn earliest(&self) -> Option<usize> {
        let mut earliest: Option<usize> = None;
        for (at, slot) in self.slots.iter().enumerate().filter(|(_, slot)| slot.used) {
            let before = earliest.is_none_or(|other| {
                (slot.timestamp.wrapping_sub(self.slots[other].timestamp) as i32) < 0
            });
            if before {
                earliest = Some(at);
            }
        }
        earliest
    }

    fn restart(&mut self) {
        for slot in self.slots.iter_mut() {
            slot.used = false;
        }
        self.state = State::Idle;
        (self.ready_from, self.ready_to) = (0, 0);
        self.strays = 0;
    }

    fn push(&mut self, samples: &[i16]) {
        let room = self.ready.len() - self.ready_to;
        let samples = &samples[..samples.len().min(room)];
        self.ready[self.ready_to..self.ready_to + samples.len()].copy_from_slice(samples);
        self.ready_to += samples.len();
        let kept = samples.len().min(PAST);
        self.past.copy_within(kept.., 0);
        self.past[PAST - kept..].copy_from_slice(&samples[samples.len() - kept..]);
    }

    /// Continues the past by its own pitch, fading out.
    fn repeat(&mut self, out: &mut [i16]) {
        let per_ms = self.rate.per_ms();
        let fade = (FADE_MS * per_ms) as i32;
        let begun = self.concealed_ms as i32 * per_ms as i32;
        conceal::go_on(&self.past, per_ms, out);
        for (at, sample) in out.iter_mut().enumerate() {
            let left = (fade - begun - at as i32).max(0);
            // What was repeated before is already faded in the past: fade by the step only.
            let before = (fade - begun).max(1);
            *sample = (i32::from(*sample) * left / before) as i16;
        }
    }

    /// Blends from what concealment would go on with into real sound, so that no click is heard.
    fn blend(&mut self, samples: &mut [i16]) {
        let length = (BLEND_MS * self.rate.per_ms()).min(samples.len());
        let mut made_up = [0; BLEND_MS * 16];
        self.repeat(&mut made_up[..length]);
        for (at, (sample, made_up)) in samples.iter_mut().zip(&made_up[..length]).enumerate() {
            let (at, length) = (at as i32, length as i32);
            *sample =
                ((i32::from(*sample) * at + i32::from(*made_up) * (length - at)) / length) as i16;
        }
    }

    fn fill_noise(&mut self, frame: &mut Frame) {
        if self.noise < 1.0 {
            return;
        }
        // Uniform noise of this height has the power that was described.
        let height = self.noise * 3f32.sqrt();
        for sample in frame.samples_mut() {
            self.random = self
                .random
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            *sample = ((self.random as i32 as f32 / 2_147_483_648.0) * height) as i16;
        }
    }
}

impl std::fmt::Debug for Hearing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hearing")
            .field("codec", &self.codec)
            .field("rate", &self.rate)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

const _: () = assert!(LONGEST_PACKET_MS >= FRAME_MS);

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a tone in G.711 through it; `arrival` says when the n-th packet comes, if it does.
    /// Returns what is heard in the ticks of so many seconds.
    fn heard(seconds: u32, arrival: impl Fn(u32) -> Option<u64>) -> (Vec<i16>, Counts) {
        let mut arrivals: Vec<(u64, u32)> = (0..seconds * 50)
            .filter_map(|n| Some((arrival(n)?, n)))
            .collect();
        arrivals.sort_unstable();
        let mut arrivals = arrivals.into_iter().peekable();
        let mut hearing = Hearing::new(Codec::Pcmu, Rate::Narrow);
        let mut samples = Vec::new();
        for tick in 0..u64::from(seconds) * 50 {
            let now_us = tick * 20_000 + 5_000;
            while let Some((at, number)) = arrivals.next_if(|(at, _)| *at <= now_us) {
                let packet = Packet {
                    payload_type: 0,
                    marker: false,
                    sequence: number as u16,
                    timestamp: (number * 160).wrapping_add(u32::MAX - 8_000),
                    ssrc: 1,
                    payload: (12, 172),
                };
                let payload: Vec<u8> = (0..160)
                    .map(|n| f64::from(number * 160 + n) * 440.0 / 8_000.0 * std::f64::consts::TAU)
                    .map(|angle| crate::g711::linear_to_ulaw((angle.sin() * 10_000.0) as i16))
                    .collect();
                hearing.insert(Codec::Pcmu, &packet, &payload, at);
            }
            samples.extend_from_slice(hearing.next(now_us).samples());
        }
        (samples, hearing.counts)
    }

    /// Samples between the first sound and the end whose step is too large for the tone: clicks.
    fn clicks(samples: &[i16]) -> usize {
        let steepest = (10_000.0 * 440.0 / 8_000.0 * std::f64::consts::TAU) as i32 + 1_500;
        samples
            .windows(2)
            .filter(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs() > steepest)
            .count()
    }

    fn loud(samples: &[i16]) -> f32 {
        let loud = samples
            .chunks_exact(160)
            .filter(|frame| frame.iter().any(|sample| sample.abs() > 7_000))
            .count();
        loud as f32 / (samples.len() / 160) as f32
    }

    #[test]
    fn an_even_stream_is_heard_whole_after_forty_milliseconds() {
        let (samples, counts) = heard(4, |n| Some(u64::from(n) * 20_000));
        assert_eq!((counts.concealed, counts.late), (0, 0));
        let silent = samples.iter().take_while(|sample| **sample == 0).count();
        assert!((160..=480).contains(&silent), "{silent} samples of delay");
        assert_eq!(clicks(&samples), 0);
        assert!(loud(&samples[480..]) > 0.99);
    }

    #[test]
    fn jitter_and_reordering_are_evened_out() {
        // Up to 60 ms late, so that neighbours swap places.
        let late = |n: u32| u64::from(n.wrapping_mul(2_654_435_761) >> 16) % 60_000;
        let (samples, counts) = heard(10, |n| Some(u64::from(n) * 20_000 + late(n)));
        assert!((60..=120).contains(&counts.delay_ms), "{counts:?}");
        assert!(counts.concealed < 15 && counts.late < 15, "{counts:?}");
        // Once it knows the network nothing is missed.
        assert_eq!(clicks(&samples[40_000..]), 0);
        assert!(loud(&samples[40_000..]) > 0.99);
    }

    #[test]
    fn lost_packets_are_filled_without_clicks() {
        let (samples, counts) = heard(6, |n| {
            (n % 20 != 7 && n % 33 != 9).then_some(u64::from(n) * 20_000)
        });
        assert!(counts.concealed >= 15, "{counts:?}");
        assert_eq!(clicks(&samples), 0);
        assert!(loud(&samples[800..]) > 0.97);
    }

    #[test]
    fn a_silent_sender_is_silence_and_comes_back() {
        let (samples, _) = heard(4, |n| {
            (!(50..100).contains(&n)).then_some(u64::from(n) * 20_000)
        });
        let quiet = &samples[8_000 + 2_400..16_000];
        assert!(quiet.iter().all(|sample| sample.abs() < 20));
        assert!(quiet.iter().any(|sample| *sample != 0), "the line is dead");
        assert!(loud(&samples[16_000 + 640..]) > 0.97);
    }

    #[test]
    fn delay_that_the_network_no_longer_needs_is_given_back() {
        // A stall of 160 ms, and never again.
        let (_, counts) = heard(30, |n| {
            let at = u64::from(n) * 20_000;
            Some(if (40..48).contains(&n) {
                48 * 20_000
            } else {
                at
            })
        });
        assert!(counts.delay_ms <= 60, "{counts:?}");
    }
}
