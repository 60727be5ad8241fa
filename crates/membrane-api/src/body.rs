//! Request bodies. An empty body is nothing, whatever its content type says: the SDK sends empty forms.

use axum::extract::{FromRequest, Request};
use gateway::GatewayError;
use http::StatusCode;
use serde_json::{Map, Value};

use crate::{ApiError, LARGEST_REQUEST};

/// The JSON of a request, if it has any.
pub(crate) struct Json(pub Option<Value>);

impl<S: Sync> FromRequest<S> for Json {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = read(request).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(None));
        }
        let value = serde_json::from_slice(&bytes)
            .map_err(|error| GatewayError::bad_request(format!("the body is not JSON: {error}")))?;
        Ok(Self(Some(value)))
    }
}

/// The whole body, within the limit.
pub(crate) async fn read(request: Request) -> Result<bytes::Bytes, ApiError> {
    axum::body::to_bytes(request.into_body(), LARGEST_REQUEST)
        .await
        .map_err(|_| {
            let message = format!(
                "the body could not be read or is larger than {} MB",
                LARGEST_REQUEST / 1024 / 1024
            );
            ApiError::with_status(
                StatusCode::PAYLOAD_TOO_LARGE,
                GatewayError::bad_request(message),
            )
        })
}

/// The members of an object body.
pub(crate) struct Members(Map<String, Value>);

impl Json {
    /// The body as an object; nothing is an empty one.
    pub(crate) fn members(self) -> Result<Members, GatewayError> {
        match self.0 {
            None | Some(Value::Null) => Ok(Members(Map::new())),
            Some(Value::Object(members)) => Ok(Members(members)),
            Some(_) => Err(GatewayError::bad_request("the body must be a JSON object")),
        }
    }
}

impl Members {
    pub(crate) fn from_value(value: Value) -> Result<Self, GatewayError> {
        Json(Some(value)).members()
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name).filter(|value| !value.is_null())
    }

    /// A text member; blank counts as absent.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, GatewayError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(GatewayError::field(name, format!("{name} must be text"))),
        }
    }

    /// The first of several spellings.
    pub(crate) fn any_text(&mut self, names: &[&str]) -> Result<Option<String>, GatewayError> {
        let mut found = None;
        for name in names {
            let value = self.text(name)?;
            found = found.or(value);
        }
        Ok(found)
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, GatewayError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(Value::String(text)) => {
                Ok(matches!(text.to_ascii_lowercase().as_str(), "1" | "true"))
            }
            Some(Value::Number(number)) => Ok(number.as_i64() == Some(1)),
            Some(_) => Err(GatewayError::field(
                name,
                format!("{name} must be true or false"),
            )),
        }
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Value>, GatewayError> {
        match self.take(name) {
            None => Ok(None),
            Some(value @ Value::Object(_)) => Ok(Some(value)),
            Some(_) => Err(GatewayError::field(
                name,
                format!("{name} must be an object"),
            )),
        }
    }

    /// Name of a member nobody asked for.
    pub(crate) fn left(&self) -> Option<&str> {
        self.0.keys().next().map(String::as_str)
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    pub(crate) fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }
}
