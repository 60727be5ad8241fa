//! The caller on his way into a conference room, and in it.

use model::{CallFact, HangupCause, RecordingKind, RoomId, Timestamp};

use super::{
    Output, PinVerdict, PlaybackId,
    machine::{Call, Out, Repeat, Stage, after_seconds},
};
use crate::flow::Prompt;

/// How often a PIN may be tried.
const TRIES: u32 = 3;
/// How long the next key is waited for.
const KEY_SECONDS: u32 = 10;

/// What a call needs to know of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomInfo {
    /// Its name.
    pub name: String,
    /// What participants must key in, when it is set: digits.
    pub pin: Option<String>,
}

/// He is asked for the room's PIN.
#[derive(Debug)]
pub(super) struct PinStage {
    room: RoomId,
    keyed: String,
    tried: u32,
    /// While he hears the question.
    playback: Option<PlaybackId>,
    /// While a key is waited for.
    pub deadline: Option<Timestamp>,
    /// The door was asked.
    is_tried: bool,
}

impl Call {
    /// Leads the caller towards a room. A room that was removed under the flow's feet ends the call.
    pub(super) fn enter_conference(&mut self, room: RoomId, out: &mut Out) {
        let Some(info) = self.new.rooms.get(&room) else {
            return self.last_words("This conference does not exist. Goodbye.", out);
        };
        if info.pin.is_none() {
            return self.welcome(room, out);
        }
        let ask = "Please enter the PIN of the conference, then press the hash key.";
        self.ask_pin(room, 0, ask, out);
    }

    fn ask_pin(&mut self, room: RoomId, tried: u32, text: &str, out: &mut Out) {
        let playback = self.play(Prompt::speech(text, "en"), Repeat::Once, out);
        self.stage = Stage::Pin(PinStage {
            room,
            keyed: String::new(),
            tried,
            playback: Some(playback),
            deadline: None,
            is_tried: false,
        });
    }

    pub(super) fn pin_digit(&mut self, now: Timestamp, digit: char, out: &mut Out) {
        let Stage::Pin(stage) = &mut self.stage else {
            return;
        };
        if stage.is_tried {
            return;
        }
        if stage.playback.take().is_some() {
            out.act(Output::StopPlaying { leg: self.caller });
        }
        stage.deadline = Some(after_seconds(now, KEY_SECONDS));
        let length = pin_of(&self.new.rooms, stage.room).map_or(0, str::len);
        if digit.is_ascii_digit() {
            stage.keyed.push(digit);
        }
        if digit == '#' || stage.keyed.len() >= length {
            self.judge_pin(out);
        }
    }

    pub(super) fn pin_asked(&mut self, now: Timestamp, finished: PlaybackId) {
        if let Stage::Pin(stage) = &mut self.stage
            && stage.playback == Some(finished)
        {
            stage.playback = None;
            stage.deadline = Some(after_seconds(now, KEY_SECONDS));
        }
    }

    /// Whether what he keyed in lets him in. No key in time is a wrong PIN, and no guess.
    pub(super) fn judge_pin(&mut self, out: &mut Out) {
        let Stage::Pin(stage) = &mut self.stage else {
            return;
        };
        if stage.keyed.is_empty() {
            return self.pin_tried(PinVerdict::Wrong { shuts: false }, out);
        }
        stage.is_tried = true;
        stage.deadline = None;
        let room = stage.room;
        let is_right = pin_of(&self.new.rooms, room) == Some(stage.keyed.as_str());
        let agent = self.new.agent.as_ref().map(|caller| caller.agent);
        out.act(Output::TryPin {
            room,
            agent,
            is_right,
        });
    }

    /// The door has spoken.
    pub(super) fn pin_tried(&mut self, verdict: PinVerdict, out: &mut Out) {
        let Stage::Pin(stage) = &self.stage else {
            return;
        };
        let (room, tried) = (stage.room, stage.tried + 1);
        match verdict {
            PinVerdict::Enters => self.welcome(room, out),
            PinVerdict::Shut | PinVerdict::Wrong { shuts: true } => {
                let text = "This conference can't be entered now. Please try again later. Goodbye.";
                self.last_words(text, out);
            }
            PinVerdict::Wrong { shuts: false } if tried >= TRIES => {
                self.last_words("That PIN is not right. Goodbye.", out);
            }
            PinVerdict::Wrong { shuts: false } => {
                let again = "That PIN is not right. Please enter the PIN, then press the hash key.";
                self.ask_pin(room, tried, again, out);
            }
        }
    }

