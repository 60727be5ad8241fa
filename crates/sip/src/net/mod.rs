//! Octets in and out: UDP, TCP, and the limits every source is held to.

mod limit;
mod tcp;
mod udp;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::Transport;
pub(crate) use limit::RateLimit;
pub(crate) use tcp::{Listening, accept, connect};
pub(crate) use udp::receive;

/// Whatever takes the messages that arrive.
pub(crate) trait Sink: Send + Sync + 'static {
    /// One message, complete, as it came.
    fn arrived(&self, data: &[u8], flow: &Flow);

    /// Octets that can be no message.
    fn noise(&self);

    /// Whether a device is registered over this connection, so that silence is no reason to close it.
    fn keeps(&self, flow: &Flow) -> bool;
}

/// The way to one peer: where it is, and what reaches it there.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub remote: SocketAddr,
    via: Medium,
}

#[derive(Clone, Debug)]
enum Medium {
    Udp(Arc<UdpSocket>),
    Tcp(mpsc::Sender<Bytes>),
}

impl Flow {
    pub fn udp(socket: Arc<UdpSocket>, remote: SocketAddr) -> Self {
        Self {
            remote,
            via: Medium::Udp(socket),
        }
    }

    pub fn transport(&self) -> Transport {
        match self.via {
            Medium::Udp(_) => Transport::Udp,
            Medium::Tcp(_) => Transport::Tcp,
        }
    }

    pub fn is_reliable(&self) -> bool {
        matches!(self.via, Medium::Tcp(_))
    }

    /// The same medium towards another port of the peer.
    pub fn to_port(&self, port: u16) -> Self {
        let mut flow = self.clone();
        if !self.is_reliable() {
            flow.remote.set_port(port);
        }
        flow
    }

    /// Sends without waiting: a full socket or a stuck peer loses the message,
    /// as the network might. False when the connection is gone.
    pub fn send(&self, data: Bytes) -> bool {
        match &self.via {
            Medium::Udp(socket) => {
                if let Err(error) = socket.try_send_to(&data, self.remote) {
                    tracing::debug!(peer = %self.remote, %error, "datagram not sent");
                }
                true
            }
            Medium::Tcp(queue) => match queue.try_send(data) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    tracing::debug!(peer = %self.remote, "connection is stuck, message lost");
                    true
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            },
        }
    }
}

/// The open TCP connections by remote address.
#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<HashMap<SocketAddr, (u64, Flow)>>,
    next: AtomicU64,
}

impl Connections {
    /// The connection to an address, if one is open.
    pub fn get(&self, remote: SocketAddr) -> Option<Flow> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&remote).map(|(_, flow)| flow.clone())
    }

    fn add(&self, flow: &Flow) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(flow.remote, (id, flow.clone()));
        id
    }

    /// Forgets a connection, unless a newer one took its address.
    fn remove(&self, remote: SocketAddr, id: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(&remote).is_some_and(|(held, _)| *held == id) {
            open.remove(&remote);
        }
    }
}

/// How a source is counted: an IPv6 peer owns its whole /64.
pub(crate) fn source_key(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let s = v6.segments();
            std::net::Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0).into()
        }
    }
}
