//! Datagrams.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::{Flow, Local, Sink};
use crate::trace::Tap;

/// What the kernel is asked to hold for us while we are busy: at 1 kB a
/// message, some seconds of a rush. It grants what `net.core.rmem_max` allows.
const RECEIVE_BUFFER: usize = 4 << 20;

/// One UDP listener.
#[derive(Debug)]
pub(crate) struct Port {
    pub socket: UdpSocket,
    pub local: Local,
    /// Datagrams of ours the kernel did not take.
    pub unsent: AtomicU64,
    pub tap: Arc<Tap>,
}

/// Binds a socket with room for a rush; `local` learns the port that was free.
pub(crate) fn bind(mut local: Local, tap: Arc<Tap>) -> std::io::Result<Port> {
    let address = local.bound;
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // IPv4 has listeners of its own.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    // Linux counts its own bookkeeping in, so it reports twice what it grants.
    let granted = socket.recv_buffer_size()? / 2;
    if granted < RECEIVE_BUFFER {
        tracing::debug!(
            granted,
            wanted = RECEIVE_BUFFER,
            "receive buffer is smaller than wanted; net.core.rmem_max limits it"
        );
    }
    let socket = UdpSocket::from_std(socket.into())?;
    local.bound = socket.local_addr()?;
    Ok(Port {
        socket,
        local,
        tap,
        unsent: AtomicU64::new(0),
    })
}

/// Datagrams the kernel threw away because we did not read fast enough; `None`
/// where it does not say.
pub(crate) fn lost(socket: &UdpSocket) -> Option<u64> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
    let inode = link
        .to_str()?
        .strip_prefix("socket:[")?
        .strip_suffix(']')?
        .to_owned();
    let table = if socket.local_addr().ok()?.is_ipv4() {
        "/proc/self/net/udp"
    } else {
        "/proc/self/net/udp6"
    };
    let table = std::fs::read_to_string(table).ok()?;
    // The columns are as in proc(5): the tenth is the inode, the last the drops.
    let mut lines = table.lines().map(str::split_ascii_whitespace);
    let mut line = lines.find(|line| line.clone().nth(9) == Some(inode.as_str()))?;
    line.next_back()?.parse().ok()
}

/// Reads datagrams until told to stop.
pub(crate) async fn receive(port: Arc<Port>, sink: Arc<dyn Sink>, stop: CancellationToken) {
    // The largest datagram there is: nothing is ever cut.
    let mut buffer = vec![0u8; 65_535];
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = port.socket.recv_from(&mut buffer) => received,
        };
        match received {
            Ok((length, remote)) => {
                let flow = Flow::udp(Arc::clone(&port), remote);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_kernel_threw_away_is_known() {
        let local = Local {
            transport: crate::Transport::Udp,
            bound: "127.0.0.1:0".parse().expect("address"),
            public: None,
            near: [].into(),
        };
        let port = bind(local, Tap::shut()).expect("bound");
        let socket = port.socket;
        assert_eq!(lost(&socket), Some(0));
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        let to = socket.local_addr().expect("bound");
        // Nobody reads: sooner or later the buffer is full.
        for _ in 0..100_000 {
            sender.send_to(&[0; 8_000], to).expect("sent");
            if lost(&socket) > Some(0) {
                return;
            }
        }
        panic!("800 MB fit into a receive buffer");
    }
}
