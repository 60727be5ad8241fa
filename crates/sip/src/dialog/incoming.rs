//! Calls that reach us: who may call, and the time until the answer.

use std::sync::Arc;
use std::time::Duration;

use super::established::{self, Unacknowledged};
use super::{Dialog, Ends, InDialog, SessionTimer};
use crate::core::{Core, count};
use crate::guard::Offence;
use crate::leg::{HungUpBy, IncomingCall, LegCommand, LegEvent, Party};
use crate::net::Flow;
use crate::registrar::{Challenge, Verdict};
use crate::transaction::ServerHandle;
use crate::wire::{
    ALLOW, Method, NameAddr, Request, Response, SUPPORTED, SipUri, split_list, unescape,
};
use crate::{Reason, SipEvent, sdp};

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
    } else if core.is_carrier(flow.origin) {
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
    let min = core.config.limits.min_session;
    let timer = SessionTimer::of(&request, min);
    if matches!(timer, SessionTimer::TooShort) {
        let response = core
            .answer(&request, &tx, 422)
            .with("Min-SE", min.as_secs().to_string());
        return tx.respond(&response);
    }
    let offer = request.sdp();
    if let Some(Err(error)) = offer.as_deref().map(sdp::check) {
        return tx.respond(&core.answer(&request, &tx, error.status()));
    }
    let key = (request.call_id().to_owned(), tx.to_tag().to_owned());
    let (leg, ends) = Ends::open(core, key);
    let trunk = match &from_device {
        Some(_) => None,
        None => core.trunks.of_source(flow.origin.ip()),
    };
    let trusted = trunk.as_ref().is_some_and(|trunk| trunk.trusts_identity);
    let named = |header| first(&request, header);
    let call = IncomingCall {
        leg,
        from: named("From").unwrap_or_default(),
        request_uri: request.uri.clone(),
        to: named("To").unwrap_or_default(),
        asserted: trusted.then(|| named("P-Asserted-Identity")).flatten(),
        diversion: named("Diversion"),
        trunk: trunk.map(|trunk| trunk.key),
        to_user: SipUri::parse(&request.uri)
            .map(|u| u.user)
            .unwrap_or_default(),
        source: flow.origin,
        sip_call_id: request.call_id().to_owned(),
        offer,
        from_device: from_device.clone(),
    };
    tx.respond(&core.answer(&request, &tx, 100));
    if !core.publish(SipEvent::Incoming(Box::new(call))) {
        count(&core.tally.limited);
        let response = core.answer(&request, &tx, 503).with("Retry-After", "5");
        return tx.respond(&response);
    }
    let dialog = Dialog::of_request(&request, tx.to_tag(), flow, from_device.is_some());
    let incoming = Incoming {
        ends,
        request,
        tx,
        dialog,
        timer,
        last: None,
    };
    core.tasks.spawn(incoming.run());
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
    timer: SessionTimer,
    /// The provisional response to be repeated (RFC 3261 §13.3.1.1).
    last: Option<Response>,
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
            let next = tokio::select! {
                reason = self.tx.cancelled() => {
                    self.refuse(487, None);
                    self.ends.tell(LegEvent::Cancelled { reason }).await;
                    Next::Over
                }
                command = self.ends.commands.recv() => self.command(command).await,
                Some(arrived) = self.ends.inbox.recv() => self.early_request(arrived).await,
                _ = refresh.tick() => {
                    if let Some(last) = &self.last {
                        self.tx.respond(last);
                    }
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
                Next::Over => return,
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
                let status = if (300..700).contains(&status) {
                    status
                } else {
                    500
                };
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
            Some(LegCommand::AnswerReinvite(_) | LegCommand::RejectReinvite(_)) => {}
            // Nobody owns the leg any more.
            None => {
                self.refuse(480, None);
                return Next::Over;
            }
        }
        Next::Stay
    }

    fn provisional(&mut self, status: u16, sdp: Option<&str>) {
        let core = &self.ends.core;
        let contact = self.dialog.flow.contact();
        let mut response = core
            .answer(&self.request, &self.tx, status)
            .with("Contact", contact);
        response = response.with("Allow", ALLOW);
        if let Some(sdp) = sdp {
            response = response.with_sdp(sdp);
        }
        self.tx.respond(&response);
        self.last = Some(response);
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
            Method::Update if request.body.is_empty() => {
                tx.respond(&core.answer(&request, &tx, 200));
            }
            // RFC 3261 §14.2 and RFC 3311 §5.2: the first offer is still open.
            Method::Invite | Method::Update => {
                tx.respond(&core.answer(&request, &tx, 500).with("Retry-After", "3"));
            }
            Method::Refer => tx.respond(&core.answer(&request, &tx, 603)),
            _ => tx.respond(&core.answer(&request, &tx, 405).with("Allow", ALLOW)),
        }
        Next::Stay
    }

    async fn answered(self, sdp: &str) {
        let core = &self.ends.core;
        let response = core
            .answer(&self.request, &self.tx, 200)
            .with("Contact", self.dialog.flow.contact())
            .with("Allow", ALLOW)
            .with("Supported", SUPPORTED)
            .with_sdp(sdp);
        let response = self.timer.headers(response);
        self.tx.respond(&response);
        let late_offer = self.request.sdp().is_none();
        let pending = Unacknowledged::new(
            &self.ends.core,
            &response,
            &self.tx,
            self.request.cseq(),
            late_offer,
        );
        let session = established::Session::new(self.ends, self.dialog, &self.timer);
        session.run(Some(pending)).await;
    }
}
