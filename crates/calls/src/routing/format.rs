//! Numbers as a carrier wants them.

use model::PhoneNumber;
use serde::{Deserialize, Serialize};

/// How a carrier writes numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberStyle {
    /// `+421200000001`
    #[default]
    Plus,
    /// `421200000001`
    Digits,
    /// `00421200000001`
    DoubleZero,
    /// `0200000001` within the trunk's country, `+…` abroad.
    National,
}

/// The user part of a called URI, and of the caller's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NumberFormat {
    /// The spelling.
    pub style: NumberStyle,
    /// Put before it, such as an account's prefix.
    pub prefix: String,
    /// Digits at the beginning that the carrier adds to what it sends, taken away before a number is
    /// read. Used for numbers that come in only.
    pub strip: String,
}

impl NumberFormat {
    /// A number as this carrier wants it. `country` is the trunk's, ISO 3166 alpha-2.
    #[must_use]
    pub fn write(&self, number: &PhoneNumber, country: &str) -> String {
        let text = match self.style {
            NumberStyle::Plus => number.as_str().to_owned(),
            NumberStyle::Digits => number.digits().to_owned(),
            NumberStyle::DoubleZero => format!("00{}", number.digits()),
            NumberStyle::National => {
                let national = number.national();
                match PhoneNumber::dialled(&national, country) {
                    Ok(home) if home == *number => national,
                    _ => number.as_str().to_owned(),
                }
            }
        };
        format!("{}{text}", self.prefix)
    }

    /// A number that this carrier wrote: international with or without `+` or 00, or national in the
    /// trunk's country.
    #[must_use]
    pub fn read(&self, text: &str, country: &str) -> Option<PhoneNumber> {
        let text = text.trim();
        let text = text.strip_prefix(self.strip.as_str()).unwrap_or(text);
        let international = || PhoneNumber::parse(text).ok();
        let national = || PhoneNumber::dialled(text, country).ok();
        match self.style {
            NumberStyle::National => {
                if text.starts_with('+') {
                    international()
                } else {
                    national().or_else(international)
                }
            }
            _ => international().or_else(national),
        }
    }
}
