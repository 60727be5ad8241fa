use std::sync::Arc;

use archive::Archive;
use futures::StreamExt;
use model::{CallFact, CallId, HangupCause, RecordingId, RecordingKind, TenantId, Timestamp};
use store::{
    Db,
    company::NewTenant,
    ledger::Ledger,
    recordings::{Deleted, RecordingSettings},
};
use vault::KeyRing;

use super::*;

struct World {
    folder: tempfile::TempDir,
    db: Db,
    ledger: Ledger,
    tenant: TenantId,
    keys: Arc<KeyRing>,
}

/// Samples of two voices: 3 s of a rising and a falling line.
fn voices() -> Vec<(i16, i16)> {
    (0..24_000).map(|n| (n as i16, -(n as i16) / 2)).collect()
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open_file(&folder.path().join("t.db"))
            .await
            .expect("open");
        let (ledger, _writer) = Ledger::start(db.clone()).await.expect("a ledger");
        let new = NewTenant {
            name: "Acme".into(),
            time_zone: "UTC".into(),
            country_code: "SK".into(),
        };
        let tenant = db.create_tenant(new, store::now()).await.expect("made").id;
        let keys = KeyRing::load_or_create(&folder.path().join("vault.key")).expect("keys");
        std::fs::create_dir(folder.path().join("recordings")).expect("a folder");
        std::fs::create_dir(folder.path().join("bucket")).expect("a folder");
        Self {
            folder,
            db,
            ledger,
            tenant,
            keys: Arc::new(keys),
        }
    }

    fn recordings(&self, encrypt: bool) -> Recordings {
        let keeping = Keeping {
            bucket: None,
            encrypt,
            keys: Arc::clone(&self.keys),
        };
        Recordings::new(
            self.db.clone(),
            self.folder.path().join("recordings"),
            keeping,
        )
    }

    /// A call begins.
    async fn started(&self, id: i64, at: Timestamp, more: Vec<CallFact>) -> CallId {
        let call = CallId(id);
        let mut facts = vec![CallFact::Started {
            uuid: format!("u{id}"),
            direction: model::Direction::Incoming,
            external: None,
            internal: None,
            number: None,
            contact: None,
            trunk: None,
            node: "n".to_owned(),
        }];
        facts.extend(more);
        self.ledger
            .append(self.tenant, call, at, facts)
            .await
            .expect("stored");
        call
    }

    /// What the recorder had written of a recording when it was killed.
    fn torn(&self, recordings: &Recordings, recording: &Recording, samples: usize) -> PathBuf {
        let path = recordings.path(recording);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        let mut wav = media::wav::header(1, 0).to_vec();
        wav.extend(vec![7; samples * 2]);
        // Half a sample more.
        wav.extend([7; 1][..usize::from(samples > 0)].iter());
        std::fs::write(&path, wav).expect("written");
        path
    }

    /// A call that is over and was recorded.
    async fn call(&self, recordings: &Recordings, id: i64, at: Timestamp) -> CallId {
        let ended = CallFact::Ended {
            cause: HangupCause::CallerHangup,
        };
        let call = self.started(id, at, vec![ended]).await;
        let id = RecordingId(id * 100 + 1);
        let recording = recordings.place(self.tenant, call, id, RecordingKind::Conversation, at);
        recordings.note(&recording).await.expect("noted");
        let path = recordings.path(&recording);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        let mut wav = media::wav::header(2, 4 * 24_000).to_vec();
        for (left, right) in voices() {
            wav.extend(left.to_le_bytes());
            wav.extend(right.to_le_bytes());
        }
        std::fs::write(path, wav).expect("written");
        call
    }

    async fn bytes(
        &self,
        recordings: &Recordings,
        call: CallId,
        channels: Channels,
        range: Option<std::ops::Range<u64>>,
    ) -> Vec<u8> {
        let playable = recordings.playable(self.tenant, call, channels).await;
        let Playable::Audio(audio) = playable.expect("readable") else {
            panic!("no audio");
        };
        let range = range.unwrap_or(0..audio.length());
        let parts: Vec<_> = audio.stream(range).collect().await;
        parts
            .into_iter()
            .flat_map(|part| part.expect("a part").to_vec())
            .collect()
    }

    fn files(&self) -> Vec<String> {
        fn walk(folder: &std::path::Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    let name = path.file_name().expect("a name").to_string_lossy();
                    found.push(name.into_owned());
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.folder.path().join("recordings"), &mut found);
        found.sort();
        found
    }
}

