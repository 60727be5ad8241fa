//! What a browser asks of a leg before it sends audio: ICE (RFC 8445), DTLS (RFC 5764) and RTP and
//! RTCP on one port (RFC 5761).
//!
//! We are an ICE-lite agent: we name our one address, answer checks and never send any. Sans-IO:
//! datagrams and time come in, datagrams go out through a closure, and what is left is plain RTP
//! for the leg, which knows nothing of all this.

use std::{fmt, net::SocketAddr, sync::Arc, time::Instant};

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, hmac};
use dimpl::{Config, Dtls, DtlsCertificate, Output};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol, Sha1HmacProvider, stun};
use zeroize::Zeroizing;

use crate::srtp::{Direction, Key, Keys, Srtp, Suite};

/// Addresses of a browser that passed a check and are remembered.
const ADDRESSES: usize = 32;
/// A browser checks every 2.5 s, held or not (RFC 7675); after this time without any it is gone.
const GONE_AFTER: std::time::Duration = std::time::Duration::from_secs(20);
/// The largest handshake datagram.
const HANDSHAKE: usize = 2_048;

/// Who we are to browsers: a certificate made at start, recognised by its fingerprint.
pub(crate) struct Identity {
    certificate: DtlsCertificate,
    config: Arc<Config>,
    fingerprint: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl Identity {
    /// Makes a key and a certificate for it.
    ///
    /// # Errors
    /// In words, when the cryptography refuses.
    pub(crate) fn generate() -> Result<Self, String> {
        let certificate = dimpl::certificate::generate_self_signed_certificate()
            .map_err(|error| error.to_string())?;
        // A peer has shown by ICE that it receives where it sends from: no cookie is needed.
        let config = Config::builder()
            .use_server_cookie(false)
            .flight_start_rto(std::time::Duration::from_millis(250))
            .flight_retries(6)
            .handshake_timeout(std::time::Duration::from_secs(20))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            fingerprint: certificate.fingerprint(),
            certificate,
            config: Arc::new(config),
        })
    }

    /// The SHA-256 of the certificate (RFC 8122).
    pub(crate) fn fingerprint(&self) -> &[u8] {
        &self.fingerprint
    }
}

/// The short-lived name and password of one side's ICE agent (RFC 8839 §5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub pwd: String,
}

impl IceCredentials {
    /// New ones of our own.
    #[must_use]
    pub fn random() -> Self {
        let made = IceCreds::new();
        Self {
            ufrag: made.ufrag,
            pwd: made.pass,
        }
    }

    fn creds(&self) -> IceCreds {
        IceCreds {
            ufrag: self.ufrag.clone(),
            pass: self.pwd.clone(),
        }
    }
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceCredentials({})", self.ufrag)
    }
}

/// What was agreed with a browser about reaching and recognising it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebRtcPeer {
    /// Ours, as the description it got names them. New ones restart ICE.
    pub local: IceCredentials,
    /// Its own.
    pub remote: IceCredentials,
    /// The digest of its certificate: SHA-256, SHA-384 or SHA-512, told apart by length.
    pub fingerprint: Vec<u8>,
    /// Whether we begin the handshake (`a=setup:active` of ours).
    pub active: bool,
}

/// What a datagram turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// A check, part of a handshake, or nothing for us.
    Nothing,
    /// RTP, of which this many bytes are left.
    Rtp(usize),
    /// RTCP, of which this many bytes are left.
    Rtcp(usize),
    /// Not genuine, or sent by a stranger.
    Refused,
}

/// News of the connection, each told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Keys are agreed: audio may flow.
    Secured,
    /// Why audio will never flow.
    Failed(&'static str),
    /// The browser has not been heard of for some time.
    Gone,
}

/// How far the handshake has come.
enum Handshake {
    /// The peer isn't known yet.
    Waiting,
    Running {
        dtls: Box<Dtls>,
        fingerprint: Vec<u8>,
        active: bool,
        recognised: bool,
        keys: Option<Keys>,
        due: Option<Instant>,
    },
    Failed,
}

