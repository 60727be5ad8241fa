use proptest::prelude::*;
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    Credentials, PreparedRequest, ProxyInput, RequestError, base_url, prepare, prepare_test, proxy,
};
use crate::Manifest;

const SECRET: &str = "s3cret:%+@!?";

fn manifest() -> Manifest {
    Manifest::parse(crate::builtin::manifests()[0].1).unwrap()
}

/// A connector that signs in by header and query, under a base path, with an unchecked path parameter.
fn other() -> Manifest {
    Manifest::parse(
        &json!({
            "format": "trunkline.connector/1", "key": "other", "name": "Other", "version": "1.0.0",
            "uuid": "0b7a0c1e-6d0f-4c3a-9c55-2f6f1c0d7a11", "domains": ["other.test"],
            "baseUrl": {"default": "https://api.other.test/v1/base"},
            "auth": [{"key": "key", "type": "client-credentials",
                "inputSchema": {"type": "object", "properties": {"key": {"type": "string", "isSensitive": true}}},
                "apply": {"headers": {"X-Api-Key": {"$var": "$.credentials.key"}}, "query": {"api_key": {"$var": "$.credentials.key"}}}}],
            "test": {"method": "GET", "path": "/me"},
            "actions": [{"key": "get-thing", "name": "Get Thing", "description": "Get one thing",
                "inputSchema": {"type": "object", "properties": {"id": {}, "q": {}}}, "outputSchema": {},
                "request": {"method": "GET", "path": "/things/{id}/parts", "pathParameters": {"id": {"$var": "$.input.id"}}, "query": {"q": {"$var": "$.input.q"}}}}]
        })
        .to_string(),
    )
    .unwrap()
}

fn credentials() -> Credentials {
    Credentials::new(json!({"keyId": "KEYID123", "keySecret": SECRET, "key": SECRET}))
}

fn run(manifest: &Manifest, key: &str, input: &Value) -> Result<PreparedRequest, RequestError> {
    let action = manifest.action(key).unwrap();
    let input = action.check_input(input).unwrap();
    prepare(
        manifest,
        &manifest.auth[0],
        action,
        &input,
        &json!({}),
        &credentials(),
    )
}

fn send(manifest: &Manifest, input: ProxyInput) -> Result<PreparedRequest, RequestError> {
    let base = base_url(manifest, &json!({})).unwrap();
    proxy(manifest, &manifest.auth[0], &base, &credentials(), input)
}

fn get(path: &str) -> ProxyInput {
    ProxyInput {
        method: "GET".into(),
        path: path.into(),
        ..ProxyInput::default()
    }
}

fn header<'a>(request: &'a PreparedRequest, name: &str) -> Option<&'a str> {
    request
        .headers
        .iter()
        .find(|(other, _)| other == name)
        .map(|(_, value)| value.as_str())
}

fn body(request: &PreparedRequest) -> Value {
    serde_json::from_slice(request.body.as_deref().unwrap()).unwrap()
}

