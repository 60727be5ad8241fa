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

use crate::dialog::{self, DialogKey, InDialog};
use crate::guard::{Guard, Offence};
use crate::net::{Connections, Flow, Listening, Port, RateLimit, Sink, connect, source_key};
use crate::registrar::Registrar;
use crate::stack::Addresses;
use crate::transaction::{Matched, ServerHandle, Transactions, response_flow};
use crate::trunk::Trunks;
use crate::wire::{ALLOW, Method, Request, Response, SUPPORTED, Screened, screen};
use crate::{
    Ban, Binding, Directory, Reason, SECURITY_TARGET, SipConfig, SipEvent, Transport, ident,
};

pub(crate) struct Core {
    pub config: SipConfig,
    pub directory: Arc<dyn Directory>,
    pub transactions: Arc<Transactions>,
    pub registrar: Registrar,
    pub trunks: Trunks,
    pub events: mpsc::Sender<SipEvent>,
    pub addresses: Addresses,
    pub udp: Option<Arc<Port>>,
    pub connections: Arc<Connections>,
    pub listening: OnceLock<Listening>,
    pub tasks: TaskTracker,
    /// Ends everything at once.
    pub stop: CancellationToken,
    /// Refuses new calls; everything else is served as ever.
    pub refusing: CancellationToken,
    /// Refuses what is new and ends running legs.
    pub draining: CancellationToken,
    pub dialogs: Mutex<HashMap<DialogKey, mpsc::Sender<InDialog>>>,
    pub limit: Mutex<RateLimit>,
    pub guard: Guard,
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
    /// A Via for a request of ours over this flow.
    pub fn via(&self, flow: &Flow, branch: &str) -> String {
        let transport = flow.transport();
        format!(
            "SIP/2.0/{} {};branch={branch};rport",
            transport.as_str(),
            self.authority(transport)
        )
    }

    /// Where peers reach us over a transport.
    pub fn contact(&self, transport: Transport) -> String {
        let parameter = match transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
            // RFC 7118 §5.3 has one value for both.
            Transport::Ws | Transport::Wss => ";transport=ws",
        };
        format!("<sip:{}{parameter}>", self.authority(transport))
    }

    pub fn authority(&self, transport: Transport) -> String {
        let bound = match transport {
            Transport::Udp => self.addresses.udp,
            // A connection we opened from a node without a TCP listener.
            Transport::Tcp => self.addresses.tcp.or(self.addresses.udp),
            Transport::Tls => self.addresses.tls,
            Transport::Ws => self.addresses.ws,
            Transport::Wss => self.addresses.wss,
        };
        let port = bound.map_or(5060, |address| address.port());
        SocketAddr::new(self.config.advertise, port).to_string()
    }

    /// The way to an address, opening a connection if need be.
    pub async fn flow_to(&self, transport: Transport, remote: SocketAddr) -> Option<Flow> {
        match transport {
            Transport::Udp => Some(Flow::udp(Arc::clone(self.udp.as_ref()?), remote)),
            Transport::Tcp => match self.connections.get(transport, remote) {
                Some(flow) => Some(flow),
                None => connect(remote, self.listening.get()?).await,
            },
            // Devices open these themselves; browsers cannot be connected to at all.
            Transport::Tls | Transport::Ws | Transport::Wss => {
                self.connections.get(transport, remote)
            }
        }
    }

    /// The way to a device: the flow it registered over; when that connection is
    /// gone, a new one to where it listens, if it does.
    pub async fn flow_of(&self, binding: &Binding) -> Option<Flow> {
        match binding.transport {
            Transport::Udp => self.flow_to(Transport::Udp, binding.received).await,
            connected => match self.connections.get(connected, binding.received) {
                Some(flow) => Some(flow),
                None => self.flow_to(connected, binding.listener()?).await,
            },
        }
    }

    /// Tells the owner; false when it does not keep up.
    pub fn publish(&self, event: SipEvent) -> bool {
        self.events.try_send(event).is_ok()
    }

    fn arrived(self: &Arc<Self>, data: &[u8], flow: &Flow) {
        if self.shuns(flow.remote.ip()) {
            return count(&self.tally.banned);
        }
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
        if !in_dialog && !self.admit(flow.remote.ip()) {
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

    /// Whether nothing from there is listened to.
    fn shuns(&self, source: IpAddr) -> bool {
        self.guard.is_banned(source_key(source), Timestamp::now())
    }

    /// Counts an offence against its source; how long its answer must wait.
    pub fn offended(&self, flow: &Flow, account: Option<&str>, offence: Offence) -> Duration {
        let source = source_key(flow.remote.ip());
        let shared = self.registrar.is_home(source) || self.directory.admits(flow.remote);
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

    /// A response with our name on it.
    pub fn answer(&self, request: &Request, tx: &ServerHandle, status: u16) -> Response {
        request
            .response(status, tx.to_tag())
            .with("Server", self.config.user_agent.clone())
    }

    pub fn options(&self, request: &Request, tx: &ServerHandle) -> Response {
        // RFC 3261 §11.2: what an INVITE would be told.
        let status = if self.refusing.is_cancelled() {
            503
        } else {
            200
        };
        self.answer(request, tx, status)
            .with("Allow", ALLOW)
            .with(
                "Accept",
                "application/sdp, application/dtmf-relay, application/dtmf",
            )
            .with("Accept-Encoding", "identity")
            .with("Accept-Language", "en")
            .with("Supported", SUPPORTED)
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
    let ip = flow.remote.ip().to_canonical();
    let family = if ip.is_ipv4() { "IPV4" } else { "IPV6" };
    let (transport, port) = (flow.transport().as_str(), flow.remote.port());
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
            .is_some_and(|core| core.registrar.is_device(flow))
    }
}
