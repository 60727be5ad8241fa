//! Transfers in a small world, and calls that are passed on in a hail of random inputs.

use std::{collections::BTreeSet, sync::Arc};

use jiff::SignedDuration;
use model::{
    AgentId, CallFact, CallId, CallStep, DigitVia, Direction, GroupId, HangupCause, LegId,
    MonitorMode, NumberId, PhoneNumber, RecordingState, RingStrategy, Timestamp, TransferResult,
    TransferStep,
};
use proptest::prelude::*;

use super::*;
use crate::{
    acd::OfferId,
    flow::Flow,
    routing::TrunkFailure,
    sim::{Act, Manner, World},
};

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn flow_to(group: i64) -> Arc<Flow> {
    let json = serde_json::json!({
        "id": group, "start": "queue",
        "steps": {
            "queue": {"type": "queue", "group": group, "max_wait_seconds": 60, "on_timeout": "bye", "on_no_agents": "bye"},
            "bye": {"type": "end"}
        }
    });
    Arc::new(serde_json::from_value(json).expect("the flow is right"))
}

const PATIENT: Manner = Manner::Answers {
    after: 2,
    talks: None,
};

/// Anna (1) in group 1, who has taken a call; Bob (2), alone in group 2, has this manner.
fn taken(bob: Manner) -> (World, CallId) {
    let mut world = World::new();
    let (anna, other) = (world.agent(1, PATIENT), world.agent(2, bob));
    world.group(1, RingStrategy::LongestIdle, &[anna]);
    world.group(2, RingStrategy::LongestIdle, &[other]);
    let call = world.caller(&flow_to(1), &[(200_000, Act::HangUp)]);
    world.run_for(seconds(10));
    assert_eq!(world.phones_in_use(), [(anna, call)]);
    (world, call)
}

fn to_bob() -> TransferTarget {
    TransferTarget::Callee {
        callee: Callee::Agent {
            agent: AgentId(2),
            name: "Bob".to_owned(),
        },
        label: "Bob".to_owned(),
    }
}

/// Anna's phone refers her party.
fn refer(world: &mut World, call: CallId, leg: u32, target: TransferTarget) {
    let leg = LegId(leg);
    world.input(
        call,
        Input::Referred {
            leg,
            referral: 7,
            target,
        },
    );
}

fn reports(world: &World, call: CallId) -> Vec<u16> {
    let all = world.done(call).into_iter();
    all.filter_map(|output| match output {
        Output::ReportReferral { status, .. } | Output::RefuseReferral { status, .. } => {
            Some(status)
        }
        _ => None,
    })
    .collect()
}

fn transfers(world: &World, call: CallId) -> Vec<TransferStep> {
    let steps = world.record(call).steps.into_iter();
    steps
        .filter_map(|step| match step {
            CallStep::Transfer(step) => Some(step),
            _ => None,
        })
        .collect()
}

/// What must hold for the facts of any call that is over.
pub(super) fn assert_whole(facts: &[CallFact]) {
    let count = |wanted: &dyn Fn(&CallFact) -> bool| facts.iter().filter(|f| wanted(f)).count();
    assert_eq!(count(&|f| matches!(f, CallFact::Ended { .. })), 1);
    let mut legs = BTreeSet::from([LegId::FIRST]);
    for fact in facts {
        if let CallFact::OfferMade { leg, .. }
        | CallFact::AgentDialed { leg, .. }
        | CallFact::TrunkDialed { leg, .. }
        | CallFact::MonitorOffered { leg, .. }
        | CallFact::LegReplaced { by: leg, .. }
        | CallFact::LegTaken { leg, .. } = fact
        {
            legs.insert(*leg);
        }
    }
    for leg in &legs {
        let ends = count(&|f| matches!(f, CallFact::LegEnded { leg: of, .. } if of == leg));
        assert_eq!(ends, 1, "leg {leg} ended {ends} times: {facts:#?}");
    }
    let all = count(&|f| matches!(f, CallFact::LegEnded { .. }));
    assert_eq!(all, legs.len(), "legs nobody began: {facts:#?}");
    let started = count(&|f| matches!(f, CallFact::TransferStarted { .. }));
    let ended = count(&|f| matches!(f, CallFact::TransferEnded { .. }));
    assert_eq!(started, ended, "transfers: {facts:#?}");
    let recorded = count(&|f| matches!(f, CallFact::RecordingStarted { .. }));
    let closed = count(&|f| {
        matches!(
            f,
            CallFact::RecordingStopped { .. } | CallFact::RecordingFailed { .. }
        )
    });
    assert_eq!(recorded, closed, "recordings: {facts:#?}");
}

