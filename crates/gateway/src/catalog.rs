//! The connectors this installation knows.

use std::sync::Arc;

use connector::{
    Action, Doc, Index, Manifest,
    search::{Hit, Meaning, VectorsError, Words, search_hybrid},
};

use crate::ids::derived_id;

/// A connector version with its search index, shared by all its connections.
pub struct Connector {
    pub manifest: Manifest,
    /// Hex id shown outside, the same in every installation.
    pub id: String,
    /// Hex id of the app it speaks to.
    pub app_id: String,
    index: Index,
}

impl Connector {
    fn new(manifest: Manifest) -> Self {
        let names = [manifest.key.as_str(), manifest.name.as_str()];
        let index = Index::build(manifest.actions.iter().map(Action::search_doc)).of_app(names);
        Self {
            id: derived_id(&["connector", &manifest.key]),
            app_id: derived_id(&["app", &manifest.key]),
            index,
            manifest,
        }
    }

    /// Id of a workspace's use of this connector.
    #[must_use]
    pub fn integration_id(&self, workspace_id: &str) -> String {
        derived_id(&["integration", workspace_id, &self.manifest.key])
    }

    /// Gives the index an embedding model's vectors, one for each action.
    pub(crate) fn set_meaning(&self, vectors: Vec<Vec<f32>>) -> Result<(), VectorsError> {
        self.index.set_meaning(vectors)
    }

    /// Whether a selector (id, key or uuid) means this connector.
    #[must_use]
    pub fn is(&self, selector: &str) -> bool {
        [&self.id, &self.manifest.key, &self.manifest.uuid]
            .iter()
            .any(|name| name.as_str() == selector)
    }

    /// How well a host fits: the length of the domain it is on.
    fn fits_host(&self, host: &str) -> Option<usize> {
        self.manifest
            .domains
            .iter()
            .filter(|domain| on_domain(host, domain))
            .map(String::len)
            .max()
    }
}

fn on_domain(host: &str, domain: &str) -> bool {
    host == domain
        || host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
}

/// What the search for apps knows of one.
fn doc(manifest: &Manifest) -> Doc {
    let mut search_terms = manifest.categories.clone();
    search_terms.extend(manifest.domains.iter().cloned());
    Doc {
        key: manifest.key.clone(),
        title: manifest.name.clone(),
        description: manifest.description.clone(),
        search_terms,
        ..Doc::default()
    }
}

/// Something found by its meaning, and why.
#[derive(Clone)]
pub struct Ranked<T> {
    pub item: T,
    /// Higher is better; comparable within one search only.
    pub score: f32,
    /// The words that matched.
    pub matched: Vec<String>,
    /// How much of what was asked for it has, from 0 to 1.
    pub coverage: f32,
    /// How often it was run after such words, where the workspace learns from use.
    pub learned_runs: Option<i64>,
}

impl<T> Ranked<T> {
    fn of(item: T, hit: Hit) -> Self {
        Self {
            item,
            score: hit.score,
            matched: hit.matched,
            coverage: hit.coverage,
            learned_runs: None,
        }
    }

    /// Found because a name of its own is the text or a part of it.
    #[must_use]
    pub fn by_name(item: T, score: f32, name: &str) -> Self {
        Self {
            item,
            score,
            matched: vec![name.to_owned()],
            coverage: score,
            learned_runs: None,
        }
    }
}

/// The actions of these connectors that fit an intent, best first.
pub(crate) fn rank_actions(
    connectors: &[Arc<Connector>],
    intent: &str,
    words: Option<&Words>,
    meaning: Meaning<'_>,
    limit: usize,
) -> Vec<Ranked<CatalogAction>> {
    let indexes: Vec<&Index> = connectors
        .iter()
        .map(|connector| &connector.index)
        .collect();
    search_hybrid(&indexes, intent, words, meaning, limit)
        .into_iter()
        .map(|(at, hit)| Ranked::of(CatalogAction::new(connectors[at].clone(), hit.doc), hit))
        .collect()
}

/// An action and the connector it belongs to.
#[derive(Clone)]
pub struct CatalogAction {
    pub connector: Arc<Connector>,
    place: usize,
}

impl CatalogAction {
    pub(crate) fn new(connector: Arc<Connector>, place: usize) -> Self {
        debug_assert!(
            place < connector.manifest.actions.len(),
            "places come from the manifest itself"
        );
        Self { connector, place }
    }

    /// The action.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.connector.manifest.actions[self.place]
    }
}

/// All connectors, in a fixed order.
pub struct Catalog {
    connectors: Vec<Arc<Connector>>,
    /// Of the connectors themselves, in the same order.
    apps: Index,
}

