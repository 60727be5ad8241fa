//! `trunkline trace`: what was said on the wire, as a ladder or as a packet capture.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anstream::{print, println};
use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};
use sip::Message;

use super::ConfigArgs;
use crate::control::{Operator, messages_of};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Collect messages from now on
    #[command(
        after_help = "Passwords, keys and pressed digits are masked in all output.\nWith --ladder or --pcap the command waits until the time is over or Ctrl-C, else it returns at once."
    )]
    Start {
        #[command(flatten)]
        of: Of,
        /// How long: 90s, 10m, 2h
        #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = time)]
        lasting: Duration,
        #[command(flatten)]
        shape: Shape,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Show the traces there are
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Show what a trace has collected, or what is still remembered of a call
    Show {
        /// The trace's number
        #[arg(required_unless_present = "call")]
        id: Option<u64>,
        /// A recent call instead, by its id or its SIP Call-ID; needs no trace
        #[arg(long, value_name = "ID", conflicts_with = "id")]
        call: Option<String>,
        #[command(flatten)]
        shape: Shape,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// End a trace and show it a last time
    Stop {
        /// The trace's number
        id: u64,
        #[command(flatten)]
        shape: Shape,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Of {
    /// Calls from and to a number
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// All that a device says and is told, by its username
    #[arg(long, value_name = "USERNAME")]
    device: Option<String>,
    /// One call, by its id or its SIP Call-ID
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// Everything
    #[arg(long)]
    all: bool,
}

#[derive(Debug, clap::Args)]
struct Shape {
    /// As a ladder diagram
    #[arg(long)]
    ladder: bool,
    /// As a packet capture for Wireshark, written to this file
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// The messages themselves
    #[arg(long, conflicts_with = "ladder")]
    messages: bool,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Start {
            of,
            lasting,
            shape,
            config,
        } => start(&of, lasting, &shape, &config.load()?.data)?,
        Command::List { json, config } => {
            let traces = reach(&config)?.ask(&json!({ "command": "trace.list" }))?;
            list(&traces, json);
        }
        Command::Show {
            id,
            call,
            shape,
            config,
        } => {
            let request = match &call {
                Some(call) => json!({ "command": "trace.call", "call": call }),
                None => json!({ "command": "trace.show", "id": id }),
            };
            let reply = reach(&config)?.ask(&request)?;
            let name = if call.is_some() {
                "messages"
            } else {
                "collected"
            };
            let messages = messages_of(&reply[name])?;
            if let (Some(call), true) = (&call, messages.is_empty()) {
                anyhow::bail!(
                    "nothing is remembered of call {call}: it is too long ago, or trace_memory_mb is 0"
                );
            }
            shape.show(&messages)?;
        }
        Command::Stop { id, shape, config } => {
            let trace = reach(&config)?.ask(&json!({ "command": "trace.stop", "id": id }))?;
            shape.show(&messages_of(&trace["collected"])?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn reach(config: &ConfigArgs) -> anyhow::Result<Operator> {
    Operator::reach(&config.load()?.data)
}

fn start(of: &Of, lasting: Duration, shape: &Shape, data: &Path) -> anyhow::Result<()> {
    let (by, value) = match of {
        Of {
            number: Some(number),
            ..
        } => ("number", Some(number)),
        Of {
            device: Some(device),
            ..
        } => ("device", Some(device)),
        Of {
            call: Some(call), ..
        } => ("call", Some(call)),
        _ => ("all", None),
    };
    let mut server = Operator::reach(data)?;
    let request = json!({
        "command": "trace.start", "by": by, "value": value, "seconds": lasting.as_secs(),
    });
    let id = server.ask(&request)?["id"].clone();
    if !shape.is_given() {
        println!(
            "trace {id} runs; `trunkline trace show {id}` shows it, `trunkline trace stop {id}` ends it"
        );
        return Ok(());
    }
    follow(&mut server, &id, lasting, shape)
}

/// Collects until the time is over or Ctrl-C, then shows. The capture grows while it does.
#[expect(clippy::print_stderr, reason = "talk, beside the command's output")]
fn follow(
    server: &mut Operator,
    id: &Value,
    lasting: Duration,
    shape: &Shape,
) -> anyhow::Result<()> {
    const EVERY: Duration = Duration::from_millis(500);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    eprintln!("trace {id} runs; Ctrl-C ends it");
    let end = Instant::now() + lasting;
    let mut written = 0_u64;
    let mut capture = shape.pcap.as_deref().map(capture).transpose()?;
    let mut seen: Vec<Message> = Vec::new();
    loop {
        let pause = EVERY.min(end.saturating_duration_since(Instant::now()));
        let interrupted = runtime.block_on(async {
            tokio::time::timeout(pause, tokio::signal::ctrl_c())
                .await
                .is_ok()
        });
        let over = interrupted || Instant::now() >= end;
        let request = if over {
            json!({ "command": "trace.stop", "id": id })
        } else {
            json!({ "command": "trace.show", "id": id, "skip": written })
        };
        let reply = server.ask(&request)?;
        let messages = messages_of(&reply["collected"])?;
        let have = reply["messages"].as_u64().unwrap_or(0);
        // The last reply holds all that is left, from the first message on.
        let fresh = usize::try_from(have.saturating_sub(written)).unwrap_or(usize::MAX);
        let fresh = &messages[messages.len().saturating_sub(fresh)..];
        if let Some(file) = &mut capture {
            // Behind the file's header, which is there already.
            file.write_all(&sip::pcap(fresh)[sip::PCAP_HEADER..])?;
        }
        seen.extend_from_slice(fresh);
        written = have;
        if over {
            break;
        }
    }
    if shape.ladder || shape.messages {
        shape.print(&seen);
    }
    Ok(())
}

fn capture(path: &Path) -> anyhow::Result<File> {
    let mut file =
        File::create(path).with_context(|| format!("{} can't be written", path.display()))?;
    file.write_all(&sip::pcap([]))?;
    Ok(file)
}

impl Shape {
    fn is_given(&self) -> bool {
        self.ladder || self.messages || self.pcap.is_some()
    }

    fn show(&self, messages: &[Message]) -> anyhow::Result<()> {
        if let Some(path) = &self.pcap {
            std::fs::write(path, sip::pcap(messages))
                .with_context(|| format!("{} can't be written", path.display()))?;
        }
        if self.pcap.is_none() || self.ladder || self.messages {
            self.print(messages);
        }
        Ok(())
    }

    fn print(&self, messages: &[Message]) {
        if !self.messages {
            return print!("{}", sip::ladder(messages));
        }
        for message in messages {
            let (from, to) = if message.sent {
                (message.local, message.remote)
            } else {
                (message.remote, message.local)
            };
            let transport = message.transport.as_str();
            println!("--- {} {transport} {from} > {to}", message.at);
            println!("{}", message.text().replace('\r', ""));
        }
    }
}

fn list(traces: &Value, json: bool) {
    if json {
        return println!("{traces:#}");
    }
    let traces = traces.as_array().map(Vec::as_slice).unwrap_or_default();
    if traces.is_empty() {
        println!("there is no trace");
    }
    for trace in traces {
        let word = |name: &str| trace[name].as_str().unwrap_or_default().to_owned();
        let state = if trace["running"] == true {
            "runs until"
        } else {
            "ended"
        };
        println!(
            "{:<4} {:<8} {:<24} {:>6} messages  {state} {}",
            trace["id"],
            word("by"),
            word("value"),
            trace["messages"],
            word("until")
        );
    }
}

/// `90s`, `10m`, `2h`; a day at most.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a time such as 90s, 10m or 2h, a day at most".to_owned();
    let (count, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let count: u64 = count.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => Some(count),
        "m" => count.checked_mul(60),
        "h" => count.checked_mul(3_600),
        _ => None,
    };
    let seconds = seconds.filter(|n| (1..=86_400).contains(n));
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let seconds = |text| time(text).map(|t| t.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("2h"), Ok(7_200));
        assert_eq!(seconds("45"), Ok(45));
        for wrong in ["", "m", "0s", "25h", "-3m", "10 m", "99999999999999999999h"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
