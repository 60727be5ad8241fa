//! Data at rest: SQL on SQLite or PostgreSQL, one entity set and one migration set for both.
//!
//! Start with [`Db`]. Each module owns its tables, its migrations and its queries; every query names
//! the tenant. This crate decides nothing: call records are folded by `calls::record`, secrets arrive
//! sealed or hashed.

pub mod accounts;
pub mod company;
mod db;
pub mod directory;
mod error;
pub mod gateway;
pub mod ledger;
pub mod recordings;
pub mod rooms;
#[cfg(test)]
mod testing;
mod time;
pub mod trunks;

pub use db::Db;
pub use error::StoreError;
pub use time::{from_ms, now, to_ms};
