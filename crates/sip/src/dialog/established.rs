//! The answered call: everything up to and including the hang-up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::change::{Changes, Wanted, glare_wait};
use super::refer::{self, Notice, Subscriptions};
use super::reliable::Reliable;
use super::timer::{SessionTimer, Terms};
use super::{Dialog, Ends, InDialog};
use crate::Reason;
use crate::core::Core;
use crate::leg::{HungUpBy, LegCommand, LegEvent, ReferralId};
use crate::net::Flow;
use crate::sdp;
use crate::transaction::{ClientEvent, Outgoing, ServerHandle};
use crate::wire::{Method, Request, Response, media_type};

/// How long an owner may think about a re-INVITE or a REFER.
const OWNER_THINKS: Duration = Duration::from_secs(20);
/// The longest a peer may have us wait with a change (Retry-After of a 500).
const LONGEST_WAIT: u64 = 10;

/// A 2xx of ours that no ACK has confirmed; its dialog repeats it over any
/// transport (RFC 3261 §13.3.1.4).
pub(super) struct Unacknowledged {
    bytes: Bytes,
    flow: Flow,
    cseq: u32,
    /// The ACK must carry the answer to our offer.
    late_offer: bool,
    interval: Duration,
    longest: Duration,
    next: Instant,
    give_up: Instant,
    first: bool,
}

impl Unacknowledged {
    pub fn new(
        core: &Core,
        response: &Response,
        tx: &ServerHandle,
        cseq: u32,
        late_offer: bool,
    ) -> Self {
        let (timers, now) = (core.transactions.timers, Instant::now());
        Self {
            bytes: Bytes::from(response.to_bytes()),
            flow: tx.flow(),
            cseq,
            late_offer,
            interval: timers.t1,
            longest: timers.t2(),
            next: now + timers.t1,
            give_up: now + timers.give_up(),
            first: true,
        }
    }

    fn repeat(&mut self) {
        self.flow.send(self.bytes.clone());
        self.interval = (self.interval * 2).min(self.longest);
        self.next = Instant::now() + self.interval;
    }
}

/// A request of the peer that changes the session and waits for its owner's word.
pub(super) struct Change {
    request: Request,
    tx: ServerHandle,
    deadline: Instant,
}

impl Change {
    pub fn new(request: Request, tx: ServerHandle) -> Self {
        Self {
            request,
            tx,
            deadline: Instant::now() + OWNER_THINKS,
        }
    }

    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Refuses it; the session goes on as it was.
    pub fn refuse(self, core: &Core, status: u16) {
        self.tx
            .respond(&core.answer(&self.request, &self.tx, status));
    }

    /// The answer, without what only a 2xx to an INVITE needs.
    fn accept(&self, core: &Core, dialog: &Dialog, sdp: &str) -> Response {
        core.answer(&self.request, &self.tx, 200)
            .with("Contact", dialog.flow.contact())
            .with_sdp(sdp)
    }

    /// Accepts a change that is no INVITE.
    pub fn respond(self, core: &Core, dialog: &Dialog, sdp: &str) {
        self.tx.respond(&self.accept(core, dialog, sdp));
    }
}

/// A status an owner gave to refuse something.
pub(super) fn refusal(status: u16, otherwise: u16) -> u16 {
    if (300..700).contains(&status) {
        status
    } else {
        otherwise
    }
}

/// What was agreed when the call was answered.
pub(super) struct Opened {
    pub timer: Option<SessionTimer>,
    pub terms: Terms,
    /// What we said of our side last.
    pub described: String,
    /// What the peer said of its side.
    pub remote: Option<String>,
    /// Whether the peer takes UPDATE.
    pub peer_updates: bool,
    /// Responses before the answer that the peer may still confirm, and the CSeq of its INVITE.
    pub reliable: Option<(Reliable, u32)>,
}

