//! The state of a company's queues, and how facts change it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use model::{AgentId, AgentState, Availability, CallId, GroupId, OfferEnd, Timestamp};

use super::{Agent, Fact, Group, OFFER_GRACE, OfferId, Output, RETRY_PAUSE};

/// The automatic call distribution of one company.
#[derive(Debug)]
pub struct Acd {
    pub(super) random: u64,
    pub(super) last_offer: u64,
    pub(super) groups: BTreeMap<GroupId, GroupEntry>,
    pub(super) agents: BTreeMap<AgentId, AgentEntry>,
    /// Longest wait first.
    pub(super) callers: Vec<Caller>,
    pub(super) offers: BTreeMap<OfferId, LiveOffer>,
    /// Moments at which something may become possible or due.
    pub(super) wakes: BTreeSet<Timestamp>,
}

#[derive(Debug)]
pub(super) struct GroupEntry {
    pub settings: Group,
    /// Whom round robin rang last.
    pub last_rung: Option<AgentId>,
}

#[derive(Debug)]
pub(super) struct AgentEntry {
    pub settings: Agent,
    pub registered: u32,
    pub activity: Activity,
    /// His calls that came past the queues.
    pub other_calls: BTreeSet<CallId>,
    /// Since his last call, or since he came online.
    pub idle_since: Timestamp,
    /// His device failed: no calls before this.
    pub not_before: Timestamp,
    /// What was last told of him.
    pub shown: AgentState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    Free,
    Ringing(OfferId),
    OnCall(CallId),
    WrapUp { call: CallId, until: Timestamp },
}

#[derive(Debug)]
pub(super) struct Caller {
    pub call: CallId,
    pub group: GroupId,
    pub since: Timestamp,
    /// Offers that are live for him.
    pub ringing: u32,
    pub tries: Vec<Tries>,
}

/// How often an agent did not take a caller.
#[derive(Debug)]
pub(super) struct Tries {
    pub agent: AgentId,
    pub count: u32,
    pub not_before: Timestamp,
}

#[derive(Debug)]
pub(super) struct LiveOffer {
    pub call: CallId,
    pub agent: AgentId,
    pub group: GroupId,
    /// When the call should have said what came of it.
    pub until: Timestamp,
    pub withdrawn: bool,
}

impl AgentEntry {
    /// Whether a group's callers could reach him, busy or not.
    pub(super) fn reachable(&self, group: &Group) -> bool {
        let willing = match self.settings.availability {
            Availability::Online => true,
            Availability::Idle => group.rings_idle,
            Availability::Offline => false,
        };
        willing && self.registered > 0
    }

    pub(super) fn free(&self, now: Timestamp) -> bool {
        self.activity == Activity::Free && self.other_calls.is_empty() && self.not_before <= now
    }

    fn set_availability(&mut self, availability: Availability, now: Timestamp) {
        if availability == Availability::Online
            && self.settings.availability != Availability::Online
        {
            self.idle_since = now;
        }
        self.settings.availability = availability;
    }

    fn state(&self) -> AgentState {
        match self.activity {
            Activity::OnCall(_) => AgentState::OnCall,
            _ if !self.other_calls.is_empty() => AgentState::OnCall,
            Activity::Ringing(_) => AgentState::Ringing,
            Activity::WrapUp { .. } => AgentState::WrapUp,
            Activity::Free
                if self.registered > 0 && self.settings.availability == Availability::Online =>
            {
                AgentState::Available
            }
            Activity::Free => AgentState::Away,
        }
    }
}