#[test]
fn a_customer_is_passed_on_to_a_colleague() {
    let (mut world, call) = taken(PATIENT);
    refer(&mut world, call, 2, to_bob());
    world.run_for(seconds(1));
    // Anna is still there, Bob's phone rings, the customer hears that it does.
    assert_eq!(world.phones_in_use().len(), 2);
    assert!(reports(&world, call).is_empty());
    world.run_for(seconds(5));
    assert_eq!(world.phones_in_use(), [(AgentId(2), call)]);
    assert_eq!(reports(&world, call), [200]);
    let record = world.record(call);
    assert_eq!(record.agent, Some(AgentId(2)));
    let [step] = &transfers(&world, call)[..] else {
        panic!("one transfer")
    };
    assert_eq!((step.agent, step.to.as_str()), (AgentId(1), "Bob"));
    assert_eq!(step.result, TransferResult::Completed);
    world.run_for(seconds(400));
    assert_whole(&world.facts(call));
    let record = world.record(call);
    assert_eq!(record.cause, Some(HangupCause::CallerHangup));
    // Each conversation has a recording of its own; the rings in between are in none.
    let kept = |f: &CallFact| matches!(f, CallFact::RecordingStopped { .. });
    assert_eq!(world.facts(call).iter().filter(|f| kept(f)).count(), 2);
    assert_eq!(
        record.recording.map(|r| r.state),
        Some(RecordingState::Kept)
    );
    assert!(world.running().is_empty() && world.phones_in_use().is_empty());
}

#[test]
fn a_customer_nobody_takes_is_the_agents_again() {
    for (bob, status) in [
        (Manner::Refuses(HangupCause::Busy), 486),
        (Manner::Ignores, 480),
    ] {
        let (mut world, call) = taken(bob);
        refer(&mut world, call, 2, to_bob());
        world.run_for(seconds(40));
        assert_eq!(reports(&world, call), [status]);
        assert_eq!(world.phones_in_use(), [(AgentId(1), call)]);
        // He may try again, but not twice at once.
        refer(&mut world, call, 2, to_bob());
        refer(&mut world, call, 2, to_bob());
        assert_eq!(reports(&world, call), [status, 491]);
        world.run_for(seconds(400));
        assert_whole(&world.facts(call));
        assert_eq!(world.record(call).agent, Some(AgentId(1)));
    }
}

#[test]
fn a_customer_whose_agent_left_waits_in_the_queue_again() {
    let (mut world, call) = taken(Manner::Ignores);
    refer(&mut world, call, 2, to_bob());
    world.run_for(seconds(1));
    world.hang_up(call, LegId(2));
    world.run_for(seconds(35));
    let queues = world.record(call).steps.into_iter();
    assert_eq!(
        queues.filter(|s| matches!(s, CallStep::Queue(_))).count(),
        2
    );
    // Anna, done with her wrap-up, gets him back that way.
    assert_eq!(world.phones_in_use(), [(AgentId(1), call)]);
    world.run_for(seconds(400));
    assert_whole(&world.facts(call));
}

