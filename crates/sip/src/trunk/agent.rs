//! What keeps one trunk usable: registers, asks whether the carrier is there,
//! and goes from one of its addresses to the next.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{Line, Registration, TrunkProblem, TrunkStatus};
use crate::core::Core;
use crate::net::Flow;
use crate::transaction::{ClientEvent, Outgoing};
use crate::wire::{Method, NameAddr, Request, Response, split_list};

/// How long a carrier may take to answer; the next address is tried then.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The first wait after a failure, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// The least wait after a refusal: carriers ban those who ask too often.
const REFUSED: Duration = Duration::from_secs(60);
/// How often a trunk that is neither registered nor asked is looked up anew.
const LOOK_UP: Duration = Duration::from_secs(300);
/// How long we take to unregister.
const FAREWELL: Duration = Duration::from_secs(2);

/// Keeps a trunk until it is told to stop. `before` had the same key.
pub(super) async fn run(core: Arc<Core>, line: Arc<Line>, before: Option<Arc<Line>>) {
    if let Some(before) = before {
        // Its farewell must not undo our registration.
        let _ = tokio::time::timeout(FAREWELL * 2, before.ended.cancelled()).await;
    }
    let mut agent = Agent {
        core: &core,
        line: &line,
        registered: None,
        failures: 0,
        since: None,
    };
    tokio::select! {
        () = core.stop.cancelled() => {}
        () = line.stop.cancelled() => {}
        () = agent.keep() => {}
    }
    if let Some(flow) = agent
        .registered
        .take()
        .filter(|_| !core.stop.is_cancelled())
    {
        let _ = tokio::time::timeout(FAREWELL, unregister(&core, &line, &flow)).await;
    }
    line.ended.cancel();
}

struct Agent<'a> {
    core: &'a Arc<Core>,
    line: &'a Line,
    /// The way our registration stands for.
    registered: Option<Flow>,
    /// In a row.
    failures: u32,
    since: Option<Timestamp>,
}

/// A refusal with how long the carrier wants to be left alone.
type Failure = (TrunkProblem, Option<Duration>);

