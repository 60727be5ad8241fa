//! Conferences and listening in: every listener's mix is checked by the tones in it.

use media::{CallMedia, Codec, Hears, LegId, Party, Room, SEATS};

use crate::phone::{A, Phone, engine, engine_of, purity, tone};

/// A pitch for each party, none of which is another's harmonic; whole periods fit in half a second.
const PITCHES: [u32; 10] = [410, 530, 650, 770, 890, 1_010, 1_130, 1_250, 1_370, 1_490];

/// How much of a pitch is in the samples, as an amplitude.
fn amplitude(samples: &[i16], hertz: u32) -> f64 {
    let energy: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    (f64::from(purity(samples, hertz)) * energy * 2.0 / samples.len() as f64).sqrt()
}

async fn heard(phone: &Phone) -> Vec<i16> {
    // The first second is for the jitter buffers to fill.
    phone.listen(50).await;
    phone.listen(50).await[4_000..8_000].to_vec()
}

/// Voices that add up without clipping.
fn quiet(hertz: u32) -> Vec<i16> {
    tone(hertz).iter().map(|s| s / 4).collect()
}

#[tokio::test]
async fn ten_in_a_room_hear_all_others_and_not_themselves() {
    let engine = engine((31_600, 31_659));
    let (call, _events) = engine.open_call();
    let mut phones = Vec::new();
    for number in 0..PITCHES.len() {
        let codec = [Codec::Pcmu, Codec::Pcma][number % 2];
        phones.push(Phone::join(&call, LegId(number as u32 + 1), codec).await);
    }
    let parties = (1..=PITCHES.len() as u32).map(|leg| Party {
        leg: LegId(leg),
        hears: Hears::Everybody,
    });
    call.mix(parties.collect());
    let _speaking: Vec<_> = phones
        .iter()
        .zip(PITCHES)
        .map(|(phone, hertz)| phone.speak(quiet(hertz)))
        .collect();
    let mixes = futures_of(&phones).await;
    for (listener, mix) in mixes.iter().enumerate() {
        for (speaker, hertz) in PITCHES.into_iter().enumerate() {
            let level = amplitude(mix, hertz);
            if speaker == listener {
                assert!(level < 100.0, "{listener} hears himself: {level}");
            } else {
                assert!(
                    (1_500.0..2_600.0).contains(&level),
                    "{listener} hears {speaker} at {level}"
                );
            }
        }
    }
}

async fn futures_of(phones: &[Phone]) -> Vec<Vec<i16>> {
    let mut mixes = Vec::new();
    for phone in phones {
        // Packets wait in the sockets meanwhile; the oldest second of each is its beginning.
        mixes.push(heard(phone).await);
    }
    mixes
}

#[tokio::test]
async fn a_whisper_reaches_the_agent_and_never_the_customer() {
    let engine = engine((31_660, 31_699));
    let (call, _events) = engine.open_call();
    let [customer, agent, supervisor] = [LegId(1), LegId(2), LegId(3)];
    let phones = [
        Phone::join(&call, customer, Codec::Pcmu).await,
        Phone::join(&call, agent, Codec::Pcma).await,
        Phone::join(&call, supervisor, Codec::Pcmu).await,
    ];
    let pitches = [410, 770, 1_130];
    let _speaking: Vec<_> = phones
        .iter()
        .zip(pitches)
        .map(|(phone, hertz)| phone.speak(quiet(hertz)))
        .collect();
    // Who hears whom: customer, agent, supervisor.
    for (name, who) in [
        (
            "listen",
            [
                [false, true, false],
                [true, false, false],
                [true, true, false],
            ],
        ),
        (
            "whisper",
            [
                [false, true, false],
                [true, false, true],
                [true, true, false],
            ],
        ),
        (
            "barge",
            [
                [false, true, true],
                [true, false, true],
                [true, true, false],
            ],
        ),
    ] {
        let legs = [customer, agent, supervisor];
        let parties = legs.iter().zip(who).map(|(leg, hears)| Party {
            leg: *leg,
            hears: Hears::Only(
                legs.iter()
                    .zip(hears)
                    .filter_map(|(leg, hears)| hears.then_some(*leg))
                    .collect(),
            ),
        });
        call.mix(parties.collect());
        // What was on its way before the change.
        for phone in &phones {
            phone.drain().await;
        }
        for (listener, (phone, hears)) in phones.iter().zip(who).enumerate() {
            let mix = heard(phone).await;
            for (speaker, hertz) in pitches.into_iter().enumerate() {
                let level = amplitude(&mix, hertz);
                assert_eq!(
                    hears[speaker],
                    level > 1_500.0,
                    "{name}: {listener} hears {speaker} at {level}"
                );
                assert!(
                    hears[speaker] || level < 60.0,
                    "{name}: {listener} hears {speaker} at {level}"
                );
            }
        }
    }
    // Back to two: the supervisor is gone and hears nothing.
    call.remove_leg(supervisor);
    call.bridge(customer, agent);
    phones[0].drain().await;
    let mix = heard(&phones[0]).await;
    assert!(amplitude(&mix, 770) > 1_500.0);
    assert!(amplitude(&mix, 1_130) < 60.0);
}

