//! The pages and endpoints, spoken to over HTTP in memory, on a real database.

mod app;
mod authorize;
mod machine;
mod setup;
mod sign_in;
