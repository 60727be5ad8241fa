//! Legs of every codec, clear and encrypted, bridged with each other.

use std::{f32::consts::TAU, net::SocketAddr, sync::Arc, time::Duration};

use audio_codec::{
    Decoder as _, Encoder as _,
    g722::{G722Decoder, G722Encoder},
};
use media::{
    CallMedia, Codec, DigitVia, LegId, MediaEvent, PauseMode, RecordingSpec, RemoteMedia, Sound,
    TelephoneEvent, g711,
    srtp::{Key, Keys, Suite},
};
use opus_rs::{Application, OpusDecoder, OpusEncoder};
use tokio::{net::UdpSocket, sync::mpsc::Receiver, task::JoinHandle, time::timeout};

use crate::phone::{A, B, DEADLINE, engine, payload_type, rtp};

const CODECS: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];

/// How a phone makes payloads and reads them: the codecs' own libraries, not the engine's use of
/// them.
enum Coder {
    Law(fn(i16) -> u8, fn(u8) -> i16),
    G722(Box<G722Encoder>, Box<G722Decoder>),
    Opus(Box<OpusEncoder>, Box<OpusDecoder>),
}

impl Coder {
    fn new(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu => Self::Law(g711::linear_to_ulaw, g711::ulaw_to_linear),
            Codec::Pcma => Self::Law(g711::linear_to_alaw, g711::alaw_to_linear),
            Codec::G722 => Self::G722(Box::default(), Box::default()),
            Codec::Opus => Self::Opus(
                Box::new(OpusEncoder::new(48_000, 1, Application::Voip).expect("a rate")),
                Box::new(OpusDecoder::new(48_000, 1).expect("a rate")),
            ),
        }
    }

    /// Samples per second on the phone's side.
    fn rate(codec: Codec) -> usize {
        match codec {
            Codec::Pcmu | Codec::Pcma => 8_000,
            Codec::G722 => 16_000,
            Codec::Opus => 48_000,
        }
    }

    fn encode(&mut self, samples: &[i16]) -> Vec<u8> {
        let mut out = vec![0; 1_500];
        let length = match self {
            Self::Law(encode, _) => return samples.iter().map(|s| encode(*s)).collect(),
            Self::G722(encoder, _) => encoder.encode_into(samples, &mut out).expect("room"),
            Self::Opus(encoder, _) => encoder
                .encode_i16(samples, samples.len(), &mut out)
                .expect("encoded"),
        };
        out.truncate(length);
        out
    }

    fn decode(&mut self, payload: &[u8]) -> Vec<i16> {
        match self {
            Self::Law(_, decode) => payload.iter().map(|byte| decode(*byte)).collect(),
            Self::G722(_, decoder) => {
                let mut out = vec![0; payload.len() * 2];
                let length = decoder.decode_into(payload, &mut out).expect("decoded");
                out.truncate(length);
                out
            }
            Self::Opus(_, decoder) => {
                let mut out = vec![0.0; 5_760];
                let length = decoder.decode(payload, 5_760, &mut out).expect("decoded");
                out[..length]
                    .iter()
                    .map(|s| (s * 32_767.0) as i16)
                    .collect()
            }
        }
    }
}

struct Peer {
    socket: Arc<UdpSocket>,
    codec: Codec,
    target: SocketAddr,
    remote: RemoteMedia,
}

