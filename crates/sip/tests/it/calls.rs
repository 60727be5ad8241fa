//! Calls that come in.

use std::time::Duration;

use sip::{HungUpBy, LegEvent, Reason};
use tokio::time::timeout;

use crate::ua::{DEADLINE, Peer, SDP, Server, header};

async fn next(leg: &mut sip::Leg) -> LegEvent {
    timeout(DEADLINE, leg.next_event())
        .await
        .expect("a leg event in time")
        .expect("leg still there")
}

/// A call up to its ACK; the 200 it got.
async fn answered(server: &mut Server, peer: &Peer, tag: &str) -> (sip::Leg, String) {
    peer.send(&peer.invite("4210", tag, "")).await;
    let mut leg = server.incoming().await.leg;
    leg.handle().answer(SDP.into()).await.unwrap();
    let ok = peer.until("SIP/2.0 200").await;
    peer.send(&peer.inside("ACK", tag, 1, &ok, "", "")).await;
    assert_eq!(next(&mut leg).await, LegEvent::Confirmed { sdp: None });
    (leg, ok)
}

#[tokio::test]
async fn a_trunk_call_rings_is_answered_and_ends() {
    let mut server = Server::start().await;
    let peer = Peer::new(server.udp()).await;
    peer.send(&peer.invite("%2B421900000099", "a", "")).await;
    let call = server.incoming().await;
    assert_eq!(
        (call.to_user.as_str(), call.from.user.as_str()),
        ("+421900000099", "+421900000001")
    );
    assert_eq!(call.from.display.as_deref(), Some("A B"));
    assert_eq!(
        (call.from_device.as_deref(), call.offer.as_deref()),
        (None, Some(SDP))
    );
    let mut leg = call.leg;
    leg.handle().ring().await.unwrap();
    peer.until("SIP/2.0 100").await;
    let ringing = peer.until("SIP/2.0 180").await;
    leg.handle().progress(SDP.into()).await.unwrap();
    assert!(peer.until("SIP/2.0 183").await.ends_with(SDP));
    leg.handle().answer(SDP.into()).await.unwrap();
    let ok = peer.until("SIP/2.0 200").await;
    assert_eq!(header(&ok, "To"), header(&ringing, "To"));
    assert_eq!(header(&ok, "Contact"), format!("<sip:{}>", server.udp()));
    // Until the ACK the answer is repeated.
    assert_eq!(peer.until("SIP/2.0 200").await, ok);
    peer.send(&peer.inside("ACK", "a", 1, &ok, "", "")).await;
    assert_eq!(next(&mut leg).await, LegEvent::Confirmed { sdp: None });
    // A gap in CSeq is legal, going back is not.
    peer.send(&peer.inside(
        "INFO",
        "a",
        40,
        &ok,
        "Content-Type: application/dtmf-relay\r\n",
        "Signal=7\r\nDuration=120\r\n",
    ))
    .await;
    peer.until("SIP/2.0 200").await;
    let digit = LegEvent::Digit {
        digit: '7',
        duration: Duration::from_millis(120),
    };
    assert_eq!(next(&mut leg).await, digit);
    peer.send(&peer.inside("INFO", "a", 39, &ok, "", "")).await;
    peer.until("SIP/2.0 500").await;
    peer.send(&peer.inside(
        "BYE",
        "a",
        50,
        &ok,
        "Reason: Q.850;cause=16;text=\"bye\"\r\n",
        "",
    ))
    .await;
    peer.until("SIP/2.0 200").await;
    let LegEvent::HungUp {
        by: HungUpBy::Peer,
        reason: Some(reason),
    } = next(&mut leg).await
    else {
        panic!()
    };
    assert_eq!((reason.cause, reason.text.as_deref()), (16, Some("bye")));
    peer.send(&peer.inside("BYE", "a", 51, &ok, "", "")).await;
    peer.until("SIP/2.0 481").await;
}

