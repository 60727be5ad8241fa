use jiff::SignedDuration;
use model::{
    AgentId, CallFact, CallId, Direction, GroupId, HangupCause, LegId, PhoneNumber, QueueOutcome,
    RingStrategy, TenantId, Timestamp,
};

use super::*;
use crate::{Db, from_ms, testing::databases};

const ACME: TenantId = TenantId(1);
const RIVAL: TenantId = TenantId(2);
const ANN: AgentId = AgentId(7);

fn start() -> Timestamp {
    from_ms(1_700_000_000_000)
}

fn at(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn started(external: &str) -> CallFact {
    CallFact::Started {
        uuid: "u".into(),
        direction: Direction::Incoming,
        external: PhoneNumber::parse(external).ok(),
        internal: PhoneNumber::parse("+421200000001").ok(),
        number: None,
        contact: None,
        trunk: None,
        node: "n".into(),
    }
}

fn answered() -> Vec<CallFact> {
    let group = GroupId(3);
    vec![
        CallFact::QueueJoined {
            group,
            name: "Sales".into(),
            strategy: RingStrategy::LongestIdle,
        },
        CallFact::OfferMade {
            leg: LegId(2),
            agent: ANN,
            agent_name: "Ann".into(),
            group,
            why: "free".into(),
            offer: 1,
        },
        CallFact::OfferAnswered {
            leg: LegId(2),
            agent: ANN,
        },
        CallFact::QueueLeft {
            group,
            outcome: QueueOutcome::Answered,
        },
        CallFact::Bridged {
            a: LegId::FIRST,
            b: LegId(2),
        },
    ]
}

fn ended() -> Vec<CallFact> {
    let cause = HangupCause::CallerHangup;
    vec![
        CallFact::LegEnded {
            leg: LegId::FIRST,
            cause,
        },
        CallFact::LegEnded {
            leg: LegId(2),
            cause,
        },
        CallFact::Ended { cause },
    ]
}

async fn answered_call(ledger: &Ledger, tenant: TenantId, external: &str, begin: i64) -> CallId {
    let call = ledger.new_call_id();
    ledger
        .append(tenant, call, at(begin), vec![started(external)])
        .await
        .expect("append");
    ledger
        .append(tenant, call, at(begin + 2), answered())
        .await
        .expect("append");
    ledger
        .append(tenant, call, at(begin + 12), ended())
        .await
        .expect("append");
    call
}

#[tokio::test]
async fn a_row_is_the_fold_of_its_events() {
    for (db, _dir) in databases().await {
        let (ledger, _task) = Ledger::start(db.clone()).await.expect("start");
        let call = answered_call(&ledger, ACME, "+421900000001", 0).await;
        let row = db.call(ACME, call).await.expect("read").expect("there");
        let events = db.call_events(ACME, call).await.expect("read");
        assert_eq!(Some(&row), calls::record::fold(&events).as_ref());
        assert_eq!(
            events.iter().map(|event| event.seq).collect::<Vec<_>>(),
            (1..=9).collect::<Vec<_>>()
        );
        assert_eq!(
            (row.talking_ms, row.agent, row.cause),
            (10_000, Some(ANN), Some(HangupCause::CallerHangup))
        );
    }
}

#[tokio::test]
async fn facts_after_the_end_still_reach_the_row() {
    for (db, _dir) in databases().await {
        let (ledger, _task) = Ledger::start(db.clone()).await.expect("start");
        let call = answered_call(&ledger, ACME, "+421900000001", 0).await;
        let wrap_up = |fact| vec![fact];
        ledger
            .append(
                ACME,
                call,
                at(12),
                wrap_up(CallFact::WrapUpStarted {
                    agent: ANN,
                    seconds: 30,
                }),
            )
            .await
            .expect("append");
        ledger
            .append(
                ACME,
                call,
                at(16),
                wrap_up(CallFact::WrapUpEnded { agent: ANN }),
            )
            .await
            .expect("append");
        let row = db.call(ACME, call).await.expect("read").expect("there");
        assert_eq!(row.wrap_up_ms, 4_000);
        assert_eq!(row.ended_at, Some(at(12)));
    }
}

#[tokio::test]
async fn ids_go_on_after_a_restart() {
    for (db, _dir) in databases().await {
        let (ledger, task) = Ledger::start(db.clone()).await.expect("start");
        let first = answered_call(&ledger, ACME, "+421900000001", 0).await;
        drop(ledger);
        task.await.expect("the writer ends with its last handle");
        let (ledger, _task) = Ledger::start(db.clone()).await.expect("start");
        assert!(ledger.new_call_id() > first);
    }
}

#[tokio::test]
async fn many_writers_lose_nothing() {
    for (db, _dir) in databases().await {
        let (ledger, _task) = Ledger::start(db.clone()).await.expect("start");
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..50_i64 {
            let ledger = ledger.clone();
            tasks.spawn(async move { answered_call(&ledger, ACME, "+421900000001", index).await });
        }
        let mut calls = tasks.join_all().await;
        calls.sort();
        calls.dedup();
        assert_eq!(calls.len(), 50);
        assert_eq!(
            db.calls(ACME, &CallQuery::default(), 1000, 1)
                .await
                .expect("read")
                .total,
            50
        );
        for call in calls {
            assert_eq!(db.call_events(ACME, call).await.expect("read").len(), 9);
        }
        assert!(db.open_calls().await.expect("read").is_empty());
    }
}

#[tokio::test]
async fn lists_filter_page_and_keep_companies_apart() {
    for (db, _dir) in databases().await {
        let (ledger, _task) = Ledger::start(db.clone()).await.expect("start");
        let older = answered_call(&ledger, ACME, "+421900000001", 0).await;
        let newer = answered_call(&ledger, ACME, "+421900000002", 100).await;
        let missed = ledger.new_call_id();
        ledger
            .append(ACME, missed, at(200), vec![started("+421900000001")])
            .await
            .expect("append");
        let gone = CallFact::Ended {
            cause: HangupCause::CallerCanceled,
        };
        ledger
            .append(ACME, missed, at(201), vec![gone])
            .await
            .expect("append");
        answered_call(&ledger, RIVAL, "+421900000001", 0).await;

        let ids = async |query: CallQuery, limit, page| list(&db, query, limit, page).await;
        assert_eq!(
            ids(CallQuery::default(), 2, 1).await,
            (vec![missed, newer], 3)
        );
        assert_eq!(ids(CallQuery::default(), 2, 2).await, (vec![older], 3));
        let by_number = CallQuery {
            external: Some("+421900000001".into()),
            ..CallQuery::default()
        };
        assert_eq!(ids(by_number, 10, 1).await, (vec![missed, older], 2));
        let only_missed = CallQuery {
            status: Some(CallStatus::Missed),
            ..CallQuery::default()
        };
        assert_eq!(ids(only_missed, 10, 1).await, (vec![missed], 1));
        let a_while = CallQuery {
            from: Some(at(50)),
            to: Some(at(100)),
            ..CallQuery::default()
        };
        assert_eq!(ids(a_while, 10, 1).await, (vec![newer], 1));
        assert_eq!(
            db.call(RIVAL, older).await.expect("read"),
            None,
            "another company's call is not found"
        );
    }
}

async fn list(db: &Db, query: CallQuery, limit: u64, page: u64) -> (Vec<CallId>, u64) {
    let page = db.calls(ACME, &query, limit, page).await.expect("read");
    (page.calls.iter().map(|call| call.id).collect(), page.total)
}

#[tokio::test]
async fn a_missed_call_is_resolved_by_the_next_answered_one() {
    for (db, _dir) in databases().await {
        let (ledger, _task) = Ledger::start(db.clone()).await.expect("start");
        let missed = ledger.new_call_id();
        ledger
            .append(ACME, missed, at(0), vec![started("+421900000001")])
            .await
            .expect("append");
        ledger
            .append(
                ACME,
                missed,
                at(1),
                vec![CallFact::Ended {
                    cause: HangupCause::CallerCanceled,
                }],
            )
            .await
            .expect("append");
        let missed = db.call(ACME, missed).await.expect("read").expect("there");
        assert_eq!(db.call_resolving(&missed).await.expect("read"), None);
        let resolving = answered_call(&ledger, ACME, "+421900000001", 60).await;
        assert_eq!(
            db.call_resolving(&missed)
                .await
                .expect("read")
                .map(|call| call.id),
            Some(resolving)
        );
    }
}
