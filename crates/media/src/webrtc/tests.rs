use std::time::Duration;

use super::*;

/// A browser in miniature: a full ICE agent and a DTLS end, no sockets and no clock.
struct Browser {
    identity: Identity,
    ice: IceAgent,
    address: SocketAddr,
    dtls: Dtls,
    active: bool,
    keys: Option<Keys>,
    to_us: Vec<(Vec<u8>, SocketAddr)>,
}

fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], port))
}

const US: u8 = 1;

impl Browser {
    fn new(host: u8, active: bool, now: Instant) -> Self {
        let identity = Identity::generate().expect("identity");
        let mut dtls = Dtls::new_auto(
            Arc::clone(&identity.config),
            identity.certificate.clone(),
            now,
        );
        dtls.set_active(active);
        let mut ice = IceAgent::with_hmac(IceCreds::new(), &Sha1);
        ice.set_controlling(true);
        let address = address(host, 4_000);
        ice.add_local_candidate(Candidate::host(address, Protocol::Udp).expect("candidate"));
        ice.add_remote_candidate(
            Candidate::host(self::address(US, 9_000), Protocol::Udp).expect("candidate"),
        );
        Self {
            identity,
            ice,
            address,
            dtls,
            active,
            keys: None,
            to_us: Vec::new(),
        }
    }

    fn peer(&self, local: &IceCredentials) -> WebRtcPeer {
        let own = self.ice.local_credentials();
        WebRtcPeer {
            local: local.clone(),
            remote: IceCredentials {
                ufrag: own.ufrag.clone(),
                pwd: own.pass.clone(),
            },
            fingerprint: self.identity.fingerprint().to_vec(),
            active: !self.active,
        }
    }

    fn learn(&mut self, of: &IceCredentials) {
        self.ice.set_remote_credentials(of.creds());
    }

    fn receive(&mut self, datagram: &[u8], now: Instant) {
        match datagram[0] {
            0..4 => {
                let packet = stun::StunPacket {
                    proto: Protocol::Udp,
                    source: address(US, 9_000),
                    destination: self.address,
                    message: stun::StunMessage::parse(datagram).expect("an answer"),
                };
                self.ice.handle_packet(now, packet);
            }
            20..64 => self.dtls.handle_packet(datagram).expect("a handshake"),
            _ => {}
        }
    }

    fn step(&mut self, now: Instant) {
        self.ice.handle_timeout(now);
        while let Some(transmit) = self.ice.poll_transmit() {
            self.to_us
                .push((transmit.contents.to_vec(), transmit.source));
        }
        while self.ice.poll_event().is_some() {}
        if !self.ice.state().is_connected() {
            return;
        }
        self.dtls.handle_timeout(now).expect("no time-out");
        let mut buffer = [0; HANDSHAKE];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => self.to_us.push((packet.to_vec(), self.address)),
                Output::KeyingMaterial(material, profile) => {
                    self.keys = split(&material, profile, self.active);
                }
                Output::Timeout(_) => break,
                _ => {}
            }
        }
    }
}

struct Scene {
    browser: Browser,
    leg: WebRtc,
    local: IceCredentials,
    now: Instant,
    news: Vec<News>,
}

impl Scene {
    fn new(browser_is_active: bool) -> Self {
        let now = Instant::now();
        let local = IceCredentials::random();
        let identity = Arc::new(Identity::generate().expect("identity"));
        let leg = WebRtc::new(identity, address(US, 9_000), local.clone(), now);
        let mut browser = Browser::new(7, browser_is_active, now);
        browser.learn(&local);
        Self {
            browser,
            leg,
            local,
            now,
            news: Vec::new(),
        }
    }

    fn agree(&mut self) {
        let peer = self.browser.peer(&self.local);
        let mut out = Vec::new();
        self.leg.agree(&peer, self.now, &mut |datagram, _| {
            out.push(datagram.to_vec());
        });
        for datagram in out {
            self.browser.receive(&datagram, self.now);
        }
    }

    /// Lets some time pass, with the network between both at its best.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(20);
            for _ in 0..6 {
                self.browser.step(self.now);
                let mut out = Vec::new();
                for (mut datagram, from) in std::mem::take(&mut self.browser.to_us) {
                    self.leg
                        .receive(&mut datagram, from, self.now, &mut |datagram, _| {
                            out.push(datagram.to_vec());
                        });
                }
                self.leg
                    .tick(self.now, &mut |datagram, _| out.push(datagram.to_vec()));
                for datagram in out {
                    self.browser.receive(&datagram, self.now);
                }
                self.news.extend(self.leg.news());
            }
        }
    }
}

fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 1, 0xca, 0xfe, 0xba, 0xbe];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.extend([0x55; 160]);
    packet
}

/// Room for what protection adds.
const ROOM: usize = 32;

fn sealed(seal: &mut Srtp, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + ROOM, 0);
    let length = seal.seal_rtp(&mut buffer, packet.len()).expect("sealed");
    buffer.truncate(length);
    buffer
}

