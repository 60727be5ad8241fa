//! Signing in and out.

use accounts::SESSION_COOKIE;
use http::{StatusCode, header};

use crate::app::{App, EMAIL, PASSWORD};

#[tokio::test]
async fn the_right_password_opens_a_session() {
    let app = App::new().await;
    let mut browser = app.browser();
    let answer = browser
        .sign_in(" Owner@Example.test ", PASSWORD, "/calls?x=1")
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.location(), "/calls?x=1");
    let cookie = answer.header(header::SET_COOKIE);
    for attribute in [
        "__Host-trunkline_session=",
        "HttpOnly",
        "SameSite=Lax",
        "Secure",
        "Path=/",
    ] {
        assert!(cookie.contains(attribute), "{attribute} in {cookie}");
    }
    assert_eq!(
        browser.get("/sign-in?return_to=/agents").await.location(),
        "/agents"
    );
}

#[tokio::test]
async fn wrong_password_and_unknown_person_get_the_same_answer() {
    let app = App::new().await;
    let wrong = app.browser().sign_in(EMAIL, "not the password", "/").await;
    let unknown = app
        .browser()
        .sign_in("other@example.test", "not the password", "/")
        .await;
    assert_eq!(
        (wrong.status, unknown.status),
        (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED)
    );
    let same = |page: &crate::app::Answer| {
        page.body
            .replace(&page.field("csrf"), "")
            .replace("other@", "owner@")
    };
    assert_eq!(same(&wrong), same(&unknown));
    assert!(
        wrong.body.contains("Email or password is wrong"),
        "{}",
        wrong.body
    );
}

#[tokio::test]
async fn a_disabled_person_gets_that_answer_too_and_loses_his_session() {
    let app = App::new().await;
    let mut browser = app.signed_in().await;
    let owner = app.owner.as_ref().expect("owner");
    app.db
        .set_user_disabled(owner.id, Some(app.now()))
        .await
        .expect("disable");
    assert_eq!(browser.get("/sign-in").await.status, StatusCode::OK);
    let answer = app.browser().sign_in(EMAIL, PASSWORD, "/").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.body.contains("Email or password is wrong"));
}

/// Both paths must do an argon2id run; without it the unknown one would take next to nothing.
#[tokio::test]
async fn an_unknown_person_costs_as_much_time_as_a_known_one() {
    let app = App::new().await;
    let mut spent = [Vec::new(), Vec::new()];
    for round in 0..5 {
        for (which, email) in [EMAIL, "other@example.test"].into_iter().enumerate() {
            let mut browser = app.browser_from(&format!("198.51.100.{}", round * 2 + which + 1));
            let csrf = browser.get("/sign-in").await.field("csrf");
            let start = std::time::Instant::now();
            let _ = browser
                .post(
                    "/sign-in",
                    &[("email", email), ("password", "wrong"), ("csrf", &csrf)],
                )
                .await;
            spent[which].push(start.elapsed());
        }
    }
    let [known, unknown] = spent.map(|mut times| {
        times.sort();
        times[2].as_secs_f64()
    });
    assert!(
        unknown > known * 0.4 && unknown < known * 2.5,
        "known {known}, unknown {unknown}"
    );
}

