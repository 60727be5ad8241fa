//! Datagrams.

use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::{Flow, Sink};

/// Reads datagrams until told to stop.
pub(crate) async fn receive(socket: Arc<UdpSocket>, sink: Arc<dyn Sink>, stop: CancellationToken) {
    // The largest datagram there is: nothing is ever cut.
    let mut buffer = vec![0u8; 65_535];
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        match received {
            Ok((length, remote)) => {
                let flow = Flow::udp(Arc::clone(&socket), remote);
                sink.arrived(&buffer[..length], &flow);
            }
            // An ICMP error of an earlier datagram; the socket itself is fine.
            Err(error) => {
                tracing::debug!(%error, "datagram not received");
                tokio::task::yield_now().await;
            }
        }
    }
}
