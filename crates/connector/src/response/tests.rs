use serde_json::{Value, json};

use super::{ActionFailure, Answer, read_answer, read_test_answer};
use crate::{Credentials, Manifest};

const SECRET: &str = "canary-c0ffee";

fn read(
    key: &str,
    input: &Value,
    status: u16,
    kind: &str,
    body: &[u8],
) -> Result<Value, ActionFailure> {
    let manifest = Manifest::parse(crate::builtin::manifests()[0].1).unwrap();
    let secrets = Credentials::new(json!({"keyId": "KEYID123", "keySecret": SECRET}));
    let disposition = Some("attachment; filename=\"../../5.wav\"");
    let answer = Answer {
        status,
        content_type: Some(kind),
        content_disposition: disposition,
        body,
    };
    read_answer(
        &manifest,
        manifest.action(key).unwrap(),
        input,
        &secrets,
        answer,
    )
}

fn read_json(key: &str, input: &Value, status: u16, body: &Value) -> Result<Value, ActionFailure> {
    read(
        key,
        input,
        status,
        "application/json; charset=UTF-8",
        body.to_string().as_bytes(),
    )
}

#[test]
fn a_recording_becomes_base64_with_its_size_and_a_plain_name() {
    let output = read(
        "get-call-recording",
        &json!({"callId": 5}),
        200,
        "audio/x-wav",
        b"RIFF\0\xff",
    )
    .unwrap();
    assert_eq!(
        output,
        json!({"contentType": "audio/x-wav", "encoding": "base64", "size": 6, "data": "UklGRgD/", "fileName": "5.wav"})
    );
}

#[test]
fn one_call_is_taken_out_of_its_list() {
    let item = json!({"Cdr": {"id": "5"}});
    let found = json!({"responseData": {"itemsCount": 1, "data": [item]}});
    assert_eq!(
        read_json("get-call", &json!({"callId": 5}), 200, &found).unwrap(),
        item
    );
    let none = json!({"responseData": {"itemsCount": 0, "data": []}});
    let failure = read_json("get-call", &json!({"callId": 5}), 200, &none).unwrap_err();
    assert!(failure.not_found && !failure.unauthorized);
    assert_eq!(failure.message, "there is no call with id 5");
    assert!(
        read_json("get-agent", &json!({"agentId": 5}), 200, &none)
            .unwrap_err()
            .not_found
    );
    assert_eq!(
        read_json("list-calls", &json!({}), 200, &none).unwrap(),
        none
    );
}

#[test]
fn a_refused_message_is_a_failure_although_the_status_says_200() {
    let input = json!({"recipient": "+1", "message": "m", "sender": "+421900111222"});
    for no in [json!(false), json!("false")] {
        let failure = read_json(
            "send-sms",
            &input,
            200,
            &json!({"responseData": {"success": no, "data": "Not allowed country."}}),
        )
        .unwrap_err();
        assert_eq!(
            failure.message,
            "the message was not sent: Not allowed country."
        );
    }
    assert!(
        read_json(
            "send-sms",
            &input,
            200,
            &json!({"responseData": {"success": true, "data": {}}})
        )
        .is_ok()
    );
    // The sender is not ours: the credential is fine all the same.
    let failure = read_json(
        "send-sms",
        &input,
        401,
        &json!({"responseData": {"status": 401, "message": "Unauthorized action"}}),
    )
    .unwrap_err();
    assert!(
        !failure.unauthorized && failure.message.contains("+421900111222"),
        "{failure:?}"
    );
}

#[test]
fn an_error_status_says_what_the_app_said() {
    let body = json!({"responseData": {"status": 406, "message": "Invalid input data.", "data": {"public_number": ["not valid"]}}});
    let failure = read_json("create-contact", &json!({}), 406, &body).unwrap_err();
    assert_eq!(
        failure.message,
        "CloudTalk answered 406: Invalid input data."
    );
    assert!(failure.excerpt.unwrap().contains("public_number"));
    let unauthorized = read_json(
        "list-calls",
        &json!({}),
        401,
        &json!({"responseData": {"status": 401, "message": "Unauthorized"}}),
    )
    .unwrap_err();
    assert!(unauthorized.unauthorized && unauthorized.status == 401);
    assert!(
        read_json("get-contact", &json!({}), 404, &json!({}))
            .unwrap_err()
            .not_found
    );
    assert_eq!(
        read(
            "list-calls",
            &json!({}),
            502,
            "text/html",
            b"<h1>\r\n\x1b[31mBad</h1>"
        )
        .unwrap_err()
        .excerpt
        .unwrap(),
        "<h1> [31mBad</h1>"
    );
}

#[test]
fn an_app_that_repeats_the_credential_does_not_give_it_away() {
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("KEYID123:{SECRET}"));
    let body = json!({"message": format!("bad key {SECRET}"), "headers": {"Authorization": format!("Basic {basic}")}});
    let failure = read_json("list-calls", &json!({}), 403, &body).unwrap_err();
    let printed = format!("{failure} {failure:?}");
    assert!(
        !printed.contains(SECRET) && !printed.contains(&basic),
        "{printed}"
    );
    assert!(failure.message.contains("bad key ***"));
}

#[test]
fn odd_answers_are_read_or_refused_without_harm() {
    assert_eq!(
        read("delete-contact", &json!({}), 204, "", b"").unwrap(),
        Value::Null
    );
    assert_eq!(
        read("list-calls", &json!({}), 200, "text/plain", b"hello").unwrap(),
        json!("hello")
    );
    assert!(read("list-calls", &json!({}), 200, "application/json", b"{oops").is_err());
    assert_eq!(
        read("list-calls", &json!({}), 200, "image/png", b"\x89PNG\xff").unwrap()["encoding"],
        "base64"
    );
    let deep = "[".repeat(100_000);
    assert!(
        read(
            "list-calls",
            &json!({}),
            200,
            "application/json",
            deep.as_bytes()
        )
        .is_err()
    );
    let long = read(
        "list-calls",
        &json!({}),
        500,
        "text/plain",
        "é".repeat(100_000).as_bytes(),
    )
    .unwrap_err();
    assert!(long.excerpt.unwrap().chars().count() <= 501);
}

#[test]
fn the_test_answer_decides_about_the_credential() {
    let manifest = Manifest::parse(crate::builtin::manifests()[0].1).unwrap();
    let test = |status| {
        let answer = Answer {
            status,
            content_type: None,
            content_disposition: None,
            body: b"{}",
        };
        read_test_answer(&manifest, &Credentials::default(), answer)
    };
    assert!(test(200).is_ok());
    assert!(
        test(401).unwrap_err().unauthorized
            && !test(500).unwrap_err().unauthorized
            && !test(302).unwrap_err().unauthorized
    );
}