#[tokio::test]
async fn a_sealed_recording_reads_as_it_did_before_in_any_part() {
    let world = World::new().await;
    let recordings = world.recordings(true);
    let call = world.call(&recordings, 1, store::now()).await;
    let before = world
        .bytes(&recordings, call, Channels::AsRecorded, None)
        .await;
    let mono = world.bytes(&recordings, call, Channels::Mono, None).await;
    assert_eq!(before.len(), 44 + 4 * 24_000);
    assert_eq!(mono.len(), 44 + 2 * 24_000);
    for (at, (left, right)) in voices().into_iter().enumerate() {
        let sample = i16::from_le_bytes([mono[44 + at * 2], mono[45 + at * 2]]);
        assert_eq!(sample, left + right);
    }

    recordings.archive_all_due().await.expect("archived");
    assert_eq!(world.files(), ["101.wav.sealed"], "the plain file is gone");
    let sealed = world
        .db
        .recordings_of(world.tenant, call)
        .await
        .expect("rows");
    let archived = sealed[0].archived.clone().expect("archived");
    let file = world.folder.path().join("recordings").join(archived.key);
    let stored = std::fs::read(file).expect("the file");
    assert!(!stored.windows(4).any(|four| four == b"RIFF"));

    for (channels, whole) in [(Channels::AsRecorded, before), (Channels::Mono, mono)] {
        assert_eq!(world.bytes(&recordings, call, channels, None).await, whole);
        for range in [
            0..1,
            0..44,
            10..50,
            43..45,
            45..46,
            1_001..40_000,
            44..48_044,
        ] {
            let part = world
                .bytes(&recordings, call, channels, Some(range.clone()))
                .await;
            let wanted = &whole[range.start as usize..range.end as usize];
            assert_eq!(part, wanted, "{channels:?} {range:?}");
        }
    }
    let peaks = recordings
        .peaks(world.tenant, call)
        .await
        .expect("readable");
    let peaks = peaks.expect("some");
    assert_eq!((peaks.channels.len(), peaks.duration_ms), (2, 3_000));
    assert_eq!(peaks.channels[0].len(), BUCKETS);
    assert_eq!(peaks.channels[0][0], 0);
    assert_eq!(peaks.channels[0][BUCKETS - 1], (23_999u16 >> 7) as u8);
    let again = recordings
        .peaks(world.tenant, call)
        .await
        .expect("readable");
    assert_eq!(again.as_ref(), Some(&peaks));
}

#[tokio::test]
async fn an_archive_that_fails_is_tried_again_and_the_recording_plays_meanwhile() {
    let world = World::new().await;
    let bucket = Archive::folder(&world.folder.path().join("bucket")).expect("an archive");
    let keeping = Keeping {
        bucket: Some(bucket),
        encrypt: true,
        keys: Arc::clone(&world.keys),
    };
    let recordings = Recordings::new(
        world.db.clone(),
        world.folder.path().join("recordings"),
        keeping,
    );
    let call = world.call(&recordings, 1, store::now()).await;
    std::fs::remove_dir(world.folder.path().join("bucket")).expect("removed");
    std::fs::write(world.folder.path().join("bucket"), "in the way").expect("a file");
    recordings.archive_all_due().await.expect("noted");
    let backlog = recordings.backlog().await.expect("known");
    assert_eq!(backlog.waiting, 1);
    assert!(backlog.problem.is_some());
    assert_eq!(
        world
            .bytes(&recordings, call, Channels::AsRecorded, None)
            .await
            .len(),
        44 + 4 * 24_000
    );
    std::fs::remove_file(world.folder.path().join("bucket")).expect("out of the way");
    std::fs::create_dir(world.folder.path().join("bucket")).expect("a folder");
    // As at the next start: what is due later is due now.
    world
        .db
        .archive_failed(world.tenant, RecordingId(101), "", store::now())
        .await
        .expect("noted");
    recordings.archive_all_due().await.expect("archived");
    assert_eq!(recordings.backlog().await.expect("known").waiting, 0);
    assert!(world.files().is_empty());
}

#[tokio::test]
async fn retention_deletes_what_is_old_and_keeps_receipts() {
    let world = World::new().await;
    let recordings = world.recordings(true);
    let now = store::now();
    let days = |days: i64| {
        now.checked_sub(jiff::SignedDuration::from_hours(24 * days))
            .expect("a time")
    };
    let old = world.call(&recordings, 1, days(31)).await;
    let fresh = world.call(&recordings, 2, days(29)).await;
    recordings.archive_all_due().await.expect("archived");
    assert_eq!(recordings.apply_retention(now).await.expect("applied"), 0);
    let settings = RecordingSettings {
        conversation_days: Some(30),
        ..RecordingSettings::default()
    };
    world
        .db
        .save_recording_settings(world.tenant, &settings)
        .await
        .expect("saved");
    assert_eq!(recordings.apply_retention(now).await.expect("applied"), 1);
    assert_eq!(world.files(), ["201.wav.sealed"]);
    let gone = recordings
        .playable(world.tenant, old, Channels::Mono)
        .await
        .expect("known");
    assert!(matches!(gone, Playable::Erased));
    let asked = Deleted {
        at: now,
        rule: "asked for by ann@example.com".to_owned(),
    };
    assert!(
        recordings
            .erase(world.tenant, fresh, &asked)
            .await
            .expect("erased")
    );
    assert!(
        !recordings
            .erase(world.tenant, fresh, &asked)
            .await
            .expect("known")
    );
    assert!(world.files().is_empty());
    let (receipts, _) = world
        .db
        .recording_receipts(world.tenant, 10, 1)
        .await
        .expect("receipts");
    let told: Vec<_> = receipts
        .iter()
        .map(|receipt| (receipt.call, receipt.rule.as_str()))
        .collect();
    assert!(told.contains(&(old, "conversations are kept for 30 days")));
    assert!(told.contains(&(fresh, "asked for by ann@example.com")));
}

