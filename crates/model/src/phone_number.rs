//! E.164 numbers, parsed once at the door.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};
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

    /// Reads what somebody dialled in a country: in international form (`+…`, or with that country's
    /// own prefix for calls abroad, such as 00 or 011), or the national way (with or without the
    /// trunk prefix 0).
    ///
    /// # Errors
    /// When it can't be a number that way.
    pub fn dialled(input: &str, country: &str) -> Result<Self, PhoneNumberError> {
        let fail = || PhoneNumberError {
            input: input.chars().take(40).collect(),
        };
        let text = input.trim();
        let allowed =
            |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '.' | '(' | ')');
        if text.len() > 40 || !text.chars().all(allowed) {
            return Err(fail());
        }
        let region: Region = country.parse().map_err(|_| fail())?;
        let parsed = PHONE_NUMBER_UTIL
            .parse(text, Some(region))
            .map_err(|_| fail())?;
        if !PHONE_NUMBER_UTIL.is_possible_number(&parsed) {
            return Err(fail());
        }
        Self::parse(&PHONE_NUMBER_UTIL.format(&parsed, PhoneNumberFormat::E164))
    }

    /// The country it belongs to, ISO 3166 alpha-2; `None` where numbers belong to no country.
    #[must_use]
    pub fn country(&self) -> Option<String> {
        let number = PHONE_NUMBER_UTIL.parse(&self.0, None).ok()?;
        let code = number.country_code;
        let region = PHONE_NUMBER_UTIL
            .get_region_for_number(&number)
            // Possible numbers that nobody assigned belong where their calling code leads.
            .or_else(|| PHONE_NUMBER_UTIL.get_region_for_country_code(code))?;
        Some(region.to_string())
    }

    /// As it is dialled within its own country, digits only and with the trunk prefix where the
    /// country has one: `0200000001`.
    #[must_use]
    pub fn national(&self) -> String {
        match PHONE_NUMBER_UTIL.parse(&self.0, None) {
            Ok(number) => PHONE_NUMBER_UTIL
                .format(&number, PhoneNumberFormat::National)
                .chars()
                .filter(char::is_ascii_digit)
                .collect(),
            Err(_) => self.digits().to_owned(),
        }
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
    fn what_is_dialled_is_read_as_the_country_does() {
        for (country, dialled, number) in [
            ("SK", "0905 000 001", "+421905000001"),
            ("SK", "905000001", "+421905000001"),
            ("SK", "00442079460000", "+442079460000"),
            ("US", "011442079460000", "+442079460000"),
            ("US", "(202) 555-0143", "+12025550143"),
            ("US", "12025550143", "+12025550143"),
            ("GB", "020 7946 0000", "+442079460000"),
            ("AU", "0011 1 202 555 0143", "+12025550143"),
            ("SK", "+12025550143", "+12025550143"),
        ] {
            let read = PhoneNumber::dialled(dialled, country).expect(dialled);
            assert_eq!(read.as_str(), number, "{dialled} in {country}");
        }
        for dialled in [
            "",
            "sales",
            "12",
            "*43",
            "0905000001;ext=2",
            "+999123456789",
        ] {
            assert!(PhoneNumber::dialled(dialled, "SK").is_err(), "{dialled:?}");
        }
    }

    #[test]
    fn the_national_form_is_what_is_dialled_at_home() {
        let number = |text| PhoneNumber::parse(text).expect("valid");
        assert_eq!(number("+421905000001").national(), "0905000001");
        assert_eq!(number("+12025550143").national(), "2025550143");
        assert_eq!(number("+442079460000").national(), "02079460000");
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
