//! Calls we place: one INVITE per device, one winner.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::established::{self, Change, Opened, busy_with_another, refusal};
use super::timer::{SessionTimer, Terms};
use super::{Dialog, Ends, InDialog};
use crate::core::Core;
use crate::leg::{Dial, DialError, DialTarget, DialogId, HungUpBy, LegCommand, LegEvent, Party};
use crate::net::Flow;
use crate::transaction::{ClientEvent, Outgoing};
use crate::trunk::{Authenticator, Line, Target};
use crate::wire::{
    ALLOW, Headers, Method, NameAddr, Request, Response, SUPPORTED, SipUri, escape_user, split_list,
};
use crate::{Binding, Leg, Privacy, Reason, ReasonProtocol, TrunkProblem, ident, sdp};

/// Devices that one call is sent on to by 3xx responses, at most.
const REDIRECTS: usize = 5;
/// How often one INVITE is sent in other words (422).
const TRIES: u32 = 3;
/// How many times T1 a carrier may be silent before its next address is tried,
/// well before the transaction itself is over: the caller is waiting.
const CARRIER_PATIENCE: u32 = 10;
/// Early dialogs kept for one call.
const EARLY_DIALOGS: usize = 16;

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
    let (called, bindings) = match &dial.to {
        DialTarget::Device { username } => {
            let bindings = core.registrar.bindings(username);
            (Called::User(username.clone()), bindings)
        }
        DialTarget::Binding { username, binding } => {
            (Called::User(username.clone()), vec![binding.clone()])
        }
        DialTarget::Trunk { key, user } => {
            let line = core.trunks.get(key);
            let line = line.ok_or_else(|| DialError::NoTrunk { key: key.clone() })?;
            let user = user.clone();
            (Called::Number { line, user }, Vec::new())
        }
    };
    if let (Called::User(username), []) = (&called, bindings.as_slice()) {
        let username = username.clone();
        return Err(DialError::NoBinding { username });
    }
    let id = DialogId {
        call_id: ident::call_id(),
        local_tag: ident::tag(),
    };
    let (leg, ends) = Ends::open(core, id.clone(), None);
    let (events, incoming) = mpsc::channel(64);
    let invite = Invite {
        dial,
        called,
        id,
        events,
    };
    let mut forks = Forks::new(Arc::clone(core), invite);
    for binding in &bindings {
        forks.call(binding, 1).await;
    }
    if forks.forks.iter().all(|fork| fork.refused == Some(503)) && forks.any_sent() {
        return Err(DialError::Busy);
    }
    let calling = Calling {
        ends,
        forks,
        incoming,
        rang: false,
        change: None,
    };
    core.tasks.spawn(calling.run());
    Ok(leg)
}

/// Who is called.
enum Called {
    /// A user of ours, at his devices.
    User(String),
    /// A number, by a carrier.
    Number { line: Arc<Line>, user: String },
}

/// What the INVITEs of one call share.
struct Invite {
    dial: Dial,
    called: Called,
    id: DialogId,
    events: mpsc::Sender<(usize, ClientEvent)>,
}

