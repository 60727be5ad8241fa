//! What programs call: tokens, revocation, registration, metadata.

use http::{Method, StatusCode, header};
use serde_json::json;

use crate::app::{App, BASE, CALLBACK, EMAIL, PASSWORD, VERIFIER, query, query_of, redemption};

#[tokio::test]
async fn a_code_becomes_tokens() {
    let app = App::new().await;
    let code = app.code(&query(&[])).await;
    let answer = app.redeem(&code).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    let tokens = answer.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 3600);
    assert_eq!(tokens["email"], EMAIL);
    let owner = app.owner.as_ref().expect("owner");
    assert_eq!(
        tokens["default_workspace_key"],
        format!("ws-{}", owner.tenant)
    );
    assert_eq!(tokens["default_tenant_key"], format!("user-{}", owner.id));
    assert_eq!(tokens["org_id"], owner.tenant.to_string());
    assert!(
        tokens["access_token"]
            .as_str()
            .expect("text")
            .starts_with("access.tenant.")
    );
    assert!(app.is_live(&tokens).await);
    let grants = app.grants.of_user(owner.id).await.expect("grants");
    assert_eq!((grants.len(), &*grants[0].client_name), (1, "claude"));
}

#[tokio::test]
async fn json_bodies_work_and_no_kind_means_the_whole_account() {
    let app = App::new().await;
    let code = app.code(&query(&[("token_type", "")])).await;
    let body = json!({
        "grant_type": "authorization_code", "client_id": "membrane-cli", "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER, "code": code, "resource": "ignored",
    });
    let answer = app
        .browser()
        .post_json("/membrane/oauth/token", &body)
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(
        answer.json()["access_token"]
            .as_str()
            .expect("text")
            .starts_with("access.platform-user.")
    );
}

