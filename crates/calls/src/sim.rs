//! A small world for tests: virtual callers and agents on a simulated clock.
//!
//! [`World`] does what a driver does: it carries outputs out, in order, and brings back what a
//! network, a media engine and people would. Between the calls and the ACD messages travel on
//! channels; [`World::shuffle`] delivers them in an order drawn from a seed, so that races show.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::SignedDuration;
use model::{
    AgentId, Availability, CallEvent, CallFact, CallId, CallRecord, DigitVia, Direction, GroupId,
    HangupCause, LegId, PhoneNumber, QueueOutcome, RecordingId, RingStrategy, TenantId, Timestamp,
};

use crate::{
    acd::{self, Acd},
    call::{self, Call, GroupInfo, NewCall, PlaybackId},
    flow::Flow,
};

/// How long any prompt takes.
pub const PROMPT: SignedDuration = SignedDuration::from_secs(2);
/// How long the network takes for a message and its answer.
pub const ROUND_TRIP: SignedDuration = SignedDuration::from_millis(50);

/// What an agent does when his phone rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Picks up after so many seconds, and hangs up that long after, if at all.
    Answers {
        /// Until he picks up.
        after: u32,
        /// Until he hangs up.
        talks: Option<u32>,
    },
    /// Lets it ring.
    Ignores,
    /// His phone refuses at once.
    Refuses(HangupCause),
    /// Answers, and his laptop is closed so many seconds later.
    Vanishes(u32),
}

/// What a caller does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Presses a key.
    Press(char),
    /// Hangs up.
    HangUp,
}

#[derive(Clone, Debug)]
enum Happening {
    ToCall(CallId, call::Input),
    Fact(acd::Fact),
}

#[derive(Debug)]
struct Leg {
    agent: AgentId,
    up: bool,
}

/// The world.
pub struct World {
    /// The time in it.
    pub now: Timestamp,
    /// The company's ACD.
    pub acd: Acd,
    /// Everything any call asked for, in order.
    pub log: Vec<(Timestamp, CallId, call::Output)>,
    calls: BTreeMap<CallId, Call>,
    ledger: BTreeMap<CallId, Vec<CallEvent>>,
    manners: BTreeMap<AgentId, Manner>,
    groups: BTreeMap<GroupId, GroupInfo>,
    agenda: BTreeMap<(Timestamp, u64), Happening>,
    to_acd: VecDeque<acd::Fact>,
    to_calls: BTreeMap<CallId, VecDeque<call::Input>>,
    legs: BTreeMap<(CallId, LegId), Leg>,
    playing: BTreeMap<CallId, PlaybackId>,
    recording_since: BTreeMap<RecordingId, Timestamp>,
    happenings: u64,
    last_call: i64,
    /// Offers as they were made, for fairness checks.
    pub offers: Vec<(Timestamp, acd::Offer)>,
    /// Calls that asked another one for its party, with the leg it will be.
    taking: BTreeMap<CallId, LegId>,
    shuffle: Option<u64>,
}

