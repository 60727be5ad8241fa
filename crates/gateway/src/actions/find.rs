//! Finding actions.

use std::sync::Arc;

use connector::search::Meaning;
use store::gateway::Connection;

use super::{ActionQuery, ActionScope, FoundAction, Page};
use crate::{
    Caller, CatalogAction, Connector, Gateway, GatewayError,
    catalog::{action_in, rank_actions},
};

/// The longest intent.
const LONGEST_INTENT: usize = 200;
/// Matches that a ranked list may hold.
const MOST_RANKED: usize = 1000;

impl Gateway {
    /// A page of actions: of one connection, or of every connector the caller could use. With an intent, the
    /// best first; otherwise in the connector's order.
    ///
    /// # Errors
    /// When the connection does not exist or the intent is too long.
    pub async fn list_actions(
        &self,
        caller: &Caller,
        query: &ActionQuery,
    ) -> Result<Page<FoundAction>, GatewayError> {
        let intent = query
            .intent
            .as_deref()
            .map(str::trim)
            .filter(|intent| !intent.is_empty());
        if intent.is_some_and(|intent| intent.chars().count() > LONGEST_INTENT) {
            return Err(GatewayError::field(
                "intent",
                format!("intent may have at most {LONGEST_INTENT} characters"),
            ));
        }
        let (connectors, connection_id) = self.scope(caller, query).await?;
        let mut found = match intent {
            Some(intent) => self.ranked(caller, &connectors, intent).await?,
            None => connectors.iter().flat_map(actions_of).collect(),
        };
        if let Some(text) = query
            .search
            .as_deref()
            .map(str::to_lowercase)
            .filter(|text| !text.is_empty())
        {
            found.retain(|found| mentions(&found.action, &text));
        }
        for item in &mut found {
            item.connection_id.clone_from(&connection_id);
        }
        Page::slice(found, query.cursor.as_deref(), query.limit)
    }

    /// Actions that fit an intent, best first, as the workspace's words and what it learnt have it.
    pub(crate) async fn ranked(
        &self,
        caller: &Caller,
        connectors: &[Arc<Connector>],
        intent: &str,
    ) -> Result<Vec<FoundAction>, GatewayError> {
        let settings = self.search_settings(caller).await?;
        let words = self.words_of(&settings);
        let meant = self.meant(intent).await;
        let meaning = match &meant {
            Some(vector) => Meaning::Vector(vector),
            None if self.by_words_alone() => Meaning::Words,
            None => Meaning::Bundled,
        };
        let ranked = rank_actions(connectors, intent, words.as_deref(), meaning, MOST_RANKED);
        let mut found: Vec<_> = ranked
            .into_iter()
            .map(|ranked| FoundAction {
                action: ranked.item,
                connection_id: None,
                score: Some(ranked.score),
                matched: ranked.matched,
                coverage: ranked.coverage,
                learned_runs: None,
            })
            .collect();
        if settings.learn {
            self.learn_ranking(caller, intent, &mut found).await?;
        }
        Ok(found)
    }

    async fn scope(
        &self,
        caller: &Caller,
        query: &ActionQuery,
    ) -> Result<(Vec<Arc<Connector>>, Option<String>), GatewayError> {
        let catalog = &self.inner.catalog;
        let mut connectors: Vec<Arc<Connector>> = catalog.connectors().to_vec();
        let selector = &query.scope.connection;
        let mut connection_id = None;
        if selector.id.is_some() || selector.key.is_some() {
            let connection = self.selected(caller, selector).await?;
            connection_id = connection
                .as_ref()
                .map(|connection| connection.public_id.clone());
            let key = connection.and_then(|connection| connection.connector_key);
            connectors.retain(|connector| {
                key.as_ref()
                    .is_some_and(|key| *key == connector.manifest.key)
            });
        } else if let Some(name) = &selector.integration {
            let wanted = catalog
                .integration(&caller.workspace.public_id, name)
                .ok_or_else(|| GatewayError::not_found("integration", name))?;
            connectors.retain(|connector| connector.id == wanted.id);
        }
        if let Some(app) = &query.external_app {
            connectors
                .retain(|connector| connector.app_id == *app || connector.manifest.key == *app);
        }
        Ok((connectors, connection_id))
    }

    /// One action by id or key.
    ///
    /// # Errors
    /// `not_found`, or `bad_request` when several connectors have an action of that key.
    pub async fn action(
        &self,
        caller: &Caller,
        selector: &str,
        scope: &ActionScope,
    ) -> Result<FoundAction, GatewayError> {
        let connection = if scope.connection.id.is_some() || scope.connection.key.is_some() {
            self.selected(caller, &scope.connection).await?
        } else {
            None
        };
        let action = self
            .resolve(caller, selector, scope, connection.as_ref())
            .await?;
        Ok(FoundAction {
            action,
            connection_id: connection.map(|connection| connection.public_id),
            score: None,
            matched: Vec::new(),
            coverage: 0.0,
            learned_runs: None,
        })
    }

    /// The action a caller means, in the connector of the connection where one is named.
    pub(super) async fn resolve(
        &self,
        caller: &Caller,
        selector: &str,
        scope: &ActionScope,
        connection: Option<&Connection>,
    ) -> Result<CatalogAction, GatewayError> {
        let catalog = &self.inner.catalog;
        let missing = || GatewayError::not_found("action", selector);
        if let Some(connection) = connection {
            let connector = connection
                .connector_key
                .as_deref()
                .and_then(|key| catalog.connector(key))
                .ok_or_else(missing)?;
            return action_in(connector, selector).ok_or_else(missing);
        }
        if let Some(name) = &scope.connection.integration {
            let connector = catalog
                .integration(&caller.workspace.public_id, name)
                .ok_or_else(|| GatewayError::not_found("integration", name))?;
            return action_in(connector, selector).ok_or_else(missing);
        }
        let mut candidates: Vec<CatalogAction> = catalog.actions(selector).collect();
        if candidates.len() > 1 {
            candidates = self.connected_only(caller, candidates).await?;
        }
        match candidates.len() {
            0 => Err(missing()),
            1 => candidates.pop().ok_or_else(missing),
            _ => Err(GatewayError::bad_request(format!(
                "several apps have an action \"{selector}\"; name a connection (\"connectionId\") or use the action's id"
            ))),
        }
    }

    /// Of actions with the same key, those the caller has a connection for; all when that says nothing.
    async fn connected_only(
        &self,
        caller: &Caller,
        all: Vec<CatalogAction>,
    ) -> Result<Vec<CatalogAction>, GatewayError> {
        let mut connected = Vec::new();
        for action in &all {
            if self
                .default_connection(caller, &action.connector.manifest.key)
                .await?
                .is_some()
            {
                connected.push(action.clone());
            }
        }
        Ok(if connected.is_empty() { all } else { connected })
    }
}

fn actions_of(connector: &Arc<Connector>) -> impl Iterator<Item = FoundAction> {
    (0..connector.manifest.actions.len()).map(|place| FoundAction {
        action: CatalogAction::new(connector.clone(), place),
        connection_id: None,
        score: None,
        matched: Vec::new(),
        coverage: 0.0,
        learned_runs: None,
    })
}

fn mentions(action: &CatalogAction, text: &str) -> bool {
    let action = action.action();
    [&action.name, &action.key, &action.description]
        .iter()
        .any(|part| part.to_lowercase().contains(text))
}
