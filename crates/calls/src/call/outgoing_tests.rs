//! Calls that agents place, step by step and under a hail of random inputs.

use std::sync::Arc;

use jiff::SignedDuration;
use model::{
    AgentId, CallEvent, CallFact, CallId, CallPrice, Direction, HangupCause, LegId, PhoneNumber,
    TenantId, Timestamp, TrunkId,
};
use proptest::prelude::*;

use super::*;
use crate::{record, routing::TrunkFailure};

const AGENT: AgentId = AgentId(1);
const COLLEAGUE: AgentId = AgentId(2);

fn trunk(id: i64) -> TrunkDial {
    TrunkDial {
        trunk: TrunkId(id),
        name: format!("carrier {id}"),
        why: "because".to_owned(),
        price: Some(CallPrice {
            per_minute_micros: 60_000,
            step_seconds: 60,
        }),
        user: "+421905000001".to_owned(),
        caller_id: Some("+421200000001".to_owned()),
        setup_seconds: 12,
    }
}

fn new_call(direction: Direction) -> NewCall {
    NewCall {
        id: CallId(1),
        uuid: "u".to_owned(),
        direction,
        agent: Some(CallingAgent {
            agent: AGENT,
            name: "Ann".to_owned(),
            extension: "1001".to_owned(),
            dialled: "0905000001".to_owned(),
            wrap_up_seconds: 10,
        }),
        external: PhoneNumber::parse("+421905000001").ok(),
        internal: PhoneNumber::parse("+421200000001").ok(),
        number: None,
        contact: None,
        trunk: None,
        node: "n".to_owned(),
        groups: Arc::default(),
        rooms: Arc::default(),
        recording: Arc::default(),
    }
}

/// A call with all it said, and the facts of it in their order.
struct Run {
    call: Call,
    now: Timestamp,
    facts: Vec<CallEvent>,
    last: Vec<Output>,
}

impl Run {
    fn place(begun: Begun, callee: Callee) -> Self {
        let direction = match &callee {
            Callee::Agent { .. } => Direction::Internal,
            Callee::Outside(_) => Direction::Outgoing,
        };
        let now = Timestamp::UNIX_EPOCH;
        let outgoing = OutgoingCall {
            begun,
            callee,
            ring_seconds: 60,
        };
        let (call, outputs) = Call::outgoing(new_call(direction), outgoing, now);
        let mut run = Self {
            call,
            now,
            facts: Vec::new(),
            last: Vec::new(),
        };
        run.note(outputs);
        run
    }

    fn note(&mut self, outputs: Vec<Output>) {
        self.last.clear();
        for output in outputs {
            match output {
                Output::Record(fact) => {
                    let seq = u32::try_from(self.facts.len() + 1).expect("few");
                    self.facts.push(CallEvent {
                        seq,
                        tenant: TenantId(1),
                        call: CallId(1),
                        at: self.now,
                        fact,
                    });
                }
                action => self.last.push(action),
            }
        }
    }

    fn input(&mut self, input: Input) -> &[Output] {
        let outputs = self.call.handle(self.now, input);
        self.note(outputs);
        &self.last
    }

    fn wait(&mut self, seconds: i64) -> &[Output] {
        self.now += SignedDuration::from_secs(seconds);
        let outputs = self.call.on_time(self.now);
        self.note(outputs);
        &self.last
    }

    fn refused(&mut self, leg: u32, status: u16) -> &[Output] {
        self.input(Input::TrunkFailed {
            leg: LegId(leg),
            failure: TrunkFailure::Refused { status, q850: None },
        })
    }

    fn record(&self) -> model::CallRecord {
        record::fold(&self.facts).expect("it was started")
    }

    fn cause(&self) -> Option<HangupCause> {
        self.facts.iter().find_map(|event| match event.fact {
            CallFact::Ended { cause } => Some(cause),
            _ => None,
        })
    }

