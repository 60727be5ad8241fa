//! REGISTER and its digest.

use std::sync::Arc;

use sip::{SipEvent, Transport};

use crate::ua::{Book, Peer, Server, header, proof};

/// A REGISTER with a proof over the challenge in `challenge`.
pub async fn register(peer: &Peer, user: &str, password: &str, cseq: u32, extra: &str) -> String {
    let uri = format!("sip:{user}@{}", peer.server);
    peer.send(&peer.request("REGISTER", user, user, cseq, extra, ""))
        .await;
    let challenge = peer.until("SIP/2.0 401").await;
    let md5 = challenge
        .lines()
        .find(|l| l.contains("algorithm=MD5"))
        .unwrap();
    let authorization = proof(md5, user, password, "REGISTER", &uri, 1);
    let extra = format!("{extra}Authorization: {authorization}\r\n");
    peer.send(&peer.request("REGISTER", user, user, cseq + 1, &extra, ""))
        .await;
    peer.until("SIP/2.0 ").await
}

#[tokio::test]
async fn a_device_registers_refreshes_and_leaves() {
    let mut server = Server::start().await;
    let peer = Peer::new(server.udp()).await;
    let ok = register(&peer, "1001", "pw-1001", 1, "Expires: 7200\r\n").await;
    assert!(ok.starts_with("SIP/2.0 200"), "{ok}");
    let contact = header(&ok, "Contact");
    assert!(
        contact.starts_with(&format!("<sip:peer@{}>;expires=3", peer.address())),
        "{contact}"
    );
    assert!(matches!(
        server.event().await,
        SipEvent::Registered { bindings: 1, .. }
    ));
    let binding = server.stack.bindings("1001").remove(0);
    assert_eq!(
        (binding.received, binding.transport),
        (peer.address(), Transport::Udp)
    );
    assert_eq!(server.book.kept.lock().unwrap()["1001"], [binding]);
    let second = Peer::new(server.udp()).await;
    let both = register(&second, "1001", "pw-1001", 1, "").await;
    assert_eq!(both.matches("\r\nContact: ").count(), 2);
    assert!(matches!(
        server.event().await,
        SipEvent::Registered { bindings: 2, .. }
    ));
    assert!(
        register(&peer, "1001", "pw-1001", 5, "Expires: 30\r\n")
            .await
            .contains("Min-Expires: 60")
    );
    let gone = register(&peer, "1001", "pw-1001", 7, "Expires: 0\r\n").await;
    assert_eq!(gone.matches("\r\nContact: ").count(), 1);
    assert!(matches!(
        server.event().await,
        SipEvent::Unregistered { bindings: 1, .. }
    ));
}

#[tokio::test]
async fn star_removes_all_bindings() {
    let server = Server::start().await;
    let peer = Peer::new(server.udp()).await;
    register(&peer, "1001", "pw-1001", 1, "").await;
    let uri = format!("sip:1001@{}", peer.server);
    let star = |cseq, extra: &str| {
        let text = peer.request("REGISTER", "1001", "star", cseq, extra, "");
        text.replace(&format!("<sip:peer@{}>", peer.address()), "*")
    };
    peer.send(&star(1, "Expires: 0\r\n")).await;
    let challenge = peer.until("SIP/2.0 401").await;
    let md5 = challenge
        .lines()
        .find(|l| l.contains("algorithm=MD5"))
        .unwrap();
    let authorization = |count| {
        format!(
            "Authorization: {}\r\n",
            proof(md5, "1001", "pw-1001", "REGISTER", &uri, count)
        )
    };
    peer.send(&star(2, &format!("Expires: 60\r\n{}", authorization(9))))
        .await;
    peer.until("SIP/2.0 400").await;
    assert_eq!(server.stack.bindings("1001").len(), 1);
    // The count is hexadecimal: 10 follows 9 as "0000000a".
    peer.send(&star(3, &format!("Expires: 0\r\n{}", authorization(10))))
        .await;
    peer.until("SIP/2.0 200").await;
    assert!(server.stack.bindings("1001").is_empty());
    // And may not be used again.
    peer.send(&star(4, &format!("Expires: 0\r\n{}", authorization(10))))
        .await;
    assert!(peer.until("SIP/2.0 401").await.contains("stale=true"));
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_look_the_same() {
    let server = Server::start().await;
    let mut answers = Vec::new();
    for user in ["1001", "9999"] {
        let peer = Peer::new(server.udp()).await;
        let answer = register(&peer, user, "wrong", 1, "").await;
        let lines: Vec<String> = answer
            .lines()
            .map(|l| l.split([':', ';']).next().unwrap().to_owned())
            .collect();
        answers.push(lines);
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0][0].starts_with("SIP/2.0 403"));
    assert!(server.stack.bindings("1001").is_empty());
}

#[tokio::test]
async fn nobody_registers_for_somebody_else() {
    let server = Server::start().await;
    let peer = Peer::new(server.udp()).await;
    let uri = format!("sip:1002@{}", peer.server);
    peer.send(&peer.request("REGISTER", "1002", "q", 1, "", ""))
        .await;
    let challenge = peer.until("SIP/2.0 401").await;
    let md5 = challenge
        .lines()
        .find(|l| l.contains("algorithm=MD5"))
        .unwrap();
    let authorization = proof(md5, "1001", "pw-1001", "REGISTER", &uri, 1);
    peer.send(&peer.request(
        "REGISTER",
        "1002",
        "q",
        2,
        &format!("Authorization: {authorization}\r\n"),
        "",
    ))
    .await;
    peer.until("SIP/2.0 403").await;
}

#[tokio::test]
async fn bindings_outlive_a_restart() {
    let book = Arc::new(Book::default());
    let first = Server::with(|_| {}, book.clone()).await;
    let peer = Peer::new(first.udp()).await;
    register(&peer, "1003", "pw-1003", 1, "").await;
    first.stack.shutdown(crate::ua::DEADLINE).await;
    let second = Server::with(|_| {}, book).await;
    assert_eq!(second.stack.bindings("1003")[0].received, peer.address());
}
