//! One leg as the driver holds it: its signalling, what was agreed about its audio, its stage.

use std::net::{IpAddr, SocketAddr};

use media::{CallMedia, IceCredentials, MediaError, RemoteMedia, WebRtcPeer};
use model::{AgentId, HangupCause, LegId};
use sip::{LegHandle, Reason, ReasonProtocol, sdp};

use crate::{
    audio::{Terms, prefer},
    outgoing::Watched,
    trunks::Slot,
};

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

/// Our end of a leg's audio: what we can do there, and how a browser is met.
#[derive(Clone, Debug)]
pub(crate) struct End {
    ours: sdp::Ours,
    browser: Option<Browser>,
}

/// What an end is opened for.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The `o=` identity of the session.
    pub(crate) session: u64,
    pub(crate) terms: Terms,
    /// Whether a browser may be at the other end.
    pub(crate) browsers: bool,
    /// Where the peer is, if that is known: its IP family is ours then.
    pub(crate) peer: Option<IpAddr>,
}

/// What we tell browsers besides an address.
#[derive(Clone, Debug)]
struct Browser {
    ice: IceCredentials,
    source: sdp::Source,
    fingerprint: Vec<u8>,
    /// The browser's part in ICE; when that changes, ours does.
    remote: Option<IceCredentials>,
    /// Who of us began the handshake, once that is settled.
    setup: Option<sdp::Setup>,
}

impl End {
    /// Opens it. One that is ready for browsers serves a desk phone as well, if that answers.
    pub(crate) async fn open(
        media: &CallMedia,
        leg: LegId,
        ready: Ready,
    ) -> Result<Self, MediaError> {
        let Ready {
            session,
            terms,
            browsers,
            peer,
        } = ready;
        if !browsers {
            let rtp = media.add_leg_towards(leg, peer).await?;
            return Ok(Self {
                ours: terms.ours(rtp, session),
                browser: None,
            });
        }
        let ice = IceCredentials::random();
        let end = media.add_browser_leg(leg, ice.clone()).await?;
        let browser = Browser {
            ice,
            source: sdp::Source {
                ssrc: end.ssrc,
                cname: end.cname,
            },
            fingerprint: media.fingerprint().to_vec(),
            remote: None,
            setup: None,
        };
        Ok(Self {
            ours: terms.ours(end.rtp, session),
            browser: Some(browser),
        })
    }

    /// No audio at all, for a leg that is over before it began.
    pub(crate) fn none() -> Self {
        let nowhere = ([0, 0, 0, 0], 0).into();
        Self {
            ours: Terms::clear().ours(nowhere, 0),
            browser: None,
        }
    }

    /// The offer to all but browsers.
    pub(crate) fn offer(&self) -> String {
        sdp::offer(&self.ours)
    }

    /// The offer to browsers, if the end is ready for any.
    pub(crate) fn browser_offer(&self) -> Option<String> {
        let browser = self.browser.as_ref()?;
        Some(sdp::offer(&browser.ours(&self.ours, sdp::Setup::ActPass)))
    }
}

impl Browser {
    /// What we can do towards a browser. PCMU costs nothing to pass on to carriers, so it comes
    /// first; Opus is for those who can't do with it.
    fn ours(&self, plain: &sdp::Ours, setup: sdp::Setup) -> sdp::Ours {
        sdp::Ours {
            codecs: vec![
                sdp::Codec::Pcmu,
                sdp::Codec::Opus,
                sdp::Codec::Pcma,
                sdp::Codec::G722,
            ],
            order: sdp::Order::Ours,
            security: sdp::Security::Dtls(sdp::Dtls::with_sha256(&self.fingerprint, setup)),
            ice: Some(sdp::Ice::host(&self.ice.ufrag, &self.ice.pwd, plain.rtp)),
            source: Some(self.source.clone()),
            ..plain.clone()
        }
    }

    /// As what we answer: the browser begins the handshake, unless it did otherwise before.
    fn answering(&self) -> sdp::Setup {
        self.setup.unwrap_or(sdp::Setup::Passive)
    }

    /// Other credentials of the browser restart ICE, which takes other ones of ours
    /// (RFC 8839 §4.4.1.1.1).
    fn meet(&mut self, remote: &sdp::Ice) {
        let remote = credentials(remote);
        if self.remote.as_ref().is_some_and(|known| *known != remote) {
            self.ice = IceCredentials::random();
        }
        self.remote = Some(remote);
    }