impl Peer {
    async fn join(call: &CallMedia, leg: LegId, codec: Codec, digits: Option<u8>) -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a socket"));
        let target = call.add_leg(leg).await.expect("a leg");
        let remote = RemoteMedia {
            rtp: socket.local_addr().expect("bound"),
            rtcp: None,
            rtcp_mux: false,
            webrtc: None,
            keys: None,
            codec,
            payload_type: payload_type(codec),
            also_audio: Vec::new(),
            also_events: Vec::new(),
            telephone_event: digits.map(|payload_type| TelephoneEvent {
                payload_type,
                clock_rate: codec.clock_rate(),
            }),
            info_digits: false,
            comfort_noise: None,
            ptime_ms: 20,
            send: true,
            receive: true,
        };
        call.connect(leg, remote.clone());
        Self {
            socket,
            codec,
            target,
            remote,
        }
    }

    /// Says a tone until the handle is aborted; `spoil` may drop, hold back or double packets.
    fn say(&self, hertz: f32, spoil: fn(u32) -> Fate) -> JoinHandle<()> {
        let (socket, codec, target) = (Arc::clone(&self.socket), self.codec, self.target);
        tokio::spawn(async move {
            let mut coder = Coder::new(codec);
            let rate = Coder::rate(codec);
            let frame = rate / 50;
            let ticks = codec.clock_rate() / 50;
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            let mut held = None;
            for number in 0u32.. {
                pace.tick().await;
                let samples: Vec<i16> = (0..frame)
                    .map(|n| (number as usize * frame + n) as f32 / rate as f32)
                    .map(|at| ((TAU * hertz * at).sin() * 12_000.0) as i16)
                    .collect();
                let payload = coder.encode(&samples);
                let (sequence, timestamp) = (number as u16, number.wrapping_mul(ticks));
                let pt = payload_type(codec);
                let packet = rtp(pt, number == 0, sequence, timestamp, 0x51, &payload);
                match spoil(number) {
                    Fate::Sent => drop(socket.send_to(&packet, target).await),
                    Fate::Twice => {
                        let _ = socket.send_to(&packet, target).await;
                        let _ = socket.send_to(&packet, target).await;
                    }
                    Fate::Lost => continue,
                    Fate::Held => held = Some(packet),
                }
                if !matches!(spoil(number), Fate::Held)
                    && let Some(late) = held.take()
                {
                    let _ = socket.send_to(&late, target).await;
                }
            }
        })
    }

    /// Says a tone in one codec after the other, so many packets in each, as one stream.
    fn say_in_turns(&self, hertz: f32, codecs: Vec<Codec>, packets: u32) -> JoinHandle<()> {
        let (socket, target) = (Arc::clone(&self.socket), self.target);
        tokio::spawn(async move {
            let mut coders: Vec<_> = codecs.iter().map(|codec| Coder::new(*codec)).collect();
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            let mut timestamp = 7u32;
            for number in 0u32.. {
                pace.tick().await;
                let turn = (number / packets) as usize % codecs.len();
                let rate = Coder::rate(codecs[turn]);
                let samples: Vec<i16> = (0..rate / 50)
                    .map(|n| (number as usize * rate / 50 + n) as f32 / rate as f32)
                    .map(|at| ((TAU * hertz * at).sin() * 12_000.0) as i16)
                    .collect();
                let payload = coders[turn].encode(&samples);
                let pt = payload_type(codecs[turn]);
                let packet = rtp(pt, number == 0, number as u16, timestamp, 0x51, &payload);
                let _ = socket.send_to(&packet, target).await;
                timestamp = timestamp.wrapping_add(codecs[turn].clock_rate() / 50);
            }
        })
    }

    /// Sound of so many packets, at the phone's rate, and how many packets were no audio.
    async fn hears(&self, packets: usize) -> (Vec<i16>, usize) {
        let mut coder = Coder::new(self.codec);
        let (mut samples, mut others) = (Vec::new(), 0);
        let mut bytes = [0; 2_048];
        for _ in 0..packets {
            let (length, _) = timeout(DEADLINE, self.socket.recv_from(&mut bytes))
                .await
                .expect("a packet in time")
                .expect("received");
            if bytes[1] & 0x7f == payload_type(self.codec) {
                samples.extend(coder.decode(&bytes[12..length]));
            } else {
                others += 1;
            }
        }
        (samples, others)
    }

    /// The same without the first packets, in which jitter buffers fill and codecs look ahead. They are decoded all the
    /// same: a decoder that began in the middle of a stream would need some frames to find its way.
    async fn hears_after(&self, settling: usize, packets: usize) -> Vec<i16> {
        let (samples, _) = self.hears(settling + packets).await;
        samples[settling * Coder::rate(self.codec) / 50..].to_vec()
    }
}

#[derive(Clone, Copy)]
enum Fate {
    Sent,
    Lost,
    Twice,
    /// Sent after the one that follows.
    Held,
}

