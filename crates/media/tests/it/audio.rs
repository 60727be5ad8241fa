use std::{net::UdpSocket as Blocking, sync::Arc, time::Duration};

use media::{Codec, MediaError, MediaEvent, Sound, music};
use tokio::{net::UdpSocket, time::timeout};

use crate::phone::{A, B, DEADLINE, Phone, engine, event, purity, rtp, tone};

#[tokio::test]
async fn two_laws_are_bridged_and_each_hears_the_other() {
    let engine = engine((31_000, 31_019));
    let (call, _events) = engine.open_call();
    let caller = Phone::join(&call, A, Codec::Pcmu).await;
    let agent = Phone::join(&call, B, Codec::Pcma).await;
    call.bridge(A, B);
    let _speaking = (caller.speak(tone(500)), agent.speak(tone(800)));
    let (at_caller, at_agent) = tokio::join!(caller.listen(60), agent.listen(60));
    assert!(
        purity(&at_caller[1_600..], 800) > 0.98,
        "{}",
        purity(&at_caller[1_600..], 800)
    );
    assert!(
        purity(&at_agent[1_600..], 500) > 0.98,
        "{}",
        purity(&at_agent[1_600..], 500)
    );

    let quality = call.quality(A).await.expect("the leg is there");
    assert!(
        quality.packets_received >= 60 && quality.packets_lost == 0 && quality.packets_sent >= 60,
        "{quality:?}"
    );
    engine.shutdown();
}

#[tokio::test]
async fn music_then_bridge_is_one_stream_with_markers_where_sources_change() {
    let engine = engine((31_020, 31_039));
    let (call, mut events) = engine.open_call();
    let caller = Phone::join(&call, A, Codec::Pcma).await;
    let agent = Phone::join(&call, B, Codec::Pcma).await;
    call.play(A, 7, Arc::new(music::on_hold()), true);
    let mut heard = Vec::new();
    for _ in 0..10 {
        heard.push(caller.hear().await);
    }
    let _speaking = agent.speak(tone(800));
    event(&mut events, |event| {
        (event == MediaEvent::FirstPacket { leg: B }).then_some(())
    })
    .await;
    call.stop_playing(A);
    call.bridge(A, B);
    let mut seen_agent = 0;
    while seen_agent < 20 {
        let packet = caller.hear().await;
        seen_agent = if packet.marker {
            1
        } else {
            seen_agent + u32::from(seen_agent > 0)
        };
        heard.push(packet);
    }
    let markers: Vec<bool> = heard.iter().map(|packet| packet.marker).collect();
    assert!(
        markers[0] && markers.iter().filter(|marker| **marker).count() == 2,
        "{markers:?}"
    );
    for pair in heard.windows(2) {
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((80..4_000).contains(&step), "a step of {step}");
    }
    engine.shutdown();
}

#[tokio::test]
async fn a_prompt_plays_to_its_end_before_the_peer_has_said_anything() {
    let engine = engine((31_040, 31_059));
    let (call, mut events) = engine.open_call();
    let target = call.add_leg(A).await.expect("a leg");
    // Ordered before the answer: it must wait for it and not lose its beginning.
    call.play(
        A,
        42,
        Arc::new(Sound::new(tone(600)[..4_000].to_vec())),
        false,
    );
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a socket"));
    let caller = Phone {
        socket,
        codec: Codec::Pcmu,
        event_type: None,
        target,
    };
    call.connect(A, caller.remote());
    let heard = caller.listen(25).await;
    assert!(purity(&heard, 600) > 0.98);
    let finished = event(&mut events, |event| match event {
        MediaEvent::PlaybackFinished { leg, playback } => Some((leg, playback)),
        _ => None,
    });
    assert_eq!(finished.await, (A, 42));
    engine.shutdown();
}

#[tokio::test]
async fn playing_keeps_its_pace_and_packet_length() {
    let engine = engine((31_060, 31_079));
    let (call, _events) = engine.open_call();
    let caller = Phone::join(&call, A, Codec::Pcmu).await;
    call.connect(
        A,
        media::RemoteMedia {
            ptime_ms: 30,
            ..caller.remote()
        },
    );
    call.play(A, 1, Arc::new(Sound::new(tone(500)[..800].to_vec())), true);
    let first = caller.hear().await;
    let began = tokio::time::Instant::now();
    for _ in 0..40 {
        assert_eq!(caller.hear().await.payload.len(), 240);
    }
    let took = began.elapsed();
    assert_eq!(first.payload.len(), 240);
    assert!(
        (1_150..1_350).contains(&took.as_millis()),
        "40 packets of 30 ms took {took:?}"
    );
    engine.shutdown();
}

#[tokio::test]
async fn a_stranger_is_not_heard_and_cannot_take_the_audio_away() {
    let engine = engine((31_080, 31_099));
    let (call, mut events) = engine.open_call();
    let caller = Phone::join(&call, A, Codec::Pcmu).await;
    let agent = Phone::join(&call, B, Codec::Pcmu).await;
    call.bridge(A, B);
    let _speaking = (caller.speak(tone(500)), agent.speak(tone(800)));
    event(&mut events, |event| {
        (event == MediaEvent::FirstPacket { leg: A }).then_some(())
    })
    .await;
    agent.listen(10).await;

    let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    for i in 0..50u16 {
        stranger
            .send_to(
                &rtp(0, false, i, u32::from(i) * 160, 99, &[0x10; 160]),
                caller.target,
            )
            .await
            .expect("sent");
    }
    let heard = agent.listen(50).await;
    assert!(purity(&heard, 500) > 0.98, "{}", purity(&heard, 500));
    caller.listen(20).await;
    assert_eq!(engine.stats().foreign_packets, 50);
    let mut bytes = [0; 64];
    assert!(
        stranger.try_recv_from(&mut bytes).is_err(),
        "the stranger got audio"
    );
    engine.shutdown();
}

