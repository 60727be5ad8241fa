//! Calls we place: one INVITE per device, one winner.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{Dialog, Ends, InDialog, SessionTimer, established};
use crate::core::Core;
use crate::leg::{Dial, DialError, DialTarget, HungUpBy, LegCommand, LegEvent, Party};
use crate::net::Flow;
use crate::transaction::{ClientEvent, Outgoing};
use crate::wire::{ALLOW, Headers, Method, NameAddr, Request, Response, SUPPORTED, escape_user};
use crate::{Binding, Leg, Reason, ident};

/// Headers the dialog writes itself, and those no caller may forge.
const OWN_HEADERS: &[&str] = &[
    "via",
    "v",
    "from",
    "f",
    "to",
    "t",
    "call-id",
    "i",
    "cseq",
    "contact",
    "m",
    "max-forwards",
    "route",
    "record-route",
    "content-length",
    "l",
    "content-type",
    "c",
    "content-encoding",
    "e",
    "require",
    "proxy-require",
    "supported",
    "k",
    "allow",
    "authorization",
    "proxy-authorization",
    "session-expires",
    "x",
    "min-se",
];

/// Places a call to one binding, or to all of a username at once.
pub(crate) async fn dial(core: &Arc<Core>, dial: Dial) -> Result<Leg, DialError> {
    if core.draining.is_cancelled() {
        return Err(DialError::Stopped);
    }
    for (name, value) in &dial.headers {
        let token = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let own = OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name));
        let clean =
            !name.is_empty() && name.bytes().all(token) && !value.chars().any(char::is_control);
        if own || !clean {
            return Err(DialError::Header { name: name.clone() });
        }
    }
    let (username, bindings) = match &dial.to {
        DialTarget::Device { username } => (username.clone(), core.registrar.bindings(username)),
        DialTarget::Binding { username, binding } => (username.clone(), vec![binding.clone()]),
        DialTarget::Trunk { key, .. } => return Err(DialError::NoTrunk { key: key.clone() }),
    };
    if bindings.is_empty() {
        return Err(DialError::NoBinding { username });
    }
    let (call_id, tag) = (ident::call_id(), ident::tag());
    let (leg, ends) = Ends::open(core, (call_id.clone(), tag.clone()));
    let (events, incoming) = mpsc::channel(64);
    let mut forks = Forks::new(Arc::clone(core));
    for binding in &bindings {
        let Some(flow) = core.flow_of(binding).await else {
            forks.add_unreachable();
            continue;
        };
        let invite = Invite {
            core,
            dial: &dial,
            username: &username,
            call_id: &call_id,
            tag: &tag,
        };
        let (request, branch) = invite.to(binding, &flow);
        let fork = Fork::new(
            request.clone(),
            branch.clone(),
            flow.clone(),
            binding.contact.clone(),
        );
        let index = forks.add(fork);
        let outgoing = Outgoing {
            request,
            branch,
            flow,
            index,
            events: events.clone(),
        };
        if !core.transactions.send(outgoing) {
            forks.forks[index].refused = Some(503);
        }
    }
    drop(events);
    if forks.forks.iter().all(|fork| fork.refused == Some(503)) && forks.any_sent() {
        return Err(DialError::Busy);
    }
    let calling = Calling {
        ends,
        forks,
        incoming,
        rang: false,
    };
    core.tasks.spawn(calling.run());
    Ok(leg)
}

/// What the INVITEs of one call share.
struct Invite<'a> {
    core: &'a Core,
    dial: &'a Dial,
    username: &'a str,
    call_id: &'a str,
    tag: &'a str,
}

