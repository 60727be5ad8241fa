//! A connection's life.

use std::time::Duration;

use axum::body::Body;
use http::{Method, header};
use serde_json::json;
use store::gateway::{ConnectionState, NewConnection};

use crate::world::{KEY_ID, KEY_SECRET, World};

#[tokio::test]
async fn ensure_gives_one_connection_and_says_what_to_do() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let first = world
        .post(
            &token,
            "/connections/ensure",
            json!({ "appUrl": "https://www.cloudtalk.io/", "name": "Phones" }),
        )
        .await
        .ok();
    assert_eq!(first["state"], "CLIENT_ACTION_REQUIRED");
    assert_eq!(first["name"], "Phones");
    assert_eq!(
        (
            first["connected"].as_bool(),
            first["disconnected"].as_bool()
        ),
        (Some(false), Some(true))
    );
    let action = &first["clientAction"];
    assert_eq!(action["type"], "connect");
    let url = action["uiUrl"].as_str().expect("url");
    assert!(
        url.starts_with(
            "https://phone.example.test/membrane/screens/connections?connectionRequestId="
        ),
        "{url}"
    );
    assert!(
        action["agentInstructions"]
            .as_str()
            .expect("text")
            .contains("keySecret")
    );
    for again in [
        "cloudtalk.io",
        "my.cloudtalk.io",
        "HTTPS://WWW.CLOUDTALK.IO/x?y",
    ] {
        let next = world
            .post(
                &token,
                "/connections/ensure",
                json!({ "appUrl": again, "name": "Other" }),
            )
            .await
            .ok();
        assert_eq!(
            (&next["id"], &next["name"]),
            (&first["id"], &first["name"]),
            "{again}"
        );
    }
    let other = world
        .post(
            &world.token(&world.acme, "b"),
            "/connections/ensure",
            json!({ "appUrl": "cloudtalk.io" }),
        )
        .await
        .ok();
    assert_ne!(other["id"], first["id"]);
    for bad in ["localhost", "10.0.0.1", "", "https://"] {
        let refused = world
            .post(&token, "/connections/ensure", json!({ "appUrl": bad }))
            .await;
        assert_eq!(refused.status.as_u16(), 400, "{bad}");
    }
}

#[tokio::test]
async fn an_unknown_app_says_so_at_once() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let made = world
        .post(
            &token,
            "/connections/ensure",
            json!({ "appUrl": "https://crm.example.test" }),
        )
        .await
        .ok();
    assert_eq!(made["state"], "SETUP_FAILED");
    assert!(
        made["error"]["message"]
            .as_str()
            .expect("text")
            .contains("crm.example.test")
    );
    assert!(made.get("clientAction").is_none());
    let again = world
        .post(
            &token,
            "/connections/ensure",
            json!({ "appUrl": "crm.example.test" }),
        )
        .await
        .ok();
    assert_eq!(again["id"], made["id"]);
}

#[tokio::test]
async fn a_credential_is_tried_before_it_is_kept() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let id = world.ensured(&token).await;
    let path = format!("/connections/{id}");
    let missing = world
        .call(
            &token,
            Method::PATCH,
            &path,
            Some(json!({ "input": { "keyId": KEY_ID } })),
        )
        .await;
    assert_eq!(missing.status.as_u16(), 400);
    assert_eq!(missing.json()["data"]["field"], "keySecret");
    let wrong = json!({ "input": { "keyId": KEY_ID, "keySecret": "nope-nope-nope" } });
    let refused = world.call(&token, Method::PATCH, &path, Some(wrong)).await;
    assert_eq!(refused.status.as_u16(), 400);
    let now = world.get(&token, &path).await.ok();
    assert_eq!(now["state"], "CLIENT_ACTION_REQUIRED");
    assert!(
        now["error"]["message"]
            .as_str()
            .expect("text")
            .contains("did not accept"),
        "{now}"
    );
    let ready = world
        .call(
            &token,
            Method::PATCH,
            &path,
            Some(json!({ "input": { "keyId": KEY_ID, "keySecret": KEY_SECRET } })),
        )
        .await
        .ok();
    assert_eq!(
        (ready["state"].as_str(), ready["connected"].as_bool()),
        (Some("READY"), Some(true))
    );
    assert!(ready.get("clientAction").is_none() && ready.get("error").is_none());
    let last = world
        .app
        .seen
        .lock()
        .expect("lock")
        .last()
        .cloned()
        .expect("a test request");
    assert!(
        last.target.starts_with("/api/contacts/index.json"),
        "{}",
        last.target
    );
}

