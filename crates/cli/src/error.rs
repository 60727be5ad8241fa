//! What can go wrong, and how it is told: exit code, message, hint, error JSON.

use serde_json::{Value, json};

/// The one error type of the commands. Each variant knows its exit code and its JSON form.
#[derive(Debug)]
pub enum CliError {
    /// The command line itself is wrong: exit code 2.
    Usage {
        message: String,
        hint: Option<String>,
    },
    /// The gateway answered with an error; its body is shown unchanged under `--json`.
    Api {
        status: u16,
        body: Value,
        hint: Option<String>,
    },
    /// The app behind the gateway answered outside 2xx. Its body is already on stdout.
    Upstream { status: u16 },
    /// Something on this side failed: no network, no file, no login.
    Local {
        key: &'static str,
        source: anyhow::Error,
        hint: Option<String>,
    },
    /// Whoever read our output went away. That is their right, not a failure.
    StdoutClosed,
}

pub type Result<T, E = CliError> = std::result::Result<T, E>;

impl CliError {
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: None,
        }
    }

    pub fn local(key: &'static str, source: impl Into<anyhow::Error>) -> Self {
        Self::Local {
            key,
            source: source.into(),
            hint: None,
        }
    }

    /// Adds what to try next.
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        match &mut self {
            Self::Usage { hint, .. } | Self::Api { hint, .. } | Self::Local { hint, .. } => {
                *hint = Some(text.into());
            }
            Self::Upstream { .. } | Self::StdoutClosed => {}
        }
        self
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Api { .. } | Self::Upstream { .. } | Self::Local { .. } => 1,
            Self::StdoutClosed => 0,
        }
    }

    /// The first line a person reads.
    pub fn message(&self) -> String {
        match self {
            Self::Usage { message, .. } => message.clone(),
            Self::Api { status, body, .. } => api_message(*status, body),
            Self::Upstream { status } => format!("the app answered {}", status_text(*status)),
            Self::Local { source, .. } => source.to_string(),
            Self::StdoutClosed => String::new(),
        }
    }

    /// Everything below the first line: why that happened, and why that, and so on.
    pub fn causes(&self) -> Vec<String> {
        match self {
            Self::Local { source, .. } => source.chain().skip(1).map(ToString::to_string).collect(),
            Self::Api { body, .. } => nested_causes(body),
            _ => Vec::new(),
        }
    }

    pub fn hint_text(&self) -> Option<&str> {
        match self {
            Self::Usage { hint, .. } | Self::Api { hint, .. } | Self::Local { hint, .. } => {
                hint.as_deref()
            }
            Self::Upstream { .. } | Self::StdoutClosed => None,
        }
    }

    /// The object printed on stdout with `--json`. The gateway's own error object is passed on as it is.
    pub fn to_json(&self) -> Option<Value> {
        let key = match self {
            Self::Api { body, .. } if body.is_object() => return Some(body.clone()),
            Self::Api { status, .. } => {
                return Some(
                    json!({"type": "internal", "message": self.message(), "data": {"status": status}}),
                );
            }
            Self::Usage { .. } => "usage",
            Self::Local { key, .. } => key,
            Self::Upstream { .. } | Self::StdoutClosed => return None,
        };
        let mut object = json!({"type": "cli", "key": key, "message": self.message()});
        let causes = self.causes();
        if !causes.is_empty() {
            object["causes"] = json!(causes);
        }
        if let Some(hint) = self.hint_text() {
            object["hint"] = json!(hint);
        }
        Some(object)
    }
}

fn api_message(status: u16, body: &Value) -> String {
    let said = ["message", "error_description", "error"]
        .iter()
        .find_map(|key| body.get(key)?.as_str());
    match (said, body.get("key").and_then(Value::as_str)) {
        (Some(text), Some(key)) => format!("{text} ({status}, {key})"),
        (Some(text), None) => format!("{text} ({status})"),
        (None, _) => format!("the gateway answered {}", status_text(status)),
    }
}

/// `causedByError` nests as deep as the server cares to tell; a bound keeps a silly body from filling the screen.
fn nested_causes(body: &Value) -> Vec<String> {
    let mut causes = Vec::new();
    let mut current = body.get("causedByError");
    while let Some(error) = current
        && causes.len() < 8
    {
        if let Some(text) = error
            .get("message")
            .and_then(Value::as_str)
            .or_else(|| error.as_str())
        {
            causes.push(text.to_owned());
        }
        current = error.get("causedByError");
    }
    causes
}

pub fn status_text(status: u16) -> String {
    match reqwest::StatusCode::from_u16(status)
        .ok()
        .and_then(|code| code.canonical_reason())
    {
        Some(reason) => format!("{status} {reason}"),
        None => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_error_keeps_its_own_words_and_causes() {
        let body = json!({"type": "bad_request", "key": "not_found", "message": "no such connection",
            "causedByError": {"message": "archived", "causedByError": {"message": "by its owner"}}});
        let error = CliError::Api {
            status: 404,
            body: body.clone(),
            hint: None,
        };
        assert_eq!(error.message(), "no such connection (404, not_found)");
        assert_eq!(error.causes(), ["archived", "by its owner"]);
        assert_eq!(error.to_json(), Some(body));
    }
}
