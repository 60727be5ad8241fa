//! After a crash: every call that was up is closed with its true cause, its recording made playable.

use calls::record::{Recovered, close_lost, open_recordings, told_recordings};
use model::{CallFact, CallId, TenantId};
use store::{
    Db, StoreError,
    ledger::{Ledger, LedgerError},
};

use crate::{clock, recordings::Recordings};

/// Why recovery stopped.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The calls left open can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Their end can't be stored.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Closes what the last run left open, and gives recordings that were just begun to their calls; says how many calls
/// were closed. Must run before the first new call.
///
/// # Errors
/// When the database fails: then the server must not start, or the calls would stay open.
pub async fn close_lost_calls(
    db: &Db,
    ledger: &Ledger,
    recordings: &Recordings,
) -> Result<usize, RecoveryError> {
    recordings.claim_strays().await?;
    let open = db.open_calls().await?;
    for (tenant, call) in &open {
        close(db, ledger, recordings, *tenant, *call).await?;
    }
    Ok(open.len())
}

async fn close(
    db: &Db,
    ledger: &Ledger,
    recordings: &Recordings,
    tenant: TenantId,
    call: CallId,
) -> Result<(), RecoveryError> {
    let events = db.call_events(tenant, call).await?;
    let (open, told) = (open_recordings(&events), told_recordings(&events));
    let mut recovered = Vec::new();
    for recording in db.recordings_of(tenant, call).await? {
        let is_untold = !told.contains(&recording.id) && recording.deleted_at.is_none();
        if !open.contains(&recording.id) && !is_untold {
            continue;
        }
        let path = recordings.path(&recording);
        let repaired = tokio::task::spawn_blocking(move || media::recorder::recover(&path)).await;
        match repaired {
            Ok(Ok(file)) => recovered.push(Recovered {
                recording: recording.id,
                kind: recording.kind,
                started_at: recording.created_at,
                duration_ms: file.duration_ms,
                bytes: file.bytes,
            }),
            Ok(Err(error)) => {
                tracing::warn!(call.id = call.0, %error, "a recording cut off by the crash can't be read");
            }
            Err(error) => tracing::error!(call.id = call.0, %error, "repairing a recording failed"),
        }
    }
    let Some(closing) = close_lost(&events, &recovered, clock::now()) else {
        return Ok(());
    };
    let dropped: Vec<_> = closing
        .facts
        .iter()
        .filter_map(|fact| match fact {
            CallFact::VoicemailLeft {
                recording,
                kept: false,
                ..
            } => Some(*recording),
            _ => None,
        })
        .collect();
    ledger
        .append(tenant, call, closing.at, closing.facts)
        .await?;
    for message in dropped {
        let erased = recordings.discard(tenant, call, message, clock::now());
        if let Err(error) = erased.await {
            tracing::warn!(
                call.id = call.0,
                error = &error as &dyn std::error::Error,
                "an empty message could not be erased"
            );
        }
    }
    tracing::warn!(
        call.id = call.0,
        "a call that was up when the server died was closed"
    );
    Ok(())
}
