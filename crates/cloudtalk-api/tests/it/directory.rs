use model::AgentId;
use serde_json::{Value, json};

use crate::actors::{Actor, App};

const AGENT: &str = "/api/agents/add.json";

fn ann() -> Value {
    json!({"email": "ann@example.test", "firstname": "Ann", "lastname": "Ray", "pass": "s3cret pass", "status_outbound": "1"})
}

#[tokio::test]
async fn an_agent_made_here_can_register_his_phone() {
    use md5::{Digest, Md5};
    let app = App::new().await;
    let id = app.ask(Actor::Acme, "PUT", AGENT, ann()).await.created();
    let listed = app
        .get(&format!("/api/agents/index.json?id={id}"))
        .await
        .data();
    let agent = &listed["data"][0]["Agent"];
    assert_eq!(
        (agent["id"].clone(), agent["extension"].clone()),
        (json!(id.to_string()), json!("1001"))
    );
    assert_eq!(
        (
            agent["availability_status"].clone(),
            agent["status_outbound"].clone()
        ),
        (json!("online"), json!(true))
    );
    let username = agent["name"].as_str().expect("a SIP name");
    let (found, secrets) = app
        .db
        .agent_by_sip_username(username)
        .await
        .expect("read")
        .expect("found");
    assert_eq!(found.id, AgentId(id));
    assert_eq!(
        secrets.ha1_md5,
        hex::encode(Md5::digest(format!("{username}:test:s3cret pass")))
    );
    let (_, hash) = app
        .db
        .agent_by_email("ann@example.test")
        .await
        .expect("read")
        .expect("found");
    assert!(hash.starts_with("$argon2id$"));
    assert_eq!(*app.phone.changes.lock().expect("not poisoned"), 1);
}

#[tokio::test]
async fn two_companies_may_use_one_extension() {
    let app = App::new().await;
    app.ask(Actor::Acme, "PUT", AGENT, ann()).await.created();
    let mut other = ann();
    other["email"] = json!("b@example.test");
    let id = app.ask(Actor::Rival, "PUT", AGENT, other).await.created();
    let agent = app
        .db
        .agent(app.rival, AgentId(id))
        .await
        .expect("read")
        .expect("stored");
    assert_eq!(
        (agent.extension, agent.sip_username),
        (1001, format!("{}1001", app.rival))
    );
}

#[tokio::test]
async fn bad_agents_are_refused() {
    let app = App::new().await;
    app.ask(Actor::Acme, "PUT", AGENT, ann()).await.created();
    assert_eq!(
        app.ask(Actor::Acme, "PUT", AGENT, json!({"email": "nope"}))
            .await
            .invalid("email"),
        "Please supply a valid email address."
    );
    for field in ["firstname", "lastname", "pass"] {
        let mut body = ann();
        body[field] = json!("");
        assert_eq!(
            app.ask(Actor::Acme, "PUT", AGENT, body)
                .await
                .invalid(field),
            "This field is required."
        );
    }
    for (field, value) in [
        ("extension", 999),
        ("extension", 10_000),
        ("daily_price_limit", 201),
        ("call_number_id", 9),
    ] {
        let mut body = ann();
        body["email"] = json!("c@example.test");
        body[field] = json!(value);
        assert!(
            !app.ask(Actor::Acme, "PUT", AGENT, body)
                .await
                .invalid(field)
                .is_empty()
        );
    }
    assert!(
        !app.ask(Actor::Rival, "PUT", AGENT, ann())
            .await
            .invalid("email")
            .is_empty(),
        "an address is unique everywhere"
    );
    assert_eq!(
        app.get("/api/agents/index.json").await.data()["itemsCount"],
        1
    );
}

