//! Traces: what was said on the wire, kept so that a person can look at it.
//!
//! A [`Tap`] on every listener hands copies to one task, which takes the secrets
//! out ([`redact`]) before anything is kept or shown. The last messages of all
//! calls are kept anyway, within a fixed memory, because the call one wants to
//! see has usually failed already; a trace collects more, from now on, of one
//! number, device or call. The path of a message costs one atomic read while
//! nothing is kept, else a copy and a bounded queue that drops when it is full.

mod book;
mod hep;
mod ladder;
mod message;
mod pcap;
mod redact;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Transport;
use crate::net::{Local, source_towards};
use book::Book;
pub use book::{Trace, TraceError, TraceInfo};
use hep::Sender;
pub use ladder::ladder;
pub use message::Message;
pub use pcap::{PCAP_HEADER, pcap};
pub(crate) use redact::redact;

/// What is kept of the signalling, and where it is sent.
#[derive(Clone, Debug)]
pub struct TraceConfig {
    /// Octets kept of the last calls' messages; 0 keeps none.
    pub recent_bytes: usize,
    /// A Homer server, reached with HEP version 3 over UDP.
    pub hep_server: Option<SocketAddr>,
    /// Whether it gets all messages and not only those of running traces.
    pub hep_all: bool,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            recent_bytes: 16 << 20,
            hep_server: None,
            hep_all: false,
        }
    }
}

/// Which messages a trace collects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Calls to or from a number, however it is written.
    Number(String),
    /// Everything from and to a device, registrations included.
    Device(String),
    /// One call, by the owner's name of it (see
    /// [`SipStack::belongs_to`](crate::SipStack::belongs_to)) or by a Call-ID.
    Call(String),
    /// Everything.
    All,
}

/// Messages that may wait to be kept; in a rush the trace has gaps, not the calls.
const QUEUE: usize = 8_192;

/// The listeners' end: sees every message that arrives and leaves.
#[derive(Debug)]
pub(crate) struct Tap {
    open: AtomicBool,
    lost: AtomicU64,
    queue: mpsc::Sender<Caught>,
}

/// A message as it passed the tap, secrets included: never shown to anybody.
pub(crate) struct Caught {
    at: Timestamp,
    sent: bool,
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
    octets: Bytes,
}

impl Tap {
    /// One that nobody listens to.
    #[cfg(test)]
    pub fn shut() -> Arc<Self> {
        let (queue, _) = mpsc::channel(1);
        Arc::new(Self {
            open: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            queue,
        })
    }

    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Takes a message that arrived.
    pub fn arrived(&self, local: &Local, remote: SocketAddr, octets: &[u8]) {
        if self.is_open() {
            self.catch(false, local, remote, Bytes::copy_from_slice(octets));
        }
    }

    /// Takes a message that leaves.
    pub fn leaves(&self, local: &Local, remote: SocketAddr, octets: &Bytes) {
        if self.is_open() {
            self.catch(true, local, remote, octets.clone());
        }
    }

    fn catch(&self, sent: bool, local: &Local, remote: SocketAddr, octets: Bytes) {
        // Shorter ones are keep-alives.
        if octets.len() <= 4 {
            return;
        }
        let caught = Caught {
            at: Timestamp::now(),
            sent,
            transport: local.transport,
            local: local.bound,
            remote,
            octets,
        };
        if self.queue.try_send(caught).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The keeping end.
pub(crate) struct Tracer {
    tap: Arc<Tap>,
    book: Mutex<Book>,
    hep: Option<Sender>,
    hep_all: bool,
    /// From where each peer is reached, for listeners that are bound to every address.
    sources: Mutex<HashMap<IpAddr, IpAddr>>,
}

impl Tracer {
    /// The tracer, its tap, and what [`Tracer::run`] reads.
    pub fn new(config: &TraceConfig) -> std::io::Result<(Arc<Self>, mpsc::Receiver<Caught>)> {
        let (queue, caught) = mpsc::channel(QUEUE);
        let tap = Arc::new(Tap {
            open: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            queue,
        });
        let tracer = Self {
            tap,
            book: Mutex::new(Book::new(config.recent_bytes)),
            hep: config.hep_server.map(Sender::to).transpose()?,
            hep_all: config.hep_all,
            sources: Mutex::default(),
        };
        tracer.open_or_shut(&tracer.book());
        Ok((Arc::new(tracer), caught))
    }

    pub fn tap(&self) -> Arc<Tap> {
        Arc::clone(&self.tap)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what the tap caught until told to stop.
    pub async fn run(self: Arc<Self>, mut caught: mpsc::Receiver<Caught>, stop: CancellationToken) {
        const AT_ONCE: usize = 64;
        let mut batch = Vec::with_capacity(AT_ONCE);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                got = caught.recv_many(&mut batch, AT_ONCE) => if got == 0 { return },
            }
            let shown: Vec<Message> = batch.drain(..).map(|one| self.shown(one)).collect();
            let mut book = self.book();
            for message in shown {
                let kept = book.add(message);
                if let Some(hep) = &self.hep
                    && (kept.traced || self.hep_all)
                {
                    hep.send(&kept.message, kept.call.as_deref());
                }
            }
        }
    }

    fn shown(&self, caught: Caught) -> Message {
        let mut local = caught.local;
        if local.ip().is_unspecified() {
            local.set_ip(self.source_towards(caught.remote.ip()));
        }
        Message {
            at: caught.at,
            sent: caught.sent,
            transport: caught.transport,
            local,
            remote: caught.remote,
            octets: redact(&caught.octets).into(),
        }
    }

    fn source_towards(&self, peer: IpAddr) -> IpAddr {
        const REMEMBERED: usize = 4_096;
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() >= REMEMBERED {
            sources.clear();
        }
        let unknown = || source_towards(peer.to_canonical()).unwrap_or(peer);
        *sources.entry(peer).or_insert_with(unknown)
    }

    /// Begins a trace and gives its number.
    pub fn start(&self, filter: Filter, lasting: Duration) -> Result<u64, TraceError> {
        let mut book = self.book();
        let id = book.start(filter, lasting, Timestamp::now())?;
        self.open_or_shut(&book);
        Ok(id)
    }

    /// Ends a trace and gives what it collected.
    pub fn stop(&self, id: u64) -> Option<Trace> {
        let mut book = self.book();
        let trace = book.stop(id, Timestamp::now());
        self.open_or_shut(&book);
        trace
    }

    pub fn list(&self) -> Vec<TraceInfo> {
        self.book().list(Timestamp::now())
    }

    /// What a trace has collected, from the message after the first `skip`.
    pub fn show(&self, id: u64, skip: u64) -> Option<Trace> {
        self.book().show(id, skip, Timestamp::now())
    }

    pub fn belongs_to(&self, sip_call_id: &str, call: &str) {
        if self.tap.is_open() {
            self.book().belongs_to(sip_call_id, call);
        }
    }

    /// What is still kept of a call, oldest first.
    pub fn recent(&self, call: &str) -> Vec<Arc<Message>> {
        self.book().recent(call)
    }

    /// Messages missing in the traces because they came too fast.
    pub fn lost(&self) -> u64 {
        self.tap.lost.load(Ordering::Relaxed)
    }

    /// Lets ended traces rest, so that the tap costs nothing again.
    pub fn tidy(&self) {
        self.open_or_shut(&self.book());
    }

    fn open_or_shut(&self, book: &Book) {
        let open = book.wants_messages(Timestamp::now()) || self.hep.is_some() && self.hep_all;
        self.tap.open.store(open, Ordering::Relaxed);
    }
}
