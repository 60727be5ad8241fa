//! Many calls from first ring to last hang-up: the callers' side and the agents' side of each.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    net::{SocketAddr, UdpSocket},
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::{
    run::phones::{Phones, carrier},
    stats::Samples,
    ua::{Heard, Message, Remote, Reply, Ua, describe},
    voice::{
        browser::Browsers,
        engine::{Heard as Audio, Voices, open_socket, wall_us},
    },
};

/// A set-up that a caller notices: the target for the slowest hundredth.
const SLOW: Duration = Duration::from_millis(100);

/// Which calls to make.
#[derive(Clone)]
pub struct Plan {
    pub number: String,
    /// Pressed once the caller is answered.
    pub digit: Option<u8>,
    pub calls: usize,
    pub per_second: f64,
    /// From the agent's answer to the hang-up.
    pub talk: Duration,
    /// How long the phone rings.
    pub ring: Duration,
    /// How long the caller waits for an agent.
    pub patience: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Caller,
    Agent,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Begin(usize),
    Press(usize),
    Answer(usize),
    HangUp(usize),
    GiveUp(usize),
}

/// One side's signalling.
#[derive(Debug, Default)]
struct Leg {
    socket: usize,
    call_id: String,
    tag: String,
    branch: Option<String>,
    /// The INVITE that rang this phone.
    invite: Option<(SocketAddr, Box<Message>)>,
    /// From, To and where requests within the call go.
    ours: String,
    theirs: String,
    target: String,
    sequence: u32,
    /// Answered by whoever was called.
    up: bool,
    over: bool,
    socket_of_audio: Option<UdpSocket>,
    remote: Option<Remote>,
}

/// A call, as both its ends saw it.
#[derive(Debug, Default)]
pub struct Call {
    pub external: String,
    caller: Leg,
    agent: Leg,
    begun: Option<Instant>,
    answered: Option<Instant>,
    pressed: Option<Instant>,
    offered: Option<Instant>,
    confirmed: Option<Instant>,
    hung_up: Option<Instant>,
    /// Wall clock of the talk, in microseconds.
    pub talk_from_us: u64,
    pub talk_until_us: u64,
    /// Whether the agent talks in a browser.
    pub in_browser: bool,
    pub failure: Option<String>,
    pub over: bool,
}

/// What a run of calls came to.
pub struct Outcome {
    pub calls: Vec<Call>,
    /// What each leg heard; by call, the caller's leg first.
    pub audio: HashMap<u16, Audio>,
    /// INVITE to 2xx of the caller.
    pub set_up: Samples,
    /// How many set-ups took long, by the second of the run in which they began.
    pub slow: BTreeMap<u64, usize>,
    /// The key press (or the caller's 2xx, where none is pressed) to the agent's INVITE.
    pub to_agent: Samples,
    /// The agent's 2xx to its confirmation.
    pub confirmed: Samples,
    /// One side's BYE to the other's.
    pub torn_down: Samples,
    pub took: Duration,
    pub retransmitted: u64,
}

impl Outcome {
    pub fn failures(&self) -> BTreeMap<String, usize> {
        let mut failures = BTreeMap::new();
        for reason in self.calls.iter().filter_map(|call| call.failure.as_ref()) {
            *failures.entry(reason.clone()).or_default() += 1;
        }
        failures
    }

    pub fn failed(&self) -> usize {
        self.calls
            .iter()
            .filter(|call| call.failure.is_some())
            .count()
    }
}

/// A run of calls on its way.
pub struct Exchange<'a> {
    ua: &'a mut Ua,
    phones: &'a Phones,
    plan: Plan,
    voices: Option<&'a Voices>,
    browsers: Option<&'a Browsers>,
    /// Where audio goes that nobody listens to.
    sink: UdpSocket,
    calls: Vec<Call>,
    by_call_id: HashMap<String, (usize, Side)>,
    by_external: HashMap<String, usize>,
    by_branch: HashMap<String, (usize, Side)>,
    due: BinaryHeap<Reverse<(Instant, Due)>>,
    open: usize,
    reports: (mpsc::Sender<Audio>, mpsc::Receiver<Audio>),
    /// Legs whose reports are to come.
    listening: usize,
    start: Instant,
    outcome: Outcome,
}

