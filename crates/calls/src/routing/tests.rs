use std::sync::Arc;

use jiff::civil::{Date, DateTime, date, datetime};
use model::{AgentId, CallPrice, GroupId, NumberId, PhoneNumber, Timestamp, TrunkId};
use proptest::prelude::*;

use super::*;

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).expect(text)
}

fn plan() -> DialPlan {
    DialPlan {
        country: "SK".to_owned(),
        extensions: [
            (1001, Extension::Agent(AgentId(1))),
            (2000, Extension::Group(GroupId(7))),
        ]
        .into(),
        numbers: [(number("+421200000001"), NumberId(3))].into(),
    }
}

#[test]
fn what_is_dialled_reaches_colleagues_own_numbers_help_or_the_world() {
    let plan = plan();
    for (text, target) in [
        ("1001", Some(Target::Agent(AgentId(1)))),
        ("2000", Some(Target::Group(GroupId(7)))),
        ("+421 2 0000 0001", Some(Target::OwnNumber(NumberId(3)))),
        ("0200000001", Some(Target::OwnNumber(NumberId(3)))),
        (
            "0905 000 001",
            Some(Target::Outside(number("+421905000001"))),
        ),
        (
            "00442079460000",
            Some(Target::Outside(number("+442079460000"))),
        ),
        ("112", Some(Target::Emergency("112".to_owned()))),
        ("155", Some(Target::Emergency("155".to_owned()))),
        ("1009", None),
        ("sales", None),
        ("", None),
        ("*43", None),
    ] {
        assert_eq!(dialled(text, &plan), target, "{text:?}");
    }
    // The Slovak ambulance is nobody's elsewhere.
    let plan = DialPlan {
        country: "US".to_owned(),
        ..plan
    };
    assert_eq!(dialled("155", &plan), None);
    assert_eq!(
        dialled("911", &plan),
        Some(Target::Emergency("911".to_owned()))
    );
}

#[test]
fn the_number_shown_is_the_agents_then_of_the_callees_country_then_the_companys() {
    let numbers = [
        (number("+421200000001"), NumberId(1)),
        (number("+442079460000"), NumberId(2)),
        (number("+421200000009"), NumberId(9)),
    ]
    .into();
    let british = number("+442079460099");
    let shown = |agent, associated: &[i64], company| {
        let associated: Vec<_> = associated.iter().copied().map(NumberId).collect();
        caller_id(Some(&british), agent, &associated, company, &numbers)
            .map(|number| number.to_string())
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        shown(Some(NumberId(9)), &[2], Some(NumberId(1))),
        text("+421200000009")
    );
    assert_eq!(
        shown(None, &[9, 2], Some(NumberId(1))),
        text("+442079460000")
    );
    assert_eq!(shown(None, &[9], Some(NumberId(1))), text("+421200000001"));
    assert_eq!(shown(None, &[9], None), text("+421200000009"));
    assert_eq!(shown(None, &[], None), text("+421200000001"));
    // A number that was given back is not shown.
    assert_eq!(shown(Some(NumberId(77)), &[], None), text("+421200000001"));
}

#[test]
fn carriers_write_numbers_in_their_ways() {
    let slovak = number("+421200000001");
    let write = |style, prefix: &str, number: &PhoneNumber| {
        NumberFormat {
            style,
            prefix: prefix.to_owned(),
            strip: String::new(),
        }
        .write(number, "SK")
    };
    assert_eq!(write(NumberStyle::Plus, "", &slovak), "+421200000001");
    assert_eq!(write(NumberStyle::Digits, "99", &slovak), "99421200000001");
    assert_eq!(
        write(NumberStyle::DoubleZero, "", &slovak),
        "00421200000001"
    );
    assert_eq!(write(NumberStyle::National, "", &slovak), "0200000001");
    let abroad = number("+442079460000");
    assert_eq!(write(NumberStyle::National, "", &abroad), "+442079460000");
    let read = |style, strip: &str, text: &str| {
        let format = NumberFormat {
            style,
            prefix: String::new(),
            strip: strip.to_owned(),
        };
        format.read(text, "SK").map(|number| number.to_string())
    };
    let same = Some("+421200000001".to_owned());
    assert_eq!(read(NumberStyle::Plus, "", "421200000001"), same);
    assert_eq!(read(NumberStyle::Digits, "77", "77421200000001"), same);
    assert_eq!(read(NumberStyle::DoubleZero, "", "00421200000001"), same);
    assert_eq!(read(NumberStyle::National, "", "0200000001"), same);
    assert_eq!(read(NumberStyle::Plus, "", "nobody"), None);
}