fn whole(_: u32) -> Fate {
    Fate::Sent
}

/// The amplitude of a tone, 1 being as loud as it can be.
fn level(samples: &[i16], rate: usize, hertz: f32) -> f32 {
    let (mut re, mut im) = (0.0f32, 0.0f32);
    for (n, sample) in samples.iter().enumerate() {
        let at = TAU * hertz * n as f32 / rate as f32;
        re += f32::from(*sample) * at.cos();
        im += f32::from(*sample) * at.sin();
    }
    2.0 * (re * re + im * im).sqrt() / samples.len() as f32 / 32_768.0
}

/// The share of 20 ms frames in which a tone stands.
fn standing(samples: &[i16], rate: usize, hertz: f32) -> f32 {
    let frames: Vec<_> = samples.chunks_exact(rate / 50).collect();
    let good = frames
        .iter()
        .filter(|f| level(f, rate, hertz) > 0.15)
        .count();
    good as f32 / frames.len() as f32
}

#[tokio::test]
async fn every_codec_hears_every_other() {
    let engine = engine((24_000, 24_399));
    let pairs = CODECS.iter().flat_map(|a| CODECS.map(|b| (*a, b)));
    let calls = pairs.map(|(a, b)| {
        let engine = engine.clone();
        async move {
            let (call, _events) = engine.open_call();
            let (left, right) = (
                Peer::join(&call, A, a, None).await,
                Peer::join(&call, B, b, None).await,
            );
            call.bridge(A, B);
            let speaking = [left.say(440.0, whole), right.say(1_000.0, whole)];
            for (peer, own, other) in [(&left, 440.0, 1_000.0), (&right, 1_000.0, 440.0)] {
                let rate = Coder::rate(peer.codec);
                let samples = peer.hears_after(25, 50).await;
                let heard = (
                    standing(&samples, rate, other),
                    level(&samples, rate, own),
                    level(&samples, rate, other),
                );
                assert!(
                    heard.0 > 0.97 && heard.1 < 0.02,
                    "{a:?} to {b:?}: {heard:?}"
                );
                assert!((0.25..0.45).contains(&heard.2), "{a:?} to {b:?}: {heard:?}");
            }
            speaking.iter().for_each(JoinHandle::abort);
        }
    });
    futures_all(calls).await;
    engine.shutdown();
}

/// Runs them side by side.
async fn futures_all<F: Future<Output = ()> + Send + 'static>(all: impl Iterator<Item = F>) {
    let mut running = tokio::task::JoinSet::new();
    all.for_each(|one| {
        running.spawn(one);
    });
    while let Some(done) = running.join_next().await {
        done.expect("no call failed");
    }
}

#[tokio::test]
async fn what_is_played_keeps_its_treble_on_wideband_legs() {
    let engine = engine((24_800, 24_839));
    let sound = |rate: usize, hertz: f32| -> Vec<i16> {
        (0..rate)
            .map(|n| TAU * hertz * n as f32 / rate as f32)
            .map(|at| (at.sin() * 12_000.0) as i16)
            .collect()
    };
    // Told apart by what only the wider one can carry.
    let sound = Arc::new(Sound::new(sound(8_000, 1_000.0)).with_wide(sound(16_000, 5_000.0)));
    for (codec, hears, misses) in [
        (Codec::Pcmu, 1_000.0, 2_000.0),
        (Codec::G722, 5_000.0, 1_000.0),
        (Codec::Opus, 5_000.0, 1_000.0),
    ] {
        let (call, _events) = engine.open_call();
        let peer = Peer::join(&call, A, codec, None).await;
        call.play(A, 1, Arc::clone(&sound), true);
        let samples = peer.hears_after(25, 25).await;
        let rate = Coder::rate(codec);
        let heard = (level(&samples, rate, hears), level(&samples, rate, misses));
        assert!(heard.0 > 0.2 && heard.1 < 0.02, "{codec:?}: {heard:?}");
    }
    engine.shutdown();
}

