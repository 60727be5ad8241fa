use axum::body::Body;
use http::header;
use serde_json::{Value, json};

use crate::actors::{Actor, App};

#[tokio::test]
async fn core_says_401_before_404_and_405_before_401() {
    let app = App::new().await;
    for path in [
        "/api/agents/index.json",
        "/api/nothing/here.json",
        "/api/agents/index",
        "/api/",
    ] {
        let reply = app.ask(Actor::Nobody, "GET", path, Value::Null).await;
        assert_eq!(
            reply.is(401).json(),
            json!({"responseData": {"status": 401, "message": "Unauthorized"}}),
            "{path}"
        );
        assert_eq!(
            reply.headers[header::CONTENT_TYPE],
            "application/json; charset=UTF-8"
        );
        assert!(!reply.headers.contains_key(header::WWW_AUTHENTICATE));
        assert!(reply.headers.contains_key("x-cloudtalkapi-resettime"));
    }
    let wrong = app
        .ask(Actor::Nobody, "POST", "/api/agents/index.json", Value::Null)
        .await;
    assert_eq!(
        wrong.is(405).json(),
        json!({"responseData": {"status": 405, "message": "Method Not Allowed"}})
    );
    assert!(!wrong.headers.contains_key(header::ALLOW));
    let unknown = app.get("/api/contacts/1/notes.json").await;
    assert_eq!(
        unknown.is(404).json(),
        json!({"name": "Not Found", "message": "Not Found", "url": "/api/contacts/1/notes.json",
               "responseData": {"status": 404, "message": "Not found."}})
    );
}

#[tokio::test]
async fn secrets_are_compared_byte_by_byte() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let app = App::new().await;
    app.get("/api/agents/index.json").await.is(200);
    for pair in [
        "ACMEACMEACMEACMEACME01:s:+c:r@t!?",
        "ACMEACMEACMEACMEACME01:",
        "ACMEACMEACMEACMEACME01:other",
        "ghost:x",
        "\0:x",
    ] {
        let value = format!("Basic {}", STANDARD.encode(pair));
        let request = app
            .request(Actor::Nobody, "GET", "/api/agents/index.json")
            .header(header::AUTHORIZATION, value);
        app.send(request.body(Body::empty()).expect("a request"))
            .await
            .is(401);
    }
}

#[tokio::test]
async fn the_credential_check_of_platforms_works_on_an_empty_company() {
    let app = App::new().await;
    for path in [
        "/api/contacts/index.json?limit=1",
        "/api/agents/index.json?limit=1",
    ] {
        let reply = app.get(path).await;
        assert_eq!(
            reply.is(200).data(),
            json!({"itemsCount": 0, "pageCount": 1, "pageNumber": 1, "limit": 0, "data": []})
        );
    }
    let countries = app.get("/api/countries/index.json").await.data();
    let denmark = json!({"Country": {"id": "61", "name": "Denmark", "country_code": "DK", "iso3": "DNK", "calling_code": "45"}});
    assert!(
        countries
            .as_array()
            .expect("a bare array")
            .contains(&denmark)
    );
}

#[tokio::test]
async fn analytics_routes_before_it_asks_who() {
    let app = App::new().await;
    let lost = app
        .ask(Actor::Nobody, "POST", "/api/calls/1", Value::Null)
        .await;
    assert_eq!(
        lost.is(404).json(),
        json!({"message": "Cannot POST /api/calls/1", "error": "Not Found", "statusCode": 404})
    );
    let nobody = app
        .ask(Actor::Nobody, "GET", "/api/calls/1", Value::Null)
        .await;
    assert_eq!(
        nobody.is(401).json(),
        json!({"statusCode": 401, "message": "Authorization header is missing"})
    );
    let request = app
        .request(Actor::Nobody, "GET", "/api/calls/1")
        .header(header::AUTHORIZATION, "Bearer sEcReT");
    let bearer = app
        .send(request.body(Body::empty()).expect("a request"))
        .await;
    assert_eq!(
        bearer.is(401).json()["message"],
        "Invalid Authorization header - Bearer"
    );
    let text = app.get("/api/calls/abc").await;
    assert_eq!(
        text.is(400).json()["message"],
        json!(["callId must be a number conforming to the specified constraints"])
    );
    let none = app.get("/api/calls/5").await;
    assert_eq!(
        none.is(404).json()["message"],
        format!("Call with id '5' doesn't exist on company '{}'", app.acme)
    );
}

#[tokio::test]
async fn the_other_spaces_fail_in_their_own_words() {
    let app = App::new().await;
    let v1 = app
        .ask(Actor::Nobody, "GET", "/v1/ai/calls/1/summary", Value::Null)
        .await;
    assert_eq!(v1.is(401).json()["code"], "UNAUTHORIZED");
    assert_eq!(
        app.get("/v1/ai/calls/1/summary").await.is(404).json()["code"],
        "NOT_FOUND"
    );
    let cards = app
        .ask(Actor::Nobody, "POST", "/api/cuecards", json!({}))
        .await;
    assert_eq!(
        cards.is(401).json(),
        json!({"success": false, "errors": ["unauthorized"]})
    );
}

#[tokio::test]
async fn the_limit_is_per_company_and_over_all_spaces() {
    let app = App::limited(2).await;
    assert_eq!(
        app.get("/api/agents/index.json").await.headers["x-cloudtalkapi-remaining"],
        "1"
    );
    app.get("/api/calls/1").await.is(404);
    let over = app.get("/api/agents/index.json").await;
    assert_eq!(
        over.is(429).json(),
        json!({"responseData": {"status": 429, "message": "Too Many Requests"}})
    );
    let wait: u32 = over.headers["retry-after"]
        .to_str()
        .expect("text")
        .parse()
        .expect("seconds");
    assert!((1..=60).contains(&wait));
    assert_eq!(over.headers["x-cloudtalkapi-limit"], "2");
    app.ask(Actor::Rival, "GET", "/api/agents/index.json", Value::Null)
        .await
        .is(200);
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let app = App::new().await;
    let reply = app
        .ask(Actor::Acme, "HEAD", "/api/agents/index.json", Value::Null)
        .await;
    assert!(reply.is(200).bytes.is_empty());
    assert_ne!(reply.headers[header::CONTENT_LENGTH], "0");
}
