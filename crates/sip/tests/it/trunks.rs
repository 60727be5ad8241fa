//! Carriers: registration, calls by them, failover, and who they are.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode};
use hickory_resolver::proto::rr::rdata::{A, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record};
use sip::{
    Dial, DialTarget, Identity, Leg, LegEvent, Listener, Party, Privacy, ProbeAction, Reason,
    Registration, SipConfig, SipEvent, SipStack, Transport, Trunk, TrunkCredential, TrunkProblem,
    TrunkStatus, TrunkTls,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::secure::certificate;
use crate::ua::{Book, DEADLINE, Peer, SDP, Server, header, respond};

const KIND: &str = "Content-Type: application/sdp\r\n";
const CHALLENGE: &str = "Digest realm=\"carrier\", nonce=\"abc\", algorithm=MD5, qop=\"auth\"";

/// A trunk to this very address that is never asked whether it is there.
fn silent(address: impl ToString) -> Trunk {
    Trunk {
        keep_alive: None,
        ..Trunk::new("carrier", address.to_string().parse().unwrap())
    }
}

fn with_password(trunk: Trunk) -> Trunk {
    Trunk {
        credential: Some(TrunkCredential {
            username: "acct".into(),
            password: "secret".into(),
        }),
        ..trunk
    }
}

fn registering(trunk: Trunk, expires: u64) -> Trunk {
    Trunk {
        registration: Some(Registration {
            user: "acct".into(),
            contact_user: Some("4215550".into()),
            expires: Duration::from_secs(expires),
        }),
        ..with_password(trunk)
    }
}

/// Whether an answer proves the password for a request.
fn proves(request: &str, name: &str) -> bool {
    use md5::{Digest, Md5};
    let hash = |text: String| hex::encode(Md5::digest(text.as_bytes()));
    let answer = header(request, name);
    let part = |name: &str| {
        let (_, rest) = answer.split_once(&format!("{name}=")).unwrap();
        let rest = rest.trim_start_matches('"');
        rest.split(['"', ',']).next().unwrap().to_owned()
    };
    let method = request.split(' ').next().unwrap();
    let ha1 = hash("acct:carrier:secret".into());
    let ha2 = hash(format!("{method}:{}", part("uri")));
    let (nonce, nc, cnonce) = (part("nonce"), part("nc"), part("cnonce"));
    part("response") == hash(format!("{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}"))
}

async fn status(server: &mut Server) -> TrunkStatus {
    loop {
        if let SipEvent::TrunkChanged { key, status } = server.event().await {
            assert_eq!(key, "carrier");
            return status;
        }
    }
}

async fn dial(stack: &SipStack, identity: Identity, offer: &str) -> Leg {
    let dial = Dial {
        to: DialTarget::Trunk {
            key: "carrier".into(),
            user: "+420222".into(),
        },
        from: Party {
            user: "+421111".into(),
            display: Some("Acme".into()),
        },
        identity,
        offer: offer.into(),
        browser_offer: None,
        headers: Vec::new(),
    };
    stack.dial(dial).await.unwrap()
}

async fn next(leg: &mut Leg) -> LegEvent {
    let event = timeout(DEADLINE, leg.next_event()).await;
    event.expect("a leg event in time").expect("a leg")
}

fn fast(config: &mut SipConfig) {
    config.limits.t1 = Duration::from_millis(20);
}

#[tokio::test]
async fn a_trunk_registers_with_its_password_and_leaves_when_it_is_removed() {
    let mut server = Server::start().await;
    let carrier = Peer::new(server.udp()).await;
    let trunk = registering(silent(carrier.address()), 300);
    server.stack.set_trunks(vec![trunk.clone()]);
    assert_eq!(status(&mut server).await, TrunkStatus::Registering);
    let first = carrier.until("REGISTER").await;
    assert!(first.starts_with(&format!("REGISTER sip:{} ", carrier.address())));
    assert!(!first.contains("Authorization"));
    let asks = format!("WWW-Authenticate: {CHALLENGE}\r\n");
    carrier
        .send(&respond(&first, "401 Unauthorized", "c", &asks, ""))
        .await;
    let second = carrier.until("REGISTER").await;
    assert!(proves(&second, "Authorization"), "{second}");
    assert_eq!(header(&second, "Call-ID"), header(&first, "Call-ID"));
    assert_eq!(header(&second, "CSeq"), "2 REGISTER");
    // This carrier wants it longer, then grants less than was asked for.
    let longer = respond(
        &second,
        "423 Interval Too Brief",
        "c",
        "Min-Expires: 600\r\n",
        "",
    );
    carrier.send(&longer).await;
    let third = carrier.until("REGISTER").await;
    assert_eq!(header(&third, "Expires"), "600");
    // The nonce is still good: its answer comes at once, counted on.
    assert!(third.contains("nc=00000002") && proves(&third, "Authorization"));
    let contact = header(&third, "Contact");
    assert_eq!(contact, format!("<sip:4215550@{}>", server.udp()));
    let ok = respond(
        &third,
        "200 OK",
        "c",
        &format!("Contact: {contact};expires=90\r\n"),
        "",
    );
    carrier.send(&ok).await;
    let TrunkStatus::Registered { until, via, .. } = status(&mut server).await else {
        panic!("not registered");
    };
    let left = until.as_second() - jiff::Timestamp::now().as_second();
    assert!((85..=90).contains(&left) && via == carrier.address());
    // The same set again changes nothing; without it the carrier is told.
    server.stack.set_trunks(vec![trunk]);
    server.stack.set_trunks(Vec::new());
    let farewell = carrier.until("REGISTER").await;
    assert_eq!(header(&farewell, "Expires"), "0");
    assert_eq!(server.stack.trunk_status("carrier"), None);
}

#[tokio::test]
async fn a_carrier_is_told_the_address_it_sees_us_at() {
    let natted = |response: String| response.replace(";rport", ";received=203.0.113.9;rport=40000");
    let seen = "203.0.113.9:40000";
    let mut server = Server::start().await;
    let carrier = Peer::new(server.udp()).await;
    let trunk = registering(silent(carrier.address()), 300);
    server.stack.set_trunks(vec![trunk]);
    assert_eq!(status(&mut server).await, TrunkStatus::Registering);
    let first = carrier.until("REGISTER").await;
    let own = format!("<sip:4215550@{}>", server.udp());
    assert_eq!(header(&first, "Contact"), own);
    carrier
        .send(&natted(respond(&first, "200 OK", "c", "", "")))
        .await;
    let second = carrier.until("REGISTER").await;
    assert_eq!(header(&second, "Contact"), format!("<sip:4215550@{seen}>"));
    assert!(second.contains(&format!("Contact: {own};expires=0\r\n")));
    assert!(header(&second, "Via").starts_with(&format!("SIP/2.0/UDP {seen};")));
    carrier
        .send(&natted(respond(&second, "200 OK", "c", "", "")))
        .await;
    assert!(matches!(
        status(&mut server).await,
        TrunkStatus::Registered { .. }
    ));
    assert_eq!(
        server.stack.seen_by_trunk("carrier"),
        "203.0.113.9".parse().ok()
    );
    // Calls by it say so, both ways; those of others don't.
    let _leg = dial(&server.stack, Identity::default(), SDP).await;
    let invite = carrier.until("INVITE").await;
    assert!(header(&invite, "Contact").contains(seen));
    assert!(header(&invite, "Via").contains(seen));
    carrier.send(&carrier.invite("4215550", "in", "")).await;
    let call = server.incoming().await;
    call.leg.handle().answer(SDP.into()).await.unwrap();
    let ok = carrier.until("SIP/2.0 200").await;
    assert!(header(&ok, "Contact").contains(seen), "{ok}");
}

#[tokio::test]
async fn an_address_that_was_set_is_not_replaced_by_what_a_carrier_sees() {
    let public = |config: &mut SipConfig| {
        for listener in &mut config.listeners {
            listener.public = "sip.example.com".parse().ok();
        }
    };
    let mut server = Server::with(public, Arc::new(Book::default())).await;
    let carrier = Peer::new(server.udp()).await;
    let trunk = registering(silent(carrier.address()), 300);
    server.stack.set_trunks(vec![trunk]);
    assert_eq!(status(&mut server).await, TrunkStatus::Registering);
    let first = carrier.until("REGISTER").await;
    let ok = respond(&first, "200 OK", "c", "", "");
    let ok = ok.replace(";rport", ";received=203.0.113.9;rport=40000");
    carrier.send(&ok).await;
    assert!(matches!(
        status(&mut server).await,
        TrunkStatus::Registered { .. }
    ));
    assert_eq!(server.stack.seen_by_trunk("carrier"), None);
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_tried_on() {
    let mut server = Server::start().await;
    let carrier = Peer::new(server.udp()).await;
    let trunk = registering(silent(carrier.address()), 300);
    server.stack.set_trunks(vec![trunk]);
    let asks = format!("WWW-Authenticate: {CHALLENGE}\r\n");
    for _ in 0..2 {
        let register = carrier.until("REGISTER").await;
        carrier
            .send(&respond(&register, "401 Unauthorized", "c", &asks, ""))
            .await;
    }
    assert_eq!(status(&mut server).await, TrunkStatus::Registering);
    let TrunkStatus::Failing { why, retry_at, .. } = status(&mut server).await else {
        panic!("not failing");
    };
    assert_eq!(why, TrunkProblem::WrongPassword { status: 401 });
    assert!(retry_at.as_second() - jiff::Timestamp::now().as_second() >= 44);
}

#[tokio::test]
async fn a_call_by_a_trunk_says_who_calls_and_proves_it_throughout() {
    let server = Server::start().await;
    let carrier = Peer::new(server.udp()).await;
    let trunk = Trunk {
        from_domain: Some("acme.example".into()),
        ..with_password(silent(carrier.address()))
    };
    server.stack.set_trunks(vec![trunk]);
    let identity = Identity {
        asserted: Some("+421111".into()),
        privacy: Privacy::None,
    };
    let mut leg = dial(&server.stack, identity, SDP).await;
    let first = carrier.until("INVITE").await;
    let asks = format!("Proxy-Authenticate: {CHALLENGE}\r\n");
    carrier
        .send(&respond(
            &first,
            "407 Proxy Authentication Required",
            "x",
            &asks,
            "",
        ))
        .await;
    carrier.until("ACK").await;
    let invite = carrier.until("INVITE").await;
    assert!(proves(&invite, "Proxy-Authorization"));
    let to = format!("sip:+420222@{}", carrier.address());
    assert!(invite.starts_with(&format!("INVITE {to} SIP/2.0")));
    assert_eq!(header(&invite, "To"), format!("<{to}>"));
    assert!(header(&invite, "From").starts_with("\"Acme\" <sip:+421111@acme.example>;tag="));
    assert_eq!(
        header(&invite, "P-Asserted-Identity"),
        "<sip:+421111@acme.example>"
    );
    assert!(!invite.contains("Privacy:"));
    let contact = format!("Contact: <sip:c@{}>\r\n{KIND}", carrier.address());
    let ringing = respond(&invite, "183 Session Progress", "t", &contact, SDP);
    carrier.send(&ringing).await;
    assert_eq!(next(&mut leg).await, LegEvent::Early { sdp: SDP.into() });
    carrier
        .send(&respond(&invite, "200 OK", "t", &contact, SDP))
        .await;
    let ack = carrier.until("ACK").await;
    assert!(proves(&invite, "Proxy-Authorization") && ack.contains("Proxy-Authorization: "));
    assert_eq!(header(&ack, "CSeq"), "2 ACK");
    assert!(matches!(next(&mut leg).await, LegEvent::Answered { .. }));
    leg.handle().hang_up(Reason::normal()).await.unwrap();
    let bye = carrier.until("BYE").await;
    assert!(proves(&bye, "Proxy-Authorization"), "the nonce is known");
    // This one has run out, and no word of it.
    let again = asks.replace("abc", "def");
    carrier
        .send(&respond(
            &bye,
            "407 Proxy Authentication Required",
            "t",
            &again,
            "",
        ))
        .await;
    let bye = timeout(DEADLINE, async {
        loop {
            let bye = carrier.until("BYE").await;
            if bye.contains("nonce=\"def\"") {
                return bye;
            }
        }
    });
    assert!(proves(&bye.await.unwrap(), "Proxy-Authorization"));
}

#[tokio::test]
async fn a_private_caller_is_named_to_the_carrier_only() {
    let server = Server::start().await;
    let carrier = Peer::new(server.udp()).await;
    server.stack.set_trunks(vec![silent(carrier.address())]);
    let identity = Identity {
        asserted: Some("+421111".into()),
        privacy: Privacy::Id,
    };
    let mut leg = dial(&server.stack, identity, SDP).await;
    let invite = carrier.until("INVITE").await;
    assert!(header(&invite, "From").starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>"));
    assert_eq!(header(&invite, "Privacy"), "id");
    assert!(header(&invite, "P-Asserted-Identity").contains("+421111"));
    // Nothing is known that could answer this.
    let asks = format!("WWW-Authenticate: {CHALLENGE}\r\n");
    carrier
        .send(&respond(&invite, "401 Unauthorized", "t", &asks, ""))
        .await;
    let LegEvent::Failed { status, reason } = next(&mut leg).await else {
        panic!("not refused");
    };
    let text = reason.and_then(|reason| reason.text).unwrap();
    assert_eq!(
        (status, text),
        (401, TrunkProblem::NoCredential.to_string())
    );
}

/// Answers A and SRV queries from a table until the test is over.
async fn name_server(records: HashMap<&'static str, Vec<RData>>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let mut answer = Message::response(query.metadata.id, OpCode::Query);
            for question in &query.queries {
                answer.add_query(question.clone());
                let name = question.name().to_utf8();
                let known = records
                    .get(name.trim_end_matches('.'))
                    .into_iter()
                    .flatten();
                for data in known.filter(|data| data.record_type() == question.query_type()) {
                    let record = Record::from_rdata(question.name().clone(), 60, data.clone());
                    answer.add_answer(record);
                }
            }
            socket
                .send_to(&answer.to_vec().unwrap(), from)
                .await
                .unwrap();
        }
    });
    address
}

