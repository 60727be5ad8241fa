//! Actions: finding them, running them, and the records of runs.

mod find;
mod record;
mod run;

use serde_json::Value;
use store::gateway::ActionRun;

use crate::{CatalogAction, ConnectionSelector, GatewayError, RunStatus};

pub use run::RunOutcome;

/// A page of a list and where the next one starts.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None` ends the list.
    pub cursor: Option<String>,
}

impl<T> Page<T> {
    /// A list without items.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            items: Vec::new(),
            cursor: None,
        }
    }

    /// Cuts rows read one over the limit into a page.
    pub(crate) fn of(mut rows: Vec<T>, limit: usize, key: impl Fn(&T) -> i64) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let cursor = rows.last().filter(|_| more).map(|row| key(row).to_string());
        Self {
            items: rows,
            cursor,
        }
    }

    /// A part of a list that is all in memory.
    pub(crate) fn slice(
        all: Vec<T>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Self, GatewayError> {
        let start = usize::try_from(Self::position(cursor)?).unwrap_or(usize::MAX);
        let more = all.len() > start.saturating_add(limit);
        let items: Vec<T> = all.into_iter().skip(start).take(limit).collect();
        Ok(Self {
            items,
            cursor: more.then(|| (start + limit).to_string()),
        })
    }

    /// Where a cursor of ours points; none, empty and `0` mean the start.
    pub(crate) fn position(cursor: Option<&str>) -> Result<i64, GatewayError> {
        match cursor.map(str::trim) {
            None | Some("") => Ok(0),
            Some(text) => {
                let place = text.parse().ok().filter(|place| *place >= 0);
                place.ok_or_else(|| {
                    GatewayError::field("cursor", "cursor is not one of this list's")
                })
            }
        }
    }
}

/// Where an action is looked for and what it is run with.
#[derive(Clone, Debug, Default)]
pub struct ActionScope {
    pub connection: ConnectionSelector,
}

/// Which actions to list.
#[derive(Clone, Debug, Default)]
pub struct ActionQuery {
    pub scope: ActionScope,
    pub external_app: Option<String>,
    /// What somebody wants to do, in his words; ranks the list.
    pub intent: Option<String>,
    /// Text that name, key or description contain.
    pub search: Option<String>,
    pub cursor: Option<String>,
    pub limit: usize,
}

/// An action as found.
#[derive(Clone)]
pub struct FoundAction {
    pub action: CatalogAction,
    /// The connection it was looked for in.
    pub connection_id: Option<String>,
    /// How well it fits the intent; larger is better.
    pub score: Option<f32>,
    /// The words of the action that the intent met.
    pub matched: Vec<String>,
    /// How much of the intent it has, from 0 to 1.
    pub coverage: f32,
    /// How often it was run after such words, where the workspace learns from use.
    pub learned_runs: Option<i64>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunQuery {
    pub action: Option<String>,
    pub connection: Option<String>,
    pub integration: Option<String>,
    pub tenant: Option<String>,
    pub status: Option<RunStatus>,
    pub from: Option<model::Timestamp>,
    pub to: Option<model::Timestamp>,
    pub cursor: Option<String>,
    pub limit: usize,
}

/// A run with the outside names of what it belongs to.
#[derive(Clone, Debug)]
pub struct RecordedRun {
    pub run: ActionRun,
    pub connection_id: Option<String>,
    pub tenant_id: String,
    pub integration_id: Option<String>,
}

/// What is kept about the raw exchange of a run.
pub(crate) type Details = Value;