#[tokio::test]
async fn a_peer_that_answers_with_another_number_is_heard_by_ours() {
    let engine = engine((24_840, 24_859));
    let (call, _events) = engine.open_call();
    let left = Peer::join(&call, A, Codec::Opus, None).await;
    let right = Peer::join(&call, B, Codec::Pcmu, None).await;
    // We offered 107, which it sends; what it wants to be sent is 111.
    let remote = RemoteMedia {
        payload_type: 111,
        also_audio: vec![(payload_type(Codec::Opus), Codec::Opus)],
        ..left.remote.clone()
    };
    call.connect(A, remote);
    call.bridge(A, B);
    let speaking = left.say(440.0, whole);
    let samples = right.hears_after(25, 50).await;
    assert!(standing(&samples, 8_000, 440.0) > 0.97);
    speaking.abort();
    engine.shutdown();
}

#[tokio::test]
async fn a_peer_may_take_turns_with_the_codecs_it_was_offered() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine((24_860, 24_899));
    let calls = CODECS.map(|codec| {
        let (engine, path) = (engine.clone(), folder.path().join(codec.name()));
        async move {
            let (call, mut events) = engine.open_call();
            let left = Peer::join(&call, A, Codec::Opus, None).await;
            let right = Peer::join(&call, B, codec, None).await;
            call.connect(A, offered_all(&left.remote));
            call.bridge(A, B);
            call.start_recording(RecordingSpec {
                path: path.clone(),
                left: A,
                right: Some(B),
                without_tones: false,
                pause: PauseMode::Cut,
            });
            let turns = vec![Codec::Opus, Codec::Pcmu, Codec::G722, Codec::Pcma];
            let speaking = [
                left.say_in_turns(440.0, turns, 30),
                right.say(1_000.0, whole),
            ];
            let (samples, others) = right.hears(180).await;
            assert_eq!(others, 0, "{codec:?} gets no other codec's payloads");
            let rate = Coder::rate(codec);
            let share = standing(&samples[rate / 2..], rate, 440.0);
            assert!(share > 0.95, "{codec:?}: the tone stands in {share}");
            call.stop_recording();
            until(&mut events, |event| {
                matches!(event, MediaEvent::RecordingStopped { .. })
            })
            .await;
            speaking.iter().for_each(JoinHandle::abort);
            let bytes = std::fs::read(&path).expect("a recording");
            let kept: Vec<i16> = bytes[44..]
                .chunks_exact(4)
                .map(|s| i16::from_le_bytes([s[0], s[1]]))
                .collect();
            let share = standing(&kept[4_000..kept.len() - 800], 8_000, 440.0);
            assert!(share > 0.95, "{codec:?}: it is recorded in {share}");
        }
    });
    futures_all(calls.into_iter()).await;
    engine.shutdown();
}

/// What is agreed when the peer's answer keeps all that it was offered.
fn offered_all(remote: &RemoteMedia) -> RemoteMedia {
    RemoteMedia {
        also_audio: CODECS
            .iter()
            .map(|codec| (payload_type(*codec), *codec))
            .collect(),
        also_events: vec![101, 102],
        ..remote.clone()
    }
}

#[tokio::test]
async fn what_a_peer_sends_in_the_others_codec_is_passed_on_whatever_it_is_sent() {
    let engine = engine((24_900, 24_919));
    let (call, mut events) = engine.open_call();
    let left = Peer::join(&call, A, Codec::Opus, Some(102)).await;
    let right = Peer::join(&call, B, Codec::Pcmu, Some(101)).await;
    call.connect(A, offered_all(&left.remote));
    call.bridge(A, B);
    for number in 0..50u32 {
        let payload = [number as u8; 160];
        let packet = rtp(0, false, number as u16, number * 160, 9, &payload);
        let sent = left.socket.send_to(&packet, left.target).await;
        sent.expect("sent");
        let heard = loop {
            let mut bytes = [0; 400];
            let received = timeout(DEADLINE, right.socket.recv_from(&mut bytes)).await;
            let (length, _) = received.expect("in time").expect("received");
            let heard = (bytes[1] & 0x7f, bytes[12..length].to_vec());
            // Until it says something, what is agreed is decoded: to silence.
            if number > 0 || heard.1 != [0xff; 160] {
                break heard;
            }
        };
        assert_eq!(heard, (0, payload.to_vec()));
    }
    // A key on the clock of what it sends, which is not that of Opus.
    let key = rtp(101, true, 50, 50 * 160, 9, &[7, 10, 0, 160]);
    let sent = left.socket.send_to(&key, left.target).await;
    sent.expect("sent");
    until(&mut events, |event| {
        matches!(event, MediaEvent::Digit { digit: '7', .. })
    })
    .await;
    // The other way it stays transcoded to what the peer asked for.
    let speaking = right.say(1_000.0, whole);
    let samples = left.hears_after(25, 25).await;
    assert!(standing(&samples, 48_000, 1_000.0) > 0.95);
    speaking.abort();
    engine.shutdown();
}

