//! Calls passed on: what a REFER means, and parties that move from one call to another.

use std::net::SocketAddr;

use calls::call::Input;
use model::{AgentId, CallFact, CallId, HangupCause, LegId, PeerReason};
use sip::{LegEvent, Reason, ReasonProtocol, Referral, ReferralId};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::Driver;
use crate::{
    clock,
    line::{self, Line, Stage},
    outgoing::{self, PassedOn},
    switchboard::Message,
};

/// What a phone is told that wants to pass on what isn't its to pass on.
const FORBIDDEN: u16 = 403;
/// What it is told of a target that isn't there.
const NOT_FOUND: u16 = 404;

/// A leg on its way from one call to another: its signalling, as it is.
#[derive(Debug)]
pub(crate) struct MovedLeg {
    line: Line,
    events: mpsc::Receiver<LegEvent>,
    agent: Option<AgentId>,
}

impl Driver {
    /// A phone refers its other party to somebody.
    pub(super) async fn referred(&mut self, leg: LegId, referral: Referral) {
        // The machine says no to one that is not an agent's; a stranger costs us no look-up.
        let target = match self.machine.talking_agent(leg) {
            None => Err(FORBIDDEN),
            Some(agent) => self.target_of(agent, &referral).await,
        };
        match target {
            Ok(PassedOn {
                target,
                watched,
                is_emergency,
            }) => {
                self.held.extend(match watched {
                    Some(watched) => self.watched.replace(watched),
                    None => None,
                });
                self.is_emergency |= is_emergency;
                self.take(Input::Referred {
                    leg,
                    referral: referral.id.0,
                    target,
                })
                .await;
            }
            Err(status) => {
                tracing::info!(leg.id = leg.0, status, "a transfer was refused");
                if let Some(line) = self.lines.get(&leg) {
                    let _ = line.handle.refuse_referral(referral.id, status).await;
                }
            }
        }
    }

    async fn target_of(&mut self, agent: AgentId, referral: &Referral) -> Result<PassedOn, u16> {
        let Some(replaces) = &referral.replaces else {
            let (shared, company) = (&self.shared, &self.company);
            return outgoing::pass_on(shared, company, agent, &referral.to_user, self.call).await;
        };
        let dialog = self.shared.sip.replaced(replaces).ok_or(NOT_FOUND)?;
        let place = self
            .shared
            .switchboard
            .place(&dialog)
            .filter(|place| place.tenant == self.tenant && place.call != self.call)
            .ok_or(NOT_FOUND)?;
        Ok(PassedOn::party(place.call, place.leg))
    }

    pub(super) async fn accept_referral(&mut self, leg: LegId, referral: u32) {
        if let Some(line) = self.lines.get(&leg) {
            let _ = line.handle.accept_referral(ReferralId(referral)).await;
        }
    }

    pub(super) async fn refuse_referral(&mut self, leg: LegId, referral: u32, status: u16) {
        if let Some(line) = self.lines.get(&leg) {
            let _ = line
                .handle
                .refuse_referral(ReferralId(referral), status)
                .await;
        }
    }

    pub(super) async fn report_referral(&mut self, leg: LegId, referral: u32, status: u16) {
        if let Some(line) = self.lines.get(&leg) {
            let _ = line
                .handle
                .report_referral(ReferralId(referral), status)
                .await;
        }
    }

    /// Asks another call for the party an agent talks with there.
    pub(super) fn take_over(&mut self, leg: LegId, call: CallId, theirs: LegId, agent: AgentId) {
        let (reply, party) = oneshot::channel();
        let hand_over = Message::HandOver {
            leg: theirs,
            to: self.call,
            agent,
            reply,
        };
        // One that can't be told drops the question, which is its answer.
        let _ = self.shared.switchboard.send(call, hand_over);
        self.expected.insert(leg);
        self.taking.spawn(async move { (leg, party.await.ok()) });
    }

    /// Another call asks for a party of this one.
    pub(super) async fn asked_for(
        &mut self,
        leg: LegId,
        to: CallId,
        agent: AgentId,
        reply: oneshot::Sender<MovedLeg>,
    ) {
        // A browser's keys and ways belong to the call they were agreed in.
        let stays = |other: (&LegId, &Line)| {
            *other.0 != leg && other.1.stage == Stage::Up && other.1.is_browser()
        };
        if self.lines.iter().any(stays) {
            return tracing::info!("a browser's party can't move to another call");
        }
        self.handing = Some(reply);
        self.take(Input::HandOver { leg, agent, to }).await;
        // Without a party the other call hears that there is none.
        self.handing = None;
    }

