use std::time::Duration;

/// Milliseconds in a turn: every call gets one tick per turn.
const TURN: usize = 20;
/// A thread that was away longer than this does not make up for the ticks it missed.
const FORGIVE_MS: u64 = 500;

/// Spreads the 20 ms ticks of calls over slots of 1 ms, so that they don't all fall together.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    slots: [Vec<usize>; TURN],
    /// The first millisecond whose slot has not been run.
    next_ms: u64,
}

impl Wheel {
    /// Puts a call into the emptiest slot.
    pub(super) fn insert(&mut self, call: usize) {
        if let Some(slot) = self.slots.iter_mut().min_by_key(|slot| slot.len()) {
            slot.push(call);
        }
    }

    pub(super) fn remove(&mut self, call: usize) {
        for slot in &mut self.slots {
            slot.retain(|other| *other != call);
        }
    }

    /// How long to sleep; `None` when there is no call to tick.
    pub(super) fn timeout(&self, now_us: u64) -> Option<Duration> {
        let due = (self.next_ms..self.next_ms + TURN as u64)
            .find(|ms| !self.slots[*ms as usize % TURN].is_empty())?;
        Some(Duration::from_micros((due * 1_000).saturating_sub(now_us)))
    }

    /// Takes the next slot that is due, to be given back, and how late it is in microseconds.
    pub(super) fn take_due(&mut self, now_us: u64) -> Option<(usize, Vec<usize>, u64)> {
        let now_ms = now_us / 1_000;
        if now_ms > self.next_ms + FORGIVE_MS {
            self.next_ms = now_ms;
        }
        while self.next_ms <= now_ms {
            let slot = self.next_ms as usize % TURN;
            let late = now_us.saturating_sub(self.next_ms * 1_000);
            self.next_ms += 1;
            if !self.slots[slot].is_empty() {
                return Some((slot, std::mem::take(&mut self.slots[slot]), late));
            }
        }
        None
    }

    pub(super) fn give_back(&mut self, slot: usize, calls: Vec<usize>) {
        self.slots[slot] = calls;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_ticks_fifty_times_a_second_and_not_all_at_once() {
        let mut wheel = Wheel::default();
        (0..40).for_each(|call| wheel.insert(call));
        let mut ticks = [0; 40];
        for now_ms in 0..1_000 {
            while let Some((slot, calls, _)) = wheel.take_due(now_ms * 1_000) {
                assert_eq!(calls.len(), 2);
                calls.iter().for_each(|call| ticks[*call] += 1);
                wheel.give_back(slot, calls);
            }
        }
        assert_eq!(ticks, [50; 40]);
    }

    #[test]
    fn an_empty_wheel_lets_the_thread_sleep() {
        let mut wheel = Wheel::default();
        assert_eq!(wheel.timeout(5), None);
        wheel.insert(1);
        assert!(
            wheel
                .timeout(0)
                .is_some_and(|timeout| timeout < Duration::from_millis(20))
        );
        wheel.remove(1);
        assert_eq!(wheel.timeout(5), None);
    }
}
