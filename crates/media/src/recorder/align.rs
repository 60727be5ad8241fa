use crate::conceal::{self, PAST_MS};

/// Samples held in memory per side, 1.4 s: how late a packet may be, what waits to be worth a write, and what is ahead
/// of its time. Bytes that every recorded call costs twice.
pub(super) const HELD: usize = 11_264;
/// A source this far ahead of real time has jumped: 100 ms.
const AHEAD: i64 = 800;
/// Packets this late are a burst after a stall, unless more and more of them come: 1 s.
const BEHIND: i64 = 8_000;
/// Late packets in a row after which it was the clock that jumped.
const STRAYS: u8 = 5;
/// Deviation that is put down to drift, not jitter: 15 ms.
const DRIFT: i64 = 120;
/// Arrivals over which the least delay is taken: about 2 s.
const WINDOW: u16 = 100;
/// Gaps up to here come from following a drift and are bridged by the last sample: no click.
const SEAM: i64 = 2;
/// Gaps up to here are packets that were lost, and filled with what was probably said: 60 ms. Longer ones stay silent.
const LOSS: i64 = 480;
/// Samples of a millisecond of the file.
const PER_MS: usize = 8;
/// The shortest packet whose pitch can be told: 15 ms.
const LEAST: usize = 15 * PER_MS;
/// What is remembered of the sound before a gap.
const PAST: usize = PAST_MS * PER_MS;

/// One side of a recording: places packets by their RTP timestamps on the recording's clock.
#[derive(Debug)]
pub(super) struct Track {
    samples: Box<[i16]>,
    clock: Option<Clock>,
    /// Where the last placed packet ended, and how it sounded there.
    end: i64,
    past: [i16; PAST],
}

/// How a source's timestamps fall on positions in the file.
#[derive(Clone, Copy, Debug)]
struct Clock {
    ssrc: u32,
    ticks: u32,
    pauses: usize,
    timestamp: u32,
    position: i64,
    strays: u8,
    /// The least lateness of this window, and how many arrivals it holds.
    least_late: i64,
    seen: u16,
    /// Correction still to be made, one sample per packet.
    owed: i64,
}

/// A packet's samples and when they came.
pub(super) struct Arrived<'a> {
    pub(super) ssrc: u32,
    pub(super) timestamp: u32,
    /// Ticks of its clock in a sample of ours.
    pub(super) ticks: u32,
    /// Where its last sample would fall if it had come without delay.
    pub(super) position: i64,
    /// Pauses before it: each moves the source's clock against the file's.
    pub(super) pauses: usize,
    pub(super) samples: &'a [i16],
}

impl Track {
    pub(super) fn new() -> Self {
        Self {
            samples: vec![0; HELD].into_boxed_slice(),
            clock: None,
            end: 0,
            past: [0; PAST],
        }
    }

    /// Where a packet belongs; keeps the clock.
    pub(super) fn place(&mut self, arrived: &Arrived<'_>) -> i64 {
        let expected = arrived.position - arrived.samples.len() as i64;
        let fresh = Clock {
            ssrc: arrived.ssrc,
            ticks: arrived.ticks,
            pauses: arrived.pauses,
            timestamp: arrived.timestamp,
            position: expected,
            strays: 0,
            least_late: i64::MAX,
            seen: 0,
            owed: 0,
        };
        let clock = self.clock.get_or_insert(fresh);
        // Whoever takes another codec may count by another clock from there on.
        let same = |clock: &Clock| clock.ssrc == arrived.ssrc && clock.ticks == arrived.ticks;
        if !same(clock) || clock.pauses != arrived.pauses {
            *clock = fresh;
        }
        let step = i64::from(arrived.timestamp.wrapping_sub(clock.timestamp) as i32)
            / i64::from(arrived.ticks);
        let late = expected - (clock.position + step);
        clock.strays = if late > BEHIND { clock.strays + 1 } else { 0 };
        if late < -AHEAD || clock.strays >= STRAYS {
            *clock = fresh;
            return expected;
        }
        if step >= 0 {
            // Moving the reference along keeps the difference of timestamps small for ever.
            (clock.timestamp, clock.position) = (arrived.timestamp, clock.position + step);
        }
        clock.follow(late);
        clock.position + step.min(0)
    }

    /// Copies samples to their place, as far as it is still held; `from` is where the file ends.
    pub(super) fn write(&mut self, position: i64, from: i64, samples: &[i16]) {
        let gap = position - self.end;
        if (1..=SEAM).contains(&gap) {
            self.copy(
                self.end,
                from,
                &[self.past[PAST - 1]; SEAM as usize][..gap as usize],
            );
        } else if (1..=LOSS).contains(&gap) && samples.len() >= LEAST {
            let mut made = [0; LOSS as usize];
            let made = &mut made[..gap as usize];
            conceal::bridge(&self.past, samples, PER_MS, made);
            self.copy(self.end, from, made);
        }
        self.copy(position, from, samples);
        let end = position + samples.len() as i64;
        if end > self.end {
            self.end = end;
            let kept = samples.len().min(PAST);
            self.past.copy_within(kept.., 0);
            self.past[PAST - kept..].copy_from_slice(&samples[samples.len() - kept..]);
        }
    }

