//! Messages after RFC 4475 and worse, each with the answer it must get.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ua::{Peer, Server, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A change made to a valid OPTIONS or INVITE, and the status expected.
type Case = (&'static str, &'static str, &'static str, u16);

const OPTIONS: &[Case] = &[
    ("valid", "", "", 200),
    (
        "long request",
        "Max-Forwards: 70",
        "Max-Forwards: 70\r\nSubject: LONG",
        200,
    ),
    (
        "folded header",
        "Max-Forwards: 70",
        "Subject: a\r\n b\r\nMax-Forwards: 70",
        200,
    ),
    ("compact names", "Call-ID:", "i:", 200),
    (
        "odd case and spaces",
        "CSeq: 1 OPTIONS",
        "cSEQ  :   0001   OPTIONS",
        200,
    ),
    (
        "unknown header",
        "Max-Forwards: 70",
        "X-Odd!: ;;,,@\r\nMax-Forwards: 70",
        200,
    ),
    ("UTF-8 display name", "\"A B\"", "\"Žofia \u{1F600}\"", 200),
    ("escaped quote in name", "\"A B\"", "\"A \\\" <B>\"", 200),
    ("no Max-Forwards", "Max-Forwards: 70\r\n", "", 200),
    ("no Content-Length", "Content-Length: 0\r\n", "", 200),
    (
        "octets after the body",
        "Content-Length: 0\r\n\r\n",
        "Content-Length: 0\r\n\r\nmore",
        200,
    ),
    (
        "unknown Via transport",
        "SIP/2.0/UDP",
        "SIP/2.0/SCTP-X",
        200,
    ),
    (
        "unknown From scheme",
        "<sip:+421900000001@",
        "<odd:+421900000001@",
        200,
    ),
    ("version 7.0", " SIP/2.0\r\nVia", " SIP/7.0\r\nVia", 505),
    ("version 2.1", " SIP/2.0\r\nVia", " SIP/2.1\r\nVia", 505),
    (
        "version in lower case",
        " SIP/2.0\r\nVia",
        " sip/2.0\r\nVia",
        400,
    ),
    (
        "two spaces in start line",
        "OPTIONS sip",
        "OPTIONS  sip",
        400,
    ),
    (
        "space after version",
        " SIP/2.0\r\nVia",
        " SIP/2.0 \r\nVia",
        400,
    ),
    ("space in Request-URI", "sip:4210@", "sip:42 10@", 400),
    (
        "brackets around Request-URI",
        "OPTIONS sip:4210@127.0.0.1",
        "OPTIONS <sip:4210@127.0.0.1>",
        400,
    ),
    (
        "no host in Request-URI",
        "OPTIONS sip:4210@127.0.0.1",
        "OPTIONS sip:4210@",
        400,
    ),
    (
        "port out of range",
        "OPTIONS sip:4210@127.0.0.1:",
        "OPTIONS sip:4210@127.0.0.1:9",
        400,
    ),
    ("broken escape", "sip:4210@", "sip:%zz@", 400),
    ("unknown scheme", "OPTIONS sip:", "OPTIONS nobody:", 416),
    ("unknown scheme http", "OPTIONS sip:", "OPTIONS http:", 416),
    ("unknown method", "OPTIONS", "NEWMETHOD", 405),
    ("method in lower case", "OPTIONS", "options", 405),
    ("method we do not serve", "OPTIONS", "PUBLISH", 405),
    ("method with odd octets", "OPTIONS sip", "OPT{IONS sip", 400),
    ("no From", "From:", "X-From:", 400),
    ("no To", "To:", "X-To:", 400),
    ("no Call-ID", "Call-ID:", "X-Call-ID:", 400),
    ("no CSeq", "CSeq:", "X-CSeq:", 400),
    ("no Via", "Via:", "X-Via:", 400),
    (
        "two From",
        "Call-ID:",
        "From: <sip:x@y>;tag=2\r\nCall-ID:",
        400,
    ),
    ("two CSeq", "Call-ID:", "CSeq: 2 OPTIONS\r\nCall-ID:", 400),
    ("two Call-ID", "Call-ID:", "i: other\r\nCall-ID:", 400),
    (
        "two Content-Length",
        "Content-Length: 0",
        "Content-Length: 0\r\nl: 0",
        400,
    ),
    (
        "CSeq of another method",
        "CSeq: 1 OPTIONS",
        "CSeq: 1 INVITE",
        400,
    ),
    (
        "CSeq too large",
        "CSeq: 1 ",
        "CSeq: 36893488147419103232 ",
        400,
    ),
    ("CSeq of 2^31", "CSeq: 1 ", "CSeq: 2147483648 ", 400),
    ("CSeq negative", "CSeq: 1 ", "CSeq: -1 ", 400),
    (
        "Content-Length negative",
        "Content-Length: 0",
        "Content-Length: -9",
        400,
    ),
    (
        "Content-Length no number",
        "Content-Length: 0",
        "Content-Length: zero",
        400,
    ),
    (
        "body shorter than said",
        "Content-Length: 0",
        "Content-Length: 900",
        400,
    ),
    (
        "header without a colon",
        "Max-Forwards: 70",
        "Max-Forwards 70",
        400,
    ),
    (
        "header name no token",
        "Max-Forwards: 70",
        "Max Forwards: 70",
        400,
    ),
    ("NUL in a header", "Max-Forwards: 70", "Subject: a\0b", 400),
    ("unclosed quote", "\"A B\"", "\"A B", 400),
    (
        "unclosed bracket",
        "To: <sip:4210@127.0.0.1>",
        "To: <sip:4210@127.0.0.1",
        400,
    ),
    ("broken Via", "Via: SIP/2.0/UDP ", "Via: SIP 2.0 UDP ", 400),
    (
        "empty Via",
        "Max-Forwards: 70",
        "Via: ,\r\nMax-Forwards: 70",
        400,
    ),
    (
        "Max-Forwards no number",
        "Max-Forwards: 70",
        "Max-Forwards: many",
        400,
    ),
    ("Max-Forwards 0", "Max-Forwards: 70", "Max-Forwards: 0", 483),
    (
        "unknown Require",
        "Max-Forwards: 70",
        "Require: nothingSupported, timer\r\nMax-Forwards: 70",
        420,
    ),
    (
        "To tag of no dialog",
        "To: <sip:4210@127.0.0.1>",
        "To: <sip:4210@127.0.0.1>;tag=x",
        481,
    ),
    (
        "no end of headers",
        "Content-Length: 0\r\n\r\n",
        "Content-Length: 0\r\n",
        400,
    ),
];

const INVITE: &[Case] = &[
    ("no Contact", "Contact:", "X-Contact:", 400),
    (
        "Contact no URI",
        "Contact: <sip:peer@",
        "Contact: <peer",
        400,
    ),
    ("unknown body", "application/sdp", "text/odd", 415),
    ("body without a type", "Content-Type:", "X-Type:", 400),
    (
        "encoded body",
        "Content-Type:",
        "Content-Encoding: gzip\r\nContent-Type:",
        415,
    ),
    ("no audio", "m=audio", "m=vodeo", 488),
    ("SDP of another version", "v=0", "v=9", 400),
];

#[tokio::test]
async fn every_malformed_request_gets_its_answer() {
    let server = Server::start().await;
    for (at, (name, from, to, status)) in OPTIONS.iter().chain(INVITE).enumerate() {
        // One source each, so that no late repetition is taken for an answer.
        let peer = Peer::new(server.udp()).await;
        let tag = format!("m{at}");
        let valid = match at < OPTIONS.len() {
            true => peer.request("OPTIONS", "4210", &tag, 1, "", ""),
            false => peer.invite("4210", &tag, ""),
        };
        let changed = valid.replace(from, &to.replace("LONG", &"x".repeat(20_000)));
        assert!(
            from.is_empty() || changed != valid,
            "{name} changed nothing"
        );
        peer.send(&changed).await;
        let answer = peer.receive().await;
        assert!(
            answer.starts_with(&format!("SIP/2.0 {status} ")),
            "{name}: {answer}"
        );
        for copied in ["Call-ID", "From", "Via"] {
            assert!(
                !changed.contains(&format!("\r\n{copied}: "))
                    || answer.contains(&format!("\r\n{copied}: ")),
                "{name}: {answer}"
            );
        }
        match status {
            405 => assert!(header(&answer, "Allow").contains("INVITE")),
            415 => {
                assert_eq!(header(&answer, "Accept"), "application/sdp");
                assert_eq!(header(&answer, "Accept-Encoding"), "identity");
                assert_eq!(header(&answer, "Accept-Language"), "en");
            }
            420 => {
                assert_eq!(header(&answer, "Unsupported"), "nothingsupported");
                assert!(header(&answer, "Supported").contains("replaces"));
            }
            488 => assert_eq!(
                header(&answer, "Warning"),
                "304 trunkline \"no usable audio stream\""
            ),
            _ => {}
        }
    }
}

#[tokio::test]
async fn octets_that_are_no_text_are_answered_too() {
    let server = Server::start().await;
    let peer = Peer::new(server.udp()).await;
    let mut raw = peer.request("OPTIONS", "4210", "u", 1, "", "").into_bytes();
    let at = raw.windows(3).position(|w| w == b"A B").unwrap();
    raw[at] = 0xff;
    peer.socket.send_to(&raw, server.udp()).await.unwrap();
    let answer = peer.receive().await;
    assert!(answer.starts_with("SIP/2.0 400"), "{answer}");
    assert_eq!(header(&answer, "CSeq"), "1 OPTIONS");
}

#[tokio::test]
async fn noise_and_stray_messages_are_counted_only() {
    let server = Server::start().await;
    let peer = Peer::new(server.udp()).await;
    for noise in [
        "\r\n\r\n",
        "hello",
        "\0\u{1}\u{2}",
        "GET / HTTP/1.1\r\n\r\n",
    ] {
        peer.send(noise).await;
    }
    let stray = peer.request("OPTIONS", "x", "s", 1, "", "");
    peer.send(&crate::ua::respond(&stray, "200 OK", "t", "", ""))
        .await;
    // An ACK is never answered, however bad.
    peer.send(
        &peer
            .request("ACK", "x", "k", 1, "", "")
            .replace("Max-Forwards: 70", "Max-Forwards: x"),
    )
    .await;
    peer.send(&peer.request("ACK", "x", "k", 2, "", "")).await;
    peer.send(&stray).await;
    assert!(header(&peer.receive().await, "CSeq").ends_with("OPTIONS"));
    let counters = server.stack.counters();
    assert_eq!(
        (counters.noise, counters.stray_responses, counters.malformed),
        (3, 1, 1)
    );
}

#[tokio::test]
async fn a_stream_is_cut_into_messages_wherever_it_breaks() {
    let server = Server::start().await;
    let peer = Peer::new(server.udp()).await;
    let mut stream = TcpStream::connect(server.stack.address(sip::Transport::Tcp).unwrap())
        .await
        .unwrap();
    let one = |tag: &str| {
        peer.request("OPTIONS", "4210", tag, 1, "", "")
            .replace("/UDP", "/TCP")
    };
    let both = one("t1") + "\r\n\r\n" + &one("t2");
    for piece in both.as_bytes().chunks(7) {
        stream.write_all(piece).await.unwrap();
    }
    let mut got = String::new();
    let mut buffer = [0; 4096];
    while got.matches("SIP/2.0 200").count() < 2 {
        let read = tokio::time::timeout(crate::ua::DEADLINE, stream.read(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert_ne!(read, 0, "closed after {got}");
        got += &String::from_utf8_lossy(&buffer[..read]);
    }
    let broken = one("t3").replace("Content-Length: 0", "Content-Length: x");
    stream.write_all(broken.as_bytes()).await.unwrap();
    let mut rest = String::new();
    let read = tokio::time::timeout(crate::ua::DEADLINE, stream.read(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    rest += &String::from_utf8_lossy(&buffer[..read]);
    assert!(rest.contains("SIP/2.0 400"), "{rest}");
}

/// A small generator with a fixed seed (xorshift).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn mutate(&mut self, message: &str) -> Vec<u8> {
        let mut bytes = message.as_bytes().to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let length = self.below(12).min(bytes.len() - at);
            match self.below(5) {
                0 => bytes[at] = u8::try_from(self.below(256)).unwrap(),
                1 => drop(bytes.drain(at..at + length)),
                2 => bytes.insert(at, b"\r\n\0;,<>\"@:%"[self.below(11)]),
                3 => bytes
                    .splice(at..at, message.as_bytes()[..length].to_vec())
                    .for_each(drop),
                _ => bytes.truncate(at.max(20)),
            }
        }
        bytes
    }
}

/// Whether a message still says enough to be answered to its sender: a request
/// line of ours, the Via as it was sent, and no ACK.
fn must_be_answered(message: &[u8], valid: &str) -> bool {
    let text = String::from_utf8_lossy(message);
    let (mut lines, mut valid) = (text.split("\r\n"), valid.split("\r\n"));
    lines.next() == valid.next()
        && lines.next() == valid.next()
        && text.matches("Via:").count() == 1
        && !text.contains("\nv:")
}

fn resident_pages() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Panics anywhere in this process since the first call; a task's panic would
/// otherwise pass unseen.
fn panics() -> usize {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            SEEN.fetch_add(1, Ordering::SeqCst);
            before(info);
        }));
    });
    SEEN.load(Ordering::SeqCst)
}

