use media::{Codec, DigitVia, MediaEvent, tone::digit};

use crate::phone::{A, B, Heard, Phone, digits_until_marker, engine, event, rtp};

/// The packets of a press: four while the key is down, three that it was released.
fn press(payload_type: u8, code: u8, sequence: u16, timestamp: u32) -> Vec<Vec<u8>> {
    (0..7u16)
        .map(|i| {
            let duration = ((i + 1).min(5) * 160).to_be_bytes();
            let end = if i >= 4 { 0x80 } else { 0 };
            rtp(
                payload_type,
                i == 0,
                sequence + i,
                timestamp,
                0x51,
                &[code, end | 10, duration[0], duration[1]],
            )
        })
        .collect()
}

#[tokio::test]
async fn a_press_is_one_digit_and_is_passed_on_with_the_other_legs_type() {
    let engine = engine((31_200, 31_219));
    let (call, mut events) = engine.open_call();
    let caller = Phone::join_with_events(&call, A, Codec::Pcmu, Some(101)).await;
    let agent = Phone::join_with_events(&call, B, Codec::Pcma, Some(96)).await;
    call.bridge(A, B);
    for packet in press(101, 5, 1, 1_600) {
        caller.send(&packet).await;
    }
    let digit = event(&mut events, |event| match event {
        MediaEvent::Digit { leg, digit, via } => Some((leg, digit, via)),
        _ => None,
    });
    assert_eq!(digit.await, (A, '5', DigitVia::Rfc4733));
    let mut passed: Vec<Heard> = Vec::new();
    for _ in 0..7 {
        passed.push(agent.hear().await);
    }
    assert!(
        passed
            .iter()
            .all(|packet| packet.payload_type == 96 && packet.timestamp == passed[0].timestamp)
    );
    assert!(passed[0].marker && passed[6].payload[1] & 0x80 != 0);
    assert_eq!(digits_until_marker(&call, &mut events).await, []);
    engine.shutdown();
}

#[tokio::test]
async fn whatever_is_lost_a_press_is_one_digit() {
    let engine = engine((31_220, 31_239));
    let (call, mut events) = engine.open_call();
    let caller = Phone::join(&call, A, Codec::Pcmu).await;
    let _other = Phone::join(&call, B, Codec::Pcmu).await;
    // Of the first press only the last end arrives, of the second no end, of the third all.
    let kept: [&[usize]; 3] = [&[6], &[0, 1], &[0, 1, 2, 3, 4, 5, 6]];
    for (number, kept) in kept.into_iter().enumerate() {
        let packets = press(101, 10, number as u16 * 10, number as u32 * 8_000);
        for i in kept {
            caller.send(&packets[*i]).await;
        }
    }
    let mut digits = Vec::new();
    while digits.len() < 3 {
        digits.push(
            event(&mut events, |event| match event {
                MediaEvent::Digit { digit, .. } => Some(digit),
                _ => None,
            })
            .await,
        );
    }
    assert_eq!(digits, ['*'; 3]);
    assert_eq!(digits_until_marker(&call, &mut events).await, []);
    engine.shutdown();
}

#[tokio::test]
async fn tones_are_digits_only_while_asked_for_and_never_beside_events() {
    let engine = engine((31_240, 31_259));
    let (call, mut events) = engine.open_call();
    let caller = Phone::join(&call, A, Codec::Pcma).await;
    let _other = Phone::join(&call, B, Codec::Pcmu).await;
    let tones = |digit_pressed: char, first: u16| -> Vec<Vec<u8>> {
        let sound = digit(digit_pressed, 100, 100).expect("a digit");
        let frames = sound.samples().chunks_exact(160).enumerate();
        frames
            .map(|(i, frame)| {
                let payload: Vec<u8> = frame
                    .iter()
                    .map(|s| media::g711::linear_to_alaw(*s))
                    .collect();
                rtp(
                    8,
                    false,
                    first + i as u16,
                    (u32::from(first) + i as u32) * 160,
                    0x51,
                    &payload,
                )
            })
            .collect()
    };
    for packet in tones('3', 0) {
        caller.send(&packet).await;
    }
    assert_eq!(
        digits_until_marker(&call, &mut events).await,
        [],
        "nobody asked"
    );

    call.detect_inband(A, true);
    call.quality(A)
        .await
        .expect("the order before is carried out");
    for packet in tones('7', 10) {
        caller.send(&packet).await;
    }
    assert_eq!(
        digits_until_marker(&call, &mut events).await,
        [('7', DigitVia::Inband)]
    );

    // The same press once more as an event, a little late: still the one digit.
    for packet in press(101, 7, 20, 3_200) {
        caller.send(&packet).await;
    }
    assert_eq!(digits_until_marker(&call, &mut events).await, []);
    for packet in tones('9', 30).into_iter().chain(press(101, 9, 40, 6_400)) {
        caller.send(&packet).await;
    }
    assert_eq!(
        digits_until_marker(&call, &mut events).await,
        [('9', DigitVia::Rfc4733)]
    );
    engine.shutdown();
}

#[tokio::test]
async fn our_keys_are_events_where_agreed_and_tones_elsewhere() {
    let engine = engine((31_260, 31_279));
    let (call, mut events) = engine.open_call();
    let with_events = Phone::join_with_events(&call, A, Codec::Pcmu, Some(97)).await;
    call.send_digit(A, '#');
    let mut packets = Vec::new();
    for _ in 0..8 {
        packets.push(with_events.hear().await);
    }
    assert!(packets.iter().all(|p| p.payload_type == 97
        && p.payload[0] == 11
        && p.timestamp == packets[0].timestamp));
    assert_eq!(
        packets.iter().filter(|p| p.payload[1] & 0x80 != 0).count(),
        3
    );
    assert_eq!(packets.iter().filter(|p| p.marker).count(), 1);

    // Tones are judged by our own ear: the far phone's packets come back in on another leg.
    let without = Phone::join_with_events(&call, B, Codec::Pcmu, None).await;
    let ear = Phone::join_with_events(&call, media::LegId(3), Codec::Pcmu, None).await;
    call.detect_inband(media::LegId(3), true);
    call.send_digit(B, '8');
    for number in 0..8u16 {
        let heard = without.hear().await;
        ear.send(&rtp(
            0,
            false,
            number,
            u32::from(number) * 160,
            5,
            &heard.payload,
        ))
        .await;
    }
    let digit = event(&mut events, |event| match event {
        MediaEvent::Digit { leg, digit, .. } => Some((leg, digit)),
        _ => None,
    });
    assert_eq!(digit.await, (media::LegId(3), '8'));
    engine.shutdown();
}
