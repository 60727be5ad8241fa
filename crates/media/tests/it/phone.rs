//! A phone that sends a tone and listens, and what tests need around it.

use std::{
    f32::consts::TAU,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use media::{
    CallMedia, Codec, LegId, MediaConfig, MediaEngine, MediaEvent, RemoteMedia, TelephoneEvent,
    g711,
};
use tokio::{net::UdpSocket, sync::mpsc::Receiver, task::JoinHandle, time::timeout};

pub const A: LegId = LegId(1);
pub const B: LegId = LegId(2);
/// Nothing in these tests may take longer.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// An engine with a range of its own, so that tests don't meet.
pub fn engine(ports: (u16, u16)) -> MediaEngine {
    engine_of(1, ports)
}

/// The same with so many threads.
pub fn engine_of(threads: usize, ports: (u16, u16)) -> MediaEngine {
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    MediaEngine::start(MediaConfig {
        bind: localhost,
        advertise: localhost,
        other_family: None,
        ports,
        threads,
    })
    .expect("it starts")
}

pub struct Phone {
    pub socket: Arc<UdpSocket>,
    pub codec: Codec,
    pub event_type: Option<u8>,
    /// Where the engine listens for it.
    pub target: SocketAddr,
}

#[derive(Clone, Debug)]
pub struct Heard {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

impl Phone {
    /// A phone on a new leg of a call, connected.
    pub async fn join(call: &CallMedia, leg: LegId, codec: Codec) -> Self {
        Self::join_with_events(call, leg, codec, Some(101)).await
    }

    pub async fn join_with_events(
        call: &CallMedia,
        leg: LegId,
        codec: Codec,
        event_type: Option<u8>,
    ) -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a socket"));
        let target = call.add_leg(leg).await.expect("a leg");
        let phone = Self {
            socket,
            codec,
            event_type,
            target,
        };
        call.connect(leg, phone.remote());
        phone
    }

    pub fn remote(&self) -> RemoteMedia {
        RemoteMedia {
            rtp: self.socket.local_addr().expect("bound"),
            rtcp: None,
            rtcp_mux: false,
            webrtc: None,
            keys: None,
            codec: self.codec,
            payload_type: payload_type(self.codec),
            also_audio: Vec::new(),
            also_events: Vec::new(),
            telephone_event: self.event_type.map(|payload_type| TelephoneEvent {
                payload_type,
                clock_rate: self.codec.clock_rate(),
            }),
            info_digits: false,
            comfort_noise: None,
            ptime_ms: 20,
            send: true,
            receive: true,
        }
    }

    /// Sends samples at their pace, and again from the start, until the handle is aborted.
    pub fn speak(&self, samples: Vec<i16>) -> Speaking {
        let (socket, codec, target) = (Arc::clone(&self.socket), self.codec, self.target);
        Speaking(tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            let mut frames = samples.chunks_exact(160).cycle();
            for number in 0u32.. {
                pace.tick().await;
                let payload: Vec<u8> = frames
                    .next()
                    .expect("it cycles")
                    .iter()
                    .map(|s| encode(codec, *s))
                    .collect();
                let packet = rtp(
                    payload_type(codec),
                    number == 0,
                    number as u16,
                    number * 160,
                    0x51,
                    &payload,
                );
                socket.send_to(&packet, target).await.expect("sent");
            }
        }))
    }

    /// Sends one packet.
    pub async fn send(&self, packet: &[u8]) {
        self.socket
            .send_to(packet, self.target)
            .await
            .expect("sent");
    }

    /// The next packet.
    pub async fn hear(&self) -> Heard {
        let mut bytes = [0; 2_048];
        let length = loop {
            let received = timeout(DEADLINE, self.socket.recv_from(&mut bytes))
                .await
                .expect("a packet in time");
            let (length, _) = received.expect("received");
            // A report for the phone whose port is the one below this (RFC 3550 §11, RFC 5761 §4).
            if !(192..=223).contains(&bytes[1]) {
                break length;
            }
        };
        assert!(
            length >= 12 && bytes[0] == 0x80,
            "no RTP: {:?}",
            &bytes[..length]
        );
        let long =
            |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        Heard {
            marker: bytes[1] & 0x80 != 0,
            payload_type: bytes[1] & 0x7f,
            sequence: u16::from_be_bytes([bytes[2], bytes[3]]),
            timestamp: long(4),
            ssrc: long(8),
            payload: bytes[12..length].to_vec(),
        }
    }

    /// Forgets what has arrived and was not heard yet.
    pub async fn drain(&self) {
        let mut bytes = [0; 2_048];
        while timeout(Duration::from_millis(1), self.socket.recv_from(&mut bytes))
            .await
            .is_ok()
        {}
    }

    /// The samples of so many packets.
    pub async fn listen(&self, packets: usize) -> Vec<i16> {
        let mut samples = Vec::new();
        for _ in 0..packets {
            let heard = self.hear().await;
            assert_eq!(heard.payload_type, payload_type(self.codec));
            samples.extend(heard.payload.iter().map(|byte| decode(self.codec, *byte)));
        }
        samples
    }
}

