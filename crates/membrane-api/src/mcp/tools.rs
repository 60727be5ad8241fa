//! The fixed set of tools, and the path each of them calls.

use std::fmt::Write as _;

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

/// A call of the interface.
pub(super) struct InterfaceRequest {
    pub method: Method,
    /// With its query.
    pub path: String,
    pub body: Option<Map<String, Value>>,
}

/// Where an argument goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Fills the `{}` of the path.
    Path,
    Query,
    Body,
}

struct Argument {
    name: &'static str,
    /// Its name in the interface, where that is another.
    as_name: &'static str,
    place: Place,
    kind: &'static str,
    required: bool,
    description: &'static str,
}

pub(super) struct Tool {
    name: &'static str,
    description: &'static str,
    /// GET reads, POST does.
    method: Method,
    path: &'static str,
    /// Query that is always there.
    fixed_query: &'static str,
    arguments: Vec<Argument>,
}

const fn argument(
    name: &'static str,
    place: Place,
    kind: &'static str,
    description: &'static str,
) -> Argument {
    Argument {
        name,
        as_name: name,
        place,
        kind,
        required: false,
        description,
    }
}

const fn required(mut argument: Argument) -> Argument {
    argument.required = true;
    argument
}

const fn named(mut argument: Argument, as_name: &'static str) -> Argument {
    argument.as_name = as_name;
    argument
}

fn tool(
    name: &'static str,
    description: &'static str,
    method: Method,
    path: &'static str,
    arguments: impl Into<Vec<Argument>>,
) -> Tool {
    Tool {
        name,
        description,
        method,
        path,
        fixed_query: "",
        arguments: arguments.into(),
    }
}

use Place::{Body, Path, Query};

const LIMIT: Argument = argument("limit", Query, "integer", "How many results at most");
const WAIT: Argument = argument(
    "wait",
    Query,
    "boolean",
    "Wait until the state changes or the time is over",
);
const TIMEOUT: Argument = argument("timeout", Query, "integer", "Seconds to wait, 1 to 60");
const NAME: Argument = argument("name", Body, "string", "A name for it");

fn tools() -> [Tool; 12] {
    [
        tool(
            "list-connections",
            "List the connections to apps that exist, with their state",
            Method::GET,
            "/connections",
            [
                argument("search", Query, "string", "Text that the name contains"),
                LIMIT,
                argument("cursor", Query, "string", "Where the last page ended"),
            ],
        ),
        tool(
            "ensure-connection",
            "Find the connection to an app by its address, or make one. If its state is not READY, give the person the URL in clientAction",
            Method::POST,
            "/connections/ensure",
            [
                required(argument(
                    "appUrl",
                    Body,
                    "string",
                    "URL or domain of the app",
                )),
                NAME,
            ],
        ),
        Tool {
            fixed_query: "elementType=connector",
            ..tool(
                "search-connectors",
                "Find connectors by what an app is called or is for",
                Method::GET,
                "/search",
                [
                    required(argument("q", Query, "string", "What to look for")),
                    LIMIT,
                ],
            )
        },
        tool(
            "search-tools",
            "Find what can be done over a connection by saying what you want, in any of five languages. Results come best first with score, coverage (the share of what was asked that was met) and the schema of their input",
            Method::GET,
            "/actions",
            [
                required(argument(
                    "connectionId",
                    Query,
                    "string",
                    "The connection to look in",
                )),
                required(argument(
                    "intent",
                    Query,
                    "string",
                    "What you want to do, in a few words",
                )),
                LIMIT,
            ],
        ),
        tool(
            "run-tool",
            "Run an action over a connection",
            Method::POST,
            "/actions/{}/run",
            [
                required(argument(
                    "actionId",
                    Path,
                    "string",
                    "Id or key of the action",
                )),
                required(argument(
                    "connectionId",
                    Query,
                    "string",
                    "The connection to use",
                )),
                argument(
                    "input",
                    Body,
                    "object",
                    "Input that fits the action's inputSchema",
                ),
            ],
        ),
        tool(
            "create-connection",
            "Make a connection to an app that is named in words",
            Method::POST,
            "/connections",
            [
                required(argument("intent", Body, "string", "What to connect to")),
                NAME,
            ],
        ),
        tool(
            "get-connection",
            "Read a connection, or wait for its state to change",
            Method::GET,
            "/connections/{}",
            [
                required(argument(
                    "connectionId",
                    Path,
                    "string",
                    "Id of the connection",
                )),
                WAIT,
                TIMEOUT,
            ],
        ),
        tool(
            "request-connection",
            "Ask a person to authorise a connection; the answer has the URL to give him",
            Method::POST,
            "/connection-requests",
            [
                argument("connectorId", Body, "string", "Connector to connect"),
                argument("integrationId", Body, "string", "Integration to connect"),
                argument(
                    "integrationKey",
                    Body,
                    "string",
                    "Integration to connect, by key",
                ),
                argument(
                    "connectionId",
                    Body,
                    "string",
                    "Connection to authorise again",
                ),
                NAME,
            ],
        ),
        tool(
            "check-connection-result",
            "See whether the person has authorised the connection",
            Method::GET,
            "/connection-requests/{}",
            [required(argument(
                "requestId",
                Path,
                "string",
                "Id of the request",
            ))],
        ),
        tool(
            "create-action",
            "Make a new action for a connection",
            Method::POST,
            "/actions",
            [
                required(argument("intent", Body, "string", "What it should do")),
                required(argument(
                    "connectionId",
                    Body,
                    "string",
                    "The connection it is for",
                )),
                NAME,
            ],
        ),
        tool(
            "get-action",
            "Read an action with the schemas of its input and output",
            Method::GET,
            "/actions/{}",
            [
                required(argument(
                    "actionId",
                    Path,
                    "string",
                    "Id or key of the action",
                )),
                WAIT,
                TIMEOUT,
            ],
        ),
        tool(
            "act",
            "Run an action by id or key, or send a raw request to the app",
            Method::POST,
            "/act",
            [
                named(
                    argument("actionId", Body, "string", "Id of an action"),
                    "id",
                ),
                argument("key", Body, "string", "Key of an action"),
                argument(
                    "api",
                    Body,
                    "object",
                    "A raw request: path, method, query, headers, data",
                ),
                argument("connectionId", Body, "string", "The connection to use"),
                argument("input", Body, "object", "Input of the action"),
            ],
        ),
    ]
}

