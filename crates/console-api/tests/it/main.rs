//! The console's JSON and pages over HTTP in memory, on a real database and a real, idle phone system.

mod app;

use app::{Answer, App, OWNER};
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

fn items(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()["items"].as_array().expect("items").clone()
}

#[tokio::test]
async fn strangers_see_the_sign_in_page_and_no_data() {
    let app = App::new().await;
    let page = app.get("", "/calls?status=missed").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(
        page.header(header::LOCATION),
        "/sign-in?return_to=%2Fcalls%3Fstatus%3Dmissed"
    );
    for path in [
        "/me",
        "/calls",
        "/calls/1/recording",
        "/agents",
        "/numbers",
        "/connections",
        "/trunks",
        "/outgoing",
    ] {
        let answer = app
            .get("trunkline_session=guess", &format!("/console/api{path}"))
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.json()["error"]["code"], "not_signed_in", "{path}");
    }
}

#[tokio::test]
async fn a_person_learns_who_he_is_and_where_things_are() {
    let app = App::new().await;
    let me = app.get(&app.owner, "/console/api/me").await.json();
    assert_eq!(
        (&me["email"], &me["role"], &me["company"]),
        (&OWNER.into(), &"owner".into(), &"Acme".into())
    );
    assert_eq!(
        me["addresses"]["membraneApi"],
        "http://phone.example.test/membrane"
    );
    assert!(me["csrf"].as_str().is_some_and(|token| token.len() == 64));
    let page = app.get(&app.owner, "/calls").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.header(header::CONTENT_SECURITY_POLICY)
            .contains("frame-ancestors 'none'")
    );
}

