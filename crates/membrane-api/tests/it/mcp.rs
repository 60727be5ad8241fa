//! Agents that speak the Model Context Protocol.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::World;

const FIXED: &str = "/mcp/integrate-anything";

async fn ask(world: &World, token: &str, path: &str, method: &str, params: Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let answer = world.post(token, path, request).await.ok();
    assert_eq!(
        (&answer["jsonrpc"], &answer["id"]),
        (&json!("2.0"), &json!(7))
    );
    answer
}

/// The text of a tool's result, and whether the tool failed.
async fn use_tool(
    world: &World,
    token: &str,
    path: &str,
    name: &str,
    arguments: Value,
) -> (bool, String) {
    let params = json!({ "name": name, "arguments": arguments });
    let answer = ask(world, token, path, "tools/call", params).await;
    let result = &answer["result"];
    let text = result["content"][0]["text"].as_str();
    (
        result["isError"].as_bool().expect("isError"),
        text.unwrap_or_else(|| panic!("no text: {answer}"))
            .to_owned(),
    )
}

#[tokio::test]
async fn an_agent_finds_a_tool_by_what_it_wants_and_runs_it() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let id = world.connected(&token).await;
    let hello = ask(
        &world,
        &token,
        FIXED,
        "initialize",
        json!({ "protocolVersion": "2025-03-26", "capabilities": {} }),
    )
    .await;
    assert_eq!(hello["result"]["protocolVersion"], "2025-03-26");
    assert!(hello["result"]["capabilities"]["tools"].is_object());
    let tools = ask(&world, &token, FIXED, "tools/list", json!({})).await;
    let tools = tools["result"]["tools"].as_array().expect("tools").clone();
    assert_eq!(tools.len(), 12);
    assert!(
        tools
            .iter()
            .all(|tool| tool["inputSchema"]["type"] == "object")
    );
    let wanted = json!({ "connectionId": id, "intent": "look up contacts", "limit": 3 });
    let (failed, found) = use_tool(&world, &token, FIXED, "search-tools", wanted).await;
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let first = &found["items"][0];
    assert!(!failed && first["key"] == "list-contacts", "{found}");
    assert!(
        first["score"].is_number() && first["coverage"].is_number(),
        "{found}"
    );
    let run = json!({ "actionId": first["id"], "connectionId": id, "input": {} });
    let (failed, output) = use_tool(&world, &token, FIXED, "run-tool", run).await;
    assert!(!failed && output.contains("\"actionRunId\""), "{output}");
}

#[tokio::test]
async fn what_is_connected_is_a_tool_for_each_action() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let none = ask(&world, &token, "/mcp", "tools/list", json!({})).await;
    assert_eq!(none["result"]["tools"], json!([]));
    world.connected(&token).await;
    let tools = ask(&world, &token, "/mcp", "tools/list", json!({})).await;
    let tools = tools["result"]["tools"].as_array().expect("tools").clone();
    let sms = tools
        .iter()
        .find(|tool| tool["name"] == "cloudtalk_send-sms");
    assert!(
        sms.is_some_and(|sms| sms["inputSchema"].is_object()),
        "{tools:?}"
    );
    let none = ask(&world, &token, "/mcp?apps=other", "tools/list", json!({})).await;
    assert_eq!(none["result"]["tools"], json!([]));
    let (failed, output) =
        use_tool(&world, &token, "/mcp", "cloudtalk_list-contacts", json!({})).await;
    assert!(
        !failed && serde_json::from_str::<Value>(&output).is_ok(),
        "{output}"
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_and_other_tenants_stay_out_of_reach() {
    let world = World::new().await;
    let token = world.token(&world.acme, "a");
    let id = world.connected(&token).await;
    let stranger = world.token(&world.other, "a");
    let wanted = json!({ "connectionId": id, "intent": "list contacts" });
    let (failed, text) = use_tool(&world, &stranger, FIXED, "search-tools", wanted).await;
    assert!(failed && text.contains("not_found"), "{text}");
    let (failed, text) = use_tool(&world, &token, FIXED, "search-tools", json!({})).await;
    assert!(
        failed && text.contains("\"connectionId\" is missing"),
        "{text}"
    );
    let unknown = ask(
        &world,
        &token,
        FIXED,
        "tools/call",
        json!({ "name": "nope" }),
    )
    .await;
    assert_eq!(unknown["error"]["code"], -32602);
    let unknown = ask(&world, &token, FIXED, "resources/list", json!({})).await;
    assert_eq!(unknown["error"]["code"], -32601);
    let refused = world.post("nonsense", FIXED, json!({})).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let challenge = refused.headers["www-authenticate"].to_str().expect("text");
    assert!(
        challenge.contains("/membrane/.well-known/oauth-protected-resource/mcp"),
        "{challenge}"
    );
    let notified = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(
        world.post(&token, FIXED, notified).await.status,
        StatusCode::ACCEPTED
    );
    let stream = world.call(&token, Method::GET, FIXED, None).await;
    assert_eq!(stream.status, StatusCode::METHOD_NOT_ALLOWED);
}
