//! The CloudTalk-compatible HTTP face of the phone system: `/api/…` and `/v1/…`.
//!
//! It translates: paths, envelopes, string ids and error texts that existing clients rely on, to and
//! from the directory and the ledger. It knows no SIP, no call logic and no console. What the running
//! phone has to do or tell, it asks through [`PhoneHooks`].
//!
//! Start with [`router`] and `dispatch.rs`: which path space a request is in, who asks, what for.
//! `core/` has one file a resource, `analytics.rs` the detail of a call.

mod analytics;
mod auth;
mod body;
mod call_json;
mod context;
mod core;
mod countries;
mod dates;
mod dispatch;
mod error;
mod form;
mod input;
mod password;
mod range;
mod rate_limit;
mod reply;
mod state;

pub use countries::country_id;
pub use dispatch::router;
pub use state::{
    Channels, ClickToCall, CloudTalk, CloudTalkConfig, PhoneFailed, PhoneHooks, RecordedAudio,
    RecordingFile, SmsOutcome, SmsRequest,
};
