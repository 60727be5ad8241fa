//! Instants as the tables keep them: epoch milliseconds.

use model::Timestamp;

/// Epoch milliseconds of an instant.
#[must_use]
pub fn to_ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// The instant of epoch milliseconds. Values outside the calendar become the epoch: they can't have
/// been written by [`to_ms`].
#[must_use]
pub fn from_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The wall clock, to the millisecond, so that a stored instant reads back equal.
#[must_use]
pub fn now() -> Timestamp {
    from_ms(Timestamp::now().as_millisecond())
}
