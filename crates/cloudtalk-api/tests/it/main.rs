//! The face over HTTP in memory, on a database with two companies.

mod actors;
mod auth;
mod calls;
mod contacts;
mod directory;
mod isolation;
