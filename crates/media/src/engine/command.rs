use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};

use mio::{Poll, Token, Waker};
use model::LegId;
use tokio::sync::{mpsc, oneshot};

use super::{
    event::{LegQuality, MediaEvent},
    mix::Party,
    room::Seat,
    wire::Wire,
};
use crate::{Codec, RecordingSpec, Sound, srtp::Keys, webrtc::WebRtcPeer};

/// The token of the waker; sockets count up from 0.
pub(super) const WAKE: Token = Token(usize::MAX);

/// What was agreed with a leg's peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Where it wants RTP; its real source replaces this once packets arrive.
    pub rtp: SocketAddr,
    /// Where it wants RTCP; absent: the next port.
    pub rtcp: Option<SocketAddr>,
    /// RTP and RTCP share one port on each side (RFC 5761).
    pub rtcp_mux: bool,
    /// Keys of SRTP; absent: clear RTP.
    pub keys: Option<Keys>,
    /// How a browser is reached and recognised; with it, addresses and keys above mean nothing.
    pub webrtc: Option<WebRtcPeer>,
    /// How audio to it is coded, and as a rule what comes from it.
    pub codec: Codec,
    /// The codec's payload type on this leg.
    pub payload_type: u8,
    /// What else it may send: all that we offered it, under our numbers and its own (RFC 3264 §5.1, §6.1).
    pub also_audio: Vec<(u8, Codec)>,
    /// Payload types of telephone-events that it may use with those.
    pub also_events: Vec<u8>,
    /// How telephone-events travel, when agreed.
    pub telephone_event: Option<TelephoneEvent>,
    /// Digits go to it by SIP INFO where telephone-events were not agreed, instead of as tones.
    pub info_digits: bool,
    /// The payload type of comfort noise that the peer may send.
    pub comfort_noise: Option<u8>,
    /// Audio per packet that we send.
    pub ptime_ms: u32,
    /// Whether we send to it.
    pub send: bool,
    /// Whether it sends to us.
    pub receive: bool,
}

/// How RFC 4733 digits travel on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// The payload type.
    pub payload_type: u8,
    /// Ticks per second of durations: the codec's clock, or 8000 where the peer knows no other.
    pub clock_rate: u32,
}

/// One order to a thread.
pub(super) enum Command {
    OpenCall {
        call: u64,
        events: mpsc::Sender<MediaEvent>,
    },
    CloseCall {
        call: u64,
    },
    Call {
        call: u64,
        order: Order,
    },
    Shutdown,
}

/// One order about a call.
pub(super) enum Order {
    AddLeg {
        leg: LegId,
        wire: Box<Wire>,
        /// The source that its packets to the peer name, for as long as it lives.
        ssrc: u32,
    },
    RemoveLeg {
        leg: LegId,
    },
    Connect {
        leg: LegId,
        remote: Box<RemoteMedia>,
    },
    Play {
        leg: LegId,
        playback: u64,
        source: Arc<Sound>,
        repeat: bool,
        from: usize,
    },
    Announce {
        leg: LegId,
        sound: Arc<Sound>,
    },
    StopPlaying {
        leg: LegId,
    },
    Bridge {
        a: LegId,
        b: LegId,
    },
    Unbridge,
    Mix {
        parties: Vec<Party>,
    },
    EnterRoom {
        leg: LegId,
        seat: Seat,
    },
    LeaveRoom {
        leg: LegId,
    },
    SendDigit {
        leg: LegId,
        digit: char,
    },
    InfoDigit {
        leg: LegId,
        digit: char,
    },
    DetectInband {
        leg: LegId,
        on: bool,
    },
    StartRecording {
        spec: RecordingSpec,
    },
    PauseRecording {
        on: bool,
    },
    StopRecording,
    Quality {
        leg: LegId,
        reply: oneshot::Sender<LegQuality>,
    },
}

/// The sending end of a thread's queue.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    commands: SyncSender<Command>,
    waker: Arc<Waker>,
}

/// The thread's end.
pub(super) struct Port {
    pub(super) poll: Poll,
    pub(super) commands: Receiver<Command>,
}

impl Port {
    pub(super) fn new(queue: usize) -> io::Result<(Inbox, Self)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (sender, commands) = sync_channel(queue);
        Ok((
            Inbox {
                commands: sender,
                waker,
            },
            Self { poll, commands },
        ))
    }
}

impl Inbox {
    /// Hands an order to the thread; `false` when it has ended. A full queue holds the sender
    /// back for the moment the thread needs to empty it: it never waits for anybody itself, and
    /// no order may be lost.
    pub(super) fn send(&self, command: Command) -> bool {
        let sent = match self.commands.try_send(command) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(command)) => {
                self.wake();
                self.commands.send(command).is_ok()
            }
        };
        self.wake();
        sent
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "a media thread could not be woken");
        }
    }
}
