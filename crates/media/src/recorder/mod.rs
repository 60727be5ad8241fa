//! Records what each party says, in two channels on one clock.
//!
//! The packet thread hands received payloads to a bounded ring and forgets them. A writer thread
//! puts each on its side's timeline by RTP timestamp, fills gaps with silence and writes blocks.
//! Whatever disk or writer do, the call does not wait for them.

mod align;
mod file;
mod pauses;
mod repair;
mod tap;
mod writer;

use std::path::PathBuf;

use model::{LegId, PauseMode};

pub(crate) use self::file::{HEADER as WAV_HEADER, header as wav_header};
pub use self::repair::{Recovered, recover};
pub(crate) use self::tap::{Recorder, Side, Tap};

/// What to record, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingSpec {
    /// The WAV file, made anew. Its folder must exist.
    pub path: PathBuf,
    /// Who speaks in the left channel.
    pub left: LegId,
    /// Who speaks in the right channel; `None` makes a mono file of `left`.
    pub right: Option<LegId>,
    /// Whether tones of keys are left out: card numbers are typed on calls.
    pub without_tones: bool,
    /// What becomes of the time while it is paused.
    pub pause: PauseMode,
}
