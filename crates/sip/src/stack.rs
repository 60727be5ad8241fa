//! Starting, using and stopping the whole.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::core::{Core, Entry, Tally};
use crate::guard::Guard;
use crate::net::{
    self, Accepting, CertificateError, Connections, Listening, Local, Port, RateLimit, Shown, Sink,
    Slots,
};
use crate::registrar::Registrar;
use crate::trace::{Filter, Message, Trace, TraceError, TraceInfo, Tracer};
use crate::transaction::Transactions;
use crate::trunk::{self, Dns, ProbeReport, Trunk, TrunkStatus, Trunks};
use crate::{
    Ban, Binding, Dial, DialError, DialogId, Directory, IpNet, Leg, Listener, Replaces, SipConfig,
    SipEvent, Transport, dialog,
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

/// Why a stack did not start.
#[derive(Debug, thiserror::Error)]
pub enum SipError {
    #[error("there is no listener")]
    NoListener,
    #[error("TLS and WSS need a certificate")]
    NoCertificate,
    #[error("the certificate cannot be used")]
    Certificate(#[from] CertificateError),
    #[error("cannot send to the HEP server")]
    Hep(#[from] std::io::Error),
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
    /// Messages missing in traces because they came too fast.
    pub untraced: u64,
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
        if config.listeners.is_empty() {
            return Err(SipError::NoListener);
        }
        let (tracer, caught) = Tracer::new(&config.trace)?;
        let secure = |on: &Listener| matches!(on.transport, Transport::Tls | Transport::Wss);
        let shown = match &config.certificate {
            _ if !config.listeners.iter().any(secure) => None,
            Some(files) => Some(Shown::load(files.clone())?),
            None => return Err(SipError::NoCertificate),
        };
        let near: Arc<[IpNet]> = config.local_networks.clone().into();
        let (mut udp, mut accepting) = (Vec::new(), Vec::new());
        let mut addresses = Vec::new();
        for on in &config.listeners {
            let unbound = |source| SipError::Bind {
                transport: on.transport.as_str(),
                address: on.bind,
                source,
            };
            let mut local = Local {
                transport: on.transport,
                bound: on.bind,
                public: on.public.clone(),
                near: Arc::clone(&near),
            };
            if on.transport == Transport::Udp {
                let port = net::bind(local, tracer.tap()).map_err(unbound)?;
                addresses.push((on.transport, port.local.bound));
                udp.push(Arc::new(port));
                continue;
            }
            let listener = net::listen(on.bind).map_err(unbound)?;
            local.bound = listener.local_addr().map_err(unbound)?;
            addresses.push((on.transport, local.bound));
            accepting.push(Accepting {
                listener,
                local: Arc::new(local),
                tls: shown.as_ref().filter(|_| secure(on)).map(Shown::acceptor),
            });
        }
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
            dns: Dns::new(&config.name_servers),
            events,
            addresses,
            udp: udp.clone(),
            connections: Arc::new(Connections::default()),
            datagrams_only: Mutex::default(),
            listening: OnceLock::new(),
            tasks,
            refusing: stop.child_token(),
            draining: stop.child_token(),
            stop,
            dialogs: Mutex::new(HashMap::new()),
            over: Mutex::default(),
            tracer: Arc::clone(&tracer),
            guard: Guard::new(config.limits.banning.clone()),
            tally: Tally::default(),
            config,
        });
        core.tasks.spawn(tracer.run(caught, core.stop.clone()));
        serve(&core, udp, accepting, shown);
        Ok((
            Self {
                inner: Arc::new(Inner { core }),
            },
            receiver,
        ))
    }

    /// Where the stack really listens (ports taken when 0 was asked for), in the
    /// order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.inner.core.addresses
    }

    /// The first listener of a transport.
    #[must_use]
    pub fn address(&self, transport: Transport) -> Option<SocketAddr> {
        let mut all = self.addresses().iter();
        all.find(|(kind, _)| *kind == transport).map(|(_, at)| *at)
    }

    /// The devices registered for a username now.
    #[must_use]
    pub fn bindings(&self, username: &str) -> Vec<Binding> {
        self.inner.core.registrar.bindings(username)
    }

    #[must_use]
    pub fn counters(&self) -> Counters {
        let core = &self.inner.core;
        let udp = || core.udp.iter();
        let unsent: u64 = udp().map(|port| port.unsent.load(Ordering::Relaxed)).sum();
        Counters {
            datagrams_lost: udp().filter_map(|port| net::lost(&port.socket)).sum(),
            unsent: unsent + core.connections.unsent(),
            noise: core.tally.noise.load(Ordering::Relaxed),
            malformed: core.tally.malformed.load(Ordering::Relaxed),
            banned: core.tally.banned.load(Ordering::Relaxed),
            limited: core.tally.limited.load(Ordering::Relaxed),
            stray_responses: core.tally.stray_responses.load(Ordering::Relaxed),
            untraced: core.tracer.lost(),
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

    /// Begins to collect messages from now on; of a call, also those still kept.
    /// Gives the trace's number.
    ///
    /// # Errors
    /// When as many traces are running as are allowed.
    pub fn start_trace(&self, filter: Filter, lasting: Duration) -> Result<u64, TraceError> {
        self.inner.core.tracer.start(filter, lasting)
    }

    /// Ends a trace, forgets it, and gives what it collected.
    #[must_use]
    pub fn stop_trace(&self, id: u64) -> Option<Trace> {
        self.inner.core.tracer.stop(id)
    }

    /// The traces there are, running and ended.
    #[must_use]
    pub fn traces(&self) -> Vec<TraceInfo> {
        self.inner.core.tracer.list()
    }

    /// What a trace has collected, without the first `skip` messages it ever saw.
    #[must_use]
    pub fn trace(&self, id: u64, skip: u64) -> Option<Trace> {
        self.inner.core.tracer.show(id, skip)
    }

    /// Says of which call a leg is part, so that traces show all its legs together.
    /// `call` is the owner's own name of the call.
    pub fn belongs_to(&self, sip_call_id: &str, call: &str) {
        self.inner.core.tracer.belongs_to(sip_call_id, call);
    }

    /// What is still remembered of a call's signalling, oldest message first. The
    /// call is named as in [`SipStack::belongs_to`], or by one of its Call-IDs.
    #[must_use]
    pub fn signalling(&self, call: &str) -> Vec<Arc<Message>> {
        self.inner.core.tracer.recent(call)
    }

    /// Places a call; the leg tells how it goes.
    ///
    /// # Errors
    /// When nobody is registered, a header is not allowed, or a limit is reached.
    pub async fn dial(&self, dial: Dial) -> Result<Leg, DialError> {
        dialog::dial(&self.inner.core, dial).await
    }

    /// The leg a dialog in a REFER means, as far as it exists and is named rightly.
    #[must_use]
    pub fn replaced(&self, replaces: &Replaces) -> Option<DialogId> {
        dialog::replaced(&self.inner.core, replaces).ok()
    }

    /// The address by which a trunk's carrier sees us, when a NAT translates ours and nothing else was
    /// configured for the listener. The carrier's peers are to send audio there.
    #[must_use]
    pub fn seen_by_trunk(&self, key: &str) -> Option<IpAddr> {
        self.inner.core.trunks.get(key)?.seen()
    }

    /// Takes the complete set of trunks: new ones are registered and asked,
    /// changed ones anew, and those not named are unregistered and forgotten.
    /// Running calls go on.
    pub fn set_trunks(&self, trunks: Vec<Trunk>) {
        trunk::set(&self.inner.core, trunks);
    }

    /// What is known about a trunk; `None` when there is none of this key.
    #[must_use]
    pub fn trunk_status(&self, key: &str) -> Option<TrunkStatus> {
        let line = self.inner.core.trunks.get(key)?;
        Some(line.status())
    }

    /// Tries a trunk once, whether or not it is among those set: looks it up,
    /// connects, sends OPTIONS, and registers if it is to. An own registration
    /// that stands is refreshed by this, not ended. Takes up to 5 seconds a step.
    pub async fn probe_trunk(&self, trunk: Trunk) -> ProbeReport {
        trunk::probe(&self.inner.core, trunk).await
    }

    /// What an HTTP server answers to a request for SIP over WebSocket (RFC 7118 §4): 101, or
    /// with the error's status and text. After 101 the stream goes to [`Self::adopt_websocket`].
    ///
    /// # Errors
    /// When the request is no such handshake, or doesn't name the subprotocol `sip`.
    #[expect(clippy::result_large_err, reason = "the library's types")]
    pub fn websocket_handshake(
        request: &http::Request<()>,
    ) -> Result<http::Response<()>, http::Response<Option<String>>> {
        net::handshake(request)
    }

    /// Serves a WebSocket that another listener accepted, such as the web console's, so that
    /// browsers need one port and one certificate. `bound` is that listener's address; `secure`
    /// says that the browser speaks TLS.
    pub async fn adopt_websocket<S>(
        &self,
        stream: S,
        bound: SocketAddr,
        remote: SocketAddr,
        secure: bool,
    ) where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let local = net::Local {
            transport: if secure {
                Transport::Wss
            } else {
                Transport::Ws
            },
            bound,
            public: None,
            near: [].into(),
        };
        if let Some(listening) = self.inner.core.listening.get() {
            net::adopt(stream, local, remote, listening).await;
        }
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
        // Carriers are told not to send calls here any more.
        let farewell = core.trunks.close();
        let _ = tokio::time::timeout(limit, farewell).await;
        core.stop.cancel();
        core.tasks.close();
        // Every task ends at the stop token; a moment covers those writing.
        let _ = tokio::time::timeout(Duration::from_secs(2), core.tasks.wait()).await;
    }
}

fn serve(
    core: &Arc<Core>,
    udp: Vec<Arc<Port>>,
    accepting: Vec<Accepting>,
    shown: Option<Arc<Shown>>,
) {
    let sink: Arc<dyn Sink> = Arc::new(Entry(Arc::downgrade(core)));
    let listening = Listening {
        sink: Arc::clone(&sink),
        connections: Arc::clone(&core.connections),
        locals: accepting.iter().map(|on| Arc::clone(&on.local)).collect(),
        slots: Arc::new(Slots::new(
            core.config.limits.connections,
            core.config.limits.connections_per_source,
        )),
        tasks: core.tasks.clone(),
        stop: core.stop.clone(),
        message_bytes: core.config.limits.message_bytes,
        idle: core.config.limits.connection_idle,
        keep_open: core.config.limits.keep_open,
        tap: core.tracer.tap(),
    };
    let _ = core.listening.set(listening.clone());
    for port in udp {
        let receiving = net::receive(port, Arc::clone(&sink), core.stop.clone());
        core.tasks.spawn(receiving);
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
    let mut second = 0_u64;
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
        core.tracer.tidy();
        core.registrar.expire(&core).await;
        core.registrar.keep_open(&core, second);
        second = second.wrapping_add(1);
    }
}
