//! One party's side of a call, as its owner sees it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::trunk::{Identity, TrunkStatus};
use crate::{Binding, Transport};

/// What the stack tells its owner.
#[derive(Debug)]
pub enum SipEvent {
    /// A new call. It was answered 100; the owner rings, answers or rejects it.
    Incoming(Box<IncomingCall>),
    /// A device registered or refreshed; `bindings` counts those now alive.
    Registered { username: String, bindings: usize },
    /// A device left or expired; `bindings` counts those still alive.
    Unregistered { username: String, bindings: usize },
    /// A trunk came up, moved to another address, or failed.
    TrunkChanged { key: String, status: TrunkStatus },
}

/// A call that reached us.
#[derive(Debug)]
pub struct IncomingCall {
    pub leg: Leg,
    pub from: Party,
    /// The user part of the Request-URI, unescaped.
    pub to_user: String,
    /// The whole Request-URI, as it came.
    pub request_uri: String,
    /// Whom the To header names; differs from the Request-URI where a carrier
    /// puts the account there and the number here.
    pub to: Party,
    /// The key of the trunk that is calling. `None` for devices, and for carriers
    /// known by [`Directory::admits`](crate::Directory::admits) alone.
    pub trunk: Option<String>,
    /// P-Asserted-Identity, from a trunk that is trusted with it.
    pub asserted: Option<Party>,
    /// Who last diverted the call (Diversion, RFC 5806).
    pub diversion: Option<Party>,
    pub source: SocketAddr,
    /// The listener of ours it came to.
    pub listener: (Transport, SocketAddr),
    /// The request came over TLS or WSS: what it says, keys included, was read by nobody on the way
    /// from the last hop.
    pub secure: bool,
    /// The authenticated username, when a registered device is calling.
    pub from_device: Option<String>,
    /// The SDP offer; `None` means the answer must carry ours (late offer).
    pub offer: Option<String>,
    pub sip_call_id: String,
    /// The leg whose place this call wants to take (RFC 3891). It exists, and whoever asks named it
    /// rightly; whether he may is the owner's to decide.
    pub replaces: Option<Replacing>,
}

/// A leg whose place a call wants to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacing {
    /// The leg.
    pub dialog: DialogId,
    /// Only if nobody has answered it.
    pub early_only: bool,
}

/// Which dialog a leg is: unique among the legs of one stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DialogId {
    pub call_id: String,
    /// The tag on our side.
    pub local_tag: String,
}

/// A dialog as a peer names it (RFC 3891 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    pub call_id: String,
    /// The tag on our side.
    pub to_tag: String,
    /// The tag on the peer's side.
    pub from_tag: String,
    /// Only if nobody has answered it.
    pub early_only: bool,
}

/// Who calls, as the signalling says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// The user part of the URI, unescaped; often a number.
    pub user: String,
    pub display: Option<String>,
}

/// A leg: commands through [`LegHandle`], facts through [`Leg::next_event`].
///
/// Dropping the leg without ending it ends it: an unanswered incoming call is
/// rejected with 480, anything else is cancelled or hung up.
#[derive(Debug)]
pub struct Leg {
    pub(crate) handle: LegHandle,
    pub(crate) events: mpsc::Receiver<LegEvent>,
}

impl Leg {
    /// The commands of this leg, to be held elsewhere.
    #[must_use]
    pub fn handle(&self) -> LegHandle {
        self.handle.clone()
    }

    /// The next fact; `None` once the leg is over and all facts were taken.
    pub async fn next_event(&mut self) -> Option<LegEvent> {
        self.events.recv().await
    }

    /// Both halves by themselves.
    #[must_use]
    pub fn split(self) -> (LegHandle, mpsc::Receiver<LegEvent>) {
        (self.handle, self.events)
    }
}

/// The commands of one leg. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LegHandle {
    pub(crate) dialog: DialogId,
    pub(crate) commands: mpsc::Sender<LegCommand>,
}

/// The leg is already over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the leg is already over")]
pub struct LegGone;

impl LegHandle {
    /// The Call-ID on the wire, for traces.
    #[must_use]
    pub fn sip_call_id(&self) -> &str {
        &self.dialog.call_id
    }

    /// Which dialog the leg is.
    #[must_use]
    pub fn dialog(&self) -> &DialogId {
        &self.dialog
    }

    /// Says 180 to the caller.
    pub async fn ring(&self) -> Result<(), LegGone> {
        self.send(LegCommand::Ring).await
    }

    /// Says 183 with an SDP answer: the caller hears us before the call is answered.
    pub async fn progress(&self, sdp: String) -> Result<(), LegGone> {
        self.send(LegCommand::Progress(sdp)).await
    }

    /// Answers with SDP: an answer, or an offer if the call came without one.
    pub async fn answer(&self, sdp: String) -> Result<(), LegGone> {
        self.send(LegCommand::Answer(sdp)).await
    }