/// A browser's connection.
pub(crate) struct WebRtc {
    identity: Arc<Identity>,
    ice: IceAgent,
    local: SocketAddr,
    remote_ice: Option<IceCredentials>,
    local_ice: IceCredentials,
    /// Where its packets go.
    target: Option<SocketAddr>,
    /// Addresses from which it has passed a check.
    checked: Vec<SocketAddr>,
    ice_due: Option<Instant>,
    handshake: Handshake,
    /// What protects our packets and opens the browser's, once keys are agreed.
    srtp: Option<Box<(Srtp, Srtp)>>,
    heard: Instant,
    gone: bool,
    news: Option<News>,
}

impl fmt::Debug for WebRtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebRtc")
            .field("target", &self.target)
            .field("secured", &self.srtp.is_some())
            .finish_non_exhaustive()
    }
}

/// HMAC-SHA1 of the cryptography that everything else here uses.
#[derive(Debug)]
struct Sha1;

impl Sha1HmacProvider for Sha1 {
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
        let mut context = hmac::Context::with_key(&key);
        for payload in payloads {
            context.update(payload);
        }
        let mut sum = [0; 20];
        sum.copy_from_slice(context.sign().as_ref());
        sum
    }
}

impl WebRtc {
    /// A connection to come, at an address of ours as the browser is told it.
    pub(crate) fn new(
        identity: Arc<Identity>,
        local: SocketAddr,
        credentials: IceCredentials,
        now: Instant,
    ) -> Self {
        let mut ice = IceAgent::with_hmac(credentials.creds(), &Sha1);
        ice.set_ice_lite(true);
        ice.set_controlling(false);
        if let Ok(candidate) = Candidate::host(local, Protocol::Udp) {
            ice.add_local_candidate(candidate);
        }
        Self {
            identity,
            ice,
            local,
            remote_ice: None,
            local_ice: credentials,
            target: None,
            checked: Vec::new(),
            ice_due: None,
            handshake: Handshake::Waiting,
            srtp: None,
            heard: now,
            gone: false,
            news: None,
        }
    }

    /// Takes what was agreed, at first and on every change. Other credentials restart ICE
    /// (RFC 8839 §4.4.1.1.1), another certificate restarts DTLS (RFC 8842 §4); audio goes on
    /// meanwhile.
    pub(crate) fn agree(
        &mut self,
        peer: &WebRtcPeer,
        now: Instant,
        out: &mut dyn FnMut(&[u8], SocketAddr),
    ) {
        if self.local_ice != peer.local {
            self.ice.ice_restart(peer.local.creds(), true);
            self.local_ice = peer.local.clone();
            self.checked.clear();
            self.remote_ice = None;
        }
        if self.remote_ice.as_ref() != Some(&peer.remote) {
            self.ice.set_remote_credentials(peer.remote.creds());
            self.remote_ice = Some(peer.remote.clone());
            (self.heard, self.gone) = (now, false);
        }
        let known = match &self.handshake {
            Handshake::Running { fingerprint, .. } => *fingerprint == peer.fingerprint,
            Handshake::Waiting | Handshake::Failed => false,
        };
        if !known {
            let mut dtls = Box::new(Dtls::new_auto(
                Arc::clone(&self.identity.config),
                self.identity.certificate.clone(),
                now,
            ));
            dtls.set_active(peer.active);
            self.handshake = Handshake::Running {
                dtls,
                fingerprint: peer.fingerprint.clone(),
                active: peer.active,
                recognised: false,
                keys: None,
                due: None,
            };
        }
        // Checks that came before the answer are waiting in the agent.
        self.step_ice(now, out);
        self.step_dtls(now, out);
    }

    /// Where packets go, once they can be protected.
    pub(crate) fn target(&self) -> Option<SocketAddr> {
        self.target.filter(|_| self.srtp.is_some())
    }

