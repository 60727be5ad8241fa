use model::{DigitVia, LegId, NoAudio};

/// What a call's audio brought about.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MediaEvent {
    /// A key was pressed. One press is one digit, whatever was lost or repeated.
    Digit {
        /// On which leg.
        leg: LegId,
        /// `0`-`9`, `*`, `#` or `A`-`D`.
        digit: char,
        /// How it arrived.
        via: DigitVia,
    },
    /// A digit that came from the bridged leg is to be sent to this one by SIP INFO, as was agreed
    /// with its peer.
    SendInfo {
        /// To which leg.
        leg: LegId,
        /// `0`-`9`, `*`, `#` or `A`-`D`.
        digit: char,
    },
    /// A sound was played to its end. Not sent for one that was stopped or replaced.
    PlaybackFinished {
        /// To which leg.
        leg: LegId,
        /// The number it was started with.
        playback: u64,
    },
    /// The recording's file is open.
    RecordingStarted,
    /// Audio up to here would survive a kill of this process.
    RecordingCheckpoint {
        /// Counted from the recording's start.
        duration_ms: u64,
    },
    /// The recording is whole and on disk.
    RecordingStopped {
        /// From start to stop.
        duration_ms: u64,
        /// Size of the file.
        bytes: u64,
    },
    /// The recording ended early; the call goes on.
    RecordingFailed {
        /// In words, for the operator.
        reason: String,
        /// How much of it is in the file.
        duration_ms: u64,
    },
    /// The first valid packet of a leg arrived.
    FirstPacket {
        /// Which leg.
        leg: LegId,
    },
    /// A browser's connection stands: keys are agreed, audio may flow.
    Secured {
        /// Which leg.
        leg: LegId,
    },
    /// A browser's connection can't be made, and never will.
    NotSecured {
        /// Which leg.
        leg: LegId,
        /// In words, for the operator.
        reason: &'static str,
    },
    /// A browser has given no sign of life for some time, not even that it still consents. Its
    /// page was closed, or its network is gone.
    Gone {
        /// Which leg.
        leg: LegId,
    },
    /// A leg that should be heard has not been for five seconds. Told once, until it is back.
    AudioMissing {
        /// Which leg.
        leg: LegId,
        /// The likely reason, as far as packets tell.
        reason: NoAudio,
    },
    /// It is heard again.
    AudioBack {
        /// Which leg.
        leg: LegId,
    },
}

/// How well a leg's audio travels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegQuality {
    /// RTP packets received from the peer.
    pub packets_received: u64,
    /// Packets of the peer that never arrived.
    pub packets_lost: u32,
    /// Variation of arrival, RFC 3550 §6.4.1.
    pub jitter_ms: f32,
    /// Packets sent to the peer.
    pub packets_sent: u32,
    /// What the peer reports to have lost of ours since it began.
    pub peer_lost: Option<u32>,
    /// What the peer reports to have lost of ours, 0 to 1, in its last interval.
    pub peer_loss: Option<f32>,
    /// The variation of arrival at the peer.
    pub peer_jitter_ms: Option<f32>,
    /// There and back, by RTCP.
    pub round_trip_ms: Option<f32>,
}
