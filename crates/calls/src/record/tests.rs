//! Times to the millisecond, and calls whose server died.

use jiff::SignedDuration;
use model::{
    AgentId, CallEvent, CallFact, CallId, CallStep, Direction, GroupId, HangupCause, LegId,
    OfferEnd, OfferResult, QueueOutcome, RecordingId, RecordingKind, RecordingState, RingStrategy,
    TenantId, Timestamp,
};

use super::*;

const REC: RecordingId = RecordingId(101);

fn at(ms: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_millis(ms)
}

fn events(facts: Vec<(i64, CallFact)>) -> Vec<CallEvent> {
    let event = |(seq, (ms, fact))| CallEvent {
        seq,
        tenant: TenantId(1),
        call: CallId(1),
        at: at(ms),
        fact,
    };
    (1..).zip(facts).map(event).collect()
}

fn started() -> CallFact {
    CallFact::Started {
        uuid: "u".to_owned(),
        direction: Direction::Incoming,
        external: None,
        internal: None,
        number: None,
        contact: None,
        trunk: None,
        node: "n".to_owned(),
    }
}

fn joined() -> CallFact {
    CallFact::QueueJoined {
        group: GroupId(1),
        name: "Sales".to_owned(),
        strategy: RingStrategy::RingAll,
    }
}

fn offered(leg: u32) -> CallFact {
    let agent = AgentId(i64::from(leg));
    CallFact::OfferMade {
        leg: LegId(leg),
        agent,
        agent_name: format!("Agent {leg}"),
        group: GroupId(1),
        why: "free".to_owned(),
        offer: 1,
    }
}

/// A call until the conversation, of which two phones rang at once.
fn conversation() -> Vec<(i64, CallFact)> {
    vec![
        (0, started()),
        (3_000, joined()),
        (3_000, offered(2)),
        (3_000, offered(3)),
        (3_100, CallFact::LegRinging { leg: LegId(2) }),
        (3_300, CallFact::LegRinging { leg: LegId(3) }),
        (
            6_300,
            CallFact::OfferAnswered {
                leg: LegId(3),
                agent: AgentId(3),
            },
        ),
        (
            6_300,
            CallFact::QueueLeft {
                group: GroupId(1),
                outcome: QueueOutcome::Answered,
            },
        ),
        (
            6_300,
            CallFact::Bridged {
                a: LegId::FIRST,
                b: LegId(3),
            },
        ),
        (
            6_300,
            CallFact::RecordingStarted {
                recording: REC,
                kind: RecordingKind::Conversation,
            },
        ),
        (
            6_300,
            CallFact::OfferEnded {
                leg: LegId(2),
                agent: AgentId(2),
                reason: OfferEnd::Canceled,
            },
        ),
        (
            6_300,
            CallFact::LegEnded {
                leg: LegId(2),
                cause: HangupCause::AnsweredElsewhere,
            },
        ),
    ]
}

