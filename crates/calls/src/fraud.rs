//! Toll fraud: who calls out too much, too fast or at the wrong hour is stopped until a person lets
//! him go on.
//!
//! A [`Guard`] watches the outgoing calls of one company. It is told of each before it is placed
//! ([`Guard::admit`]) and when it is over ([`Guard::ended`]); after a restart it is given the calls
//! of the day ([`Guard::remember`]) and the stops in force. Emergency calls never come here.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, civil::Date, tz::TimeZone};
use model::{AgentId, CallId, CallPrice, Timestamp};
use serde::{Deserialize, Serialize};

use crate::routing::Hours;

#[cfg(test)]
mod tests;

/// What counts as too much. What is absent is unbounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// For each agent, whichever of his phones calls.
    pub agent: Bounds,
    /// For the whole company.
    pub company: Bounds,
    /// When nobody should be calling abroad.
    pub night: Option<Night>,
}

/// How much somebody may call out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// Calls at once.
    pub concurrent: Option<u32>,
    /// Calls begun within a minute.
    pub per_minute: Option<u32>,
    /// Minutes of talk in a day.
    pub minutes_per_day: Option<u32>,
    /// Millionths of the currency in a day.
    pub spend_per_day_micros: Option<u64>,
}

/// Hours in which calls abroad, or dear ones, are suspicious.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Night {
    /// Which.
    pub hours: Hours,
    /// So many such calls within an hour are let through; 0 none.
    pub calls_per_hour: u32,
    /// A call at home counts too when its minute costs at least this much.
    #[serde(default)]
    pub dear_micros: Option<u64>,
}

impl Default for Rules {
    /// Wide enough for people who sell by telephone, narrow for a stolen password.
    fn default() -> Self {
        let at = |hour| jiff::civil::Time::constant(hour, 0, 0, 0);
        Self {
            agent: Bounds {
                concurrent: Some(4),
                per_minute: Some(15),
                minutes_per_day: Some(720),
                spend_per_day_micros: None,
            },
            company: Bounds {
                concurrent: Some(200),
                per_minute: Some(300),
                ..Bounds::default()
            },
            night: Some(Night {
                hours: Hours {
                    from: at(21),
                    to: at(6),
                    days: Vec::new(),
                },
                calls_per_hour: 5,
                dear_micros: None,
            }),
        }
    }
}

/// Whom a stop holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "scope", content = "agent", rename_all = "snake_case")]
pub enum Scope {
    /// Everybody.
    Company,
    /// One agent.
    Agent(AgentId),
}

/// Outgoing calls are stopped until somebody releases them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Whose.
    pub scope: Scope,
    /// Why, for people.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

/// A call that is about to be placed.
#[derive(Clone, Debug)]
pub struct Placing {
    /// Its identity.
    pub call: CallId,
    /// Who calls.
    pub agent: AgentId,
    /// Whether it leaves the company's country.
    pub is_abroad: bool,
    /// What the first carrier charges.
    pub price: Option<CallPrice>,
    /// What this agent may spend in a day by his own settings. Reaching it refuses his calls until
    /// tomorrow and stops nothing.
    pub agent_budget_micros: Option<u64>,
}

/// A call of today, as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Who called.
    pub agent: AgentId,
    /// When.
    pub started_at: Timestamp,
    /// How long.
    pub talked_ms: u64,
    /// What it cost.
    pub cost_micros: u64,
}

/// Whether a call may be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes; the guard must hear of its end.
    Allowed,
    /// Not now, and why.
    Refused(String),
    /// It is the one that breaks a rule: from here on nothing goes out until a person says so.
    Stops(Stop),
    /// Calls were stopped before.
    Stopped(Stop),
}

/// What somebody called, as far as rules ask.
#[derive(Debug, Default)]
struct Tally {
    running: u32,
    /// Begun within the last minute, oldest first.
    begun: VecDeque<Timestamp>,
    /// Suspicious ones of the last hour, oldest first.
    by_night: VecDeque<Timestamp>,
    talked_ms: u64,
    spent_micros: u64,
}

impl Tally {
    fn forget(&mut self, now: Timestamp) {
        let minute = now - SignedDuration::from_mins(1);
        while self.begun.front().is_some_and(|at| *at <= minute) {
            self.begun.pop_front();
        }
        let hour = now - SignedDuration::from_hours(1);
        while self.by_night.front().is_some_and(|at| *at <= hour) {
            self.by_night.pop_front();
        }
    }

    /// Which bound one more call would break.
    fn breaks(&self, bounds: &Bounds) -> Option<String> {
        if let Some(most) = bounds.concurrent.filter(|most| self.running >= *most) {
            return Some(format!("more than {most} calls at once"));
        }
        if let Some(most) = bounds
            .per_minute
            .filter(|most| self.begun.len() >= *most as usize)
        {
            return Some(format!("more than {most} calls within a minute"));
        }
        if let Some(most) = bounds
            .minutes_per_day
            .filter(|most| self.talked_ms >= u64::from(*most) * 60_000)
        {
            return Some(format!("more than {most} minutes of talk in a day"));
        }
        if bounds
            .spend_per_day_micros
            .is_some_and(|most| self.spent_micros >= most)
        {
            return Some("more spent than a day allows".to_owned());
        }
        None
    }
}

/// The watch over one company's outgoing calls.
#[derive(Debug)]
pub struct Guard {
    rules: Rules,
    zone: TimeZone,
    today: Option<Date>,
    company: Tally,
    agents: BTreeMap<AgentId, Tally>,
    running: BTreeMap<CallId, AgentId>,
    stops: BTreeMap<Scope, Stop>,
}

