//! RFC 3261 §17 with the corrections of RFC 6026: one request and its
//! responses, repeated as often as the network needs.

mod client;
mod server;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::net::Flow;
use crate::wire::{Method, Request, Response, Via, cseq, split_list};
pub(crate) use client::{ClientEvent, Outgoing};
pub(crate) use server::ServerHandle;
use server::ServerTx;

/// Completed server transactions kept to answer retransmissions, per slot of
/// the running limit.
const LINGERING_PER_RUNNING: usize = 4;

/// The protocol's timers, derived from T1 (RFC 3261 table 4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers {
    pub t1: Duration,
}

impl Timers {
    /// The longest interval between repetitions.
    pub fn t2(self) -> Duration {
        self.t1 * 8
    }

    /// 64*T1: timers B, D (at least), F, H, J, L and M.
    pub fn give_up(self) -> Duration {
        self.t1 * 64
    }
}

/// What a request that arrived meant to the transactions.
pub(crate) enum Matched {
    /// Nothing is known of it: a new transaction.
    New,
    /// It repeated what was answered, or acknowledged a refusal: done.
    Absorbed,
}

pub(crate) struct Transactions {
    pub timers: Timers,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
    limit: usize,
    running: Arc<Semaphore>,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    server: HashMap<Arc<str>, Arc<ServerTx>>,
    lingering: VecDeque<(Instant, Arc<str>)>,
    client: HashMap<String, mpsc::Sender<Response>>,
    /// Requests outside dialogs by what RFC 3261 §8.2.2.2 compares, with their key.
    first: HashMap<Arc<str>, Arc<str>>,
}

impl Transactions {
    pub fn new(t1: Duration, limit: usize, tasks: TaskTracker, stop: CancellationToken) -> Self {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            timers: Timers { t1 },
            tasks,
            stop,
            limit,
            running: Arc::new(Semaphore::new(limit)),
            tables: Mutex::default(),
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn running(&self) -> usize {
        self.limit.saturating_sub(self.running.available_permits())
    }

    fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.running).try_acquire_owned().ok()
    }

    /// Whether the request belongs to a transaction already there.
    pub fn match_request(&self, request: &Request) -> Matched {
        let Some(tx) = self
            .tables()
            .server
            .get(server_key(request, request.method).as_str())
            .cloned()
        else {
            return Matched::New;
        };
        if request.method == Method::Ack {
            // An ACK to a 2xx is the dialog's, even if a peer reuses the branch.
            return if tx.acknowledge() {
                Matched::Absorbed
            } else {
                Matched::New
            };
        }
        tx.repeat();
        Matched::Absorbed
    }

    /// Whether the same request is being served already, having come another
    /// way: a proxy between us and its sender forked it (RFC 3261 §8.2.2.2).
    pub fn is_merged(&self, request: &Request) -> bool {
        let Some(name) = merged_key(request) else {
            return false;
        };
        let tables = self.tables();
        let first = tables.first.get(name.as_str());
        let first = first.and_then(|key| tables.server.get(key));
        // What was refused may be tried again; clients exist that then keep their CSeq.
        first.is_some_and(|tx| tx.is_served())
    }

    /// The INVITE transaction a CANCEL means.
    pub fn cancelled_by(&self, cancel: &Request) -> Option<Arc<ServerTx>> {
        self.tables()
            .server
            .get(server_key(cancel, Method::Invite).as_str())
            .cloned()
    }

    /// Opens a server transaction; `None` when too many are running.
    pub fn open(self: &Arc<Self>, request: &Request, flow: &Flow) -> Option<ServerHandle> {
        let permit = self.permit()?;
        let key: Arc<str> = server_key(request, request.method).into();
        let tx = Arc::new(ServerTx::new(
            key.clone(),
            request,
            response_flow(request, flow),
            permit,
        ));
        let mut tables = self.tables();
        if let Some(name) = &tx.merged_key {
            tables.first.insert(name.clone(), key.clone());
        }
        tables.server.insert(key, Arc::clone(&tx));
        drop(tables);
        Some(ServerHandle::new(tx, Arc::clone(self)))
    }

    /// Keeps a completed transaction for as long as its request may be repeated.
    fn linger(&self, key: Arc<str>) {
        let until = Instant::now() + self.timers.give_up();
        let mut tables = self.tables();
        tables.lingering.push_back((until, key));
        while tables.lingering.len() > self.limit.saturating_mul(LINGERING_PER_RUNNING) {
            tables.forget_oldest();
        }
    }

    /// Forgets a completed transaction that cannot come again.
    fn forget(&self, key: &str) {
        self.tables().forget(key);
    }

    /// Forgets completed transactions whose time is over.
    pub fn sweep(&self, now: Instant) {
        let mut tables = self.tables();
        while tables
            .lingering
            .front()
            .is_some_and(|(until, _)| *until <= now)
        {
            tables.forget_oldest();
        }
    }

    /// Hands a response to the client transaction that waits for it.
    pub fn match_response(&self, response: Response) -> bool {
        let Some(key) = client_key_of(&response) else {
            return false;
        };
        let waiting = self.tables().client.get(&key).cloned();
        // A full queue means a peer repeats itself faster than we read: lose it.
        waiting.is_some_and(|w| {
            !matches!(
                w.try_send(response),
                Err(mpsc::error::TrySendError::Closed(_))
            )
        })
    }
}