/// Speech that ends with the test.
pub struct Speaking(JoinHandle<()>);

impl Drop for Speaking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus => 107,
    }
}

fn encode(codec: Codec, sample: i16) -> u8 {
    match codec {
        Codec::Pcmu => g711::linear_to_ulaw(sample),
        Codec::Pcma => g711::linear_to_alaw(sample),
        other => panic!("{other:?} is not coded sample by sample"),
    }
}

fn decode(codec: Codec, byte: u8) -> i16 {
    match codec {
        Codec::Pcmu => g711::ulaw_to_linear(byte),
        Codec::Pcma => g711::alaw_to_linear(byte),
        other => panic!("{other:?} is not coded sample by sample"),
    }
}

pub fn rtp(
    payload_type: u8,
    marker: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type | if marker { 0x80 } else { 0 }];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A second of a tone that joins its own start.
pub fn tone(hertz: u32) -> Vec<i16> {
    (0..8_000)
        .map(|i| ((i as f32 * hertz as f32 / 8_000.0 * TAU).sin() * 8_000.0) as i16)
        .collect()
}

/// Share of the energy that lies at a frequency: 1 for a pure tone.
pub fn purity(samples: &[i16], hertz: u32) -> f32 {
    let (mut real, mut imaginary, mut energy) = (0.0f64, 0.0f64, 0.0f64);
    for (i, sample) in samples.iter().enumerate() {
        let angle = f64::from(hertz) * i as f64 / 8_000.0 * std::f64::consts::TAU;
        real += f64::from(*sample) * angle.cos();
        imaginary += f64::from(*sample) * angle.sin();
        energy += f64::from(*sample).powi(2);
    }
    if energy == 0.0 {
        0.0
    } else {
        ((real * real + imaginary * imaginary) * 2.0 / (samples.len() as f64 * energy)) as f32
    }
}

/// The first event that answers; others before it are passed over.
pub async fn event<T>(
    events: &mut Receiver<MediaEvent>,
    mut pick: impl FnMut(MediaEvent) -> Option<T>,
) -> T {
    timeout(DEADLINE, async {
        loop {
            let event = events.recv().await.expect("the call is open");
            if let Some(found) = pick(event) {
                return found;
            }
        }
    })
    .await
    .expect("the event in time")
}

/// The digits that come until a playback of one frame, started now, has ended: whatever was
/// received before is judged by then.
pub async fn digits_until_marker(
    call: &CallMedia,
    events: &mut Receiver<MediaEvent>,
) -> Vec<(char, media::DigitVia)> {
    call.play(B, 999, Arc::new(media::Sound::new(vec![0; 1_600])), false);
    let mut digits = Vec::new();
    event(events, |event| {
        if let MediaEvent::Digit { digit, via, .. } = event {
            digits.push((digit, via));
        }
        matches!(event, MediaEvent::PlaybackFinished { playback: 999, .. }).then_some(())
    })
    .await;
    digits
}
