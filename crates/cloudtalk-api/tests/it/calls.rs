use model::{
    AgentId, CallFact, CallId, Direction, GroupId, HangupCause, LegId, PhoneNumber, QueueOutcome,
    RecordingId, RecordingKind, RingStrategy, StepKind, Timestamp,
};
use serde_json::{Value, json};
use store::directory::{AgentRole, ContactFields, NewAgent, NewContact, NewNumber, SipSecrets};

use crate::actors::{Actor, App};

const START: &str = "2024-01-10T08:42:11Z";

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).expect("valid")
}

struct Answered {
    call: CallId,
    agent: AgentId,
    group: GroupId,
}

async fn agent(app: &App) -> AgentId {
    let new = NewAgent {
        first_name: "Ann".into(),
        last_name: "Ray".into(),
        email: "ann@example.test".into(),
        extension: 1001,
        sip_username: "1001".into(),
        password_hash: String::new(),
        sip: SipSecrets {
            ha1_md5: String::new(),
            ha1_sha256: String::new(),
        },
        language: "en".into(),
        role: AgentRole::Agent,
        availability: model::Availability::Online,
        status_outbound: true,
        daily_price_limit: None,
        default_number: None,
        wrap_up_seconds: 0,
    };
    app.db
        .add_agent(app.acme, new, store::now())
        .await
        .expect("agent")
}

/// A call that rang at once, was answered after 9 s and lasted 36.
async fn answered(app: &App) -> Answered {
    let main = NewNumber {
        number: number("+421200000001"),
        area_code: "2".into(),
        internal_name: "Main".into(),
        is_redirected: false,
        sms_enabled: true,
        route: None,
        trunk: None,
    };
    let main = app
        .db
        .add_number(app.acme, main, store::now())
        .await
        .expect("number");
    let (agent, group) = (agent(app).await, GroupId(app.group("Sales").await));
    app.db
        .add_member(app.acme, group, agent)
        .await
        .expect("member");
    let fields = ContactFields {
        name: "Jan Vzor".into(),
        favorite_agent: Some(agent),
        ..Default::default()
    };
    let contact = NewContact {
        fields,
        numbers: vec![number("+421900111222")],
        ..Default::default()
    };
    let contact = app
        .db
        .add_contact(app.acme, contact, store::now())
        .await
        .expect("contact");
    let start: Timestamp = START.parse().expect("a time");
    let call = app.ledger.new_call_id();
    let recording = RecordingId(call.0);
    let leg = LegId(2);
    let facts = [
        (
            0,
            CallFact::Started {
                uuid: "u-1".into(),
                direction: Direction::Incoming,
                external: Some(number("+421900111222")),
                internal: Some(number("+421200000001")),
                number: Some(main),
                contact: Some(contact),
                trunk: None,
                node: "test".into(),
            },
        ),
        (0, CallFact::CallerConnected),
        (
            0,
            CallFact::StepEntered {
                step: "q".into(),
                kind: StepKind::Queue,
                name: "Sales".into(),
            },
        ),
        (
            0,
            CallFact::QueueJoined {
                group,
                name: "Sales".into(),
                strategy: RingStrategy::LongestIdle,
            },
        ),
        (
            0,
            CallFact::OfferMade {
                leg,
                agent,
                agent_name: "Ann Ray".into(),
                group,
                why: "longest idle".into(),
                offer: 1,
            },
        ),
        (1, CallFact::LegRinging { leg }),
        (9, CallFact::OfferAnswered { leg, agent }),
        (
            9,
            CallFact::QueueLeft {
                group,
                outcome: QueueOutcome::Answered,
            },
        ),
        (
            9,
            CallFact::Bridged {
                a: LegId::FIRST,
                b: leg,
            },
        ),
        (
            9,
            CallFact::RecordingStarted {
                recording,
                kind: RecordingKind::Conversation,
            },
        ),
        (
            36,
            CallFact::LegEnded {
                leg,
                cause: HangupCause::AgentHangup,
            },
        ),
        (
            36,
            CallFact::RecordingStopped {
                recording,
                duration_ms: 27_000,
                bytes: 8,
            },
        ),
        (
            36,
            CallFact::LegEnded {
                leg: LegId::FIRST,
                cause: HangupCause::AgentHangup,
            },
        ),
        (
            36,
            CallFact::Ended {
                cause: HangupCause::AgentHangup,
            },
        ),
    ];
    for (second, fact) in facts {
        let at = start + jiff::SignedDuration::from_secs(second);
        app.ledger
            .append(app.acme, call, at, vec![fact])
            .await
            .expect("append");
    }
    Answered { call, agent, group }
}

