use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use media::{CallMedia, Codec, MediaEvent, PauseMode, RecordingSpec, music, recorder};
use tokio::sync::mpsc::Receiver;

use crate::phone::{A, B, Phone, engine, event, purity, tone};

fn spec(path: &Path) -> RecordingSpec {
    RecordingSpec {
        path: path.to_owned(),
        left: A,
        right: Some(B),
        without_tones: false,
        pause: PauseMode::Cut,
    }
}

async fn stopped(events: &mut Receiver<MediaEvent>) -> (u64, u64) {
    event(events, |event| match event {
        MediaEvent::RecordingStopped { duration_ms, bytes } => Some((duration_ms, bytes)),
        MediaEvent::RecordingFailed { reason, .. } => panic!("it failed: {reason}"),
        _ => None,
    })
    .await
}

async fn failed(events: &mut Receiver<MediaEvent>) -> (String, u64) {
    event(events, |event| match event {
        MediaEvent::RecordingFailed {
            reason,
            duration_ms,
        } => Some((reason, duration_ms)),
        _ => None,
    })
    .await
}

/// Both channels of a file, read without our own reader.
fn channels(path: &Path) -> (Vec<i16>, Vec<i16>) {
    let bytes = fs::read(path).expect("the file");
    let samples: Vec<i16> = bytes[44..]
        .chunks_exact(2)
        .map(|b| i16::from_le_bytes([b[0], b[1]]))
        .collect();
    (
        samples.iter().copied().step_by(2).collect(),
        samples.iter().copied().skip(1).step_by(2).collect(),
    )
}

