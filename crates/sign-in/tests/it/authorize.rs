//! From a program's request to a code.

use http::{StatusCode, header};
use serde_json::json;

use crate::app::{App, BASE, CALLBACK, EMAIL, HEADLESS, PASSWORD, VERIFIER, query, query_of};

fn authorize(query: &str) -> String {
    format!("/membrane/oauth/authorize?{query}")
}

#[tokio::test]
async fn a_program_gets_its_code_after_sign_in_and_consent() {
    let app = App::new().await;
    let mut browser = app.browser();
    let to_sign_in = browser.get(&authorize(&query(&[]))).await.location();
    assert!(
        to_sign_in.starts_with("/sign-in?return_to=%2Fmembrane%2Foauth%2Fauthorize"),
        "{to_sign_in}"
    );
    let return_to = browser.get(&to_sign_in).await.field("return_to");
    let back = browser
        .sign_in(EMAIL, PASSWORD, &return_to)
        .await
        .location();

    let page = browser.get(&back).await;
    assert_eq!(page.status, StatusCode::OK);
    for text in [
        "claude",
        EMAIL,
        "Acme &amp; Sons",
        ">Allow</button>",
        ">Deny</button>",
    ] {
        assert!(page.body.contains(text), "{text} in {}", page.body);
    }
    let policy = page.header(header::CONTENT_SECURITY_POLICY);
    assert!(
        policy.contains("form-action 'self' http://127.0.0.1:41234;"),
        "{policy}"
    );

    let answer = browser.decide(&query(&[]), "allow").await;
    let location = answer.location();
    assert!(location.starts_with(CALLBACK), "{location}");
    let parameters = query_of(&location);
    assert_eq!(parameters["state"], "st&te=1");
    assert_eq!(parameters["iss"], format!("{BASE}/membrane"));
    assert!(parameters["code"].len() >= 26);
}

#[tokio::test]
async fn without_a_return_address_the_code_is_shown() {
    let app = App::new().await;
    let mut browser = app.signed_in().await;
    let page = browser
        .decide(&query(&[("redirect_uri", HEADLESS)]), "allow")
        .await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header(header::CACHE_CONTROL), "no-store");
    let from = page
        .body
        .find(r#"id="code" data-testid="code">"#)
        .expect("the code element");
    let code = page.body[from..]
        .split(['>', '<'])
        .nth(1)
        .expect("its text");
    assert!(
        page.body
            .contains(&format!("membrane login complete {code}")),
        "{}",
        page.body
    );

    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "membrane-cli"),
        ("redirect_uri", HEADLESS),
        ("code_verifier", VERIFIER),
        ("code", code),
    ];
    let answer = app.post_form("/membrane/oauth/token", &fields).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

#[tokio::test]
async fn no_means_no() {
    let app = App::new().await;
    let mut browser = app.signed_in().await;
    let parameters = query_of(&browser.decide(&query(&[]), "deny").await.location());
    assert_eq!(
        (&*parameters["error"], &*parameters["state"]),
        ("access_denied", "st&te=1")
    );
    assert!(!parameters.contains_key("code"));
    let page = browser
        .decide(&query(&[("redirect_uri", HEADLESS)]), "deny")
        .await;
    assert!(page.body.contains("Nothing was allowed"));
}

#[tokio::test]
async fn strangers_are_not_answered() {
    let app = App::new().await;
    let mut browser = app.signed_in().await;
    for change in [
        ("client_id", "unknown"),
        ("client_id", ""),
        ("redirect_uri", ""),
        ("redirect_uri", "https://evil.test/callback"),
        ("redirect_uri", "http://127.0.0.1.evil.test/callback"),
        ("redirect_uri", "http://127.0.0.1@evil.test/callback"),
        ("redirect_uri", "https://evil.test/membrane/oauth/code"),
        ("redirect_uri", "javascript:alert(1)"),
    ] {
        let page = browser.get(&authorize(&query(&[change]))).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{change:?}");
        assert!(page.headers.get(header::LOCATION).is_none(), "{change:?}");
    }
}

#[tokio::test]
async fn pkce_can_not_be_left_out_or_weakened() {
    let app = App::new().await;
    let mut browser = app.signed_in().await;
    for change in [
        ("code_challenge", ""),
        ("code_challenge_method", ""),
        ("code_challenge_method", "plain"),
        ("code_challenge_method", "s256"),
        ("code_challenge", "short"),
        ("response_type", "token"),
        ("token_type", "root"),
    ] {
        let parameters = query_of(&browser.get(&authorize(&query(&[change]))).await.location());
        assert!(!parameters.contains_key("code"), "{change:?}");
        assert!(
            parameters["error"].starts_with("invalid_request")
                || parameters["error"] == "unsupported_response_type"
        );
        assert_eq!(parameters["state"], "st&te=1");
    }
}

