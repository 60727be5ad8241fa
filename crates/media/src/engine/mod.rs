//! The threads that move packets, and the handles through which a service drives them.

mod call;
mod command;
mod event;
mod health;
mod hearing;
mod leg;
mod mix;
mod playing;
mod presence;
mod room;
mod sender;
mod voice;
mod wheel;
mod wire;
mod worker;

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use tokio::sync::mpsc;

pub use self::{
    call::{BrowserEnd, CallMedia},
    command::{RemoteMedia, TelephoneEvent},
    event::{LegQuality, MediaEvent},
    health::Health,
    mix::{Hears, Party},
    room::{Room, SEATS},
};
use self::{
    command::{Command, Inbox, Port},
    health::Lateness,
    worker::Worker,
};
use crate::{ports::Ports, recorder::Recorder, webrtc::Identity};

/// Events a call may have waiting before they are dropped and counted.
const EVENT_QUEUE: usize = 256;
/// Commands a thread may have waiting.
const COMMAND_QUEUE: usize = 1_024;

/// Where the engine works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaConfig {
    /// The address sockets are bound to.
    pub bind: IpAddr,
    /// The address peers are told.
    pub advertise: IpAddr,
    /// An address of the other IP family, bound and told as it is, for peers that need it.
    pub other_family: Option<IpAddr>,
    /// First and last port of the range for RTP and RTCP.
    pub ports: (u16, u16),
    /// Threads that move packets; 0 counts as 1.
    pub threads: usize,
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The configured range holds no even port followed by an odd one.
    #[error("the RTP port range {from}-{to} holds no even port followed by an odd one")]
    PortRange {
        /// First port.
        from: u16,
        /// Last port.
        to: u16,
    },
    /// All pairs of the range are in use, or the system refuses them.
    #[error("no RTP port is free in the configured range")]
    NoPorts(#[source] std::io::Error),
    /// A thread or its poll could not be made.
    #[error("could not start a media thread")]
    Start(#[source] std::io::Error),
    /// There would be no way to be recognised by browsers.
    #[error("could not make a certificate for browsers: {0}")]
    Certificate(String),
    /// The engine was shut down.
    #[error("the media engine has stopped")]
    Stopped,
}

/// Moves the audio of all calls. Cheap to clone; ends when it is shut down.
#[derive(Clone, Debug)]
pub struct MediaEngine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    doors: Doors,
    /// Who we are to browsers.
    identity: Arc<Identity>,
    inboxes: Vec<Inbox>,
    counters: Vec<Arc<Counters>>,
    next_call: AtomicU64,
    threads: Mutex<Vec<JoinHandle<()>>>,
    recorders: Mutex<Vec<Recorder>>,
}

/// What a thread has counted; written by it alone.
#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    packets_in: AtomicU64,
    packets_out: AtomicU64,
    foreign: AtomicU64,
    invalid: AtomicU64,
    events_dropped: AtomicU64,
    recordings_cut: AtomicU64,
    lateness: Lateness,
}

/// Sums over all threads since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Calls open now.
    pub calls: u64,
    /// RTP packets received.
    pub packets_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Packets refused because they came from somebody else than the leg's peer.
    pub foreign_packets: u64,
    /// Datagrams that were no RTP or of no agreed payload type.
    pub invalid_packets: u64,
    /// Events dropped because a call's queue was full.
    pub events_dropped: u64,
    /// Recordings ended early because the writer could not keep up.
    pub recordings_cut: u64,
}

