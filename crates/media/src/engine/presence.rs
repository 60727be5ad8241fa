//! Whether a party that should be heard is heard, and why not.

use model::NoAudio;

use crate::Codec;

/// Time without sound after which something is wrong: people shall know within five seconds.
const PATIENCE_US: u64 = 4_500_000;
/// Packets of a kind that tell of a cause; fewer are noise of the network.
const EVIDENCE: u32 = 25;

/// What has come from one peer.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// When audio last came, or when it began to be expected.
    audio_us: u64,
    ever: bool,
    /// Whether anything but silence ever came.
    sound: bool,
    expected_us: u64,
    /// Packets of types that were not agreed, and from addresses that are not the peer's, since audio last came.
    strange: u32,
    foreign: u32,
    told: bool,
}

/// A change that is worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Missing(NoAudio),
    Back,
}

impl Presence {
    /// The peer is expected to send from now on.
    pub(super) fn expect(&mut self, now_us: u64) {
        *self = Self {
            ever: self.ever,
            sound: self.sound,
            audio_us: now_us,
            expected_us: now_us,
            told: self.told,
            ..Self::default()
        };
    }

    pub(super) fn audio(&mut self, codec: Option<Codec>, payload: &[u8], now_us: u64) {
        (self.audio_us, self.ever) = (now_us, true);
        (self.strange, self.foreign) = (0, 0);
        if !self.sound {
            self.sound = codec.is_none_or(|codec| !is_silent(codec, payload));
        }
    }

    pub(super) fn strange(&mut self) {
        self.strange = self.strange.saturating_add(1);
    }

    pub(super) fn foreign(&mut self) {
        self.foreign = self.foreign.saturating_add(1);
    }

    /// What has changed, told once.
    pub(super) fn check(&mut self, expected: bool, now_us: u64) -> Option<Change> {
        let missing = if expected { self.missing(now_us) } else { None };
        match missing {
            Some(reason) if !self.told => {
                self.told = true;
                Some(Change::Missing(reason))
            }
            None if self.told => {
                self.told = false;
                Some(Change::Back)
            }
            _ => None,
        }
    }

    fn missing(&self, now_us: u64) -> Option<NoAudio> {
        if now_us > self.audio_us + PATIENCE_US {
            return Some(match (self.strange, self.foreign, self.ever) {
                (EVIDENCE.., _, _) => NoAudio::WrongCodec,
                (_, EVIDENCE.., _) => NoAudio::OtherSource,
                (_, _, true) => NoAudio::Stopped,
                (_, _, false) => NoAudio::NeverHeard,
            });
        }
        // People pause; a microphone that never made a sound is off.
        let never = self.ever && !self.sound && now_us > self.expected_us + PATIENCE_US;
        never.then_some(NoAudio::Muted)
    }
}

/// Whether a payload holds digital silence, as far as that can be seen without decoding.
fn is_silent(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        // Both signs of the two smallest values.
        Codec::Pcmu => payload.iter().all(|byte| byte & 0x7e == 0x7e),
        Codec::Pcma => payload.iter().all(|byte| byte & 0x7e == 0x54),
        // What is left of it when nothing is to be said (RFC 6716 §2.1.9).
        Codec::Opus => payload.len() <= 3,
        Codec::G722 => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn silence() -> [u8; 160] {
        [0xff; 160]
    }

    #[test]
    fn the_likely_reason_is_told_once_and_so_is_the_return() {
        let mut presence = Presence::default();
        presence.expect(0);
        assert_eq!(presence.check(true, 4 * SECOND), None);
        assert_eq!(presence.check(false, 5 * SECOND), None, "on hold");
        let missing = presence.check(true, 5 * SECOND);
        assert_eq!(missing, Some(Change::Missing(NoAudio::NeverHeard)));
        assert_eq!(presence.check(true, 7 * SECOND), None);
        presence.audio(Some(Codec::Pcmu), &[0x20; 160], 8 * SECOND);
        assert_eq!(presence.check(true, 8 * SECOND), Some(Change::Back));
        let missing = presence.check(true, 14 * SECOND);
        assert_eq!(missing, Some(Change::Missing(NoAudio::Stopped)));
    }

    #[test]
    fn what_comes_instead_of_audio_tells_why() {
        for (reason, packet) in [
            (NoAudio::WrongCodec, Presence::strange as fn(&mut Presence)),
            (NoAudio::OtherSource, Presence::foreign),
        ] {
            let mut presence = Presence::default();
            presence.expect(0);
            (0..30).for_each(|_| packet(&mut presence));
            let missing = presence.check(true, 6 * SECOND);
            assert_eq!(missing, Some(Change::Missing(reason)));
        }
    }

    #[test]
    fn a_microphone_that_never_made_a_sound_is_off_and_a_pause_is_none() {
        for (codec, silence) in [
            (Codec::Pcmu, 0xff),
            (Codec::Pcmu, 0x7f),
            (Codec::Pcma, 0xd5),
        ] {
            let mut presence = Presence::default();
            presence.expect(0);
            for second in 0..=6 {
                presence.audio(Some(codec), &[silence; 160], second * SECOND);
            }
            let missing = presence.check(true, 6 * SECOND);
            assert_eq!(missing, Some(Change::Missing(NoAudio::Muted)));
            presence.audio(Some(codec), &[0x10; 160], 7 * SECOND);
            assert_eq!(presence.check(true, 7 * SECOND), Some(Change::Back));
            for second in 8..=30 {
                presence.audio(Some(codec), &silence_of(codec), second * SECOND);
                assert_eq!(presence.check(true, second * SECOND), None);
            }
        }
    }

    fn silence_of(codec: Codec) -> [u8; 160] {
        match codec {
            Codec::Pcma => [0xd5; 160],
            _ => silence(),
        }
    }
}