#[tokio::test]
async fn an_agent_is_edited_in_part_and_deleted() {
    let app = App::new().await;
    let id = app.ask(Actor::Acme, "PUT", AGENT, ann()).await.created();
    let edit = format!("/api/agents/edit/{id}.json");
    app.ask(
        Actor::Acme,
        "POST",
        &edit,
        json!({"lastname": "Rayova", "extension": 4000}),
    )
    .await
    .is(200);
    let agent = app
        .db
        .agent(app.acme, AgentId(id))
        .await
        .expect("read")
        .expect("stored");
    assert_eq!(
        (agent.full_name().as_str(), agent.extension),
        ("Ann Rayova", 1001)
    );
    app.ask(Actor::Acme, "POST", &edit, json!({"firstname": ""}))
        .await
        .invalid("firstname");
    app.phone
        .busy
        .lock()
        .expect("not poisoned")
        .push(AgentId(id));
    assert_eq!(
        app.get("/api/agents/index.json").await.data()["data"][0]["Agent"]["availability_status"],
        "calling"
    );
    let delete = format!("/api/agents/delete/{id}.json");
    app.ask(Actor::Acme, "DELETE", &delete, Value::Null)
        .await
        .is(200);
    app.ask(Actor::Acme, "DELETE", &delete, Value::Null)
        .await
        .is(404);
    app.ask(Actor::Acme, "POST", &edit, json!({"lastname": "X"}))
        .await
        .is(404);
}

#[tokio::test]
async fn groups_change_members() {
    let app = App::new().await;
    let agent = app.ask(Actor::Acme, "PUT", AGENT, ann()).await.created();
    let group = app.group("Sales").await;
    let both = json!({"group_id": group.to_string(), "agent_id": agent.to_string()});
    for _ in 0..2 {
        let added = app
            .ask(Actor::Acme, "PUT", "/api/groups/add.json", both.clone())
            .await
            .is(200)
            .data();
        assert_eq!(
            added,
            json!({"status": 200, "data": {"message": "Agent added successfully."}})
        );
    }
    for (field, body) in [
        ("agent_id", json!({"group_id": group})),
        ("group_id", json!({"group_id": 99, "agent_id": agent})),
        ("agent_id", json!({"group_id": group, "agent_id": 99})),
    ] {
        app.ask(Actor::Acme, "PUT", "/api/groups/add.json", body)
            .await
            .invalid(field);
    }
    let listed = app.get("/api/groups/index.json").await.data();
    assert_eq!(
        listed["data"][0],
        json!({"Group": {"id": group.to_string(), "internal_name": "Sales"}})
    );
    let delete = format!("/api/groups/delete/{agent}.json");
    let gone = app
        .ask(Actor::Acme, "DELETE", &delete, json!({"group_id": group}))
        .await
        .is(200)
        .data();
    assert_eq!(gone["data"]["message"], "Agent deleted successfully.");
    app.ask(
        Actor::Acme,
        "DELETE",
        &format!("{delete}?group_id={group}"),
        Value::Null,
    )
    .await
    .is(404);
}

#[tokio::test]
async fn tag_names_may_be_anything_once() {
    let app = App::new().await;
    for name in ["x", "two words", "7", "#!?", "ž".repeat(300).as_str()] {
        app.ask(
            Actor::Acme,
            "PUT",
            "/api/tags/add.json",
            json!({"name": name}),
        )
        .await
        .created();
    }
    let taken = app
        .ask(
            Actor::Acme,
            "PUT",
            "/api/tags/add.json",
            json!({"name": "X"}),
        )
        .await
        .invalid("name");
    assert_eq!(
        taken,
        "Tag has already been used. Please select different one."
    );
    for bad in [json!({}), json!({"name": null}), json!({"name": ""})] {
        assert_eq!(
            app.ask(Actor::Acme, "PUT", "/api/tags/add.json", bad)
                .await
                .invalid("name"),
            "This field is required."
        );
    }
    let page = app.get("/api/tags/index.json?limit=2&page=3").await.data();
    assert_eq!(
        (
            page["itemsCount"].clone(),
            page["pageCount"].clone(),
            page["limit"].clone()
        ),
        (json!(5), json!(3), json!(1))
    );
    let past = app.get("/api/tags/index.json?limit=2&page=9").await.data();
    assert_eq!(
        (past["pageNumber"].clone(), past["data"].clone()),
        (json!(9), json!([]))
    );
}

