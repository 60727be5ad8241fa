//! The interface from outside: requests in memory, a real app on loopback behind it.

mod access;
mod actions;
mod connections;
mod mcp;
mod meaning;
mod pages;
mod world;