pub(super) fn find(name: &str) -> Option<Tool> {
    tools().into_iter().find(|tool| tool.name == name)
}

/// All tools as `tools/list` gives them.
pub(super) fn list() -> Value {
    tools().iter().map(Tool::view).collect()
}

impl Tool {
    fn view(&self) -> Value {
        let mut properties = Map::new();
        for argument in &self.arguments {
            let schema = json!({ "type": argument.kind, "description": argument.description });
            properties.insert(argument.name.to_owned(), schema);
        }
        let required: Vec<_> = self
            .arguments
            .iter()
            .filter(|argument| argument.required)
            .map(|argument| argument.name)
            .collect();
        json!({
            "name": self.name,
            "description": self.description,
            "inputSchema": {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            },
            "annotations": { "readOnlyHint": self.method == Method::GET },
        })
    }

    /// The interface's request for these arguments, or what is wrong with them.
    pub(super) fn request(&self, given: &Map<String, Value>) -> Result<InterfaceRequest, String> {
        let known = |name: &String| self.arguments.iter().any(|argument| argument.name == *name);
        if let Some(name) = given.keys().find(|name| !known(name)) {
            let names: Vec<_> = self
                .arguments
                .iter()
                .map(|argument| argument.name)
                .collect();
            return Err(format!(
                "\"{name}\" is not an argument of {}; it takes {}",
                self.name,
                names.join(", ")
            ));
        }
        let mut path = self.path.to_owned();
        let mut query = self.fixed_query.to_owned();
        let mut body = Map::new();
        for argument in &self.arguments {
            let Some(value) = given.get(argument.name).filter(|value| !value.is_null()) else {
                if argument.required {
                    return Err(format!(
                        "\"{}\" is missing: {}",
                        argument.name, argument.description
                    ));
                }
                continue;
            };
            if argument.place == Body {
                body.insert(argument.as_name.to_owned(), value.clone());
                continue;
            }
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => {
                    return Err(format!(
                        "\"{}\" must be of type {}",
                        argument.name, argument.kind
                    ));
                }
            };
            let text = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
            if argument.place == Path {
                path = path.replacen("{}", &text, 1);
            } else {
                let joint = if query.is_empty() { "" } else { "&" };
                // Writing to a string never fails.
                let _ = write!(query, "{joint}{}={text}", argument.as_name);
            }
        }
        if !query.is_empty() {
            path = format!("{path}?{query}");
        }
        Ok(InterfaceRequest {
            body: (self.method != Method::GET).then_some(body),
            method: self.method.clone(),
            path,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_go_where_they_belong() {
        let given = json!({ "actionId": "a/b", "connectionId": "c 1", "input": { "x": 1 } });
        let request = find("run-tool")
            .and_then(|tool| tool.request(given.as_object()?).ok())
            .expect("complete");
        assert_eq!(request.path, "/actions/a%2Fb/run?connectionId=c%201");
        assert_eq!(
            request.body.map(Value::Object),
            Some(json!({ "input": { "x": 1 } }))
        );
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let tool = find("search-tools").expect("known");
        let wrong = |given: Value| {
            let given = given.as_object().cloned().unwrap_or_default();
            tool.request(&given).err().unwrap_or_default()
        };
        assert!(wrong(json!({ "connectionId": "c" })).contains("\"intent\" is missing"));
        assert!(wrong(json!({ "intnet": "x" })).contains("\"intnet\" is not an argument"));
        assert!(
            wrong(json!({ "connectionId": "c", "intent": {} })).contains("must be of type string")
        );
    }
}
