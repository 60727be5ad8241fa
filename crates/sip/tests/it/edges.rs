//! Proxies in front of us, several listeners, and messages at their limits.

use std::sync::Arc;

use sip::{Dial, DialTarget, Identity, LegEvent, Listener, Party, SipConfig, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::registration::register;
use crate::ua::{Book, Peer, SDP, Server, header, respond};

fn to_device(username: &str) -> Dial {
    Dial {
        to: DialTarget::Device {
            username: username.into(),
        },
        from: Party::default(),
        identity: Identity::default(),
        offer: SDP.into(),
        browser_offer: None,
        headers: Vec::new(),
    }
}

#[tokio::test]
async fn a_phone_behind_a_proxy_is_called_by_its_path() {
    let server = Server::start().await;
    let proxy = Peer::new(server.udp()).await;
    let path = format!(
        "<sip:{};lr;received=sip:198.51.100.7:5062>",
        proxy.address()
    );
    let registered = register(&proxy, "1001", "pw-1001", 1, &format!("Path: {path}\r\n")).await;
    assert_eq!(header(&registered, "Path"), path);
    let mut leg = server.stack.dial(to_device("1001")).await.unwrap();
    let invite = proxy.until("INVITE").await;
    assert_eq!(header(&invite, "Route"), path);
    assert!(invite.starts_with(&format!("INVITE sip:peer@{} ", proxy.address())));
    let busy = respond(&invite, "486 Busy Here", "t", "", "");
    proxy.send(&busy).await;
    let ack = proxy.until("ACK").await;
    assert_eq!(header(&ack, "Route"), path);
    assert!(matches!(
        leg.next_event().await,
        Some(LegEvent::Failed { status: 486, .. })
    ));
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_not_taken() {
    let server = Server::start().await;
    let phone = Peer::new(server.udp()).await;
    let path = "Path: <sip:192.0.2.1;lr>\r\n";
    let registered = register(&phone, "1001", "pw-1001", 1, path).await;
    assert!(!registered.contains("Path:"));
    let binding = &server.stack.bindings("1001")[0];
    assert!(binding.path.is_empty() && binding.received == phone.address());
}

#[tokio::test]
async fn only_a_trusted_proxy_says_where_a_call_comes_from() {
    let below =
        "Via: SIP/2.0/UDP 10.9.9.9:5062;branch=z9hG4bKbelow;received=198.51.100.7;rport=5999\r\n";
    let mut plain = Server::start().await;
    let proxy = Peer::new(plain.udp()).await;
    proxy.send(&proxy.invite("4210", "a", below)).await;
    assert_eq!(plain.incoming().await.source, proxy.address());
    let trusting = |c: &mut SipConfig| c.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let mut server = Server::with(trusting, Arc::new(Book::default())).await;
    let proxy = Peer::new(server.udp()).await;
    // The book admits loopback only, and that is not where this call comes from.
    proxy.send(&proxy.invite("4210", "b", below)).await;
    proxy.until("SIP/2.0 403").await;
    let own = below.replace("received=198.51.100.7", "received=127.0.0.9");
    proxy.send(&proxy.invite("4210", "c", &own)).await;
    let call = server.incoming().await;
    assert_eq!(call.source, "127.0.0.9:5999".parse().unwrap());
}

#[tokio::test]
async fn each_listener_tells_its_own_address() {
    let two = |c: &mut SipConfig| {
        let more = Listener {
            public: Some("sip.example.com:5099".parse().unwrap()),
            ..Listener::new(Transport::Udp, "127.0.0.2:0".parse().unwrap())
        };
        c.listeners.push(more);
        c.listeners
            .push(Listener::new(Transport::Udp, "[::1]:0".parse().unwrap()));
    };
    let mut server = Server::with(two, Arc::new(Book::default())).await;
    let mut udp = server.stack.addresses().to_vec();
    udp.retain(|(transport, _)| *transport == Transport::Udp);
    assert_eq!(udp.len(), 3);
    for (at, (_, address)) in udp.into_iter().enumerate() {
        let peer = Peer::beside(address).await;
        let invite = peer.invite("4210", &format!("l{at}"), "");
        peer.send(&invite.replace("@127.0.0.1>", "@host.invalid>"))
            .await;
        let call = loop {
            if let sip::SipEvent::Incoming(call) = server.event().await {
                break call;
            }
        };
        call.leg.handle().ring().await.unwrap();
        let ringing = peer.until("SIP/2.0 180").await;
        // Loopback is our side of any NAT.
        assert_eq!(header(&ringing, "Contact"), format!("<sip:{address}>"));
        // A phone is called from the listener it registered at.
        let user = format!("100{at}");
        register(&peer, &user, &format!("pw-{user}"), 1, "").await;
        let _leg = server.stack.dial(to_device(&user)).await.unwrap();
        let mut buffer = [0; 4096];
        let from = loop {
            let (length, from) = peer.socket.recv_from(&mut buffer).await.unwrap();
            if buffer[..length].starts_with(b"INVITE ") {
                break from;
            }
        };
        assert_eq!(from, address);
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_before_it_comes() {
    let server = Server::start().await;
    let tcp = server.stack.address(Transport::Tcp).unwrap();
    let mut stream = TcpStream::connect(tcp).await.unwrap();
    let peer = Peer::new(server.udp()).await;
    let invite = peer.invite("4210", "big", "");
    let head = invite.replace("/UDP ", "/TCP ");
    let (head, _) = head.split_once("Content-Length").unwrap();
    let head = format!("{head}Content-Length: 99999999\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("SIP/2.0 413 "), "{answer}");
    assert_eq!(header(&answer, "Call-ID"), "call-big");
}

#[tokio::test]
async fn a_strict_router_is_named_by_the_request_line() {
    let mut server = Server::start().await;
    let peer = Peer::new(server.udp()).await;
    let (strict, loose) = (peer.address(), "<sip:192.0.2.9;lr>");
    let routes = format!("Record-Route: <sip:p1@{strict}>, {loose}\r\n");
    peer.send(&peer.invite("4210", "s", &routes)).await;
    let call = server.incoming().await;
    call.leg.handle().answer(SDP.into()).await.unwrap();
    let ok = peer.until("SIP/2.0 200").await;
    assert!(ok.contains("Record-Route: "), "{ok}");
    peer.send(&peer.inside("ACK", "s", 1, &ok, "", "")).await;
    let handle = call.leg.handle();
    handle.hang_up(sip::Reason::normal()).await.unwrap();
    let bye = peer.until("BYE").await;
    assert!(bye.starts_with(&format!("BYE sip:p1@{strict} ")), "{bye}");
    let routes: Vec<&str> = bye.lines().filter(|l| l.starts_with("Route: ")).collect();
    assert_eq!(
        routes,
        [
            format!("Route: {loose}"),
            format!("Route: <sip:peer@{}>", peer.address())
        ]
    );
}
