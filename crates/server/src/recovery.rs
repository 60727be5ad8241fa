//! Before the first new call: what a killed run left behind is put in order.

use anyhow::Context;
use phone::recordings::Recordings;
use store::{Db, ledger::Ledger};

/// Closes the calls that were up when the server died.
///
/// # Errors
/// When the database fails: the server must not start then.
pub async fn put_in_order(db: &Db, ledger: &Ledger, recordings: &Recordings) -> anyhow::Result<()> {
    let closed = phone::recovery::close_lost_calls(db, ledger, recordings)
        .await
        .context("calls of the last run could not be closed")?;
    if closed > 0 {
        tracing::warn!(
            calls = closed,
            "the last run was killed; its calls were closed with the cause node_lost"
        );
    }
    Ok(())
}