fn srv(priority: u16, at: SocketAddr) -> RData {
    let host = Name::from_str("edge.carrier.test.").unwrap();
    RData::SRV(SRV::new(priority, 1, at.port(), host))
}

#[tokio::test]
async fn a_call_goes_on_to_the_next_address_of_the_dns() {
    let free = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dead = free.local_addr().unwrap();
    let own: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let (busy, good) = (Peer::new(own).await, Peer::new(own).await);
    let local = RData::A(A::new(127, 0, 0, 1));
    let services = vec![
        srv(30, good.address()),
        srv(10, dead),
        srv(20, busy.address()),
    ];
    let dns = name_server(HashMap::from([
        ("_sip._udp.carrier.test", services),
        ("edge.carrier.test", vec![local]),
    ]))
    .await;
    let asking = |c: &mut SipConfig| {
        fast(c);
        c.name_servers = vec![dns];
    };
    let server = Server::with(asking, Arc::new(Book::default())).await;
    let (busy, good) = (
        Peer {
            server: server.udp(),
            ..busy
        },
        Peer {
            server: server.udp(),
            ..good
        },
    );
    server.stack.set_trunks(vec![silent("carrier.test")]);
    let mut leg = dial(&server.stack, Identity::default(), SDP).await;
    // The first says nothing, the second has no room, the third is well.
    let invite = busy.until("INVITE").await;
    assert!(invite.starts_with("INVITE sip:+420222@carrier.test SIP/2.0"));
    busy.send(&respond(&invite, "503 Service Unavailable", "b", "", ""))
        .await;
    let invite = good.until("INVITE").await;
    good.send(&respond(&invite, "180 Ringing", "g", "", ""))
        .await;
    assert_eq!(next(&mut leg).await, LegEvent::Ringing);
    good.send(&respond(&invite, "486 Busy Here", "g", "", ""))
        .await;
    assert!(matches!(
        next(&mut leg).await,
        LegEvent::Failed { status: 486, .. }
    ));
    drop(free);
}

