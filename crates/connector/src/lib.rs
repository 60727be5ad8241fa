//! Pure integration: manifests, schemas, request building and action search.
//!
//! A connector is data: a manifest says where an app lives, how to sign in and which actions it has. This
//! crate reads manifests, checks input against their schemas, builds requests as values, reads answers and
//! ranks actions by what somebody says he wants. It knows no clock, no socket, no file and no database;
//! whoever calls it sends what it builds.
//!
//! Start with [`Manifest::parse`], then [`prepare`], [`proxy`] and [`Index`].

#![warn(missing_docs)]

pub mod builtin;
pub mod formula;
pub mod manifest;
pub mod request;
pub mod response;
pub mod schema;
pub mod search;

pub use formula::FormulaError;
pub use manifest::{Action, AuthOption, Manifest, ManifestError, OutputKind};
pub use request::{
    Credentials, PreparedRequest, ProxyInput, RequestError, base_url, prepare, prepare_test, proxy,
};
pub use response::{ActionFailure, Answer, read_answer, read_test_answer};
pub use schema::{InputError, InputProblem, Schema, check_input};
pub use search::{Doc, Hit, Index};
