//! SIP over WebSocket (RFC 7118): one message, one SIP message.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt, stream::SplitSink, stream::SplitStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{
    ErrorResponse, Request, Response, create_response,
};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;

use super::Flow;
use super::tcp::{Listening, Remote, WRITE_TIMEOUT, keep};

/// Agrees on WebSocket with the subprotocol `sip`, then serves.
pub(super) async fn serve<S>(stream: S, peer: Remote, with: &Listening) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = limits(with);
    let agreed = tokio_tungstenite::accept_hdr_async_with_config(stream, subprotocol, Some(config));
    let Ok(socket) = agreed.await else {
        with.sink.noise();
        return None;
    };
    run(socket, peer, with);
    Some(())
}

/// Serves a stream whose handshake [`handshake`] has answered on another listener.
pub(super) async fn serve_upgraded<S>(stream: S, peer: Remote, with: &Listening)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits(with))).await;
    run(socket, peer, with);
}

/// The answer to an HTTP request that asks for SIP over WebSocket: 101, or what is wrong with it.
#[expect(clippy::result_large_err, reason = "the library's types")]
pub(crate) fn handshake(request: &Request) -> Result<Response, ErrorResponse> {
    let refusal = |error: &tokio_tungstenite::tungstenite::Error| {
        let mut refusal = ErrorResponse::new(Some(format!("no WebSocket handshake: {error}")));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        refusal
    };
    let response = create_response(request).map_err(|error| refusal(&error))?;
    subprotocol(request, response)
}

fn limits(with: &Listening) -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(with.message_bytes))
        .max_frame_size(Some(with.message_bytes))
}

fn run<S>(socket: WebSocketStream<S>, peer: Remote, with: &Listening)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (flow, queued) = peer.flow(with);
    let (writing, reading) = socket.split();
    let closed = with.stop.child_token();
    let writer = write(writing, queued, closed.clone(), with.keep_open);
    with.tasks.spawn(writer);
    let (held, reader, ended) = (flow.clone(), with.clone(), closed.clone());
    let read = async move { read(reading, &held, &reader, &closed).await };
    keep(read, flow, ended, peer.slot, with);
}

/// RFC 7118 §4.1: both sides name `sip`.
#[expect(clippy::result_large_err, reason = "the library's signature")]
fn subprotocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let sip = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("sip"));
    if !sip {
        let mut refusal = ErrorResponse::new(Some("the subprotocol must be sip".into()));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return Err(refusal);
    }
    let name = HeaderValue::from_static("sip");
    let headers = response.headers_mut();
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, name);
    Ok(response)
}

async fn write<S>(
    mut half: SplitSink<WebSocketStream<S>, Message>,
    mut queue: mpsc::Receiver<Bytes>,
    closed: CancellationToken,
    keep_open: Duration,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut ping = tokio::time::interval(keep_open.max(Duration::from_secs(1)));
    ping.tick().await;
    loop {
        let message = tokio::select! {
            biased;
            data = queue.recv() => data.map(message),
            () = closed.cancelled() => None,
            _ = ping.tick() => Some(Message::Ping(Bytes::new())),
        };
        let Some(message) = message else {
            let _ = tokio::time::timeout(WRITE_TIMEOUT, half.close()).await;
            return;
        };
        let written = tokio::time::timeout(WRITE_TIMEOUT, half.send(message)).await;
        if !matches!(written, Ok(Ok(()))) {
            closed.cancel();
            return;
        }
    }
}

/// Browsers want text; what is none goes as octets (RFC 7118 §4.2).
fn message(data: Bytes) -> Message {
    match String::from_utf8(data.to_vec()) {
        Ok(text) => Message::text(text),
        Err(_) => Message::Binary(data),
    }
}

async fn read<S>(
    mut half: SplitStream<WebSocketStream<S>>,
    flow: &Flow,
    with: &Listening,
    closed: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let read = tokio::select! {
            () = closed.cancelled() => return,
            read = tokio::time::timeout(with.idle, half.next()) => read,
        };
        match read {
            Ok(Some(Ok(Message::Text(text)))) => with.sink.arrived(text.as_bytes(), flow),
            Ok(Some(Ok(Message::Binary(data)))) => with.sink.arrived(&data, flow),
            // The library answers pings; a pong has just shown that somebody is there.
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {}
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) | Err(_) => return,
        }
    }
}