    /// How the browser is reached and recognised from now on.
    fn peer(&mut self, agreed: &sdp::Negotiated) -> Option<WebRtcPeer> {
        let (sdp::Agreed::Dtls(dtls), Some(ice)) = (&agreed.security, &agreed.ice) else {
            return None;
        };
        // Whoever says passive waits for us.
        let active = dtls.setup == sdp::Setup::Passive;
        self.setup = Some(if active {
            sdp::Setup::Active
        } else {
            sdp::Setup::Passive
        });
        self.remote = Some(credentials(ice));
        Some(WebRtcPeer {
            local: self.ice.clone(),
            remote: credentials(ice),
            fingerprint: dtls.digest()?,
            active,
        })
    }
}

fn credentials(ice: &sdp::Ice) -> IceCredentials {
    IceCredentials {
        ufrag: ice.ufrag.clone(),
        pwd: ice.pwd.clone(),
    }
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
    /// What the watch counts of a carrier's leg that came from another call, until it is over.
    pub(crate) watched: Vec<Watched>,
    /// What the peer offered when it called us.
    pub(crate) offer: Option<String>,
    /// The answer a phone gave before it was picked up.
    pub(crate) early: Option<String>,
    /// What was agreed last, and where its peer said to be.
    pub(crate) coding: Option<media::Codec>,
    pub(crate) told: Option<IpAddr>,
    ours: sdp::Ours,
    browser: Option<Browser>,
    /// What was agreed last.
    codec: Option<sdp::Codec>,
    /// It has pressed keys by SIP INFO, so it understands them too.
    speaks_info: bool,
}

impl Line {
    /// A leg that receives its audio at an end of ours.
    pub(crate) fn new(handle: LegHandle, end: End) -> Self {
        Self {
            handle,
            stage: Stage::Early,
            agent: None,
            called_us: false,
            slot: None,
            watched: Vec::new(),
            offer: None,
            early: None,
            coding: None,
            told: None,
            ours: end.ours,
            browser: end.browser,
            codec: None,
            speaks_info: false,
        }
    }

    /// The codec that was agreed, or will be as things stand.
    pub(crate) fn codec(&self) -> Option<sdp::Codec> {
        self.codec.or_else(|| {
            let offer = sdp::Offer::parse(self.offer.as_deref()?).ok()?;
            let ours = match &self.browser {
                Some(browser) if offer.wants_dtls() => {
                    browser.ours(&self.ours, browser.answering())
                }
                _ => self.ours.clone(),
            };
            let (_, agreed) = sdp::answer(&offer, &ours).ok()?;
            Some(agreed.codec)
        })
    }

    /// Has this codec win the negotiation where the peer speaks it: the other leg's, to save
    /// transcoding.
    pub(crate) fn prefer(&mut self, codec: sdp::Codec) {
        // What was said before the answer is said again in it.
        if self.codec.is_some() {
            return;
        }
        prefer(&mut self.ours.codecs, Some(codec));
        self.ours.order = sdp::Order::Ours;
    }

    /// Remembers how the peer is met, for reports of the quality.
    pub(crate) fn note(&mut self, remote: &RemoteMedia) {
        (self.coding, self.told) = (Some(remote.codec), Some(remote.rtp.ip()));
    }

    /// Our side's address, as the peer was told.
    pub(crate) fn ours_at(&self) -> IpAddr {
        self.ours.rtp.ip()
    }

    /// Answers the offer this leg came with. `Ok(None)`: it came with none and gets ours, to be
    /// agreed when its confirmation brings the answer.
    pub(crate) fn answer(&mut self) -> Result<(String, Option<RemoteMedia>), sdp::SdpError> {
        match self.offer.clone() {
            None => Ok((self.reoffer(), None)),
            Some(offer) => {
                let (text, remote) = self.answer_to(&offer)?;
                Ok((text, Some(remote)))
            }
        }
    }

    /// Answers a change of the session: hold, resume, another address. What was agreed before is
    /// kept where the peer still offers it.
    pub(crate) fn reanswer(&mut self, offer: &str) -> Result<(String, RemoteMedia), sdp::SdpError> {
        let before = self.ours.clone();
        self.ours.origin.version += 1;
        if self.codec.is_some() {
            prefer(&mut self.ours.codecs, self.codec);
            self.ours.order = sdp::Order::Ours;
        }
        self.answer_to(offer).inspect_err(|_| self.ours = before)
    }

    /// Whether the other end is a browser, or may be one.
    pub(crate) fn is_browser(&self) -> bool {
        self.browser.is_some()
    }

