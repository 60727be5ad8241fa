//! Whom to ring for whom, and why.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use model::{AgentId, GroupId, RingStrategy, Timestamp};

use super::{
    OFFER_GRACE, Offer, OfferId, Output,
    machine::{Acd, Activity, Caller, LiveOffer, later},
};

/// An agent who could be rung for a caller now.
struct Candidate {
    agent: AgentId,
    /// How often he did not take this caller.
    tries: u32,
    idle_since: Timestamp,
}

/// A group's agents at this moment.
struct Crew {
    /// Whether anybody could be reached at all, busy or not.
    online: bool,
    free: Vec<AgentId>,
}

impl Acd {
    /// Goes through the callers, longest wait first, and gives each what there is for him.
    pub(super) fn serve(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let mut crews: BTreeMap<GroupId, Crew> = BTreeMap::new();
        let mut nobody = Vec::new();
        for place in 0..self.callers.len() {
            let (call, group) = (self.callers[place].call, self.callers[place].group);
            let crew = crews.entry(group).or_insert_with(|| self.crew(group, now));
            if !crew.online {
                nobody.push((call, group));
                continue;
            }
            if crew.free.is_empty() {
                continue;
            }
            for offer in self.choose(place, crew, now) {
                self.note(&offer, now);
                self.callers[place].ringing += 1;
                if let Some(entry) = self.agents.get_mut(&offer.agent) {
                    entry.activity = Activity::Ringing(offer.offer);
                }
                // He may be a member of any of the groups.
                for crew in crews.values_mut() {
                    crew.free.retain(|agent| *agent != offer.agent);
                }
                out.push(Output::Offer(offer));
            }
        }
        if !nobody.is_empty() {
            self.callers
                .retain(|caller| !nobody.contains(&(caller.call, caller.group)));
            out.extend(
                nobody
                    .into_iter()
                    .map(|(call, group)| Output::NobodyOnline { call, group }),
            );
        }
    }

    fn crew(&self, group: GroupId, now: Timestamp) -> Crew {
        let mut crew = Crew {
            online: false,
            free: Vec::new(),
        };
        let Some(group) = self.groups.get(&group).map(|entry| &entry.settings) else {
            return crew;
        };
        for agent in &group.members {
            let Some(entry) = self
                .agents
                .get(agent)
                .filter(|entry| entry.reachable(group))
            else {
                continue;
            };
            crew.online = true;
            if entry.free(now) && !crew.free.contains(agent) {
                crew.free.push(*agent);
            }
        }
        crew
    }

    fn note(&mut self, offer: &Offer, now: Timestamp) {
        let until = later(later(now, offer.ring_for), OFFER_GRACE);
        self.wakes.insert(until);
        let live = LiveOffer {
            call: offer.call,
            agent: offer.agent,
            group: offer.group,
            until,
            withdrawn: false,
        };
        self.offers.insert(offer.offer, live);
    }

    /// The offers to make for one caller: none, one, or with ring-all one for every candidate.
    fn choose(&mut self, place: usize, crew: &Crew, now: Timestamp) -> Vec<Offer> {
        let caller = &self.callers[place];
        let group = caller.group;
        let Some(strategy) = self.groups.get(&group).map(|entry| entry.settings.strategy) else {
            return Vec::new();
        };
        let all = strategy == RingStrategy::RingAll;
        if caller.ringing > 0 && !all {
            return Vec::new();
        }
        let already_rings = caller.ringing > 0;
        let mut candidates = self.candidates(caller, crew, now);
        let rested = candidates.len();
        if !all {
            let fewest = candidates
                .iter()
                .map(|candidate| candidate.tries)
                .min()
                .unwrap_or(0);
            candidates.retain(|candidate| candidate.tries == fewest);
        }
        let reason = Reason {
            strategy,
            free: candidates.len(),
            passed_over: rested - candidates.len(),
            already_rings,
        };
        if !all {
            self.pick(group, strategy, &mut candidates);
        }
        candidates
            .iter()
            .filter_map(|candidate| self.offer(place, candidate, &reason, now))
            .collect()
    }

    fn candidates(&self, caller: &Caller, crew: &Crew, now: Timestamp) -> Vec<Candidate> {
        let candidate = |&agent: &AgentId| {
            let entry = self.agents.get(&agent)?;
            let tries = caller.tries.iter().find(|tries| tries.agent == agent);
            let rested = tries.is_none_or(|tries| tries.not_before <= now);
            let count = tries.map_or(0, |tries| tries.count);
            rested.then_some(Candidate {
                agent,
                tries: count,
                idle_since: entry.idle_since,
            })
        };
        crew.free.iter().filter_map(candidate).collect()
    }

