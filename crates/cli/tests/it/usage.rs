//! Command lines that are wrong, and help for those who ask.

use crate::support::Bench;
use std::io::Read as _;
use std::process::Stdio;

#[tokio::test]
async fn help_shows_the_way_from_login_to_request() {
    let bench = Bench::logged_out().await;
    let ran = bench.run(&["--help"]).await.ok();
    let steps = [
        "login --tenant",
        "connection ensure",
        "connection get <id> --wait",
        "action list",
        "action run",
        "membrane request",
    ];
    let places: Vec<_> = steps
        .iter()
        .map(|step| ran.stdout.find(step).unwrap_or_else(|| panic!("no {step}")))
        .collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[tokio::test]
async fn every_command_has_help_with_an_example() {
    let bench = Bench::logged_out().await;
    for line in [
        "login",
        "open",
        "search",
        "connect",
        "connection ensure",
        "connection get",
        "connection list",
        "connection create",
        "connection patch",
        "connection delete",
        "connection archive",
        "connection-request create",
        "connection-request get",
        "action list",
        "action get",
        "action run",
        "action create",
        "action update",
        "action replace",
        "action delete",
        "act",
        "action-run-log get",
        "request",
        "integration list",
        "external-app list",
        "agent-session create",
        "agent-session get",
        "agent-session send",
        "credentials",
        "token",
        "workspace init",
    ] {
        let mut words: Vec<_> = line.split(' ').collect();
        words.push("--help");
        let ran = bench.run(&words).await.ok();
        assert!(
            ran.stdout.contains("Examples:\n  membrane "),
            "{line}: {}",
            ran.stdout
        );
        assert!(ran.stdout.contains("--json"), "{line}");
    }
}

#[tokio::test]
async fn wrong_lines_end_with_two_and_reach_no_server() {
    let bench = Bench::new().await;
    for line in [
        "",
        "nonsense",
        "connection",
        "connection get",
        "connection get c --timeout 0",
        "connection get c --timeout 61",
        "action run",
        "act",
        "act --key a --id b",
        "act --key a --meta 5",
        "request c",
        "request c /x -X BREW",
        "request c /x -H nocolon",
        "request c /x --query novalue",
        "request c /x --pathParam id=1",
        "request c /{id}",
        "request c /../x",
        "request c /x -d a --json={}",
        "request c /x --rawData",
        "request c /x -H Authorization:x",
        "token --expiresIn 5",
        "connection list --limit 0",
        "connection-request create",
        "connect",
        "action create",
        "action run x --input {",
        "connection patch c --data [1]",
        "status --apiUri nonsense",
        "login complete",
        "request c /x --json {a:1}",
        "request c /x --json=nonsense",
        "agent-session create --agent chef --message hi",
    ] {
        let words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let ran = bench.run(&words).await.fails(2);
        assert!(ran.stdout.is_empty(), "{line}: {}", ran.stdout);
        assert!(ran.stderr.starts_with("error: "), "{line}: {}", ran.stderr);
    }
    // An empty id would name the whole list.
    bench.run(&["connection", "delete", ""]).await.fails(2);
    assert!(bench.requests().await.is_empty());
}

#[tokio::test]
async fn a_usage_error_under_json_is_one_object() {
    let bench = Bench::new().await;
    let ran = bench.run(&["connection", "get", "--json"]).await.fails(2);
    assert_eq!(ran.json()["key"], "usage");
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    let ran = bench
        .run(&["action", "run", "a", "--input", "{key: 1}", "--json"])
        .await
        .fails(2);
    assert_eq!(
        ran.json()["message"],
        "--input is not valid JSON: key must be a string at line 1, column 2"
    );
    assert!(
        ran.json()["hint"]
            .as_str()
            .unwrap()
            .contains("double quotes")
    );
}

#[tokio::test]
async fn flags_stand_anywhere_in_either_spelling() {
    for words in [
        &["action", "run", "--connectionId=c1", "list-calls", "--json"][..],
        &[
            "--json",
            "action",
            "run",
            "list-calls",
            "--connectionId",
            "c1",
        ],
        &[
            "action",
            "--json",
            "run",
            "list-calls",
            "--connection-id=c1",
        ],
    ] {
        let bench = Bench::new().await;
        bench
            .answers(
                "POST",
                "/actions/list-calls/run",
                200,
                serde_json::json!({"output": 1}),
            )
            .await;
        bench.run(words).await.ok();
        assert_eq!(
            bench.one_line().await,
            "POST /actions/list-calls/run?connectionId=c1"
        );
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let bench = Bench::new().await;
    let items: Vec<_> = (0..20_000)
        .map(|n| serde_json::json!({"id": n.to_string(), "name": "x".repeat(50)}))
        .collect();
    bench
        .answers(
            "GET",
            "/connections",
            200,
            serde_json::json!({"items": items}),
        )
        .await;
    for words in [
        &["connection", "list"][..],
        &["connection", "list", "--json"],
        &["--help"],
    ] {
        let mut child = bench
            .command(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut stderr = child.stderr.take().unwrap();
        let status = tokio::task::spawn_blocking(move || child.wait().unwrap())
            .await
            .unwrap();
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{words:?}");
    }
}
