use std::{
    collections::HashMap,
    io::ErrorKind,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mio::{Events, Interest, Registry, Token};
use model::{DigitVia, LegId};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    Counters,
    command::{Command, Order, Port, TelephoneEvent, WAKE},
    event::MediaEvent,
    leg::{Kind, Leg},
    mix::{Mix, spoken},
    playing::Playing,
    presence::Change,
    room,
    wheel::Wheel,
    wire::{Received, Socket, TRAILER, Wire},
};
use crate::{
    FRAME, RecordingSpec,
    codec::{Frame, Rate},
    recorder::{Side, Tap},
    rtp::Packet,
    webrtc::News,
};

/// Larger than any datagram we could use.
const DATAGRAM: usize = 2_048;
/// Packets taken from one socket before the others get their turn.
const AT_ONCE: usize = 32;
/// Time between two ticks of a call.
const TICK_US: u64 = 20_000;
/// Time between two warnings about late ticks.
const ALARM_EVERY_US: u64 = 60_000_000;
/// Seconds from 1900, where NTP counts from, to 1970.
const NTP_OFFSET: u64 = 2_208_988_800;
/// Why a recording ends when its writer is behind.
const RING_FULL: &str = "the disk is too slow: the recorder could not keep up";

/// One thread: its calls, their sockets and the wheel.
pub(super) struct Worker {
    port: Port,
    counters: Arc<Counters>,
    tap: Tap,
    calls: Vec<Option<Call>>,
    free_calls: Vec<usize>,
    by_id: HashMap<u64, usize>,
    /// Whose a pair of sockets is: tokens are twice the index for RTP, and one more for RTCP.
    routes: Vec<Option<(usize, LegId)>>,
    free_routes: Vec<usize>,
    wheel: Wheel,
    /// Sockets that had more than their turn's worth.
    unfinished: Vec<usize>,
    /// Those of the last round, kept for its room.
    again: Vec<usize>,
    datagram: Box<[u8; DATAGRAM + TRAILER]>,
    /// Late ticks that the operator knows of, and when he may be told again.
    alarms_told: u64,
    next_alarm_us: u64,
    over: bool,
}

/// A plain RTP packet in a buffer that has room for a wire's trailer behind it.
struct Arrived<'a> {
    buffer: &'a mut [u8],
    length: usize,
    from: SocketAddr,
    now_us: u64,
}

struct Call {
    events: mpsc::Sender<MediaEvent>,
    legs: Vec<Leg>,
    bridge: Option<(LegId, LegId)>,
    /// In place of a bridge, when more than two talk.
    mix: Option<Mix>,
    recording: Option<Recording>,
}

struct Recording {
    id: u64,
    left: LegId,
    right: Option<LegId>,
}

