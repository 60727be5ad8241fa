//! Query parameters, read leniently: unknown ones are ignored, blank ones count as absent.

use std::{convert::Infallible, time::Duration};

use axum::extract::FromRequestParts;
use gateway::{ConnectionSelector, GatewayError};
use http::request::Parts;

const DEFAULT_LIMIT: usize = 100;
const MOST: usize = 1000;
const DEFAULT_WAIT: u64 = 30;

/// The query of a request.
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Params {
    pub(crate) fn parse(query: &str) -> Self {
        Self(
            url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// The first value that is not blank.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let values = self
            .0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.trim());
        values.into_iter().find(|value| !value.is_empty())
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// `true`, `false`, `1` or `0`, in any case. Anything else says nothing.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// How many items a page may have.
    pub(crate) fn limit(&self, default: usize, most: usize) -> Result<usize, GatewayError> {
        let Some(text) = self.get("limit") else {
            return Ok(default);
        };
        let limit: Option<usize> = text.parse().ok().filter(|limit| *limit >= 1);
        let limit = limit.ok_or_else(|| {
            GatewayError::field("limit", format!("limit must be a number from 1 to {most}"))
        })?;
        Ok(limit.min(most))
    }

    pub(crate) fn page_limit(&self) -> Result<usize, GatewayError> {
        self.limit(DEFAULT_LIMIT, MOST)
    }

    /// How long a call may wait for a change; `None`: not at all.
    pub(crate) fn wait(&self) -> Result<Option<Duration>, GatewayError> {
        if self.flag("wait") != Some(true) {
            return Ok(None);
        }
        let Some(text) = self.get("timeout") else {
            return Ok(Some(Duration::from_secs(DEFAULT_WAIT)));
        };
        let seconds: Option<u64> = text
            .parse()
            .ok()
            .filter(|seconds| (1..=60).contains(seconds));
        let seconds = seconds.ok_or_else(|| {
            GatewayError::field(
                "timeout",
                "timeout must be a number of seconds from 1 to 60",
            )
        })?;
        Ok(Some(Duration::from_secs(seconds)))
    }

    /// The connection a call names in its query.
    pub(crate) fn connection(&self) -> ConnectionSelector {
        ConnectionSelector {
            id: self.text("connectionId"),
            key: self.text("connectionKey"),
            integration: self
                .text("integrationId")
                .or_else(|| self.text("integrationKey")),
        }
    }

    /// An instant in RFC 3339, or epoch milliseconds.
    pub(crate) fn instant(&self, name: &str) -> Result<Option<model::Timestamp>, GatewayError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let at = text
            .parse()
            .ok()
            .or_else(|| model::Timestamp::from_millisecond(text.parse().ok()?).ok());
        at.map(Some).ok_or_else(|| {
            GatewayError::field(
                name,
                format!("{name} must be a time such as 2026-01-31T12:00:00Z"),
            )
        })
    }
}
