use std::{collections::VecDeque, net::SocketAddr};

use model::{DigitVia, LegId};

use super::{
    command::RemoteMedia,
    event::LegQuality,
    hearing::Hearing,
    playing::{EventStep, Playing, Press, event_step},
    presence::{Change, Presence},
    room::Seat,
    sender::Sender,
    voice::{LONGEST, Voice},
    wire::{TRAILER, Wire},
};
use crate::{
    Codec,
    codec::{Frame, Rate},
    dtmf::{Detector, EventReceiver},
    rtcp,
    rtp::{HEADER, Packet, Reception},
};

/// Packets from one source after which a leg listens to nobody else.
const LOCK_AFTER: u8 = 5;
/// Time between reports.
pub(super) const REPORT_EVERY_US: u64 = 5_000_000;
/// Keys that may wait to be pressed.
const PRESSES: usize = 32;
/// One press told in two ways (as tones and as event, say) comes within this time.
const SAME_PRESS_US: u64 = 600_000;
/// Frames held back so that a tone can be taken out of them once it is certain to be one.
const HELD: usize = 2;

/// One party's audio, in three layers.
///
/// - The **wire** ([`Wire`]): sockets and protection. Above it all packets are plain RTP.
/// - The **codec**: what was agreed in `remote`. Packets are counted, their numbers kept
///   ([`Reception`], [`Sender`]), and between legs of one codec passed on as they are.
/// - The **sound**: 20 ms frames. `heard` is where a decoded frame is available to detectors,
///   mixers and recorders after each [`Leg::listen`]; [`Leg::say`] is where a frame goes in that
///   the peer shall hear. A leg is decoded only while [`Wants`] says that somebody listens.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) id: LegId,
    pub(super) wire: Wire,
    pub(super) route: usize,
    pub(super) remote: Option<RemoteMedia>,
    pub(super) latch: Latch,
    pub(super) reception: Reception,
    pub(super) sender: Sender,
    pub(super) playing: Option<Playing>,
    /// The 20 ms heard from the peer at the last tick, while somebody wants them.
    pub(super) heard: Option<Frame>,
    pub(super) presence: Presence,
    /// Its place in a conference room.
    pub(super) seat: Option<Seat>,
    pub(super) next_report_us: u64,
    wants: Wants,
    hearing: Option<Box<Hearing>>,
    spoken: Spoken,
    voice: Voice,
    inband: Option<Detector>,
    events: EventReceiver,
    events_seen: bool,
    /// The last press: which key, how it was told, when.
    last_press: Option<(char, DigitVia, u64)>,
    held: [Option<Frame>; HELD],
    presses: VecDeque<char>,
    press: Option<Press>,
    report: PeerReport,
}

/// Who needs a leg's sound decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    /// Tones in it are to be found.
    pub(super) inband: bool,
    /// It is said again to another leg, at this rate: codecs differ, or it is mixed.
    pub(super) sound: Option<Rate>,
    /// Tones are told to the other leg in another way, and must not be heard there as well.
    pub(super) mute_tones: bool,
}

/// How the peer codes what it says. It may use each codec that it was offered, whichever we send
/// it, and another from one packet to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spoken {
    codec: Codec,
    /// It came so; before, it is what was agreed.
    heard: bool,
    /// It has changed since the agreement: what comes next may be in any.
    changes: bool,
}

/// What the peer said in its reports.
#[derive(Clone, Copy, Debug, Default)]
struct PeerReport {
    /// Its last sender report: the middle of its NTP time, and when it came.
    sent: Option<(u32, u64)>,
    loss: Option<f32>,
    lost: Option<u32>,
    jitter_ms: Option<f32>,
    round_trip_ms: Option<f32>,
}

/// Decides whose packets a leg believes (RFC 4961 in practice): the address that was signalled,
/// or, behind a translator, the first that keeps sending.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latch {
    source: Option<SocketAddr>,
    count: u8,
    rival: Option<(SocketAddr, u8)>,
}

