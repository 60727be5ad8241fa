//! Commands that ask for something: what they send, and both ways they show the answer.

use crate::support::{Bench, TOKEN, connection};
use serde_json::json;

#[tokio::test]
async fn ensure_sends_the_address_and_prints_the_connection_unchanged() {
    let bench = Bench::new().await;
    let body = r#"{"id":"con1","state":"READY","big":12345678901234567890123,"z":1,"a":2}"#;
    bench
        .answers_with(
            "POST",
            "/connections/ensure",
            wiremock::ResponseTemplate::new(200).set_body_raw(body, "application/json"),
        )
        .await;
    let ran = bench
        .run(&[
            "connection",
            "ensure",
            "https://www.cloudtalk.io/",
            "--json",
        ])
        .await
        .ok();
    assert_eq!(ran.stdout, format!("{body}\n"));
    assert_eq!(
        bench.one_body().await,
        json!({"appUrl": "https://www.cloudtalk.io/"})
    );
    let request = &bench.requests().await[0];
    assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
}

#[tokio::test]
async fn a_connection_that_wants_something_says_what_and_where() {
    let bench = Bench::new().await;
    let mut waiting = connection("CLIENT_ACTION_REQUIRED");
    waiting["clientAction"] = json!({"type": "connect", "description": "Sign in to \u{1b}[2JCloudTalk", "uiUrl": "http://ui/x"});
    bench
        .answers("GET", "/connections/con1", 200, waiting)
        .await;
    let ran = bench
        .run(&["connection", "get", "con1"])
        .await
        .ok()
        .says("hint: when it is done");
    assert_eq!(
        ran.stdout,
        "Connection  con1\nName        CloudTalk\nKey         cloudtalk\nState       CLIENT_ACTION_REQUIRED\n\
         To do       Sign in to \u{fffd}[2JCloudTalk\nOpen        http://ui/x\n"
    );
    assert_eq!(bench.one_line().await, "GET /connections/con1");
}

#[tokio::test]
async fn wait_asks_the_server_to_hold_the_answer() {
    for (words, expected) in [
        (
            &["connection", "get", "con1", "--wait"][..],
            "GET /connections/con1?wait=true&timeout=30",
        ),
        (
            &["connection", "get", "--wait", "--timeout=5", "con1"],
            "GET /connections/con1?wait=true&timeout=5",
        ),
        (
            &["connection", "get", "con1", "--timeout", "5"],
            "GET /connections/con1",
        ),
    ] {
        let bench = Bench::new().await;
        bench
            .answers("GET", "/connections/con1", 200, connection("BUILDING"))
            .await;
        bench.run(words).await.ok().says("--wait");
        assert_eq!(bench.one_line().await, expected);
    }
}

#[tokio::test]
async fn lists_are_tables_that_say_when_there_is_more() {
    let bench = Bench::new().await;
    bench
        .answers(
            "GET",
            "/connections",
            200,
            json!({"items": [connection("READY")], "cursor": "abc"}),
        )
        .await;
    let ran = bench
        .run(&["connection", "list", "--search", "a b", "--limit=1"])
        .await
        .ok()
        .says("--cursor=abc");
    assert_eq!(
        ran.stdout,
        "ID    KEY        NAME       STATE\ncon1  cloudtalk  CloudTalk  READY\n"
    );
    assert_eq!(
        bench.one_line().await,
        "GET /connections?search=a+b&limit=1"
    );
}

#[tokio::test]
async fn an_intent_asks_for_the_ten_best() {
    for (words, expected) in [
        (
            &[
                "action",
                "list",
                "--connectionId=c1",
                "--intent",
                "send sms",
            ][..],
            "GET /actions?connectionId=c1&intent=send+sms&limit=10",
        ),
        (
            &["action", "list", "--intent=x", "--limit", "3"],
            "GET /actions?intent=x&limit=3",
        ),
        (
            &["action", "list", "--connectionKey", "k"],
            "GET /actions?connectionKey=k",
        ),
    ] {
        let bench = Bench::new().await;
        bench
            .answers("GET", "/actions", 200, json!({"items": []}))
            .await;
        let ran = bench.run(words).await.ok().says("No action fits");
        assert_eq!(ran.stdout, "");
        assert_eq!(bench.one_line().await, expected);
    }
}

#[tokio::test]
async fn search_puts_the_hits_at_both_documented_places() {
    let bench = Bench::new().await;
    let hits = json!([{"elementType": "connector", "element": {"id": "1", "key": "cloudtalk", "name": "CloudTalk"}}]);
    bench
        .answers("GET", "/search", 200, json!({"items": hits}))
        .await;
    let ran = bench
        .run(&["search", "phone", "--elementType", "connector", "--json"])
        .await
        .ok();
    assert_eq!(
        ran.json(),
        json!({"items": hits, "output": {"items": hits}})
    );
    assert_eq!(
        bench.one_line().await,
        "GET /search?q=phone&elementType=connector"
    );
}

