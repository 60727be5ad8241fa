use std::{
    collections::VecDeque,
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{JoinHandle, Thread},
    time::Instant,
};

use tokio::sync::mpsc;

use super::{RecordingSpec, writer::Writer};
use crate::{Codec, MediaEvent, rtp::Packet};

/// Pieces of audio that may wait for the writer: 3 s of a hundred recorded calls.
const RING: usize = 32_768;
/// Starts and stops that may wait.
const ORDERS: usize = 4_096;
/// Bytes in a piece; longer packets become several.
pub(super) const PIECE: usize = 160;

/// Whose audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// A received payload on its way to the writer.
pub(super) struct Piece {
    pub(super) recording: u64,
    pub(super) arrival_us: u64,
    pub(super) ssrc: u32,
    pub(super) timestamp: u32,
    pub(super) side: Side,
    pub(super) codec: Codec,
    /// The rest of an Opus packet follows: it can only be decoded whole.
    pub(super) more: bool,
    pub(super) length: u8,
    pub(super) payload: [u8; PIECE],
}

pub(super) enum Order {
    Start {
        recording: u64,
        spec: RecordingSpec,
        at_us: u64,
        events: mpsc::Sender<MediaEvent>,
    },
    Stop {
        recording: u64,
        at_us: u64,
        reason: Option<&'static str>,
    },
    Pause {
        recording: u64,
        at_us: u64,
        on: bool,
    },
    Finish,
}

/// The writer's ends of the queues.
pub(super) struct Inlet {
    pub(super) orders: Receiver<Order>,
    pub(super) pieces: Receiver<Piece>,
    pub(super) epoch: Instant,
}

/// What the packet thread holds: it never waits here.
pub(crate) struct Tap {
    orders: SyncSender<Order>,
    pieces: SyncSender<Piece>,
    writer: Thread,
    /// Pauses and stops that found the queue full, in their order; none may be lost.
    postponed: VecDeque<Order>,
    epoch: Instant,
    next: u64,
}

/// The writer thread of one packet thread.
#[derive(Debug)]
pub(crate) struct Recorder {
    orders: SyncSender<Order>,
    thread: JoinHandle<()>,
}

impl Recorder {
    pub(crate) fn start(number: usize, epoch: Instant) -> io::Result<(Self, Tap)> {
        let (orders, orders_in) = sync_channel(ORDERS);
        let (pieces, pieces_in) = sync_channel(RING);
        let writer = Writer::new(Inlet {
            orders: orders_in,
            pieces: pieces_in,
            epoch,
        });
        let thread = std::thread::Builder::new()
            .name(format!("recorder-{number}"))
            .spawn(move || writer.run())?;
        let tap = Tap {
            orders: orders.clone(),
            pieces,
            writer: thread.thread().clone(),
            postponed: VecDeque::new(),
            epoch,
            next: 0,
        };
        Ok((Self { orders, thread }, tap))
    }

    /// Closes what is open and waits until it is on disk.
    pub(crate) fn finish(self) {
        // The writer always comes back to its queue, so waiting for room ends.
        let _ = self.orders.send(Order::Finish);
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!("a recorder thread had panicked");
        }
    }
}

impl Tap {
    /// Microseconds since the threads started: the clock of arrivals and of recordings.
    pub(crate) fn now_us(&self) -> u64 {
        self.epoch.elapsed().as_micros() as u64
    }

    /// Begins a recording; `None` when the writer is hopelessly behind.
    pub(crate) fn begin(
        &mut self,
        spec: RecordingSpec,
        events: mpsc::Sender<MediaEvent>,
    ) -> Option<u64> {
        self.next += 1;
        let order = Order::Start {
            recording: self.next,
            spec,
            at_us: self.now_us(),
            events,
        };
        self.orders.try_send(order).ok()?;
        self.writer.unpark();
        Some(self.next)
    }

    /// Hands over a received payload; `false` when there is no room.
    pub(crate) fn audio(
        &self,
        recording: u64,
        side: Side,
        codec: Codec,
        packet: &Packet,
        payload: &[u8],
        arrival_us: u64,
    ) -> bool {
        // A byte of G.711 or G.722 is a tick of the clock, so each piece stands for itself.
        let whole = codec == Codec::Opus;
        for (i, bytes) in payload.chunks(PIECE).enumerate() {
            let (begin, end) = (i * PIECE, i * PIECE + bytes.len());
            let (after, before) = if whole {
                (0, 0)
            } else {
                (payload.len() - end, begin)
            };
            let mut piece = Piece {
                recording,
                // What comes first in a packet was also spoken first.
                arrival_us: arrival_us.saturating_sub(after as u64 * 125),
                ssrc: packet.ssrc,
                timestamp: packet.timestamp.wrapping_add(before as u32),
                side,
                codec,
                more: whole && end < payload.len(),
                length: bytes.len() as u8,
                payload: [0; PIECE],
            };
            piece.payload[..bytes.len()].copy_from_slice(bytes);
            if self.pieces.try_send(piece).is_err() {
                return false;
            }
        }
        true
    }

    /// Switches a recording off, or on again.
    pub(crate) fn pause(&mut self, recording: u64, on: bool) {
        self.postponed.push_back(Order::Pause {
            recording,
            at_us: self.now_us(),
            on,
        });
        self.retry();
        self.writer.unpark();
    }

    /// Ends a recording, because it is over or, with a reason, because it failed.
    pub(crate) fn end(&mut self, recording: u64, reason: Option<&'static str>) {
        self.postponed.push_back(Order::Stop {
            recording,
            at_us: self.now_us(),
            reason,
        });
        self.retry();
        self.writer.unpark();
    }

    /// Tries again to hand over what found no room.
    pub(crate) fn retry(&mut self) {
        while let Some(order) = self.postponed.pop_front() {
            if let Err(std::sync::mpsc::TrySendError::Full(order)) = self.orders.try_send(order) {
                self.postponed.push_front(order);
                return;
            }
        }
    }
}