    /// Refuses an incoming call. A status below 300 becomes 500.
    pub async fn reject(&self, status: u16, reason: Option<Reason>) -> Result<(), LegGone> {
        self.send(LegCommand::Reject { status, reason }).await
    }

    /// Ends the leg, whatever its state: CANCEL, BYE, or a refusal with 603.
    pub async fn hang_up(&self, reason: Reason) -> Result<(), LegGone> {
        self.send(LegCommand::HangUp(reason)).await
    }

    /// Answers a [`LegEvent::Reinvite`].
    pub async fn answer_reinvite(&self, sdp: String) -> Result<(), LegGone> {
        self.send(LegCommand::AnswerReinvite(sdp)).await
    }

    /// Refuses a [`LegEvent::Reinvite`]; the session goes on as it was.
    pub async fn reject_reinvite(&self, status: u16) -> Result<(), LegGone> {
        self.send(LegCommand::RejectReinvite(status)).await
    }

    /// Changes the session of an answered leg: offers this description (RFC 3261 §14.1). What comes of
    /// it is [`LegEvent::Changed`] or [`LegEvent::ChangeRefused`]; a change ordered meanwhile waits.
    pub async fn reinvite(&self, sdp: String) -> Result<(), LegGone> {
        self.send(LegCommand::Reinvite(sdp)).await
    }

    /// Accepts a [`LegEvent::Referred`] (202). Its sender is told 100, and then what
    /// [`Self::report_referral`] says.
    pub async fn accept_referral(&self, id: ReferralId) -> Result<(), LegGone> {
        self.send(LegCommand::AcceptReferral(id)).await
    }

    /// Refuses a [`LegEvent::Referred`]. A status below 300 becomes 603.
    pub async fn refuse_referral(&self, id: ReferralId, status: u16) -> Result<(), LegGone> {
        self.send(LegCommand::RefuseReferral { id, status }).await
    }

    /// Tells the sender of a REFER how its target answered; from 200 on it is the last word.
    pub async fn report_referral(&self, id: ReferralId, status: u16) -> Result<(), LegGone> {
        self.send(LegCommand::ReportReferral { id, status }).await
    }

    /// Presses a key by SIP INFO (`application/dtmf-relay`) on an answered leg; before the answer it is lost.
    pub async fn send_digit(&self, digit: char) -> Result<(), LegGone> {
        self.send(LegCommand::Digit(digit)).await
    }

    async fn send(&self, command: LegCommand) -> Result<(), LegGone> {
        self.commands.send(command).await.map_err(|_| LegGone)
    }
}

#[derive(Debug)]
pub(crate) enum LegCommand {
    Ring,
    Progress(String),
    Answer(String),
    Reject { status: u16, reason: Option<Reason> },
    HangUp(Reason),
    AnswerReinvite(String),
    RejectReinvite(u16),
    Reinvite(String),
    Digit(char),
    AcceptReferral(ReferralId),
    RefuseReferral { id: ReferralId, status: u16 },
    ReportReferral { id: ReferralId, status: u16 },
}

/// One REFER of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReferralId(pub u32);

/// A peer wants its other party to be connected with somebody else (RFC 3515).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referral {
    pub id: ReferralId,
    /// The user part of the target, unescaped; often a number.
    pub to_user: String,
    /// The host of the target; empty for a `tel:` URI.
    pub to_host: String,
    /// The target is the other party of this dialog (attended transfer, RFC 5589 §7).
    pub replaces: Option<Replaces>,
    /// Who refers, as he says.
    pub referred_by: Option<String>,
}

/// What happened on a leg, in order. `Failed`, `Cancelled` and `HungUp` are
/// last: exactly one of them ends every leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegEvent {
    /// The device we called rings (180), or the call waits or was sent on (181, 182).
    Ringing,
    /// The peer described its side before the answer: a device we called sends audio (183 with SDP),
    /// or a caller without an offer answered ours in its PRACK.
    Early { sdp: String },
    /// The device we called answered; its siblings are being cancelled.
    Answered {
        sdp: String,
        /// Contact URI of the device that won.
        contact: String,
    },
    /// The three-way handshake is complete. `sdp` is the answer a late offer got.
    Confirmed { sdp: Option<String> },
    /// A call we placed was refused; status 408 also when nothing answered.
    Failed { status: u16, reason: Option<Reason> },
    /// The caller gave up, or we did, before the call was answered.
    Cancelled { reason: Option<Reason> },
    /// The answered call is over.
    HungUp {
        by: HungUpBy,
        reason: Option<Reason>,
    },
    /// A key by SIP INFO.
    Digit { digit: char, duration: Duration },
    /// The peer wants to change the session (hold, resume). Answer it with
    /// `answer_reinvite`, or with `reject_reinvite`.
    Reinvite { offer: Option<String> },
    /// The peer took a change of ours, or described its side anew when we refreshed the session: its answer.
    Changed { sdp: String },
    /// The peer refused a change of ours; the session goes on as it was.
    ChangeRefused { status: u16 },
    /// The peer refers the other party to somebody else. Answer it with `accept_referral`, or with
    /// `refuse_referral`.
    Referred(Box<Referral>),
}

