//! Everything here talks to servers on loopback; what must be refused is shown never to arrive.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;
use wiremock::matchers::{any, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::{
    Allow, AllowEntry, Lookup, Outbound, OutboundError, OutboundRequest, Policy, RequestBody,
    Timeouts,
};

/// Answers each question with the next list, the last one for ever.
struct Scripted {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Lookup for Scripted {
    async fn lookup(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        let at = self
            .asked
            .fetch_add(1, Ordering::SeqCst)
            .min(self.answers.len() - 1);
        Ok(self.answers[at].clone())
    }
}

fn resolving(answers: &[&[&str]], allow: &[&str]) -> (Outbound, Arc<Scripted>) {
    let answers = answers
        .iter()
        .map(|list| list.iter().map(|text| text.parse().unwrap()).collect())
        .collect();
    let lookup = Arc::new(Scripted {
        answers,
        asked: AtomicUsize::new(0),
    });
    (
        Outbound::with_lookup(policy(allow), lookup.clone()).unwrap(),
        lookup,
    )
}

fn policy(allow: &[&str]) -> Policy {
    Policy {
        allow: allow
            .iter()
            .map(|text| text.parse::<AllowEntry>().unwrap())
            .collect(),
        ..Policy::default()
    }
}

fn loopback() -> Outbound {
    Outbound::new(policy(&["127.0.0.0/8"])).unwrap()
}

fn get(url: &str) -> OutboundRequest {
    OutboundRequest::new(Method::GET, Url::parse(url).unwrap())
}

#[track_caller]
fn assert_refused<T>(result: Result<T, OutboundError>, what: &str) {
    match result {
        Err(OutboundError::Refused { .. }) => {}
        Err(other) => panic!("{what}: {other}"),
        Ok(_) => panic!("{what}: went out"),
    }
}

/// A server that sends `answer` to every connection and then keeps it open.
async fn raw_server(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await;
                let _ = socket.write_all(&answer).await;
                // Open until the client goes.
                let _ = socket.read(&mut request).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn every_spelling_of_an_inner_address_is_refused() {
    let outbound = Outbound::new(Policy::default()).unwrap();
    let server = MockServer::start().await;
    let port = server.address().port();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "[::1]",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "017700000001",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::]",
        "1２7.0.0.1",
        "①27.0.0.1",
        "127。0。0。1",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "[fe80::1]",
        "224.0.0.1",
        "192.0.0.1",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[::ffff:10.0.0.1]",
        "255.255.255.255",
    ];
    for host in hosts {
        assert_refused(
            outbound.send(get(&format!("http://{host}:{port}/"))).await,
            host,
        );
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_name_with_one_inner_address_is_refused_whatever_the_order() {
    for answer in [
        &["8.8.8.8", "127.0.0.1"],
        &["127.0.0.1", "8.8.8.8"],
        &["8.8.8.8", "::1"],
    ] {
        let (outbound, _) = resolving(&[answer], &[]);
        assert_refused(outbound.send(get("http://example.test/")).await, "mixed");
    }
    let (outbound, _) = resolving(&[&["169.254.169.254"]], &[]);
    assert_refused(
        outbound.send(get("http://metadata.google.internal/")).await,
        "metadata",
    );
}

#[tokio::test]
async fn a_name_that_changes_its_answer_is_checked_when_connecting() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).insert_header("connection", "close"))
        .mount(&server)
        .await;
    // The first answer is permitted, the second one is not.
    let (outbound, lookup) = resolving(&[&["127.0.0.1"], &["10.0.0.1"]], &["127.0.0.1/32"]);
    let url = format!("http://rebind.test:{}/", server.address().port());
    assert_eq!(outbound.send(get(&url)).await.unwrap().status, 200);
    assert_refused(outbound.send(get(&url)).await, "second answer");
    assert_eq!(
        lookup.asked.load(Ordering::SeqCst),
        2,
        "asked once for each connection and not again"
    );
}

