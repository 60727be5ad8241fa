//! Connections: accepting, framing by Content-Length, writing.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::slots::{Slot, Slots};
use super::{Connections, Flow, Local, Medium, Sink, Stream, TlsPeer, websocket};
use crate::Transport;
use crate::trace::Tap;

/// What every connection needs from its owner.
#[derive(Clone)]
pub(crate) struct Listening {
    pub sink: Arc<dyn Sink>,
    pub connections: Arc<Connections>,
    /// The listeners for connections, which those we open ourselves name too.
    pub locals: Arc<[Arc<Local>]>,
    pub slots: Arc<Slots>,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
    pub message_bytes: usize,
    pub idle: Duration,
    pub keep_open: Duration,
    pub tap: Arc<Tap>,
}

/// Connections the kernel holds until we accept them.
const BACKLOG: i32 = 1024;
/// Messages that may wait for one connection's writer.
const WRITE_QUEUE: usize = 64;
/// How long opening a connection may take; a caller waits for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a peer may take to accept what we write.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a peer may take to finish a message, and a new one to begin its first.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a peer may take to agree on TLS and WebSocket.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// One listener and what is spoken on it.
pub(crate) struct Accepting {
    pub listener: TcpListener,
    pub local: Arc<Local>,
    /// For the transports over TLS.
    pub tls: Option<TlsAcceptor>,
}

