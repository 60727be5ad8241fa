//! What every part shares, and where each arriving message is taken.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dialog::{self, Listed, Over};
use crate::guard::{Guard, Offence};
use crate::net::{
    ConnectError, Connections, Flow, Listening, Port, RateLimit, Sink, TlsPeer, connect, source_key,
};
use crate::registrar::Registrar;
use crate::trace::Tracer;
use crate::transaction::{Matched, ServerHandle, Transactions, response_flow};
use crate::trunk::{Dns, Records, Trunks};
use crate::wire::{
    Method, NameAddr, Request, Response, Screened, SipUri, Via, abilities, screen, split_list,
    too_large,
};
use crate::{
    Ban, Binding, DialogId, Directory, Reason, SECURITY_TARGET, SipConfig, SipEvent, Transport,
    TrunkProblem, ident, sdp::SdpError,
};

/// The longest request sent as a datagram where a stream can be had.
const LARGEST_DATAGRAM: usize = 1300;
/// How long we wait for that stream, and how long we remember that there is none.
const STREAM_PATIENCE: Duration = Duration::from_secs(1);
const STREAM_REFUSED: Duration = Duration::from_secs(600);
/// Peers without one that are remembered.
const REMEMBERED_PEERS: usize = 10_000;

pub(crate) struct Core {
    pub config: SipConfig,
    pub directory: Arc<dyn Directory>,
    pub transactions: Arc<Transactions>,
    pub registrar: Registrar,
    pub trunks: Trunks,
    pub dns: Result<Arc<Dns>, String>,
    pub events: mpsc::Sender<SipEvent>,
    pub addresses: Vec<(Transport, SocketAddr)>,
    pub udp: Vec<Arc<Port>>,
    pub connections: Arc<Connections>,
    /// Peers that take no streams, and until when we believe it.
    pub datagrams_only: Mutex<HashMap<SocketAddr, Instant>>,
    pub listening: OnceLock<Listening>,
    pub tasks: TaskTracker,
    /// Ends everything at once.
    pub stop: CancellationToken,
    /// Refuses new calls; everything else is served as ever.
    pub refusing: CancellationToken,
    /// Refuses what is new and ends running legs.
    pub draining: CancellationToken,
    pub dialogs: Mutex<HashMap<DialogId, Listed>>,
    /// Taken after `dialogs`, never before.
    pub over: Mutex<Over>,
    pub limit: Mutex<RateLimit>,
    pub guard: Guard,
    pub tracer: Arc<Tracer>,
    pub tally: Tally,
}

