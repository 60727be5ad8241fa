//! What happens inside calls: confirmed provisional responses, session timers, changes from both
//! sides, transfers, redirections.

use std::time::Duration;

use sip::{
    Dial, DialTarget, HungUpBy, Identity, Leg, LegEvent, Party, Reason, ReferralId, SipConfig,
};
use tokio::{net::TcpListener, time::timeout};

use crate::flows::Stream;
use crate::registration::register;
use crate::ua::{DEADLINE, Peer, SDP, Server, header, respond};

const KIND: &str = "Content-Type: application/sdp\r\n";

async fn next(leg: &mut Leg) -> LegEvent {
    timeout(DEADLINE, leg.next_event())
        .await
        .expect("a leg event in time")
        .expect("leg still there")
}

/// Short intervals, so that refreshes and repetitions come within a test's patience.
fn quick(config: &mut SipConfig) {
    config.limits.t1 = Duration::from_millis(50);
    config.limits.min_session = Duration::from_secs(1);
    config.limits.session = Duration::from_secs(2);
}

async fn quick_server() -> Server {
    Server::with(quick, Default::default()).await
}

/// A call of the peer's up to its ACK; the 200 it got.
async fn answered(server: &mut Server, peer: &Peer, tag: &str, extra: &str) -> (Leg, String) {
    peer.send(&peer.invite("4210", tag, extra)).await;
    let mut leg = server.incoming().await.leg;
    leg.handle().answer(SDP.into()).await.unwrap();
    let ok = peer.until("SIP/2.0 200").await;
    peer.send(&peer.inside("ACK", tag, 1, &ok, "", "")).await;
    assert_eq!(next(&mut leg).await, LegEvent::Confirmed { sdp: None });
    (leg, ok)
}

/// A call of ours to a phone.
async fn dialled(server: &Server, phone: &Peer) -> (Leg, String) {
    let leg = server
        .stack
        .dial(Dial {
            to: DialTarget::Device {
                username: "1001".into(),
            },
            from: Party::default(),
            identity: Identity::default(),
            offer: SDP.into(),
            browser_offer: None,
            headers: Vec::new(),
        })
        .await
        .unwrap();
    (leg, phone.until("INVITE").await)
}

fn contact(peer: &Peer) -> String {
    format!("Contact: <sip:dev@{}>\r\n", peer.address())
}

/// A call of ours, answered; `extra` goes into the phone's 200.
async fn picked_up(server: &Server, phone: &Peer, extra: &str) -> (Leg, String) {
    let (mut leg, invite) = dialled(server, phone).await;
    let extra = format!("{}{KIND}{extra}", contact(phone));
    phone
        .send(&respond(&invite, "200 OK", "t", &extra, SDP))
        .await;
    assert!(matches!(next(&mut leg).await, LegEvent::Answered { .. }));
    assert_eq!(next(&mut leg).await, LegEvent::Confirmed { sdp: None });
    phone.until("ACK").await;
    (leg, invite)
}

/// The phone's answer to a request inside a dialog.
fn reply(request: &str, status: &str, extra: &str, body: &str) -> String {
    respond(request, status, "", extra, body).replace(";tag=\r\n", "\r\n")
}

/// A request of a phone inside a call of ours.
fn from_phone(
    phone: &Peer,
    invite: &str,
    method: &str,
    cseq: u32,
    extra: &str,
    body: &str,
) -> String {
    format!(
        "{method} sip:us@{} SIP/2.0\r\nVia: SIP/2.0/UDP {};rport;branch=z9hG4bKp{cseq}{method}\r\nMax-Forwards: 70\r\n\
         From: {};tag=t\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n{}{extra}Content-Length: {}\r\n\r\n{body}",
        phone.server,
        phone.address(),
        header(invite, "To"),
        header(invite, "From"),
        header(invite, "Call-ID"),
        contact(phone),
        body.len(),
    )
}