/// The check must hold for what the form says, not only for what the page was opened with.
#[tokio::test]
async fn a_changed_form_is_checked_like_a_new_request() {
    let app = App::new().await;
    let mut browser = app.signed_in().await;
    let csrf = browser.get(&authorize(&query(&[]))).await.field("csrf");
    let changed = query(&[("redirect_uri", "https://evil.test/")]);
    let fields = [
        ("csrf", &*csrf),
        ("request", &*changed),
        ("decision", "allow"),
    ];
    let answer = browser.post("/membrane/oauth/authorize", &fields).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.headers.get(header::LOCATION).is_none());
}

#[tokio::test]
async fn consent_needs_the_form_token_of_this_session() {
    let app = App::new().await;
    let mut browser = app.signed_in().await;
    let other = app
        .signed_in()
        .await
        .get(&authorize(&query(&[])))
        .await
        .field("csrf");
    for csrf in ["", "x", &other] {
        let fields = [
            ("csrf", csrf),
            ("request", &query(&[])),
            ("decision", "allow"),
        ];
        assert_eq!(
            browser
                .post("/membrane/oauth/authorize", &fields)
                .await
                .status,
            StatusCode::FORBIDDEN
        );
    }
}

#[tokio::test]
async fn a_name_is_text_and_nothing_else() {
    let app = App::new().await;
    let mut browser = app.signed_in().await;
    let evil = "<img src=x onerror=alert(1)>\"'\u{202e}";
    let page = browser
        .get(&authorize(&query(&[("client_name", evil)])))
        .await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        !page.body.contains("<img") && !page.body.contains('\u{202e}'),
        "{}",
        page.body
    );
    assert!(page.body.contains("&lt;img"), "{}", page.body);
    let page = browser
        .decide(
            &query(&[("client_name", evil), ("redirect_uri", HEADLESS)]),
            "allow",
        )
        .await;
    assert!(!page.body.contains("<img"), "{}", page.body);
}

#[tokio::test]
async fn consent_is_asked_every_time() {
    let app = App::new().await;
    let mut browser = app.signed_in().await;
    let _ = browser.decide(&query(&[]), "allow").await;
    let again = browser
        .get(&authorize(&query(&[("client_name", "somebody else")])))
        .await;
    assert_eq!(again.status, StatusCode::OK);
    assert!(again.body.contains("somebody else"));
}

#[tokio::test]
async fn a_registered_program_is_answered_where_it_registered() {
    let app = App::new().await;
    let metadata = json!({ "client_name": "Desk app", "redirect_uris": ["https://desk.example.test/cb?keep=1"], "scope": "ignored" });
    let registered = app
        .browser()
        .post_json("/membrane/oauth/register", &metadata)
        .await;
    assert_eq!(
        registered.status,
        StatusCode::CREATED,
        "{}",
        registered.body
    );
    let client_id = registered.json()["client_id"]
        .as_str()
        .expect("an id")
        .to_owned();

    let mut browser = app.signed_in().await;
    let asked = |uri| {
        query(&[
            ("client_id", &client_id),
            ("redirect_uri", uri),
            ("client_name", ""),
        ])
    };
    for wrong in [
        "https://desk.example.test/cb",
        "https://desk.example.test/cb?keep=1&x=2",
        CALLBACK,
        HEADLESS,
    ] {
        assert_eq!(
            browser.get(&authorize(&asked(wrong))).await.status,
            StatusCode::BAD_REQUEST,
            "{wrong}"
        );
    }
    let good = asked("https://desk.example.test/cb?keep=1");
    assert!(
        browser
            .get(&authorize(&good))
            .await
            .body
            .contains("Desk app")
    );
    let parameters = query_of(&browser.decide(&good, "allow").await.location());
    assert_eq!(parameters["keep"], "1");
    // Another client can't redeem it.
    assert_eq!(
        app.redeem(&parameters["code"]).await.json()["error"],
        "invalid_grant"
    );
}

#[tokio::test]
async fn people_are_sent_from_another_listener_to_the_public_address() {
    let app = App::new().await;
    let answer = app
        .browser()
        .get(&format!("/elsewhere/oauth/authorize?{}", query(&[])))
        .await;
    assert_eq!(
        answer.location(),
        format!("{BASE}/membrane/oauth/authorize?{}", query(&[]))
    );
}

#[tokio::test]
async fn using_another_account_leads_back_to_the_same_request() {
    let app = App::new().await;
    let mut browser = app.signed_in().await;
    let page = browser.get(&authorize(&query(&[]))).await;
    let fields = [
        ("csrf", &*page.field("csrf")),
        ("return_to", &*page.field("return_to")),
    ];
    let to_sign_in = browser.post("/sign-out", &fields).await.location();
    assert_eq!(
        browser.get(&to_sign_in).await.field("return_to"),
        authorize(&query(&[]))
    );
}