#[tokio::test]
async fn packets_of_one_codec_are_passed_on_untouched() {
    let engine = engine((24_400, 24_419));
    let (call, _events) = engine.open_call();
    let left = Peer::join(&call, A, Codec::Opus, None).await;
    let right = Peer::join(&call, B, Codec::Opus, None).await;
    call.bridge(A, B);
    for number in 0..50u32 {
        let payload = [0x48, number as u8, 3, 4, 5, 6, 7];
        let packet = rtp(107, false, number as u16, number * 960, 9, &payload);
        left.socket
            .send_to(&packet, left.target)
            .await
            .expect("sent");
        let mut bytes = [0; 100];
        let received = timeout(DEADLINE, right.socket.recv_from(&mut bytes)).await;
        let (length, _) = received.expect("in time").expect("received");
        assert_eq!(bytes[12..length], payload);
    }
    engine.shutdown();
}

#[tokio::test]
async fn what_is_lost_late_or_double_is_hardly_heard() {
    // One in ten lost, one in ten out of order, one in ten twice.
    fn bad(number: u32) -> Fate {
        match number % 10 {
            3 => Fate::Lost,
            5 => Fate::Held,
            8 => Fate::Twice,
            _ => Fate::Sent,
        }
    }
    let engine = engine((24_420, 24_459));
    let pairs = [
        (Codec::Pcmu, Codec::Opus),
        (Codec::G722, Codec::Pcma),
        (Codec::Opus, Codec::Pcmu),
    ];
    let calls = pairs.map(|(a, b)| {
        let engine = engine.clone();
        async move {
            let (call, _events) = engine.open_call();
            let left = Peer::join(&call, A, a, None).await;
            let right = Peer::join(&call, B, b, None).await;
            call.bridge(A, B);
            let speaking = left.say(440.0, bad);
            let samples = right.hears_after(30, 100).await;
            let share = standing(&samples, Coder::rate(b), 440.0);
            assert!(
                share > 0.95,
                "{a:?} to {b:?}: the tone stands in {share} of the frames"
            );
            speaking.abort();
        }
    });
    futures_all(calls.into_iter()).await;
    engine.shutdown();
}

#[tokio::test]
async fn each_codec_is_recorded_in_its_channel() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine((24_460, 24_499));
    for (number, (a, b)) in [(Codec::G722, Codec::Opus), (Codec::Opus, Codec::Opus)]
        .into_iter()
        .enumerate()
    {
        let path = folder.path().join(format!("{number}.wav"));
        let (call, mut events) = engine.open_call();
        let left = Peer::join(&call, A, a, None).await;
        let right = Peer::join(&call, B, b, None).await;
        call.bridge(A, B);
        call.start_recording(RecordingSpec {
            path: path.clone(),
            left: A,
            right: Some(B),
            without_tones: false,
            pause: PauseMode::Cut,
        });
        let speaking = [left.say(440.0, whole), right.say(1_000.0, whole)];
        left.hears(100).await;
        call.stop_recording();
        until(&mut events, |event| {
            matches!(event, MediaEvent::RecordingStopped { .. })
        })
        .await;
        speaking.iter().for_each(JoinHandle::abort);
        let bytes = std::fs::read(&path).expect("a recording");
        let samples: Vec<i16> = bytes[44..]
            .chunks_exact(2)
            .map(|s| i16::from_le_bytes([s[0], s[1]]))
            .collect();
        for (channel, own, other) in [(0, 440.0, 1_000.0), (1, 1_000.0, 440.0)] {
            let side: Vec<i16> = samples.iter().copied().skip(channel).step_by(2).collect();
            let side = &side[4_000..12_000];
            assert!(standing(side, 8_000, own) > 0.95, "{a:?} {b:?} {channel}");
            assert!(level(side, 8_000, other) < 0.01, "{a:?} {b:?} {channel}");
        }
    }
    engine.shutdown();
}

