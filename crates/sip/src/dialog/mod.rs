//! INVITE dialogs (RFC 3261 §12-§15): who sends what next, and to whom.

mod change;
mod established;
mod incoming;
mod outgoing;
mod over;
mod refer;
mod reliable;
mod timer;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::core::Core;
use crate::leg::{DialogId, LegCommand, LegEvent, LegHandle, Replaces};
use crate::net::Flow;
use crate::transaction::{ClientEvent, Outgoing, ServerHandle};
use crate::trunk::Authenticator;
use crate::wire::{
    ALLOW, Headers, Method, NameAddr, Request, Response, SUPPORTED, SipUri, split_list,
};
use crate::{Leg, Transport, ident};
pub(crate) use incoming::invited;
pub(crate) use outgoing::{dial, usable_contact};
pub(crate) use over::Over;

/// A dialog as the table of all knows it. The peer's tag is checked by the dialog itself.
pub(crate) struct Listed {
    inbox: mpsc::Sender<Box<InDialog>>,
    /// The peers' tags: of an unanswered call of ours there may be several.
    remote_tags: Vec<String>,
    confirmed: bool,
    /// Whether its INVITE was ours.
    ours: bool,
}

/// Early dialogs of one call that the table knows; a peer that answers under ever new tags gets no more.
const EARLY_DIALOGS: usize = 16;

/// The leg a Replaces header means, or the status that says why there is none (RFC 3891 §3).
pub(crate) fn replaced(core: &Core, replaces: &Replaces) -> Result<DialogId, u16> {
    let id = DialogId {
        call_id: replaces.call_id.clone(),
        local_tag: replaces.to_tag.clone(),
    };
    let dialogs = core.dialogs.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(listed) = dialogs.get(&id) else {
        let over = core.over.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = over.was(&id, &replaces.from_tag);
        return Err(if ended { 603 } else { 481 });
    };
    if !listed.remote_tags.contains(&replaces.from_tag) {
        return Err(481);
    }
    match (listed.confirmed, listed.ours) {
        (true, _) if replaces.early_only => Err(486),
        (false, false) => Err(481),
        _ => Ok(id),
    }
}

/// A request inside a dialog. An ACK has no transaction. It is passed on boxed: a queue takes room for 32 from the start.
pub(crate) struct InDialog {
    pub request: Request,
    pub tx: Option<ServerHandle>,
}

/// Requests that may wait for one dialog.
const INBOX: usize = 32;
/// How long an owner may leave an event untaken before the leg goes on without it.
const OWNER_PATIENCE: Duration = Duration::from_secs(5);

/// Takes a request to its dialog; there being none is 481.
pub(crate) fn deliver(core: &Arc<Core>, request: Request, tx: Option<ServerHandle>, flow: &Flow) {
    let id = DialogId {
        call_id: request.call_id().to_owned(),
        local_tag: request.to_tag().unwrap_or_default(),
    };
    let inbox = {
        let dialogs = core.dialogs.lock().unwrap_or_else(PoisonError::into_inner);
        dialogs.get(&id).map(|listed| listed.inbox.clone())
    };
    let _ = flow;
    let arrived = Box::new(InDialog { request, tx });
    let refused = match inbox {
        Some(inbox) => match inbox.try_send(arrived) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full(back)) => (back, 503),
            Err(mpsc::error::TrySendError::Closed(back)) => (back, 481),
        },
        None => (arrived, 481),
    };
    let (InDialog { request, tx }, status) = (*refused.0, refused.1);
    if let Some(tx) = tx {
        let mut response = core.answer(&request, &tx, status);
        if status == 503 {
            response = response.with("Retry-After", "2");
        }
        tx.respond(&response);
    }
}

/// A leg's ends inside the stack, and its place in the dialog table.
pub(crate) struct Ends {
    pub core: Arc<Core>,
    pub id: DialogId,
    pub commands: mpsc::Receiver<LegCommand>,
    events: mpsc::Sender<LegEvent>,
    pub inbox: mpsc::Receiver<Box<InDialog>>,
}

