//! Guessing passwords, alone and behind an address others share.

use std::net::IpAddr;
use std::sync::Arc;

use sip::Ban;

use crate::registration::register;
use crate::ua::{Book, Peer, Server};

/// A server that bans after four failures; loopback is no carrier if `closed`.
async fn strict(closed: bool) -> Server {
    let book = Book {
        closed,
        ..Book::default()
    };
    let four = |c: &mut sip::SipConfig| c.limits.banning.failures = 4;
    Server::with(four, Arc::new(book)).await
}

async fn guess(peer: &Peer, user: &str) {
    let cseq = 1;
    let answer = register(peer, user, "guess", cseq, "").await;
    assert!(answer.starts_with("SIP/2.0 403"), "{answer}");
}

/// Sends until the server has dropped one unread.
async fn unheard(server: &Server, peer: &Peer) {
    let before = server.stack.counters().banned;
    while server.stack.counters().banned == before {
        peer.send(&peer.request("OPTIONS", "x", "u", 1, "", ""))
            .await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_source_that_guesses_is_not_listened_to_until_the_ban_is_lifted() {
    let server = strict(true).await;
    for user in ["1001", "9999", "1002", "9998"] {
        guess(&Peer::new(server.udp()).await, user).await;
    }
    let [
        Ban {
            source,
            account: None,
            step: 1,
            ..
        },
    ] = server.stack.bans()[..]
    else {
        panic!("{:?}", server.stack.bans())
    };
    assert_eq!(source, IpAddr::from([127, 0, 0, 1]));
    let peer = Peer::new(server.udp()).await;
    unheard(&server, &peer).await;
    // Connections are closed as they come.
    let tcp = server.stack.address(sip::Transport::Tcp).unwrap();
    let mut stream = tokio::net::TcpStream::connect(tcp).await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    assert!(rest.is_empty());
    assert_eq!(server.stack.lift_ban(source), 1);
    peer.send(&peer.request("OPTIONS", "x", "again", 1, "", ""))
        .await;
    peer.until("SIP/2.0 200").await;
}

#[tokio::test]
async fn phones_behind_the_same_address_are_left_in_peace() {
    let mut server = strict(true).await;
    let phone = Peer::new(server.udp()).await;
    register(&phone, "1001", "pw-1001", 1, "").await;
    server.event().await;
    for _ in 0..4 {
        guess(&Peer::new(server.udp()).await, "1002").await;
    }
    let bans = server.stack.bans();
    assert_eq!(bans.len(), 1, "{bans:?}");
    assert_eq!(bans[0].account.as_deref(), Some("1002"));
    // The right password comes too late, and is told nothing.
    let late = Peer::new(server.udp()).await;
    let answer = register(&late, "1002", "pw-1002", 1, "").await;
    assert!(answer.starts_with("SIP/2.0 403"), "{answer}");
    // The phone itself goes on, even if its own account is what is guessed at.
    for _ in 0..4 {
        guess(&Peer::new(server.udp()).await, "1001").await;
    }
    assert_eq!(server.stack.bans().len(), 2);
    let ok = register(&phone, "1001", "pw-1001", 3, "").await;
    assert!(ok.starts_with("SIP/2.0 200"), "{ok}");
}

#[tokio::test]
async fn calls_from_strangers_end_in_a_ban() {
    let server = strict(true).await;
    let peer = Peer::new(server.udp()).await;
    for n in 0..4 {
        peer.send(&peer.invite("00421", &format!("s{n}"), "")).await;
        peer.until("SIP/2.0 403").await;
    }
    unheard(&server, &peer).await;
    assert_eq!(server.stack.bans().len(), 1);
}
