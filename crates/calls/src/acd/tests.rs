//! Rules of distribution, one by one and all at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use model::{
    AgentId, AgentState, Availability, CallId, GroupId, OfferEnd, RingStrategy, Timestamp,
};
use proptest::prelude::*;

use super::*;

const SALES: GroupId = GroupId(1);

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn group(id: i64, strategy: RingStrategy, members: &[i64]) -> Fact {
    let name = if id == 1 { "Sales" } else { "Support" }.to_owned();
    let members = members.iter().copied().map(AgentId).collect();
    Fact::GroupSet(Group {
        id: GroupId(id),
        name,
        strategy,
        ring_seconds: 15,
        wrap_up_seconds: None,
        rings_idle: false,
        members,
    })
}

fn agent(id: i64) -> Fact {
    let availability = Availability::Online;
    Fact::AgentSet(Agent {
        id: AgentId(id),
        name: format!("Agent {id}"),
        availability,
        wrap_up_seconds: 10,
    })
}

fn devices(id: i64, registered: u32) -> Fact {
    Fact::DevicesChanged {
        agent: AgentId(id),
        registered,
    }
}

fn joins(call: i64) -> Fact {
    Fact::CallerJoined {
        call: CallId(call),
        group: SALES,
        since: Timestamp::MAX,
    }
}

/// Agents online with a device, in one group.
fn sales(strategy: RingStrategy, agents: &[i64]) -> Acd {
    let mut acd = Acd::new(1);
    for id in agents {
        let _ = acd.handle(at(0), agent(*id));
        let _ = acd.handle(at(0), devices(*id, 1));
    }
    let _ = acd.handle(at(0), group(1, strategy, agents));
    acd
}

fn offers(outputs: &[Output]) -> Vec<&Offer> {
    let mut offers = Vec::new();
    for output in outputs {
        if let Output::Offer(offer) = output {
            offers.push(offer);
        }
    }
    offers
}

/// The only offer there is.
fn offer(outputs: &[Output]) -> Offer {
    let offers = offers(outputs);
    assert_eq!(offers.len(), 1, "{outputs:?}");
    offers[0].clone()
}

fn not_picked_up(offer: &Offer) -> Fact {
    Fact::OfferEnded {
        offer: offer.offer,
        reason: OfferEnd::NotPickedUp,
    }
}

#[test]
fn longest_idle_agent_is_rung_and_the_reason_says_so() {
    let mut acd = sales(RingStrategy::LongestIdle, &[1, 2, 3]);
    let first = offer(&acd.handle(at(10), joins(1)));
    let _ = acd.handle(at(12), Fact::OfferAnswered { offer: first.offer });
    let _ = acd.handle(
        at(30),
        Fact::ConversationEnded {
            call: CallId(1),
            agent: first.agent,
            wrap_up_seconds: 0,
        },
    );
    let second = offer(&acd.handle(at(252), joins(2)));
    assert_eq!(second.agent, AgentId(2));
    assert_eq!(
        second.why,
        "longest idle of 3 free agents in Sales: 4 min 12 s"
    );
    assert_eq!(second.ring_for, SignedDuration::from_secs(15));
}

#[test]
fn agent_who_did_not_take_a_caller_is_skipped_until_the_others_were_tried() {
    let mut acd = sales(RingStrategy::LongestIdle, &[1, 2]);
    let first = offer(&acd.handle(at(0), joins(1)));
    let second = offer(&acd.handle(at(10), not_picked_up(&first)));
    assert_eq!((first.agent, second.agent), (AgentId(1), AgentId(2)));
    let third = offer(&acd.handle(at(20), not_picked_up(&second)));
    assert_eq!(third.agent, AgentId(1));
    assert_eq!(
        third.why,
        "only free agent in Sales; rung the 2nd time for this caller"
    );
    // Another caller is not concerned.
    assert_eq!(offer(&acd.handle(at(20), joins(2))).agent, AgentId(2));
}

#[test]
fn only_agent_rests_before_he_is_rung_again() {
    let mut acd = sales(RingStrategy::LongestIdle, &[1]);
    let first = offer(&acd.handle(at(0), joins(1)));
    let outputs = acd.handle(
        at(1),
        Fact::OfferEnded {
            offer: first.offer,
            reason: OfferEnd::Rejected,
        },
    );
    assert!(offers(&outputs).is_empty());
    assert_eq!(acd.next_deadline(), Some(at(6)));
    assert_eq!(offer(&acd.on_time(at(6))).agent, AgentId(1));
}