#[test]
fn a_customer_goes_to_another_groups_queue() {
    let (mut world, call) = taken(PATIENT);
    let target = TransferTarget::Flow {
        flow: flow_to(2),
        label: "Support".to_owned(),
    };
    refer(&mut world, call, 2, target);
    assert_eq!(reports(&world, call), [200]);
    world.run_for(seconds(5));
    assert_eq!(world.phones_in_use(), [(AgentId(2), call)]);
    world.run_for(seconds(400));
    assert_whole(&world.facts(call));
    assert_eq!(world.record(call).agent, Some(AgentId(2)));
}

#[test]
fn two_calls_become_one() {
    let (mut world, call) = taken(PATIENT);
    let consultation = world.colleague_call(AgentId(1), AgentId(2));
    world.run_for(seconds(10));
    let party = TransferTarget::Party {
        call: consultation,
        leg: LegId::FIRST,
    };
    refer(&mut world, call, 2, party);
    world.run_for(seconds(1));
    assert_eq!(reports(&world, call), [200]);
    assert_eq!(world.running(), [call]);
    assert_whole(&world.facts(consultation));
    let consulted = world.record(consultation);
    assert_eq!(consulted.cause, Some(HangupCause::Transferred));
    assert_eq!(consulted.continued_in, Some(call));
    let record = world.record(call);
    assert_eq!(record.agent, Some(AgentId(2)));
    assert_eq!(transfers(&world, call)[0].from, Some(consultation));
    world.run_for(seconds(400));
    assert_whole(&world.facts(call));
    assert!(world.running().is_empty());
}

/// How often the customer began to hear a prompt and was told to hear none.
fn music(world: &World, call: CallId) -> (usize, usize) {
    let all = world.done(call);
    let count = |wanted: &dyn Fn(&Output) -> bool| all.iter().filter(|o| wanted(o)).count();
    (
        count(
            &|o| matches!(o, Output::Play { leg: LegId::FIRST, prompt, .. } if *prompt == Prompt::music()),
        ),
        count(&|o| matches!(o, Output::StopPlaying { leg: LegId::FIRST })),
    )
}

#[test]
fn a_customer_on_hold_hears_the_colleague_and_no_music() {
    let (mut world, call) = taken(PATIENT);
    let consultation = world.colleague_call(AgentId(1), AgentId(2));
    world.run_for(seconds(10));
    let (began, stopped) = music(&world, call);
    world.input(call, Input::Held { leg: LegId(2) });
    assert_eq!(music(&world, call), (began + 1, stopped));
    let party = TransferTarget::Party {
        call: consultation,
        leg: LegId::FIRST,
    };
    refer(&mut world, call, 2, party);
    world.run_for(seconds(20));
    assert_eq!(reports(&world, call), [200]);
    assert_eq!(music(&world, call), (began + 1, stopped + 1));
    world.run_for(seconds(400));
    assert_whole(&world.facts(call));
    assert!(world.record(call).holding_ms < 10_000);
}

#[test]
fn a_customer_whose_agent_still_holds_hears_music_again() {
    let (mut world, call) = taken(Manner::Refuses(HangupCause::Busy));
    let (began, _) = music(&world, call);
    world.input(call, Input::Held { leg: LegId(2) });
    refer(&mut world, call, 2, to_bob());
    world.run_for(seconds(20));
    assert_eq!(reports(&world, call), [486]);
    assert_eq!(music(&world, call).0, began + 2);
    let (_, stopped) = music(&world, call);
    world.input(call, Input::Retrieved { leg: LegId(2) });
    assert_eq!(music(&world, call), (began + 2, stopped + 1));
}

#[test]
fn a_supervisor_does_not_go_with_a_customer_who_is_passed_on() {
    let (mut world, call) = taken(PATIENT);
    world.agent(3, PATIENT);
    let mode = MonitorMode::Listen;
    let agent = AgentId(3);
    world.input(call, Input::Monitor { agent, mode });
    world.run_for(seconds(5));
    refer(&mut world, call, 2, to_bob());
    world.run_for(seconds(10));
    assert_eq!(world.phones_in_use(), [(AgentId(2), call)]);
    world.run_for(seconds(400));
    assert_whole(&world.facts(call));
}

