//! Uploaded sounds: whatever people have, made into what calls play, once.

use std::io::Cursor;

use rubato::{Fft, FixedSync, Resampler, audioadapter_buffers::direct::InterleavedSlice};
use symphonia::core::{
    codecs::audio::AudioDecoderOptions,
    errors::Error,
    formats::{FormatOptions, TrackType, probe::Hint},
    io::MediaSourceStream,
    meta::MetadataOptions,
};

/// Largest file, in bytes.
pub const MOST_BYTES: usize = 30 * 1024 * 1024;
/// Longest sound, in seconds.
pub const MOST_SECONDS: u32 = 600;
/// Rates at which sounds are kept.
pub const RATES: [u32; 2] = [8_000, 16_000];
/// Broken packets of a file that are passed over: a scratch, not a wreck.
const MOST_BROKEN: usize = 20;

/// Why an uploaded file can't be played.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ImportError {
    /// Too many bytes.
    #[error("the file has {bytes} bytes; at most {MOST_BYTES} are taken")]
    TooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// Nothing we know.
    #[error(
        "the file is no WAV, MP3, FLAC or OGG (Vorbis) file, or it is damaged at its start: {reason}"
    )]
    Unknown {
        /// What the reader said.
        reason: String,
    },
    /// It has no sound, or a coding that can't be read.
    #[error("the file holds no audio that can be read: {reason}")]
    NoAudio {
        /// What was missing.
        reason: String,
    },
    /// Its samples don't decode.
    #[error("the file is damaged: {reason}")]
    Damaged {
        /// What the decoder said.
        reason: String,
    },
    /// It plays for longer than any prompt.
    #[error("the sound is longer than {MOST_SECONDS} seconds")]
    TooLong,
    /// It plays for no time at all.
    #[error("the file holds no sound")]
    Empty,
}

/// A sound at both rates, one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// At 8 kHz.
    pub narrow: Vec<i16>,
    /// At 16 kHz.
    pub wide: Vec<i16>,
}

/// Reads a WAV, MP3, FLAC or OGG file. Waits for the processor: run it where that may take a second.
///
/// # Errors
/// When it is too large, too long, none of these or damaged.
pub fn import(bytes: Vec<u8>) -> Result<Imported, ImportError> {
    if bytes.len() > MOST_BYTES {
        return Err(ImportError::TooLarge { bytes: bytes.len() });
    }
    let (mono, rate) = decode(bytes)?;
    if mono.is_empty() {
        return Err(ImportError::Empty);
    }
    let [narrow, wide] = RATES.map(|to| to_pcm(&change_rate(&mono, rate, to)));
    Ok(Imported { narrow, wide })
}

/// All samples of a file's first track, mixed to one channel, and their rate.
fn decode(bytes: Vec<u8>) -> Result<(Vec<f32>, u32), ImportError> {
    let source = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(
            &Hint::new(),
            source,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(|error| ImportError::Unknown {
            reason: error.to_string(),
        })?;
    let missing = |reason: &str| ImportError::NoAudio {
        reason: reason.to_owned(),
    };
    let track = format
        .default_track(TrackType::Audio)
        .ok_or_else(|| missing("it has no audio track"))?;
    let track_id = track.id;
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or_else(|| missing("its coding is not known"))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| missing(&error.to_string()))?;
    let damaged = |error: Error| ImportError::Damaged {
        reason: error.to_string(),
    };
    let (mut mono, mut rate, mut broken) = (Vec::new(), 0, 0);
    let mut interleaved: Vec<f32> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            // A chained stream begins anew with other tracks; the first is the sound.
            Ok(None) | Err(Error::ResetRequired) => break,
            // The end is cut off: what came before is a sound.
            Err(Error::IoError(_)) if !mono.is_empty() => break,
            Err(error) => return Err(damaged(error)),
        };
        if packet.track_id != track_id {
            continue;
        }
        let audio = match decoder.decode(&packet) {
            Ok(audio) => audio,
            Err(Error::DecodeError(_) | Error::IoError(_)) if broken < MOST_BROKEN => {
                broken += 1;
                continue;
            }
            Err(error) => return Err(damaged(error)),
        };
        let spec = audio.spec();
        let channels = spec.channels().count().max(1);
        if rate != 0 && rate != spec.rate() {
            return Err(missing("its sampling rate changes on the way"));
        }
        rate = spec.rate();
        if !(1_000..=384_000).contains(&rate) {
            return Err(missing("its sampling rate is out of all reason"));
        }
        interleaved.resize(audio.samples_interleaved(), 0.0);
        audio.copy_to_slice_interleaved(&mut interleaved);
        mono.extend(
            interleaved
                .chunks_exact(channels)
                .map(|frame| frame.iter().sum::<f32>() / channels as f32),
        );
        if mono.len() > MOST_SECONDS as usize * rate as usize {
            return Err(ImportError::TooLong);
        }
    }
    Ok((mono, rate))
}

