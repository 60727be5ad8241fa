//! Ranking actions by intent.

/// What the index knows of one action.
#[derive(Debug, Clone, Default)]
pub struct Doc {
    /// Key: `list-calls`.
    pub key: String,
    /// Title: `List Calls`.
    pub title: String,
    /// Description.
    pub description: String,
    /// Extra terms.
    pub search_terms: Vec<String>,
    /// HTTP method.
    pub method: String,
    /// Path template.
    pub path: String,
    /// Parameter names.
    pub parameters: Vec<String>,
}

/// One found action.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Position in the sequence the index was built from.
    pub doc: usize,
    /// Higher is better; comparable within one search only.
    pub score: f32,
    /// The words that matched.
    pub matched: Vec<String>,
}

/// A built index.
pub struct Index {}

impl Index {
    /// Builds an index.
    pub fn build(_docs: impl Iterator<Item = Doc>) -> Self {
        todo!()
    }

    /// Ranks, best first.
    #[must_use]
    pub fn search(&self, _intent: &str, _limit: usize) -> Vec<Hit> {
        todo!()
    }
}