/// How an answered leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HungUpBy {
    /// The peer said BYE.
    Peer,
    /// We said BYE as told by `hang_up`.
    Us,
    /// The peer never confirmed our answer (RFC 3261 §13.3.1.4), or what was said before it (RFC 3262 §3).
    MissingAck,
    /// The session was not refreshed in time, or the peer knows no more of it (RFC 4028).
    SessionExpired,
    /// The stack was shut down.
    Shutdown,
}

/// A hangup cause as carried by the Reason header (RFC 3326).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub protocol: ReasonProtocol,
    pub cause: u16,
    pub text: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonProtocol {
    Sip,
    Q850,
}

impl Reason {
    /// Q.850 cause 16, normal call clearing.
    #[must_use]
    pub fn normal() -> Self {
        Self {
            protocol: ReasonProtocol::Q850,
            cause: 16,
            text: None,
        }
    }

    /// "Call completed elsewhere": a phone told this does not list a missed call.
    #[must_use]
    pub fn completed_elsewhere() -> Self {
        Self {
            protocol: ReasonProtocol::Sip,
            cause: 200,
            text: Some("Call completed elsewhere".into()),
        }
    }
}

/// A call to be placed.
#[derive(Clone, Debug)]
pub struct Dial {
    pub to: DialTarget,
    pub from: Party,
    /// What a carrier is told about the caller besides `from`; devices are not.
    pub identity: Identity,
    /// The SDP offer.
    pub offer: String,
    /// The offer to devices that registered over WebSocket: browsers want ICE and DTLS. Absent:
    /// they get the other one.
    pub browser_offer: Option<String>,
    /// Further headers, name and value; those the dialog itself owns are refused.
    pub headers: Vec<(String, String)>,
}

/// Whom to call.
#[derive(Clone, Debug)]
pub enum DialTarget {
    /// All devices registered for a username at once; the first answer wins.
    Device { username: String },
    /// One binding of a username.
    Binding { username: String, binding: Binding },
    /// A number, by a trunk: its targets are tried in turn (RFC 3263 §4.3).
    Trunk {
        key: String,
        /// The user of the Request-URI as the carrier wants it.
        user: String,
    },
}

/// Why a call could not be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    #[error("no device is registered for {username}")]
    NoBinding { username: String },
    #[error("there is no trunk {key}")]
    NoTrunk { key: String },
    #[error("header {name} cannot be set on a call")]
    Header { name: String },
    #[error("too many transactions are running")]
    Busy,
    #[error("the stack is shutting down")]
    Stopped,
}

impl Replaces {
    /// Reads the value of a Replaces header.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (call_id, params) = value.split_once(';')?;
        let tag = |name| crate::wire::param(params, name).filter(|tag| !tag.is_empty());
        Some(Self {
            call_id: call_id.trim().to_owned(),
            to_tag: tag("to-tag")?,
            from_tag: tag("from-tag")?,
            early_only: crate::wire::param(params, "early-only").is_some(),
        })
    }
}

impl Reason {
    /// As written in a Reason header.
    pub(crate) fn to_header(&self) -> String {
        let protocol = match self.protocol {
            ReasonProtocol::Sip => "SIP",
            ReasonProtocol::Q850 => "Q.850",
        };
        match &self.text {
            Some(text) => {
                let text: String = text
                    .chars()
                    .filter(|c| !c.is_control() && !"\"\\".contains(*c))
                    .collect();
                format!("{protocol};cause={};text=\"{text}\"", self.cause)
            }
            None => format!("{protocol};cause={}", self.cause),
        }
    }

    /// The first reason of a message that is one of ours.
    pub(crate) fn of(headers: &crate::wire::Headers) -> Option<Self> {
        headers
            .all("Reason")
            .flat_map(crate::wire::split_list)
            .find_map(|value| {
                let (protocol, params) = value.split_once(';')?;
                let protocol = match protocol.trim().to_ascii_uppercase().as_str() {
                    "SIP" => ReasonProtocol::Sip,
                    "Q.850" => ReasonProtocol::Q850,
                    _ => return None,
                };
                let cause = crate::wire::param(params, "cause")?.parse().ok()?;
                let text = crate::wire::param(params, "text").filter(|t| !t.is_empty());
                Some(Self {
                    protocol,
                    cause,
                    text,
                })
            })
    }
}