#[tokio::test]
async fn guessing_is_slowed_for_that_account_and_place_only() {
    let app = App::new().await;
    let mut guesser = app.browser();
    for _ in 0..5 {
        assert_eq!(
            guesser.sign_in(EMAIL, "wrong guess", "/").await.status,
            StatusCode::UNAUTHORIZED
        );
    }
    let blocked = guesser.sign_in(EMAIL, PASSWORD, "/").await;
    assert_eq!(blocked.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(blocked.header(header::RETRY_AFTER), "30");
    assert!(
        blocked.body.contains("Try again in 30 seconds"),
        "{}",
        blocked.body
    );

    let elsewhere = app
        .browser_from("203.0.113.7")
        .sign_in(EMAIL, PASSWORD, "/")
        .await;
    assert_eq!(elsewhere.status, StatusCode::SEE_OTHER);
    app.pass_seconds(31);
    assert_eq!(
        guesser.sign_in(EMAIL, PASSWORD, "/").await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn unknown_accounts_are_slowed_the_same_way() {
    let app = App::new().await;
    let mut guesser = app.browser();
    for _ in 0..5 {
        let _ = guesser
            .sign_in("nobody@example.test", "wrong guess", "/")
            .await;
    }
    assert_eq!(
        guesser
            .sign_in("nobody@example.test", "x", "/")
            .await
            .status,
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test]
async fn nobody_is_sent_to_another_site() {
    let app = App::new().await;
    for evil in [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "/\t/evil.test",
        "javascript:alert(1)",
    ] {
        let mut browser = app.browser();
        let answer = browser.sign_in(EMAIL, PASSWORD, evil).await;
        assert_eq!(answer.location(), "/", "{evil}");
        let encoded: String = url::form_urlencoded::byte_serialize(evil.as_bytes()).collect();
        assert_eq!(
            browser
                .get(&format!("/sign-in?return_to={encoded}"))
                .await
                .location(),
            "/",
            "{evil}"
        );
        let page = app
            .browser()
            .get(&format!("/sign-in?return_to={encoded}"))
            .await;
        assert_eq!(page.field("return_to"), "/", "{evil}");
    }
}

#[tokio::test]
async fn a_form_from_elsewhere_is_refused() {
    let app = App::new().await;
    let mut browser = app.browser();
    let _ = browser.get("/sign-in").await;
    let stolen = app.browser().get("/sign-in").await.field("csrf");
    for csrf in ["", "x", &stolen] {
        let answer = browser
            .post(
                "/sign-in",
                &[("email", EMAIL), ("password", PASSWORD), ("csrf", csrf)],
            )
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    assert!(
        !browser
            .cookies
            .keys()
            .any(|name| name.contains(SESSION_COOKIE))
    );
}

#[tokio::test]
async fn signing_out_ends_the_session_and_needs_the_form_token() {
    let app = App::new().await;
    let mut browser = app.signed_in().await;
    assert_eq!(
        browser.post("/sign-out", &[("csrf", "wrong")]).await.status,
        StatusCode::FORBIDDEN
    );
    let kept = browser.cookies.clone();
    let page = browser
        .get(&format!(
            "/membrane/oauth/authorize?{}",
            crate::app::query(&[])
        ))
        .await;
    let answer = browser
        .post("/sign-out", &[("csrf", &page.field("csrf"))])
        .await;
    assert_eq!(answer.location(), "/sign-in?return_to=%2F");
    browser.cookies = kept; // whoever kept the cookie has nothing
    assert_eq!(browser.get("/sign-in").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_unused_session_ends_and_a_used_one_ends_later() {
    let app = App::new().await;
    let day = 24 * 3600;
    let mut idle = app.signed_in().await;
    let mut busy = app.signed_in().await;
    for _ in 0..4 {
        app.pass_seconds(2 * day);
        assert_eq!(busy.get("/sign-in").await.status, StatusCode::SEE_OTHER);
    }
    assert_eq!(idle.get("/sign-in").await.status, StatusCode::OK);
    for _ in 0..12 {
        app.pass_seconds(2 * day);
        let _ = busy.get("/sign-in").await;
    }
    assert_eq!(
        busy.get("/sign-in").await.status,
        StatusCode::OK,
        "no session outlives thirty days"
    );
}

#[tokio::test]
async fn pages_can_not_be_framed_or_stored_and_run_no_script() {
    let app = App::new().await;
    let page = app.browser().get("/sign-in").await;
    let policy = page.header(header::CONTENT_SECURITY_POLICY);
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe-inline") && !policy.contains("script-src"),
        "{policy}"
    );
    assert_eq!(page.header(header::X_FRAME_OPTIONS), "DENY");
    assert_eq!(page.header(header::CACHE_CONTROL), "no-store");
    assert!(
        page.body.contains(r#"<label for="email">"#) && page.body.contains("autofocus"),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn typed_addresses_come_back_escaped() {
    let app = App::new().await;
    let page = app
        .browser()
        .sign_in("\"><script>alert(1)</script>", "wrong", "/")
        .await;
    assert!(!page.body.contains("<script"), "{}", page.body);
}
