//! Calls to and from registered devices.

use std::time::Duration;

use sip::{Dial, DialError, DialTarget, HungUpBy, Leg, LegEvent, Party, Reason, SipStack};
use tokio::time::timeout;

use crate::registration::register;
use crate::ua::{DEADLINE, Peer, SDP, Server, header, proof, respond};

async fn next(leg: &mut Leg) -> LegEvent {
    timeout(DEADLINE, leg.next_event())
        .await
        .expect("a leg event in time")
        .expect("leg still there")
}

async fn dial(stack: &SipStack, user: &str) -> Result<Leg, DialError> {
    stack
        .dial(Dial {
            to: DialTarget::Device {
                username: user.into(),
            },
            from: Party {
                user: "+421900000001".into(),
                display: Some("A \"B\"".into()),
            },
            identity: sip::Identity::default(),
            offer: SDP.into(),
            browser_offer: None,
            headers: vec![("X-Call".into(), "7".into())],
        })
        .await
}

const KIND: &str = "Content-Type: application/sdp\r\n";

#[tokio::test]
async fn the_first_device_to_answer_wins() {
    let server = Server::start().await;
    let (one, two) = (Peer::new(server.udp()).await, Peer::new(server.udp()).await);
    register(&one, "1001", "pw-1001", 1, "").await;
    register(&two, "1001", "pw-1001", 1, "").await;
    let mut leg = dial(&server.stack, "1001").await.unwrap();
    let (first, second) = (one.until("INVITE").await, two.until("INVITE").await);
    assert_eq!(header(&first, "X-Call"), "7");
    assert!(header(&first, "From").starts_with("\"A \\\"B\\\"\" <sip:+421900000001@127.0.0.1:"));
    let contact = |p: &Peer| format!("Contact: <sip:dev@{}>\r\n", p.address());
    one.send(&respond(&first, "180 Ringing", "t1", &contact(&one), ""))
        .await;
    two.send(&respond(&second, "180 Ringing", "t2", &contact(&two), ""))
        .await;
    assert_eq!(next(&mut leg).await, LegEvent::Ringing);
    let ok = respond(
        &first,
        "200 OK",
        "t1",
        &format!("{}{KIND}", contact(&one)),
        SDP,
    );
    one.send(&ok).await;
    let LegEvent::Answered {
        sdp,
        contact: winner,
    } = next(&mut leg).await
    else {
        panic!()
    };
    assert_eq!(
        (sdp.as_str(), winner),
        (SDP, format!("sip:peer@{}", one.address()))
    );
    assert!(
        one.until("ACK")
            .await
            .starts_with(&format!("ACK sip:dev@{}", one.address()))
    );
    assert_eq!(next(&mut leg).await, LegEvent::Confirmed { sdp: None });
    let cancel = two.until("CANCEL").await;
    assert!(header(&cancel, "Reason").contains("Call completed elsewhere"));
    assert_eq!(header(&cancel, "Via"), header(&second, "Via"));
    // The loser answered at the same moment: it is acknowledged and hung up.
    let late = respond(
        &second,
        "200 OK",
        "t2",
        &format!("{}{KIND}", contact(&two)),
        SDP,
    );
    two.send(&late).await;
    two.until("ACK").await;
    let bye = two.until("BYE").await;
    assert!(header(&bye, "To").ends_with("tag=t2"));
    // A repeated answer of the winner is acknowledged again, and only that.
    one.send(&ok).await;
    one.until("ACK").await;
    leg.handle().hang_up(Reason::normal()).await.unwrap();
    let bye = one.until("BYE").await;
    assert_eq!(header(&bye, "CSeq"), "2 BYE");
    assert!(matches!(
        next(&mut leg).await,
        LegEvent::HungUp {
            by: HungUpBy::Us,
            ..
        }
    ));
}

#[tokio::test]
async fn cancel_waits_for_a_provisional_response() {
    let server = Server::start().await;
    let phone = Peer::new(server.udp()).await;
    register(&phone, "1001", "pw-1001", 1, "").await;
    let mut leg = dial(&server.stack, "1001").await.unwrap();
    let invite = phone.until("INVITE").await;
    leg.handle().hang_up(Reason::normal()).await.unwrap();
    assert!(matches!(next(&mut leg).await, LegEvent::Cancelled { .. }));
    // Before the device says anything only the INVITE itself may be repeated.
    assert!(phone.receive().await.starts_with("INVITE"));
    phone
        .send(&respond(&invite, "180 Ringing", "t", "", ""))
        .await;
    let cancel = phone.until("CANCEL").await;
    phone.send(&respond(&cancel, "200 OK", "t", "", "")).await;
    phone
        .send(&respond(&invite, "487 Request Terminated", "t", "", ""))
        .await;
    phone.until("ACK").await;
}

#[tokio::test]
async fn a_refusal_is_reported_once_all_refused() {
    let server = Server::start().await;
    let phone = Peer::new(server.udp()).await;
    assert_eq!(
        dial(&server.stack, "1001").await.unwrap_err(),
        DialError::NoBinding {
            username: "1001".into()
        }
    );
    register(&phone, "1001", "pw-1001", 1, "").await;
    let mut leg = dial(&server.stack, "1001").await.unwrap();
    let invite = phone.until("INVITE").await;
    phone
        .send(&respond(&invite, "486 Busy Here", "t", "", ""))
        .await;
    phone.until("ACK").await;
    assert_eq!(
        next(&mut leg).await,
        LegEvent::Failed {
            status: 486,
            reason: None
        }
    );
}

#[tokio::test]
async fn a_device_that_is_gone_fails_with_408() {
    let fast = |c: &mut sip::SipConfig| c.limits.t1 = Duration::from_millis(10);
    let server = Server::with(fast, Default::default()).await;
    let phone = Peer::new(server.udp()).await;
    register(&phone, "1001", "pw-1001", 1, "").await;
    drop(phone);
    let mut leg = dial(&server.stack, "1001").await.unwrap();
    assert_eq!(
        next(&mut leg).await,
        LegEvent::Failed {
            status: 408,
            reason: None
        }
    );
}

#[tokio::test]
async fn a_call_from_a_device_needs_its_password() {
    let mut server = Server::start().await;
    let phone = Peer::new(server.udp()).await;
    register(&phone, "1001", "pw-1001", 1, "").await;
    server.event().await;
    phone.send(&phone.invite("1002", "d", "")).await;
    let challenge = phone.until("SIP/2.0 407").await;
    let md5 = challenge
        .lines()
        .find(|l| l.contains("algorithm=MD5"))
        .unwrap();
    let uri = format!("sip:1002@{}", server.udp());
    let authorization = proof(md5, "1001", "pw-1001", "INVITE", &uri, 1);
    let again = phone.invite(
        "1002",
        "d2",
        &format!("Proxy-Authorization: {authorization}\r\n"),
    );
    phone.send(&again).await;
    let call = server.incoming().await;
    assert_eq!(call.from_device.as_deref(), Some("1001"));
    assert_eq!(call.to_user, "1002");
}