async fn until(
    events: &mut Receiver<MediaEvent>,
    wanted: impl Fn(&MediaEvent) -> bool,
) -> MediaEvent {
    let search = async {
        loop {
            let event = events.recv().await.expect("the call lives");
            if wanted(&event) {
                return event;
            }
        }
    };
    timeout(DEADLINE, search).await.expect("the event in time")
}

/// Two calls whose inner legs talk SRTP to each other through a wire that can be listened to:
/// phone - leg A, leg B = wire = leg B, leg A - phone.
#[tokio::test]
async fn encrypted_legs_hear_each_other_and_the_wire_tells_nothing() {
    for (suite, length) in [
        (Suite::AesCm128HmacSha1_80, 30),
        (Suite::AesCm128HmacSha1_32, 30),
        (Suite::AeadAes256Gcm, 44),
    ] {
        let engine = engine((24_500, 24_539));
        let key = |seed: u8| Key::new(suite, &vec![seed; length]).expect("its length");
        let (near, _n) = engine.open_call();
        let (far, _f) = engine.open_call();
        let caller = Peer::join(&near, A, Codec::Pcmu, None).await;
        let agent = Peer::join(&far, A, Codec::Pcmu, None).await;
        let (near_leg, far_leg) = (
            near.add_leg(B).await.expect("a leg"),
            far.add_leg(B).await.expect("a leg"),
        );
        // The wire: what comes from one is given to the other.
        let wire = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let wire_address = wire.local_addr().expect("bound");
        let encrypted = |ours, theirs| RemoteMedia {
            rtp: wire_address,
            keys: Some(Keys { ours, theirs }),
            rtcp_mux: true,
            ..caller.remote.clone()
        };
        near.connect(B, encrypted(key(1), key(2)));
        far.connect(B, encrypted(key(2), key(1)));
        near.bridge(A, B);
        far.bridge(A, B);
        let tapped = tokio::spawn(async move {
            let mut bytes = [0; 2_048];
            let (mut audio, mut reports) = (0, 0);
            while reports < 1 || audio < 50 {
                let (length, from) = wire.recv_from(&mut bytes).await.expect("received");
                let to = if from == near_leg { far_leg } else { near_leg };
                let packet = &bytes[..length];
                if (192..224).contains(&packet[1]) {
                    reports += 1;
                } else {
                    audio += 1;
                    // A tone in µ-law repeats itself; what is encrypted doesn't.
                    let distinct: std::collections::HashSet<_> =
                        packet[12..172].windows(4).collect();
                    assert!(distinct.len() > 150, "{suite:?}: the payload is readable");
                    assert!(length > 172, "there is a tag");
                    // Replayed and forged packets are not heard.
                    let mut forged = packet.to_vec();
                    forged[20] ^= 1;
                    let _ = wire.send_to(&forged, to).await;
                    let _ = wire.send_to(packet, to).await;
                }
                let _ = wire.send_to(packet, to).await;
            }
            (wire, near_leg, far_leg)
        });
        let speaking = [caller.say(400.0, whole), agent.say(800.0, whole)];
        let (samples, _) = agent.hears(40).await;
        assert!(
            standing(&samples[1_600..], 8_000, 400.0) > 0.95,
            "{suite:?}"
        );
        let (samples, _) = caller.hears(40).await;
        assert!(
            standing(&samples[1_600..], 8_000, 800.0) > 0.95,
            "{suite:?}"
        );
        timeout(DEADLINE, tapped)
            .await
            .expect("reports in time")
            .expect("all encrypted");
        assert!(
            engine.stats().invalid_packets > 50,
            "forged packets are counted"
        );
        speaking.iter().for_each(JoinHandle::abort);
        engine.shutdown();
    }
}