#[tokio::test]
async fn each_plain_command_takes_its_documented_road() {
    for (line, verb, path, expected) in [
        (
            "connection list --integrationKey k --integrationId i --cursor c",
            "GET",
            "/connections",
            "?integrationKey=k&integrationId=i&cursor=c",
        ),
        ("connection delete con1", "DELETE", "/connections/con1", ""),
        ("connection archive con1", "DELETE", "/connections/con1", ""),
        (
            "connection-request get r1",
            "GET",
            "/connection-requests/r1",
            "",
        ),
        (
            "action get a1 --wait --timeout 3",
            "GET",
            "/actions/a1",
            "?wait=true&timeout=3",
        ),
        (
            "action delete a1 --integrationKey k",
            "DELETE",
            "/actions/a1",
            "?integrationKey=k",
        ),
        ("action-run-log get l1", "GET", "/action-run-logs/l1", ""),
        (
            "action-run-log get l1 --details",
            "GET",
            "/action-run-logs/l1/details",
            "",
        ),
        (
            "integration list --connectors 1 --externalApps 1",
            "GET",
            "/integrations",
            "?connectors=1&externalApps=1",
        ),
        (
            "external-app list --search x",
            "GET",
            "/external-apps",
            "?search=x",
        ),
        ("agent-session list", "GET", "/agent/sessions", ""),
        (
            "agent-session get s1 --wait",
            "GET",
            "/agent/sessions/s1",
            "?wait=true&timeout=30",
        ),
        (
            "agent-session abort s1",
            "POST",
            "/agent/sessions/s1/interrupt",
            "",
        ),
        (
            "agent-session messages s1",
            "GET",
            "/agent/sessions/s1/messages",
            "",
        ),
    ] {
        for json in [false, true] {
            let bench = Bench::new().await;
            bench
                .answers(verb, path, 200, json!({"id": "x", "items": []}))
                .await;
            let mut words: Vec<_> = line.split(' ').collect();
            if json {
                words.push("--json");
            }
            let ran = bench.run(&words).await.ok();
            assert_eq!(
                bench.one_line().await,
                format!("{verb} {path}{expected}"),
                "{line}"
            );
            if json {
                assert_eq!(ran.json(), json!({"id": "x", "items": []}), "{line}");
            }
        }
    }
}

