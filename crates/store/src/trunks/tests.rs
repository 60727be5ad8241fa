use model::{AgentId, CallFact, CallPrice, Direction, HangupCause, LegId, RunningPrice};
use serde_json::json;

use super::*;
use crate::{company::NewTenant, ledger::Ledger, testing::databases};

async fn company(db: &Db, name: &str) -> TenantId {
    let new = NewTenant {
        name: name.to_owned(),
        time_zone: "UTC".to_owned(),
        country_code: "SK".to_owned(),
    };
    db.create_tenant(new, crate::now())
        .await
        .expect("company")
        .id
}

fn row(name: &str) -> TrunkRow {
    TrunkRow {
        name: name.to_owned(),
        settings: json!({"server": "sip.carrier.example"}),
        password: Some(SealedPassword {
            wrapped_key: "k".to_owned(),
            sealed: "s".to_owned(),
        }),
        is_enabled: true,
    }
}

#[tokio::test]
async fn companies_see_their_own_trunks_and_shared_ones_and_change_their_own_only() {
    for (db, _dir) in databases().await {
        let now = crate::now();
        let (one, other) = (company(&db, "One").await, company(&db, "Other").await);
        let mine = db
            .add_trunk(Some(one), row("mine"), now)
            .await
            .expect("add");
        let shared = db.add_trunk(None, row("shared"), now).await.expect("add");
        db.add_trunk(Some(other), row("theirs"), now)
            .await
            .expect("add");
        assert!(matches!(
            db.add_trunk(Some(other), row("mine"), now).await,
            Err(StoreError::Duplicate { what: "name" })
        ));
        let seen: Vec<_> = db.trunks_of(one).await.expect("list");
        assert_eq!(
            seen.iter().map(|trunk| trunk.id).collect::<Vec<_>>(),
            [mine, shared]
        );
        assert_eq!(db.trunks().await.expect("list").len(), 3);
        for foreign in [Some(other), None] {
            assert!(
                !db.save_trunk(foreign, mine, row("x"), now)
                    .await
                    .expect("save")
            );
            assert!(!db.delete_trunk(foreign, mine).await.expect("delete"));
        }
        let without_password = TrunkRow {
            password: None,
            ..row("renamed")
        };
        assert!(
            db.save_trunk(Some(one), mine, without_password, now)
                .await
                .expect("save")
        );
        let kept = db.trunks_of(one).await.expect("list").remove(0);
        assert_eq!(kept.name, "renamed");
        assert_eq!(kept.sealed_password.as_deref(), Some("s"), "it stays");
        assert!(db.delete_trunk(Some(one), mine).await.expect("delete"));
        assert_eq!(db.trunks_of(one).await.expect("list").len(), 1);
    }
}

#[tokio::test]
async fn a_price_list_is_replaced_as_a_whole() {
    for (db, _dir) in databases().await {
        let trunk = db
            .add_trunk(None, row("t"), crate::now())
            .await
            .expect("add");
        let price = |per_minute_micros| CallPrice {
            per_minute_micros,
            step_seconds: 60,
        };
        let many: Vec<_> = (0..1000).map(|n| (format!("42{n}"), price(n))).collect();
        db.replace_trunk_prices(trunk, &many).await.expect("prices");
        assert_eq!(db.trunk_prices(trunk).await.expect("read").len(), 1000);
        let few = [("421".to_owned(), price(7)), ("44".to_owned(), price(9))];
        db.replace_trunk_prices(trunk, &few).await.expect("prices");
        assert_eq!(db.trunk_prices(trunk).await.expect("read"), few);
        let event = TrunkEvent {
            at: crate::now(),
            state: "failing".to_owned(),
            detail: "no answer".to_owned(),
        };
        db.add_trunk_event(trunk, event.clone())
            .await
            .expect("event");
        assert_eq!(db.trunk_events(trunk, 10).await.expect("read"), [event]);
        assert!(db.delete_trunk(None, trunk).await.expect("delete"));
        assert!(db.trunk_prices(trunk).await.expect("read").is_empty());
    }
}

#[tokio::test]
async fn stops_hold_until_they_are_released() {
    for (db, _dir) in databases().await {
        let now = crate::now();
        let (one, other) = (company(&db, "One").await, company(&db, "Other").await);
        let stop = OutgoingStop {
            tenant: one,
            agent: Some(AgentId(5)),
            reason: "too many".to_owned(),
            at: now,
        };
        db.add_outgoing_stop(&stop).await.expect("stop");
        assert_eq!(db.outgoing_stops(one).await.expect("read"), [stop]);
        assert!(db.outgoing_stops(other).await.expect("read").is_empty());
        let agent = Some(AgentId(5));
        for (tenant, agent, count) in [
            (other, agent, 0),
            (one, None, 0),
            (one, agent, 1),
            (one, agent, 0),
        ] {
            let released = db.release_outgoing_stops(tenant, agent, "owner", now).await;
            assert_eq!(released.expect("release"), count);
        }
        assert!(db.outgoing_stops(one).await.expect("read").is_empty());
        db.save_outgoing_settings(one, &json!({"a": 1}))
            .await
            .expect("save");
        db.save_outgoing_settings(one, &json!({"a": 2}))
            .await
            .expect("save");
        assert_eq!(
            db.outgoing_settings(one).await.expect("read"),
            Some(json!({"a": 2}))
        );
        assert_eq!(db.outgoing_settings(other).await.expect("read"), None);
    }
}

