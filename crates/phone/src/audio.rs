//! What the operator allows of a leg's audio, and what is therefore said in its description.

use std::net::{IpAddr, SocketAddr};

use calls::routing::{Codec, SrtpPolicy, TrunkSettings};
use sip::{IncomingCall, sdp};

/// The operator's rules for the audio of devices; a trunk and a listener may have their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AudioPolicy {
    /// Whether audio is encrypted.
    pub srtp: Srtp,
    /// Whether keys of required encryption may be told over signalling that is not itself
    /// encrypted, where whoever reads it can listen.
    pub keys_in_clear: bool,
    /// Whether tones of keys are left out of recordings.
    pub recordings_without_tones: bool,
}

/// Whether audio is encrypted with keys from the signalling (SDES), from the least strict on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Srtp {
    /// Never; encrypted offers are refused.
    Off,
    /// Where the peer asks for it; ours are offered to devices that register over TLS.
    #[default]
    Optional,
    /// Always; clear offers are refused.
    Required,
}

/// Encryption is required, and the keys would have to be told in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "encrypted audio is required, but the signalling is not encrypted: use TLS or WSS, or allow srtp_keys_in_clear"
)]
pub struct ClearPath;

/// What a peer is told whose audio we may not take (RFC 3261 §21.4.26).
pub(crate) const NOT_ACCEPTABLE: u16 = 488;

/// Who speaks first in a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Offers,
    Answers,
}

impl AudioPolicy {
    /// What to be ready for on a leg whose signalling is encrypted or not.
    fn security(self, role: Role, secure: bool) -> Result<sdp::Security, ClearPath> {
        let sdes = |required| sdp::Security::Sdes(sdp::Sdes::with_fresh_keys(required));
        match self.srtp {
            Srtp::Off => Ok(sdp::Security::Off),
            // Keys that anybody can read protect nothing, and make requests too long for UDP.
            Srtp::Optional if role == Role::Offers && !secure => Ok(sdp::Security::Off),
            Srtp::Optional => Ok(sdes(false)),
            Srtp::Required if secure || self.keys_in_clear => Ok(sdes(true)),
            Srtp::Required => Err(ClearPath),
        }
    }
}

/// What we are ready for on a leg, as its other end allows.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    codecs: Vec<sdp::Codec>,
    security: sdp::Security,
    /// As whom the other end sees us, where a NAT translates our address.
    seen_as: Option<IpAddr>,
}

impl Terms {
    /// All codecs, in the clear.
    pub(crate) fn clear() -> Self {
        Self {
            codecs: vec![
                sdp::Codec::Pcmu,
                sdp::Codec::Pcma,
                sdp::Codec::G722,
                sdp::Codec::Opus,
            ],
            security: sdp::Security::Off,
            seen_as: None,
        }
    }

    /// Has our audio sent where the other end sees us.
    pub(crate) fn seen_as(self, seen_as: Option<IpAddr>) -> Self {
        Self { seen_as, ..self }
    }

    /// What the operator says of devices, and of callers who are nobody's.
    ///
    /// # Errors
    /// [`ClearPath`]: the leg must not be.
    pub(crate) fn of_devices(
        policy: AudioPolicy,
        role: Role,
        secure: bool,
    ) -> Result<Self, ClearPath> {
        Ok(Self {
            security: policy.security(role, secure)?,
            ..Self::clear()
        })
    }

    /// What he says of a carrier.
    ///
    /// # Errors
    /// [`ClearPath`]: the leg must not be.
    pub(crate) fn of_trunk(
        settings: &TrunkSettings,
        policy: AudioPolicy,
        role: Role,
        secure: bool,
    ) -> Result<Self, ClearPath> {
        let srtp = match settings.srtp {
            SrtpPolicy::Off => Srtp::Off,
            SrtpPolicy::Optional => Srtp::Optional,
            SrtpPolicy::Required => Srtp::Required,
        };
        let mut terms = Self::of_devices(AudioPolicy { srtp, ..policy }, role, secure)?;
        if !settings.codecs.is_empty() {
            let codec = |codec: &Codec| match codec {
                Codec::Pcmu => sdp::Codec::Pcmu,
                Codec::Pcma => sdp::Codec::Pcma,
                Codec::G722 => sdp::Codec::G722,
                Codec::Opus => sdp::Codec::Opus,
            };
            terms.codecs = settings.codecs.iter().map(codec).collect();
        }
        Ok(terms)
    }