    fn copy(&mut self, position: i64, from: i64, samples: &[i16]) {
        for (at, sample) in (position..).zip(samples) {
            if at >= from && at < from + HELD as i64 {
                self.samples[at as usize % HELD] = *sample;
            }
        }
    }

    /// Silences what is held between two positions.
    pub(super) fn silence(&mut self, from: i64, to: i64, held_from: i64) {
        for at in from.max(held_from)..to.min(held_from + HELD as i64) {
            self.samples[at as usize % HELD] = 0;
        }
        self.past = [0; PAST];
    }

    /// Takes a sample out; its place is silent until it is written again.
    pub(super) fn take(&mut self, position: i64) -> i16 {
        std::mem::take(&mut self.samples[position as usize % HELD])
    }
}

impl Clock {
    /// Follows a source whose crystal runs faster or slower than ours: the least lateness of a
    /// window holds no jitter, so what is left of it is drift.
    fn follow(&mut self, late: i64) {
        self.least_late = self.least_late.min(late);
        self.seen += 1;
        if self.seen >= WINDOW {
            if self.least_late.abs() > DRIFT {
                self.owed = self.least_late;
            }
            (self.least_late, self.seen) = (i64::MAX, 0);
        }
        let step = self.owed.signum();
        self.position += step;
        self.owed -= step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a source and returns how far each packet landed from where it was spoken.
    fn errors(packets: impl Iterator<Item = (u32, u32, i64, i64)>) -> Vec<i64> {
        let mut track = Track::new();
        let samples = [0; 160];
        packets
            .map(|(ssrc, timestamp, arrived, spoken)| {
                track.place(&Arrived {
                    ssrc,
                    timestamp,
                    ticks: 1,
                    position: arrived + 160,
                    pauses: 0,
                    samples: &samples,
                }) - spoken
            })
            .collect()
    }

    #[test]
    fn jitter_and_reordering_do_not_move_packets() {
        let mut noise = 1u32;
        let errors = errors((0..1_000).map(|i| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let jitter = if i == 0 { 0 } else { i64::from(noise >> 24) };
            (
                1,
                5_000u32.wrapping_add(i * 160),
                i64::from(i) * 160 + jitter,
                i64::from(i) * 160,
            )
        }));
        assert!(
            errors.iter().all(|error| error.abs() <= 160),
            "{:?}",
            errors.iter().max()
        );
    }

    #[test]
    fn a_drifting_source_stays_within_twenty_milliseconds_of_the_clock() {
        // 300 ppm fast for ten minutes is 180 ms off when nobody follows.
        for sign in [-1.0, 1.0] {
            let errors = errors((0..30_000u32).map(|i| {
                let real = (f64::from(i) * 160.0 * (1.0 - sign * 0.0003)) as i64;
                (1, u32::MAX.wrapping_add(i * 160), real, real)
            }));
            assert!(errors.iter().all(|error| error.abs() <= 160));
        }
    }

    #[test]
    fn a_new_source_and_a_jumped_clock_land_in_real_time() {
        let packets = (0..300u32).map(|i| {
            let (ssrc, base) = match i {
                0..100 => (1, 0),
                100..200 => (2, 77_000_000),
                _ => (2, 3_000_000_000),
            };
            (ssrc, base + i * 160, i64::from(i) * 160, i64::from(i) * 160)
        });
        let errors = errors(packets);
        let strays = errors.iter().filter(|error| error.abs() > 160).count();
        assert!(strays < usize::from(STRAYS), "{strays} packets astray");
        assert_eq!(errors.last(), Some(&0));
    }

    #[test]
    fn a_lost_packet_is_filled_and_a_long_silence_is_not() {
        let tone = |at: i64| ((at as f64 * 0.157).sin() * 8_000.0) as i16;
        let packet = |at: i64| (at..at + 160).map(tone).collect::<Vec<_>>();
        let mut track = Track::new();
        for at in [0, 160, 480, 1_280] {
            track.write(at, 0, &packet(at));
        }
        let heard: Vec<i16> = (0..1_440).map(|at| track.take(at)).collect();
        let off = (320..480).map(|at| (i32::from(heard[at as usize]) - i32::from(tone(at))).abs());
        assert!(off.clone().max() < Some(1_500), "{:?}", off.max());
        assert!(heard[640..1_280].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn a_packet_that_comes_late_takes_the_place_of_what_was_made_up() {
        let mut track = Track::new();
        for (at, level) in [(0, 500), (320, 500), (160, 900)] {
            track.write(at, 0, &[level; 160]);
        }
        assert_eq!(track.take(200), 900);
    }

    #[test]
    fn silence_between_talk_spurts_stays_as_long_as_it_was() {
        let errors = errors((0..100u32).map(|i| {
            let at = if i < 50 { i * 160 } else { i * 160 + 80_000 };
            (1, at, i64::from(at), i64::from(at))
        }));
        assert!(errors.iter().all(|error| *error == 0));
    }
}
