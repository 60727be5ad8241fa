//! Calls that agents place, from their phones or through an interface: whether they may, as whom, and
//! by which carriers.

use std::sync::{Arc, Mutex};

use calls::{
    call::{
        Begun, Call, Callee, CallingAgent, NewCall, OutgoingCall, RING_SECONDS, TransferTarget,
        TrunkDial,
    },
    fraud::{Guard, Placing, Rules, Scope, Stop, Verdict},
    routing::{self, Attempt, Outbound, Rule, Target},
};
use model::{
    AgentId, Availability, CallFact, CallId, Direction, HangupCause, LegId, NumberId, PhoneNumber,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use sip::{IncomingCall, SECURITY_TARGET};
use store::{
    directory::{Agent, Number, Route},
    trunks::OutgoingStop,
};

use crate::{
    audio::{self, NOT_ACCEPTABLE, Role, Terms},
    clock,
    company::Company,
    driver,
    phone::Shared,
    reception,
};

/// What a company sets for its outgoing calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutgoingSettings {
    /// Which carriers; none means all, the cheapest first.
    pub routes: Vec<Rule>,
    /// What stops calls as toll fraud.
    pub fraud: Rules,
    /// Shown where an agent has no number of his own.
    pub caller_id: Option<NumberId>,
}

/// Why a call asked for through an interface was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPlaced {
    /// The company has no such agent.
    #[error("there is no such agent")]
    UnknownAgent,
    /// He is offline, or no device of his is registered.
    #[error("the agent is not online")]
    AgentOffline,
    /// He is in a call.
    #[error("the agent is in a call")]
    AgentBusy,
    /// What was dialled is no number.
    #[error("{0:?} can't be called")]
    BadNumber(String),
    /// It may not be placed.
    #[error("{0}")]
    Refused(String),
    /// Something of ours failed.
    #[error("the call could not be prepared")]
    Failed,
}

/// A call that the guard let through. Dropping it tells the guard that it is over.
pub(crate) struct Watched {
    guard: Arc<Mutex<Guard>>,
    call: CallId,
    pub(crate) talked_ms: u64,
    pub(crate) cost_micros: u64,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watched({})", self.call)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let (talked, cost) = (self.talked_ms, self.cost_micros);
        lock(&self.guard).ended(clock::now(), self.call, talked, cost);
    }
}

pub(crate) fn lock(guard: &Mutex<Guard>) -> std::sync::MutexGuard<'_, Guard> {
    guard
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A phone of ours calls.
pub(crate) async fn from_phone(shared: Arc<Shared>, username: &str, incoming: IncomingCall) {
    let found = shared.db.agent_by_sip_username(username).await;
    let agent = match found {
        Ok(Some((agent, _))) => agent,
        // He was removed while his phone was registered.
        Ok(None) => return reception::refuse(&incoming, 403).await,
        Err(error) => return reception::failed(&incoming, &error).await,
    };
    let company = match shared.company(agent.tenant).await {
        Ok(company) => company,
        Err(error) => return reception::failed(&incoming, &error).await,
    };
    let text = incoming.to_user.clone();
    let Some(target) = routing::dialled(&text, &company.dial_plan) else {
        tracing::info!(agent.id = agent.id.0, dialled = %text, "nobody can be reached by this");
        return reception::refuse(&incoming, 404).await;
    };
    let wanted = Wanted {
        agent,
        dialled: text,
        begun: Begun::ByPhone,
    };
    match prepare(&shared, &company, wanted, target).await {
        Prepared::Call(ready) => ready.run(shared, company, Some(incoming)).await,
        Prepared::Refused { cause, reason, .. } => {
            reception::refuse_because(&incoming, cause, &reason).await;
        }
        Prepared::Nowhere => reception::refuse(&incoming, 404).await,
        Prepared::Failed => reception::refuse(&incoming, 500).await,
    }
}