    /// Puts the codec of the leg first that this one will be connected with: the same saves
    /// transcoding.
    pub(crate) fn prefer(mut self, codec: Option<sdp::Codec>) -> Self {
        prefer(&mut self.codecs, codec);
        self
    }

    /// Our side of a leg's session.
    pub(crate) fn ours(self, rtp: SocketAddr, session_id: u64) -> sdp::Ours {
        let seen = self.seen_as.filter(|ip| ip.is_ipv4() == rtp.is_ipv4());
        sdp::Ours {
            rtp: SocketAddr::new(seen.unwrap_or(rtp.ip()), rtp.port()),
            codecs: self.codecs,
            order: sdp::Order::Peers,
            telephone_event: true,
            ptime_ms: 20,
            direction: sdp::Direction::SendRecv,
            security: self.security,
            ice: None,
            source: None,
            origin: sdp::Origin {
                session_id,
                version: 1,
            },
        }
    }
}

/// Whether what a caller says of keys was read by nobody on the way: its signalling is encrypted,
/// or it agrees on keys with us by DTLS.
pub(crate) fn is_private(incoming: &IncomingCall) -> bool {
    let offer = incoming.offer.as_deref().map(sdp::Offer::parse);
    incoming.secure || matches!(offer, Some(Ok(offer)) if offer.wants_dtls())
}

/// Puts a codec first.
pub(crate) fn prefer(codecs: &mut [sdp::Codec], first: Option<sdp::Codec>) {
    codecs.sort_by_key(|codec| Some(*codec) != first);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_where_they_are_secret_or_allowed() {
        let policy = |srtp, keys_in_clear| AudioPolicy {
            srtp,
            keys_in_clear,
            recordings_without_tones: false,
        };
        let required = |security: &sdp::Security| match security {
            sdp::Security::Sdes(sdes) => Some(sdes.required),
            _ => None,
        };
        let ready = |policy: AudioPolicy, role, secure| {
            policy
                .security(role, secure)
                .map(|security| required(&security))
        };
        use Role::{Answers, Offers};
        assert_eq!(ready(policy(Srtp::Off, true), Answers, true), Ok(None));
        assert_eq!(
            ready(policy(Srtp::Optional, false), Offers, false),
            Ok(None)
        );
        assert_eq!(
            ready(policy(Srtp::Optional, false), Offers, true),
            Ok(Some(false))
        );
        assert_eq!(
            ready(policy(Srtp::Optional, false), Answers, false),
            Ok(Some(false))
        );
        assert_eq!(
            ready(policy(Srtp::Required, false), Answers, true),
            Ok(Some(true))
        );
        assert_eq!(
            ready(policy(Srtp::Required, false), Answers, false),
            Err(ClearPath)
        );
        assert_eq!(
            ready(policy(Srtp::Required, true), Offers, false),
            Ok(Some(true))
        );
    }

    #[test]
    fn a_carrier_is_offered_its_codecs_in_its_order() {
        let policy = AudioPolicy {
            srtp: Srtp::Off,
            keys_in_clear: false,
            recordings_without_tones: false,
        };
        let ours = |codecs: &[Codec], leg: Option<sdp::Codec>| {
            let settings = TrunkSettings {
                codecs: codecs.to_vec(),
                ..TrunkSettings::default()
            };
            let terms = Terms::of_trunk(&settings, policy, Role::Offers, false);
            let terms = terms.expect("in the clear").prefer(leg);
            terms.ours("192.0.2.1:4000".parse().expect("an address"), 1)
        };
        use sdp::Codec::{G722, Opus, Pcma, Pcmu};
        let wanted = [Codec::Pcma, Codec::G722];
        assert_eq!(ours(&wanted, None).codecs, [Pcma, G722]);
        // What the other leg talks comes first where the carrier takes it, and nothing is added.
        assert_eq!(ours(&wanted, Some(G722)).codecs, [G722, Pcma]);
        assert_eq!(ours(&wanted, Some(Opus)).codecs, [Pcma, G722]);
        assert_eq!(ours(&[], None).codecs, [Pcmu, Pcma, G722, Opus]);
    }

    #[test]
    fn the_other_legs_codec_is_offered_first() {
        let terms = Terms::clear().prefer(Some(sdp::Codec::G722));
        let ours = terms.ours("192.0.2.1:4000".parse().expect("an address"), 1);
        use sdp::Codec::{G722, Opus, Pcma, Pcmu};
        assert_eq!(ours.codecs, [G722, Pcmu, Pcma, Opus]);
    }
}
