use super::*;

fn ours() -> Ours {
    Ours {
        rtp: "192.0.2.10:4000".parse().unwrap(),
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        order: Order::Peers,
        telephone_event: true,
        ptime_ms: 20,
        direction: Direction::SendRecv,
        security: Security::Off,
        ice: None,
        source: None,
        origin: Origin {
            session_id: 7,
            version: 1,
        },
    }
}

fn digits(payload_type: u8, clock_rate: u32) -> TelephoneEvent {
    TelephoneEvent {
        payload_type,
        clock_rate,
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
        (Codec::Pcma, 8, Some(digits(98, 8_000)), 30)
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
        (Codec::Pcma, 9000, Some(digits(101, 8_000)))
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

fn encrypted(required: bool) -> Ours {
    Ours {
        security: Security::Sdes(Sdes::with_fresh_keys(required)),
        ..ours()
    }
}

#[test]
fn opus_and_g722_keep_the_offerers_payload_types_and_clocks() {
    let all = Ours {
        codecs: vec![Codec::Pcmu, Codec::G722, Codec::Opus],
        ..ours()
    };
    let media = "m=audio 5004 RTP/AVP 96 9 0 97 98\r\na=rtpmap:96 opus/48000/2\r\n\
        a=rtpmap:97 telephone-event/48000\r\na=rtpmap:98 telephone-event/8000\r\na=maxptime:40\r\na=ptime:60\r\n";
    let (text, agreed) = answer(&described(media), &all).unwrap();
    assert_eq!((agreed.codec, agreed.payload_type), (Codec::Opus, 96));
    assert_eq!(agreed.telephone_event, Some(digits(97, 48_000)));
    assert_eq!(agreed.ptime_ms, 40);
    assert!(text.contains("a=rtpmap:96 opus/48000/2\r\n"), "{text}");
    let by_us = Ours {
        order: Order::Ours,
        ..all.clone()
    };
    let (_, agreed) = answer(&described(media), &by_us).unwrap();
    assert_eq!(agreed.codec, Codec::Pcmu);
    let narrow = Ours {
        codecs: vec![Codec::G722],
        ..all
    };
    let (_, agreed) = answer(&described(media), &narrow).unwrap();
    assert_eq!((agreed.codec, agreed.payload_type), (Codec::G722, 9));
    assert_eq!(agreed.telephone_event, Some(digits(98, 8_000)));
}

#[test]
fn keys_cross_in_offer_and_answer() {
    for required in [true, false] {
        let (caller, callee) = (encrypted(required), encrypted(false));
        let text = offer(&caller);
        let profile = if required { "RTP/SAVP " } else { "RTP/AVP " };
        assert!(text.contains(profile), "{text}");
        let (text, there) = answer(&Offer::parse(&text).unwrap(), &callee).unwrap();
        let here = negotiate_answer(&caller, &Offer::parse(&text).unwrap()).unwrap();
        let (Agreed::Sdes { ours: a, theirs: b }, Agreed::Sdes { ours: c, theirs: d }) =
            (here.security, there.security)
        else {
            panic!("not encrypted: {text}");
        };
        assert_eq!((&a, &b), (&d, &c));
        assert_eq!(a.suite, Suite::AeadAes256Gcm);
        assert_ne!(a.key, b.key);
        assert!(!format!("{a:?}").contains(&format!("{:?}", a.key.expose())));
    }
}

#[test]
fn encryption_is_not_dropped_where_it_is_required() {
    let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let clear = "m=audio 5004 RTP/AVP 0\r\n";
    let crypto = format!("a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^20 KDR=0\r\n");
    let savp = format!("m=audio 5004 RTP/SAVP 0\r\n{crypto}");
    let refusals = [
        (encrypted(true), clear.to_owned()),
        (ours(), savp.clone()),
        (encrypted(true), "m=audio 5004 RTP/SAVP 0\r\n".to_owned()),
        (
            encrypted(false),
            format!(
                "m=audio 5004 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4\r\n"
            ),
        ),
        (
            encrypted(false),
            format!(
                "m=audio 5004 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNENCRYPTED_SRTP\r\n"
            ),
        ),
    ];
    for (ours, media) in refusals {
        let refused = answer(&described(&media), &ours);
        assert!(matches!(refused, Err(SdpError::Security(_))), "{media}");
    }
    // Of two streams the one we may take is taken.
    let (text, agreed) = answer(&described(&format!("{clear}{savp}")), &encrypted(true)).unwrap();
    assert!(text.contains("m=audio 0 RTP/AVP 0\r\nm=audio 4000 RTP/SAVP 0"));
    assert!(text.contains("a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:"));
    assert!(matches!(agreed.security, Agreed::Sdes { .. }));
    // A clear profile with keys is encrypted all the same.
    let (text, agreed) = answer(&described(&format!("{clear}{crypto}")), &encrypted(true)).unwrap();
    assert!(text.contains("RTP/AVP 0") && text.contains("a=crypto:3 "));
    assert!(matches!(agreed.security, Agreed::Sdes { .. }));
    let (_, agreed) = answer(&described(clear), &encrypted(false)).unwrap();
    assert_eq!(agreed.security, Agreed::Clear);
}

/// As browsers write it: the address is left to ICE.
fn browsers(setup: &str, direction: &str) -> String {
    let print = ["AB"; 32].join(":");
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=msid-semantic: WMS\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111 0 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n\
         a=candidate:1 1 udp 1 3d9c.local 5000 typ host\r\na=fingerprint:sha-256 {print}\r\na=setup:{setup}\r\na=mid:0\r\na={direction}\r\na=rtcp-mux\r\n\
         a=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n"
    )
}

/// We, ready for a browser.
fn ready(setup: Setup) -> Ours {
    Ours {
        codecs: vec![Codec::Pcmu, Codec::Opus],
        order: Order::Ours,
        security: Security::Dtls(Dtls::with_sha256(&[0x11; 32], setup)),
        ice: Some(Ice::host("a", "b", "192.0.2.10:4000".parse().unwrap())),
        source: Some(Source {
            ssrc: 0xdead_beef,
            cname: "deadbeef".to_owned(),
        }),
        ..ours()
    }
}

#[test]
fn a_browsers_offer_is_answered_in_kind() {
    let offer = Offer::parse(&browsers("actpass", "sendrecv")).unwrap();
    assert!(offer.wants_dtls() && !offer.is_hold());
    let (text, agreed) = answer(&offer, &ready(Setup::Passive)).unwrap();
    for line in [
        "a=ice-lite",
        "a=group:BUNDLE 0",
        "m=audio 4000 UDP/TLS/RTP/SAVPF 0 126",
        "a=mid:0",
        "a=setup:passive",
        "a=rtcp-mux",
        "a=ice-ufrag:a",
        "a=candidate:1 1 udp 2130706431 192.0.2.10 4000 typ host",
        "a=msid:trunkline audio",
        "a=ssrc:3735928559 cname:deadbeef",
    ] {
        assert!(text.contains(&format!("{line}\r\n")), "no {line} in {text}");
    }
    assert_eq!(
        (agreed.codec, agreed.direction),
        (Codec::Pcmu, Direction::SendRecv)
    );
    assert!(agreed.rtcp_mux);
    assert_eq!(agreed.ice.map(|ice| ice.ufrag), Some("u".to_owned()));
    let Agreed::Dtls(dtls) = agreed.security else {
        panic!("no DTLS")
    };
    assert_eq!(dtls.digest(), Some(vec![0xab; 32]));
}

#[test]
fn one_side_begins_the_handshake_whatever_the_browser_says() {
    for (said, ready_for, answered) in [
        ("active", Setup::Passive, "passive"),
        ("passive", Setup::Passive, "active"),
        ("actpass", Setup::Active, "active"),
    ] {
        let offer = Offer::parse(&browsers(said, "sendrecv")).unwrap();
        let (text, _) = answer(&offer, &ready(ready_for)).unwrap();
        assert!(text.contains(&format!("a=setup:{answered}\r\n")), "{text}");
    }
}

#[test]
fn with_ice_only_the_direction_says_hold() {
    for (said, ours) in [
        ("sendonly", Direction::RecvOnly),
        ("inactive", Direction::Inactive),
        ("sendrecv", Direction::SendRecv),
    ] {
        let offer = Offer::parse(&browsers("actpass", said)).unwrap();
        assert_eq!(offer.is_hold(), said != "sendrecv");
        let (_, agreed) = answer(&offer, &ready(Setup::Passive)).unwrap();
        assert_eq!(agreed.direction, ours);
    }
}

#[test]
fn a_browser_without_ice_or_a_whole_fingerprint_is_refused() {
    let whole = browsers("actpass", "sendrecv");
    for missing in [
        whole.replace("a=ice-ufrag:u\r\n", ""),
        whole.replace("a=fingerprint:sha-256 AB:", "a=fingerprint:sha-256 "),
        whole.replace("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
    ] {
        let refused = answer(&Offer::parse(&missing).unwrap(), &ready(Setup::Passive));
        assert!(matches!(refused, Err(SdpError::Security(_))), "{refused:?}");
    }
    let plain = answer(&Offer::parse(&whole).unwrap(), &ours());
    assert!(matches!(plain, Err(SdpError::Security(_))), "{plain:?}");
}

#[test]
fn our_offer_to_a_browser_and_its_answer_agree() {
    let ours = ready(Setup::ActPass);
    let text = offer(&ours);
    assert!(
        text.contains("a=setup:actpass\r\n") && text.contains("a=ice-lite\r\n"),
        "{text}"
    );
    // One stream and one transport, in so many words: str0m refuses an offer that doesn't say so.
    assert!(text.contains("a=group:BUNDLE 0\r\nm="), "{text}");
    assert!(text.contains("a=mid:0\r\n"), "{text}");
    // Who tells streams apart by their source drops packets of one that wasn't announced.
    assert!(
        text.contains("a=ssrc:3735928559 cname:deadbeef\r\n"),
        "{text}"
    );
    let answer = Offer::parse(&browsers("active", "sendrecv")).unwrap();
    let agreed = negotiate_answer(&ours, &answer).unwrap();
    assert_eq!(agreed.codec, Codec::Pcmu);
    assert!(matches!(agreed.security, Agreed::Dtls(dtls) if dtls.setup == Setup::Active));
}