#[tokio::test]
async fn early_audio_is_confirmed_before_the_call_is_answered() {
    let mut server = quick_server().await;
    let peer = Peer::new(server.udp()).await;
    peer.send(&peer.invite("4210", "p", "Supported: 100rel\r\n"))
        .await;
    let mut leg = server.incoming().await.leg;
    leg.handle().ring().await.unwrap();
    assert!(!peer.until("SIP/2.0 180").await.contains("RSeq"));
    leg.handle().progress(SDP.into()).await.unwrap();
    leg.handle().answer(SDP.into()).await.unwrap();
    let early = peer.until("SIP/2.0 183").await;
    assert_eq!(header(&early, "Require"), "100rel");
    // Unconfirmed it comes again, and the answer waits.
    assert_eq!(peer.receive().await, early);
    let rack = |rseq: &str| format!("RAck: {rseq} 1 INVITE\r\n");
    peer.send(&peer.inside("PRACK", "p", 2, &early, &rack("1"), ""))
        .await;
    peer.until("SIP/2.0 481").await;
    let rseq = header(&early, "RSeq");
    peer.send(&peer.inside("PRACK", "p", 3, &early, &rack(&rseq), ""))
        .await;
    let confirmed = peer.until("SIP/2.0 200").await;
    assert!(header(&confirmed, "CSeq").ends_with("PRACK"));
    let ok = peer.until("SIP/2.0 200").await;
    assert!(header(&ok, "CSeq").ends_with("INVITE"));
    // Both know the description: it is not said again.
    assert!(ok.ends_with("Content-Length: 0\r\n\r\n"));
    peer.send(&peer.inside("ACK", "p", 1, &ok, "", "")).await;
    assert_eq!(next(&mut leg).await, LegEvent::Confirmed { sdp: None });
}

#[tokio::test]
async fn a_caller_that_insists_confirms_ringing_too_or_is_given_up() {
    let fast = |c: &mut SipConfig| c.limits.t1 = Duration::from_millis(10);
    let mut server = Server::with(fast, Default::default()).await;
    let peer = Peer::new(server.udp()).await;
    peer.send(&peer.invite("4210", "r", "Require: 100rel\r\n"))
        .await;
    let mut leg = server.incoming().await.leg;
    leg.handle().ring().await.unwrap();
    assert_eq!(
        header(&peer.until("SIP/2.0 180").await, "Require"),
        "100rel"
    );
    peer.until("SIP/2.0 504").await;
    let by = HungUpBy::MissingAck;
    assert_eq!(next(&mut leg).await, LegEvent::HungUp { by, reason: None });
}

#[tokio::test]
async fn an_offer_of_ours_in_a_confirmed_183_is_answered_by_prack() {
    let mut server = quick_server().await;
    let peer = Peer::new(server.udp()).await;
    peer.send(&peer.request("INVITE", "4210", "o", 1, "Supported: 100rel\r\n", ""))
        .await;
    let mut leg = server.incoming().await.leg;
    leg.handle().progress(SDP.into()).await.unwrap();
    let early = peer.until("SIP/2.0 183").await;
    let rack = format!("RAck: {} 1 INVITE\r\n{KIND}", header(&early, "RSeq"));
    peer.send(&peer.inside("PRACK", "o", 2, &early, &rack, SDP))
        .await;
    peer.until("SIP/2.0 200").await;
    assert_eq!(next(&mut leg).await, LegEvent::Early { sdp: SDP.into() });
    // From here on the caller may change the session before the answer (RFC 3311).
    peer.send(&peer.inside("UPDATE", "o", 3, &early, KIND, SDP))
        .await;
    let offer = Some(SDP.into());
    assert_eq!(next(&mut leg).await, LegEvent::Reinvite { offer });
    leg.handle().answer_reinvite(SDP.into()).await.unwrap();
    assert!(peer.until("SIP/2.0 200").await.ends_with(SDP));
    leg.handle().answer(SDP.into()).await.unwrap();
    let ok = peer.until("SIP/2.0 200").await;
    peer.send(&peer.inside("ACK", "o", 1, &ok, "", "")).await;
    assert_eq!(next(&mut leg).await, LegEvent::Confirmed { sdp: None });
}