#[tokio::test]
async fn one_requests_exception_does_not_serve_another() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    let (outbound, _) = resolving(&[&["127.0.0.1"]], &[]);
    let url = format!("http://pbx.test:{}/", server.address().port());
    let allowed = OutboundRequest {
        allow: Allow::nothing().and("pbx.test".parse().unwrap()),
        ..get(&url)
    };
    assert_eq!(
        outbound
            .send(allowed)
            .await
            .unwrap()
            .body
            .bytes()
            .await
            .unwrap(),
        Bytes::new()
    );
    // A pooled connection is there now; it must not be used.
    assert_refused(outbound.send(get(&url)).await, "no exception");
}

#[tokio::test]
async fn an_allowed_origin_is_that_port_and_scheme_only() {
    let (ours, other) = (MockServer::start().await, MockServer::start().await);
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200))
        .mount(&ours)
        .await;
    let outbound = Outbound::new(policy(&[&format!(
        "http://127.0.0.1:{}",
        ours.address().port()
    )]))
    .unwrap();
    assert_eq!(
        outbound
            .send(get(&format!("{}/x", ours.uri())))
            .await
            .unwrap()
            .status,
        200
    );
    assert_refused(outbound.send(get(&other.uri())).await, "other port");
    assert_refused(
        outbound
            .send(get(&format!(
                "https://127.0.0.1:{}/",
                ours.address().port()
            )))
            .await,
        "other scheme",
    );
    assert_refused(
        outbound
            .send(get(&format!("http://127.0.0.2:{}/", ours.address().port())))
            .await,
        "other address",
    );
}