#[test]
fn only_the_network_moves_a_call_on() {
    let refused = |status, q850| TrunkFailure::Refused { status, q850 };
    for failure in [
        refused(503, None),
        refused(500, None),
        refused(408, None),
        refused(401, None),
        refused(486, Some(34)),
        TrunkFailure::TimedOut,
        TrunkFailure::Unreachable("refused".to_owned()),
        TrunkFailure::Limited("2 calls".to_owned()),
    ] {
        assert!(moves_on(&failure, false), "{failure}");
    }
    for status in [403, 404, 480, 484, 486, 487, 600, 603, 604, 606] {
        assert!(!moves_on(&refused(status, None), false), "{status}");
    }
    assert!(!moves_on(&refused(486, Some(17)), false));
    assert!(!moves_on(&refused(503, None), true), "his phone rang");
}

#[test]
fn price_lists_are_read_and_the_longest_prefix_counts() {
    let list =
        "prefix;price;step\n+421;0.02;1\n4219;0.125\n\n# mobile of one operator\n421905;.5;60\n";
    let problem = Rates::parse_list(list).expect_err("a price needs its zero");
    assert_eq!(problem.line, 6);
    let rates = Rates::new(Rates::parse_list(&list.replace(";.5", ";0.5")).expect("right"));
    let price = |text| {
        rates
            .price(&number(text))
            .map(|price| price.per_minute_micros)
    };
    assert_eq!(price("+421200000001"), Some(20_000));
    assert_eq!(price("+421915000001"), Some(125_000));
    assert_eq!(price("+421905000001"), Some(500_000));
    assert_eq!(price("+442079460000"), None);
}

#[test]
fn hours_may_pass_midnight() {
    let hours: Hours =
        serde_json::from_value(serde_json::json!({"from": "21:00", "to": "06:00", "days": [5]}))
            .expect("hours");
    let at = |day, hour| datetime(2026, 11, day, hour, 0, 0, 0);
    // The 27th of November 2026 is a Friday.
    assert!(hours.hold(at(27, 21)));
    assert!(hours.hold(at(28, 5)));
    assert!(!hours.hold(at(28, 6)));
    assert!(!hours.hold(at(28, 22)));
    assert!(!hours.hold(at(27, 5)));
}

#[test]
fn the_longer_prefix_decides_between_allowed_and_denied() {
    let limits = TrunkLimits {
        allowed: vec!["+421".parse().expect("prefix")],
        denied: vec![
            "+4219".parse().expect("prefix"),
            "+44".parse().expect("prefix"),
        ],
        ..TrunkLimits::default()
    };
    assert_eq!(limits.admits_number(&number("+421200000001")), Ok(()));
    assert_eq!(
        limits.admits_number(&number("+421905000001")),
        Err("calls to +4219 are denied on it".to_owned())
    );
    assert!(limits.admits_number(&number("+442079460000")).is_err());
    assert!(limits.admits_number(&number("+12025550143")).is_err());
}

