//! Octets in and out: UDP, TCP, TLS, WebSocket, and the limits every source is held to.

mod limit;
mod local;
mod slots;
mod tcp;
mod tls;
mod udp;
mod websocket;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::Transport;
use crate::trace::Tap;
pub(crate) use limit::RateLimit;
pub(crate) use local::{Local, source_towards};
pub(crate) use slots::Slots;
pub(crate) use tcp::{
    Accepting, ConnectError, Framed, Listening, accept, adopt, connect, listen, next_message,
};
pub use tls::CertificateError;
pub(crate) use tls::{Shown, TlsPeer};
pub(crate) use udp::{Port, bind, lost, receive};
pub(crate) use websocket::handshake;

/// Whatever takes the messages that arrive.
pub(crate) trait Sink: Send + Sync + 'static {
    /// One message, complete, as it came.
    fn arrived(&self, data: &[u8], flow: &Flow);

    /// The head of a message whose body is longer than we take; nothing follows it.
    fn oversized(&self, head: &[u8], flow: &Flow);

    /// Octets that can be no message.
    fn noise(&self);

    /// A connection has ended.
    fn closed(&self, flow: &Flow);

    /// Whether connections from there are accepted.
    fn welcomes(&self, source: IpAddr) -> bool;

    /// Whether a device is registered over this connection, so that silence is no reason to close it.
    fn keeps(&self, flow: &Flow) -> bool;
}

/// The way to one peer: where it is, and what reaches it there.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub remote: SocketAddr,
    /// Where its requests really come from; another address than `remote` only
    /// behind a proxy that is trusted to say so.
    pub origin: SocketAddr,
    via: Medium,
    /// As whom a NAT shows us to the peer, when it has told us so.
    seen_as: Option<SocketAddr>,
}

#[derive(Clone, Debug)]
enum Medium {
    Udp(Arc<Port>),
    Stream(Stream),
}

/// The sending end of a connection.
#[derive(Clone, Debug)]
struct Stream {
    local: Arc<Local>,
    queue: mpsc::Sender<Bytes>,
    /// Whom a connection of ours made sure to have reached.
    peer: Option<Arc<TlsPeer>>,
    tap: Arc<Tap>,
    /// Messages lost because the peer does not read.
    unsent: Arc<AtomicU64>,
}

impl Flow {
    pub fn udp(port: Arc<Port>, remote: SocketAddr) -> Self {
        Self {
            remote,
            origin: remote,
            via: Medium::Udp(port),
            seen_as: None,
        }
    }

    /// The listener of ours it belongs to.
    pub fn local(&self) -> &Local {
        match &self.via {
            Medium::Udp(port) => &port.local,
            Medium::Stream(stream) => &stream.local,
        }
    }

    /// How the peer reaches us, as host and port: as configured, else as the peer sees us.
    pub fn authority(&self) -> String {
        match self.seen_as.filter(|_| self.local().public.is_none()) {
            Some(seen) => seen.to_string(),
            None => self.local().authority(self.remote.ip()),
        }
    }

    /// This way, with what is known of the other one to the same peer.
    pub fn like(&self, other: &Self) -> Self {
        self.seen_as(other.seen_as)
    }

    /// The same way, with what the peer says of where we seem to be.
    pub fn seen_as(&self, seen_as: Option<SocketAddr>) -> Self {
        Self {
            seen_as,
            ..self.clone()
        }
    }

    /// A Via for a request of ours (RFC 3261 §18.1.1, RFC 3581 §3).
    pub fn via(&self, branch: &str) -> String {
        format!(
            "SIP/2.0/{} {};branch={branch};rport",
            self.transport().as_str(),
            self.authority()
        )
    }

    /// Our Contact towards this peer.
    pub fn contact(&self) -> String {
        format!("<{}>", self.contact_uri(None))
    }

    /// The URI of our Contact, with a user if it is to be told apart by one.
    pub fn contact_uri(&self, user: Option<&str>) -> String {
        let parameter = match self.transport() {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
            // RFC 7118 §5.3 has one value for both.
            Transport::Ws | Transport::Wss => ";transport=ws",
        };
        let user = user.map(|user| crate::wire::escape_user(user) + "@");
        let (user, authority) = (user.unwrap_or_default(), self.authority());
        format!("sip:{user}{authority}{parameter}")
    }

    /// Whom a TLS connection of ours made sure to have reached.
    pub fn peer(&self) -> Option<&Arc<TlsPeer>> {
        match &self.via {
            Medium::Udp(_) => None,
            Medium::Stream(stream) => stream.peer.as_ref(),
        }
    }