impl Agent<'_> {
    async fn keep(&mut self) {
        if self.line.trunk.registration.is_some() {
            self.line.became(self.core, TrunkStatus::Registering).await;
        }
        // Whether the registration is due; if not, only the question whether it is there.
        let mut register_at = Instant::now();
        loop {
            let registration = self.line.trunk.registration.clone();
            let due = registration.filter(|_| register_at <= Instant::now());
            let outcome = match (&due, self.line.trunk.keep_alive) {
                (Some(registration), _) => self.register(registration).await,
                (None, Some(_)) => self.ask().await,
                (None, None) if self.line.trunk.registration.is_none() => self.look_up().await,
                (None, None) => Ok((None, LOOK_UP)),
            };
            let now = Instant::now();
            let ask_at = match outcome {
                Ok((status, again)) => {
                    (self.failures, self.since) = (0, None);
                    if due.is_some() {
                        register_at = now + again;
                    }
                    if let Some(status) = status {
                        self.line.became(self.core, status).await;
                    }
                    now + self.line.trunk.keep_alive.unwrap_or(LOOK_UP)
                }
                Err((why, wanted)) => {
                    self.failures = self.failures.saturating_add(1);
                    let wait = back_off(self.failures, &why, wanted, rand::random());
                    self.failed(why, wait).await;
                    register_at = now + wait;
                    register_at
                }
            };
            let next = match self.line.trunk.registration {
                Some(_) => register_at.min(ask_at),
                None => ask_at,
            };
            if self.wait_until(next).await {
                register_at = Instant::now();
            }
        }
    }

    /// Waits; true when the connection we registered over has gone before.
    async fn wait_until(&self, next: Instant) -> bool {
        let mut open = tokio::time::interval(self.core.config.limits.keep_open);
        open.tick().await;
        let flow = self.registered.clone();
        let gone = async {
            match &flow {
                Some(flow) => flow.closed().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(gone);
        loop {
            tokio::select! {
                () = sleep_until(next) => return false,
                () = &mut gone => return true,
                _ = open.tick() => {
                    if let Some(flow) = &flow {
                        // RFC 5626 §3.5.1; over UDP any octets keep a NAT open.
                        flow.send(Bytes::from_static(b"\r\n\r\n"));
                    }
                }
            }
        }
    }

    async fn failed(&mut self, why: TrunkProblem, wait: Duration) {
        let now = Timestamp::now();
        let since = *self.since.get_or_insert(now);
        self.registered = None;
        let retry_at = after(now, wait);
        let status = TrunkStatus::Failing {
            since,
            why,
            retry_at,
        };
        self.line.became(self.core, status).await;
    }

    /// Registers at the first address that takes it; when to do so again.
    async fn register(
        &mut self,
        registration: &Registration,
    ) -> Result<(Option<TrunkStatus>, Duration), Failure> {
        let targets = self.line.targets(self.core).await.map_err(plain)?;
        let mut last = None;
        for target in targets {
            let flow = match self.line.open(self.core, target).await {
                Ok(flow) => flow,
                Err(why) => {
                    last = Some(plain(why));
                    continue;
                }
            };
            match register(self.core, self.line, &flow, registration).await {
                Ok(granted) => {
                    let flow = self.line.shown(&flow);
                    self.line.found(&flow);
                    let status = TrunkStatus::Registered {
                        until: after(Timestamp::now(), granted),
                        via: flow.remote,
                        transport: flow.transport(),
                    };
                    self.registered = Some(flow);
                    return Ok((Some(status), refresh_after(granted, rand::random())));
                }
                Err(failure) if is_elsewhere_worth_trying(&failure.0) => last = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        Err(last.unwrap_or_else(nowhere))
    }

    /// Asks whether the carrier is there, where it was last, then elsewhere.
    async fn ask(&mut self) -> Result<(Option<TrunkStatus>, Duration), Failure> {
        let targets = self.line.targets(self.core).await.map_err(plain)?;
        let mut last = None;
        for target in targets {
            let flow = match self.line.open(self.core, target).await {
                Ok(flow) => flow,
                Err(why) => {
                    last = Some(plain(why));
                    continue;
                }
            };
            match ask(self.core, self.line, &flow).await {
                Ok(round_trip) => {
                    let kept = self.registered.as_ref();
                    let status = TrunkStatus::Answering {
                        round_trip,
                        via: flow.remote,
                        transport: flow.transport(),
                    };
                    self.line.found(&flow);
                    return Ok((kept.is_none().then_some(status), Duration::ZERO));
                }
                // A registration elsewhere would be another one.
                Err(failure) if self.registered.is_some() => return Err(failure),
                Err(failure) => last = Some(failure),
            }
        }
        Err(last.unwrap_or_else(nowhere))
    }

    /// Finds out from where it may call.
    async fn look_up(&mut self) -> Result<(Option<TrunkStatus>, Duration), Failure> {
        self.line.targets(self.core).await.map_err(plain)?;
        Ok((Some(TrunkStatus::Unknown), LOOK_UP))
    }
}

fn plain(why: TrunkProblem) -> Failure {
    (why, None)
}

fn nowhere() -> Failure {
    plain(TrunkProblem::Local {
        detail: "there is no address to try".into(),
    })
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or_default();
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// What another address of the same carrier may do better (RFC 3263 §4.3).
pub(super) fn is_elsewhere_worth_trying(why: &TrunkProblem) -> bool {
    match why {
        TrunkProblem::NoAnswer { .. }
        | TrunkProblem::NotConnected { .. }
        | TrunkProblem::Certificate { .. } => true,
        TrunkProblem::Refused { status, .. } => matches!(status, 408 | 500..600),
        _ => false,
    }
}

/// How long to wait after so many failures in a row: twice as long each time, a
/// quarter of it by chance (`jitter` from 0 to 1), and as long as the carrier wants.
fn back_off(failures: u32, why: &TrunkProblem, wanted: Option<Duration>, jitter: f64) -> Duration {
    let (first, longest) = RETRY;
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(10));
    let least = match why {
        TrunkProblem::WrongPassword { .. }
        | TrunkProblem::NoCredential
        | TrunkProblem::Challenge { .. }
        | TrunkProblem::Refused { status: ..500, .. } => REFUSED,
        _ => Duration::ZERO,
    };
    let wait = doubled.max(least).min(longest);
    let wait = wait.mul_f64(0.75 + 0.25 * jitter.clamp(0.0, 1.0));
    wait.max(wanted.unwrap_or_default().min(Duration::from_secs(3600)))
}

/// When to refresh what was granted: well before it ends, and not all trunks at once.
fn refresh_after(granted: Duration, jitter: f64) -> Duration {
    granted.mul_f64(0.75 + 0.1 * jitter.clamp(0.0, 1.0))
}

/// Registers over a flow; for how long. Where the answer says that a NAT shows us as somebody else, we
/// register as that in place of what we said first.
pub(super) async fn register(
    core: &Arc<Core>,
    line: &Line,
    flow: &Flow,
    registration: &Registration,
) -> Result<Duration, Failure> {
    let (granted, response) = register_once(core, line, flow, registration, None).await?;
    if !line.notice(flow, &response) {
        return Ok(granted);
    }
    let wrong = flow.contact_uri(line.contact_user());
    let shown = line.shown(flow);
    tracing::info!(trunk = %line.trunk.key, seen_as = %shown.authority(), "the carrier sees us at another address; it is told that one");
    let again = register_once(core, line, &shown, registration, Some(&wrong)).await;
    // Whoever takes no corrections has what we said first.
    Ok(again.map_or(granted, |(granted, _)| granted))
}

/// Registers, and takes a contact back that is not to be called any more.
async fn register_once(
    core: &Arc<Core>,
    line: &Line,
    flow: &Flow,
    registration: &Registration,
    instead_of: Option<&str>,
) -> Result<(Duration, Response), Failure> {
    let mut wanted = registration.expires;
    for _ in 0..2 {
        let (mut request, branch) = line.request(core, Method::Register, flow);
        let seconds = wanted.as_secs();
        if let Some(wrong) = instead_of {
            let gone = format!("<{wrong}>;expires=0");
            request.headers.push("Contact", gone);
        }
        request.headers.push("Expires", seconds.to_string());
        let (response, _) = exchange(core, line, flow, (request, branch))
            .await
            .map_err(plain)?;
        let min = whole_seconds(response.headers.get("Min-Expires"));
        match response.status {
            200..300 => return Ok((granted(&response, line, wanted), response)),
            // RFC 3261 §10.3 step 7.
            423 if min.is_some_and(|min| min > wanted) => wanted = min.unwrap_or(wanted),
            _ => return Err(refused(line, "REGISTER", &response)),
        }
    }
    let (method, status) = ("REGISTER", 423);
    Err(plain(TrunkProblem::Refused { method, status }))
}

pub(super) async fn unregister(core: &Arc<Core>, line: &Line, flow: &Flow) {
    let (mut request, branch) = line.request(core, Method::Register, flow);
    request.headers.push("Expires", "0");
    let _ = exchange(core, line, flow, (request, branch)).await;
}

/// Asks over a flow; how long the answer took. Whoever refuses OPTIONS is there.
pub(super) async fn ask(core: &Arc<Core>, line: &Line, flow: &Flow) -> Result<Duration, Failure> {
    let (mut request, branch) = line.request(core, Method::Options, flow);
    request.headers.push("Accept", "application/sdp");
    let (response, round_trip) = exchange(core, line, flow, (request, branch))
        .await
        .map_err(plain)?;
    match response.status {
        408 | 502..=504 => Err(refused(line, "OPTIONS", &response)),
        _ => Ok(round_trip),
    }
}

/// The final response to a request, and how long it took.
async fn exchange(
    core: &Arc<Core>,
    line: &Line,
    flow: &Flow,
    (request, branch): (Request, String),
) -> Result<(Response, Duration), TrunkProblem> {
    let method = match request.method {
        Method::Register => "REGISTER",
        _ => "OPTIONS",
    };
    let remote = flow.remote;
    let silent = TrunkProblem::NoAnswer {
        method,
        remote,
        seconds: PATIENCE.as_secs(),
    };
    let (events, mut outcome) = mpsc::channel(8);
    let sent = core.transactions.send(Outgoing {
        // A carrier that answers OPTIONS with a challenge is there; that is all we ask.
        proof: line.proof.clone().filter(|_| method == "REGISTER"),
        request,
        branch,
        flow: flow.clone(),
        index: 0,
        events,
    });
    if !sent {
        return Err(TrunkProblem::Local {
            detail: "too many transactions are running".into(),
        });
    }
    let mut started = Instant::now();
    let final_response = async {
        while let Some((_, event)) = outcome.recv().await {
            match event {
                ClientEvent::Response(response) if response.status >= 200 => {
                    return Some(Ok(*response));
                }
                ClientEvent::Response(_) => {}
                ClientEvent::Resent { .. } => started = Instant::now(),
                ClientEvent::TimedOut => return None,
                ClientEvent::Unreachable => {
                    return Some(Err(TrunkProblem::NotConnected {
                        transport: flow.transport().as_str(),
                        remote,
                        detail: "the connection is gone".into(),
                    }));
                }
            }
        }
        None
    };
    let answered = tokio::time::timeout(PATIENCE, final_response).await;
    match answered.ok().flatten() {
        Some(response) => Ok((response?, started.elapsed())),
        None => Err(silent),
    }
}

/// What a refusal means.
fn refused(line: &Line, method: &'static str, response: &Response) -> Failure {
    let status = response.status;
    let why = match (status, &line.proof) {
        (401 | 407, None) => TrunkProblem::NoCredential,
        (401 | 407, Some(proof)) => proof.explain(response),
        _ => TrunkProblem::Refused { method, status },
    };
    (why, whole_seconds(response.headers.get("Retry-After")))
}

/// What a carrier granted: as its Contact for us says, else as its Expires does,
/// else what was asked for.
fn granted(response: &Response, line: &Line, wanted: Duration) -> Duration {
    let contacts = response.headers.all("Contact").flat_map(split_list);
    let ours = contacts.filter_map(NameAddr::parse).filter(|contact| {
        let uri = crate::wire::SipUri::parse(&contact.uri);
        uri.is_ok_and(|uri| Some(uri.user.as_str()) == line.contact_user())
    });
    let said = ours.filter_map(|contact| whole_seconds(contact.param("expires").as_deref()));
    let said = said
        .min()
        .or_else(|| whole_seconds(response.headers.get("Expires")));
    said.filter(|granted| !granted.is_zero())
        .unwrap_or(wanted)
        .max(Duration::from_secs(10))
}

fn whole_seconds(text: Option<&str>) -> Option<Duration> {
    let digits = text?.split([';', '(']).next()?.trim();
    digits
        .parse::<u32>()
        .ok()
        .map(|s| Duration::from_secs(s.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_a_refusal_waits_longer() {
        let silent = TrunkProblem::NoAnswer {
            method: "REGISTER",
            remote: ([192, 0, 2, 1], 5060).into(),
            seconds: 5,
        };
        let wait = |n, why: &TrunkProblem, wanted| back_off(n, why, wanted, 1.0).as_secs();
        let waits: Vec<u64> = (1..9).map(|n| wait(n, &silent, None)).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
        let wrong = TrunkProblem::WrongPassword { status: 401 };
        assert_eq!(wait(1, &wrong, None), 60);
        assert_eq!(wait(1, &silent, Some(Duration::from_secs(900))), 900);
        let early = back_off(1, &silent, None, 0.0);
        assert_eq!(early, Duration::from_millis(3750));
        assert_eq!(refresh_after(Duration::from_secs(100), 1.0).as_secs(), 85);
    }
}