#[tokio::test]
async fn responses_of_a_phone_are_confirmed_in_order() {
    let server = quick_server().await;
    let phone = Peer::new(server.udp()).await;
    register(&phone, "1001", "pw-1001", 1, "").await;
    let (mut leg, invite) = dialled(&server, &phone).await;
    assert!(header(&invite, "Supported").contains("100rel"));
    let reliable = |rseq: u32| format!("{}Require: 100rel\r\nRSeq: {rseq}\r\n", contact(&phone));
    let ringing = respond(&invite, "180 Ringing", "t", &reliable(7), "");
    phone.send(&ringing).await;
    let prack = phone.until("PRACK").await;
    assert_eq!(
        (header(&prack, "RAck"), header(&prack, "CSeq")),
        ("7 1 INVITE".into(), "2 PRACK".into())
    );
    phone.send(&reply(&prack, "200 OK", "", "")).await;
    assert_eq!(next(&mut leg).await, LegEvent::Ringing);
    // What comes again is not confirmed again, and neither is what comes too early.
    phone.send(&ringing).await;
    let body = format!("{}{KIND}", reliable(9));
    phone
        .send(&respond(&invite, "183 Session Progress", "t", &body, SDP))
        .await;
    let body = format!("{}{KIND}", reliable(8));
    phone
        .send(&respond(&invite, "183 Session Progress", "t", &body, SDP))
        .await;
    let prack = phone.until("PRACK").await;
    assert_eq!(header(&prack, "RAck"), "8 1 INVITE");
    phone.send(&reply(&prack, "200 OK", "", "")).await;
    assert_eq!(next(&mut leg).await, LegEvent::Early { sdp: SDP.into() });
    phone
        .send(&respond(&invite, "200 OK", "t", &contact(&phone), ""))
        .await;
    let ack = phone.until("ACK").await;
    assert_eq!(header(&ack, "CSeq"), "1 ACK");
    let LegEvent::Answered { sdp, .. } = next(&mut leg).await else {
        panic!()
    };
    assert_eq!(sdp, "");
    assert_eq!(next(&mut leg).await, LegEvent::Confirmed { sdp: None });
    leg.handle().hang_up(Reason::normal()).await.unwrap();
    assert_eq!(header(&phone.until("BYE").await, "CSeq"), "4 BYE");
}

#[tokio::test]
async fn we_refresh_by_update_or_else_by_the_same_description() {
    let mut server = quick_server().await;
    let peer = Peer::new(server.udp()).await;
    let timer = "Supported: timer\r\nAllow: INVITE, ACK, BYE, UPDATE\r\n";
    let (mut leg, ok) = answered(&mut server, &peer, "u", timer).await;
    assert_eq!(header(&ok, "Session-Expires"), "2;refresher=uas");
    assert_eq!(header(&ok, "Require"), "timer");
    let update = peer.until("UPDATE").await;
    assert_eq!(header(&update, "Session-Expires"), "2;refresher=uac");
    assert!(update.ends_with("Content-Length: 0\r\n\r\n"));
    // A peer that takes it back gets a re-INVITE instead.
    peer.send(&reply(&update, "405 Method Not Allowed", "", ""))
        .await;
    let invite = peer.until("INVITE").await;
    assert!(invite.ends_with(SDP));
    let accepted = format!(
        "{KIND}{}Session-Expires: 2;refresher=uac\r\n",
        contact(&peer)
    );
    peer.send(&reply(&invite, "200 OK", &accepted, SDP)).await;
    let ack = peer.until("ACK").await;
    assert!(ack.starts_with(&format!("ACK sip:dev@{}", peer.address())));
    assert_eq!(
        header(&ack, "CSeq"),
        header(&invite, "CSeq").replace("INVITE", "ACK")
    );
    // The answer again: so is its ACK. What was answered as before is no news.
    peer.send(&reply(&invite, "200 OK", &accepted, SDP)).await;
    peer.until("ACK").await;
    // The next one is refused for good: the session is over.
    let invite = peer.until("INVITE").await;
    peer.send(&reply(&invite, "481 Gone", "", "")).await;
    peer.until("BYE").await;
    let by = HungUpBy::SessionExpired;
    assert_eq!(next(&mut leg).await, LegEvent::HungUp { by, reason: None });
}

#[tokio::test]
async fn a_peer_that_refreshes_no_more_is_hung_up() {
    let mut server = quick_server().await;
    let peer = Peer::new(server.udp()).await;
    let timer = "Supported: timer\r\nSession-Expires: 1;refresher=uac\r\n";
    let (mut leg, ok) = answered(&mut server, &peer, "e", timer).await;
    assert_eq!(header(&ok, "Session-Expires"), "1;refresher=uac");
    peer.send(&peer.inside("UPDATE", "e", 2, &ok, timer, ""))
        .await;
    let refreshed = peer.until("SIP/2.0 200").await;
    assert_eq!(header(&refreshed, "Session-Expires"), "1;refresher=uac");
    peer.until("BYE").await;
    let by = HungUpBy::SessionExpired;
    assert_eq!(next(&mut leg).await, LegEvent::HungUp { by, reason: None });
}

