//! A SIP user agent of our own, so that the product is judged by something that shares no code with it.
//!
//! It speaks over UDP, or over WebSockets as browsers do, repeats what is not answered (RFC 3261 §17), and
//! tells its user what came. It knows only what a phone and a carrier in front of this server need.

mod digest;
mod message;
mod sdp;
mod websocket;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::UdpSocket};
use nix::sys::socket::{setsockopt, sockopt};

pub use digest::authorization;
pub use message::{Message, Start};
pub use sdp::{Remote, describe};
use websocket::WebSocket;

/// RFC 3261 §17.1.1.1.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// 64 times T1: after that nobody will answer.
const PATIENCE: Duration = Duration::from_secs(32);
const LARGEST: usize = 65_535;

/// What came in.
#[derive(Debug)]
pub enum Heard {
    /// An answer to a request of ours, known by its branch.
    Response {
        branch: String,
        message: Message,
        at: Instant,
    },
    Request {
        socket: usize,
        from: SocketAddr,
        message: Message,
        at: Instant,
    },
    /// A request of ours that was never answered.
    Silence { branch: String },
}

/// What a request is answered with.
pub struct Reply<'a> {
    pub status: &'a str,
    /// Ours, for the To header.
    pub tag: &'a str,
    pub headers: &'a str,
    pub body: &'a str,
}

impl<'a> Reply<'a> {
    /// Nothing but the status.
    pub fn plain(status: &'a str, tag: &'a str) -> Self {
        Self {
            status,
            tag,
            headers: "",
            body: "",
        }
    }
}

/// What messages travel by.
enum Wire {
    Udp(UdpSocket, SocketAddr),
    WebSocket(Box<WebSocket>),
}

pub struct Ua {
    poll: Poll,
    events: Events,
    sockets: Vec<Wire>,
    server: SocketAddr,
    waiting: HashMap<String, Waiting>,
    timers: BinaryHeap<Reverse<(Instant, String)>>,
    /// Answers given lately, for requests that come again.
    given: HashMap<String, (Instant, usize, SocketAddr, String)>,
    /// Confirmations given, for answers that come again.
    acks: HashMap<String, (usize, String)>,
    swept: Instant,
    counter: u64,
    pub retransmitted: u64,
}

/// Something that is sent again until it is answered.
struct Waiting {
    socket: usize,
    to: SocketAddr,
    text: String,
    interval: Duration,
    until: Instant,
    quiet: bool,
    is_invite: bool,
}

