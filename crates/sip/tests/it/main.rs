//! The stack from outside: real sockets on loopback, messages written by hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod bans;
mod calls;
mod device;
mod dialogs;
mod edges;
mod flows;
mod fuzzing;
mod malformed;
mod peers;
mod registration;
mod secure;
mod trunks;
mod ua;