/// Moments at which the run looks at the server.
pub trait Watch {
    /// Called often; `talking` calls are up on both sides right now.
    fn look(&mut self, talking: usize);
}

impl Watch for () {
    fn look(&mut self, _talking: usize) {}
}

impl<'a> Exchange<'a> {
    /// `voices` is `None` for calls without audio.
    pub fn new(
        ua: &'a mut Ua,
        phones: &'a Phones,
        plan: Plan,
        voices: Option<&'a Voices>,
    ) -> anyhow::Result<Self> {
        let sink = UdpSocket::bind("127.0.0.1:0")?;
        let outcome = Outcome {
            calls: Vec::new(),
            audio: HashMap::new(),
            set_up: Samples::default(),
            slow: BTreeMap::new(),
            to_agent: Samples::default(),
            confirmed: Samples::default(),
            torn_down: Samples::default(),
            took: Duration::ZERO,
            retransmitted: ua.retransmitted,
        };
        Ok(Self {
            ua,
            phones,
            plan,
            voices,
            browsers: None,
            sink,
            calls: Vec::new(),
            by_call_id: HashMap::new(),
            by_external: HashMap::new(),
            by_branch: HashMap::new(),
            due: BinaryHeap::new(),
            open: 0,
            reports: mpsc::channel(),
            listening: 0,
            start: Instant::now(),
            outcome,
        })
    }

    /// Phones that live in browsers answer with these.
    pub fn with_browsers(self, browsers: &'a Browsers) -> Self {
        Self {
            browsers: Some(browsers),
            ..self
        }
    }

    /// Makes all calls and waits until the last is over.
    pub fn run(mut self, watch: &mut impl Watch) -> anyhow::Result<Outcome> {
        let start = Instant::now();
        self.start = start;
        for call in 0..self.plan.calls {
            let at = start + Duration::from_secs_f64(call as f64 / self.plan.per_second);
            self.due.push(Reverse((at, Due::Begin(call))));
        }
        self.calls.resize_with(self.plan.calls, Call::default);
        self.open = self.plan.calls;
        // Nothing may keep a run alive for ever.
        let limit = start
            + Duration::from_secs_f64(self.plan.calls as f64 / self.plan.per_second)
            + self.plan.talk
            + self.plan.patience
            + Duration::from_secs(60);
        while self.open > 0 && Instant::now() < limit {
            self.act()?;
            let next = self.due.peek().map_or(limit, |Reverse((at, _))| *at);
            for heard in self
                .ua
                .wait(next.min(Instant::now() + Duration::from_millis(200)))?
            {
                match heard {
                    Heard::Response {
                        branch,
                        message,
                        at,
                    } => self.response(&branch, &message, at),
                    Heard::Request {
                        socket,
                        from,
                        message,
                        at,
                    } => self.request(socket, from, message, at),
                    Heard::Silence { branch } => self.silence(&branch),
                }
            }
            watch.look(
                self.calls
                    .iter()
                    .filter(|call| call.confirmed.is_some() && call.hung_up.is_none() && !call.over)
                    .count(),
            );
        }
        for call in 0..self.calls.len() {
            if !self.calls[call].over {
                self.fail(call, "never ended");
                self.close(call);
            }
        }
        for _ in 0..self.listening {
            let Ok(audio) = self.reports.1.recv_timeout(Duration::from_secs(5)) else {
                break;
            };
            self.outcome.audio.insert(audio.leg, audio);
        }
        self.outcome.took = start.elapsed();
        self.outcome.retransmitted = self.ua.retransmitted - self.outcome.retransmitted;
        self.outcome.calls = self.calls;
        Ok(self.outcome)
    }

