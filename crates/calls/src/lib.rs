//! Pure call control: what happens in a call, whom to ring, and what it all adds up to.
//!
//! Three machines with one shape, facts in and commands out: [`call::Call`] runs one call along its
//! [`flow::Flow`], [`acd::Acd`] hands a company's waiting callers to its agents, and
//! [`record::fold`] turns a call's facts into the row that lists and reports show.
//!
//! The crate knows no clock, socket, database, thread or chance: the time is an argument, and so is
//! the seed of a random choice. Whoever drives it (the `phone` crate, or `sim` in tests) feeds
//! inputs, carries the outputs out in their order, and calls `on_time` when `next_deadline` has
//! come. The same facts always lead to the same decisions.
//!
//! Start with [`call::Input`] and [`call::Output`].

#![warn(missing_docs)]

pub mod acd;
pub mod call;
pub mod flow;
pub mod fraud;
pub mod record;
pub mod recording;
pub mod routing;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
