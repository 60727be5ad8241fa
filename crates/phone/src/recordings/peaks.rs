//! The outline of a recording, for players to draw.

use futures::{StreamExt, pin_mut};
use model::{CallId, TenantId};
use serde::{Deserialize, Serialize};

use super::{Audio, AudioError, Channels, Current, Recordings};

/// Stretches of equal length that a recording is drawn in.
pub const BUCKETS: usize = 400;

/// How loud a recording is over its length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peaks {
    /// Its length.
    pub duration_ms: u64,
    /// For each channel the loudest sample of each stretch, 0 to 255.
    pub channels: Vec<Vec<u8>>,
}

impl Recordings {
    /// The outline of what can be played of a call, computed once; `None` when there is nothing.
    ///
    /// # Errors
    /// When the recording can't be read.
    pub async fn peaks(&self, tenant: TenantId, call: CallId) -> Result<Option<Peaks>, AudioError> {
        let Current::Recording(recording, source) = self.current(tenant, call).await? else {
            return Ok(None);
        };
        let known = self.db.recording_peaks(tenant, recording.id).await?;
        if let Some(known) = known.and_then(|text| serde_json::from_str(&text).ok()) {
            return Ok(Some(known));
        }
        let is_over = self
            .db
            .call(tenant, call)
            .await?
            .is_some_and(|call| call.ended_at.is_some());
        let peaks = of(Audio::open(source, Channels::AsRecorded).await?).await?;
        // One that grows is drawn anew each time.
        if is_over && let Ok(text) = serde_json::to_string(&peaks) {
            self.db
                .save_recording_peaks(tenant, recording.id, &text)
                .await?;
        }
        Ok(Some(peaks))
    }
}

async fn of(audio: Audio) -> Result<Peaks, AudioError> {
    let channels = usize::from(audio.channels());
    let duration_ms = audio.duration_ms();
    let length = audio.length();
    let head = media::wav::HEADER;
    let frames = ((length - head) / (channels as u64 * 2)).max(1);
    let buckets = BUCKETS.min(usize::try_from(frames).unwrap_or(BUCKETS));
    let mut peaks = vec![vec![0u8; buckets]; channels];
    let mut sample = 0u64;
    let mut odd = None;
    let bytes = audio.stream(head..length);
    pin_mut!(bytes);
    while let Some(part) = bytes.next().await {
        for byte in part? {
            let Some(low) = odd.take() else {
                odd = Some(byte);
                continue;
            };
            let level = i16::from_le_bytes([low, byte]).unsigned_abs() >> 7;
            let frame = sample / channels as u64;
            let channel = usize::try_from(sample).unwrap_or(0) % channels;
            let bucket = usize::try_from(frame * buckets as u64 / frames).unwrap_or(0);
            let peak = &mut peaks[channel][bucket.min(buckets - 1)];
            *peak = (*peak).max(u8::try_from(level).unwrap_or(u8::MAX));
            sample += 1;
        }
        // A long recording must not hold up the others on this thread.
        tokio::task::yield_now().await;
    }
    Ok(Peaks {
        duration_ms,
        channels: peaks,
    })
}
