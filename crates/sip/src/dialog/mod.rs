//! INVITE dialogs (RFC 3261 §12-§15): who sends what next, and to whom.

mod established;
mod incoming;
mod outgoing;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::core::Core;
use crate::leg::{LegCommand, LegEvent, LegHandle};
use crate::net::Flow;
use crate::transaction::{ClientEvent, Outgoing, ServerHandle};
use crate::wire::{Headers, Method, NameAddr, Request, Response, SipUri, split_list};
use crate::{Leg, Transport, ident};
pub(crate) use incoming::invited;
pub(crate) use outgoing::{dial, usable_contact};

/// Call-ID and our own tag; the peer's tag is checked by the dialog itself.
pub(crate) type DialogKey = (String, String);

/// A request inside a dialog. An ACK has no transaction.
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
    let key = (
        request.call_id().to_owned(),
        request.to_tag().unwrap_or_default(),
    );
    let inbox = {
        let dialogs = core.dialogs.lock().unwrap_or_else(PoisonError::into_inner);
        dialogs.get(&key).cloned()
    };
    let _ = flow;
    let refused = match inbox {
        Some(inbox) => match inbox.try_send(InDialog { request, tx }) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full(back)) => (back, 503),
            Err(mpsc::error::TrySendError::Closed(back)) => (back, 481),
        },
        None => (InDialog { request, tx }, 481),
    };
    if let (
        InDialog {
            request,
            tx: Some(tx),
        },
        status,
    ) = refused
    {
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
    pub key: DialogKey,
    pub commands: mpsc::Receiver<LegCommand>,
    events: mpsc::Sender<LegEvent>,
    pub inbox: mpsc::Receiver<InDialog>,
}

impl Ends {
    /// A leg and its inner ends.
    pub fn open(core: &Arc<Core>, key: DialogKey) -> (Leg, Self) {
        let (command_sender, commands) = mpsc::channel(16);
        let (events, event_receiver) = mpsc::channel(core.config.limits.leg_events.max(4));
        let (requests, inbox) = mpsc::channel(INBOX);
        core.dialogs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.clone(), requests);
        core.tally.legs.fetch_add(1, Ordering::Relaxed);
        let handle = LegHandle {
            sip_call_id: key.0.clone(),
            commands: command_sender,
        };
        let ends = Self {
            core: Arc::clone(core),
            key,
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

    /// Tells the owner. One that does not listen misses it; one that hangs
    /// delays only its own leg, and not for long.
    pub async fn tell(&self, event: LegEvent) {
        let _ = self.events.send_timeout(event, OWNER_PATIENCE).await;
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.core
            .dialogs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
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
            sticky,
        }
    }

    /// From a 2xx to an INVITE of ours (§12.1.2).
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
            sticky: true,
        }
    }

    /// A request inside the dialog, with the branch it carries.
    pub fn request(&mut self, core: &Core, method: Method, flow: &Flow) -> (Request, String) {
        if method != Method::Ack {
            self.local_cseq += 1;
        }
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

    /// Where requests of ours go (§12.2.1.1): the first route, else the remote
    /// target; the flow itself for devices, for names, and for private
    /// addresses that a public peer cannot mean.
    pub async fn way(&self, core: &Core) -> Flow {
        if self.sticky || self.flow.is_reliable() {
            return self.flow.clone();
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
        core.flow_to(Transport::Udp, remote)
            .await
            .unwrap_or_else(|| self.flow.clone())
    }

    /// Sends BYE and sees it through in a task of its own.
    pub async fn bye(&mut self, core: &Arc<Core>, reason: Option<&crate::Reason>) {
        let flow = self.way(core).await;
        let (mut request, branch) = self.request(core, Method::Bye, &flow);
        if let Some(reason) = reason {
            request.headers.push("Reason", reason.to_header());
        }
        let (events, mut outcome) = mpsc::channel::<(usize, ClientEvent)>(4);
        core.transactions.send(Outgoing {
            request,
            branch,
            flow,
            index: 0,
            events,
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

/// What Session-Expires of a request asks for (RFC 4028).
pub(crate) enum SessionTimer {
    None,
    /// Refresh expected from the peer within this many seconds.
    Every(u64),
    TooShort,
}

impl SessionTimer {
    pub fn of(request: &Request, min: Duration) -> Self {
        let Some(value) = request.headers.get("Session-Expires") else {
            return Self::None;
        };
        let seconds = value.split(';').next().unwrap_or_default().trim();
        match seconds.parse::<u64>() {
            Ok(seconds) if seconds < min.as_secs() => Self::TooShort,
            // The peer must be able to refresh, since we do not.
            Ok(seconds)
                if request
                    .headers
                    .tokens("Supported")
                    .iter()
                    .any(|t| t == "timer") =>
            {
                Self::Every(seconds.min(86_400))
            }
            _ => Self::None,
        }
    }

    pub fn headers(&self, response: Response) -> Response {
        match self {
            Self::Every(seconds) => response
                .with("Require", "timer")
                .with("Session-Expires", format!("{seconds};refresher=uac")),
            Self::None | Self::TooShort => response,
        }
    }
}
