//! Whether a carrier's failure is the next carrier's chance.

/// Q.850 causes with which a network says that it is at fault itself: no circuit, out of order,
/// temporary failure, congestion, channel or resource unavailable (ITU-T Q.850 §2.2.7).
const OF_THE_NETWORK: &[u16] = &[34, 38, 41, 42, 44, 47];

/// How a carrier failed to connect a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrunkFailure {
    /// It refused.
    Refused {
        /// The SIP status.
        status: u16,
        /// The Q.850 cause it gave with it (RFC 3326).
        q850: Option<u16>,
    },
    /// It said nothing in time, or nothing of the callee.
    TimedOut,
    /// It could not be reached.
    Unreachable(String),
    /// A limit of ours keeps the call from it.
    Limited(String),
    /// It answered without audio that we can use.
    NoAudio,
}

impl TrunkFailure {
    /// The SIP status, when there is one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl std::fmt::Display for TrunkFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { status, q850: None } => write!(f, "refused with {status}"),
            Self::Refused {
                status,
                q850: Some(cause),
            } => write!(f, "refused with {status} (Q.850 cause {cause})"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Unreachable(why) => write!(f, "not reached: {why}"),
            Self::Limited(why) => write!(f, "limit: {why}"),
            Self::NoAudio => f.write_str("answered without usable audio"),
        }
    }
}

/// Whether the next carrier is tried. A word of the callee (busy, declined, unknown number) is final:
/// it would be the same by every way. So is everything once his phone rang.
#[must_use]
pub fn moves_on(failure: &TrunkFailure, rang: bool) -> bool {
    match failure {
        TrunkFailure::Unreachable(_) | TrunkFailure::Limited(_) => true,
        _ if rang => false,
        TrunkFailure::TimedOut | TrunkFailure::NoAudio => true,
        TrunkFailure::Refused {
            q850: Some(cause), ..
        } if OF_THE_NETWORK.contains(cause) => true,
        // 401, 402 and 407 are about us at this carrier, 408 about its silence, 429 and 430 about the
        // way to it; 488 about codecs that another may have.
        TrunkFailure::Refused { status, .. } => {
            matches!(status, 401 | 402 | 407 | 408 | 429 | 430 | 488 | 500..=599)
        }
    }
}