#[tokio::test]
async fn anything_that_does_not_fit_is_the_same_refusal_and_burns_the_code() {
    let app = App::new().await;
    let mut bodies = Vec::new();
    for (name, value) in [
        (
            "code_verifier",
            "a-different-verifier-of-the-right-length-0123456789",
        ),
        ("code_verifier", "short"),
        ("redirect_uri", "http://127.0.0.1:41235/callback"),
        ("redirect_uri", "http://127.0.0.1:41234/callback2"),
    ] {
        let code = app.code(&query(&[])).await;
        let fields =
            redemption(&code).map(|(key, old)| (key, if key == name { value } else { old }));
        let refused = app.post_form("/membrane/oauth/token", &fields).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{name}={value}");
        bodies.push(refused.body);
        bodies.push(app.redeem(&code).await.body);
    }
    bodies.push(app.redeem("nosuchcodenosuchcodenosuchco").await.body);
    assert!(
        bodies[0].contains(r#""error":"invalid_grant""#),
        "{}",
        bodies[0]
    );
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
}

#[tokio::test]
async fn a_code_used_twice_revokes_what_came_of_it() {
    let app = App::new().await;
    let code = app.code(&query(&[])).await;
    let tokens = app.redeem(&code).await.json();
    assert!(app.is_live(&tokens).await);
    assert_eq!(app.redeem(&code).await.json()["error"], "invalid_grant");
    assert!(!app.is_live(&tokens).await);
    let refresh = tokens["refresh_token"].as_str().expect("text");
    assert_eq!(app.refresh(refresh).await.json()["error"], "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_parallel_redemptions_exactly_one_wins() {
    let app = std::sync::Arc::new(App::new().await);
    let code = app.code(&query(&[])).await;
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (app, code) = (app.clone(), code.clone());
        tries.spawn(async move { app.redeem(&code).await.status });
    }
    let statuses = tries.join_all().await;
    assert_eq!(
        statuses
            .iter()
            .filter(|status| **status == StatusCode::OK)
            .count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses
            .iter()
            .all(|status| matches!(status.as_u16(), 200 | 400)),
        "{statuses:?}"
    );
}

#[tokio::test]
async fn a_code_is_good_for_five_minutes() {
    let app = App::new().await;
    let code = app.code(&query(&[])).await;
    app.pass_seconds(299);
    let in_time = app.code(&query(&[])).await;
    app.pass_seconds(1);
    assert_eq!(app.redeem(&code).await.json()["error"], "invalid_grant");
    assert_eq!(app.redeem(&in_time).await.status, StatusCode::OK);
}

#[tokio::test]
async fn refresh_tokens_rotate() {
    let app = App::new().await;
    let first = app.redeem(&app.code(&query(&[])).await).await.json();
    let second = app
        .refresh(first["refresh_token"].as_str().expect("text"))
        .await;
    assert_eq!(second.status, StatusCode::OK, "{}", second.body);
    let second = second.json();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(
        app.refresh(second["refresh_token"].as_str().expect("text"))
            .await
            .status,
        StatusCode::OK
    );
    assert!(app.is_live(&second).await);
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_the_grant() {
    let app = App::new().await;
    let first = app.redeem(&app.code(&query(&[])).await).await.json();
    let stolen = first["refresh_token"].as_str().expect("text");
    let second = app.refresh(stolen).await.json();
    assert_eq!(app.refresh(stolen).await.json()["error"], "invalid_grant");
    assert!(!app.is_live(&first).await);
    assert_eq!(
        app.refresh(second["refresh_token"].as_str().expect("text"))
            .await
            .json()["error"],
        "invalid_grant"
    );
}

#[tokio::test]
async fn a_refresh_token_serves_its_own_client_only_and_not_for_ever() {
    let app = App::new().await;
    let metadata = json!({ "redirect_uris": ["https://desk.example.test/cb"] });
    let other = app
        .browser()
        .post_json("/membrane/oauth/register", &metadata)
        .await
        .json();
    let tokens = app.redeem(&app.code(&query(&[])).await).await.json();
    let token = tokens["refresh_token"].as_str().expect("text");
    let foreign = [
        ("grant_type", "refresh_token"),
        ("client_id", other["client_id"].as_str().expect("id")),
        ("refresh_token", token),
    ];
    assert_eq!(
        app.post_form("/membrane/oauth/token", &foreign)
            .await
            .json()["error"],
        "invalid_grant"
    );

    let old = app.redeem(&app.code(&query(&[])).await).await.json();
    app.pass_seconds(100 * 24 * 3600);
    assert_eq!(
        app.refresh(old["refresh_token"].as_str().expect("text"))
            .await
            .json()["error"],
        "invalid_grant"
    );
}

#[tokio::test]
async fn revoking_either_token_ends_the_grant() {
    let app = App::new().await;
    for which in ["refresh_token", "access_token"] {
        let tokens = app.redeem(&app.code(&query(&[])).await).await.json();
        let answer = app
            .post_form(
                "/membrane/oauth/revoke",
                &[("token", tokens[which].as_str().expect("text"))],
            )
            .await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(!app.is_live(&tokens).await, "{which}");
        assert_eq!(
            app.refresh(tokens["refresh_token"].as_str().expect("text"))
                .await
                .json()["error"],
            "invalid_grant"
        );
    }
    assert_eq!(
        app.post_form("/membrane/oauth/revoke", &[("token", "unknown")])
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(
        app.post_form("/membrane/oauth/revoke", &[]).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_disabled_person_s_tokens_stop_working() {
    let app = App::new().await;
    let tokens = app.redeem(&app.code(&query(&[])).await).await.json();
    let code = app.code(&query(&[])).await;
    app.db
        .set_user_disabled(app.owner.as_ref().expect("owner").id, Some(app.now()))
        .await
        .expect("disable");
    assert!(!app.is_live(&tokens).await);
    assert_eq!(app.redeem(&code).await.json()["error"], "invalid_grant");
    assert_eq!(
        app.refresh(tokens["refresh_token"].as_str().expect("text"))
            .await
            .json()["error"],
        "invalid_grant"
    );
}

/// Whoever steals the database can sign in nowhere.
#[tokio::test]
async fn the_database_holds_no_secret() {
    let app = App::new().await;
    let mut browser = app.signed_in().await;
    let code = query_of(&browser.decide(&query(&[]), "allow").await.location())["code"].clone();
    let tokens = app.redeem(&code).await.json();
    let refresh = tokens["refresh_token"].as_str().expect("text").to_owned();
    let session = browser.cookies["__Host-trunkline_session"].clone();
    let mut stored = Vec::new();
    for file in std::fs::read_dir(app.dir.path()).expect("folder") {
        stored.extend(std::fs::read(file.expect("file").path()).expect("readable"));
    }
    let holds = |text: &str| {
        stored
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(holds(EMAIL), "the files searched are the right ones");
    for secret in [PASSWORD, VERIFIER, &code, &refresh, &session] {
        assert!(!holds(secret), "{secret}");
    }
}

#[tokio::test]
async fn malformed_requests_are_told_what_is_missing() {
    let app = App::new().await;
    for (fields, error) in [
        (vec![], "invalid_client"),
        (vec![("client_id", "membrane-cli")], "invalid_request"),
        (
            vec![("client_id", "membrane-cli"), ("grant_type", "password")],
            "unsupported_grant_type",
        ),
        (
            vec![
                ("client_id", "membrane-cli"),
                ("grant_type", "authorization_code"),
            ],
            "invalid_request",
        ),
        (
            vec![
                ("client_id", "membrane-cli"),
                ("grant_type", "refresh_token"),
            ],
            "invalid_request",
        ),
        (
            vec![("client_id", "membrane-cli"), ("client_id", "other")],
            "invalid_request",
        ),
    ] {
        let answer = app.post_form("/membrane/oauth/token", &fields).await;
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (StatusCode::BAD_REQUEST, Some(error)),
            "{fields:?}"
        );
    }
    let answer = app
        .browser()
        .post_json("/membrane/oauth/token", &json!(["x"]))
        .await;
    assert_eq!(answer.json()["error"], "invalid_request");
}

#[tokio::test]
async fn guessing_codes_is_slowed() {
    let app = App::new().await;
    let mut last = StatusCode::OK;
    for guess in 0..61 {
        last = app.redeem(&format!("guess{guess}")).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn registration_refuses_what_is_unsafe() {
    let app = App::new().await;
    let uris = |uri: &str| json!({ "redirect_uris": [uri] });
    for (metadata, error) in [
        (json!({}), "invalid_redirect_uri"),
        (uris("http://desk.example.test/cb"), "invalid_redirect_uri"),
        (uris("https://a@desk.example.test/"), "invalid_redirect_uri"),
        (uris("https://desk.example.test/#x"), "invalid_redirect_uri"),
        (uris("javascript:alert(1)"), "invalid_redirect_uri"),
        (
            json!({ "redirect_uris": ["https://a.test/"], "token_endpoint_auth_method": "client_secret_basic" }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": ["https://a.test/"], "grant_types": ["implicit"] }),
            "invalid_client_metadata",
        ),
        (json!("x"), "invalid_client_metadata"),
    ] {
        let answer = app
            .browser()
            .post_json("/membrane/oauth/register", &metadata)
            .await;
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (StatusCode::BAD_REQUEST, Some(error)),
            "{metadata}"
        );
    }
}

#[tokio::test]
async fn metadata_is_where_clients_look_for_it() {
    let app = App::new().await;
    for path in [
        "/membrane/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/membrane",
        "/elsewhere/.well-known/oauth-authorization-server",
    ] {
        let answer = app.browser().get(path).await;
        let metadata = answer.json();
        assert_eq!(metadata["issuer"], format!("{BASE}/membrane"), "{path}");
        assert_eq!(
            metadata["token_endpoint"],
            format!("{BASE}/membrane/oauth/token")
        );
        assert_eq!(
            metadata["code_challenge_methods_supported"],
            json!(["S256"])
        );
        assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    }
}

#[tokio::test]
async fn there_is_no_way_to_read_the_token_endpoint() {
    let app = App::new().await;
    let request = http::Request::builder()
        .method(Method::GET)
        .uri("/membrane/oauth/token");
    let answer = tower::ServiceExt::oneshot(
        app.router.clone(),
        request.body(axum::body::Body::empty()).expect("request"),
    )
    .await;
    assert_eq!(
        answer.expect("infallible").status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
}
