use model::PauseMode;

/// When a recording was switched off and on again, on the clock of arrivals.
///
/// Orders overtake audio on their way to the writer, so that what arrived in a pause is known by its time alone.
#[derive(Debug)]
pub(super) struct Pauses {
    mode: PauseMode,
    /// Begin and end of each, in microseconds; the last may be open.
    all: Vec<(u64, Option<u64>)>,
}

/// Where a moment falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// In a pause: nothing of it is kept.
    Off,
    /// Between pauses: how many have ended before.
    On { ended: usize },
}

impl Pauses {
    pub(super) fn new(mode: PauseMode) -> Self {
        Self {
            mode,
            all: Vec::new(),
        }
    }

    /// Switches off; again while it is off changes nothing.
    pub(super) fn begin(&mut self, at_us: u64) {
        if self.all.last().is_none_or(|(_, end)| end.is_some()) {
            self.all.push((at_us, None));
        }
    }

    pub(super) fn end(&mut self, at_us: u64) {
        if let Some((_, end @ None)) = self.all.last_mut() {
            *end = Some(at_us);
        }
    }

    pub(super) fn at(&self, at_us: u64) -> Moment {
        let mut ended = 0;
        for &(begin, end) in &self.all {
            if at_us < begin {
                break;
            }
            match end {
                Some(end) if end <= at_us => ended += 1,
                _ => return Moment::Off,
            }
        }
        Moment::On { ended }
    }

    /// How much of the time before a moment is not in the file.
    pub(super) fn cut_before(&self, at_us: u64) -> u64 {
        let before = |&(begin, end): &(u64, Option<u64>)| {
            end.unwrap_or(at_us).min(at_us).saturating_sub(begin)
        };
        self.cut(self.all.iter().map(before).sum())
    }

    fn cut(&self, us: u64) -> u64 {
        match self.mode {
            PauseMode::Cut => us,
            PauseMode::Silence => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_takes_its_time_out_and_silence_does_not() {
        for (mode, cut_us) in [(PauseMode::Cut, 30), (PauseMode::Silence, 0)] {
            let mut pauses = Pauses::new(mode);
            pauses.begin(100);
            pauses.begin(105);
            pauses.end(110);
            pauses.end(115);
            pauses.begin(200);
            assert_eq!(pauses.at(200), Moment::Off);
            pauses.end(220);
            assert_eq!(pauses.at(99), Moment::On { ended: 0 });
            assert_eq!(pauses.at(105), Moment::Off);
            assert_eq!(pauses.at(220), Moment::On { ended: 2 });
            assert_eq!(pauses.cut_before(220), cut_us);
            pauses.begin(300);
            assert_eq!(pauses.cut_before(350), if cut_us == 0 { 0 } else { 80 });
        }
    }
}