#[tokio::test]
async fn cancel_ends_a_ringing_call() {
    let mut server = Server::start().await;
    let peer = Peer::new(server.udp()).await;
    let invite = peer.invite("4210", "c", "");
    peer.send(&invite).await;
    let mut leg = server.incoming().await.leg;
    leg.handle().ring().await.unwrap();
    peer.until("SIP/2.0 180").await;
    let cancel = peer
        .request("CANCEL", "4210", "c", 1, "", "")
        .replace("z9hG4bKc1CANCEL", "z9hG4bKc1INVITE");
    peer.send(&cancel).await;
    let (first, second) = (peer.receive().await, peer.receive().await);
    let statuses: Vec<&str> = [&first, &second].iter().map(|m| &m[8..11]).collect();
    assert_eq!(statuses, ["200", "487"]);
    assert!(header(&first, "CSeq").ends_with("CANCEL"));
    assert_eq!(next(&mut leg).await, LegEvent::Cancelled { reason: None });
    assert_eq!(leg.next_event().await, None);
    // The refusal is repeated until it is acknowledged, and so is a repeated INVITE's.
    peer.until("SIP/2.0 487").await;
    let ack = invite
        .replace("INVITE sip", "ACK sip")
        .replace("CSeq: 1 INVITE", "CSeq: 1 ACK");
    peer.send(&ack).await;
    let unknown = cancel.replace("z9hG4bKc1INVITE", "z9hG4bKother");
    peer.send(&unknown).await;
    peer.until("SIP/2.0 481").await;
}

#[tokio::test]
async fn a_call_nobody_confirms_is_hung_up() {
    let fast = |c: &mut sip::SipConfig| c.limits.t1 = Duration::from_millis(10);
    let mut server = Server::with(fast, Default::default()).await;
    let peer = Peer::new(server.udp()).await;
    peer.send(&peer.invite("4210", "n", "")).await;
    let mut leg = server.incoming().await.leg;
    leg.handle().answer(SDP.into()).await.unwrap();
    let bye = peer.until("BYE").await;
    assert!(bye.starts_with(&format!("BYE sip:peer@{} SIP/2.0", peer.address())));
    assert_eq!(
        next(&mut leg).await,
        LegEvent::HungUp {
            by: HungUpBy::MissingAck,
            reason: None
        }
    );
}

#[tokio::test]
async fn hold_and_resume_are_the_owners_to_answer() {
    let mut server = Server::start().await;
    let peer = Peer::new(server.udp()).await;
    let (mut leg, ok) = answered(&mut server, &peer, "h").await;
    let held = format!("{SDP}a=sendonly\r\n");
    let kind = "Content-Type: application/sdp\r\n";
    peer.send(&peer.inside("INVITE", "h", 2, &ok, kind, &held))
        .await;
    assert_eq!(
        next(&mut leg).await,
        LegEvent::Reinvite {
            offer: Some(held.clone())
        }
    );
    // A second change before the first is answered must wait.
    peer.send(&peer.inside("INVITE", "h", 3, &ok, kind, SDP))
        .await;
    peer.until("SIP/2.0 500").await;
    leg.handle().answer_reinvite(SDP.into()).await.unwrap();
    peer.until("SIP/2.0 200").await;
    peer.send(&peer.inside("ACK", "h", 2, &ok, "", "")).await;
    peer.send(&peer.inside("INVITE", "h", 4, &ok, kind, SDP))
        .await;
    assert_eq!(
        next(&mut leg).await,
        LegEvent::Reinvite {
            offer: Some(SDP.into())
        }
    );
    leg.handle().reject_reinvite(488).await.unwrap();
    peer.until("SIP/2.0 488").await;
    peer.send(&peer.inside("UPDATE", "h", 5, &ok, "", "")).await;
    peer.until("SIP/2.0 200").await;
    leg.handle().hang_up(Reason::normal()).await.unwrap();
    let bye = peer.until("BYE").await;
    assert_eq!(header(&bye, "Reason"), "Q.850;cause=16");
    assert!(matches!(
        next(&mut leg).await,
        LegEvent::HungUp {
            by: HungUpBy::Us,
            ..
        }
    ));
}

