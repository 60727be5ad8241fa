//! Starting, using and stopping the whole.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::{Binding, Dial, DialError, Directory, Leg, SipConfig, SipEvent};

/// The running signalling of one node. Cheap to clone.
#[derive(Clone)]
pub struct SipStack {
    inner: Arc<Inner>,
}

struct Inner {}

/// Where the stack really listens (ports taken when 0 was asked for).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub udp: Option<SocketAddr>,
    pub tcp: Option<SocketAddr>,
}

/// Why a stack did not start.
#[derive(Debug, thiserror::Error)]
pub enum SipError {
    #[error("neither UDP nor TCP has an address to listen on")]
    NoListener,
    #[error("cannot listen on {transport} {address}")]
    Bind {
        transport: &'static str,
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

/// Totals since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams and stream data that were no SIP message at all.
    pub noise: u64,
    /// Requests refused by the validation stage.
    pub malformed: u64,
    /// Requests refused with 503 by a limit.
    pub limited: u64,
    /// Responses nothing waited for.
    pub stray_responses: u64,
    /// Transactions running now.
    pub transactions: usize,
    /// Legs alive now.
    pub legs: usize,
}

impl SipStack {
    /// Binds the listeners, reloads the bindings kept by the directory and serves.
    ///
    /// # Errors
    /// When there is no listener, or an address cannot be bound.
    pub async fn start(
        config: SipConfig,
        directory: Arc<dyn Directory>,
    ) -> Result<(Self, mpsc::Receiver<SipEvent>), SipError> {
        let _ = (config, directory);
        Err(SipError::NoListener)
    }

    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let _ = &self.inner;
        Addresses { udp: None, tcp: None }
    }

    /// The devices registered for a username now.
    #[must_use]
    pub fn bindings(&self, _username: &str) -> Vec<Binding> {
        Vec::new()
    }

    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Places a call; the leg tells how it goes.
    ///
    /// # Errors
    /// When nobody is registered, a header is not allowed, or a limit is reached.
    pub async fn dial(&self, dial: Dial) -> Result<Leg, DialError> {
        let _ = dial;
        Err(DialError::Stopped)
    }

    /// Refuses new calls, ends running legs, and stops within the limit.
    pub async fn shutdown(&self, limit: Duration) {
        let _ = limit;
    }
}