/// Two frames of stereo, left 100 and -100, right 11 and 22.
fn wav() -> Vec<u8> {
    let mut file = b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0data\x08\0\0\0".to_vec();
    for sample in [100i16, 11, -100, 22] {
        file.extend_from_slice(&sample.to_le_bytes());
    }
    file
}

#[tokio::test]
async fn an_answered_call_is_listed_with_all_who_took_part() {
    let app = App::new().await;
    let Answered { call, agent, .. } = answered(&app).await;
    let tag = app.db.add_tag(app.acme, "sale").await.expect("tag");
    app.db
        .tag_call(app.acme, call, tag)
        .await
        .expect("tag call");
    app.db
        .add_call_note(app.acme, call, "Call later", store::now())
        .await
        .expect("note");
    let data = app
        .get(&format!("/api/calls/index.json?call_id={call}"))
        .await
        .is(200)
        .data();
    let item = &data["data"][0];
    let keys: Vec<&str> = item
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "Cdr",
            "CallNumber",
            "Agent",
            "Contact",
            "Ratings",
            "BillingCall",
            "Notes",
            "Tags"
        ]
    );
    let cdr = &item["Cdr"];
    for (key, value) in [
        ("id", json!(call.to_string())),
        ("uuid", json!("u-1")),
        ("billsec", json!("36")),
        ("type", json!("incoming")),
        ("public_external", json!("+421900111222")),
        ("public_internal", json!("+421200000001")),
        ("recorded", json!(true)),
        ("talking_time", json!("27")),
        ("waiting_time", json!(9)),
        ("user_id", json!(agent.to_string())),
        ("started_at", json!("2024-01-10T09:42:11+01:00")),
        ("answered_at", json!("2024-01-10T09:42:20+01:00")),
        ("ended_at", json!("2024-01-10T09:42:47+01:00")),
        (
            "recording_link",
            json!(format!("http://127.0.0.1:8080/r/play/{call}")),
        ),
    ] {
        assert_eq!(cdr[key], value, "{key}");
    }
    assert_eq!(item["Agent"]["groups"], json!(["Sales"]));
    assert_eq!(item["Contact"]["favorite_agent"]["fullname"], "Ann Ray");
    assert_eq!(
        (
            item["Notes"][0]["note"].clone(),
            item["Tags"][0]["name"].clone()
        ),
        (json!("Call later"), json!("sale"))
    );
}

#[tokio::test]
async fn filters_choose_calls() {
    let app = App::new().await;
    let Answered { call, agent, .. } = answered(&app).await;
    for (query, count) in [
        ("public_external=+421900111222".to_owned(), 1),
        ("public_internal=421200000001".into(), 1),
        ("public_external=421900000000".into(), 0),
        ("date_from=2024-01-10&date_to=2024-01-10".into(), 1),
        ("date_from=2024-01-11".into(), 0),
        (
            "date_from=2024-01-10 09:42:11&date_to=2024-01-10%2009:42:11".replace(' ', "+"),
            1,
        ),
        ("date_to=2024-01-10T08:42:10Z".into(), 0),
        (format!("user_id={agent}"), 1),
        ("user_id=x".into(), 0),
        ("agent_extension=1001".into(), 1),
        ("agent_extension=1002".into(), 0),
        ("type=incoming&status=answered".into(), 1),
        ("status=missed".into(), 0),
        ("type=outgoing".into(), 0),
        (format!("call_id={call}&per_page=5"), 1),
        ("call_id=1".into(), 0),
    ] {
        let data = app
            .get(&format!("/api/calls/index.json?{query}"))
            .await
            .is(200)
            .data();
        assert_eq!(data["itemsCount"], count, "{query}");
    }
    app.get("/api/calls/index.json?type=sideways")
        .await
        .invalid("type");
}

#[tokio::test]
async fn analytics_tells_the_steps() {
    let app = App::new().await;
    let Answered { call, agent, group } = answered(&app).await;
    let detail = app.get(&format!("/api/calls/{call}")).await.is(200).json();
    assert_eq!(
        (detail["cdr_id"].clone(), detail["status"].clone()),
        (json!(call.0), json!("answered"))
    );
    assert_eq!(detail["date"], "2024-01-10T08:42:11.000Z");
    assert_eq!(detail["contact"]["country"], "SK");
    assert_eq!(detail["call_times"]["talking_time"], 27);
    let queue = &detail["call_steps"][0];
    assert_eq!(
        (
            queue["type"].clone(),
            queue["id"].clone(),
            queue["strategy"].clone()
        ),
        (json!("queue"), json!(group.0), json!("rrmemory"))
    );
    let ring = &queue["agent_calls"][0];
    assert_eq!(
        (
            ring["id"].clone(),
            ring["status"].clone(),
            ring["reason"].clone()
        ),
        (json!(agent.0), json!("answered"), Value::Null)
    );
    assert_eq!(ring["group_ids"], json!([group.0]));
    app.ask(
        Actor::Rival,
        "GET",
        &format!("/api/calls/{call}"),
        Value::Null,
    )
    .await
    .is(404);
}

