//! `action run` and what comes out of it.

use crate::support::Bench;
use serde_json::json;

const WAV: &[u8] = b"RIFF\x24\x00\x00\x00WAVE\xff\xfe";

fn recording() -> serde_json::Value {
    json!({"output": {"contentType": "audio/wav", "encoding": "base64", "size": 14, "data": "UklGRiQAAABXQVZF//4="}, "actionRunId": "r1"})
}

#[tokio::test]
async fn input_travels_wrapped_and_unrounded() {
    let bench = Bench::new().await;
    bench
        .answers(
            "POST",
            "/actions/send-sms/run",
            200,
            json!({"output": {"ok": true}, "actionRunId": "r1"}),
        )
        .await;
    let ran = bench
        .run(&[
            "action",
            "run",
            "send-sms",
            "--connectionId",
            "c1",
            "--input",
            r#"{"n": 12345678901234567890123}"#,
        ])
        .await
        .ok();
    assert_eq!(ran.stdout, "{\n  \"ok\": true\n}\n");
    let request = &bench.requests().await[0];
    assert_eq!(request.body, br#"{"input":{"n": 12345678901234567890123}}"#);
}

#[tokio::test]
async fn input_may_come_from_a_file_or_be_left_out() {
    let bench = Bench::new().await;
    bench
        .answers("POST", "/actions/a/run", 200, json!({"output": null}))
        .await;
    std::fs::write(bench.file("in.json"), r#"{"from": "file"}"#).unwrap();
    bench
        .run(&["action", "run", "a", "--input", "@in.json"])
        .await
        .ok();
    bench.run(&["action", "run", "a"]).await.ok();
    let bodies: Vec<_> = bench
        .requests()
        .await
        .into_iter()
        .map(|request| String::from_utf8(request.body).unwrap())
        .collect();
    assert_eq!(bodies, [r#"{"input":{"from": "file"}}"#, "{}"]);
    bench
        .run(&["action", "run", "a", "--input", "@missing.json"])
        .await
        .fails(1)
        .says("missing.json");
}

#[tokio::test]
async fn a_recording_is_unchanged_json_or_real_bytes() {
    let bench = Bench::new().await;
    bench
        .answers("POST", "/actions/get-call-recording/run", 200, recording())
        .await;
    let run = ["action", "run", "get-call-recording", "--connectionId=c1"];
    let with = |more: &[&'static str]| [&run[..], more].concat();
    assert_eq!(bench.run(&with(&["--json"])).await.ok().json(), recording());
    assert_eq!(bench.run(&run).await.ok().raw, WAV);
    let ran = bench
        .run(&with(&["--output", "call.wav"]))
        .await
        .ok()
        .says("Saved 14 bytes (audio/wav) to call.wav");
    assert_eq!(ran.stdout, "");
    assert_eq!(std::fs::read(bench.file("call.wav")).unwrap(), WAV);
    let told = bench
        .run(&with(&["--output", "call.wav", "--json"]))
        .await
        .ok()
        .json();
    assert_eq!(
        told,
        json!({"output": {"contentType": "audio/wav", "size": 14, "file": "call.wav"}, "actionRunId": "r1"})
    );
}

/// `script` gives the command a terminal, where bytes would do harm.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_recording_is_not_dumped_on_a_terminal() {
    let bench = Bench::new().await;
    bench
        .answers("POST", "/actions/get-call-recording/run", 200, recording())
        .await;
    bench
        .answers_with(
            "GET",
            "/connections/c1/proxy/call.wav",
            wiremock::ResponseTemplate::new(200).set_body_raw(WAV, "audio/wav"),
        )
        .await;
    for line in ["action run get-call-recording", "request c1 /call.wav"] {
        let mut command = std::process::Command::new("script");
        command.args([
            "-qec",
            &format!("{} {line}", env!("CARGO_BIN_EXE_membrane")),
            "/dev/null",
        ]);
        command
            .env("HOME", bench.home.path())
            .env("NO_COLOR", "1")
            .stdin(std::process::Stdio::null());
        for (name, value) in &bench.env {
            command.env(name, value);
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        assert_eq!(
            text, "audio/wav, 14 bytes, not shown here.\nhint: add --output FILE to save it\n",
            "{line}"
        );
        assert!(output.status.success());
    }
}

#[tokio::test]
async fn a_failed_run_tells_the_field_and_where_to_look() {
    let bench = Bench::new().await;
    let body = json!({"type": "bad_request", "message": "input.recipient is missing", "actionRunId": "r9"});
    bench
        .answers("POST", "/actions/send-sms/run", 400, body.clone())
        .await;
    let run = ["action", "run", "send-sms", "--connectionId", "c1"];
    bench
        .run(&run)
        .await
        .fails(1)
        .says("error: input.recipient is missing (400)")
        .says("hint: `membrane action get send-sms`");
    assert_eq!(
        bench
            .run(&[&run[..], &["--json"]].concat())
            .await
            .fails(1)
            .json(),
        body
    );
}