/// An agent asked for a call elsewhere: his phone rings, then the callee's. Gives back once his phone
/// is about to ring.
pub(crate) async fn click_to_call(
    shared: Arc<Shared>,
    company: Arc<Company>,
    agent: Agent,
    dialled: String,
) -> Result<(CallId, impl Future<Output = ()>), NotPlaced> {
    let target = routing::dialled(&dialled, &company.dial_plan)
        .ok_or_else(|| NotPlaced::BadNumber(dialled.clone()))?;
    if agent.availability == Availability::Offline
        || shared.sip.bindings(&agent.sip_username).is_empty()
    {
        return Err(NotPlaced::AgentOffline);
    }
    if shared.agent_in_call(agent.id) {
        return Err(NotPlaced::AgentBusy);
    }
    let wanted = Wanted {
        agent,
        dialled: dialled.clone(),
        begun: Begun::Elsewhere,
    };
    match prepare(&shared, &company, wanted, target).await {
        Prepared::Call(ready) => {
            let call = ready.call;
            Ok((call, ready.run(shared, company, None)))
        }
        Prepared::Refused { reason, .. } => Err(NotPlaced::Refused(reason)),
        Prepared::Nowhere => Err(NotPlaced::BadNumber(dialled)),
        Prepared::Failed => Err(NotPlaced::Failed),
    }
}

struct Wanted {
    agent: Agent,
    dialled: String,
    begun: Begun,
}

enum Prepared {
    Call(Box<Ready>),
    Refused { cause: HangupCause, reason: String },
    Nowhere,
    Failed,
}

struct Ready {
    call: CallId,
    machine: Call,
    outputs: Vec<calls::call::Output>,
    watched: Option<Watched>,
    is_emergency: bool,
}

impl Ready {
    async fn run(
        self: Box<Self>,
        shared: Arc<Shared>,
        company: Arc<Company>,
        incoming: Option<IncomingCall>,
    ) {
        // Where an agent clicked there is no caller's leg, and its terms are never asked for.
        let private = incoming.as_ref().is_none_or(audio::is_private);
        let audio = match &incoming {
            Some(incoming) => shared.audio_at(incoming.listener),
            None => shared.audio,
        };
        let terms = match Terms::of_devices(audio, Role::Answers, private) {
            Ok(terms) => terms,
            Err(error) => {
                tracing::warn!(%error, "an agent's call is refused");
                if let Some(incoming) = &incoming {
                    reception::refuse(incoming, NOT_ACCEPTABLE).await;
                }
                return;
            }
        };
        let (leg, offer) = match incoming {
            Some(IncomingCall { leg, offer, .. }) => (Some(leg), offer),
            None => (None, None),
        };
        let start = driver::Start {
            company,
            call: self.call,
            machine: self.machine,
            outputs: self.outputs,
            leg,
            offer,
            terms,
            watched: self.watched,
            is_emergency: self.is_emergency,
        };
        driver::run(shared, start);
    }
}

async fn prepare(
    shared: &Arc<Shared>,
    company: &Arc<Company>,
    wanted: Wanted,
    target: Target,
) -> Prepared {
    match target {
        Target::Agent(callee) if callee == wanted.agent.id => Prepared::Refused {
            cause: HangupCause::Busy,
            reason: "nobody can call himself".to_owned(),
        },
        Target::Agent(callee) => {
            let name = company.agent_name(callee);
            let new = internal(shared, company, &wanted, None);
            let callee = Callee::Agent {
                agent: callee,
                name,
            };
            Prepared::Call(place(new, &wanted, callee, None))
        }
        Target::Group(group) => {
            let new = internal(shared, company, &wanted, None);
            led(new, &wanted, Some(reception::group_flow(group)))
        }
        Target::OwnNumber(id) => {
            let number = match shared.db.number(company.tenant, id).await {
                Ok(Some(number)) => number,
                Ok(None) => return Prepared::Nowhere,
                Err(error) => return failed(&error),
            };
            own_number(shared, company, wanted, number).await
        }
        Target::Outside(number) => outside(shared, company, wanted, number).await,
        Target::Emergency(digits) => emergency(shared, company, &wanted, &digits),
    }
}

fn failed(error: &store::StoreError) -> Prepared {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "an agent's call could not be prepared"
    );
    Prepared::Failed
}

async fn own_number(
    shared: &Arc<Shared>,
    company: &Arc<Company>,
    wanted: Wanted,
    number: Number,
) -> Prepared {
    let new = internal(shared, company, &wanted, Some(&number));
    if let Some(Route::Agent(callee)) = number.route {
        let name = company.agent_name(callee);
        let callee = Callee::Agent {
            agent: callee,
            name,
        };
        return Prepared::Call(place(new, &wanted, callee, None));
    }
    led(new, &wanted, reception::route(shared, &number).await)
}