impl Invite {
    /// The INVITE for one device, or for the carrier.
    fn to(
        &self,
        core: &Core,
        binding: Option<&Binding>,
        flow: &Flow,
        cseq: u32,
        terms: Terms,
    ) -> (Request, String) {
        let branch = ident::branch();
        let mut headers = Headers::default();
        headers.push("Via", flow.via(&branch));
        let (uri, contact) = match &self.called {
            Called::User(username) => {
                let authority = flow.authority();
                for hop in binding.iter().flat_map(|binding| &binding.path) {
                    headers.push("Route", hop);
                }
                let from = party(&self.dial.from, &authority);
                headers.push("From", format!("{from};tag={}", self.id.local_tag));
                let to = format!("sip:{}@{authority}", escape_user(username));
                headers.push("To", format!("<{to}>"));
                let uri = binding.map(|binding| binding.contact.clone());
                (uri.unwrap_or(to), flow.contact_uri(None))
            }
            Called::Number { line, user } => {
                headers.append(self.to_carrier(line, user));
                (line.uri(Some(user)), flow.contact_uri(line.contact_user()))
            }
        };
        headers.push("Max-Forwards", "70");
        headers.push("Call-ID", &self.id.call_id);
        headers.push("CSeq", format!("{cseq} INVITE"));
        headers.push("Contact", format!("<{contact}>"));
        headers.push("Allow", ALLOW);
        headers.push("Supported", SUPPORTED);
        terms.propose(&mut headers);
        headers.push("User-Agent", core.config.user_agent.clone());
        for (name, value) in &self.dial.headers {
            headers.push(name, value.as_str());
        }
        headers.push("Content-Type", "application/sdp");
        let mut request = Request::new(Method::Invite, uri);
        request.headers = headers;
        let offer = match &self.dial.browser_offer {
            Some(offer) if binding.is_some_and(Binding::is_browser) => offer,
            _ => &self.dial.offer,
        };
        request.body = offer.clone().into_bytes();
        (request, branch)
    }

    /// The headers that say who calls whom, as carriers want them (RFC 3323, RFC 3325).
    fn to_carrier(&self, line: &Line, user: &str) -> Headers {
        let mut headers = Headers::default();
        if let Some(route) = line.route() {
            headers.push("Route", route);
        }
        let identity = &self.dial.identity;
        let from = match identity.privacy {
            Privacy::None => party(&self.dial.from, &line.domain()),
            Privacy::Id => "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned(),
        };
        headers.push("From", format!("{from};tag={}", self.id.local_tag));
        headers.push("To", format!("<{}>", line.uri(Some(user))));
        if let Some(asserted) = &identity.asserted {
            let asserted = Party {
                user: asserted.clone(),
                display: None,
            };
            headers.push("P-Asserted-Identity", party(&asserted, &line.domain()));
        }
        if identity.privacy == Privacy::Id {
            headers.push("Privacy", "id");
        }
        headers
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
    /// The device; `None` for a carrier.
    binding: Option<Binding>,
    terms: Terms,
    tries: u32,
    /// A provisional response came: CANCEL may be sent (RFC 3261 §9.1).
    proceeding: bool,
    cancelled: bool,
    refused: Option<u16>,
    reason: Option<Reason>,
    answered: bool,
    /// Another address of the carrier is tried instead: what still comes from
    /// here is not wanted.
    superseded: bool,
    /// Until when a carrier may be silent.
    patience: Option<Instant>,
}

impl Fork {
    /// The dialog a response makes. A device is reached the way it registered,
    /// a carrier the way it says.
    fn dialog(&self, response: &Response, proof: Option<Arc<Authenticator>>) -> Dialog {
        let mut dialog = Dialog::of_response(&self.invite, response, &self.flow);
        dialog.sticky = self.binding.is_some();
        dialog.proof = proof;
        dialog
    }
}

/// A dialog that a provisional response made.
struct Early {
    dialog: Dialog,
    /// The last response confirmed (RFC 3262 §4).
    rseq: Option<u32>,
    /// A response that we confirmed answered our offer.
    agreed: bool,
}

/// All INVITEs of a call, with or without a winner.
struct Forks {
    core: Arc<Core>,
    /// Gone once no further INVITE may follow.
    invite: Option<Invite>,
    forks: Vec<Fork>,
    early: HashMap<(usize, String), Early>,
    redirected: usize,
    unreachable: usize,
    carrier: Option<Carrier>,
    /// What answers the carrier's challenges.
    proof: Option<Arc<Authenticator>>,
    /// The reason given in CANCELs, once the calling is over.
    ended: Option<Reason>,
    /// To tags acknowledged, and the ACK to repeat for each.
    acknowledged: HashMap<(usize, String), (Bytes, Flow)>,
}

/// The addresses of a carrier still to be tried (RFC 3263 §4.3).
#[derive(Default)]
struct Carrier {
    /// `None` until they have been looked up.
    targets: Option<VecDeque<Target>>,
    /// The next one is due.
    due: bool,
    /// Why the last one could not be tried.
    problem: Option<TrunkProblem>,
}

enum Outcome {
    Nothing,
    Provisional(Box<Response>),
    Answered(usize, Box<Response>),
}

impl Forks {
    fn new(core: Arc<Core>, invite: Invite) -> Self {
        let line = match &invite.called {
            Called::User(_) => None,
            Called::Number { line, .. } => Some(line),
        };
        Self {
            core,
            proof: line.and_then(|line| line.proof.clone()),
            carrier: line.map(|_| Carrier {
                due: true,
                ..Carrier::default()
            }),
            invite: Some(invite),
            forks: Vec::new(),
            early: HashMap::new(),
            redirected: 0,
            unreachable: 0,
            ended: None,
            acknowledged: HashMap::new(),
        }
    }

