//! `membrane request` with every flag.

use crate::support::{Bench, TOKEN};
use serde_json::json;
use wiremock::ResponseTemplate;

async fn bench(verb: &str, path: &str, template: ResponseTemplate) -> Bench {
    let bench = Bench::new().await;
    bench
        .answers_with(verb, &format!("/connections/c1/proxy{path}"), template)
        .await;
    bench
}

fn ok(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body.to_owned(), "application/json")
}

#[tokio::test]
async fn a_plain_request_prints_indented_json() {
    let bench = bench(
        "GET",
        "/calls/index.json",
        ok(r#"{"n":1.0,"big":12345678901234567890123}"#),
    )
    .await;
    let ran = bench
        .run(&["request", "c1", "/calls/index.json"])
        .await
        .ok();
    assert_eq!(
        ran.stdout,
        "{\n  \"n\": 1.0,\n  \"big\": 12345678901234567890123\n}\n"
    );
    let request = &bench.requests().await[0];
    assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
    assert!(!request.headers.contains_key("content-type") && request.body.is_empty());
}

#[tokio::test]
async fn every_flag_arrives() {
    let bench = bench("PUT", "/contacts/a%2Fb.json", ok("{}")).await;
    bench
        .run(&[
            "request",
            "c1",
            "/contacts/{id}.json",
            "-X",
            "put",
            "-H",
            "X-One: 1",
            "--header",
            "X-Two: a: b",
            "-d",
            r#"{"a": 1}"#,
            "--query",
            "q=x y",
            "--query=ids[]=1",
            "--pathParam",
            "id=a/b",
        ])
        .await
        .ok();
    let request = &bench.requests().await[0];
    assert_eq!(
        request.url.path(),
        "/membrane/connections/c1/proxy/contacts/a%2Fb.json"
    );
    assert_eq!(request.url.query(), Some("q=x%20y&ids%5B%5D=1"));
    assert_eq!(
        (&request.headers["x-one"], &request.headers["x-two"]),
        (&"1".parse().unwrap(), &"a: b".parse().unwrap())
    );
    assert_eq!(
        (&request.body[..], &request.headers["content-type"]),
        (&br#"{"a": 1}"#[..], &"application/json".parse().unwrap())
    );
}

#[tokio::test]
async fn bodies_keep_their_bytes_and_get_the_right_type() {
    let wav = b"RIFF\x00\xff\xfe";
    for (args, body, kind) in [
        (
            &["-d", "{\"a\":1}"][..],
            &b"{\"a\":1}"[..],
            Some("application/json"),
        ),
        (
            &["-d", "hello"],
            b"hello",
            Some("text/plain; charset=utf-8"),
        ),
        (&["-d", "@call.wav"], wav, Some("application/octet-stream")),
        (
            &["-d", "@call.wav", "-H", "Content-Type: audio/wav"],
            wav,
            Some("audio/wav"),
        ),
        (&["-d", "@raw", "--rawData"], b"@raw", None),
        (&["-d", "{\"a\":1}", "--rawData"], b"{\"a\":1}", None),
        (&["--rawData=a=b"], b"a=b", None),
        (
            &["--json", "{\"a\": 1}"],
            b"{\"a\": 1}",
            Some("application/json"),
        ),
        (
            &["--json={\"a\": 1}"],
            b"{\"a\": 1}",
            Some("application/json"),
        ),
        (
            &[
                "--json",
                "[1]",
                "-H",
                "content-type: application/merge-patch+json",
            ],
            b"[1]",
            Some("application/merge-patch+json"),
        ),
        (&["-d", "-5"], b"-5", Some("application/json")),
    ] {
        let bench = bench("POST", "/x", ok("{}")).await;
        std::fs::write(bench.file("call.wav"), wav).unwrap();
        bench
            .run(&[&["request", "c1", "/x", "-X", "POST"], args].concat())
            .await
            .ok();
        let request = &bench.requests().await[0];
        assert_eq!(request.body, body, "{args:?}");
        assert_eq!(
            request
                .headers
                .get("content-type")
                .map(|value| value.to_str().unwrap()),
            kind,
            "{args:?}"
        );
    }
}

#[tokio::test]
async fn json_is_the_switch_the_body_or_both() {
    let envelope = |ran: &crate::support::Ran| ran.json()["status"] == 200;
    for (words, body, switched) in [
        (&["request", "c1", "/x", "--json"][..], "", true),
        (&["--json", "request", "c1", "/x"], "", true),
        (&["request", "--json", "c1", "/x"], "", true),
        (&["request", "c1", "--json", "/x"], "", true),
        (&["request", "c1", "/x", "--json", "{}"], "{}", false),
        (
            &["request", "--json", "{}", "c1", "/x", "--json"],
            "{}",
            true,
        ),
        (&["request", "c1", "/x", "--json={}", "--json"], "{}", true),
        (&["request", "c1", "/x", "--json", "5"], "5", false),
    ] {
        let bench = bench("GET", "/x", ok(r#"{"a":1}"#)).await;
        let ran = bench.run(words).await.ok();
        assert_eq!(
            String::from_utf8_lossy(&bench.requests().await[0].body),
            body,
            "{words:?}"
        );
        assert_eq!(envelope(&ran), switched, "{words:?}: {}", ran.stdout);
    }
    // A connection whose id is all digits is still a connection.
    let digits = Bench::new().await;
    digits
        .answers("GET", "/connections/123456/proxy/x", 200, json!({}))
        .await;
    digits
        .run(&["request", "--json", "123456", "/x"])
        .await
        .ok();
}

#[tokio::test]
async fn a_broken_json_body_is_named_as_such() {
    let bench = Bench::new().await;
    bench
        .run(&["request", "c1", "/x", "--json", "{a:1}"])
        .await
        .fails(2)
        .says("--json is not valid JSON: key must be a string");
}

#[tokio::test]
async fn the_envelope_holds_status_headers_and_data() {
    let bench = bench(
        "GET",
        "/x",
        ok(r#"{"n":1.50}"#).insert_header("x-rate", "9"),
    )
    .await;
    let ran = bench.run(&["request", "c1", "/x", "--json"]).await.ok();
    assert!(
        ran.stdout.contains(r#""data":{"n":1.50}"#),
        "{}",
        ran.stdout
    );
    assert_eq!(ran.json()["headers"]["x-rate"], "9");
}

#[tokio::test]
async fn bytes_go_to_a_pipe_or_a_file_untouched() {
    let wav: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    let bench = bench(
        "GET",
        "/r.wav",
        ResponseTemplate::new(200).set_body_raw(wav.clone(), "audio/wav"),
    )
    .await;
    assert_eq!(bench.run(&["request", "c1", "/r.wav"]).await.ok().raw, wav);
    let ran = bench
        .run(&["request", "c1", "/r.wav", "--output", "call.wav"])
        .await
        .ok()
        .says("Saved 300.0 kB (audio/wav) to call.wav");
    assert_eq!(
        (
            ran.stdout.as_str(),
            std::fs::read(bench.file("call.wav")).unwrap()
        ),
        ("", wav)
    );
    assert!(!bench.file("call.wav.part").exists());
    let data = &bench
        .run(&["request", "c1", "/r.wav", "--json"])
        .await
        .ok()
        .json()["data"];
    assert_eq!(
        (&data["contentType"], &data["encoding"], &data["size"]),
        (&json!("audio/wav"), &json!("base64"), &json!(300_000))
    );
}

#[tokio::test]
async fn an_answer_outside_2xx_is_printed_and_fails() {
    let body = r#"{"responseData":{"status":404}}"#;
    let template = ResponseTemplate::new(404).set_body_raw(body, "application/json");
    let bench = bench("GET", "/x", template).await;
    let ran = bench
        .run(&["request", "c1", "/x"])
        .await
        .fails(1)
        .says("error: the app answered 404 Not Found");
    assert!(ran.stdout.contains("responseData"), "{}", ran.stdout);
    let ran = bench.run(&["request", "c1", "/x", "--json"]).await.fails(1);
    assert_eq!(
        (
            &ran.json()["status"],
            &ran.json()["data"]["responseData"]["status"]
        ),
        (&json!(404), &json!(404))
    );
    bench
        .run(&["request", "c1", "/x", "--output", "f.json"])
        .await
        .fails(1);
    assert!(
        !bench.file("f.json").exists(),
        "an error is not the file that was asked for"
    );
}

#[tokio::test]
async fn an_error_of_the_gateway_is_not_taken_for_the_apps() {
    let body = json!({"type": "connection", "key": "connection_is_defunct", "message": "the connection is not READY"});
    let bench = bench("GET", "/x", ResponseTemplate::new(400).set_body_json(&body)).await;
    bench
        .run(&["request", "c1", "/x"])
        .await
        .fails(1)
        .says("error: the connection is not READY")
        .says("hint: connect it again");
    assert_eq!(
        bench
            .run(&["request", "c1", "/x", "--json"])
            .await
            .fails(1)
            .json(),
        body
    );
}

#[tokio::test]
async fn a_redirect_is_shown_not_followed() {
    let template =
        ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:1/elsewhere");
    let bench = bench("GET", "/x", template).await;
    let ran = bench.run(&["request", "c1", "/x", "--json"]).await.fails(1);
    assert_eq!(
        ran.json()["headers"]["location"],
        "http://127.0.0.1:1/elsewhere"
    );
    assert_eq!(bench.requests().await.len(), 1);
}
