//! The phone system's service: drives calls through signalling, audio and the ledger.
//!
//! It decides nothing about a call (`calls` does) and knows no HTTP. Start with [`Phone`]; the life of one
//! call is `driver.rs`, where it comes in is `reception.rs`, who takes it is `desk.rs`.

mod audio;
mod clock;
mod company;
pub mod conference;
mod desk;
mod devices;
mod driver;
mod echo_test;
mod line;
mod listener_audio;
pub mod messaging;
pub mod outgoing;
mod phone;
mod pick_up;
mod prompts;
mod quality;
mod reception;
pub mod recordings;
pub mod recovery;
mod service_call;
pub mod signalling;
pub mod sounds;
mod speech_service;
mod switchboard;
pub mod trunks;
pub mod web_phone;

pub use audio::{AudioPolicy, Srtp};
pub use devices::{Devices, Network};
pub use listener_audio::ListenerSrtp;
pub use phone::{Folders, Parts, Phone};
pub use prompts::Prompts;
pub use speech_service::SpeechService;
