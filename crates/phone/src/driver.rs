//! One running call: feeds the pure machine with what happens and carries out what it decides.
//!
//! The task owns the machine, the legs and the call's media. It takes one input at a time, so the
//! order of decisions is the order of facts.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use calls::{
    acd::{Fact, Offer, OfferId},
    call::{Call, CallerId, Input, Output, PlaybackId, TrunkDial},
    flow::Prompt,
    routing::{TrunkFailure, TrunkTransport},
};
use media::{CallMedia, Hears, MediaError, MediaEvent, RecordingSpec, Sound};
use model::{
    AgentId, AudioQuality, CallFact, CallId, HangupCause, LegId, MonitorMode, RecordingId,
    RecordingKind, TenantId, Timestamp,
};
use sip::{
    Dial, DialTarget, Identity, Leg, LegEvent, LegHandle, Party, ReasonProtocol, Transport, sdp,
};
use store::ledger::Recording;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_stream::{StreamExt, StreamMap, wrappers::ReceiverStream};
use tracing::Instrument;

use crate::{
    audio::{Role, Terms},
    clock,
    company::Company,
    desk::Desk,
    line::{self, End, Line, Ready, Stage},
    outgoing::Watched,
    phone::Shared,
    quality,
    switchboard::Message,
    trunks,
};

mod replace;
mod transfer;

pub(crate) use transfer::MovedLeg;

/// What a caller is told whom we can't serve at this moment (RFC 3261 §21.5.4).
const UNAVAILABLE: u16 = 503;
/// How often, and how far apart, the last facts of a call are tried.
const STORE_ATTEMPTS: u32 = 30;
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long after the end of a browser's audio its signalling may take to tell that it hung up.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a call's task needs to begin.
pub(crate) struct Start {
    pub(crate) company: Arc<Company>,
    pub(crate) call: CallId,
    pub(crate) machine: Call,
    pub(crate) outputs: Vec<Output>,
    /// The leg that opened the call, when it called us.
    pub(crate) leg: Option<Leg>,
    pub(crate) offer: Option<String>,
    /// What we are ready for on that leg.
    pub(crate) terms: Terms,
    /// Held while it runs, for an outgoing call that is watched for toll fraud.
    pub(crate) watched: Option<Watched>,
    /// Carriers take it whatever their limits say.
    pub(crate) is_emergency: bool,
}

/// Lets a call run to its end, as a task of its own: nothing of how it came in is held any longer.
pub(crate) fn run(shared: Arc<Shared>, start: Start) {
    let span = tracing::info_span!(
        "call",
        call.id = start.call.0,
        tenant.id = start.company.tenant.0
    );
    let calls = shared.calls.clone();
    let call = start.call;
    // Whoever learns of the call by what comes next can tell it something at once.
    let inbox = shared.switchboard.open(call, start.company.tenant);
    let run = async move {
        let (driver, outputs) = Box::pin(Driver::new(&shared, start)).await;
        driver.run(inbox, outputs).await;
        shared.switchboard.close(call);
    };
    calls.spawn(run.instrument(span));
}

/// A prompt that is ready to be heard, or can't be.
struct Rendered {
    leg: LegId,
    sound: Option<Arc<Sound>>,
    how: How,
}

/// What to do with it.
enum How {
    /// In place of what the leg hears.
    Played { playback: PlaybackId, repeat: bool },
    /// Over what it hears.
    Announced,
}

struct Driver {
    shared: Arc<Shared>,
    company: Arc<Company>,
    tenant: TenantId,
    call: CallId,
    machine: Call,
    lines: HashMap<LegId, Line>,
    leg_events: StreamMap<LegId, ReceiverStream<LegEvent>>,
    media: CallMedia,
    media_events: mpsc::Receiver<MediaEvent>,
    /// Facts not yet stored, with the time they became true; written before the next effect.
    facts: VecDeque<(Timestamp, Vec<CallFact>)>,
    /// What the carrying out itself brought about, taken before anything from outside.
    echoes: VecDeque<Input>,
    /// Speech that is being rendered: what to play when it is there.
    rendering: JoinSet<Rendered>,
    /// What each leg should hear now.
    playing: BTreeMap<LegId, PlaybackId>,
    offers: HashMap<OfferId, AgentId>,
    /// Recordings whose end has not come yet, oldest first: the recorder ends them in their order.
    recordings: VecDeque<RecordingId>,
    /// Recordings that run and have no row yet.
    unnoted: VecDeque<Recording>,
    watched: Option<Watched>,
    /// What was watched before the call was passed on to the outside.
    held: Vec<Watched>,
    is_emergency: bool,
    /// Legs that other calls are asked for, and what they give.
    expected: HashSet<LegId>,
    taking: JoinSet<(LegId, Option<MovedLeg>)>,
    /// Legs of other calls whose phones are being told where they are now.
    joining: HashMap<LegId, Option<AgentId>>,
    /// Legs of browsers whose audio has ended, and whose signalling may be about to say why.
    going: JoinSet<LegId>,
    /// Where a leg goes that another call asked for.
    handing: Option<oneshot::Sender<MovedLeg>>,
    /// The time of the decision being carried out.
    decided_at: Timestamp,
    finished: bool,
}