impl Tables {
    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.lingering.pop_front() {
            self.forget(&key);
        }
    }

    fn forget(&mut self, key: &str) {
        let name = self.server.remove(key);
        let name = name.and_then(|tx| tx.merged_key.clone());
        if let Some(name) = name.filter(|name| self.first.get(name).is_some_and(|k| **k == *key)) {
            self.first.remove(&name);
        }
    }
}

/// Where responses go (RFC 3261 §18.2.2, RFC 3581): back along the connection;
/// by UDP to the source, unless the peer names its own address with another port.
pub(crate) fn response_flow(request: &Request, flow: &Flow) -> Flow {
    match request.top_via() {
        Some(via) if !via.wants_rport() && via.sent_by_is(flow.remote.ip()) => {
            flow.to_port(via.port.unwrap_or(5060))
        }
        _ => flow.clone(),
    }
}

/// RFC 3261 §17.2.3: branch, sent-by and method; for a branch without the
/// cookie, the headers that identified a transaction before there was one.
fn server_key(request: &Request, method: Method) -> String {
    let method = if method == Method::Ack {
        Method::Invite
    } else {
        method
    };
    let via = request.top_via();
    let sent_by = via
        .as_ref()
        .map(|v| format!("{}:{:?}", v.host, v.port))
        .unwrap_or_default();
    match via
        .and_then(|v| v.branch())
        .filter(|b| b.starts_with("z9hG4bK"))
    {
        // The Call-ID keeps apart peers that reuse a constant branch.
        Some(branch) => format!("{branch} {sent_by} {method} {}", request.call_id()),
        None => format!(
            "- {sent_by} {method} {} {} {}",
            request.call_id(),
            request.sender_tag().unwrap_or_default(),
            request.cseq(),
        ),
    }
}

/// What tells a request outside dialogs apart whichever way it came; an ACK or
/// CANCEL belongs to another request, and inside a dialog the CSeq decides.
fn merged_key(request: &Request) -> Option<String> {
    if request.to_tag().is_some() || matches!(request.method, Method::Ack | Method::Cancel) {
        return None;
    }
    let tag = request.sender_tag()?;
    let (method, call_id) = (request.method, request.call_id());
    Some(format!("{tag} {} {method} {call_id}", request.cseq()))
}

fn client_key_of(response: &Response) -> Option<String> {
    let via = Via::parse(split_list(response.headers.get("Via")?).next()?)?;
    let (_, method) = cseq(&response.headers)?;
    Some(format!("{} {method}", via.branch()?))
}

/// Octets of a request as sent.
fn wire(request: &Request) -> Bytes {
    Bytes::from(request.to_bytes())
}