fn valid_message(peer: &Peer, round: usize) -> String {
    let tag = format!("z{round}");
    match round % 4 {
        0 => peer.request("OPTIONS", "4210", &tag, 1, "", ""),
        1 => {
            let extra = "Authorization: Digest username=\"1\", nonce=\"aa\"\r\n";
            peer.request("REGISTER", "1001", &tag, 1, extra, "")
        }
        2 => peer.request("BYE", "4210", &tag, 1, "Reason: Q.850;cause=16\r\n", ""),
        _ => peer.invite("4210", &tag, ""),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_mutations_are_answered_and_cost_nothing() {
    let before = panics();
    let small = |c: &mut sip::SipConfig| {
        c.limits.transactions = 1_000;
        c.limits.t1 = std::time::Duration::from_millis(20);
    };
    let mut server = Server::with(small, Default::default()).await;
    let tcp = server.stack.address(sip::Transport::Tcp).unwrap();
    let peer = Peer::new(server.udp()).await;
    let owner = tokio::spawn(async move {
        // Calls that get through are refused by their owner's absence.
        while let Some(event) = server.events.recv().await {
            drop(event);
        }
    });
    let mut seeded = Seeded(0x5eed_1234_abcd_0001);
    let (mut expected, mut settled) = (0, 0);
    for round in 0..50_000 {
        let valid = valid_message(&peer, round);
        let mutated = seeded.mutate(&valid);
        peer.socket.send_to(&mutated, peer.server).await.unwrap();
        if must_be_answered(&mutated, &valid) {
            expected += 1;
            let branch = format!("branch=z9hG4bKz{round}1");
            let answer = async { while !peer.receive().await.contains(&branch) {} };
            let answer = tokio::time::timeout(crate::ua::DEADLINE, answer).await;
            let said = String::from_utf8_lossy(&mutated);
            answer.unwrap_or_else(|_| panic!("no answer to {said}"));
        }
        if round % 100 == 0 {
            let mut stream = TcpStream::connect(tcp).await.unwrap();
            for _ in 0..100 {
                // The peer closes on what cannot be framed; that is an answer, too.
                if stream.write_all(&seeded.mutate(&valid)).await.is_err() {
                    stream = TcpStream::connect(tcp).await.unwrap();
                }
            }
        }
        if round == 25_000 {
            settled = resident_pages();
        }
    }
    assert!(expected > 15_000, "{expected}");
    let grown = resident_pages().saturating_sub(settled) * 4;
    assert!(grown < 24 * 1024, "{grown} kB more");
    let last = Peer::new(peer.server).await;
    last.send(&last.request("OPTIONS", "4210", "last", 1, "", ""))
        .await;
    last.until("SIP/2.0 200").await;
    assert!(!owner.is_finished());
    owner.abort();
    assert_eq!(panics(), before);
}