#[tokio::test]
async fn recordings_begun_as_the_server_died_are_given_to_their_calls() {
    let world = World::new().await;
    let recordings = world.recordings(false);
    let now = store::now();
    let ago = |seconds| now - jiff::SignedDuration::from_secs(seconds);
    let id = |call: i64| RecordingId(call * 100 + 1);
    let kind = RecordingKind::Conversation;
    let place = |call, kind| recordings.place(world.tenant, CallId(call), id(call), kind, ago(5));
    let began = |call, kind| CallFact::RecordingStarted {
        recording: id(call),
        kind,
    };

    // Its fact was stored, its row was not.
    let told = world.started(1, ago(60), vec![began(1, kind)]).await;
    world.torn(&recordings, &place(1, kind), 24_000);
    // Neither.
    let untold = world.started(2, ago(60), Vec::new()).await;
    world.torn(&recordings, &place(2, kind), 16_000);
    // Nothing was said yet.
    let silent = world.started(3, ago(60), vec![began(3, kind)]).await;
    let empty = world.torn(&recordings, &place(3, kind), 0);
    // A message of which nobody knew, too short to keep.
    let message = RecordingKind::Voicemail;
    let short = world.started(4, ago(60), Vec::new()).await;
    let too_short = world.torn(&recordings, &place(4, message), 4_000);
    // Its row could not be written while its call went on.
    let failed = CallFact::RecordingFailed {
        recording: id(5),
        reason: "the database is away".to_owned(),
        duration_ms: 0,
    };
    let cause = HangupCause::CallerHangup;
    let over = vec![began(5, kind), failed, CallFact::Ended { cause }];
    let over = world.started(5, ago(5), over).await;
    world.torn(&recordings, &place(5, kind), 8_000);
    // Of a call that the database doesn't know; of one that has the id and is of another day; and no recording.
    let lost = world.torn(&recordings, &place(6, kind), 8_000);
    world
        .started(7, ago(40 * 24 * 3_600), vec![CallFact::Ended { cause }])
        .await;
    let other = world.torn(&recordings, &place(7, kind), 8_000);
    let foreign = recordings.path(&place(8, kind));
    std::fs::write(&foreign, [9; 99]).expect("written");

    for start in 0..2 {
        let closed = crate::recovery::close_lost_calls(&world.db, &world.ledger, &recordings);
        let closed = closed.await.expect("put in order");
        assert_eq!(closed, if start == 0 { 4 } else { 0 });
        for (call, samples) in [(told, 24_000), (untold, 16_000), (over, 8_000)] {
            let audio = world
                .bytes(&recordings, call, Channels::AsRecorded, None)
                .await;
            assert_eq!(audio.len(), 44 + samples * 2, "{call:?}");
            assert_eq!(
                audio[40..44],
                (samples as u32 * 2).to_le_bytes(),
                "its head is true"
            );
        }
        for (call, state, duration_ms) in [
            (told, model::RecordingState::Kept, 3_000),
            (untold, model::RecordingState::Kept, 2_000),
            (short, model::RecordingState::Dropped, 500),
        ] {
            let record = world.db.call(world.tenant, call).await.expect("read");
            let recording = record.and_then(|record| record.recording).expect("told");
            assert_eq!(
                (recording.state, recording.duration_ms),
                (state, duration_ms)
            );
        }
        let record = world.db.call(world.tenant, silent).await.expect("read");
        let recording = record.and_then(|record| record.recording).expect("told");
        assert!(matches!(
            recording.state,
            model::RecordingState::Failed { .. }
        ));
        for gone in [&empty, &too_short, &lost, &other, &foreign] {
            assert!(!gone.exists(), "{}", gone.display());
        }
        let aside = world.folder.path().join("recordings/unclaimed");
        let mut aside: Vec<_> = std::fs::read_dir(aside)
            .expect("a folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("a name")
            })
            .collect();
        aside.sort();
        let day = jiff::tz::TimeZone::UTC.to_datetime(ago(5)).date();
        let tenant = world.tenant;
        assert_eq!(
            aside,
            [601, 701, 801].map(|id| format!("{tenant}-{day}-{id}.wav"))
        );
    }
    let whole = world.folder.path().join("recordings/unclaimed");
    let kept = std::fs::read_dir(whole)
        .expect("a folder")
        .filter_map(Result::ok);
    let sizes: Vec<u64> = kept
        .map(|file| file.metadata().expect("known").len())
        .collect();
    assert_eq!(
        sizes.iter().filter(|size| **size == 44 + 16_000).count(),
        2,
        "repaired, too"
    );
}
