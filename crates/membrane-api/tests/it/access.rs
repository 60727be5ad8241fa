//! Who gets in, and who sees what.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway::TokenSpec;
use http::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::world::World;

fn sign(algorithm: Algorithm, claims: &Value, secret: &str) -> String {
    jsonwebtoken::encode(
        &Header::new(algorithm),
        claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .expect("signs")
}

#[tokio::test]
async fn both_claim_spellings_and_three_algorithms_are_accepted() {
    let world = World::new().await;
    let secret = world.gateway.workspace_secret(&world.acme).expect("secret");
    let now = store::now().as_second();
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        for claims in [
            json!({ "workspaceKey": world.acme.key, "tenantKey": "a", "exp": now + 60 }),
            json!({ "iss": world.acme.key, "id": "a", "exp": now + 60 }),
            json!({ "iss": world.acme.key, "id": "a" }),
            json!({ "iss": world.acme.key, "id": "a", "exp": now - 30 }),
        ] {
            let token = sign(algorithm, &claims, secret.expose_secret());
            let own = world.get(&token, "/self").await.ok();
            assert_eq!(
                (own["internalId"].as_str(), own["workspaceKey"].as_str()),
                (Some("a"), Some(world.acme.key.as_str()))
            );
        }
    }
}

#[tokio::test]
async fn attacks_on_tokens_end_in_401() {
    let world = World::new().await;
    let secret = world.gateway.workspace_secret(&world.acme).expect("secret");
    let secret = secret.expose_secret();
    let now = store::now().as_second();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let good = json!({ "iss": world.acme.key, "id": "a", "exp": now + 60 });
    let none = format!(
        "{}.{}.",
        part(json!({ "alg": "none", "typ": "JWT" })),
        part(good.clone())
    );
    let signed = sign(Algorithm::HS256, &good, secret);
    let (_, signature) = signed.rsplit_once('.').expect("parts");
    let confused = format!(
        "{}.{}.{signature}",
        part(json!({ "alg": "RS256" })),
        part(good.clone())
    );
    let swapped = format!(
        "{}.{}.{signature}",
        part(json!({ "alg": "HS256", "typ": "JWT" })),
        part(json!({ "iss": world.acme.key, "id": "b" }))
    );
    let issue = |grant: &str| {
        let spec = TokenSpec {
            tenant_key: Some("a".into()),
            grant: Some(grant.into()),
            ..TokenSpec::default()
        };
        world
            .gateway
            .issue(&world.acme, spec, store::now())
            .expect("token")
            .expose_secret()
            .to_owned()
    };
    let bad = [
        none,
        confused,
        swapped,
        sign(Algorithm::HS256, &good, "wrong"),
        sign(Algorithm::HS256, &good, ""),
        sign(
            Algorithm::HS256,
            &json!({ "iss": world.other.key, "id": "a" }),
            secret,
        ),
        sign(
            Algorithm::HS256,
            &json!({ "iss": "nobody", "id": "a" }),
            secret,
        ),
        sign(
            Algorithm::HS256,
            &json!({ "iss": world.acme.key, "workspaceKey": world.other.key, "id": "a" }),
            secret,
        ),
        sign(
            Algorithm::HS256,
            &json!({ "iss": world.acme.key, "id": "a", "tenantKey": "b" }),
            secret,
        ),
        sign(
            Algorithm::HS256,
            &json!({ "iss": world.acme.key, "id": "a", "exp": now - 61 }),
            secret,
        ),
        sign(
            Algorithm::HS256,
            &json!({ "iss": world.acme.key, "id": "a", "exp": "soon" }),
            secret,
        ),
        sign(
            Algorithm::HS256,
            &json!({ "iss": world.acme.key, "id": "a", "nbf": now + 300 }),
            secret,
        ),
        sign(Algorithm::HS256, &json!({ "iss": world.acme.key }), secret),
        sign(
            Algorithm::HS256,
            &json!({ "iss": world.acme.key, "isAdmin": "true" }),
            secret,
        ),
        sign(
            Algorithm::HS256,
            &json!({ "iss": world.acme.key, "id": "" }),
            secret,
        ),
        sign(
            Algorithm::HS256,
            &json!({ "iss": world.acme.key, "id": {} }),
            secret,
        ),
        issue("taken-back"),
        "pat-unknown".into(),
        "a.b.c".into(),
        "x".repeat(20_000),
    ];
    for token in bad {
        let answer = world.get(&token, "/self").await;
        assert_eq!(
            answer.error(),
            (401, "bad_request".into(), "not_authenticated".into()),
            "{token}"
        );
    }
    assert!(world.get(&issue("live"), "/self").await.status.is_success());
    let anonymous = world
        .send(
            http::Request::get("/self")
                .body(axum::body::Body::empty())
                .expect("request"),
        )
        .await;
    assert_eq!(
        anonymous.error(),
        (401, "bad_request".into(), "not_authenticated".into())
    );
}