pub(super) struct Session {
    ends: Ends,
    dialog: Dialog,
    opened: Opened,
    unacknowledged: Option<Unacknowledged>,
    /// The peer's change.
    change: Option<Change>,
    /// Ours.
    changes: Changes,
    refresh: Option<Instant>,
    expires: Option<Instant>,
    /// A REFER that waits for its owner's word.
    referral: Option<refer::Asked>,
    subscriptions: Subscriptions,
    /// NOTIFYs on their way, by their CSeq.
    notices: HashMap<usize, ReferralId>,
    asking: mpsc::Sender<(usize, ClientEvent)>,
    answers: mpsc::Receiver<(usize, ClientEvent)>,
    /// The ACK of our last re-INVITE, said again when its 2xx comes again.
    acknowledgement: Option<(u32, Bytes, Flow)>,
    /// Said before the ACK came: RFC 3261 §15 forbids BYE until then.
    hang_up: Option<Reason>,
}

/// How the session ended; `None` in a step means it goes on.
struct End {
    by: HungUpBy,
    reason: Option<Reason>,
    bye: bool,
}

impl End {
    fn expired() -> Self {
        Self {
            by: HungUpBy::SessionExpired,
            reason: None,
            bye: true,
        }
    }
}

impl Session {
    pub fn new(ends: Ends, dialog: Dialog, opened: Opened) -> Self {
        ends.confirmed(dialog.remote_tag.as_ref());
        // A NOTIFY for each subscription, a change, and repeated answers fit in.
        let (asking, answers) = mpsc::channel(32);
        let mut session = Self {
            ends,
            dialog,
            unacknowledged: None,
            change: None,
            changes: Changes::default(),
            refresh: None,
            expires: None,
            referral: None,
            subscriptions: Subscriptions::default(),
            notices: HashMap::new(),
            asking,
            answers,
            acknowledgement: None,
            hang_up: None,
            opened,
        };
        session.refreshed(session.opened.timer);
        session
    }

    fn core(&self) -> Arc<Core> {
        Arc::clone(&self.ends.core)
    }

    fn refreshed(&mut self, timer: Option<SessionTimer>) {
        let now = Instant::now();
        self.opened.timer = timer;
        self.refresh = timer.and_then(|t| Some(now + t.refresh_after()?));
        self.expires = timer.map(|t| now + t.expires_after());
    }

    /// Lives on in a task of its own, so that nothing of how the call was set up is held for as long as it lasts. What acts
    /// for a moment is boxed for the same reason.
    pub fn go_on(mut self, unacknowledged: Option<Unacknowledged>) {
        self.unacknowledged = unacknowledged;
        let core = self.core();
        core.tasks.spawn(self.run());
    }

    async fn run(mut self) {
        let end = loop {
            Box::pin(self.advance()).await;
            if let Some(end) = self.step().await {
                break end;
            }
        };
        Box::pin(self.finish(end)).await;
    }

    async fn finish(mut self, end: End) {
        let core = self.core();
        // RFC 3261 §15.1.2: a BYE ends what is still unanswered.
        if let Some(change) = self.change.take() {
            change.refuse(&core, 487);
        }
        if let Some(refer::Asked { request, tx, .. }) = self.referral.take() {
            tx.respond(&core.answer(&request, &tx, 487));
        }
        if end.bye {
            while let Some(notice) = self.subscriptions.rest() {
                self.notify(notice).await;
            }
            self.dialog.bye(&core, end.reason.as_ref()).await;
        }
        self.ends
            .tell(LegEvent::HungUp {
                by: end.by,
                reason: end.reason,
            })
            .await;
        let Self {
            dialog,
            answers,
            changes,
            asking,
            ..
        } = self;
        drop(asking);
        if changes.offers() {
            core.tasks
                .clone()
                .spawn(async move { see_through(&core, &dialog, answers).await });
        }
    }

    /// A call we placed was answered and acknowledged.
    pub async fn answered(self, sdp: String, contact: String) {
        self.ends.tell(LegEvent::Answered { sdp, contact }).await;
        self.ends.tell(LegEvent::Confirmed { sdp: None }).await;
        self.go_on(None);
    }

