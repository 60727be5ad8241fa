//! The one place of this crate that reads the time.

use std::time::Duration;

use model::Timestamp;

/// Now, to the millisecond, as the ledger keeps it.
pub(crate) fn now() -> Timestamp {
    store::now()
}

/// Waits for a deadline of one of the machines; for ever when there is none.
pub(crate) async fn until(deadline: Option<Timestamp>) {
    let Some(deadline) = deadline else {
        return std::future::pending().await;
    };
    let left = deadline.as_millisecond() - now().as_millisecond();
    // The timer rounds down at times; a millisecond more spares a second turn.
    tokio::time::sleep(Duration::from_millis(
        u64::try_from(left).map_or(0, |ms| ms + 1),
    ))
    .await;
}
