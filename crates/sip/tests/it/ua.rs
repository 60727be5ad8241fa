//! A peer of our own: a socket, and messages as text.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sip::{
    Binding, DeviceCredential, Directory, Listener, SipConfig, SipEvent, SipStack, Transport,
};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

pub const DEADLINE: Duration = Duration::from_secs(5);

/// Users 1001.. with password `pw-<user>`; every loopback source is a carrier.
#[derive(Default)]
pub struct Book {
    pub kept: Mutex<HashMap<String, Vec<Binding>>>,
    pub closed: bool,
}

#[async_trait]
impl Directory for Book {
    async fn device(&self, username: &str) -> Option<DeviceCredential> {
        let known = username.len() == 4 && username.starts_with("10");
        known.then(|| {
            DeviceCredential::from_password(username, "trunkline", &format!("pw-{username}"))
        })
    }

    async fn save_bindings(&self, username: &str, bindings: &[Binding]) {
        self.kept
            .lock()
            .unwrap()
            .insert(username.into(), bindings.to_vec());
    }

    async fn load_bindings(&self) -> Vec<(String, Binding)> {
        let kept = self.kept.lock().unwrap();
        kept.iter()
            .flat_map(|(u, all)| all.iter().map(|b| (u.clone(), b.clone())))
            .collect()
    }

    fn admits(&self, source: SocketAddr) -> bool {
        !self.closed && source.ip().is_loopback()
    }
}

pub struct Server {
    pub stack: SipStack,
    pub events: mpsc::Receiver<SipEvent>,
    pub book: Arc<Book>,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(|_| {}, Arc::new(Book::default())).await
    }

    pub async fn with(change: impl FnOnce(&mut SipConfig), book: Arc<Book>) -> Self {
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut config = SipConfig {
            listeners: [Transport::Udp, Transport::Tcp]
                .map(|transport| Listener::new(transport, free))
                .into(),
            ..SipConfig::default()
        };
        config.limits.requests_per_second = 100_000;
        config.limits.request_burst = 100_000;
        change(&mut config);
        let (stack, events) = SipStack::start(config, book.clone()).await.unwrap();
        Self {
            stack,
            events,
            book,
        }
    }

    pub fn udp(&self) -> SocketAddr {
        self.stack.address(sip::Transport::Udp).unwrap()
    }

    pub async fn event(&mut self) -> SipEvent {
        timeout(DEADLINE, self.events.recv())
            .await
            .expect("an event in time")
            .unwrap()
    }

    pub async fn incoming(&mut self) -> sip::IncomingCall {
        match self.event().await {
            SipEvent::Incoming(call) => *call,
            other => panic!("{other:?}"),
        }
    }
}

pub struct Peer {
    pub socket: UdpSocket,
    pub server: SocketAddr,
}

impl Peer {
    /// On the interface the server is on.
    pub async fn beside(server: SocketAddr) -> Self {
        Self {
            socket: UdpSocket::bind((server.ip(), 0)).await.unwrap(),
            server,
        }
    }

    pub async fn new(server: SocketAddr) -> Self {
        Self {
            socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            server,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub async fn send(&self, text: &str) {
        self.socket
            .send_to(text.as_bytes(), self.server)
            .await
            .unwrap();
    }

    pub async fn receive(&self) -> String {
        timeout(DEADLINE, self.receive_ever())
            .await
            .expect("a message in time")
    }

    async fn receive_ever(&self) -> String {
        let mut buffer = vec![0; 65_535];
        let (length, _) = self.socket.recv_from(&mut buffer).await.unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// The next message that starts so; others are passed over.
    pub async fn until(&self, start: &str) -> String {
        timeout(DEADLINE, async {
            loop {
                let message = self.receive_ever().await;
                if message.starts_with(start) {
                    return message;
                }
            }
        })
        .await
        .unwrap_or_else(|_| panic!("no {start} in time"))
    }

    /// A request outside a dialog; `extra` are whole header lines.
    pub fn request(
        &self,
        method: &str,
        to: &str,
        tag: &str,
        cseq: u32,
        extra: &str,
        body: &str,
    ) -> String {
        let address = self.address();
        format!(
            "{method} sip:{to}@{} SIP/2.0\r\nVia: SIP/2.0/UDP {address};rport;branch=z9hG4bK{tag}{cseq}{method}\r\n\
             Max-Forwards: 70\r\nFrom: \"A B\" <sip:+421900000001@{address}>;tag={tag}\r\nTo: <sip:{to}@127.0.0.1>\r\n\
             Call-ID: call-{tag}\r\nCSeq: {cseq} {method}\r\nContact: <sip:peer@{address}>\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            self.server,
            body.len(),
        )
    }

    pub fn invite(&self, to: &str, tag: &str, extra: &str) -> String {
        self.request(
            "INVITE",
            to,
            tag,
            1,
            &format!("Content-Type: application/sdp\r\n{extra}"),
            SDP,
        )
    }

    /// A request inside the dialog that `response` made.
    pub fn inside(
        &self,
        method: &str,
        tag: &str,
        cseq: u32,
        response: &str,
        extra: &str,
        body: &str,
    ) -> String {
        let request = self.request(method, "4210", tag, cseq, extra, body);
        request.replace(
            "To: <sip:4210@127.0.0.1>",
            &format!("To: {}", header(response, "To")),
        )
    }
}

pub const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";

/// The first value of a header.
pub fn header(message: &str, name: &str) -> String {
    let prefix = format!("{name}: ");
    let line = message.lines().find(|line| line.starts_with(&prefix));
    line.unwrap_or_else(|| panic!("no {name} in {message}"))[prefix.len()..].to_owned()
}

/// A peer's response to a request that came to it.
pub fn respond(request: &str, status: &str, tag: &str, extra: &str, body: &str) -> String {
    let copied = |name: &str| format!("{name}: {}\r\n", header(request, name));
    format!(
        "SIP/2.0 {status}\r\n{}{}To: {};tag={tag}\r\n{}{}{extra}Content-Length: {}\r\n\r\n{body}",
        copied("Via"),
        copied("From"),
        header(request, "To"),
        copied("Call-ID"),
        copied("CSeq"),
        body.len(),
    )
}

/// An Authorization value that answers an MD5 challenge.
pub fn proof(
    challenge: &str,
    user: &str,
    password: &str,
    method: &str,
    uri: &str,
    count: u32,
) -> String {
    use md5::{Digest, Md5};
    let hash = |text: String| hex::encode(Md5::digest(text.as_bytes()));
    let nonce = challenge
        .split("nonce=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let ha1 = hash(format!("{user}:trunkline:{password}"));
    let ha2 = hash(format!("{method}:{uri}"));
    let response = hash(format!("{ha1}:{nonce}:{count:08x}:cn:auth:{ha2}"));
    format!(
        "Digest username=\"{user}\", realm=\"trunkline\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
         algorithm=MD5, qop=auth, nc={count:08x}, cnonce=\"cn\""
    )
}
