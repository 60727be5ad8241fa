//! Where an agent's call goes: what his keys mean, which number he shows, and which carriers are
//! asked in which order.
//!
//! Nothing here knows a socket or a clock. [`dialled`] reads the keys, [`caller_id`] chooses the
//! number to show, [`route`] the carriers; [`moves_on`] says whether a carrier's failure is the next
//! one's chance.

use std::collections::{BTreeMap, HashMap};

use model::{AgentId, GroupId, NumberId, PhoneNumber};

mod emergency;
mod failover;
mod format;
mod limits;
mod plan;
mod prefix;
mod rates;
#[cfg(test)]
mod tests;
mod trunk;

pub use emergency::is_emergency;
pub use failover::{TrunkFailure, moves_on};
pub use format::{NumberFormat, NumberStyle};
pub use limits::{TrunkLimits, TrunkUsage};
pub use plan::{Action, Attempt, Carrier, Health, Hours, Order, Outbound, Route, Rule, route};
pub use prefix::Prefix;
pub use rates::{RateProblem, Rates};
pub use trunk::{
    CallerIdHeader, Codec, Registration, SrtpPolicy, TrunkProblem, TrunkSettings, TrunkTransport,
};

/// Whom a short number reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// An agent's phones.
    Agent(AgentId),
    /// A group's queue.
    Group(GroupId),
}

/// What a company's phones can dial besides the world.
#[derive(Clone, Debug, Default)]
pub struct DialPlan {
    /// ISO 3166 alpha-2: how national numbers are read.
    pub country: String,
    /// Short numbers.
    pub extensions: BTreeMap<u16, Extension>,
    /// The company's own public numbers.
    pub numbers: HashMap<PhoneNumber, NumberId>,
}

/// What somebody dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A colleague.
    Agent(AgentId),
    /// A team's queue.
    Group(GroupId),
    /// One of the company's own numbers: what is behind it, without going outside.
    OwnNumber(NumberId),
    /// Somebody outside.
    Outside(PhoneNumber),
    /// Help. Digits as they must be dialled.
    Emergency(String),
}

/// Reads what was dialled. Help comes first, then short numbers, then the world; `None` when it is
/// none of these.
#[must_use]
pub fn dialled(text: &str, plan: &DialPlan) -> Option<Target> {
    let digits: String = text
        .trim()
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')'))
        .collect();
    if is_emergency(&digits, &plan.country) {
        return Some(Target::Emergency(digits));
    }
    let short = digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse::<u16>().ok())
        .flatten();
    if let Some(extension) = short.and_then(|short| plan.extensions.get(&short)) {
        return Some(match *extension {
            Extension::Agent(agent) => Target::Agent(agent),
            Extension::Group(group) => Target::Group(group),
        });
    }
    let number = PhoneNumber::dialled(&digits, &plan.country).ok()?;
    Some(match plan.numbers.get(&number) {
        Some(own) => Target::OwnNumber(*own),
        None => Target::Outside(number),
    })
}

/// The number shown to the called party: the agent's own choice, else one of his that is of the same
/// country as the callee, else the company's, else any of the company's. Only numbers of the company.
#[must_use]
pub fn caller_id(
    callee: Option<&PhoneNumber>,
    of_agent: Option<NumberId>,
    associated: &[NumberId],
    of_company: Option<NumberId>,
    numbers: &HashMap<PhoneNumber, NumberId>,
) -> Option<PhoneNumber> {
    let find = |id: NumberId| {
        numbers
            .iter()
            .find(|(_, own)| **own == id)
            .map(|(number, _)| number.clone())
    };
    let country = callee.and_then(PhoneNumber::calling_code);
    let of_same_country = || {
        associated
            .iter()
            .filter_map(|id| find(*id))
            .find(|number| country.is_some() && number.calling_code() == country)
    };
    of_agent
        .and_then(find)
        .or_else(of_same_country)
        .or_else(|| of_company.and_then(find))
        .or_else(|| associated.iter().find_map(|id| find(*id)))
        .or_else(|| {
            let lowest = numbers.iter().min_by_key(|(_, id)| **id);
            lowest.map(|(number, _)| number.clone())
        })
}