impl Catalog {
    pub(crate) fn new(manifests: Vec<Manifest>) -> Self {
        Self {
            apps: Index::of_things(manifests.iter().map(doc)),
            connectors: manifests
                .into_iter()
                .map(|manifest| Arc::new(Connector::new(manifest)))
                .collect(),
        }
    }

    /// All of them.
    #[must_use]
    pub fn connectors(&self) -> &[Arc<Connector>] {
        &self.connectors
    }

    /// Connectors whose app fits a text, best first: by name, domain, category and what they are for.
    #[must_use]
    pub fn find_apps(&self, text: &str) -> Vec<Ranked<Arc<Connector>>> {
        let hits = self.apps.search(text, self.connectors.len());
        hits.into_iter()
            .map(|hit| Ranked::of(self.connectors[hit.doc].clone(), hit))
            .collect()
    }

    /// A connector by id, key or uuid.
    #[must_use]
    pub fn connector(&self, selector: &str) -> Option<&Arc<Connector>> {
        self.connectors
            .iter()
            .find(|connector| connector.is(selector))
    }

    /// The connector of an app by the app's id or key.
    #[must_use]
    pub fn app(&self, selector: &str) -> Option<&Arc<Connector>> {
        self.connectors
            .iter()
            .find(|connector| connector.app_id == selector || connector.manifest.key == selector)
    }

    /// The connector of an integration by its id or key.
    #[must_use]
    pub fn integration(&self, workspace_id: &str, selector: &str) -> Option<&Arc<Connector>> {
        self.connectors.iter().find(|connector| {
            connector.manifest.key == selector || connector.integration_id(workspace_id) == selector
        })
    }

    /// The connector whose domain a host is on or below; the longest domain wins.
    #[must_use]
    pub fn by_host(&self, host: &str) -> Option<&Arc<Connector>> {
        let fits = self
            .connectors
            .iter()
            .filter_map(|connector| Some((connector.fits_host(host)?, connector)));
        fits.max_by_key(|(length, _)| *length)
            .map(|(_, connector)| connector)
    }

    /// The connector an app's name or a sentence about it means, if exactly one is named.
    #[must_use]
    pub fn by_intent(&self, intent: &str) -> Option<&Arc<Connector>> {
        let words = squeeze(intent);
        let mut named = self.connectors.iter().filter(|connector| {
            let manifest = &connector.manifest;
            let first_labels = manifest
                .domains
                .iter()
                .filter_map(|domain| domain.split('.').next());
            let mut names = [manifest.key.as_str(), manifest.name.as_str()]
                .into_iter()
                .chain(first_labels);
            names.any(|name| !squeeze(name).is_empty() && words.contains(&squeeze(name)))
        });
        named.next().filter(|_| named.next().is_none())
    }

    /// Actions with this id or key.
    pub(crate) fn actions<'a>(
        &'a self,
        selector: &'a str,
    ) -> impl Iterator<Item = CatalogAction> + 'a {
        self.connectors
            .iter()
            .filter_map(move |connector| action_in(connector, selector))
    }
}

/// The action of a connector with this id or key.
pub(crate) fn action_in(connector: &Arc<Connector>, selector: &str) -> Option<CatalogAction> {
    let place = connector
        .manifest
        .actions
        .iter()
        .position(|action| action.id == selector || action.key == selector)?;
    Some(CatalogAction::new(connector.clone(), place))
}

/// Letters and digits only, lower case.
fn squeeze(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best_of(manifest: Manifest, intent: &str) -> Option<String> {
        let catalog = Catalog::new(vec![manifest]);
        let ranked = rank_actions(catalog.connectors(), intent, None, Meaning::Bundled, 1);
        Some(ranked.first()?.item.action().key.clone())
    }

    #[test]
    fn a_changed_manifest_has_an_index_of_its_own() {
        let (_, text) = connector::builtin::manifests()[0];
        let before = Manifest::parse(text).unwrap();
        let mut after = before.clone();
        let mut new = after.actions[0].clone();
        new.key = "launch-rocket".to_owned();
        new.name = "Launch rocket".to_owned();
        new.description = "Sends a rocket to the moon".to_owned();
        after.actions.push(new);
        let intent = "launch a rocket";
        assert_ne!(best_of(before, intent).as_deref(), Some("launch-rocket"));
        assert_eq!(best_of(after, intent).as_deref(), Some("launch-rocket"));
    }

    #[test]
    fn a_host_is_on_its_domain_only_at_a_label_border() {
        assert!(on_domain("app.example", "app.example"));
        assert!(on_domain("my.app.example", "app.example"));
        assert!(!on_domain("evilapp.example", "app.example"));
        assert!(!on_domain("app.example.evil.test", "app.example"));
    }
}
