//! Signing in and staying so: PKCE across two commands, private files, renewal, tenants, logout.

#[cfg(unix)]
use crate::support::mode;
use crate::support::{Bench, Ran, line};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use url::Url;

fn form(body: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

fn query(address: &str) -> HashMap<String, String> {
    Url::parse(address)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
}

fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(
        &URL_SAFE_NO_PAD
            .decode(token.trim().split('.').nth(1).unwrap())
            .unwrap(),
    )
    .unwrap()
}

fn tokens(access: &str, refresh: &str) -> Value {
    json!({"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600,
        "default_workspace_key": "ws", "default_tenant_key": "t1", "email": "owner@example.com"})
}

/// A login as an earlier run left it.
fn store_login(bench: &Bench, kind: &str, expires_at: i64) {
    std::fs::create_dir_all(bench.file(".membrane")).unwrap();
    let api_uri = format!("{}/membrane", bench.server.uri());
    let login = json!({"accessToken": "old-access", "refreshToken": "old-refresh", "expiresAt": expires_at,
        "tokenKind": kind, "workspaceKey": "ws", "tenantKey": if kind == "tenant" { json!("t1") } else { Value::Null }});
    let file = json!({"apiUri": api_uri, "logins": {api_uri.clone(): login}});
    std::fs::write(bench.file(".membrane/credentials.json"), file.to_string()).unwrap();
}

async fn start(bench: &Bench) -> HashMap<String, String> {
    let ran: Ran = bench
        .run(&["login", "--tenant", "--clientName=claude", "--json"])
        .await
        .ok();
    assert_eq!(ran.json()["next"], "membrane login complete <code>");
    query(ran.json()["authorizationUrl"].as_str().unwrap())
}

#[tokio::test]
async fn a_headless_login_keeps_its_verifier_between_two_commands() {
    let bench = Bench::logged_out().await;
    let asked = start(&bench).await;
    let base = format!("{}/membrane", bench.server.uri());
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "membrane-cli"),
        ("code_challenge_method", "S256"),
        ("token_type", "tenant"),
        ("client_name", "claude"),
        ("redirect_uri", &format!("{base}/oauth/code")),
    ] {
        assert_eq!(asked[name], value);
    }
    #[cfg(unix)]
    assert_eq!(
        (
            mode(&bench.file(".membrane")),
            mode(&bench.file(".membrane/pending-login.json"))
        ),
        (0o700, 0o600)
    );

    bench
        .answers(
            "POST",
            "/oauth/token",
            200,
            tokens("new-access", "new-refresh"),
        )
        .await;
    let ran = bench
        .run(&["login", "complete", "the code+1", "--json"])
        .await
        .ok();
    assert_eq!(
        (&ran.json()["email"], &ran.json()["tenantKey"]),
        (&json!("owner@example.com"), &json!("t1"))
    );
    assert!(!ran.stdout.contains("new-access") && !ran.stderr.contains("new-access"));
    let sent = form(&bench.requests().await[0].body);
    assert_eq!(
        (sent["grant_type"].as_str(), sent["code"].as_str()),
        ("authorization_code", "the code+1")
    );
    assert_eq!(sent["redirect_uri"], asked["redirect_uri"]);
    let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(sent["code_verifier"].as_bytes()));
    assert_eq!(proof, asked["code_challenge"]);
    #[cfg(unix)]
    assert_eq!(mode(&bench.file(".membrane/credentials.json")), 0o600);
    assert!(!bench.file(".membrane/pending-login.json").exists());
    assert_eq!(
        bench.login_file()["logins"][&base]["accessToken"],
        "new-access"
    );
}

#[tokio::test]
async fn text_output_tells_what_to_open_and_type() {
    let bench = Bench::logged_out().await;
    for words in [
        &["login", "--tenant"][..],
        &["login", "start", "--tenant"],
        &["login", "--non-interactive"],
    ] {
        let ran = bench.run(words).await.ok();
        assert!(
            ran.stdout.contains("/oauth/authorize?")
                && ran.stdout.contains("membrane login complete <code>"),
            "{}",
            ran.stdout
        );
    }
}

#[tokio::test]
async fn the_gateway_of_the_login_is_remembered() {
    let mut bench = Bench::logged_out().await;
    let base = bench.env.pop().unwrap().1;
    bench
        .run(&[
            "login",
            "--tenant",
            "--apiUri",
            &format!("{base}/"),
            "--json",
        ])
        .await
        .ok();
    bench
        .answers("POST", "/oauth/token", 200, tokens("new-access", "r"))
        .await;
    bench.run(&["login", "complete", "c"]).await.ok();
    bench
        .answers("GET", "/connections", 200, json!({"items": []}))
        .await;
    bench.run(&["connection", "list"]).await.ok();
    assert_eq!(
        bench.requests().await[1].headers["authorization"],
        "Bearer new-access"
    );
}

