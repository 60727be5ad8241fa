//! One file per command: its flags, its examples, its call, its output.

pub mod act;
pub mod action;
pub mod action_run_log;
pub mod agent_session;
pub mod connect;
pub mod connection;
pub mod connection_request;
pub mod credentials;
pub mod external_app;
pub mod integration;
pub mod login;
pub mod logout;
pub mod open;
pub mod request;
pub mod search;
pub mod status;
pub mod token;
pub mod workspace;

mod list;
mod loopback;
mod run_output;
mod scope;