#[tokio::test]
async fn a_peer_of_ipv6_hears_one_of_ipv4() {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let (four, six) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
    let engine = media::MediaEngine::start(media::MediaConfig {
        bind: four,
        advertise: four,
        other_family: Some(six),
        ports: (24_740, 24_759),
        threads: 1,
    })
    .expect("it starts");
    let (call, _events) = engine.open_call();
    let left = Peer::join(&call, A, Codec::Pcmu, None).await;
    let socket = UdpSocket::bind((six, 0)).await.expect("IPv6 on loopback");
    let own: IpAddr = six;
    let target = call.add_leg_towards(B, Some(own)).await.expect("a leg");
    assert!(target.is_ipv6());
    let remote = RemoteMedia {
        rtp: socket.local_addr().expect("bound"),
        ..left.remote.clone()
    };
    call.connect(B, remote.clone());
    let right = Peer {
        socket: Arc::new(socket),
        codec: Codec::Pcmu,
        target,
        remote,
    };
    call.bridge(A, B);
    let speaking = [left.say(440.0, whole), right.say(1_000.0, whole)];
    right.hears(5).await;
    let (samples, _) = right.hears(30).await;
    assert!(standing(&samples, 8_000, 440.0) > 0.95);
    let (samples, _) = left.hears(30).await;
    assert!(standing(&samples, 8_000, 1_000.0) > 0.95);
    speaking.iter().for_each(JoinHandle::abort);
    engine.shutdown();
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Event,
    Info,
    Tones,
}

/// A press on one leg leaves on the other exactly once, in the way that leg knows.
#[tokio::test]
async fn a_press_arrives_in_the_way_the_other_side_knows() {
    const WAYS: [Way; 3] = [Way::Event, Way::Info, Way::Tones];
    let engine = engine((24_540, 24_699));
    let cases = WAYS
        .iter()
        .flat_map(|from| WAYS.map(|to| (*from, to)))
        .flat_map(|(from, to)| {
            [
                (from, to, Codec::Pcmu, Codec::Pcmu),
                (from, to, Codec::Pcmu, Codec::Opus),
            ]
        });
    let calls = cases.map(|(from, to, of_a, of_b)| {
        let engine = engine.clone();
        async move {
            let case = format!("{from:?} to {to:?}, {of_a:?} to {of_b:?}");
            let (call, mut events) = engine.open_call();
            let join = async |leg, codec, way| {
                let digits = (way == Way::Event).then_some(if leg == A { 101 } else { 110 });
                let mut peer = Peer::join(&call, leg, codec, digits).await;
                peer.remote.info_digits = way == Way::Info;
                call.connect(leg, peer.remote.clone());
                peer
            };
            let caller = join(A, of_a, from).await;
            let agent = join(B, of_b, to).await;
            call.bridge(A, B);
            let pressing = press(&call, &caller, from);
            let listening = listen(&agent, &mut events);
            let (_, heard) = tokio::join!(pressing, listening);
            let only = |way: Way| if way == to { "7" } else { "" };
            assert_eq!(heard.events, only(Way::Event), "{case}");
            assert_eq!(heard.tones, only(Way::Tones), "{case}");
            assert_eq!(heard.info, only(Way::Info), "{case}");
            // Our own side is told too, except where tones merely pass through as sound.
            let told = if (from, to) == (Way::Tones, Way::Tones) {
                ""
            } else {
                "7"
            };
            assert_eq!(heard.told, told, "{case}");
        }
    });
    futures_all(calls).await;
    engine.shutdown();
}