/// A call to something of ours that callers are led through. Asked for elsewhere it can't be, since it
/// answers at once: there is nobody to ring first.
fn led(new: NewCall, wanted: &Wanted, flow: Option<calls::flow::Flow>) -> Prepared {
    if wanted.begun == Begun::Elsewhere {
        return Prepared::Nowhere;
    }
    let call = new.id;
    let now = clock::now();
    let (machine, outputs) = match flow {
        Some(flow) => Call::incoming(new, Arc::new(flow), now),
        None => Call::not_routed(new, reception::not_in_service(), now),
    };
    Prepared::Call(Box::new(Ready {
        call,
        machine,
        outputs,
        watched: None,
        is_emergency: false,
    }))
}

fn place(new: NewCall, wanted: &Wanted, callee: Callee, watched: Option<Watched>) -> Box<Ready> {
    let call = new.id;
    let outgoing = OutgoingCall {
        begun: wanted.begun,
        callee,
        ring_seconds: RING_SECONDS,
    };
    let (machine, outputs) = Call::outgoing(new, outgoing, clock::now());
    Box::new(Ready {
        call,
        machine,
        outputs,
        watched,
        is_emergency: false,
    })
}

fn calling(wanted: &Wanted) -> CallingAgent {
    let agent = &wanted.agent;
    CallingAgent {
        agent: agent.id,
        name: agent.full_name(),
        extension: agent.extension.to_string(),
        dialled: wanted.dialled.chars().take(40).collect(),
        wrap_up_seconds: agent.wrap_up_seconds,
    }
}

/// A call that stays in the house.
fn internal(
    shared: &Shared,
    company: &Company,
    wanted: &Wanted,
    number: Option<&Number>,
) -> NewCall {
    NewCall {
        id: shared.ledger.new_call_id(),
        uuid: uuid::Uuid::now_v7().to_string(),
        direction: Direction::Internal,
        agent: Some(calling(wanted)),
        external: None,
        internal: number.and_then(|number| PhoneNumber::parse(&number.e164).ok()),
        number: number.map(|number| number.id),
        contact: None,
        trunk: None,
        node: shared.node.clone(),
        groups: Arc::clone(&company.groups),
        rooms: Arc::clone(&company.rooms.infos),
        recording: Arc::new(company.recording(number.map(|number| number.id))),
    }
}

async fn outside(
    shared: &Arc<Shared>,
    company: &Arc<Company>,
    wanted: Wanted,
    number: PhoneNumber,
) -> Prepared {
    let tenant = company.tenant;
    let contact = match shared.db.contact_by_number(tenant, &number).await {
        Ok(contact) => contact,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a callee could not be looked up among the contacts"
            );
            None
        }
    };
    let agent = &wanted.agent;
    let shown = routing::caller_id(
        Some(&number),
        agent.default_number,
        &agent.associated_numbers,
        company.outgoing.caller_id,
        &company.dial_plan.numbers,
    );
    let own = shown
        .as_ref()
        .and_then(|shown| company.dial_plan.numbers.get(shown).copied());
    let new = NewCall {
        id: shared.ledger.new_call_id(),
        uuid: uuid::Uuid::now_v7().to_string(),
        direction: Direction::Outgoing,
        agent: Some(calling(&wanted)),
        external: Some(number.clone()),
        number: own,
        internal: shown.clone(),
        contact,
        trunk: None,
        node: shared.node.clone(),
        groups: Arc::clone(&company.groups),
        rooms: Arc::clone(&company.rooms.infos),
        recording: Arc::new(company.recording(own)),
    };
    match admit(shared, company, &wanted, &number, new.id).await {
        Ok((attempts, watched)) => {
            let dials = attempts
                .into_iter()
                .filter_map(|attempt| dial(shared, attempt, &number, shown.as_ref()));
            let callee = Callee::Outside(dials.collect());
            Prepared::Call(place(new, &wanted, callee, Some(watched)))
        }
        Err(Refusal { cause, reason }) => {
            tracing::info!(agent.id = agent.id.0, call.id = new.id.0, %reason, "a call was not placed");
            list_refused(shared, company, new, cause, &reason).await;
            Prepared::Refused { cause, reason }
        }
    }
}