#[tokio::test]
async fn fifty_in_a_room_are_served_in_time() {
    let engine = engine((31_800, 31_999));
    let (call, _events) = engine.open_call();
    let mut phones = Vec::new();
    for number in 0..50 {
        phones.push(Phone::join(&call, LegId(number + 1), Codec::Pcmu).await);
    }
    let parties = (1..=50).map(|leg| Party {
        leg: LegId(leg),
        hears: Hears::Everybody,
    });
    call.mix(parties.collect());
    let _speaking: Vec<_> = phones[..3]
        .iter()
        .zip(PITCHES)
        .map(|(phone, hertz)| phone.speak(quiet(hertz)))
        .collect();
    let mix = heard(&phones[49]).await;
    for hertz in &PITCHES[..3] {
        assert!(amplitude(&mix, *hertz) > 1_500.0, "{hertz} is missing");
    }
    for phone in &phones {
        phone.listen(50).await;
    }
}

/// A caller in a room, in a call of his own.
struct Participant {
    call: CallMedia,
    phone: Phone,
}

/// So many callers in one room. Their calls take turns on the engine's threads.
async fn participants(engine: &media::MediaEngine, room: &Room, count: usize) -> Vec<Participant> {
    let mut participants = Vec::new();
    for number in 0..count {
        let (call, _) = engine.open_call();
        let codec = [Codec::Pcmu, Codec::Pcma][number % 2];
        let phone = Phone::join(&call, A, codec).await;
        assert!(call.enter_room(A, room));
        participants.push(Participant { call, phone });
    }
    participants
}

#[tokio::test]
async fn ten_calls_on_two_threads_meet_in_a_room() {
    let engine = engine_of(2, (32_000, 32_059));
    let room = Room::new();
    let participants = participants(&engine, &room, PITCHES.len()).await;
    let _speaking: Vec<_> = participants
        .iter()
        .zip(PITCHES)
        .map(|(who, hertz)| who.phone.speak(quiet(hertz)))
        .collect();
    for (listener, who) in participants.iter().enumerate() {
        let mix = heard(&who.phone).await;
        for (speaker, hertz) in PITCHES.into_iter().enumerate() {
            let level = amplitude(&mix, hertz);
            if speaker == listener {
                assert!(level < 100.0, "{listener} hears himself: {level}");
            } else {
                assert!(
                    (1_500.0..2_600.0).contains(&level),
                    "{listener} hears {speaker} at {level}"
                );
            }
        }
    }
    // Who leaves hears nobody and is heard by nobody.
    let (gone, left) = (&participants[0], &participants[1]);
    gone.call.leave_room(A);
    left.phone.drain().await;
    let mix = heard(&left.phone).await;
    assert!(amplitude(&mix, PITCHES[0]) < 100.0, "he left");
    assert!(amplitude(&mix, PITCHES[2]) > 1_500.0, "the others stay");
    assert_eq!(room.taken(), PITCHES.len() - 1);
}

#[tokio::test]
async fn a_room_of_fifty_calls_is_full_and_served_in_time() {
    let engine = engine_of(2, (32_100, 32_299));
    let room = Room::new();
    let participants = participants(&engine, &room, SEATS).await;
    let (late, _) = engine.open_call();
    let _phone = Phone::join(&late, A, Codec::Pcmu).await;
    assert!(!late.enter_room(A, &room), "the room is full");
    let _speaking: Vec<_> = participants[..3]
        .iter()
        .zip(PITCHES)
        .map(|(who, hertz)| who.phone.speak(quiet(hertz)))
        .collect();
    let mix = heard(&participants[SEATS - 1].phone).await;
    for hertz in &PITCHES[..3] {
        assert!(amplitude(&mix, *hertz) > 1_500.0, "{hertz} is missing");
    }
    for who in &participants {
        who.phone.listen(50).await;
    }
    drop(participants);
    while room.taken() > 0 {
        tokio::task::yield_now().await;
    }
}