/// What sox reads in a file: seconds of audio and channels.
fn sox(path: &Path) -> (f64, String) {
    let ask = |flag: &str| {
        let output = Command::new("sox")
            .args(["--i", flag])
            .arg(path)
            .output()
            .expect("tests need sox");
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    (ask("-D").parse().expect("seconds"), ask("-c"))
}

/// Where a tone begins: silence decodes to next to nothing.
fn onset(samples: &[i16]) -> usize {
    samples
        .iter()
        .position(|s| s.abs() > 2_000)
        .expect("a tone")
}

struct Talk {
    engine: media::MediaEngine,
    call: CallMedia,
    events: Receiver<MediaEvent>,
    caller: Phone,
    agent: Phone,
    folder: tempfile::TempDir,
}

impl Talk {
    async fn start(ports: (u16, u16)) -> Self {
        let engine = engine(ports);
        let (call, events) = engine.open_call();
        let caller = Phone::join(&call, A, Codec::Pcmu).await;
        let agent = Phone::join(&call, B, Codec::Pcma).await;
        call.bridge(A, B);
        Self {
            engine,
            call,
            events,
            caller,
            agent,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("call.wav")
    }
}

#[tokio::test]
async fn a_pause_is_cut_out_or_silent_and_the_voices_stay_aligned() {
    for (pause, ports) in [
        (PauseMode::Cut, (31_500, 31_519)),
        (PauseMode::Silence, (31_520, 31_539)),
    ] {
        let mut talk = Talk::start(ports).await;
        talk.call.start_recording(RecordingSpec {
            pause,
            ..spec(&talk.path())
        });
        let began = Instant::now();
        // What is said while recording is off has a pitch of its own.
        let voice = |hertz: u32| {
            let (on, off) = (tone(440), tone(hertz));
            [&on[..], &on[..1_600], &off[..4_800], &on[..], &on[..]].concat()
        };
        let _speaking = [
            talk.caller.speak(voice(1_000)),
            talk.agent.speak(voice(1_500)),
        ];
        // 50 packets are a second.
        talk.agent.listen(50).await;
        talk.call.pause_recording(true);
        talk.agent.listen(50).await;
        talk.call.pause_recording(false);
        talk.agent.listen(50).await;
        let all = began.elapsed();
        talk.call.stop_recording();
        let (duration_ms, _) = stopped(&mut talk.events).await;
        let off = match pause {
            PauseMode::Cut => 1_000,
            PauseMode::Silence => 0,
        };
        let wanted = all.as_millis() as i64 - off;
        assert!(
            (duration_ms as i64 - wanted).abs() < 200,
            "{pause:?}: {duration_ms} ms of {wanted}"
        );
        let (left, right) = channels(&talk.path());
        for (voice, hertz) in [(&left, 1_000), (&right, 1_500)] {
            let heard = voice
                .chunks_exact(800)
                .map(|part| purity(part, hertz))
                .fold(0.0, f32::max);
            assert!(
                heard < 0.2,
                "{pause:?}: what was said while it was off is there"
            );
        }
        let apart = onset(&left).abs_diff(onset(&right));
        assert!(apart <= 160, "{apart} samples apart");
    }
}

#[tokio::test]
async fn each_voice_is_in_its_channel_and_both_are_aligned() {
    let mut talk = Talk::start((31_300, 31_319)).await;
    talk.call.start_recording(spec(&talk.path()));
    let began = Instant::now();
    event(&mut talk.events, |event| {
        (event == MediaEvent::RecordingStarted).then_some(())
    })
    .await;
    // Half a second of silence, then both speak at the same moment.
    let spoken = |hertz| [vec![0; 4_000], tone(hertz), tone(hertz), tone(hertz)].concat();
    let speaking = (
        talk.caller.speak(spoken(500)),
        talk.agent.speak(spoken(800)),
    );
    let (at_caller, at_agent) = tokio::join!(talk.caller.listen(150), talk.agent.listen(150));
    talk.call.stop_recording();
    let wall_ms = began.elapsed().as_millis() as i64;
    let (duration_ms, bytes) = stopped(&mut talk.events).await;
    drop(speaking);

    assert!(purity(&at_caller[8_000..], 800) > 0.98 && purity(&at_agent[8_000..], 500) > 0.98);
    assert!(
        (duration_ms as i64 - wall_ms).abs() <= 40,
        "{duration_ms} ms of {wall_ms} ms"
    );
    assert_eq!(fs::metadata(talk.path()).expect("the file").len(), bytes);
    let (left, right) = channels(&talk.path());
    let (from, to) = (onset(&left).max(onset(&right)) + 800, left.len() - 800);
    assert!(
        purity(&left[from..to], 500) > 0.98,
        "left: {}",
        purity(&left[from..to], 500)
    );
    assert!(
        purity(&right[from..to], 800) > 0.98,
        "right: {}",
        purity(&right[from..to], 800)
    );
    assert!(
        onset(&left).abs_diff(onset(&right)) <= 160,
        "{} and {}",
        onset(&left),
        onset(&right)
    );
    let (seconds, count) = sox(&talk.path());
    assert!((seconds * 1_000.0 - duration_ms as f64).abs() < 1.0 && count == "2");
    talk.engine.shutdown();
}

#[tokio::test]
async fn a_side_that_says_nothing_is_silent_for_the_whole_length() {
    let mut talk = Talk::start((31_320, 31_339)).await;
    talk.call.play(B, 1, Arc::new(music::on_hold()), true);
    talk.call.start_recording(spec(&talk.path()));
    let began = Instant::now();
    let speaking = talk.caller.speak(tone(500));
    event(&mut talk.events, |event| {
        matches!(event, MediaEvent::RecordingCheckpoint { .. }).then_some(())
    })
    .await;
    talk.call.stop_recording();
    let wall_ms = began.elapsed().as_millis() as i64;
    let (duration_ms, _) = stopped(&mut talk.events).await;
    drop(speaking);
    assert!(
        (duration_ms as i64 - wall_ms).abs() <= 40,
        "{duration_ms} ms of {wall_ms} ms"
    );
    let (left, right) = channels(&talk.path());
    assert!(purity(&left[1_600..left.len() - 1_600], 500) > 0.98);
    assert!(
        right.iter().all(|sample| *sample == 0),
        "music that was played to it got in"
    );
    talk.engine.shutdown();
}

#[tokio::test]
async fn nobody_speaks_and_the_file_still_has_its_length() {
    let mut talk = Talk::start((31_340, 31_359)).await;
    let path = talk.path();
    talk.call.start_recording(RecordingSpec {
        right: None,
        ..spec(&path)
    });
    let began = Instant::now();
    let checkpoint = event(&mut talk.events, |event| match event {
        MediaEvent::RecordingCheckpoint { duration_ms } => Some(duration_ms),
        _ => None,
    });
    assert!(checkpoint.await <= 3_000);
    // Hanging up ends a recording as well.
    drop(talk.call);
    let wall_ms = began.elapsed().as_millis() as i64;
    let (duration_ms, _) = stopped(&mut talk.events).await;
    assert!(
        (duration_ms as i64 - wall_ms).abs() <= 40,
        "{duration_ms} ms of {wall_ms} ms"
    );
    assert_eq!(sox(&path).1, "1");
    talk.engine.shutdown();
}

#[tokio::test]
async fn a_file_cut_off_by_a_kill_is_made_whole() {
    let mut talk = Talk::start((31_360, 31_379)).await;
    talk.call.start_recording(spec(&talk.path()));
    let _speaking = talk.caller.speak(tone(500));
    let kept_ms = event(&mut talk.events, |event| match event {
        MediaEvent::RecordingCheckpoint { duration_ms } => Some(duration_ms),
        _ => None,
    })
    .await;
    // As a kill would leave it: open, with samples after what the header says and half a one.
    let left_behind = talk.folder.path().join("left-behind.wav");
    let mut bytes = fs::read(talk.path()).expect("the growing file");
    bytes.extend([1; 3_203]);
    fs::write(&left_behind, &bytes).expect("a copy");
    let recovered = recorder::recover(&left_behind).expect("recovered");
    assert!(
        recovered.duration_ms >= kept_ms + 100,
        "{recovered:?} after {kept_ms} ms"
    );
    assert_eq!(
        fs::metadata(&left_behind).expect("the file").len(),
        recovered.bytes
    );
    let (seconds, _) = sox(&left_behind);
    assert!((seconds * 1_000.0 - recovered.duration_ms as f64).abs() < 1.0);
    assert_eq!(
        recorder::recover(&left_behind).expect("whole already"),
        recovered
    );
    let (left, _) = channels(&left_behind);
    assert!(purity(&left[4_000..12_000], 500) > 0.98);

    fs::write(&left_behind, b"no recording").expect("written");
    assert!(recorder::recover(&left_behind).is_err());
    talk.engine.shutdown();
}

#[tokio::test]
async fn a_full_disk_ends_the_recording_and_not_the_call() {
    let mut talk = Talk::start((31_380, 31_399)).await;
    let _speaking = (talk.caller.speak(tone(500)), talk.agent.speak(tone(800)));
    talk.agent.listen(5).await;
    talk.call.start_recording(spec(Path::new("/dev/full")));
    assert_eq!(
        failed(&mut talk.events).await,
        ("the disk is full".to_owned(), 0)
    );
    // A folder that can't be made.
    talk.call
        .start_recording(spec(Path::new("/proc/gone/call.wav")));
    assert_eq!(
        failed(&mut talk.events).await,
        ("the file or its folder is gone".to_owned(), 0)
    );
    let heard = talk.agent.listen(50).await;
    assert!(purity(&heard, 500) > 0.98);
    talk.engine.shutdown();
}

#[tokio::test]
async fn a_folder_that_vanishes_ends_the_recording_and_not_the_call() {
    let mut talk = Talk::start((31_400, 31_419)).await;
    let _speaking = (talk.caller.speak(tone(500)), talk.agent.speak(tone(800)));
    talk.call.start_recording(spec(&talk.path()));
    event(&mut talk.events, |event| {
        (event == MediaEvent::RecordingStarted).then_some(())
    })
    .await;
    fs::remove_dir_all(talk.folder.path()).expect("removed");
    assert_eq!(
        failed(&mut talk.events).await.0,
        "the file or its folder is gone"
    );
    let heard = talk.agent.listen(50).await;
    assert!(purity(&heard[4_000..], 500) > 0.98);
    // A stop that comes after the failure says nothing more.
    talk.call.stop_recording();
    talk.call
        .quality(A)
        .await
        .expect("the order before is carried out");
    let more = tokio::time::timeout(Duration::from_millis(100), failed(&mut talk.events)).await;
    assert!(more.is_err());
    talk.engine.shutdown();
}

#[tokio::test]
async fn shutting_down_closes_recordings() {
    let mut talk = Talk::start((31_420, 31_439)).await;
    talk.call.start_recording(spec(&talk.path()));
    event(&mut talk.events, |event| {
        (event == MediaEvent::RecordingStarted).then_some(())
    })
    .await;
    let _speaking = talk.caller.speak(tone(500));
    talk.agent.listen(25).await;
    talk.engine.shutdown();
    let (seconds, _) = sox(&talk.path());
    assert!(seconds > 0.45, "{seconds} s");
    assert!(talk.call.add_leg(media::LegId(3)).await.is_err());
}