impl Worker {
    pub(super) fn new(port: Port, counters: Arc<Counters>, tap: Tap) -> Self {
        Self {
            port,
            counters,
            tap,
            calls: Vec::new(),
            free_calls: Vec::new(),
            by_id: HashMap::new(),
            routes: Vec::new(),
            free_routes: Vec::new(),
            wheel: Wheel::default(),
            unfinished: Vec::new(),
            again: Vec::new(),
            datagram: Box::new([0; DATAGRAM + TRAILER]),
            alarms_told: 0,
            next_alarm_us: 0,
            over: false,
        }
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        while !self.over {
            let timeout = if self.unfinished.is_empty() {
                self.wheel.timeout(self.tap.now_us())
            } else {
                Some(Duration::ZERO)
            };
            match self.port.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    tracing::error!(%error, "a media thread can't poll its sockets and ends");
                    return;
                }
                _ => {}
            }
            std::mem::swap(&mut self.unfinished, &mut self.again);
            while let Some(token) = self.again.pop() {
                self.read(token);
            }
            for event in &events {
                if event.token() == WAKE {
                    self.take_commands();
                } else {
                    self.read(event.token().0);
                }
            }
            self.tick();
        }
        for call in std::mem::take(&mut self.by_id).into_values() {
            self.close(call);
        }
    }

    fn tick(&mut self) {
        let now_us = self.tap.now_us();
        while let Some((slot, calls, late_us)) = self.wheel.take_due(now_us) {
            // The first millisecond of a slot is its own time, not lateness.
            self.counters.lateness.count(late_us);
            let number = (now_us - late_us.min(now_us)) / TICK_US;
            for call in &calls {
                if let Some(call) = &mut self.calls[*call] {
                    call.tick(now_us, number, &mut self.tap, &self.counters);
                }
            }
            self.wheel.give_back(slot, calls);
        }
        self.counters.lateness.turn(now_us);
        self.alarm(now_us);
        self.tap.retry();
    }

    /// Tells the operator once a minute that ticks come so late that callers hear it.
    fn alarm(&mut self, now_us: u64) {
        let alarms = self.counters.lateness.alarms();
        if alarms == self.alarms_told || now_us < self.next_alarm_us {
            return;
        }
        tracing::warn!(
            late_ticks = alarms - self.alarms_told,
            "audio was sent over 10 ms late: the machine is too busy"
        );
        (self.alarms_told, self.next_alarm_us) = (alarms, now_us + ALARM_EVERY_US);
    }

    /// Reads a socket until it is empty, or has had its turn.
    fn read(&mut self, token: usize) {
        for _ in 0..AT_ONCE {
            let Some((call, leg)) = self.routes.get(token / 2).copied().flatten() else {
                return;
            };
            let Some(call) = self.calls[call].as_mut() else {
                return;
            };
            let Some(index) = call.legs.iter().position(|other| other.id == leg) else {
                return;
            };
            let socket = if token.is_multiple_of(2) {
                Socket::Rtp
            } else {
                Socket::Rtcp
            };
            let wire = &mut call.legs[index].wire;
            match wire.receive(socket, &mut self.datagram[..DATAGRAM]) {
                Ok(Received::Rtp { length, from }) => {
                    let now_us = self.tap.now_us();
                    let arrived = Arrived {
                        buffer: &mut self.datagram[..],
                        length,
                        from,
                        now_us,
                    };
                    call.rtp(index, arrived, &mut self.tap, &self.counters);
                }
                Ok(Received::Rtcp { length, from }) => {
                    let (now_us, datagram) = (self.tap.now_us(), &self.datagram[..length]);
                    if !call.legs[index].take_report(datagram, from, now_us, ntp) {
                        self.counters.invalid.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok(Received::Taken) => {}
                Ok(Received::Refused) => {
                    self.counters.invalid.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // A peer that is gone makes the system report it here; the socket lives on.
                Err(_) => {}
            }
        }
        self.unfinished.push(token);
    }

    fn take_commands(&mut self) {
        while let Ok(command) = self.port.commands.try_recv() {
            match command {
                Command::OpenCall { call, events } => self.open(call, events),
                Command::CloseCall { call } => {
                    if let Some(index) = self.by_id.remove(&call) {
                        self.close(index);
                    }
                }
                Command::Call { call, order } => {
                    if let Some(index) = self.by_id.get(&call).copied() {
                        self.order(index, order);
                    }
                }
                Command::Shutdown => self.over = true,
            }
        }
    }

    fn open(&mut self, id: u64, events: mpsc::Sender<MediaEvent>) {
        let index = self.free_calls.pop().unwrap_or_else(|| {
            self.calls.push(None);
            self.calls.len() - 1
        });
        self.calls[index] = Some(Call {
            events,
            legs: Vec::with_capacity(2),
            bridge: None,
            mix: None,
            recording: None,
        });
        self.by_id.insert(id, index);
        self.wheel.insert(index);
        self.counters.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn close(&mut self, index: usize) {
        let Some(mut call) = self.calls[index].take() else {
            return;
        };
        call.stop_recording(&mut self.tap);
        for leg in call.legs.drain(..) {
            self.free_route(leg);
        }
        self.wheel.remove(index);
        self.free_calls.push(index);
        self.counters.calls.fetch_sub(1, Ordering::Relaxed);
    }

    fn order(&mut self, index: usize, order: Order) {
        let now_us = self.tap.now_us();
        if let Order::AddLeg { leg, wire, ssrc } = order {
            return self.add_leg(index, leg, *wire, ssrc);
        }
        let Some(call) = self.calls[index].as_mut() else {
            return;
        };
        if let Order::RemoveLeg { leg } = order {
            if let Some(at) = call.legs.iter().position(|other| other.id == leg) {
                let leg = call.legs.swap_remove(at);
                call.release(leg.id);
                self.free_route(leg);
            }
            return;
        }
        call.order(order, now_us, &mut self.tap, &self.counters);
    }

    fn add_leg(&mut self, index: usize, id: LegId, wire: Wire, ssrc: u32) {
        let Some(call) = self.calls[index].as_mut() else {
            return;
        };
        if call.legs.iter().any(|leg| leg.id == id) {
            tracing::warn!(
                leg.id = id.0,
                "a leg was added twice; the second is ignored"
            );
            return;
        }
        let route = self.free_routes.pop().unwrap_or_else(|| {
            self.routes.push(None);
            self.routes.len() - 1
        });
        let mut leg = Leg::new(id, wire, ssrc, route);
        if let Err(error) = register(self.port.poll.registry(), &mut leg) {
            tracing::error!(%error, leg.id = id.0, "a leg's sockets can't be watched; it stays silent");
        }
        self.routes[route] = Some((index, id));
        call.legs.push(leg);
    }

    fn free_route(&mut self, mut leg: Leg) {
        let registry = self.port.poll.registry();
        // Closing the sockets ends the watch too; an error here changes nothing.
        let _ = registry.deregister(&mut leg.wire.sockets.rtp);
        let _ = registry.deregister(&mut leg.wire.sockets.rtcp);
        self.routes[leg.route] = None;
        self.free_routes.push(leg.route);
    }
}

fn register(registry: &Registry, leg: &mut Leg) -> std::io::Result<()> {
    registry.register(
        &mut leg.wire.sockets.rtp,
        Token(leg.route * 2),
        Interest::READABLE,
    )?;
    registry.register(
        &mut leg.wire.sockets.rtcp,
        Token(leg.route * 2 + 1),
        Interest::READABLE,
    )
}

/// Lets a leg that is in a room be heard there, and hear the others: what it heard.
fn converse(leg: &mut Leg, tick: u64, now_us: u64, sent: &mut u64) -> Option<Frame> {
    let seat = leg.seat.as_ref()?;
    seat.say(tick, spoken(leg));
    if leg.is_occupied() {
        return None;
    }
    let frame = seat.hear(tick);
    leg.say(&frame, now_us, sent);
    Some(frame)
}

/// The time of day as RTCP wants it.
fn ntp() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    ((since.as_secs() + NTP_OFFSET) << 32)
        | ((u64::from(since.subsec_nanos()) << 32) / 1_000_000_000)
}

/// What a browser's connection came to, as the call's owner is told.
fn connection_event(leg: LegId, news: News) -> MediaEvent {
    match news {
        News::Secured => MediaEvent::Secured { leg },
        News::Failed(reason) => MediaEvent::NotSecured { leg, reason },
        News::Gone => MediaEvent::Gone { leg },
    }
}

impl Call {
    fn order(&mut self, order: Order, now_us: u64, tap: &mut Tap, counters: &Counters) {
        match order {
            Order::Bridge { a, b } => self.bridge(Some((a, b)), None),
            Order::Unbridge => self.bridge(None, None),
            Order::Mix { parties } => self.bridge(None, Some(Mix::new(parties))),
            Order::EnterRoom { leg, seat } => {
                self.bridge(None, None);
                self.with(leg, |leg| leg.seat = Some(seat));
                self.tune_bridge();
            }
            Order::LeaveRoom { leg } => {
                self.with(leg, |leg| leg.seat = None);
                self.tune_bridge();
            }
            Order::StartRecording { spec } => self.start_recording(spec, tap),
            Order::PauseRecording { on } => {
                if let Some(recording) = &self.recording {
                    tap.pause(recording.id, on);
                }
            }
            Order::StopRecording => self.stop_recording(tap),
            Order::Connect { leg, remote } => {
                self.with(leg, |leg| leg.connect(*remote, now_us));
                self.tune_bridge();
            }
            Order::Play {
                leg,
                playback,
                source,
                repeat,
                from,
            } => self.with(leg, |leg| {
                leg.stop_playing();
                leg.playing = Some(Playing::new(playback, source, repeat).from(from));
            }),
            Order::Announce { leg, sound } => self.with(leg, |leg| {
                if let Some(playing) = &mut leg.playing {
                    playing.announce(sound);
                }
            }),
            Order::StopPlaying { leg } => self.with(leg, |leg| {
                if leg.playing.is_some() {
                    leg.stop_playing();
                }
            }),
            Order::SendDigit { leg, digit } => self.with(leg, |leg| leg.press(digit)),
            Order::InfoDigit { leg, digit } => {
                let mut new = false;
                self.with(leg, |leg| {
                    new = leg.is_new_press(digit, DigitVia::Info, now_us);
                });
                if new {
                    self.digit(leg, digit, DigitVia::Info, counters);
                }
            }
            Order::DetectInband { leg, on } => {
                self.with(leg, |leg| leg.want(|wants| wants.inband = on));
            }
            Order::Quality { leg, reply } => self.with(leg, |leg| {
                // Nobody waits any more if this fails.
                let _ = reply.send(leg.quality());
            }),
            Order::AddLeg { .. } | Order::RemoveLeg { .. } => {}
        }
    }

    fn with(&mut self, leg: LegId, act: impl FnOnce(&mut Leg)) {
        if let Some(leg) = self.legs.iter_mut().find(|other| other.id == leg) {
            act(leg);
        }
    }

    fn bridge(&mut self, bridge: Option<(LegId, LegId)>, mix: Option<Mix>) {
        (self.bridge, self.mix) = (bridge, mix);
        for leg in &mut self.legs {
            if leg.playing.is_none() {
                leg.sender.switch();
            }
        }
        self.tune_bridge();
    }

    /// Has the bridged legs decoded where packets can't be passed on as they are.
    fn tune_bridge(&mut self) {
        let bridged = self.bridged();
        let mixed = self.mix.as_ref().map(|mix| mix.rate(&self.legs));
        for at in 0..self.legs.len() {
            let other = bridged.and_then(|[a, b]| match at {
                at if at == a => Some(b),
                at if at == b => Some(a),
                _ => None,
            });
            let sound = other.is_some_and(|other| self.by_sound(at, other));
            let mute = other.is_some_and(|other| self.converts_tones(at, other));
            let mixes = self
                .mix
                .as_ref()
                .is_some_and(|mix| mix.has(self.legs[at].id));
            let rate = other.map(|other| self.common_rate(at, other));
            let sound = rate.filter(|_| sound).or_else(|| mixed.filter(|_| mixes));
            let in_room = self.legs[at].seat.as_ref().map(|_| room::RATE);
            let sound = sound.or(in_room);
            self.legs[at].want(|wants| {
                wants.sound = sound;
                wants.mute_tones = mute;
            });
        }
    }

    /// The places of the two legs that are bridged and connected.
    fn bridged(&self) -> Option<[usize; 2]> {
        let (a, b) = self.bridge?;
        let place = |id: LegId| {
            let at = self.legs.iter().position(|leg| leg.id == id)?;
            self.legs[at].remote.as_ref().map(|_| at)
        };
        Some([place(a)?, place(b)?])
    }

    /// Whether one leg's sound goes to another decoded and encoded anew: their codecs differ, or
    /// something in it must not pass.
    fn by_sound(&self, from: usize, to: usize) -> bool {
        let (Some(_), Some(to_peer)) = (&self.legs[from].remote, &self.legs[to].remote) else {
            return false;
        };
        !self.legs[from].speaks_only(to_peer.codec) || self.converts_tones(from, to)
    }

    /// The rate at which one leg's sound goes to another: no more than the narrower carries.
    fn common_rate(&self, from: usize, to: usize) -> Rate {
        let to = self.legs[to].remote.as_ref();
        to.map_or(Rate::Narrow, |to| {
            to.codec.rate().min(self.legs[from].spoken_rate())
        })
    }

    /// Whether keys that one peer presses as tones reach the other in another way.
    fn converts_tones(&self, from: usize, to: usize) -> bool {
        let (Some(from), Some(to)) = (&self.legs[from].remote, &self.legs[to].remote) else {
            return false;
        };
        let tones = from.telephone_event.is_none() && !from.info_digits;
        tones && (to.telephone_event.is_some() || to.info_digits)
    }

    /// Whether telephone-events of one leg are passed on as packets. Between different clocks
    /// they are pressed anew.
    fn passes_events(&self, from: usize, to: usize) -> bool {
        let speaks_as_agreed = self.legs[from].speaks_as_agreed();
        let (Some(from), Some(to)) = (&self.legs[from].remote, &self.legs[to].remote) else {
            return false;
        };
        let clock = |event: Option<TelephoneEvent>| event.map(|event| event.clock_rate);
        speaks_as_agreed
            && from.codec.passes_to(to.codec)
            && from.telephone_event.is_some()
            && clock(from.telephone_event) == clock(to.telephone_event)
    }

    /// Forgets a leg that was taken out.
    fn release(&mut self, leg: LegId) {
        if self.bridge.is_some_and(|(a, b)| a == leg || b == leg) {
            self.bridge(None, None);
        }
        if let Some(mix) = &mut self.mix {
            mix.remove(leg);
            self.tune_bridge();
        }
    }

    fn start_recording(&mut self, spec: RecordingSpec, tap: &mut Tap) {
        self.stop_recording(tap);
        let (left, right) = (spec.left, spec.right);
        match tap.begin(spec, self.events.clone()) {
            Some(id) => self.recording = Some(Recording { id, left, right }),
            None => {
                let event = MediaEvent::RecordingFailed {
                    reason: RING_FULL.to_owned(),
                    duration_ms: 0,
                };
                let _ = self.events.try_send(event);
            }
        }
    }

    fn stop_recording(&mut self, tap: &mut Tap) {
        if let Some(recording) = self.recording.take() {
            tap.end(recording.id, None);
        }
    }

    fn tick(&mut self, now_us: u64, number: u64, tap: &mut Tap, counters: &Counters) {
        let mut sent = 0;
        for i in 0..self.legs.len() {
            let leg = &mut self.legs[i];
            let news = leg.wire.tick();
            leg.report(now_us, ntp);
            let digit = leg.listen(now_us);
            let finished = leg.tick(now_us, &mut sent);
            let change = leg.look(now_us);
            let id = leg.id;
            if let Some(news) = news {
                self.tell(connection_event(id, news), counters);
            }
            if let Some(digit) = digit {
                self.digit(id, digit, DigitVia::Inband, counters);
            }
            if let Some(playback) = finished {
                self.tell(MediaEvent::PlaybackFinished { leg: id, playback }, counters);
            }
            match change {
                Some(Change::Missing(reason)) => {
                    self.tell(MediaEvent::AudioMissing { leg: id, reason }, counters);
                }
                Some(Change::Back) => self.tell(MediaEvent::AudioBack { leg: id }, counters),
                None => {}
            }
        }
        self.exchange(now_us, &mut sent);
        if let Some(mix) = &self.mix {
            mix.exchange(&mut self.legs, now_us, &mut sent);
        }
        for at in 0..self.legs.len() {
            let Some(heard) = converse(&mut self.legs[at], number, now_us, &mut sent) else {
                continue;
            };
            let leg = self.legs[at].id;
            let hears =
                |recording: &Recording| recording.left == leg && recording.right == Some(leg);
            if self.recording.as_ref().is_some_and(hears) {
                self.record_room(at, &heard, number, now_us, tap, counters);
            }
        }
        if sent > 0 {
            counters.packets_out.fetch_add(sent, Ordering::Relaxed);
        }
    }

    /// Lets bridged legs hear what was heard from the other in this tick, where packets are not
    /// passed on.
    fn exchange(&mut self, now_us: u64, sent: &mut u64) {
        let Some([a, b]) = self.bridged() else {
            return;
        };
        for (from, to) in [(a, b), (b, a)] {
            let speaks = self.legs[from]
                .remote
                .as_ref()
                .is_some_and(|remote| remote.receive);
            if !speaks || self.legs[to].is_occupied() || !self.by_sound(from, to) {
                continue;
            }
            let Some(frame) = self.legs[from].heard.clone() else {
                continue;
            };
            self.legs[to].say(&frame, now_us, sent);
        }
    }

    /// A key was pressed on a leg: tells so, and tells the bridged leg in the way that it knows.
    fn digit(&mut self, leg: LegId, digit: char, via: DigitVia, counters: &Counters) {
        self.tell(MediaEvent::Digit { leg, digit, via }, counters);
        let Some([a, b]) = self.bridged() else {
            return;
        };
        let (from, to) = match leg {
            leg if leg == self.legs[a].id => (a, b),
            leg if leg == self.legs[b].id => (b, a),
            _ => return,
        };
        let Some(peer) = &self.legs[to].remote else {
            return;
        };
        let passed = match via {
            DigitVia::Rfc4733 => self.passes_events(from, to),
            // Tones that nobody takes out are heard by the other as what they are.
            DigitVia::Inband => !self.legs[from].mutes_tones(),
            DigitVia::Info => false,
        };
        if passed {
            return;
        }
        if peer.telephone_event.is_none() && peer.info_digits {
            let leg = self.legs[to].id;
            self.tell(MediaEvent::SendInfo { leg, digit }, counters);
        } else {
            self.legs[to].press(digit);
        }
    }

    /// Takes a packet that arrived for a leg.
    fn rtp(&mut self, index: usize, arrived: Arrived<'_>, tap: &mut Tap, counters: &Counters) {
        let Arrived {
            buffer,
            length,
            from,
            now_us,
        } = arrived;
        let leg = &mut self.legs[index];
        let Some(remote) = &leg.remote else { return };
        let (rtp, receive) = (remote.rtp, remote.receive);
        let packet = Packet::parse(&buffer[..length]);
        let Some((packet, kind)) = packet.map(|packet| (packet, leg.kind(packet.payload_type)))
        else {
            counters.invalid.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if !leg.admit(from, rtp) {
            leg.presence.foreign();
            counters.foreign.fetch_add(1, Ordering::Relaxed);
            return;
        }
        counters.packets_in.fetch_add(1, Ordering::Relaxed);
        let id = leg.id;
        if let Kind::Audio(codec) = kind
            && leg.speaks(codec)
        {
            // Not per packet: a leg comes here twice at most from one agreement to the next.
            self.tune_bridge();
        }
        let leg = &mut self.legs[index];
        let first = leg.heard(&packet, now_us);
        let payload = &buffer[packet.payload.0..packet.payload.1];
        match kind {
            Kind::Audio(codec) => leg.presence.audio(Some(codec), payload, now_us),
            // Comfort noise is what a quiet party sends; keys are pressed by somebody.
            Kind::Noise | Kind::Event => leg.presence.audio(None, payload, now_us),
            Kind::Other => leg.presence.strange(),
        }
        let digit = match kind {
            Kind::Event => leg.event_digit(&packet, payload, now_us),
            _ => None,
        };
        if receive {
            leg.keep(kind, &packet, payload, now_us);
        }
        if first {
            self.tell(MediaEvent::FirstPacket { leg: id }, counters);
        }
        if let Some(digit) = digit {
            self.digit(id, digit, DigitVia::Rfc4733, counters);
        }
        if !receive {
            return;
        }
        if let Kind::Audio(codec) = kind {
            self.record(id, codec, &packet, payload, now_us, tap, counters);
        }
        let Some(other) = self.bridged_with(id) else {
            return;
        };
        let passes = match kind {
            Kind::Audio(_) | Kind::Noise => !self.by_sound(index, other),
            Kind::Event => self.passes_events(index, other),
            Kind::Other => false,
        };
        if !passes {
            self.legs[other].sender.skip(&packet);
            return;
        }
        let mut sent = 0;
        self.legs[other].forward(&packet, kind, buffer, now_us, &mut sent);
        counters.packets_out.fetch_add(sent, Ordering::Relaxed);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all borrowed from the packet's path, which builds nothing it can do without"
    )]
    fn record(
        &mut self,
        leg: LegId,
        codec: crate::Codec,
        packet: &Packet,
        payload: &[u8],
        now_us: u64,
        tap: &mut Tap,
        counters: &Counters,
    ) {
        let Some(recording) = &self.recording else {
            return;
        };
        let side = if leg == recording.left {
            Side::Left
        } else if recording.right == Some(leg) {
            Side::Right
        } else {
            return;
        };
        if !tap.audio(recording.id, side, codec, packet, payload, now_us) {
            self.cut_recording(tap, counters);
        }
    }

    /// Keeps what a leg hears in its room beside what it says.
    fn record_room(
        &mut self,
        at: usize,
        heard: &Frame,
        tick: u64,
        now_us: u64,
        tap: &mut Tap,
        counters: &Counters,
    ) {
        let (Some(recording), Some(seat)) = (&self.recording, &mut self.legs[at].seat) else {
            return;
        };
        let payload = seat.for_recording(heard);
        // The room's own stream, on the clock of ticks.
        let packet = Packet {
            payload_type: 0,
            marker: false,
            sequence: tick as u16,
            timestamp: (tick as u32).wrapping_mul(FRAME as u32),
            ssrc: 0,
            payload: (0, FRAME),
        };
        let (side, codec) = (Side::Right, crate::Codec::Pcmu);
        if !tap.audio(recording.id, side, codec, &packet, &payload, now_us) {
            self.cut_recording(tap, counters);
        }
    }

    fn cut_recording(&mut self, tap: &mut Tap, counters: &Counters) {
        if let Some(recording) = self.recording.take() {
            tap.end(recording.id, Some(RING_FULL));
            counters.recordings_cut.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn bridged_with(&self, leg: LegId) -> Option<usize> {
        let (a, b) = self.bridge?;
        let other = match leg {
            leg if leg == a => b,
            leg if leg == b => a,
            _ => return None,
        };
        self.legs.iter().position(|leg| leg.id == other)
    }

    fn tell(&self, event: MediaEvent, counters: &Counters) {
        if let Err(TrySendError::Full(_)) = self.events.try_send(event) {
            counters.events_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
