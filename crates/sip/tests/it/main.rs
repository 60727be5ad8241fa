//! The stack from outside: real sockets on loopback, messages written by hand.

mod calls;
mod device;
mod malformed;
mod peers;
mod registration;
mod ua;