#[tokio::test]
async fn the_dns_says_by_which_transport_a_carrier_is_reached() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let leads = |order, service: &str, to: &str| {
        let [flags, service, none] = ["S", service, ""].map(|text| text.as_bytes().into());
        let to = Name::from_str(to).unwrap();
        RData::NAPTR(NAPTR::new(order, 50, flags, service, none, to))
    };
    let carrier = vec![
        leads(20, "SIP+D2U", "_sip._udp.carrier.test."),
        leads(10, "SIP+D2T", "edges.carrier.test."),
        // What a browser would use is not for us.
        leads(5, "SIP+D2W", "web.carrier.test."),
    ];
    let dns = name_server(HashMap::from([
        ("carrier.test", carrier),
        (
            "edges.carrier.test",
            vec![srv(1, port.local_addr().unwrap())],
        ),
        ("edge.carrier.test", vec![RData::A(A::new(127, 0, 0, 1))]),
    ]))
    .await;
    let asking = |c: &mut SipConfig| c.name_servers = vec![dns];
    let server = Server::with(asking, Arc::new(Book::default())).await;
    server
        .stack
        .set_trunks(vec![registering(silent("carrier.test"), 300)]);
    let (mut stream, _) = timeout(DEADLINE, port.accept()).await.unwrap().unwrap();
    let register = read(&mut stream).await;
    assert!(register.starts_with("REGISTER sip:carrier.test SIP/2.0"));
    assert!(header(&register, "Via").starts_with("SIP/2.0/TCP "));
}