impl Latch {
    /// Whether to believe a packet.
    pub(super) fn admit(&mut self, from: SocketAddr, signalled: SocketAddr) -> bool {
        let Some(source) = self.source else {
            *self = Self {
                source: Some(from),
                count: 1,
                rival: None,
            };
            return true;
        };
        if source == from {
            self.count = self.count.saturating_add(1).min(LOCK_AFTER);
            return true;
        }
        if self.count >= LOCK_AFTER {
            return false;
        }
        // Before the lock, the signalled address beats a guess; any other must prove itself.
        let votes = match self.rival {
            Some((rival, votes)) if rival == from => votes + 1,
            _ => 1,
        };
        if from == signalled || votes >= LOCK_AFTER {
            *self = Self {
                source: Some(from),
                count: votes,
                rival: None,
            };
            return true;
        }
        self.rival = Some((from, votes));
        false
    }

    pub(super) fn source(&self) -> Option<SocketAddr> {
        self.source
    }
}

/// What a payload type stands for on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Audio(Codec),
    Event,
    /// Comfort noise (RFC 3389).
    Noise,
    Other,
}

impl Spoken {
    fn agreed(codec: Codec) -> Self {
        Self {
            codec,
            heard: false,
            changes: false,
        }
    }
}

impl Leg {
    pub(super) fn new(id: LegId, wire: Wire, ssrc: u32, route: usize) -> Self {
        Self {
            id,
            wire,
            route,
            remote: None,
            latch: Latch::default(),
            reception: Reception::default(),
            sender: Sender::new(ssrc),
            playing: None,
            heard: None,
            presence: Presence::default(),
            seat: None,
            next_report_us: 0,
            wants: Wants::default(),
            hearing: None,
            spoken: Spoken::agreed(Codec::Pcmu),
            voice: Voice::new(Codec::Pcmu),
            inband: None,
            events: EventReceiver::default(),
            events_seen: false,
            last_press: None,
            held: [const { None }; HELD],
            presses: VecDeque::with_capacity(PRESSES),
            press: None,
            report: PeerReport::default(),
        }
    }

    pub(super) fn connect(&mut self, remote: RemoteMedia, now_us: u64) {
        let before = self.remote.as_ref();
        let moved = before.is_none_or(|before| before.rtp != remote.rtp);
        if moved {
            // Its packets will come from elsewhere: a re-INVITE is how a lock is opened.
            self.latch = Latch::default();
        }
        if before.is_none_or(|before| !before.receive) && remote.receive {
            self.presence.expect(now_us);
        }
        if before.is_none() {
            self.next_report_us = now_us + REPORT_EVERY_US;
        }
        if before.is_none_or(|before| before.codec != remote.codec) {
            self.spoken = Spoken::agreed(remote.codec);
            self.hearing = None;
            self.voice = Voice::new(remote.codec);
            self.sender.set_clock(remote.codec, now_us);
            self.reception.set_clock(remote.codec.ticks_per_ms());
        }
        self.wire.agree(&remote);
        self.remote = Some(remote);
        self.tune();
    }

    /// Says who needs this leg's sound.
    pub(super) fn want(&mut self, change: impl FnOnce(&mut Wants)) {
        change(&mut self.wants);
        self.tune();
    }

    pub(super) fn mutes_tones(&self) -> bool {
        self.wants.mute_tones
    }

    /// Begins or ends decoding, as is wanted and possible. Here, and not per packet, is where
    /// memory is taken for it.
    fn tune(&mut self) {
        if self.remote.is_none() {
            return;
        }
        let listens = self.wants.inband || self.wants.mute_tones;
        if !listens {
            self.inband = None;
        }
        if !self.wants.mute_tones {
            self.held = [const { None }; HELD];
        }
        if self.wants == Wants::default() {
            (self.hearing, self.heard) = (None, None);
            return;
        }
        let rate = self.wants.sound.unwrap_or(Rate::Narrow);
        if self.hearing.as_deref().is_none_or(|it| it.rate() != rate) {
            self.hearing = Some(Box::new(Hearing::new(self.spoken.codec, rate)));
            self.inband = None;
        }
        if listens && self.inband.is_none() {
            self.inband = Some(Detector::new(rate));
        }
    }

    /// Where to send now; `None` when the peer asked for nothing or said no address.
    pub(super) fn target(&self) -> Option<SocketAddr> {
        let remote = self.remote.as_ref().filter(|remote| remote.send)?;
        if let Some(found) = self.wire.found() {
            return found;
        }
        if remote.rtp.ip().is_unspecified() || remote.rtp.port() == 0 {
            return None;
        }
        Some(self.latch.source().unwrap_or(remote.rtp))
    }