impl Invite<'_> {
    fn to(&self, binding: &Binding, flow: &Flow) -> (Request, String) {
        let core = self.core;
        let branch = ident::branch();
        let authority = flow.authority();
        let mut headers = Headers::default();
        headers.push("Via", flow.via(&branch));
        for hop in &binding.path {
            headers.push("Route", hop);
        }
        headers.push("Max-Forwards", "70");
        headers.push(
            "From",
            format!("{};tag={}", party(&self.dial.from, &authority), self.tag),
        );
        headers.push(
            "To",
            format!("<sip:{}@{authority}>", escape_user(self.username)),
        );
        headers.push("Call-ID", self.call_id);
        headers.push("CSeq", "1 INVITE");
        headers.push("Contact", flow.contact());
        headers.push("Allow", ALLOW);
        headers.push("Supported", SUPPORTED);
        headers.push("User-Agent", core.config.user_agent.clone());
        for (name, value) in &self.dial.headers {
            headers.push(name, value.as_str());
        }
        headers.push("Content-Type", "application/sdp");
        let mut request = Request::new(Method::Invite, binding.contact.clone());
        request.headers = headers;
        request.body = self.dial.offer.clone().into_bytes();
        (request, branch)
    }
}

fn party(party: &Party, authority: &str) -> String {
    let user = if party.user.is_empty() {
        "anonymous"
    } else {
        &party.user
    };
    let uri = format!("<sip:{}@{authority}>", escape_user(user));
    match &party.display {
        Some(display) => {
            let mut quoted = String::new();
            for c in display.chars().filter(|c| !c.is_control()) {
                if c == '"' || c == '\\' {
                    quoted.push('\\');
                }
                quoted.push(c);
            }
            format!("\"{quoted}\" {uri}")
        }
        None => uri,
    }
}

struct Fork {
    invite: Request,
    branch: String,
    flow: Flow,
    contact: String,
    /// A provisional response came: CANCEL may be sent (RFC 3261 §9.1).
    proceeding: bool,
    cancelled: bool,
    refused: Option<u16>,
    reason: Option<Reason>,
    answered: bool,
}

impl Fork {
    fn new(invite: Request, branch: String, flow: Flow, contact: String) -> Self {
        Self {
            invite,
            branch,
            flow,
            contact,
            proceeding: false,
            cancelled: false,
            refused: None,
            reason: None,
            answered: false,
        }
    }
}

/// All INVITEs of a call, with or without a winner.
struct Forks {
    core: Arc<Core>,
    forks: Vec<Fork>,
    unreachable: usize,
    /// The reason given in CANCELs, once the calling is over.
    ended: Option<Reason>,
    /// To tags acknowledged, and the ACK to repeat for each.
    acknowledged: HashMap<(usize, String), (Bytes, Flow)>,
}

enum Outcome {
    Nothing,
    Provisional(Box<Response>),
    Answered(usize, Box<Response>),
}

