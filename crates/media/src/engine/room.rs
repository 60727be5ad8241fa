//! Conference rooms: legs of different calls, on whatever thread each lives, hear each other.
//!
//! A thread never waits for another one. Each leg writes what it said in a tick into its own seat and reads, two ticks
//! later, what the others wrote. All threads count ticks from the same moment, so everybody's frame is read once, however
//! the clocks of the peers drift: that is evened out by each leg's jitter buffer before.

use std::{
    array,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering, fence},
    },
};

use audio_codec::resampler::BoxedResampler;

use crate::{
    FRAME,
    codec::{Frame, Rate, WIDE_FRAME, resampler},
    g711::linear_to_ulaw,
};

/// How many can take part.
pub const SEATS: usize = 50;
/// Rooms carry the wider rate: whoever has a wideband codec hears the others as they are.
pub(super) const RATE: Rate = Rate::Wide;
/// Ticks after which a frame is heard. A tick is somewhere in 20 ms for each call, so one is not enough: the frame could be
/// due in the same millisecond.
const LAG: u64 = 2;
/// Frames kept for readers that are late, and the one being written.
const KEPT: usize = 4;
/// Samples that travel together.
const PER_WORD: usize = 4;
/// The tick of a frame that is not whole.
const UNFINISHED: u64 = u64::MAX;

/// A room. Clones are the same room; it lasts as long as somebody holds it.
#[derive(Clone, Debug)]
pub struct Room {
    seats: Arc<[SeatState]>,
}

#[derive(Debug)]
struct SeatState {
    taken: AtomicBool,
    kept: [Kept; KEPT],
}

/// What a leg said in one tick, written by its thread alone.
#[derive(Debug)]
struct Kept {
    tick: AtomicU64,
    words: [AtomicU64; WIDE_FRAME / PER_WORD],
}

/// A leg's place in a room, free again when it is dropped.
pub(super) struct Seat {
    room: Room,
    number: usize,
    /// To the recorder's rate.
    down: BoxedResampler,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new() -> Self {
        Self {
            seats: (0..SEATS).map(|_| SeatState::default()).collect(),
        }
    }

    /// How many legs are in it.
    #[must_use]
    pub fn taken(&self) -> usize {
        let taken = |seat: &&SeatState| seat.taken.load(Ordering::Relaxed);
        self.seats.iter().filter(taken).count()
    }

    /// A place for a leg; `None` when all are taken.
    pub(super) fn sit(&self) -> Option<Seat> {
        let number = self.seats.iter().position(|seat| {
            let (acquire, relaxed) = (Ordering::AcqRel, Ordering::Relaxed);
            let taken = seat.taken.compare_exchange(false, true, acquire, relaxed);
            taken.is_ok()
        })?;
        Some(Seat {
            room: self.clone(),
            number,
            down: resampler(RATE, Rate::Narrow),
        })
    }
}

impl Seat {
    /// What its leg said in this tick; `None` when that was nothing.
    pub(super) fn say(&self, tick: u64, samples: Option<&[i16]>) {
        if let Some(samples) = samples {
            self.room.seats[self.number].kept[tick as usize % KEPT].write(tick, samples);
        }
    }

    /// What its leg hears in this tick: everybody but itself.
    pub(super) fn hear(&self, tick: u64) -> Frame {
        let said = tick.wrapping_sub(LAG);
        let mut sum = [0i32; WIDE_FRAME];
        for (number, seat) in self.room.seats.iter().enumerate() {
            if number != self.number && seat.taken.load(Ordering::Relaxed) {
                seat.kept[said as usize % KEPT].add_to(said, &mut sum);
            }
        }
        let mut frame = Frame::silence(RATE);
        for (sample, sum) in frame.samples_mut().iter_mut().zip(&sum) {
            *sample = (*sum).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
        frame
    }

    /// What its leg hears, as a recording keeps it: 20 ms of µ-law.
    pub(super) fn for_recording(&mut self, heard: &Frame) -> [u8; FRAME] {
        let mut narrow = [0; WIDE_FRAME];
        let down = self.down.resample_into(heard.samples(), &mut narrow);
        let length = down.unwrap_or(0).min(FRAME);
        let mut payload = [linear_to_ulaw(0); FRAME];
        for (byte, sample) in payload.iter_mut().zip(&narrow[..length]) {
            *byte = linear_to_ulaw(*sample);
        }
        payload
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let seat = &self.room.seats[self.number];
        seat.taken.store(false, Ordering::Release);
    }
}

impl Default for SeatState {
    fn default() -> Self {
        Self {
            taken: AtomicBool::new(false),
            kept: array::from_fn(|_| Kept {
                tick: AtomicU64::new(UNFINISHED),
                words: array::from_fn(|_| AtomicU64::new(0)),
            }),
        }
    }
}

impl Kept {
    /// A reader that comes meanwhile finds the frame unfinished, or its tick changed after reading.
    fn write(&self, tick: u64, samples: &[i16]) {
        self.tick.store(UNFINISHED, Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, samples) in self.words.iter().zip(samples.chunks_exact(PER_WORD)) {
            let packed = samples
                .iter()
                .rev()
                .fold(0, |packed, sample| packed << 16 | u64::from(*sample as u16));
            word.store(packed, Ordering::Relaxed);
        }
        self.tick.store(tick, Ordering::Release);
    }