#[test]
fn audio_flows_both_ways_whoever_begins_the_handshake() {
    for browser_is_active in [true, false] {
        let mut scene = Scene::new(browser_is_active);
        scene.agree();
        scene.run(Duration::from_secs(2));
        assert_eq!(scene.news, [News::Secured]);
        assert_eq!(scene.leg.target(), Some(scene.browser.address));
        let keys = scene.browser.keys.clone().expect("keys");
        let mut seal = Srtp::new(&keys.ours, Direction::Sending);
        let mut from_browser = sealed(&mut seal, &rtp(1));
        let received = scene.leg.receive(
            &mut from_browser,
            scene.browser.address,
            scene.now,
            &mut |_, _| {},
        );
        assert_eq!(received, Received::Rtp(172));
        assert_eq!(from_browser[..172], rtp(1));
        let mut ours = rtp(9);
        ours.resize(172 + ROOM, 0);
        let length = scene.leg.seal_rtp(&mut ours, 172).expect("sealed");
        let opened = Srtp::new(&keys.theirs, Direction::Receiving).open_rtp(&mut ours[..length]);
        assert_eq!(opened, Some(172));
    }
}

#[test]
fn checks_that_come_before_the_answer_wait_for_it() {
    let mut scene = Scene::new(true);
    scene.run(Duration::from_millis(300));
    assert!(scene.news.is_empty());
    scene.agree();
    scene.run(Duration::from_secs(1));
    assert_eq!(scene.news, [News::Secured]);
}

#[test]
fn another_certificate_than_announced_is_refused() {
    let mut scene = Scene::new(true);
    let mut peer = scene.browser.peer(&scene.local);
    peer.fingerprint[0] ^= 1;
    scene.leg.agree(&peer, scene.now, &mut |_, _| {});
    scene.run(Duration::from_secs(2));
    assert!(
        matches!(scene.news[..], [News::Failed(_)]),
        "{:?}",
        scene.news
    );
    assert_eq!(scene.leg.target(), None);
}

#[test]
fn strangers_are_neither_answered_nor_believed() {
    let mut scene = Scene::new(true);
    scene.agree();
    scene.run(Duration::from_secs(1));
    let stranger = address(66, 4_000);
    let mut other = Browser::new(66, true, scene.now);
    other.learn(&IceCredentials {
        pwd: "not the password, but long enough".to_owned(),
        ..scene.local.clone()
    });
    other.step(scene.now);
    let mut answered = 0;
    let mut refused = |leg: &mut WebRtc, mut datagram: Vec<u8>, from| {
        let received = leg.receive(&mut datagram, from, scene.now, &mut |_, _| answered += 1);
        assert_eq!(received, Received::Refused);
    };
    for (datagram, _) in std::mem::take(&mut other.to_us) {
        refused(&mut scene.leg, datagram, stranger);
    }
    refused(&mut scene.leg, vec![22; 100], stranger);
    refused(&mut scene.leg, rtp(1), stranger);
    refused(&mut scene.leg, rtp(1), scene.browser.address);
    refused(&mut scene.leg, Vec::new(), stranger);
    refused(&mut scene.leg, vec![0; 20], stranger);
    assert_eq!(answered, 0);
    assert_eq!(scene.leg.target(), Some(scene.browser.address));
}

#[test]
fn a_browser_on_another_network_is_followed_without_a_new_handshake() {
    let mut scene = Scene::new(true);
    scene.agree();
    scene.run(Duration::from_secs(1));
    let keys = scene.browser.keys.clone().expect("keys");
    let mut seal = Srtp::new(&keys.ours, Direction::Sending);
    // The old address goes away, a new one comes, with the offer of new credentials.
    scene.browser.address = address(8, 4_100);
    scene.browser.ice.ice_restart(IceCreds::new(), false);
    let new = Candidate::host(scene.browser.address, Protocol::Udp).expect("candidate");
    scene.browser.ice.add_local_candidate(new);
    scene.browser.ice.add_remote_candidate(
        Candidate::host(address(US, 9_000), Protocol::Udp).expect("candidate"),
    );
    scene.local = IceCredentials::random();
    let local = scene.local.clone();
    scene.browser.learn(&local);
    scene.agree();
    scene.run(Duration::from_secs(1));
    let mut packet = sealed(&mut seal, &rtp(5));
    let received = scene.leg.receive(
        &mut packet,
        scene.browser.address,
        scene.now,
        &mut |_, _| {},
    );
    assert_eq!(received, Received::Rtp(172));
    assert_eq!(scene.leg.target(), Some(scene.browser.address));
    assert_eq!(scene.news, [News::Secured], "one handshake");
}

#[test]
fn a_browser_that_vanished_is_told_of_once() {
    let mut scene = Scene::new(true);
    scene.agree();
    scene.run(Duration::from_secs(1));
    for _ in 0..2_000 {
        scene.now += Duration::from_millis(20);
        scene.leg.tick(scene.now, &mut |_, _| {});
        scene.news.extend(scene.leg.news());
    }
    assert_eq!(scene.news, [News::Secured, News::Gone]);
}