#[tokio::test]
async fn schemes_user_names_and_ports_are_limited() {
    let outbound = loopback();
    for url in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1/",
        "unix:/run/x",
        "data:,x",
        "ws://127.0.0.1/",
        "http://good@127.0.0.1/",
        "http://:pw@127.0.0.1/",
        "http://127.0.0.1:22/",
        "http://127.0.0.1:25/",
        "http://127.0.0.1:6379/",
        "http://127.0.0.1:0/",
        "https://127.0.0.1:5432/",
    ] {
        assert_refused(outbound.send(get(url)).await, url);
    }
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_three_times() {
    let server = MockServer::start().await;
    for step in 0..5 {
        let next = format!("/{}", step + 1);
        Mock::given(path(format!("/{step}")))
            .respond_with(ResponseTemplate::new(302).insert_header("location", next))
            .mount(&server)
            .await;
    }
    Mock::given(path("/5"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    let outbound = loopback();
    assert_eq!(
        outbound
            .send(get(&format!("{}/2", server.uri())))
            .await
            .unwrap()
            .status,
        200
    );
    assert_eq!(
        outbound
            .send(get(&format!("{}/1", server.uri())))
            .await
            .unwrap()
            .status,
        302
    );
    let post = OutboundRequest {
        method: Method::POST,
        ..get(&format!("{}/4", server.uri()))
    };
    assert_eq!(outbound.send(post).await.unwrap().status, 302);
}

#[tokio::test]
async fn a_redirect_elsewhere_is_the_answer_and_nothing_is_sent_there() {
    let (server, elsewhere) = (MockServer::start().await, MockServer::start().await);
    let outbound = loopback();
    let targets = [
        elsewhere.uri(),
        format!("//{}/x", elsewhere.address()),
        "http://169.254.169.254/".to_owned(),
        "file:///etc/passwd".to_owned(),
        format!("http://user@{}/", server.address()),
        "http://[::1]/".to_owned(),
        format!("https://{}/", server.address()),
    ];
    for status in [301, 302, 303, 307, 308] {
        for target in &targets {
            server.reset().await;
            Mock::given(method("GET"))
                .respond_with(
                    ResponseTemplate::new(status).insert_header("location", target.as_str()),
                )
                .mount(&server)
                .await;
            let response = outbound.send(get(&server.uri())).await.unwrap();
            assert_eq!(response.status.as_u16(), status);
            assert_eq!(
                server.received_requests().await.unwrap().len(),
                1,
                "{target}"
            );
        }
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

async fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = async_compression::tokio::write::GzipEncoder::new(Vec::new());
    encoder.write_all(plain).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

#[tokio::test]
async fn a_compressed_answer_is_read_or_handed_on_as_asked() {
    let server = MockServer::start().await;
    let packed = gzip(b"hello hello hello").await;
    let answer = ResponseTemplate::new(200)
        .insert_header("content-encoding", "gzip")
        .set_body_bytes(packed.clone());
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let outbound = loopback();
    let read = outbound.send(get(&server.uri())).await.unwrap();
    assert!(
        !read.headers.contains_key("content-encoding")
            && !read.headers.contains_key("content-length")
    );
    assert_eq!(read.body.bytes().await.unwrap(), "hello hello hello");
    let raw = outbound
        .send(OutboundRequest {
            decompress: false,
            ..get(&server.uri())
        })
        .await
        .unwrap();
    assert_eq!(raw.headers["content-encoding"], "gzip");
    assert_eq!(raw.body.bytes().await.unwrap(), packed);
}

#[tokio::test]
async fn a_bomb_stops_at_the_limit() {
    let server = MockServer::start().await;
    let bomb = gzip(&vec![0; 20_000_000]).await;
    assert!(bomb.len() < 100_000);
    let answer = ResponseTemplate::new(200)
        .insert_header("content-encoding", "gzip")
        .set_body_bytes(bomb);
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let request = OutboundRequest {
        max_response_bytes: 100_000,
        ..get(&server.uri())
    };
    let mut body = loopback().send(request).await.unwrap().body;
    let (mut seen, mut error) = (0, None);
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => seen += chunk.len(),
            Err(found) => error = Some(found),
        }
    }
    assert!(seen <= 100_000, "{seen}");
    assert!(
        matches!(error, Some(OutboundError::TooLarge { limit: 100_000, .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn encodings_nobody_asked_for_are_an_error() {
    let server = MockServer::start().await;
    for encoding in ["br", "zstd", "gzip, gzip", "gzip, br"] {
        server.reset().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(200).insert_header("content-encoding", encoding))
            .mount(&server)
            .await;
        let error = loopback().send(get(&server.uri())).await.unwrap_err();
        assert!(
            matches!(error, OutboundError::Protocol { .. }),
            "{encoding}: {error}"
        );
    }
}

#[tokio::test]
async fn a_promised_or_endless_length_beyond_the_limit_is_an_error() {
    let promised =
        raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\nx".to_vec()).await;
    let error = loopback()
        .send(get(&format!("http://{promised}/")))
        .await
        .unwrap_err();
    assert!(matches!(error, OutboundError::TooLarge { .. }), "{error}");

    let mut endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..2000 {
        endless.extend_from_slice(b"400\r\n");
        endless.extend_from_slice(&[b'x'; 0x400]);
        endless.extend_from_slice(b"\r\n");
    }
    let endless = raw_server(endless).await;
    let request = OutboundRequest {
        max_response_bytes: 1_000_000,
        ..get(&format!("http://{endless}/"))
    };
    let error = loopback()
        .send(request)
        .await
        .unwrap()
        .body
        .bytes()
        .await
        .unwrap_err();
    assert!(matches!(error, OutboundError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn silence_is_cut_off_before_and_after_the_headers() {
    let short = Timeouts {
        headers: Duration::from_millis(80),
        idle: Duration::from_millis(80),
        ..Timeouts::default()
    };
    let mute = raw_server(Vec::new()).await;
    let error = loopback()
        .send(OutboundRequest {
            timeouts: short,
            ..get(&format!("http://{mute}/"))
        })
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            OutboundError::Timeout {
                what: "headers",
                ..
            }
        ),
        "{error}"
    );

    let stalls = raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_vec()).await;
    let request = |timeouts| OutboundRequest {
        timeouts,
        ..get(&format!("http://{stalls}/"))
    };
    let error = loopback()
        .send(request(short))
        .await
        .unwrap()
        .body
        .bytes()
        .await
        .unwrap_err();
    assert!(
        matches!(error, OutboundError::Timeout { what: "idle", .. }),
        "{error}"
    );
    let total = Timeouts {
        total: Duration::from_millis(150),
        ..Timeouts::default()
    };
    let error = loopback()
        .send(request(total))
        .await
        .unwrap()
        .body
        .bytes()
        .await
        .unwrap_err();
    assert!(
        matches!(error, OutboundError::Timeout { what: "total", .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_flood_of_headers_is_an_error() {
    let mut answer = b"HTTP/1.1 200 OK\r\n".to_vec();
    for number in 0..100_000 {
        answer.extend_from_slice(format!("x-{number}: 1\r\n").as_bytes());
    }
    let flood = raw_server(answer).await;
    let error = loopback()
        .send(get(&format!("http://{flood}/")))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            OutboundError::Connect { .. } | OutboundError::Protocol { .. }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let server = MockServer::start().await;
    Mock::given(method("PUT"))
        .respond_with(|request: &wiremock::Request| {
            ResponseTemplate::new(201).set_body_bytes(request.body.clone())
        })
        .mount(&server)
        .await;
    let parts = (0..50).map(|_| Ok(Bytes::from_static(&[7; 1000])));
    let request = OutboundRequest {
        method: Method::PUT,
        body: RequestBody::Stream(Box::pin(futures::stream::iter(parts))),
        ..get(&server.uri())
    };
    let response = loopback().send(request).await.unwrap();
    assert_eq!(response.status, 201);
    assert_eq!(response.body.bytes().await.unwrap().len(), 50_000);
}

#[tokio::test]
async fn the_callers_idea_of_host_and_length_is_not_sent() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    let mut request = OutboundRequest {
        method: Method::POST,
        body: RequestBody::Bytes("abc".into()),
        ..get(&server.uri())
    };
    for (name, value) in [
        ("host", "evil.test"),
        ("content-length", "99"),
        ("transfer-encoding", "chunked"),
    ] {
        request.headers.insert(name, value.parse().unwrap());
    }
    loopback().send(request).await.unwrap();
    let received = server.received_requests().await.unwrap();
    assert_eq!(received[0].headers["host"], server.address().to_string());
    assert_eq!(received[0].headers["content-length"], "3");
    assert!(!received[0].headers.contains_key("transfer-encoding"));
    assert!(
        received[0].headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("trunkline/")
    );
}

#[tokio::test]
async fn a_name_without_address_says_so() {
    let (outbound, _) = resolving(&[&[]], &[]);
    let error = outbound
        .send(get("http://nowhere.test/"))
        .await
        .unwrap_err();
    assert!(matches!(error, OutboundError::Resolve { .. }), "{error}");
}

#[test]
fn allow_entries_are_read_and_printed() {
    for text in [
        "10.0.0.0/8",
        "fd00::/8",
        "pbx.internal",
        "127.0.0.1",
        "[::1]",
        "http://127.0.0.1:8080",
    ] {
        assert_eq!(String::from(text.parse::<AllowEntry>().unwrap()), text);
    }
    assert_eq!(
        "::1".parse::<AllowEntry>().unwrap(),
        AllowEntry::Host("[::1]".to_owned())
    );
    for text in [
        "",
        "10.0.0.0/33",
        "x/8",
        "http://a/b",
        "ftp://a",
        "http://u@a",
        "a b",
        "10.0.0.0/-1",
    ] {
        assert!(text.parse::<AllowEntry>().is_err(), "{text}");
    }
}