    async fn step(&mut self) -> Option<End> {
        let far = Instant::now() + Duration::from_secs(86_400);
        let repeat = self.unacknowledged.as_ref().map_or(far, |u| u.next);
        let give_up = self.unacknowledged.as_ref().map_or(far, |u| u.give_up);
        let patience = self.change.as_ref().map_or(far, |c| c.deadline);
        let decision = self.referral.as_ref().map_or(far, |r| r.deadline);
        let refresh = self.refresh.unwrap_or(far);
        let expires = self.expires.unwrap_or(far);
        let again = self.changes.deadline().unwrap_or(far);
        let draining = self.ends.core.draining.clone();
        let change = self.change.as_ref();
        tokio::select! {
            arrived = self.ends.inbox.recv() => Box::pin(self.arrived(*arrived?)).await,
            command = self.ends.commands.recv(), if self.hang_up.is_none() => Box::pin(self.command(command)).await,
            Some((cseq, event)) = self.answers.recv() => Box::pin(self.asked(cseq, event)).await,
            () = sleep_until(repeat), if self.unacknowledged.is_some() => {
                if let Some(pending) = &mut self.unacknowledged {
                    pending.repeat();
                }
                None
            }
            () = sleep_until(give_up), if self.unacknowledged.is_some() => {
                // RFC 3261 §13.3.1.4: the dialog stands, the session must end.
                let by = if self.hang_up.is_some() { HungUpBy::Us } else { HungUpBy::MissingAck };
                Some(End { by, reason: self.hang_up.take(), bye: true })
            }
            () = sleep_until(patience), if change.is_some() => {
                self.answer_change(500, None);
                None
            }
            _ = async { change.expect("guarded by the branch").tx.cancelled().await }, if change.is_some() => {
                self.answer_change(487, None);
                None
            }
            () = sleep_until(decision), if self.referral.is_some() => {
                self.refuse_referral(500);
                None
            }
            () = sleep_until(again), if self.changes.deadline().is_some() => None,
            () = sleep_until(refresh), if self.refresh.is_some() => {
                self.refresh = None;
                self.changes.refresh();
                None
            }
            () = sleep_until(expires), if self.expires.is_some() => Some(End::expired()),
            () = draining.cancelled() => Some(End { by: HungUpBy::Shutdown, reason: None, bye: true }),
        }
    }

    async fn command(&mut self, command: Option<LegCommand>) -> Option<End> {
        match command {
            Some(LegCommand::AnswerReinvite(sdp)) => self.answer_change(200, Some(&sdp)),
            Some(LegCommand::RejectReinvite(status)) => {
                self.answer_change(refusal(status, 488), None);
            }
            Some(LegCommand::Reinvite(sdp)) => {
                if !self.changes.order(sdp) {
                    self.ends
                        .tell(LegEvent::ChangeRefused { status: 491 })
                        .await;
                }
            }
            Some(LegCommand::Digit(digit)) => {
                self.ask(Method::Info, |request| {
                    let relay = "application/dtmf-relay";
                    request.headers.push("Content-Type", relay);
                    request.body = format!("Signal={digit}\r\nDuration=160\r\n").into_bytes();
                })
                .await;
            }
            Some(LegCommand::AcceptReferral(id)) => self.accept_referral(id).await,
            Some(LegCommand::RefuseReferral { id, status }) => {
                if self.referral.as_ref().is_some_and(|asked| asked.id == id) {
                    self.refuse_referral(refusal(status, 603));
                }
            }
            Some(LegCommand::ReportReferral { id, status }) => {
                self.subscriptions.report(id, status);
                self.notify_all().await;
            }
            Some(
                LegCommand::HangUp(reason)
                | LegCommand::Reject {
                    reason: Some(reason),
                    ..
                },
            ) => {
                return self.hang_up_with(reason);
            }
            // Dropping the last handle ends the leg, too.
            Some(LegCommand::Reject { reason: None, .. }) | None => {
                return self.hang_up_with(Reason::normal());
            }
            // Late words about an answer already given.
            Some(LegCommand::Ring | LegCommand::Progress(_) | LegCommand::Answer(_)) => {}
        }
        None
    }

    fn hang_up_with(&mut self, reason: Reason) -> Option<End> {
        if self.unacknowledged.as_ref().is_some_and(|u| u.first) {
            self.hang_up = Some(reason);
            return None;
        }
        Some(End {
            by: HungUpBy::Us,
            reason: Some(reason),
            bye: true,
        })
    }