#[test]
fn each_action_is_the_documented_request() {
    let manifest = manifest();
    let cases = [
        (
            "get-call-recording",
            json!({"callId": 5}),
            "GET",
            "/calls/recording/5.json",
        ),
        (
            "get-call-recording",
            json!({"call_id": "5"}),
            "GET",
            "/calls/recording/5.json",
        ),
        (
            "send-sms",
            json!({"recipient": "+421900111222", "message": "hi", "sender": "+421900111223"}),
            "POST",
            "/sms/send.json",
        ),
        (
            "get-agent",
            json!({"id": 3}),
            "GET",
            "/agents/index.json?id=3",
        ),
        ("list-agents", Value::Null, "GET", "/agents/index.json"),
        (
            "get-call",
            json!({"callId": "7"}),
            "GET",
            "/calls/index.json?call_id=7",
        ),
        (
            "list-calls",
            json!({"dateFrom": "2026-01-01 00:00:00", "status": "missed", "limit": "5"}),
            "GET",
            "/calls/index.json?date_from=2026-01-01+00%3A00%3A00&status=missed&limit=5",
        ),
        (
            "add-tags-to-contact",
            json!({"contactId": 9, "tags": ["vip"]}),
            "PUT",
            "/contacts/addTags/9.json",
        ),
        (
            "delete-contact",
            json!({"contactId": 9}),
            "DELETE",
            "/contacts/delete/9.json",
        ),
        (
            "update-contact",
            json!({"contactId": 9, "company": "Acme"}),
            "POST",
            "/contacts/edit/9.json",
        ),
        (
            "create-contact",
            json!({"name": "Ann"}),
            "PUT",
            "/contacts/add.json",
        ),
        (
            "get-contact",
            json!({"contactId": 9}),
            "GET",
            "/contacts/show/9.json",
        ),
        (
            "list-contacts",
            json!({"keyword": "+421 9&0=1"}),
            "GET",
            "/contacts/index.json?keyword=%2B421+9%260%3D1",
        ),
    ];
    for (key, input, method, path) in cases {
        let request = run(&manifest, key, &input).unwrap();
        assert_eq!(request.method, method, "{key}");
        assert_eq!(
            request.url.as_str(),
            format!("https://my.cloudtalk.io/api{path}")
        );
        // Basic of KEYID123 and the secret, colon and all.
        assert_eq!(
            header(&request, "authorization"),
            Some("Basic S0VZSUQxMjM6czNjcmV0OiUrQCE/")
        );
    }
    assert_eq!(
        prepare_test(&manifest, &manifest.auth[0], &json!({}), &credentials())
            .unwrap()
            .url
            .as_str(),
        "https://my.cloudtalk.io/api/contacts/index.json?limit=1"
    );
}

#[test]
fn a_contact_is_written_simply_or_as_the_api_writes_it() {
    let manifest = manifest();
    let simple = run(&manifest, "create-contact", &json!({"name": "Ann", "phone_numbers": ["+421900111222", 421_900_111_223_u64], "email": "ann@example.test", "tags": ["vip"]})).unwrap();
    assert_eq!(
        body(&simple),
        json!({"name": "Ann", "ContactNumber": [{"public_number": "+421900111222"}, {"public_number": 421_900_111_223_u64}],
            "ContactEmail": [{"email": "ann@example.test"}], "ContactsTag": [{"name": "vip"}]})
    );
    let own = json!({"name": "Ann", "ContactNumber": [{"public_number": 1}], "ContactEmail": [{"email": "a@b.test"}]});
    assert_eq!(body(&run(&manifest, "create-contact", &own).unwrap()), own);
    // An empty list clears the set; what is not given is left as it is.
    let clear = run(
        &manifest,
        "update-contact",
        &json!({"contactId": 1, "tags": [], "name": ""}),
    )
    .unwrap();
    assert_eq!(body(&clear), json!({"name": "", "ContactsTag": []}));
    assert_eq!(header(&clear, "content-type"), Some("application/json"));
    assert!(
        run(&manifest, "delete-contact", &json!({"contactId": 1}))
            .unwrap()
            .body
            .is_none()
    );
}

#[test]
fn a_path_parameter_that_would_climb_or_vanish_is_refused_by_name() {
    let manifest = other();
    for bad in [
        json!(""),
        json!(".."),
        json!("."),
        json!("../x"),
        json!("a/../b"),
        json!("..\\x"),
        json!("%2e%2e"),
        json!("%252e%252e/"),
        json!("..;a"),
        json!("a\u{0}b"),
        json!("a\r\nb"),
        json!([1]),
        json!({"a": 1}),
        Value::Null,
        json!("x".repeat(5000)),
    ] {
        match run(&manifest, "get-thing", &json!({"id": bad})) {
            Err(RequestError::PathParameter { name, .. }) => assert_eq!(name, "id"),
            other => panic!("{bad}: {other:?}"),
        }
    }
    let odd = run(&manifest, "get-thing", &json!({"id": "a/b?c#d;e %2f@:\\é"})).unwrap();
    assert_eq!(
        odd.url.path(),
        "/v1/base/things/a%2Fb%3Fc%23d%3Be%20%252f%40%3A%5C%C3%A9/parts"
    );
}

