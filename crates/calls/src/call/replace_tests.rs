//! Phones that pick up what rings elsewhere, and take conversations over.

use std::sync::Arc;

use jiff::SignedDuration;
use model::{
    AgentId, CallId, CallRecord, CallStep, HangupCause, LegId, OfferEnd, OfferResult, QueueStep,
    RingStrategy,
};

use super::transfer_tests::assert_whole;
use crate::{
    flow::Flow,
    sim::{Act, Manner, World},
};

const PATIENT: Manner = Manner::Answers {
    after: 2,
    talks: None,
};

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn flow() -> Arc<Flow> {
    let json = serde_json::json!({
        "id": 1, "start": "queue",
        "steps": {
            "queue": {"type": "queue", "group": 1, "max_wait_seconds": 60, "on_timeout": "bye", "on_no_agents": "bye"},
            "bye": {"type": "end"}
        }
    });
    Arc::new(serde_json::from_value(json).expect("the flow is right"))
}

/// A caller for Anna (1), whose phone has this manner, or later for Cyril (3); Bob (2) is in no group.
fn called(anna: Manner) -> (World, CallId) {
    let mut world = World::new();
    let anna = world.agent(1, anna);
    world.agent(2, PATIENT);
    let cyril = world.agent(3, PATIENT);
    world.group(1, RingStrategy::LongestIdle, &[anna, cyril]);
    let call = world.caller(&flow(), &[(200_000, Act::HangUp)]);
    world.run_for(seconds(10));
    (world, call)
}

fn queue(record: &CallRecord) -> &QueueStep {
    let mut queues = record.steps.iter().filter_map(|step| match step {
        CallStep::Queue(queue) => Some(queue),
        _ => None,
    });
    queues.next().expect("the caller was in a queue")
}

#[test]
fn a_colleague_picks_up_what_rings() {
    let (mut world, call) = called(Manner::Ignores);
    assert_eq!(world.phones_in_use(), [(AgentId(1), call)]);
    assert_eq!(world.replace(call, LegId(2), AgentId(2)), Ok(()));
    world.run_for(seconds(30));
    assert_eq!(world.phones_in_use(), [(AgentId(2), call)]);
    assert_eq!(
        world.offers.len(),
        1,
        "nobody else is rung for who is served"
    );
    let record = world.record(call);
    assert_eq!(record.agent, Some(AgentId(2)));
    let offers = &queue(&record).offers;
    let results: Vec<_> = offers.iter().map(|o| (o.agent, o.result)).collect();
    assert_eq!(
        results,
        [
            (AgentId(1), Some(OfferResult::Missed(OfferEnd::Canceled))),
            (AgentId(2), Some(OfferResult::Answered)),
        ]
    );
    // Anna is free for the next caller, Bob is not.
    let other = world.caller(&flow(), &[(20_000, Act::HangUp)]);
    world.run_for(seconds(5));
    assert!(world.phones_in_use().contains(&(AgentId(1), other)));
    world.run_for(seconds(400));
    assert_whole(&world.facts(call));
    let record = world.record(call);
    assert_eq!(record.cause, Some(HangupCause::CallerHangup));
    assert!(record.talking_ms > 180_000 && record.wrap_up_ms == 10_000);
    assert_eq!(queue(&record).offers[1].talking_ms, record.talking_ms);
    assert!(world.running().is_empty() && world.phones_in_use().is_empty());
}

#[test]
fn what_rings_for_a_colleague_is_picked_up_by_a_third() {
    let mut world = World::new();
    let (anna, bob, cyril) = (
        world.agent(1, PATIENT),
        world.agent(2, Manner::Ignores),
        world.agent(3, PATIENT),
    );
    let call = world.colleague_call(anna, bob);
    world.run_for(seconds(2));
    // She can't talk with herself.
    assert_eq!(world.replace(call, LegId(2), anna), Err(603));
    assert_eq!(world.replace(call, LegId(2), cyril), Ok(()));
    world.run_for(seconds(2));
    let record = world.record(call);
    assert_eq!((record.agent, record.callee), (Some(anna), Some(cyril)));
    assert!(record.answered_at.is_some());
    assert_eq!(world.phones_in_use(), [(cyril, call)]);
    world.hang_up(call, LegId(3));
    world.run_for(seconds(60));
    assert_whole(&world.facts(call));
    assert!(world.running().is_empty() && world.phones_in_use().is_empty());
}

#[test]
fn a_conversation_is_taken_over() {
    let (mut world, call) = called(PATIENT);
    assert_eq!(world.replace(call, LegId(9), AgentId(2)), Err(603));
    // The customer's own leg is not ours to give.
    assert_eq!(world.replace(call, LegId(1), AgentId(2)), Err(603));
    assert_eq!(world.replace(call, LegId(2), AgentId(2)), Ok(()));
    world.run_for(seconds(5));
    assert_eq!(world.phones_in_use(), [(AgentId(2), call)]);
    assert_eq!(world.record(call).agent, Some(AgentId(2)));
    world.run_for(seconds(400));
    assert_whole(&world.facts(call));
    // Each had after-call work, each part a recording of its own.
    let record = world.record(call);
    assert_eq!((record.wrap_up_ms, record.recordings.len()), (20_000, 2));
    assert!(world.running().is_empty() && world.phones_in_use().is_empty());
}

#[test]
fn an_agents_other_phone_takes_his_conversation_over() {
    let (mut world, call) = called(PATIENT);
    assert_eq!(world.replace(call, LegId(2), AgentId(1)), Ok(()));
    world.run_for(seconds(5));
    assert_eq!(world.phones_in_use(), [(AgentId(1), call)]);
    world.run_for(seconds(400));
    assert_whole(&world.facts(call));
    // He was never done in between.
    assert_eq!(world.record(call).wrap_up_ms, 10_000);
}

#[test]
fn the_call_of_an_agent_goes_on_at_a_colleagues_phone() {
    let mut world = World::new();
    let (anna, bob, cyril) = (
        world.agent(1, PATIENT),
        world.agent(2, PATIENT),
        world.agent(3, PATIENT),
    );
    let call = world.colleague_call(anna, bob);
    world.run_for(seconds(5));
    assert_eq!(world.replace(call, LegId::FIRST, bob), Err(603));
    assert_eq!(world.replace(call, LegId::FIRST, cyril), Ok(()));
    let record = world.record(call);
    assert_eq!((record.agent, record.callee), (Some(cyril), Some(bob)));
    // He may give it away again, and the other side may change too.
    assert_eq!(world.replace(call, LegId(3), anna), Ok(()));
    assert_eq!(world.replace(call, LegId(2), cyril), Ok(()));
    let record = world.record(call);
    assert_eq!((record.agent, record.callee), (Some(anna), Some(cyril)));
    world.hang_up(call, LegId(5));
    world.run_for(seconds(60));
    assert_whole(&world.facts(call));
    assert!(world.running().is_empty() && world.phones_in_use().is_empty());
}

#[test]
fn only_what_nobody_has_answered_may_be_asked_for() {
    let (mut world, call) = called(PATIENT);
    let answered = world.machine(call).replaceable(LegId(2), AgentId(2), true);
    assert_eq!(answered, Err(486));
    world.run_for(seconds(400));
    assert_whole(&world.facts(call));
}