/// Listens for connections.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // IPv4 has listeners of its own.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections until told to stop.
pub(crate) async fn accept(on: Accepting, with: Listening) {
    let on = Arc::new(on);
    loop {
        let accepted = tokio::select! {
            () = with.stop.cancelled() => return,
            accepted = on.listener.accept() => accepted,
        };
        match accepted {
            Ok((_, remote)) if !with.sink.welcomes(remote.ip()) => {}
            Ok((stream, remote)) => {
                // Beyond the limit a connection is closed at once.
                let Some(slot) = with.slots.accepted(remote.ip()) else {
                    continue;
                };
                let opening = open(Arc::clone(&on), stream, remote, slot, with.clone());
                with.tasks.spawn(opening);
            }
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                // Out of file descriptors: give running connections time to end.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Sees the handshakes through, which a peer may drag out, and serves.
async fn open(
    on: Arc<Accepting>,
    stream: TcpStream,
    remote: SocketAddr,
    slot: Slot,
    with: Listening,
) {
    let _ = stream.set_nodelay(true);
    let peer = Remote {
        local: Arc::clone(&on.local),
        address: remote,
        peer: None,
        slot,
    };
    let stop = with.stop.clone();
    let handshakes = async {
        match (&on.tls, on.local.transport) {
            (None, Transport::Ws) => drop(websocket::serve(stream, peer, &with).await),
            (None, _) => drop(serve(stream, peer, &with)),
            (Some(tls), transport) => {
                let Ok(stream) = tls.accept(stream).await else {
                    return with.sink.noise();
                };
                match transport {
                    Transport::Wss => drop(websocket::serve(stream, peer, &with).await),
                    _ => drop(serve(stream, peer, &with)),
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        _ = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshakes) => {}
    }
}

/// Serves a connection that another listener accepted and that has agreed on WebSocket with
/// [`websocket::handshake`]. Beyond the limit it is closed at once.
pub(crate) async fn adopt<S>(stream: S, local: Local, remote: SocketAddr, with: &Listening)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if !with.sink.welcomes(remote.ip()) {
        return;
    }
    // A proxy of the web server's may be the source of them all.
    let Some(slot) = with.slots.uncounted() else {
        return;
    };
    let peer = Remote {
        local: Arc::new(local),
        address: remote,
        peer: None,
        slot,
    };
    websocket::serve_upgraded(stream, peer, with).await;
}

/// Why a connection was not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("too many connections are open")]
    Busy,
    /// None of our listeners can send there, or the transport can't be opened by us.
    #[error("no listener of ours leads there")]
    NoListener,
    #[error("no answer within {} s", CONNECT_TIMEOUT.as_secs())]
    TimedOut,
    #[error(transparent)]
    Io(std::io::Error),
    /// The peer is there, and not who it should be.
    #[error(transparent)]
    Certificate(rustls::Error),
}

/// Opens a connection to a peer, over TLS if it is to be a certain one.
pub(crate) async fn connect(
    remote: SocketAddr,
    tls: Option<Arc<TlsPeer>>,
    with: &Listening,
) -> Result<Flow, ConnectError> {
    let slot = with.slots.uncounted().ok_or(ConnectError::Busy)?;
    let opened = tokio::time::timeout(CONNECT_TIMEOUT, opened(remote, tls, slot, with));
    opened.await.map_err(|_| ConnectError::TimedOut)?
}

async fn opened(
    remote: SocketAddr,
    tls: Option<Arc<TlsPeer>>,
    slot: Slot,
    with: &Listening,
) -> Result<Flow, ConnectError> {
    let stream = TcpStream::connect(remote).await.map_err(ConnectError::Io)?;
    let _ = stream.set_nodelay(true);
    let transport = match tls {
        Some(_) => Transport::Tls,
        None => Transport::Tcp,
    };
    let from = stream.local_addr().map_err(ConnectError::Io)?;
    let peer = Remote {
        local: with.local(transport, from, remote),
        address: remote,
        peer: tls.clone(),
        slot,
    };
    let Some(tls) = tls else {
        return Ok(serve(stream, peer, with));
    };
    let connector = TlsConnector::from(Arc::clone(&tls.config));
    match connector.connect(tls.name.clone(), stream).await {
        Ok(stream) => Ok(serve(stream, peer, with)),
        Err(error) => Err(match error.get_ref().and_then(|e| e.downcast_ref()) {
            Some(why @ rustls::Error::InvalidCertificate(_)) => {
                ConnectError::Certificate(why.clone())
            }
            _ => ConnectError::Io(error),
        }),
    }
}

impl Listening {
    /// What a connection of ours tells its peer: the listener of its kind, or
    /// itself where there is none (RFC 5626 has requests come back by it).
    fn local(&self, transport: Transport, from: SocketAddr, to: SocketAddr) -> Arc<Local> {
        let mut kind = self.locals.iter().filter(|l| l.transport == transport);
        kind.find(|local| local.leads_to(to.ip()))
            .map(Arc::clone)
            .unwrap_or_else(|| {
                Arc::new(Local {
                    transport,
                    bound: from,
                    public: None,
                    near: [].into(),
                })
            })
    }
}

/// The other end of a connection.
pub(super) struct Remote {
    pub local: Arc<Local>,
    pub address: SocketAddr,
    pub peer: Option<Arc<TlsPeer>>,
    pub slot: Slot,
}

impl Remote {
    /// The way to it, and what its writer takes from.
    pub fn flow(&self, with: &Listening) -> (Flow, mpsc::Receiver<Bytes>) {
        let (queue, queued) = mpsc::channel(WRITE_QUEUE);
        let stream = Stream {
            local: Arc::clone(&self.local),
            queue,
            peer: self.peer.clone(),
            tap: Arc::clone(&with.tap),
            unsent: Arc::clone(&with.connections.unsent),
        };
        let flow = Flow {
            remote: self.address,
            origin: self.address,
            via: Medium::Stream(stream),
            seen_as: None,
        };
        (flow, queued)
    }
}

fn serve<S>(stream: S, peer: Remote, with: &Listening) -> Flow
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (flow, queued) = peer.flow(with);
    let (reading, writing) = tokio::io::split(stream);
    let closed = with.stop.child_token();
    with.tasks.spawn(write(writing, queued, closed.clone()));
    let (held, reader) = (flow.clone(), with.clone());
    let ended = closed.clone();
    // Whoever connects has something to say.
    let awaited = peer.slot.is_accepted();
    let read = async move { read(reading, &held, &reader, &closed, awaited).await };
    keep(read, flow.clone(), ended, peer.slot, with);
    flow
}

/// Keeps a connection in the table for as long as its reader runs.
pub(super) fn keep(
    reader: impl Future<Output = ()> + Send + 'static,
    flow: Flow,
    closed: CancellationToken,
    slot: Slot,
    with: &Listening,
) {
    let id = with.connections.add(&flow);
    let with = with.clone();
    with.tasks.clone().spawn(async move {
        reader.await;
        if with.connections.remove(&flow, id) {
            with.sink.closed(&flow);
        }
        // What was just answered still leaves. Transactions remember the flow for
        // a while, so the writer would not end with its last sender.
        closed.cancel();
        drop(slot);
    });
}

async fn write<S: AsyncWrite>(
    mut half: WriteHalf<S>,
    mut queue: mpsc::Receiver<Bytes>,
    closed: CancellationToken,
) {
    loop {
        let data = tokio::select! {
            biased;
            data = queue.recv() => data,
            () = closed.cancelled() => None,
        };
        let Some(data) = data else {
            let _ = tokio::time::timeout(WRITE_TIMEOUT, half.shutdown()).await;
            return;
        };
        let written = tokio::time::timeout(WRITE_TIMEOUT, write_all(&mut half, &data)).await;
        if !matches!(written, Ok(Ok(()))) {
            closed.cancel();
            return;
        }
    }
}

async fn write_all<S: AsyncWrite>(half: &mut WriteHalf<S>, data: &[u8]) -> std::io::Result<()> {
    half.write_all(data).await?;
    // TLS holds back what it was given until told.
    half.flush().await
}

async fn read<S: AsyncRead>(
    mut half: ReadHalf<S>,
    flow: &Flow,
    with: &Listening,
    closed: &CancellationToken,
    awaited: bool,
) {
    let mut buffer = BytesMut::with_capacity(4096);
    // When the message must be whole that is awaited or has begun.
    let mut due = awaited.then(|| Instant::now() + MESSAGE_TIMEOUT);
    let mut searched = 0;
    loop {
        let until = due.unwrap_or_else(|| Instant::now() + with.idle);
        let read = tokio::select! {
            () = closed.cancelled() => return,
            read = tokio::time::timeout_at(until, half.read_buf(&mut buffer)) => read,
        };
        match read {
            Ok(Ok(1..)) => {}
            Ok(_) => return,
            // A half message, or nobody behind it: the slot is needed elsewhere.
            Err(_) if is_between_messages(&buffer) && with.sink.keeps(flow) => {
                due = None;
                continue;
            }
            Err(_) => return,
        }
        loop {
            match next_message(&mut buffer, &mut searched, with.message_bytes) {
                Framed::Message(message) => {
                    due = None;
                    with.sink.arrived(&message, flow);
                }
                Framed::Ping => {
                    due = None;
                    // RFC 5626 §4.4.1: a pong for a ping.
                    flow.send(Bytes::from_static(b"\r\n"));
                }
                Framed::Incomplete => {
                    if !is_between_messages(&buffer) {
                        due = due.or_else(|| Some(Instant::now() + MESSAGE_TIMEOUT));
                    }
                    break;
                }
                Framed::Broken(message) => {
                    // Where the next message starts is unknown: answer and close.
                    with.sink.arrived(&message, flow);
                    return;
                }
                Framed::TooLarge(head) => {
                    with.sink.oversized(&head, flow);
                    return;
                }
                Framed::Oversized => {
                    with.sink.noise();
                    return;
                }
            }
        }
    }
}

#[derive(Debug)]
pub(crate) enum Framed {
    Message(Bytes),
    Ping,
    Incomplete,
    /// A message whose length cannot be known.
    Broken(Bytes),
    /// The head of a message that announces more than we take.
    TooLarge(Bytes),
    /// More octets than a head may have.
    Oversized,
}

/// Cuts the next message off the buffer (RFC 3261 §18.3).
///
/// `searched` is how much of the buffer was searched in vain before: a message
/// that comes in small pieces isn't read anew with each. It begins as 0.
pub(crate) fn next_message(buffer: &mut BytesMut, searched: &mut usize, limit: usize) -> Framed {
    let from = std::mem::take(searched);
    if buffer.starts_with(b"\r\n\r\n") {
        let _ = buffer.split_to(4);
        return Framed::Ping;
    }
    // A single line break may be a pong, or the first half of a ping.
    while buffer.len() > 2
        && buffer.starts_with(b"\r\n")
        && !b"\r\n\r\n".starts_with(&buffer[..buffer.len().min(4)])
    {
        let _ = buffer.split_to(2);
    }
    let from = from.saturating_sub(3);
    let rest = buffer.get(from..).unwrap_or_default();
    let Some(head) = rest
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map(|at| from + at + 4)
    else {
        *searched = buffer.len();
        return if buffer.len() > limit {
            Framed::Oversized
        } else {
            Framed::Incomplete
        };
    };
    let Some(length) = content_length(&buffer[..head]) else {
        return Framed::Broken(buffer.split().freeze());
    };
    match head.checked_add(length) {
        Some(total) if total <= limit => {
            if buffer.len() < total {
                *searched = head - 1;
                return Framed::Incomplete;
            }
            Framed::Message(buffer.split_to(total).freeze())
        }
        _ => Framed::TooLarge(buffer.split_to(head).freeze()),
    }
}

/// Whether nothing of a message has come yet; a line break may be a pong.
fn is_between_messages(buffer: &[u8]) -> bool {
    b"\r\n".starts_with(buffer)
}

/// The one Content-Length of a header section; none counts as zero only when no
/// Content-Type announces a body.
fn content_length(head: &[u8]) -> Option<usize> {
    let mut found = None;
    let mut typed = false;
    for line in head.split(|b| *b == b'\n') {
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            continue;
        };
        let name = line[..colon].trim_ascii();
        typed |= name.eq_ignore_ascii_case(b"Content-Type") || name.eq_ignore_ascii_case(b"c");
        if !name.eq_ignore_ascii_case(b"Content-Length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        if found.is_some() {
            return None;
        }
        let value = std::str::from_utf8(line[colon + 1..].trim_ascii()).ok()?;
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        found = Some(value.parse().ok()?);
    }
    found.or((!typed).then_some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_wherever_the_network_cut_them() {
        let wire = b"\r\nA\r\nContent-Length: 3\r\n\r\nxyzB\r\nl: 0\r\n\r\n\r\n\r\n";
        let (mut buffer, mut searched) = (BytesMut::new(), 0);
        let mut got = Vec::new();
        for byte in wire {
            buffer.extend_from_slice(&[*byte]);
            loop {
                match next_message(&mut buffer, &mut searched, 1000) {
                    Framed::Message(m) => got.push(String::from_utf8_lossy(&m).trim().to_owned()),
                    Framed::Ping => got.push("ping".into()),
                    Framed::Incomplete => break,
                    Framed::Broken(_) | Framed::TooLarge(_) | Framed::Oversized => {
                        panic!("framing lost")
                    }
                }
            }
        }
        assert_eq!(
            got,
            ["A\r\nContent-Length: 3\r\n\r\nxyz", "B\r\nl: 0", "ping"]
        );
    }

    #[test]
    fn what_cannot_be_framed_is_said_so() {
        let frame = |text: &str| next_message(&mut BytesMut::from(text), &mut 0, 40);
        assert!(matches!(
            frame("A\r\nl: 1\r\nl: 1\r\n\r\n"),
            Framed::Broken(_)
        ));
        assert!(matches!(
            frame("A\r\nContent-Length: -1\r\n\r\n"),
            Framed::Broken(_)
        ));
        assert!(matches!(
            frame("A\r\nContent-Type: x\r\n\r\n"),
            Framed::Broken(_)
        ));
        assert!(matches!(
            frame("A\r\nContent-Length: 999\r\n\r\n"),
            Framed::TooLarge(_)
        ));
        assert!(matches!(frame(&"A".repeat(41)), Framed::Oversized));
    }
}
