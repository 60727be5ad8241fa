//! Ordered rules, and the order of carriers that they lead to.

use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time};
use model::{AgentId, CallPrice, GroupId, PhoneNumber, Timestamp, TrunkId};
use serde::{Deserialize, Serialize};

use super::{Prefix, Rates, TrunkSettings, TrunkUsage};

/// One line of a company's routes. The first that fits decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// As people see it.
    pub name: String,
    /// Numbers it is for; none means all.
    #[serde(default)]
    pub prefixes: Vec<Prefix>,
    /// Whose calls it is for: members of any of these groups; none means everybody's.
    #[serde(default)]
    pub groups: Vec<GroupId>,
    /// When it holds; always when absent.
    #[serde(default)]
    pub hours: Option<Hours>,
    /// What to do.
    pub action: Action,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Action {
    /// Asks these carriers.
    Trunks {
        /// Which; none means all.
        #[serde(default)]
        trunks: Vec<TrunkId>,
        /// Who first.
        #[serde(default)]
        order: Order,
    },
    /// Does not place the call.
    Refuse {
        /// Why, for people.
        reason: String,
    },
}

/// In which order a rule's carriers are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The cheapest for the number first; those without a price after all with one.
    #[default]
    LeastCost,
    /// As the rule names them.
    Listed,
}

/// Hours of a week, in company time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// From this time of day on.
    pub from: Time,
    /// Before this time of day. Earlier than `from` means past midnight; the same means all day.
    pub to: Time,
    /// Days on which it begins, 1 for Monday to 7 for Sunday; none means every day.
    #[serde(default)]
    pub days: Vec<i8>,
}

impl Hours {
    /// Whether a moment of company time lies within.
    #[must_use]
    pub fn hold(&self, at: DateTime) -> bool {
        let begins_on = |date: Option<Date>| {
            date.is_some_and(|date| {
                self.days.is_empty() || self.days.contains(&date.weekday().to_monday_one_offset())
            })
        };
        let (today, yesterday) = (Some(at.date()), at.date().yesterday().ok());
        let time = at.time();
        if self.from < self.to {
            begins_on(today) && self.from <= time && time < self.to
        } else if self.from == self.to {
            begins_on(today)
        } else {
            (begins_on(today) && self.from <= time) || (begins_on(yesterday) && time < self.to)
        }
    }
}

/// Whether a carrier's connection works, as far as we know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Nothing speaks against it.
    #[default]
    Usable,
    /// It fails, and why. It is asked last: what we know may be old.
    Failing(String),
}

/// A carrier as the choice sees it.
#[derive(Clone, Debug)]
pub struct Carrier {
    /// Its row.
    pub id: TrunkId,
    /// Its name.
    pub name: String,
    /// What the operator says of it.
    pub settings: Arc<TrunkSettings>,
    /// Its prices.
    pub rates: Arc<Rates>,
    /// What is used of it.
    pub usage: TrunkUsage,
    /// Whether it works.
    pub health: Health,
    /// Today, where its day is counted.
    pub today: Date,
}

/// A call that wants out.
#[derive(Clone, Debug)]
pub struct Outbound<'a> {
    /// Whom it is for; `None` for an emergency number, which has no international form.
    pub number: Option<&'a PhoneNumber>,
    /// Who calls.
    pub agent: AgentId,
    /// His groups.
    pub groups: &'a [GroupId],
    /// Now.
    pub now: Timestamp,
    /// Now, in company time.
    pub local: DateTime,
}

/// One carrier to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which.
    pub trunk: TrunkId,
    /// Its name.
    pub name: String,
    /// Why it, and why at this place.
    pub why: String,
    /// What it charges for this number.
    pub price: Option<CallPrice>,
}

/// What [`route`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Carriers in the order in which they are asked. Empty means that the call can't be placed.
    pub attempts: Vec<Attempt>,
    /// Carriers left out, and why.
    pub passed_over: Vec<(String, String)>,
    /// Why nothing is left, for people; absent when something is.
    pub refused: Option<String>,
}

/// Chooses the carriers of a call. Without rules all are asked, the cheapest first. An emergency call
/// is bound by no rule and no limit: carriers that can locate callers come first, then all others.
#[must_use]
pub fn route(call: &Outbound<'_>, rules: &[Rule], carriers: &[Carrier]) -> Route {
    match call.number {
        Some(number) => ordinary(call, number, rules, carriers),
        None => emergency(carriers),
    }
}

fn emergency(carriers: &[Carrier]) -> Route {
    let mut all: Vec<&Carrier> = carriers
        .iter()
        .filter(|carrier| carrier.settings.outbound)
        .collect();
    let failing = |carrier: &Carrier| carrier.health != Health::Usable;
    all.sort_by_key(|carrier| (!carrier.settings.emergency, failing(carrier), carrier.id));
    let attempts = all.into_iter().map(|carrier| Attempt {
        trunk: carrier.id,
        name: carrier.name.clone(),
        why: if carrier.settings.emergency {
            "emergency call: it takes emergency calls".to_owned()
        } else {
            "emergency call: whoever is left".to_owned()
        },
        price: None,
    });
    let attempts: Vec<_> = attempts.collect();
    let refused = attempts
        .is_empty()
        .then(|| "there is no trunk for outgoing calls".to_owned());
    Route {
        attempts,
        passed_over: Vec::new(),
        refused,
    }
}