#[tokio::test]
async fn a_registration_goes_on_to_the_next_address_of_the_dns() {
    let own: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let silence = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (full, good) = (Peer::new(own).await, Peer::new(own).await);
    let services = vec![
        srv(10, silence.local_addr().unwrap()),
        srv(20, full.address()),
        srv(30, good.address()),
    ];
    let local = RData::A(A::new(127, 0, 0, 1));
    let dns = name_server(HashMap::from([
        ("_sip._udp.carrier.test", services),
        ("edge.carrier.test", vec![local]),
    ]))
    .await;
    let asking = |c: &mut SipConfig| {
        fast(c);
        c.name_servers = vec![dns];
    };
    let mut server = Server::with(asking, Arc::new(Book::default())).await;
    let beside = |peer: Peer| Peer {
        server: server.udp(),
        ..peer
    };
    let (full, good) = (beside(full), beside(good));
    server
        .stack
        .set_trunks(vec![registering(silent("carrier.test"), 300)]);
    assert_eq!(status(&mut server).await, TrunkStatus::Registering);
    let register = full.until("REGISTER").await;
    assert!(register.starts_with("REGISTER sip:carrier.test SIP/2.0"));
    full.send(&respond(&register, "503 Service Unavailable", "f", "", ""))
        .await;
    let register = good.until("REGISTER").await;
    good.send(&respond(&register, "200 OK", "g", "Expires: 300\r\n", ""))
        .await;
    let TrunkStatus::Registered { via, .. } = status(&mut server).await else {
        panic!("not registered");
    };
    assert_eq!(via, good.address());
    // And calls go the way the registration went.
    let _leg = dial(&server.stack, Identity::default(), SDP).await;
    good.until("INVITE").await;
}

