//! Recorded calls at once, as carriers, phones and the recordings saw them.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{
    Out, Server,
    exchange::{Call, Exchange, Outcome, Plan, Watch},
    phones::{Phones, addresses},
    prepare::{MENU, PASSWORD},
};
use crate::{
    api::{Api, Listed},
    demo::Demo,
    process::Usage,
    stats::Samples,
    ua::Ua,
    voice::{
        browser::{Browsers, Speech},
        engine::{Heard, Voices},
        recording::{Sound, Spoken, Verdict, judge, listen},
    },
};

/// Added delay above which a packet counts as late (telephony.md's target for the slowest hundredth).
const LATE_US: u32 = 10_000;
/// The bridge stands this long after the agent's answer; what comes before is told as its own figure.
const SETTLED_US: u64 = 500_000;
/// Packets this close to the hang-up may be overtaken by it.
const LEAVING_US: u64 = 40_000;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    out: Out,
    /// Phones that register per second beforehand; thousands are a power cut's end.
    #[arg(long, default_value_t = 100.0)]
    register_rate: f64,
    /// Calls up at once, those to browsers among them.
    #[arg(long, default_value_t = 100)]
    calls: usize,
    /// So many of their agents talk in browsers.
    #[arg(long, default_value_t = 0)]
    browsers: usize,
    /// Where the server takes browsers' WebSocket connections.
    #[arg(long)]
    ws: Option<std::net::SocketAddr>,
    /// What the browsers speak.
    #[arg(long, value_enum, default_value = "pcmu")]
    speech: Speech,
    /// Calls begun per second.
    #[arg(long, default_value_t = 10.0)]
    ramp: f64,
    /// Seconds for which all of them are up.
    #[arg(long, default_value_t = 30)]
    hold: u64,
    /// Threads that send and receive.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Keep recordings that fail in this folder.
    #[arg(long)]
    keep: Option<std::path::PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    if args.calls > 4_000 {
        bail!("at most 4000 calls at once");
    }
    let demo = Demo::load(&args.server.data)?;
    let mut api = Api::new(&demo)?;
    let agents = api.agents(PASSWORD)?;
    if agents.len() < args.calls {
        bail!(
            "{} agents are too few for {} calls: run `bench prepare --agents {}` first",
            agents.len(),
            args.calls,
            args.calls
        );
    }
    let number = demo
        .sip
        .numbers
        .get(MENU)
        .context("the demo has no number")?
        .e164
        .clone();
    let mut ua = Ua::open(demo.sip_address()?, &addresses())?;
    // With as many phones as calls, each takes one.
    let phoned = if args.browsers > 0 {
        agents.into_iter().take(args.calls).collect()
    } else {
        agents
    };
    let mut phones = Phones::new(&mut ua, phoned);
    let browsers = match (args.browsers, args.ws) {
        (0, _) => None,
        (count, Some(server)) => {
            phones.move_to_browsers(&mut ua, server, count)?;
            Some(Browsers::start(args.speech)?)
        }
        (_, None) => bail!("--ws says where the server takes browsers' connections"),
    };
    phones.register_all(&mut ua, args.register_rate)?;

    let idle = Usage::of(args.server.pid)?;
    let ramp = Duration::from_secs_f64(args.calls as f64 / args.ramp);
    let plan = Plan {
        number,
        digit: Some(1),
        calls: args.calls,
        per_second: args.ramp,
        talk: ramp + Duration::from_secs(args.hold),
        ring: Duration::from_millis(200),
        patience: Duration::from_secs(45),
    };
    let voices = Voices::start(args.threads)?;
    let mut steady = Steady::new(args.server.pid, args.calls);
    let mut exchange = Exchange::new(&mut ua, &phones, plan, Some(&voices))?;
    if let Some(browsers) = &browsers {
        exchange = exchange.with_browsers(browsers);
    }
    let outcome = exchange.run(&mut steady)?;
    let generator_late: Samples = voices
        .stop()
        .into_iter()
        .chain(browsers.map(Browsers::stop).unwrap_or_default())
        .map(|late| f64::from(late) / 1_000.0)
        .collect();
    let after = Usage::of(args.server.pid)?;
    phones.unregister_all(&mut ua)?;

    let mut result = json!({
        "calls": args.calls,
        "hold_s": args.hold,
        "failed": outcome.failed(),
        "failures": outcome.failures(),
        "set_up_ms": {"p50": outcome.set_up.median(), "p99": outcome.set_up.percentile(0.99)},
        "digit_to_agent_ms": {"p50": outcome.to_agent.median(), "p99": outcome.to_agent.percentile(0.99)},
        "hang_up_ms": {"p50": outcome.torn_down.median(), "p99": outcome.torn_down.percentile(0.99)},
        "sip_retransmitted": outcome.retransmitted,
        "cpu_s_per_call_whole": (after.cpu - idle.cpu) / args.calls as f64,
        "generator_late_ms": {"p99": generator_late.percentile(0.99), "max": generator_late.max()},
    });
    add(&mut result, "packets", packets(&outcome, false));
    if args.browsers > 0 {
        add(&mut result, "browsers", args.browsers.into());
        add(&mut result, "speech", format!("{:?}", args.speech).into());
        add(
            &mut result,
            "browser_packets",
            match args.speech {
                Speech::Pcmu => packets(&outcome, true),
                Speech::Opus => encoded_anew(&outcome),
            },
        );
        add(&mut result, "browser_ready_ms", ready(&outcome));
    }
    add(&mut result, "server", steady.result(&idle, &after));
    // The last checkpoints and headers are written after the last BYE.
    std::thread::sleep(Duration::from_secs(4));
    add(
        &mut result,
        "recordings",
        recordings(&mut api, &outcome, args.speech, args.keep.as_deref())?,
    );
    let end = Usage::of(args.server.pid)?;
    add(
        &mut result,
        "after",
        json!({"rss_mb": mb(end.resident_kb), "open_files": end.open_files, "open_files_before": idle.open_files}),
    );
    println!("{}", serde_json::to_string_pretty(&result)?);
    let name = match args.browsers {
        0 => format!("calls-{}", args.calls),
        _ => format!("browsers-{:?}", args.speech).to_lowercase(),
    };
    args.out.keep(&name, &result)
}

