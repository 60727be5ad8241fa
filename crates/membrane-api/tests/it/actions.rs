//! Finding and running actions, the proxy, and what is kept of it.

use std::sync::atomic::Ordering;

use axum::body::Body;
use http::{Method, header};
use serde_json::json;

use crate::world::{KEY_ID, KEY_SECRET, World};

#[tokio::test]
async fn an_intent_finds_its_action_and_every_listed_action_can_be_read() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let id = world.connected(&token).await;
    let found = world
        .get(
            &token,
            &format!("/actions?connectionId={id}&intent=send%20a%20text%20message&limit=10"),
        )
        .await
        .ok();
    assert_eq!(found["items"][0]["key"], "send-sms", "{found}");
    let scores: Vec<f64> = found["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["score"].as_f64().expect("score"))
        .collect();
    assert!(scores.is_sorted_by(|left, right| left >= right) && scores[0] > 0.0);
    let matched = found["items"][0]["matched"].as_array().expect("matched");
    assert!(matched.contains(&json!("sms")), "{found}");
    let all = world
        .get(
            &token,
            &format!("/actions?connectionId={id}&limit=1000&cursor=0"),
        )
        .await
        .ok();
    let all = all["items"].as_array().expect("items");
    assert!(all.len() >= 12);
    for item in all {
        assert!(item["inputSchema"].is_object() && item["outputSchema"].is_object());
        for name in ["id", "key"] {
            let path = format!(
                "/actions/{}?connectionId={id}",
                item[name].as_str().expect("name")
            );
            assert_eq!(world.get(&token, &path).await.ok()["id"], item["id"]);
        }
    }
    let anywhere = world
        .get(&token, "/actions?intent=download%20the%20recording")
        .await
        .ok();
    assert_eq!(anywhere["items"][0]["key"], "get-call-recording");
    let all_kinds = world
        .get(&token, "/search?q=donwload%20recording&elementType=action")
        .await
        .ok();
    let first = &all_kinds["items"][0];
    assert!(
        first["score"].is_number() && first["matched"].is_array(),
        "{first}"
    );
    assert!(first.to_string().contains("get-call-recording"), "{first}");
    let misspelt = world
        .get(&token, "/external-apps?search=clodtalk")
        .await
        .ok();
    assert_eq!(misspelt["items"][0]["key"], "cloudtalk", "{misspelt}");
    for path in ["/external-apps", "/connectors", "/integrations"] {
        let named = world.get(&token, &format!("{path}?search=cloudtalk")).await;
        let first = &named.ok()["items"][0];
        assert!(
            first["score"].is_number() && first["matched"].is_array(),
            "{path}: {first}"
        );
        let all = world.get(&token, path).await.ok();
        assert!(all["items"][0]["score"].is_null(), "{path}: {all}");
    }
    let cake = "/actions?intent=bake%20a%20chocolate%20cake%20with%20marzipan%20and%20a%20number";
    let cake = world.get(&token, cake).await.ok();
    assert_eq!(cake["nothingFitsWell"], true, "{cake}");
    assert!(found["nothingFitsWell"].is_null(), "{found}");
    let twin = world
        .get(&token, "/action?key=send-sms&integrationKey=cloudtalk")
        .await
        .ok();
    assert_eq!(twin["key"], "send-sms");
}

#[tokio::test]
async fn a_workspace_that_wants_it_learns_from_what_is_run_and_has_words_of_its_own() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let manager = world.manager(&world.acme);
    let id = world.connected(&token).await;
    let path = format!("/actions?connectionId={id}&intent=wqpxlum");
    let settings = "/search/settings";
    assert!(
        world.get(&token, &path).await.ok()["items"]
            .as_array()
            .expect("items")
            .is_empty()
    );
    let wanted = json!({ "learn": true, "words": "same: contact wqpxlum" });
    let put = |token: String, body: serde_json::Value| {
        let world = &world;
        async move { world.call(&token, Method::PUT, settings, Some(body)).await }
    };
    assert_eq!(put(token.clone(), wanted.clone()).await.status, 403);
    assert_eq!(put(manager.clone(), wanted.clone()).await.ok(), wanted);
    let before = world.get(&token, &path).await.ok();
    let place = |found: &serde_json::Value| {
        let items = found["items"].as_array().expect("items").clone();
        let at = items
            .iter()
            .position(|item| item["key"] == "list-contacts")
            .expect("listed");
        (at, items[at].clone())
    };
    assert!(place(&before).1["learned"].is_null(), "{before}");
    let run = format!("/actions/list-contacts/run?connectionId={id}");
    world.post(&token, &run, json!({ "input": {} })).await.ok();
    let (at, item) = place(&world.get(&token, &path).await.ok());
    assert_eq!(item["learned"]["runs"], 1);
    assert!(at <= place(&before).0);
    assert!(item["score"].as_f64() > place(&before).1["score"].as_f64());
    put(
        manager,
        json!({ "learn": false, "words": "same: contact wqpxlum" }),
    )
    .await
    .ok();
    assert!(place(&world.get(&token, &path).await.ok()).1["learned"].is_null());
}