    /// Sends the INVITE to a device.
    async fn call(&mut self, binding: &Binding, cseq: u32) {
        let Some(flow) = self.core.flow_of(binding).await else {
            self.unreachable += 1;
            return;
        };
        self.call_by(Some(binding), flow, cseq).await;
    }

    /// Sends the INVITE over a flow.
    async fn call_by(&mut self, binding: Option<&Binding>, mut flow: Flow, cseq: u32) {
        let Some(invite) = &self.invite else { return };
        let terms = Terms::of(&self.core.config.limits);
        let (mut request, mut branch) = invite.to(&self.core, binding, &flow, cseq, terms);
        // A phone behind a NAT takes no connections, nor does one behind a proxy from us.
        let listens = binding.is_none_or(|b| b.path.is_empty() && b.is_at_its_contact());
        let length = if listens { request.to_bytes().len() } else { 0 };
        if let Some(stream) = self.core.stream_instead(&flow, length).await {
            flow = stream;
            (request, branch) = invite.to(&self.core, binding, &flow, cseq, terms);
        }
        let patience = self.core.transactions.timers.t1 * CARRIER_PATIENCE;
        self.forks.push(Fork {
            invite: request,
            branch,
            flow,
            binding: binding.cloned(),
            terms,
            tries: 1,
            proceeding: false,
            cancelled: false,
            refused: None,
            reason: None,
            answered: false,
            superseded: false,
            patience: binding.is_none().then(|| Instant::now() + patience),
        });
        self.send(self.forks.len() - 1);
    }

    /// Whether the carrier's next address is to be tried.
    fn is_due(&self) -> bool {
        self.ended.is_none() && self.carrier.as_ref().is_some_and(|carrier| carrier.due)
    }

    /// Sends the INVITE to the carrier's next address, if there is one. May be
    /// dropped at any time and begun again.
    async fn call_next(&mut self) {
        let (Some(carrier), Some(invite)) = (&mut self.carrier, &self.invite) else {
            return;
        };
        let Called::Number { line, .. } = &invite.called else {
            return;
        };
        if carrier.targets.is_none() {
            match line.targets(&self.core).await {
                Ok(targets) => carrier.targets = Some(targets.into()),
                Err(problem) => {
                    (carrier.problem, carrier.due) = (Some(problem), false);
                    return;
                }
            }
        }
        while let Some(target) = carrier.targets.as_mut().and_then(VecDeque::pop_front) {
            match line.open(&self.core, target).await {
                Ok(flow) => {
                    carrier.due = false;
                    for fork in &mut self.forks {
                        fork.superseded = true;
                    }
                    let last = self.forks.last().map_or(0, |fork| fork.invite.cseq() + 1);
                    return self.call_by(None, flow, last + 1).await;
                }
                Err(problem) => carrier.problem = Some(problem),
            }
        }
        carrier.due = false;
    }

    /// Goes on to the carrier's next address after this one failed.
    fn give_next_a_chance(&mut self) {
        if let Some(carrier) = &mut self.carrier {
            carrier.due = carrier
                .targets
                .as_ref()
                .is_some_and(|left| !left.is_empty());
        }
    }

    /// Until when the carrier may be silent.
    fn patience(&self) -> Option<Instant> {
        let open = self.forks.iter().filter(|fork| fork.refused.is_none());
        open.filter_map(|fork| fork.patience).min()
    }