impl World {
    /// An empty one, at a fixed time.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn new() -> Self {
        Self {
            now: Timestamp::from_second(1_700_000_000).expect("a fixed time is in range"),
            acd: Acd::new(7),
            log: Vec::new(),
            calls: BTreeMap::new(),
            ledger: BTreeMap::new(),
            manners: BTreeMap::new(),
            groups: BTreeMap::new(),
            agenda: BTreeMap::new(),
            to_acd: VecDeque::new(),
            to_calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            playing: BTreeMap::new(),
            recording_since: BTreeMap::new(),
            happenings: 0,
            last_call: 0,
            offers: Vec::new(),
            taking: BTreeMap::new(),
            shuffle: None,
        }
    }

    /// From now on messages between calls and ACD arrive in an order drawn from the seed.
    pub fn shuffle(&mut self, seed: u64) {
        self.shuffle = Some(seed);
    }

    /// Adds an agent, online, with one device and ten seconds of wrap-up.
    pub fn agent(&mut self, id: i64, manner: Manner) -> AgentId {
        let agent = AgentId(id);
        self.manners.insert(agent, manner);
        let settings = acd::Agent {
            id: agent,
            name: format!("Agent {id}"),
            availability: Availability::Online,
            wrap_up_seconds: 10,
        };
        self.tell(acd::Fact::AgentSet(settings));
        self.tell(acd::Fact::DevicesChanged {
            agent,
            registered: 1,
        });
        agent
    }

    /// Adds a group that rings each agent for 15 seconds.
    pub fn group(&mut self, id: i64, strategy: RingStrategy, members: &[AgentId]) -> GroupId {
        let (id, name) = (GroupId(id), format!("Group {id}"));
        self.groups.insert(
            id,
            GroupInfo {
                name: name.clone(),
                strategy,
            },
        );
        let members = members.to_vec();
        let settings = acd::Group {
            id,
            name,
            strategy,
            ring_seconds: 15,
            wrap_up_seconds: None,
            rings_idle: false,
            members,
        };
        self.tell(acd::Fact::GroupSet(settings));
        id
    }

    /// An agent calls a colleague; the phone of the latter does as it always does.
    pub fn colleague_call(&mut self, agent: AgentId, callee: AgentId) -> CallId {
        self.last_call += 1;
        let id = CallId(self.last_call);
        let caller = call::CallingAgent {
            agent,
            name: format!("Agent {agent}"),
            extension: "100".to_owned(),
            dialled: "101".to_owned(),
            wrap_up_seconds: 10,
        };
        let new = NewCall {
            direction: Direction::Internal,
            agent: Some(caller),
            external: None,
            internal: None,
            ..self.new_call(id)
        };
        let outgoing = call::OutgoingCall {
            begun: call::Begun::ByPhone,
            callee: call::Callee::Agent {
                agent: callee,
                name: format!("Agent {callee}"),
            },
            ring_seconds: 30,
        };
        let (call, outputs) = Call::outgoing(new, outgoing, self.now);
        self.calls.insert(id, call);
        self.carry_out(id, outputs);
        self.deliver();
        id
    }

    /// What calls did that is to be done, in order.
    #[must_use]
    pub fn done(&self, call: CallId) -> Vec<call::Output> {
        let all = self.log.iter().filter(|(_, id, _)| *id == call);
        all.map(|(_, _, output)| output.clone()).collect()
    }

    /// Changes what an agent does from now on.
    pub fn set_manner(&mut self, agent: AgentId, manner: Manner) {
        self.manners.insert(agent, manner);
    }

    /// Gives the ACD a fact.
    pub fn tell(&mut self, fact: acd::Fact) {
        self.to_acd.push_back(fact);
        self.deliver();
    }

    /// Gives the ACD a fact later.
    pub fn tell_after(&mut self, wait: SignedDuration, fact: acd::Fact) {
        self.later(wait, Happening::Fact(fact));
    }

    /// A call comes in; the caller does things so many milliseconds after that.
    pub fn caller(&mut self, flow: &Arc<Flow>, acts: &[(u32, Act)]) -> CallId {
        self.last_call += 1;
        let id = CallId(self.last_call);
        let new = self.new_call(id);
        for (wait, act) in acts {
            let input = match act {
                Act::Press(digit) => call::Input::Digit {
                    leg: LegId::FIRST,
                    digit: *digit,
                    via: DigitVia::Rfc4733,
                },
                Act::HangUp => call::Input::LegHungUp { leg: LegId::FIRST },
            };
            self.later(
                SignedDuration::from_millis(i64::from(*wait)),
                Happening::ToCall(id, input),
            );
        }
        let (call, outputs) = Call::incoming(new, Arc::clone(flow), self.now);
        self.calls.insert(id, call);
        self.carry_out(id, outputs);
        self.deliver();
        id
    }

    fn new_call(&self, id: CallId) -> NewCall {
        NewCall {
            id,
            uuid: format!("call-{id}"),
            direction: Direction::Incoming,
            agent: None,
            external: PhoneNumber::parse("+421900000001").ok(),
            internal: PhoneNumber::parse("+421200000001").ok(),
            number: None,
            contact: None,
            trunk: None,
            node: "sim".to_owned(),
            groups: Arc::new(self.groups.clone()),
            rooms: Arc::default(),
            recording: Arc::default(),
        }
    }

    /// Brings a call an input right now.
    pub fn input(&mut self, call: CallId, input: call::Input) {
        self.to_calls.entry(call).or_default().push_back(input);
        self.deliver();
    }

    /// A call's machine.
    ///
    /// # Panics
    /// When there is no such call.
    #[must_use]
    pub fn machine(&self, call: CallId) -> &Call {
        self.calls.get(&call).expect("the call is known")
    }

    /// An agent's phone calls to take the place of a leg.
    ///
    /// # Errors
    /// The status it is refused with.
    ///
    /// # Panics
    /// When there is no such call.
    pub fn replace(&mut self, call: CallId, leg: LegId, agent: AgentId) -> Result<(), u16> {
        let machine = self.machine(call);
        machine.replaceable(leg, agent, false)?;
        let phone = Leg { agent, up: true };
        self.legs.insert((call, machine.next_leg()), phone);
        let replacement = call::Replacement {
            leg,
            agent,
            agent_name: format!("Agent {agent}"),
            wrap_up_seconds: 10,
        };
        self.input(call, call::Input::Replaces(replacement));
        Ok(())
    }

    /// Somebody hangs up his phone.
    pub fn hang_up(&mut self, call: CallId, leg: LegId) {
        self.happen(call, call::Input::LegHungUp { leg });
        self.deliver();
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: SignedDuration) {
        let end = self.now + duration;
        while let Some(next) = self.next_time().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.tick();
        }
        self.now = end;
    }

    /// A call's facts so far.
    #[must_use]
    pub fn events(&self, call: CallId) -> &[CallEvent] {
        self.ledger.get(&call).map_or(&[], Vec::as_slice)
    }

    /// A call's facts without their times.
    #[must_use]
    pub fn facts(&self, call: CallId) -> Vec<CallFact> {
        self.events(call)
            .iter()
            .map(|event| event.fact.clone())
            .collect()
    }

    /// A call's row.
    ///
    /// # Panics
    /// When there is no such call.
    #[must_use]
    pub fn record(&self, call: CallId) -> CallRecord {
        crate::record::fold(self.events(call)).expect("the call was started")
    }

    /// Calls that are not finished.
    #[must_use]
    pub fn running(&self) -> Vec<CallId> {
        self.calls
            .iter()
            .filter(|(_, call)| !call.is_finished())
            .map(|(id, _)| *id)
            .collect()
    }

    /// Agents' phones that ring or talk, each with its call.
    #[must_use]
    pub fn phones_in_use(&self) -> Vec<(AgentId, CallId)> {
        self.legs
            .iter()
            .filter(|(_, leg)| leg.up)
            .map(|((call, _), leg)| (leg.agent, *call))
            .collect()
    }

    fn later(&mut self, wait: SignedDuration, happening: Happening) {
        self.happenings += 1;
        self.agenda
            .insert((self.now + wait, self.happenings), happening);
    }

    fn next_time(&self) -> Option<Timestamp> {
        let agenda = self.agenda.keys().next().map(|(at, _)| *at);
        let calls = self.calls.values().filter_map(Call::next_deadline);
        calls.chain(agenda).chain(self.acd.next_deadline()).min()
    }

    fn tick(&mut self) {
        while let Some(entry) = self
            .agenda
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now)
        {
            match entry.remove() {
                Happening::ToCall(call, input) => self.happen(call, input),
                Happening::Fact(fact) => self.to_acd.push_back(fact),
            }
        }
        self.deliver();
        let due: Vec<CallId> = self
            .calls
            .iter()
            .filter(|(_, call)| call.next_deadline().is_some_and(|at| at <= self.now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let outputs = self
                .calls
                .get_mut(&id)
                .map(|call| call.on_time(self.now))
                .unwrap_or_default();
            self.carry_out(id, outputs);
        }
        let outputs = self.acd.on_time(self.now);
        self.acd_says(outputs);
        self.deliver();
    }

    /// Something from outside reaches a call, unless it comes from a phone that is silent by now.
    fn happen(&mut self, call: CallId, input: call::Input) {
        let stale = match &input {
            call::Input::LegRinging { leg } | call::Input::LegAnswered { leg } => {
                !self.is_up(call, *leg)
            }
            call::Input::LegHungUp { leg } | call::Input::LegFailed { leg, .. }
                if *leg != LegId::FIRST =>
            {
                let stale = !self.is_up(call, *leg);
                if let Some(leg) = self.legs.get_mut(&(call, *leg)) {
                    leg.up = false;
                }
                stale
            }
            call::Input::PlaybackFinished { playback, .. } => {
                self.playing.get(&call) != Some(playback)
            }
            _ => false,
        };
        if !stale {
            self.to_calls.entry(call).or_default().push_back(input);
        }
    }

    fn is_up(&self, call: CallId, leg: LegId) -> bool {
        self.legs.get(&(call, leg)).is_some_and(|leg| leg.up)
    }

    /// Delivers messages until all channels are empty.
    fn deliver(&mut self) {
        loop {
            let waiting: Vec<CallId> = self
                .to_calls
                .iter()
                .filter(|(_, queue)| !queue.is_empty())
                .map(|(id, _)| *id)
                .collect();
            let channels = waiting.len() + usize::from(!self.to_acd.is_empty());
            if channels == 0 {
                return;
            }
            let drawn = self.draw(channels);
            match waiting.get(drawn) {
                Some(&id) => {
                    let input = self.to_calls.get_mut(&id).and_then(VecDeque::pop_front);
                    if let (Some(input), Some(call)) = (input, self.calls.get_mut(&id)) {
                        let taker = match &input {
                            call::Input::HandOver { to, .. } => Some(*to),
                            _ => None,
                        };
                        let outputs = call.handle(self.now, input);
                        self.carry_out(id, outputs);
                        self.not_handed_over(taker);
                    }
                }
                None => {
                    if let Some(fact) = self.to_acd.pop_front() {
                        let outputs = self.acd.handle(self.now, fact);
                        self.acd_says(outputs);
                    }
                }
            }
        }
    }

    /// The call that asked for a party gets none.
    fn not_handed_over(&mut self, taker: Option<CallId>) {
        if let Some(taker) = taker
            && let Some(leg) = self.taking.remove(&taker)
        {
            let cause = HangupCause::SignallingFailed;
            let failed = call::Input::LegFailed { leg, cause };
            self.to_calls.entry(taker).or_default().push_back(failed);
        }
    }

    fn draw(&mut self, below: usize) -> usize {
        let Some(seed) = &mut self.shuffle else {
            return 0;
        };
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*seed >> 33).unwrap_or(0) % below
    }

    fn acd_says(&mut self, outputs: Vec<acd::Output>) {
        for output in outputs {
            let (call, input) = match output {
                acd::Output::Offer(offer) => {
                    self.offers.push((self.now, offer.clone()));
                    (offer.call, call::Input::Offered(offer))
                }
                acd::Output::WithdrawOffer {
                    offer,
                    call,
                    reason,
                } => (call, call::Input::OfferWithdrawn { offer, reason }),
                acd::Output::NobodyOnline { call, group } => (
                    call,
                    call::Input::QueueExhausted {
                        group,
                        outcome: QueueOutcome::NoAgentsOnline,
                    },
                ),
                acd::Output::WrapUpEnded { agent, call } => {
                    (call, call::Input::WrapUpEnded { agent })
                }
                acd::Output::AgentState { .. } => continue,
            };
            self.to_calls.entry(call).or_default().push_back(input);
        }
    }

    fn carry_out(&mut self, id: CallId, outputs: Vec<call::Output>) {
        for output in outputs {
            self.log.push((self.now, id, output.clone()));
            self.act(id, output);
        }
    }

    fn act(&mut self, id: CallId, output: call::Output) {
        use call::{Input, Output};
        match output {
            Output::Record(fact) => {
                let events = self.ledger.entry(id).or_default();
                let seq = u32::try_from(events.len() + 1).unwrap_or(u32::MAX);
                events.push(CallEvent {
                    seq,
                    tenant: TenantId(1),
                    call: id,
                    at: self.now,
                    fact,
                });
            }
            Output::Answer { leg } => {
                self.later(ROUND_TRIP, Happening::ToCall(id, Input::Connected { leg }));
            }
            Output::Play {
                leg,
                playback,
                repeat,
                ..
            } => {
                self.playing.insert(id, playback);
                if !repeat {
                    self.later(
                        PROMPT,
                        Happening::ToCall(id, Input::PlaybackFinished { leg, playback }),
                    );
                }
            }
            Output::StopPlaying { .. } => {
                self.playing.remove(&id);
            }
            Output::JoinQueue { group } => self.to_acd.push_back(acd::Fact::CallerJoined {
                call: id,
                group,
                since: self.now,
            }),
            Output::LeaveQueue { .. } => self.to_acd.push_back(acd::Fact::CallerLeft { call: id }),
            Output::OfferAnswered { offer } => {
                self.to_acd.push_back(acd::Fact::OfferAnswered { offer });
            }
            Output::OfferEnded { offer, reason } => self
                .to_acd
                .push_back(acd::Fact::OfferEnded { offer, reason }),
            Output::Dial { leg, agent, .. } => self.dial(id, leg, agent),
            Output::HangUp { leg, .. } => {
                if let Some(leg) = self.legs.get_mut(&(id, leg)) {
                    leg.up = false;
                }
            }
            Output::Bridge { b, .. } => self.talk(id, b),
            Output::StartRecording { recording, .. } => {
                self.recording_since.insert(recording, self.now);
            }
            Output::StopRecording { recording } => {
                let since = self
                    .recording_since
                    .get(&recording)
                    .copied()
                    .unwrap_or(self.now);
                let duration_ms = crate::record::ms(since, self.now);
                let stopped = Input::RecordingStopped {
                    recording,
                    duration_ms,
                    bytes: 44 + duration_ms * 32,
                };
                self.later(ROUND_TRIP, Happening::ToCall(id, stopped));
            }
            Output::StartWrapUp { agent, seconds } => {
                self.to_acd.push_back(acd::Fact::ConversationEnded {
                    call: id,
                    agent,
                    wrap_up_seconds: seconds,
                });
            }
            Output::AgentBusy { agent } => {
                self.to_acd
                    .push_back(acd::Fact::AgentBusy { agent, call: id });
            }
            Output::Finished => self.to_acd.push_back(acd::Fact::CallGone(id)),
            Output::TakeOver {
                leg,
                call,
                theirs,
                agent,
            } => {
                self.taking.insert(id, leg);
                let hand_over = Input::HandOver {
                    leg: theirs,
                    agent,
                    to: id,
                };
                self.to_calls.entry(call).or_default().push_back(hand_over);
            }
            Output::HandOver { agent, .. } => {
                let taker = self.taking.pop_first();
                if let Some((taker, leg)) = taker {
                    let joined = Input::PartyJoined {
                        leg,
                        agent,
                        price: None,
                    };
                    self.later(ROUND_TRIP, Happening::ToCall(taker, joined));
                }
            }
            Output::AcceptReferral { .. }
            | Output::RefuseReferral { .. }
            | Output::ReportReferral { .. }
            | Output::DialTrunk { .. }
            | Output::Ring { .. }
            | Output::Progress { .. }
            | Output::Unbridge { .. }
            | Output::DiscardRecording { .. }
            | Output::PauseRecording { .. }
            | Output::ResumeRecording { .. }
            | Output::Announce { .. }
            | Output::Monitor { .. }
            | Output::Echo { .. }
            | Output::TryPin { .. }
            | Output::EnterRoom { .. }
            | Output::TellQuality { .. } => {}
        }
    }

    fn dial(&mut self, id: CallId, leg: LegId, agent: AgentId) {
        self.legs.insert((id, leg), Leg { agent, up: true });
        let manner = self.manners.get(&agent).copied().unwrap_or(Manner::Ignores);
        if let Manner::Refuses(cause) = manner {
            return self.later(
                ROUND_TRIP,
                Happening::ToCall(id, call::Input::LegFailed { leg, cause }),
            );
        }
        self.later(
            ROUND_TRIP,
            Happening::ToCall(id, call::Input::LegRinging { leg }),
        );
        let answers = match manner {
            Manner::Answers { after, .. } => SignedDuration::from_secs(i64::from(after)),
            Manner::Vanishes(_) => SignedDuration::from_secs(1),
            Manner::Ignores | Manner::Refuses(_) => return,
        };
        self.later(
            ROUND_TRIP + answers,
            Happening::ToCall(id, call::Input::LegAnswered { leg }),
        );
    }

    fn talk(&mut self, id: CallId, leg: LegId) {
        let manner = self
            .legs
            .get(&(id, leg))
            .and_then(|leg| self.manners.get(&leg.agent))
            .copied();
        let seconds = |seconds: u32| SignedDuration::from_secs(i64::from(seconds));
        match manner {
            Some(Manner::Answers {
                talks: Some(talks), ..
            }) => {
                self.later(
                    seconds(talks),
                    Happening::ToCall(id, call::Input::LegHungUp { leg }),
                );
            }
            Some(Manner::Vanishes(after)) => {
                let cause = HangupCause::SignallingFailed;
                self.later(
                    seconds(after),
                    Happening::ToCall(id, call::Input::LegFailed { leg, cause }),
                );
            }
            _ => {}
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
