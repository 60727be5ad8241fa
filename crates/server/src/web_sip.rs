//! SIP over WebSocket on the web port, so that browsers need one address and one certificate.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Request, State},
    response::{IntoResponse, Response},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use sip::SipStack;

/// Where the console's phone connects to.
pub const PATH: &str = "/sip";

/// What the route needs.
#[derive(Clone)]
pub struct WebSip {
    pub sip: SipStack,
    /// Where the web listens.
    pub bound: SocketAddr,
    /// Whether browsers reach us over TLS, by a proxy in front.
    pub secure: bool,
}

/// Takes the connection out of HTTP and gives it to the signalling.
pub async fn upgrade(
    State(web): State<WebSip>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    let upgraded = request.extensions_mut().remove::<OnUpgrade>();
    let (parts, _) = request.into_parts();
    match SipStack::websocket_handshake(&Request::from_parts(parts, ())) {
        Ok(agreed) => {
            if let Some(upgraded) = upgraded {
                tokio::spawn(async move {
                    // A browser that is gone already needs no phone.
                    if let Ok(stream) = upgraded.await {
                        web.sip
                            .adopt_websocket(TokioIo::new(stream), web.bound, remote, web.secure)
                            .await;
                    }
                });
            }
            agreed.map(|()| axum::body::Body::empty())
        }
        Err(refused) => refused.map(Option::unwrap_or_default).into_response(),
    }
}