#[tokio::test]
async fn the_owner_sees_all_calls_newest_first_and_can_narrow_them() {
    let app = App::new().await;
    let calls = items(&app.get(&app.owner, "/console/api/calls").await);
    let seen: Vec<(&str, &Value)> = calls
        .iter()
        .map(|call| (call["status"].as_str().expect("text"), &call["agent"]))
        .collect();
    assert_eq!(
        seen,
        [
            ("missed", &Value::Null),
            ("answered", &"Agent Two".into()),
            ("answered", &"Agent One".into())
        ]
    );
    assert_eq!(calls[2]["external"], "+421900000001");
    assert_eq!(
        (&calls[2]["talkingMs"], &calls[2]["recording"]["state"]),
        (&30_000.into(), &"kept".into())
    );

    assert_eq!(
        items(
            &app.get(&app.owner, "/console/api/calls?status=missed")
                .await
        )
        .len(),
        1
    );
    assert_eq!(
        items(
            &app.get(&app.owner, "/console/api/calls?direction=outgoing")
                .await
        )
        .len(),
        0
    );
    assert_eq!(
        app.get(&app.owner, "/console/api/calls?status=odd")
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    let beyond = app
        .get(&app.owner, "/console/api/calls?page=9")
        .await
        .json();
    assert_eq!(
        (&beyond["items"], &beyond["total"], &beyond["pages"]),
        (&Value::Array(Vec::new()), &3.into(), &1.into())
    );
}

#[tokio::test]
async fn an_agent_sees_and_hears_his_own_calls_only() {
    let app = App::new().await;
    let calls = items(&app.get(&app.agent_one, "/console/api/calls").await);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["id"], app.calls[0].0);
    assert_eq!(
        app.recording(&app.agent_one, 0).await.status,
        StatusCode::OK
    );
    assert_eq!(
        app.recording(&app.agent_one, 1).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        app.get(&app.agent_one, "/console/api/connections")
            .await
            .status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn another_company_sees_nothing_of_it() {
    let app = App::new().await;
    for path in ["calls", "agents", "numbers", "connections"] {
        let answer = app
            .get(&app.stranger, &format!("/console/api/{path}"))
            .await;
        assert_eq!(items(&answer), Vec::<Value>::new(), "{path}");
    }
    assert_eq!(
        app.recording(&app.stranger, 0).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn recordings_come_whole_or_in_ranges() {
    let app = App::new().await;
    let whole = app.recording(&app.owner, 0).await;
    assert_eq!(
        (whole.status, whole.header(header::CONTENT_TYPE)),
        (StatusCode::OK, "audio/wav")
    );
    assert_eq!(whole.body, app::sound());
    assert_eq!(whole.header(header::CACHE_CONTROL), "private, no-store");
    let path = format!("/console/api/calls/{}/recording", app.calls[0]);
    let part = app.get_range(&app.owner, &path, "bytes=4-7").await;
    assert_eq!(
        (part.status, part.body.clone()),
        (StatusCode::PARTIAL_CONTENT, app::sound()[4..8].to_vec())
    );
    for id in ["0", "-1", "x", "..%2f..%2fetc%2fpasswd"] {
        let answer = app
            .get(&app.owner, &format!("/console/api/calls/{id}/recording"))
            .await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}");
    }
}

#[tokio::test]
async fn agents_and_numbers_are_listed_with_what_belongs_to_them() {
    let app = App::new().await;
    let agents = items(&app.get(&app.owner, "/console/api/agents").await);
    assert_eq!(agents.len(), 2);
    assert_eq!(
        (&agents[0]["name"], &agents[0]["groups"][0]),
        (&"Agent One".into(), &"Sales".into())
    );
    assert_eq!(
        (&agents[0]["devices"], &agents[0]["availability"]),
        (&0.into(), &"online".into())
    );
    let numbers = items(&app.get(&app.owner, "/console/api/numbers").await);
    assert_eq!(
        (&numbers[0]["e164"], &numbers[0]["route"]["name"]),
        (&"+421200000001".into(), &"Sales".into())
    );
}

#[tokio::test]
async fn trunks_are_changed_by_those_who_manage_their_company_alone() {
    let app = App::new().await;
    let trunk = serde_json::json!({
        "name": "main",
        "settings": {"server": "127.0.0.1:9", "transport": "udp", "username": "acme", "keep_alive_seconds": 0},
        "password": "s3cret",
    });
    let add = async |cookie: &str, csrf: String, body: Value| {
        let cookie = cookie.to_owned();
        app.change("POST", cookie, csrf, "/console/api/trunks", body)
            .await
    };
    let csrf = app.csrf(&app.owner).await;
    let forged = add(&app.owner, "0".repeat(64), trunk.clone()).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    assert_eq!(forged.json()["error"]["code"], "wrong_token");
    let agents = app.csrf(&app.agent_one).await;
    let by_agent = add(&app.agent_one, agents, trunk.clone()).await;
    assert_eq!(by_agent.json()["error"]["code"], "forbidden");

    let added = add(&app.owner, csrf.clone(), trunk.clone()).await;
    assert_eq!(added.status, StatusCode::OK, "{}", added.text());
    let id = added.json()["id"].as_i64().expect("an id");
    let listed = items(&app.get(&app.owner, "/console/api/trunks").await);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["hasPassword"], true);
    assert!(!listed[0].to_string().contains("s3cret"));
    let twice = add(&app.owner, csrf.clone(), trunk.clone()).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    let mut wrong = trunk.clone();
    wrong["name"] = "other".into();
    wrong["settings"]["server"] = "a b".into();
    let wrong = add(&app.owner, csrf.clone(), wrong).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("server: must be"), "{}", wrong.text());

    assert!(items(&app.get(&app.stranger, "/console/api/trunks").await).is_empty());
    let foreign = app.csrf(&app.stranger).await;
    let path = format!("/console/api/trunks/{id}");
    for (method, path, body) in [
        ("PUT", path.clone(), trunk.clone()),
        ("DELETE", path.clone(), Value::Null),
        ("POST", format!("{path}/test"), Value::Null),
    ] {
        let answer = app
            .change(method, app.stranger.clone(), foreign.clone(), &path, body)
            .await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    let gone = app
        .change("DELETE", app.owner.clone(), csrf, &path, Value::Null)
        .await;
    assert_eq!(gone.status, StatusCode::OK);
    assert!(items(&app.get(&app.owner, "/console/api/trunks").await).is_empty());
}

#[tokio::test]
async fn rules_for_outgoing_calls_are_read_back_as_they_were_set() {
    let app = App::new().await;
    let csrf = app.csrf(&app.owner).await;
    let path = "/console/api/outgoing";
    let shown = app.get(&app.owner, path).await.json();
    assert_eq!(shown["stops"], Value::Array(Vec::new()));
    // What a route may be for has a name.
    let groups = shown["groups"].as_array().expect("a list");
    assert!(
        groups
            .iter()
            .all(|group| group["id"].is_i64() && group["name"].is_string())
    );
    let mut settings = shown["settings"].clone();
    settings["fraud"]["agent"]["per_minute"] = 3.into();
    settings["routes"] = serde_json::json!([
        {"name": "no premium", "prefixes": ["+421900"], "action": {"type": "refuse", "reason": "too dear"}},
    ]);
    let saved = app
        .change("PUT", app.owner.clone(), csrf.clone(), path, settings)
        .await;
    assert_eq!(saved.status, StatusCode::OK, "{}", saved.text());
    let shown = app.get(&app.owner, path).await.json();
    assert_eq!(shown["settings"]["fraud"]["agent"]["per_minute"], 3);
    assert_eq!(shown["settings"]["routes"][0]["prefixes"][0], "+421900");
    let other = app.get(&app.stranger, path).await.json();
    assert_eq!(other["settings"]["routes"], Value::Array(Vec::new()));
    let release = serde_json::json!({"agent": 1});
    let nobody = app
        .change(
            "POST",
            app.owner.clone(),
            csrf,
            "/console/api/outgoing/release",
            release,
        )
        .await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn unknown_paths_are_not_found_as_json() {
    let app = App::new().await;
    let answer = app.get(&app.owner, "/console/api/nothing").await;
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (StatusCode::NOT_FOUND, Some("not_found"))
    );
    assert_eq!(
        app.get("", "/assets/..%2f..%2fCargo.toml").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn an_agents_page_gets_what_its_phone_needs_and_no_lasting_secret() {
    let app = App::new().await;
    let shown = app.get(&app.agent_one, "/console/api/phone").await.json();
    assert_eq!(shown["phone"]["extension"], 1001);
    let ask = async |cookie: &str, token: &str| {
        let path = "/console/api/phone/credential";
        app.change("POST", cookie.into(), token.into(), path, Value::Null)
            .await
    };
    let refused = ask(&app.agent_one, "guess").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);

    let token = app.csrf(&app.agent_one).await;
    let answer = ask(&app.agent_one, &token).await;
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    let made = answer.json();
    assert_eq!(
        (&made["username"], &made["domain"]),
        (&"1001".into(), &"phone.example.test".into())
    );
    let authorization = made["authorizationUsername"].as_str().expect("text");
    assert!(authorization.starts_with("1001~"), "{authorization}");
    assert!(
        made["password"]
            .as_str()
            .is_some_and(|text| text.len() > 40)
    );
    let turn = &made["iceServers"][0];
    assert_eq!(turn["urls"], "turn:turn.example.test:3478");
    assert!(
        turn["username"]
            .as_str()
            .is_some_and(|name| name.ends_with(":1001"))
    );

    let owner = app.get(&app.owner, "/console/api/phone").await.json();
    assert_eq!(owner["phone"], Value::Null, "the owner is no agent");
    let token = app.csrf(&app.owner).await;
    assert_eq!(ask(&app.owner, &token).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_agent_turns_his_own_switch_and_only_from_the_page() {
    let app = App::new().await;
    let switch = async |cookie: &str, token: &str, to: &str| {
        let path = "/console/api/phone/availability";
        let body = serde_json::json!({ "availability": to });
        app.change("PUT", cookie.into(), token.into(), path, body)
            .await
    };
    let refused = switch(&app.agent_one, "guess", "idle").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.json()["error"]["code"], "wrong_token");

    let token = app.csrf(&app.agent_one).await;
    let turned = switch(&app.agent_one, &token, "idle").await;
    assert_eq!(turned.status, StatusCode::OK, "{}", turned.text());
    let shown = app.get(&app.agent_one, "/console/api/phone").await.json();
    assert_eq!(shown["phone"]["availability"], "idle");

    let odd = switch(&app.agent_one, &token, "asleep").await;
    assert_eq!(odd.status, StatusCode::UNPROCESSABLE_ENTITY);
    let token = app.csrf(&app.owner).await;
    let none = switch(&app.owner, &token, "idle").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND, "the owner is no agent");
}

#[tokio::test]
async fn recordings_are_drawn_and_deleted_by_those_who_may() {
    let app = App::new().await;
    let path = format!("/console/api/calls/{}/recording", app.calls[0]);
    let peaks = app.get(&app.owner, &format!("{path}/peaks")).await.json();
    assert_eq!(peaks["channels"], json!([[4], [8]]));
    assert_eq!(
        app.get(&app.stranger, &format!("{path}/peaks"))
            .await
            .status,
        StatusCode::NOT_FOUND
    );
    // Agents hear their calls and delete nothing.
    let agent = app.act(&app.agent_one, Method::DELETE, &path, "").await;
    assert_eq!(agent.status, StatusCode::FORBIDDEN);
    // Another site's page can send the cookie, but not the token.
    let elsewhere = Request::delete(&path).header(header::COOKIE, &app.owner);
    let elsewhere = app.send_with(elsewhere, "").await;
    assert_eq!(elsewhere.json()["error"]["code"], "wrong_token");
    let owner = app.act(&app.owner, Method::DELETE, &path, "").await;
    assert_eq!(owner.status, StatusCode::NO_CONTENT);
    assert_eq!(app.recording(&app.owner, 0).await.status, StatusCode::GONE);
    let receipts = app.get(&app.owner, "/console/api/recording-receipts").await;
    let receipts = receipts.json();
    assert_eq!(receipts["items"][0]["call"], json!(app.calls[0]));
    assert_eq!(
        receipts["items"][0]["rule"],
        format!("asked for by {}", app::OWNER)
    );
    let others = app
        .get(&app.stranger, "/console/api/recording-receipts")
        .await;
    assert_eq!(others.json()["total"], 0);
}

#[tokio::test]
async fn recording_settings_are_kept_and_checked() {
    let app = App::new().await;
    let path = "/console/api/recording-settings";
    let mut settings = app.get(&app.owner, path).await.json();
    assert_eq!(settings["incoming"], true);
    settings["internal"] = json!(true);
    settings["pauseMode"] = json!("silence");
    settings["conversationDays"] = json!(90);
    settings["agents"] = json!([{"id": 1, "record": null, "maySwitch": true}]);
    let body = settings.to_string();
    let saved = app.act(&app.owner, Method::PUT, path, body.clone()).await;
    assert_eq!(saved.status, StatusCode::NO_CONTENT, "{}", saved.text());
    assert_eq!(app.get(&app.owner, path).await.json(), settings);
    let agent = app.act(&app.agent_one, Method::PUT, path, body).await;
    assert_eq!(agent.status, StatusCode::FORBIDDEN);
    for (field, value) in [
        ("voicemailDays", json!(0)),
        (
            "agents",
            json!([{"id": 99, "record": true, "maySwitch": null}]),
        ),
        ("numbers", json!([{"id": 99, "record": true}])),
    ] {
        let mut wrong = settings.clone();
        wrong[field] = value;
        let refused = app
            .act(&app.owner, Method::PUT, path, wrong.to_string())
            .await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(refused.text().contains(field), "{}", refused.text());
    }
    // A call that is over can't be switched.
    let path = format!("/console/api/calls/{}/recording", app.calls[0]);
    let switched = app
        .act(&app.owner, Method::PUT, &path, r#"{"on":false}"#)
        .await;
    assert_eq!(switched.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn rooms_are_set_up_by_those_who_manage_and_seen_by_all() {
    let app = App::new().await;
    let path = "/console/api/rooms";
    let room = r#"{"name":"Monday","extension":7,"pin":"4711"}"#;
    let added = app.act(&app.owner, Method::POST, path, room).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text());
    let id = added.json()["id"].clone();
    assert_eq!(added.json()["dial"], "*57");
    for (cookie, body, wanted) in [
        (&app.owner, room, StatusCode::CONFLICT),
        (&app.agent_one, room, StatusCode::FORBIDDEN),
        (
            &app.owner,
            r#"{"name":"Short","extension":8,"pin":"12"}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let refused = app.act(cookie, Method::POST, path, body).await;
        assert_eq!(refused.status, wanted, "{}", refused.text());
    }
    let managed = app.get(&app.owner, path).await.json();
    assert_eq!(managed["items"][0]["pin"], "4711");
    assert_eq!(managed["items"][0]["participants"], 0);
    let seen = app.get(&app.agent_one, path).await.json();
    assert_eq!(seen["items"][0]["hasPin"], true);
    assert!(seen["items"][0].get("pin").is_none(), "the PIN is told");
    let one = format!("{path}/{id}");
    let open = r#"{"name":"Tuesday","extension":9}"#;
    for (cookie, wanted) in [
        (&app.agent_one, StatusCode::FORBIDDEN),
        (&app.stranger, StatusCode::NOT_FOUND),
        (&app.owner, StatusCode::NO_CONTENT),
    ] {
        let changed = app.act(cookie, Method::PUT, &one, open).await;
        assert_eq!(changed.status, wanted);
    }
    let changed = app.get(&app.owner, path).await.json();
    assert_eq!(changed["items"][0]["dial"], "*59");
    assert_eq!(changed["items"][0]["hasPin"], false);
    let gone = app.act(&app.owner, Method::DELETE, &one, "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn sounds_are_uploaded_listed_played_and_deleted() {
    let app = App::new().await;
    let beep = media::wav::write(&media::tone::beep());
    let path = "/console/api/sounds?name=Welcome%20tone";
    let added = app.act(&app.owner, Method::POST, path, beep.clone()).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text());
    let id = added.json()["id"].clone();
    let again = app.act(&app.owner, Method::POST, path, beep).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let broken = app
        .act(
            &app.owner,
            Method::POST,
            "/console/api/sounds?name=x",
            "hello",
        )
        .await;
    assert_eq!(broken.status, StatusCode::UNPROCESSABLE_ENTITY);
    let listed = app.get(&app.owner, "/console/api/sounds").await.json();
    assert_eq!(listed["items"][0]["name"], "Welcome tone");
    assert_eq!(listed["items"][0]["durationMs"], 400);
    let one = format!("/console/api/sounds/{id}");
    let audio = app.get(&app.owner, &format!("{one}/audio")).await;
    assert_eq!(audio.header(header::CONTENT_TYPE), "audio/wav");
    for (cookie, wanted) in [
        (&app.agent_one, StatusCode::FORBIDDEN),
        (&app.stranger, StatusCode::NOT_FOUND),
    ] {
        let refused = app.act(cookie, Method::DELETE, &one, "").await;
        assert_eq!(refused.status, wanted);
    }
    let renamed = app
        .act(&app.owner, Method::PATCH, &one, r#"{"name":"Hello"}"#)
        .await;
    assert_eq!(renamed.status, StatusCode::NO_CONTENT);
    let gone = app.act(&app.owner, Method::DELETE, &one, "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
}