#[tokio::test]
async fn a_phone_that_wants_a_longer_session_gets_it() {
    let server = quick_server().await;
    let phone = Peer::new(server.udp()).await;
    register(&phone, "1001", "pw-1001", 1, "").await;
    let (mut leg, invite) = dialled(&server, &phone).await;
    assert_eq!(header(&invite, "Session-Expires"), "2");
    phone
        .send(&respond(&invite, "422 Small", "a", "Min-SE: 90\r\n", ""))
        .await;
    phone.until("ACK").await;
    let again = phone.until("INVITE").await;
    assert_eq!(
        (header(&again, "Session-Expires"), header(&again, "Min-SE")),
        ("90".into(), "90".into())
    );
    assert_eq!(header(&again, "CSeq"), "2 INVITE");
    assert_eq!(header(&again, "Call-ID"), header(&invite, "Call-ID"));
    // The same answer again would bring nothing new.
    phone
        .send(&respond(&again, "422 Small", "b", "Min-SE: 90\r\n", ""))
        .await;
    let reason = None;
    let status = 422;
    assert_eq!(next(&mut leg).await, LegEvent::Failed { status, reason });
}

#[tokio::test]
async fn changes_of_both_sides_give_way_to_each_other() {
    let server = quick_server().await;
    let phone = Peer::new(server.udp()).await;
    register(&phone, "1001", "pw-1001", 1, "").await;
    let (mut leg, invite) = picked_up(&server, &phone, "").await;
    let other = SDP.replace("o=- 1 1", "o=- 1 2");
    leg.handle().reinvite(other.clone()).await.unwrap();
    let ours = phone.until("INVITE").await;
    assert!(ours.ends_with(&other));
    // Its own change, by INVITE or UPDATE, has to wait for ours; a mere refresh has not.
    phone
        .send(&from_phone(&phone, &invite, "INVITE", 1, KIND, SDP))
        .await;
    phone.until("SIP/2.0 491").await;
    phone
        .send(&from_phone(&phone, &invite, "UPDATE", 2, KIND, SDP))
        .await;
    phone.until("SIP/2.0 491").await;
    phone
        .send(&from_phone(&phone, &invite, "UPDATE", 3, "", ""))
        .await;
    phone.until("SIP/2.0 200").await;
    phone
        .send(&reply(&ours, "491 Request Pending", "", ""))
        .await;
    phone.until("ACK").await;
    // Then ours comes again by itself.
    let again = phone.until("INVITE").await;
    assert!(again.ends_with(&other));
    let extra = format!("{KIND}{}", contact(&phone));
    phone.send(&reply(&again, "200 OK", &extra, SDP)).await;
    phone.until("ACK").await;
    assert_eq!(next(&mut leg).await, LegEvent::Changed { sdp: SDP.into() });
    leg.handle().reinvite(SDP.into()).await.unwrap();
    let refused = phone.until("INVITE").await;
    phone
        .send(&reply(&refused, "488 Not Acceptable Here", "", ""))
        .await;
    let status = 488;
    assert_eq!(next(&mut leg).await, LegEvent::ChangeRefused { status });
}

#[tokio::test]
async fn a_hang_up_while_a_change_is_open_leaves_nothing_open() {
    let server = quick_server().await;
    let phone = Peer::new(server.udp()).await;
    register(&phone, "1001", "pw-1001", 1, "").await;
    let (mut leg, invite) = picked_up(&server, &phone, "").await;
    leg.handle().reinvite(SDP.into()).await.unwrap();
    let ours = phone.until("INVITE").await;
    phone
        .send(&from_phone(
            &phone,
            &invite,
            "BYE",
            1,
            "Reason: Q.850;cause=31\r\n",
            "",
        ))
        .await;
    phone.until("SIP/2.0 200").await;
    let LegEvent::HungUp {
        by: HungUpBy::Peer,
        reason: Some(reason),
    } = next(&mut leg).await
    else {
        panic!()
    };
    assert_eq!(reason.cause, 31);
    let extra = format!("{KIND}{}", contact(&phone));
    phone.send(&reply(&ours, "200 OK", &extra, SDP)).await;
    phone.until("ACK").await;
    assert_eq!(leg.next_event().await, None);
}

