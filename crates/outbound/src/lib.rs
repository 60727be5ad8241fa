//! The one HTTP client that leaves the house: address filter, limits and redaction.
//!
//! Whatever sends a request to an address somebody else chose goes through [`Outbound::send`]. It refuses
//! private and special addresses (also when a name resolves to one later), odd schemes and ports, keeps time
//! and size limits, follows no redirect to another origin, and never prints a query string or a header value.
//!
//! It knows no connector, no credential and no database. Start with [`Outbound`] and [`Policy`].

mod address;
mod body;
mod client;
mod error;
mod policy;
mod resolver;
#[cfg(test)]
mod tests;

pub use body::ResponseBody;
pub use client::{Outbound, OutboundRequest, OutboundResponse, RequestBody, Timeouts};
pub use error::OutboundError;
pub use policy::{Allow, AllowEntry, AllowEntryError, Policy};
pub use resolver::Lookup;