#[test]
fn times_are_exact_and_overlapping_rings_count_once() {
    let mut facts = conversation();
    facts.extend([
        (
            20_000,
            CallFact::LegEnded {
                leg: LegId::FIRST,
                cause: HangupCause::CallerHangup,
            },
        ),
        (
            20_000,
            CallFact::LegEnded {
                leg: LegId(3),
                cause: HangupCause::CallerHangup,
            },
        ),
        (
            20_000,
            CallFact::WrapUpStarted {
                agent: AgentId(3),
                seconds: 10,
            },
        ),
        (
            20_400,
            CallFact::RecordingStopped {
                recording: REC,
                duration_ms: 13_700,
                bytes: 9,
            },
        ),
        (
            20_400,
            CallFact::Ended {
                cause: HangupCause::CallerHangup,
            },
        ),
        (25_000, CallFact::WrapUpEnded { agent: AgentId(3) }),
    ]);
    let record = fold(&events(facts)).expect("was started");
    assert_eq!(
        (record.waiting_ms, record.ringing_ms, record.talking_ms),
        (3_300, 3_200, 13_700)
    );
    assert_eq!((record.total_ms, record.wrap_up_ms), (20_000, 5_000));
    assert_eq!(
        (record.answered_at, record.ended_at, record.agent),
        (Some(at(6_300)), Some(at(20_000)), Some(AgentId(3)))
    );
    let [CallStep::Queue(queue)] = record.steps.as_slice() else {
        panic!("one queue: {:?}", record.steps)
    };
    assert_eq!((queue.total_ms, queue.talking_ms), (17_000, 13_700));
    let offers: Vec<_> = queue
        .offers
        .iter()
        .map(|offer| {
            (
                offer.ringing_ms,
                offer.talking_ms,
                offer.total_ms,
                offer.result,
            )
        })
        .collect();
    let lost = Some(OfferResult::Missed(OfferEnd::Canceled));
    assert_eq!(
        offers,
        [
            (3_200, 0, 3_300, lost),
            (3_000, 13_700, 17_000, Some(OfferResult::Answered))
        ]
    );
}

#[test]
fn running_call_counts_up_to_its_last_fact() {
    let mut facts = conversation();
    facts.push((
        11_300,
        CallFact::RecordingCheckpoint {
            recording: REC,
            duration_ms: 5_000,
        },
    ));
    let record = fold(&events(facts)).expect("was started");
    assert_eq!(
        (record.talking_ms, record.total_ms, record.ended_at),
        (5_000, 11_300, None)
    );
    let recording = record.recording.expect("is recorded");
    assert_eq!(
        (recording.state, recording.duration_ms),
        (RecordingState::Running, 5_000)
    );
}

#[test]
fn lost_call_is_closed_when_it_was_last_known_to_live() {
    let before = events(conversation());
    assert_eq!(open_recordings(&before), [REC]);
    let recovered = [Recovered {
        recording: REC,
        kind: RecordingKind::Conversation,
        started_at: at(6_300),
        duration_ms: 8_000,
        bytes: 99,
    }];
    let closing = close_lost(&before, &recovered, at(9_000_000)).expect("is open");
    assert_eq!(closing.at, at(14_300));
    let mut facts: Vec<(i64, CallFact)> = conversation();
    facts.extend(closing.facts.into_iter().map(|fact| (14_300, fact)));
    let all = events(facts);
    let record = fold(&all).expect("was started");
    assert_eq!(
        (record.cause, record.talking_ms),
        (Some(HangupCause::NodeLost), 8_000)
    );
    assert_eq!(
        record.recording.map(|recording| recording.state),
        Some(RecordingState::Kept)
    );
    assert_eq!(
        close_lost(&all, &[], at(9_000_000)),
        None,
        "closing twice changes nothing"
    );
}

#[test]
fn a_recording_whose_fact_was_never_stored_is_told_from_its_beginning() {
    let told = |facts: &[(i64, CallFact)]| {
        facts
            .iter()
            .any(|(_, fact)| matches!(fact, CallFact::RecordingStarted { .. }))
    };
    let mut before = conversation();
    before.retain(|fact| !told(std::slice::from_ref(fact)));
    let found = Recovered {
        recording: REC,
        kind: RecordingKind::Conversation,
        started_at: at(6_400),
        duration_ms: 20_000,
        bytes: 99,
    };
    let left = events(before.clone());
    assert!(open_recordings(&left).is_empty() && told_recordings(&left).is_empty());
    let closing = close_lost(&left, std::slice::from_ref(&found), at(9_000_000)).expect("is open");
    assert_eq!(
        closing.at,
        at(26_400),
        "its last sample is the last sign of life"
    );
    before.extend(closing.facts.into_iter().map(|fact| (26_400, fact)));
    let all = events(before);
    let record = fold(&all).expect("was started");
    let recording = record.recording.expect("is told");
    assert_eq!(
        (recording.id, recording.state, recording.duration_ms),
        (REC, RecordingState::Kept, 20_000)
    );
    assert_eq!(close_lost(&all, &[found], at(9_000_000)), None);
}