fn add(to: &mut Value, name: &str, value: Value) {
    to[name] = value;
}

fn mb(kb: u64) -> f64 {
    kb as f64 / 1_024.0
}

/// Watches the server while all calls talk.
struct Steady {
    pid: u32,
    wanted: usize,
    from: Option<(Instant, Usage)>,
    to: Option<(Instant, Usage)>,
    looked: Instant,
}

impl Steady {
    fn new(pid: u32, calls: usize) -> Self {
        // A few failed calls don't keep the rest from being looked at.
        Self {
            pid,
            wanted: (calls * 95).div_ceil(100),
            from: None,
            to: None,
            looked: Instant::now(),
        }
    }

    fn result(&self, idle: &Usage, after: &Usage) -> Value {
        let memory = |usage: &Usage| json!({"idle_mb": mb(idle.resident_kb), "busy_mb": mb(usage.resident_kb), "kb_per_call": usage.resident_kb.saturating_sub(idle.resident_kb) as f64 / self.wanted as f64});
        let (Some((begun, from)), Some((ended, to))) = (&self.from, &self.to) else {
            return json!({"steady": false, "memory": memory(after)});
        };
        let seconds = ended.duration_since(*begun).as_secs_f64();
        let core_share = (to.cpu - from.cpu) / seconds;
        let threads: serde_json::Map<_, _> = to
            .threads_since(from)
            .into_iter()
            .filter(|(_, cpu)| cpu / seconds >= 0.001)
            .map(|(name, cpu)| (name, (cpu / seconds * 100.0).into()))
            .collect();
        json!({
            "steady": true,
            "seconds": seconds,
            "cores": core_share,
            "core_percent_per_call": core_share * 100.0 / self.wanted as f64,
            "core_percent_by_thread": threads,
            "memory": memory(to),
        })
    }
}

impl Watch for Steady {
    fn look(&mut self, talking: usize) {
        if talking < self.wanted || self.looked.elapsed() < Duration::from_secs(1) {
            return;
        }
        self.looked = Instant::now();
        let Ok(usage) = Usage::of(self.pid) else {
            return;
        };
        match self.from {
            None => self.from = Some((self.looked, usage)),
            Some(_) => self.to = Some((self.looked, usage)),
        }
    }
}

/// When both could be heard.
fn talk_from_us(call: &Call, one: &Heard, other: &Heard) -> u64 {
    let ready = one.ready_us.max(other.ready_us).unwrap_or_default();
    call.talk_from_us.max(ready) + SETTLED_US
}

/// The packets that must have come: those sent while the bridge stood.
fn spoken<'a>(call: &Call, heard: &'a Heard, other: &Heard) -> Spoken<'a> {
    let from = talk_from_us(call, heard, other);
    let first = heard.sent_us.partition_point(|sent| *sent < from);
    let end = heard
        .sent_us
        .partition_point(|sent| *sent + LEAVING_US < call.talk_until_us);
    Spoken {
        leg: heard.leg,
        sent_us: &heard.sent_us,
        first,
        end: end.max(first),
    }
}

