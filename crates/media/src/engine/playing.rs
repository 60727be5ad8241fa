use std::sync::Arc;

use crate::{
    FRAME, Sound,
    codec::{Frame, Rate},
    dtmf, tone,
};

/// A sound on its way to a leg.
#[derive(Debug)]
pub(super) struct Playing {
    pub(super) playback: u64,
    source: Arc<Sound>,
    position: usize,
    repeat: bool,
    /// Said over it, and how far that is.
    over: Option<(Arc<Sound>, usize)>,
}

/// What is left of music while something is said over it: about -14 dB.
const BENEATH: i32 = 5;

impl Playing {
    pub(super) fn new(playback: u64, source: Arc<Sound>, repeat: bool) -> Self {
        Self {
            playback,
            source,
            position: 0,
            repeat,
            over: None,
        }
    }

    /// Begins at a sample instead of the start.
    pub(super) fn from(mut self, sample: usize) -> Self {
        self.position = sample % self.source.samples().len().max(1);
        self
    }

    /// Says something over it, in place of what was said before.
    pub(super) fn announce(&mut self, sound: Arc<Sound>) {
        self.over = Some((sound, 0));
    }

    /// The best rate at which all that is played now is there.
    pub(super) fn rate(&self) -> Rate {
        let is_wide = |sound: &Sound| sound.wide().is_some();
        let over = self.over.as_ref().is_none_or(|(sound, _)| is_wide(sound));
        if is_wide(&self.source) && over {
            Rate::Wide
        } else {
            Rate::Narrow
        }
    }

    /// Fills a silent frame of no more than [`Playing::rate`]; `true` when that was the end.
    pub(super) fn fill(&mut self, frame: &mut Frame) -> bool {
        let (over, rate) = (self.fill_source(frame), frame.rate());
        if let Some((sound, position)) = &mut self.over {
            let rest = &sound.at(rate)[*position * per_sample(rate)..];
            for (sample, said) in frame.samples_mut().iter_mut().zip(rest) {
                *sample = (i32::from(*sample) / BENEATH + i32::from(*said))
                    .clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            }
            *position += FRAME;
            if *position >= sound.samples().len() {
                self.over = None;
            }
        }
        over
    }

    fn fill_source(&mut self, frame: &mut Frame) -> bool {
        let (rate, length) = (frame.rate(), self.source.samples().len());
        let (samples, frame) = (self.source.at(rate), frame.samples_mut());
        // Positions count at 8 kHz.
        let scale = per_sample(rate);
        let mut filled = 0;
        while filled < FRAME && length > 0 {
            let take = (length - self.position).min(FRAME - filled);
            let from = self.position * scale;
            frame[filled * scale..(filled + take) * scale]
                .copy_from_slice(&samples[from..from + take * scale]);
            filled += take;
            self.position += take;
            if self.position == length {
                if !self.repeat {
                    return true;
                }
                self.position = 0;
            }
        }
        length == 0 && !self.repeat
    }
}

/// Samples at a rate for each at 8 kHz.
fn per_sample(rate: Rate) -> usize {
    rate.per_ms() / Rate::Narrow.per_ms()
}

/// A key being pressed towards a peer.
#[derive(Debug)]
pub(super) enum Press {
    /// As telephone-event: the code, its timestamp, and which 20 ms of it comes next.
    Event { code: u8, timestamp: u32, step: u16 },
    /// As tones, for a peer that did not agree to events.
    Tones(Playing),
}

/// Steps of 20 ms in which a key is down.
const DOWN: u16 = 5;
/// The end is said three times, against loss.
const ENDS: u16 = 3;
/// Steps between two keys.
const PAUSE: u16 = 3;

/// One packet of a press.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EventStep {
    pub(super) payload: dtmf::EventPayload,
    pub(super) first: bool,
}

impl Press {
    pub(super) fn event(digit: char, timestamp: u32) -> Option<Self> {
        Some(Self::Event {
            code: dtmf::code_of(digit)?,
            timestamp,
            step: 0,
        })
    }

