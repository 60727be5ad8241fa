//! What can go wrong on the way out.

/// Why a request was refused or failed. Never contains a query string, user name or header value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The policy forbids this target; nothing was sent.
    #[error("request to {target} refused: {reason}")]
    Refused {
        /// Scheme, host, port and path only.
        target: String,
        /// What rule forbids it.
        reason: String,
    },
    /// The name does not resolve.
    #[error("{host} could not be resolved")]
    Resolve {
        /// Host name.
        host: String,
    },
    /// No connection, or it broke.
    #[error("connection to {target} failed: {reason}")]
    Connect {
        /// Scheme, host, port and path only.
        target: String,
        /// What the transport said, without the URL.
        reason: String,
    },
    /// A time limit passed.
    #[error("{target} took too long ({what})")]
    Timeout {
        /// Scheme, host, port and path only.
        target: String,
        /// Which limit: connect, headers, idle or total.
        what: &'static str,
    },
    /// The answer is larger than allowed.
    #[error("the answer of {target} is larger than {limit} bytes")]
    TooLarge {
        /// Scheme, host, port and path only.
        target: String,
        /// The limit that was passed.
        limit: u64,
    },
    /// The answer is not HTTP we can read.
    #[error("the answer of {target} could not be read: {reason}")]
    Protocol {
        /// Scheme, host, port and path only.
        target: String,
        /// What is wrong.
        reason: String,
    },
    /// The client could not be set up.
    #[error("outbound client could not be set up: {reason}")]
    Setup {
        /// What is wrong.
        reason: String,
    },
}

/// A URL as it may be shown: no user name, no query, no fragment.
pub(crate) fn display_target(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or("?");
    match url.port() {
        Some(port) => format!("{}://{host}:{port}{}", url.scheme(), url.path()),
        None => format!("{}://{host}{}", url.scheme(), url.path()),
    }
}