impl MediaEngine {
    /// Starts the threads. No port is bound before a leg needs one.
    ///
    /// # Errors
    /// When the port range holds no pair, or a thread can't be made.
    pub fn start(config: MediaConfig) -> Result<Self, MediaError> {
        let (from, to) = config.ports;
        let door = |bind, advertise| {
            let ports = Ports::new(bind, config.ports).ok_or(MediaError::PortRange { from, to })?;
            Ok(Door { ports, advertise })
        };
        let other = config.other_family.map(|ip| door(ip, ip)).transpose()?;
        let mut shared = Shared {
            doors: Doors {
                first: door(config.bind, config.advertise)?,
                other,
            },
            identity: Arc::new(Identity::generate().map_err(MediaError::Certificate)?),
            inboxes: Vec::new(),
            counters: Vec::new(),
            next_call: AtomicU64::new(0),
            threads: Mutex::default(),
            recorders: Mutex::default(),
        };
        // Threads share it, so that they count the same ticks.
        let epoch = Instant::now();
        for number in 0..config.threads.max(1) {
            shared
                .start_thread(number, epoch)
                .map_err(MediaError::Start)?;
        }
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Opens a call without legs. All its legs will live on one thread; dropping the handle
    /// closes them, ends its recording and frees its ports.
    #[must_use]
    pub fn open_call(&self) -> (CallMedia, mpsc::Receiver<MediaEvent>) {
        let (events, receiver) = mpsc::channel(EVENT_QUEUE);
        let id = self.shared.next_call.fetch_add(1, Ordering::Relaxed);
        let inbox = self.shared.inboxes[id as usize % self.shared.inboxes.len()].clone();
        inbox.send(Command::OpenCall { call: id, events });
        (
            CallMedia::new(
                id,
                inbox,
                self.shared.doors.clone(),
                Arc::clone(&self.shared.identity),
            ),
            receiver,
        )
    }

    /// Counters for the operator.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let mut stats = EngineStats::default();
        for counters in &self.shared.counters {
            stats.calls += counters.calls.load(Ordering::Relaxed);
            stats.packets_in += counters.packets_in.load(Ordering::Relaxed);
            stats.packets_out += counters.packets_out.load(Ordering::Relaxed);
            stats.foreign_packets += counters.foreign.load(Ordering::Relaxed);
            stats.invalid_packets += counters.invalid.load(Ordering::Relaxed);
            stats.events_dropped += counters.events_dropped.load(Ordering::Relaxed);
            stats.recordings_cut += counters.recordings_cut.load(Ordering::Relaxed);
        }
        stats
    }

    /// How punctual the threads have been lately.
    #[must_use]
    pub fn health(&self) -> Health {
        Health::of(
            self.shared
                .counters
                .iter()
                .map(|counters| &counters.lateness),
        )
    }

    /// Ends every call and recording and waits for the threads; a recording is safe on disk
    /// when this returns. Waits for the disk, so call it at the very end.
    pub fn shutdown(&self) {
        for inbox in &self.shared.inboxes {
            inbox.send(Command::Shutdown);
        }
        let threads = std::mem::take(
            &mut *self
                .shared
                .threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a media thread had panicked");
            }
        }
        let recorders = std::mem::take(
            &mut *self
                .shared
                .recorders
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for recorder in recorders {
            recorder.finish();
        }
    }
}

impl Shared {
    fn start_thread(&mut self, number: usize, epoch: Instant) -> std::io::Result<()> {
        let (inbox, port) = Port::new(COMMAND_QUEUE)?;
        let counters = Arc::new(Counters::default());
        let (recorder, tap) = Recorder::start(number, epoch)?;
        let worker = Worker::new(port, Arc::clone(&counters), tap);
        let thread = std::thread::Builder::new()
            .name(format!("media-{number}"))
            .spawn(move || worker.run())?;
        self.inboxes.push(inbox);
        self.counters.push(counters);
        self.threads
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .push(thread);
        self.recorders
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .push(recorder);
        Ok(())
    }
}

/// Where legs are received: ports of an address, and the address that peers are told.
#[derive(Clone, Debug)]
struct Door {
    ports: Ports,
    advertise: IpAddr,
}

/// The doors of both IP families.
#[derive(Clone, Debug)]
struct Doors {
    first: Door,
    other: Option<Door>,
}

impl Doors {
    /// The door for a peer at an address: of its family, if there is one.
    fn towards(&self, peer: Option<IpAddr>) -> &Door {
        let suits = |door: &&Door| peer.is_some_and(|ip| ip.is_ipv4() == door.advertise.is_ipv4());
        self.other.as_ref().filter(suits).unwrap_or(&self.first)
    }
}