    fn dialled(&self) -> Option<i64> {
        self.last.iter().find_map(|output| match output {
            Output::DialTrunk { dial, .. } => Some(dial.trunk.0),
            _ => None,
        })
    }
}

const FIRST: LegId = LegId::FIRST;
const SECOND: LegId = LegId(2);

fn outside() -> Run {
    Run::place(Begun::ByPhone, Callee::Outside(vec![trunk(1), trunk(2)]))
}

#[test]
fn the_callee_answers_and_the_agent_hears_him_from_then_on() {
    let mut run = outside();
    assert_eq!(run.dialled(), Some(1));
    assert!(run.last.contains(&Output::AgentBusy { agent: AGENT }));
    assert_eq!(
        run.input(Input::LegRinging { leg: SECOND }),
        [Output::Ring { leg: FIRST }]
    );
    let _ = run.wait(5);
    let answered = run.input(Input::LegAnswered { leg: SECOND });
    let (a, b) = (FIRST, SECOND);
    assert_eq!(
        answered[..2],
        [Output::Answer { leg: FIRST }, Output::Bridge { a, b }]
    );
    let Output::StartRecording { left, right, .. } = &answered[2] else {
        panic!("a talk is recorded: {answered:?}");
    };
    assert_eq!(
        (*left, *right),
        (SECOND, Some(FIRST)),
        "the customer is left"
    );
    let _ = run.wait(61);
    let _ = run.input(Input::LegHungUp { leg: FIRST });
    let recording = recording_id(CallId(1), 1);
    let _ = run.input(Input::RecordingStopped {
        recording,
        duration_ms: 61_000,
        bytes: 1,
    });
    assert_eq!(run.cause(), Some(HangupCause::AgentHangup));
    let record = run.record();
    assert_eq!(record.agent, Some(AGENT));
    assert_eq!((record.waiting_ms, record.ringing_ms), (5_000, 5_000));
    assert_eq!(record.talking_ms, 61_000);
    assert_eq!(record.cost_micros, 120_000, "two minutes are begun");
    assert_eq!(record.trunk, Some(TrunkId(1)));
    assert!(!run.call.is_finished(), "he writes it up");
    let _ = run.input(Input::WrapUpEnded { agent: AGENT });
    assert!(run.call.is_finished());
}

#[test]
fn carriers_are_asked_in_turn_until_one_speaks_for_the_callee() {
    let mut run = outside();
    let _ = run.refused(2, 503);
    assert_eq!(run.dialled(), Some(2));
    let outputs = run.refused(3, 486);
    assert!(outputs.contains(&Output::HangUp {
        leg: FIRST,
        cause: HangupCause::Busy
    }));
    assert_eq!(run.cause(), Some(HangupCause::Busy));
    let attempts = run.record().attempts;
    assert_eq!(
        attempts.iter().map(|a| a.status).collect::<Vec<_>>(),
        [Some(503), Some(486)]
    );
    assert!(run.call.is_finished());
}

#[test]
fn a_silent_carrier_is_left_but_the_last_one_keeps_all_the_time() {
    let mut run = outside();
    let _ = run.wait(12);
    assert_eq!(run.dialled(), Some(2));
    assert!(run.last.contains(&Output::HangUp {
        leg: SECOND,
        cause: HangupCause::NoAnswer
    }));
    let _ = run.wait(47);
    assert_eq!(run.cause(), None);
    let _ = run.wait(1);
    assert_eq!(run.cause(), Some(HangupCause::NoAnswer));
}

#[test]
fn no_carrier_is_left_after_the_phone_rang() {
    let mut run = outside();
    let _ = run.input(Input::LegRinging { leg: SECOND });
    let _ = run.wait(30);
    assert_eq!(
        run.cause(),
        None,
        "it may ring longer than a carrier may be silent"
    );
    let _ = run.refused(2, 503);
    assert_eq!(run.dialled(), None);
    assert_eq!(run.cause(), Some(HangupCause::Congestion));
}

