//! Where devices are, and what becomes of them: connections, moves, expiry, IPv6.

use std::net::SocketAddr;
use std::time::Duration;

use sip::{Dial, DialError, DialTarget, Leg, LegEvent, Party, SipEvent, SipStack, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::registration::register;
use crate::ua::{Book, DEADLINE, Peer, SDP, Server, header, proof, respond};

/// A peer on a connection.
pub struct Stream {
    stream: TcpStream,
    buffer: String,
}

impl Stream {
    pub fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: String::new(),
        }
    }

    pub async fn open(server: SocketAddr) -> Self {
        Self::over(TcpStream::connect(server).await.unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until the text is in what came; gives all up to its message's end.
    pub async fn until(&mut self, wanted: &str) -> String {
        let mut piece = [0; 4096];
        let read = async {
            loop {
                let start = self.buffer.find(wanted);
                let end =
                    start.and_then(|at| self.buffer[at..].find("\r\n\r\n").map(|e| at + e + 4));
                if let (Some(start), Some(end)) = (start, end) {
                    let message = self.buffer[start..end].to_owned();
                    self.buffer.drain(..end);
                    return message;
                }
                let length = self.stream.read(&mut piece).await.unwrap();
                assert_ne!(length, 0, "closed before {wanted}: {}", self.buffer);
                self.buffer += &String::from_utf8_lossy(&piece[..length]);
            }
        };
        timeout(DEADLINE, read).await.expect(wanted)
    }

    fn register(&self, contact: SocketAddr, cseq: u32, extra: &str) -> String {
        format!(
            "REGISTER sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP {contact};rport;branch=z9hG4bKr{cseq}\r\n\
             From: <sip:1001@127.0.0.1>;tag=r\r\nTo: <sip:1001@127.0.0.1>\r\nCall-ID: tcp\r\n\
             CSeq: {cseq} REGISTER\r\nContact: <sip:1001@{contact};transport=tcp>\r\n{extra}Content-Length: 0\r\n\r\n"
        )
    }

    async fn registered(&mut self, contact: SocketAddr) {
        self.send(&self.register(contact, 1, "")).await;
        let challenge = self.until("SIP/2.0 401").await;
        let md5 = challenge.lines().find(|l| l.contains("algorithm=MD5"));
        let uri = "sip:1001@127.0.0.1";
        let proof = proof(md5.unwrap(), "1001", "pw-1001", "REGISTER", uri, 1);
        let again = self.register(contact, 2, &format!("Authorization: {proof}\r\n"));
        self.send(&again).await;
        self.until("SIP/2.0 200").await;
    }
}

async fn dial(stack: &SipStack) -> Result<Leg, DialError> {
    let to = DialTarget::Device {
        username: "1001".into(),
    };
    stack
        .dial(Dial {
            to,
            from: Party::default(),
            identity: sip::Identity::default(),
            offer: SDP.into(),
            browser_offer: None,
            headers: Vec::new(),
        })
        .await
}

#[tokio::test]
async fn a_phone_is_called_over_the_connection_it_registered_by() {
    let mut server = Server::start().await;
    let mut phone = Stream::open(server.stack.address(sip::Transport::Tcp).unwrap()).await;
    phone.registered(phone.address()).await;
    server.event().await;
    let mut leg = dial(&server.stack).await.unwrap();
    let invite = phone.until("INVITE ").await;
    assert!(header(&invite, "Via").starts_with("SIP/2.0/TCP "));
    assert!(header(&invite, "Contact").contains("transport=tcp"));
    phone
        .send(&respond(&invite, "180 Ringing", "t", "", ""))
        .await;
    let event = timeout(DEADLINE, leg.next_event()).await.unwrap();
    assert_eq!(event, Some(LegEvent::Ringing));
    // A ping is answered, and the connection's end is the device's.
    phone.send("\r\n\r\n").await;
    let mut pong = [0; 2];
    timeout(DEADLINE, phone.stream.read_exact(&mut pong))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&pong, b"\r\n");
    drop(phone);
    assert!(matches!(
        server.event().await,
        SipEvent::Unregistered { bindings: 0, .. }
    ));
    assert!(server.book.kept.lock().unwrap()["1001"].is_empty());
    assert!(matches!(
        dial(&server.stack).await.unwrap_err(),
        DialError::NoBinding { .. }
    ));
}