proptest! {
    #[test]
    fn a_path_parameter_stays_one_segment(id in any::<String>()) {
        let manifest = other();
        if let Ok(request) = run(&manifest, "get-thing", &json!({"id": id})) {
            let segments: Vec<_> = request.url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 5);
            prop_assert_eq!(&segments[..3], &["v1", "base", "things"]);
            prop_assert_eq!(segments[4], "parts");
            prop_assert_eq!(percent_encoding::percent_decode_str(segments[3]).decode_utf8().unwrap(), id);
            prop_assert_eq!(request.url.host_str(), Some("api.other.test"));
        }
    }

    #[test]
    fn a_path_made_of_tricks_stays_one_segment(id in "[./%2eEfF5cC;?#@:\\\\a]{1,12}") {
        let manifest = other();
        let mut values = Map::new();
        values.insert("id".to_owned(), json!(id));
        let input = ProxyInput { path_parameters: values, ..get("/x/{id}/y") };
        if let Ok(request) = send(&manifest, input) {
            prop_assert_eq!(request.url.path_segments().unwrap().count(), 5);
            prop_assert!(request.url.path().starts_with("/v1/base/x/"));
        }
    }

    #[test]
    fn a_proxy_path_never_leaves_the_base(path in any::<String>()) {
        let manifest = other();
        if let Ok(request) = send(&manifest, get(&path)) {
            prop_assert_eq!(request.url.origin(), Url::parse("https://api.other.test").unwrap().origin());
            prop_assert!(request.url.path().starts_with("/v1/base"));
        }
    }

    #[test]
    fn tricks_in_a_proxy_path_never_leave_the_origin(path in "(https?:)?[/\\\\]{0,3}([a-z.@:%0-9]{0,6}[/\\\\@.]){0,4}(api\\.other\\.test|evil\\.test)?[/.]{0,3}") {
        let manifest = other();
        if let Ok(request) = send(&manifest, get(&path)) {
            prop_assert_eq!(request.url.origin(), Url::parse("https://api.other.test").unwrap().origin());
            prop_assert_eq!(request.url.username(), "");
        }
    }
}

#[test]
fn a_path_to_elsewhere_is_refused() {
    let manifest = other();
    let paths = [
        "https://evil.test/x",
        "http://api.other.test/v1",
        "https://api.other.test:8443/x",
        "https://api.other.test.evil.test/",
        "HTTPS://evil.test",
        "https://api.other.test@evil.test/",
        "https://evil.test\\@api.other.test/",
        "https://user:pw@api.other.test/",
        "//evil.test/x",
        "/\\evil.test",
        "\\\\evil.test",
        "@evil.test",
        ".evil.test",
        ":80@evil.test",
        "https:/evil.test",
        "https:evil.test",
        "file:///etc/passwd",
        "ftp://api.other.test/",
        "gopher://x",
        "javascript:alert(1)",
        "/../x",
        "..",
        "/a/../../x",
        "/%2e%2e/x",
        "/%2E./x",
        "/.%2e/x",
        "/%252e%252e/x",
        "/..%2fx",
        "/..%5cx",
        "/..;/x",
        "/a/./b",
        "https://api.other.test/v1/../x",
        "/x\r\nHost: evil.test",
        "/x y",
        "/x%0d%0ay",
        "/x%00",
        "/x\u{0}",
        "/x#y",
        "https://api\u{ff0e}other.test.evil.test/",
        "/x\t",
    ];
    for path in paths {
        let refused = send(&manifest, get(path));
        assert!(
            matches!(refused, Err(RequestError::Path(_))),
            "{path}: {refused:?}"
        );
    }
}