#[test]
fn settings_say_all_that_is_wrong_with_them() {
    let fields = |settings: TrunkSettings| -> Vec<&str> {
        settings
            .problems()
            .into_iter()
            .map(|problem| problem.field)
            .collect()
    };
    let good = TrunkSettings {
        server: "sip.carrier.example:5061".to_owned(),
        ..TrunkSettings::default()
    };
    assert_eq!(fields(good.clone()), [] as [&str; 0]);
    for server in ["", "a b", "host:0", "host:x", "[::1", "http://x", "a..b"] {
        let settings = TrunkSettings {
            server: server.to_owned(),
            ..good.clone()
        };
        assert_eq!(fields(settings), ["server"], "{server:?}");
    }
    for server in ["[2001:db8::5]:5060", "203.0.113.5", "carrier"] {
        let settings = TrunkSettings {
            server: server.to_owned(),
            ..good.clone()
        };
        assert_eq!(fields(settings), [] as [&str; 0], "{server:?}");
    }
    let bad = TrunkSettings {
        register: Some(Registration::default()),
        sources: vec!["203.0.113.0/33".to_owned()],
        setup_seconds: 0,
        country: Some("sk".to_owned()),
        ..good
    };
    assert_eq!(
        fields(bad),
        ["username", "sources", "setup_seconds", "country"]
    );
}

fn today() -> Date {
    date(2026, 11, 27)
}

fn noon() -> DateTime {
    today().at(12, 0, 0, 0)
}

fn now() -> Timestamp {
    "2026-11-27T12:00:00Z".parse().expect("a time")
}

fn carrier(id: i64, price: Option<u64>) -> Carrier {
    let prices = price.map(|per_minute_micros| {
        let price = CallPrice {
            per_minute_micros,
            step_seconds: 60,
        };
        ("+421".parse().expect("prefix"), price)
    });
    Carrier {
        id: TrunkId(id),
        name: format!("carrier {id}"),
        settings: Arc::new(TrunkSettings {
            server: "sip.carrier.example".to_owned(),
            ..TrunkSettings::default()
        }),
        rates: Arc::new(Rates::new(prices)),
        usage: TrunkUsage::default(),
        health: Health::Usable,
        today: today(),
    }
}

fn with(carrier: Carrier, change: impl FnOnce(&mut TrunkSettings)) -> Carrier {
    let mut settings = (*carrier.settings).clone();
    change(&mut settings);
    Carrier {
        settings: Arc::new(settings),
        ..carrier
    }
}

fn order(rules: &[Rule], carriers: &[Carrier], to: Option<&PhoneNumber>) -> Vec<i64> {
    let call = Outbound {
        number: to,
        agent: AgentId(1),
        groups: &[GroupId(1)],
        now: now(),
        local: noon(),
    };
    let found = route(&call, rules, carriers);
    assert_eq!(found.attempts.is_empty(), found.refused.is_some());
    found.attempts.iter().map(|a| a.trunk.0).collect()
}

fn rule(prefixes: &[&str], groups: &[i64], action: Action) -> Rule {
    Rule {
        name: "r".to_owned(),
        prefixes: prefixes
            .iter()
            .map(|p| p.parse().expect("prefix"))
            .collect(),
        groups: groups.iter().copied().map(GroupId).collect(),
        hours: None,
        action,
    }
}

fn trunks(ids: &[i64], order: Order) -> Action {
    Action::Trunks {
        trunks: ids.iter().copied().map(TrunkId).collect(),
        order,
    }
}

#[test]
fn without_rules_the_cheapest_is_asked_first_and_the_failing_last() {
    let to = number("+421905000001");
    let mut carriers = vec![
        carrier(1, None),
        carrier(2, Some(30)),
        carrier(3, Some(20)),
        carrier(4, Some(10)),
    ];
    carriers[3].health = Health::Failing("no answer".to_owned());
    assert_eq!(order(&[], &carriers, Some(&to)), [3, 2, 1, 4]);
}