    /// The carrier was silent for too long.
    fn lose_patience(&mut self) {
        let now = Instant::now();
        for fork in &mut self.forks {
            if fork.patience.take_if(|until| *until <= now).is_some() {
                fork.refused = Some(408);
                fork.superseded = true;
            }
        }
        self.give_next_a_chance();
    }

    /// The carrier said something: it is there.
    fn heard(&mut self, index: usize) {
        let Some(fork) = self.forks.get_mut(index) else {
            return;
        };
        let first = fork.patience.take().is_some();
        if let Some(Called::Number { line, .. }) = self.invite.as_ref().map(|i| &i.called)
            && first
            && line.trunk.registration.is_none()
        {
            line.found(&fork.flow);
        }
    }

    fn send(&mut self, index: usize) {
        let proof = self.proof.clone();
        let (Some(fork), Some(invite)) = (self.forks.get_mut(index), &self.invite) else {
            return;
        };
        let outgoing = Outgoing {
            request: fork.invite.clone(),
            branch: fork.branch.clone(),
            flow: fork.flow.clone(),
            index,
            events: invite.events.clone(),
            proof,
        };
        if !self.core.transactions.send(outgoing) {
            fork.refused = Some(503);
        }
    }

    /// Sends a fork's INVITE once more, because its device wants a longer session interval (RFC 4028
    /// §7.3). False when that would change nothing.
    fn call_again(&mut self, index: usize, refusal: &Response) -> bool {
        let (Some(fork), Some(invite)) = (self.forks.get_mut(index), &self.invite) else {
            return false;
        };
        let again = self.ended.is_none()
            && refusal.status == 422
            && fork.tries < TRIES
            && fork.terms.raise(refusal);
        if again {
            fork.tries += 1;
            let cseq = fork.invite.cseq() + 1;
            let binding = fork.binding.as_ref();
            let again = invite.to(&self.core, binding, &fork.flow, cseq, fork.terms);
            (fork.invite, fork.branch) = again;
            fork.proceeding = false;
            self.send(index);
        }
        again
    }

    /// Follows a 3xx (RFC 3261 §8.1.3.4) as far as our policy goes: to users of ours, and to no
    /// more devices than a call may reach that way. Nobody's phone can send our calls elsewhere, and no
    /// carrier anywhere.
    async fn follow(&mut self, index: usize, redirect: &Response) {
        if self
            .forks
            .get(index)
            .is_none_or(|fork| fork.binding.is_none())
        {
            return;
        }
        let contacts = redirect.headers.all("Contact").flat_map(split_list);
        let users: Vec<String> = contacts
            .filter_map(|contact| SipUri::parse(&NameAddr::parse(contact)?.uri).ok())
            .filter(|uri| self.core.is_ours(&uri.host))
            .map(|uri| uri.user)
            .take(REDIRECTS)
            .collect();
        let cseq = self.forks.get(index).map_or(1, |fork| fork.invite.cseq()) + 1;
        for user in users {
            for binding in self.core.registrar.bindings(&user) {
                let known = |fork: &Fork| fork.invite.uri == binding.contact;
                if self.redirected < REDIRECTS && !self.forks.iter().any(known) {
                    self.redirected += 1;
                    self.call(&binding, cseq).await;
                }
            }
        }
    }