#[tokio::test]
async fn a_recording_is_downloaded_whole_in_part_and_in_one_channel() {
    let app = App::new().await;
    let Answered { call, .. } = answered(&app).await;
    std::fs::write(app.dir.path().join(format!("{call}.wav")), wav()).expect("write");
    let path = format!("/api/calls/recording/{call}.json");
    let whole = app.get(&path).await;
    assert_eq!(
        (
            whole.is(200).bytes.clone(),
            whole.headers["content-length"].clone()
        ),
        (wav(), "52".parse().expect("a length"))
    );
    assert_eq!(whole.headers["content-type"], "audio/x-wav");
    assert_eq!(
        whole.headers["content-disposition"],
        format!("attachment; filename=\"{call}.wav\"")
    );
    let request = app
        .request(Actor::Acme, "GET", &path)
        .header("range", "bytes=44-47");
    let part = app
        .send(request.body(axum::body::Body::empty()).expect("a request"))
        .await;
    assert_eq!(
        (
            part.is(206).bytes.clone(),
            part.headers["content-range"].clone()
        ),
        (
            vec![100, 0, 11, 0],
            "bytes 44-47/52".parse().expect("a range")
        )
    );
    std::fs::write(app.dir.path().join(format!("{call}-mono.wav")), b"mono").expect("write");
    let mono = app.get(&format!("{path}?channels=1")).await;
    assert_eq!(mono.is(200).bytes, b"mono");
    let head = app.ask(Actor::Acme, "HEAD", &path, Value::Null).await;
    assert_eq!(
        (
            head.is(200).bytes.len(),
            head.headers["content-length"].clone()
        ),
        (0, "52".parse().expect("a length"))
    );
    app.ask(Actor::Rival, "GET", &path, Value::Null)
        .await
        .is(404);
}

#[tokio::test]
async fn an_erased_recording_is_gone() {
    let app = App::new().await;
    let Answered { call, .. } = answered(&app).await;
    std::fs::write(app.dir.path().join(format!("{call}.wav")), wav()).expect("write");
    let delete = format!("/api/recordings/delete/{call}.json");
    app.ask(Actor::Rival, "DELETE", &delete, Value::Null)
        .await
        .is(404);
    app.ask(Actor::Acme, "DELETE", &delete, Value::Null)
        .await
        .is(200);
    let again = app.ask(Actor::Acme, "DELETE", &delete, Value::Null).await;
    assert_eq!(
        again.is(410).data(),
        json!({"status": 410, "message": "Recording not found."})
    );
    let get = app.get(&format!("/api/calls/recording/{call}.json")).await;
    assert_eq!(get.is(410).data()["message"], "Recording expired.");
    app.get("/api/calls/recording/1.json").await.is(404);
}

#[tokio::test]
async fn a_call_asked_for_is_begun_or_says_why_not() {
    let app = App::new().await;
    let create = async |agent: Value, callee: &str| {
        let body = json!({"agent_id": agent, "callee_number": callee});
        app.ask(Actor::Acme, "POST", "/api/calls/create.json", body)
            .await
    };
    let begun = create(json!("1"), "+421 905 000 001").await;
    assert_eq!(begun.is(200).data(), json!({"status": 200}));
    let called = app.phone.called.lock().expect("not poisoned").clone();
    assert_eq!(called.len(), 1);
    assert_eq!((called[0].0.0, called[0].1.as_str()), (1, "+421905000001"));
    for (callee, status, message) in [
        ("+421900000001", 403, "Agent is not online."),
        ("+421900000002", 404, "Not found."),
        ("+421900000003", 403, "no trunk"),
    ] {
        let refused = create(json!(1), callee).await;
        assert_eq!(refused.is(status).data()["message"], message);
    }
    create(json!(1), "nobody")
        .await
        .is(406)
        .invalid("callee_number");
    create(Value::Null, "+421905000001")
        .await
        .is(406)
        .invalid("agent_id");
    app.phone
        .busy
        .lock()
        .expect("not poisoned")
        .push(model::AgentId(1));
    let busy = create(json!(1), "+421905000001").await;
    assert_eq!(busy.is(409).data()["message"], "Agent is already calling.");
}
