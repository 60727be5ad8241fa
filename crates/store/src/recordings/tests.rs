use std::collections::BTreeMap;

use model::{CallFact, CallId, HangupCause, PauseMode, RecordingId, RecordingKind, TenantId};

use super::*;
use crate::{
    Db, from_ms,
    ledger::{Ledger, Recording},
    testing,
};

const ONE: TenantId = TenantId(1);
const OTHER: TenantId = TenantId(2);

async fn call(db: &Db, id: i64, ended: bool) {
    let (ledger, writer) = Ledger::start(db.clone()).await.expect("a ledger");
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
    if ended {
        facts.push(CallFact::Ended {
            cause: HangupCause::FlowEnded,
        });
    }
    ledger
        .append(ONE, CallId(id), from_ms(1_000), facts)
        .await
        .expect("stored");
    drop(ledger);
    writer.await.expect("it ends");
}

async fn recording(db: &Db, call: i64, kind: RecordingKind) -> Recording {
    let recording = Recording {
        id: RecordingId(call * 100 + 1),
        tenant: ONE,
        call: CallId(call),
        file: format!("1/{call}.wav"),
        kind,
        created_at: from_ms(1_000 * call),
        deleted_at: None,
        archived: None,
        attempts: 0,
    };
    db.add_recording(&recording).await.expect("added");
    recording
}

#[tokio::test]
async fn a_recording_goes_to_the_archive_once_its_call_is_over() {
    for (db, _dir) in testing::databases().await {
        call(&db, 1, false).await;
        call(&db, 2, true).await;
        recording(&db, 1, RecordingKind::Conversation).await;
        let over = recording(&db, 2, RecordingKind::Conversation).await;
        let due = db.recordings_to_archive(from_ms(5_000), 9).await.unwrap();
        assert_eq!(due, std::slice::from_ref(&over));

        db.archive_failed(ONE, over.id, "no bucket", from_ms(9_000))
            .await
            .unwrap();
        assert!(
            db.recordings_to_archive(from_ms(8_999), 9)
                .await
                .unwrap()
                .is_empty()
        );
        let backlog = db.archive_backlog().await.unwrap();
        assert_eq!(
            (backlog.waiting, backlog.problem.as_deref()),
            (1, Some("no bucket"))
        );
        let again = db.recordings_to_archive(from_ms(9_000), 9).await.unwrap();
        assert_eq!(again[0].attempts, 1);

        let archived = Archived {
            at: from_ms(9_000),
            archive: "s3://bucket".to_owned(),
            key: "1/2.wav".to_owned(),
            data_key: Some("w1".to_owned()),
        };
        assert!(
            !db.recording_archived(OTHER, over.id, &archived)
                .await
                .unwrap()
        );
        assert!(
            db.recording_archived(ONE, over.id, &archived)
                .await
                .unwrap()
        );
        // Until its plain file is gone it stays on the list, so that a crash in between leaves nothing behind.
        assert_eq!(
            db.recordings_to_archive(from_ms(9_000), 9)
                .await
                .unwrap()
                .len(),
            1
        );
        db.recording_left_folder(ONE, over.id).await.unwrap();
        assert!(
            db.recordings_to_archive(from_ms(9_000), 9)
                .await
                .unwrap()
                .is_empty()
        );
        let kept = db.recordings_of(ONE, over.call).await.unwrap();
        assert_eq!(kept[0].archived, Some(archived));
    }
}

#[tokio::test]
async fn what_is_deleted_leaves_a_receipt_and_no_key() {
    for (db, _dir) in testing::databases().await {
        for id in 1..=3 {
            call(&db, id, id != 3).await;
        }
        let old = recording(&db, 1, RecordingKind::Conversation).await;
        recording(&db, 2, RecordingKind::Voicemail).await;
        recording(&db, 3, RecordingKind::Conversation).await;
        let kind = RecordingKind::Conversation;
        let due = db
            .recordings_before(ONE, kind, from_ms(9_999), 9)
            .await
            .unwrap();
        assert_eq!(
            due,
            std::slice::from_ref(&old),
            "not the message, not the running call's"
        );
        assert!(
            db.recordings_before(ONE, kind, from_ms(1_000), 9)
                .await
                .unwrap()
                .is_empty()
        );
        db.save_recording_peaks(ONE, old.id, "[1]").await.unwrap();
        assert_eq!(
            db.recording_peaks(ONE, old.id).await.unwrap().as_deref(),
            Some("[1]")
        );
        assert_eq!(db.recording_peaks(OTHER, old.id).await.unwrap(), None);

        let deleted = Deleted {
            at: from_ms(20_000),
            rule: "conversations are kept for 1 day".to_owned(),
        };
        assert!(!db.delete_recording(OTHER, old.id, &deleted).await.unwrap());
        assert!(db.delete_recording(ONE, old.id, &deleted).await.unwrap());
        assert!(!db.delete_recording(ONE, old.id, &deleted).await.unwrap());
        assert_eq!(db.recording_peaks(ONE, old.id).await.unwrap(), None);
        let (receipts, all) = db.recording_receipts(ONE, 10, 1).await.unwrap();
        let receipt = Receipt {
            recording: old.id,
            call: old.call,
            kind,
            recorded_at: old.created_at,
            deleted_at: deleted.at,
            rule: deleted.rule,
        };
        assert_eq!((receipts, all), (vec![receipt], 1));
        assert_eq!(db.recording_receipts(OTHER, 10, 1).await.unwrap().1, 0);
    }
}

#[tokio::test]
async fn settings_read_back_and_belong_to_one_company() {
    for (db, _dir) in testing::databases().await {
        assert_eq!(
            db.recording_settings(ONE).await.unwrap(),
            RecordingSettings::default()
        );
        let settings = RecordingSettings {
            internal: true,
            agents_may_switch: true,
            pause_mode: PauseMode::Silence,
            conversation_days: Some(30),
            // Nobody's number and agent: they are left out.
            numbers: BTreeMap::from([(model::NumberId(77), true)]),
            agents: BTreeMap::from([(model::AgentId(77), AgentRecording::default())]),
            ..RecordingSettings::default()
        };
        db.save_recording_settings(ONE, &settings).await.unwrap();
        db.save_recording_settings(ONE, &settings).await.unwrap();
        let kept = RecordingSettings {
            numbers: BTreeMap::new(),
            agents: BTreeMap::new(),
            ..settings
        };
        assert_eq!(db.recording_settings(ONE).await.unwrap(), kept);
        assert_eq!(
            db.recording_settings(OTHER).await.unwrap(),
            RecordingSettings::default()
        );
    }
}
