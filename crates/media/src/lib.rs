//! Audio of calls: RTP and RTCP, G.711, digits, prompts and music, and the recorder.
//!
//! Packets never meet the async runtime: a few threads of our own each own the sockets of their
//! calls and a wheel of 1 ms slots, take commands from a bounded queue and hand events to a
//! bounded queue. On a packet's path nothing locks, allocates or logs.
//!
//! This crate knows nothing of SIP, flows, tenants or databases: it is told where a leg's audio
//! goes and what to do with it, and tells what it heard. Start with [`MediaEngine`], then
//! [`CallMedia`].

mod codec;
mod conceal;
mod dtmf;
mod engine;
#[doc(hidden)]
pub mod fuzzing;
pub mod g711;
pub mod import;
pub mod music;
mod ports;
pub mod quality;
pub mod recorder;
mod rtcp;
mod rtp;
mod sound;
pub mod speech;
pub mod srtp;
pub mod tone;
pub mod wav;
mod webrtc;

pub use codec::Codec;
pub use engine::{
    BrowserEnd, CallMedia, EngineStats, Health, Hears, LegQuality, MediaConfig, MediaEngine,
    MediaError, MediaEvent, Party, RemoteMedia, Room, SEATS, TelephoneEvent,
};
pub use model::{DigitVia, LegId, NoAudio, PauseMode};
pub use recorder::RecordingSpec;
pub use sound::Sound;
pub use webrtc::{IceCredentials, WebRtcPeer};

/// Samples per second of everything we generate, decode and record.
pub const SAMPLE_RATE: u32 = 8_000;
/// Samples in the 20 ms that a tick of the wheel stands for.
pub(crate) const FRAME: usize = 160;