#[tokio::test]
async fn a_wrong_code_can_be_tried_again() {
    let bench = Bench::logged_out().await;
    bench
        .run(&["login", "complete", "c"])
        .await
        .fails(1)
        .says("no sign-in was started");
    start(&bench).await;
    bench
        .answers(
            "POST",
            "/oauth/token",
            400,
            json!({"error": "invalid_grant", "error_description": "unknown code"}),
        )
        .await;
    bench
        .run(&["login", "complete", "typo"])
        .await
        .fails(1)
        .says("error: unknown code (400)")
        .says("hint: a code works once");
    assert!(bench.file(".membrane/pending-login.json").exists());
    assert!(!bench.file(".membrane/credentials.json").exists());
}

#[tokio::test]
async fn a_login_about_to_end_is_renewed_and_saved_first() {
    let bench = Bench::logged_out().await;
    store_login(&bench, "tenant", now() + 30);
    bench
        .answers(
            "POST",
            "/oauth/token",
            200,
            tokens("new-access", "new-refresh"),
        )
        .await;
    bench
        .answers(
            "GET",
            "/connections",
            500,
            json!({"type": "internal", "message": "down"}),
        )
        .await;
    // The call itself fails: the new tokens must be on disk all the same, for the old refresh token is spent.
    bench.run(&["connection", "list"]).await.fails(1);
    let requests = bench.requests().await;
    let sent = form(&requests[0].body);
    assert_eq!(
        (sent["grant_type"].as_str(), sent["refresh_token"].as_str()),
        ("refresh_token", "old-refresh")
    );
    assert_eq!(requests[1].headers["authorization"], "Bearer new-access");
    let login = bench.login_file()["logins"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .clone();
    assert_eq!(
        (&login["accessToken"], &login["refreshToken"]),
        (&json!("new-access"), &json!("new-refresh"))
    );
    bench.run(&["connection", "list"]).await.fails(1);
    assert_eq!(bench.requests().await.len(), 3, "renewed once, not again");
}

#[tokio::test]
async fn commands_at_once_spend_one_refresh_token() {
    let bench = Bench::logged_out().await;
    store_login(&bench, "tenant", now() - 5);
    bench
        .answers(
            "POST",
            "/oauth/token",
            200,
            tokens("new-access", "new-refresh"),
        )
        .await;
    bench
        .answers("GET", "/connections", 200, json!({"items": []}))
        .await;
    let list = ["connection", "list"];
    let (a, b, c) = tokio::join!(bench.run(&list), bench.run(&list), bench.run(&list));
    for ran in [a, b, c] {
        ran.ok();
    }
    let renewals = bench
        .requests()
        .await
        .iter()
        .filter(|request| line(request) == "POST /oauth/token")
        .count();
    assert_eq!(renewals, 1);
}

#[tokio::test]
async fn an_ended_login_says_so() {
    let bench = Bench::logged_out().await;
    store_login(&bench, "tenant", now() - 5);
    bench
        .answers(
            "POST",
            "/oauth/token",
            400,
            json!({"error": "invalid_grant"}),
        )
        .await;
    let ran = bench.run(&["connection", "list", "--json"]).await.fails(1);
    assert_eq!(ran.json()["key"], "login_ended");
}

#[tokio::test]
async fn a_stored_token_does_not_travel_to_another_gateway() {
    let bench = Bench::logged_out().await;
    store_login(&bench, "tenant", now() + 3000);
    std::fs::create_dir_all(bench.file("project/.membrane")).unwrap();
    let elsewhere = format!("{}/elsewhere", bench.server.uri());
    std::fs::write(
        bench.file("project/.membrane/config.json"),
        json!({"apiUri": elsewhere}).to_string(),
    )
    .unwrap();
    let mut command = bench.command(&["connection", "list"]);
    command
        .current_dir(bench.file("project"))
        .env_remove("MEMBRANE_API_URI");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("not logged in to"),
        "{output:?}"
    );
    assert!(bench.requests().await.is_empty());
}

#[tokio::test]
async fn a_persons_login_acts_for_the_tenant_that_is_named() {
    let bench = Bench::logged_out().await;
    store_login(&bench, "platform-user", now() + 3000);
    let far = URL_SAFE_NO_PAD.encode(json!({"exp": now() + 3000}).to_string());
    bench
        .answers(
            "GET",
            "/org-workspaces",
            200,
            json!({"items": [{"id": "w1", "key": "ws"}, {"id": "w2", "key": "other"}]}),
        )
        .await;
    bench
        .answers(
            "POST",
            "/org-workspaces/w1/access-token",
            200,
            json!({"token": format!("h.{far}.s")}),
        )
        .await;
    bench
        .answers("GET", "/connections", 200, json!({"items": []}))
        .await;
    for _ in 0..2 {
        bench
            .run(&["connection", "list", "--tenantKey", "customer-7"])
            .await
            .ok();
    }
    let requests = bench.requests().await;
    let lines: Vec<_> = requests.iter().map(line).collect();
    let (find, make, list) = (
        "GET /org-workspaces",
        "POST /org-workspaces/w1/access-token",
        "GET /connections",
    );
    assert_eq!(
        lines,
        [find, make, list, list],
        "the exchanged token is kept"
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&requests[1].body).unwrap(),
        json!({"tenantKey": "customer-7"})
    );
    assert_eq!(
        requests[2].headers["authorization"],
        format!("Bearer h.{far}.s")
    );
}