#[test]
fn a_carriers_announcement_is_heard_and_then_our_own_ringing() {
    let mut run = outside();
    let (a, b) = (FIRST, SECOND);
    assert_eq!(
        run.input(Input::LegEarly { leg: SECOND }),
        [Output::Progress { leg: FIRST }, Output::Bridge { a, b }]
    );
    let outputs = run.refused(2, 503);
    assert_eq!(outputs[0], Output::Unbridge { a, b });
    assert!(
        matches!(
            &outputs[1],
            Output::Play {
                leg: FIRST,
                repeat: true,
                ..
            }
        ),
        "his phone no longer rings by itself: {outputs:?}"
    );
    assert_eq!(run.dialled(), Some(2));
}

#[test]
fn a_call_asked_for_elsewhere_rings_the_agent_first() {
    let mut run = Run::place(Begun::Elsewhere, Callee::Outside(vec![trunk(1)]));
    assert_eq!(run.dialled(), None);
    assert!(run.last.iter().any(|output| matches!(
        output,
        Output::Dial {
            leg: FIRST,
            agent: AGENT,
            ..
        }
    )));
    let _ = run.input(Input::LegRinging { leg: FIRST });
    let _ = run.input(Input::LegAnswered { leg: FIRST });
    assert_eq!(run.dialled(), Some(1));
    assert!(matches!(
        &run.last[0],
        Output::Play {
            leg: FIRST,
            repeat: true,
            ..
        }
    ));
    let outputs = run.refused(2, 404);
    assert!(
        matches!(
            &outputs[0],
            Output::Play {
                leg: FIRST,
                repeat: false,
                ..
            }
        ),
        "he is told: {outputs:?}"
    );
    let playback = PlaybackId(2);
    let _ = run.input(Input::PlaybackFinished {
        leg: FIRST,
        playback,
    });
    assert_eq!(run.cause(), Some(HangupCause::Unallocated));

    let mut unheard = Run::place(Begun::Elsewhere, Callee::Outside(vec![trunk(1)]));
    let _ = unheard.wait(i64::from(CLICK_TO_CALL_RING_SECONDS));
    assert_eq!(unheard.cause(), Some(HangupCause::NoAnswer));
    assert_eq!(unheard.record().attempts, []);
}

#[test]
fn colleagues_see_who_calls_and_nobody_writes_anything_up() {
    let callee = Callee::Agent {
        agent: COLLEAGUE,
        name: "Bob".to_owned(),
    };
    let mut run = Run::place(Begun::ByPhone, callee);
    let shown = CallerId::Colleague {
        extension: "1001".to_owned(),
        name: "Ann".to_owned(),
    };
    assert!(run.last.contains(&Output::Dial {
        leg: SECOND,
        agent: COLLEAGUE,
        caller_id: shown
    }));
    let answered = run.input(Input::LegAnswered { leg: SECOND });
    assert!(answered.contains(&Output::AgentBusy { agent: COLLEAGUE }));
    let ended = run.input(Input::LegHungUp { leg: SECOND }).to_vec();
    for agent in [AGENT, COLLEAGUE] {
        assert!(
            ended.contains(&Output::StartWrapUp { agent, seconds: 0 }),
            "{ended:?}"
        );
    }
    let record = run.record();
    assert_eq!(
        (record.agent, record.callee),
        (Some(AGENT), Some(COLLEAGUE))
    );
}

#[test]
fn a_call_without_any_carrier_ends_at_once() {
    let run = Run::place(Begun::ByPhone, Callee::Outside(Vec::new()));
    assert_eq!(run.cause(), Some(HangupCause::Congestion));
    assert!(run.call.is_finished());
}

