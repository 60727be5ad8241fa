//! The call ledger and its projection.
//!
//! [`Ledger::append`] is the only way a fact becomes true. One writer task commits facts in batches
//! and, in the same transaction, folds each touched call into its row, so that a row can never say
//! anything that its events don't. Readers use [`CallQuery`].

pub(crate) mod entity;
mod migration;
mod query;
mod recordings;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use entity::{call as calls_table, share as shares_table};
pub use query::{CallPage, CallQuery, CallStatus};
pub use recordings::Recording;
pub use writer::{Ledger, LedgerError};

use sea_orm_migration::prelude::*;

pub(crate) fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(migration::CreateLedger)]
}