#[derive(Default)]
pub(crate) struct Tally {
    pub noise: AtomicU64,
    pub malformed: AtomicU64,
    pub limited: AtomicU64,
    pub banned: AtomicU64,
    pub stray_responses: AtomicU64,
    pub legs: AtomicUsize,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Core {
    /// The UDP listener that reaches an address: this one if it is still there.
    pub fn port_to(&self, remote: SocketAddr, wanted: Option<SocketAddr>) -> Option<Arc<Port>> {
        let leads = |port: &&Arc<Port>| port.local.leads_to(remote.ip());
        let wanted = self.udp.iter().find(|p| Some(p.local.bound) == wanted);
        let port = wanted.or_else(|| self.udp.iter().find(leads))?;
        Some(Arc::clone(port))
    }

    /// Whether a host in a URI means this server.
    pub fn is_ours(&self, host: &str) -> bool {
        let named = |public: &crate::HostPort| public.host.eq_ignore_ascii_case(host);
        let mut public = self
            .config
            .listeners
            .iter()
            .filter_map(|on| on.public.as_ref());
        let ip = host.parse::<IpAddr>();
        host.eq_ignore_ascii_case(&self.config.realm)
            || public.any(named)
            || ip.is_ok_and(|ip| self.addresses.iter().any(|(_, bound)| bound.ip() == ip))
    }

    /// The way to an address, opening a connection if need be.
    pub async fn flow_to(&self, transport: Transport, remote: SocketAddr) -> Option<Flow> {
        match transport {
            Transport::Udp | Transport::Tcp => self.open(transport, remote, None).await.ok(),
            // Devices open these themselves; browsers cannot be connected to at all.
            Transport::Tls | Transport::Ws | Transport::Wss => {
                self.connections.get(transport, remote, None)
            }
        }
    }

    /// The way to a server: the connection there is, or a new one. Over TLS it
    /// leads to that very peer or nowhere.
    pub async fn open(
        &self,
        transport: Transport,
        remote: SocketAddr,
        peer: Option<&Arc<TlsPeer>>,
    ) -> Result<Flow, ConnectError> {
        match (transport, peer) {
            (Transport::Udp, _) => match self.port_to(remote, None) {
                Some(port) => Ok(Flow::udp(port, remote)),
                None => Err(ConnectError::NoListener),
            },
            (Transport::Tcp, _) | (Transport::Tls, Some(_)) => {
                let peer = peer.filter(|_| transport == Transport::Tls);
                let open = self.connections.get(transport, remote, peer.map(|p| &**p));
                if let Some(flow) = open.filter(Flow::is_open) {
                    return Ok(flow);
                }
                let listening = self.listening.get();
                let listening = listening.ok_or(ConnectError::NoListener)?;
                connect(remote, peer.cloned(), listening).await
            }
            _ => Err(ConnectError::NoListener),
        }
    }

    /// The way to a device: the flow it registered over; when that connection is
    /// gone, a new one to where it listens, if it does.
    pub async fn flow_of(&self, binding: &Binding) -> Option<Flow> {
        if let Some(hop) = binding.path.first() {
            return self.flow_by(hop).await;
        }
        match binding.transport {
            Transport::Udp => {
                let port = self.port_to(binding.received, binding.registered_at)?;
                Some(Flow::udp(port, binding.received))
            }
            connected => match self.connections.get(connected, binding.received, None) {
                Some(flow) => Some(flow),
                None => self.flow_to(connected, binding.listener()?).await,
            },
        }
    }

    /// The way to the host of a Route or Path value.
    pub async fn flow_by(&self, route: &str) -> Option<Flow> {
        let uri = SipUri::parse(&NameAddr::parse(route)?.uri).ok()?;
        let transport = uri.transport.unwrap_or(Transport::Udp);
        let default = if transport == Transport::Tls {
            5061
        } else {
            5060
        };
        let remote = SocketAddr::new(uri.host.parse().ok()?, uri.port.unwrap_or(default));
        self.flow_to(transport, remote).await
    }

    /// A stream in place of datagrams, for a request above the size those should
    /// have; `None` where the peer takes none (RFC 3261 §18.1.1).
    pub async fn stream_instead(&self, flow: &Flow, length: usize) -> Option<Flow> {
        if flow.is_reliable() || length <= LARGEST_DATAGRAM {
            return None;
        }
        let known = || {
            self.datagrams_only
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let until = known().get(&flow.remote).copied();
        if until.is_some_and(|until| until > Instant::now()) {
            return None;
        }
        let opening = self.open(Transport::Tcp, flow.remote, None);
        let opened = tokio::time::timeout(STREAM_PATIENCE, opening).await;
        if let Ok(Ok(stream)) = opened {
            return Some(stream);
        }
        let mut known = known();
        if known.len() >= REMEMBERED_PEERS {
            known.clear();
        }
        known.insert(flow.remote, Instant::now() + STREAM_REFUSED);
        None
    }

    /// Tells the owner; false when it does not keep up.
    pub fn publish(&self, event: SipEvent) -> bool {
        self.events.try_send(event).is_ok()
    }

    fn arrived(self: &Arc<Self>, data: &[u8], flow: &Flow) {
        if self.shuns(flow.remote.ip()) {
            return count(&self.tally.banned);
        }
        flow.tap_arrived(data);
        match screen(data, flow.remote, flow.is_stream()) {
            // A pong for a ping (RFC 5626 §4.4.1 asks for it on connections, phones
            // expect it on UDP too); strangers are not to make us send.
            Screened::KeepAlive => {
                if data == b"\r\n\r\n" && self.registrar.is_device(flow) {
                    flow.send(Bytes::from_static(b"\r\n"));
                }
            }
            Screened::Noise => count(&self.tally.noise),
            Screened::Dropped => count(&self.tally.malformed),
            Screened::Refused(answer) => {
                count(&self.tally.malformed);
                flow.send(Bytes::from(answer));
            }
            Screened::Response(response) => {
                if !self.transactions.match_response(response) {
                    count(&self.tally.stray_responses);
                }
            }
            Screened::Request(request) => self.request(request, flow),
        }
    }

    fn request(self: &Arc<Self>, request: Request, flow: &Flow) {
        if matches!(self.transactions.match_request(&request), Matched::Absorbed) {
            return;
        }
        let in_dialog = request.to_tag().is_some();
        if request.method == Method::Ack {
            if in_dialog {
                dialog::deliver(self, request, None, flow);
            }
            return;
        }
        if !in_dialog && self.transactions.is_merged(&request) {
            let merged = request.response(482, &ident::tag());
            response_flow(&request, flow).send(Bytes::from(merged.to_bytes()));
            return;
        }
        let origin = self.believed_origin(&request, flow);
        let flow = &flow.from(origin.unwrap_or(flow.remote));
        if self.shuns(flow.origin.ip()) {
            return count(&self.tally.banned);
        }
        if !in_dialog && !self.admit(flow.origin.ip()) {
            count(&self.tally.limited);
            return refuse_busy(&request, flow);
        }
        let Some(tx) = self.transactions.open(&request, flow) else {
            count(&self.tally.limited);
            return refuse_busy(&request, flow);
        };
        let tx = tx.with_fallback(&request);
        match request.method {
            Method::Cancel => self.cancel(&request, &tx),
            _ if in_dialog => dialog::deliver(self, request, Some(tx), flow),
            Method::Invite => dialog::invited(self, request, tx, flow),
            Method::Register => crate::registrar::register(self, request, tx, flow),
            Method::Options => tx.respond(&self.options(&request, &tx)),
            Method::Refer => tx.respond(&self.answer(&request, &tx, 603)),
            // BYE, INFO and UPDATE mean nothing outside a dialog.
            _ => tx.respond(&self.answer(&request, &tx, 481)),
        }
    }

    /// Where a request really comes from, if a trusted proxy brought it: what
    /// that proxy noted in the Via below its own (RFC 3261 §18.2.1, RFC 3581).
    fn believed_origin(&self, request: &Request, flow: &Flow) -> Option<SocketAddr> {
        if !self.trusts(flow.remote.ip()) {
            return None;
        }
        let vias = request.headers.all("Via").flat_map(split_list);
        let via = vias.skip(1).find_map(Via::parse)?;
        let ip = via.param("received").unwrap_or_else(|| via.host.clone());
        let port = via.param("rport").and_then(|port| port.parse().ok());
        let port = port.or(via.port).unwrap_or(5060);
        Some(SocketAddr::new(ip.parse().ok()?, port))
    }

    /// Whom we ask for names.
    pub fn records(&self) -> Result<&dyn Records, TrunkProblem> {
        match &self.dns {
            Ok(dns) => Ok(&**dns),
            Err(detail) => Err(TrunkProblem::Local {
                detail: format!("this system's DNS settings can't be used: {detail}"),
            }),
        }
    }

    /// Whether a proxy of ours is there.
    pub fn trusts(&self, hop: IpAddr) -> bool {
        let hop = hop.to_canonical();
        let mut proxies = self.config.trusted_proxies.iter();
        proxies.any(|net| net.contains(&hop))
    }

    /// Whether calls from there are a carrier's.
    pub fn is_carrier(&self, source: SocketAddr) -> bool {
        self.trunks.is_source(source.ip()) || self.directory.admits(source)
    }

    /// Whether nothing from there is listened to.
    fn shuns(&self, source: IpAddr) -> bool {
        self.guard.is_banned(source_key(source), Timestamp::now())
    }

    /// Counts an offence against its source; how long its answer must wait.
    pub fn offended(&self, flow: &Flow, account: Option<&str>, offence: Offence) -> Duration {
        let source = source_key(flow.origin.ip());
        let shared = self.registrar.is_home(source) || self.is_carrier(flow.origin);
        let now = Timestamp::now();
        let follows = self.guard.offended(source, account, offence, shared, now);
        if let Some(ban) = follows.ban {
            report(&ban, flow, account, offence, now);
        }
        follows.delay
    }

    fn admit(&self, source: IpAddr) -> bool {
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        limit.take(source_key(source), Instant::now())
    }

    fn cancel(&self, request: &Request, tx: &ServerHandle) {
        let Some(invite) = self.transactions.cancelled_by(request) else {
            return tx.respond(&self.answer(request, tx, 481));
        };
        // RFC 3261 §9.2: the same To tag as the INVITE's responses.
        tx.respond(&request.response(200, &invite.to_tag));
        invite.cancel(Reason::of(&request.headers));
    }

    /// A response with our name on it, and with what we can.
    pub fn answer(&self, request: &Request, tx: &ServerHandle, status: u16) -> Response {
        let response = request
            .response(status, tx.to_tag())
            .with("Server", self.config.user_agent.clone());
        abilities::of_response(Some(request.method), status)
            .into_iter()
            .fold(response, |response, (name, value)| {
                response.with(name, value)
            })
    }

    /// Refuses a session description, and says why (RFC 3261 §13.3.1.3).
    pub fn refuse_session(
        &self,
        request: &Request,
        tx: &ServerHandle,
        error: &SdpError,
    ) -> Response {
        let warning = format!("{} trunkline \"{error}\"", error.warning());
        let mut response = self.answer(request, tx, error.status());
        response.headers.remove("Warning");
        response.with("Warning", warning)
    }

    pub fn options(&self, request: &Request, tx: &ServerHandle) -> Response {
        // RFC 3261 §11.2: what an INVITE would be told.
        let status = if self.refusing.is_cancelled() {
            503
        } else {
            200
        };
        self.answer(request, tx, status)
    }
}

/// One line for each ban. That of a source has the form of Asterisk's security
/// log, which fail2ban's stock filter reads. That of a pair must not: a firewall
/// would shut out the others behind the same address.
fn report(ban: &Ban, flow: &Flow, account: Option<&str>, offence: Offence, now: Timestamp) {
    let seconds = ban.until.duration_since(now).as_secs();
    let account: String = account
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control() && *c != '"')
        .take(64)
        .collect();
    if ban.account.is_some() {
        return tracing::warn!(
            source = %ban.source, %account, seconds, step = ban.step,
            "an account is not listened to from an address that others share: too many wrong passwords"
        );
    }
    let event = match offence {
        Offence::WrongProof => "InvalidPassword",
        Offence::Unproven => "ChallengeResponseFailed",
        Offence::Uninvited => "FailedACL",
    };
    let ip = flow.origin.ip().to_canonical();
    let family = if ip.is_ipv4() { "IPV4" } else { "IPV6" };
    let (transport, port) = (flow.transport().as_str(), flow.origin.port());
    tracing::warn!(
        target: SECURITY_TARGET,
        "SecurityEvent=\"{event}\",AccountID=\"{account}\",RemoteAddress=\"{family}/{transport}/{ip}/{port}\",BannedSeconds=\"{seconds}\",Step=\"{}\"",
        ban.step
    );
}

/// A stateless 503: it costs nothing to remember.
fn refuse_busy(request: &Request, flow: &Flow) {
    let response = request
        .response(503, &ident::tag())
        .with("Retry-After", "5");
    response_flow(request, flow).send(Bytes::from(response.to_bytes()));
}

/// The listeners' end of the core. Weak, so that listeners do not keep it.
pub(crate) struct Entry(pub Weak<Core>);

impl Sink for Entry {
    fn arrived(&self, data: &[u8], flow: &Flow) {
        if let Some(core) = self.0.upgrade() {
            core.arrived(data, flow);
        }
    }

    fn oversized(&self, head: &[u8], flow: &Flow) {
        let Some(core) = self.0.upgrade() else { return };
        if core.shuns(flow.remote.ip()) {
            return count(&core.tally.banned);
        }
        count(&core.tally.malformed);
        if let Some(answer) = too_large(head, flow.remote) {
            flow.send(Bytes::from(answer));
        }
    }

    fn noise(&self) {
        if let Some(core) = self.0.upgrade() {
            count(&core.tally.noise);
        }
    }

    fn closed(&self, flow: &Flow) {
        if let Some(core) = self.0.upgrade() {
            crate::registrar::disconnected(&core, flow);
        }
    }

    fn welcomes(&self, source: IpAddr) -> bool {
        self.0.upgrade().is_some_and(|core| !core.shuns(source))
    }

    fn keeps(&self, flow: &Flow) -> bool {
        self.0
            .upgrade()
            .is_some_and(|core| core.registrar.is_device(flow) || core.trunks.uses(flow))
    }
}