#[test]
fn a_path_is_put_below_the_base_as_it_stood() {
    let manifest = other();
    let cases = [
        ("/things", "/v1/base/things"),
        ("things", "/v1/base/things"),
        ("", "/v1/base/"),
        ("/a%2Fb/c;v=1", "/v1/base/a%2Fb/c;v=1"),
        ("/@scope/x", "/v1/base/@scope/x"),
        ("/people:batch", "/v1/base/people:batch"),
        ("/a//b", "/v1/base/a//b"),
        ("/a...b/..c", "/v1/base/a...b/..c"),
        ("https://api.other.test/v1/base/x", "/v1/base/x"),
        ("https://API.other.test:443/root", "/root"),
    ];
    for (path, expected) in cases {
        assert_eq!(
            send(&manifest, get(path)).unwrap().url.path(),
            expected,
            "{path}"
        );
    }
    let request = send(
        &manifest,
        ProxyInput {
            query: vec![("c".into(), "3&4\r\n".into())],
            ..get("/x?a=1%202&b=https://z.test/..")
        },
    )
    .unwrap();
    assert_eq!(
        request.url.query(),
        Some("a=1%202&b=https://z.test/..&c=3%264%0D%0A&api_key=s3cret%3A%25%2B%40%21%3F")
    );
}

#[test]
fn the_other_hosts_of_an_app_are_reached_at_its_usual_place_only() {
    let manifest = manifest();
    let path = "https://analytics-api.cloudtalk.io/api/calls/5";
    assert_eq!(send(&manifest, get(path)).unwrap().url.as_str(), path);
    let moved = Url::parse("http://127.0.0.1:8080/api").unwrap();
    assert!(
        proxy(
            &manifest,
            &manifest.auth[0],
            &moved,
            &credentials(),
            get(path)
        )
        .is_err()
    );
}

#[test]
fn path_parameters_of_a_proxy_request_must_be_there_and_be_used() {
    let manifest = other();
    let with = |path: &str, values: Value| {
        send(
            &manifest,
            ProxyInput {
                path_parameters: values.as_object().unwrap().clone(),
                ..get(path)
            },
        )
    };
    assert_eq!(
        with("/x/{id}", json!({"id": "a/b"})).unwrap().url.path(),
        "/v1/base/x/a%2Fb"
    );
    for (path, values) in [
        ("/x/{id}", json!({})),
        ("/x", json!({"id": 1})),
        ("/x/{id}", json!({"id": ".."})),
        ("/x/.{id}", json!({"id": "."})),
    ] {
        assert!(with(path, values.clone()).is_err(), "{path} {values}");
    }
}

#[test]
fn the_caller_cannot_set_what_belongs_to_the_hop_or_to_the_connection() {
    let manifest = other();
    let given = [
        ("Host", "evil.test"),
        ("Authorization", "Bearer mine"),
        ("Cookie", "a=b"),
        ("Content-Length", "9"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "X-Api-Key, X-Drop"),
        ("X-Drop", "1"),
        ("Upgrade", "h2c"),
        ("Proxy-Authorization", "x"),
        ("X-Forwarded-For", "1.2.3.4"),
        ("X-Real-IP", "1"),
        ("Forwarded", "for=1"),
        ("CF-Connecting-IP", "1"),
        ("membrane-api-version", "1"),
        ("X-Request-Id", "1"),
        ("TE", "trailers"),
        ("x-api-key", "mine"),
        ("Accept", "text/plain"),
        ("X-Custom", "kept"),
        ("Content-Type", "text/csv"),
    ];
    let headers = given
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let request = send(
        &manifest,
        ProxyInput {
            headers,
            ..get("/x?api_key=mine&API_KEY=2&%61pi_key=3")
        },
    )
    .unwrap();
    let mut names: Vec<_> = request
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "content-type", "x-api-key", "x-custom"]);
    assert_eq!(header(&request, "x-api-key"), Some(SECRET));
    assert_eq!(
        request.url.query(),
        Some("API_KEY=2&api_key=s3cret%3A%25%2B%40%21%3F")
    );
}