#[tokio::test]
async fn a_transfer_is_accepted_told_of_and_ended() {
    let server = quick_server().await;
    let phone = Peer::new(server.udp()).await;
    register(&phone, "1001", "pw-1001", 1, "").await;
    let (mut leg, invite) = picked_up(&server, &phone, "").await;
    let refer = "Refer-To: <sip:102@trunkline>\r\nReferred-By: <sip:1001@trunkline>\r\n";
    phone
        .send(&from_phone(&phone, &invite, "REFER", 5, refer, ""))
        .await;
    let LegEvent::Referred(referral) = next(&mut leg).await else {
        panic!()
    };
    assert_eq!(
        (
            referral.id,
            referral.to_user.as_str(),
            referral.to_host.as_str()
        ),
        (ReferralId(5), "102", "trunkline")
    );
    // Impatience is told to wait.
    phone
        .send(&from_phone(&phone, &invite, "REFER", 6, refer, ""))
        .await;
    phone.until("SIP/2.0 491").await;
    leg.handle().accept_referral(referral.id).await.unwrap();
    phone.until("SIP/2.0 202").await;
    let notify = phone.until("NOTIFY").await;
    assert_eq!(header(&notify, "Event"), "refer");
    assert_eq!(
        header(&notify, "Content-Type"),
        "message/sipfrag;version=2.0"
    );
    assert!(notify.ends_with("SIP/2.0 100 Trying\r\n"));
    phone.send(&reply(&notify, "200 OK", "", "")).await;
    leg.handle()
        .report_referral(referral.id, 180)
        .await
        .unwrap();
    let ringing = phone.until("NOTIFY").await;
    assert!(ringing.ends_with("SIP/2.0 180 Ringing\r\n"));
    phone.send(&reply(&ringing, "200 OK", "", "")).await;
    leg.handle()
        .report_referral(referral.id, 200)
        .await
        .unwrap();
    let last = phone.until("NOTIFY").await;
    assert!(last.ends_with("SIP/2.0 200 OK\r\n"));
    assert_eq!(
        header(&last, "Subscription-State"),
        "terminated;reason=noresource"
    );
    phone.send(&reply(&last, "200 OK", "", "")).await;
    // One that wants to hear nothing of it (RFC 4488), and one that is refused.
    let silent = format!("{refer}Refer-Sub: false\r\nRequire: norefersub\r\n");
    phone
        .send(&from_phone(&phone, &invite, "REFER", 7, &silent, ""))
        .await;
    assert!(matches!(next(&mut leg).await, LegEvent::Referred(_)));
    leg.handle().accept_referral(ReferralId(7)).await.unwrap();
    let accepted = phone.until("SIP/2.0 202").await;
    assert_eq!(header(&accepted, "Refer-Sub"), "false");
    phone
        .send(&from_phone(&phone, &invite, "REFER", 8, refer, ""))
        .await;
    assert!(matches!(next(&mut leg).await, LegEvent::Referred(_)));
    leg.handle()
        .refuse_referral(ReferralId(8), 403)
        .await
        .unwrap();
    phone.until("SIP/2.0 403").await;
    phone
        .send(&from_phone(&phone, &invite, "REFER", 9, "", ""))
        .await;
    phone.until("SIP/2.0 400").await;
    // A transfer that is told of is told of to its end, even if the call ends at once.
    phone
        .send(&from_phone(&phone, &invite, "REFER", 10, refer, ""))
        .await;
    assert!(matches!(next(&mut leg).await, LegEvent::Referred(_)));
    leg.handle().accept_referral(ReferralId(10)).await.unwrap();
    leg.handle()
        .report_referral(ReferralId(10), 200)
        .await
        .unwrap();
    leg.handle().hang_up(Reason::normal()).await.unwrap();
    let named = phone.until("NOTIFY").await;
    assert_eq!(header(&named, "Event"), "refer;id=10");
    assert!(phone.until("NOTIFY").await.ends_with("SIP/2.0 200 OK\r\n"));
    phone.until("BYE").await;
}