    /// Leaves the one whose turn it is.
    fn pick(&mut self, group: GroupId, strategy: RingStrategy, candidates: &mut Vec<Candidate>) {
        if candidates.is_empty() {
            return;
        }
        let chosen = match strategy {
            RingStrategy::RoundRobin => self.next_in_turn(group, candidates),
            RingStrategy::Random => {
                let drawn = self.draw() % candidates.len() as u64;
                usize::try_from(drawn).unwrap_or(0)
            }
            RingStrategy::LongestIdle | RingStrategy::RingAll => {
                let idle = candidates
                    .iter()
                    .enumerate()
                    .min_by_key(|(_, candidate)| candidate.idle_since);
                idle.map_or(0, |(at, _)| at)
            }
        };
        candidates.swap(0, chosen);
        candidates.truncate(1);
        if let Some(entry) = self.groups.get_mut(&group) {
            entry.last_rung = Some(candidates[0].agent);
        }
    }

    /// The first candidate after the one rung last, in the order of the members.
    fn next_in_turn(&self, group: GroupId, candidates: &[Candidate]) -> usize {
        let Some(entry) = self.groups.get(&group) else {
            return 0;
        };
        let members = &entry.settings.members;
        let place = |agent: AgentId| members.iter().position(|member| *member == agent);
        let start = entry.last_rung.and_then(place).map_or(0, |last| last + 1);
        let turn = |candidate: &Candidate| {
            place(candidate.agent).map(|place| (place + members.len() - start) % members.len())
        };
        let next = candidates
            .iter()
            .enumerate()
            .min_by_key(|(_, candidate)| turn(candidate));
        next.map_or(0, |(at, _)| at)
    }

    /// `SplitMix64`: even enough for fairness among colleagues, and the same for the same seed.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn offer(
        &mut self,
        place: usize,
        candidate: &Candidate,
        reason: &Reason,
        now: Timestamp,
    ) -> Option<Offer> {
        let caller = &self.callers[place];
        let group = &self.groups.get(&caller.group)?.settings;
        let agent = &self.agents.get(&candidate.agent)?.settings;
        self.last_offer += 1;
        Some(Offer {
            offer: OfferId(self.last_offer),
            call: caller.call,
            group: caller.group,
            agent: agent.id,
            agent_name: agent.name.clone(),
            ring_for: SignedDuration::from_secs(i64::from(group.ring_seconds)),
            wrap_up_seconds: group.wrap_up_seconds.unwrap_or(agent.wrap_up_seconds),
            why: reason.say(&group.name, candidate, now),
        })
    }
}

struct Reason {
    strategy: RingStrategy,
    /// How many could have been rung.
    free: usize,
    /// How many are free, but did not take this caller before.
    passed_over: usize,
    /// Others ring for the caller already.
    already_rings: bool,
}

impl Reason {
    fn say(&self, group: &str, candidate: &Candidate, now: Timestamp) -> String {
        let Self {
            free, passed_over, ..
        } = *self;
        let mut why = match self.strategy {
            RingStrategy::RingAll if self.already_rings => {
                format!("became free in {group} while it rings for this caller")
            }
            _ if free == 1 && passed_over == 0 => format!("only free agent in {group}"),
            _ if free == 1 => format!("only free agent in {group} who was not rung before"),
            RingStrategy::RingAll => {
                format!("rung together with all {free} free agents in {group}")
            }
            RingStrategy::RoundRobin => format!("next in turn of {free} free agents in {group}"),
            RingStrategy::Random => format!("drawn by chance from {free} free agents in {group}"),
            RingStrategy::LongestIdle => {
                let idle = in_words(now.duration_since(candidate.idle_since));
                format!("longest idle of {free} free agents in {group}: {idle}")
            }
        };
        if passed_over > 0 {
            why.push_str(&format!(
                "; {passed_over} more did not take this caller before"
            ));
        }
        if candidate.tries > 0 {
            let times = candidate.tries + 1;
            why.push_str(&format!(
                "; rung the {times}{} time for this caller",
                ordinal(times)
            ));
        }
        why
    }
}

fn ordinal(number: u32) -> &'static str {
    match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

/// Such as `4 min 12 s`.
fn in_words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