    /// Once a connection is gone; never without one.
    pub async fn closed(&self) {
        match &self.via {
            Medium::Udp(_) => std::future::pending().await,
            Medium::Stream(stream) => stream.queue.closed().await,
        }
    }

    /// False once a connection is gone.
    pub fn is_open(&self) -> bool {
        match &self.via {
            Medium::Udp(_) => true,
            Medium::Stream(stream) => !stream.queue.is_closed(),
        }
    }

    pub fn transport(&self) -> Transport {
        match &self.via {
            Medium::Udp(_) => Transport::Udp,
            Medium::Stream(stream) => stream.local.transport,
        }
    }

    pub fn is_reliable(&self) -> bool {
        matches!(self.via, Medium::Stream(..))
    }

    /// Whether messages are framed by Content-Length rather than by the transport.
    pub fn is_stream(&self) -> bool {
        matches!(self.transport(), Transport::Tcp | Transport::Tls)
    }

    /// The same way, with what a trusted proxy says of where its requests come from.
    pub fn from(&self, origin: SocketAddr) -> Self {
        Self {
            origin,
            ..self.clone()
        }
    }

    /// Whether a browser is at the other end. It may come through a proxy of ours, whose address
    /// proves nothing.
    pub fn is_websocket(&self) -> bool {
        matches!(self.transport(), Transport::Ws | Transport::Wss)
    }

    /// The same listener towards another address, where it leads there; connections
    /// lead to their peer only.
    pub fn towards(&self, remote: SocketAddr) -> Option<Self> {
        match &self.via {
            Medium::Udp(port) if port.local.leads_to(remote.ip()) => {
                let flow = Self::udp(Arc::clone(port), remote);
                Some(flow.seen_as(self.seen_as))
            }
            _ => None,
        }
    }

    /// The same medium towards another port of the peer.
    pub fn to_port(&self, port: u16) -> Self {
        let mut flow = self.clone();
        if !self.is_reliable() {
            flow.remote.set_port(port);
        }
        flow
    }

    /// Lets the tap see what arrived this way.
    pub fn tap_arrived(&self, data: &[u8]) {
        self.tap().arrived(self.local(), self.remote, data);
    }

    fn tap(&self) -> &Tap {
        match &self.via {
            Medium::Udp(port) => &port.tap,
            Medium::Stream(stream) => &stream.tap,
        }
    }

    /// Sends without waiting: a full socket or a stuck peer loses the message,
    /// as the network might. False when the connection is gone.
    pub fn send(&self, data: Bytes) -> bool {
        self.tap().leaves(self.local(), self.remote, &data);
        match &self.via {
            Medium::Udp(port) => {
                if let Err(error) = port.socket.try_send_to(&data, self.remote) {
                    port.unsent.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(peer = %self.remote, %error, "datagram not sent");
                }
                true
            }
            Medium::Stream(stream) => match stream.queue.try_send(data) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    stream.unsent.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(peer = %self.remote, "connection is stuck, message lost");
                    true
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            },
        }
    }
}

/// The open connections by what they are and where they lead.
#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<HashMap<Key, (u64, Flow)>>,
    next: AtomicU64,
    unsent: Arc<AtomicU64>,
}

/// A TLS connection of ours is good only for the name it was checked for.
type Key = (Transport, SocketAddr, Option<Arc<str>>);

impl Connections {
    /// The connection to an address, if one is open; of ours over TLS only to
    /// that very peer.
    pub fn get(
        &self,
        transport: Transport,
        remote: SocketAddr,
        peer: Option<&TlsPeer>,
    ) -> Option<Flow> {
        let key = (
            transport,
            remote,
            peer.map(|peer| Arc::clone(&peer.identity)),
        );
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&key).map(|(_, flow)| flow.clone())
    }

    /// Messages lost because peers did not read.
    pub fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }

    fn add(&self, flow: &Flow) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(key_of(flow), (id, flow.clone()));
        id
    }

    /// Forgets a connection, unless a newer one took its address; then false.
    fn remove(&self, flow: &Flow, id: u64) -> bool {
        let key = key_of(flow);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let held = open.get(&key).is_some_and(|(held, _)| *held == id);
        if held {
            open.remove(&key);
        }
        held
    }
}

fn key_of(flow: &Flow) -> Key {
    let peer = flow.peer().map(|peer| Arc::clone(&peer.identity));
    (flow.transport(), flow.remote, peer)
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
