//! Calls in a small world, and calls under a hail of random inputs.

use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use model::{
    AgentId, CallFact, CallId, DigitVia, Direction, FlowId, GroupId, HangupCause, LegId,
    MonitorMode, OfferEnd, OfferResult, QueueOutcome, RecordingId, RecordingKind, RecordingState,
    RingStrategy, Timestamp,
};
use proptest::prelude::*;

use super::*;
use crate::{
    acd::{self, Offer, OfferId},
    flow::{Flow, Prompt, Step},
    recording,
    sim::{Act, Manner, World},
};

fn flow() -> Arc<Flow> {
    let json = serde_json::json!({
        "id": 1, "start": "menu",
        "steps": {
            "menu": {"type": "menu", "prompt": {"type": "speech", "text": "Press 1 or 2."},
                     "keys": {"1": "sales", "2": "sales2", "*": "round"}, "retries": 1, "on_no_input": "bye"},
            "sales": {"type": "queue", "group": 1, "max_wait_seconds": 40, "on_no_agents": "mailbox", "on_timeout": "mailbox"},
            "sales2": {"type": "queue", "group": 2, "max_wait_seconds": 0, "on_timeout": "bye"},
            "mailbox": {"type": "voicemail", "prompt": {"type": "speech", "text": "Speak."}, "max_seconds": 30},
            "round": {"type": "goto", "target": "round"},
            "bye": {"type": "end", "prompt": {"type": "sound", "name": "bye"}}
        }
    });
    Arc::new(serde_json::from_value(json).expect("the flow is right"))
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// A world with one group of agents of these manners.
fn world(strategy: RingStrategy, manners: &[Manner]) -> World {
    let mut world = World::new();
    let agents: Vec<AgentId> = (1..)
        .zip(manners)
        .map(|(id, manner)| world.agent(id, *manner))
        .collect();
    world.group(1, strategy, &agents);
    world
}

fn offers_of(world: &World, call: CallId) -> Vec<(AgentId, Option<OfferResult>)> {
    let record = world.record(call);
    let queues = record.steps.iter().filter_map(|step| match step {
        model::CallStep::Queue(queue) => Some(queue),
        _ => None,
    });
    queues
        .flat_map(|queue| &queue.offers)
        .map(|offer| (offer.agent, offer.result))
        .collect()
}

fn outcome(world: &World, call: CallId) -> Option<QueueOutcome> {
    world.facts(call).into_iter().find_map(|fact| match fact {
        CallFact::QueueLeft { outcome, .. } => Some(outcome),
        _ => None,
    })
}

/// What must hold for the facts of any call that is over.
fn assert_whole(facts: &[CallFact]) {
    let count =
        |wanted: &dyn Fn(&CallFact) -> bool| facts.iter().filter(|fact| wanted(fact)).count();
    assert!(
        matches!(facts[0], CallFact::Started { .. }),
        "begins with {:?}",
        facts[0]
    );
    assert_eq!(count(&|fact| matches!(fact, CallFact::Started { .. })), 1);
    assert_eq!(
        count(&|fact| matches!(fact, CallFact::Ended { .. })),
        1,
        "ends: {facts:#?}"
    );
    let end = facts
        .iter()
        .position(|fact| matches!(fact, CallFact::Ended { .. }))
        .expect("just counted");
    for fact in &facts[end + 1..] {
        assert!(
            matches!(fact, CallFact::WrapUpEnded { .. }),
            "{fact:?} after the end"
        );
    }
    let mut legs = vec![LegId::FIRST];
    legs.extend(facts.iter().filter_map(|fact| match fact {
        CallFact::OfferMade { leg, .. } => Some(*leg),
        _ => None,
    }));
    for leg in legs {
        let ends =
            count(&|fact| matches!(fact, CallFact::LegEnded { leg: ended, .. } if *ended == leg));
        assert_eq!(ends, 1, "leg {leg} ended {ends} times: {facts:#?}");
        if leg != LegId::FIRST {
            let results = count(
                &|fact| matches!(fact, CallFact::OfferAnswered { leg: of, .. } | CallFact::OfferEnded { leg: of, .. } if *of == leg),
            );
            assert_eq!(
                results, 1,
                "the offer of leg {leg} came out {results} times: {facts:#?}"
            );
        }
    }
    for leg in facts.iter().filter_map(|fact| match fact {
        CallFact::MonitorOffered { leg, .. } => Some(*leg),
        _ => None,
    }) {
        let ends =
            count(&|fact| matches!(fact, CallFact::LegEnded { leg: ended, .. } if *ended == leg));
        assert_eq!(ends, 1, "leg {leg} ended {ends} times: {facts:#?}");
    }
    let joined = count(&|fact| matches!(fact, CallFact::QueueJoined { .. }));
    assert_eq!(
        joined,
        count(&|fact| matches!(fact, CallFact::QueueLeft { .. })),
        "queues: {facts:#?}"
    );
    let winners = count(&|fact| matches!(fact, CallFact::OfferAnswered { .. }));
    assert_eq!(
        winners,
        count(&|fact| matches!(fact, CallFact::Bridged { .. }))
    );
    assert!(
        winners <= joined,
        "more than one winner in a queue: {facts:#?}"
    );
    let started = count(&|fact| matches!(fact, CallFact::RecordingStarted { .. }));
    let over = count(&|fact| {
        matches!(
            fact,
            CallFact::RecordingStopped { .. } | CallFact::RecordingFailed { .. }
        )
    });
    assert_eq!(started, over, "recordings: {facts:#?}");
    let messages = count(&|fact| {
        matches!(
            fact,
            CallFact::RecordingStarted {
                kind: RecordingKind::Voicemail,
                ..
            }
        )
    });
    assert_eq!(
        messages,
        count(&|fact| matches!(fact, CallFact::VoicemailLeft { .. })),
        "messages: {facts:#?}"
    );
    let wrap_ups = count(&|fact| matches!(fact, CallFact::WrapUpStarted { .. }));
    assert_eq!(
        wrap_ups,
        count(&|fact| matches!(fact, CallFact::WrapUpEnded { .. })),
        "wrap-ups: {facts:#?}"
    );
}

#[test]
fn caller_presses_a_key_and_talks_with_an_agent() {
    let mut world = world(
        RingStrategy::LongestIdle,
        &[Manner::Answers {
            after: 4,
            talks: Some(60),
        }],
    );
    world.run_for(seconds(100));
    let call = world.caller(&flow(), &[(3_000, Act::Press('1'))]);
    world.run_for(seconds(120));
    assert_whole(&world.facts(call));
    let record = world.record(call);
    assert_eq!(record.cause, Some(HangupCause::AgentHangup));
    assert_eq!(
        (record.waiting_ms, record.ringing_ms, record.talking_ms),
        (4_050, 4_000, 60_000)
    );
    assert_eq!(record.total_ms, 3_000 + 4_050 + 60_000);
    assert_eq!(record.wrap_up_ms, 10_000);
    assert_eq!(record.agent, Some(AgentId(1)));
    let recording = record.recording.expect("the conversation was recorded");
    assert_eq!(
        (recording.kind, recording.state, recording.duration_ms),
        (RecordingKind::Conversation, RecordingState::Kept, 60_000)
    );
    assert_eq!(recording.id, RecordingId(101));
    let channels = world.log.iter().find_map(|(_, _, output)| match output {
        Output::StartRecording { left, right, .. } => Some((*left, *right)),
        _ => None,
    });
    assert_eq!(
        channels,
        Some((LegId::FIRST, Some(LegId(2)))),
        "customer left, agent right"
    );
    assert!(world.running().is_empty());
}

#[test]
fn caller_hangs_up_in_conversation() {
    let mut world = world(
        RingStrategy::LongestIdle,
        &[Manner::Answers {
            after: 1,
            talks: None,
        }],
    );
    let call = world.caller(&flow(), &[(1_000, Act::Press('1')), (20_000, Act::HangUp)]);
    world.run_for(seconds(60));
    assert_whole(&world.facts(call));
    assert_eq!(world.record(call).cause, Some(HangupCause::CallerHangup));
    assert!(
        world.phones_in_use().is_empty(),
        "the agent's phone was hung up"
    );
}

#[test]
fn key_cuts_the_prompt_short() {
    let mut world = world(RingStrategy::LongestIdle, &[Manner::Ignores]);
    let call = world.caller(&flow(), &[(500, Act::Press('1'))]);
    world.run_for(seconds(1));
    assert!(
        world
            .facts(call)
            .iter()
            .any(|fact| matches!(fact, CallFact::QueueJoined { .. }))
    );
}

#[test]
fn nobody_online_leads_to_voicemail_at_once() {
    let mut world = world(RingStrategy::LongestIdle, &[Manner::Ignores]);
    world.tell(acd::Fact::DevicesChanged {
        agent: AgentId(1),
        registered: 0,
    });
    let call = world.caller(&flow(), &[(1_000, Act::Press('1')), (15_000, Act::HangUp)]);
    world.run_for(seconds(60));
    assert_whole(&world.facts(call));
    assert_eq!(outcome(&world, call), Some(QueueOutcome::NoAgentsOnline));
    let record = world.record(call);
    assert!(record.is_voicemail && !record.is_answered());
    // The key at 1 s, the greeting until 3 s, the beep until 5 s.
    assert_eq!(
        record.recording.map(|recording| recording.duration_ms),
        Some(10_000)
    );
    assert_eq!(record.cause, Some(HangupCause::CallerHangup));
    assert_eq!(record.total_ms, 15_000);
}

#[test]
fn hash_ends_a_message_and_short_ones_are_dropped() {
    for (stop_at, kept) in [(9_000, true), (6_900, false)] {
        let mut world = world(RingStrategy::LongestIdle, &[]);
        let call = world.caller(
            &flow(),
            &[(1_000, Act::Press('1')), (stop_at, Act::Press('#'))],
        );
        world.run_for(seconds(60));
        let facts = world.facts(call);
        assert_whole(&facts);
        let left = facts.iter().find_map(|fact| match fact {
            CallFact::VoicemailLeft { kept, .. } => Some(*kept),
            _ => None,
        });
        assert_eq!(left, Some(kept));
        let discards = world
            .log
            .iter()
            .filter(|(_, _, output)| matches!(output, Output::DiscardRecording { .. }))
            .count();
        assert_eq!(discards, usize::from(!kept));
        assert_eq!(world.record(call).is_voicemail, kept);
        assert_eq!(world.record(call).cause, Some(HangupCause::FlowEnded));
    }
}

#[test]
fn message_ends_at_its_longest() {
    let mut world = world(RingStrategy::LongestIdle, &[]);
    let call = world.caller(&flow(), &[(1_000, Act::Press('1'))]);
    world.run_for(seconds(100));
    assert_whole(&world.facts(call));
    assert_eq!(
        world
            .record(call)
            .recording
            .map(|recording| recording.duration_ms),
        Some(30_000)
    );
}

#[test]
fn nobody_picks_up_and_the_caller_reaches_the_mailbox() {
    let mut world = world(
        RingStrategy::RoundRobin,
        &[Manner::Ignores, Manner::Ignores],
    );
    let call = world.caller(&flow(), &[(1_000, Act::Press('1')), (50_000, Act::HangUp)]);
    world.run_for(seconds(90));
    assert_whole(&world.facts(call));
    assert_eq!(outcome(&world, call), Some(QueueOutcome::NoAgentsPickedUp));
    let missed = Some(OfferResult::Missed(OfferEnd::NotPickedUp));
    assert_eq!(
        offers_of(&world, call),
        [
            (AgentId(1), missed),
            (AgentId(2), missed),
            (AgentId(1), missed)
        ]
    );
    assert!(world.record(call).is_voicemail);
}

#[test]
fn caller_gives_up_while_it_rings() {
    let mut world = world(RingStrategy::LongestIdle, &[Manner::Ignores]);
    let call = world.caller(&flow(), &[(1_000, Act::Press('1')), (5_000, Act::HangUp)]);
    world.run_for(seconds(5));
    assert!(world.phones_in_use().is_empty(), "the phone stops at once");
    world.run_for(seconds(10));
    assert_whole(&world.facts(call));
    let record = world.record(call);
    assert_eq!(record.cause, Some(HangupCause::CallerCanceled));
    assert!(!record.is_answered());
    assert_eq!(record.waiting_ms, 4_000);
    assert_eq!(outcome(&world, call), Some(QueueOutcome::Canceled));
    assert_eq!(
        offers_of(&world, call),
        [(AgentId(1), Some(OfferResult::Missed(OfferEnd::Canceled)))]
    );
}

#[test]
fn ring_all_has_one_winner_and_stops_the_others() {
    let manner = Manner::Answers {
        after: 3,
        talks: Some(5),
    };
    let mut world = world(RingStrategy::RingAll, &[manner, manner, Manner::Ignores]);
    let call = world.caller(&flow(), &[(1_000, Act::Press('1'))]);
    world.run_for(seconds(60));
    let facts = world.facts(call);
    assert_whole(&facts);
    let lost = |fact: &&CallFact| {
        matches!(
            fact,
            CallFact::LegEnded {
                cause: HangupCause::AnsweredElsewhere,
                ..
            }
        )
    };
    assert_eq!(facts.iter().filter(lost).count(), 2);
    let results: Vec<_> = offers_of(&world, call)
        .into_iter()
        .map(|(_, result)| result)
        .collect();
    let canceled = Some(OfferResult::Missed(OfferEnd::Canceled));
    assert_eq!(results, [Some(OfferResult::Answered), canceled, canceled]);
}

#[test]
fn rejected_call_goes_to_the_next_agent() {
    let answers = Manner::Answers {
        after: 1,
        talks: Some(5),
    };
    let mut world = world(
        RingStrategy::LongestIdle,
        &[Manner::Refuses(HangupCause::Rejected), answers],
    );
    let call = world.caller(&flow(), &[(1_000, Act::Press('1'))]);
    world.run_for(seconds(60));
    assert_whole(&world.facts(call));
    let results = [
        (AgentId(1), Some(OfferResult::Missed(OfferEnd::Rejected))),
        (AgentId(2), Some(OfferResult::Answered)),
    ];
    assert_eq!(offers_of(&world, call), results);
}

#[test]
fn menu_asks_again_and_then_goes_on_without_a_key() {
    let mut world = world(RingStrategy::LongestIdle, &[]);
    let call = world.caller(&flow(), &[(1_000, Act::Press('9'))]);
    world.run_for(seconds(60));
    let facts = world.facts(call);
    assert_whole(&facts);
    assert!(facts.contains(&CallFact::MenuLeft {
        step: "menu".to_owned(),
        key: None
    }));
    let record = world.record(call);
    assert_eq!(record.cause, Some(HangupCause::FlowEnded));
    // Wrong key at 1 s, prompt until 3 s, five seconds of waiting, the last prompt of two.
    assert_eq!(record.total_ms, 10_000);
}

#[test]
fn loop_of_jumps_ends_the_call() {
    let mut world = world(RingStrategy::LongestIdle, &[]);
    let call = world.caller(&flow(), &[(1_000, Act::Press('*'))]);
    world.run_for(seconds(2));
    assert_whole(&world.facts(call));
    assert_eq!(world.record(call).cause, Some(HangupCause::FlowEnded));
}

#[test]
fn broken_phone_of_an_agent_does_not_lose_the_customer() {
    let mut world = world(RingStrategy::LongestIdle, &[Manner::Vanishes(10)]);
    let call = world.caller(&flow(), &[(1_000, Act::Press('1')), (40_000, Act::HangUp)]);
    world.run_for(seconds(90));
    assert_whole(&world.facts(call));
    let record = world.record(call);
    assert!(record.is_answered() && record.is_voicemail);
    assert_eq!(record.talking_ms, 10_000);
    assert_eq!(
        record.recording.map(|recording| recording.kind),
        Some(RecordingKind::Conversation)
    );
}

#[test]
fn agent_who_goes_offline_stops_ringing() {
    let mut world = world(
        RingStrategy::LongestIdle,
        &[Manner::Ignores, Manner::Ignores],
    );
    let call = world.caller(&flow(), &[(1_000, Act::Press('1'))]);
    world.run_for(seconds(4));
    assert_eq!(world.phones_in_use(), [(AgentId(1), call)]);
    world.tell(acd::Fact::AvailabilityChanged {
        agent: AgentId(1),
        availability: model::Availability::Offline,
    });
    assert_eq!(world.phones_in_use(), [(AgentId(2), call)]);
}

#[test]
fn number_without_routing_says_so() {
    let now = Timestamp::UNIX_EPOCH;
    let (mut call, _) = Call::not_routed(new_call(), Prompt::speech("Not in service.", "en"), now);
    let outputs = call.handle(now, Input::Connected { leg: LegId::FIRST });
    let playback = outputs.iter().find_map(|output| match output {
        Output::Play { playback, .. } => Some(*playback),
        _ => None,
    });
    let outputs = call.handle(
        now,
        Input::PlaybackFinished {
            leg: LegId::FIRST,
            playback: playback.expect("says so"),
        },
    );
    assert!(
        outputs.contains(&Output::Record(CallFact::Ended {
            cause: HangupCause::NotRouted
        })),
        "{outputs:?}"
    );
    assert_eq!(outputs.last(), Some(&Output::Finished));
}

#[test]
fn conversation_goes_on_when_its_recording_fails() {
    let mut world = world(
        RingStrategy::LongestIdle,
        &[Manner::Answers {
            after: 1,
            talks: Some(60),
        }],
    );
    let call = world.caller(&flow(), &[(1_000, Act::Press('1'))]);
    world.run_for(seconds(20));
    let reason = "no space left on the disk".to_owned();
    world.input(
        call,
        Input::RecordingFailed {
            recording: recording_id(call, 1),
            reason: reason.clone(),
            duration_ms: 7_000,
        },
    );
    world.run_for(seconds(100));
    assert_whole(&world.facts(call));
    let record = world.record(call);
    assert_eq!(record.talking_ms, 60_000);
    assert_eq!(
        record.recording.map(|recording| recording.state),
        Some(RecordingState::Failed { reason })
    );
}

#[test]
fn recorder_that_never_closes_does_not_keep_the_call_open() {
    let (mut call, mut now) = talking();
    let mut facts = facts(call.handle(now, Input::LegHungUp { leg: LegId::FIRST }));
    assert!(
        !facts
            .iter()
            .any(|fact| matches!(fact, CallFact::Ended { .. }))
    );
    for _ in 0..3 {
        let Some(deadline) = call.next_deadline() else {
            break;
        };
        now = deadline;
        facts.extend(self::facts(call.on_time(now)));
    }
    assert!(
        facts
            .iter()
            .any(|fact| matches!(fact, CallFact::RecordingFailed { .. }))
    );
    assert!(facts.contains(&CallFact::Ended {
        cause: HangupCause::CallerHangup
    }));
    assert!(
        call.is_finished(),
        "and neither does a wrap-up of which nothing is heard"
    );
}

#[test]
fn answer_that_crosses_the_callers_hang_up_is_ignored() {
    let (mut call, now) = ringing(new_call());
    let _ = call.handle(now, Input::LegHungUp { leg: LegId::FIRST });
    assert_eq!(call.handle(now, Input::LegAnswered { leg: LegId(2) }), []);
    assert_eq!(
        call.handle(
            now,
            Input::LegFailed {
                leg: LegId(2),
                cause: HangupCause::CallerCanceled
            }
        ),
        []
    );
}

#[test]
fn digits_of_a_conversation_are_not_put_on_record() {
    let (mut call, now) = talking();
    let outputs = call.handle(
        now,
        Input::Digit {
            leg: LegId::FIRST,
            digit: '4',
            via: DigitVia::Rfc4733,
        },
    );
    assert_eq!(outputs, []);
}

#[test]
fn offer_that_comes_too_late_is_given_back() {
    let (mut call, now) = talking();
    let outputs = call.handle(now, Input::Offered(offer(9, 3)));
    assert_eq!(
        outputs,
        [Output::OfferEnded {
            offer: OfferId(9),
            reason: OfferEnd::Canceled
        }]
    );
}

#[test]
fn facts_come_before_commands() {
    let (mut call, now) = ringing(new_call());
    let outputs = call.handle(now, Input::LegAnswered { leg: LegId(2) });
    let first_command = outputs
        .iter()
        .position(|output| !matches!(output, Output::Record(_)))
        .expect("bridges");
    assert!(
        outputs[first_command..]
            .iter()
            .all(|output| !matches!(output, Output::Record(_)))
    );
}

fn new_call() -> NewCall {
    let info = GroupInfo {
        name: "Sales".to_owned(),
        strategy: RingStrategy::RingAll,
    };
    NewCall {
        id: CallId(1),
        uuid: "u".to_owned(),
        direction: Direction::Incoming,
        agent: None,
        external: None,
        internal: None,
        number: None,
        contact: None,
        trunk: None,
        node: "n".to_owned(),
        groups: Arc::new(BTreeMap::from([
            (GroupId(1), info.clone()),
            (GroupId(2), info),
        ])),
        rooms: Arc::default(),
        recording: Arc::default(),
    }
}

fn offer(offer: u64, agent: i64) -> Offer {
    Offer {
        offer: OfferId(offer),
        call: CallId(1),
        group: GroupId(1),
        agent: AgentId(agent),
        agent_name: format!("Agent {agent}"),
        ring_for: seconds(15),
        wrap_up_seconds: 10,
        why: "only free agent in Sales".to_owned(),
    }
}

fn facts(outputs: Vec<Output>) -> Vec<CallFact> {
    let fact = |output| match output {
        Output::Record(fact) => Some(fact),
        _ => None,
    };
    outputs.into_iter().filter_map(fact).collect()
}

fn ringing(new: NewCall) -> (Call, Timestamp) {
    let now = Timestamp::UNIX_EPOCH;
    let (mut call, _) = Call::incoming(new, flow(), now);
    for input in [
        Input::Connected { leg: LegId::FIRST },
        Input::Digit {
            leg: LegId::FIRST,
            digit: '1',
            via: DigitVia::Info,
        },
        Input::Offered(offer(1, 1)),
    ] {
        let _ = call.handle(now, input);
    }
    (call, now)
}

fn talking() -> (Call, Timestamp) {
    talking_with(Arc::default())
}

fn talking_with(recording: Arc<recording::Policy>) -> (Call, Timestamp) {
    let (mut call, now) = ringing(NewCall {
        recording,
        ..new_call()
    });
    let _ = call.handle(now, Input::LegAnswered { leg: LegId(2) });
    (call, now)
}

#[test]
fn recording_is_switched_off_and_on_and_begins_where_the_rules_had_none() {
    let (mut call, now) = talking();
    let recording = RecordingId(101);
    let off = call.handle(now, Input::SwitchRecording { on: false });
    assert_eq!(
        off,
        [
            Output::Record(CallFact::RecordingPaused { recording }),
            Output::PauseRecording { recording }
        ]
    );
    assert_eq!(call.handle(now, Input::SwitchRecording { on: false }), []);
    let on = call.handle(now, Input::SwitchRecording { on: true });
    assert_eq!(on.last(), Some(&Output::ResumeRecording { recording }));

    let policy = recording::Policy {
        company: recording::Switches {
            incoming: false,
            ..recording::Switches::default()
        },
        ..recording::Policy::default()
    };
    let (mut call, now) = talking_with(Arc::new(policy));
    assert_eq!(call.handle(now, Input::SwitchRecording { on: false }), []);
    let on = call.handle(now, Input::SwitchRecording { on: true });
    assert!(
        matches!(on.last(), Some(Output::StartRecording { .. })),
        "{on:?}"
    );
}

#[test]
fn a_step_of_the_flow_decides_before_the_company() {
    let step = |on| {
        Step::Recording(crate::flow::Recording {
            name: String::new(),
            on,
            next: Some("sales".to_owned()),
        })
    };
    let mut steps = flow().steps.clone();
    steps.retain(|key, _| ["sales", "mailbox"].contains(&key.as_str()));
    steps.insert("off".to_owned(), step(false));
    let flow = Flow {
        id: model::FlowId(1),
        start: "off".to_owned(),
        steps,
    };
    assert!(
        flow.validate()
            .iter()
            .all(|problem| problem.severity() == crate::flow::Severity::Warning)
    );
    let mut world = world(
        RingStrategy::LongestIdle,
        &[Manner::Answers {
            after: 2,
            talks: Some(10),
        }],
    );
    let call = world.caller(&Arc::new(flow), &[]);
    world.run_for(seconds(30));
    let record = world.record(call);
    assert!(record.is_answered());
    assert_eq!(record.recording, None);
    assert_eq!(record.not_recorded, Some(model::RecordingRule::Flow));
}

#[test]
fn the_customer_hears_music_while_the_agent_holds_and_it_counts_as_holding() {
    let (mut call, now) = talking();
    let leg = LegId(2);
    let held = call.handle(now, Input::Held { leg });
    assert!(matches!(
        held.as_slice(),
        [
            Output::Record(CallFact::LegHeld { .. }),
            Output::Play {
                leg: LegId::FIRST,
                repeat: true,
                ..
            }
        ]
    ));
    assert_eq!(call.handle(now, Input::Held { leg }), []);
    let back = call.handle(now + seconds(7), Input::Retrieved { leg });
    assert_eq!(
        back,
        [
            Output::Record(CallFact::LegRetrieved { leg }),
            Output::StopPlaying { leg: LegId::FIRST }
        ]
    );
    // A customer's own hold is his telephone's affair.
    let customer = Input::Held { leg: LegId::FIRST };
    assert_eq!(call.handle(now, customer), []);
}

#[test]
fn a_supervisor_listens_whispers_and_leaves_the_conversation_alone() {
    let (mut call, now) = talking();
    let supervisor = AgentId(9);
    let listen = Input::Monitor {
        agent: supervisor,
        mode: MonitorMode::Listen,
    };
    let rung = call.handle(now, listen.clone());
    let leg = LegId(3);
    assert!(matches!(rung.last(), Some(Output::Dial { leg: dialled, .. }) if *dialled == leg));
    let joined = call.handle(now, Input::LegAnswered { leg });
    let mixed = |mode| Output::Monitor {
        customer: LegId::FIRST,
        agent: LegId(2),
        supervisor: leg,
        mode,
    };
    assert_eq!(joined.last(), Some(&mixed(MonitorMode::Listen)));
    let whisper = Input::Monitor {
        agent: supervisor,
        mode: MonitorMode::Whisper,
    };
    assert_eq!(
        call.handle(now, whisper).last(),
        Some(&mixed(MonitorMode::Whisper))
    );
    // One at a time, and nobody listens in on himself.
    for agent in [AgentId(8), AgentId(1)] {
        let mode = MonitorMode::Barge;
        assert_eq!(call.handle(now, Input::Monitor { agent, mode }), []);
    }
    let left = call.handle(now, Input::LegHungUp { leg });
    assert_eq!(
        left,
        [
            Output::Record(CallFact::LegEnded {
                leg,
                cause: HangupCause::AgentHangup
            }),
            Output::Bridge {
                a: LegId::FIRST,
                b: LegId(2)
            }
        ]
    );
    // One whose phone is not picked up is given up, and one who is there goes with the conversation.
    let _ = call.handle(now, listen);
    let late = call.on_time(now + seconds(31));
    assert!(late.contains(&Output::HangUp {
        leg: LegId(4),
        cause: HangupCause::NoAnswer
    }));
}

#[test]
fn the_echo_test_lets_the_caller_hear_himself_and_tells_the_result() {
    let echo = crate::flow::Echo {
        name: String::new(),
        prompt: Prompt::echo(),
        seconds: 10,
        next: None,
    };
    let flow = Flow {
        id: model::FlowId(1),
        start: "echo".to_owned(),
        steps: [("echo".to_owned(), Step::Echo(echo))].into(),
    };
    let now = Timestamp::UNIX_EPOCH;
    let (mut call, _) = Call::incoming(new_call(), Arc::new(flow), now);
    let _ = call.handle(now, Input::Connected { leg: LegId::FIRST });
    let played = |playback| Input::PlaybackFinished {
        leg: LegId::FIRST,
        playback: PlaybackId(playback),
    };
    let echo = call.handle(now, played(1));
    assert_eq!(echo, [Output::Echo { leg: LegId::FIRST }]);
    assert_eq!(call.next_deadline(), Some(now + seconds(10)));
    let told = call.on_time(now + seconds(10));
    assert!(matches!(
        told.as_slice(),
        [Output::Unbridge { .. }, Output::TellQuality { .. }]
    ));
    let over = call.handle(now, played(2));
    assert_eq!(over.last(), Some(&Output::Finished));
}

fn any_cause() -> impl Strategy<Value = HangupCause> {
    prop_oneof![
        Just(HangupCause::Busy),
        Just(HangupCause::Rejected),
        Just(HangupCause::NoAnswer),
        Just(HangupCause::SignallingFailed),
        Just(HangupCause::MediaFailed),
    ]
}

fn any_mode() -> impl Strategy<Value = MonitorMode> {
    prop_oneof![
        Just(MonitorMode::Listen),
        Just(MonitorMode::Whisper),
        Just(MonitorMode::Barge)
    ]
}

fn any_input() -> impl Strategy<Value = Input> {
    let leg = || (1_u32..6).prop_map(LegId);
    let agent = || (1_i64..5).prop_map(AgentId);
    let recording = || (1_u8..4).prop_map(|n| recording_id(CallId(1), n));
    let key = prop_oneof![
        Just('1'),
        Just('2'),
        Just('*'),
        Just('#'),
        Just('9'),
        Just('x')
    ];
    prop_oneof![
        3 => Just(Input::Connected { leg: LegId::FIRST }),
        6 => key.prop_map(|digit| Input::Digit { leg: LegId::FIRST, digit, via: DigitVia::Inband }),
        6 => (1_u32..12).prop_map(|n| Input::PlaybackFinished { leg: LegId::FIRST, playback: PlaybackId(n) }),
        8 => (1_u64..9, 1_i64..5).prop_map(|(id, agent)| Input::Offered(offer(id, agent))),
        2 => (1_u64..9).prop_map(|id| Input::OfferWithdrawn { offer: OfferId(id), reason: OfferEnd::Unavailable }),
        1 => Just(Input::QueueExhausted { group: GroupId(1), outcome: QueueOutcome::NoAgentsOnline }),
        4 => leg().prop_map(|leg| Input::LegRinging { leg }),
        4 => leg().prop_map(|leg| Input::LegAnswered { leg }),
        3 => (leg(), any_cause()).prop_map(|(leg, cause)| Input::LegFailed { leg, cause }),
        2 => leg().prop_map(|leg| Input::LegHungUp { leg }),
        2 => recording().prop_map(|recording| Input::RecordingCheckpoint { recording, duration_ms: 5_000 }),
        2 => recording().prop_map(|recording| Input::RecordingStopped { recording, duration_ms: 2_500, bytes: 9 }),
        2 => recording().prop_map(|recording| Input::RecordingFailed { recording, reason: "full".to_owned(), duration_ms: 10 }),
        2 => any::<bool>().prop_map(|on| Input::SwitchRecording { on }),
        2 => (1_i64..6, any_mode()).prop_map(|(agent, mode)| Input::Monitor { agent: AgentId(agent), mode }),
        2 => leg().prop_map(|leg| Input::Held { leg }),
        2 => leg().prop_map(|leg| Input::Retrieved { leg }),
        1 => leg().prop_map(|leg| Input::AudioMissing { leg, reason: model::NoAudio::Stopped }),
        1 => leg().prop_map(|leg| Input::AudioBack { leg }),
        1 => Just(Input::End { cause: HangupCause::OperatorEnded }),
        1 => agent().prop_map(|agent| Input::WrapUpEnded { agent }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever comes, in whatever order: the call ends once, and so does every leg.
    #[test]
    fn call_is_whole_after_any_inputs(inputs in prop::collection::vec((any_input(), 0_i64..20), 0..60)) {
        let mut now = Timestamp::UNIX_EPOCH;
        let (mut call, outputs) = Call::incoming(new_call(), flow(), now);
        let mut seen = outputs;
        for (input, wait) in inputs {
            now += seconds(wait);
            seen.extend(call.handle(now, input));
            if wait % 3 == 0 {
                seen.extend(call.on_time(now));
            }
        }
        // Nobody does anything any more: timers alone must bring the call home.
        seen.extend(call.handle(now, Input::LegHungUp { leg: LegId::FIRST }));
        while let Some(deadline) = call.next_deadline() {
            now = now.max(deadline);
            seen.extend(call.on_time(now));
        }
        prop_assert!(call.is_finished());
        let finished = seen.iter().filter(|output| matches!(output, Output::Finished)).count();
        prop_assert_eq!(finished, 1);
        prop_assert_eq!(seen.last(), Some(&Output::Finished));
        assert_whole(&facts(seen));
    }
}

fn any_manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        (0_u32..20, prop::option::of(1_u32..40))
            .prop_map(|(after, talks)| Manner::Answers { after, talks }),
        Just(Manner::Ignores),
        any_cause().prop_map(Manner::Refuses),
        (1_u32..20).prop_map(Manner::Vanishes),
    ]
}

fn any_strategy() -> impl Strategy<Value = RingStrategy> {
    prop_oneof![
        Just(RingStrategy::RingAll),
        Just(RingStrategy::RoundRobin),
        Just(RingStrategy::Random),
        Just(RingStrategy::LongestIdle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Calls and ACD together, messages in any order: no phone is used twice, nothing stays behind.
    #[test]
    fn world_comes_to_rest(
        strategies in (any_strategy(), any_strategy()),
        manners in prop::collection::vec(any_manner(), 1..5),
        callers in prop::collection::vec((0_i64..30, prop::option::of(2_000_u32..90_000)), 1..8),
        switches in prop::collection::vec((0_i64..90, 1_i64..5, 0_u8..4), 0..12),
        seed in any::<u64>(),
    ) {
        let mut world = World::new();
        world.shuffle(seed);
        let agents: Vec<AgentId> = (1..).zip(&manners).map(|(id, manner)| world.agent(id, *manner)).collect();
        world.group(1, strategies.0, &agents);
        world.group(2, strategies.1, &agents[..1]);
        for (wait, agent, what) in switches {
            let agent = AgentId(agent);
            world.tell_after(seconds(wait), match what {
                0 => acd::Fact::AvailabilityChanged { agent, availability: model::Availability::Offline },
                1 => acd::Fact::AvailabilityChanged { agent, availability: model::Availability::Online },
                2 => acd::Fact::DevicesChanged { agent, registered: 0 },
                _ => acd::Fact::DevicesChanged { agent, registered: 1 },
            });
        }
        let mut calls = Vec::new();
        for (wait, gives_up) in callers {
            world.run_for(seconds(wait));
            let mut acts = vec![(1_000, Act::Press('1'))];
            acts.extend(gives_up.map(|after| (after, Act::HangUp)));
            acts.push((400_000, Act::HangUp));
            calls.push(world.caller(&flow(), &acts));
        }
        for _ in 0..800 {
            world.run_for(seconds(1));
            let mut used: Vec<AgentId> = world.phones_in_use().into_iter().map(|(agent, _)| agent).collect();
            let phones = used.len();
            used.sort_unstable();
            used.dedup();
            prop_assert_eq!(used.len(), phones, "one phone in two calls");
        }
        prop_assert_eq!(world.running(), []);
        prop_assert_eq!(world.phones_in_use(), []);
        for agent in agents {
            let state = world.acd.agent_state(agent);
            prop_assert!(matches!(state, Some(model::AgentState::Available | model::AgentState::Away)), "{agent} is {state:?}");
        }
        for call in calls {
            assert_whole(&world.facts(call));
        }
    }
}

#[test]
fn unknown_flow_start_ends_the_call() {
    let now = Timestamp::UNIX_EPOCH;
    let flow = Flow {
        id: FlowId(1),
        start: "nowhere".to_owned(),
        steps: BTreeMap::new(),
    };
    let (mut call, _) = Call::incoming(new_call(), Arc::new(flow), now);
    let outputs = call.handle(now, Input::Connected { leg: LegId::FIRST });
    assert!(outputs.contains(&Output::Record(CallFact::Ended {
        cause: HangupCause::FlowEnded
    })));
}