fn legs(audio: &HashMap<u16, Heard>, call: usize) -> Option<(&Heard, &Heard)> {
    let leg = u16::try_from(call * 2).ok()?;
    Some((audio.get(&leg)?, audio.get(&(leg + 1))?))
}

/// How long after the answer a browser could talk: ICE and DTLS.
fn ready(outcome: &Outcome) -> Value {
    let mut ready = Samples::default();
    for (at, call) in outcome.calls.iter().enumerate() {
        if let Some((_, agent)) = legs(&outcome.audio, at)
            && let Some(at) = agent.ready_us
        {
            ready.add(at.saturating_sub(call.talk_from_us) as f64 / 1_000.0);
        }
    }
    json!({"p50": ready.median(), "p99": ready.percentile(0.99), "max": ready.max()})
}

/// Packets that were decoded and encoded on their way carry no stamp: those that came are counted.
fn encoded_anew(outcome: &Outcome) -> Value {
    let mut directions = serde_json::Map::new();
    for (name, to_agent) in [("to_agent", true), ("to_caller", false)] {
        let (mut expected, mut came) = (0, 0);
        for (at, call) in outcome.calls.iter().enumerate() {
            let (None, true, Some((caller, agent))) =
                (&call.failure, call.in_browser, legs(&outcome.audio, at))
            else {
                continue;
            };
            let to = if to_agent { agent } else { caller };
            let from = talk_from_us(call, caller, agent);
            let until = call.talk_until_us.saturating_sub(LEAVING_US);
            expected += until.saturating_sub(from) / 20_000;
            came += to
                .others_us
                .iter()
                .filter(|at| (from..until).contains(*at))
                .count() as u64;
        }
        let lost = expected.saturating_sub(came);
        directions.insert(
            name.to_owned(),
            json!({"expected": expected, "lost": lost, "lost_percent": lost as f64 * 100.0 / expected.max(1) as f64}),
        );
    }
    Value::Object(directions)
}

fn packets(outcome: &Outcome, in_browser: bool) -> Value {
    let mut directions = serde_json::Map::new();
    let (mut duplicates, mut reordered, mut strangers) = (0, 0, 0);
    let mut bridged = Samples::default();
    for (name, to_agent) in [("to_agent", true), ("to_caller", false)] {
        let (mut expected, mut lost, mut late) = (0u64, 0u64, 0u64);
        let mut delay = Samples::default();
        for (at, call) in outcome.calls.iter().enumerate() {
            let (None, Some((caller, agent))) = (&call.failure, legs(&outcome.audio, at)) else {
                continue;
            };
            if call.in_browser != in_browser {
                continue;
            }
            let (from, to) = if to_agent {
                (caller, agent)
            } else {
                (agent, caller)
            };
            let spoken = spoken(call, from, to);
            for sequence in spoken.first..spoken.end {
                expected += 1;
                match to.took_us.get(sequence).copied().flatten() {
                    Some(took) => {
                        late += u64::from(took > LATE_US);
                        delay.add(f64::from(took) / 1_000.0);
                    }
                    None => lost += 1,
                }
            }
            (duplicates, reordered, strangers) = (
                duplicates + to.duplicates,
                reordered + to.reordered,
                strangers + to.strangers,
            );
            if let Some(first) = to.first_us {
                bridged.add(first.saturating_sub(call.talk_from_us) as f64 / 1_000.0);
            }
        }
        let share = |count: u64| count as f64 * 100.0 / expected.max(1) as f64;
        directions.insert(
            name.to_owned(),
            json!({
                "expected": expected, "lost": lost, "lost_percent": share(lost), "late_percent": share(late),
                "delay_ms": {"p50": delay.median(), "p99": delay.percentile(0.99), "max": delay.max()},
            }),
        );
    }
    let mut all = Value::Object(directions);
    add(&mut all, "duplicates", duplicates.into());
    add(&mut all, "reordered", reordered.into());
    add(&mut all, "strangers", strangers.into());
    add(
        &mut all,
        "bridged_after_answer_ms",
        json!({"p50": bridged.median(), "p99": bridged.percentile(0.99)}),
    );
    all
}

fn recordings(
    api: &mut Api,
    outcome: &Outcome,
    speech: Speech,
    keep: Option<&std::path::Path>,
) -> anyhow::Result<Value> {
    let listed = api.calls(outcome.calls.len())?;
    let mut sum = Sum::default();
    for (at, call) in outcome.calls.iter().enumerate() {
        if call.failure.is_some() {
            continue;
        }
        let Some((caller, agent)) = legs(&outcome.audio, at) else {
            continue;
        };
        let Some(row) = listed.get(&call.external) else {
            sum.problem(format!("{} is not listed", call.external));
            continue;
        };
        sum.compare(call, row);
        if call.in_browser && speech == Speech::Opus {
            let heard = by_ear(api, row, call, caller, agent, keep);
            match heard {
                Ok(gaps) => sum.by_ear(gaps),
                Err(error) => sum.problem(format!("call {}: {error:#}", row.id)),
            }
            continue;
        }
        let checked = check(api, row, call, caller, agent, keep);
        match checked {
            Ok(verdict) => sum.add(call, &verdict),
            Err(error) => sum.problem(format!("call {}: {error:#}", row.id)),
        }
    }
    Ok(sum.result())
}

