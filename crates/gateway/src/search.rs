//! Search over everything a caller can see.

use std::sync::Arc;

use store::gateway::{Connection, ConnectionFilter, PageOf};

use crate::{Caller, CatalogAction, Connector, Gateway, GatewayError, Page};

const LONGEST_QUERY: usize = 200;
/// Connections looked through.
const MOST_CONNECTIONS: u64 = 1000;
/// Actions of one connector that a search may give.
const MOST_ACTIONS: usize = 100;

/// Kinds of things that can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementKind {
    Connector,
    App,
    Integration,
    Action,
    Connection,
}

impl ElementKind {
    /// As the interface spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connector => "connector",
            Self::App => "app",
            Self::Integration => "integration",
            Self::Action => "action",
            Self::Connection => "connection",
        }
    }

    /// By name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "external-app" | "externalapp" => Some(Self::App),
            name => [
                Self::Connector,
                Self::App,
                Self::Integration,
                Self::Action,
                Self::Connection,
            ]
            .into_iter()
            .find(|kind| kind.as_str() == name),
        }
    }
}

/// Something found.
#[derive(Clone)]
pub enum Found {
    Connector(Arc<Connector>),
    App(Arc<Connector>),
    Integration(Arc<Connector>),
    Action(CatalogAction),
    Connection(Box<Connection>),
}

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct SearchQuery {
    pub text: String,
    pub kind: Option<ElementKind>,
    pub cursor: Option<String>,
    pub limit: usize,
}

impl Gateway {
    /// Things that fit a text, best first.
    ///
    /// # Errors
    /// When the text is empty or too long.
    pub async fn search(
        &self,
        caller: &Caller,
        query: &SearchQuery,
    ) -> Result<Page<Found>, GatewayError> {
        let text = query.text.trim();
        if text.is_empty() || text.chars().count() > LONGEST_QUERY {
            return Err(GatewayError::field(
                "q",
                format!("q must have 1 to {LONGEST_QUERY} characters"),
            ));
        }
        let wanted = |kind: ElementKind| query.kind.is_none_or(|only| only == kind);
        let mut found: Vec<(f32, Found)> = Vec::new();
        for connector in self.inner.catalog.connectors() {
            let score = fit_of_connector(connector, text);
            if score > 0.0 {
                let all = [
                    (ElementKind::Connector, Found::Connector(connector.clone())),
                    (
                        ElementKind::Integration,
                        Found::Integration(connector.clone()),
                    ),
                    (ElementKind::App, Found::App(connector.clone())),
                ];
                found.extend(
                    all.into_iter()
                        .filter(|(kind, _)| wanted(*kind))
                        .map(|(_, item)| (score, item)),
                );
            }
            if wanted(ElementKind::Action) {
                found.extend(fitting_actions(connector, text));
            }
        }
        if wanted(ElementKind::Connection) {
            let page = PageOf {
                after: 0,
                limit: MOST_CONNECTIONS,
            };
            let all = self
                .inner
                .db
                .connections(caller.reach(), &ConnectionFilter::default(), page)
                .await?;
            found.extend(all.into_iter().filter_map(|connection| {
                let score = fit(
                    text,
                    &[
                        &connection.name,
                        connection.key.as_deref().unwrap_or_default(),
                        &connection.app_domain,
                    ],
                );
                (score > 0.0).then(|| (score, Found::Connection(Box::new(connection))))
            }));
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        Page::slice(
            found.into_iter().map(|(_, item)| item).collect(),
            query.cursor.as_deref(),
            query.limit,
        )
    }
}

/// Actions by rank, brought between 0 and 1 so that they can stand next to names.
fn fitting_actions(connector: &Arc<Connector>, text: &str) -> Vec<(f32, Found)> {
    let hits = connector.search(text, MOST_ACTIONS);
    let best = hits
        .iter()
        .map(|(_, score)| *score)
        .fold(f32::MIN_POSITIVE, f32::max);
    hits.into_iter()
        .map(|(place, score)| {
            (
                score / best * 0.9,
                Found::Action(CatalogAction::new(connector.clone(), place)),
            )
        })
        .collect()
}

fn fit_of_connector(connector: &Connector, text: &str) -> f32 {
    let manifest = &connector.manifest;
    let mut names: Vec<&str> = vec![&manifest.name, &manifest.key];
    names.extend(manifest.domains.iter().map(String::as_str));
    let by_name = fit(text, &names);
    let mut about: Vec<&str> = vec![&manifest.description];
    about.extend(manifest.categories.iter().map(String::as_str));
    by_name.max(fit(text, &about) * 0.4)
}

/// 1 for the same text, less for a part of it, 0 for nothing in common.
fn fit(text: &str, names: &[&str]) -> f32 {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let one = |name: &&str| {
        let name = name.to_lowercase();
        if name.is_empty() {
            0.0
        } else if name == text {
            1.0
        } else if name.contains(&text) || text.contains(&name) {
            0.8
        } else {
            let common = words
                .iter()
                .filter(|word| word.len() > 2 && name.contains(**word))
                .count();
            // Word counts are far below what f32 holds exactly.
            0.6 * common as f32 / words.len().max(1) as f32
        }
    };
    names.iter().map(one).fold(0.0, f32::max)
}