#[tokio::test]
async fn commands_with_bodies_send_the_documented_members() {
    for (words, verb, path, body) in [
        (
            &["connection", "create", "my phones", "--name", "N"][..],
            "POST",
            "/connections",
            json!({"intent": "my phones", "name": "N"}),
        ),
        (
            &[
                "connection",
                "patch",
                "con1",
                "--data",
                r#"{"input":{"a":1}}"#,
            ],
            "PATCH",
            "/connections/con1",
            json!({"input": {"a": 1}}),
        ),
        (
            &[
                "connection-request",
                "create",
                "--integrationKey",
                "k",
                "--name",
                "N",
            ],
            "POST",
            "/connection-requests",
            json!({"integrationKey": "k", "name": "N"}),
        ),
        (
            &["action", "create", "list tags", "--connectionId", "c"],
            "POST",
            "/actions",
            json!({"intent": "list tags", "connectionId": "c"}),
        ),
        (
            &[
                "action",
                "create",
                "--key",
                "k",
                "--name",
                "n",
                "--type",
                "t",
                "--config",
                "{}",
                "--inputSchema",
                r#"{"type":"object"}"#,
            ],
            "POST",
            "/actions",
            json!({"key": "k", "name": "n", "type": "t", "config": {}, "inputSchema": {"type": "object"}}),
        ),
        (
            &["action", "update", "a1", "--data", r#"{"name":"x"}"#],
            "PATCH",
            "/actions/a1",
            json!({"name": "x"}),
        ),
        (
            &["action", "replace", "a1", "--data", r#"{"name":"x"}"#],
            "PUT",
            "/actions/a1",
            json!({"name": "x"}),
        ),
        (
            &[
                "act",
                "--api",
                r#"{"method":"GET","path":"/x"}"#,
                "--connectionKey",
                "k",
                "--input",
                "[1]",
                "--meta",
                r#"{"m":1}"#,
            ],
            "POST",
            "/act",
            json!({"api": {"method": "GET", "path": "/x"}, "input": [1], "meta": {"m": 1}, "connectionKey": "k"}),
        ),
        (
            &[
                "agent-session",
                "create",
                "--agent",
                "membrane",
                "--message",
                "hi",
            ],
            "POST",
            "/agent/sessions",
            json!({"prompt": "hi", "agentName": "membrane"}),
        ),
        (
            &["agent-session", "send", "s1", "--message", "more"],
            "POST",
            "/agent/sessions/s1/message",
            json!({"input": "more"}),
        ),
    ] {
        let bench = Bench::new().await;
        bench
            .answers(verb, path, 200, json!({"id": "x", "output": null}))
            .await;
        bench.run(words).await.ok();
        assert_eq!(bench.one_body().await, body, "{words:?}");
    }
}

#[tokio::test]
async fn errors_of_the_gateway_arrive_whole() {
    let bench = Bench::new().await;
    let body = json!({"type": "bad_request", "key": "not_found", "message": "no connection con1",
        "causedByError": {"message": "it was archived"}});
    bench
        .answers("GET", "/connections/con1", 404, body.clone())
        .await;
    let ran = bench
        .run(&["connection", "get", "con1", "--json"])
        .await
        .fails(1);
    assert_eq!(ran.json(), body);
    assert_eq!(ran.stderr, "");
    let ran = bench.run(&["connection", "get", "con1"]).await.fails(1);
    assert_eq!(
        ran.stderr,
        "error: no connection con1 (404, not_found)\n  caused by: it was archived\n"
    );
    assert_eq!(ran.stdout, "");
}

#[tokio::test]
async fn no_server_and_no_gateway_are_told_apart() {
    let mut bench = Bench::new().await;
    bench
        .answers_with(
            "GET",
            "/connections",
            wiremock::ResponseTemplate::new(200).set_body_string("<html>"),
        )
        .await;
    bench
        .run(&["connection", "list"])
        .await
        .fails(1)
        .says("did not answer with JSON")
        .says("hint: check the address");
    // Port 1 of the loopback is nobody's.
    bench
        .env
        .push(("MEMBRANE_API_URI", "http://127.0.0.1:1/membrane".into()));
    let ran = bench.run(&["connection", "list"]).await.fails(1);
    assert!(
        ran.stderr
            .starts_with("error: could not reach http://127.0.0.1:1/membrane\n  caused by: "),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("hint: is the server running?"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn status_tells_login_gateway_workspace_and_tenant() {
    let bench = Bench::new().await;
    bench
        .answers(
            "GET",
            "/account",
            200,
            json!({"email": "owner@example.com", "workspace": {"key": "ws"}, "tenantKey": "t1"}),
        )
        .await;
    let ran = bench.run(&["status"]).await.ok();
    assert!(
        ran.stdout.contains("owner@example.com")
            && ran.stdout.contains("Workspace  ws\nTenant     t1\n"),
        "{}",
        ran.stdout
    );
    let shown = bench.run(&["status", "--json"]).await.ok().json();
    assert_eq!(
        (
            &shown["loggedIn"],
            &shown["workspaceKey"],
            &shown["tenantKey"]
        ),
        (&json!(true), &json!("ws"), &json!("t1"))
    );
    let nobody = Bench::logged_out().await;
    nobody.run(&["status"]).await.ok().says("membrane login");
    assert_eq!(
        nobody.run(&["status", "--json"]).await.ok().json()["loggedIn"],
        false
    );
    nobody
        .run(&["connection", "list"])
        .await
        .fails(1)
        .says("not logged in");
}

#[tokio::test]
async fn connect_without_a_person_prints_the_page() {
    let bench = Bench::new().await;
    bench
        .answers(
            "POST",
            "/connection-requests",
            200,
            json!({"requestId": "r", "status": "pending", "url": "http://ui/r"}),
        )
        .await;
    let ran = bench
        .run(&[
            "connect",
            "--integrationKey",
            "cloudtalk",
            "--allowMultipleConnections",
        ])
        .await
        .ok();
    assert_eq!(ran.stdout, "http://ui/r\n");
    assert_eq!(
        bench.one_body().await,
        json!({"integrationKey": "cloudtalk", "allowMultipleConnections": true})
    );
    let again = Bench::new().await;
    let mut waiting = connection("CLIENT_ACTION_REQUIRED");
    waiting["clientAction"] = json!({"uiUrl": "http://ui/c"});
    again
        .answers("POST", "/connections/con1/reconnect", 200, waiting.clone())
        .await;
    assert_eq!(
        again
            .run(&["connect", "--connectionId", "con1", "--json"])
            .await
            .ok()
            .json(),
        waiting
    );
}

#[tokio::test]
async fn open_prints_the_consoles_address() {
    let bench = Bench::logged_out().await;
    let ran = bench.run(&["open", "connections", "con 1"]).await.ok();
    assert_eq!(
        ran.stdout,
        format!("{}/connections/con%201\n", bench.server.uri())
    );
}