    pub(super) fn tones(digit: char) -> Option<Self> {
        Some(Self::Tones(Playing::new(
            0,
            Arc::new(tone::digit(digit, 100, 60)?),
            false,
        )))
    }
}

/// What a press as event does in its n-th step: a packet, a pause (`None` inside), or nothing more.
/// Its duration counts on the clock of the events.
pub(super) fn event_step(code: u8, step: u16, clock_rate: u32) -> Option<Option<EventStep>> {
    if step >= DOWN + ENDS + PAUSE {
        return None;
    }
    if step >= DOWN + ENDS {
        return Some(None);
    }
    let duration = (step + 1).min(DOWN) * (clock_rate / 50) as u16;
    let payload = dtmf::EventPayload {
        code,
        end: step >= DOWN,
        volume: 10,
        duration,
    };
    Some(Some(EventStep {
        payload,
        first: step == 0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_sound_has_no_gap_where_it_begins_again() {
        let source: Vec<i16> = (1..=250).collect();
        let mut playing = Playing::new(1, Arc::new(Sound::new(source)), true);
        let mut heard = Vec::new();
        for _ in 0..25 {
            let mut frame = Frame::silence(Rate::Narrow);
            assert!(!playing.fill(&mut frame));
            heard.extend_from_slice(frame.samples());
        }
        assert!(
            heard
                .iter()
                .enumerate()
                .all(|(i, sample)| *sample == (i % 250) as i16 + 1)
        );
    }

    #[test]
    fn an_announcement_lies_over_music_that_goes_on_beneath_it() {
        let music: Vec<i16> = vec![500; 1_000];
        let mut playing = Playing::new(1, Arc::new(Sound::new(music)), true).from(990);
        playing.announce(Arc::new(Sound::new(vec![7; 200])));
        let mut heard = Vec::new();
        for _ in 0..2 {
            let mut frame = Frame::silence(Rate::Narrow);
            assert!(!playing.fill(&mut frame));
            heard.extend_from_slice(frame.samples());
        }
        assert!(heard[..200].iter().all(|sample| *sample == 107));
        assert!(heard[200..].iter().all(|sample| *sample == 500));
    }

    #[test]
    fn wideband_legs_hear_the_wider_sound_at_the_same_place() {
        let narrow: Vec<i16> = (0..250).collect();
        let wide: Vec<i16> = (0..500).map(|n| n + 1_000).collect();
        let sound = Arc::new(Sound::new(narrow).with_wide(wide));
        let mut playing = Playing::new(1, sound, true);
        let mut fill = |rate| {
            let mut frame = Frame::silence(rate);
            assert!(!playing.fill(&mut frame));
            frame.samples().to_vec()
        };
        assert_eq!(fill(Rate::Wide)[..320], (1_000..1_320).collect::<Vec<_>>());
        let second = fill(Rate::Narrow);
        assert_eq!(second[..90], (160..250).collect::<Vec<_>>());
        assert_eq!(second[90..], (0..70).collect::<Vec<_>>());
        assert_eq!(fill(Rate::Wide)[..320], (1_140..1_460).collect::<Vec<_>>());
    }

    #[test]
    fn the_rate_is_that_of_all_that_is_heard() {
        let both = Arc::new(Sound::new(vec![0; 400]).with_wide(vec![0; 800]));
        let narrow = Arc::new(Sound::new(vec![0; 200]));
        assert_eq!(
            Playing::new(1, Arc::clone(&narrow), false).rate(),
            Rate::Narrow
        );
        let mut playing = Playing::new(1, both, true);
        assert_eq!(playing.rate(), Rate::Wide);
        playing.announce(narrow);
        for _ in 0..2 {
            assert_eq!(playing.rate(), Rate::Narrow);
            playing.fill(&mut Frame::silence(Rate::Narrow));
        }
        assert_eq!(playing.rate(), Rate::Wide, "the announcement is over");
    }

    #[test]
    fn an_empty_sound_ends_at_once() {
        let mut frame = Frame::silence(Rate::Narrow);
        assert!(Playing::new(1, Arc::new(Sound::new(Vec::new())), false).fill(&mut frame));
    }
}
