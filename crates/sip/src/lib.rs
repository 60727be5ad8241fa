//! Signalling: transports, registrar, digest, dialogs and SDP.
//!
//! The crate turns SIP on the wire into legs and back. It knows usernames,
//! digests and bindings; it refuses to know people, numbers, queues or audio.
//! The SIP library it builds on does not show in its interface
//! (`docs/decisions/0002-sip-library.md`).
//!
//! Start at [`SipStack::start`]: it gives [`SipEvent`]s, whose
//! [`IncomingCall`] carries a [`Leg`]; [`SipStack::dial`] makes one. Sessions
//! are described with [`sdp`].

mod config;
mod core;
mod dialog;
mod digest;
mod directory;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod ident;
mod leg;
mod net;
mod registrar;
pub mod sdp;
mod stack;
mod trace;
mod transaction;
mod trunk;
mod wire;

pub use config::{Banning, Certificate, Limits, Listener, ListenerError, SipConfig};
pub use directory::{Binding, DeviceCredential, Directory, Transport, TransportError};
pub use guard::Ban;
pub use ipnet::IpNet;
pub use leg::{
    Dial, DialError, DialTarget, DialogId, HungUpBy, IncomingCall, Leg, LegEvent, LegGone,
    LegHandle, Party, Reason, ReasonProtocol, Referral, ReferralId, Replaces, Replacing, SipEvent,
};
pub use net::CertificateError;
pub use stack::{Counters, SipError, SipStack};
pub use trace::{
    Filter, Message, PCAP_HEADER, Trace, TraceConfig, TraceError, TraceInfo, ladder, pcap,
};
pub use trunk::{
    HostPort, HostPortError, Identity, Privacy, ProbeAction, ProbeReport, ProbeStep, Registration,
    Trunk, TrunkCredential, TrunkProblem, TrunkStatus, TrunkTls,
};

/// Filter directives for a log subscriber: the SIP library writes whole
/// messages, bodies and credentials included, at level info.
pub const LOG_FILTER: &str = "rsipstack=warn";

/// The log target of bans: one line each, in the form of Asterisk's security log.
pub const SECURITY_TARGET: &str = "security";
