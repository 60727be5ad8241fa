//! Starting, using and stopping the whole.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::core::{Core, Entry, Tally};
use crate::guard::Guard;
use crate::net::{
    self, Accepting, CertificateError, Connections, Listening, Port, RateLimit, Shown, Sink,
};
use crate::registrar::Registrar;
use crate::transaction::Transactions;
use crate::trunk::{ProbeReport, Trunk, TrunkStatus, Trunks};
use crate::{
    Ban, Binding, Dial, DialError, Directory, Leg, SipConfig, SipEvent, Transport, dialog,
};

/// The running signalling of one node. Cheap to clone; when the last clone is
/// dropped everything stops at once, without a word to the peers. Prefer
/// [`SipStack::shutdown`].
#[derive(Clone)]
pub struct SipStack {
    inner: Arc<Inner>,
}

struct Inner {
    core: Arc<Core>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.core.stop.cancel();
    }
}

/// Where the stack really listens (ports taken when 0 was asked for).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub udp: Option<SocketAddr>,
    pub tcp: Option<SocketAddr>,
    pub tls: Option<SocketAddr>,
    pub ws: Option<SocketAddr>,
    pub wss: Option<SocketAddr>,
}

/// Why a stack did not start.
#[derive(Debug, thiserror::Error)]
pub enum SipError {
    #[error("no transport has an address to listen on")]
    NoListener,
    #[error("TLS and WSS need a certificate")]
    NoCertificate,
    #[error("the certificate cannot be used")]
    Certificate(#[from] CertificateError),
    #[error("cannot listen on {transport} {address}")]
    Bind {
        transport: &'static str,
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

/// Totals since start, and what is running now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams and stream data that were no SIP message at all.
    pub noise: u64,
    /// Messages refused or dropped by the validation stage.
    pub malformed: u64,
    /// Requests refused with 503 by a limit.
    pub limited: u64,
    /// Messages of banned sources, dropped unread.
    pub banned: u64,
    /// Responses nothing waited for.
    pub stray_responses: u64,
    /// Datagrams the kernel threw away because we did not read fast enough.
    pub datagrams_lost: u64,
    /// Messages of ours that a full socket or a stuck peer did not take.
    pub unsent: u64,
    /// Transactions running now.
    pub transactions: usize,
    /// Legs alive now.
    pub legs: usize,
}

impl SipStack {
    /// Binds the listeners, reloads the bindings kept by the directory and serves.
    ///
    /// # Errors
    /// When there is no listener, or an address cannot be bound.
    pub async fn start(
        config: SipConfig,
        directory: Arc<dyn Directory>,
    ) -> Result<(Self, mpsc::Receiver<SipEvent>), SipError> {
        let connections = [config.tcp, config.tls, config.ws, config.wss];
        if config.udp.is_none() && connections.iter().all(Option::is_none) {
            return Err(SipError::NoListener);
        }
        let udp = match config.udp {
            Some(address) => Some(Arc::new(net::bind(address).map_err(|source| {
                SipError::Bind {
                    transport: "UDP",
                    address,
                    source,
                }
            })?)),
            None => None,
        };
        let shown = match (&config.certificate, config.tls.or(config.wss)) {
            (Some(files), Some(_)) => Some(Shown::load(files.clone())?),
            (None, Some(_)) => return Err(SipError::NoCertificate),
            (_, None) => None,
        };
        let mut accepting = Vec::new();
        for (transport, address) in [
            (Transport::Tcp, config.tcp),
            (Transport::Tls, config.tls),
            (Transport::Ws, config.ws),
            (Transport::Wss, config.wss),
        ] {
            let Some(address) = address else { continue };
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(|source| SipError::Bind {
                transport: transport.as_str(),
                address,
                source,
            })?;
            let secure = matches!(transport, Transport::Tls | Transport::Wss);
            accepting.push(Accepting {
                listener,
                transport,
                tls: shown.as_ref().filter(|_| secure).map(Shown::acceptor),
            });
        }
        let bound = |transport| {
            let mut on = accepting.iter().filter(|on| on.transport == transport);
            on.next().and_then(|on| on.listener.local_addr().ok())
        };
        let addresses = Addresses {
            udp: udp.as_ref().and_then(|port| port.socket.local_addr().ok()),
            tcp: bound(Transport::Tcp),
            tls: bound(Transport::Tls),
            ws: bound(Transport::Ws),
            wss: bound(Transport::Wss),
        };
        let registrar = Registrar::new(&config, directory.load_bindings().await);
        let limits = &config.limits;
        let (events, receiver) = mpsc::channel(limits.events.max(1));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let transactions = Arc::new(Transactions::new(
            limits.t1,
            limits.transactions,
            tasks.clone(),
            stop.clone(),
        ));
        let core = Arc::new(Core {
            limit: Mutex::new(RateLimit::new(
                limits.requests_per_second,
                limits.request_burst,
            )),
            directory,
            transactions,
            registrar,
            trunks: Trunks::default(),
            events,
            addresses,
            udp: udp.clone(),
            connections: Arc::new(Connections::default()),
            listening: OnceLock::new(),
            tasks,
            refusing: stop.child_token(),
            draining: stop.child_token(),
            stop,
            dialogs: Mutex::new(HashMap::new()),
            guard: Guard::new(config.limits.banning.clone()),
            tally: Tally::default(),
            config,
        });
        serve(&core, udp, accepting, shown);
        Ok((
            Self {
                inner: Arc::new(Inner { core }),
            },
            receiver,
        ))
    }

    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.inner.core.addresses
    }

    /// The devices registered for a username now.
    #[must_use]
    pub fn bindings(&self, username: &str) -> Vec<Binding> {
        self.inner.core.registrar.bindings(username)
    }

    #[must_use]
    pub fn counters(&self) -> Counters {
        let core = &self.inner.core;
        let udp = core.udp.as_ref();
        let unsent = udp.map_or(0, |port| port.unsent.load(Ordering::Relaxed));
        Counters {
            datagrams_lost: udp.and_then(|port| net::lost(&port.socket)).unwrap_or(0),
            unsent: unsent + core.connections.unsent(),
            noise: core.tally.noise.load(Ordering::Relaxed),
            malformed: core.tally.malformed.load(Ordering::Relaxed),
            banned: core.tally.banned.load(Ordering::Relaxed),
            limited: core.tally.limited.load(Ordering::Relaxed),
            stray_responses: core.tally.stray_responses.load(Ordering::Relaxed),
            transactions: core.transactions.running(),
            legs: core.tally.legs.load(Ordering::Relaxed),
        }
    }

    /// The bans in force, the longest first.
    #[must_use]
    pub fn bans(&self) -> Vec<Ban> {
        self.inner.core.guard.list(Timestamp::now())
    }

    /// Listens to a source again; how many bans that ended.
    pub fn lift_ban(&self, source: IpAddr) -> usize {
        let source = net::source_key(source);
        self.inner.core.guard.lift(source, Timestamp::now())
    }

    /// Places a call; the leg tells how it goes.
    ///
    /// # Errors
    /// When nobody is registered, a header is not allowed, or a limit is reached.
    pub async fn dial(&self, dial: Dial) -> Result<Leg, DialError> {
        dialog::dial(&self.inner.core, dial).await
    }

    /// Takes the complete set of trunks: new ones are registered and asked,
    /// changed ones anew, and those not named are unregistered and forgotten.
    /// Running calls go on.
    pub fn set_trunks(&self, trunks: Vec<Trunk>) {
        self.inner.core.trunks.set(trunks);
    }

    /// What is known about a trunk; `None` when there is none of this key.
    #[must_use]
    pub fn trunk_status(&self, key: &str) -> Option<TrunkStatus> {
        self.inner.core.trunks.status(key)
    }

    /// Tries a trunk once, whether or not it is among those set: looks it up,
    /// connects, sends OPTIONS, and registers if it is to. An own registration
    /// that stands is refreshed by this, not ended. Takes up to 5 seconds a step.
    pub async fn probe_trunk(&self, trunk: Trunk) -> ProbeReport {
        let _ = trunk;
        ProbeReport::default()
    }

    /// Refuses new calls with 503 from now on. Registrations, running calls and
    /// the calls those need are served as ever.
    pub fn refuse_calls(&self) {
        self.inner.core.refusing.cancel();
    }

    /// Refuses new calls, ends running legs, and stops once they have ended or
    /// the limit is reached.
    pub async fn shutdown(&self, limit: Duration) {
        let core = &self.inner.core;
        core.refusing.cancel();
        core.draining.cancel();
        let ended = async {
            while core.tally.legs.load(Ordering::Relaxed) > 0 || core.transactions.running() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(limit, ended).await;
        core.stop.cancel();
        core.tasks.close();
        // Every task ends at the stop token; a moment covers those writing.
        let _ = tokio::time::timeout(Duration::from_secs(2), core.tasks.wait()).await;
    }
}

fn serve(
    core: &Arc<Core>,
    udp: Option<Arc<Port>>,
    accepting: Vec<Accepting>,
    shown: Option<Arc<Shown>>,
) {
    let sink: Arc<dyn Sink> = Arc::new(Entry(Arc::downgrade(core)));
    let listening = Listening {
        sink: Arc::clone(&sink),
        connections: Arc::clone(&core.connections),
        slots: Arc::new(Semaphore::new(
            core.config.limits.connections.min(Semaphore::MAX_PERMITS),
        )),
        tasks: core.tasks.clone(),
        stop: core.stop.clone(),
        message_bytes: core.config.limits.message_bytes,
        idle: core.config.limits.connection_idle,
    };
    let _ = core.listening.set(listening.clone());
    if let Some(port) = udp {
        core.tasks
            .spawn(net::receive(port, sink, core.stop.clone()));
    }
    for on in accepting {
        core.tasks.spawn(net::accept(on, listening.clone()));
    }
    core.tasks.spawn(housekeeping(Arc::clone(core), shown));
}

/// Looks for a new certificate, and forgets what is over: completed transactions, expired bindings, rested sources.
async fn housekeeping(core: Arc<Core>, shown: Option<Arc<Shown>>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = core.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Some(shown) = &shown {
            shown.refresh();
        }
        let now = Instant::now();
        core.transactions.sweep(now);
        core.limit
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .forget_rested(now);
        core.guard.forget(Timestamp::now());
        core.registrar.expire(&core).await;
    }
}