    /// Takes a datagram and leaves its RTP or RTCP where it lies. Answers go out at once.
    pub(crate) fn receive(
        &mut self,
        datagram: &mut [u8],
        from: SocketAddr,
        now: Instant,
        out: &mut dyn FnMut(&[u8], SocketAddr),
    ) -> Received {
        // RFC 7983 §7.
        match datagram.first() {
            Some(0..4) => self.check(datagram, from, now, out),
            Some(20..64) => self.handshake(datagram, from, now, out),
            Some(128..192) => self.packet(datagram, from, now),
            _ => Received::Refused,
        }
    }

    /// Does what is due. Cheap when nothing is.
    pub(crate) fn tick(&mut self, now: Instant, out: &mut dyn FnMut(&[u8], SocketAddr)) {
        if self.ice_due.is_none_or(|due| due <= now) {
            self.step_ice(now, out);
        }
        if let Handshake::Running { due: Some(due), .. } = &self.handshake
            && *due <= now
        {
            self.step_dtls(now, out);
        }
        if self.remote_ice.is_some() && !self.gone && now > self.heard + GONE_AFTER {
            self.gone = true;
            self.news = Some(News::Gone);
        }
    }

    /// What happened, if it hasn't been told yet.
    pub(crate) fn news(&mut self) -> Option<News> {
        self.news.take()
    }

    /// Protects an RTP packet in a buffer that has room for the tag.
    pub(crate) fn seal_rtp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        self.srtp.as_mut()?.0.seal_rtp(buffer, length)
    }

    /// The same for RTCP.
    pub(crate) fn seal_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        self.srtp.as_mut()?.0.seal_rtcp(buffer, length)
    }

    fn packet(&mut self, packet: &mut [u8], from: SocketAddr, now: Instant) -> Received {
        let Some((_, receiving)) = self.srtp.as_deref_mut() else {
            return Received::Refused;
        };
        // RFC 5761 §4: RTCP says so in its second byte.
        let report = packet.get(1).is_some_and(|byte| (192..224).contains(byte));
        let opened = if report {
            receiving.open_rtcp(packet).map(Received::Rtcp)
        } else {
            receiving.open_rtp(packet).map(Received::Rtp)
        };
        match opened {
            Some(received) => {
                // A browser that changes networks sends from its new address as soon as it has
                // chosen it, long before the old one is found dead.
                if self.target != Some(from) && self.checked.contains(&from) {
                    self.target = Some(from);
                }
                (self.heard, self.gone) = (now, false);
                received
            }
            None => Received::Refused,
        }
    }

    fn check(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        now: Instant,
        out: &mut dyn FnMut(&[u8], SocketAddr),
    ) -> Received {
        let Ok(message) = stun::StunMessage::parse(datagram) else {
            return Received::Refused;
        };
        let packet = stun::StunPacket {
            proto: Protocol::Udp,
            source: from,
            // Behind a translator the address we bound is not the one the browser was told.
            destination: self.local,
            message,
        };
        if !self.ice.handle_packet(now, packet) {
            return Received::Refused;
        }
        (self.heard, self.gone) = (now, false);
        self.step_ice(now, out);
        Received::Nothing
    }

    fn step_ice(&mut self, now: Instant, out: &mut dyn FnMut(&[u8], SocketAddr)) {
        // Each turn of the agent takes one of the checks that waited for the browser's credentials.
        for _ in 0..ADDRESSES {
            self.ice.handle_timeout(now);
            let mut sent = false;
            while let Some(transmit) = self.ice.poll_transmit() {
                out(&transmit.contents, transmit.destination);
                sent = true;
            }
            if !sent {
                break;
            }
        }
        let mut chosen = false;
        while let Some(event) = self.ice.poll_event() {
            match event {
                IceAgentEvent::DiscoveredRecv { source, .. } => {
                    if self.checked.len() < ADDRESSES && !self.checked.contains(&source) {
                        self.checked.push(source);
                    }
                }
                IceAgentEvent::NominatedSend { destination, .. } => {
                    self.target = Some(destination);
                    chosen = true;
                }
                IceAgentEvent::IceRestart(_) | IceAgentEvent::IceConnectionStateChange(_) => {}
            }
        }
        self.ice_due = self.ice.poll_timeout();
        if chosen {
            self.step_dtls(now, out);
        }
    }

    fn handshake(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        now: Instant,
        out: &mut dyn FnMut(&[u8], SocketAddr),
    ) -> Received {
        if !self.checked.contains(&from) {
            return Received::Refused;
        }
        let Handshake::Running { dtls, .. } = &mut self.handshake else {
            return Received::Refused;
        };
        self.target.get_or_insert(from);
        let taken = dtls
            .handle_timeout(now)
            .and_then(|()| dtls.handle_packet(datagram));
        if taken.is_err() {
            self.fail("the browser's handshake was not acceptable");
            return Received::Refused;
        }
        self.poll_dtls(out);
        Received::Nothing
    }

    fn step_dtls(&mut self, now: Instant, out: &mut dyn FnMut(&[u8], SocketAddr)) {
        let Handshake::Running { dtls, active, .. } = &mut self.handshake else {
            return;
        };
        // Our first message needs a way to go.
        if *active && self.target.is_none() {
            return;
        }
        if dtls.handle_timeout(now).is_err() {
            return self.fail("the handshake with the browser was not finished in time");
        }
        self.poll_dtls(out);
    }

    fn poll_dtls(&mut self, out: &mut dyn FnMut(&[u8], SocketAddr)) {
        let mut buffer = [0; HANDSHAKE];
        let Handshake::Running {
            dtls,
            fingerprint,
            active,
            recognised,
            keys,
            due,
        } = &mut self.handshake
        else {
            return;
        };
        let mut failed = None;
        loop {
            match dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => {
                    if let Some(target) = self.target {
                        out(packet, target);
                    }
                }
                Output::PeerCert(certificate) => {
                    *recognised = matches(fingerprint, certificate);
                    if !*recognised {
                        failed = Some("the browser showed another certificate than it announced");
                    }
                }
                Output::KeyingMaterial(material, profile) => {
                    *keys = split(&material, profile, *active);
                }
                Output::CloseNotify => self.news = Some(News::Gone),
                Output::Timeout(at) => {
                    *due = Some(at);
                    break;
                }
                Output::BufferTooSmall { .. } => {
                    failed = Some("the handshake needs larger datagrams than we send");
                    break;
                }
                _ => {}
            }
        }
        if *recognised && let Some(keys) = keys.take() {
            self.srtp = Some(Box::new((
                Srtp::new(&keys.ours, Direction::Sending),
                Srtp::new(&keys.theirs, Direction::Receiving),
            )));
            self.news = Some(News::Secured);
        }
        if let Some(why) = failed {
            self.fail(why);
        }
    }

    fn fail(&mut self, why: &'static str) {
        self.handshake = Handshake::Failed;
        self.news = Some(News::Failed(why));
    }
}

