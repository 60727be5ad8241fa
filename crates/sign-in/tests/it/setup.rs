//! The first owner's link.

use http::{StatusCode, header};

use crate::app::{Answer, App, Browser, EMAIL, PASSWORD};

async fn link(app: &App) -> String {
    app.accounts
        .first_owner_link(app.now())
        .await
        .expect("database")
        .expect("nobody is there yet")
        .path()
}

async fn submit(browser: &mut Browser, path: &str, changes: &[(&str, &str)]) -> Answer {
    let csrf = browser.get(path).await.field("csrf");
    send(browser, path, &csrf, changes).await
}

async fn send(browser: &mut Browser, path: &str, csrf: &str, changes: &[(&str, &str)]) -> Answer {
    let mut fields = std::collections::BTreeMap::from([
        ("company", "Acme"),
        ("time_zone", "Europe/Bratislava"),
        ("country", "sk"),
        ("name", "Owner"),
        ("email", EMAIL),
        ("password", PASSWORD),
        ("csrf", csrf),
    ]);
    fields.extend(changes.iter().copied());
    let fields: Vec<(&str, &str)> = fields.into_iter().collect();
    browser.post(path, &fields).await
}

#[tokio::test]
async fn the_first_owner_comes_in_by_the_link_and_only_once() {
    let app = App::empty().await;
    let path = link(&app).await;
    let mut browser = app.browser();
    assert!(
        browser
            .get("/sign-in")
            .await
            .body
            .contains("one-time set-up link")
    );
    let answer = submit(&mut browser, &path, &[]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(
        browser.get("/sign-in").await.status,
        StatusCode::SEE_OTHER,
        "the owner is signed in at once"
    );
    assert_eq!(
        app.browser().sign_in(EMAIL, PASSWORD, "/").await.status,
        StatusCode::SEE_OTHER
    );

    let tenants = app.db.tenants().await.expect("tenants");
    assert_eq!(tenants.len(), 1);
    assert_eq!(
        (&*tenants[0].name, &*tenants[0].country_code),
        ("Acme", "SK")
    );
    assert_eq!(app.browser().get(&path).await.status, StatusCode::NOT_FOUND);
    assert!(
        app.accounts
            .first_owner_link(app.now())
            .await
            .expect("database")
            .is_none()
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_and_the_link_stays() {
    let app = App::empty().await;
    let path = link(&app).await;
    let mut browser = app.browser();
    for (field, value, message) in [
        ("company", " ", "The company needs a name."),
        (
            "time_zone",
            "Mars/Olympus",
            "There is no time zone called Mars",
        ),
        ("country", "Slovakia", "A country is two letters"),
        ("email", "owner", "This is not an email address."),
        ("name", "", "A name is needed."),
        (
            "password",
            "short",
            "The password needs at least 10 characters.",
        ),
    ] {
        let page = submit(&mut browser, &path, &[(field, value)]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(page.body.contains(message), "{field}: {}", page.body);
        assert!(
            page.body.contains("autofocus") && !page.body.contains(PASSWORD),
            "{field}"
        );
    }
    assert!(
        app.db.tenants().await.expect("tenants").is_empty(),
        "nothing was created"
    );
    assert_eq!(
        submit(&mut browser, &path, &[]).await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn a_newer_link_replaces_the_older_and_links_expire() {
    let app = App::empty().await;
    let old = link(&app).await;
    let new = link(&app).await;
    assert_eq!(app.browser().get(&old).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.browser().get(&new).await.status, StatusCode::OK);
    app.pass_seconds(25 * 3600);
    assert_eq!(app.browser().get(&new).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        app.browser().get("/setup/guess").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn of_two_at_the_same_time_one_becomes_owner() {
    let app = App::empty().await;
    let path = link(&app).await;
    let (mut one, mut two) = (app.browser(), app.browser());
    let first = one.get(&path).await.field("csrf");
    let second = two.get(&path).await.field("csrf");
    let (a, b) = tokio::join!(
        send(&mut one, &path, &first, &[("email", "a@example.test")]),
        send(&mut two, &path, &second, &[("email", "b@example.test")]),
    );
    let mut statuses = [a.status, b.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::NOT_FOUND]);
    assert_eq!(app.db.tenants().await.expect("tenants").len(), 1);
}

#[tokio::test]
async fn the_form_needs_its_token() {
    let app = App::empty().await;
    let path = link(&app).await;
    let answer = submit(&mut app.browser(), &path, &[("csrf", "wrong")]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.header(header::X_FRAME_OPTIONS), "DENY");
}