fn inputs() -> impl Strategy<Value = Input> {
    let leg = (1u32..5).prop_map(LegId);
    let failure = prop_oneof![
        (prop_oneof![Just(486u16), Just(503), Just(404), Just(408), Just(480)])
            .prop_map(|status| TrunkFailure::Refused { status, q850: None }),
        Just(TrunkFailure::TimedOut),
        Just(TrunkFailure::NoAudio),
        Just(TrunkFailure::Limited("full".to_owned())),
    ];
    prop_oneof![
        leg.clone().prop_map(|leg| Input::LegRinging { leg }),
        leg.clone().prop_map(|leg| Input::LegEarly { leg }),
        leg.clone().prop_map(|leg| Input::LegAnswered { leg }),
        leg.clone().prop_map(|leg| Input::LegHungUp { leg }),
        (leg.clone(), failure).prop_map(|(leg, failure)| Input::TrunkFailed { leg, failure }),
        leg.clone().prop_map(|leg| Input::Connected { leg }),
        leg.clone().prop_map(|leg| Input::LegFailed {
            leg,
            cause: HangupCause::SignallingFailed
        }),
        (leg, 1u32..6).prop_map(|(leg, n)| Input::PlaybackFinished {
            leg,
            playback: PlaybackId(n)
        }),
        Just(Input::WrapUpEnded { agent: AGENT }),
    ]
}

proptest! {
    /// Whatever happens in whatever order: one start, one end, each leg ended once, each agent who
    /// was busy freed, and the record can be made at any time.
    #[test]
    fn every_leg_ends_once_and_everybody_is_freed(
        elsewhere in any::<bool>(),
        colleague in any::<bool>(),
        steps in proptest::collection::vec((inputs(), 0i64..40), 0..40)
    ) {
        let begun = if elsewhere { Begun::Elsewhere } else { Begun::ByPhone };
        let callee = if colleague {
            Callee::Agent { agent: COLLEAGUE, name: "Bob".to_owned() }
        } else {
            Callee::Outside(vec![trunk(1), trunk(2), trunk(3)])
        };
        let mut run = Run::place(begun, callee);
        let mut busy: Vec<AgentId> = Vec::new();
        let mut see = |outputs: &[Output]| {
            for output in outputs {
                match output {
                    Output::AgentBusy { agent } => busy.push(*agent),
                    Output::StartWrapUp { agent, .. } => busy.retain(|b| b != agent),
                    _ => {}
                }
            }
        };
        see(&run.last);
        for (input, wait) in steps {
            see(run.input(input));
            see(run.wait(wait));
            let _ = run.record();
        }
        see(run.input(Input::End { cause: HangupCause::OperatorEnded }));
        see(run.wait(100));
        let _ = run.input(Input::End { cause: HangupCause::OperatorEnded });
        prop_assert!(run.call.is_finished());
        prop_assert!(busy.is_empty(), "still busy: {busy:?}");
        let count = |wanted: &dyn Fn(&CallFact) -> bool| run.facts.iter().filter(|e| wanted(&e.fact)).count();
        prop_assert_eq!(count(&|f| matches!(f, CallFact::Ended { .. })), 1);
        let mut legs = vec![FIRST];
        legs.extend(run.facts.iter().filter_map(|event| match &event.fact {
            CallFact::TrunkDialed { leg, .. } | CallFact::AgentDialed { leg, .. } if *leg != FIRST => Some(*leg),
            _ => None,
        }));
        for leg in legs {
            let ends = count(&|f| matches!(f, CallFact::LegEnded { leg: ended, .. } if *ended == leg));
            prop_assert_eq!(ends, 1, "leg {}: {:#?}", leg, run.facts);
        }
        let bridged = count(&|f| matches!(f, CallFact::Bridged { .. }));
        prop_assert!(bridged <= 1);
        // A crash at any moment leaves something that can be closed.
        for upto in 1..=run.facts.len() {
            if let Some(closing) = record::close_lost(&run.facts[..upto], &[], run.now) {
                prop_assert!(!closing.facts.is_empty());
            }
        }
    }
}
