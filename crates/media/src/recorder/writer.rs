use std::{
    collections::HashMap,
    io,
    sync::mpsc::{SyncSender, sync_channel},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::mpsc;

use super::{
    RecordingSpec,
    align::{Arrived, HELD, Track},
    file::{Growing, in_words},
    pauses::{Moment, Pauses},
    tap::{Inlet, Order, Piece, Side},
};
use crate::{
    Codec, MediaEvent,
    codec::{Decoder, LONGEST_PACKET, Rate},
    dtmf::Detector,
};

/// How often the writer looks into the ring.
const PACE: Duration = Duration::from_millis(25);
/// How long a packet may be late and still find its place.
const LAG_US: u64 = 600_000;
/// Samples that are worth a write: half a second. What has not come to the disk is held in memory, for each recording.
const BLOCK: i64 = 4_000;
/// Writes after which the header is made true: a second.
const TRUE_HEADER: u8 = 2;
/// Writes between two checkpoints that are announced.
const ANNOUNCE: u8 = 4;
/// Finished files that may wait to be synced.
const CLOSING: usize = 1_024;

/// Owns all open recordings of one packet thread.
pub(super) struct Writer {
    inlet: Inlet,
    open: HashMap<u64, Open>,
    stopping: Vec<(u64, u64, Option<&'static str>)>,
    finish: bool,
    /// Where samples are put in the order of the file before they are written.
    block: Vec<u8>,
    /// Syncing waits for the disk, so a thread of its own does it.
    closer: Option<(SyncSender<Closed>, JoinHandle<()>)>,
}

/// A recording that grows.
struct Open {
    file: Growing,
    events: mpsc::Sender<MediaEvent>,
    left: Track,
    right: Option<Track>,
    left_ear: Ear,
    right_ear: Ear,
    without_tones: bool,
    start_us: u64,
    pauses: Pauses,
    /// Samples in the file.
    written: i64,
    /// Writes since the header was true, and since that was announced.
    unmarked: u8,
    unannounced: u8,
}

/// Sound before a tone is certain to be one: 60 ms.
const UNCERTAIN: i64 = 480;

/// Decodes one side's pieces.
struct Ear {
    decoder: Option<(Codec, Decoder)>,
    tones: Detector,
    /// What has come of an Opus packet.
    begun: Vec<u8>,
}

impl Default for Ear {
    fn default() -> Self {
        Self {
            decoder: None,
            tones: Detector::new(Rate::Narrow),
            begun: Vec::new(),
        }
    }
}

impl Ear {
    /// Whether a key is heard in these samples.
    fn hears_key(&mut self, samples: &[i16]) -> bool {
        let mut heard = self.tones.is_pressed();
        for sample in samples {
            heard |= self.tones.add(*sample).is_some();
        }
        heard
    }

    /// The samples of a piece; none while its packet isn't complete.
    fn decode(&mut self, piece: &Piece, samples: &mut [i16; LONGEST_PACKET]) -> usize {
        if !matches!(&self.decoder, Some((codec, _)) if *codec == piece.codec) {
            self.decoder = Some((piece.codec, Decoder::new(piece.codec, Rate::Narrow)));
            self.begun.clear();
        }
        let Some((codec, decoder)) = &mut self.decoder else {
            return 0;
        };
        let payload = &piece.payload[..usize::from(piece.length)];
        if self.begun.is_empty() && !piece.more {
            return decoder.decode(*codec, payload, samples);
        }
        self.begun.extend_from_slice(payload);
        if piece.more {
            return 0;
        }
        let length = decoder.decode(*codec, &self.begun, samples);
        self.begun.clear();
        length
    }
}

/// A recording that is complete but for the sync.
struct Closed {
    file: Growing,
    events: mpsc::Sender<MediaEvent>,
}

impl Writer {
    pub(super) fn new(inlet: Inlet) -> Self {
        Self {
            inlet,
            open: HashMap::new(),
            stopping: Vec::new(),
            finish: false,
            block: Vec::new(),
            closer: None,
        }
    }

    pub(super) fn run(mut self) {
        let (sender, closed) = sync_channel::<Closed>(CLOSING);
        match std::thread::Builder::new()
            .name("recorder-close".to_owned())
            .spawn(move || closed.iter().for_each(Closed::close))
        {
            Ok(thread) => self.closer = Some((sender, thread)),
            Err(error) => {
                tracing::warn!(%error, "recordings are closed on the thread that writes them");
            }
        }
        while !self.finish {
            self.turn();
            if self.open.is_empty() && !self.finish {
                std::thread::park();
            } else if !self.finish {
                std::thread::park_timeout(PACE);
            }
        }
        let now_us = self.now_us();
        for id in self.open.keys().copied().collect::<Vec<_>>() {
            self.stop(id, now_us, None);
        }
        if let Some((sender, thread)) = self.closer.take() {
            drop(sender);
            if thread.join().is_err() {
                tracing::error!("the thread that closes recordings had panicked");
            }
        }
    }

    /// One round: orders, then all audio that came before them, then what is old enough to write.
    fn turn(&mut self) {
        self.take_orders();
        while let Ok(piece) = self.inlet.pieces.try_recv() {
            if !self.open.contains_key(&piece.recording) {
                // Its start may have been ordered since we looked.
                self.take_orders();
            }
            if let Some(open) = self.open.get_mut(&piece.recording)
                && let Err(error) = open.take(&piece, &mut self.block)
            {
                self.fail(piece.recording, &in_words(&error));
            }
        }
        for (id, at_us, reason) in std::mem::take(&mut self.stopping) {
            self.stop(id, at_us, reason);
        }
        let now_us = self.now_us();
        let mut failed = Vec::new();
        for (id, open) in &mut self.open {
            let ripe = open.position(now_us.saturating_sub(LAG_US));
            if ripe - open.written >= BLOCK
                && let Err(error) = open
                    .write_to(ripe, &mut self.block)
                    .and_then(|()| open.checkpoint())
            {
                failed.push((*id, in_words(&error)));
            }
        }
        for (id, reason) in failed {
            self.fail(id, &reason);
        }
    }

    fn now_us(&self) -> u64 {
        self.inlet.epoch.elapsed().as_micros() as u64
    }

    fn take_orders(&mut self) {
        while let Ok(order) = self.inlet.orders.try_recv() {
            match order {
                Order::Start {
                    recording,
                    spec,
                    at_us,
                    events,
                } => self.start(recording, &spec, at_us, events),
                // Audio that came before the stop is still in the ring.
                Order::Stop {
                    recording,
                    at_us,
                    reason,
                } => self.stopping.push((recording, at_us, reason)),
                Order::Pause {
                    recording,
                    at_us,
                    on,
                } => {
                    if let Some(open) = self.open.get_mut(&recording) {
                        if on {
                            open.pauses.begin(at_us);
                        } else {
                            open.pauses.end(at_us);
                        }
                    }
                }
                Order::Finish => self.finish = true,
            }
        }
    }

    fn start(
        &mut self,
        id: u64,
        spec: &RecordingSpec,
        start_us: u64,
        events: mpsc::Sender<MediaEvent>,
    ) {
        let channels = if spec.right.is_some() { 2 } else { 1 };
        match Growing::create(&spec.path, channels) {
            Ok(file) => {
                tell(&events, MediaEvent::RecordingStarted);
                let right = spec.right.map(|_| Track::new());
                let open = Open {
                    file,
                    events,
                    left: Track::new(),
                    right,
                    left_ear: Ear::default(),
                    right_ear: Ear::default(),
                    without_tones: spec.without_tones,
                    start_us,
                    pauses: Pauses::new(spec.pause),
                    written: 0,
                    unmarked: 0,
                    unannounced: 0,
                };
                self.open.insert(id, open);
            }
            Err(error) => tell(
                &events,
                MediaEvent::RecordingFailed {
                    reason: in_words(&error),
                    duration_ms: 0,
                },
            ),
        }
    }

    fn stop(&mut self, id: u64, at_us: u64, reason: Option<&'static str>) {
        let Some(mut open) = self.open.remove(&id) else {
            return;
        };
        let end = open.position(at_us);
        let whole = open
            .write_to(end, &mut self.block)
            .and_then(|()| open.file.checkpoint());
        match (whole, reason) {
            (Err(error), _) => open.failed(&in_words(&error)),
            (Ok(()), Some(reason)) => open.failed(reason),
            (Ok(()), None) => {
                let closed = Closed {
                    file: open.file,
                    events: open.events,
                };
                match &self.closer {
                    Some((closer, _)) => {
                        if let Err(refused) = closer.send(closed) {
                            refused.0.close();
                        }
                    }
                    None => closed.close(),
                }
            }
        }
    }

    fn fail(&mut self, id: u64, reason: &str) {
        if let Some(open) = self.open.remove(&id) {
            open.failed(reason);
        }
    }
}

impl Open {
    /// A moment on the recording's clock, in samples.
    fn position(&self, at_us: u64) -> i64 {
        (at_us as i64 - self.start_us as i64 - self.pauses.cut_before(at_us) as i64) / 125
    }

    fn take(&mut self, piece: &Piece, block: &mut Vec<u8>) -> io::Result<()> {
        let mut samples = [0; LONGEST_PACKET];
        let ear = match piece.side {
            Side::Left => &mut self.left_ear,
            Side::Right => &mut self.right_ear,
        };
        let length = ear.decode(piece, &mut samples);
        let samples = &mut samples[..length];
        if samples.is_empty() {
            return Ok(());
        }
        let key = self.without_tones && ear.hears_key(samples);
        if key {
            samples.fill(0);
        }
        let samples = &*samples;
        let Moment::On { ended } = self.pauses.at(piece.arrival_us) else {
            return Ok(());
        };
        let arrived = Arrived {
            ssrc: piece.ssrc,
            timestamp: piece.timestamp,
            ticks: piece.codec.ticks_per_ms() / 8,
            position: self.position(piece.arrival_us),
            pauses: ended,
            samples,
        };
        let track = match (piece.side, &mut self.right) {
            (Side::Left, _) => &mut self.left,
            (Side::Right, Some(right)) => right,
            (Side::Right, None) => return Ok(()),
        };
        let position = track.place(&arrived);
        // Make room when the writer had fallen behind.
        let oldest = position + length as i64 - HELD as i64;
        if oldest > self.written {
            self.write_to(oldest, block)?;
        }
        let track = match (piece.side, &mut self.right) {
            (Side::Right, Some(right)) => right,
            _ => &mut self.left,
        };
        if key {
            track.silence(position - UNCERTAIN, position, self.written);
        }
        track.write(position, self.written, samples);
        Ok(())
    }

    /// Writes everything before a position.
    fn write_to(&mut self, position: i64, block: &mut Vec<u8>) -> io::Result<()> {
        while self.written < position {
            let until = position.min(self.written + BLOCK);
            block.clear();
            for at in self.written..until {
                block.extend_from_slice(&self.left.take(at).to_le_bytes());
                if let Some(right) = &mut self.right {
                    block.extend_from_slice(&right.take(at).to_le_bytes());
                }
            }
            self.file.append(block)?;
            self.written = until;
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> io::Result<()> {
        self.unannounced += 1;
        self.unmarked += 1;
        if self.unmarked < TRUE_HEADER {
            return Ok(());
        }
        self.unmarked = 0;
        self.file.checkpoint()?;
        if self.unannounced >= ANNOUNCE {
            self.unannounced = 0;
            tell(
                &self.events,
                MediaEvent::RecordingCheckpoint {
                    duration_ms: self.file.duration_ms(),
                },
            );
        }
        Ok(())
    }

    fn failed(mut self, reason: &str) {
        // What was written before stays playable, if the disk lets us say so.
        let _ = self.file.checkpoint();
        tracing::warn!(reason, "a recording ended early");
        let event = MediaEvent::RecordingFailed {
            reason: reason.to_owned(),
            duration_ms: self.file.duration_ms(),
        };
        tell(&self.events, event);
    }
}

impl Closed {
    fn close(self) {
        let event = match self.file.sync() {
            Ok(()) => MediaEvent::RecordingStopped {
                duration_ms: self.file.duration_ms(),
                bytes: self.file.bytes(),
            },
            Err(error) => MediaEvent::RecordingFailed {
                reason: in_words(&error),
                duration_ms: self.file.duration_ms(),
            },
        };
        tell(&self.events, event);
    }
}

/// Nobody listens when the call is over; a full queue loses the event, as everywhere.
fn tell(events: &mpsc::Sender<MediaEvent>, event: MediaEvent) {
    if let Err(mpsc::error::TrySendError::Full(event)) = events.try_send(event) {
        tracing::warn!(?event, "a call does not take its events; one was dropped");
    }
}