    fn act(&mut self) -> anyhow::Result<()> {
        while self
            .due
            .peek()
            .is_some_and(|Reverse((at, _))| *at <= Instant::now())
        {
            let Some(Reverse((_, due))) = self.due.pop() else {
                break;
            };
            match due {
                Due::Begin(call) => self.begin(call)?,
                Due::Press(call) => self.press(call),
                Due::Answer(call) => self.answer(call)?,
                Due::HangUp(call) => self.hang_up(call),
                Due::GiveUp(call) => self.give_up(call),
            }
        }
        Ok(())
    }

    fn after(&mut self, wait: Duration, due: Due) {
        self.due.push(Reverse((Instant::now() + wait, due)));
    }

    fn leg(&mut self, call: usize, side: Side) -> &mut Leg {
        let call = &mut self.calls[call];
        match side {
            Side::Caller => &mut call.caller,
            Side::Agent => &mut call.agent,
        }
    }

    fn open_audio(
        &mut self,
        call: usize,
        side: Side,
        signalling: usize,
    ) -> anyhow::Result<SocketAddr> {
        if self.voices.is_none() {
            return Ok(self.sink.local_addr()?);
        }
        let socket = open_socket(self.ua.local(signalling).ip())?;
        let address = socket.local_addr()?;
        self.leg(call, side).socket_of_audio = Some(socket);
        Ok(address)
    }

    /// Hands a leg's socket to the voices, who listen from now on.
    fn listen(&mut self, call: usize, side: Side) {
        let id = id_of(call, side);
        let socket = self.leg(call, side).socket_of_audio.take();
        if let (Some(voices), Some(socket)) = (self.voices, socket) {
            voices.add(id, socket);
            self.listening += 1;
        }
    }

    fn talk(&mut self, call: usize, side: Side) {
        let remote = self.leg(call, side).remote;
        if let (Some(voices), Some(remote)) = (self.voices, remote) {
            voices.talk(id_of(call, side), remote.audio);
        }
    }

    fn begin(&mut self, call: usize) -> anyhow::Result<()> {
        let socket = carrier(call);
        let audio = self.open_audio(call, Side::Caller, socket)?;
        let (server, local) = (self.ua.server(), self.ua.local(socket));
        let external = format!("+4219010{call:05}");
        let (call_id, tag) = (self.ua.fresh("call"), self.ua.fresh("tag"));
        let ours = format!("<sip:{external}@{local}>;tag={tag}");
        let uri = format!("sip:{}@{server}", self.plan.number);
        let headers = format!(
            "From: {ours}\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContact: <sip:{external}@{local}>\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n"
        );
        let body = describe(audio, call as u64 + 1, None);
        let branch = self.ua.request(socket, "INVITE", &uri, &headers, &body);
        self.by_branch.insert(branch.clone(), (call, Side::Caller));
        self.by_call_id
            .insert(call_id.clone(), (call, Side::Caller));
        self.by_external.insert(external.clone(), call);
        let held = &mut self.calls[call];
        held.external = external;
        held.begun = Some(Instant::now());
        let leg = &mut held.caller;
        (leg.socket, leg.call_id, leg.tag, leg.ours, leg.sequence) =
            (socket, call_id, tag, ours, 1);
        leg.branch = Some(branch);
        self.listen(call, Side::Caller);
        let patience = self.plan.patience;
        self.after(patience, Due::GiveUp(call));
        Ok(())
    }

    fn press(&mut self, call: usize) {
        let Some(digit) = self.plan.digit else { return };
        let held = &mut self.calls[call];
        if held.over || held.pressed.is_some() {
            return;
        }
        held.pressed = Some(Instant::now());
        match held.caller.remote.and_then(|remote| remote.events) {
            Some(payload_type) => {
                if let Some(voices) = self.voices {
                    voices.press(id_of(call, Side::Caller), digit, payload_type);
                }
            }
            None => self.fail(call, "the server takes no key presses (RFC 4733)"),
        }
    }