/// Says silence for a second, and presses `7` in the middle of it.
async fn press(call: &CallMedia, caller: &Peer, way: Way) {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let tones = |at: usize| {
        let at = at as f32 / 8_000.0;
        (((TAU * 852.0 * at).sin() + (TAU * 1_209.0 * at).sin()) * 6_000.0) as i16
    };
    for number in 0..100u32 {
        pace.tick().await;
        let step = number.saturating_sub(40);
        let pressed = (40..46).contains(&number);
        let packet = match way {
            Way::Event if (40..49).contains(&number) => {
                let end = if step >= 6 { 0x80 } else { 0 };
                let duration = (step.min(5) as u16 + 1) * 160;
                let [high, low] = duration.to_be_bytes();
                let payload = [7, end | 10, high, low];
                rtp(101, step == 0, number as u16, 40 * 160, 5, &payload)
            }
            _ => {
                let sample = |n: usize| match way {
                    Way::Tones if pressed => tones(step as usize * 160 + n),
                    _ => 0,
                };
                let payload: Vec<u8> = (0..160).map(|n| g711::linear_to_ulaw(sample(n))).collect();
                rtp(0, false, number as u16, number * 160, 5, &payload)
            }
        };
        if way == Way::Info && number == 40 {
            call.info_digit(A, '7');
        }
        caller
            .socket
            .send_to(&packet, caller.target)
            .await
            .expect("sent");
    }
}

#[derive(Default)]
struct HeardDigits {
    events: String,
    tones: String,
    info: String,
    told: String,
}

/// Everything that says a key was pressed, for a good two seconds.
async fn listen(agent: &Peer, events: &mut Receiver<MediaEvent>) -> HeardDigits {
    let mut heard = HeardDigits::default();
    let mut coder = Coder::new(agent.codec);
    let rate = Coder::rate(agent.codec);
    let mut sound: Vec<i16> = Vec::new();
    let mut last_event = None;
    let mut bytes = [0; 2_048];
    let over = tokio::time::sleep(Duration::from_millis(2_600));
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => break,
            Some(event) = events.recv() => match event {
                MediaEvent::Digit { digit, via, .. } => {
                    heard.told.push(digit);
                    assert_ne!((via, digit), (DigitVia::Info, '0'));
                }
                MediaEvent::SendInfo { leg, digit } => {
                    assert_eq!(leg, B);
                    heard.info.push(digit);
                }
                _ => {}
            },
            Ok((length, _)) = agent.socket.recv_from(&mut bytes) => {
                if bytes[1] & 0x7f == payload_type(agent.codec) {
                    sound.extend(coder.decode(&bytes[12..length]));
                } else {
                    assert_eq!(bytes[1] & 0x7f, 110, "a payload type that was not agreed");
                    let timestamp = [bytes[4], bytes[5], bytes[6], bytes[7]];
                    if last_event != Some(timestamp) {
                        heard.events.push_str(&bytes[12].to_string());
                    }
                    last_event = Some(timestamp);
                }
            }
        }
    }
    // A key by its tones: both stand for 40 ms at least.
    let both: Vec<bool> = sound
        .chunks_exact(rate / 100)
        .map(|f| level(f, rate, 852.0) > 0.05 && level(f, rate, 1_209.0) > 0.05)
        .collect();
    let mut run = 0;
    for stands in both {
        run = if stands { run + 1 } else { 0 };
        if run == 4 {
            heard.tones.push('7');
        }
    }
    heard
}

#[tokio::test]
async fn tones_of_keys_stay_out_of_a_recording_that_shall_have_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine((24_760, 24_779));
    for (without_tones, loudest) in [(false, 5_000..=i16::MAX), (true, 0..=1_500)] {
        let path = folder.path().join(format!("{without_tones}.wav"));
        let (call, mut events) = engine.open_call();
        let caller = Peer::join(&call, A, Codec::Pcmu, None).await;
        call.start_recording(RecordingSpec {
            path: path.clone(),
            left: A,
            right: None,
            without_tones,
            pause: PauseMode::Cut,
        });
        press(&call, &caller, Way::Tones).await;
        call.stop_recording();
        until(&mut events, |event| {
            matches!(event, MediaEvent::RecordingStopped { .. })
        })
        .await;
        let bytes = std::fs::read(&path).expect("a recording");
        let found = bytes[44..]
            .chunks_exact(2)
            .map(|s| i16::from_le_bytes([s[0], s[1]]).saturating_abs())
            .max();
        assert!(
            loudest.contains(&found.expect("samples")),
            "{without_tones}: {found:?}"
        );
    }
    engine.shutdown();
}
