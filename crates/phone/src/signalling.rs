//! What is still remembered of a call's signalling.

use std::sync::Arc;

use model::{CallId, Timestamp};

use crate::Phone;

/// The messages of all legs of a call, oldest first, free of secrets. Kept in
/// memory within a bound: of long-past calls nothing is left.
pub struct Signalling(Vec<Arc<sip::Message>>);

/// One of them, as a person reads it.
pub struct SignallingMessage {
    pub at: Timestamp,
    /// `INVITE SDP 1001`.
    pub summary: String,
    pub from: String,
    pub to: String,
    pub transport: &'static str,
    pub text: String,
}

impl Phone {
    /// The signalling of a call. Whoever asks has made sure that the call is his to see.
    #[must_use]
    pub fn signalling(&self, call: CallId) -> Signalling {
        Signalling(self.sip().signalling(&call.to_string()))
    }
}

impl Signalling {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ladder diagram.
    #[must_use]
    pub fn ladder(&self) -> String {
        sip::ladder(self.0.iter().map(Arc::as_ref))
    }

    /// A packet capture for Wireshark.
    #[must_use]
    pub fn capture(&self) -> Vec<u8> {
        sip::pcap(self.0.iter().map(Arc::as_ref))
    }

    pub fn messages(&self) -> impl Iterator<Item = SignallingMessage> {
        self.0.iter().map(|message| {
            let (local, remote) = (message.local.to_string(), message.remote.to_string());
            let (from, to) = if message.sent {
                (local, remote)
            } else {
                (remote, local)
            };
            SignallingMessage {
                at: message.at,
                summary: message.summary(),
                from,
                to,
                transport: message.transport.as_str(),
                text: message.text(),
            }
        })
    }
}
