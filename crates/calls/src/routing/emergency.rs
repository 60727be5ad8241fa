//! Numbers that reach help.

/// 112 reaches help from mobile networks everywhere and from every phone in most of Europe; 911 is
/// what visitors and films have taught the rest. Both are asked for everywhere.
const EVERYWHERE: &[&str] = &["112", "911"];

/// What further numbers countries have: a line each, its ISO 3166 alpha-2 code and the numbers.
const NATIONAL: &str = include_str!("../../data/emergency.txt");

/// Whether these digits call for help when dialled in a country (ISO 3166 alpha-2).
#[must_use]
pub fn is_emergency(digits: &str, country: &str) -> bool {
    EVERYWHERE.contains(&digits) || national(country).any(|number| number == digits)
}

fn national(country: &str) -> impl Iterator<Item = &'static str> {
    let of_country = |line: &&str| {
        line.split(' ')
            .next()
            .is_some_and(|code| code.eq_ignore_ascii_case(country))
    };
    let line = NATIONAL
        .lines()
        .filter(|line| !line.starts_with('#'))
        .find(of_country)
        .unwrap_or_default();
    line.split(' ').skip(1)
}

#[cfg(test)]
mod tests {
    use super::{NATIONAL, is_emergency};

    #[test]
    fn help_is_reached_by_what_each_country_taught_its_people() {
        for (country, digits) in [
            ("GB", "999"),
            ("gb", "999"),
            ("DE", "110"),
            ("FR", "15"),
            ("AU", "000"),
            ("UG", "999"),
            ("UG", "911"),
            ("", "112"),
        ] {
            assert!(is_emergency(digits, country), "{digits} in {country}");
        }
        assert!(!is_emergency("15", "GB"));
        assert!(!is_emergency("GB", "GB"));
        assert!(!is_emergency("What", "#"));
    }

    #[test]
    fn the_table_can_be_read_and_names_each_country_once() {
        let lines: Vec<_> = NATIONAL
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        for line in &lines {
            let (code, numbers) = line.split_once(' ').expect("a code and numbers");
            assert!(
                code.len() == 2 && code.chars().all(|letter| letter.is_ascii_uppercase()),
                "{line}"
            );
            assert!(
                numbers
                    .split(' ')
                    .all(|number| (2..=6).contains(&number.len())
                        && number.chars().all(|digit| digit.is_ascii_digit())),
                "{line}"
            );
        }
        let mut codes: Vec<_> = lines.iter().map(|line| &line[..2]).collect();
        codes.dedup();
        assert_eq!(codes.len(), lines.len());
    }
}