    /// Takes note of a provisional response and confirms it if that is asked for (RFC 3262 §4).
    /// False for one that comes again, or before one that is missing.
    async fn provisional(&mut self, index: usize, response: &Response) -> bool {
        let proof = self.proof.clone();
        let (Some(fork), Some(tag)) = (self.forks.get(index), response.to_tag()) else {
            return true;
        };
        let key = (index, tag);
        if !self.early.contains_key(&key) {
            if self.early.len() >= EARLY_DIALOGS {
                return true;
            }
            let dialog = fork.dialog(response, proof);
            let early = Early {
                dialog,
                rseq: None,
                agreed: false,
            };
            self.early.insert(key.clone(), early);
        }
        let Some(early) = self.early.get_mut(&key) else {
            return true;
        };
        let required = response
            .headers
            .tokens("Require")
            .iter()
            .any(|t| t == "100rel");
        let rseq = response
            .headers
            .get("RSeq")
            .and_then(|v| v.trim().parse().ok());
        let Some(rseq) = rseq.filter(|_| required) else {
            return true;
        };
        let in_order = early
            .rseq
            .is_none_or(|last| last.checked_add(1) == Some(rseq));
        if !in_order {
            return false;
        }
        early.rseq = Some(rseq);
        early.agreed |= response.sdp().is_some();
        if let Some(contact) = response.contact() {
            early.dialog.remote_target = contact.uri;
        }
        let rack = format!("{rseq} {} INVITE", fork.invite.cseq());
        let (request, branch, flow) = early
            .dialog
            .addressed(&self.core, Method::PRack, |request| {
                request.headers.push("RAck", rack);
            })
            .await;
        let proof = early.dialog.proof.clone();
        let (events, mut outcome) = mpsc::channel(4);
        self.core.transactions.send(Outgoing {
            request,
            branch,
            flow,
            index,
            events,
            proof,
        });
        self.core
            .tasks
            .spawn(async move { while outcome.recv().await.is_some() {} });
        true
    }

    /// The early dialog a peer's request belongs to.
    fn early_of(&mut self, request: &Request) -> Option<&mut Early> {
        let tag = request.sender_tag()?;
        let mut all = self.early.iter_mut();
        all.find(|((_, of), _)| *of == tag).map(|(_, early)| early)
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
        let refused = self
            .forks
            .iter()
            .filter_map(|fork| fork.refused.map(|status| (status, fork.reason.clone())))
            .min_by_key(|(status, _)| rank(*status));
        let problem = self.carrier.as_ref().and_then(|c| c.problem.as_ref());
        match (refused, problem) {
            (Some(refused), _) => refused,
            (None, Some(why)) => (503, Some(because(503, why))),
            (None, None) => (480, None),
        }
    }

    /// Whether an answer may still come from where nobody waits for it.
    fn any_superseded(&self) -> bool {
        self.forks.iter().any(|fork| fork.superseded)
    }

    /// Ends every fork still open.
    fn end(&mut self, reason: Reason) {
        self.ended = Some(reason);
        for index in 0..self.forks.len() {
            self.cancel(index);
        }
    }