#[tokio::test]
async fn personal_tokens_work_until_they_are_revoked() {
    let world = World::new().await;
    let caller = world
        .gateway
        .authenticate(&world.token(&world.acme, "a"))
        .await
        .expect("caller");
    let new = gateway::NewPersonalToken {
        name: "script".into(),
        tenant_key: Some("a".into()),
        expires_in: None,
    };
    let (row, token) = world
        .gateway
        .create_personal_token(&caller, new)
        .await
        .expect("token");
    let own = world.get(token.expose_secret(), "/self").await.ok();
    assert_eq!(own["internalId"], "a");
    let foreign = gateway::NewPersonalToken {
        name: "x".into(),
        tenant_key: Some("b".into()),
        expires_in: None,
    };
    assert!(
        world
            .gateway
            .create_personal_token(&caller, foreign)
            .await
            .is_err()
    );
    assert!(
        world
            .db
            .revoke_personal_token(world.acme.id, &row.public_id, store::now())
            .await
            .expect("revoke")
    );
    assert_eq!(
        world
            .get(token.expose_secret(), "/self")
            .await
            .status
            .as_u16(),
        401
    );
}

#[tokio::test]
async fn nobody_sees_the_connection_of_another_tenant() {
    let world = World::new().await;
    let owner = world.token(&world.acme, "a");
    let id = world.connected(&owner).await;
    let run = world
        .post(
            &owner,
            &format!("/actions/list-contacts/run?connectionId={id}"),
            json!({}),
        )
        .await
        .ok();
    let run_id = run["actionRunId"].as_str().expect("run id").to_owned();
    let sent = world.app.seen.lock().expect("lock").len();
    let strangers = [
        world.token(&world.acme, "b"),
        world.token(&world.other, "a"),
        world.manager(&world.other),
    ];
    for stranger in &strangers {
        let calls = [
            (Method::GET, format!("/connections/{id}")),
            (
                Method::GET,
                format!("/connections/{id}?wait=true&timeout=1"),
            ),
            (Method::PATCH, format!("/connections/{id}")),
            (Method::DELETE, format!("/connections/{id}")),
            (Method::POST, format!("/connections/{id}/test")),
            (Method::POST, format!("/connections/{id}/reconnect")),
            (Method::POST, format!("/connections/{id}/disconnect")),
            (Method::POST, format!("/connections/{id}/restore")),
            (Method::GET, format!("/connections/{id}/logs")),
            (Method::GET, format!("/connections/{id}/actions")),
            (
                Method::GET,
                format!("/connections/{id}/proxy/contacts/index.json"),
            ),
            (
                Method::POST,
                format!("/connections/{id}/actions/list-contacts/run"),
            ),
            (
                Method::POST,
                format!("/actions/list-contacts/run?connectionId={id}"),
            ),
            (Method::GET, format!("/actions?connectionId={id}")),
            (Method::GET, format!("/action-run-logs/{run_id}")),
            (Method::GET, format!("/action-run-logs?connectionId={id}")),
        ];
        for (method, path) in calls {
            let answer = world.call(stranger, method.clone(), &path, None).await;
            assert_eq!(
                answer.error(),
                (404, "bad_request".into(), "not_found".into()),
                "{method} {path}"
            );
        }
        let act = world
            .post(
                stranger,
                "/act",
                json!({ "api": { "path": "/x" }, "connectionId": id }),
            )
            .await;
        assert_eq!(act.status.as_u16(), 404);
        for path in [
            "/connections",
            "/action-run-logs",
            "/search?q=CloudTalk&elementType=connection",
        ] {
            assert_eq!(
                world.get(stranger, path).await.ok()["items"],
                json!([]),
                "{path}"
            );
        }
    }
    assert_eq!(
        world.app.seen.lock().expect("lock").len(),
        sent,
        "nothing was sent for strangers"
    );
    let manager = world.manager(&world.acme);
    assert_eq!(
        world
            .get(&manager, &format!("/connections/{id}"))
            .await
            .ok()["state"],
        "READY"
    );
    assert_eq!(
        world.get(&manager, "/connections").await.ok()["items"]
            .as_array()
            .expect("items")
            .len(),
        1
    );
}

#[tokio::test]
async fn tokens_made_of_tokens_allow_no_more() {
    let world = World::new().await;
    let tenant = world.token(&world.acme, "a");
    let path = format!("/org-workspaces/{}/access-token", world.acme.public_id);
    for body in [json!({ "isAdmin": true }), json!({ "tenantKey": "b" })] {
        assert_eq!(
            world.post(&tenant, &path, body).await.error().2,
            "access_denied"
        );
    }
    let own = world
        .post(&tenant, &path, json!({ "expiresIn": 60 }))
        .await
        .ok();
    assert_eq!(
        world
            .get(own["token"].as_str().expect("token"), "/self")
            .await
            .ok()["internalId"],
        "a"
    );
    let personal = world
        .post(&tenant, &path, json!({ "personal": true }))
        .await
        .ok();
    let personal = personal["token"].as_str().expect("token");
    assert!(personal.starts_with("pat-"));
    assert_eq!(world.get(personal, "/self").await.ok()["internalId"], "a");
    let foreign = json!({ "personal": true, "tenantKey": "b" });
    assert_eq!(
        world.post(&tenant, &path, foreign).await.error().2,
        "access_denied"
    );
    let manager = world.manager(&world.acme);
    let made = world
        .post(&manager, &path, json!({ "tenantKey": "new" }))
        .await
        .ok();
    assert_eq!(
        world
            .get(made["token"].as_str().expect("token"), "/self")
            .await
            .ok()["internalId"],
        "new"
    );
    assert!(
        world.get(&tenant, "/org-workspaces").await.ok()["items"][0]
            .get("secret")
            .is_none()
    );
    assert!(world.get(&manager, "/org-workspaces").await.ok()["items"][0]["secret"].is_string());
}
