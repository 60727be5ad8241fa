//! One leg as the driver holds it: its signalling, what was agreed about its audio, its stage.

use std::net::SocketAddr;

use calls::routing::{Codec, SrtpPolicy, TrunkSettings};
use media::RemoteMedia;
use model::{AgentId, HangupCause};
use sip::{LegHandle, Reason, ReasonProtocol, sdp};

use crate::trunks::Slot;

/// How far a leg's signalling has come, as the driver must know to end it rightly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not answered yet.
    Early,
    /// Answered.
    Up,
    /// Ended by us or by the peer.
    Over,
}

/// A leg of a running call.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) handle: LegHandle,
    pub(crate) stage: Stage,
    /// Whose phone; a leg to the outside has none.
    pub(crate) agent: Option<AgentId>,
    /// Whether the peer called us.
    pub(crate) called_us: bool,
    /// The place on the carrier's trunk that a leg of ours takes.
    pub(crate) slot: Option<Slot>,
    /// What the peer offered when it called us.
    pub(crate) offer: Option<String>,
    /// The answer a phone gave before it was picked up.
    pub(crate) early: Option<String>,
    ours: sdp::Ours,
}

/// What we are ready for on a leg, as its other end allows.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    codecs: Vec<sdp::Codec>,
    security: sdp::Security,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            codecs: vec![
                sdp::Codec::Pcmu,
                sdp::Codec::Pcma,
                sdp::Codec::G722,
                sdp::Codec::Opus,
            ],
            security: sdp::Security::Off,
        }
    }
}

impl Terms {
    /// What an operator says of a carrier.
    pub(crate) fn of_trunk(settings: &TrunkSettings) -> Self {
        let mut terms = Self::default();
        if !settings.codecs.is_empty() {
            let codec = |codec: &Codec| match codec {
                Codec::Pcmu => sdp::Codec::Pcmu,
                Codec::Pcma => sdp::Codec::Pcma,
                Codec::G722 => sdp::Codec::G722,
                Codec::Opus => sdp::Codec::Opus,
            };
            terms.codecs = settings.codecs.iter().map(codec).collect();
        }
        terms.security = match settings.srtp {
            SrtpPolicy::Off => sdp::Security::Off,
            SrtpPolicy::Optional => sdp::Security::Sdes(sdp::Sdes::with_fresh_keys(false)),
            SrtpPolicy::Required => sdp::Security::Sdes(sdp::Sdes::with_fresh_keys(true)),
        };
        terms
    }
}

impl Line {
    /// A leg that receives its audio at an address of ours.
    pub(crate) fn new(handle: LegHandle, ours: sdp::Ours) -> Self {
        Self {
            handle,
            stage: Stage::Early,
            agent: None,
            called_us: false,
            slot: None,
            offer: None,
            early: None,
            ours,
        }
    }

    /// Answers the offer this leg came with. `Ok(None)`: it came with none and gets ours, to be
    /// agreed when its confirmation brings the answer.
    pub(crate) fn answer(&self) -> Result<(String, Option<RemoteMedia>), sdp::SdpError> {
        match &self.offer {
            None => Ok((sdp::offer(&self.ours), None)),
            Some(offer) => {
                let (text, agreed) = sdp::answer(&sdp::Offer::parse(offer)?, &self.ours)?;
                Ok((text, Some(remote(&agreed))))
            }
        }
    }

    /// Answers a change of the session: hold, resume, another address.
    pub(crate) fn reanswer(&mut self, offer: &str) -> Result<(String, RemoteMedia), sdp::SdpError> {
        self.ours.origin.version += 1;
        let (text, agreed) = sdp::answer(&sdp::Offer::parse(offer)?, &self.ours)?;
        Ok((text, remote(&agreed)))
    }

    /// Our offer once more, for a change of session that came without one.
    pub(crate) fn reoffer(&self) -> String {
        sdp::offer(&self.ours)
    }

    /// What the peer's answer to our offer comes to.
    pub(crate) fn agree(&self, answer: &str) -> Result<RemoteMedia, sdp::SdpError> {
        Ok(remote(&sdp::negotiate_answer(
            &self.ours,
            &sdp::Offer::parse(answer)?,
        )?))
    }
}

/// Our side of a leg's session.
pub(crate) fn ours(rtp: SocketAddr, session_id: u64, terms: Terms) -> sdp::Ours {
    sdp::Ours {
        rtp,
        codecs: terms.codecs,
        order: sdp::Order::Peers,
        telephone_event: true,
        ptime_ms: 20,
        direction: sdp::Direction::SendRecv,
        security: terms.security,
        ice: None,
        origin: sdp::Origin {
            session_id,
            version: 1,
        },
    }
}

