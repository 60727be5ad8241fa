//! Pairs of UDP ports, even for RTP and the next for RTCP, out of a configured range.

use std::{
    collections::HashSet,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use mio::net::UdpSocket;

/// Hands out pairs and takes them back. Locked only when a leg comes or goes.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    bind: IpAddr,
    first: u16,
    pairs: u16,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    pairs: HashSet<u16>,
    next: u16,
}

/// Two bound sockets and the right to their ports, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    pub(crate) port: u16,
    _claim: Claim,
}

/// Fields drop in order, so the sockets are closed before the port counts as free.
#[derive(Debug)]
struct Claim {
    pair: u16,
    taken: Arc<Mutex<Taken>>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pairs
            .remove(&self.pair);
    }
}

impl Ports {
    /// `None` when the range holds no even port with its odd neighbour.
    pub(crate) fn new(bind: IpAddr, (from, to): (u16, u16)) -> Option<Self> {
        let first = from.checked_add(from % 2)?;
        let pairs = (u32::from(to) + 1).checked_sub(u32::from(first))? / 2;
        if pairs == 0 || first == 0 {
            return None;
        }
        Some(Self {
            bind,
            first,
            pairs: pairs as u16,
            taken: Arc::default(),
        })
    }

    /// Binds the next free pair, going round the range so that a port rests before it is used
    /// again: late packets of the last call then find nobody.
    ///
    /// # Errors
    /// The last refusal of the system when no pair could be had.
    pub(crate) fn open(&self) -> io::Result<Pair> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for _ in 0..self.pairs {
            let Some(claim) = self.claim() else { break };
            let port = self.first + claim.pair * 2;
            match (bind(self.bind, port), bind(self.bind, port + 1)) {
                (Ok(rtp), Ok(rtcp)) => {
                    return Ok(Pair {
                        rtp,
                        rtcp,
                        port,
                        _claim: claim,
                    });
                }
                (Err(error), _) | (_, Err(error)) => last = error,
            }
        }
        Err(last)
    }

    fn claim(&self) -> Option<Claim> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..self.pairs {
            let pair = taken.next;
            taken.next = (taken.next + 1) % self.pairs;
            if taken.pairs.insert(pair) {
                return Some(Claim {
                    pair,
                    taken: Arc::clone(&self.taken),
                });
            }
        }
        None
    }
}

/// Binds without blocking, with room for half a second of packets while the thread is busy.
fn bind(ip: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let address = SocketAddr::new(ip, port);
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::DGRAM,
        Some(socket2::Protocol::UDP),
    )?;
    socket.set_nonblocking(true)?;
    // Best effort: expedited forwarding (RFC 4594) asks routers to favour voice.
    if ip.is_ipv4() {
        let _ = socket.set_tos_v4(0xb8);
    }
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_without_a_pair_is_refused() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        assert!(Ports::new(ip, (20_001, 20_002)).is_none());
        assert!(Ports::new(ip, (20_002, 20_001)).is_none());
        assert!(Ports::new(ip, (65_535, 65_535)).is_none());
        assert_eq!(
            Ports::new(ip, (20_001, 20_005)).expect("two pairs").pairs,
            2
        );
    }
}