/// Whether a certificate is the announced one (RFC 8122 §5).
fn matches(fingerprint: &[u8], certificate: &[u8]) -> bool {
    let algorithm = match fingerprint.len() {
        32 => &digest::SHA256,
        48 => &digest::SHA384,
        64 => &digest::SHA512,
        _ => return false,
    };
    let found = digest::digest(algorithm, certificate);
    verify_slices_are_equal(found.as_ref(), fingerprint).is_ok()
}

/// Our key and the peer's out of the exported material: the keys of client and server, then their
/// salts (RFC 5764 §4.2).
fn split(material: &[u8], profile: dimpl::SrtpProfile, client: bool) -> Option<Keys> {
    let suite = match profile {
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
        dimpl::SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        dimpl::SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        _ => return None,
    };
    let (key, salt) = (suite.key(), suite.salt());
    let of = |side: usize| {
        let salts = 2 * key + side * salt;
        let mut secret = Zeroizing::new(material.get(side * key..(side + 1) * key)?.to_vec());
        secret.extend_from_slice(material.get(salts..salts + salt)?);
        Key::new(suite, &secret)
    };
    let (clients, servers) = (of(0)?, of(1)?);
    let (ours, theirs) = if client {
        (clients, servers)
    } else {
        (servers, clients)
    };
    Some(Keys { ours, theirs })
}

#[cfg(test)]
mod tests;