#[test]
fn headers_and_methods_that_break_out_are_refused() {
    let manifest = other();
    for (name, value) in [
        ("X-A", "1\r\nX-B: 2"),
        ("X-A", "1\n"),
        ("X-A", "\u{0}"),
        ("X-A\r\nX-B", "1"),
        ("", "1"),
        ("X A", "1"),
        ("X:A", "1"),
        ("é", "1"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("x-method-override", "PUT"),
    ] {
        let refused = send(
            &manifest,
            ProxyInput {
                headers: vec![(name.into(), value.into())],
                ..get("/x")
            },
        );
        assert!(
            matches!(refused, Err(RequestError::Header { .. })),
            "{name}: {refused:?}"
        );
    }
    for method in [
        "TRACE",
        "CONNECT",
        "PURGE",
        "",
        "GET /x HTTP/1.1\r\n",
        "G E T",
    ] {
        assert!(
            matches!(
                send(
                    &manifest,
                    ProxyInput {
                        method: method.into(),
                        ..get("/x")
                    }
                ),
                Err(RequestError::Method(_))
            ),
            "{method}"
        );
    }
    assert_eq!(
        send(
            &manifest,
            ProxyInput {
                method: "patch".into(),
                ..get("/x")
            }
        )
        .unwrap()
        .method,
        "PATCH"
    );
}

#[test]
fn another_base_url_must_be_a_plain_web_address() {
    let manifest = manifest();
    let base = |text: &str| base_url(&manifest, &json!({"baseUrl": text}));
    assert_eq!(
        base("http://127.0.0.1:8080/api/").unwrap().as_str(),
        "http://127.0.0.1:8080/api"
    );
    assert_eq!(base("").unwrap().as_str(), "https://my.cloudtalk.io/api");
    for bad in [
        "ftp://x.test",
        "file:///x",
        "x.test/api",
        "http://u:p@x.test",
        "http://x.test\\@evil.test",
        "http://x.test/?q=1",
        "http://x.test/#f",
        "http://x.test./api",
        "http://",
        "http://x.test/a/../b",
        "http://x.test/%2e%2e/b",
        "http://x\n.test",
    ] {
        assert!(matches!(base(bad), Err(RequestError::BaseUrl(_))), "{bad}");
    }
    let action = manifest.action("list-calls").unwrap();
    let request = prepare(
        &manifest,
        &manifest.auth[0],
        action,
        &json!({}),
        &json!({"baseUrl": "http://127.0.0.1:8080/api"}),
        &credentials(),
    )
    .unwrap();
    assert_eq!(
        request.url.as_str(),
        "http://127.0.0.1:8080/api/calls/index.json"
    );
}

#[test]
fn a_replaced_base_keeps_to_the_domains_it_may_have() {
    let mut manifest = manifest();
    manifest.base_url.domains = vec!["cloudtalk.io".into()];
    let base = |text: &str| base_url(&manifest, &json!({"baseUrl": text})).is_ok();
    assert!(base("https://brand.cloudtalk.io/api") && base("https://cloudtalk.io"));
    assert!(
        !base("https://evilcloudtalk.io")
            && !base("https://cloudtalk.io.evil.test")
            && !base("https://evil.test/cloudtalk.io")
    );
}

#[test]
fn a_missing_or_broken_credential_is_named_and_not_sent() {
    let manifest = manifest();
    for broken in [
        json!({}),
        json!({"keyId": "K"}),
        json!({"keyId": "a:b", "keySecret": "x"}),
        json!({"keyId": "K\r\nX: y", "keySecret": "x"}),
    ] {
        let refused = prepare_test(
            &manifest,
            &manifest.auth[0],
            &json!({}),
            &Credentials::new(broken),
        );
        assert!(
            matches!(refused, Err(RequestError::Credential(_))),
            "{refused:?}"
        );
    }
}

#[test]
fn nothing_printed_shows_the_credential() {
    let manifest = other();
    let request = send(&manifest, get("/x?token=abc")).unwrap();
    let printed = format!("{request:?} {:?}", credentials());
    assert!(
        !printed.contains("s3cret") && !printed.contains("abc"),
        "{printed}"
    );
}
