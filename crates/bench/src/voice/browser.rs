//! Legs that live in browsers: ICE, DTLS-SRTP, and the same stamped packets inside.
//!
//! One thread holds them all. It sends in slots of 1 ms as [`super::engine`] does, and while a leg is being
//! set up it is looked at in every slot.

use std::{
    collections::BTreeMap,
    io::IoSliceMut,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    sync::mpsc::{self, Receiver, Sender, TryRecvError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use audio_codec::{
    Decoder, Encoder,
    opus::{OpusDecoder, OpusEncoder},
};
use nix::sys::{
    socket::{MsgFlags, recvmsg},
    time::TimeSpec,
};
use str0m::{
    Candidate, Event, Input, Output, Rtc, RtcConfig,
    change::SdpOffer,
    format::{Codec, FormatParams},
    media::{Frequency, Mid, Pt},
    net::{Protocol, Receive},
    rtp::RtpWrite,
};

use super::{
    engine::{Heard, SLOTS, arrival, open_socket, wall_us},
    signal::{FRAME, Stamp, power_at, tone, tone_of},
};

/// Opus runs at 48 kHz whatever it carries (RFC 7587 §4.1).
const OPUS_RATE: u32 = 48_000;
const OPUS_FRAME: usize = 960;
/// The payload type of key presses, until the offer names another.
const EVENTS: u8 = 126;
/// Packets of a second, encoded once and said over and over.
const OPUS_PACKETS: usize = 50;
/// Seconds of a tone among which one is chosen, and for which it is tried.
const OPUS_SECONDS: usize = 5;

/// What browsers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Speech {
    Pcmu,
    Opus,
}

/// The running thread.
pub struct Browsers {
    commands: Sender<Command>,
    thread: JoinHandle<Vec<u32>>,
    speech: Speech,
    /// What is said in Opus, by tone: made before any call waits for it.
    tones: BTreeMap<u16, Vec<Vec<u8>>>,
}

enum Command {
    Add(Box<Leg>),
    Remove { leg: u16, report: Sender<Heard> },
}

struct Leg {
    id: u16,
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    /// When it wants to be looked at again.
    timeout: Instant,
    mid: Option<Mid>,
    payload_type: Option<Pt>,
    connected: bool,
    packets: Vec<Vec<u8>>,
    speech: Speech,
    heard: Heard,
    /// When the packet being read came.
    arrived_us: u64,
}

impl Browsers {
    pub fn start(speech: Speech) -> anyhow::Result<Self> {
        let (commands, inbox) = mpsc::channel();
        let mut tones = BTreeMap::new();
        if speech == Speech::Opus {
            // These are all that agents have.
            for hertz in (1..16).step_by(2).map(tone_of) {
                tones.insert(hertz, opus_tone(hertz)?);
            }
        }
        let thread = thread::Builder::new()
            .name("browsers".to_owned())
            .spawn(move || run(&inbox))?;
        Ok(Self {
            commands,
            thread,
            speech,
            tones,
        })
    }

    /// Takes an offer; the answer. The leg begins to connect at once, and talks when it is connected.
    pub fn answer(&self, leg: u16, at: IpAddr, offer: &str) -> anyhow::Result<String> {
        let socket = open_socket(at)?;
        let local = socket.local_addr()?;
        let now = Instant::now();
        let mut rtc = understands(self.speech).build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        let offer = SdpOffer::from_sdp_string(offer)
            .map_err(|error| anyhow!("the offer is not understood: {error}"))?;
        let answer = rtc.sdp_api().accept_offer(offer)?.to_sdp_string();
        let packets = match self.speech {
            Speech::Pcmu => vec![tone(tone_of(leg)).to_vec()],
            Speech::Opus => {
                let tone = self.tones.get(&tone_of(leg));
                tone.context("browsers have tones of agents only")?.clone()
            }
        };
        let leg = Leg {
            id: leg,
            rtc,
            socket,
            local,
            timeout: now,
            mid: None,
            payload_type: None,
            connected: false,
            packets,
            speech: self.speech,
            heard: Heard::of(leg),
            arrived_us: 0,
        };
        self.commands
            .send(Command::Add(Box::new(leg)))
            .map_err(|_| anyhow!("the browsers' thread has ended"))?;
        Ok(answer)
    }

    /// Takes a leg away; what it heard goes to `report`.
    pub fn remove(&self, leg: u16, report: &Sender<Heard>) {
        let _ = self.commands.send(Command::Remove {
            leg,
            report: report.clone(),
        });
    }

    /// Ends the thread. How late each tick of it was, in microseconds.
    pub fn stop(self) -> Vec<u32> {
        drop(self.commands);
        self.thread.join().unwrap_or_default()
    }
}

/// What a browser of this speech describes: as real ones it takes key presses as events, so that the server
/// need not listen for their tones.
fn understands(speech: Speech) -> RtcConfig {
    let config = Rtc::builder().clear_codecs().set_rtp_mode(true);
    let (mut config, clock) = match speech {
        Speech::Pcmu => (config.enable_pcmu(true, false), Frequency::EIGHT_KHZ),
        Speech::Opus => (config.enable_opus(true, false), Frequency::FORTY_EIGHT_KHZ),
    };
    config.codec_config().add_config(
        EVENTS.into(),
        None,
        Codec::Tele,
        clock,
        None,
        FormatParams::default(),
    );
    config
}

fn run(inbox: &Receiver<Command>) -> Vec<u32> {
    let mut legs: Vec<Box<Leg>> = Vec::new();
    let mut late = Vec::new();
    let start = Instant::now();
    let mut control = nix::cmsg_space!(TimeSpec);
    for tick in 0u64.. {
        let due = start + Duration::from_millis(tick);
        if let Some(rest) = due.checked_duration_since(Instant::now()) {
            thread::sleep(rest);
        }
        if tick.is_multiple_of(5) {
            late.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        loop {
            match inbox.try_recv() {
                Ok(Command::Add(leg)) => legs.push(leg),
                Ok(Command::Remove { leg, report }) => {
                    if let Some(place) = legs.iter().position(|held| held.id == leg) {
                        let mut leg = legs.swap_remove(place);
                        leg.listen(&mut control);
                        let _ = report.send(leg.heard);
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return late,
            }
        }
        let slot = tick as usize % SLOTS;
        for leg in &mut legs {
            let is_its_slot = usize::from(leg.id) % SLOTS == slot;
            if is_its_slot {
                leg.send();
            }
            if is_its_slot || !leg.connected {
                leg.listen(&mut control);
                leg.advance();
            }
        }
    }
    late
}

impl Leg {
    fn send(&mut self) {
        let (true, Some(mid), Some(payload_type)) = (self.connected, self.mid, self.payload_type)
        else {
            return;
        };
        let sequence = self.heard.sent_us.len();
        let mut payload = self.packets[sequence % self.packets.len()].clone();
        let now = wall_us();
        let step = match self.speech {
            Speech::Pcmu => {
                let stamp = Stamp {
                    leg: self.id,
                    sequence: sequence as u32,
                    sent_us: now as u32,
                };
                stamp.write(&mut payload);
                FRAME
            }
            Speech::Opus => OPUS_FRAME,
        };
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(mid, None) else {
            return;
        };
        let time = (sequence * step) as u32;
        let mut packet = RtpWrite::new(
            payload_type,
            (sequence as u64 + 1).into(),
            time,
            Instant::now(),
            payload,
        );
        if sequence == 0 {
            packet = packet.marker(true);
        }
        stream.write_rtp(packet);
        self.heard.sent_us.push(now);
        // Now, and not when something else comes by: the stamp says that it left.
        if self
            .rtc
            .handle_input(Input::Timeout(Instant::now()))
            .is_ok()
        {
            self.drain();
        }
    }

    #[expect(clippy::ptr_arg, reason = "recvmsg takes a vector")]
    fn listen(&mut self, control: &mut Vec<u8>) {
        let mut packet = [0u8; 2_000];
        loop {
            let (length, from, arrived_us) = {
                let mut parts = [IoSliceMut::new(&mut packet)];
                let received = recvmsg::<nix::sys::socket::SockaddrIn>(
                    self.socket.as_raw_fd(),
                    &mut parts,
                    Some(control),
                    MsgFlags::MSG_DONTWAIT,
                );
                let Ok(message) = received else { return };
                let Some(from) = message.address else { return };
                (
                    message.bytes,
                    SocketAddr::from(std::net::SocketAddrV4::from(from)),
                    arrival(&message).unwrap_or_else(wall_us),
                )
            };
            self.arrived_us = arrived_us;
            let Ok(received) = Receive::new(Protocol::Udp, from, self.local, &packet[..length])
            else {
                continue;
            };
            let input = Input::Receive(Instant::now(), received);
            if self.rtc.accepts(&input) && self.rtc.handle_input(input).is_ok() {
                self.drain();
            }
        }
    }

    /// Lets time pass where something waits for it.
    fn advance(&mut self) {
        let now = Instant::now();
        if self.timeout <= now && self.rtc.handle_input(Input::Timeout(now)).is_ok() {
            self.drain();
        }
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.timeout = at;
                    return;
                }
                Ok(Output::Transmit(packet)) => {
                    let _ = self.socket.send_to(&packet.contents, packet.destination);
                }
                Ok(Output::Event(Event::Connected)) => {
                    self.connected = true;
                    self.heard.ready_us = Some(wall_us());
                }
                Ok(Output::Event(Event::MediaAdded(added))) => {
                    self.mid = Some(added.mid);
                    self.payload_type = self
                        .rtc
                        .media(added.mid)
                        .and_then(|media| media.remote_pts().first().copied());
                }
                Ok(Output::Event(Event::RtpPacket(packet))) => {
                    self.heard.take(&packet.payload, self.arrived_us);
                }
                Ok(Output::Event(_)) => {}
                Err(_) => return,
            }
        }
    }
}

/// A second of a tone that can be said over and over: each packet is coded as a change from the one before, so
/// that not every second's end leads into its beginning. The first that is heard without a dropout is taken.
fn opus_tone(hertz: u16) -> anyhow::Result<Vec<Vec<u8>>> {
    for complexity in [5, 3, 8, 0, 10] {
        let packets = encoded(hertz, complexity)?;
        for second in packets.chunks(OPUS_PACKETS).skip(1) {
            if is_even(hertz, second)? {
                return Ok(second.to_vec());
            }
        }
    }
    bail!("no second of {hertz} Hz in Opus can be said over and over")
}

/// Some seconds of a tone. The encoder begins in silence, so the first is no good for more.
fn encoded(hertz: u16, complexity: i32) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut encoder = OpusEncoder::new(OPUS_RATE, 1);
    encoder.set_bitrate(24_000);
    encoder.set_complexity(complexity);
    let mut packets = Vec::with_capacity(OPUS_SECONDS * OPUS_PACKETS);
    for packet in 0..OPUS_SECONDS * OPUS_PACKETS {
        let samples: Vec<i16> = (0..OPUS_FRAME)
            .map(|at| {
                let at = (packet * OPUS_FRAME + at) % OPUS_RATE as usize;
                let phase = std::f32::consts::TAU * f32::from(hertz) * at as f32 / OPUS_RATE as f32;
                (8_000.0 * phase.sin()) as i16
            })
            .collect();
        let mut encoded = vec![0; encoder.max_encode_bytes(samples.len())];
        let length = encoder
            .encode_into(&samples, &mut encoded)
            .map_err(|error| anyhow!("{error}"))
            .context("a tone can't be encoded")?;
        encoded.truncate(length);
        packets.push(encoded);
    }
    Ok(packets)
}

/// Whether a tone stays as loud as it was made while packets are said over and over, once it has begun.
fn is_even(hertz: u16, packets: &[Vec<u8>]) -> anyhow::Result<bool> {
    let mut decoder = OpusDecoder::new(OPUS_RATE, 1);
    let mut samples: Vec<i16> = Vec::new();
    let mut decoded = [0; OPUS_FRAME];
    for packet in packets.iter().cycle().take(OPUS_SECONDS * OPUS_PACKETS) {
        let length = decoder
            .decode_into(packet, &mut decoded)
            .map_err(|error| anyhow!("{error}"))?;
        samples.extend(decoded[..length].iter().step_by(6));
    }
    let usual = 8_000.0f32.powi(2) / 2.0;
    let blocks = samples[8_000..].as_chunks::<80>().0;
    Ok(blocks
        .iter()
        .map(|block| power_at(hertz, block))
        .all(|power| (usual * 0.4..usual * 2.0).contains(&power)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tone_has_an_opus_second_that_never_drops_out() {
        for leg in 0..16 {
            let packets = opus_tone(tone_of(leg)).unwrap();
            assert_eq!(packets.len(), OPUS_PACKETS);
        }
    }
}
