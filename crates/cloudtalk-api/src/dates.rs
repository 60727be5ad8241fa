//! Times on the wire: company time with offset in the core, UTC with milliseconds elsewhere.

use jiff::{
    civil::{Date, DateTime},
    tz::TimeZone,
};
use model::Timestamp;

/// Which end of a range a text without a time of day means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    From,
    To,
}

/// `2024-01-10T09:42:11+01:00`.
pub(crate) fn company(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone())
        .strftime("%Y-%m-%dT%H:%M:%S%:z")
        .to_string()
}

/// `2024-01-10T08:42:11.123Z`.
pub(crate) fn utc(at: Timestamp) -> String {
    at.to_zoned_datetime(TimeZone::UTC)
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string()
}

/// Reads a date, a date with a time, or an instant with an offset. As an upper bound a date reaches to
/// its last second, and a second to its last millisecond.
pub(crate) fn parse(text: &str, zone: &TimeZone, bound: Bound) -> Option<Timestamp> {
    let text = text.trim();
    let at = match instant(text) {
        Some(at) => at,
        None if text.len() == 10 => {
            let date: Date = text.parse().ok()?;
            let time = match bound {
                Bound::From => date.at(0, 0, 0, 0),
                Bound::To => date.at(23, 59, 59, 0),
            };
            time.to_zoned_datetime(zone.clone()).ok()?.timestamp()
        }
        None => text
            .parse::<DateTime>()
            .ok()?
            .to_zoned_datetime(zone.clone())
            .ok()?
            .timestamp(),
    };
    let whole_second = at.subsec_nanosecond() == 0;
    Some(if bound == Bound::To && whole_second {
        at + jiff::SignedDuration::from_millis(999)
    } else {
        at
    })
}

/// With `Z` or an offset. A `+` that nobody escaped has become a space.
fn instant(text: &str) -> Option<Timestamp> {
    let looks_cut = text.len() > 6 && text.is_char_boundary(text.len() - 6) && {
        let (head, tail) = text.split_at(text.len() - 6);
        head.contains(':') && tail.starts_with(' ') && tail.as_bytes()[3] == b':'
    };
    let mended;
    let text = if looks_cut {
        let (head, tail) = text.split_at(text.len() - 6);
        mended = format!("{head}+{}", &tail[1..]);
        &mended
    } else {
        text
    };
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> TimeZone {
        TimeZone::get("Europe/Bratislava").expect("in the database")
    }

    fn shown(text: &str, bound: Bound) -> String {
        company(parse(text, &zone(), bound).expect(text), &zone())
    }

    #[test]
    fn three_spellings_are_read() {
        for text in [
            "2024-01-10 09:42:11",
            "2024-01-10T09:42:11",
            "2024-01-10T08:42:11Z",
            "2024-01-10T09:42:11+01:00",
            "2024-01-10T09:42:11.000 01:00",
        ] {
            assert_eq!(
                shown(text, Bound::From),
                "2024-01-10T09:42:11+01:00",
                "{text}"
            );
        }
    }

    #[test]
    fn a_day_is_a_whole_day() {
        assert_eq!(
            shown("2024-07-01", Bound::From),
            "2024-07-01T00:00:00+02:00"
        );
        assert_eq!(shown("2024-07-01", Bound::To), "2024-07-01T23:59:59+02:00");
        let end = parse("2024-07-01", &zone(), Bound::To).expect("a day");
        assert_eq!(end.subsec_millisecond(), 999);
    }

    #[test]
    fn nonsense_is_no_date() {
        for text in [
            "",
            "yesterday",
            "2024-13-01",
            "2024-01-10 25:00:00",
            "10.1.2024",
            "éééééééé",
        ] {
            assert_eq!(parse(text, &zone(), Bound::From), None, "{text}");
        }
    }

    #[test]
    fn analytics_speaks_utc() {
        assert_eq!(
            utc(Timestamp::from_millisecond(1_704_876_131_007).expect("in range")),
            "2024-01-10T08:42:11.007Z"
        );
    }
}