impl Driver {
    async fn new(shared: &Arc<Shared>, start: Start) -> (Self, Vec<Output>) {
        let (media, media_events) = shared.media.open_call();
        let mut driver = Self {
            shared: Arc::clone(shared),
            tenant: start.company.tenant,
            company: start.company,
            call: start.call,
            machine: start.machine,
            lines: HashMap::new(),
            leg_events: StreamMap::new(),
            media,
            media_events,
            facts: VecDeque::new(),
            echoes: VecDeque::new(),
            rendering: JoinSet::new(),
            playing: BTreeMap::new(),
            offers: HashMap::new(),
            recordings: VecDeque::new(),
            unnoted: VecDeque::new(),
            watched: start.watched,
            held: Vec::new(),
            is_emergency: start.is_emergency,
            expected: HashSet::new(),
            taking: JoinSet::new(),
            joining: HashMap::new(),
            going: JoinSet::new(),
            handing: None,
            decided_at: clock::now(),
            finished: false,
        };
        if let Some(leg) = start.leg {
            driver.take_caller(leg, start.offer, start.terms).await;
        }
        (driver, start.outputs)
    }

    /// The leg whose INVITE opened the call.
    async fn take_caller(&mut self, leg: Leg, offer: Option<String>, terms: Terms) {
        let (handle, events) = leg.split();
        self.trace(&handle);
        self.leg_events
            .insert(LegId::FIRST, ReceiverStream::new(events));
        let end = self
            .callers_end(LegId::FIRST, offer.as_deref(), terms)
            .await;
        let (end, stage) = match end {
            Ok(end) => (end, Stage::Early),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a caller is refused: there is no audio for him"
                );
                let _ = handle.reject(UNAVAILABLE, None).await;
                self.echoes.push_back(Input::LegFailed {
                    leg: LegId::FIRST,
                    cause: HangupCause::MediaFailed,
                });
                (End::none(), Stage::Over)
            }
        };
        let mut line = Line::new(handle, end);
        line.called_us = true;
        line.offer = offer;
        line.stage = stage;
        self.add_line(LegId::FIRST, line);
    }

    /// Our end of the audio of a leg that called us.
    async fn callers_end(
        &self,
        leg: LegId,
        offer: Option<&str>,
        terms: Terms,
    ) -> Result<End, MediaError> {
        // A browser that calls says so in its offer.
        let offered = offer.map(sdp::Offer::parse);
        let offered = offered.as_ref().and_then(|offered| offered.as_ref().ok());
        let ready = Ready {
            session: session_id(self.call, leg),
            terms,
            browsers: offered.is_some_and(sdp::Offer::wants_dtls),
            peer: offered.and_then(sdp::Offer::address),
        };
        End::open(&self.media, leg, ready).await
    }

    // A call waits for hours and acts for moments: what acting needs is boxed, so that waiting doesn't hold it.
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>, outputs: Vec<Output>) {
        if !Box::pin(self.begin(outputs)).await {
            return;
        }
        while !self.finished {
            self.free_slots();
            if let Some(input) = self.echoes.pop_front() {
                Box::pin(self.take(input)).await;
                continue;
            }
            let deadline = self.machine.next_deadline();
            tokio::select! {
                Some(message) = inbox.recv() => Box::pin(self.told(message)).await,
                Some(Ok((leg, party))) = self.taking.join_next() => Box::pin(self.party_came(leg, party)).await,
                Some(Ok(leg)) = self.going.join_next() => Box::pin(self.gone(leg)).await,
                Some((leg, event)) = self.leg_events.next() => Box::pin(self.leg_event(leg, event)).await,
                Some(event) = self.media_events.recv() => Box::pin(self.media_event(event)).await,
                Some(rendered) = self.rendering.join_next() => self.rendered(rendered),
                () = clock::until(deadline) => Box::pin(self.time_passed()).await,
            }
        }
        self.free_slots();
        self.store_the_rest().await;
        self.shared.recordings.call_over();
        self.desk().tell(Fact::CallGone(self.call)).await;
    }

    async fn told(&mut self, message: Message) {
        match message {
            Message::Input(input) => self.take(input).await,
            Message::HandOver {
                leg,
                to,
                agent,
                reply,
            } => self.asked_for(leg, to, agent, reply).await,
            Message::Replace { leg, asked } => self.asked_to_replace(leg, *asked).await,
        }
    }

    async fn time_passed(&mut self) {
        let now = clock::now();
        let outputs = self.machine.on_time(now);
        self.carry_out(now, outputs).await;
    }

    fn add_line(&mut self, leg: LegId, line: Line) {
        let switchboard = &self.shared.switchboard;
        switchboard.is_at(line.handle.dialog(), self.call, leg, line.agent);
        self.lines.insert(leg, line);
    }

    /// Stores that the call exists and lets it begin. A call that can't be stored is refused: nothing may
    /// depend on a fact that isn't kept.
    async fn begin(&mut self, outputs: Vec<Output>) -> bool {
        let commands = self.note(clock::now(), outputs);
        if !self.flush().await {
            if let Some(line) = self.lines.get(&LegId::FIRST) {
                let _ = line.handle.reject(UNAVAILABLE, None).await;
            }
            return false;
        }
        for command in commands {
            self.act(command).await;
        }
        true
    }

    /// A call is over only when its facts are stored. What can't be stored in the end is what a crash
    /// leaves behind too: the next start closes the call.
    async fn store_the_rest(&mut self) {
        for _ in 0..STORE_ATTEMPTS {
            if self.flush().await {
                return;
            }
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }

    /// Gives back the places on trunks of legs that are over, and tells the watch what they used.
    fn free_slots(&mut self) {
        let now = clock::now();
        for line in self.lines.values_mut() {
            if line.stage != Stage::Over {
                continue;
            }
            let mut came_with = std::mem::take(&mut line.watched);
            let watched = came_with.first_mut().or(self.watched.as_mut());
            if let (Some(slot), Some(watched)) = (line.slot.take(), watched) {
                let (talked_ms, cost_micros) = slot.used(now);
                watched.talked_ms += talked_ms;
                watched.cost_micros += cost_micros;
            }
        }
    }

    fn desk(&self) -> &Desk {
        &self.company.desk
    }

    async fn take(&mut self, input: Input) {
        if let Input::Offered(Offer { offer, agent, .. }) = &input {
            self.offers.insert(*offer, *agent);
        }
        let now = clock::now();
        let outputs = self.machine.handle(now, input);
        self.carry_out(now, outputs).await;
    }

    async fn leg_event(&mut self, leg: LegId, event: LegEvent) {
        self.note_reason(leg, &event);
        let Some(line) = self.lines.get_mut(&leg) else {
            return;
        };
        let input = match event {
            LegEvent::Ringing => Input::LegRinging { leg },
            // What a colleague's phone would let us hear is its own ringing.
            LegEvent::Early { sdp } if line.slot.is_none() => {
                line.early = Some(sdp);
                Input::LegRinging { leg }
            }
            LegEvent::Early { sdp } => {
                let agreed = line.agree(&sdp);
                line.early = Some(sdp);
                match agreed {
                    Ok(remote) => {
                        line.note(&remote);
                        self.media.connect(leg, remote);
                        Input::LegEarly { leg }
                    }
                    Err(_) => Input::LegRinging { leg },
                }
            }
            LegEvent::Answered { sdp, .. } => {
                line.stage = Stage::Up;
                if let Some(slot) = &mut line.slot {
                    slot.answered(clock::now());
                }
                // RFC 3261 §13.2.1: an answer given early need not be repeated in the 200.
                let answer = if sdp.is_empty() {
                    line.early.take().unwrap_or_default()
                } else {
                    sdp
                };
                match line.agree(&answer) {
                    Ok(remote) => {
                        line.note(&remote);
                        self.media.connect(leg, remote);
                        Input::LegAnswered { leg }
                    }
                    Err(error) => {
                        tracing::warn!(leg.id = leg.0, %error, "a phone answered without usable audio");
                        // The call never hears of it again, so the dialog is ours to end.
                        let _ = line
                            .handle
                            .hang_up(line::reason(HangupCause::MediaFailed))
                            .await;
                        line.stage = Stage::Over;
                        Input::LegFailed {
                            leg,
                            cause: HangupCause::MediaFailed,
                        }
                    }
                }
            }
            LegEvent::Confirmed { sdp } => {
                if let Some(sdp) = sdp {
                    match line.agree(&sdp) {
                        Ok(remote) => {
                            line.note(&remote);
                            self.media.connect(leg, remote);
                        }
                        Err(error) => {
                            tracing::warn!(leg.id = leg.0, %error, "the caller's answer to our offer can't be used");
                        }
                    }
                }
                Input::Connected { leg }
            }
            LegEvent::Failed { status, reason } if line.slot.is_some() => {
                line.stage = Stage::Over;
                self.media.remove_leg(leg);
                let q850 = reason
                    .filter(|reason| reason.protocol == ReasonProtocol::Q850)
                    .map(|reason| reason.cause);
                let failure = TrunkFailure::Refused { status, q850 };
                Input::TrunkFailed { leg, failure }
            }
            LegEvent::Failed { status, .. } => {
                line.stage = Stage::Over;
                self.media.remove_leg(leg);
                Input::LegFailed {
                    leg,
                    cause: line::cause_of_status(status),
                }
            }
            LegEvent::Cancelled { .. }
            | LegEvent::HungUp {
                by: sip::HungUpBy::Peer,
                ..
            } => {
                line.stage = Stage::Over;
                Input::LegHungUp { leg }
            }
            LegEvent::HungUp {
                by: sip::HungUpBy::MissingAck | sip::HungUpBy::SessionExpired,
                ..
            } => {
                line.stage = Stage::Over;
                Input::LegFailed {
                    leg,
                    cause: HangupCause::SignallingFailed,
                }
            }
            LegEvent::HungUp { .. } => {
                let was_up = line.stage != Stage::Over;
                line.stage = Stage::Over;
                if !was_up {
                    return;
                }
                Input::End {
                    cause: HangupCause::OperatorEnded,
                }
            }
            // The media thread knows whether the same press was heard in another way, and tells.
            LegEvent::Digit { digit, .. } => {
                line.pressed_by_info();
                self.media.info_digit(leg, digit);
                return;
            }
            LegEvent::Reinvite { offer } => return self.reinvite(leg, offer).await,
            LegEvent::Changed { sdp } => return self.changed(leg, &sdp).await,
            LegEvent::ChangeRefused { status } => return self.change_refused(leg, status).await,
            LegEvent::Referred(referral) => return self.referred(leg, *referral).await,
        };
        self.take(input).await;
    }

    async fn reinvite(&mut self, leg: LegId, offer: Option<String>) {
        let Some(line) = self.lines.get_mut(&leg) else {
            return;
        };
        let Some(offer) = offer else {
            let _ = line.handle.answer_reinvite(line.reoffer()).await;
            return;
        };
        match line.reanswer(&offer) {
            Ok((sdp, remote)) => {
                line.note(&remote);
                let hears_us = remote.send;
                self.media.connect(leg, remote);
                let _ = line.handle.answer_reinvite(sdp).await;
                self.echoes.push_back(if hears_us {
                    Input::Retrieved { leg }
                } else {
                    Input::Held { leg }
                });
            }
            Err(error) => {
                let _ = line.handle.reject_reinvite(error.status()).await;
            }
        }
    }

    async fn media_event(&mut self, event: MediaEvent) {
        let input = match event {
            MediaEvent::NotSecured { leg, reason } => {
                tracing::warn!(leg.id = leg.0, reason, "a browser's audio can't be secured");
                return self.lose(leg).await;
            }
            MediaEvent::Gone { leg } => {
                // Whoever hangs up ends his audio too, and that may be here before his BYE.
                self.going.spawn(async move {
                    tokio::time::sleep(GOODBYE).await;
                    leg
                });
                return;
            }
            MediaEvent::Digit { leg, digit, via } => Input::Digit { leg, digit, via },
            MediaEvent::SendInfo { leg, digit } => {
                if let Some(line) = self.lines.get(&leg) {
                    let _ = line.handle.send_digit(digit).await;
                }
                return;
            }
            MediaEvent::PlaybackFinished { leg, playback } => {
                let playback = PlaybackId(u32::try_from(playback).unwrap_or(u32::MAX));
                Input::PlaybackFinished { leg, playback }
            }
            MediaEvent::RecordingCheckpoint { duration_ms } => match self.recordings.front() {
                Some(recording) => Input::RecordingCheckpoint {
                    recording: *recording,
                    duration_ms,
                },
                None => return,
            },
            MediaEvent::RecordingStopped { duration_ms, bytes } => {
                match self.recordings.pop_front() {
                    Some(recording) => Input::RecordingStopped {
                        recording,
                        duration_ms,
                        bytes,
                    },
                    None => return,
                }
            }
            MediaEvent::RecordingFailed {
                reason,
                duration_ms,
            } => match self.recordings.pop_front() {
                Some(recording) => {
                    tracing::error!(%reason, "a recording failed; the call goes on");
                    Input::RecordingFailed {
                        recording,
                        reason,
                        duration_ms,
                    }
                }
                None => return,
            },
            MediaEvent::AudioMissing { leg, reason } => {
                let reason = match self.lines.get(&leg) {
                    Some(line) => quality::likely(reason, line.told, line.ours_at()),
                    None => reason,
                };
                tracing::warn!(leg.id = leg.0, ?reason, "a party is not heard");
                Input::AudioMissing { leg, reason }
            }
            MediaEvent::AudioBack { leg } => Input::AudioBack { leg },
            _ => return,
        };
        self.take(input).await;
    }

    fn rendered(&mut self, rendered: Result<Rendered, tokio::task::JoinError>) {
        let Ok(Rendered { leg, sound, how }) = rendered else {
            return;
        };
        match (how, sound) {
            (How::Announced, Some(sound)) => self.media.announce(leg, sound),
            (How::Announced, None) => {}
            (How::Played { playback, .. }, _) if self.playing.get(&leg) != Some(&playback) => {}
            (How::Played { playback, repeat }, Some(sound)) => {
                let number = u64::from(playback.0);
                if repeat {
                    // Music goes on as on the radio: who comes back to it finds it further on.
                    let from = self.shared.prompts.position(&sound);
                    self.media.play_on(leg, number, sound, from);
                } else {
                    self.media.play(leg, number, sound, false);
                }
            }
            // Nothing to hear is heard at once; the flow goes on.
            (
                How::Played {
                    playback,
                    repeat: false,
                },
                None,
            ) => self
                .echoes
                .push_back(Input::PlaybackFinished { leg, playback }),
            (How::Played { .. }, None) => {}
        }
    }

    async fn carry_out(&mut self, now: Timestamp, outputs: Vec<Output>) {
        self.decided_at = now;
        // His place in the line does not wait for the disk: who came after him would get the agent who is free. Nothing
        // depends on it before his facts are stored, for this task alone takes what he is offered. Who comes out of
        // another line leaves that first, and the phones that rang for him there stop before.
        let (joins, outputs) = if outputs
            .iter()
            .any(|output| matches!(output, Output::LeaveQueue { .. }))
        {
            (Vec::new(), outputs)
        } else {
            outputs
                .into_iter()
                .partition(|output| matches!(output, Output::JoinQueue { .. }))
        };
        for join in joins {
            self.act(join).await;
        }
        let outputs = self.measure(outputs).await;
        let commands = self.note(now, outputs);
        self.flush().await;
        for command in commands {
            self.act(command).await;
        }
    }

    /// Before a leg ends, how its audio travelled becomes a fact.
    async fn measure(&self, outputs: Vec<Output>) -> Vec<Output> {
        let mut all = Vec::with_capacity(outputs.len() + 1);
        for output in outputs {
            if let Output::Record(CallFact::LegEnded { leg, .. }) = output
                && let Some(quality) = self.quality(leg).await
            {
                all.push(Output::Record(CallFact::LegMeasured { leg, quality }));
            }
            all.push(output);
        }
        all
    }

    /// Takes the facts out of what was decided. They come before all commands of the same decision.
    fn note(&mut self, now: Timestamp, outputs: Vec<Output>) -> Vec<Output> {
        self.decided_at = now;
        let mut facts = Vec::new();
        let mut commands = Vec::with_capacity(outputs.len());
        for output in outputs {
            match output {
                Output::Record(fact) => facts.push(fact),
                command => commands.push(command),
            }
        }
        if !facts.is_empty() {
            self.facts.push_back((now, facts));
        }
        commands
    }

    async fn act(&mut self, output: Output) {
        match output {
            Output::Record(_) => {}
            Output::Answer { leg } => self.answer(leg).await,
            Output::Play {
                leg,
                playback,
                prompt,
                repeat,
            } => self.play(leg, playback, prompt, repeat),
            Output::StopPlaying { leg } => {
                self.playing.remove(&leg);
                self.media.stop_playing(leg);
            }
            Output::JoinQueue { group } => {
                self.desk()
                    .tell(Fact::CallerJoined {
                        call: self.call,
                        group,
                        since: self.decided_at,
                    })
                    .await;
            }
            Output::LeaveQueue { .. } => {
                self.desk().tell(Fact::CallerLeft { call: self.call }).await;
            }
            Output::OfferAnswered { offer } => {
                self.desk().tell(Fact::OfferAnswered { offer }).await;
            }
            Output::OfferEnded { offer, reason } => {
                self.offers.remove(&offer);
                self.desk().tell(Fact::OfferEnded { offer, reason }).await;
            }
            Output::Dial {
                leg,
                agent,
                caller_id,
            } => self.dial(leg, agent, caller_id).await,
            Output::DialTrunk { leg, dial } => self.dial_trunk(leg, dial).await,
            Output::Ring { leg } => {
                if let Some(line) = self
                    .lines
                    .get(&leg)
                    .filter(|line| line.stage == Stage::Early)
                {
                    let _ = line.handle.ring().await;
                }
            }
            Output::Progress { leg } => self.progress(leg).await,
            Output::AgentBusy { agent } => {
                let call = self.call;
                self.desk().tell(Fact::AgentBusy { agent, call }).await;
            }
            Output::AcceptReferral { leg, referral } => self.accept_referral(leg, referral).await,
            Output::RefuseReferral {
                leg,
                referral,
                status,
            } => self.refuse_referral(leg, referral, status).await,
            Output::ReportReferral {
                leg,
                referral,
                status,
            } => self.report_referral(leg, referral, status).await,
            Output::TakeOver {
                leg,
                call,
                theirs,
                agent,
            } => self.take_over(leg, call, theirs, agent),
            Output::HandOver { leg, agent } => self.hand_over(leg, agent).await,
            Output::HangUp { leg, cause } => self.hang_up(leg, cause).await,
            Output::Bridge { a, b } => {
                // Nobody waits for keys now, and voices are not to be taken for any.
                for leg in [a, b] {
                    self.media.detect_inband(leg, false);
                }
                self.media.bridge(a, b);
            }
            Output::Unbridge { a, b } => {
                self.media.unbridge();
                for leg in [a, b] {
                    self.media.detect_inband(leg, true);
                }
            }
            Output::StartRecording {
                recording,
                kind,
                left,
                right,
            } => self.start_recording(recording, kind, left, right).await,
            Output::PauseRecording { .. } => self.media.pause_recording(true),
            Output::ResumeRecording { .. } => self.media.pause_recording(false),
            Output::Announce { leg, prompt } => self.announce(leg, prompt),
            Output::Monitor {
                customer,
                agent,
                supervisor,
                mode,
            } => self.media.mix(parties(customer, agent, supervisor, mode)),
            Output::Echo { leg } => self.media.bridge(leg, leg),
            Output::TryPin {
                room,
                agent,
                is_right,
            } => {
                let verdict = self.shared.rooms.pin_tried(room, agent, is_right);
                self.echoes.push_back(Input::PinTried { verdict });
            }
            Output::EnterRoom { leg, room } => {
                let room = self.shared.rooms.open(room);
                let entered = self.media.enter_room(leg, &room);
                self.echoes.push_back(if entered {
                    Input::RoomEntered
                } else {
                    Input::RoomFull
                });
            }
            Output::TellQuality { leg, playback } => self.tell_quality(leg, playback).await,
            Output::StopRecording { .. } => self.media.stop_recording(),
            Output::DiscardRecording { recording } => self.discard_recording(recording).await,
            Output::StartWrapUp { agent, seconds } => {
                self.desk()
                    .tell(Fact::ConversationEnded {
                        call: self.call,
                        agent,
                        wrap_up_seconds: seconds,
                    })
                    .await;
            }
            Output::Finished => self.finished = true,
        }
    }

    /// Stores what became true, and says whether all of it is. A database that can't write is told once per
    /// attempt; what it didn't take stays in line for the next one, and the call goes on.
    async fn flush(&mut self) -> bool {
        let facts_stored = self.store_facts().await;
        // Whatever keeps a recording from being noted keeps no fact from being stored.
        self.note_recordings().await && facts_stored
    }

    async fn note_recordings(&mut self) -> bool {
        while let Some(recording) = self.unnoted.front() {
            if let Err(error) = self.shared.recordings.note(recording).await {
                tracing::error!(
                    recording.id = recording.id.0,
                    error = &error as &dyn std::error::Error,
                    "a recording runs and is not noted yet"
                );
                return false;
            }
            self.unnoted.pop_front();
        }
        true
    }

    async fn store_facts(&mut self) -> bool {
        while let Some((at, facts)) = self.facts.front() {
            let stored = self
                .shared
                .ledger
                .append(self.tenant, self.call, *at, facts.clone())
                .await;
            if let Err(error) = stored {
                tracing::error!(%error, waiting = self.facts.len(), "facts of a call are not stored yet");
                return false;
            }
            self.facts.pop_front();
        }
        true
    }

    async fn answer(&mut self, leg: LegId) {
        let others = self.others_codec(leg);
        let Some(line) = self.lines.get_mut(&leg) else {
            return;
        };
        if line.stage != Stage::Early {
            return;
        }
        if let Some(codec) = others {
            line.prefer(codec);
        }
        match line.answer() {
            Ok((sdp, remote)) => {
                if let Some(remote) = remote {
                    line.note(&remote);
                    self.media.connect(leg, remote);
                }
                // A phone that offers telephone-event may still press its keys as tones.
                self.media.detect_inband(leg, true);
                if line.handle.answer(sdp).await.is_ok() {
                    line.stage = Stage::Up;
                }
            }
            Err(error) => {
                tracing::info!(%error, "the caller's offer can't be answered");
                let _ = line.handle.reject(error.status(), None).await;
                line.stage = Stage::Over;
                self.echoes.push_back(Input::LegFailed {
                    leg,
                    cause: HangupCause::MediaFailed,
                });
            }
        }
    }

    fn play(&mut self, leg: LegId, playback: PlaybackId, prompt: Prompt, repeat: bool) {
        self.playing.insert(leg, playback);
        let prompts = self.shared.prompts.clone();
        let tenant = self.tenant;
        self.rendering.spawn(async move {
            let sound = prompts.sound(tenant, &prompt).await;
            Rendered {
                leg,
                sound,
                how: How::Played { playback, repeat },
            }
        });
    }

    /// Says something over what a leg hears.
    fn announce(&mut self, leg: LegId, prompt: Prompt) {
        let prompts = self.shared.prompts.clone();
        let tenant = self.tenant;
        self.rendering.spawn(async move {
            let sound = prompts.sound(tenant, &prompt).await;
            Rendered {
                leg,
                sound,
                how: How::Announced,
            }
        });
    }

    /// Tells a caller who heard himself how well that went.
    async fn tell_quality(&mut self, leg: LegId, playback: PlaybackId) {
        let quality = self.quality(leg).await;
        let text = quality::in_words(quality.as_ref());
        self.play(leg, playback, Prompt::speech(text, "en"), false);
    }

    /// How a leg's audio travels; `None` when it had none.
    async fn quality(&self, leg: LegId) -> Option<AudioQuality> {
        let codec = self.lines.get(&leg)?.coding?;
        let measured = self.media.quality(leg).await?;
        quality::of(codec, &measured)
    }

    /// Lets a caller who is not answered yet hear us.
    async fn progress(&mut self, leg: LegId) {
        let Some(line) = self.lines.get_mut(&leg) else {
            return;
        };
        // Without an offer of his there is nothing to answer yet; he hears his own phone ring.
        if line.stage != Stage::Early || line.offer.is_none() {
            return;
        }
        match line.answer() {
            Ok((sdp, remote)) => {
                if let Some(remote) = remote {
                    line.note(&remote);
                    self.media.connect(leg, remote);
                }
                let _ = line.handle.progress(sdp).await;
            }
            Err(error) => {
                tracing::debug!(%error, "a caller's offer can't be answered early");
            }
        }
    }

    /// The codec of a leg that has answered before this one: they will be connected.
    fn others_codec(&self, leg: LegId) -> Option<sdp::Codec> {
        self.lines
            .iter()
            .filter(|(id, line)| **id != leg && line.stage == Stage::Up)
            .find_map(|(_, line)| line.codec())
    }

    /// The codec of the leg that a new one will be connected with.
    fn callers_codec(&self) -> Option<sdp::Codec> {
        self.lines.get(&LegId::FIRST).and_then(Line::codec)
    }

    /// Asks a carrier. Whatever keeps us from it is told as the carrier's failure.
    async fn dial_trunk(&mut self, leg: LegId, dial: TrunkDial) {
        let failed = |failure| Input::TrunkFailed { leg, failure };
        let now = clock::now();
        let slot = self
            .shared
            .trunks
            .take(dial.trunk, dial.price, self.is_emergency, now);
        let slot = match slot {
            Ok(slot) => slot,
            Err(why) => {
                return self.echoes.push_back(failed(TrunkFailure::Limited(why)));
            }
        };
        let Some((settings, _)) = self.shared.trunks.settings(dial.trunk) else {
            let why = "it was removed".to_owned();
            return self
                .echoes
                .push_back(failed(TrunkFailure::Unreachable(why)));
        };
        let secure = settings.transport == Some(TrunkTransport::Tls);
        let terms = Terms::of_trunk(&settings, self.shared.audio, Role::Offers, secure);
        let terms = match terms {
            Ok(terms) => terms
                .prefer(self.callers_codec())
                .seen_as(self.shared.sip.seen_by_trunk(&dial.name)),
            Err(error) => {
                let why = error.to_string();
                return self
                    .echoes
                    .push_back(failed(TrunkFailure::Unreachable(why)));
            }
        };
        let ready = Ready {
            session: session_id(self.call, leg),
            terms,
            browsers: false,
            peer: None,
        };
        let end = match End::open(&self.media, leg, ready).await {
            Ok(end) => end,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "no audio for a carrier's leg"
                );
                return self.echoes.push_back(failed(TrunkFailure::NoAudio));
            }
        };
        let (from, identity) = trunks::identity(&settings, dial.caller_id.as_deref());
        let placing = Dial {
            to: DialTarget::Trunk {
                key: dial.name,
                user: dial.user,
            },
            from,
            identity,
            offer: end.offer(),
            browser_offer: None,
            headers: Vec::new(),
        };
        match self.shared.sip.dial(placing).await {
            Ok(placed) => {
                let (handle, events) = placed.split();
                self.trace(&handle);
                let mut line = Line::new(handle, end);
                line.slot = Some(slot);
                self.add_line(leg, line);
                self.leg_events.insert(leg, ReceiverStream::new(events));
            }
            Err(error) => {
                tracing::warn!(%error, trunk.id = dial.trunk.0, "a carrier could not be asked");
                self.media.remove_leg(leg);
                let failure = TrunkFailure::Unreachable(error.to_string());
                self.echoes.push_back(failed(failure));
            }
        }
    }

    async fn dial(&mut self, leg: LegId, agent: AgentId, caller_id: CallerId) {
        let failed = |cause| Input::LegFailed { leg, cause };
        let Some(username) = self.company.username(agent) else {
            return self.echoes.push_back(failed(HangupCause::SignallingFailed));
        };
        // His phones ring together, desk phones and browsers: each kind gets the offer it
        // understands, for one and the same end. What desk phones are told may hold only what the
        // least private of them may read.
        let bindings = self.shared.sip.bindings(&username);
        let secure = bindings
            .iter()
            .filter(|binding| !binding.is_browser())
            .all(|binding| matches!(binding.transport, Transport::Tls | Transport::Wss));
        let audio = self.shared.audio_towards(&bindings);
        let terms = match Terms::of_devices(audio, Role::Offers, secure) {
            Ok(terms) => terms.prefer(self.callers_codec()),
            Err(error) => {
                tracing::warn!(%error, agent.id = agent.0, "an agent's phone can't be rung");
                return self.echoes.push_back(failed(HangupCause::MediaFailed));
            }
        };
        let ready = Ready {
            session: session_id(self.call, leg),
            terms,
            browsers: bindings.iter().any(sip::Binding::is_browser),
            peer: bindings.first().map(|binding| binding.received.ip()),
        };
        let end = match End::open(&self.media, leg, ready).await {
            Ok(end) => end,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "no audio for an agent's phone"
                );
                return self.echoes.push_back(failed(HangupCause::MediaFailed));
            }
        };
        let name = self.name_of(&caller_id).await;
        let dial = Dial {
            to: DialTarget::Device { username },
            from: caller(caller_id, name),
            identity: Identity::default(),
            offer: end.offer(),
            browser_offer: end.browser_offer(),
            headers: vec![("X-Trunkline-Call".to_owned(), self.call.to_string())],
        };
        match self.shared.sip.dial(dial).await {
            Ok(placed) => {
                let (handle, events) = placed.split();
                self.trace(&handle);
                let mut line = Line::new(handle, end);
                line.agent = Some(agent);
                self.add_line(leg, line);
                self.leg_events.insert(leg, ReceiverStream::new(events));
            }
            Err(error) => {
                tracing::info!(%error, agent.id = agent.0, "an agent's phone could not be rung");
                self.media.remove_leg(leg);
                self.echoes.push_back(failed(HangupCause::SignallingFailed));
            }
        }
    }

    /// What the address book calls a number. A phone shows the number alone if that can't be read.
    async fn name_of(&self, caller: &CallerId) -> Option<String> {
        let CallerId::Number(number) = caller else {
            return None;
        };
        let db = &self.shared.db;
        let id = db.contact_by_number(self.tenant, number).await.ok()??;
        let contact = db.contact(self.tenant, id).await.ok()??;
        Some(contact.fields.name).filter(|name| !name.is_empty())
    }

    /// Ends a leg whose audio is lost for good.
    /// A browser's audio has ended, and no BYE came.
    async fn gone(&mut self, leg: LegId) {
        if self
            .lines
            .get(&leg)
            .is_some_and(|line| line.stage == Stage::Up)
        {
            tracing::info!(
                leg.id = leg.0,
                "a browser is gone: its page was closed, or its network"
            );
            self.lose(leg).await;
        }
    }

    async fn lose(&mut self, leg: LegId) {
        let Some(line) = self.lines.get_mut(&leg) else {
            return;
        };
        if line.stage != Stage::Up {
            return;
        }
        line.stage = Stage::Over;
        let reason = line::reason(HangupCause::MediaFailed);
        let _ = line.handle.hang_up(reason).await;
        self.media.remove_leg(leg);
        let cause = HangupCause::MediaFailed;
        self.take(Input::LegFailed { leg, cause }).await;
    }

    /// Lets traces show all legs of the call together.
    fn trace(&self, leg: &LegHandle) {
        let call = self.call.to_string();
        self.shared.sip.belongs_to(leg.sip_call_id(), &call);
    }

    async fn hang_up(&mut self, leg: LegId, cause: HangupCause) {
        self.expected.remove(&leg);
        self.playing.remove(&leg);
        self.media.remove_leg(leg);
        let Some(line) = self.lines.get_mut(&leg) else {
            return;
        };
        let gone = match line.stage {
            Stage::Over => return,
            Stage::Early if line.called_us => {
                line.handle
                    .reject(line::refusal(cause), Some(line::reason(cause)))
                    .await
            }
            Stage::Early | Stage::Up => line.handle.hang_up(line::reason(cause)).await,
        };
        line.stage = Stage::Over;
        if gone.is_err() {
            tracing::debug!(leg.id = leg.0, "the leg was over before it was hung up");
        }
    }

    async fn start_recording(
        &mut self,
        recording: RecordingId,
        kind: RecordingKind,
        left: LegId,
        right: Option<LegId>,
    ) {
        let all = &self.shared.recordings;
        let made = all.place(self.tenant, self.call, recording, kind, clock::now());
        // They talk already: whatever the database does, what they say is kept from here on.
        self.media.start_recording(RecordingSpec {
            path: all.path(&made),
            left,
            right,
            without_tones: self.shared.audio.recordings_without_tones,
            pause: self.company.pause_mode(),
        });
        self.recordings.push_back(recording);
        self.unnoted.push_back(made);
        self.note_recordings().await;
    }

    async fn discard_recording(&mut self, recording: RecordingId) {
        self.note_recordings().await;
        if let Err(error) = self
            .shared
            .recordings
            .discard(self.tenant, self.call, recording, clock::now())
            .await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an empty message could not be erased"
            );
        }
    }
}