#[tokio::test]
async fn everything_goes_by_the_outbound_proxy_that_is_set() {
    let mut server = Server::start().await;
    let proxy = Peer::new(server.udp()).await;
    let trunk = Trunk {
        outbound_proxy: proxy.address().to_string().parse().ok(),
        keep_alive: Some(Duration::from_millis(50)),
        ..registering(silent("carrier.invalid"), 300)
    };
    server.stack.set_trunks(vec![trunk]);
    assert_eq!(status(&mut server).await, TrunkStatus::Registering);
    let route = format!("<sip:{};lr>", proxy.address());
    let register = proxy.until("REGISTER").await;
    assert!(register.starts_with("REGISTER sip:carrier.invalid SIP/2.0"));
    assert_eq!(header(&register, "Route"), route);
    proxy
        .send(&respond(&register, "200 OK", "p", "Expires: 300\r\n", ""))
        .await;
    let options = proxy.until("OPTIONS").await;
    assert_eq!(header(&options, "Route"), route);
    // What we can is told here too.
    for told in [&register, &options] {
        assert!(header(told, "Allow").contains("UPDATE"), "{told}");
        assert!(header(told, "Supported").contains("path"), "{told}");
    }
    let mut leg = dial(&server.stack, Identity::default(), SDP).await;
    let invite = proxy.until("INVITE").await;
    assert!(invite.starts_with("INVITE sip:+420222@carrier.invalid SIP/2.0"));
    assert_eq!(header(&invite, "Route"), route);
    // In the call its own route holds, which the proxy has made (RFC 3261 §12.2.1.1).
    let made = format!("Record-Route: {route}\r\nContact: <sip:gateway@192.0.2.9>\r\n{KIND}");
    proxy
        .send(&respond(&invite, "200 OK", "c", &made, SDP))
        .await;
    assert!(matches!(next(&mut leg).await, LegEvent::Answered { .. }));
    let ack = proxy.until("ACK").await;
    assert!(
        ack.starts_with("ACK sip:gateway@192.0.2.9 SIP/2.0"),
        "{ack}"
    );
    leg.handle().hang_up(Reason::normal()).await.unwrap();
    let bye = proxy.until("BYE").await;
    assert_eq!(header(&bye, "Route"), route);
}

