//! What can go wrong with the database.

/// A failed query. Absence is `Option`, a broken rule of ours is a variant, the rest is the engine's.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A value that must be unique is taken.
    #[error("{what} is already used")]
    Duplicate {
        /// The field, in the words of the interface.
        what: &'static str,
    },
    /// The engine refused.
    #[error("the database failed")]
    Engine(#[from] sea_orm::DbErr),
    /// A stored JSON document does not fit its type.
    #[error("stored {what} can't be read")]
    Corrupt {
        /// What was read.
        what: &'static str,
        /// Why it can't be read.
        #[source]
        source: serde_json::Error,
    },
}
