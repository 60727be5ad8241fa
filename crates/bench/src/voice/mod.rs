//! The audio side: what is said, when it is sent, and what came back.

pub mod browser;
pub mod engine;
pub mod recording;
pub mod signal;