#[tokio::test]
async fn a_call_may_take_the_place_of_a_leg_that_it_names_rightly() {
    let mut server = quick_server().await;
    let peer = Peer::new(server.udp()).await;
    let (leg, ok) = answered(&mut server, &peer, "one", "").await;
    let ours = header(&ok, "To").split("tag=").nth(1).unwrap().to_owned();
    let named = |from: &str, more: &str| {
        format!("Replaces: call-one;to-tag={ours};from-tag={from}{more}\r\nRequire: replaces\r\n")
    };
    for (number, (extra, status)) in [
        (named("other", ""), "481"),
        (named("one", ";early-only"), "486"),
        ("Replaces: call-one\r\n".to_owned(), "400"),
        (
            format!("{0}{0}", "Replaces: a;to-tag=1;from-tag=2\r\n"),
            "400",
        ),
    ]
    .iter()
    .enumerate()
    {
        peer.send(&peer.invite("4210", &format!("r{number}"), extra))
            .await;
        peer.until(&format!("SIP/2.0 {status}")).await;
    }
    peer.send(&peer.invite("4210", "right", &named("one", "")))
        .await;
    let call = server.incoming().await;
    let replacing = call.replaces.unwrap();
    assert_eq!(&replacing.dialog, leg.handle().dialog());
    assert!(!replacing.early_only);
    // What is over is remembered as such.
    leg.handle().hang_up(Reason::normal()).await.unwrap();
    peer.until("BYE").await;
    drop(leg);
    loop {
        peer.send(&peer.invite("4210", "late", &named("one", "")))
            .await;
        // The leg is over when its task is.
        if peer.until("SIP/2.0 ").await.contains(" 603 ") {
            break;
        }
    }
}

#[tokio::test]
async fn a_phone_may_send_a_call_on_to_users_of_ours_only() {
    let server = quick_server().await;
    let (phone, other) = (Peer::new(server.udp()).await, Peer::new(server.udp()).await);
    register(&phone, "1001", "pw-1001", 1, "").await;
    register(&other, "1002", "pw-1002", 1, "").await;
    let (mut leg, invite) = dialled(&server, &phone).await;
    let elsewhere = format!(
        "Contact: <sip:+35799@192.0.2.9>\r\nContact: <sip:1002@{}>\r\n",
        server.udp()
    );
    phone
        .send(&respond(
            &invite,
            "302 Moved Temporarily",
            "m",
            &elsewhere,
            "",
        ))
        .await;
    phone.until("ACK").await;
    let sent_on = other.until("INVITE").await;
    assert_eq!(header(&sent_on, "Call-ID"), header(&invite, "Call-ID"));
    other
        .send(&respond(&sent_on, "182 Queued", "q", "", ""))
        .await;
    assert_eq!(next(&mut leg).await, LegEvent::Ringing);
    // Sent back to where it came from, it goes nowhere.
    let back = format!("Contact: <sip:1001@{}>\r\n", server.udp());
    other
        .send(&respond(&sent_on, "302 Moved Temporarily", "q", &back, ""))
        .await;
    let LegEvent::Failed { status: 302, .. } = next(&mut leg).await else {
        panic!()
    };
}

#[tokio::test]
async fn a_large_change_goes_by_tcp_where_the_peer_takes_it() {
    let large = format!("{SDP}a=x:{}\r\n", "y".repeat(1200));
    let server = quick_server().await;
    let phone = Peer::new(server.udp()).await;
    register(&phone, "1001", "pw-1001", 1, "").await;
    // Nobody accepts connections here.
    let (mut leg, _) = picked_up(&server, &phone, "").await;
    leg.handle().reinvite(large.clone()).await.unwrap();
    let change = phone.until("INVITE").await;
    assert!(header(&change, "Via").starts_with("SIP/2.0/UDP "));
    let extra = format!("{KIND}{}", contact(&phone));
    phone.send(&reply(&change, "200 OK", &extra, SDP)).await;
    assert!(matches!(next(&mut leg).await, LegEvent::Changed { .. }));
    leg.handle().hang_up(Reason::normal()).await.unwrap();
    phone.until("BYE").await;

    let server = quick_server().await;
    let phone = Peer::new(server.udp()).await;
    let listener = TcpListener::bind(phone.address()).await.unwrap();
    register(&phone, "1001", "pw-1001", 1, "").await;
    let (mut leg, invite) = picked_up(&server, &phone, "").await;
    leg.handle().reinvite(large).await.unwrap();
    let (stream, _) = timeout(DEADLINE, listener.accept()).await.unwrap().unwrap();
    let mut stream = Stream::over(stream);
    let change = stream.until("INVITE").await;
    assert!(header(&change, "Via").starts_with("SIP/2.0/TCP "));
    assert_eq!(header(&change, "Contact"), header(&invite, "Contact"));
    let extra = format!("{KIND}{}", contact(&phone));
    stream.send(&reply(&change, "200 OK", &extra, SDP)).await;
    // What is small goes as ever.
    phone.until("ACK").await;
    assert!(matches!(next(&mut leg).await, LegEvent::Changed { .. }));
    leg.handle().hang_up(Reason::normal()).await.unwrap();
    phone.until("BYE").await;
}