fn ordinary(
    call: &Outbound<'_>,
    number: &PhoneNumber,
    rules: &[Rule],
    carriers: &[Carrier],
) -> Route {
    let fits = |rule: &&Rule| {
        (rule.prefixes.is_empty() || rule.prefixes.iter().any(|prefix| prefix.covers(number)))
            && (rule.groups.is_empty() || rule.groups.iter().any(|g| call.groups.contains(g)))
            && rule
                .hours
                .as_ref()
                .is_none_or(|hours| hours.hold(call.local))
    };
    let (because, wanted, order) = match rules.iter().find(fits) {
        Some(Rule {
            name,
            action: Action::Refuse { reason },
            ..
        }) => {
            return Route {
                refused: Some(format!("route {name}: {reason}")),
                ..Route::default()
            };
        }
        Some(Rule {
            name,
            action: Action::Trunks { trunks, order },
            ..
        }) => (format!("route {name}"), trunks.as_slice(), *order),
        None if rules.is_empty() => (
            "no routes are set".to_owned(),
            [].as_slice(),
            Order::LeastCost,
        ),
        None => {
            return Route {
                refused: Some("no route fits this number, agent and time".to_owned()),
                ..Route::default()
            };
        }
    };
    let mut passed_over = Vec::new();
    let mut left = Vec::new();
    for (place, carrier) in listed(wanted, carriers) {
        let may = may_take(carrier, number, call.now);
        match may {
            Ok(()) => left.push((place, carrier, carrier.rates.price(number))),
            Err(why) => passed_over.push((carrier.name.clone(), why)),
        }
    }
    left.sort_by_key(|(place, carrier, price)| {
        let cost = match order {
            // Those without a price come after all with one.
            Order::LeastCost => price.map_or((1, 0), |price| (0, price.per_minute_micros)),
            Order::Listed => (0, 0),
        };
        (carrier.health != Health::Usable, cost, *place)
    });
    let count = left.len();
    let attempts = left
        .into_iter()
        .enumerate()
        .map(|(at, (_, carrier, price))| Attempt {
            trunk: carrier.id,
            name: carrier.name.clone(),
            why: why(&because, order, at, count, price, &carrier.health),
            price,
        });
    let attempts: Vec<_> = attempts.collect();
    let refused = attempts.is_empty().then(|| nothing_left(&passed_over));
    Route {
        attempts,
        passed_over,
        refused,
    }
}

/// A rule's carriers, each with its place; all of them when it names none.
fn listed<'a>(wanted: &[TrunkId], carriers: &'a [Carrier]) -> Vec<(usize, &'a Carrier)> {
    if wanted.is_empty() {
        return carriers.iter().enumerate().collect();
    }
    let find = |id: &TrunkId| carriers.iter().find(|carrier| carrier.id == *id);
    let mut found: Vec<(usize, &Carrier)> = Vec::new();
    for (place, carrier) in wanted.iter().filter_map(find).enumerate() {
        if !found.iter().any(|(_, known)| known.id == carrier.id) {
            found.push((place, carrier));
        }
    }
    found
}

fn may_take(carrier: &Carrier, number: &PhoneNumber, now: Timestamp) -> Result<(), String> {
    if !carrier.settings.outbound {
        return Err("it takes no outgoing calls".to_owned());
    }
    let limits = &carrier.settings.limits;
    limits.admits_number(number)?;
    carrier.usage.admits(limits, now, carrier.today)
}

fn why(
    because: &str,
    order: Order,
    at: usize,
    count: usize,
    price: Option<CallPrice>,
    health: &Health,
) -> String {
    let place = match (order, price, count) {
        (_, _, 1) => "the only trunk left".to_owned(),
        (Order::LeastCost, Some(price), _) => {
            let minute = price.per_minute_micros;
            format!(
                "choice {} of {count} by cost, {}.{:06} a minute",
                at + 1,
                minute / 1_000_000,
                minute % 1_000_000
            )
        }
        (Order::LeastCost, None, _) => format!("choice {} of {count}, no price known", at + 1),
        (Order::Listed, ..) => format!("choice {} of {count} as listed", at + 1),
    };
    match health {
        Health::Usable => format!("{because}; {place}"),
        Health::Failing(failing) => format!("{because}; {place}; last because it fails: {failing}"),
    }
}

fn nothing_left(passed_over: &[(String, String)]) -> String {
    if passed_over.is_empty() {
        return "there is no trunk for outgoing calls".to_owned();
    }
    let each: Vec<String> = passed_over
        .iter()
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    format!("no trunk may take this call ({})", each.join("; "))
}
