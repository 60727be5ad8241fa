//! On a packet's path nothing is allocated. Counts what the whole process allocates, so it is a
//! program of its own.

use std::{
    alloc::System,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    time::{Duration, Instant},
};

use media::{
    CallMedia, Codec, LegId, MediaConfig, MediaEngine, RemoteMedia,
    srtp::{Key, Keys, Suite},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Peer {
    socket: UdpSocket,
    target: std::net::SocketAddr,
    packet: Vec<u8>,
    ticks: u32,
}

impl Peer {
    fn join(
        runtime: &tokio::runtime::Runtime,
        call: &CallMedia,
        leg: u32,
        codec: Codec,
        keys: Option<Keys>,
    ) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("set");
        let leg = LegId(leg);
        let target = runtime.block_on(call.add_leg(leg)).expect("a leg");
        let (payload_type, length) = match codec {
            Codec::Pcmu => (0, 160),
            Codec::G722 => (9, 160),
            _ => (107, 40),
        };
        call.connect(
            leg,
            RemoteMedia {
                rtp: socket.local_addr().expect("bound"),
                rtcp: None,
                rtcp_mux: true,
                webrtc: None,
                keys,
                codec,
                payload_type,
                also_audio: Vec::new(),
                also_events: Vec::new(),
                telephone_event: None,
                info_digits: false,
                comfort_noise: None,
                ptime_ms: 20,
                send: true,
                receive: true,
            },
        );
        let mut packet = vec![0x80, payload_type, 0, 0, 0, 0, 0, 0, 0, 0, 0, leg.0 as u8];
        // For Opus: SILK at 16 kHz, 20 ms. What follows decodes to some noise.
        packet.push(if codec == Codec::Opus { 9 << 3 } else { 0x55 });
        packet.resize(12 + length, 0x39);
        Self {
            socket,
            target,
            packet,
            ticks: codec.clock_rate() / 50,
        }
    }

    /// Sends the n-th packet and takes all that came.
    fn turn(&mut self, number: u32) -> u32 {
        self.packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
        let timestamp = number.wrapping_mul(self.ticks);
        self.packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
        self.socket
            .send_to(&self.packet, self.target)
            .expect("sent");
        let mut bytes = [0; 2_048];
        let mut heard = 0;
        while self.socket.recv_from(&mut bytes).is_ok() {
            heard += 1;
        }
        heard
    }
}

#[test]
fn a_packet_costs_no_allocation() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let engine = MediaEngine::start(MediaConfig {
        bind: localhost,
        advertise: localhost,
        other_family: None,
        ports: (24_700, 24_739),
        threads: 1,
    })
    .expect("it starts");
    let (plain, _a) = engine.open_call();
    let (transcoded, _b) = engine.open_call();
    let (encrypted, _c) = engine.open_call();
    let key = |seed| Key::new(Suite::AesCm128HmacSha1_80, &[seed; 30]).expect("its length");
    let keys = Keys {
        ours: key(1),
        theirs: key(2),
    };
    let mut peers = [
        Peer::join(&runtime, &plain, 1, Codec::Pcmu, None),
        Peer::join(&runtime, &plain, 2, Codec::Pcmu, None),
        Peer::join(&runtime, &transcoded, 1, Codec::G722, None),
        Peer::join(&runtime, &transcoded, 2, Codec::Opus, None),
        Peer::join(&runtime, &encrypted, 1, Codec::Pcmu, None),
        // Only listens: what it sends is clear, and refused.
        Peer::join(&runtime, &encrypted, 2, Codec::Pcmu, Some(keys)),
    ];
    for call in [&plain, &transcoded, &encrypted] {
        call.bridge(LegId(1), LegId(2));
    }
    let mut number = 0;
    let mut run = |packets: u32| {
        let mut heard = [0; 6];
        for _ in 0..packets {
            let due = Instant::now() + Duration::from_millis(20);
            for (peer, heard) in peers.iter_mut().zip(&mut heard) {
                *heard += peer.turn(number);
            }
            number += 1;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        heard
    };
    // Buffers fill, first packets are told, resamplers are made.
    run(60);
    let region = Region::new(ALLOCATOR);
    let heard = run(100);
    let change = region.change();
    assert!(
        heard[..4].iter().all(|packets| *packets > 80) && heard[5] > 80,
        "all were passed on: {heard:?}"
    );
    assert_eq!(
        (change.allocations, change.reallocations),
        (0, 0),
        "{} bytes for {heard:?} packets",
        change.bytes_allocated
    );
    let health = engine.health();
    assert!(health.ticks > 100 && health.p50_us <= health.p99_us);
    engine.shutdown();
}