impl Acd {
    /// An empty one. The seed decides what groups that ring by chance do.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            random: seed,
            last_offer: 0,
            groups: BTreeMap::new(),
            agents: BTreeMap::new(),
            callers: Vec::new(),
            offers: BTreeMap::new(),
            wakes: BTreeSet::new(),
        }
    }

    /// Takes in a fact and decides anew.
    #[must_use]
    pub fn handle(&mut self, now: Timestamp, fact: Fact) -> Vec<Output> {
        let mut out = Vec::new();
        self.apply(now, fact, &mut out);
        self.settle(now, &mut out);
        out
    }

    /// When [`Acd::on_time`] must be called at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.wakes.first().copied()
    }

    /// Fires the timers that are due. Early and repeated calls do no harm.
    #[must_use]
    pub fn on_time(&mut self, now: Timestamp) -> Vec<Output> {
        let mut out = Vec::new();
        if self.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.settle(now, &mut out);
        }
        out
    }

    /// What boards show of an agent; `None` when he is unknown.
    #[must_use]
    pub fn agent_state(&self, agent: AgentId) -> Option<AgentState> {
        self.agents.get(&agent).map(AgentEntry::state)
    }

    /// Who waits in a group, longest first.
    #[must_use]
    pub fn waiting(&self, group: GroupId) -> Vec<CallId> {
        self.callers
            .iter()
            .filter(|caller| caller.group == group)
            .map(|caller| caller.call)
            .collect()
    }

    /// Time passes, then everybody who can be served is.
    fn settle(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        while self.wakes.first().is_some_and(|wake| *wake <= now) {
            self.wakes.pop_first();
        }
        self.end_wrap_ups(now, out);
        self.check_offers(now, out);
        self.serve(now, out);
        for (id, entry) in &mut self.agents {
            let state = entry.state();
            if state != entry.shown {
                entry.shown = state;
                out.push(Output::AgentState { agent: *id, state });
            }
        }
    }

    fn apply(&mut self, now: Timestamp, fact: Fact, out: &mut Vec<Output>) {
        match fact {
            Fact::GroupSet(settings) => {
                let last_rung = self
                    .groups
                    .get(&settings.id)
                    .and_then(|entry| entry.last_rung);
                self.groups.insert(
                    settings.id,
                    GroupEntry {
                        settings,
                        last_rung,
                    },
                );
            }
            Fact::GroupRemoved(group) => {
                self.groups.remove(&group);
            }
            Fact::AgentSet(settings) => self.set_agent(now, settings, out),
            Fact::AgentRemoved(agent) => self.remove_agent(agent, out),
            Fact::AvailabilityChanged {
                agent,
                availability,
            } => {
                if let Some(entry) = self.agents.get_mut(&agent) {
                    entry.set_availability(availability, now);
                }
            }
            Fact::DevicesChanged { agent, registered } => {
                if let Some(entry) = self.agents.get_mut(&agent) {
                    entry.registered = registered;
                }
            }
            Fact::AgentBusy { agent, call } => {
                if let Some(entry) = self.agents.get_mut(&agent) {
                    entry.other_calls.insert(call);
                }
            }
            Fact::CallerJoined { call, group, since } => {
                self.caller_joined(since.min(now), call, group);
            }
            Fact::CallerLeft { call } => self.caller_left(call),
            Fact::OfferAnswered { offer } => self.offer_answered(offer),
            Fact::OfferEnded { offer, reason } => self.offer_ended(now, offer, reason),
            Fact::ConversationEnded {
                call,
                agent,
                wrap_up_seconds,
            } => {
                self.conversation_ended(now, call, agent, wrap_up_seconds, out);
            }
            Fact::WrapUpDone(agent) => self.wrap_up_done(now, agent, out),
            Fact::CallGone(call) => self.call_gone(now, call),
        }
    }

    fn set_agent(&mut self, now: Timestamp, settings: Agent, out: &mut Vec<Output>) {
        let agent = settings.id;
        if let Some(entry) = self.agents.get_mut(&agent) {
            entry.set_availability(settings.availability, now);
            entry.settings = settings;
            return;
        }
        let shown = AgentState::Away;
        out.push(Output::AgentState {
            agent,
            state: shown,
        });
        self.agents.insert(
            agent,
            AgentEntry {
                settings,
                registered: 0,
                activity: Activity::Free,
                other_calls: BTreeSet::new(),
                idle_since: now,
                not_before: Timestamp::MIN,
                shown,
            },
        );
    }

    fn remove_agent(&mut self, agent: AgentId, out: &mut Vec<Output>) {
        // An offer of his is taken back by `check_offers`: he is no longer reachable.
        if let Some(AgentEntry {
            activity: Activity::WrapUp { call, .. },
            ..
        }) = self.agents.remove(&agent)
        {
            out.push(Output::WrapUpEnded { agent, call });
        }
    }

    fn caller_joined(&mut self, since: Timestamp, call: CallId, group: GroupId) {
        self.caller_left(call);
        let place = self.callers.partition_point(|caller| caller.since <= since);
        self.callers.insert(
            place,
            Caller {
                call,
                group,
                since,
                ringing: 0,
                tries: Vec::new(),
            },
        );
    }

    fn caller_left(&mut self, call: CallId) {
        self.callers.retain(|caller| caller.call != call);
        let ended: Vec<OfferId> = self
            .offers
            .iter()
            .filter(|(_, live)| live.call == call)
            .map(|(id, _)| *id)
            .collect();
        for offer in ended {
            self.take_offer(offer);
        }
    }

    /// Forgets an offer; its agent no longer rings.
    fn take_offer(&mut self, offer: OfferId) -> Option<LiveOffer> {
        let live = self.offers.remove(&offer)?;
        if let Some(caller) = self
            .callers
            .iter_mut()
            .find(|caller| caller.call == live.call)
        {
            caller.ringing = caller.ringing.saturating_sub(1);
        }
        if let Some(entry) = self.agents.get_mut(&live.agent)
            && entry.activity == Activity::Ringing(offer)
        {
            entry.activity = Activity::Free;
        }
        Some(live)
    }

    fn offer_answered(&mut self, offer: OfferId) {
        let Some(live) = self.take_offer(offer) else {
            return;
        };
        if let Some(entry) = self.agents.get_mut(&live.agent) {
            entry.activity = Activity::OnCall(live.call);
        }
        // His other offers stay until the call says that those phones are silent.
        self.callers.retain(|caller| caller.call != live.call);
    }

    fn offer_ended(&mut self, now: Timestamp, offer: OfferId, reason: OfferEnd) {
        let Some(live) = self.take_offer(offer) else {
            return;
        };
        let pause = later(now, RETRY_PAUSE);
        if let Some(caller) = self
            .callers
            .iter_mut()
            .find(|caller| caller.call == live.call)
        {
            // Whatever the reason: should the caller still wait, a pause keeps the two from being
            // matched over and over in no time.
            caller.count_try(live.agent, pause);
            self.wakes.insert(pause);
        }
        if let (OfferEnd::Busy | OfferEnd::Unavailable, Some(entry)) =
            (reason, self.agents.get_mut(&live.agent))
        {
            entry.not_before = pause;
            self.wakes.insert(pause);
        }
    }

    fn conversation_ended(
        &mut self,
        now: Timestamp,
        call: CallId,
        agent: AgentId,
        wrap_up_seconds: u32,
        out: &mut Vec<Output>,
    ) {
        let own = self.agents.get_mut(&agent).is_some_and(|entry| {
            let other = entry.other_calls.remove(&call);
            entry.activity == Activity::OnCall(call) || (other && entry.activity == Activity::Free)
        });
        match self.agents.get_mut(&agent) {
            Some(entry) if own => {
                let until = later(now, SignedDuration::from_secs(i64::from(wrap_up_seconds)));
                entry.idle_since = now;
                entry.activity = if wrap_up_seconds > 0 {
                    Activity::WrapUp { call, until }
                } else {
                    Activity::Free
                };
                if wrap_up_seconds > 0 {
                    self.wakes.insert(until);
                }
            }
            // He was removed meanwhile: the call must not wait for him.
            _ if wrap_up_seconds > 0 => out.push(Output::WrapUpEnded { agent, call }),
            _ => {}
        }
    }

    fn wrap_up_done(&mut self, now: Timestamp, agent: AgentId, out: &mut Vec<Output>) {
        let Some(entry) = self.agents.get_mut(&agent) else {
            return;
        };
        if let Activity::WrapUp { call, .. } = entry.activity {
            entry.activity = Activity::Free;
            entry.idle_since = now;
            out.push(Output::WrapUpEnded { agent, call });
        }
    }

    fn end_wrap_ups(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        for (agent, entry) in &mut self.agents {
            if let Activity::WrapUp { call, until } = entry.activity
                && until <= now
            {
                entry.activity = Activity::Free;
                entry.idle_since = now;
                out.push(Output::WrapUpEnded {
                    agent: *agent,
                    call,
                });
            }
        }
    }

    fn call_gone(&mut self, now: Timestamp, call: CallId) {
        self.caller_left(call);
        for entry in self.agents.values_mut() {
            let other = entry.other_calls.remove(&call);
            if entry.activity == Activity::OnCall(call) {
                entry.activity = Activity::Free;
                entry.idle_since = now;
            } else if other {
                entry.idle_since = now;
            }
        }
    }

    /// Takes back offers that can't be taken any more, and forgets those that nobody speaks of.
    fn check_offers(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let mut silent = Vec::new();
        for (&offer, live) in &mut self.offers {
            let overdue = live.until <= now;
            if live.withdrawn {
                if overdue {
                    silent.push(offer);
                }
                continue;
            }
            let group = self.groups.get(&live.group).map(|entry| &entry.settings);
            let reachable = group.is_some_and(|group| {
                group.members.contains(&live.agent)
                    && self
                        .agents
                        .get(&live.agent)
                        .is_some_and(|entry| entry.reachable(group))
            });
            // He called somebody himself while his phone rang for a queue.
            let busy = self
                .agents
                .get(&live.agent)
                .is_some_and(|entry| !entry.other_calls.is_empty());
            if overdue || busy || !reachable {
                let reason = match (reachable, busy) {
                    (false, _) => OfferEnd::Unavailable,
                    (true, true) => OfferEnd::Busy,
                    (true, false) => OfferEnd::NotPickedUp,
                };
                out.push(Output::WithdrawOffer {
                    offer,
                    call: live.call,
                    reason,
                });
                live.withdrawn = true;
                live.until = later(now, OFFER_GRACE);
                self.wakes.insert(live.until);
            }
        }
        for offer in silent {
            self.offer_ended(now, offer, OfferEnd::Unavailable);
        }
    }
}

impl Caller {
    fn count_try(&mut self, agent: AgentId, not_before: Timestamp) {
        match self.tries.iter_mut().find(|tries| tries.agent == agent) {
            Some(tries) => {
                tries.count += 1;
                tries.not_before = not_before;
            }
            None => self.tries.push(Tries {
                agent,
                count: 1,
                not_before,
            }),
        }
    }
}

pub(super) fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}