impl Forks {
    fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            forks: Vec::new(),
            unreachable: 0,
            ended: None,
            acknowledged: HashMap::new(),
        }
    }

    fn add(&mut self, fork: Fork) -> usize {
        self.forks.push(fork);
        self.forks.len() - 1
    }

    fn add_unreachable(&mut self) {
        self.unreachable += 1;
    }

    fn any_sent(&self) -> bool {
        !self.forks.is_empty()
    }

    fn is_over(&self) -> bool {
        self.forks
            .iter()
            .all(|fork| fork.refused.is_some() || fork.answered)
    }

    /// The refusal to report when all refused: a final word for all, then busy,
    /// then the lowest class (RFC 3261 §16.7 step 6).
    fn refusal(&self) -> (u16, Option<Reason>) {
        let rank = |status: u16| match status {
            600.. => (0, status),
            486 => (1, status),
            408 | 503 => (3, status),
            _ => (2, status),
        };
        self.forks
            .iter()
            .filter_map(|fork| fork.refused.map(|status| (status, fork.reason.clone())))
            .min_by_key(|(status, _)| rank(*status))
            .unwrap_or((480, None))
    }

    /// Ends every fork still open.
    fn end(&mut self, reason: Reason) {
        self.ended = Some(reason);
        for index in 0..self.forks.len() {
            self.cancel(index);
        }
    }

    fn cancel(&mut self, index: usize) {
        let Some(reason) = &self.ended else { return };
        let Some(fork) = self.forks.get_mut(index) else {
            return;
        };
        if fork.cancelled || !fork.proceeding || fork.answered || fork.refused.is_some() {
            return;
        }
        fork.cancelled = true;
        let mut headers = Headers::default();
        for name in ["Via", "Route", "Max-Forwards", "From", "To", "Call-ID"] {
            for value in fork.invite.headers.all(name) {
                headers.push(name, value);
            }
        }
        headers.push("CSeq", format!("{} CANCEL", fork.invite.cseq()));
        headers.push("Reason", reason.to_header());
        let request = Request {
            headers,
            ..Request::new(Method::Cancel, fork.invite.uri.clone())
        };
        let (events, mut outcome) = mpsc::channel(4);
        let (branch, flow) = (fork.branch.clone(), fork.flow.clone());
        self.core.transactions.send(Outgoing {
            request,
            branch,
            flow,
            index,
            events,
        });
        self.core
            .tasks
            .spawn(async move { while outcome.recv().await.is_some() {} });
    }

    /// Takes an event of a fork. Answers after the end are acknowledged and
    /// hung up here, whatever fork they come from.
    async fn on(&mut self, index: usize, event: ClientEvent) -> Outcome {
        let over = self.ended.is_some();
        let Some(fork) = self.forks.get_mut(index) else {
            return Outcome::Nothing;
        };
        let response = match event {
            ClientEvent::Response(response) => response,
            ClientEvent::TimedOut => {
                fork.refused = Some(408);
                return Outcome::Nothing;
            }
            ClientEvent::Unreachable => {
                fork.refused = Some(503);
                return Outcome::Nothing;
            }
        };
        match response.status {
            ..200 => {
                fork.proceeding = true;
                self.cancel(index);
                if over {
                    Outcome::Nothing
                } else {
                    Outcome::Provisional(response)
                }
            }
            200..300 => {
                let first = !fork.answered;
                fork.answered = true;
                if self.acknowledge_again(index, &response) {
                    return Outcome::Nothing;
                }
                if first && !over {
                    return Outcome::Answered(index, response);
                }
                self.decline(index, &response).await;
                Outcome::Nothing
            }
            status => {
                fork.refused = Some(status);
                fork.reason = Reason::of(&response.headers);
                Outcome::Nothing
            }
        }
    }

    fn acknowledge_again(&self, index: usize, response: &Response) -> bool {
        let key = (index, response.to_tag().unwrap_or_default());
        let Some((ack, flow)) = self.acknowledged.get(&key) else {
            return false;
        };
        flow.send(ack.clone());
        true
    }

    /// Acknowledges a 2xx; the dialog it makes.
    async fn acknowledge(&mut self, index: usize, response: &Response) -> Option<Dialog> {
        let fork = self.forks.get(index)?;
        let mut dialog = Dialog::of_response(&fork.invite, response, &fork.flow);
        let flow = dialog.way(&self.core).await;
        let (ack, _) = dialog.request(&self.core, Method::Ack, &flow);
        let bytes = Bytes::from(ack.to_bytes());
        flow.send(bytes.clone());
        // A device that answers under ever new tags gets no memory for it.
        if self.acknowledged.len() < 16 {
            self.acknowledged.insert(
                (index, response.to_tag().unwrap_or_default()),
                (bytes, flow),
            );
        }
        Some(dialog)
    }

    /// A 2xx nobody wants: ACK and BYE (RFC 3261 §13.2.2.4).
    async fn decline(&mut self, index: usize, response: &Response) {
        let reason = self.ended.clone();
        if let Some(mut dialog) = self.acknowledge(index, response).await {
            let core = Arc::clone(&self.core);
            dialog.bye(&core, reason.as_ref()).await;
        }
    }

    /// Sees the forks through once the call itself has gone elsewhere.
    async fn drain(mut self, mut incoming: mpsc::Receiver<(usize, ClientEvent)>) {
        let stop = self.core.stop.clone();
        // A fork that neither answers nor refuses after its CANCEL is given up.
        let give_up = Instant::now() + self.core.transactions.timers.give_up() * 2;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep_until(give_up) => return,
                event = incoming.recv() => match event {
                    Some((index, event)) => { self.on(index, event).await; }
                    None => return,
                },
            }
        }
    }
}

struct Calling {
    ends: Ends,
    forks: Forks,
    incoming: mpsc::Receiver<(usize, ClientEvent)>,
    rang: bool,
}

