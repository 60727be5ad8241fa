//! A connection that carries SIP as a browser's does (RFC 7118).

use std::{
    cell::RefCell,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::Context;
use mio::{Interest, Registry, Token, unix::SourceFd};
use std::os::fd::AsRawFd;
use tungstenite::{Message, client::IntoClientRequest, http::HeaderValue};

/// How long a server may take to say yes.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct WebSocket {
    // A message is sent wherever one is due, also while others are looked at.
    connection: RefCell<tungstenite::WebSocket<TcpStream>>,
    server: SocketAddr,
    local: SocketAddr,
}

impl WebSocket {
    pub fn connect(server: SocketAddr, registry: &Registry, token: Token) -> anyhow::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut request = format!("ws://{server}/").into_client_request()?;
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", HeaderValue::from_static("sip"));
        let (connection, _) = tungstenite::client(request, stream)
            .context("the server takes no WebSocket connection")?;
        let stream = connection.get_ref();
        stream.set_read_timeout(None)?;
        stream.set_nonblocking(true)?;
        let local = stream.local_addr()?;
        registry.register(
            &mut SourceFd(&stream.as_raw_fd()),
            token,
            Interest::READABLE,
        )?;
        Ok(Self {
            connection: RefCell::new(connection),
            server,
            local,
        })
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    pub fn server(&self) -> SocketAddr {
        self.server
    }

    pub fn send(&self, text: &str) {
        // A lost connection shows as requests that are never answered.
        let _ = self.connection.borrow_mut().send(Message::text(text));
    }

    /// The next message's length in the buffer, if there is one.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        loop {
            let message = self.connection.borrow_mut().read().ok()?;
            if let Message::Text(_) | Message::Binary(_) = message {
                let data = message.into_data();
                let length = data.len().min(buffer.len());
                buffer[..length].copy_from_slice(&data[..length]);
                return Some(length);
            }
        }
    }
}