struct Refusal {
    cause: HangupCause,
    reason: String,
}

fn not_allowed(reason: impl Into<String>) -> Refusal {
    Refusal {
        cause: HangupCause::NotAllowed,
        reason: reason.into(),
    }
}

/// Whether the agent may call this number now, and by whom. A call that may counts from here on.
async fn admit(
    shared: &Arc<Shared>,
    company: &Arc<Company>,
    wanted: &Wanted,
    number: &PhoneNumber,
    call: CallId,
) -> Result<(Vec<Attempt>, Watched), Refusal> {
    let agent = &wanted.agent;
    if !agent.status_outbound {
        return Err(not_allowed("the agent may not call out"));
    }
    if agent.availability == Availability::Offline {
        return Err(not_allowed("the agent is offline"));
    }
    let listed = shared
        .db
        .is_blacklisted(company.tenant, number, Direction::Outgoing)
        .await;
    match listed {
        Ok(false) => {}
        Ok(true) => {
            return Err(Refusal {
                cause: HangupCause::Blacklisted,
                reason: "the number is on the blacklist".to_owned(),
            });
        }
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the blacklist could not be read; the call goes on"
            );
        }
    }
    let now = clock::now();
    let groups = company.groups_of(agent.id);
    let outbound = Outbound {
        number: Some(number),
        agent: agent.id,
        groups: &groups,
        now,
        local: company.zone.to_datetime(now),
    };
    let carriers = shared.trunks.carriers(company.tenant, now);
    let route = routing::route(&outbound, &company.outgoing.routes, &carriers);
    for (trunk, why) in &route.passed_over {
        tracing::debug!(%trunk, %why, "a trunk was passed over");
    }
    if let Some(reason) = route.refused {
        return Err(Refusal {
            cause: HangupCause::Congestion,
            reason,
        });
    }
    let placing = Placing {
        call,
        agent: agent.id,
        is_abroad: !company.is_home(number),
        price: route.attempts.first().and_then(|attempt| attempt.price),
        agent_budget_micros: agent
            .daily_price_limit
            .map(|units| u64::from(units) * 1_000_000),
    };
    let verdict = lock(&company.guard).admit(now, &placing);
    match verdict {
        Verdict::Allowed => Ok((
            route.attempts,
            Watched {
                guard: Arc::clone(&company.guard),
                call,
                talked_ms: 0,
                cost_micros: 0,
            },
        )),
        Verdict::Refused(reason) => Err(not_allowed(reason)),
        Verdict::Stopped(stop) => Err(not_allowed(stopped(&stop))),
        Verdict::Stops(stop) => {
            report(shared, company, agent, &stop, now).await;
            Err(not_allowed(stopped(&stop)))
        }
    }
}

/// Whom an agent passes his party on to.
pub(crate) struct PassedOn {
    pub(crate) target: TransferTarget,
    /// Held while the call runs, when it goes outside.
    pub(crate) watched: Option<Watched>,
    pub(crate) is_emergency: bool,
}

impl PassedOn {
    fn to(target: TransferTarget) -> Self {
        Self {
            target,
            watched: None,
            is_emergency: false,
        }
    }

    fn to_flow(flow: calls::flow::Flow, label: &str) -> Self {
        Self::to(TransferTarget::Flow {
            flow: Arc::new(flow),
            label: label.to_owned(),
        })
    }

    fn to_agent(company: &Company, agent: AgentId) -> Self {
        let name = company.agent_name(agent);
        Self::to(TransferTarget::Callee {
            label: name.clone(),
            callee: Callee::Agent { agent, name },
        })
    }

    /// To the other party of another call of the agent's.
    pub(crate) fn party(call: CallId, leg: LegId) -> Self {
        Self::to(TransferTarget::Party { call, leg })
    }
}

