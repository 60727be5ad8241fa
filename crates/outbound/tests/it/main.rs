//! In a program of its own, because what `tracing` is told is collected for the whole process.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use http::Method;
use outbound::{Allow, Outbound, OutboundRequest, Policy, RequestBody};
use tokio::net::TcpListener;
use url::Url;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Collects everything `tracing` is told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<String>>);

impl tracing::Subscriber for Told {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, attributes: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        attributes.record(&mut self.clone());
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        if event.metadata().target().starts_with("outbound") {
            event.record(&mut self.clone());
        }
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

impl tracing::field::Visit for Told {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0
            .lock()
            .unwrap()
            .push_str(&format!("{field}={value:?} "));
    }
}

#[tokio::test]
async fn no_secret_shows_in_logs_errors_or_debug() {
    const CANARY: &str = "canary-51d2";
    let told = Told::default();
    tracing::subscriber::set_global_default(told.clone()).unwrap();
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    let policy = Policy {
        allow: Allow::nothing().and("127.0.0.0/8".parse().unwrap()),
        ..Policy::default()
    };
    let outbound = Outbound::new(policy).unwrap();
    let mut shown = String::new();
    for url in [
        format!("http://{free}/p"),
        server.uri(),
        "http://10.0.0.1/p".to_owned(),
        format!("http://u:{CANARY}@127.0.0.1/p"),
    ] {
        let mut request = OutboundRequest::new(
            Method::GET,
            Url::parse(&format!("{url}?api_key={CANARY}#{CANARY}")).unwrap(),
        );
        request
            .headers
            .insert("authorization", format!("Bearer {CANARY}").parse().unwrap());
        request.body = RequestBody::Bytes(CANARY.into());
        shown.push_str(&format!("{request:?}"));
        match outbound.send(request).await {
            Ok(response) => shown.push_str(&format!("{response:?}")),
            Err(error) => shown.push_str(&format!("{error} {error:?}")),
        }
    }
    shown.push_str(&told.0.lock().unwrap());
    assert!(
        shown.contains("outbound request") && shown.contains("refused"),
        "{shown}"
    );
    assert!(!shown.contains(CANARY), "{shown}");
}