    /// Who answers when the phone is one in a browser.
    fn browser_of(&self, invite: &Message) -> Option<&'a Browsers> {
        let browsers = self.browsers?;
        let phone = self.phones.named(invite_user(invite))?;
        self.ua.is_browser(phone.socket).then_some(browsers)
    }

    /// The phone is picked up.
    fn answer(&mut self, call: usize) -> anyhow::Result<()> {
        let leg = &self.calls[call].agent;
        if self.calls[call].over || leg.over || leg.up {
            return Ok(());
        }
        let socket = leg.socket;
        let Some((from, invite)) = self.calls[call].agent.invite.take() else {
            return Ok(());
        };
        let body = match self.browser_of(&invite) {
            Some(browsers) => {
                let at = self.ua.local(socket).ip();
                self.calls[call].in_browser = true;
                self.listening += 1;
                browsers.answer(id_of(call, Side::Agent), at, &invite.body)?
            }
            None => {
                let audio = self.open_audio(call, Side::Agent, socket)?;
                self.listen(call, Side::Agent);
                let events = self.calls[call]
                    .agent
                    .remote
                    .and_then(|remote| remote.events);
                describe(audio, call as u64 + 1, events)
            }
        };
        let contact = self.phones.contact(self.ua, invite_user(&invite));
        let tag = self.calls[call].agent.tag.clone();
        self.ua.answer(
            socket,
            from,
            &invite,
            Reply {
                status: "200 OK",
                tag: &tag,
                headers: &contact,
                body: &body,
            },
        );
        let held = &mut self.calls[call];
        held.agent.up = true;
        held.agent.invite = Some((from, invite));
        held.confirmed = Some(Instant::now());
        held.talk_from_us = wall_us();
        self.talk(call, Side::Agent);
        let talk = self.plan.talk;
        self.after(talk, Due::HangUp(call));
        Ok(())
    }

    /// Every other call is ended by its agent.
    fn hang_up(&mut self, call: usize) {
        if self.calls[call].over {
            return;
        }
        let side = if call.is_multiple_of(2) {
            Side::Caller
        } else {
            Side::Agent
        };
        self.calls[call].talk_until_us = wall_us();
        self.calls[call].hung_up = Some(Instant::now());
        self.bye(call, side);
        self.after(Duration::from_secs(10), Due::GiveUp(call));
    }

    fn bye(&mut self, call: usize, side: Side) {
        let leg = self.leg(call, side);
        if leg.over || !leg.up {
            return;
        }
        leg.sequence += 1;
        leg.over = true;
        let (socket, target) = (leg.socket, leg.target.clone());
        let headers = format!(
            "From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} BYE\r\n",
            leg.ours, leg.theirs, leg.call_id, leg.sequence
        );
        let branch = self.ua.request(socket, "BYE", &target, &headers, "");
        self.by_branch.insert(branch, (call, side));
    }

    fn give_up(&mut self, call: usize) {
        let held = &self.calls[call];
        if held.over || (held.confirmed.is_some() && held.hung_up.is_none()) {
            return;
        }
        let why = match (held.answered, held.offered, held.hung_up) {
            (_, _, Some(_)) => "the other side was not hung up",
            (None, ..) => "not answered",
            (_, None, _) => "no agent rang",
            _ => "the agent's answer came to nothing",
        };
        self.fail(call, why);
        match (&self.calls[call].caller.branch, self.calls[call].caller.up) {
            (Some(branch), false) => self.ua.cancel(&branch.clone()),
            _ => self.bye(call, Side::Caller),
        }
        self.bye(call, Side::Agent);
        self.close(call);
    }

    fn response(&mut self, branch: &str, message: &Message, at: Instant) {
        let status = message.status().unwrap_or(0);
        if status < 200 {
            return;
        }
        let Some((call, side)) = self.by_branch.remove(branch) else {
            return;
        };
        let is_invite = message
            .get("CSeq")
            .is_some_and(|value| value.ends_with("INVITE"));
        if !is_invite {
            if status >= 300 {
                self.fail(call, &format!("BYE answered {status}"));
            }
            return self.settle(call);
        }
        if status >= 300 {
            self.fail(call, &format!("INVITE answered {status}"));
            self.leg(call, side).over = true;
            return self.close(call);
        }
        self.answered(call, message, at);
    }

    fn answered(&mut self, call: usize, message: &Message, at: Instant) {
        let target = message.uri_of("Contact").unwrap_or_default().to_owned();
        let remote = Remote::parse(&message.body);
        let held = &mut self.calls[call];
        let leg = &mut held.caller;
        leg.theirs = message.get("To").unwrap_or_default().to_owned();
        (leg.target, leg.remote, leg.up) = (target, remote, true);
        let headers = format!(
            "From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 ACK\r\n",
            leg.ours, leg.theirs, leg.call_id
        );
        self.ua.ack(leg.socket, &leg.target, &headers, &leg.call_id);
        let was_over = held.over;
        held.answered = Some(at);
        if let Some(begun) = held.begun {
            self.outcome.set_up.add_ms(at.duration_since(begun));
            if at.duration_since(begun) > SLOW {
                let second = begun.duration_since(self.start).as_secs();
                *self.outcome.slow.entry(second).or_default() += 1;
            }
        }
        if was_over {
            return self.bye(call, Side::Caller);
        }
        if remote.is_none() {
            self.fail(call, "answered without audio that we speak");
        }
        self.talk(call, Side::Caller);
        if self.plan.digit.is_some() {
            self.after(Duration::from_millis(300), Due::Press(call));
        }
    }

    fn request(&mut self, socket: usize, from: SocketAddr, message: Message, at: Instant) {
        let call_id = message.get("Call-ID").unwrap_or_default();
        let known = self.by_call_id.get(call_id).copied();
        match (message.method().unwrap_or_default(), known) {
            ("INVITE", None) => self.rings(socket, from, message, at),
            ("INVITE", Some((call, _))) => {
                // Nobody here changes a session, so the server has no reason to.
                self.fail(call, "re-INVITE by the server");
                self.ua.answer(
                    socket,
                    from,
                    &message,
                    Reply::plain("488 Not Acceptable Here", "x"),
                );
            }
            ("ACK", Some((call, Side::Agent))) => {
                let held = &mut self.calls[call];
                if let (Some(confirmed), None) = (held.confirmed, held.hung_up) {
                    self.outcome.confirmed.add_ms(at.duration_since(confirmed));
                }
            }
            ("ACK", _) => {}
            ("CANCEL", Some((call, side))) => {
                self.ua
                    .answer(socket, from, &message, Reply::plain("200 OK", "x"));
                let leg = self.leg(call, side);
                leg.over = true;
                let tag = leg.tag.clone();
                if let Some((to, invite)) = leg.invite.take() {
                    self.ua.answer(
                        socket,
                        to,
                        &invite,
                        Reply::plain("487 Request Terminated", &tag),
                    );
                }
                self.fail(call, "the server stopped ringing the agent");
            }
            ("BYE", Some((call, side))) => {
                self.ua
                    .answer(socket, from, &message, Reply::plain("200 OK", "x"));
                self.hung_up_by_server(call, side, at);
            }
            ("BYE" | "CANCEL", None) => self.ua.answer(
                socket,
                from,
                &message,
                Reply::plain("481 Call/Transaction Does Not Exist", "x"),
            ),
            _ => self
                .ua
                .answer(socket, from, &message, Reply::plain("200 OK", "x")),
        }
    }

    fn rings(&mut self, socket: usize, from: SocketAddr, message: Message, at: Instant) {
        let external = message.user_of("From").unwrap_or_default();
        let Some(call) = self.by_external.get(external).copied() else {
            return self
                .ua
                .answer(socket, from, &message, Reply::plain("404 Not Found", "x"));
        };
        let busy = self.calls[call].over || !self.calls[call].agent.call_id.is_empty();
        if busy {
            self.fail(call, "two agents rang for one caller");
            return self
                .ua
                .answer(socket, from, &message, Reply::plain("486 Busy Here", "x"));
        }
        let tag = self.ua.fresh("tag");
        let contact = self.phones.contact(self.ua, invite_user(&message));
        self.ua.answer(
            socket,
            from,
            &message,
            Reply {
                status: "180 Ringing",
                tag: &tag,
                headers: &contact,
                body: "",
            },
        );
        let held = &mut self.calls[call];
        held.offered = Some(at);
        if let Some(since) = held.pressed.or(held.answered) {
            self.outcome.to_agent.add_ms(at.duration_since(since));
        }
        let leg = &mut held.agent;
        leg.socket = socket;
        leg.call_id = message.get("Call-ID").unwrap_or_default().to_owned();
        leg.ours = format!("{};tag={tag}", message.get("To").unwrap_or_default());
        leg.theirs = message.get("From").unwrap_or_default().to_owned();
        leg.target = message.uri_of("Contact").unwrap_or_default().to_owned();
        leg.remote = Remote::parse(&message.body);
        leg.tag = tag;
        self.by_call_id
            .insert(leg.call_id.clone(), (call, Side::Agent));
        leg.invite = Some((from, Box::new(message)));
        let ring = self.plan.ring;
        self.after(ring, Due::Answer(call));
    }

    fn hung_up_by_server(&mut self, call: usize, side: Side, at: Instant) {
        self.leg(call, side).over = true;
        match self.calls[call].hung_up {
            Some(since) => self.outcome.torn_down.add_ms(at.duration_since(since)),
            None => {
                self.fail(call, "hung up by the server");
                self.bye(
                    call,
                    if side == Side::Caller {
                        Side::Agent
                    } else {
                        Side::Caller
                    },
                );
            }
        }
        self.settle(call);
    }

    fn silence(&mut self, branch: &str) {
        if let Some((call, _)) = self.by_branch.remove(branch) {
            self.fail(call, "a request was never answered");
            return self.close(call);
        }
        let unconfirmed = branch
            .strip_prefix("unconfirmed ")
            .and_then(|call_id| self.by_call_id.get(call_id));
        if let Some((call, _)) = unconfirmed.copied() {
            self.fail(call, "the agent's answer was never confirmed");
        }
    }

    fn fail(&mut self, call: usize, why: &str) {
        let failure = &mut self.calls[call].failure;
        if failure.is_none() {
            *failure = Some(why.to_owned());
        }
    }

    /// Ends a call of which both sides are over.
    fn settle(&mut self, call: usize) {
        let held = &self.calls[call];
        let pending = self.by_branch.values().any(|(of, _)| *of == call);
        if held.caller.over && (held.agent.over || !held.agent.up) && !pending {
            self.close(call);
        }
    }

    fn close(&mut self, call: usize) {
        if self.calls[call].over {
            return;
        }
        self.calls[call].over = true;
        self.open -= 1;
        let call_ids = [
            self.calls[call].caller.call_id.clone(),
            self.calls[call].agent.call_id.clone(),
        ];
        for call_id in call_ids {
            self.ua.forget(&call_id);
        }
        if let Some(voices) = self.voices {
            voices.remove(id_of(call, Side::Caller), &self.reports.0);
            voices.remove(id_of(call, Side::Agent), &self.reports.0);
        }
        if let (Some(browsers), true) = (self.browsers, self.calls[call].in_browser) {
            browsers.remove(id_of(call, Side::Agent), &self.reports.0);
        }
    }
}

fn id_of(call: usize, side: Side) -> u16 {
    (call * 2 + usize::from(side == Side::Agent)) as u16
}

/// Whose phone an INVITE rings.
fn invite_user(invite: &Message) -> &str {
    match &invite.start {
        crate::ua::Start::Request { uri, .. } => uri
            .split_once(':')
            .and_then(|(_, rest)| rest.split(['@', ';']).next())
            .unwrap_or_default(),
        crate::ua::Start::Response { .. } => "",
    }
}
