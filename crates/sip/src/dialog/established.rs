//! The answered call: everything up to and including the hang-up.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::{Dialog, Ends, InDialog, SessionTimer};
use crate::Reason;
use crate::core::Core;
use crate::leg::{HungUpBy, LegCommand, LegEvent};
use crate::net::Flow;
use crate::sdp;
use crate::transaction::ServerHandle;
use crate::wire::{ALLOW, Method, Request, Response, media_type};

/// How long an owner may think about a re-INVITE.
const REINVITE_PATIENCE: Duration = Duration::from_secs(20);

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

/// A re-INVITE or UPDATE that waits for its owner's word.
struct Change {
    request: Request,
    tx: ServerHandle,
    deadline: Instant,
}

pub(super) struct Session {
    ends: Ends,
    dialog: Dialog,
    unacknowledged: Option<Unacknowledged>,
    change: Option<Change>,
    expires: Option<Instant>,
    /// Said before the ACK came: RFC 3261 §15 forbids BYE until then.
    hang_up: Option<Reason>,
}

/// How the session ended; `None` in a step means it goes on.
struct End {
    by: HungUpBy,
    reason: Option<Reason>,
    bye: bool,
}

impl Session {
    pub fn new(ends: Ends, dialog: Dialog, timer: &SessionTimer) -> Self {
        let mut session = Self {
            ends,
            dialog,
            unacknowledged: None,
            change: None,
            expires: None,
            hang_up: None,
        };
        session.refreshed(timer);
        session
    }

    fn refreshed(&mut self, timer: &SessionTimer) {
        self.expires = match timer {
            SessionTimer::Every(seconds) => Some(Instant::now() + Duration::from_secs(*seconds)),
            SessionTimer::None | SessionTimer::TooShort => None,
        };
    }

    pub async fn run(mut self, unacknowledged: Option<Unacknowledged>) {
        self.unacknowledged = unacknowledged;
        let end = loop {
            if let Some(end) = self.step().await {
                break end;
            }
        };
        if let Some(change) = self.change.take() {
            // RFC 3261 §15.1.2: a BYE ends what is still unanswered.
            change
                .tx
                .respond(&self.ends.core.answer(&change.request, &change.tx, 487));
        }
        if end.bye {
            let core = std::sync::Arc::clone(&self.ends.core);
            self.dialog.bye(&core, end.reason.as_ref()).await;
        }
        self.ends
            .tell(LegEvent::HungUp {
                by: end.by,
                reason: end.reason,
            })
            .await;
    }

    /// A call we placed was answered and acknowledged.
    pub async fn answered(self, sdp: String, contact: String) {
        self.ends.tell(LegEvent::Answered { sdp, contact }).await;
        self.ends.tell(LegEvent::Confirmed { sdp: None }).await;
        self.run(None).await;
    }

    async fn step(&mut self) -> Option<End> {
        let far = Instant::now() + Duration::from_secs(86_400);
        let repeat = self.unacknowledged.as_ref().map_or(far, |u| u.next);
        let give_up = self.unacknowledged.as_ref().map_or(far, |u| u.give_up);
        let patience = self.change.as_ref().map_or(far, |c| c.deadline);
        let expires = self.expires.unwrap_or(far);
        let draining = self.ends.core.draining.clone();
        let change = self.change.as_ref();
        tokio::select! {
            arrived = self.ends.inbox.recv() => self.arrived(arrived?).await,
            command = self.ends.commands.recv(), if self.hang_up.is_none() => self.command(command),
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
            () = sleep_until(expires), if self.expires.is_some() => {
                Some(End { by: HungUpBy::SessionExpired, reason: None, bye: true })
            }
            () = draining.cancelled() => Some(End { by: HungUpBy::Shutdown, reason: None, bye: true }),
        }
    }

    fn command(&mut self, command: Option<LegCommand>) -> Option<End> {
        match command {
            Some(LegCommand::AnswerReinvite(sdp)) => self.answer_change(200, Some(&sdp)),
            Some(LegCommand::RejectReinvite(status)) => {
                let status = if (300..700).contains(&status) {
                    status
                } else {
                    488
                };
                self.answer_change(status, None);
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
        let core = std::sync::Arc::clone(&self.ends.core);
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
            Method::Info => info(&self.ends, &request, &tx).await,
            Method::Options => tx.respond(&core.options(&request, &tx)),
            Method::Refer => tx.respond(&core.answer(&request, &tx, 603)),
            _ => tx.respond(&core.answer(&request, &tx, 405).with("Allow", ALLOW)),
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
            self.ends.tell(LegEvent::Confirmed { sdp }).await;
        }
        None
    }

    /// The peer changes or refreshes the session.
    async fn change(&mut self, request: Request, tx: ServerHandle) {
        let core = std::sync::Arc::clone(&self.ends.core);
        let min = core.config.limits.min_session;
        let timer = SessionTimer::of(&request, min);
        if matches!(timer, SessionTimer::TooShort) {
            return tx.respond(
                &core
                    .answer(&request, &tx, 422)
                    .with("Min-SE", min.as_secs().to_string()),
            );
        }
        let unconfirmed = request.method == Method::Invite && self.unacknowledged.is_some();
        if self.change.is_some() || unconfirmed {
            // RFC 3261 §14.2: one change at a time.
            return tx.respond(&core.answer(&request, &tx, 500).with("Retry-After", "3"));
        }
        let offer = request.sdp();
        if let Some(Err(error)) = offer.as_deref().map(sdp::check) {
            return tx.respond(&core.answer(&request, &tx, error.status()));
        }
        if let Some(contact) = request.contact() {
            self.dialog.remote_target = contact.uri;
        }
        self.refreshed(&timer);
        if request.method == Method::Update && offer.is_none() {
            let contact = self.dialog.flow.contact();
            let response = core.answer(&request, &tx, 200).with("Contact", contact);
            return tx.respond(&timer.headers(response));
        }
        if request.method == Method::Invite {
            tx.respond(&core.answer(&request, &tx, 100));
        }
        self.change = Some(Change {
            request,
            tx,
            deadline: Instant::now() + REINVITE_PATIENCE,
        });
        self.ends.tell(LegEvent::Reinvite { offer }).await;
    }

    fn answer_change(&mut self, status: u16, sdp: Option<&str>) {
        let Some(Change { request, tx, .. }) = self.change.take() else {
            return;
        };
        let core = &self.ends.core;
        let mut response = core.answer(&request, &tx, status);
        let Some(sdp) = sdp else {
            return tx.respond(&response);
        };
        let timer = SessionTimer::of(&request, core.config.limits.min_session);
        response = response
            .with("Contact", self.dialog.flow.contact())
            .with("Allow", ALLOW)
            .with_sdp(sdp);
        response = timer.headers(response);
        tx.respond(&response);
        if request.method == Method::Invite {
            let late_offer = request.sdp().is_none();
            let mut pending = Unacknowledged::new(core, &response, &tx, request.cseq(), late_offer);
            pending.first = false;
            self.unacknowledged = Some(pending);
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
