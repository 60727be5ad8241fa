use super::*;

fn ours() -> Ours {
    Ours {
        rtp: "192.0.2.10:4000".parse().unwrap(),
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        telephone_event: true,
        ptime_ms: 20,
        direction: Direction::SendRecv,
        origin: Origin {
            session_id: 7,
            version: 1,
        },
    }
}

fn described(media: &str) -> Offer {
    let text = format!(
        "v=0\r\no=x 1 1 IN IP4 h\r\ns=-\r\nz=odd\r\nc=IN IP4 198.51.100.5\r\nt=0 0\r\n{media}"
    );
    Offer::parse(&text).unwrap()
}

#[test]
fn an_offer_is_answered_with_its_own_payload_types() {
    let offer = described(
        "m=audio 5004 RTP/AVP 96 8 98 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/48000\r\n\
         a=rtpmap:98 telephone-event/8000\r\na=ptime:30\r\na=rtcp:5010 IN IP4 198.51.100.6\r\na=x-odd:y\r\n",
    );
    let (text, agreed) = answer(&offer, &ours()).unwrap();
    assert_eq!(
        text,
        "v=0\r\no=- 7 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 98\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:98 telephone-event/8000\r\na=fmtp:98 0-15\r\na=ptime:30\r\na=sendrecv\r\n"
    );
    assert_eq!(agreed.remote_rtp, "198.51.100.5:5004".parse().unwrap());
    assert_eq!(agreed.remote_rtcp, "198.51.100.6:5010".parse().unwrap());
    assert_eq!(
        (
            agreed.codec,
            agreed.payload_type,
            agreed.telephone_event,
            agreed.ptime_ms
        ),
        (Codec::Pcma, 8, Some(98), 30)
    );
}

#[test]
fn other_streams_are_declined_in_their_place() {
    let offer = described(
        "m=video 9 RTP/AVP 31\r\nm=audio 0 RTP/AVP 0\r\nm=audio 6000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\nm=image 1 udptl t38\r\n",
    );
    let (text, agreed) = answer(&offer, &ours()).unwrap();
    let streams: Vec<_> = text.lines().filter(|l| l.starts_with("m=")).collect();
    assert_eq!(
        streams,
        [
            "m=video 0 RTP/AVP 31",
            "m=audio 0 RTP/AVP 0",
            "m=audio 4000 RTP/AVP 0",
            "m=image 0 udptl t38"
        ]
    );
    assert_eq!(agreed.remote_rtp, "[2001:db8::1]:6000".parse().unwrap());
    assert_eq!(agreed.telephone_event, None);
}

#[test]
fn hold_is_understood_in_every_spelling() {
    for (media, direction) in [
        (
            "m=audio 5004 RTP/AVP 0\r\na=sendonly\r\n",
            Direction::RecvOnly,
        ),
        (
            "m=audio 5004 RTP/AVP 0\r\na=inactive\r\n",
            Direction::Inactive,
        ),
        (
            "m=audio 5004 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n",
            Direction::RecvOnly,
        ),
    ] {
        let offer = described(media);
        assert!(offer.is_hold(), "{media}");
        let (text, agreed) = answer(&offer, &ours()).unwrap();
        assert_eq!(agreed.direction, direction, "{media}");
        assert!(text.ends_with(&format!("a={}\r\n", direction.as_str())));
    }
    assert!(!described("m=audio 5004 RTP/AVP 0\r\na=recvonly\r\n").is_hold());
}

#[test]
fn our_offer_and_its_answer_agree() {
    let offered = Offer::parse(&offer(&ours())).unwrap();
    let theirs = Ours {
        rtp: "198.51.100.9:9000".parse().unwrap(),
        codecs: vec![Codec::Pcma],
        ..ours()
    };
    let (text, _) = answer(&offered, &theirs).unwrap();
    let agreed = negotiate_answer(&ours(), &Offer::parse(&text).unwrap()).unwrap();
    assert_eq!(
        (
            agreed.codec,
            agreed.remote_rtp.port(),
            agreed.telephone_event
        ),
        (Codec::Pcma, 9000, Some(101))
    );
}

#[test]
fn the_version_rises_with_a_change_only() {
    let same = ours().changed(Direction::SendRecv);
    assert_eq!(same.origin.version, 1);
    let held = same.changed(Direction::SendOnly);
    assert!(offer(&held).contains("o=- 7 2 ") && offer(&held).contains("a=sendonly"));
}

#[test]
fn what_cannot_be_taken_has_its_status() {
    let status = |media: &str| answer(&described(media), &ours()).unwrap_err().status();
    assert_eq!(status("m=audio 5004 RTP/AVP 9 18\r\n"), 488);
    assert_eq!(status("m=audio 5004 RTP/SAVP 0\r\n"), 488);
    assert_eq!(status(""), 488);
    for bad in [
        "",
        "hello",
        "v=1\r\n",
        "v=0\r\nm=audio x RTP/AVP 0\r\n",
        "v=0\r\nc=IN IP4\r\n",
        "v=0\r\nlonger=x\r\n",
    ] {
        assert_eq!(Offer::parse(bad).unwrap_err().status(), 400, "{bad:?}");
    }
}