/// Changes the rate of a whole sound.
pub(crate) fn change_rate(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to || samples.is_empty() {
        return samples.to_vec();
    }
    let (from, to, length) = (from as usize, to as usize, samples.len());
    let mut resampler = Fft::<f32>::new(from, to, 1_024, 1, FixedSync::Both)
        .expect("rates are above 0 and of reason");
    let input = InterleavedSlice::new(samples, 1, length).expect("one channel of that length");
    let output = resampler
        .process_all(&input, length, None)
        .expect("its buffers are of the sizes it asked for");
    output.take_data()
}

pub(crate) fn to_pcm(samples: &[f32]) -> Vec<i16> {
    samples
        .iter()
        .map(|sample| (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sound, tone, wav};

    /// A second of 440 Hz, in what ffmpeg makes of it.
    fn file(arguments: &[&str], extension: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(format!("tone.{extension}"));
        let made = std::process::Command::new("ffmpeg")
            .args([
                "-v",
                "error",
                "-f",
                "lavfi",
                "-i",
                "sine=frequency=440:duration=1:sample_rate=44100",
            ])
            .args(arguments)
            .arg(&path)
            .status()
            .expect("tests need ffmpeg");
        assert!(made.success());
        std::fs::read(path).expect("the file")
    }

    fn purity(samples: &[i16], hertz: f64, rate: f64) -> f64 {
        let (mut re, mut im, mut energy) = (0.0, 0.0, 0.0);
        for (i, sample) in samples.iter().enumerate() {
            let angle = std::f64::consts::TAU * hertz * i as f64 / rate;
            let sample = f64::from(*sample);
            re += sample * angle.cos();
            im += sample * angle.sin();
            energy += sample * sample;
        }
        (re * re + im * im) * 2.0 / (samples.len() as f64 * energy.max(1.0))
    }

    #[test]
    fn what_people_have_becomes_what_calls_play() {
        for (arguments, extension) in [
            (["-ac", "2", "-c:a", "pcm_s16le"].as_slice(), "wav"),
            (&["-ac", "1", "-c:a", "pcm_mulaw", "-ar", "8000"], "wav"),
            (&["-c:a", "libmp3lame", "-b:a", "64k"], "mp3"),
            (&["-c:a", "libvorbis"], "ogg"),
            (&["-c:a", "flac"], "flac"),
        ] {
            let sound = import(file(arguments, extension)).expect(extension);
            for (samples, rate) in [(&sound.narrow, 8_000.0), (&sound.wide, 16_000.0)] {
                let seconds = samples.len() as f64 / rate;
                assert!(
                    (0.95..1.15).contains(&seconds),
                    "{arguments:?}: {seconds} s"
                );
                let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
                let pure = purity(middle, 440.0, rate);
                assert!(pure > 0.95, "{arguments:?} at {rate}: {pure}");
            }
        }
    }

    #[test]
    fn broken_files_are_refused_with_a_reason() {
        for bytes in [b"".to_vec(), b"hello".to_vec(), vec![0; 10_000]] {
            assert!(matches!(
                import(bytes),
                Err(ImportError::Unknown { .. }
                    | ImportError::NoAudio { .. }
                    | ImportError::Damaged { .. }
                    | ImportError::Empty)
            ));
        }
        let whole = file(&["-c:a", "libmp3lame"], "mp3");
        // Cut anywhere, scratched anywhere: a sound or a reason, never a panic.
        for cut in (0..whole.len()).step_by(whole.len() / 20) {
            let _ = import(whole[..cut].to_vec());
            let mut scratched = whole.clone();
            scratched[cut..]
                .iter_mut()
                .take(50)
                .for_each(|byte| *byte ^= 0x5a);
            let _ = import(scratched);
        }
        assert_eq!(
            import(vec![0; MOST_BYTES + 1]),
            Err(ImportError::TooLarge {
                bytes: MOST_BYTES + 1
            })
        );
        let silence = Sound::new(vec![0; 8_000 * 601]);
        assert_eq!(import(wav::write(&silence)), Err(ImportError::TooLong));
        let beep = tone::beep();
        let same = import(wav::write(&beep)).expect("readable").narrow;
        assert_eq!(same, beep.samples());
    }
}
