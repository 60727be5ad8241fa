//! What peers are told about where we are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use ipnet::IpNet;

use crate::{HostPort, Transport};

/// A listener of ours, as peers are told of it.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub transport: Transport,
    pub bound: SocketAddr,
    pub public: Option<HostPort>,
    /// Networks on our side of the NAT: peers there are told the address itself.
    pub near: Arc<[IpNet]>,
}

impl Local {
    /// Host and port by which a peer reaches us: the public ones, but on this
    /// machine and in our own networks the address that leads there.
    pub fn authority(&self, peer: IpAddr) -> String {
        let peer = peer.to_canonical();
        let port = self.bound.port();
        match &self.public {
            Some(public) if !self.is_near(peer) => HostPort {
                host: public.host.clone(),
                port: public.port.or(Some(port)),
            }
            .to_string(),
            _ => SocketAddr::new(self.address_towards(peer), port).to_string(),
        }
    }

    /// Whether a datagram or connection to this peer can leave here.
    pub fn leads_to(&self, peer: IpAddr) -> bool {
        let (own, peer) = (self.bound.ip(), peer.to_canonical());
        own.is_ipv4() == peer.is_ipv4()
            && (own.is_unspecified() || own.is_loopback() == peer.is_loopback() || own == peer)
    }

    fn is_near(&self, peer: IpAddr) -> bool {
        peer.is_loopback() || peer == self.bound.ip() || self.near.iter().any(|n| n.contains(&peer))
    }

    /// The address of ours that a peer would see if nothing translated it.
    pub fn address_towards(&self, peer: IpAddr) -> IpAddr {
        let own = self.bound.ip();
        if own.is_unspecified() {
            source_towards(peer).unwrap_or(own)
        } else {
            own
        }
    }
}

/// The address this machine would send from; connecting a datagram socket asks
/// the routing table and sends nothing.
pub(crate) fn source_towards(peer: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match peer {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((peer, 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(bound: &str, public: Option<&str>) -> Local {
        Local {
            transport: Transport::Udp,
            bound: bound.parse().expect("address"),
            public: public.map(|text| text.parse().expect("host")),
            near: ["10.1.0.0/16".parse().expect("network")].into(),
        }
    }

    #[test]
    fn each_peer_is_told_the_address_that_leads_back() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("address");
        let natted = local("10.1.2.3:5080", Some("sip.example.com:5060"));
        assert_eq!(natted.authority(ip("198.51.100.7")), "sip.example.com:5060");
        assert_eq!(natted.authority(ip("10.1.9.9")), "10.1.2.3:5080");
        assert_eq!(natted.authority(ip("10.2.0.1")), "sip.example.com:5060");
        let open = local("0.0.0.0:5060", Some("203.0.113.10"));
        assert_eq!(open.authority(ip("127.0.0.1")), "127.0.0.1:5060");
        assert_eq!(open.authority(ip("198.51.100.7")), "203.0.113.10:5060");
        let six = local("[::]:5060", Some("2001:db8::5"));
        assert_eq!(six.authority(ip("2001:db8:9::1")), "[2001:db8::5]:5060");
        assert_eq!(six.authority(ip("::1")), "[::1]:5060");
        assert!(!six.leads_to(ip("127.0.0.1")) && open.leads_to(ip("127.0.0.1")));
    }
}