#[tokio::test]
async fn a_tenants_login_acts_for_no_other_tenant() {
    let bench = Bench::logged_out().await;
    store_login(&bench, "tenant", now() + 3000);
    bench
        .run(&["connection", "list", "--tenantKey", "t2"])
        .await
        .fails(1)
        .says("this login is for tenant t1 only");
    assert!(bench.requests().await.is_empty());
}

#[tokio::test]
async fn a_workspace_secret_signs_without_asking_anybody() {
    let mut bench = Bench::logged_out().await;
    bench.env.extend([
        ("MEMBRANE_WORKSPACE_KEY", "ws".into()),
        ("MEMBRANE_WORKSPACE_SECRET", "s3cret".into()),
    ]);
    let ran = bench
        .run(&["token", "--tenantKey", "t1", "--expiresIn", "5m"])
        .await
        .ok();
    let said = claims(&ran.stdout);
    assert_eq!(
        (&said["id"], &said["iss"], said.get("isAdmin")),
        (&json!("t1"), &json!("ws"), None)
    );
    assert!((290..=301).contains(&(said["exp"].as_i64().unwrap() - now())));
    let manager = bench
        .run(&["token", "--manager", "--json"])
        .await
        .ok()
        .json();
    assert_eq!(claims(manager["token"].as_str().unwrap())["isAdmin"], true);
    bench.run(&["token"]).await.fails(2).says("--tenantKey");
    assert!(bench.requests().await.is_empty());

    bench
        .answers("GET", "/connections", 200, json!({"items": []}))
        .await;
    bench
        .run(&["connection", "list", "--tenantKey=t9"])
        .await
        .ok();
    let sent = bench.requests().await[0].headers["authorization"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(claims(&sent)["id"], "t9");
}

#[tokio::test]
async fn credentials_for_programs_and_shells_but_not_for_onlookers() {
    let mut bench = Bench::logged_out().await;
    bench.env.extend([
        ("MEMBRANE_WORKSPACE_KEY", "ws".into()),
        ("MEMBRANE_WORKSPACE_SECRET", "it's".into()),
        ("MEMBRANE_TENANT_KEY", "t".into()),
    ]);
    let base = bench.env[0].1.clone();
    let shown = bench.run(&["credentials", "--json"]).await.ok().json();
    assert_eq!(
        shown,
        json!({"apiUri": base, "workspaceKey": "ws", "workspaceSecret": "it's", "tenantKey": "t"})
    );
    let shell = bench.run(&["credentials", "--shell"]).await.ok().stdout;
    assert!(
        shell.contains("export MEMBRANE_WORKSPACE_SECRET='it'\\''s'\n"),
        "{shell}"
    );
    assert!(
        !bench
            .run(&["credentials"])
            .await
            .ok()
            .stdout
            .contains("it's")
    );
}

#[tokio::test]
async fn logout_revokes_both_tokens_and_forgets_them() {
    let bench = Bench::logged_out().await;
    store_login(&bench, "tenant", now() + 3000);
    bench
        .answers_with(
            "POST",
            "/oauth/revoke",
            wiremock::ResponseTemplate::new(200),
        )
        .await;
    bench.run(&["logout"]).await.ok();
    let told: Vec<_> = bench
        .requests()
        .await
        .iter()
        .map(|request| form(&request.body)["token"].clone())
        .collect();
    assert_eq!(told, ["old-refresh", "old-access"]);
    assert_eq!(bench.login_file(), json!({"logins": {}}));
    let again = bench.run(&["logout"]).await.ok();
    assert!(
        again.stdout.contains("There was no login"),
        "{}",
        again.stdout
    );
}

#[tokio::test]
async fn logout_forgets_even_when_the_gateway_is_away_and_says_so() {
    let bench = Bench::logged_out().await;
    store_login(&bench, "tenant", now() + 3000);
    bench.answers("POST", "/oauth/revoke", 503, json!({})).await;
    bench.run(&["logout"]).await.ok().says("could not be told");
    assert_eq!(bench.login_file(), json!({"logins": {}}));
}

#[tokio::test]
async fn workspace_commands_write_a_private_file_and_are_honest() {
    let bench = Bench::new().await;
    bench
        .run(&["workspace", "init", "--key", "ws", "--secret", "s"])
        .await
        .ok();
    #[cfg(unix)]
    assert_eq!(mode(&bench.file("membrane.config.yml")), 0o600);
    bench
        .run(&["init", "--key", "ws", "--secret", "s"])
        .await
        .fails(1)
        .says("old name")
        .says("already there");
    bench
        .run(&["workspace", "pull"])
        .await
        .fails(1)
        .says("does not offer export and import yet");
    let offers = Bench::new().await;
    offers
        .answers("GET", "/export", 200, json!({"actions": [{"key": "a"}]}))
        .await;
    offers.run(&["workspace", "pull"]).await.ok();
    assert_eq!(
        offers.run(&["workspace", "diff"]).await.ok().stdout,
        "No differences.\n"
    );
}