/// Who hears whom while a supervisor takes part.
fn parties(
    customer: LegId,
    agent: LegId,
    supervisor: LegId,
    mode: MonitorMode,
) -> Vec<media::Party> {
    let only = |leg, whom: &[LegId]| media::Party {
        leg,
        hears: Hears::Only(whom.to_vec()),
    };
    let (by_customer, by_agent): (&[LegId], &[LegId]) = match mode {
        MonitorMode::Listen => (&[agent], &[customer]),
        MonitorMode::Whisper => (&[agent], &[customer, supervisor]),
        MonitorMode::Barge => (&[agent, supervisor], &[customer, supervisor]),
    };
    vec![
        only(customer, by_customer),
        only(agent, by_agent),
        only(supervisor, &[customer, agent]),
    ]
}

/// The `o=` identity of a leg's session: unique on this server without a counter.
fn session_id(call: CallId, leg: LegId) -> u64 {
    u64::try_from(call.0).unwrap_or(0) * 1000 + u64::from(leg.0)
}

/// Who calls, as the agent's phone shows it.
fn caller(caller_id: CallerId, contact: Option<String>) -> Party {
    let party = |user: String, display: Option<String>| Party { user, display };
    match caller_id {
        CallerId::Number(number) => party(number.as_str().to_owned(), contact),
        CallerId::Colleague { extension, name } => {
            party(extension, (!name.is_empty()).then_some(name))
        }
        CallerId::Digits(digits) => party(digits, None),
        CallerId::Hidden => party("anonymous".to_owned(), Some("Anonymous".to_owned())),
    }
}