#[tokio::test]
async fn running_gives_output_and_a_record() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let id = world.connected(&token).await;
    let ran = world
        .post(
            &token,
            &format!("/actions/list-contacts/run?connectionId={id}"),
            json!({ "input": {} }),
        )
        .await
        .ok();
    assert!(ran["output"].is_object() || ran["output"].is_array());
    let record = world
        .get(
            &token,
            &format!(
                "/action-run-logs/{}",
                ran["actionRunId"].as_str().expect("id")
            ),
        )
        .await
        .ok();
    assert_eq!(
        (record["status"].as_str(), record["connectionId"].as_str()),
        (Some("success"), Some(id.as_str()))
    );
    let wav = world
        .post(
            &token,
            &format!("/connections/{id}/actions/get-call-recording/run"),
            json!({ "callId": 7 }),
        )
        .await
        .ok();
    assert_eq!(
        (
            wav["output"]["contentType"].as_str(),
            wav["output"]["size"].as_u64()
        ),
        (Some("audio/x-wav"), Some(7))
    );
    let empty = http::Request::post("/connections/cloudtalk/actions/list-contacts/run")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::empty())
        .expect("request");
    assert!(world.send(empty).await.status.is_success());
    let act = world
        .post(&token, "/act", json!({ "key": "list-contacts" }))
        .await
        .ok();
    assert!(act["actionRunId"].is_string());
}

#[tokio::test]
async fn input_that_does_not_fit_names_its_field() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let id = world.connected(&token).await;
    let before = world.app.seen.lock().expect("lock").len();
    let refused = world
        .post(
            &token,
            &format!("/actions/get-call-recording/run?connectionId={id}"),
            json!({ "input": {} }),
        )
        .await;
    assert_eq!(refused.error().0, 400);
    let body = refused.json();
    assert_eq!(
        (body["type"].as_str(), body["data"]["field"].as_str()),
        (Some("bad_request"), Some("callId"))
    );
    assert!(body["message"].as_str().expect("text").contains("callId"));
    assert!(body["actionRunId"].is_string());
    assert_eq!(
        world.app.seen.lock().expect("lock").len(),
        before,
        "nothing was sent"
    );
}

#[tokio::test]
async fn a_refused_credential_sends_the_person_back_to_connect() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let id = world.connected(&token).await;
    world.app.refuses.store(true, Ordering::SeqCst);
    let failed = world
        .post(
            &token,
            &format!("/actions/list-contacts/run?connectionId={id}"),
            json!({}),
        )
        .await;
    assert_eq!(
        failed.error(),
        (400, "connection".into(), "access_token_expired".into())
    );
    let now = world.get(&token, &format!("/connections/{id}")).await.ok();
    assert_eq!(
        (now["state"].as_str(), now["connected"].as_bool()),
        (Some("CLIENT_ACTION_REQUIRED"), Some(false))
    );
    assert!(now["clientAction"]["uiUrl"].is_string() && now["error"].is_object());
    let next = world
        .get(
            &token,
            &format!("/connections/{id}/proxy/contacts/index.json"),
        )
        .await;
    assert_eq!(
        next.error(),
        (400, "connection".into(), "connection_is_defunct".into())
    );
    world.app.refuses.store(false, Ordering::SeqCst);
    assert_eq!(
        world.connected(&token).await,
        id,
        "connecting again keeps the connection"
    );
}

#[tokio::test]
async fn the_proxy_changes_nothing_but_the_credential() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let id = world.connected(&token).await;
    let request = http::Request::put(format!("/connections/{id}/proxy/echo/a%2Fb?x=1&y=%C5%BE"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "text/plain")
        .header("x-mine", "yes")
        .header("cookie", "session=1")
        .header("x-forwarded-for", "10.0.0.1")
        .header("membrane-api-version", "2025-10-21")
        .header(header::CONTENT_LENGTH, "5")
        .body(Body::from("hello"))
        .expect("request");
    let answer = world.send(request).await;
    assert_eq!(answer.status.as_u16(), 418);
    assert_eq!(answer.headers["x-app"], "kept");
    assert!(!answer.headers.contains_key("set-cookie"));
    let seen = world
        .app
        .seen
        .lock()
        .expect("lock")
        .last()
        .cloned()
        .expect("request");
    assert_eq!(
        (
            seen.method.as_str(),
            seen.target.as_str(),
            seen.body.as_slice()
        ),
        ("PUT", "/api/echo/a%2Fb?x=1&y=%C5%BE", b"hello".as_slice())
    );
    assert_eq!(seen.headers["x-mine"], "yes");
    for name in ["cookie", "x-forwarded-for", "membrane-api-version"] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
    let by_json = json!({ "method": "POST", "path": "/echo/{id}", "pathParameters": { "id": "a/b?c" }, "query": { "q": "1" }, "data": { "n": 1 } });
    let answer = world
        .post(&token, &format!("/connections/{id}/request"), by_json)
        .await;
    assert_eq!(answer.status.as_u16(), 418, "{}", answer.text());
    let seen = world
        .app
        .seen
        .lock()
        .expect("lock")
        .last()
        .cloned()
        .expect("request");
    assert!(
        seen.target.starts_with("/api/echo/a%2F") && seen.target.ends_with("?q=1"),
        "{}",
        seen.target
    );
    let before = world.app.seen.lock().expect("lock").len();
    for tail in [
        "https://evil.example.test/x",
        "http://127.0.0.1:1/x",
        "../membrane/self",
        "%2e%2e/membrane/self",
        "//evil.example.test/x",
    ] {
        let answer = world
            .get(&token, &format!("/connections/{id}/proxy/{tail}"))
            .await;
        assert!(answer.status.is_client_error(), "{tail}: {}", answer.status);
    }
    let reached: Vec<String> = world.app.seen.lock().expect("lock")[before..]
        .iter()
        .map(|seen| seen.target.clone())
        .collect();
    assert!(
        reached.iter().all(|target| target.starts_with("/api/")),
        "{reached:?}"
    );
}