/// Everything at once, in orders drawn from a seed: whatever meets whatever, each leg ends once.
#[tokio::test]
async fn each_leg_ends_once_whatever_is_said_in_whatever_order() {
    use std::collections::BTreeMap;

    let mut server = quick_server().await;
    let peer = Peer::new(server.udp()).await;
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut draw = move |n: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % n
    };
    let mut legs = BTreeMap::new();
    for number in 0..40 {
        let tag = format!("z{number}");
        let invite = peer.invite("4210", &tag, "Supported: 100rel, timer\r\n");
        peer.send(&invite).await;
        let leg = server.incoming().await.leg;
        let handle = leg.handle();
        let early = peer.until("SIP/2.0 100").await;
        let local = handle.dialog().local_tag.clone();
        let known = early.replace(
            &header(&early, "To"),
            &format!("{};tag={local}", header(&early, "To")),
        );
        let cancel = peer
            .request("CANCEL", "4210", &tag, 1, "", "")
            .replace(&format!("{tag}1CANCEL"), &format!("{tag}1INVITE"));
        for step in 0..draw(9) {
            let cseq = u32::try_from(step).unwrap() + 2;
            let refer = "Refer-To: <sip:102@trunkline>\r\n";
            match draw(14) {
                0 => handle.ring().await.unwrap_or(()),
                1 => handle.progress(SDP.into()).await.unwrap_or(()),
                2 => handle.answer(SDP.into()).await.unwrap_or(()),
                3 => handle.reinvite(SDP.into()).await.unwrap_or(()),
                4 => handle.answer_reinvite(SDP.into()).await.unwrap_or(()),
                5 => handle.accept_referral(ReferralId(cseq)).await.unwrap_or(()),
                6 => handle.hang_up(Reason::normal()).await.unwrap_or(()),
                7 => peer.send(&cancel).await,
                8 => {
                    peer.send(&peer.inside("ACK", &tag, 1, &known, "", ""))
                        .await;
                }
                9 => {
                    peer.send(&peer.inside("BYE", &tag, cseq, &known, "", ""))
                        .await;
                }
                10 => {
                    peer.send(&peer.inside("INVITE", &tag, cseq, &known, KIND, SDP))
                        .await;
                }
                11 => {
                    peer.send(&peer.inside("UPDATE", &tag, cseq, &known, KIND, SDP))
                        .await;
                }
                12 => {
                    peer.send(&peer.inside("REFER", &tag, cseq, &known, refer, ""))
                        .await;
                }
                _ => {
                    peer.send(&peer.inside(
                        "PRACK",
                        &tag,
                        cseq,
                        &known,
                        "RAck: 1 1 INVITE\r\n",
                        "",
                    ))
                    .await;
                }
            }
        }
        // Whatever is still up ends now.
        handle.hang_up(Reason::normal()).await.unwrap_or(());
        legs.insert(tag, leg);
    }
    for (tag, mut leg) in legs {
        let mut ends = 0;
        while let Some(event) = timeout(DEADLINE * 2, leg.next_event())
            .await
            .unwrap_or_else(|_| panic!("{tag} never ends"))
        {
            assert_eq!(ends, 0, "{tag}: {event:?} after its end");
            ends += u32::from(matches!(
                event,
                LegEvent::Failed { .. } | LegEvent::Cancelled { .. } | LegEvent::HungUp { .. }
            ));
        }
        assert_eq!(ends, 1, "{tag}");
    }
    assert_eq!(server.stack.counters().legs, 0);
}