#[tokio::test]
async fn notes_activities_and_the_blacklist_check_their_fields() {
    let app = App::new().await;
    let contact = app
        .ask(
            Actor::Acme,
            "PUT",
            "/api/contacts/add.json",
            json!({"name": "Jan"}),
        )
        .await
        .created();
    let note = format!("/api/notes/add/{contact}.json");
    let text = "<b>ahoj</b>\n🙂".repeat(200);
    app.ask(Actor::Acme, "PUT", &note, json!({"note": text}))
        .await
        .created();
    assert_eq!(
        app.get("/api/notes/index.json").await.data()["data"][0]["ContactNote"]["note"],
        text
    );
    app.ask(Actor::Acme, "PUT", &note, json!({"note": " \n "}))
        .await
        .invalid("note");
    app.ask(
        Actor::Acme,
        "PUT",
        &note,
        json!({"note": "x", "user_id": 99}),
    )
    .await
    .invalid("user_id");
    app.ask(
        Actor::Acme,
        "PUT",
        "/api/notes/add/99.json",
        json!({"note": "x"}),
    )
    .await
    .is(404);

    let activity = format!("/api/activity/add/{contact}.json");
    app.ask(
        Actor::Acme,
        "PUT",
        &activity,
        json!({"type": "order", "name": "1001", "external_id": 5}),
    )
    .await
    .created();
    assert_eq!(
        app.ask(
            Actor::Acme,
            "PUT",
            &activity,
            json!({"type": "party", "name": "x"})
        )
        .await
        .invalid("type"),
        "Please supply a valid type."
    );
    app.ask(Actor::Acme, "PUT", &activity, json!({"type": "order"}))
        .await
        .invalid("name");
    app.ask(
        Actor::Acme,
        "PUT",
        &activity,
        json!({"type": "order", "name": "x", "activity_date": "soon"}),
    )
    .await
    .invalid("activity_date");

    let list = "/api/blacklist/add.json";
    app.ask(
        Actor::Acme,
        "PUT",
        list,
        json!({"type": "all", "public_number": "+421900999999"}),
    )
    .await
    .created();
    app.ask(
        Actor::Acme,
        "PUT",
        list,
        json!({"type": "all", "public_number": "421900999999"}),
    )
    .await
    .invalid("public_number");
    app.ask(
        Actor::Acme,
        "PUT",
        list,
        json!({"type": "some", "public_number": "+421900999998"}),
    )
    .await
    .invalid("type");
    for bad in [
        json!("abc"),
        json!("12"),
        json!(-421_900_999_998_i64),
        json!(""),
    ] {
        app.ask(
            Actor::Acme,
            "PUT",
            list,
            json!({"type": "all", "public_number": bad}),
        )
        .await
        .invalid("public_number");
    }
}

#[tokio::test]
async fn messages_go_out_through_the_phone() {
    let app = App::new().await;
    let send = "/api/sms/send.json";
    let sms = json!({"recipient": "421900111222", "sender": "+421200000001", "message": "Ahoj"});
    assert_eq!(
        app.ask(Actor::Acme, "POST", send, sms).await.is(200).data(),
        json!({"success": true, "data": {"recipient": "+421900111222", "message": "Ahoj", "sender": "+421200000001", "country_code": "421"}})
    );
    let refused =
        json!({"recipient": "+421900000000", "sender": "+421200000001", "message": "Ahoj"});
    assert_eq!(
        app.ask(Actor::Acme, "POST", send, refused)
            .await
            .is(200)
            .data(),
        json!({"success": false, "data": "Unknown number"})
    );
    let foreign =
        json!({"recipient": "+421900111222", "sender": "+421200000009", "message": "Ahoj"});
    assert_eq!(
        app.ask(Actor::Acme, "POST", send, foreign)
            .await
            .is(401)
            .data()["message"],
        "Unauthorized action"
    );
    for body in [
        json!({}),
        json!({"recipient": "x", "sender": "+421200000001", "message": "Ahoj"}),
    ] {
        assert_eq!(
            app.ask(Actor::Acme, "POST", send, body)
                .await
                .is(400)
                .data(),
            json!({"status": 400, "message": "Bad request"})
        );
    }
    assert_eq!(app.phone.sms.lock().expect("not poisoned").len(), 3);
}