    fn cancel(&mut self, index: usize) {
        let Some(fork) = self.forks.get_mut(index) else {
            return;
        };
        let reason = match &self.ended {
            _ if fork.superseded => Reason::normal(),
            Some(reason) => reason.clone(),
            None => return,
        };
        let refused = fork.refused.is_some() && !fork.superseded;
        if fork.cancelled || !fork.proceeding || fork.answered || refused {
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
            proof: None,
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
        let over = over || fork.superseded;
        let response = match event {
            ClientEvent::Response(response) => response,
            ClientEvent::Resent { request, branch } => {
                (fork.invite, fork.branch) = (*request, branch);
                fork.proceeding = false;
                return Outcome::Nothing;
            }
            ClientEvent::TimedOut | ClientEvent::Unreachable if fork.superseded => {
                return Outcome::Nothing;
            }
            ClientEvent::TimedOut => {
                fork.refused = Some(408);
                self.give_next_a_chance();
                return Outcome::Nothing;
            }
            ClientEvent::Unreachable => {
                fork.refused = Some(503);
                self.give_next_a_chance();
                return Outcome::Nothing;
            }
        };
        self.heard(index);
        let Some(fork) = self.forks.get_mut(index) else {
            return Outcome::Nothing;
        };
        match response.status {
            ..200 => {
                fork.proceeding = true;
                self.cancel(index);
                let fresh = response.status == 100 || self.provisional(index, &response).await;
                if over || !fresh {
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
                if self.call_again(index, &response) {
                    return Outcome::Nothing;
                }
                let proof = self.proof.clone();
                let Some(fork) = self.forks.get_mut(index) else {
                    return Outcome::Nothing;
                };
                fork.refused = Some(status);
                fork.reason = Reason::of(&response.headers);
                if let (401 | 407, None) = (status, &fork.binding) {
                    let why = proof.map_or(TrunkProblem::NoCredential, |p| p.explain(&response));
                    fork.reason = Some(because(status, &why));
                }
                if status == 503 && !fork.superseded {
                    self.give_next_a_chance();
                } else if (300..400).contains(&status) && !over && fork.binding.is_some() {
                    self.follow(index, &response).await;
                }
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
        let proof = self.proof.clone();
        let fork = self.forks.get(index)?;
        let mut dialog = fork.dialog(response, proof);
        let key = (index, response.to_tag().unwrap_or_default());
        if let Some(Early { dialog: early, .. }) = self.early.get(&key) {
            dialog.local_cseq = early.local_cseq;
            dialog.remote_cseq = early.remote_cseq;
        }
        let flow = dialog.way(&self.core).await;
        let mut ack = dialog.ack(&self.core, fork.invite.cseq(), &flow);
        // RFC 3261 §13.2.2.4: with the proof its INVITE carried.
        for name in ["Authorization", "Proxy-Authorization"] {
            for value in fork.invite.headers.all(name) {
                ack.headers.push(name, value);
            }
        }
        let bytes = Bytes::from(ack.to_bytes());
        flow.send(bytes.clone());
        // A device that answers under ever new tags gets no memory for it.
        if self.acknowledged.len() < 16 {
            self.acknowledged.insert(key, (bytes, flow));
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
        self.invite = None;
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
    /// A change of the session that the device wants before it answers (RFC 3311 §5.1).
    change: Option<Change>,
}

impl Calling {
    async fn run(mut self) {
        let draining = self.ends.core.draining.clone();
        loop {
            if self.forks.is_due() {
                tokio::select! {
                    () = self.forks.call_next() => continue,
                    command = self.ends.commands.recv() => match command {
                        Some(LegCommand::HangUp(reason)) => return self.give_up(Some(reason)).await,
                        Some(LegCommand::Reject { reason, .. }) => return self.give_up(reason).await,
                        None => return self.give_up(None).await,
                        Some(_) => continue,
                    },
                    () = draining.cancelled() => return self.shut_down().await,
                }
            }
            if self.forks.is_over() {
                let (status, reason) = self.forks.refusal();
                self.ends.tell(LegEvent::Failed { status, reason }).await;
                if self.forks.any_superseded() {
                    self.forks.end(Reason::normal());
                    let Self {
                        ends,
                        forks,
                        incoming,
                        ..
                    } = self;
                    drop(ends);
                    forks.drain(incoming).await;
                }
                return;
            }
            let far = Instant::now() + Duration::from_secs(86_400);
            let patience = self.change.as_ref().map_or(far, Change::deadline);
            let silent = self.forks.patience().unwrap_or(far);
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
                    Some(LegCommand::AnswerReinvite(sdp)) => self.answer_change(Ok(&sdp)),
                    Some(LegCommand::RejectReinvite(status)) => {
                        self.answer_change(Err(refusal(status, 488)));
                    }
                    // RFC 3261 §14.1: not before the call is answered.
                    Some(LegCommand::Reinvite(_)) => {
                        self.ends.tell(LegEvent::ChangeRefused { status: 491 }).await;
                    }
                    Some(_) => {}
                },
                Some(arrived) = self.ends.inbox.recv() => self.early_request(*arrived).await,
                () = sleep_until(patience) => self.answer_change(Err(500)),
                () = sleep_until(silent) => self.forks.lose_patience(),
                () = draining.cancelled() => return self.shut_down().await,
            }
        }
    }

    async fn shut_down(mut self) {
        self.forks.end(Reason::normal());
        let (by, reason) = (HungUpBy::Shutdown, None);
        self.ends.tell(LegEvent::HungUp { by, reason }).await;
        self.forks.drain(self.incoming).await;
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
        if let Some(tag) = response.to_tag().filter(|_| response.status > 100) {
            self.ends.early(&tag);
        }
        if let Some(sdp) = response.sdp().filter(|_| response.status > 100) {
            self.ends.tell(LegEvent::Early { sdp }).await;
        } else if matches!(response.status, 180..=182) && !self.rang {
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
        self.answer_change(Err(500));
        self.forks.end(Reason::completed_elsewhere());
        let Some(fork) = self.forks.forks.get(index) else {
            return;
        };
        let contact = fork.invite.uri.clone();
        let allowed = response.headers.get("Allow").is_some();
        let opened = Opened {
            timer: SessionTimer::answered(response, fork.terms),
            terms: fork.terms,
            described: String::from_utf8_lossy(&fork.invite.body).into_owned(),
            remote: response.sdp(),
            peer_updates: allowed && response.headers.allows(Method::Update),
            reliable: None,
        };
        let Self {
            ends,
            forks,
            incoming,
            ..
        } = self;
        ends.core.tasks.spawn(forks.drain(incoming));
        let sdp = response.sdp().unwrap_or_default();
        let session = established::Session::new(ends, dialog, opened);
        session.answered(sdp, contact).await;
    }

    /// A request in a dialog the device has not confirmed yet.
    async fn early_request(&mut self, arrived: InDialog) {
        let InDialog {
            request,
            tx: Some(tx),
        } = arrived
        else {
            return;
        };
        let core = Arc::clone(&self.ends.core);
        let several = self.forks.forks.len() > 1;
        let Some(early) = self.forks.early_of(&request) else {
            return tx.respond(&core.answer(&request, &tx, 481));
        };
        if early
            .dialog
            .remote_cseq
            .is_some_and(|last| request.cseq() <= last)
        {
            return tx.respond(&core.answer(&request, &tx, 500));
        }
        early.dialog.remote_cseq = Some(request.cseq());
        let agreed = early.agreed && !several;
        match request.method {
            Method::Options => tx.respond(&core.options(&request, &tx)),
            Method::Info => established::info(&self.ends, &request, &tx).await,
            Method::Update if request.body.is_empty() => {
                let contact = early.dialog.flow.contact();
                tx.respond(&core.answer(&request, &tx, 200).with("Contact", contact));
            }
            Method::Update if agreed && self.change.is_none() => match request.sdp() {
                Some(offer) => {
                    if let Err(error) = sdp::check(&offer) {
                        return tx.respond(&core.answer(&request, &tx, error.status()));
                    }
                    self.change = Some(Change::new(request, tx));
                    let offer = Some(offer);
                    self.ends.tell(LegEvent::Reinvite { offer }).await;
                }
                None => tx.respond(&core.answer(&request, &tx, 415)),
            },
            // RFC 3311 §5.2: our offer, or the peer's before, is open.
            Method::Update if self.change.is_none() && !agreed => {
                tx.respond(&core.answer(&request, &tx, 491));
            }
            Method::Update | Method::Invite => {
                tx.respond(&busy_with_another(&core, &request, &tx));
            }
            // There is no other party yet to refer.
            Method::Refer => tx.respond(&core.answer(&request, &tx, 603)),
            _ => tx.respond(&core.answer(&request, &tx, 481)),
        }
    }

    fn answer_change(&mut self, answer: Result<&str, u16>) {
        let Some(change) = self.change.take() else {
            return;
        };
        let core = Arc::clone(&self.ends.core);
        let early = self.forks.early_of(change.request());
        match (answer, early) {
            (Ok(sdp), Some(early)) => change.respond(&core, &early.dialog, sdp),
            (Ok(_), None) => change.refuse(&core, 481),
            (Err(status), _) => change.refuse(&core, status),
        }
    }
}

/// Our own words for a refusal.
fn because(status: u16, why: &TrunkProblem) -> Reason {
    Reason {
        protocol: ReasonProtocol::Sip,
        cause: status,
        text: Some(why.to_string()),
    }
}

/// The Contact of a binding must be an address we can put in a request line.
pub(crate) fn usable_contact(contact: &NameAddr) -> bool {
    crate::wire::SipUri::parse(&contact.uri).is_ok_and(|uri| !uri.host.is_empty())
}
