//! Connect pages.

use axum::body::Body;
use http::{StatusCode, header};
use serde_json::json;

use crate::world::{Answer, KEY_ID, KEY_SECRET, World};

async fn open(world: &World, path: &str, person: Option<&str>) -> Answer {
    let mut request = http::Request::get(path);
    if let Some(person) = person {
        request = request.header("x-person", person);
    }
    world
        .send(request.body(Body::empty()).expect("request"))
        .await
}

async fn submit(world: &World, person: Option<&str>, fields: &[(&str, &str)]) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let mut request = http::Request::post("/screens/connections")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(person) = person {
        request = request.header("x-person", person);
    }
    world
        .send(request.body(Body::from(body)).expect("request"))
        .await
}

/// Path of a connection's page and the id of its request.
async fn page(world: &World, token: &str) -> (String, String, String) {
    let made = world
        .post(
            token,
            "/connections/ensure",
            json!({ "appUrl": "cloudtalk.io" }),
        )
        .await
        .ok();
    let url: url::Url = made["clientAction"]["uiUrl"]
        .as_str()
        .expect("url")
        .parse()
        .expect("url");
    let (_, request) = url.query_pairs().next().expect("query");
    let path = format!("/screens/connections?{}", url.query().expect("query"));
    (
        path,
        request.into_owned(),
        made["id"].as_str().expect("id").to_owned(),
    )
}

#[tokio::test]
async fn one_click_connects_this_phone_system() {
    let world = World::new().await;
    let token = world.token(&world.acme, "default");
    let (path, request, id) = page(&world, &token).await;
    let owner = format!("{}:owner", world.acme.tenant);
    let anonymous = open(&world, &path, None).await;
    assert_eq!(anonymous.status, StatusCode::SEE_OTHER);
    let back = anonymous.headers[header::LOCATION].to_str().expect("text");
    assert!(
        back.starts_with("/sign-in?return_to=/membrane/screens/connections?connectionRequestId="),
        "{back}"
    );
    let shown = open(&world, &path, Some(&owner)).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
    assert!(
        shown.text().contains("Connect this phone system")
            && shown.text().contains("input.keySecret")
    );
    let policy = shown.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .expect("text");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    let fields = [
        ("connectionRequestId", request.as_str()),
        ("action", "this-phone"),
    ];
    assert_eq!(
        submit(&world, Some(&owner), &fields).await.status,
        StatusCode::FORBIDDEN,
        "no form of ours"
    );
    let with_csrf = [fields[0], fields[1], ("csrf", "right")];
    let done = submit(&world, Some(&owner), &with_csrf).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    assert!(
        done.text()
            .contains("You can close this page and return to your agent.")
    );
    let ready = world.get(&token, &format!("/connections/{id}")).await.ok();
    assert_eq!(ready["state"], "READY");
    assert_eq!(
        world
            .get(&token, &format!("/connection-requests/{request}"))
            .await
            .ok()["status"],
        "success"
    );
    world
        .call(
            &token,
            http::Method::DELETE,
            &format!("/connections/{id}"),
            None,
        )
        .await;
    assert_eq!(
        *world.revoked.lock().expect("lock"),
        vec![KEY_ID.to_owned()],
        "the key ends with its connection"
    );
}

#[tokio::test]
async fn people_of_other_companies_and_tenants_find_nothing() {
    let world = World::new().await;
    let (path, request, _) = page(&world, &world.token(&world.acme, "client-1")).await;
    let stranger = format!("{}:owner", world.other.tenant);
    let colleague = format!("{}:agent", world.acme.tenant);
    for person in [&stranger, &colleague] {
        assert_eq!(
            open(&world, &path, Some(person)).await.status,
            StatusCode::NOT_FOUND,
            "{person}"
        );
        let fields = [
            ("connectionRequestId", request.as_str()),
            ("action", "this-phone"),
            ("csrf", "right"),
        ];
        assert_eq!(
            submit(&world, Some(person), &fields).await.status,
            StatusCode::NOT_FOUND,
            "{person}"
        );
    }
    let other_tenant = format!("{path}&token={}", world.token(&world.acme, "client-2"));
    assert_eq!(
        open(&world, &other_tenant, None).await.status,
        StatusCode::NOT_FOUND
    );
    // Who runs the company may help a client with a credential, but makes no key of the company for him.
    let owner = format!("{}:owner", world.acme.tenant);
    let shown = open(&world, &path, Some(&owner)).await.text();
    assert!(shown.contains("client-1") && !shown.contains("Connect this phone system"));
    let fields = [
        ("connectionRequestId", request.as_str()),
        ("action", "this-phone"),
        ("csrf", "right"),
    ];
    assert_eq!(
        submit(&world, Some(&owner), &fields).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_token_opens_the_form_in_a_frame_but_makes_no_keys() {
    let world = World::new().await;
    let token = world.token(&world.acme, "default");
    let (path, request, id) = page(&world, &token).await;
    let shown = open(&world, &format!("{path}&token={token}"), None).await;
    assert!(!shown.text().contains("Connect this phone system") && shown.text().contains("penpal"));
    assert!(
        shown.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .expect("text")
            .contains("frame-ancestors *")
    );
    assert!(!shown.headers.contains_key(header::X_FRAME_OPTIONS));
    let base = [
        ("connectionRequestId", request.as_str()),
        ("token", token.as_str()),
    ];
    assert_eq!(
        submit(&world, None, &[base[0], base[1], ("action", "this-phone")])
            .await
            .status,
        StatusCode::FORBIDDEN
    );
    let missing = submit(
        &world,
        None,
        &[
            base[0],
            base[1],
            ("input.keyId", "<i>x</i>"),
            ("input.keySecret", ""),
        ],
    )
    .await;
    assert_eq!(missing.status, StatusCode::BAD_REQUEST);
    assert!(
        missing.text().contains("aria-invalid")
            && missing.text().contains("&lt;i&gt;x")
            && !missing.text().contains("<i>x")
    );
    let wrong = submit(
        &world,
        None,
        &[
            base[0],
            base[1],
            ("input.keyId", KEY_ID),
            ("input.keySecret", "wrong-one"),
        ],
    )
    .await;
    assert!(wrong.text().contains("did not accept") && !wrong.text().contains("wrong-one"));
    let done = submit(
        &world,
        None,
        &[
            base[0],
            base[1],
            ("input.keyId", KEY_ID),
            ("input.keySecret", KEY_SECRET),
        ],
    )
    .await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    assert!(
        done.text().contains(&id) && !done.text().contains(KEY_SECRET),
        "the frame's owner is handed the connection"
    );
}

#[tokio::test]
async fn the_sdk_opens_the_screen_by_a_form() {
    let world = World::new().await;
    let token = world.token(&world.acme, "default");
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("token", token.as_str()),
            ("connectorKey", "cloudtalk"),
            ("allowMultipleConnections", ""),
            ("theme", "auto"),
        ])
        .finish();
    let request = http::Request::post("/screens/connect")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .expect("request");
    let shown = world.send(request).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
    assert!(shown.text().contains("input.keyId"));
    let anonymous = world
        .send(
            http::Request::post("/screens/connect")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::empty())
                .expect("request"),
        )
        .await;
    assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED);
}
