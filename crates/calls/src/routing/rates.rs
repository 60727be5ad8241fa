//! What a carrier charges, by the beginning of the number.

use std::collections::BTreeMap;

use model::{CallPrice, PhoneNumber};

use super::Prefix;

/// A carrier's price list. The longest prefix counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    by_prefix: BTreeMap<String, CallPrice>,
}

/// Why a price list can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct RateProblem {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl Rates {
    /// Of these prices; of several for one prefix the last counts.
    pub fn new(prices: impl IntoIterator<Item = (Prefix, CallPrice)>) -> Self {
        Self {
            by_prefix: prices
                .into_iter()
                .map(|(prefix, price)| (prefix.digits().to_owned(), price))
                .collect(),
        }
    }

    /// What a call to a number costs; `None` when nobody has said.
    #[must_use]
    pub fn price(&self, number: &PhoneNumber) -> Option<CallPrice> {
        let digits = number.digits();
        (1..=digits.len())
            .rev()
            .find_map(|length| self.by_prefix.get(&digits[..length]).copied())
    }

    /// How many prefixes have a price.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_prefix.len()
    }

    /// Whether there are no prices at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_prefix.is_empty()
    }

    /// Reads `prefix,price per minute[,step in seconds]` lines, separated by commas, semicolons or
    /// tabs. A first line that is no price is taken for the heading; empty lines and those that begin
    /// with `#` are passed over.
    ///
    /// # Errors
    /// At the first line that can't be read.
    pub fn parse_list(text: &str) -> Result<Vec<(Prefix, CallPrice)>, RateProblem> {
        let mut prices = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match read_line(line) {
                Ok(price) => prices.push(price),
                Err(_) if prices.is_empty() && index == 0 => {}
                Err(what) => {
                    return Err(RateProblem {
                        line: index + 1,
                        what,
                    });
                }
            }
        }
        Ok(prices)
    }
}

fn read_line(line: &str) -> Result<(Prefix, CallPrice), String> {
    let mut fields = line
        .split([',', ';', '\t'])
        .map(|field| field.trim().trim_matches('"'));
    let prefix: Prefix = fields.next().unwrap_or_default().parse()?;
    let price = fields.next().ok_or("a price per minute is missing")?;
    let per_minute_micros = micros(price)
        .ok_or_else(|| format!("{price:?} is not a price per minute, such as 0.0125"))?;
    let step_seconds = match fields.next().filter(|field| !field.is_empty()) {
        None => 60,
        Some(step) => step
            .parse()
            .ok()
            .filter(|step| (1..=3600).contains(step))
            .ok_or_else(|| format!("{step:?} is not a step from 1 to 3600 seconds"))?,
    };
    Ok((
        prefix,
        CallPrice {
            per_minute_micros,
            step_seconds,
        },
    ))
}

/// A decimal number as millionths, without going through floating point.
fn micros(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || part.len() > 12 || !digits(whole) || !digits(part) {
        return None;
    }
    let part: String = part.chars().chain(std::iter::repeat('0')).take(6).collect();
    Some(whole.parse::<u64>().ok()? * 1_000_000 + part.parse::<u64>().ok()?)
}