    async fn arrived(&mut self, arrived: InDialog) -> Option<End> {
        let InDialog { request, tx } = arrived;
        let Some(tx) = tx else {
            return self.acknowledged(&request).await;
        };
        let core = self.core();
        if request.sender_tag() != self.dialog.remote_tag {
            tx.respond(&core.answer(&request, &tx, 481));
            return None;
        }
        // RFC 3261 §12.2.2: gaps are legal, going back is not.
        if self
            .dialog
            .remote_cseq
            .is_some_and(|last| request.cseq() <= last)
        {
            tx.respond(&core.answer(&request, &tx, 500));
            return None;
        }
        self.dialog.remote_cseq = Some(request.cseq());
        match request.method {
            Method::Bye => {
                tx.respond(&core.answer(&request, &tx, 200));
                let reason = Reason::of(&request.headers);
                return Some(End {
                    by: HungUpBy::Peer,
                    reason,
                    bye: false,
                });
            }
            Method::Invite | Method::Update => self.change(request, tx).await,
            Method::PRack => {
                // A confirmation that our answer overtook.
                let reliable = self.opened.reliable.as_mut();
                let confirmed = reliable.and_then(|(all, cseq)| all.confirm(&request, *cseq));
                let status = if confirmed.is_some() { 200 } else { 481 };
                tx.respond(&core.answer(&request, &tx, status));
            }
            Method::Info => info(&self.ends, &request, &tx).await,
            Method::Options => tx.respond(&core.options(&request, &tx)),
            Method::Refer => self.refer(request, tx).await,
            _ => tx.respond(&core.answer(&request, &tx, 405)),
        }
        None
    }

    async fn acknowledged(&mut self, ack: &Request) -> Option<End> {
        let pending = self.unacknowledged.take_if(|u| u.cseq == ack.cseq())?;
        if let Some(reason) = self.hang_up.take() {
            return Some(End {
                by: HungUpBy::Us,
                reason: Some(reason),
                bye: true,
            });
        }
        if pending.first || pending.late_offer {
            let sdp = if pending.late_offer { ack.sdp() } else { None };
            if sdp.is_some() {
                self.opened.remote.clone_from(&sdp);
            }
            self.ends.tell(LegEvent::Confirmed { sdp }).await;
        }
        None
    }

    /// The peer changes or refreshes the session.
    async fn change(&mut self, request: Request, tx: ServerHandle) {
        let core = self.core();
        let Ok(timer) = SessionTimer::answering(&request, self.opened.terms) else {
            return tx.respond(
                &core
                    .answer(&request, &tx, 422)
                    .with("Min-SE", self.opened.terms.min.to_string()),
            );
        };
        let offer = request.sdp();
        let invite = request.method == Method::Invite;
        // RFC 3261 §14.2, RFC 3311 §5.2: our own offer is open.
        if self.changes.offers() && (invite || offer.is_some()) {
            return tx.respond(&core.answer(&request, &tx, 491));
        }
        let unconfirmed = invite && self.unacknowledged.is_some();
        if (self.change.is_some() && (invite || offer.is_some())) || unconfirmed {
            // The same clauses: one change of the peer's at a time.
            return tx.respond(&busy_with_another(&core, &request, &tx));
        }
        if let Some(Err(error)) = offer.as_deref().map(sdp::check) {
            return tx.respond(&core.refuse_session(&request, &tx, &error));
        }
        if let Some(contact) = request.contact() {
            self.dialog.remote_target = contact.uri;
        }
        if request.headers.get("Allow").is_some() {
            self.opened.peer_updates = request.headers.allows(Method::Update);
        }
        self.refreshed(timer);
        if !invite && offer.is_none() {
            let contact = self.dialog.flow.contact();
            let response = core.answer(&request, &tx, 200).with("Contact", contact);
            return tx.respond(&grant(timer, &request, response));
        }
        if invite {
            tx.respond(&core.answer(&request, &tx, 100));
        }
        self.change = Some(Change::new(request, tx));
        self.ends.tell(LegEvent::Reinvite { offer }).await;
    }

    fn answer_change(&mut self, status: u16, sdp: Option<&str>) {
        let Some(change) = self.change.take() else {
            return;
        };
        let core = self.core();
        let Some(sdp) = sdp else {
            return change.refuse(&core, status);
        };
        let response = change.accept(&core, &self.dialog, sdp);
        let Change { request, tx, .. } = change;
        let response = grant(self.opened.timer, &request, response);
        tx.respond(&response);
        self.opened.described = sdp.to_owned();
        if let Some(offer) = request.sdp() {
            self.opened.remote = Some(offer);
        }
        if request.method == Method::Invite {
            let late_offer = request.sdp().is_none();
            let mut pending =
                Unacknowledged::new(&core, &response, &tx, request.cseq(), late_offer);
            pending.first = false;
            self.unacknowledged = Some(pending);
        }
    }

