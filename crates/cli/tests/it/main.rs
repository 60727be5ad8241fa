//! The built `membrane` against a small HTTP server: what it sends, prints and exits with.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops there")]

mod login;
mod lookups;
mod request;
mod runs;
mod support;
mod usage;