    fn welcome(&mut self, room: RoomId, out: &mut Out) {
        let name = self.new.rooms.get(&room).map_or("", |info| &info.name);
        let text = format!("You are joining the conference {name}.");
        let playback = self.play(Prompt::speech(text, "en"), Repeat::Once, out);
        self.stage = Stage::RoomDoor { playback, room };
    }

    /// The driver let him in.
    pub(super) fn room_entered(&mut self, out: &mut Out) {
        let Stage::Room { room, .. } = self.stage else {
            return;
        };
        let name = self
            .new
            .rooms
            .get(&room)
            .map_or_else(String::new, |info| info.name.clone());
        out.fact(CallFact::RoomEntered {
            leg: self.caller,
            room,
            name,
        });
        let agent = self.new.agent.as_ref().map(|caller| caller.agent);
        let rules = &self.new.recording;
        let decision = rules.decide(self.new.direction, agent, self.flow_recording);
        if decision.record {
            // What he says is left, what he hears is right.
            let (left, right) = (self.caller, Some(self.caller));
            let recording = self.start_recording(RecordingKind::Conversation, left, right, out);
            self.stage = Stage::Room { room, recording };
        } else {
            let rule = decision.rule;
            out.fact(CallFact::RecordingSkipped { rule });
        }
    }

    /// All places are taken.
    pub(super) fn room_full(&mut self, out: &mut Out) {
        if matches!(self.stage, Stage::Room { .. }) {
            self.last_words("The conference is full. Goodbye.", out);
        }
    }

    fn last_words(&mut self, text: &str, out: &mut Out) {
        let playback = self.play(Prompt::speech(text, "en"), Repeat::Once, out);
        self.stage = Stage::LastWords {
            playback,
            cause: HangupCause::FlowEnded,
        };
    }
}

