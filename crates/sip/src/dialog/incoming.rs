//! Calls that reach us: who may call, and the time until the answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::established::{self, Change, Opened, Unacknowledged, busy_with_another, refusal};
use super::reliable::{Confirms, Reliable};
use super::timer::{SessionTimer, Terms};
use super::{Dialog, Ends, InDialog, replaced};
use crate::core::{Core, count};
use crate::guard::Offence;
use crate::leg::{
    DialogId, HungUpBy, IncomingCall, LegCommand, LegEvent, Party, Replaces, Replacing,
};
use crate::net::Flow;
use crate::registrar::{Challenge, Verdict};
use crate::transaction::ServerHandle;
use crate::wire::{Method, NameAddr, Request, Response, SipUri, split_list, unescape};
use crate::{Reason, SipEvent, Transport, sdp};

/// An INVITE outside any dialog.
pub(crate) fn invited(core: &Arc<Core>, request: Request, tx: ServerHandle, flow: &Flow) {
    if core.refusing.is_cancelled() {
        let response = core.answer(&request, &tx, 503).with("Retry-After", "30");
        return tx.respond(&response);
    }
    // A device may sit on a carrier's address; then it is the device that calls.
    if core.registrar.is_device(flow) {
        let (core, flow) = (Arc::clone(core), flow.clone());
        core.tasks
            .clone()
            .spawn(async move { device_call(&core, request, tx, &flow).await });
    } else if !flow.is_websocket() && core.is_carrier(flow.origin) {
        begin(core, request, tx, flow, None);
    } else {
        core.offended(flow, None, Offence::Uninvited);
        tx.respond(&core.answer(&request, &tx, 403));
    }
}

async fn device_call(core: &Arc<Core>, request: Request, tx: ServerHandle, flow: &Flow) {
    match core
        .registrar
        .authenticate(core, &request, flow, Challenge::Proxy)
        .await
    {
        Verdict::Known(username) => begin(core, request, tx, flow, Some(username)),
        Verdict::Challenge(values) => {
            let response = core.answer(&request, &tx, 407);
            let response = values
                .into_iter()
                .fold(response, |r, v| r.with("Proxy-Authenticate", v));
            tx.respond(&response);
        }
        Verdict::Refused(status) => tx.respond(&core.answer(&request, &tx, status)),
    }
}

fn begin(
    core: &Arc<Core>,
    request: Request,
    tx: ServerHandle,
    flow: &Flow,
    from_device: Option<String>,
) {
    let terms = Terms::of(&core.config.limits);
    let Ok(timer) = SessionTimer::answering(&request, terms) else {
        let response = core
            .answer(&request, &tx, 422)
            .with("Min-SE", terms.min.to_string());
        return tx.respond(&response);
    };
    let replaces = match wants_to_replace(core, &request) {
        Ok(replaces) => replaces,
        Err(status) => return tx.respond(&core.answer(&request, &tx, status)),
    };
    let offer = request.sdp();
    if let Some(Err(error)) = offer.as_deref().map(sdp::check) {
        return tx.respond(&core.refuse_session(&request, &tx, &error));
    }
    let id = DialogId {
        call_id: request.call_id().to_owned(),
        local_tag: tx.to_tag().to_owned(),
    };
    let caller_tag = Some(request.sender_tag().unwrap_or_default());
    let (leg, ends) = Ends::open(core, id, caller_tag);
    let trunk = match &from_device {
        Some(_) => None,
        None => core.trunks.calling(flow.origin.ip(), &request.uri),
    };
    let shown = match &trunk {
        Some(line) => line.shown(flow),
        None => flow.clone(),
    };
    let proof = trunk.as_ref().and_then(|line| line.proof.clone());
    let trusted = trunk
        .as_ref()
        .is_some_and(|line| line.trunk.trusts_identity);
    let named = |header| first(&request, header);
    let call = IncomingCall {
        leg,
        from: named("From").unwrap_or_default(),
        request_uri: request.uri.clone(),
        to: named("To").unwrap_or_default(),
        asserted: trusted.then(|| named("P-Asserted-Identity")).flatten(),
        diversion: named("Diversion"),
        trunk: trunk.map(|line| line.trunk.key.clone()),
        to_user: SipUri::parse(&request.uri)
            .map(|u| u.user)
            .unwrap_or_default(),
        source: flow.origin,
        listener: (flow.transport(), flow.local().bound),
        secure: matches!(flow.transport(), Transport::Tls | Transport::Wss),
        sip_call_id: request.call_id().to_owned(),
        offer,
        from_device: from_device.clone(),
        replaces,
    };
    tx.respond(&core.answer(&request, &tx, 100));
    if !core.publish(SipEvent::Incoming(Box::new(call))) {
        count(&core.tally.limited);
        let response = core.answer(&request, &tx, 503).with("Retry-After", "5");
        return tx.respond(&response);
    }
    let mut dialog = Dialog::of_request(&request, tx.to_tag(), &shown, from_device.is_some());
    dialog.proof = proof;
    let incoming = Incoming {
        confirms: Confirms::of(&request),
        reliable: Reliable::new(core.transactions.timers, rand::random()),
        agreement: if request.sdp().is_some() {
            Agreement::Offered
        } else {
            Agreement::None
        },
        remote: request.sdp(),
        ends,
        request,
        tx,
        dialog,
        timer,
        terms,
        last: None,
        answer: None,
        described: String::new(),
        change: None,
    };
    core.tasks.spawn(incoming.run());
}

