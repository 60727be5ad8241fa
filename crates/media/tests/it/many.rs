use media::{Codec, MediaEvent, PauseMode, RecordingSpec};

use crate::phone::{A, B, Phone, engine, event, purity, tone};

/// Fifty recorded calls at once: every party hears its own partner, every file is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_calls_do_not_disturb_each_other() {
    let engine = engine((30_600, 30_899));
    let folder = tempfile::tempdir().expect("a folder");
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..50u32 {
        let engine = engine.clone();
        let path = folder.path().join(format!("{number}.wav"));
        calls.spawn(async move {
            let (call, mut events) = engine.open_call();
            let caller = Phone::join(&call, A, Codec::Pcmu).await;
            let agent = Phone::join(&call, B, Codec::Pcmu).await;
            call.bridge(A, B);
            call.start_recording(RecordingSpec {
                path: path.clone(),
                left: A,
                right: Some(B),
                without_tones: false,
                pause: PauseMode::Cut,
            });
            let (low, high) = (300 + number * 10, 1_000 + number * 10);
            let _speaking = (caller.speak(tone(low)), agent.speak(tone(high)));
            let (at_caller, at_agent) = tokio::join!(caller.listen(100), agent.listen(100));
            call.stop_recording();
            event(&mut events, |event| {
                matches!(event, MediaEvent::RecordingStopped { .. }).then_some(())
            })
            .await;
            assert!(
                purity(&at_caller[1_600..], high) > 0.95 && purity(&at_agent[1_600..], low) > 0.95,
                "call {number}"
            );
            let bytes = std::fs::read(path).expect("the recording");
            let left: Vec<i16> = bytes[44..]
                .chunks_exact(4)
                .map(|b| i16::from_le_bytes([b[0], b[1]]))
                .collect();
            assert!(
                purity(&left[4_000..12_000], low) > 0.95,
                "recording {number}"
            );
        });
    }
    while let Some(done) = calls.join_next().await {
        done.expect("the call went well");
    }
    let stats = engine.stats();
    assert_eq!(
        (
            stats.foreign_packets,
            stats.events_dropped,
            stats.recordings_cut
        ),
        (0, 0, 0)
    );
    assert!(stats.packets_in >= 10_000, "{stats:?}");
    engine.shutdown();
}