#[tokio::test]
async fn a_phone_that_listens_is_called_after_its_connection_ended() {
    let mut server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut phone = Stream::open(server.stack.address(sip::Transport::Tcp).unwrap()).await;
    phone.registered(listener.local_addr().unwrap()).await;
    server.event().await;
    phone.stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(DEADLINE, phone.stream.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    let _leg = dial(&server.stack).await.unwrap();
    let (stream, _) = timeout(DEADLINE, listener.accept()).await.unwrap().unwrap();
    Stream::over(stream).until("INVITE ").await;
}

#[tokio::test]
async fn a_phone_that_moved_is_one_phone() {
    let mut server = Server::start().await;
    let (before, after) = (Peer::new(server.udp()).await, Peer::new(server.udp()).await);
    register(&before, "1001", "pw-1001", 1, "").await;
    server.event().await;
    // The same Call-ID goes on counting from another port.
    register(&after, "1001", "pw-1001", 3, "").await;
    let SipEvent::Registered { bindings, .. } = server.event().await else {
        panic!("registered")
    };
    assert_eq!(bindings, 1);
    assert_eq!(server.stack.bindings("1001")[0].received, after.address());
}

#[tokio::test]
async fn a_registration_ends_by_itself() {
    let brief = |c: &mut sip::SipConfig| c.limits.registration.0 = Duration::ZERO;
    let mut server = Server::with(brief, Default::default()).await;
    let phone = Peer::new(server.udp()).await;
    let ok = register(&phone, "1001", "pw-1001", 1, "Expires: 1\r\n").await;
    assert!(header(&ok, "Contact").ends_with(";expires=1"), "{ok}");
    server.event().await;
    assert!(matches!(
        server.event().await,
        SipEvent::Unregistered { bindings: 0, .. }
    ));
    assert!(server.book.kept.lock().unwrap()["1001"].is_empty());
}

#[tokio::test]
async fn a_ping_is_answered_to_devices_only() {
    let server = Server::start().await;
    let (phone, stranger) = (Peer::new(server.udp()).await, Peer::new(server.udp()).await);
    register(&phone, "1001", "pw-1001", 1, "").await;
    stranger.send("\r\n\r\n").await;
    phone.send("\r\n\r\n").await;
    assert_eq!(phone.receive().await, "\r\n");
    stranger
        .send(&stranger.request("OPTIONS", "x", "s", 1, "", ""))
        .await;
    assert!(stranger.receive().await.starts_with("SIP/2.0 200"));
}

#[tokio::test]
async fn the_way_to_a_phone_behind_a_nat_is_kept_open() {
    let often = |c: &mut sip::SipConfig| c.limits.keep_open = Duration::from_secs(1);
    let mut server = Server::with(often, Default::default()).await;
    let (natted, open) = (Peer::new(server.udp()).await, Peer::new(server.udp()).await);
    register(&open, "1002", "pw-1002", 1, "").await;
    server.event().await;
    // It knows only its own address, not the one it comes from.
    let inside = "Contact: <sip:1001@192.168.77.5:5060>\r\n";
    let asked = natted.request("REGISTER", "1001", "n", 1, "", "");
    let own = format!("Contact: {}\r\n", header(&asked, "Contact"));
    let asked = |cseq: u32, extra: &str| {
        natted
            .request("REGISTER", "1001", "n", cseq, extra, "")
            .replace(&own, inside)
    };
    natted.send(&asked(1, "")).await;
    let challenge = natted.until("SIP/2.0 401").await;
    let md5 = challenge.lines().find(|l| l.contains("algorithm=MD5"));
    let uri = format!("sip:1001@{}", server.udp());
    let proof = crate::ua::proof(md5.unwrap(), "1001", "pw-1001", "REGISTER", &uri, 1);
    natted
        .send(&asked(2, &format!("Authorization: {proof}\r\n")))
        .await;
    natted.until("SIP/2.0 200").await;
    for _ in 0..2 {
        assert_eq!(natted.receive().await, "\r\n\r\n");
    }
    // The other needs none of it: the next it hears is an answer.
    open.send(&open.request("OPTIONS", "x", "o", 1, "", ""))
        .await;
    assert!(open.receive().await.starts_with("SIP/2.0 200"));
}

#[tokio::test]
async fn a_request_that_came_two_ways_is_served_once() {
    let mut server = Server::start().await;
    let (one, two) = (Peer::new(server.udp()).await, Peer::new(server.udp()).await);
    let invite = one.invite("4210", "m", "");
    one.send(&invite).await;
    let call = server.incoming().await;
    two.send(&invite.replace("branch=z9hG4bKm1", "branch=z9hG4bKother"))
        .await;
    two.until("SIP/2.0 482").await;
    // Refused, it may be tried again as it was.
    call.leg.handle().reject(503, None).await.unwrap();
    one.until("SIP/2.0 503").await;
    two.send(&invite.replace("branch=z9hG4bKm1", "branch=z9hG4bKthird"))
        .await;
    server.incoming().await;
}

#[tokio::test]
async fn calls_and_registrations_come_by_ipv6() {
    let six = |c: &mut sip::SipConfig| {
        let free: SocketAddr = "[::1]:0".parse().unwrap();
        for listener in &mut c.listeners {
            listener.bind = free;
        }
    };
    let mut server = Server::with(six, std::sync::Arc::new(Book::default())).await;
    let phone = Peer::beside(server.udp()).await;
    register(&phone, "1001", "pw-1001", 1, "").await;
    server.event().await;
    let binding = server.stack.bindings("1001").remove(0);
    assert_eq!(
        (binding.received, binding.transport),
        (phone.address(), Transport::Udp)
    );
    let _leg = dial(&server.stack).await.unwrap();
    let invite = phone.until("INVITE").await;
    assert_eq!(
        header(&invite, "Contact"),
        format!("<sip:{}>", server.udp())
    );
    let trunk = Peer::beside(server.udp()).await;
    trunk.send(&trunk.invite("4210", "six", "")).await;
    let mut leg = server.incoming().await.leg;
    leg.handle().answer(SDP.into()).await.unwrap();
    let ok = trunk.until("SIP/2.0 200").await;
    trunk
        .send(&trunk.inside("ACK", "six", 1, &ok, "", ""))
        .await;
    let event = timeout(DEADLINE, leg.next_event()).await.unwrap();
    assert_eq!(event, Some(LegEvent::Confirmed { sdp: None }));
}
