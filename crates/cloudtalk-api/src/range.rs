//! The byte range of a file that a client asks for.

use std::ops::Range;

use http::HeaderValue;

/// The range that a client asks for, within `length` bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    Part(Range<u64>),
    /// RFC 9110 §15.5.17.
    Impossible,
}

/// RFC 9110 §14.2. A header that is not understood, or asks for several ranges, is ignored.
pub(crate) fn wanted(header: Option<&HeaderValue>, length: u64) -> Wanted {
    let spec = header
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().strip_prefix("bytes="));
    let Some((first, last)) = spec.and_then(|spec| spec.trim().split_once('-')) else {
        return Wanted::All;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return Wanted::All,
    };
    if range.is_empty() {
        Wanted::Impossible
    } else {
        Wanted::Part(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(header: &str) -> Wanted {
        wanted(Some(&header.parse().expect("a header")), 100)
    }

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        assert_eq!(wanted(None, 100), Wanted::All);
        assert_eq!(ask("bytes=0-9"), Wanted::Part(0..10));
        assert_eq!(ask("bytes=90-"), Wanted::Part(90..100));
        assert_eq!(ask("bytes=-10"), Wanted::Part(90..100));
        assert_eq!(ask("bytes=-1000"), Wanted::Part(0..100));
        assert_eq!(ask("bytes=50-1000"), Wanted::Part(50..100));
        for ignored in [
            "bytes=0-1,4-5",
            "bytes=9-1",
            "lines=0-1",
            "bytes=a-b",
            "bytes=-",
        ] {
            assert_eq!(ask(ignored), Wanted::All, "{ignored}");
        }
        for impossible in ["bytes=100-", "bytes=200-300", "bytes=-0"] {
            assert_eq!(ask(impossible), Wanted::Impossible, "{impossible}");
        }
    }
}