fn check(
    api: &mut Api,
    row: &Listed,
    call: &Call,
    caller: &Heard,
    agent: &Heard,
    keep: Option<&std::path::Path>,
) -> anyhow::Result<Verdict> {
    let wav = api.recording(&row.id)?;
    let judged = Sound::parse(&wav).and_then(|sound| {
        judge(
            &sound,
            &spoken(call, caller, agent),
            &spoken(call, agent, caller),
        )
    });
    let whole = judged
        .as_ref()
        .is_ok_and(|verdict| verdict.missing == 0 && verdict.silent_blocks == 0);
    keep_if(!whole, keep, row, &wav)?;
    judged
}

fn keep_if(
    failed: bool,
    folder: Option<&std::path::Path>,
    row: &Listed,
    wav: &[u8],
) -> anyhow::Result<()> {
    if let (true, Some(folder)) = (failed, folder) {
        std::fs::write(folder.join(format!("{}.wav", row.id)), wav)?;
    }
    Ok(())
}

/// Blocks in which one side's tone is missing, where nothing but tones tells.
fn by_ear(
    api: &mut Api,
    row: &Listed,
    call: &Call,
    caller: &Heard,
    agent: &Heard,
    keep: Option<&std::path::Path>,
) -> anyhow::Result<usize> {
    let wav = api.recording(&row.id)?;
    let sound = Sound::parse(&wav)?;
    // Set-up and hang-up lie at the ends, and a second of them is more than they take.
    let late = agent
        .ready_us
        .unwrap_or_default()
        .saturating_sub(call.talk_from_us);
    let silent = listen(
        &sound,
        [caller.leg, agent.leg],
        late as f64 / 1e6 + 1.0,
        1.0,
    );
    let whole = silent.as_ref().is_ok_and(|blocks| *blocks == 0);
    keep_if(!whole, keep, row, &wav)?;
    silent
}

#[derive(Default)]
struct Sum {
    judged: usize,
    with_gaps: usize,
    missing: usize,
    expected: usize,
    silent: usize,
    strangers: usize,
    misaligned: Samples,
    wander: Samples,
    length_off: Samples,
    talk_off_by_two: usize,
    problems: Vec<String>,
}

impl Sum {
    fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    fn compare(&mut self, call: &Call, row: &Listed) {
        let talked = (call.talk_until_us - call.talk_from_us) as f64 / 1e6;
        if (row.talking_seconds as f64 - talked).abs() >= 2.0 {
            self.talk_off_by_two += 1;
        }
        if !row.ended {
            self.problem(format!("call {} is still open in the list", row.id));
        }
        if !row.recorded {
            self.problem(format!("call {} is listed without a recording", row.id));
        }
    }

    fn by_ear(&mut self, gaps: usize) {
        self.judged += 1;
        self.with_gaps += usize::from(gaps > 0);
        self.silent += gaps;
    }

    fn add(&mut self, call: &Call, verdict: &Verdict) {
        self.judged += 1;
        self.with_gaps += usize::from(verdict.missing > 0 || verdict.silent_blocks > 0);
        self.missing += verdict.missing;
        self.expected += verdict.expected;
        self.silent += verdict.silent_blocks;
        self.strangers += verdict.strangers;
        self.misaligned.add(verdict.misaligned_ms.abs());
        self.wander.add(verdict.wander_ms);
        let talked = (call.talk_until_us - call.talk_from_us) as f64 / 1_000.0;
        self.length_off
            .add((verdict.seconds * 1_000.0 - talked).abs());
    }

    fn result(mut self) -> Value {
        let count = self.problems.len();
        self.problems.truncate(5);
        json!({
            "judged": self.judged,
            "with_gaps": self.with_gaps,
            "packets_expected": self.expected,
            "packets_missing": self.missing,
            "silent_10ms_blocks": self.silent,
            "strangers": self.strangers,
            "misaligned_ms": {"p50": self.misaligned.median(), "max": self.misaligned.max()},
            "wander_ms": {"p50": self.wander.median(), "max": self.wander.max()},
            "length_off_ms": {"p50": self.length_off.median(), "max": self.length_off.max()},
            "talking_time_off_2s": self.talk_off_by_two,
            "problems": count,
            "examples": self.problems,
        })
    }
}