#[test]
fn a_party_that_is_gone_leaves_the_customer_with_the_agent() {
    let (mut world, call) = taken(PATIENT);
    let consultation = world.colleague_call(AgentId(1), AgentId(2));
    // It still rings: there is nobody to be handed over.
    let party = TransferTarget::Party {
        call: consultation,
        leg: LegId::FIRST,
    };
    refer(&mut world, call, 2, party);
    world.run_for(seconds(1));
    assert_eq!(reports(&world, call), [503]);
    assert!(world.phones_in_use().contains(&(AgentId(1), call)));
    world.run_for(seconds(10));
    assert!(world.running().contains(&consultation));
}

#[test]
fn the_callee_of_an_agents_own_call_is_passed_on() {
    let mut world = World::new();
    let (anna, bob, cyril) = (
        world.agent(1, PATIENT),
        world.agent(2, PATIENT),
        world.agent(3, PATIENT),
    );
    let call = world.colleague_call(anna, bob);
    world.run_for(seconds(5));
    let target = TransferTarget::Callee {
        callee: Callee::Agent {
            agent: cyril,
            name: "Cyril".to_owned(),
        },
        label: "Cyril".to_owned(),
    };
    refer(&mut world, call, 1, target);
    world.run_for(seconds(5));
    assert_eq!(reports(&world, call), [200]);
    let talking: Vec<AgentId> = world.phones_in_use().iter().map(|(a, _)| *a).collect();
    assert_eq!(talking, [bob, cyril]);
    world.hang_up(call, LegId(2));
    world.run_for(seconds(60));
    assert_whole(&world.facts(call));
    assert!(world.running().is_empty() && world.phones_in_use().is_empty());
}

fn any_target() -> impl Strategy<Value = TransferTarget> {
    let trunk = |n: i64| TrunkDial {
        trunk: model::TrunkId(n),
        name: format!("trunk {n}"),
        why: "the only one".to_owned(),
        price: None,
        user: "421".to_owned(),
        caller_id: None,
        setup_seconds: 5,
    };
    prop_oneof![
        3 => Just(to_bob()),
        2 => Just(TransferTarget::Flow { flow: flow_to(1), label: "flow".to_owned() }),
        2 => (0_i64..3).prop_map(move |n| TransferTarget::Callee {
            callee: Callee::Outside((0..n).map(trunk).collect()),
            label: "outside".to_owned(),
        }),
        2 => Just(TransferTarget::Party { call: CallId(9), leg: LegId::FIRST }),
    ]
}

fn any_input() -> impl Strategy<Value = Input> {
    let leg = || (1_u32..8).prop_map(LegId);
    let cause = prop_oneof![
        Just(HangupCause::Busy),
        Just(HangupCause::NoAnswer),
        Just(HangupCause::SignallingFailed)
    ];
    prop_oneof![
        3 => Just(Input::Connected { leg: LegId::FIRST }),
        6 => (1_u64..5).prop_map(|id| Input::Offered(Offer {
            offer: OfferId(id),
            call: CallId(1),
            group: GroupId(1),
            agent: AgentId(i64::try_from(id).unwrap_or(1)),
            agent_name: "A".to_owned(),
            ring_for: SignedDuration::from_secs(15),
            wrap_up_seconds: u32::try_from(id % 2).unwrap_or(0) * 10,
            why: "longest idle".to_owned(),
        })),
        4 => leg().prop_map(|leg| Input::LegRinging { leg }),
        2 => leg().prop_map(|leg| Input::LegEarly { leg }),
        8 => leg().prop_map(|leg| Input::LegAnswered { leg }),
        3 => (leg(), cause).prop_map(|(leg, cause)| Input::LegFailed { leg, cause }),
        2 => leg().prop_map(|leg| Input::LegHungUp { leg }),
        2 => leg().prop_map(|leg| Input::TrunkFailed { leg, failure: TrunkFailure::TimedOut }),
        9 => (leg(), any_target()).prop_map(|(leg, target)| Input::Referred { leg, referral: leg.0, target }),
        4 => (leg(), prop::option::of(Just(AgentId(2)))).prop_map(|(leg, agent)| Input::PartyJoined { leg, agent, price: None }),
        1 => leg().prop_map(|leg| Input::HandOver { leg, agent: AgentId(i64::from(leg.0)), to: CallId(9) }),
        4 => (leg(), 1_i64..6).prop_map(|(leg, agent)| Input::Replaces(Replacement {
            leg,
            agent: AgentId(agent),
            agent_name: "A".to_owned(),
            wrap_up_seconds: 5,
        })),
        2 => (1_u8..5).prop_map(|n| Input::RecordingStopped { recording: recording_id(CallId(1), n), duration_ms: 9, bytes: 9 }),
        1 => Just(Input::Digit { leg: LegId::FIRST, digit: '1', via: DigitVia::Inband }),
        2 => leg().prop_map(|leg| Input::Held { leg }),
        1 => leg().prop_map(|leg| Input::Retrieved { leg }),
        1 => Just(Input::Monitor { agent: AgentId(5), mode: MonitorMode::Listen }),
    ]
}