#[tokio::test]
async fn a_late_offer_is_answered_in_the_ack() {
    let mut server = Server::start().await;
    let peer = Peer::new(server.udp()).await;
    peer.send(&peer.request("INVITE", "4210", "l", 1, "", ""))
        .await;
    let call = server.incoming().await;
    assert_eq!(call.offer, None);
    let mut leg = call.leg;
    leg.handle().answer(SDP.into()).await.unwrap();
    let ok = peer.until("SIP/2.0 200").await;
    peer.send(&peer.inside("ACK", "l", 1, &ok, "Content-Type: application/sdp\r\n", SDP))
        .await;
    assert_eq!(
        next(&mut leg).await,
        LegEvent::Confirmed {
            sdp: Some(SDP.into())
        }
    );
}

#[tokio::test]
async fn session_intervals_are_bounded_and_granted() {
    let mut server = Server::start().await;
    let peer = Peer::new(server.udp()).await;
    peer.send(&peer.invite("4210", "s1", "Session-Expires: 30\r\nSupported: timer\r\n"))
        .await;
    assert_eq!(header(&peer.until("SIP/2.0 422").await, "Min-SE"), "90");
    peer.send(&peer.invite(
        "4210",
        "s2",
        "Session-Expires: 1800\r\nSupported: timer\r\n",
    ))
    .await;
    let leg = server.incoming().await.leg;
    leg.handle().answer(SDP.into()).await.unwrap();
    let ok = peer.until("SIP/2.0 200").await;
    assert_eq!(header(&ok, "Session-Expires"), "1800;refresher=uac");
}

#[tokio::test]
async fn shutdown_ends_running_calls_and_refuses_new_ones() {
    let mut server = Server::start().await;
    let peer = Peer::new(server.udp()).await;
    let (mut leg, _) = answered(&mut server, &peer, "x").await;
    let stack = server.stack.clone();
    let stopping = tokio::spawn(async move { stack.shutdown(DEADLINE).await });
    let bye = peer.until("BYE").await;
    assert!(matches!(
        next(&mut leg).await,
        LegEvent::HungUp {
            by: HungUpBy::Shutdown,
            ..
        }
    ));
    peer.send(&peer.invite("4210", "y", "")).await;
    peer.until("SIP/2.0 503").await;
    peer.send(&crate::ua::respond(&bye, "200 OK", "z", "", "").replace(";tag=z", ""))
        .await;
    timeout(DEADLINE, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_source_that_is_neither_carrier_nor_device_is_refused() {
    let book = std::sync::Arc::new(crate::ua::Book {
        closed: true,
        ..Default::default()
    });
    let server = Server::with(|_| {}, book).await;
    let peer = Peer::new(server.udp()).await;
    peer.send(&peer.invite("4210", "f", "")).await;
    peer.until("SIP/2.0 403").await;
}

#[tokio::test]
async fn limits_answer_503_with_a_time_to_return() {
    let few = |c: &mut sip::SipConfig| {
        c.limits.requests_per_second = 1;
        c.limits.request_burst = 2;
    };
    let server = Server::with(few, Default::default()).await;
    let peer = Peer::new(server.udp()).await;
    for cseq in 1..=2 {
        peer.send(&peer.request("OPTIONS", "x", "o", cseq, "", ""))
            .await;
        peer.until("SIP/2.0 200").await;
    }
    peer.send(&peer.request("OPTIONS", "x", "o", 3, "", ""))
        .await;
    assert_eq!(header(&peer.until("SIP/2.0 503").await, "Retry-After"), "5");
    assert_eq!(server.stack.counters().limited, 1);
}