#[tokio::test]
async fn act_takes_exactly_one_kind_of_work() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let id = world.connected(&token).await;
    let bad = [
        json!({}),
        json!({ "key": "list-contacts", "api": { "path": "/x" } }),
        json!({ "code": "export default () => 1", "connectionId": id }),
        json!({ "api": { "path": "/contacts/index.json" } }),
        json!({ "key": "list-contacts", "surprise": 1 }),
    ];
    for body in bad {
        assert_eq!(
            world.post(&token, "/act", body.clone()).await.error().0,
            400,
            "{body}"
        );
    }
    let good = world.post(&token, "/act", json!({ "api": { "method": "GET", "path": "/contacts/index.json" }, "connectionId": id })).await.ok();
    assert!(good["output"]["responseData"].is_object());
}

#[tokio::test]
async fn no_secret_is_left_in_the_database() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let id = world.connected(&token).await;
    // The app repeats the secret in its answer; the input repeats it too.
    let ran = world
        .post(
            &token,
            &format!("/actions/list-contacts/run?connectionId={id}"),
            json!({ "input": { "keyword": KEY_SECRET } }),
        )
        .await
        .ok();
    let record = world
        .get(
            &token,
            &format!(
                "/action-run-logs/{}/details",
                ran["actionRunId"].as_str().expect("id")
            ),
        )
        .await;
    assert!(!record.text().contains(KEY_SECRET), "{}", record.text());
    let wrong = json!({ "input": { "keyId": KEY_ID, "keySecret": "another-canary-91" } });
    world
        .call(
            &token,
            Method::PATCH,
            &format!("/connections/{id}"),
            Some(wrong),
        )
        .await;
    let manager = world.manager(&world.acme);
    let shown = world
        .get(&manager, &format!("/connections/{id}?includeSecrets=true"))
        .await;
    assert!(!shown.text().contains(KEY_SECRET));
    let workspace_secret = world.gateway.workspace_secret(&world.acme).expect("secret");
    for file in std::fs::read_dir(world.dir.path()).expect("folder") {
        let path = file.expect("file").path();
        let bytes = std::fs::read(&path).expect("read");
        for canary in [
            KEY_SECRET,
            "another-canary-91",
            secrecy::ExposeSecret::expose_secret(&workspace_secret),
        ] {
            let found = bytes
                .windows(canary.len())
                .any(|window| window == canary.as_bytes());
            assert!(!found, "{canary} in {}", path.display());
        }
    }
}

#[tokio::test]
async fn every_error_of_ours_has_a_type_clients_know() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    assert_eq!(
        world.get(&token, "/nowhere/at/all").await.error(),
        (404, "bad_request".into(), "not_found".into())
    );
    assert_eq!(
        world.get(&token, "/connections/nope").await.error(),
        (404, "bad_request".into(), "not_found".into())
    );
    assert_eq!(
        world
            .call(&token, Method::DELETE, "/self", None)
            .await
            .error()
            .1,
        "bad_request"
    );
    let text = http::Request::post("/connections")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::from("{"))
        .expect("request");
    assert_eq!(
        world.send(text).await.error(),
        (400, "bad_request".into(), String::new())
    );
    let large = http::Request::post("/connections")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::from(vec![b' '; membrane_api::LARGEST_REQUEST + 1]))
        .expect("request");
    assert_eq!(world.send(large).await.error().0, 413);
    for list in ["/flows", "/packages", "/agent/sessions"] {
        assert_eq!(world.get(&token, list).await.ok(), json!({ "items": [] }));
    }
    let preflight = http::Request::options("/connections")
        .header("origin", "https://app.example.test")
        .header("access-control-request-method", "PATCH")
        .header(
            "access-control-request-headers",
            "authorization,content-type,membrane-api-version",
        )
        .body(Body::empty())
        .expect("request");
    let answer = world.send(preflight).await;
    assert!(answer.status.is_success());
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
}
