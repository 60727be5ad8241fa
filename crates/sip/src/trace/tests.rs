use super::*;

const CALL: &str = "INVITE sip:+421900111222@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKa\r\n\
    From: <sip:00421900333444@10.0.0.2>;tag=a\r\nTo: <sip:+421900111222@10.0.0.1>\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\n\
    Content-Type: application/sdp\r\nContent-Length: 0\r\n\r\n";

fn seen(octets: &str, second: i64) -> Message {
    Message {
        at: Timestamp::from_second(1_700_000_000 + second).expect("in range"),
        sent: false,
        transport: Transport::Udp,
        local: "10.0.0.1:5060".parse().expect("address"),
        remote: "10.0.0.2:5060".parse().expect("address"),
        octets: redact(octets.as_bytes()).into(),
    }
}

fn redacted(text: &str) -> String {
    let out = redact(text.as_bytes());
    assert_eq!(out.len(), text.len(), "Content-Length must stay true");
    String::from_utf8(out).expect("text")
}

#[test]
fn proofs_and_nonces_are_masked_and_names_stay() {
    let text = redacted(
        "REGISTER sip:h SIP/2.0\r\nAuthorization: Digest username=\"1001\", realm=\"r\", nonce=\"NNNN\",\r\n uri=\"sip:h;x=1\", \
         response=\"RRRR\", cnonce=CCCC ,opaque=\"OOOO\",nc=00000001,qop=auth, new-thing=TTTT\r\nproxy-authorization : Basic QQQQ\r\n\
         WWW-Authenticate: Digest realm=\"r\", nonce=\"NNNN\", algorithm=SHA-256\r\nIdentity: IIII.JJJJ;info=<x>\r\ny: IIII\r\n\
         X-Api-Key: KKKK\r\nTo: <sip:1001@h>\r\n\r\n",
    );
    for secret in [
        "NNNN", "RRRR", "CCCC", "OOOO", "TTTT", "QQQQ", "IIII", "JJJJ", "KKKK",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    for shown in [
        "username=\"1001\"",
        "realm=\"r\"",
        "uri=\"sip:h;x=1\"",
        "nc=00000001",
        "algorithm=SHA-256",
        "To: <sip:1001@h>",
        "response=\"****\"",
    ] {
        assert!(text.contains(shown), "{shown} not in {text}");
    }
}

#[test]
fn no_way_of_writing_them_shows_credentials() {
    for header in [
        "Authorization: Digest username=\"a, response=\"SECRET\"",
        "Authorization: Digest username=\"a\" response=\"SECRET\"",
        "Authorization: Digest\tusername=a;response=SECRET",
        "Authorization:Digest response = \"SECRET\"",
        "Authorization: Digest username=\"a\",\r\n\tresponse=\r\n\t\"SECRET\"",
        "AUTHORIZATION: DigestSECRET",
        "Authorization: SECRET",
        "Authorization: Bearer realm=SECRETx,username=\"SECRET",
        "Authorization: Digest SECRET=1\\,realm=\"SECRET\\\"",
    ] {
        let text = redacted(&format!("BYE sip:h SIP/2.0\r\n{header}\r\nTo: x\r\n\r\n"));
        let shown = text.contains("SECRET") && !header.contains("SECRET=1");
        assert!(!shown, "{text}");
        assert!(text.ends_with("To: x\r\n\r\n"), "{text}");
    }
}

#[test]
fn media_keys_pressed_keys_and_passwords_in_uris_are_masked() {
    let text = redacted(
        "INVITE sip:bob:SECRET@h:5060;x=y SIP/2.0\r\nContact: <sips:a%20:SECRET@h>, <sip:10.0.0.1:5060>\r\nContent-Type: application/sdp\r\n\r\n\
         v=0\r\nk=clear:SECRET\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET|2^20|1:4\r\na=ice-pwd:SECRET\r\na=rtpmap:0 PCMU/8000\r\n",
    );
    assert!(!text.contains("SECRET"), "{text}");
    for shown in [
        "sip:bob:******@h:5060;x=y",
        "<sip:10.0.0.1:5060>",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:",
        "a=rtpmap:0 PCMU/8000",
    ] {
        assert!(text.contains(shown), "{shown} not in {text}");
    }
    let text = redacted(
        "INFO sip:h SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal= 7\r\nDuration=160\r\n",
    );
    assert!(text.ends_with("Signal= *\r\nDuration=160\r\n"), "{text}");
    let text = redacted("INFO sip:h SIP/2.0\r\nc: application/dtmf\r\n\r\n7");
    assert!(text.ends_with("\r\n\r\n*"), "{text}");
}

#[test]
fn a_number_is_found_however_it_is_written() {
    let filters = ["+421900333444", "0900333444", "421900111222"];
    for number in filters {
        let mut book = Book::new(0);
        let at = Timestamp::from_second(1_700_000_000).expect("in range");
        let id = book
            .start(Filter::Number(number.into()), Duration::from_secs(60), at)
            .expect("room");
        assert!(book.add(seen(CALL, 1)).traced, "{number}");
        assert!(
            !book
                .add(seen(
                    &CALL
                        .replace("900111222", "900111223")
                        .replace("900333444", "5")
                        .replace("one", "two"),
                    2
                ))
                .traced
        );
        // The answers of a dialog follow it, whatever they name.
        assert!(
            book.add(seen(
                "SIP/2.0 200 OK\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\n\r\n",
                3
            ))
            .traced
        );
        // After its time a trace takes nothing more, and can still be read.
        assert!(!book.add(seen(CALL, 61)).traced);
        let trace = book.show(id, 1, at).expect("kept");
        assert_eq!((trace.messages.len(), trace.info.messages), (1, 2));
    }
}

#[test]
fn a_call_is_shown_with_all_its_legs_also_after_the_fact() {
    let mut book = Book::new(1 << 20);
    book.add(seen(CALL, 1));
    book.belongs_to("one", "17");
    let other = CALL.replace("Call-ID: one", "i: two");
    book.add(seen(&other, 2));
    let now = Timestamp::now();
    let minute = Duration::from_secs(60);
    let by_name = book
        .start(Filter::Call("17".into()), minute, now)
        .expect("room");
    let by_id = book
        .start(Filter::Call("one".into()), minute, now)
        .expect("room");
    book.belongs_to("two", "17");
    for id in [by_name, by_id] {
        let trace = book.show(id, 0, now).expect("kept");
        let ids: Vec<_> = trace.messages.iter().filter_map(|m| m.call_id()).collect();
        assert_eq!(ids, ["one", "two"]);
    }
    assert_eq!(book.recent("17").len(), 2);
    assert_eq!(book.recent("two").len(), 2);
    assert!(book.recent("18").is_empty());
}

#[test]
fn memory_is_bounded() {
    let mut book = Book::new(100_000);
    let now = Timestamp::from_second(1_700_000_000).expect("in range");
    let id = book
        .start(Filter::All, Duration::from_secs(1 << 30), now)
        .expect("room");
    for n in 0..12_000 {
        book.add(seen(&CALL.replace("one", &n.to_string()), 1));
        book.belongs_to(&n.to_string(), &n.to_string());
    }
    let trace = book.show(id, 0, now).expect("kept");
    let octets: usize = trace.messages.iter().map(|m| m.octets.len()).sum();
    assert!(octets < 5 << 20 && trace.info.dropped > 0);
    assert_eq!(trace.info.messages, 12_000);
    assert!(book.recent("11999").len() == 1 && book.recent("0").is_empty());
    for _ in 0..15 {
        book.start(Filter::All, Duration::from_secs(1 << 30), now)
            .expect("room");
    }
    assert_eq!(
        book.start(Filter::All, Duration::ZERO, now),
        Err(TraceError::TooMany)
    );
}

#[test]
fn the_ladder_shows_who_said_what_to_whom() {
    let ok = "SIP/2.0 200 OK\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\n\r\n";
    let mut messages = vec![seen(CALL, 0), seen(ok, 1), seen(CALL, 2), seen(CALL, 3)];
    messages[1].sent = true;
    messages[3].sent = true;
    messages[3].remote = "[2001:db8::1]:5062".parse().expect("address");
    let drawn = ladder(&messages);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(
        (lines.len(), lines[0]),
        (6, "2023-11-14T22:13:20Z"),
        "{drawn}"
    );
    let names: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(names, ["10.0.0.2:5060", "trunkline", "[2001:db8::1]:5062"]);
    for (line, part) in [
        (2, "   0.000  |--- INVITE SDP +421900111222 ----->|"),
        (2, "|  UDP"),
        (3, "   1.000  |<-- 200 OK (INVITE) ---------------|"),
        (4, "UDP, again"),
        (
            5,
            "|                                   |--- INVITE SDP +421900111222 ----->|  UDP",
        ),
    ] {
        assert!(lines[line].contains(part), "{part} in\n{drawn}");
    }
    assert!(lines[5].ends_with("UDP"), "another peer: {drawn}");
}