#[tokio::test]
async fn a_late_answer_of_an_address_given_up_is_declined() {
    let server = Server::with(fast, Arc::new(Book::default())).await;
    let carrier = Peer::new(server.udp()).await;
    server.stack.set_trunks(vec![silent(carrier.address())]);
    let mut leg = dial(&server.stack, Identity::default(), SDP).await;
    let invite = carrier.until("INVITE").await;
    assert!(matches!(
        next(&mut leg).await,
        LegEvent::Failed { status: 408, .. }
    ));
    let contact = format!("Contact: <sip:c@{}>\r\n{KIND}", carrier.address());
    carrier
        .send(&respond(&invite, "200 OK", "late", &contact, SDP))
        .await;
    carrier.until("ACK").await;
    carrier.until("BYE").await;
}

#[tokio::test]
async fn a_trunk_is_known_by_its_source_and_believed_if_trusted() {
    let closed = Arc::new(Book {
        closed: true,
        ..Book::default()
    });
    let mut server = Server::with(|_| {}, closed).await;
    let carrier = Peer::new(server.udp()).await;
    let asserted = "P-Asserted-Identity: \"Real\" <sip:+421900@x>\r\nDiversion: <sip:+42177@x>;reason=unconditional\r\n";
    carrier.send(&carrier.invite("4210", "a", asserted)).await;
    carrier.until("SIP/2.0 403").await;
    let trunk = Trunk {
        sources: vec!["127.0.0.0/8".parse().unwrap()],
        ..silent("192.0.2.1")
    };
    server.stack.set_trunks(vec![trunk.clone()]);
    carrier.send(&carrier.invite("4210", "b", asserted)).await;
    let call = server.incoming().await;
    assert_eq!(call.trunk.as_deref(), Some("carrier"));
    let party = |user: &str, display: Option<&str>| Party {
        user: user.into(),
        display: display.map(str::to_owned),
    };
    assert_eq!(call.asserted, Some(party("+421900", Some("Real"))));
    assert_eq!(call.diversion, Some(party("+42177", None)));
    assert_eq!(call.to, party("4210", None));
    assert_eq!(call.request_uri, format!("sip:4210@{}", server.udp()));
    let stranger = Trunk {
        trusts_identity: false,
        ..trunk
    };
    server.stack.set_trunks(vec![stranger]);
    carrier.send(&carrier.invite("4210", "c", asserted)).await;
    assert_eq!(server.incoming().await.asserted, None);
}

/// A carrier of our own kind, over TLS.
async fn tls_carrier(folder: &std::path::Path) -> (Server, std::path::PathBuf) {
    let files = certificate(folder, "carrier").await;
    let authority = files.chain.clone();
    let tls = |c: &mut SipConfig| {
        let free = "127.0.0.1:0".parse().unwrap();
        c.listeners.push(Listener::new(Transport::Tls, free));
        c.certificate = Some(files);
    };
    (
        Server::with(tls, Arc::new(Book::default())).await,
        authority,
    )
}

