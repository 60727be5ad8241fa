//! One tool for each action of what is connected.

use std::collections::BTreeSet;

use gateway::{Connection, ConnectionQuery};
use http::Method;
use serde_json::{Map, Value, json};

use super::{Call, Mcp, RpcError, result, tools::InterfaceRequest, unknown_tool};

/// Connections looked through.
const MOST_CONNECTIONS: usize = 1000;
const INTERNAL_ERROR: i64 = -32_603;

/// The key of a connection's app, and the connection.
type Connected = (String, Connection);

impl Mcp {
    pub(super) async fn action_tools(
        &self,
        call: &Call<'_>,
        apps: Option<&[String]>,
    ) -> Result<Value, RpcError> {
        let mut tools = Vec::new();
        for (key, _) in self.connected(call, apps).await? {
            let Some(connector) = self.gateway.catalog().connector(&key) else {
                continue;
            };
            for action in &connector.manifest.actions {
                let title = format!("{}: {}", connector.manifest.name, action.name);
                tools.push(json!({
                    "name": format!("{key}_{}", action.key),
                    "title": title,
                    "description": format!("{title}. {}", action.description),
                    "inputSchema": action.input_schema,
                    "annotations": { "readOnlyHint": action.request.method == "GET" },
                }));
            }
        }
        Ok(tools.into())
    }

    pub(super) async fn call_action(
        &self,
        call: &Call<'_>,
        apps: Option<&[String]>,
        name: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Value, RpcError> {
        let connected = self.connected(call, apps).await?;
        let found = connected.iter().find_map(|(key, connection)| {
            let action = name.strip_prefix(key.as_str())?.strip_prefix('_')?;
            let connector = self.gateway.catalog().connector(key)?;
            let mut known = connector.manifest.actions.iter();
            known
                .any(|known| known.key == action)
                .then_some((action, connection))
        });
        let (action, connection) = found.ok_or_else(|| unknown_tool(name))?;
        let outcome = self
            .send(
                call,
                InterfaceRequest {
                    method: Method::POST,
                    path: format!("/connections/{}/actions/{action}/run", connection.public_id),
                    body: Some(arguments.clone()),
                },
            )
            .await;
        if !outcome.status.is_success() {
            return Ok(result(outcome.text, true));
        }
        let answer: Option<Value> = serde_json::from_str(&outcome.text).ok();
        let output = answer.as_ref().and_then(|answer| answer.get("output"));
        let text = match output {
            None | Some(Value::Null) => "No output".to_owned(),
            Some(output) => output.to_string(),
        };
        Ok(result(text, false))
    }

    /// One usable connection for each app, the one used first winning.
    async fn connected(
        &self,
        call: &Call<'_>,
        apps: Option<&[String]>,
    ) -> Result<Vec<Connected>, RpcError> {
        let query = ConnectionQuery {
            connected: Some(true),
            limit: MOST_CONNECTIONS,
            ..Default::default()
        };
        let page = self.gateway.list_connections(&call.caller, &query).await;
        let page = page.map_err(|error| RpcError::new(INTERNAL_ERROR, error.to_string()))?;
        let mut seen = BTreeSet::new();
        let mut connected = Vec::new();
        for connection in page.items {
            let Some(key) = connection.connector_key.clone() else {
                continue;
            };
            let wanted = apps.is_none_or(|apps| apps.contains(&key));
            if wanted && seen.insert(key.clone()) {
                connected.push((key, connection));
            }
        }
        Ok(connected)
    }
}