#[tokio::test]
async fn numbers_in_a_call_may_jump_and_what_comes_again_counts_once() {
    let mut server = quick_server().await;
    let peer = Peer::new(server.udp()).await;
    let (mut leg, ok) = answered(&mut server, &peer, "n", "").await;
    let key = |cseq: u32, key: char| {
        let body = format!("Signal={key}\r\nDuration=160\r\n");
        let kind = "Content-Type: application/dtmf-relay\r\n";
        peer.inside("INFO", "n", cseq, &ok, kind, &body)
    };
    let pressed = |event| match event {
        LegEvent::Digit { digit, .. } => digit,
        other => panic!("{other:?}"),
    };
    // RFC 3261 §12.2.2: numbers between may have gone to others.
    let jump = key(700, '1');
    peer.send(&jump).await;
    let first = peer.until("SIP/2.0 200").await;
    assert_eq!(pressed(next(&mut leg).await), '1');
    // The datagram once more gets the same answer; the number once more, or a lower one, is refused.
    peer.send(&jump).await;
    assert_eq!(peer.until("SIP/2.0").await, first);
    for (cseq, branch) in [(700, "again"), (699, "older"), (2, "oldest")] {
        let replay = key(cseq, '2').replace("branch=z9hG4bK", &format!("branch=z9hG4bK{branch}"));
        peer.send(&replay).await;
        let refused = peer.until("SIP/2.0").await;
        assert!(refused.starts_with("SIP/2.0 500 "), "{refused}");
    }
    peer.send(&key(701, '3')).await;
    assert!(peer.until("SIP/2.0").await.starts_with("SIP/2.0 200"));
    assert_eq!(pressed(next(&mut leg).await), '3', "no replay was a key");
    // The largest there may be.
    peer.send(&key(2_147_483_647, '4')).await;
    assert!(peer.until("SIP/2.0").await.starts_with("SIP/2.0 200"));
    assert_eq!(pressed(next(&mut leg).await), '4');
}

#[tokio::test]
async fn what_we_can_is_told_wherever_a_peer_may_ask() {
    let mut server = quick_server().await;
    let phone = Peer::new(server.udp()).await;
    let tells = |message: &str| {
        for (name, some) in [("Allow", "UPDATE"), ("Supported", "timer")] {
            assert!(header(message, name).contains(some), "{message}");
        }
    };
    tells(&register(&phone, "1001", "pw-1001", 1, "").await);
    server.event().await;
    let (mut leg, invite) = picked_up(&server, &phone, "").await;
    tells(&invite);
    let update = |cseq, body| from_phone(&phone, &invite, "UPDATE", cseq, KIND, body);
    phone
        .send(&from_phone(&phone, &invite, "UPDATE", 1, "", ""))
        .await;
    tells(&phone.until("SIP/2.0 200").await);
    phone
        .send(&from_phone(&phone, &invite, "OPTIONS", 2, "", ""))
        .await;
    let options = phone.until("SIP/2.0 200").await;
    tells(&options);
    assert!(header(&options, "Accept").contains("application/sdp"));
    phone
        .send(&from_phone(&phone, &invite, "SUBSCRIBE", 3, "", ""))
        .await;
    tells(&phone.until("SIP/2.0 405").await);
    let wants = "Require: telepathy, timer\r\n";
    phone
        .send(&from_phone(&phone, &invite, "INFO", 4, wants, ""))
        .await;
    let refused = phone.until("SIP/2.0 420").await;
    tells(&refused);
    assert_eq!(header(&refused, "Unsupported"), "telepathy");
    let odd = "Content-Type: text/odd\r\n";
    phone
        .send(&from_phone(&phone, &invite, "INFO", 5, odd, "?"))
        .await;
    let refused = phone.until("SIP/2.0 415").await;
    assert_eq!(
        header(&refused, "Accept"),
        "application/dtmf-relay, application/dtmf"
    );
    // No way to agree: why is said to whoever reads the log over there (RFC 3261 §13.3.1.3).
    let video = SDP.replace("m=audio", "m=video");
    phone.send(&update(6, &video)).await;
    let refused = phone.until("SIP/2.0 488").await;
    assert!(header(&refused, "Warning").starts_with("304 "), "{refused}");
    assert_eq!(refused.matches("Warning: ").count(), 1, "{refused}");
    // The owner of the call may find nothing in it, too.
    phone.send(&update(7, SDP)).await;
    assert!(matches!(next(&mut leg).await, LegEvent::Reinvite { .. }));
    leg.handle().reject_reinvite(488).await.unwrap();
    let refused = phone.until("SIP/2.0 488").await;
    assert!(header(&refused, "Warning").starts_with("399 "), "{refused}");
    drop(leg);
    tells(&phone.until("BYE").await);
}
