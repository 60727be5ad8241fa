//! Search by meaning, with a real HTTP server in the place of the model.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::State, routing::post};
use gateway::RemoteEmbedder;
use outbound::{Allow, Outbound, Policy};
use serde_json::{Value, json};

use crate::world::World;

#[derive(Default)]
struct Model {
    asked: AtomicUsize,
    silent: AtomicBool,
}

/// Knows one word that no dictionary has: "zorb" is what text messages are about.
async fn embeddings(State(model): State<Arc<Model>>, Json(body): Json<Value>) -> Json<Value> {
    assert_eq!(body["model"], "tiny");
    model.asked.fetch_add(1, Ordering::SeqCst);
    if model.silent.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let texts = body["input"].as_array().expect("input");
    let vector = |text: &Value| {
        let text = text.as_str().expect("text").to_lowercase();
        if ["sms", "text message", "zorb"]
            .iter()
            .any(|word| text.contains(word))
        {
            [1.0, 0.0]
        } else {
            [0.0, 1.0]
        }
    };
    let data = texts.iter().enumerate();
    let data = data.map(|(index, text)| json!({ "index": index, "embedding": vector(text) }));
    Json(json!({ "data": data.collect::<Vec<_>>() }))
}

#[tokio::test]
async fn a_model_of_the_operators_finds_what_words_don_t_and_a_slow_one_is_not_waited_for() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let find = "/actions?intent=zorb";
    let none = world.get(&token, find).await.ok();
    assert_eq!(none["items"], json!([]));

    let model = Arc::new(Model::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("port");
    let url = format!(
        "http://{}/v1/embeddings",
        listener.local_addr().expect("address")
    );
    let site = Router::new()
        .route("/v1/embeddings", post(embeddings))
        .with_state(model.clone());
    tokio::spawn(async move { axum::serve(listener, site).await });
    let outbound = Outbound::new(Policy {
        allow: Allow::nothing(),
        ..Policy::default()
    });
    let remote = RemoteEmbedder::new(
        outbound.expect("outbound"),
        url.parse().expect("url"),
        "tiny".to_owned(),
        None,
    );
    let budget = Duration::from_millis(500);
    world
        .gateway
        .understand(Arc::new(remote), budget)
        .await
        .expect("vectors");
    assert_eq!(model.asked.load(Ordering::SeqCst), 1);

    let found = world.get(&token, find).await.ok();
    assert_eq!(found["items"][0]["key"], "send-sms", "{found}");
    let both = world
        .get(&token, "/actions?intent=send%20a%20text%20message")
        .await
        .ok();
    assert_eq!(both["items"][0]["key"], "send-sms", "{both}");

    model.silent.store(true, Ordering::SeqCst);
    let words = world
        .get(&token, "/actions?intent=list%20contacts")
        .await
        .ok();
    assert_eq!(words["items"][0]["key"], "list-contacts", "{words}");
    assert_eq!(world.get(&token, find).await.ok()["items"], json!([]));
}