    /// Our audio is received elsewhere: the next description says so (RFC 3264 §8).
    pub(crate) fn receives_at(&mut self, rtp: SocketAddr) {
        // Whose address is translated has one for all ports.
        if self.ours.rtp.is_ipv4() == rtp.is_ipv4() {
            self.ours.rtp.set_port(rtp.port());
        } else {
            self.ours.rtp = rtp;
        }
        self.ours.origin.version += 1;
        if let sdp::Security::Sdes(sdes) = &self.ours.security {
            // A key serves one stream of packets only (RFC 4568 §6.1).
            let fresh = sdp::Sdes::with_fresh_keys(sdes.required);
            self.ours.security = sdp::Security::Sdes(fresh);
        }
    }

    /// Our offer once more, for a change of session that came without one.
    pub(crate) fn reoffer(&self) -> String {
        match &self.browser {
            Some(browser) => sdp::offer(&browser.ours(&self.ours, sdp::Setup::ActPass)),
            None => sdp::offer(&self.ours),
        }
    }

    /// What the peer's answer to our offer comes to.
    pub(crate) fn agree(&mut self, answer: &str) -> Result<RemoteMedia, sdp::SdpError> {
        let answer = sdp::Offer::parse(answer)?;
        let ours = match &self.browser {
            Some(browser) if answer.wants_dtls() => browser.ours(&self.ours, sdp::Setup::ActPass),
            _ => self.ours.clone(),
        };
        Ok(self.remote(&sdp::negotiate_answer(&ours, &answer)?))
    }

    fn answer_to(&mut self, offer: &str) -> Result<(String, RemoteMedia), sdp::SdpError> {
        let offer = sdp::Offer::parse(offer)?;
        let ours = match &mut self.browser {
            Some(browser) if offer.wants_dtls() => {
                if let Some(ice) = offer.ice() {
                    browser.meet(&ice);
                }
                browser.ours(&self.ours, browser.answering())
            }
            _ => self.ours.clone(),
        };
        let (text, agreed) = sdp::answer(&offer, &ours)?;
        Ok((text, self.remote(&agreed)))
    }

    /// What was agreed, as the audio's thread takes it. From the first agreement on a leg stays
    /// what it is: a browser's or a desk phone's.
    fn remote(&mut self, agreed: &sdp::Negotiated) -> RemoteMedia {
        let webrtc = self
            .browser
            .as_mut()
            .and_then(|browser| browser.peer(agreed));
        if webrtc.is_none() {
            self.browser = None;
        }
        self.codec = Some(agreed.codec);
        // What has been encrypted once is not taken back to the clear.
        if let (sdp::Security::Sdes(sdes), sdp::Agreed::Sdes { .. }) =
            (&mut self.ours.security, &agreed.security)
        {
            sdes.required = true;
        }
        RemoteMedia {
            webrtc,
            info_digits: self.speaks_info,
            ..remote(agreed)
        }
    }

    /// Notes that the peer presses keys by SIP INFO.
    pub(crate) fn pressed_by_info(&mut self) {
        self.speaks_info = true;
    }
}

fn remote(agreed: &sdp::Negotiated) -> RemoteMedia {
    // An address of zeros is the old spelling of hold (RFC 2543 §B.5): there is nowhere to send to.
    // With ICE the address is found by checks.
    let somewhere = agreed.ice.is_some() || !agreed.remote_rtp.ip().is_unspecified();
    RemoteMedia {
        rtp: agreed.remote_rtp,
        rtcp: Some(agreed.remote_rtcp),
        rtcp_mux: agreed.rtcp_mux,
        keys: keys(&agreed.security),
        webrtc: None,
        codec: codec(agreed.codec),
        payload_type: agreed.payload_type,
        also_audio: agreed
            .also_audio
            .iter()
            .map(|(payload_type, also)| (*payload_type, codec(*also)))
            .collect(),
        also_events: agreed.also_events.iter().map(|e| e.payload_type).collect(),
        telephone_event: agreed.telephone_event.map(|event| media::TelephoneEvent {
            payload_type: event.payload_type,
            clock_rate: event.clock_rate,
        }),
        info_digits: false,
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

fn codec(agreed: sdp::Codec) -> media::Codec {
    match agreed {
        sdp::Codec::Pcmu => media::Codec::Pcmu,
        sdp::Codec::Pcma => media::Codec::Pcma,
        sdp::Codec::G722 => media::Codec::G722,
        sdp::Codec::Opus => media::Codec::Opus,
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