/// The leg this call is to take the place of, if it says so (RFC 3891 §3).
fn wants_to_replace(core: &Core, request: &Request) -> Result<Option<Replacing>, u16> {
    let mut all = request.headers.all("Replaces");
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let replaces = Replaces::parse(value).ok_or(400_u16)?;
            Ok(Some(Replacing {
                dialog: replaced(core, &replaces)?,
                early_only: replaces.early_only,
            }))
        }
        (Some(_), Some(_)) => Err(400),
    }
}

/// The first party a header names.
fn first(request: &Request, header: &str) -> Option<Party> {
    let named = request.headers.get(header)?;
    let named = NameAddr::parse(split_list(named).next()?)?;
    let user = SipUri::parse(&named.uri)
        .map(|u| u.user)
        .unwrap_or_else(|_| unescape(&named.uri));
    Some(Party {
        user,
        display: named.display.filter(|d| !d.is_empty()),
    })
}

struct Incoming {
    ends: Ends,
    request: Request,
    tx: ServerHandle,
    dialog: Dialog,
    timer: Option<SessionTimer>,
    terms: Terms,
    confirms: Confirms,
    reliable: Reliable,
    agreement: Agreement,
    /// What the caller said of its side.
    remote: Option<String>,
    /// The provisional response to be repeated (RFC 3261 §13.3.1.1).
    last: Option<Response>,
    /// An answer that waits for a confirmation (RFC 3262 §3).
    answer: Option<String>,
    /// What we said of our side last.
    described: String,
    /// A change of the session that the caller wants already now (RFC 3311 §5.2).
    change: Option<Change>,
}

/// How far offer and answer have come before the call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    /// The caller leaves the offer to us.
    None,
    /// He offered; nothing he must have seen answers it.
    Offered,
    /// Our answer is in a response that he confirms, but has not yet.
    Answering,
    /// Our offer is in such a response.
    Offering,
    /// Both are known to both.
    Complete,
}

enum Next {
    Stay,
    Answered(String),
    Over,
}

impl Incoming {
    async fn run(mut self) {
        let mut refresh = tokio::time::interval(Duration::from_secs(60));
        refresh.tick().await;
        let (draining, stop) = (self.ends.core.draining.clone(), self.ends.core.stop.clone());
        loop {
            let far = Instant::now() + Duration::from_secs(86_400);
            let (repeat, give_up) = self.reliable.deadlines().unwrap_or((far, far));
            let patience = self.change.as_ref().map_or(far, Change::deadline);
            let next = tokio::select! {
                reason = self.tx.cancelled() => {
                    self.refuse(487, None);
                    self.ends.tell(LegEvent::Cancelled { reason }).await;
                    Next::Over
                }
                command = self.ends.commands.recv() => self.command(command).await,
                Some(arrived) = self.ends.inbox.recv() => self.early_request(*arrived).await,
                _ = refresh.tick() => {
                    if let Some(last) = self.last.clone().filter(|_| self.reliable.deadlines().is_none()) {
                        self.say(last);
                    }
                    Next::Stay
                }
                () = sleep_until(give_up) => {
                    // RFC 3262 §3: a caller that confirms nothing has no use for an answer.
                    self.refuse(504, None);
                    self.ends.tell(LegEvent::HungUp { by: HungUpBy::MissingAck, reason: None }).await;
                    Next::Over
                }
                () = sleep_until(repeat) => {
                    if let Some(response) = self.reliable.repeat(Instant::now()) {
                        self.tx.respond(response);
                    }
                    Next::Stay
                }
                () = sleep_until(patience) => {
                    self.answer_change(Err(500));
                    Next::Stay
                }
                () = async { tokio::select! { () = draining.cancelled() => {}, () = stop.cancelled() => {} } } => {
                    self.refuse(503, None);
                    self.ends.tell(LegEvent::HungUp { by: HungUpBy::Shutdown, reason: None }).await;
                    Next::Over
                }
            };
            match next {
                Next::Stay => {}
                Next::Over => {
                    self.answer_change(Err(487));
                    return;
                }
                Next::Answered(sdp) if self.reliable.holds_answer() => self.answer = Some(sdp),
                Next::Answered(sdp) => return self.answered(&sdp).await,
            }
        }
    }