#[test]
fn a_message_whose_fact_was_never_stored_is_a_message() {
    let before = events(conversation().into_iter().take(6).collect());
    let found = |duration_ms| Recovered {
        recording: REC,
        kind: RecordingKind::Voicemail,
        started_at: at(4_000),
        duration_ms,
        bytes: 99,
    };
    for (duration_ms, is_kept) in [(7_000, true), (1_000, false)] {
        let closing = close_lost(&before, &[found(duration_ms)], at(60_000)).expect("is open");
        assert!(closing.facts.contains(&CallFact::VoicemailLeft {
            recording: REC,
            duration_ms,
            kept: is_kept
        }));
    }
}

#[test]
fn lost_caller_in_a_queue_stops_waiting_and_a_lost_file_is_told() {
    let before = events(conversation().into_iter().take(6).collect());
    let closing = close_lost(&before, &[], at(60_000)).expect("is open");
    assert_eq!(closing.at, at(3_300));
    assert!(closing.facts.contains(&CallFact::QueueLeft {
        group: GroupId(1),
        outcome: QueueOutcome::Canceled
    }));
    assert_eq!(
        closing
            .facts
            .iter()
            .filter(|fact| matches!(fact, CallFact::LegEnded { .. }))
            .count(),
        3
    );
    assert_eq!(
        closing.facts.last(),
        Some(&CallFact::Ended {
            cause: HangupCause::NodeLost
        })
    );
    let closing = close_lost(&events(conversation()), &[], at(60_000)).expect("is open");
    assert!(
        closing
            .facts
            .iter()
            .any(|fact| matches!(fact, CallFact::RecordingFailed { duration_ms: 0, .. }))
    );
}

#[test]
fn facts_that_begin_in_the_middle_are_no_call() {
    assert_eq!(fold(&events(conversation())[1..]), None);
    assert_eq!(fold(&[]), None);
}

mod every_cut {
    use std::sync::Arc;

    use super::*;
    use crate::sim::{Act, Manner, World};

    /// Wherever the server dies, what is left can be closed and folded.
    #[test]
    fn call_can_be_lost_after_any_fact() {
        let flow = serde_json::json!({"id": 1, "start": "q", "steps": {
            "q": {"type": "queue", "group": 1, "max_wait_seconds": 20, "on_no_agents": "v", "on_timeout": "v"},
            "v": {"type": "voicemail", "prompt": {"type": "speech", "text": "Speak."}}
        }});
        let flow = Arc::new(serde_json::from_value(flow).expect("the flow is right"));
        for manner in [
            Manner::Ignores,
            Manner::Vanishes(5),
            Manner::Answers {
                after: 3,
                talks: Some(9),
            },
        ] {
            let mut world = World::new();
            let agent = world.agent(1, manner);
            world.group(1, RingStrategy::LongestIdle, &[agent]);
            let call = world.caller(&flow, &[(60_000, Act::HangUp)]);
            world.run_for(SignedDuration::from_secs(120));
            for cut in 1..=world.events(call).len() {
                let mut left = world.events(call)[..cut].to_vec();
                if let Some(closing) = close_lost(&left, &[], world.now) {
                    let event = |fact| CallEvent {
                        seq: 0,
                        tenant: TenantId(1),
                        call,
                        at: closing.at,
                        fact,
                    };
                    left.extend(closing.facts.into_iter().map(event));
                }
                let record = fold(&left).expect("was started");
                assert!(record.ended_at.is_some() && record.cause.is_some());
                assert_eq!(close_lost(&left, &[], world.now), None, "cut after {cut}");
                let ended = left
                    .iter()
                    .filter(|event| matches!(event.fact, CallFact::Ended { .. }))
                    .count();
                assert_eq!(ended, 1);
            }
        }
    }
}