/// What an agent's phone means that passes its party on: whatever it could call itself, under the
/// same rules.
///
/// # Errors
/// The SIP status that tells the phone why not.
pub(crate) async fn pass_on(
    shared: &Arc<Shared>,
    company: &Arc<Company>,
    agent: AgentId,
    text: &str,
    call: CallId,
) -> Result<PassedOn, u16> {
    let unreadable = |error: store::StoreError| {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the target of a transfer could not be looked up"
        );
        500_u16
    };
    let target = match routing::dialled(text, &company.dial_plan) {
        Some(target) => target,
        // Phones that show who called may name a colleague by his account.
        None => Target::Agent(company.agent_named(text).ok_or(404_u16)?),
    };
    match target {
        Target::Agent(callee) if callee == agent => Err(603),
        Target::Agent(callee) => Ok(PassedOn::to_agent(company, callee)),
        Target::Group(group) => Ok(PassedOn::to_flow(
            reception::group_flow(group),
            company
                .groups
                .get(&group)
                .map_or("", |group| group.name.as_str()),
        )),
        Target::OwnNumber(id) => {
            let number = shared.db.number(company.tenant, id).await;
            let number = number.map_err(unreadable)?.ok_or(404_u16)?;
            if let Some(Route::Agent(callee)) = number.route {
                return Ok(PassedOn::to_agent(company, callee));
            }
            let flow = reception::route(shared, &number).await.ok_or(404_u16)?;
            Ok(PassedOn::to_flow(flow, &number.e164))
        }
        // Help is called by whoever needs it, not passed on to.
        Target::Emergency(_) => Err(403),
        Target::Outside(number) => {
            let agent = shared.db.agent(company.tenant, agent).await;
            let agent = agent.map_err(unreadable)?.ok_or(403_u16)?;
            pass_outside(shared, company, agent, number, call).await
        }
    }
}

async fn pass_outside(
    shared: &Arc<Shared>,
    company: &Arc<Company>,
    agent: Agent,
    number: PhoneNumber,
    call: CallId,
) -> Result<PassedOn, u16> {
    let shown = routing::caller_id(
        Some(&number),
        agent.default_number,
        &agent.associated_numbers,
        company.outgoing.caller_id,
        &company.dial_plan.numbers,
    );
    let wanted = Wanted {
        agent,
        dialled: number.as_str().to_owned(),
        begun: Begun::ByPhone,
    };
    match admit(shared, company, &wanted, &number, call).await {
        Ok((attempts, watched)) => {
            let dials: Vec<TrunkDial> = attempts
                .into_iter()
                .filter_map(|attempt| dial(shared, attempt, &number, shown.as_ref()))
                .collect();
            Ok(PassedOn {
                watched: Some(watched),
                ..PassedOn::to(TransferTarget::Callee {
                    callee: Callee::Outside(dials),
                    label: wanted.dialled,
                })
            })
        }
        Err(Refusal { cause, reason }) => {
            tracing::info!(agent.id = wanted.agent.id.0, %reason, "a transfer to the outside was not allowed");
            Err(crate::line::refusal(cause))
        }
    }
}

fn stopped(stop: &Stop) -> String {
    format!(
        "outgoing calls are stopped since {}: {}; an administrator must release them",
        stop.at, stop.reason
    )
}

/// Keeps a stop and says it where operators and firewalls read.
async fn report(shared: &Shared, company: &Company, agent: &Agent, stop: &Stop, now: Timestamp) {
    let whole_company = stop.scope == Scope::Company;
    tracing::error!(
        tenant.id = company.tenant.0,
        agent.id = agent.id.0,
        whole_company,
        reason = %stop.reason,
        "toll fraud suspected: outgoing calls are stopped until somebody releases them"
    );
    let account: String = agent
        .sip_username
        .chars()
        .filter(|c| !c.is_control() && *c != '"')
        .take(64)
        .collect();
    let devices = shared.sip.bindings(&agent.sip_username);
    let address = devices.first().map_or_else(
        || "-".to_owned(),
        |binding| {
            let remote = binding.received;
            let family = if remote.ip().to_canonical().is_ipv4() {
                "IPV4"
            } else {
                "IPV6"
            };
            format!(
                "{family}/{}/{}/{}",
                binding.transport.as_str(),
                remote.ip().to_canonical(),
                remote.port()
            )
        },
    );
    // Not an event of Asterisk's that fail2ban's stock filter bans by: the address is most often the
    // company's own. A filter of one's own can act on it.
    tracing::warn!(
        target: SECURITY_TARGET,
        "SecurityEvent=\"OutgoingCallsStopped\",AccountID=\"{account}\",RemoteAddress=\"{address}\",Company=\"{}\",Reason=\"{}\"",
        company.tenant,
        stop.reason
    );
    let kept = OutgoingStop {
        tenant: company.tenant,
        agent: match stop.scope {
            Scope::Agent(agent) => Some(agent),
            Scope::Company => None,
        },
        reason: stop.reason.clone(),
        at: now,
    };
    if let Err(error) = shared.db.add_outgoing_stop(&kept).await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a stop could not be stored; a restart would lift it"
        );
    }
}

