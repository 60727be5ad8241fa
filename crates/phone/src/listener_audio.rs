//! Listeners at which the operator wants audio to be encrypted otherwise than elsewhere.

use std::{net::SocketAddr, str::FromStr};

use sip::{Binding, Transport};

use crate::audio::{AudioPolicy, Srtp};

/// The rule of one listener, for the devices that register there and the callers who call there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerSrtp {
    /// What is spoken there.
    pub transport: Transport,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether audio is encrypted.
    pub srtp: Srtp,
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It has not the form of one.
    #[error("{0:?} is not a rule such as tls 0.0.0.0:5061 required")]
    Form(String),
    /// There is no such transport.
    #[error(transparent)]
    Transport(#[from] sip::TransportError),
    /// The second word is no address.
    #[error("{0:?} is not the address and port of a listener such as 0.0.0.0:5061")]
    Address(String),
    /// The third word is no rule for audio.
    #[error("{0:?} is not one of off, optional and required")]
    Srtp(String),
}

/// As operators write it: the listener, then `off`, `optional` or `required`.
impl FromStr for ListenerSrtp {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [transport, address, srtp] = words.as_slice() else {
            return Err(RuleError::Form(text.to_owned()));
        };
        let no_address = |_| RuleError::Address((*address).to_owned());
        Ok(Self {
            transport: transport.parse()?,
            address: address.parse().map_err(no_address)?,
            srtp: srtp.parse()?,
        })
    }
}

impl FromStr for Srtp {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            _ => Err(RuleError::Srtp(text.to_owned())),
        }
    }
}

/// What holds for whoever calls at a listener.
pub(crate) fn at(
    everywhere: AudioPolicy,
    rules: &[ListenerSrtp],
    listener: (Transport, SocketAddr),
) -> AudioPolicy {
    let own = rules.iter().find(|rule| is(rule, listener));
    AudioPolicy {
        srtp: own.map_or(everywhere.srtp, |rule| rule.srtp),
        ..everywhere
    }
}

/// What holds for devices that ring together. They get one offer, so the strictest rule holds for all. A device on a
/// connection is taken for one of any listener of its kind. Browsers have keys of their own and don't count.
pub(crate) fn towards(
    everywhere: AudioPolicy,
    rules: &[ListenerSrtp],
    bindings: &[Binding],
) -> AudioPolicy {
    let of = |binding: &Binding| {
        let at_it = |rule: &&ListenerSrtp| match binding.registered_at {
            Some(address) => is(rule, (binding.transport, address)),
            None => rule.transport == binding.transport,
        };
        let strictest = rules.iter().filter(at_it).map(|rule| rule.srtp).max();
        strictest.unwrap_or(everywhere.srtp)
    };
    let phones = bindings.iter().filter(|binding| !binding.is_browser());
    AudioPolicy {
        srtp: phones.map(of).max().unwrap_or(everywhere.srtp),
        ..everywhere
    }
}

fn is(rule: &ListenerSrtp, (transport, address): (Transport, SocketAddr)) -> bool {
    rule.transport == transport && rule.address == address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Vec<ListenerSrtp> {
        ["tls 10.0.0.5:5061 required", "udp 10.0.0.5:5080 off"]
            .map(|text| text.parse().expect("a rule"))
            .to_vec()
    }

    fn phone(transport: Transport, registered_at: Option<&str>) -> Binding {
        Binding {
            contact: "sip:1001@10.0.0.9".to_owned(),
            received: SocketAddr::from(([10, 0, 0, 9], 5060)),
            transport,
            expires_at: model::Timestamp::UNIX_EPOCH,
            call_id: "c".to_owned(),
            cseq: 1,
            user_agent: None,
            instance: None,
            path: Vec::new(),
            registered_at: registered_at.map(|at| at.parse().expect("an address")),
        }
    }

    #[test]
    fn a_rule_is_written_in_three_words() {
        let rule = rules()[0];
        assert_eq!(
            (rule.transport, rule.srtp),
            (Transport::Tls, Srtp::Required)
        );
        for wrong in [
            "",
            "tls 10.0.0.5:5061",
            "tls 10.0.0.5 off",
            "tls 10.0.0.5:5061 perhaps",
        ] {
            assert!(wrong.parse::<ListenerSrtp>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn callers_meet_the_rule_of_the_listener_they_call() {
        let everywhere = AudioPolicy::default();
        for (transport, address, srtp) in [
            (Transport::Tls, "10.0.0.5:5061", Srtp::Required),
            (Transport::Udp, "10.0.0.5:5080", Srtp::Off),
            (Transport::Udp, "10.0.0.5:5060", Srtp::Optional),
            (Transport::Tcp, "10.0.0.5:5061", Srtp::Optional),
        ] {
            let listener = (transport, address.parse().expect("an address"));
            assert_eq!(at(everywhere, &rules(), listener).srtp, srtp, "{address}");
        }
    }

    #[test]
    fn phones_that_ring_together_get_what_the_strictest_needs() {
        let everywhere = AudioPolicy::default();
        let srtp = |phones: &[Binding]| towards(everywhere, &rules(), phones).srtp;
        let off = phone(Transport::Udp, Some("10.0.0.5:5080"));
        let usual = phone(Transport::Udp, Some("10.0.0.5:5060"));
        let private = phone(Transport::Tls, None);
        assert_eq!(srtp(&[]), Srtp::Optional);
        assert_eq!(srtp(std::slice::from_ref(&off)), Srtp::Off);
        assert_eq!(srtp(&[off.clone(), usual]), Srtp::Optional);
        assert_eq!(srtp(&[off, private]), Srtp::Required);
        assert_eq!(srtp(&[phone(Transport::Wss, None)]), Srtp::Optional);
    }
}
