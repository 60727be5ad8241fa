//! The fuzz targets, run for a moment with seeded mutations of good messages: what
//! libFuzzer does for as long as one likes (`fuzz/`), in every test run.

use std::fmt::Write as _;

use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};
use sip::fuzzing;

const MUTATIONS: usize = 4_000;

const MESSAGES: &[&str] = &[
    "INVITE sip:+421900111222@10.0.0.1;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;rport;branch=z9hG4bKa, SIP/2.0/TCP [2001:db8::1]\r\n\
     Max-Forwards: 70\r\nFrom: \"A \\\"B\\\" <C>\" <sip:a%20b@10.0.0.2>;tag=a\r\nTo: <tel:+421900111222>\r\nCall-ID: a@b\r\nCSeq: 1 INVITE\r\n\
     Contact: <sip:a:SECRET@10.0.0.2;transport=tcp>;+sip.instance=\"<urn:uuid:1>\"\r\nRoute: <sip:p;lr>\r\nSupported: timer, 100rel\r\n\
     Session-Expires: 1800;refresher=uac\r\nContent-Type: application/sdp\r\nContent-Length: 40\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.0.0.2\r\nm=audio 4 R",
    "REGISTER sip:h SIP/2.0\r\nv: SIP/2.0/TLS h;branch=z9hG4bKb\r\nf: <sip:1001@h>;tag=b\r\nt: <sip:1001@h>\r\ni: c\r\nCSeq: 2 REGISTER\r\nm: *\r\n\
     Expires: 0\r\nAuthorization: Digest username=\"1001\",\r\n realm=\"trunkline\", nonce=\"00\", uri=\"sip:h\", response=\"aa\", nc=00000001, cnonce=\"x\", qop=auth\r\nl: 0\r\n\r\n",
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKa;received=1.2.3.4\r\nFrom: <sip:a@b>;tag=a\r\nTo: <sip:c@d>;tag=d\r\nCall-ID: a\r\n\
     CSeq: 1 INVITE\r\nContact: sip:c@d\r\nReason: Q.850;cause=16;text=\"x\"\r\nContent-Length: 0\r\n\r\n",
    "INFO sip:h SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bKc\r\nFrom: <sip:a@b>;tag=a\r\nTo: <sip:c@d>;tag=d\r\nCall-ID: a\r\nCSeq: 9 INFO\r\n\
     Content-Type: application/dtmf-relay\r\nContent-Length: 22\r\n\r\nSignal=5\r\nDuration=160\r\n",
];

const SESSIONS: &[&str] = &[
    "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0 8 101 9 96\r\na=rtpmap:101 telephone-event/8000\r\n\
     a=rtpmap:96 opus/48000/2\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET\r\na=ptime:20\r\na=sendonly\r\na=rtcp:4001 IN IP4 10.0.0.3\r\n\
     m=video 0 RTP/AVP 31\r\nb=AS:1\r\n",
    "v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\na=inactive\r\nm=audio 4000/2 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\nm=audio 5000 RTP/AVP 0\r\n",
];

const PARTS: &[&str] = &[
    "\"A \\\"b\\\"\" <sip:user;x=y:pw@host:5060;lr?a=b>;tag=1;y=\"a;b\"",
    "SIP/2.0/UDP [::1]:5060;branch=z9hG4bKx;rport;received=\"1.2.3.4\"",
    "sips:%41%zz@h.example:65536",
    "tel:+421-900;phone-context=x",
];

const CREDENTIALS: &[&str] = &[
    "Digest username=\"1001\", realm=\"trunkline\", nonce=\"00\", uri=\"sip:h\", response=\"aa\", nc=0000000a, cnonce=\"x\", qop=auth, algorithm=SHA-256",
];

/// What breaks parsers rather than random octets do.
const PIECES: &[&str] = &[
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\0",
    "\u{7f}",
    "é",
    "\"",
    "<",
    ">",
    ";",
    ",",
    "=",
    ":",
    "@",
    "%",
    "%0",
    "\\",
    " ",
    "\t",
    "[",
    "]",
    "Content-Length: 9999\r\n",
    "l: -1\r\n",
    "99999999999999999999",
    "SIP/2.0",
    "ACK ",
    "a=",
    "m=audio 1 RTP/AVP 0\r\n",
    "\r\n ",
    "inline:",
    "*",
];

fn mutated(seed: &[u8], rng: &mut SmallRng) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=data.len());
        let to = rng.random_range(at..=data.len().min(at + 40));
        match rng.random_range(0..6) {
            0 => drop(data.drain(at..to)),
            1 => {
                let again = data[at..to].to_vec();
                data.splice(at..at, again);
            }
            2 if at < data.len() => data[at] = rng.random(),
            3 if at < data.len() => data[at] ^= 1 << rng.random_range(0..8),
            4 => data.truncate(at),
            _ => {
                let piece = PIECES[rng.random_range(0..PIECES.len())];
                data.splice(at..to, piece.bytes());
            }
        }
    }
    data
}

/// Runs a target, and says which input broke it.
fn fuzz(seeds: &[&str], target: fn(&[u8])) {
    let mut rng = SmallRng::seed_from_u64(0x5060);
    for round in 0..MUTATIONS {
        let seed = seeds[round % seeds.len()].as_bytes();
        let data = mutated(seed, &mut rng);
        if let Err(why) = std::panic::catch_unwind(|| target(&data)) {
            let mut shown = String::new();
            let _ = write!(shown, "{:?}", String::from_utf8_lossy(&data));
            let why = why
                .downcast_ref::<String>()
                .map_or("a panic", String::as_str);
            panic!("round {round} with {shown}: {why}");
        }
    }
    for _ in 0..MUTATIONS / 4 {
        let mut noise = vec![0; rng.random_range(0..400)];
        rng.fill_bytes(&mut noise);
        target(&noise);
    }
}

#[test]
fn messages_hold() {
    fuzz(MESSAGES, fuzzing::message);
}

#[test]
fn streams_hold() {
    let pipelined = MESSAGES.concat();
    fuzz(&[&pipelined, MESSAGES[1]], fuzzing::stream);
}

#[test]
fn grammar_holds() {
    fuzz(PARTS, fuzzing::grammar);
}

#[test]
fn digests_hold() {
    fuzz(CREDENTIALS, fuzzing::digest);
}

#[test]
fn sessions_hold() {
    fuzz(SESSIONS, fuzzing::session);
}

#[test]
fn traces_hold() {
    let mut seeds = MESSAGES.to_vec();
    seeds.extend(SESSIONS);
    fuzz(&seeds, fuzzing::trace);
}
