use proptest::prelude::*;

use super::*;

const AGENT: AgentId = AgentId(1);

fn noon() -> Timestamp {
    "2026-11-25T11:00:00Z".parse().expect("a time")
}

fn guard(rules: Rules) -> Guard {
    Guard::new(rules, TimeZone::UTC)
}

fn placing(call: i64) -> Placing {
    Placing {
        call: CallId(call),
        agent: AGENT,
        is_abroad: false,
        price: None,
        agent_budget_micros: None,
    }
}

fn only(agent: Bounds) -> Rules {
    Rules {
        agent,
        company: Bounds::default(),
        night: None,
    }
}

#[test]
fn too_many_at_once_stop_the_agent_until_a_person_lets_him_go() {
    let mut guard = guard(only(Bounds {
        concurrent: Some(2),
        ..Bounds::default()
    }));
    assert_eq!(guard.admit(noon(), &placing(1)), Verdict::Allowed);
    assert_eq!(guard.admit(noon(), &placing(2)), Verdict::Allowed);
    let Verdict::Stops(stop) = guard.admit(noon(), &placing(3)) else {
        panic!("the third at once must stop him");
    };
    assert_eq!(stop.reason, "more than 2 calls at once");
    for call in [1, 2] {
        guard.ended(noon(), CallId(call), 0, 0);
    }
    let tomorrow = noon() + SignedDuration::from_hours(24);
    assert_eq!(
        guard.admit(tomorrow, &placing(4)),
        Verdict::Stopped(stop),
        "time alone frees nobody"
    );
    let other = Placing {
        agent: AgentId(2),
        ..placing(5)
    };
    assert_eq!(guard.admit(tomorrow, &other), Verdict::Allowed);
    assert!(guard.release(Scope::Agent(AGENT)));
    assert!(!guard.release(Scope::Agent(AGENT)), "once is enough");
    assert_eq!(guard.admit(tomorrow, &placing(6)), Verdict::Allowed);
}

#[test]
fn calls_abroad_by_night_are_few() {
    let at = |text: &str| -> Timestamp { text.parse().expect("a time") };
    let mut guard = Guard::new(
        Rules {
            night: Some(Night {
                calls_per_hour: 1,
                dear_micros: Some(500_000),
                hours: Rules::default().night.expect("by default").hours,
            }),
            ..only(Bounds::default())
        },
        TimeZone::get("Europe/Bratislava").expect("a zone"),
    );
    let abroad = |call| Placing {
        is_abroad: true,
        ..placing(call)
    };
    // 20:30 in Bratislava is day, 21:30 is night.
    for call in 1..10 {
        assert_eq!(
            guard.admit(at("2026-11-25T19:30:00Z"), &abroad(call)),
            Verdict::Allowed
        );
    }
    let night = at("2026-11-25T20:30:00Z");
    assert_eq!(
        guard.admit(night, &placing(20)),
        Verdict::Allowed,
        "at home"
    );
    assert_eq!(guard.admit(night, &abroad(21)), Verdict::Allowed);
    let dear = Placing {
        price: Some(CallPrice {
            per_minute_micros: 500_000,
            step_seconds: 60,
        }),
        ..placing(22)
    };
    assert!(matches!(guard.admit(night, &dear), Verdict::Stops(_)));
}

#[test]
fn days_are_counted_across_a_restart_and_end_at_midnight() {
    let bounds = Bounds {
        minutes_per_day: Some(10),
        ..Bounds::default()
    };
    let past = Past {
        agent: AGENT,
        started_at: noon() - SignedDuration::from_hours(2),
        talked_ms: 9 * 60_000,
        cost_micros: 0,
    };
    let mut guard = guard(only(bounds));
    guard.remember(noon(), &[past], Vec::new());
    assert_eq!(guard.admit(noon(), &placing(1)), Verdict::Allowed);
    guard.ended(noon(), CallId(1), 60_000, 0);
    assert!(matches!(
        guard.admit(noon(), &placing(2)),
        Verdict::Stops(_)
    ));
    guard.release(Scope::Agent(AGENT));
    assert_eq!(guard.admit(noon(), &placing(3)), Verdict::Allowed);
    guard.ended(noon(), CallId(3), 11 * 60_000, 0);
    let tomorrow = noon() + SignedDuration::from_hours(14);
    assert_eq!(guard.admit(tomorrow, &placing(4)), Verdict::Allowed);
}

#[test]
fn an_agents_own_budget_refuses_and_stops_nothing() {
    let mut guard = guard(only(Bounds::default()));
    let placing = |call| Placing {
        agent_budget_micros: Some(1_000_000),
        ..placing(call)
    };
    assert_eq!(guard.admit(noon(), &placing(1)), Verdict::Allowed);
    guard.ended(noon(), CallId(1), 60_000, 1_000_000);
    assert!(matches!(
        guard.admit(noon(), &placing(2)),
        Verdict::Refused(_)
    ));
    assert!(guard.stops().is_empty());
}

proptest! {
    /// Whatever agents do, no minute holds more calls than the rules allow, and who is stopped stays so.
    #[test]
    fn no_minute_holds_more_than_allowed(
        steps in proptest::collection::vec((0u64..20_000, 1i64..4, any::<bool>()), 1..300)
    ) {
        let rules = Rules {
            agent: Bounds { per_minute: Some(5), concurrent: Some(3), ..Bounds::default() },
            company: Bounds { per_minute: Some(12), ..Bounds::default() },
            night: None,
        };
        let mut guard = guard(rules);
        let mut now = noon();
        let mut placed: Vec<(Timestamp, AgentId)> = Vec::new();
        let mut up: Vec<(CallId, AgentId)> = Vec::new();
        let mut stopped = std::collections::BTreeSet::new();
        for (call, (wait, agent, hangs_up)) in (1..).zip(steps) {
            now += SignedDuration::from_millis(i64::try_from(wait).expect("small"));
            let agent = AgentId(agent);
            if hangs_up && !up.is_empty() {
                let (call, _) = up.remove(0);
                guard.ended(now, call, 1000, 1);
            }
            match guard.admit(now, &Placing { agent, ..placing(call) }) {
                Verdict::Allowed => {
                    prop_assert!(!stopped.contains(&Scope::Agent(agent)));
                    prop_assert!(!stopped.contains(&Scope::Company));
                    placed.push((now, agent));
                    up.push((CallId(call), agent));
                }
                Verdict::Stops(stop) => { stopped.insert(stop.scope); }
                Verdict::Stopped(stop) => prop_assert!(stopped.contains(&stop.scope)),
                Verdict::Refused(_) => prop_assert!(false, "there are no budgets"),
            }
            let since = now - SignedDuration::from_mins(1);
            let recent: Vec<_> = placed.iter().filter(|(at, _)| *at > since).collect();
            prop_assert!(recent.len() <= 12);
            prop_assert!(recent.iter().filter(|(_, who)| *who == agent).count() <= 5);
            prop_assert!(up.iter().filter(|(_, who)| *who == agent).count() <= 3);
        }
    }
}