#[tokio::test]
async fn what_was_called_is_summed_from_the_ledger() {
    for (db, _dir) in databases().await {
        let tenant = company(&db, "One").await;
        let (ledger, _writer) = Ledger::start(db.clone()).await.expect("ledger");
        let call = ledger.new_call_id();
        let begun = crate::now();
        let leg = LegId(2);
        let started = vec![
            CallFact::Started {
                uuid: "u".to_owned(),
                direction: Direction::Outgoing,
                external: None,
                internal: None,
                number: None,
                contact: None,
                trunk: None,
                node: "n".to_owned(),
            },
            CallFact::AgentCalls {
                agent: AgentId(5),
                agent_name: "Ann".to_owned(),
                dialled: "0905".to_owned(),
            },
            CallFact::TrunkDialed {
                leg,
                trunk: TrunkId(3),
                trunk_name: "t".to_owned(),
                why: "only".to_owned(),
                price: Some(CallPrice {
                    per_minute_micros: 60_000,
                    step_seconds: 1,
                }),
            },
            CallFact::CalleeAnswered { leg },
            CallFact::Bridged {
                a: LegId::FIRST,
                b: leg,
            },
        ];
        ledger
            .append(tenant, call, begun, started)
            .await
            .expect("facts");
        let cause = HangupCause::AgentHangup;
        let ended = vec![
            CallFact::LegEnded { leg, cause },
            CallFact::LegEnded {
                leg: LegId::FIRST,
                cause,
            },
            CallFact::Ended { cause },
        ];
        let end = begun + jiff::SignedDuration::from_secs(10);
        ledger
            .append(tenant, call, end, ended)
            .await
            .expect("facts");
        let calls = db.outgoing_calls_since(tenant, begun).await.expect("read");
        assert_eq!(
            calls,
            [OutgoingCall {
                agent: AgentId(5),
                started_at: begun,
                talking_ms: 10_000,
                cost_micros: 10_000
            }]
        );
        let uses = db.trunk_use_since(begun).await.expect("read");
        assert_eq!(
            uses,
            [TrunkUse {
                trunk: TrunkId(3),
                talking_ms: 10_000,
                cost_micros: 10_000
            }]
        );
        let after = end + jiff::SignedDuration::from_millis(1);
        assert!(db.trunk_use_since(after).await.expect("read").is_empty());
    }
}

#[tokio::test]
async fn a_leg_counts_for_its_trunk_in_whatever_call_it_goes_on() {
    for (db, _dir) in databases().await {
        let tenant = company(&db, "One").await;
        let (ledger, _writer) = Ledger::start(db.clone()).await.expect("ledger");
        let begun = crate::now();
        let after = |seconds| begun + jiff::SignedDuration::from_secs(seconds);
        let price = CallPrice {
            per_minute_micros: 60_000,
            step_seconds: 1,
        };
        let (trunk, leg) = (TrunkId(3), LegId(2));
        let started = |uuid: &str, direction| CallFact::Started {
            uuid: uuid.to_owned(),
            direction,
            external: None,
            internal: None,
            number: None,
            contact: None,
            trunk: None,
            node: "n".to_owned(),
        };
        let cause = HangupCause::Transferred;
        // An agent asks somebody outside, and gives him to the caller he has.
        let (asked, caller) = (ledger.new_call_id(), ledger.new_call_id());
        let dialled = vec![
            started("a", Direction::Outgoing),
            CallFact::TrunkDialed {
                leg,
                trunk,
                trunk_name: "t".to_owned(),
                why: "only".to_owned(),
                price: Some(price),
            },
            CallFact::CalleeAnswered { leg },
        ];
        let given = vec![
            CallFact::LegGiven { leg, to: caller },
            CallFact::LegEnded { leg, cause },
            CallFact::LegEnded {
                leg: LegId::FIRST,
                cause,
            },
            CallFact::Ended { cause },
        ];
        let taken = |trunk| CallFact::LegTaken {
            leg: LegId(5),
            from: asked,
            agent: None,
            price: Some(RunningPrice {
                price,
                talked_ms: 20_000,
                trunk,
            }),
        };
        let parts = [
            (asked, begun, dialled),
            (caller, begun, vec![started("b", Direction::Incoming)]),
            (asked, after(20), given),
            (caller, after(20), vec![taken(Some(trunk))]),
            // The last sign of life before the server is killed.
            (caller, after(50), vec![CallFact::CallerConnected]),
        ];
        for (call, at, facts) in parts {
            let stored = ledger.append(tenant, call, at, facts).await;
            stored.expect("facts");
        }
        let used = |seconds: u64| TrunkUse {
            trunk,
            talking_ms: seconds * 1_000,
            cost_micros: seconds * 1_000,
        };
        let uses = db.trunk_use_since(begun).await.expect("read");
        assert_eq!(uses, [used(50)]);
        // The other one hangs up after midnight: the day pays for legs that ended in it.
        let over = CallFact::LegEnded {
            leg: LegId(5),
            cause,
        };
        let stored = ledger.append(tenant, caller, after(70), vec![over]).await;
        stored.expect("facts");
        let uses = db.trunk_use_since(begun).await.expect("read");
        assert_eq!(uses, [used(70)]);
        let uses = db.trunk_use_since(after(60)).await.expect("read");
        assert_eq!(uses, [used(50)]);
    }
}
