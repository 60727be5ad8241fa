//! TLS and WebSocket, with openssl, baresip and a WebSocket client as peers.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use sip::{
    Certificate, Dial, DialTarget, LegEvent, Listener, Party, SipError, SipEvent, Transport,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest};

use crate::peers::baresip;
use crate::ua::{DEADLINE, SDP, Server, header, proof, respond};

/// Makes a certificate of this name in the folder.
pub async fn certificate(folder: &Path, name: &str) -> Certificate {
    let files = Certificate {
        chain: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    };
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-subj", &format!("/CN={name}")])
        .arg("-out")
        .arg(&files.chain)
        .arg("-keyout")
        .arg(&files.key)
        .output();
    assert!(made.await.expect("openssl is installed").status.success());
    files
}

async fn secure(folder: &Path) -> Server {
    let files = certificate(folder, "first").await;
    let all = |c: &mut sip::SipConfig| {
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let further = [Transport::Tls, Transport::Ws, Transport::Wss];
        c.listeners
            .extend(further.map(|transport| Listener::new(transport, free)));
        c.certificate = Some(files);
        c.limits.keep_open = Duration::from_secs(1);
    };
    Server::with(all, Arc::default()).await
}

fn request(method: &str, via: &str, cseq: u32, extra: &str) -> String {
    format!(
        "{method} sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{via} browser.invalid;branch=z9hG4bK{via}{method}{cseq}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1001@127.0.0.1>;tag=r\r\nTo: <sip:1001@127.0.0.1>\r\nCall-ID: secure\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:1001@browser.invalid;transport=ws>\r\n{extra}Content-Length: 0\r\n\r\n"
    )
}

#[tokio::test]
async fn openssl_gets_an_answer_and_a_new_certificate_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = secure(folder.path()).await;
    let address = server
        .stack
        .address(sip::Transport::Tls)
        .unwrap()
        .to_string();
    let mut peer = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-connect"])
        .arg(&address)
        .arg("-CAfile")
        .arg(folder.path().join("cert.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = peer.stdin.take().unwrap();
    let text = request("OPTIONS", "TLS", 1, "");
    said.write_all(text.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let mut out = peer.stdout.take().unwrap();
    let mut piece = [0; 4096];
    let answer = async {
        while !heard.ends_with("\r\n\r\n") {
            let length = out.read(&mut piece).await.unwrap();
            assert_ne!(length, 0, "closed after {heard:?}");
            heard += &String::from_utf8_lossy(&piece[..length]);
        }
    };
    timeout(DEADLINE, answer).await.expect("an answer by TLS");
    assert!(heard.starts_with("SIP/2.0 200"), "{heard}");
    certificate(folder.path(), "second").await;
    let shown = async {
        loop {
            let output = Command::new("openssl")
                .args(["s_client", "-connect", &address])
                .stdin(Stdio::null())
                .output();
            if String::from_utf8_lossy(&output.await.unwrap().stdout).contains("CN = second") {
                return;
            }
        }
    };
    timeout(DEADLINE, shown).await.expect("the new certificate");
}

#[tokio::test]
async fn tls_without_a_good_certificate_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let start = async |certificate| {
        let config = sip::SipConfig {
            listeners: vec![Listener::new(
                Transport::Tls,
                "127.0.0.1:0".parse().unwrap(),
            )],
            certificate,
            ..sip::SipConfig::default()
        };
        let book: Arc<crate::ua::Book> = Arc::default();
        sip::SipStack::start(config, book).await.err().unwrap()
    };
    assert!(matches!(start(None).await, SipError::NoCertificate));
    let files = certificate(folder.path(), "x").await;
    std::fs::write(&files.chain, "nothing").unwrap();
    assert!(matches!(start(Some(files)).await, SipError::Certificate(_)));
}

#[tokio::test]
async fn baresip_registers_and_rings_by_tls() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = secure(folder.path()).await;
    let address = server.stack.address(sip::Transport::Tls).unwrap();
    let account =
        format!("<sip:1005@{address};transport=tls>;auth_user=1005;auth_pass=pw-1005;regint=120\n");
    let mut phone = baresip(folder.path(), &account);
    let event = server.event().await;
    assert!(matches!(event, SipEvent::Registered { .. }), "{event:?}");
    let binding = server.stack.bindings("1005").remove(0);
    assert_eq!(binding.transport, Transport::Tls);
    rings(&server, "1005").await;
    phone.kill().await.unwrap();
}