#[test]
fn the_first_rule_that_fits_decides() {
    let to = number("+421905000001");
    let carriers = [carrier(1, Some(5)), carrier(2, Some(1)), carrier(3, None)];
    let refuse = || Action::Refuse {
        reason: "no".to_owned(),
    };
    let rules = [
        rule(&["+44"], &[], refuse()),
        rule(&[], &[9], refuse()),
        rule(&["+4219"], &[1], trunks(&[3, 1, 3, 77], Order::Listed)),
        rule(&[], &[], refuse()),
    ];
    assert_eq!(order(&rules, &carriers, Some(&to)), [3, 1]);
    assert!(order(&rules, &carriers, Some(&number("+442079460000"))).is_empty());
    let cheap = [rule(&[], &[], trunks(&[3, 1, 2], Order::LeastCost))];
    assert_eq!(order(&cheap, &carriers, Some(&to)), [2, 1, 3]);
    assert!(
        order(&rules[..2], &carriers, Some(&to)).is_empty(),
        "none fits"
    );
}

#[test]
fn limits_pass_a_carrier_over_and_say_so() {
    let to = number("+421905000001");
    let full = with(carrier(1, None), |s| s.limits.concurrent = Some(0));
    let barred = with(carrier(2, None), |s| {
        s.limits.denied = vec!["+421".parse().expect("prefix")];
    });
    let mut spent = with(carrier(3, None), |s| s.limits.minutes_per_day = Some(10));
    spent.usage = TrunkUsage::so_far(today(), 600_000, 0);
    let call = Outbound {
        number: Some(&to),
        agent: AgentId(1),
        groups: &[],
        now: now(),
        local: noon(),
    };
    let found = route(&call, &[], &[full.clone(), barred.clone(), spent.clone()]);
    assert!(found.attempts.is_empty());
    let refused = found.refused.expect("nothing is left");
    for part in [
        "carrier 1: 0 calls at once are its limit",
        "carrier 2: calls to +421 are denied on it",
        "carrier 3: its 10 minutes of today are used up",
    ] {
        assert!(refused.contains(part), "{part:?} is missing in {refused:?}");
    }
    // Help is never refused, and goes first to who can find the caller.
    let emergency = with(carrier(4, None), |s| s.emergency = true);
    assert_eq!(
        order(&[], &[full, barred, spent, emergency], None),
        [4, 1, 2, 3]
    );
}

prop_compose! {
    fn carriers()(
        prices in proptest::collection::vec((proptest::option::of(1u64..50), any::<bool>(), any::<bool>(), 0u32..3), 0..6)
    ) -> Vec<Carrier> {
        (1..).zip(prices).map(|(id, (price, failing, outbound, room))| {
            let mut carrier = with(carrier(id, price), |s| {
                s.outbound = outbound;
                s.limits.concurrent = Some(room);
            });
            if failing {
                carrier.health = Health::Failing("it fails".to_owned());
            }
            carrier
        }).collect()
    }
}

proptest! {
    /// Each carrier is asked at most once, none beyond its limits, none dearer before a cheaper one
    /// that works as well, and an emergency call reaches every carrier.
    #[test]
    fn routes_keep_their_promises(carriers in carriers()) {
        let to = number("+421905000001");
        let asked = order(&[], &carriers, Some(&to));
        let find = |id: i64| carriers.iter().find(|c| c.id.0 == id).expect("known");
        let mut once = asked.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), asked.len());
        for id in &asked {
            prop_assert!(find(*id).settings.outbound);
            prop_assert!(find(*id).settings.limits.concurrent != Some(0));
        }
        let rank = |id: i64| {
            let carrier = find(id);
            let price = carrier.rates.price(&to).map_or((1, 0), |p| (0, p.per_minute_micros));
            (carrier.health != Health::Usable, price)
        };
        prop_assert!(asked.windows(2).all(|pair| rank(pair[0]) <= rank(pair[1])));
        let left_out = carriers.iter().filter(|c| {
            c.settings.outbound && c.settings.limits.concurrent != Some(0) && !asked.contains(&c.id.0)
        });
        prop_assert_eq!(left_out.count(), 0);
        let help = order(&[], &carriers, None);
        let outbound = carriers.iter().filter(|c| c.settings.outbound).count();
        prop_assert_eq!(help.len(), outbound);
    }
}