    async fn command(&mut self, command: Option<LegCommand>) -> Next {
        match command {
            Some(LegCommand::Ring) => self.provisional(180, None),
            Some(LegCommand::Progress(sdp)) => self.provisional(183, Some(&sdp)),
            Some(LegCommand::Answer(sdp)) => return Next::Answered(sdp),
            Some(LegCommand::Reject { status, reason }) => {
                let status = refusal(status, 500);
                self.refuse(status, reason.as_ref());
                self.ends.tell(LegEvent::Failed { status, reason }).await;
                return Next::Over;
            }
            Some(LegCommand::HangUp(reason)) => {
                self.refuse(603, Some(&reason));
                let reason = Some(reason);
                self.ends
                    .tell(LegEvent::HungUp {
                        by: HungUpBy::Us,
                        reason,
                    })
                    .await;
                return Next::Over;
            }
            Some(LegCommand::AnswerReinvite(sdp)) => self.answer_change(Ok(&sdp)),
            Some(LegCommand::RejectReinvite(status)) => {
                self.answer_change(Err(refusal(status, 488)));
            }
            // RFC 3261 §14.1: not before the call is answered.
            Some(LegCommand::Reinvite(_)) => {
                self.ends
                    .tell(LegEvent::ChangeRefused { status: 491 })
                    .await;
            }
            Some(
                LegCommand::Digit(_)
                | LegCommand::AcceptReferral(_)
                | LegCommand::RefuseReferral { .. }
                | LegCommand::ReportReferral { .. },
            ) => {}
            // Nobody owns the leg any more.
            None => {
                self.refuse(480, None);
                return Next::Over;
            }
        }
        Next::Stay
    }

    fn provisional(&mut self, status: u16, sdp: Option<&str>) {
        if self.answer.is_some() {
            return;
        }
        let reliably = match self.confirms {
            Confirms::Always => true,
            // Audio must not hang on a response that may be lost; ringing may.
            Confirms::Can => sdp.is_some(),
            Confirms::Never => false,
        };
        let sdp = match (self.agreement, sdp) {
            // RFC 3261 §13.2.1: an offer of ours needs a response that the caller confirms.
            (Agreement::None, Some(_)) if !reliably => None,
            // What was said once is not said in other words.
            (Agreement::Answering | Agreement::Offering | Agreement::Complete, _) => None,
            (_, sdp) => sdp,
        };
        let core = &self.ends.core;
        let contact = self.dialog.flow.contact();
        let mut response = core
            .answer(&self.request, &self.tx, status)
            .with("Contact", contact);
        if let Some(sdp) = sdp {
            response = response.with_sdp(sdp);
            self.described = sdp.to_owned();
        }
        if !reliably {
            return self.say(response);
        }
        if sdp.is_some() {
            self.agreement = match self.agreement {
                Agreement::None => Agreement::Offering,
                _ => Agreement::Answering,
            };
        }
        if let Some(response) = self.reliable.send(response, Instant::now()) {
            self.say(response);
        }
    }

    fn say(&mut self, response: Response) {
        self.tx.respond(&response);
        self.last = Some(response);
    }

    /// The caller confirms a response (RFC 3262 §3).
    async fn confirmed(&mut self, request: Request, tx: ServerHandle) -> Next {
        let core = Arc::clone(&self.ends.core);
        let Some(confirmed) = self.reliable.confirm(&request, self.request.cseq()) else {
            tx.respond(&core.answer(&request, &tx, 481));
            return Next::Stay;
        };
        match (self.agreement, request.sdp()) {
            (Agreement::Offering, Some(sdp)) if confirmed.described => {
                self.agreement = Agreement::Complete;
                self.remote = Some(sdp.clone());
                tx.respond(&core.answer(&request, &tx, 200));
                self.ends.tell(LegEvent::Early { sdp }).await;
            }
            (Agreement::Offering, None) if confirmed.described => {
                // Our offer has to be answered here (RFC 3262 §5); without, there is no session.
                tx.respond(&core.answer(&request, &tx, 400));
                self.refuse(488, None);
                self.ends
                    .tell(LegEvent::Failed {
                        status: 488,
                        reason: None,
                    })
                    .await;
                return Next::Over;
            }
            (agreement, sdp) => {
                if confirmed.described {
                    self.agreement = Agreement::Complete;
                }
                let complete = confirmed.described || agreement == Agreement::Complete;
                match sdp {
                    Some(offer) if complete => self.change(request, tx, offer).await,
                    _ => tx.respond(&core.answer(&request, &tx, 200)),
                }
            }
        }
        if let Some(next) = self.reliable.next(Instant::now()) {
            self.say(next);
        }
        match self.answer.take() {
            Some(sdp) => Next::Answered(sdp),
            None => Next::Stay,
        }
    }

