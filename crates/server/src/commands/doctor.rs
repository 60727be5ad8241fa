//! `trunkline doctor`: looks at the machine the way the server will use it.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, SystemTime},
};

use anstream::println;
use phone::{Folders, recordings::UNCLAIMED};
use serde_json::json;

use super::ConfigArgs;
use crate::{config::Config, control::Operator};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

/// One thing that was looked at.
struct Finding {
    ok: bool,
    what: String,
    advice: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>) -> Self {
        Self {
            ok: true,
            what: what.into(),
            advice: None,
        }
    }

    fn bad(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            ok: false,
            what: what.into(),
            advice: Some(advice.into()),
        }
    }
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let findings = examine(&config);
    for finding in &findings {
        println!(
            "{} {}",
            if finding.ok { "ok  " } else { "FAIL" },
            finding.what
        );
        if let Some(advice) = &finding.advice {
            println!("     {advice}");
        }
    }
    let bad = findings.iter().filter(|finding| !finding.ok).count();
    println!(
        "{}",
        if bad == 0 {
            "This machine is ready.".to_owned()
        } else {
            format!("{bad} to mend.")
        }
    );
    Ok(if bad == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = match Operator::reach(&config.data) {
        // The ports it should have are taken by itself.
        Ok(server) => vec![
            Finding::good("a server runs here; its ports are not tried"),
            audio(server),
        ],
        Err(_) => ports(config),
    };
    findings.push(program("flite", "English prompts"));
    findings.push(program("espeak-ng", "prompts in other languages"));
    findings.push(folder(&config.data));
    findings.extend(bucket(config));
    findings.extend(unclaimed(config));
    findings.push(open_files(config));
    findings.push(clock());
    findings
}

fn ports(config: &Config) -> Vec<Finding> {
    let mut findings = vec![
        tcp("http", config.http),
        tcp("sip over TCP", config.sip),
        udp("sip over UDP", config.sip),
    ];
    let gateway = config.gateway_http;
    findings.extend(gateway.map(|address| tcp("gateway-http", address)));
    findings.push(rtp(config));
    findings
}

/// Whether the running server sends audio on time.
fn audio(mut server: Operator) -> Finding {
    let advice = "the machine is too busy: give the server more cores, or take other work off it";
    match server.ask(&json!({ "command": "audio" })) {
        Ok(told) => {
            let said = told["said"].as_str().unwrap_or_default();
            match told["late"].as_bool() {
                Some(false) => Finding::good(said),
                _ => Finding::bad(said, advice),
            }
        }
        Err(error) => Finding::bad(
            format!("audio of the running server: {error:#}"),
            "restart the server if it is of another version than this command",
        ),
    }
}

/// Whether recordings can be kept where they are to be kept.
fn bucket(config: &Config) -> Option<Finding> {
    let url = config.recordings_bucket.as_ref()?;
    let advice = "see recordings_bucket, recordings_endpoint, recordings_region and the two AWS_ variables in docs/operations.md; the credentials need to read, write and delete";
    let probed = crate::wiring::recordings_bucket(config).and_then(|archive| {
        let Some(archive) = archive else {
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(runtime.block_on(archive.probe())?)
    });
    Some(match probed {
        Ok(()) => Finding::good(format!("{url} takes, gives and deletes files")),
        Err(error) => Finding::bad(format!("{url}: {error:#}"), advice),
    })
}

/// Whether recordings lie about that belong to no call.
fn unclaimed(config: &Config) -> Option<Finding> {
    let folder = Folders::below(&config.data).recordings.join(UNCLAIMED);
    let files = std::fs::read_dir(&folder).map_or(0, Iterator::count);
    (files > 0).then(|| {
        Finding::bad(
            format!(
                "recordings that belong to no call: {files} in {}",
                folder.display()
            ),
            "listen to them, then keep them elsewhere or remove them; no retention applies to them there",
        )
    })
}

fn tcp(what: &str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::good(format!("{what} {address} is free")),
        Err(error) => Finding::bad(format!("{what} {address}: {error}"), port_advice(&error)),
    }
}

fn udp(what: &str, address: SocketAddr) -> Finding {
    match UdpSocket::bind(address) {
        Ok(_) => Finding::good(format!("{what} {address} is free")),
        Err(error) => Finding::bad(format!("{what} {address}: {error}"), port_advice(&error)),
    }
}

fn port_advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program has this port (perhaps a running trunkline): end it, or choose another port"
        }
        std::io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root or the capability net_bind_service"
        }
        std::io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        _ => "choose another address or port",
    }
}

fn rtp(config: &Config) -> Finding {
    let (low, high) = config.rtp_ports;
    let taken = (low..=high)
        .filter(|port| UdpSocket::bind((config.rtp_bind, *port)).is_err())
        .count();
    let all = usize::from(high - low) + 1;
    if taken * 10 > all {
        return Finding::bad(
            format!("{taken} of {all} audio ports {low}-{high} are taken"),
            "choose another range with --rtp-ports",
        );
    }
    Finding::good(format!(
        "audio ports {low}-{high}: {} legs at a time",
        (all - taken) / 2
    ))
}

fn program(name: &str, purpose: &str) -> Finding {
    let found = Command::new(name)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match found {
        Ok(_) => Finding::good(format!("{name} is installed ({purpose})")),
        Err(_) => Finding::bad(
            format!("{name} is missing ({purpose})"),
            format!("Debian and Ubuntu: apt-get install {name}"),
        ),
    }
}

fn folder(data: &Path) -> Finding {
    let shown = data.display();
    let probe = data.join(".doctor");
    let written = std::fs::create_dir_all(data)
        .and_then(|()| std::fs::write(&probe, b"x"))
        .and_then(|()| std::fs::remove_file(&probe));
    match written {
        Ok(()) => Finding::good(format!("{shown} can be written")),
        Err(error) => Finding::bad(
            format!("{shown} can't be written: {error}"),
            "give this user the folder, or name another with --data",
        ),
    }
}

fn open_files(config: &Config) -> Finding {
    let wanted = 2048;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    match soft {
        Some(limit) if limit < wanted => Finding::bad(
            format!("only {limit} files may be open at once"),
            format!(
                "each call needs 5; raise it with `ulimit -n {}`",
                u32::from(config.rtp_ports.1 - config.rtp_ports.0) * 3
            ),
        ),
        Some(limit) => Finding::good(format!("{limit} files may be open at once")),
        None => Finding::good("the limit of open files is unknown here"),
    }
}

/// Tokens and signatures fail on a machine whose clock is far off; the program's own age bounds it.
fn clock() -> Finding {
    let built = std::env::current_exe()
        .and_then(|exe| exe.metadata())
        .and_then(|meta| meta.modified());
    let day = Duration::from_secs(86_400);
    match built {
        Ok(built) if SystemTime::now() + day < built => Finding::bad(
            "the clock is behind this program's own date",
            "set the time (timedatectl set-ntp true)",
        ),
        _ => Finding::good("the clock is plausible"),
    }
}
