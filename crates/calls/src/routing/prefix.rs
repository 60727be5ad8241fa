//! The beginning of E.164 numbers.

use model::PhoneNumber;
use serde::{Deserialize, Serialize};

/// Digits that numbers begin with, such as `+421` or `+4219`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix(String);

impl Prefix {
    /// The digits without `+`.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// Whether a number begins so.
    #[must_use]
    pub fn covers(&self, number: &PhoneNumber) -> bool {
        number.digits().starts_with(&self.0)
    }
}

impl std::str::FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let digits = text
            .strip_prefix('+')
            .or_else(|| text.strip_prefix("00"))
            .unwrap_or(text);
        let good = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if good {
            Ok(Self(digits.to_owned()))
        } else {
            Err(format!(
                "{:?} is not the beginning of an international number, such as +421",
                text.chars().take(30).collect::<String>()
            ))
        }
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "+{}", self.0)
    }
}