impl Ends {
    /// A leg and its inner ends. `caller` is the peer's tag when the INVITE is its.
    pub fn open(core: &Arc<Core>, id: DialogId, caller: Option<String>) -> (Leg, Self) {
        let (command_sender, commands) = mpsc::channel(16);
        let (events, event_receiver) = mpsc::channel(core.config.limits.leg_events.max(4));
        let (requests, inbox) = mpsc::channel(INBOX);
        let listed = Listed {
            inbox: requests,
            confirmed: false,
            ours: caller.is_none(),
            remote_tags: caller.into_iter().collect(),
        };
        core.dialogs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), listed);
        core.tally.legs.fetch_add(1, Ordering::Relaxed);
        let handle = LegHandle {
            dialog: id.clone(),
            commands: command_sender,
        };
        let ends = Self {
            core: Arc::clone(core),
            id,
            commands,
            events,
            inbox,
        };
        (
            Leg {
                handle,
                events: event_receiver,
            },
            ends,
        )
    }

    /// An early dialog of a call of ours.
    pub fn early(&self, remote_tag: &str) {
        self.list(|listed| {
            let known = listed.remote_tags.iter().any(|tag| tag == remote_tag);
            if !known && listed.remote_tags.len() < EARLY_DIALOGS {
                listed.remote_tags.push(remote_tag.to_owned());
            }
        });
    }

    /// The dialog that the answer made.
    pub fn confirmed(&self, remote_tag: Option<&String>) {
        self.list(|listed| {
            listed.remote_tags = remote_tag.cloned().into_iter().collect();
            listed.confirmed = true;
        });
    }

    fn list(&self, change: impl FnOnce(&mut Listed)) {
        let dialogs = self.core.dialogs.lock();
        if let Some(listed) = dialogs
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(&self.id)
        {
            change(listed);
        }
    }

    /// Tells the owner. One that does not listen misses it; one that hangs
    /// delays only its own leg, and not for long.
    pub async fn tell(&self, event: LegEvent) {
        let _ = self.events.send_timeout(event, OWNER_PATIENCE).await;
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        let mut dialogs = self
            .core
            .dialogs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(listed) = dialogs.remove(&self.id) {
            let over = self.core.over.lock();
            over.unwrap_or_else(PoisonError::into_inner)
                .note(self.id.clone(), listed.remote_tags);
        }
        drop(dialogs);
        self.core.tally.legs.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The state RFC 3261 §12 gives a dialog.
pub(crate) struct Dialog {
    pub call_id: String,
    /// Our From value in requests, tag included.
    pub local: String,
    /// The peer's To value in requests, tag included.
    pub remote: String,
    pub remote_tag: Option<String>,
    pub local_cseq: u32,
    pub remote_cseq: Option<u32>,
    pub remote_target: String,
    pub route_set: Vec<String>,
    pub flow: Flow,
    /// What answers a carrier's challenges.
    pub proof: Option<Arc<Authenticator>>,
    /// Whether the Call-ID is ours, which decides who waits longer after a glare.
    pub ours: bool,
    /// Whether requests keep to the flow (a registered device behind NAT) or
    /// follow the route set and the remote target.
    pub sticky: bool,
}

impl Dialog {
    /// From an INVITE we answer (§12.1.1).
    pub fn of_request(request: &Request, to_tag: &str, flow: &Flow, sticky: bool) -> Self {
        let to = request.headers.get("To").unwrap_or_default();
        Self {
            call_id: request.call_id().to_owned(),
            local: format!("{to};tag={to_tag}"),
            remote: request.headers.get("From").unwrap_or_default().to_owned(),
            remote_tag: request.sender_tag(),
            local_cseq: 0,
            remote_cseq: Some(request.cseq()),
            remote_target: request.contact().map(|c| c.uri).unwrap_or_default(),
            route_set: routes(&request.headers),
            flow: flow.clone(),
            proof: None,
            ours: false,
            sticky,
        }
    }

    /// From a response to an INVITE of ours: a 2xx, or a provisional one for an early dialog (§12.1.2).
    pub fn of_response(invite: &Request, response: &Response, flow: &Flow) -> Self {
        let mut route_set = routes(&response.headers);
        route_set.reverse();
        Self {
            call_id: invite.call_id().to_owned(),
            local: invite.headers.get("From").unwrap_or_default().to_owned(),
            remote: response.headers.get("To").unwrap_or_default().to_owned(),
            remote_tag: response.to_tag(),
            local_cseq: invite.cseq(),
            remote_cseq: None,
            remote_target: response
                .contact()
                .map_or_else(|| invite.uri.clone(), |c| c.uri),
            route_set,
            flow: flow.clone(),
            proof: None,
            ours: true,
            sticky: true,
        }
    }

    /// A request inside the dialog as it goes out: its branch, and its way. What is more than a
    /// datagram should hold goes by a stream where the peer takes one (§18.1.1); our Contact stays.
    pub async fn addressed(
        &mut self,
        core: &Core,
        method: Method,
        complete: impl FnOnce(&mut Request),
    ) -> (Request, String, Flow) {
        let flow = self.way(core).await;
        let (mut request, branch) = self.request(core, method, &flow);
        complete(&mut request);
        if flow.is_reliable() || !self.listens_at(&flow) {
            return (request, branch, flow);
        }
        let length = request.to_bytes().len();
        match core.stream_instead(&flow, length).await {
            Some(stream) => {
                request.headers.set_first("Via", stream.via(&branch));
                (request, branch, stream)
            }
            None => (request, branch, flow),
        }
    }

    /// Whether the next hop names itself where we send to: what is behind a NAT takes no connections.
    fn listens_at(&self, flow: &Flow) -> bool {
        let first = self.route_set.first().and_then(|r| NameAddr::parse(r));
        let next = first.map_or_else(|| self.remote_target.clone(), |route| route.uri);
        SipUri::parse(&next).is_ok_and(|uri| match uri.host.parse::<IpAddr>() {
            Ok(ip) => flow.remote == SocketAddr::new(ip, uri.port.unwrap_or(5060)),
            // The name of a server was looked up; that of a browser or a phone means nothing.
            Err(_) => !self.sticky,
        })
    }

    /// A request inside the dialog, with the branch it carries.
    fn request(&mut self, core: &Core, method: Method, flow: &Flow) -> (Request, String) {
        // Gaps are legal (§12.2.2): a challenged request comes again under the
        // number after its own.
        self.local_cseq += if self.proof.is_some() { 2 } else { 1 };
        self.request_numbered(core, method, self.local_cseq, flow)
    }

    fn request_numbered(
        &self,
        core: &Core,
        method: Method,
        cseq: u32,
        flow: &Flow,
    ) -> (Request, String) {
        let branch = ident::branch();
        let mut headers = Headers::default();
        headers.push("Via", flow.via(&branch));
        let (uri, routes) = self.routing();
        for route in routes {
            headers.push("Route", route);
        }
        headers.push("Max-Forwards", "70");
        headers.push("From", &self.local);
        headers.push("To", &self.remote);
        headers.push("Call-ID", &self.call_id);
        headers.push("CSeq", format!("{cseq} {method}"));
        if matches!(method, Method::Invite | Method::Update | Method::Notify) {
            headers.push("Contact", flow.contact());
        }
        if method != Method::Ack {
            headers.push("Allow", ALLOW);
            headers.push("Supported", SUPPORTED);
        }
        headers.push("User-Agent", core.config.user_agent.clone());
        let request = Request {
            headers,
            ..Request::new(method, uri)
        };
        (request, branch)
    }

    /// Request-URI and Route values (§12.2.1.1): a first proxy that does not
    /// know loose routing is named by the Request-URI itself.
    fn routing(&self) -> (String, Vec<String>) {
        let first = self.route_set.first().and_then(|r| NameAddr::parse(r));
        let strict = first.filter(|r| SipUri::parse(&r.uri).is_ok_and(|uri| !uri.loose));
        match strict {
            Some(first) => {
                let mut routes: Vec<String> = self.route_set.iter().skip(1).cloned().collect();
                routes.push(format!("<{}>", self.remote_target));
                (first.uri, routes)
            }
            None => (self.remote_target.clone(), self.route_set.clone()),
        }
    }

    /// The ACK of a 2xx to an INVITE of ours (§13.2.2.4).
    pub fn ack(&self, core: &Core, cseq: u32, flow: &Flow) -> Request {
        self.request_numbered(core, Method::Ack, cseq, flow).0
    }

    /// Where requests of ours go (§12.2.1.1): the first route, else the remote
    /// target; the flow itself for devices, for names, and for private
    /// addresses that a public peer cannot mean.
    pub async fn way(&self, core: &Core) -> Flow {
        if self.sticky || self.flow.is_reliable() && self.flow.is_open() {
            return self.flow.clone();
        }
        if let Some(peer) = self.flow.peer() {
            let again = core.open(self.flow.transport(), self.flow.remote, Some(peer));
            return match again.await {
                Ok(again) => again.like(&self.flow),
                Err(_) => self.flow.clone(),
            };
        }
        let next = self
            .route_set
            .first()
            .and_then(|route| NameAddr::parse(route))
            .map_or_else(|| self.remote_target.clone(), |route| route.uri);
        let Ok(uri) = SipUri::parse(&next) else {
            return self.flow.clone();
        };
        let Ok(ip) = uri.host.parse::<IpAddr>() else {
            return self.flow.clone();
        };
        if is_private(ip) && !is_private(self.flow.remote.ip()) {
            return self.flow.clone();
        }
        let remote = SocketAddr::new(ip, uri.port.unwrap_or(5060));
        let transport = uri.transport.unwrap_or(Transport::Udp);
        let same = self.flow.towards(remote);
        if let Some(flow) = same.filter(|_| transport == Transport::Udp) {
            return flow;
        }
        core.flow_to(transport, remote)
            .await
            .unwrap_or_else(|| self.flow.clone())
    }

    /// Sends BYE and sees it through in a task of its own.
    pub async fn bye(&mut self, core: &Arc<Core>, reason: Option<&crate::Reason>) {
        let (request, branch, flow) = self
            .addressed(core, Method::Bye, |request| {
                if let Some(reason) = reason {
                    request.headers.push("Reason", reason.to_header());
                }
            })
            .await;
        let (events, mut outcome) = mpsc::channel::<(usize, ClientEvent)>(4);
        core.transactions.send(Outgoing {
            request,
            branch,
            flow,
            index: 0,
            events,
            proof: self.proof.clone(),
        });
        // The leg is over whatever the peer says; the transaction repeats the
        // BYE until it is answered or time is up.
        core.tasks
            .spawn(async move { while outcome.recv().await.is_some() {} });
    }
}

fn routes(headers: &Headers) -> Vec<String> {
    headers
        .all("Record-Route")
        .flat_map(split_list)
        .map(str::to_owned)
        .collect()
}

fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unspecified() || (v6.segments()[0] & 0xfe00) == 0xfc00
        }
    }
}