    fn add_to(&self, tick: u64, sum: &mut [i32; WIDE_FRAME]) {
        if self.tick.load(Ordering::Acquire) != tick {
            return;
        }
        let words: [u64; WIDE_FRAME / PER_WORD] =
            array::from_fn(|at| self.words[at].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        if self.tick.load(Ordering::Relaxed) != tick {
            return;
        }
        for (sums, word) in sum.chunks_exact_mut(PER_WORD).zip(words) {
            for (at, sum) in sums.iter_mut().enumerate() {
                *sum += i32::from((word >> (16 * at)) as i16);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hears_the_sum_of_the_others_two_ticks_later() {
        let room = Room::new();
        let seats: Vec<Seat> = (0..3).filter_map(|_| room.sit()).collect();
        for tick in 0..20u64 {
            for (number, seat) in seats.iter().enumerate() {
                let value = (number as i16 + 1) * 1_000 + tick as i16;
                seat.say(tick, Some(&[-value; WIDE_FRAME]));
            }
            if tick >= LAG {
                let said = (tick - LAG) as i16;
                let heard = seats[1].hear(tick);
                assert_eq!(heard.samples(), [-(1_000 + 3_000 + 2 * said); WIDE_FRAME]);
            }
        }
    }

    #[test]
    fn loud_voices_together_are_cut_and_do_not_wrap() {
        let room = Room::new();
        let seats: Vec<Seat> = (0..4).filter_map(|_| room.sit()).collect();
        for seat in &seats {
            seat.say(7, Some(&[20_000; WIDE_FRAME]));
        }
        assert_eq!(seats[0].hear(7 + LAG).samples(), [i16::MAX; WIDE_FRAME]);
    }

    #[test]
    fn who_says_nothing_or_left_is_not_heard_again() {
        let room = Room::new();
        let (a, b) = (room.sit().expect("free"), room.sit().expect("free"));
        a.say(1, Some(&[500; WIDE_FRAME]));
        assert_eq!(b.hear(1 + LAG).samples(), [500; WIDE_FRAME]);
        for tick in 2..12 {
            a.say(tick, None);
            assert_eq!(b.hear(tick + LAG).samples(), [0; WIDE_FRAME], "at {tick}");
        }
        a.say(12, Some(&[500; WIDE_FRAME]));
        drop(a);
        assert_eq!(b.hear(12 + LAG).samples(), [0; WIDE_FRAME]);
    }

    #[test]
    fn a_full_room_takes_nobody_until_somebody_leaves() {
        let room = Room::new();
        let mut seats: Vec<Seat> = (0..SEATS).filter_map(|_| room.sit()).collect();
        assert_eq!((seats.len(), room.taken()), (SEATS, SEATS));
        assert!(room.sit().is_none());
        seats.pop();
        assert!(room.sit().is_some());
    }

    #[test]
    fn readers_on_other_threads_see_whole_frames_or_none() {
        let room = Room::new();
        let (writer, reader) = (room.sit().expect("free"), room.sit().expect("free"));
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let writing = std::thread::spawn(move || {
            for tick in 0..200_000u64 {
                let value = (tick % 30_000) as i16 + 1;
                writer.say(tick, Some(&[value; WIDE_FRAME]));
            }
            stop.store(true, Ordering::Relaxed);
        });
        let mut tick = LAG;
        while !over.load(Ordering::Relaxed) {
            let heard = reader.hear(tick);
            let first = heard.samples()[0];
            let whole = first == 0 || u64::from(first as u16) == (tick - LAG) % 30_000 + 1;
            assert!(whole, "{first} at {tick}");
            assert!(heard.samples().iter().all(|sample| *sample == first));
            tick = room.seats[0].kept[0]
                .tick
                .load(Ordering::Relaxed)
                .min(1 << 40)
                + LAG;
        }
        writing.join().expect("it ends");
    }
}
