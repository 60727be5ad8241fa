//! E.164 numbers, parsed once at the door.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};
use serde::{Deserialize, Serialize};

/// A public telephone number in E.164 form, such as `+421200000001`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(String);

/// Why a text is not a telephone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is not a phone number in international form, such as +421200000001")]
pub struct PhoneNumberError {
    /// The text as it came in.
    pub input: String,
}

impl PhoneNumber {
    /// Reads an international number with or without `+`; spaces, dashes, dots and parentheses are
    /// ignored. The number must have a known country code and a possible length; whether it is
    /// assigned to anybody is not asked.
    ///
    /// # Errors
    /// When the text can't be such a number.
    pub fn parse(input: &str) -> Result<Self, PhoneNumberError> {
        let fail = || PhoneNumberError {
            input: input.chars().take(40).collect(),
        };
        let mut digits = String::with_capacity(16);
        for (position, c) in input.trim().chars().enumerate() {
            match c {
                '+' if position == 0 => {}
                '0'..='9' => digits.push(c),
                '-' | '.' if position == 0 => return Err(fail()),
                ' ' | '-' | '.' | '(' | ')' | '\u{a0}' => {}
                _ => return Err(fail()),
            }
        }
        let digits = digits.strip_prefix("00").unwrap_or(&digits);
        if !(7..=15).contains(&digits.len()) {
            return Err(fail());
        }
        let parsed = PHONE_NUMBER_UTIL
            .parse(format!("+{digits}"), None)
            .map_err(|_| fail())?;
        if !PHONE_NUMBER_UTIL.is_possible_number(&parsed) {
            return Err(fail());
        }
        Ok(Self(
            PHONE_NUMBER_UTIL
                .format(&parsed, PhoneNumberFormat::E164)
                .into_owned(),
        ))
    }

    /// The number with its leading `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits without `+`.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// The country's calling code, such as 421.
    #[must_use]
    pub fn calling_code(&self) -> Option<u16> {
        PHONE_NUMBER_UTIL
            .parse(&self.0, None)
            .ok()
            .and_then(|number| u16::try_from(number.country_code).ok())
    }
}

impl std::fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = PhoneNumberError;
    fn try_from(value: String) -> Result<Self, Self::Error> {
        Self::parse(&value)
    }
}

impl From<PhoneNumber> for String {
    fn from(value: PhoneNumber) -> Self {
        value.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_number_are_one_number() {
        for spelling in [
            "+421200000001",
            "421200000001",
            "00421200000001",
            "+421 (2) 0000-0001",
        ] {
            assert_eq!(
                PhoneNumber::parse(spelling).expect(spelling).as_str(),
                "+421200000001"
            );
        }
    }

    #[test]
    fn texts_that_are_no_numbers_are_refused() {
        for text in [
            "",
            "abc",
            "-421200000001",
            "12",
            "+4212000000011234567",
            "12+34567890",
            "+999123456789",
        ] {
            assert!(
                PhoneNumber::parse(text).is_err(),
                "{text:?} was taken for a number"
            );
        }
    }

    #[test]
    fn calling_code_is_known() {
        assert_eq!(
            PhoneNumber::parse("+442079460000")
                .expect("valid")
                .calling_code(),
            Some(44)
        );
    }
}
