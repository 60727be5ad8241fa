//! What a call's facts add up to.

use model::{
    AgentId, CallEvent, CallFact, CallId, CallRecord, CallStep, Direction, GroupId, HangupCause,
    LegAudio, LegId, OfferResult, OfferStep, QueueStep, RecordingKind, RecordingRef,
    RecordingState, RingStrategy, StepKind, Timestamp, TransferKind, TransferResult, TransferStep,
    TrunkAttempt,
};

mod lost;
mod replaced;
mod spent;
#[cfg(test)]
mod tests;

use spent::Spent;

pub use lost::{Closing, Recovered, close_lost, open_recordings, told_recordings};

/// The row of a call, from its facts in order and nothing else. `None` when they don't begin with
/// [`CallFact::Started`].
///
/// A call that has ended ended with its last leg; that its recording was closed a moment later does
/// not make it longer.
#[must_use]
pub fn fold(events: &[CallEvent]) -> Option<CallRecord> {
    let (first, rest) = events.split_first()?;
    let mut fold = Fold::start(first)?;
    for event in rest {
        fold.take(event);
    }
    Some(fold.finish(events.last().map_or(first.at, |event| event.at)))
}

pub(crate) fn ms(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

/// A stretch of time with something in it, such as a phone ringing; overlaps count once.
#[derive(Debug, Default)]
struct Span {
    open: u32,
    since: Option<Timestamp>,
    total: u64,
}

impl Span {
    fn begin(&mut self, at: Timestamp) {
        if self.open == 0 {
            self.since = Some(at);
        }
        self.open += 1;
    }

    fn end(&mut self, at: Timestamp) {
        self.open = self.open.saturating_sub(1);
        if self.open == 0 {
            self.total += self.since.take().map_or(0, |since| ms(since, at));
        }
    }

    fn until(&self, at: Timestamp) -> u64 {
        self.total + self.since.map_or(0, |since| ms(since, at))
    }
}

/// One ring of an agent, as far as it is known.
struct Ring {
    leg: LegId,
    step: OfferStep,
    rang_at: Option<Timestamp>,
    rang_ms: Option<u64>,
    talked: Span,
    over: bool,
}

/// One stay in a queue.
struct Stay {
    step: QueueStep,
    left_at: Option<Timestamp>,
    ringing: Span,
    rings: Vec<Ring>,
}

enum Place {
    Step(CallStep),
    Queue(Stay),
}

struct Fold {
    record: CallRecord,
    places: Vec<Place>,
    /// When the current playback, menu or voicemail began; it ends with the next step.
    step_open: bool,
    recordings: Vec<RecordingRef>,
    talking: Span,
    holding: Span,
    held: Vec<LegId>,
    bridge: Option<(LegId, LegId)>,
    last_leg_end: Option<Timestamp>,
    wrap_ups: Vec<(AgentId, Timestamp)>,
    /// What carriers charge for.
    spent: Spent,
    /// The callee of an agent's call, and since when his phone rings.
    dialled: Option<(LegId, Option<Timestamp>)>,
    /// Whom a transfer reaches.
    passed_to: Option<AgentId>,
    /// Legs that took the place of others, and whose they are.
    replacements: Vec<(LegId, AgentId)>,
}

impl Fold {
    fn start(first: &CallEvent) -> Option<Self> {
        let CallFact::Started {
            uuid,
            direction,
            external,
            internal,
            number,
            contact,
            trunk,
            node: _,
        } = &first.fact
        else {
            return None;
        };
        let record = CallRecord {
            id: first.call,
            tenant: first.tenant,
            uuid: uuid.clone(),
            direction: *direction,
            external: external.clone(),
            internal: internal.clone(),
            number: *number,
            contact: *contact,
            trunk: *trunk,
            started_at: first.at,
            answered_at: None,
            ended_at: None,
            cause: None,
            reason: None,
            continued_in: None,
            agent: None,
            dialled: None,
            callee: None,
            refused: None,
            attempts: Vec::new(),
            cost_micros: 0,
            trunk_shares: Vec::new(),
            total_ms: 0,
            talking_ms: 0,
            waiting_ms: 0,
            ringing_ms: 0,
            holding_ms: 0,
            wrap_up_ms: 0,
            is_voicemail: false,
            recording: None,
            recordings: Vec::new(),
            not_recorded: None,
            audio: Vec::new(),
            steps: Vec::new(),
        };
        Some(Self {
            record,
            places: Vec::new(),
            step_open: false,
            recordings: Vec::new(),
            talking: Span::default(),
            holding: Span::default(),
            held: Vec::new(),
            bridge: None,
            last_leg_end: None,
            wrap_ups: Vec::new(),
            spent: Spent::default(),
            dialled: None,
            passed_to: None,
            replacements: Vec::new(),
        })
    }

    fn take(&mut self, event: &CallEvent) {
        let at = event.at;
        match &event.fact {
            CallFact::Started { .. }
            | CallFact::FlowStarted { .. }
            | CallFact::CallerConnected
            | CallFact::DigitPressed { .. }
            | CallFact::MonitorOffered { .. }
            | CallFact::MonitorStarted { .. } => {}
            CallFact::AgentCalls { agent, dialled, .. } => {
                self.record.agent = Some(*agent);
                self.record.dialled = Some(dialled.clone());
            }
            CallFact::CallRefused { reason } => self.record.refused = Some(reason.clone()),
            CallFact::TrunkDialed { .. } | CallFact::TrunkFailed { .. } => self.trunk(event),
            CallFact::AgentDialed { leg, agent, .. } => {
                // The first leg is the phone of the agent himself.
                if *leg != LegId::FIRST {
                    match self.transfer() {
                        Some(_) => self.passed_to = Some(*agent),
                        None => self.record.callee = Some(*agent),
                    }
                    self.dialled = Some((*leg, None));
                }
            }
            CallFact::CalleeAnswered { leg } => {
                self.spent.answered(*leg, at);
                self.callee_rang_until(at);
            }
            CallFact::StepEntered { kind, name, .. } => self.step_entered(*kind, name, at),
            CallFact::MenuLeft { key, .. } => self.menu_left(*key, at),
            CallFact::QueueJoined {
                group,
                name,
                strategy,
            } => self.queue_joined(*group, name, *strategy, at),
            CallFact::QueueLeft { outcome, .. } => {
                if let Some(stay) = self.stay() {
                    stay.step.outcome = Some(*outcome);
                    stay.left_at = Some(at);
                }
            }
            CallFact::OfferMade {
                leg,
                agent,
                agent_name,
                why,
                ..
            } => {
                let step = OfferStep {
                    agent: *agent,
                    agent_name: agent_name.clone(),
                    at,
                    why: why.clone(),
                    ringing_ms: 0,
                    talking_ms: 0,
                    total_ms: 0,
                    result: None,
                };
                if let Some(stay) = self.stay() {
                    let ring = Ring {
                        leg: *leg,
                        step,
                        rang_at: None,
                        rang_ms: None,
                        talked: Span::default(),
                        over: false,
                    };
                    stay.rings.push(ring);
                }
            }
            CallFact::LegRinging { leg } => self.leg_ringing(*leg, at),
            CallFact::OfferAnswered { leg, agent } => {
                match self.record.direction {
                    // The one who placed the call stays its agent.
                    Direction::Internal => self.record.callee = Some(*agent),
                    Direction::Incoming | Direction::Outgoing => self.record.agent = Some(*agent),
                }
                // Some phones answer without saying first that they ring.
                self.leg_ringing_since_offer(*leg);
                self.ring_over(*leg, OfferResult::Answered, at);
            }
            CallFact::OfferEnded { leg, reason, .. } => {
                self.ring_over(*leg, OfferResult::Missed(*reason), at);
            }
            CallFact::TransferStarted {
                agent, kind, to, ..
            } => self.transfer_started(*agent, *kind, to, at),
            CallFact::TransferEnded { failed } => self.transfer_ended(*failed),
            CallFact::LegTaken {
                leg,
                agent,
                from,
                price,
            } => {
                if let Some(price) = price {
                    self.spent.taken(*leg, *price, at);
                }
                self.leg_taken(*agent, *from);
            }
            CallFact::LegReplaced { .. } => self.leg_replaced(event),
            CallFact::LegGiven { to, .. } => self.record.continued_in = Some(*to),
            CallFact::LegReason { leg, reason } => {
                // Of phones that were rung in vain the queue tells.
                let in_vain = self
                    .ring(*leg)
                    .is_some_and(|(ring, _)| ring.step.result != Some(OfferResult::Answered));
                if !in_vain {
                    self.record.reason = Some(reason.clone());
                }
            }
            CallFact::Bridged { a, b } => self.bridged(*a, *b, at),
            CallFact::RoomEntered { leg, .. } => self.bridged(*leg, *leg, at),
            CallFact::LegEnded { leg, .. } => self.leg_ended(*leg, at),
            CallFact::Ended { cause } => self.ended(*cause, at),
            CallFact::WrapUpStarted { agent, .. } => self.wrap_ups.push((*agent, at)),
            CallFact::WrapUpEnded { agent } => {
                if let Some(open) = self.wrap_ups.iter().position(|(who, _)| who == agent) {
                    self.record.wrap_up_ms += ms(self.wrap_ups.swap_remove(open).1, at);
                }
            }
            CallFact::RecordingSkipped { rule } => self.record.not_recorded = Some(*rule),
            CallFact::LegHeld { leg } => {
                if !self.held.contains(leg) {
                    self.held.push(*leg);
                    self.holding.begin(at);
                }
            }
            CallFact::LegRetrieved { leg } => self.retrieved(*leg, at),
            CallFact::AudioMissing { leg, reason } => {
                let audio = self.audio(*leg);
                (audio.no_audio, audio.is_missing) = (Some(*reason), true);
            }
            CallFact::AudioBack { leg } => self.audio(*leg).is_missing = false,
            CallFact::LegMeasured { leg, quality } => {
                self.audio(*leg).quality = Some(quality.clone());
            }
            CallFact::RecordingStarted { .. }
            | CallFact::RecordingPaused { .. }
            | CallFact::RecordingResumed { .. }
            | CallFact::RecordingCheckpoint { .. }
            | CallFact::RecordingStopped { .. }
            | CallFact::RecordingFailed { .. }
            | CallFact::VoicemailLeft { .. } => self.recorded(&event.fact),
        }
    }

    fn step_entered(&mut self, kind: StepKind, name: &str, at: Timestamp) {
        self.close_step(at);
        let name = name.to_owned();
        let step = match kind {
            StepKind::Playback => CallStep::Playback {
                name,
                at,
                total_ms: 0,
            },
            StepKind::Menu => CallStep::Menu {
                name,
                at,
                total_ms: 0,
                key: None,
            },
            StepKind::Voicemail => CallStep::Voicemail {
                name,
                at,
                total_ms: 0,
                kept: false,
            },
            StepKind::Conference => CallStep::Conference {
                name,
                at,
                total_ms: 0,
            },
            // The stay begins when the caller has joined; the end is no place to be.
            StepKind::Queue | StepKind::End => return,
        };
        self.places.push(Place::Step(step));
        self.step_open = true;
    }

    /// The step before the current one lasted until now.
    fn close_step(&mut self, now: Timestamp) {
        if !std::mem::take(&mut self.step_open) {
            return;
        }
        if let Some(Place::Step(
            CallStep::Playback { at, total_ms, .. }
            | CallStep::Menu { at, total_ms, .. }
            | CallStep::Voicemail { at, total_ms, .. }
            | CallStep::Conference { at, total_ms, .. },
        )) = self.places.last_mut()
        {
            *total_ms = ms(*at, now);
        }
    }

    fn menu_left(&mut self, pressed: Option<char>, at: Timestamp) {
        if let (true, Some(Place::Step(CallStep::Menu { key, .. }))) =
            (self.step_open, self.places.last_mut())
        {
            *key = pressed;
            self.close_step(at);
        }
    }

    fn queue_joined(&mut self, group: GroupId, name: &str, strategy: RingStrategy, at: Timestamp) {
        self.close_step(at);
        let step = QueueStep {
            group,
            name: name.to_owned(),
            strategy,
            at,
            outcome: None,
            total_ms: 0,
            waiting_ms: 0,
            ringing_ms: 0,
            talking_ms: 0,
            offers: Vec::new(),
        };
        self.places.push(Place::Queue(Stay {
            step,
            left_at: None,
            ringing: Span::default(),
            rings: Vec::new(),
        }));
    }

    /// The queue the caller is in, or was in last.
    fn stay(&mut self) -> Option<&mut Stay> {
        self.places.iter_mut().rev().find_map(|place| match place {
            Place::Queue(stay) => Some(stay),
            Place::Step(_) => None,
        })
    }

    fn ring(&mut self, leg: LegId) -> Option<(&mut Ring, &mut Span)> {
        let stays = self
            .places
            .iter_mut()
            .rev()
            .filter_map(|place| match place {
                Place::Queue(stay) => Some(stay),
                Place::Step(_) => None,
            });
        for Stay { rings, ringing, .. } in stays {
            if let Some(ring) = rings.iter_mut().find(|ring| ring.leg == leg) {
                return Some((ring, ringing));
            }
        }
        None
    }

    /// The transfer under way.
    fn transfer(&mut self) -> Option<&mut TransferStep> {
        let last = self.places.iter_mut().rev().find_map(|place| match place {
            Place::Step(CallStep::Transfer(step)) => Some(step),
            _ => None,
        });
        last.filter(|step| step.result == TransferResult::Running)
    }

    fn transfer_started(&mut self, agent: AgentId, kind: TransferKind, to: &str, at: Timestamp) {
        self.close_step(at);
        self.part(at);
        self.passed_to = None;
        self.places
            .push(Place::Step(CallStep::Transfer(TransferStep {
                agent,
                kind,
                to: to.to_owned(),
                from: None,
                at,
                result: TransferResult::Running,
            })));
    }

    fn leg_taken(&mut self, agent: Option<AgentId>, from: CallId) {
        self.passed_to = agent;
        if let Some(step) = self.transfer() {
            step.from = Some(from);
        }
    }

    fn transfer_ended(&mut self, failed: Option<HangupCause>) {
        let passed_to = self.passed_to.take();
        let Some(step) = self.transfer() else { return };
        step.result = failed.map_or(TransferResult::Completed, TransferResult::Failed);
        let by = step.agent;
        if failed.is_none() {
            // An agent's own call stays his; its other side is another one now.
            let own = self.record.direction != Direction::Incoming && self.record.agent != Some(by);
            let agent = if own {
                &mut self.record.callee
            } else {
                &mut self.record.agent
            };
            *agent = passed_to.or(*agent);
        }
    }

    fn trunk(&mut self, event: &CallEvent) {
        match &event.fact {
            CallFact::TrunkDialed {
                leg,
                trunk,
                trunk_name,
                why,
                price,
            } => {
                self.spent.asked(*leg, *trunk, *price);
                self.dialled = Some((*leg, None));
                self.record.trunk = Some(*trunk);
                self.record.attempts.push(TrunkAttempt {
                    trunk: *trunk,
                    name: trunk_name.clone(),
                    at: event.at,
                    why: why.clone(),
                    status: None,
                    failed: None,
                });
            }
            CallFact::TrunkFailed { status, reason, .. } => {
                if let Some(attempt) = self.record.attempts.last_mut() {
                    attempt.status = *status;
                    attempt.failed = Some(reason.clone());
                }
            }
            _ => {}
        }
    }

    /// The callee of an agent's call picked up, or never will.
    fn callee_rang_until(&mut self, at: Timestamp) {
        if let Some((_, Some(since))) = self.dialled.take() {
            self.record.ringing_ms += ms(since, at);
        }
    }

    fn leg_ringing(&mut self, leg: LegId, at: Timestamp) {
        if let Some((dialled, since)) = &mut self.dialled
            && *dialled == leg
        {
            since.get_or_insert(at);
        }
        if let Some((ring, ringing)) = self.ring(leg)
            && ring.rang_at.is_none()
            && ring.step.result.is_none()
        {
            ring.rang_at = Some(at);
            ringing.begin(at);
        }
    }

    fn leg_ringing_since_offer(&mut self, leg: LegId) {
        let since = self.ring(leg).map(|(ring, _)| ring.step.at);
        if let Some(since) = since {
            self.leg_ringing(leg, since);
        }
    }

    fn ring_over(&mut self, leg: LegId, result: OfferResult, at: Timestamp) {
        let Some((ring, ringing)) = self.ring(leg) else {
            return;
        };
        if ring.step.result.is_some() {
            return;
        }
        ring.step.result = Some(result);
        ring.rang_ms = Some(ring.rang_at.map_or(0, |since| ms(since, at)));
        if ring.rang_at.is_some() {
            ringing.end(at);
        }
        ring.step.total_ms = ms(ring.step.at, at);
    }

    fn bridged(&mut self, a: LegId, b: LegId, at: Timestamp) {
        self.record.answered_at.get_or_insert(at);
        // What ended one attempt does not end the call.
        self.record.reason = None;
        if self.bridge.is_none() {
            self.talking.begin(at);
        }
        self.bridge = Some((a, b));
        for leg in [a, b] {
            if let Some((ring, _)) = self.ring(leg) {
                ring.talked.begin(at);
            }
        }
    }

    /// Who talked, talks no more.
    fn part(&mut self, at: Timestamp) {
        let Some((a, b)) = self.bridge.take() else {
            return;
        };
        self.talking.end(at);
        for leg in [a, b] {
            self.retrieved(leg, at);
            if let Some((ring, _)) = self.ring(leg) {
                ring.talked.end(at);
            }
        }
    }

    fn retrieved(&mut self, leg: LegId, at: Timestamp) {
        if let Some(held) = self.held.iter().position(|held| *held == leg) {
            self.held.swap_remove(held);
            self.holding.end(at);
        }
    }

    fn audio(&mut self, leg: LegId) -> &mut LegAudio {
        let replacement = self.replacements.iter().find(|(by, _)| *by == leg);
        let agent = match (self.record.direction, leg) {
            _ if replacement.is_some() => replacement.map(|(_, agent)| *agent),
            (Direction::Incoming, _) => self.ring(leg).map(|(ring, _)| ring.step.agent),
            // The first leg is the phone of the agent who calls.
            (_, LegId::FIRST) => self.record.agent,
            _ => self.record.callee,
        };
        let all = &mut self.record.audio;
        let at = match all.iter().position(|known| known.leg == leg) {
            Some(at) => at,
            None => {
                all.push(LegAudio {
                    leg,
                    agent,
                    quality: None,
                    no_audio: None,
                    is_missing: false,
                });
                all.len() - 1
            }
        };
        &mut all[at]
    }

    fn leg_ended(&mut self, leg: LegId, at: Timestamp) {
        self.last_leg_end = Some(at);
        self.spent.ended(leg, at);
        if self.dialled.is_some_and(|(dialled, _)| dialled == leg) {
            self.callee_rang_until(at);
        }
        // Who leaves a conversation leaves its hold too, whoever began it.
        self.retrieved(leg, at);
        if self.bridge.is_some_and(|(a, b)| a == leg || b == leg) {
            self.part(at);
        }
        if let Some((ring, _)) = self.ring(leg) {
            ring.over = true;
            ring.step.total_ms = ms(ring.step.at, at);
        }
    }

    fn ended(&mut self, cause: HangupCause, at: Timestamp) {
        self.record
            .ended_at
            .get_or_insert(self.last_leg_end.unwrap_or(at));
        self.record.cause.get_or_insert(cause);
    }

    fn recorded(&mut self, fact: &CallFact) {
        if let CallFact::RecordingStarted { recording, kind } = *fact {
            let state = RecordingState::Running;
            self.recordings.push(RecordingRef {
                id: recording,
                kind,
                state,
                duration_ms: 0,
            });
            return;
        }
        if let CallFact::RecordingPaused { recording } | CallFact::RecordingResumed { recording } =
            *fact
        {
            let known = self
                .recordings
                .iter_mut()
                .find(|known| known.id == recording);
            if let Some(known) = known {
                known.state = match fact {
                    CallFact::RecordingPaused { .. } => RecordingState::Paused,
                    _ => RecordingState::Running,
                };
            }
            return;
        }
        let (CallFact::RecordingCheckpoint {
            recording,
            duration_ms,
        }
        | CallFact::RecordingStopped {
            recording,
            duration_ms,
            ..
        }
        | CallFact::RecordingFailed {
            recording,
            duration_ms,
            ..
        }
        | CallFact::VoicemailLeft {
            recording,
            duration_ms,
            ..
        }) = fact
        else {
            return;
        };
        let Some(known) = self
            .recordings
            .iter_mut()
            .find(|known| known.id == *recording)
        else {
            return;
        };
        known.duration_ms = *duration_ms;
        match fact {
            CallFact::RecordingStopped { .. } => known.state = RecordingState::Kept,
            CallFact::RecordingFailed { reason, .. } => {
                known.state = RecordingState::Failed {
                    reason: reason.clone(),
                }
            }
            CallFact::VoicemailLeft { kept: false, .. } => known.state = RecordingState::Dropped,
            CallFact::VoicemailLeft { kept: true, .. } => {
                self.record.is_voicemail = true;
                let mailbox = self.places.iter_mut().rev().find_map(|place| match place {
                    Place::Step(CallStep::Voicemail { kept, .. }) => Some(kept),
                    _ => None,
                });
                if let Some(kept) = mailbox {
                    *kept = true;
                }
            }
            _ => {}
        }
    }

    fn finish(mut self, last: Timestamp) -> CallRecord {
        let end = self.record.ended_at.unwrap_or(last);
        self.close_step(end);
        self.callee_rang_until(end);
        let waited_until = self.record.answered_at.unwrap_or(end);
        let mut record = self.record;
        if record.direction != Direction::Incoming && self.places.is_empty() {
            record.waiting_ms = ms(record.started_at, waited_until);
        }
        record.total_ms = ms(record.started_at, end);
        record.talking_ms = self.talking.until(end);
        record.cost_micros = self.spent.total(end);
        record.trunk_shares = self.spent.shares(end);
        record.holding_ms = self.holding.until(end);
        record.recordings = self.recordings.clone();
        record.wrap_up_ms += self
            .wrap_ups
            .iter()
            .map(|(_, since)| ms(*since, last))
            .sum::<u64>();
        record.recording = self.recordings.into_iter().reduce(better);
        for place in self.places {
            let step = match place {
                Place::Step(step) => step,
                Place::Queue(stay) => {
                    let step = stay.finish(end);
                    record.waiting_ms += step.waiting_ms;
                    record.ringing_ms += step.ringing_ms;
                    CallStep::Queue(step)
                }
            };
            record.steps.push(step);
        }
        record
    }
}

impl Stay {
    fn finish(self, end: Timestamp) -> QueueStep {
        let mut step = self.step;
        step.waiting_ms = ms(step.at, self.left_at.unwrap_or(end));
        step.ringing_ms = self.ringing.until(end);
        step.total_ms = step.waiting_ms;
        for ring in self.rings {
            let mut offer = ring.step;
            offer.ringing_ms = ring
                .rang_ms
                .unwrap_or_else(|| ring.rang_at.map_or(0, |since| ms(since, end)));
            offer.talking_ms = ring.talked.until(end);
            // A ring or a conversation that is not over lasts until the last fact.
            if offer.result.is_none() || (offer.result == Some(OfferResult::Answered) && !ring.over)
            {
                offer.total_ms = ms(offer.at, end);
            }
            step.talking_ms += offer.talking_ms;
            step.offers.push(offer);
        }
        step.total_ms += step.talking_ms;
        step
    }
}

/// Which of two recordings stands for the call: one that can be heard, a conversation before a message.
fn better(one: RecordingRef, other: RecordingRef) -> RecordingRef {
    let rank = |recording: &RecordingRef| {
        let heard = match recording.state {
            RecordingState::Running | RecordingState::Paused | RecordingState::Kept => true,
            RecordingState::Failed { .. } => recording.duration_ms > 0,
            RecordingState::Dropped => false,
        };
        (heard, recording.kind == RecordingKind::Conversation)
    };
    if rank(&other) > rank(&one) {
        other
    } else {
        one
    }
}
