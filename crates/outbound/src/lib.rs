//! The one HTTP client that leaves the house: address filter, limits and redaction.
//!
//! Whatever sends a request to an address somebody else chose goes through [`Outbound::send`]. It refuses
//! private and special addresses (also when a name resolves to one later), odd schemes and ports, keeps time
//! and size limits, follows no redirect to another origin, and never prints a query string or a header value.
//!
//! It knows no connector, no credential and no database. Start with [`Outbound`] and [`Policy`].

mod client;
mod policy;
mod error;

pub use client::{Outbound, OutboundRequest, OutboundResponse, RequestBody, ResponseBody, Timeouts};
pub use error::OutboundError;
pub use policy::{Allow, AllowEntry, AllowEntryError, Policy};