fn remote(agreed: &sdp::Negotiated) -> RemoteMedia {
    // An address of zeros is the old spelling of hold (RFC 2543 §B.5): there is nowhere to send to.
    let somewhere = !agreed.remote_rtp.ip().is_unspecified();
    RemoteMedia {
        rtp: agreed.remote_rtp,
        rtcp: Some(agreed.remote_rtcp),
        rtcp_mux: agreed.rtcp_mux,
        keys: keys(&agreed.security),
        codec: match agreed.codec {
            sdp::Codec::Pcmu => media::Codec::Pcmu,
            sdp::Codec::Pcma => media::Codec::Pcma,
            sdp::Codec::G722 => media::Codec::G722,
            sdp::Codec::Opus => media::Codec::Opus,
        },
        payload_type: agreed.payload_type,
        telephone_event: agreed.telephone_event.map(|event| media::TelephoneEvent {
            payload_type: event.payload_type,
            clock_rate: event.clock_rate,
        }),
        comfort_noise: agreed.comfort_noise,
        ptime_ms: u32::from(agreed.ptime_ms),
        send: somewhere
            && matches!(
                agreed.direction,
                sdp::Direction::SendRecv | sdp::Direction::SendOnly
            ),
        receive: matches!(
            agreed.direction,
            sdp::Direction::SendRecv | sdp::Direction::RecvOnly
        ),
    }
}

/// The SRTP keys that the descriptions agreed on.
fn keys(security: &sdp::Agreed) -> Option<media::srtp::Keys> {
    let sdp::Agreed::Sdes { ours, theirs } = security else {
        return None;
    };
    let key = |crypto: &sdp::Crypto| {
        let suite = match crypto.suite {
            sdp::Suite::AesCm128HmacSha1_80 => media::srtp::Suite::AesCm128HmacSha1_80,
            sdp::Suite::AesCm128HmacSha1_32 => media::srtp::Suite::AesCm128HmacSha1_32,
            sdp::Suite::AeadAes256Gcm => media::srtp::Suite::AeadAes256Gcm,
        };
        media::srtp::Key::new(suite, crypto.key.expose())
    };
    Some(media::srtp::Keys {
        ours: key(ours)?,
        theirs: key(theirs)?,
    })
}

/// How a refused call of ours counts.
pub(crate) fn cause_of_status(status: u16) -> HangupCause {
    match status {
        486 | 600 => HangupCause::Busy,
        603 | 403 | 406 | 606 => HangupCause::Rejected,
        408 | 480 | 487 | 404 | 410 | 484 => HangupCause::NoAnswer,
        488 | 415 => HangupCause::MediaFailed,
        _ => HangupCause::SignallingFailed,
    }
}

/// What an unanswered caller is told when the call ends for this reason.
pub(crate) fn refusal(cause: HangupCause) -> u16 {
    match cause {
        HangupCause::NotRouted | HangupCause::Unallocated => 404,
        HangupCause::NotAllowed => 403,
        // RFC 3261 §16.7: a 503 of somebody further on is no reason to leave us.
        HangupCause::Congestion => 500,
        HangupCause::Blacklisted | HangupCause::Rejected => 603,
        HangupCause::Busy => 486,
        HangupCause::NoAnswer => 480,
        HangupCause::MediaFailed => 488,
        HangupCause::OperatorEnded | HangupCause::NodeLost => 503,
        _ => 480,
    }
}

/// The Reason header (RFC 3326) of a leg that we end.
pub(crate) fn reason(cause: HangupCause) -> Reason {
    let q850 = |cause: u16, text: &str| Reason {
        protocol: ReasonProtocol::Q850,
        cause,
        text: Some(text.to_owned()),
    };
    match cause {
        HangupCause::AnsweredElsewhere => Reason::completed_elsewhere(),
        HangupCause::Busy => q850(17, "User busy"),
        HangupCause::NoAnswer => q850(19, "No answer"),
        HangupCause::Rejected | HangupCause::Blacklisted => q850(21, "Call rejected"),
        HangupCause::NotRouted | HangupCause::Unallocated => q850(1, "Unallocated number"),
        HangupCause::NotAllowed => q850(21, "Call rejected"),
        HangupCause::Congestion => q850(34, "No circuit available"),
        HangupCause::OperatorEnded | HangupCause::NodeLost => q850(41, "Temporary failure"),
        HangupCause::SignallingFailed | HangupCause::MediaFailed => q850(127, "Interworking"),
        _ => Reason::normal(),
    }
}
