//! Real peers: SIPp and baresip. `make test` installs them.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use sip::{LegEvent, SipEvent};
use tokio::process::Command;
use tokio::time::timeout;

use crate::ua::{SDP, Server};

const LONG: Duration = Duration::from_secs(30);

/// Runs a scenario of ours to its end; SIPp says 0 when all calls went well.
async fn sipp(scenario: &str, transport: &str, server: &Server, calls: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sipp")
        .join(scenario);
    let address = match transport {
        "u1" => server.stack.address(sip::Transport::Udp),
        _ => server.stack.address(sip::Transport::Tcp),
    };
    let run = Command::new("sipp")
        .arg(address.unwrap().to_string())
        .args([
            "-sf",
            file.to_str().unwrap(),
            "-t",
            transport,
            "-i",
            "127.0.0.1",
            "-mi",
            "127.0.0.1",
        ])
        .args([
            "-m",
            calls,
            "-r",
            "50",
            "-nostdin",
            "-timeout",
            "25",
            "-timeout_error",
            "-p",
            "0",
        ])
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .output();
    let output = timeout(LONG, run)
        .await
        .expect("sipp ends")
        .expect("sipp is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{scenario} over {transport}: {:?} {said}",
        output.status
    );
}

/// Rings every call, and answers it if told to.
fn drive(mut server: Server, answer: bool) -> (Server, tokio::task::JoinHandle<Vec<LegEvent>>) {
    let (_, placeholder) = tokio::sync::mpsc::channel(1);
    let mut events = std::mem::replace(&mut server.events, placeholder);
    let task = tokio::spawn(async move {
        let mut last = Vec::new();
        while let Some(event) = events.recv().await {
            let SipEvent::Incoming(call) = event else {
                continue;
            };
            let mut leg = call.leg;
            leg.handle().ring().await.unwrap();
            if answer {
                leg.handle().answer(SDP.into()).await.unwrap();
            }
            while let Some(event) = leg.next_event().await {
                last.push(event);
            }
        }
        last
    });
    (server, task)
}

async fn scenario(name: &str, transport: &str, answer: bool) -> Vec<LegEvent> {
    let (server, task) = drive(Server::start().await, answer);
    sipp(name, transport, &server, "10").await;
    server.stack.shutdown(Duration::from_secs(1)).await;
    assert_eq!(server.stack.counters().legs, 0);
    drop(server);
    timeout(LONG, task).await.unwrap().unwrap()
}

#[tokio::test]
async fn sipp_calls_and_hangs_up() {
    for transport in ["u1", "t1"] {
        let events = scenario("call.xml", transport, true).await;
        assert_eq!(
            events
                .iter()
                .filter(|e| matches!(e, LegEvent::HungUp { .. }))
                .count(),
            10
        );
    }
}

#[tokio::test]
async fn sipp_gives_up_while_it_rings() {
    for transport in ["u1", "t1"] {
        let events = scenario("cancel.xml", transport, false).await;
        assert_eq!(
            events,
            vec![LegEvent::Cancelled { reason: None }; 10],
            "{transport}"
        );
    }
}

#[tokio::test]
async fn baresip_registers_with_its_password() {
    let mut server = Server::start().await;
    let home = tempfile::tempdir().unwrap();
    let account = format!(
        "<sip:1005@{}>;auth_user=1005;auth_pass=pw-1005;regint=120\n",
        server.udp()
    );
    let mut phone = baresip(home.path(), &account);
    let event = timeout(Duration::from_secs(8), server.events.recv())
        .await
        .expect("baresip registers")
        .unwrap();
    assert!(
        matches!(&event, SipEvent::Registered { username, bindings: 1 } if username == "1005"),
        "{event:?}"
    );
    phone.kill().await.unwrap();
}

/// A running baresip with its files in this folder.
pub fn baresip(home: &std::path::Path, account: &str) -> tokio::process::Child {
    std::fs::write(home.join("accounts"), account).unwrap();
    let modules = [
        "/usr/lib/baresip/modules",
        "/usr/lib/x86_64-linux-gnu/baresip/modules",
    ];
    let modules = modules
        .iter()
        .find(|p| std::path::Path::new(p).is_dir())
        .expect("baresip is installed");
    let config = format!(
        "module_path {modules}\nsip_listen 127.0.0.1:0\nmodule g711.so\nmodule_app account.so\nmodule_app menu.so\n"
    );
    std::fs::write(home.join("config"), config).unwrap();
    std::fs::write(home.join("contacts"), "").unwrap();
    Command::new("baresip")
        .args(["-f", home.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("baresip is installed")
}