impl Ua {
    /// Opens a socket at each address.
    pub fn open(server: SocketAddr, addresses: &[IpAddr]) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let mut sockets = Vec::new();
        for (at, address) in addresses.iter().enumerate() {
            let mut socket = UdpSocket::bind(SocketAddr::new(*address, 0))?;
            // What is lost in here must not count against the server; a refusal leaves the usual size.
            let _ = setsockopt(&socket, sockopt::RcvBuf, &(2 << 20));
            poll.registry()
                .register(&mut socket, Token(at), Interest::READABLE)?;
            let local = socket.local_addr()?;
            sockets.push(Wire::Udp(socket, local));
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(256),
            sockets,
            server,
            waiting: HashMap::new(),
            timers: BinaryHeap::new(),
            given: HashMap::new(),
            acks: HashMap::new(),
            swept: Instant::now(),
            counter: 0,
            retransmitted: 0,
        })
    }

    /// Connects one more socket, as a browser would; its number.
    pub fn connect(&mut self, server: SocketAddr) -> anyhow::Result<usize> {
        let number = self.sockets.len();
        let socket = WebSocket::connect(server, self.poll.registry(), Token(number))?;
        self.sockets.push(Wire::WebSocket(Box::new(socket)));
        Ok(number)
    }

    pub fn local(&self, socket: usize) -> SocketAddr {
        match &self.sockets[socket] {
            Wire::Udp(_, local) => *local,
            Wire::WebSocket(socket) => socket.local(),
        }
    }

    /// Where a user is reached by this socket; for a browser only by its connection (RFC 7118 §5).
    pub fn contact(&self, socket: usize, user: &str) -> String {
        match &self.sockets[socket] {
            Wire::Udp(_, local) => format!("sip:{user}@{local}"),
            Wire::WebSocket(_) => format!("sip:{user}@browser-{socket}.invalid;transport=ws"),
        }
    }

    pub fn is_browser(&self, socket: usize) -> bool {
        matches!(self.sockets[socket], Wire::WebSocket(_))
    }

    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// A word that this run has not used before.
    pub fn fresh(&mut self, kind: &str) -> String {
        self.counter += 1;
        format!("{kind}-{}-{}", std::process::id(), self.counter)
    }

    /// Sends a request until it is answered; the branch by which the answer is known.
    pub fn request(
        &mut self,
        socket: usize,
        method: &str,
        uri: &str,
        headers: &str,
        body: &str,
    ) -> String {
        let branch = self.fresh("z9hG4bK");
        let text = self.text(socket, method, uri, headers, body, &branch);
        self.put(socket, self.server, &text);
        let now = Instant::now();
        let waiting = Waiting {
            socket,
            to: self.server,
            text,
            interval: T1,
            until: now + PATIENCE,
            quiet: self.is_browser(socket),
            is_invite: method == "INVITE",
        };
        self.waiting.insert(branch.clone(), waiting);
        self.timers.push(Reverse((now + T1, branch.clone())));
        branch
    }

    fn text(
        &self,
        socket: usize,
        method: &str,
        uri: &str,
        headers: &str,
        body: &str,
        branch: &str,
    ) -> String {
        let by = match &self.sockets[socket] {
            Wire::Udp(_, local) => format!("UDP {local}"),
            Wire::WebSocket(_) => format!("WS browser-{socket}.invalid"),
        };
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{by};branch={branch};rport\r\nMax-Forwards: 70\r\nUser-Agent: trunkline-bench\r\n{headers}{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Confirms an answer to an INVITE, and again whenever the answer comes again.
    pub fn ack(&mut self, socket: usize, uri: &str, headers: &str, call_id: &str) {
        let branch = self.fresh("z9hG4bK");
        let text = self.text(socket, "ACK", uri, headers, "", &branch);
        self.put(socket, self.server, &text);
        self.acks.insert(call_id.to_owned(), (socket, text));
    }

    /// Takes back an INVITE that is not answered yet (RFC 3261 §9.1).
    pub fn cancel(&mut self, branch: &str) {
        let Some(invite) = self.waiting.get_mut(branch) else {
            return;
        };
        invite.until = Instant::now() + PATIENCE;
        let socket = invite.socket;
        let Some(parsed) = Message::parse(invite.text.as_bytes()) else {
            return;
        };
        let Start::Request { uri, .. } = &parsed.start else {
            return;
        };
        let keep = |name: &str| {
            parsed
                .get(name)
                .map(|value| format!("{name}: {value}\r\n"))
                .unwrap_or_default()
        };
        let sequence = parsed
            .get("CSeq")
            .and_then(|value| value.split(' ').next())
            .unwrap_or("1");
        let headers = format!(
            "{}{}{}CSeq: {sequence} CANCEL\r\n",
            keep("From"),
            keep("To"),
            keep("Call-ID")
        );
        let text = self.text(socket, "CANCEL", uri, &headers, "", branch);
        self.put(socket, self.server, &text);
    }

    /// Answers a request. A final answer to an INVITE is repeated until it is confirmed.
    pub fn answer(&mut self, socket: usize, to: SocketAddr, request: &Message, reply: Reply<'_>) {
        let Reply {
            status,
            tag,
            headers,
            body,
        } = reply;
        let mut text = format!("SIP/2.0 {status}\r\n");
        for (name, value) in &request.headers {
            let copied = ["Via", "From", "Call-ID", "CSeq", "Record-Route"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name));
            if copied {
                text.push_str(&format!("{name}: {value}\r\n"));
            } else if name.eq_ignore_ascii_case("To") {
                let tag = if value.contains(";tag=") {
                    String::new()
                } else {
                    format!(";tag={tag}")
                };
                text.push_str(&format!("To: {value}{tag}\r\n"));
            }
        }
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        text.push_str(&format!(
            "{headers}{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        self.put(socket, to, &text);
        let now = Instant::now();
        let is_final = !status.starts_with('1');
        if request.method() == Some("INVITE") && is_final {
            let key = unconfirmed(request.get("Call-ID").unwrap_or_default());
            let waiting = Waiting {
                socket,
                to,
                text: text.clone(),
                interval: T1,
                until: now + PATIENCE,
                quiet: self.is_browser(socket),
                is_invite: false,
            };
            self.waiting.insert(key.clone(), waiting);
            self.timers.push(Reverse((now + T1, key)));
        }
        self.given.insert(seen(request), (now, socket, to, text));
    }

    fn put(&self, socket: usize, to: SocketAddr, text: &str) {
        // What the kernel refuses is sent again by its timer, like what is lost.
        match &self.sockets[socket] {
            Wire::Udp(socket, _) => drop(socket.send_to(text.as_bytes(), to)),
            Wire::WebSocket(socket) => socket.send(text),
        }
    }

    /// What comes until a moment; earlier if something came.
    pub fn wait(&mut self, until: Instant) -> anyhow::Result<Vec<Heard>> {
        let mut heard = Vec::new();
        let next = self
            .timers
            .peek()
            .map_or(until, |Reverse((at, _))| (*at).min(until));
        let rest = next.saturating_duration_since(Instant::now());
        match self.poll.poll(&mut self.events, Some(rest)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                return Err(error.into());
            }
            _ => {}
        }
        let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        let mut buffer = vec![0; LARGEST];
        for socket in ready {
            loop {
                let (length, from) = match &self.sockets[socket] {
                    Wire::Udp(socket, _) => match socket.recv_from(&mut buffer) {
                        Ok(came) => came,
                        Err(_) => break,
                    },
                    Wire::WebSocket(socket) => match socket.receive(&mut buffer) {
                        Some(length) => (length, socket.server()),
                        None => break,
                    },
                };
                let at = Instant::now();
                if let Some(message) = Message::parse(&buffer[..length]) {
                    heard.extend(self.take(socket, from, message, at));
                }
            }
        }
        self.repeat(&mut heard);
        Ok(heard)
    }

    fn take(
        &mut self,
        socket: usize,
        from: SocketAddr,
        message: Message,
        at: Instant,
    ) -> Option<Heard> {
        match &message.start {
            Start::Response { status } => self.take_response(*status, message, at),
            Start::Request { method, .. } if method == "ACK" => {
                self.waiting.remove(&unconfirmed(message.get("Call-ID")?));
                Some(Heard::Request {
                    socket,
                    from,
                    message,
                    at,
                })
            }
            Start::Request { .. } => {
                if let Some((_, socket, to, text)) = self.given.get(&seen(&message)) {
                    self.put(*socket, *to, text);
                    return None;
                }
                Some(Heard::Request {
                    socket,
                    from,
                    message,
                    at,
                })
            }
        }
    }

    fn take_response(&mut self, status: u16, message: Message, at: Instant) -> Option<Heard> {
        let branch = message
            .get("Via")?
            .split(";branch=")
            .nth(1)?
            .split([';', ','])
            .next()?
            .to_owned();
        let of_invite = message
            .get("CSeq")
            .is_some_and(|value| value.ends_with("INVITE"));
        let Some(waiting) = self.waiting.get_mut(&branch) else {
            if let (true, Some((socket, text))) =
                (of_invite, self.acks.get(message.get("Call-ID")?))
            {
                self.put(*socket, self.server, text);
            }
            return None;
        };
        // A CANCEL shares its INVITE's branch; its own answer says nothing about the call.
        if waiting.is_invite && !of_invite {
            return None;
        }
        if status < 200 {
            if waiting.is_invite {
                waiting.quiet = true;
            }
            return Some(Heard::Response {
                branch,
                message,
                at,
            });
        }
        let waiting = self.waiting.remove(&branch)?;
        if waiting.is_invite && status >= 300 {
            self.ack_refusal(&waiting, &message, &branch);
        }
        Some(Heard::Response {
            branch,
            message,
            at,
        })
    }

    /// RFC 3261 §17.1.1.3: to a refusal, within the transaction.
    fn ack_refusal(&mut self, invite: &Waiting, refusal: &Message, branch: &str) {
        let Some(sent) = Message::parse(invite.text.as_bytes()) else {
            return;
        };
        let Start::Request { uri, .. } = &sent.start else {
            return;
        };
        let of = |message: &Message, name: &str| {
            message
                .get(name)
                .map(|value| format!("{name}: {value}\r\n"))
                .unwrap_or_default()
        };
        let sequence = sent
            .get("CSeq")
            .and_then(|value| value.split(' ').next())
            .unwrap_or("1");
        let headers = format!(
            "{}{}{}CSeq: {sequence} ACK\r\n",
            of(&sent, "From"),
            of(refusal, "To"),
            of(&sent, "Call-ID")
        );
        let text = self.text(invite.socket, "ACK", uri, &headers, "", branch);
        self.put(invite.socket, self.server, &text);
        if let Some(call_id) = sent.get("Call-ID") {
            self.acks.insert(call_id.to_owned(), (invite.socket, text));
        }
    }

    fn repeat(&mut self, heard: &mut Vec<Heard>) {
        let now = Instant::now();
        while self
            .timers
            .peek()
            .is_some_and(|Reverse((at, _))| *at <= now)
        {
            let Some(Reverse((_, key))) = self.timers.pop() else {
                break;
            };
            let Some(waiting) = self.waiting.get_mut(&key) else {
                continue;
            };
            if waiting.until <= now {
                self.waiting.remove(&key);
                heard.push(Heard::Silence { branch: key });
                continue;
            }
            if waiting.quiet {
                self.timers.push(Reverse((waiting.until, key)));
                continue;
            }
            let (socket, to, text) = (waiting.socket, waiting.to, waiting.text.clone());
            waiting.interval = if waiting.is_invite {
                waiting.interval * 2
            } else {
                (waiting.interval * 2).min(T2)
            };
            let next = now + waiting.interval;
            self.timers.push(Reverse((next, key)));
            self.put(socket, to, &text);
            self.retransmitted += 1;
        }
        if now.duration_since(self.swept) > PATIENCE {
            self.swept = now;
            self.given
                .retain(|_, (at, ..)| now.duration_since(*at) < PATIENCE);
        }
    }

    /// An established call is over: its confirmation is not needed again.
    pub fn forget(&mut self, call_id: &str) {
        self.acks.remove(call_id);
        self.waiting.remove(&unconfirmed(call_id));
    }
}

fn unconfirmed(call_id: &str) -> String {
    format!("unconfirmed {call_id}")
}

fn seen(request: &Message) -> String {
    format!(
        "{} {}",
        request.get("Via").unwrap_or_default(),
        request.get("CSeq").unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;

    fn pair() -> (Ua, UdpSocket) {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        server
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        (
            Ua::open(server.local_addr().unwrap(), &[Ipv4Addr::LOCALHOST.into()]).unwrap(),
            server,
        )
    }

    fn read(server: &UdpSocket) -> Message {
        let mut buffer = [0; 4_096];
        let length = server.recv(&mut buffer).unwrap();
        Message::parse(&buffer[..length]).unwrap()
    }

    fn next(ua: &mut Ua) -> Heard {
        loop {
            let mut heard = ua.wait(Instant::now() + Duration::from_secs(5)).unwrap();
            if let Some(first) = heard.pop() {
                return first;
            }
        }
    }

    const HEADERS: &str =
        "From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n";

    #[test]
    fn a_refusal_is_confirmed_within_its_transaction() {
        let (mut ua, server) = pair();
        let branch = ua.request(0, "INVITE", "sip:b@x", HEADERS, "");
        let invite = read(&server);
        let (via, to) = (invite.get("Via").unwrap(), ua.local(0));
        let refusal = format!(
            "SIP/2.0 486 Busy\r\nVia: {via}\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=9\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n\r\n"
        );
        server.send_to(refusal.as_bytes(), to).unwrap();
        let Heard::Response {
            branch: told,
            message,
            ..
        } = next(&mut ua)
        else {
            panic!("no answer")
        };
        assert_eq!((told, message.status()), (branch, Some(486)));
        let ack = read(&server);
        assert_eq!(
            (ack.method(), ack.get("Via"), ack.get("To")),
            (Some("ACK"), Some(via), Some("<sip:b@x>;tag=9"))
        );
    }

    #[test]
    fn a_request_that_is_not_answered_is_sent_again() {
        let (mut ua, server) = pair();
        ua.request(0, "INVITE", "sip:b@x", HEADERS, "");
        let first = read(&server);
        while ua.retransmitted == 0 {
            ua.wait(Instant::now() + Duration::from_secs(1)).unwrap();
        }
        assert_eq!(read(&server).get("Via"), first.get("Via"));
    }

    #[test]
    fn a_request_that_comes_again_gets_the_same_answer() {
        let (mut ua, server) = pair();
        let request = b"BYE sip:a@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKq\r\nFrom: <sip:b@x>;tag=2\r\nTo: <sip:a@x>;tag=1\r\nCall-ID: c1\r\nCSeq: 7 BYE\r\n\r\n";
        server.send_to(request, ua.local(0)).unwrap();
        let Heard::Request {
            socket,
            from,
            message,
            ..
        } = next(&mut ua)
        else {
            panic!("no request")
        };
        ua.answer(socket, from, &message, Reply::plain("200 OK", "1"));
        assert_eq!(read(&server).status(), Some(200));
        server.send_to(request, ua.local(0)).unwrap();
        assert!(
            ua.wait(Instant::now() + Duration::from_secs(5))
                .unwrap()
                .is_empty()
        );
        assert_eq!(read(&server).get("To"), Some("<sip:a@x>;tag=1"));
    }
}