    /// Asks for the next change of ours, unless one of the peer's is under way.
    async fn advance(&mut self) {
        if self.change.is_some() || self.unacknowledged.is_some() || self.hang_up.is_some() {
            return;
        }
        let Some(wanted) = self.changes.next(Instant::now()) else {
            return;
        };
        let (method, body) = match &wanted {
            Wanted::Offer(sdp) => (Method::Invite, sdp.clone()),
            Wanted::Refresh if self.opened.peer_updates => (Method::Update, String::new()),
            // RFC 4028 §7.4: a description that did not change keeps its version.
            Wanted::Refresh => (Method::Invite, self.opened.described.clone()),
        };
        let (timer, terms) = (self.opened.timer, self.opened.terms);
        let cseq = self
            .ask(method, |request| {
                if let Some(timer) = timer {
                    timer.renew(terms, &mut request.headers);
                }
                if !body.is_empty() {
                    request.headers.push("Content-Type", "application/sdp");
                    request.body = body.into_bytes();
                }
            })
            .await;
        self.changes.asked(wanted, method, cseq);
    }

    /// Sends a request inside the dialog; what comes of it arrives in [`Self::asked`] under its CSeq.
    async fn ask(&mut self, method: Method, complete: impl FnOnce(&mut Request)) -> u32 {
        let core = self.core();
        let (request, branch, flow) = self.dialog.addressed(&core, method, complete).await;
        let cseq = request.cseq();
        let outgoing = Outgoing {
            request,
            branch,
            flow,
            index: cseq as usize,
            events: self.asking.clone(),
            proof: self.dialog.proof.clone(),
        };
        if !core.transactions.send(outgoing) {
            // As if nothing had come back; our own overload is not the peer's end.
            let busy = Response {
                status: 503,
                headers: crate::wire::Headers::default(),
                body: Vec::new(),
            };
            let event = ClientEvent::Response(Box::new(busy.with("Retry-After", "2")));
            let _ = self.asking.try_send((cseq as usize, event));
        }
        cseq
    }

    /// Something came back for a request of ours.
    async fn asked(&mut self, cseq: usize, event: ClientEvent) -> Option<End> {
        if matches!(event, ClientEvent::Resent { .. }) {
            return None;
        }
        if let Some(id) = self.notices.get(&cseq).copied() {
            let known = match event {
                ClientEvent::Response(response) if response.status < 200 => return None,
                ClientEvent::Response(response) => response.status != 481,
                ClientEvent::TimedOut | ClientEvent::Unreachable | ClientEvent::Resent { .. } => {
                    false
                }
            };
            self.notices.remove(&cseq);
            self.subscriptions.answered(id, known);
            self.notify_all().await;
            return None;
        }
        let cseq = u32::try_from(cseq).unwrap_or_default();
        let Some(method) = self.changes.method_of(cseq) else {
            if let (ClientEvent::Response(response), Some((of, ack, flow))) =
                (event, &self.acknowledgement)
                && *of == cseq
                && (200..300).contains(&response.status)
            {
                flow.send(ack.clone());
            }
            return None;
        };
        match event {
            ClientEvent::Response(response) if response.status < 200 => None,
            ClientEvent::Response(response) if response.status < 300 => {
                self.change_accepted(method, cseq, &response).await;
                None
            }
            ClientEvent::Response(response) => self.change_refused(method, &response).await,
            // RFC 3261 §12.2.1.2: a peer that is silent is gone.
            ClientEvent::TimedOut | ClientEvent::Unreachable => Some(End::expired()),
            ClientEvent::Resent { .. } => None,
        }
    }