    /// Where reports go: as signalled, unless its RTP turned out to come from elsewhere.
    fn report_target(&self) -> Option<SocketAddr> {
        let remote = self.remote.as_ref()?;
        if let Some(found) = self.wire.found() {
            return found;
        }
        if remote.rtp.ip().is_unspecified() || remote.rtp.port() == 0 {
            return None;
        }
        if self.wire.rtcp_mux() {
            return Some(self.latch.source().unwrap_or(remote.rtp));
        }
        let beside = |rtp: SocketAddr| Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?));
        match self.latch.source() {
            Some(source) if source != remote.rtp => beside(source),
            _ => remote.rtcp.or_else(|| beside(remote.rtp)),
        }
    }

    /// Whether to believe a packet. What a browser sends was proven genuine by its wire.
    pub(super) fn admit(&mut self, from: SocketAddr, signalled: SocketAddr) -> bool {
        self.wire.found().is_some() || self.latch.admit(from, signalled)
    }

    pub(super) fn kind(&self, payload_type: u8) -> Kind {
        let Some(remote) = &self.remote else {
            return Kind::Other;
        };
        if payload_type == remote.payload_type {
            Kind::Audio(remote.codec)
        } else if remote
            .telephone_event
            .is_some_and(|event| event.payload_type == payload_type)
        {
            Kind::Event
        } else if remote.comfort_noise == Some(payload_type) {
            Kind::Noise
        } else if let Some((_, codec)) = remote.also_audio.iter().find(|it| it.0 == payload_type) {
            Kind::Audio(*codec)
        } else if remote.also_events.contains(&payload_type) {
            Kind::Event
        } else {
            // Some peers answer with one law and send the other.
            Codec::of_static(payload_type)
                .filter(|codec| codec.passes_to(remote.codec))
                .map_or(Kind::Other, Kind::Audio)
        }
    }

    /// Notes how a believed packet is coded; `true` when that decides anew whether the leg's packets
    /// can be passed on.
    pub(super) fn speaks(&mut self, codec: Codec) -> bool {
        let before = self.spoken;
        let same = codec.passes_to(before.codec);
        self.spoken = Spoken {
            codec,
            heard: true,
            changes: before.changes || (before.heard && !same),
        };
        if codec.ticks_per_ms() != before.codec.ticks_per_ms() {
            self.reception.set_clock(codec.ticks_per_ms());
        }
        let begins_to_change = self.spoken.changes != before.changes;
        begins_to_change || !(same || self.spoken.changes)
    }

    /// Whether this leg's packets are in a codec that another takes as it is. Once they were of
    /// several, they are decoded until the next agreement: a listener hears no seams then.
    pub(super) fn speaks_only(&self, codec: Codec) -> bool {
        !self.spoken.changes && self.spoken.codec.passes_to(codec)
    }

    /// Whether this leg's packets come in the codec that was agreed first.
    pub(super) fn speaks_as_agreed(&self) -> bool {
        let agreed = self.remote.as_ref().map(|remote| remote.codec);
        agreed.is_some_and(|agreed| self.speaks_only(agreed))
    }

    /// The rate that keeps what comes from it.
    pub(super) fn spoken_rate(&self) -> Rate {
        if self.spoken.changes {
            Rate::Wide
        } else {
            self.spoken.codec.rate()
        }
    }

    /// Counts a believed packet; `true` when it is the leg's first.
    pub(super) fn heard(&mut self, packet: &Packet, now_us: u64) -> bool {
        let first = self.reception.packets == 0;
        self.reception.count(packet, now_us);
        first
    }

    /// Keeps a packet for [`Leg::listen`], if anybody wants the sound.
    pub(super) fn keep(&mut self, kind: Kind, packet: &Packet, payload: &[u8], now_us: u64) {
        let Some(hearing) = &mut self.hearing else {
            return;
        };
        match kind {
            Kind::Audio(codec) => hearing.insert(codec, packet, payload, now_us),
            Kind::Noise => hearing.insert_noise(payload),
            Kind::Event | Kind::Other => {}
        }
    }

    /// Takes the next 20 ms of what the peer says into `heard`; a digit, when tones in it make
    /// one.
    pub(super) fn listen(&mut self, now_us: u64) -> Option<char> {
        let hearing = self.hearing.as_mut()?;
        let frame = hearing.next(now_us);
        let mut digit = None;
        let mut pressed = false;
        if let Some(detector) = &mut self.inband {
            for sample in frame.samples() {
                digit = detector.add(*sample).or(digit);
            }
            pressed = detector.is_pressed();
        }
        self.heard = if self.wants.mute_tones {
            self.hold_back(frame, pressed)
        } else {
            Some(frame)
        };
        // Whoever sends events needs no tones, and what sounds like one beside them is an echo.
        let digit = digit.filter(|_| !self.events_seen)?;
        self.is_new_press(digit, DigitVia::Inband, now_us)
            .then_some(digit)
    }

    /// Delays sound by what it takes to be certain of a tone, and silences it then.
    fn hold_back(&mut self, frame: Frame, pressed: bool) -> Option<Frame> {
        let rate = frame.rate();
        let mut out = Some(frame);
        for held in &mut self.held {
            std::mem::swap(held, &mut out);
            if pressed && held.is_some() {
                *held = Some(Frame::silence(rate));
            }
        }
        if pressed {
            Some(Frame::silence(rate))
        } else {
            out
        }
    }

    /// A digit, when a telephone-event begins a press that was not told before.
    pub(super) fn event_digit(
        &mut self,
        packet: &Packet,
        payload: &[u8],
        now_us: u64,
    ) -> Option<char> {
        let event = crate::dtmf::EventPayload::parse(payload)?;
        let digit = self.events.receive(packet.ssrc, packet.timestamp, event);
        self.events_seen = true;
        let digit = digit?;
        self.is_new_press(digit, DigitVia::Rfc4733, now_us)
            .then_some(digit)
    }

    /// Whether a digit is a press of its own, and not one told before in another way: phones
    /// that send events and tones, or events and INFO, are not rare.
    pub(super) fn is_new_press(&mut self, digit: char, via: DigitVia, now_us: u64) -> bool {
        let told = self.last_press.is_some_and(|(last, last_via, at)| {
            last == digit && last_via != via && now_us < at + SAME_PRESS_US
        });
        if told {
            self.last_press = None;
        } else {
            self.last_press = Some((digit, via, now_us));
        }
        !told
    }

    /// Whether the peer, which should be heard, is missing or back again.
    pub(super) fn look(&mut self, now_us: u64) -> Option<Change> {
        let expected = self.remote.as_ref().is_some_and(|remote| remote.receive);
        self.presence.check(expected, now_us)
    }

    /// Whether something of ours goes to the peer, so that nothing else may.
    pub(super) fn is_occupied(&self) -> bool {
        self.playing.is_some() || self.press.is_some()
    }

    pub(super) fn stop_playing(&mut self) {
        self.playing = None;
        self.voice.clear();
        self.sender.switch();
    }

    pub(super) fn press(&mut self, digit: char) {
        if self.presses.len() < PRESSES {
            self.presses.push_back(digit);
        }
    }

    /// Sends 20 ms of what is played; the number of a playback that ended.
    pub(super) fn tick(&mut self, now_us: u64, sent: &mut u64) -> Option<u64> {
        let remote = self.remote.as_ref()?;
        if self.press.is_none()
            && let Some(digit) = self.presses.pop_front()
        {
            self.press = match remote.telephone_event {
                Some(_) => Press::event(digit, self.sender.timestamp_at(now_us)),
                None => Press::tones(digit),
            };
        }
        if self.press.is_some() {
            self.step_press(now_us, sent);
            return None;
        }
        let playing = self.playing.as_mut()?;
        let mut frame = Frame::silence(playing.rate().min(remote.codec.rate()));
        let over = playing.fill(&mut frame);
        let playback = playing.playback;
        self.say(&frame, now_us, sent);
        if !over {
            return None;
        }
        self.finish_packet(now_us, sent);
        self.stop_playing();
        Some(playback)
    }

    fn step_press(&mut self, now_us: u64, sent: &mut u64) {
        match self.press.take() {
            Some(Press::Tones(mut playing)) => {
                let mut frame = Frame::silence(Rate::Narrow);
                let over = playing.fill(&mut frame);
                self.say(&frame, now_us, sent);
                if over {
                    self.finish_packet(now_us, sent);
                    self.sender.switch();
                } else {
                    self.press = Some(Press::Tones(playing));
                }
            }
            Some(Press::Event {
                code,
                timestamp,
                step,
            }) => {
                let event = self.remote.as_ref().and_then(|r| r.telephone_event);
                let Some(event) = event else { return };
                let Some(packet) = event_step(code, step, event.clock_rate) else {
                    return;
                };
                if let Some(packet) = packet {
                    self.send_event(&packet, event.payload_type, timestamp, now_us, sent);
                }
                self.press = Some(Press::Event {
                    code,
                    timestamp,
                    step: step + 1,
                });
            }
            None => {}
        }
    }

    fn send_event(
        &mut self,
        step: &EventStep,
        payload_type: u8,
        timestamp: u32,
        now_us: u64,
        sent: &mut u64,
    ) {
        if self.target().is_none() {
            return;
        }
        let header = self
            .sender
            .event(payload_type, step.first, timestamp, now_us);
        let mut datagram = [0; HEADER + 4 + TRAILER];
        header.write(&mut datagram);
        datagram[HEADER..HEADER + 4].copy_from_slice(&step.payload.bytes());
        self.send(&mut datagram, HEADER + 4, sent);
    }

    /// Says 20 ms to the peer: encodes them and sends the packets that they fill. Whoever calls
    /// this says something in every tick until it is done, and minds [`Leg::is_occupied`].
    pub(super) fn say(&mut self, frame: &Frame, now_us: u64, sent: &mut u64) {
        if self.target().is_none() {
            return;
        }
        self.voice.add(frame);
        self.send_packets(now_us, sent);
    }

    /// Fills up and sends what is left when a sound ends.
    fn finish_packet(&mut self, now_us: u64, sent: &mut u64) {
        let Some(ptime_ms) = self.remote.as_ref().map(|remote| remote.ptime_ms) else {
            return;
        };
        self.voice.complete(self.voice.packet_ms(ptime_ms));
        self.send_packets(now_us, sent);
    }

    fn send_packets(&mut self, now_us: u64, sent: &mut u64) {
        let Some(remote) = &self.remote else { return };
        let (payload_type, ms) = (remote.payload_type, self.voice.packet_ms(remote.ptime_ms));
        let mut payload = [0; LONGEST];
        while let Some(length) = self.voice.packet(ms, &mut payload) {
            let header = self.sender.generated(payload_type, ms, now_us);
            let mut datagram = [0; HEADER + LONGEST + TRAILER];
            header.write(&mut datagram);
            datagram[HEADER..HEADER + length].copy_from_slice(&payload[..length]);
            self.send(&mut datagram, HEADER + length, sent);
        }
    }

    /// Passes on a packet of the bridged leg, rewritten where it lies. The buffer has room for
    /// the wire's trailer behind the packet.
    pub(super) fn forward(
        &mut self,
        packet: &Packet,
        kind: Kind,
        buffer: &mut [u8],
        now_us: u64,
        sent: &mut u64,
    ) {
        let Some(remote) = self.remote.as_ref().filter(|_| self.target().is_some()) else {
            return;
        };
        if self.is_occupied() {
            return;
        }
        let payload_type = match kind {
            Kind::Audio(codec) => {
                codec.cross(
                    remote.codec,
                    &mut buffer[packet.payload.0..packet.payload.1],
                );
                Some(remote.payload_type)
            }
            Kind::Event => remote.telephone_event.map(|event| event.payload_type),
            Kind::Noise => remote.comfort_noise,
            Kind::Other => None,
        };
        let Some(payload_type) = payload_type else {
            return self.sender.skip(packet);
        };
        let Some(header) = self
            .sender
            .forwarded(packet, payload_type, kind != Kind::Event, now_us)
        else {
            return;
        };
        // The payload stays where it is; our header, which is never longer, goes right before it.
        let start = packet.payload.0 - HEADER;
        header.write(&mut buffer[start..]);
        self.send(&mut buffer[start..], packet.payload.1 - start, sent);
    }

    /// Sends the packet of `length` bytes at the buffer's start.
    fn send(&mut self, buffer: &mut [u8], length: usize, sent: &mut u64) {
        let Some(target) = self.target() else {
            return;
        };
        if self.wire.send_rtp(buffer, length, target) {
            self.sender.count(length);
            *sent += 1;
        }
    }

    /// Sends a report if one is due.
    pub(super) fn report(&mut self, now_us: u64, ntp: impl FnOnce() -> u64) {
        if self.remote.is_none() || now_us < self.next_report_us {
            return;
        }
        self.next_report_us = now_us + REPORT_EVERY_US;
        let Some(target) = self.report_target() else {
            return;
        };
        let sent = (self.sender.packets > 0).then(|| rtcp::Sent {
            ntp: ntp(),
            timestamp: self.sender.timestamp_at(now_us),
            packets: self.sender.packets,
            octets: self.sender.octets,
        });
        let block = (self.reception.packets > 0).then(|| rtcp::Block {
            ssrc: self.reception.ssrc,
            fraction_lost: self.reception.fraction_lost(),
            lost: self.reception.lost(),
            highest: self.reception.extended_highest(),
            jitter: self.reception.jitter_timestamps(),
            last_sender_report: self.report.sent.map_or(0, |(ntp, _)| ntp),
            delay: self
                .report
                .sent
                .map_or(0, |(_, at)| ((now_us - at) * 65_536 / 1_000_000) as u32),
        });
        let mut out = [0; rtcp::LONGEST + TRAILER];
        let Some(report) = out.first_chunk_mut() else {
            return;
        };
        let length = rtcp::write(report, self.sender.ssrc, sent.as_ref(), block.as_ref());
        self.wire.send_rtcp(&mut out, length, target);
    }

    /// Takes a report of the peer; `false` when it is none of its.
    pub(super) fn take_report(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        now_us: u64,
        ntp: impl FnOnce() -> u64,
    ) -> bool {
        let Some(remote) = &self.remote else {
            return false;
        };
        let known = self
            .latch
            .source()
            .map_or(remote.rtp.ip(), |source| source.ip());
        let proven = self.wire.found().is_some();
        if !proven && from.ip() != known && remote.rtcp.is_none_or(|rtcp| rtcp != from) {
            return false;
        }
        let Some(report) = rtcp::parse(datagram, self.sender.ssrc) else {
            return false;
        };
        if let Some(sent) = report.sender_report {
            self.report.sent = Some((sent, now_us));
        }
        if let Some(block) = report.block {
            // 24 bits with a sign (RFC 3550 §6.4.1): duplicates can make it negative.
            self.report.lost = Some(if block.lost & 0x80_0000 == 0 {
                block.lost
            } else {
                0
            });
            self.report.loss = Some(f32::from(block.fraction_lost) / 256.0);
            self.report.jitter_ms = Some(block.jitter as f32 / remote.codec.ticks_per_ms() as f32);
            if block.last_sender_report != 0 {
                let now = (ntp() >> 16) as u32;
                let trip = now
                    .wrapping_sub(block.last_sender_report)
                    .wrapping_sub(block.delay);
                // What doesn't fit a minute comes from a clock that was set meanwhile.
                if trip < 60 << 16 {
                    self.report.round_trip_ms = Some(trip as f32 * 1_000.0 / 65_536.0);
                }
            }
        }
        true
    }

    pub(super) fn quality(&self) -> LegQuality {
        LegQuality {
            packets_received: self.reception.packets,
            packets_lost: self.reception.lost(),
            jitter_ms: self.reception.jitter_ms(),
            packets_sent: self.sender.packets,
            peer_lost: self.report.lost,
            peer_loss: self.report.loss,
            peer_jitter_ms: self.report.jitter_ms,
            round_trip_ms: self.report.round_trip_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn after_five_packets_no_stranger_is_believed() {
        let mut latch = Latch::default();
        for _ in 0..5 {
            assert!(latch.admit(address(1), address(9)));
        }
        for _ in 0..20 {
            assert!(!latch.admit(address(2), address(9)));
            assert!(!latch.admit(address(9), address(9)));
        }
        assert!(latch.admit(address(1), address(9)));
    }

    #[test]
    fn before_the_lock_the_signalled_address_wins() {
        let mut latch = Latch::default();
        assert!(latch.admit(address(2), address(9)));
        assert!(latch.admit(address(9), address(9)));
        assert!(!latch.admit(address(2), address(9)));
        assert_eq!(latch.source(), Some(address(9)));
    }
}
