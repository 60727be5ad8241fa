//! Search over everything a caller can see.

use std::sync::Arc;

use store::gateway::{Connection, ConnectionFilter, PageOf};

use crate::{Caller, CatalogAction, Connector, Gateway, GatewayError, Page, Ranked};

const LONGEST_QUERY: usize = 200;
/// Connections looked through.
const MOST_CONNECTIONS: u64 = 1000;

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
    ) -> Result<Page<Ranked<Found>>, GatewayError> {
        let text = query.text.trim();
        if text.is_empty() || text.chars().count() > LONGEST_QUERY {
            return Err(GatewayError::field(
                "q",
                format!("q must have 1 to {LONGEST_QUERY} characters"),
            ));
        }
        let wanted = |kind: ElementKind| query.kind.is_none_or(|only| only == kind);
        let mut found: Vec<Ranked<Found>> = Vec::new();
        for app in self.fitting_apps(text) {
            let all = [
                (ElementKind::Connector, Found::Connector(app.item.clone())),
                (
                    ElementKind::Integration,
                    Found::Integration(app.item.clone()),
                ),
                (ElementKind::App, Found::App(app.item)),
            ];
            let all = all.into_iter().filter(|(kind, _)| wanted(*kind));
            found.extend(all.map(|(_, item)| Ranked {
                item,
                score: app.score,
                matched: app.matched.clone(),
                coverage: app.coverage,
                learned_runs: None,
            }));
        }
        if wanted(ElementKind::Action) {
            let actions = self
                .ranked(caller, self.inner.catalog.connectors(), text)
                .await?;
            let actions = actions.into_iter().map(|found| Ranked {
                item: Found::Action(found.action),
                score: found.score.unwrap_or_default(),
                matched: found.matched,
                coverage: found.coverage,
                learned_runs: found.learned_runs,
            });
            found.extend(beside_names(actions.collect()));
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
                (score > 0.0).then(|| {
                    let name = connection.name.clone();
                    Ranked::by_name(Found::Connection(Box::new(connection)), score, &name)
                })
            }));
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        Page::slice(found, query.cursor.as_deref(), query.limit)
    }

    /// Apps that fit a text, best first: by name, then by what they are for.
    #[must_use]
    pub fn fitting_apps(&self, text: &str) -> Vec<Ranked<Arc<Connector>>> {
        let catalog = &self.inner.catalog;
        let mut apps: Vec<_> = beside_names(catalog.find_apps(text)).collect();
        for connector in catalog.connectors() {
            let by_name = fit_of_names(connector, text);
            let known = apps.iter_mut().find(|app| app.item.id == connector.id);
            match known {
                Some(app) => {
                    app.score = app.score.max(by_name);
                    app.coverage = app.coverage.max(by_name);
                }
                None if by_name > 0.0 => apps.push(Ranked::by_name(
                    connector.clone(),
                    by_name,
                    &connector.manifest.name,
                )),
                None => {}
            }
        }
        apps.sort_by(|left, right| right.score.total_cmp(&left.score));
        apps
    }
}

/// Scores brought between 0 and 1, so that what fits by meaning can stand next to what fits by name.
fn beside_names<T>(ranked: Vec<Ranked<T>>) -> impl Iterator<Item = Ranked<T>> {
    let best = ranked
        .first()
        .map_or(1.0, |best| best.score.max(f32::MIN_POSITIVE));
    ranked.into_iter().map(move |ranked| Ranked {
        score: ranked.score / best * 0.9,
        ..ranked
    })
}

fn fit_of_names(connector: &Connector, text: &str) -> f32 {
    let manifest = &connector.manifest;
    let mut names: Vec<&str> = vec![&manifest.name, &manifest.key];
    names.extend(manifest.domains.iter().map(String::as_str));
    fit(text, &names)
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
