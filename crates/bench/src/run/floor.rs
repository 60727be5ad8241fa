//! The yardstick for recorded calls: two threads with epoll, a socket per leg, receive and send, µ-law decoded
//! into a stereo WAV file. Nothing of a product: no latch, no reports, no counts, no order kept. What calls cost
//! here is what the machine takes for them; what a server takes beyond it is its own.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::Context;
use mio::{Events, Interest, Poll, Token, net::UdpSocket};
use serde_json::json;

use super::Out;
use crate::{
    process::Usage,
    stats::Samples,
    voice::{
        engine::{Voices, open_socket},
        signal::decode,
    },
};

const BLOCK: usize = 64 << 10;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    out: Out,
    #[arg(long, default_value_t = 100)]
    calls: usize,
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Threads that send and receive on this side.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Where the loop writes its files.
    #[arg(long)]
    folder: PathBuf,
}

#[derive(clap::Args)]
pub struct LoopArgs {
    #[arg(long)]
    calls: usize,
    #[arg(long)]
    folder: PathBuf,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["floor-loop", "--calls", &args.calls.to_string(), "--folder"])
        .arg(&args.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("the loop can't be started")?;
    let measured = load(args, &mut child);
    // Its standard input closes with this, and that ends it.
    drop(child.stdin.take());
    child.wait()?;
    let result = measured?;
    println!("{}", serde_json::to_string_pretty(&result)?);
    args.out.keep(&format!("floor-{}", args.calls), &result)
}

fn load(args: &Args, child: &mut std::process::Child) -> anyhow::Result<serde_json::Value> {
    let lines = BufReader::new(child.stdout.take().context("no output of the loop")?).lines();
    let ports: Vec<SocketAddr> = lines
        .take(args.calls * 2)
        .map(|line| anyhow::Ok(line?.parse()?))
        .collect::<anyhow::Result<_>>()?;
    let voices = Voices::start(args.threads)?;
    for (leg, port) in (0u16..).zip(&ports) {
        voices.add(leg, open_socket([127, 0, 3, 1].into())?);
        voices.talk(leg, *port);
    }
    thread::sleep(Duration::from_secs(2));
    let before = Usage::of(child.id())?;
    thread::sleep(Duration::from_secs(args.seconds));
    let after = Usage::of(child.id())?;
    let (report, reports) = std::sync::mpsc::channel();
    (0..ports.len())
        .filter_map(|leg| u16::try_from(leg).ok())
        .for_each(|leg| voices.remove(leg, &report));
    let heard: Vec<_> = reports.iter().take(ports.len()).collect();
    let late: Samples = voices
        .stop()
        .into_iter()
        .map(|late| f64::from(late) / 1_000.0)
        .collect();
    let (mut expected, mut lost, mut delay) = (0usize, 0usize, Samples::default());
    for leg in &heard {
        let Some(peer) = heard.iter().find(|other| other.leg == leg.leg ^ 1) else {
            continue;
        };
        // The first second each side learns where the other is; the last packets may be under way.
        let end = peer.sent_us.len().saturating_sub(5);
        for sequence in 50..end {
            expected += 1;
            match leg.took_us.get(sequence).copied().flatten() {
                Some(took) => delay.add(f64::from(took) / 1_000.0),
                None => lost += 1,
            }
        }
    }
    let cores = (after.cpu - before.cpu) / args.seconds as f64;
    Ok(json!({
        "calls": args.calls,
        "cores": cores,
        "core_percent_per_call": cores * 100.0 / args.calls as f64,
        "us_per_packet": cores * 1e6 / (args.calls as f64 * 100.0),
        "packets_expected": expected,
        "packets_lost": lost,
        "delay_ms": {"p50": delay.median(), "p99": delay.percentile(0.99), "max": delay.max()},
        "generator_late_ms": {"p99": late.percentile(0.99), "max": late.max()},
    }))
}

/// One call of the loop.
struct Pair {
    sockets: [UdpSocket; 2],
    peers: [Option<SocketAddr>; 2],
    sides: [Vec<i16>; 2],
    file: File,
}

pub fn run_loop(args: &LoopArgs) -> anyhow::Result<()> {
    let mut shares = [Vec::new(), Vec::new()];
    for call in 0..args.calls {
        let open = || UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let sockets = [open()?, open()?];
        for socket in &sockets {
            println!("{}", socket.local_addr()?);
        }
        let mut file = File::create(args.folder.join(format!("floor-{call}.wav")))?;
        file.write_all(&[0; 44])?;
        shares[call % 2].push(Pair {
            sockets,
            peers: [None; 2],
            sides: Default::default(),
            file,
        });
    }
    let [first, second] = shares;
    for share in [first, second] {
        thread::Builder::new()
            .name("floor".to_owned())
            .spawn(move || forward(share))?;
    }
    // Whoever started this lets go of it when he is done.
    std::io::stdin().lines().for_each(drop);
    for call in 0..args.calls {
        let _ = std::fs::remove_file(args.folder.join(format!("floor-{call}.wav")));
    }
    Ok(())
}

fn forward(mut pairs: Vec<Pair>) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    for (at, pair) in pairs.iter_mut().enumerate() {
        for (side, socket) in pair.sockets.iter_mut().enumerate() {
            poll.registry()
                .register(socket, Token(at * 2 + side), Interest::READABLE)?;
        }
    }
    let mut events = Events::with_capacity(1_024);
    let mut packet = [0; 1_500];
    loop {
        if let Err(error) = poll.poll(&mut events, None)
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        for event in &events {
            let (pair, side) = (&mut pairs[event.token().0 / 2], event.token().0 % 2);
            while let Ok((length, from)) = pair.sockets[side].recv_from(&mut packet) {
                pair.peers[side] = Some(from);
                if let Some(to) = pair.peers[1 - side] {
                    let _ = pair.sockets[1 - side].send_to(&packet[..length], to);
                }
                pair.sides[side]
                    .extend(packet[12..length.max(12)].iter().map(|byte| decode(*byte)));
            }
            pair.write()?;
        }
    }
}

impl Pair {
    fn write(&mut self) -> std::io::Result<()> {
        let ready = self.sides[0].len().min(self.sides[1].len());
        if ready * 4 < BLOCK {
            return Ok(());
        }
        let [left, right] = &mut self.sides;
        let mut block = Vec::with_capacity(ready * 4);
        for (left, right) in left.drain(..ready).zip(right.drain(..ready)) {
            block.extend_from_slice(&left.to_le_bytes());
            block.extend_from_slice(&right.to_le_bytes());
        }
        self.file.write_all(&block)
    }
}