    async fn change_accepted(&mut self, method: Method, cseq: u32, response: &Response) {
        let core = self.core();
        if let Some(contact) = response.contact() {
            self.dialog.remote_target = contact.uri;
        }
        if method == Method::Invite {
            let flow = self.dialog.way(&core).await;
            // A challenged request was answered under the number after its own.
            let answered = crate::wire::cseq(&response.headers).map_or(cseq, |(number, _)| number);
            let ack = Bytes::from(self.dialog.ack(&core, answered, &flow).to_bytes());
            flow.send(ack.clone());
            self.acknowledgement = Some((cseq, ack, flow));
        }
        self.refreshed(SessionTimer::answered(response, self.opened.terms));
        let answer = response.sdp();
        let event = match (self.changes.settled(), answer) {
            (Some(Wanted::Offer(sdp)), Some(answer)) => {
                self.opened.described = sdp;
                self.opened.remote = Some(answer.clone());
                LegEvent::Changed { sdp: answer }
            }
            (Some(Wanted::Offer(_)), None) => LegEvent::ChangeRefused { status: 488 },
            (_, Some(answer)) if is_other(self.opened.remote.as_deref(), &answer) => {
                self.opened.remote = Some(answer.clone());
                LegEvent::Changed { sdp: answer }
            }
            _ => return,
        };
        self.ends.tell(event).await;
    }

    async fn change_refused(&mut self, method: Method, response: &Response) -> Option<End> {
        let now = Instant::now();
        let wait = match response.status {
            408 | 481 => return Some(End::expired()),
            491 => {
                let t1 = self.ends.core.transactions.timers.t1;
                Some(glare_wait(self.dialog.ours, rand::random(), t1))
            }
            500 | 503 => response
                .headers
                .get("Retry-After")
                .and_then(|value| value.split([';', '(']).next()?.trim().parse().ok())
                .filter(|seconds| *seconds <= LONGEST_WAIT)
                .map(Duration::from_secs),
            422 if self.opened.terms.raise(response) => Some(Duration::ZERO),
            405 | 501 if method == Method::Update => {
                self.opened.peer_updates = false;
                Some(Duration::ZERO)
            }
            _ => None,
        };
        let given_up = match wait {
            Some(wait) => self.changes.again(now + wait),
            None => self.changes.settled(),
        };
        match given_up {
            Some(Wanted::Offer(_)) => {
                let status = response.status;
                self.ends.tell(LegEvent::ChangeRefused { status }).await;
            }
            // Whoever refuses is there: the session is not dead, and we ask again at half time.
            Some(Wanted::Refresh) => self.refreshed(self.opened.timer),
            None => {}
        }
        None
    }

    /// The peer refers its other party to somebody.
    async fn refer(&mut self, request: Request, tx: ServerHandle) {
        let core = self.core();
        if self.referral.is_some() {
            return tx.respond(&core.answer(&request, &tx, 491));
        }
        if self.subscriptions.is_full() {
            return tx.respond(&core.answer(&request, &tx, 503).with("Retry-After", "5"));
        }
        match refer::read(&request) {
            Ok(referral) => {
                self.referral = Some(refer::Asked {
                    id: referral.id,
                    request,
                    tx,
                    deadline: Instant::now() + OWNER_THINKS,
                });
                self.ends.tell(LegEvent::Referred(Box::new(referral))).await;
            }
            Err(status) => tx.respond(&core.answer(&request, &tx, status)),
        }
    }

    fn refuse_referral(&mut self, status: u16) {
        if let Some(refer::Asked { request, tx, .. }) = self.referral.take() {
            tx.respond(&self.ends.core.answer(&request, &tx, status));
        }
    }

    async fn accept_referral(&mut self, id: ReferralId) {
        let Some(asked) = self.referral.take_if(|asked| asked.id == id) else {
            return;
        };
        let core = self.core();
        let contact = self.dialog.flow.contact();
        let response = core
            .answer(&asked.request, &asked.tx, 202)
            .with("Contact", contact);
        if asked.is_silent() {
            return asked.tx.respond(&response.with("Refer-Sub", "false"));
        }
        asked.tx.respond(&response);
        self.subscriptions.open(id);
        self.notify_all().await;
    }

    async fn notify_all(&mut self) {
        while let Some(notice) = self.subscriptions.next() {
            self.notify(notice).await;
        }
    }