    /// Gives a leg to the call that asked for it.
    pub(super) async fn hand_over(&mut self, leg: LegId, agent: Option<AgentId>) {
        let events = self.leg_events.remove(&leg);
        let (Some(mut line), Some(events)) = (self.lines.remove(&leg), events) else {
            return;
        };
        if line.slot.is_some() {
            // What was begun with a carrier goes on, and goes on counting.
            line.watched.extend(self.watched.take());
            line.watched.append(&mut self.held);
        }
        self.playing.remove(&leg);
        self.media.remove_leg(leg);
        let party = MovedLeg {
            line,
            events: events.into_inner(),
            agent,
        };
        let unwanted = match self.handing.take() {
            Some(reply) => reply.send(party).err(),
            None => Some(party),
        };
        if let Some(party) = unwanted {
            party.leave().await;
        }
    }

    /// The party of another call is here. Its phone is told where its audio goes from now on.
    pub(super) async fn party_came(&mut self, leg: LegId, party: Option<MovedLeg>) {
        let wanted = self.expected.remove(&leg);
        let failed = |cause| Input::LegFailed { leg, cause };
        let Some(mut party) = party else {
            if wanted {
                self.take(failed(HangupCause::SignallingFailed)).await;
            }
            return;
        };
        if !wanted {
            return party.leave().await;
        }
        let rtp = match self.media.add_leg(leg).await {
            Ok(rtp) => rtp,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "no audio for a party that was passed on"
                );
                party.leave().await;
                return self.take(failed(HangupCause::MediaFailed)).await;
            }
        };
        let offer = party.line.moved_to(rtp);
        let sent = party.line.handle.reinvite(offer).await;
        self.joining.insert(leg, party.agent);
        self.add_line(leg, party.line);
        self.leg_events
            .insert(leg, ReceiverStream::new(party.events));
        if sent.is_err() {
            self.not_joined(leg, HangupCause::CallerHangup).await;
        }
    }

    /// A phone answered a change of its session.
    pub(super) async fn changed(&mut self, leg: LegId, sdp: &str) {
        let joins = self.joining.remove(&leg);
        let Some(line) = self.lines.get_mut(&leg) else {
            return;
        };
        match (line.agree(sdp), joins) {
            (Ok(remote), joins) => {
                line.note(&remote);
                self.media.connect(leg, remote);
                if let Some(agent) = joins {
                    let slot = line.slot.as_ref();
                    let price = slot.map(|slot| slot.running_price(clock::now()));
                    self.take(Input::PartyJoined { leg, agent, price }).await;
                }
            }
            (Err(error), Some(_)) => {
                tracing::warn!(leg.id = leg.0, %error, "a party that was passed on can't be heard");
                self.not_joined(leg, HangupCause::MediaFailed).await;
            }
            (Err(error), None) => {
                tracing::warn!(leg.id = leg.0, %error, "a phone's new session can't be used");
            }
        }
    }

    pub(super) async fn change_refused(&mut self, leg: LegId, status: u16) {
        if self.joining.remove(&leg).is_some() {
            tracing::warn!(
                leg.id = leg.0,
                status,
                "a party's phone would not change where its audio goes"
            );
            self.not_joined(leg, HangupCause::MediaFailed).await;
        }
    }

    async fn not_joined(&mut self, leg: LegId, cause: HangupCause) {
        self.joining.remove(&leg);
        self.hang_up(leg, cause).await;
        self.take(Input::LegFailed { leg, cause }).await;
    }

    /// Puts on record what the peer of a leg said about its end, in its own words.
    pub(super) fn note_reason(&mut self, leg: LegId, event: &LegEvent) {
        let (status, reason) = match event {
            LegEvent::Failed { status, reason } => (Some(*status), reason.as_ref()),
            LegEvent::Cancelled { reason } | LegEvent::HungUp { reason, .. } => {
                (None, reason.as_ref())
            }
            _ => return,
        };
        let ours = matches!(event, LegEvent::HungUp { by, .. } if *by != sip::HungUpBy::Peer);
        let up = self
            .lines
            .get(&leg)
            .is_some_and(|line| line.stage != Stage::Over);
        if ours || !up || (status.is_none() && reason.is_none()) {
            return;
        }
        let reason = peer_reason(status, reason);
        let fact = CallFact::LegReason { leg, reason };
        self.facts.push_back((clock::now(), vec![fact]));
    }
}

impl MovedLeg {
    /// Nobody wants it any more.
    async fn leave(self) {
        let reason = line::reason(HangupCause::TransferFailed);
        let _ = self.line.handle.hang_up(reason).await;
    }
}

impl Line {
    /// The leg receives its audio elsewhere from now on; the offer that says so.
    fn moved_to(&mut self, rtp: SocketAddr) -> String {
        self.receives_at(rtp);
        self.reoffer()
    }
}

fn peer_reason(status: Option<u16>, reason: Option<&Reason>) -> PeerReason {
    let cause = |protocol| {
        reason
            .filter(|reason| reason.protocol == protocol)
            .map(|reason| reason.cause)
    };
    PeerReason {
        sip: status.or(cause(ReasonProtocol::Sip)),
        q850: cause(ReasonProtocol::Q850),
        // What a stranger writes is cut to what a list can show.
        text: reason
            .and_then(|reason| reason.text.as_ref())
            .map(|text| text.chars().take(120).collect()),
    }
}