fn dial(
    shared: &Shared,
    attempt: Attempt,
    number: &PhoneNumber,
    shown: Option<&PhoneNumber>,
) -> Option<TrunkDial> {
    let (settings, country) = shared.trunks.settings(attempt.trunk)?;
    let write = |number: &PhoneNumber| settings.numbers_out.write(number, &country);
    Some(TrunkDial {
        trunk: attempt.trunk,
        name: attempt.name,
        why: attempt.why,
        price: attempt.price,
        user: write(number),
        caller_id: shown.map(write),
        setup_seconds: settings.setup_seconds,
    })
}

/// A call for help: by every carrier there is, whatever limits, rules and stops say.
fn emergency(
    shared: &Arc<Shared>,
    company: &Arc<Company>,
    wanted: &Wanted,
    digits: &str,
) -> Prepared {
    let now = clock::now();
    let outbound = Outbound {
        number: None,
        agent: wanted.agent.id,
        groups: &[],
        now,
        local: company.zone.to_datetime(now),
    };
    let carriers = shared.trunks.carriers(company.tenant, now);
    let route = routing::route(&outbound, &[], &carriers);
    tracing::warn!(
        agent.id = wanted.agent.id.0,
        trunks = route.attempts.len(),
        "an emergency call"
    );
    let agent = &wanted.agent;
    let shown = routing::caller_id(
        None,
        agent.default_number,
        &agent.associated_numbers,
        company.outgoing.caller_id,
        &company.dial_plan.numbers,
    );
    let own = shown
        .as_ref()
        .and_then(|shown| company.dial_plan.numbers.get(shown).copied());
    let new = NewCall {
        direction: Direction::Outgoing,
        internal: shown.clone(),
        number: own,
        recording: Arc::new(company.recording(own)),
        ..internal(shared, company, wanted, None)
    };
    let dials = route.attempts.into_iter().filter_map(|attempt| {
        let (settings, country) = shared.trunks.settings(attempt.trunk)?;
        Some(TrunkDial {
            trunk: attempt.trunk,
            name: attempt.name,
            why: attempt.why,
            price: None,
            user: digits.to_owned(),
            caller_id: shown
                .as_ref()
                .map(|number| settings.numbers_out.write(number, &country)),
            setup_seconds: settings.setup_seconds,
        })
    });
    let mut ready = place(new, wanted, Callee::Outside(dials.collect()), None);
    ready.is_emergency = true;
    Prepared::Call(ready)
}

/// A call that may not be placed is listed all the same.
async fn list_refused(
    shared: &Shared,
    company: &Company,
    new: NewCall,
    cause: HangupCause,
    reason: &str,
) {
    let mut facts = vec![CallFact::Started {
        uuid: new.uuid,
        direction: new.direction,
        external: new.external,
        internal: new.internal,
        number: new.number,
        contact: new.contact,
        trunk: new.trunk,
        node: new.node,
    }];
    if let Some(caller) = new.agent {
        facts.push(CallFact::AgentCalls {
            agent: caller.agent,
            agent_name: caller.name,
            dialled: caller.dialled,
        });
    }
    facts.extend([
        CallFact::CallRefused {
            reason: reason.to_owned(),
        },
        CallFact::LegEnded {
            leg: LegId::FIRST,
            cause,
        },
        CallFact::Ended { cause },
    ]);
    let stored = shared
        .ledger
        .append(company.tenant, new.id, clock::now(), facts)
        .await;
    if let Err(error) = stored {
        tracing::error!(%error, "a refused call could not be stored");
    }
}

/// Who is stopped: what an operator releases.
#[derive(Clone, Debug)]
pub struct StopView {
    pub tenant: model::TenantId,
    /// `None` is the whole company.
    pub agent: Option<AgentId>,
    pub agent_name: Option<String>,
    pub reason: String,
    pub at: Timestamp,
}