    async fn notify(&mut self, notice: Notice) {
        let id = notice.id;
        let cseq = self
            .ask(Method::Notify, |request| {
                request.headers.push("Event", notice.event);
                request.headers.push("Subscription-State", notice.state);
                request
                    .headers
                    .push("Content-Type", "message/sipfrag;version=2.0");
                request.body = notice.body.into_bytes();
            })
            .await;
        self.notices.insert(cseq as usize, id);
    }
}

/// 500 with a time to return, at random as RFC 3261 §14.2 has it.
pub(super) fn busy_with_another(core: &Core, request: &Request, tx: &ServerHandle) -> Response {
    let seconds = rand::random::<u8>() % 11;
    core.answer(request, tx, 500)
        .with("Retry-After", seconds.to_string())
}

fn grant(timer: Option<SessionTimer>, request: &Request, response: Response) -> Response {
    match timer {
        Some(timer) => timer.grant(request, response),
        None => response,
    }
}

/// Whether a description differs from the one before: the version in its `o=` line says so (RFC 3264 §8).
fn is_other(before: Option<&str>, now: &str) -> bool {
    let origin = |text: &str| {
        text.lines()
            .find(|l| l.starts_with("o="))
            .map(str::to_owned)
    };
    before.and_then(origin) != origin(now)
}

/// An INVITE of ours was unanswered when the call ended: a 2xx to it still gets its ACK.
async fn see_through(
    core: &Core,
    dialog: &Dialog,
    mut answers: mpsc::Receiver<(usize, ClientEvent)>,
) {
    while let Some((cseq, event)) = answers.recv().await {
        if let ClientEvent::Response(response) = event
            && (200..300).contains(&response.status)
            && crate::wire::cseq(&response.headers).is_some_and(|(_, method)| method == "INVITE")
        {
            let cseq = u32::try_from(cseq).unwrap_or_default();
            let flow = dialog.way(core).await;
            let ack = dialog.ack(core, cseq, &flow);
            flow.send(Bytes::from(ack.to_bytes()));
        }
    }
}

/// An INFO: a digit, or nothing we need to understand.
pub(super) async fn info(ends: &Ends, request: &Request, tx: &ServerHandle) {
    let core = &ends.core;
    if request.body.is_empty() {
        return tx.respond(&core.answer(request, tx, 200));
    }
    let kind = media_type(request.headers.get("Content-Type").unwrap_or_default());
    let Some((digit, duration)) = digit(&kind, &String::from_utf8_lossy(&request.body)) else {
        return tx.respond(&core.answer(request, tx, 400));
    };
    tx.respond(&core.answer(request, tx, 200));
    ends.tell(LegEvent::Digit { digit, duration }).await;
}

/// The key in an INFO body: `Signal=5` and `Duration=160`, or the key alone.
fn digit(kind: &str, body: &str) -> Option<(char, Duration)> {
    let (mut signal, mut duration) = (None, 160);
    if kind == "application/dtmf" && !body.contains('=') {
        signal = Some(body.trim());
    } else {
        for line in body.lines() {
            let (name, value) = line.split_once('=')?;
            match name.trim().to_ascii_lowercase().as_str() {
                "signal" => signal = Some(value.trim()),
                "duration" => duration = value.trim().parse().ok()?,
                _ => {}
            }
        }
    }
    let key = match signal? {
        "10" => '*',
        "11" => '#',
        one => {
            let mut chars = one.chars();
            let key = chars.next()?.to_ascii_uppercase();
            (chars.next().is_none() && "0123456789*#ABCD".contains(key)).then_some(key)?
        }
    };
    Some((key, Duration::from_millis(u64::min(duration, 10_000))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_both_kinds_of_info() {
        let ms = Duration::from_millis;
        let relay = "application/dtmf-relay";
        assert_eq!(
            digit(relay, "Signal=5\r\nDuration=200\r\n"),
            Some(('5', ms(200)))
        );
        assert_eq!(digit(relay, "Signal= #\r\n"), Some(('#', ms(160))));
        assert_eq!(digit("application/dtmf", "10"), Some(('*', ms(160))));
        assert_eq!(digit("application/dtmf", "d\r\n"), Some(('D', ms(160))));
        for bad in [
            "",
            "Signal=\r\n",
            "Signal=55",
            "Duration=1",
            "x",
            "Signal=1\r\nDuration=x",
        ] {
            assert_eq!(digit(relay, bad), None, "{bad}");
        }
    }
}
