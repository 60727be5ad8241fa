//! What a carrier's connection may be used for, and how much of it is used.

use std::collections::VecDeque;

use jiff::{SignedDuration, civil::Date};
use model::{PhoneNumber, Timestamp};
use serde::{Deserialize, Serialize};

use super::Prefix;

/// Bounds of one trunk. What is absent is unbounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrunkLimits {
    /// Outgoing calls at once.
    pub concurrent: Option<u32>,
    /// Outgoing calls begun within a second.
    pub per_second: Option<u32>,
    /// Destinations it may be used for; none named means all.
    pub allowed: Vec<Prefix>,
    /// Destinations it may not be used for. The longer prefix counts.
    pub denied: Vec<Prefix>,
    /// Minutes of outgoing talk in a day.
    pub minutes_per_day: Option<u32>,
    /// Millionths of the currency in a day.
    pub spend_per_day_micros: Option<u64>,
}

impl TrunkLimits {
    /// Whether calls to a number may take this trunk.
    ///
    /// # Errors
    /// Why not, for people.
    pub fn admits_number(&self, number: &PhoneNumber) -> Result<(), String> {
        let longest = |prefixes: &[Prefix]| {
            let covering = prefixes.iter().filter(|prefix| prefix.covers(number));
            covering.map(|prefix| prefix.digits().len()).max()
        };
        let (allowed, denied) = (longest(&self.allowed), longest(&self.denied));
        match (allowed, denied) {
            (None, _) if !self.allowed.is_empty() => {
                Err("the number is not among its destinations".to_owned())
            }
            (allowed, Some(denied)) if allowed.is_none_or(|allowed| allowed <= denied) => {
                let prefix = &number.digits()[..denied];
                Err(format!("calls to +{prefix} are denied on it"))
            }
            _ => Ok(()),
        }
    }
}

/// How much of a trunk is used. The day is its owner's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkUsage {
    /// Outgoing calls now.
    pub concurrent: u32,
    /// Milliseconds of outgoing talk since midnight.
    pub talked_ms: u64,
    /// Spent since midnight.
    pub spent_micros: u64,
    day: Option<Date>,
    /// When the latest calls began, oldest first.
    begun: VecDeque<Timestamp>,
}

impl TrunkUsage {
    /// What was used of a day before we began to count.
    #[must_use]
    pub fn so_far(day: Date, talked_ms: u64, spent_micros: u64) -> Self {
        Self {
            day: Some(day),
            talked_ms,
            spent_micros,
            ..Self::default()
        }
    }

    /// Whether one more call fits.
    ///
    /// # Errors
    /// Why not, for people.
    pub fn admits(&self, limits: &TrunkLimits, now: Timestamp, today: Date) -> Result<(), String> {
        if let Some(most) = limits.concurrent.filter(|most| self.concurrent >= *most) {
            return Err(format!("{most} calls at once are its limit"));
        }
        if let Some(most) = limits.per_second {
            let since = now - SignedDuration::from_secs(1);
            let recent = self.begun.iter().filter(|at| **at > since).count();
            if recent >= most as usize {
                return Err(format!("{most} calls a second are its limit"));
            }
        }
        if self.day != Some(today) {
            return Ok(());
        }
        if let Some(most) = limits.minutes_per_day
            && self.talked_ms >= u64::from(most) * 60_000
        {
            return Err(format!("its {most} minutes of today are used up"));
        }
        if let Some(most) = limits.spend_per_day_micros
            && self.spent_micros >= most
        {
            return Err("its budget of today is used up".to_owned());
        }
        Ok(())
    }

    /// A call begins.
    pub fn begin(&mut self, now: Timestamp) {
        self.concurrent += 1;
        let since = now - SignedDuration::from_secs(1);
        while self.begun.front().is_some_and(|at| *at <= since) {
            self.begun.pop_front();
        }
        self.begun.push_back(now);
    }

    /// A call that began is over.
    pub fn end(&mut self, talked_ms: u64, spent_micros: u64, today: Date) {
        self.concurrent = self.concurrent.saturating_sub(1);
        if self.day != Some(today) {
            self.day = Some(today);
            self.talked_ms = 0;
            self.spent_micros = 0;
        }
        self.talked_ms = self.talked_ms.saturating_add(talked_ms);
        self.spent_micros = self.spent_micros.saturating_add(spent_micros);
    }
}