fn new_call(agent: Option<AgentId>) -> NewCall {
    NewCall {
        id: CallId(1),
        uuid: "call-1".to_owned(),
        direction: match agent {
            Some(_) => Direction::Internal,
            None => Direction::Incoming,
        },
        agent: agent.map(|agent| CallingAgent {
            agent,
            name: "Anna".to_owned(),
            extension: "101".to_owned(),
            dialled: "102".to_owned(),
            wrap_up_seconds: 10,
        }),
        external: PhoneNumber::parse("+421900000001").ok(),
        internal: None,
        number: Some(NumberId(1)),
        contact: None,
        trunk: None,
        node: "test".to_owned(),
        groups: Arc::new(
            [(
                GroupId(1),
                GroupInfo {
                    name: "Sales".to_owned(),
                    strategy: RingStrategy::LongestIdle,
                },
            )]
            .into(),
        ),
        rooms: Arc::default(),
        recording: Arc::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Whatever comes, in whatever order: each leg ends once, each transfer comes to an end, and so does the call.
    #[test]
    fn nothing_stays_half_open(
        own in any::<bool>(),
        inputs in prop::collection::vec((any_input(), 0_i64..12), 0..60),
    ) {
        let mut now = Timestamp::UNIX_EPOCH;
        let (mut call, mut seen) = if own {
            let outgoing = OutgoingCall {
                begun: Begun::ByPhone,
                callee: Callee::Agent { agent: AgentId(2), name: "Bob".to_owned() },
                ring_seconds: 30,
            };
            Call::outgoing(new_call(Some(AgentId(1))), outgoing, now)
        } else {
            Call::incoming(new_call(None), flow_to(1), now)
        };
        for (input, wait) in inputs {
            now += seconds(wait);
            seen.extend(call.handle(now, input));
            if wait % 3 == 0 {
                seen.extend(call.on_time(now));
            }
        }
        // Everybody hangs up; timers alone must do the rest.
        for leg in 1..60 {
            seen.extend(call.handle(now, Input::LegHungUp { leg: LegId(leg) }));
        }
        while let Some(deadline) = call.next_deadline() {
            now = now.max(deadline);
            seen.extend(call.on_time(now));
        }
        prop_assert!(call.is_finished());
        let facts: Vec<CallFact> = seen.iter().filter_map(|output| match output {
            Output::Record(fact) => Some(fact.clone()),
            _ => None,
        }).collect();
        assert_whole(&facts);
        // A phone is told once what became of a REFER of its that was accepted, while it is there.
        let accepted = seen.iter().filter(|o| matches!(o, Output::AcceptReferral { .. })).count();
        let reported = seen.iter().filter(|o| matches!(o, Output::ReportReferral { .. })).count();
        prop_assert!(reported <= accepted);
    }
}