impl Guard {
    /// A watch that knows of no calls yet. Days and nights are those of the zone.
    #[must_use]
    pub fn new(rules: Rules, zone: TimeZone) -> Self {
        Self {
            rules,
            zone,
            today: None,
            company: Tally::default(),
            agents: BTreeMap::new(),
            running: BTreeMap::new(),
            stops: BTreeMap::new(),
        }
    }

    /// Other rules from now on.
    pub fn set_rules(&mut self, rules: Rules, zone: TimeZone) {
        self.rules = rules;
        self.zone = zone;
    }

    /// Takes in what happened before a restart: the calls of today and the stops in force.
    pub fn remember(&mut self, now: Timestamp, calls: &[Past], stops: Vec<Stop>) {
        self.turn_the_day(now);
        for call in calls {
            for tally in [
                &mut self.company,
                self.agents.entry(call.agent).or_default(),
            ] {
                tally.talked_ms = tally.talked_ms.saturating_add(call.talked_ms);
                tally.spent_micros = tally.spent_micros.saturating_add(call.cost_micros);
                if now.duration_since(call.started_at) < SignedDuration::from_mins(1) {
                    tally.begun.push_back(call.started_at);
                }
            }
        }
        self.stops
            .extend(stops.into_iter().map(|stop| (stop.scope, stop)));
    }

    /// Whether a call may be placed. When it may, it counts from now on.
    pub fn admit(&mut self, now: Timestamp, placing: &Placing) -> Verdict {
        self.turn_the_day(now);
        let of_agent = Scope::Agent(placing.agent);
        if let Some(stop) = [Scope::Company, of_agent]
            .iter()
            .find_map(|scope| self.stops.get(scope))
        {
            return Verdict::Stopped(stop.clone());
        }
        let is_by_night = self.is_by_night(now, placing);
        let agent = self.agents.entry(placing.agent).or_default();
        agent.forget(now);
        self.company.forget(now);
        if placing
            .agent_budget_micros
            .is_some_and(|budget| agent.spent_micros >= budget)
        {
            return Verdict::Refused("the agent's budget of today is used up".to_owned());
        }
        let night = self.rules.night.as_ref().filter(|_| is_by_night);
        let broken_night = night
            .filter(|night| agent.by_night.len() >= night.calls_per_hour as usize)
            .map(|night| match night.calls_per_hour {
                0 => "a call abroad or a dear one by night".to_owned(),
                most => {
                    format!("more than {most} calls abroad or dear ones within an hour by night")
                }
            });
        let broken = agent
            .breaks(&self.rules.agent)
            .or(broken_night)
            .map(|why| (of_agent, why))
            .or_else(|| {
                let why = self.company.breaks(&self.rules.company)?;
                Some((Scope::Company, format!("{why} in the whole company")))
            });
        if let Some((scope, reason)) = broken {
            let stop = Stop {
                scope,
                reason,
                at: now,
            };
            self.stops.insert(scope, stop.clone());
            return Verdict::Stops(stop);
        }
        for tally in [&mut self.company, agent] {
            tally.running += 1;
            tally.begun.push_back(now);
        }
        if is_by_night && let Some(agent) = self.agents.get_mut(&placing.agent) {
            agent.by_night.push_back(now);
        }
        self.running.insert(placing.call, placing.agent);
        Verdict::Allowed
    }

    /// A call that was admitted is over.
    pub fn ended(&mut self, now: Timestamp, call: CallId, talked_ms: u64, cost_micros: u64) {
        self.turn_the_day(now);
        let Some(agent) = self.running.remove(&call) else {
            return;
        };
        for tally in [&mut self.company, self.agents.entry(agent).or_default()] {
            tally.running = tally.running.saturating_sub(1);
            tally.talked_ms = tally.talked_ms.saturating_add(talked_ms);
            tally.spent_micros = tally.spent_micros.saturating_add(cost_micros);
        }
    }

    /// The stops in force.
    #[must_use]
    pub fn stops(&self) -> Vec<Stop> {
        self.stops.values().cloned().collect()
    }

    /// Lets somebody call again; `false` when nobody had stopped him. What he called until now no
    /// longer counts, or he would be stopped again at once.
    pub fn release(&mut self, scope: Scope) -> bool {
        if self.stops.remove(&scope).is_none() {
            return false;
        }
        let tally = match scope {
            Scope::Company => &mut self.company,
            Scope::Agent(agent) => self.agents.entry(agent).or_default(),
        };
        *tally = Tally {
            running: tally.running,
            ..Tally::default()
        };
        true
    }

    fn is_by_night(&self, now: Timestamp, placing: &Placing) -> bool {
        let Some(night) = &self.rules.night else {
            return false;
        };
        let is_dear = night
            .dear_micros
            .zip(placing.price)
            .is_some_and(|(dear, price)| price.per_minute_micros >= dear);
        (placing.is_abroad || is_dear) && night.hours.hold(self.zone.to_datetime(now))
    }

    fn turn_the_day(&mut self, now: Timestamp) {
        let today = self.zone.to_datetime(now).date();
        if self.today == Some(today) {
            return;
        }
        self.today = Some(today);
        self.company.talked_ms = 0;
        self.company.spent_micros = 0;
        // Who neither calls nor has called lately needs no memory.
        self.agents.retain(|_, tally| {
            tally.forget(now);
            tally.talked_ms = 0;
            tally.spent_micros = 0;
            tally.running > 0 || !tally.begun.is_empty() || !tally.by_night.is_empty()
        });
    }
}