#[test]
fn round_robin_remembers_who_was_last() {
    let mut acd = sales(RingStrategy::RoundRobin, &[1, 2, 3]);
    let mut rung = Vec::new();
    for call in 1..=5 {
        let offer = offer(&acd.handle(at(call * 10), joins(call)));
        rung.push(offer.agent.0);
        let _ = acd.handle(at(call * 10 + 1), Fact::CallerLeft { call: CallId(call) });
    }
    assert_eq!(rung, [1, 2, 3, 1, 2]);
}

#[test]
fn ring_all_rings_everyone_and_those_who_become_free() {
    let mut acd = sales(RingStrategy::RingAll, &[1, 2, 3]);
    let _ = acd.handle(
        at(0),
        Fact::AgentBusy {
            agent: AgentId(3),
            call: CallId(90),
        },
    );
    let outputs = acd.handle(at(0), joins(1));
    assert_eq!(offers(&outputs).len(), 2);
    let late = offer(&acd.handle(
        at(2),
        Fact::ConversationEnded {
            agent: AgentId(3),
            call: CallId(90),
            wrap_up_seconds: 0,
        },
    ));
    assert_eq!(
        late.why,
        "became free in Sales while it rings for this caller"
    );
}

#[test]
fn chance_is_the_same_for_the_same_seed_and_reaches_everyone() {
    let draw = |seed| {
        let mut acd = sales(RingStrategy::Random, &[1, 2, 3]);
        acd.random = seed;
        let rung = (1..=30).map(|call| {
            let offer = offer(&acd.handle(at(call), joins(call)));
            let _ = acd.handle(at(call), Fact::CallerLeft { call: CallId(call) });
            offer.agent
        });
        rung.collect::<Vec<_>>()
    };
    assert_eq!(draw(5), draw(5));
    assert_eq!(draw(5).into_iter().collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn the_place_in_line_is_the_callers_own_time_not_the_order_of_messages() {
    let mut acd = sales(RingStrategy::LongestIdle, &[1]);
    let _ = acd.handle(
        at(0),
        Fact::AgentBusy {
            agent: AgentId(1),
            call: CallId(90),
        },
    );
    for (call, since) in [(8, at(3)), (9, at(2))] {
        let joined = Fact::CallerJoined {
            call: CallId(call),
            group: SALES,
            since,
        };
        let _ = acd.handle(at(4), joined);
    }
    assert_eq!(acd.waiting(SALES), [CallId(9), CallId(8)]);
    let outputs = acd.handle(
        at(5),
        Fact::ConversationEnded {
            agent: AgentId(1),
            call: CallId(90),
            wrap_up_seconds: 0,
        },
    );
    assert_eq!(offer(&outputs).call, CallId(9));
}

#[test]
fn longest_waiting_caller_comes_first_across_groups() {
    let mut acd = sales(RingStrategy::LongestIdle, &[1]);
    let _ = acd.handle(at(0), group(2, RingStrategy::LongestIdle, &[1]));
    let _ = acd.handle(
        at(0),
        Fact::AgentBusy {
            agent: AgentId(1),
            call: CallId(90),
        },
    );
    let _ = acd.handle(
        at(1),
        Fact::CallerJoined {
            call: CallId(8),
            group: GroupId(2),
            since: Timestamp::MAX,
        },
    );
    let _ = acd.handle(at(2), joins(9));
    assert_eq!(
        offer(&acd.handle(
            at(5),
            Fact::ConversationEnded {
                agent: AgentId(1),
                call: CallId(90),
                wrap_up_seconds: 0
            }
        ))
        .call,
        CallId(8)
    );
    assert_eq!(acd.waiting(SALES), [CallId(9)]);
}

#[test]
fn nobody_online_lets_the_caller_go_at_once_but_busy_makes_him_wait() {
    let mut acd = sales(RingStrategy::LongestIdle, &[1]);
    let _ = acd.handle(
        at(0),
        Fact::AgentBusy {
            agent: AgentId(1),
            call: CallId(90),
        },
    );
    assert_eq!(acd.handle(at(0), joins(1)), []);
    let gone = acd.handle(at(3), devices(1, 0));
    assert!(
        gone.contains(&Output::NobodyOnline {
            call: CallId(1),
            group: SALES
        }),
        "{gone:?}"
    );
    assert_eq!(
        acd.handle(at(4), joins(2)),
        [Output::NobodyOnline {
            call: CallId(2),
            group: SALES
        }]
    );
    assert_eq!(acd.waiting(SALES), []);
}

#[test]
fn idle_agents_are_rung_only_where_the_group_says_so() {
    let mut acd = sales(RingStrategy::LongestIdle, &[1]);
    let idle = Fact::AvailabilityChanged {
        agent: AgentId(1),
        availability: Availability::Idle,
    };
    let _ = acd.handle(at(0), idle);
    assert_eq!(
        acd.handle(at(0), joins(1)),
        [Output::NobodyOnline {
            call: CallId(1),
            group: SALES
        }]
    );
    let Fact::GroupSet(mut settings) = group(1, RingStrategy::LongestIdle, &[1]) else {
        unreachable!("built above")
    };
    settings.rings_idle = true;
    let _ = acd.handle(at(1), Fact::GroupSet(settings));
    assert_eq!(offer(&acd.handle(at(2), joins(2))).agent, AgentId(1));
}

#[test]
fn agent_who_goes_offline_while_ringing_is_taken_back_and_never_stuck() {
    let mut acd = sales(RingStrategy::LongestIdle, &[1, 2]);
    let first = offer(&acd.handle(at(0), joins(1)));
    let offline = Fact::AvailabilityChanged {
        agent: first.agent,
        availability: Availability::Offline,
    };
    let outputs = acd.handle(at(1), offline);
    let taken_back = Output::WithdrawOffer {
        offer: first.offer,
        call: CallId(1),
        reason: OfferEnd::Unavailable,
    };
    assert!(outputs.contains(&taken_back), "{outputs:?}");
    // The call says nothing. After a while the agent counts as silent and the caller gets the other.
    let mut now = at(1);
    let mut later = Vec::new();
    while now < at(30) {
        now = acd.next_deadline().unwrap_or(at(30)).max(now);
        later.extend(acd.on_time(now));
    }
    assert_eq!(offers(&later)[0].agent, AgentId(2));
    assert_eq!(acd.agent_state(first.agent), Some(AgentState::Away));
}

#[test]
fn answer_that_crosses_a_withdrawal_counts() {
    let mut acd = sales(RingStrategy::LongestIdle, &[1]);
    let first = offer(&acd.handle(at(0), joins(1)));
    let _ = acd.handle(at(1), devices(1, 0));
    let _ = acd.handle(at(1), Fact::OfferAnswered { offer: first.offer });
    assert_eq!(acd.agent_state(AgentId(1)), Some(AgentState::OnCall));
}

#[test]
fn wrap_up_ends_by_time_or_when_done() {
    let mut acd = sales(RingStrategy::LongestIdle, &[1]);
    for (call, start, done_at) in [(1, 0, None), (2, 100, Some(103))] {
        let taken = offer(&acd.handle(at(start), joins(call)));
        assert_eq!(taken.wrap_up_seconds, 10);
        let _ = acd.handle(at(start), Fact::OfferAnswered { offer: taken.offer });
        let ended = Fact::ConversationEnded {
            call: CallId(call),
            agent: AgentId(1),
            wrap_up_seconds: 10,
        };
        let _ = acd.handle(at(start), ended);
        assert_eq!(acd.agent_state(AgentId(1)), Some(AgentState::WrapUp));
        let outputs = match done_at {
            Some(done) => acd.handle(at(done), Fact::WrapUpDone(AgentId(1))),
            None => {
                assert_eq!(acd.on_time(at(start + 9)), []);
                acd.on_time(at(start + 10))
            }
        };
        assert!(outputs.contains(&Output::WrapUpEnded {
            agent: AgentId(1),
            call: CallId(call)
        }));
        assert_eq!(acd.agent_state(AgentId(1)), Some(AgentState::Available));
    }
}

#[test]
fn removed_agents_and_groups_leave_nobody_behind() {
    let mut acd = sales(RingStrategy::LongestIdle, &[1]);
    let first = offer(&acd.handle(at(0), joins(1)));
    let outputs = acd.handle(at(1), Fact::AgentRemoved(AgentId(1)));
    assert!(outputs.contains(&Output::WithdrawOffer {
        offer: first.offer,
        call: CallId(1),
        reason: OfferEnd::Unavailable
    }));
    assert!(outputs.contains(&Output::NobodyOnline {
        call: CallId(1),
        group: SALES
    }));
    let _ = acd.handle(at(1), Fact::GroupRemoved(SALES));
    assert_eq!(
        acd.handle(at(2), joins(2)),
        [Output::NobodyOnline {
            call: CallId(2),
            group: SALES
        }]
    );
}

/// A driver and a world in one, which know nothing of the inner workings.
#[derive(Default)]
struct Watch {
    live: BTreeMap<OfferId, Offer>,
    waiting: Vec<(CallId, GroupId)>,
    talking: BTreeMap<AgentId, CallId>,
    wrapping: BTreeSet<AgentId>,
}

impl Watch {
    fn take(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Offer(offer) => {
                    assert!(
                        self.waiting.contains(&(offer.call, offer.group)),
                        "offered to one who doesn't wait"
                    );
                    let twice = self.live.values().any(|live| live.agent == offer.agent);
                    assert!(!twice, "{:?} is rung for two callers", offer.agent);
                    assert!(
                        !self.talking.contains_key(&offer.agent),
                        "{:?} talks",
                        offer.agent
                    );
                    assert!(
                        !self.wrapping.contains(&offer.agent),
                        "{:?} works after a call",
                        offer.agent
                    );
                    assert!(
                        self.live.insert(offer.offer, offer).is_none(),
                        "an offer's id was used twice"
                    );
                }
                Output::WithdrawOffer { offer, .. } => assert!(self.live.contains_key(&offer)),
                Output::NobodyOnline { call, .. } => {
                    self.waiting.retain(|(waiting, _)| *waiting != call);
                }
                Output::WrapUpEnded { agent, .. } => {
                    self.wrapping.remove(&agent);
                }
                Output::AgentState { .. } => {}
            }
        }
    }

    /// Takes what the ACD says, and confirms at once what it withdraws, as a call does.
    fn confirm(
        &mut self,
        acd: &mut Acd,
        now: Timestamp,
        outputs: Vec<Output>,
        fresh: &mut BTreeSet<CallId>,
    ) {
        let withdrawn = outputs.iter().filter_map(|output| match output {
            Output::WithdrawOffer { offer, reason, .. } => Some((*offer, *reason)),
            _ => None,
        });
        let withdrawn: Vec<_> = withdrawn.collect();
        self.take(outputs);
        for (offer, reason) in withdrawn {
            if let Some(offer) = self.live.remove(&offer) {
                fresh.remove(&offer.call);
                let outputs = acd.handle(
                    now,
                    Fact::OfferEnded {
                        offer: offer.offer,
                        reason,
                    },
                );
                self.confirm(acd, now, outputs, fresh);
            }
        }
    }

    /// Fresh callers (never offered to anybody) don't wait while an agent they could have is free, and
    /// none who came later in the same group is served before them.
    fn check(&self, acd: &Acd, now: Timestamp, fresh: &BTreeSet<CallId>) {
        for (place, &(call, group)) in self.waiting.iter().enumerate() {
            let rings = |call| self.live.values().any(|live| live.call == call);
            if rings(call) || !fresh.contains(&call) {
                continue;
            }
            let members = &acd.groups[&group].settings;
            let free = members.members.iter().find(|agent| {
                let entry = &acd.agents[agent];
                entry.reachable(members) && entry.free(now)
            });
            assert_eq!(free, None, "{call} waits though an agent is free");
            for &(later, of) in &self.waiting[place + 1..] {
                assert!(
                    of != group || !fresh.contains(&later) || !rings(later),
                    "{later} overtook {call}"
                );
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Join(i64),
    Leave(usize),
    Answer(usize),
    Fail(usize, OfferEnd),
    HangUp(usize),
    Devices(i64, u32),
    Switch(i64, Availability),
    Wait,
}

fn any_step() -> impl Strategy<Value = Step> {
    let reason = prop_oneof![
        Just(OfferEnd::Busy),
        Just(OfferEnd::NotPickedUp),
        Just(OfferEnd::Rejected),
        Just(OfferEnd::Unavailable)
    ];
    let availability = prop_oneof![
        Just(Availability::Online),
        Just(Availability::Idle),
        Just(Availability::Offline)
    ];
    prop_oneof![
        5 => (1_i64..3).prop_map(Step::Join),
        1 => any::<prop::sample::Index>().prop_map(|index| Step::Leave(index.index(8))),
        4 => any::<prop::sample::Index>().prop_map(|index| Step::Answer(index.index(8))),
        3 => (0_usize..8, reason).prop_map(|(index, reason)| Step::Fail(index, reason)),
        3 => (0_usize..8).prop_map(Step::HangUp),
        2 => (1_i64..6, 0_u32..2).prop_map(|(agent, registered)| Step::Devices(agent, registered)),
        2 => (1_i64..6, availability).prop_map(|(agent, availability)| Step::Switch(agent, availability)),
        4 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn queue_is_fair_and_nobody_is_rung_twice(
        steps in prop::collection::vec((any_step(), 0_i64..8), 1..120),
        strategies in prop::sample::subsequence(vec![RingStrategy::RingAll, RingStrategy::RoundRobin, RingStrategy::Random, RingStrategy::LongestIdle], 2),
    ) {
        let mut acd = sales(strategies[0], &[1, 2, 3]);
        for id in [4, 5] {
            let _ = acd.handle(at(0), agent(id));
            let _ = acd.handle(at(0), devices(id, 1));
        }
        let _ = acd.handle(at(0), group(2, strategies[1], &[3, 4, 5]));
        let (mut watch, mut now, mut next_call) = (Watch::default(), at(0), 0);
        let mut fresh = BTreeSet::new();
        for (step, wait) in steps {
            now += SignedDuration::from_secs(wait);
            let outputs = acd.on_time(now);
            watch.confirm(&mut acd, now, outputs, &mut fresh);
            let live: Vec<Offer> = watch.live.values().cloned().collect();
            let fact = match step {
                Step::Join(group) => {
                    next_call += 1;
                    watch.waiting.push((CallId(next_call), GroupId(group)));
                    fresh.insert(CallId(next_call));
                    Fact::CallerJoined { call: CallId(next_call), group: GroupId(group), since: now }
                }
                Step::Leave(index) if index < watch.waiting.len() => {
                    let (call, _) = watch.waiting.remove(index);
                    watch.live.retain(|_, live| live.call != call);
                    Fact::CallerLeft { call }
                }
                Step::Answer(index) if index < live.len() => {
                    let won = &live[index];
                    // A call that is still in its queue has one winner; its other phones stop.
                    if !watch.waiting.iter().any(|(call, _)| *call == won.call) {
                        continue;
                    }
                    watch.waiting.retain(|(call, _)| *call != won.call);
                    watch.talking.insert(won.agent, won.call);
                    watch.live.remove(&won.offer);
                    let outputs = acd.handle(now, Fact::OfferAnswered { offer: won.offer });
                    watch.confirm(&mut acd, now, outputs, &mut fresh);
                    for lost in live.iter().filter(|lost| lost.call == won.call && lost.offer != won.offer) {
                        watch.live.remove(&lost.offer);
                        let outputs = acd.handle(now, Fact::OfferEnded { offer: lost.offer, reason: OfferEnd::Canceled });
                        watch.confirm(&mut acd, now, outputs, &mut fresh);
                    }
                    continue;
                }
                Step::Fail(index, reason) if index < live.len() => {
                    watch.live.remove(&live[index].offer);
                    fresh.remove(&live[index].call);
                    Fact::OfferEnded { offer: live[index].offer, reason }
                }
                Step::HangUp(index) if index < watch.talking.len() => {
                    let (&agent, &call) = watch.talking.iter().nth(index).expect("in range");
                    watch.talking.remove(&agent);
                    watch.wrapping.insert(agent);
                    Fact::ConversationEnded { call, agent, wrap_up_seconds: 5 }
                }
                Step::Devices(agent, registered) => devices(agent, registered),
                Step::Switch(agent, availability) => Fact::AvailabilityChanged { agent: AgentId(agent), availability },
                _ => continue,
            };
            let outputs = acd.handle(now, fact);
            watch.confirm(&mut acd, now, outputs, &mut fresh);
            watch.check(&acd, now, &fresh);
        }
    }
}

#[test]
fn big_company_is_served_quickly() {
    let agents: Vec<i64> = (1..=200).collect();
    let mut acd = sales(RingStrategy::LongestIdle, &agents);
    for call in 1..=700 {
        let _ = acd.handle(at(1), joins(call));
    }
    assert_eq!(acd.waiting(SALES).len(), 700);
    let ringing: Vec<OfferId> = acd.offers.keys().copied().collect();
    assert_eq!(ringing.len(), 200);
    let started = std::time::Instant::now();
    for offer in &ringing {
        let _ = acd.handle(
            at(10),
            Fact::OfferEnded {
                offer: *offer,
                reason: OfferEnd::NotPickedUp,
            },
        );
    }
    let each = started.elapsed() / 200;
    // Far above what an idle machine needs in a debug build, far below what a caller would notice.
    assert!(
        each < std::time::Duration::from_millis(5),
        "a decision takes {each:?}"
    );
    eprintln!("a decision takes {each:?}");
}