fn pin_of(rooms: &std::collections::BTreeMap<RoomId, RoomInfo>, room: RoomId) -> Option<&str> {
    rooms.get(&room)?.pin.as_deref()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use jiff::SignedDuration;
    use model::{CallId, DigitVia, Direction, FlowId, LegId};

    use super::*;
    use crate::{
        call::{Input, NewCall},
        flow::{Conference, Flow, Step},
    };

    const ROOM: RoomId = RoomId(7);

    fn call(pin: Option<&str>) -> Call {
        let info = RoomInfo {
            name: "Monday".to_owned(),
            pin: pin.map(str::to_owned),
        };
        let new = NewCall {
            id: CallId(1),
            uuid: "u".to_owned(),
            direction: Direction::Incoming,
            agent: None,
            external: None,
            internal: None,
            number: None,
            contact: None,
            trunk: None,
            node: "n".to_owned(),
            groups: Arc::default(),
            rooms: Arc::new(BTreeMap::from([(ROOM, info)])),
            recording: Arc::default(),
        };
        let step = Step::Conference(Conference {
            name: String::new(),
            room: ROOM,
        });
        let flow = Flow {
            id: FlowId(1),
            start: "room".to_owned(),
            steps: [("room".to_owned(), step)].into(),
        };
        let (mut call, _) = Call::incoming(new, Arc::new(flow), Timestamp::UNIX_EPOCH);
        let _ = call.handle(
            Timestamp::UNIX_EPOCH,
            Input::Connected { leg: LegId::FIRST },
        );
        call
    }

    fn press(call: &mut Call, keys: &str) -> Vec<Output> {
        let press = |digit| {
            let input = Input::Digit {
                leg: LegId::FIRST,
                digit,
                via: DigitVia::Rfc4733,
            };
            call.handle(Timestamp::UNIX_EPOCH, input)
        };
        keys.chars().flat_map(press).collect()
    }

    /// Keys in a PIN at a door that nobody has guessed at.
    fn key_in(call: &mut Call, keys: &str) -> Vec<Output> {
        let mut outputs = press(call, keys);
        let tried = outputs.iter().find_map(|output| match output {
            Output::TryPin { is_right, .. } => Some(*is_right),
            _ => None,
        });
        if let Some(is_right) = tried {
            let verdict = match is_right {
                true => PinVerdict::Enters,
                false => PinVerdict::Wrong { shuts: false },
            };
            outputs.extend(call.handle(Timestamp::UNIX_EPOCH, Input::PinTried { verdict }));
        }
        outputs
    }

    fn played(call: &mut Call, playback: u32) -> Vec<Output> {
        let input = Input::PlaybackFinished {
            leg: LegId::FIRST,
            playback: PlaybackId(playback),
        };
        call.handle(Timestamp::UNIX_EPOCH, input)
    }

    fn enters(outputs: &[Output]) -> bool {
        outputs.contains(&Output::EnterRoom {
            leg: LegId::FIRST,
            room: ROOM,
        })
    }

    #[test]
    fn a_room_without_pin_is_entered_after_the_welcome() {
        let mut call = call(None);
        assert!(enters(&played(&mut call, 1)));
        let entered = call.handle(Timestamp::UNIX_EPOCH, Input::RoomEntered);
        assert_eq!(
            entered.first(),
            Some(&Output::Record(CallFact::RoomEntered {
                leg: LegId::FIRST,
                room: ROOM,
                name: "Monday".to_owned()
            }))
        );
        assert!(
            matches!(entered.last(), Some(Output::StartRecording { left, right, .. }) if Some(*left) == *right),
            "calls from outside are recorded: {entered:?}"
        );
    }

    #[test]
    fn the_right_pin_opens_and_is_in_no_fact() {
        let mut call = call(Some("4711"));
        let keyed = key_in(&mut call, "4711");
        assert!(
            !keyed
                .iter()
                .any(|output| matches!(output, Output::Record(_)))
        );
        assert!(keyed.contains(&Output::StopPlaying { leg: LegId::FIRST }));
        assert!(enters(&played(&mut call, 2)));
    }

    #[test]
    fn three_wrong_pins_end_the_call() {
        let mut call = call(Some("4711"));
        key_in(&mut call, "12#");
        key_in(&mut call, "9999");
        assert!(!enters(&played(&mut call, 3)), "he is asked once more");
        let late = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(11);
        assert!(!call.on_time(late).is_empty(), "no key is a wrong one");
        assert_eq!(played(&mut call, 4).last(), Some(&Output::Finished));
    }

    #[test]
    fn a_shut_door_ends_the_call_whatever_is_keyed_in() {
        for verdict in [PinVerdict::Shut, PinVerdict::Wrong { shuts: true }] {
            let mut call = call(Some("4711"));
            let keyed = press(&mut call, "4711");
            let asked = Output::TryPin {
                room: ROOM,
                agent: None,
                is_right: true,
            };
            assert!(keyed.contains(&asked));
            assert!(press(&mut call, "4711#").is_empty(), "one at a time");
            let _ = call.handle(Timestamp::UNIX_EPOCH, Input::PinTried { verdict });
            let over = played(&mut call, 2);
            assert!(!enters(&over) && over.last() == Some(&Output::Finished));
        }
    }

    #[test]
    fn who_finds_the_room_full_is_told_so() {
        let mut call = call(None);
        played(&mut call, 1);
        let told = call.handle(Timestamp::UNIX_EPOCH, Input::RoomFull);
        assert!(matches!(told.as_slice(), [Output::Play { .. }]));
        assert_eq!(played(&mut call, 2).last(), Some(&Output::Finished));
    }

    #[test]
    fn who_hangs_up_in_the_room_ends_his_call_and_its_recording() {
        let mut call = call(None);
        played(&mut call, 1);
        let _ = call.handle(Timestamp::UNIX_EPOCH, Input::RoomEntered);
        let later = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(60);
        let over = call.handle(later, Input::LegHungUp { leg: LegId::FIRST });
        let recording = super::super::recording_id(CallId(1), 1);
        assert!(over.contains(&Output::StopRecording { recording }));
        let (duration_ms, bytes) = (60_000, 9);
        let closed = call.handle(
            later,
            Input::RecordingStopped {
                recording,
                duration_ms,
                bytes,
            },
        );
        assert_eq!(closed.last(), Some(&Output::Finished));
    }
}