#[tokio::test]
async fn a_call_by_tls_reaches_the_carrier_its_certificate_names_or_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (mut carrier, authority) = tls_carrier(folder.path()).await;
    let server = Server::start().await;
    let address = carrier.stack.address(Transport::Tls).unwrap();
    let trunk = Trunk {
        transport: Some(Transport::Tls),
        tls: TrunkTls {
            authorities: Some(authority),
            name: None,
        },
        ..silent(address)
    };
    server.stack.set_trunks(vec![trunk.clone()]);
    let mut leg = dial(&server.stack, Identity::default(), SDP).await;
    let call = carrier.incoming().await;
    assert_eq!(
        (call.to_user.as_str(), call.from.user.as_str()),
        ("+420222", "+421111")
    );
    let there = call.leg.handle();
    there.answer(SDP.into()).await.unwrap();
    assert!(matches!(next(&mut leg).await, LegEvent::Answered { .. }));
    let mut far = call.leg;
    assert!(matches!(next(&mut far).await, LegEvent::Confirmed { .. }));
    there.hang_up(Reason::normal()).await.unwrap();
    assert_eq!(next(&mut leg).await, LegEvent::Confirmed { sdp: None });
    assert!(matches!(next(&mut leg).await, LegEvent::HungUp { .. }));
    // The connection serves the next call as well.
    let mut second = dial(&server.stack, Identity::default(), SDP).await;
    let again = carrier.incoming().await;
    assert_eq!(again.source, call.source);
    again.leg.handle().reject(486, None).await.unwrap();
    assert!(matches!(
        next(&mut second).await,
        LegEvent::Failed { status: 486, .. }
    ));
    // Another name than the certificate's, and authorities that don't vouch for it.
    let mut named = trunk.clone();
    named.tls.name = Some("sip.example.com".into());
    let report = server.stack.probe_trunk(named).await;
    assert!(!report.succeeded());
    let refused = report.steps.last().unwrap();
    assert_eq!(refused.action, ProbeAction::Connect);
    assert!(
        matches!(&refused.result, Err(TrunkProblem::Certificate { name, .. }) if name == "sip.example.com")
    );
    let mut untrusted = trunk.clone();
    untrusted.tls.authorities = None;
    server.stack.set_trunks(vec![untrusted]);
    let mut leg = dial(&server.stack, Identity::default(), SDP).await;
    let LegEvent::Failed {
        status: 503,
        reason,
    } = next(&mut leg).await
    else {
        panic!("it must not be reached");
    };
    assert!(reason.unwrap().text.unwrap().contains("certificate"));
    let good = server.stack.probe_trunk(trunk).await;
    assert!(good.succeeded(), "{good:?}");
}

#[tokio::test]
async fn a_probe_says_each_step_and_why_not() {
    let server = Server::with(fast, Arc::new(Book::default())).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = nobody.local_addr().unwrap();
    drop(nobody);
    let tcp = Trunk {
        transport: Some(Transport::Tcp),
        ..silent(closed)
    };
    let report = server.stack.probe_trunk(tcp).await;
    let actions: Vec<_> = report.steps.iter().map(|step| step.action).collect();
    assert_eq!(actions, [ProbeAction::Resolve, ProbeAction::Connect]);
    let why = report.steps[1].result.clone().unwrap_err();
    assert!(why.to_string().contains("refused"), "{why}");
    let carrier = Peer::new(server.udp()).await;
    let answer = async {
        let options = carrier.until("OPTIONS").await;
        carrier
            .send(&respond(&options, "200 OK", "o", "", ""))
            .await;
        let register = carrier.until("REGISTER").await;
        carrier
            .send(&respond(&register, "403 Forbidden", "o", "", ""))
            .await;
    };
    let trunk = registering(silent(carrier.address()), 300);
    let (report, ()) = tokio::join!(server.stack.probe_trunk(trunk), answer);
    let last = report.steps.last().unwrap();
    assert_eq!(last.action, ProbeAction::Register);
    let refused = TrunkProblem::Refused {
        method: "REGISTER",
        status: 403,
    };
    assert_eq!(last.result, Err(refused));
    assert!(
        report.steps[2]
            .result
            .as_ref()
            .unwrap()
            .starts_with("answered after ")
    );
}

#[tokio::test]
async fn a_carrier_that_falls_silent_fails_and_comes_back() {
    let mut server = Server::start().await;
    let carrier = Peer::new(server.udp()).await;
    let trunk = Trunk {
        keep_alive: Some(Duration::from_millis(50)),
        ..silent(carrier.address())
    };
    server.stack.set_trunks(vec![trunk]);
    let options = carrier.until("OPTIONS").await;
    carrier
        .send(&respond(&options, "404 Not Found", "o", "", ""))
        .await;
    let up = status(&mut server).await;
    assert!(matches!(up, TrunkStatus::Answering { .. }) && up.is_usable());
    let options = carrier.until("OPTIONS").await;
    carrier
        .send(&respond(&options, "503 Service Unavailable", "o", "", ""))
        .await;
    let down = status(&mut server).await;
    assert!(matches!(down, TrunkStatus::Failing { .. }) && !down.is_usable());
    assert_eq!(server.stack.trunk_status("carrier"), Some(down));
}