#[tokio::test]
async fn a_phone_behind_a_translator_is_answered_where_it_sends_from() {
    let engine = engine((31_100, 31_119));
    let (call, _events) = engine.open_call();
    let mut caller = Phone::join(&call, A, Codec::Pcmu).await;
    // It signalled one address and sends from another.
    caller.socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a socket"));
    let _speaking = caller.speak(tone(500));
    call.play(A, 1, Arc::new(music::on_hold()), true);
    caller.listen(20).await;
    engine.shutdown();
}

#[tokio::test]
async fn a_held_leg_is_sent_nothing_and_resumes() {
    let engine = engine((31_120, 31_139));
    let (call, mut events) = engine.open_call();
    let caller = Phone::join(&call, A, Codec::Pcmu).await;
    let agent = Phone::join(&call, B, Codec::Pcmu).await;
    call.bridge(A, B);
    let _speaking = agent.speak(tone(800));
    caller.listen(5).await;
    call.connect(
        A,
        media::RemoteMedia {
            send: false,
            ..caller.remote()
        },
    );
    // Orders are carried out in order: when this has an answer, the one before is done.
    let sent = call.quality(A).await.expect("the leg").packets_sent;
    call.play(B, 1, Arc::new(Sound::new(vec![0; 4_000])), false);
    event(&mut events, |event| {
        matches!(event, MediaEvent::PlaybackFinished { .. }).then_some(())
    })
    .await;
    assert_eq!(call.quality(A).await.expect("the leg").packets_sent, sent);
    call.connect(A, caller.remote());
    caller.listen(10).await;
    engine.shutdown();
}

#[tokio::test]
async fn ports_are_free_again_when_a_call_is_dropped() {
    let engine = engine((31_140, 31_143));
    for _ in 0..5 {
        let (call, mut events) = engine.open_call();
        let first = timeout(DEADLINE, async {
            loop {
                // The last call's sockets close a moment after its handle.
                match call.add_leg(A).await {
                    Ok(address) => return address,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        });
        let first = first.await.expect("a port in time");
        let second = timeout(DEADLINE, async {
            loop {
                match call.add_leg(B).await {
                    Ok(address) => return address,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        });
        let second = second.await.expect("a port in time");
        assert_ne!(first, second);
        assert!(first.port().is_multiple_of(2) && second.port().is_multiple_of(2));
        assert!(matches!(
            call.add_leg(media::LegId(3)).await,
            Err(MediaError::NoPorts(_))
        ));
        drop(call);
        assert_eq!(
            timeout(DEADLINE, events.recv())
                .await
                .expect("closed in time"),
            None
        );
    }
    engine.shutdown();
    assert_eq!(engine.stats().calls, 0);
    assert!(Blocking::bind("127.0.0.1:31140").is_ok());
}

#[tokio::test]
async fn silence_is_told_and_reports_are_sent_both_ways() {
    let engine = engine((31_160, 31_179));
    let (call, mut events) = engine.open_call();
    let caller = Phone::join(&call, A, Codec::Pcmu).await;
    let reports = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let remote = media::RemoteMedia {
        rtcp: reports.local_addr().ok(),
        ..caller.remote()
    };
    call.connect(A, remote);
    call.play(A, 1, Arc::new(Sound::new(tone(500))), true);
    let ssrc = caller.hear().await.ssrc;
    let silence = event(&mut events, |event| match event {
        MediaEvent::AudioMissing { leg, reason } => Some((leg, reason)),
        _ => None,
    });
    assert_eq!(silence.await, (A, media::NoAudio::NeverHeard));

    let mut bytes = [0; 256];
    let (length, from) = timeout(DEADLINE, reports.recv_from(&mut bytes))
        .await
        .expect("a report in time")
        .expect("received");
    assert!(length >= 28 && bytes[1] == 200, "a sender report first");
    assert_eq!(
        u32::from_be_bytes(bytes[4..8].try_into().expect("four")),
        ssrc
    );
    assert_eq!(from.port(), caller.target.port() + 1);

    // A receiver report about its stream: a quarter lost, jitter 80, answering its report at once.
    let mut answer = vec![0x81, 201, 0, 7, 0, 0, 0, 9];
    answer.extend(ssrc.to_be_bytes());
    answer.extend([64, 0, 0, 5, 0, 0, 1, 0, 0, 0, 0, 80]);
    answer.extend(&bytes[10..14]);
    answer.extend([0; 4]);
    reports.send_to(&answer, from).await.expect("sent");
    let quality = timeout(DEADLINE, async {
        loop {
            let quality = call.quality(A).await.expect("the leg");
            if quality.peer_loss.is_some() {
                return quality;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let quality = quality.await.expect("the report is taken");
    assert_eq!(
        (quality.peer_loss, quality.peer_jitter_ms),
        (Some(0.25), Some(10.0))
    );
    assert!(
        quality.round_trip_ms.is_some_and(|ms| ms < 5_000.0),
        "{quality:?}"
    );
    engine.shutdown();
}