#[tokio::test]
async fn private_addresses_other_than_our_own_api_are_refused() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let path = format!("/connections/{}", world.ensured(&token).await);
    let before = world.app.seen.lock().expect("lock").len();
    let port = world.app_base.port().expect("port");
    for base in [
        format!("http://127.0.0.1:{port}/membrane"),
        format!("http://127.0.0.1:{port}/api/../membrane"),
        format!("http://localhost:{port}/api"),
        "http://169.254.169.254/latest".to_owned(),
        "http://10.0.0.1/api".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let input =
            json!({ "input": { "keyId": KEY_ID, "keySecret": KEY_SECRET, "baseUrl": base } });
        let refused = world.call(&token, Method::PATCH, &path, Some(input)).await;
        assert_eq!(refused.status.as_u16(), 400, "{base}");
        assert!(!refused.text().contains(KEY_SECRET));
    }
    assert_eq!(
        world.app.seen.lock().expect("lock").len(),
        before,
        "nothing was sent"
    );
    let own = json!({ "input": { "keyId": KEY_ID, "keySecret": KEY_SECRET, "baseUrl": world.app_base.as_str() } });
    assert_eq!(
        world
            .call(&token, Method::PATCH, &path, Some(own))
            .await
            .ok()["state"],
        "READY"
    );
    // A stored credential must not follow a changed address.
    let moved = json!({ "connectorParameters": { "baseUrl": "https://evil.example.test/api" } });
    assert_eq!(
        world
            .call(&token, Method::PATCH, &path, Some(moved))
            .await
            .status
            .as_u16(),
        400
    );
}

#[tokio::test]
async fn archiving_erases_and_restoring_asks_again() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let id = world.connected(&token).await;
    let deleted = world
        .call(&token, Method::DELETE, &format!("/connections/{id}"), None)
        .await;
    assert_eq!((deleted.status.as_u16(), deleted.bytes.len()), (200, 0));
    assert_eq!(
        world.get(&token, "/connections").await.ok()["items"],
        json!([])
    );
    assert_eq!(
        world
            .get(&token, &format!("/connections/{id}/proxy/x"))
            .await
            .status
            .as_u16(),
        404
    );
    let form = http::Request::post(format!("/connections/{id}/restore"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::empty())
        .expect("request");
    let restored = world.send(form).await.ok();
    assert_eq!(restored["state"], "CLIENT_ACTION_REQUIRED");
    assert!(restored["clientAction"]["uiUrl"].is_string());
    let gone = world
        .call(
            &token,
            Method::POST,
            &format!("/connections/{id}/disconnect"),
            None,
        )
        .await;
    assert_eq!(gone.status.as_u16(), 204);
}

#[tokio::test]
async fn lists_are_cut_into_pages_that_end() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    for name in ["one", "two", "three"] {
        world.post(&token, "/connections", json!({ "connectorKey": "cloudtalk", "name": name, "allowMultipleConnections": true })).await.ok();
    }
    let first = world
        .get(&token, "/connections?limit=2&cursor=0&hash=17")
        .await
        .ok();
    assert_eq!(first["items"].as_array().expect("items").len(), 2);
    let cursor = first["cursor"].as_str().expect("cursor");
    let second = world
        .get(&token, &format!("/connections?limit=2&cursor={cursor}"))
        .await
        .ok();
    assert_eq!(second["items"].as_array().expect("items").len(), 1);
    assert!(second.get("cursor").is_none());
    assert_eq!(
        world
            .get(&token, "/connections/cloudtalk")
            .await
            .status
            .as_u16(),
        400,
        "three connections, none is meant"
    );
}

#[tokio::test]
async fn a_waiting_call_wakes_when_the_connection_changes() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let owner = world
        .gateway
        .authenticate(&token)
        .await
        .expect("caller")
        .customer
        .expect("tenant");
    let building = NewConnection {
        public_id: "0123456789abcdef01234567".into(),
        workspace: world.acme.id,
        customer: owner.id,
        name: "x".into(),
        key: None,
        connector_key: Some("cloudtalk".into()),
        connector_version: Some("1.0.0".into()),
        app_domain: "cloudtalk.io".into(),
        state: ConnectionState::Building,
        auth_option: None,
        parameters: json!({}),
        meta: json!({}),
        client_action: None,
        error: None,
    };
    let row = world
        .db
        .create_connection(building, store::now())
        .await
        .expect("row");
    let path = format!("/connections/{}?wait=1&timeout=60", row.public_id);
    let begun = std::time::Instant::now();
    let waiting = world.get(&token, &path);
    let finishing = async {
        // Lets the other call reach its wait first; it wakes either way.
        tokio::task::yield_now().await;
        world
            .gateway
            .finish_building(&row, None)
            .await
            .expect("finish");
    };
    let (answer, ()) = tokio::join!(waiting, finishing);
    assert_eq!(answer.ok()["state"], "CLIENT_ACTION_REQUIRED");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_waiting_call_ends_with_what_there_is() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let id = world.ensured(&token).await;
    let begun = std::time::Instant::now();
    assert_eq!(
        world
            .get(&token, &format!("/connections/{id}?wait=true&timeout=60"))
            .await
            .ok()["id"],
        json!(id)
    );
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "it is not being built, so there is nothing to wait for"
    );
    assert_eq!(
        world
            .get(&token, &format!("/connections/{id}?wait=true&timeout=61"))
            .await
            .status
            .as_u16(),
        400
    );
}