impl Calling {
    async fn run(mut self) {
        let draining = self.ends.core.draining.clone();
        loop {
            if self.forks.is_over() {
                let (status, reason) = self.forks.refusal();
                self.ends.tell(LegEvent::Failed { status, reason }).await;
                return;
            }
            tokio::select! {
                event = self.incoming.recv() => {
                    let Some((index, event)) = event else { continue };
                    match self.forks.on(index, event).await {
                        Outcome::Nothing => {}
                        Outcome::Provisional(response) => self.provisional(&response).await,
                        Outcome::Answered(index, response) => return self.answered(index, &response).await,
                    }
                    if let Some(reason) = self.refused_by_all_means() {
                        self.forks.end(reason);
                    }
                }
                command = self.ends.commands.recv() => match command {
                    Some(LegCommand::HangUp(reason)) => return self.give_up(Some(reason)).await,
                    Some(LegCommand::Reject { reason, .. }) => return self.give_up(reason).await,
                    None => return self.give_up(None).await,
                    Some(_) => {}
                },
                Some(arrived) = self.ends.inbox.recv() => early_request(&self.ends, &arrived).await,
                () = draining.cancelled() => {
                    self.forks.end(Reason::normal());
                    self.ends.tell(LegEvent::HungUp { by: HungUpBy::Shutdown, reason: None }).await;
                    return self.forks.drain(self.incoming).await;
                }
            }
        }
    }

    /// A 6xx speaks for all devices of the user (RFC 3261 §16.7 step 5).
    fn refused_by_all_means(&self) -> Option<Reason> {
        let refused = self
            .forks
            .forks
            .iter()
            .any(|fork| fork.refused.is_some_and(|s| s >= 600));
        (refused && self.forks.ended.is_none()).then(Reason::normal)
    }

    async fn provisional(&mut self, response: &Response) {
        if let Some(sdp) = response.sdp().filter(|_| response.status > 100) {
            self.ends.tell(LegEvent::Early { sdp }).await;
        } else if response.status == 180 && !self.rang {
            self.rang = true;
            self.ends.tell(LegEvent::Ringing).await;
        }
    }

    async fn give_up(mut self, reason: Option<Reason>) {
        self.forks
            .end(reason.clone().unwrap_or_else(Reason::normal));
        self.ends.tell(LegEvent::Cancelled { reason }).await;
        let Self {
            ends,
            forks,
            incoming,
            ..
        } = self;
        drop(ends);
        forks.drain(incoming).await;
    }

    async fn answered(mut self, index: usize, response: &Response) {
        let Some(dialog) = self.forks.acknowledge(index, response).await else {
            return;
        };
        self.forks.end(Reason::completed_elsewhere());
        let contact = self
            .forks
            .forks
            .get(index)
            .map(|f| f.contact.clone())
            .unwrap_or_default();
        let Self {
            ends,
            forks,
            incoming,
            ..
        } = self;
        ends.core.tasks.spawn(forks.drain(incoming));
        let sdp = response.sdp().unwrap_or_default();
        let session = established::Session::new(ends, dialog, &SessionTimer::None);
        session.answered(sdp, contact).await;
    }
}

/// A request in a dialog the device has not confirmed yet.
async fn early_request(ends: &Ends, arrived: &InDialog) {
    let InDialog {
        request,
        tx: Some(tx),
    } = arrived
    else {
        return;
    };
    let core = &ends.core;
    match request.method {
        Method::Options => tx.respond(&core.options(request, tx)),
        Method::Info => established::info(ends, request, tx).await,
        Method::Update if request.body.is_empty() => tx.respond(&core.answer(request, tx, 200)),
        Method::Update | Method::Invite => {
            tx.respond(&core.answer(request, tx, 500).with("Retry-After", "3"));
        }
        Method::Refer => tx.respond(&core.answer(request, tx, 603)),
        _ => tx.respond(&core.answer(request, tx, 481)),
    }
}

/// The Contact of a binding must be an address we can put in a request line.
pub(crate) fn usable_contact(contact: &NameAddr) -> bool {
    crate::wire::SipUri::parse(&contact.uri).is_ok_and(|uri| !uri.host.is_empty())
}