#[tokio::test]
async fn a_large_request_goes_by_tcp_where_it_can() {
    let large = format!("{SDP}a=x:{}\r\n", "y".repeat(1200));
    let server = Server::start().await;
    // Nobody accepts connections here.
    let plain = Peer::new(server.udp()).await;
    server.stack.set_trunks(vec![silent(plain.address())]);
    let _leg = dial(&server.stack, Identity::default(), &large).await;
    let invite = plain.until("INVITE").await;
    assert!(header(&invite, "Via").starts_with("SIP/2.0/UDP "));
    // A stack has both on one port.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let both = port.local_addr().unwrap();
    drop(port);
    let same = |c: &mut SipConfig| {
        for listener in &mut c.listeners {
            listener.bind = both;
        }
    };
    let mut carrier = Server::with(same, Arc::new(Book::default())).await;
    server.stack.set_trunks(vec![silent(both)]);
    let _large = dial(&server.stack, Identity::default(), &large).await;
    let call = carrier.incoming().await;
    assert_ne!(call.source, server.udp(), "it came by a connection");
    let _small = dial(&server.stack, Identity::default(), SDP).await;
    assert_eq!(carrier.incoming().await.source, server.udp());
}

/// One whole message of a connection.
async fn read(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let whole = async {
        while !text.ends_with(b"\r\n\r\n") {
            text.push(stream.read_u8().await.unwrap());
        }
    };
    timeout(DEADLINE, whole).await.expect("a message in time");
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_registration_lives_and_dies_with_its_connection() {
    let often = |c: &mut SipConfig| c.limits.keep_open = Duration::from_secs(1);
    let mut server = Server::with(often, Arc::new(Book::default())).await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let trunk = Trunk {
        transport: Some(Transport::Tcp),
        ..registering(silent(port.local_addr().unwrap()), 300)
    };
    server.stack.set_trunks(vec![trunk]);
    let (mut stream, _) = timeout(DEADLINE, port.accept()).await.unwrap().unwrap();
    let register = read(&mut stream).await;
    assert!(header(&register, "Contact").ends_with(";transport=tcp>"));
    let ok = respond(&register, "200 OK", "c", "Expires: 300\r\n", "");
    stream.write_all(ok.as_bytes()).await.unwrap();
    // The carrier calls by the connection we opened.
    let peer = Peer::new(server.udp()).await;
    let invite = peer.invite("4215550", "in", "").replace("/UDP ", "/TCP ");
    stream.write_all(invite.as_bytes()).await.unwrap();
    let call = loop {
        if let SipEvent::Incoming(call) = server.event().await {
            break call;
        }
    };
    assert_eq!(call.trunk.as_deref(), Some("carrier"));
    drop(call);
    // Something passes now and then, so that no NAT between us forgets the way.
    let mut passed = Vec::new();
    let open = async {
        while !passed.ends_with(b"\r\n\r\n\r\n\r\n") {
            passed.push(stream.read_u8().await.unwrap());
        }
    };
    timeout(DEADLINE, open).await.expect("a ping in time");
    drop(stream);
    let (mut stream, _) = timeout(DEADLINE, port.accept()).await.unwrap().unwrap();
    assert!(read(&mut stream).await.starts_with("REGISTER "));
}

#[tokio::test]
async fn a_carrier_is_reached_by_ipv6() {
    let both = |c: &mut SipConfig| {
        let six = "[::1]:0".parse().unwrap();
        c.listeners.push(Listener::new(Transport::Udp, six));
    };
    let server = Server::with(both, Arc::new(Book::default())).await;
    let six = server.stack.addresses().last().unwrap().1;
    let carrier = Peer::beside(six).await;
    server.stack.set_trunks(vec![silent(carrier.address())]);
    let _leg = dial(&server.stack, Identity::default(), SDP).await;
    let invite = carrier.until("INVITE").await;
    let to = format!("INVITE sip:+420222@{} SIP/2.0", carrier.address());
    assert!(invite.starts_with(&to), "{invite}");
    assert_eq!(header(&invite, "Contact"), format!("<sip:{six}>"));
    assert!(header(&invite, "Via").contains(&format!(" {six};")));
}