    /// The caller changes the session before it is answered.
    async fn change(&mut self, request: Request, tx: ServerHandle, offer: String) {
        let core = Arc::clone(&self.ends.core);
        if self.change.is_some() {
            return tx.respond(&busy_with_another(&core, &request, &tx));
        }
        if let Err(error) = sdp::check(&offer) {
            return tx.respond(&core.refuse_session(&request, &tx, &error));
        }
        self.remote = Some(offer.clone());
        self.change = Some(Change::new(request, tx));
        let offer = Some(offer);
        self.ends.tell(LegEvent::Reinvite { offer }).await;
    }

    fn answer_change(&mut self, answer: Result<&str, u16>) {
        let Some(change) = self.change.take() else {
            return;
        };
        let core = &self.ends.core;
        match answer {
            Ok(sdp) => {
                self.described = sdp.to_owned();
                change.respond(core, &self.dialog, sdp);
            }
            Err(status) => change.refuse(core, status),
        }
    }

    fn refuse(&self, status: u16, reason: Option<&Reason>) {
        let mut response = self.ends.core.answer(&self.request, &self.tx, status);
        if let Some(reason) = reason {
            response = response.with("Reason", reason.to_header());
        }
        if status == 503 {
            response = response.with("Retry-After", "30");
        }
        self.tx.respond(&response);
    }

    /// A request in the early dialog.
    async fn early_request(&mut self, arrived: InDialog) -> Next {
        let InDialog {
            request,
            tx: Some(tx),
        } = arrived
        else {
            return Next::Stay;
        };
        let core = Arc::clone(&self.ends.core);
        if request.sender_tag() != self.dialog.remote_tag {
            tx.respond(&core.answer(&request, &tx, 481));
            return Next::Stay;
        }
        if self
            .dialog
            .remote_cseq
            .is_some_and(|last| request.cseq() <= last)
        {
            tx.respond(&core.answer(&request, &tx, 500));
            return Next::Stay;
        }
        self.dialog.remote_cseq = Some(request.cseq());
        match request.method {
            // RFC 3261 §15: a caller may end an early dialog so; the INVITE still needs its answer.
            Method::Bye => {
                tx.respond(&core.answer(&request, &tx, 200));
                self.refuse(487, None);
                let reason = Reason::of(&request.headers);
                self.ends.tell(LegEvent::Cancelled { reason }).await;
                return Next::Over;
            }
            Method::Options => tx.respond(&core.options(&request, &tx)),
            Method::Info => established::info(&self.ends, &request, &tx).await,
            Method::PRack => return self.confirmed(request, tx).await,
            Method::Update if request.body.is_empty() => {
                let contact = self.dialog.flow.contact();
                tx.respond(&core.answer(&request, &tx, 200).with("Contact", contact));
            }
            Method::Update if self.agreement == Agreement::Complete => match request.sdp() {
                Some(offer) => self.change(request, tx, offer).await,
                None => tx.respond(&core.answer(&request, &tx, 415)),
            },
            // RFC 3311 §5.2: our own offer is open.
            Method::Update if self.agreement == Agreement::Offering => {
                tx.respond(&core.answer(&request, &tx, 491));
            }
            // RFC 3261 §14.2 and RFC 3311 §5.2: the first offer is still open.
            Method::Invite | Method::Update => {
                tx.respond(&busy_with_another(&core, &request, &tx));
            }
            // There is no other party yet to refer.
            Method::Refer => tx.respond(&core.answer(&request, &tx, 603)),
            _ => tx.respond(&core.answer(&request, &tx, 405)),
        }
        Next::Stay
    }

    async fn answered(mut self, sdp: &str) {
        // A change that was not decided is void: the answer to the call says what holds.
        self.answer_change(Err(500));
        let core = &self.ends.core;
        let mut response = core
            .answer(&self.request, &self.tx, 200)
            .with("Contact", self.dialog.flow.contact());
        // RFC 3261 §13.2.1: what both have confirmed is not said again.
        if self.agreement != Agreement::Complete {
            response = response.with_sdp(sdp);
            self.described = sdp.to_owned();
        }
        if let Some(timer) = self.timer {
            response = timer.grant(&self.request, response);
        }
        self.tx.respond(&response);
        let late_offer = self.agreement == Agreement::None;
        let pending = Unacknowledged::new(
            &self.ends.core,
            &response,
            &self.tx,
            self.request.cseq(),
            late_offer,
        );
        let opened = Opened {
            timer: self.timer,
            terms: self.terms,
            described: self.described,
            remote: self.remote,
            peer_updates: self.request.headers.allows(Method::Update),
            reliable: Some((self.reliable, self.request.cseq())),
        };
        let session = established::Session::new(self.ends, self.dialog, opened);
        session.go_on(Some(pending));
    }
}
