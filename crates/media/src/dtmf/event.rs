use super::BY_CODE;

/// The four bytes of a telephone-event (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventPayload {
    pub(crate) code: u8,
    pub(crate) end: bool,
    pub(crate) volume: u8,
    pub(crate) duration: u16,
}

impl EventPayload {
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let bytes = payload.get(..4)?;
        Some(Self {
            code: bytes[0],
            end: bytes[1] & 0x80 != 0,
            volume: bytes[1] & 0x3f,
            duration: u16::from_be_bytes([bytes[2], bytes[3]]),
        })
    }

    pub(crate) fn bytes(self) -> [u8; 4] {
        let duration = self.duration.to_be_bytes();
        [
            self.code,
            self.volume | if self.end { 0x80 } else { 0 },
            duration[0],
            duration[1],
        ]
    }
}

/// Turns the packets of a press, however many are lost or repeated, into one digit.
#[derive(Debug, Default)]
pub(crate) struct EventReceiver {
    /// The last presses by SSRC and timestamp: an end packet may arrive after the next press began.
    recent: [Option<(u32, u32)>; 4],
    next: usize,
    last: Option<Segment>,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    ssrc: u32,
    code: u8,
    timestamp: u32,
    duration: u16,
    ended: bool,
}

impl EventReceiver {
    /// A digit at the first packet of its press that arrives, whichever that is.
    pub(crate) fn receive(
        &mut self,
        ssrc: u32,
        timestamp: u32,
        payload: EventPayload,
    ) -> Option<char> {
        let digit = *BY_CODE.get(usize::from(payload.code))?;
        let key = Some((ssrc, timestamp));
        if self.recent.contains(&key) {
            if let Some(last) = self
                .last
                .as_mut()
                .filter(|last| last.ssrc == ssrc && last.timestamp == timestamp)
            {
                last.duration = last.duration.max(payload.duration);
                last.ended |= payload.end;
            }
            return None;
        }
        // RFC 4733 §2.5.1.3: a press of over 8 s goes on in a new segment, whose timestamp is
        // where the full one ended. It is the same press.
        let goes_on = self.last.is_some_and(|last| {
            last.ssrc == ssrc
                && last.code == payload.code
                && !last.ended
                && last.duration > 0xf000
                && timestamp.wrapping_sub(last.timestamp) >= u32::from(last.duration)
                && timestamp.wrapping_sub(last.timestamp) <= 0x1_0000
        });
        self.recent[self.next] = key;
        self.next = (self.next + 1) % self.recent.len();
        self.last = Some(Segment {
            ssrc,
            code: payload.code,
            timestamp,
            duration: payload.duration,
            ended: payload.end,
        });
        (!goes_on).then_some(digit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(code: u8, end: bool, duration: u16) -> EventPayload {
        EventPayload {
            code,
            end,
            volume: 10,
            duration,
        }
    }

    #[test]
    fn three_end_packets_are_one_digit() {
        let mut receiver = EventReceiver::default();
        let packets = [
            event(5, false, 160),
            event(5, false, 320),
            event(5, true, 480),
            event(5, true, 480),
            event(5, true, 480),
        ];
        let digits: String = packets
            .into_iter()
            .filter_map(|packet| receiver.receive(1, 8_000, packet))
            .collect();
        assert_eq!(digits, "5");
    }

    #[test]
    fn a_press_is_one_digit_whichever_of_its_packets_are_lost() {
        let packets = [
            event(11, false, 160),
            event(11, false, 320),
            event(11, true, 480),
            event(11, true, 480),
        ];
        for kept in 1..16u32 {
            let mut receiver = EventReceiver::default();
            let digits = (0..4)
                .filter(|i| kept & (1 << i) != 0)
                .filter_map(|i| receiver.receive(1, 8_000, packets[i]))
                .count();
            assert_eq!(digits, 1, "with packets {kept:04b}");
        }
    }

    #[test]
    fn the_same_key_pressed_twice_is_two_digits_even_when_packets_cross() {
        let mut receiver = EventReceiver::default();
        assert_eq!(receiver.receive(1, 1_000, event(1, false, 160)), Some('1'));
        assert_eq!(receiver.receive(1, 3_000, event(1, false, 160)), Some('1'));
        assert_eq!(receiver.receive(1, 1_000, event(1, true, 480)), None);
        assert_eq!(receiver.receive(1, 3_000, event(1, true, 480)), None);
    }

    #[test]
    fn a_press_longer_than_its_counter_is_one_digit() {
        let mut receiver = EventReceiver::default();
        assert_eq!(
            receiver.receive(1, 1_000, event(9, false, 0xffff)),
            Some('9')
        );
        assert_eq!(
            receiver.receive(1, 1_000 + 0xffff, event(9, false, 160)),
            None
        );
        assert_eq!(
            receiver.receive(1, 1_000 + 0xffff, event(9, true, 800)),
            None
        );
    }

    #[test]
    fn events_that_are_no_digits_are_ignored() {
        let mut receiver = EventReceiver::default();
        assert_eq!(receiver.receive(1, 1, event(16, false, 1)), None);
        assert_eq!(EventPayload::parse(&[1, 2, 3]), None);
    }
}