/// A call to a user reaches his phone.
async fn rings(server: &Server, username: &str) {
    let mut leg = dial(server, username).await;
    let event = timeout(DEADLINE, leg.next_event()).await.unwrap();
    assert_eq!(event, Some(LegEvent::Ringing));
}

async fn dial(server: &Server, username: &str) -> sip::Leg {
    let username = username.to_owned();
    let dial = Dial {
        to: DialTarget::Device { username },
        from: Party::default(),
        identity: sip::Identity::default(),
        offer: SDP.into(),
        browser_offer: None,
        headers: Vec::new(),
    };
    server.stack.dial(dial).await.unwrap()
}

/// As a browser: registers, is called, rings, and is gone with its connection.
async fn browses<S: AsyncRead + AsyncWrite + Unpin>(stream: S, via: &str, server: &mut Server) {
    let mut wanted = "ws://127.0.0.1/".into_client_request().unwrap();
    let name = "sip".parse().unwrap();
    wanted.headers_mut().insert("Sec-WebSocket-Protocol", name);
    let (mut socket, agreed) = tokio_tungstenite::client_async(wanted, stream)
        .await
        .unwrap();
    assert_eq!(agreed.headers()["Sec-WebSocket-Protocol"], "sip");
    let text = request("REGISTER", via, 1, "");
    socket.send(Message::text(text)).await.unwrap();
    let challenge = next(&mut socket).await;
    let md5 = challenge.lines().find(|l| l.contains("algorithm=MD5"));
    let uri = "sip:1001@127.0.0.1";
    let proof = proof(md5.unwrap(), "1001", "pw-1001", "REGISTER", uri, 1);
    let text = request("REGISTER", via, 2, &format!("Authorization: {proof}\r\n"));
    socket.send(Message::text(text)).await.unwrap();
    assert!(next(&mut socket).await.starts_with("SIP/2.0 200"));
    server.event().await;
    // Proxies on the way close what is silent.
    let ping = timeout(DEADLINE, socket.next()).await.expect("in time");
    assert!(matches!(ping, Some(Ok(Message::Ping(_)))), "{ping:?}");
    let mut leg = dial(server, "1001").await;
    let invite = next(&mut socket).await;
    assert!(invite.starts_with("INVITE sip:1001@browser.invalid;transport=ws "));
    assert!(header(&invite, "Via").starts_with(&format!("SIP/2.0/{via} 127.0.0.1:")));
    assert!(header(&invite, "Contact").ends_with(";transport=ws>"));
    let ringing = respond(&invite, "180 Ringing", "t", "", "");
    socket.send(Message::text(ringing)).await.unwrap();
    let event = timeout(DEADLINE, leg.next_event()).await.unwrap();
    assert_eq!(event, Some(LegEvent::Ringing));
    drop(socket);
    assert!(matches!(
        server.event().await,
        SipEvent::Unregistered { bindings: 0, .. }
    ));
}

async fn next<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> String {
    loop {
        let message = timeout(DEADLINE, socket.next()).await.expect("a message");
        if let Message::Text(text) = message.unwrap().unwrap() {
            return text.to_string();
        }
    }
}

#[tokio::test]
async fn a_browser_is_registered_and_called_by_websocket() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = secure(folder.path()).await;
    let plain = server.stack.address(sip::Transport::Ws).unwrap();
    let stream = TcpStream::connect(plain).await.unwrap();
    browses(stream, "WS", &mut server).await;

    let mut trusted = rustls::RootCertStore::empty();
    let ours = CertificateDer::from_pem_file(folder.path().join("cert.pem")).unwrap();
    trusted.add(ours).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let stream = TcpStream::connect(server.stack.address(sip::Transport::Wss).unwrap());
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, stream.await.unwrap())
        .await
        .unwrap();
    browses(stream, "WSS", &mut server).await;

    // Whoever does not say that he speaks SIP is told so.
    let stream = TcpStream::connect(plain).await.unwrap();
    let wanted = "ws://127.0.0.1/".into_client_request().unwrap();
    let refused = tokio_tungstenite::client_async(wanted, stream).await;
    assert!(matches!(refused, Err(Error::Http(answer)) if answer.status() == 400));
}
