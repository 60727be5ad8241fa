//! Where calls come in: finds whose number was dialled and what the caller gets, then lets the call run by itself.

use std::sync::Arc;

use calls::{
    call::{Call, NewCall},
    flow::{Flow, Prompt, Queue, Step, Voicemail},
};
use model::{CallFact, Direction, FlowId, GroupId, HangupCause, LegId, PhoneNumber, RoomId};
use sip::{IncomingCall, Reason, ReasonProtocol};
use store::directory::{Number, Route};

use crate::{
    audio::{self, NOT_ACCEPTABLE, Role, Terms},
    clock,
    company::Company,
    conference, driver, line, outgoing,
    phone::Shared,
    pick_up,
    service_call::{self, Service},
    trunks::Inbound,
};

/// Takes in one call.
pub(crate) async fn receive(shared: Arc<Shared>, incoming: IncomingCall) {
    if let Some(replacing) = incoming.replaces.clone() {
        return pick_up::named(&shared, incoming, replacing).await;
    }
    if let Some(username) = incoming.from_device.clone() {
        if let Some(service) = Service::dialled(&incoming.to_user) {
            return service_call::run(shared, &username, service, incoming).await;
        }
        if let Some(extension) = pick_up::dialled(&incoming.to_user) {
            return pick_up::at_extension(&shared, &username, incoming, extension).await;
        }
        return outgoing::from_phone(shared, &username, incoming).await;
    }
    let trunk = incoming
        .trunk
        .as_deref()
        .and_then(|name| shared.trunks.inbound(name));
    let number = match dialled(&incoming, trunk.as_ref()) {
        Some(number) => shared.db.number_by_e164(&number).await,
        None => Ok(None),
    };
    let number = match number {
        Ok(Some(number)) => number,
        Ok(None) => return refuse(&incoming, 404).await,
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a dialled number could not be looked up"
            );
            return refuse(&incoming, 503).await;
        }
    };
    if let Some(trunk) = &trunk
        && !may_bring(trunk, &number)
    {
        tracing::warn!(
            trunk.id = trunk.id.0,
            number.id = number.id.0,
            "a trunk brought a call to a number that is not its own"
        );
        return refuse(&incoming, 404).await;
    }
    match shared.company(number.tenant).await {
        Ok(company) => admit(shared, company, number, trunk, incoming).await,
        Err(error) => failed(&incoming, &error).await,
    }
}

/// The number that was called. Carriers that know us by a registration put it into To, and into the
/// Request-URI the user we registered.
fn dialled(incoming: &IncomingCall, trunk: Option<&Inbound>) -> Option<PhoneNumber> {
    let read = |text: &str| match trunk {
        Some(trunk) => trunk.read(text),
        None => PhoneNumber::parse(text).ok(),
    };
    read(&incoming.to_user).or_else(|| trunk.and_then(|trunk| trunk.read(&incoming.to.user)))
}

/// A company's trunk brings calls to its own numbers, and to those that are not tied to another one.
fn may_bring(trunk: &Inbound, number: &Number) -> bool {
    trunk.tenant.is_none_or(|owner| owner == number.tenant)
        && number.trunk.is_none_or(|own| own == trunk.id)
}

pub(crate) async fn refuse(incoming: &IncomingCall, status: u16) {
    // A caller that is gone needs no answer.
    let _ = incoming.leg.handle().reject(status, None).await;
}

/// Refuses with words that a phone may show.
pub(crate) async fn refuse_because(incoming: &IncomingCall, cause: HangupCause, why: &str) {
    let reason = Reason {
        protocol: ReasonProtocol::Q850,
        cause: line::reason(cause).cause,
        text: Some(why.chars().take(200).collect()),
    };
    let _ = incoming
        .leg
        .handle()
        .reject(line::refusal(cause), Some(reason))
        .await;
}

pub(crate) async fn failed(incoming: &IncomingCall, error: &store::StoreError) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "a call could not be taken in"
    );
    refuse(incoming, 503).await;
}

/// What callers of a number that leads nowhere hear.
pub(crate) fn not_in_service() -> Prompt {
    Prompt::speech(
        "The number you have dialled is not in service. Goodbye.",
        "en",
    )
}

async fn admit(
    shared: Arc<Shared>,
    company: Arc<Company>,
    number: Number,
    trunk: Option<Inbound>,
    incoming: IncomingCall,
) {
    let from = incoming.asserted.as_ref().unwrap_or(&incoming.from);
    let external = match &trunk {
        Some(trunk) => trunk.read(&from.user),
        None => PhoneNumber::parse(&from.user).ok(),
    };
    let mut new = describe(&shared, &company, &number, external).await;
    let private = audio::is_private(&incoming);
    let terms = match &trunk {
        Some(trunk) => {
            new.trunk = Some(trunk.id);
            let name = incoming.trunk.as_deref();
            let seen = name.and_then(|name| shared.sip.seen_by_trunk(name));
            Terms::of_trunk(&trunk.settings, shared.audio, Role::Answers, private)
                .map(|terms| terms.seen_as(seen))
        }
        None => Terms::of_devices(shared.audio_at(incoming.listener), Role::Answers, private),
    };
    let terms = match terms {
        Ok(terms) => terms,
        Err(error) => {
            tracing::warn!(%error, "a caller is refused");
            return refuse(&incoming, NOT_ACCEPTABLE).await;
        }
    };
    if is_blacklisted(&shared, &new, &number).await {
        return turn_away(&shared, &company, new, &incoming).await;
    }
    let now = clock::now();
    let call = new.id;
    let (machine, outputs) = match route(&shared, &number).await {
        Some(flow) => Call::incoming(new, Arc::new(flow), now),
        None => Call::not_routed(new, not_in_service(), now),
    };
    let IncomingCall { leg, offer, .. } = incoming;
    driver::run(
        shared,
        driver::Start {
            company,
            call,
            machine,
            outputs,
            leg: Some(leg),
            offer,
            terms,
            watched: None,
            is_emergency: false,
        },
    );
}

async fn describe(
    shared: &Shared,
    company: &Company,
    number: &Number,
    external: Option<PhoneNumber>,
) -> NewCall {
    let contact = match &external {
        Some(external) => match shared.db.contact_by_number(number.tenant, external).await {
            Ok(contact) => contact,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a caller could not be looked up among the contacts"
                );
                None
            }
        },
        None => None,
    };
    NewCall {
        id: shared.ledger.new_call_id(),
        uuid: uuid::Uuid::now_v7().to_string(),
        direction: Direction::Incoming,
        agent: None,
        external,
        internal: PhoneNumber::parse(&number.e164).ok(),
        number: Some(number.id),
        contact,
        trunk: number.trunk,
        node: shared.node.clone(),
        groups: Arc::clone(&company.groups),
        rooms: Arc::clone(&company.rooms.infos),
        recording: Arc::new(company.recording(Some(number.id))),
    }
}

async fn is_blacklisted(shared: &Shared, new: &NewCall, number: &Number) -> bool {
    let Some(external) = &new.external else {
        return false;
    };
    match shared
        .db
        .is_blacklisted(number.tenant, external, Direction::Incoming)
        .await
    {
        Ok(listed) => listed,
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the blacklist could not be read; the caller is let in"
            );
            false
        }
    }
}

/// A caller on the blacklist never reaches the flow, but the call is listed.
async fn turn_away(shared: &Shared, company: &Company, new: NewCall, incoming: &IncomingCall) {
    let cause = HangupCause::Blacklisted;
    let facts = vec![
        CallFact::Started {
            uuid: new.uuid,
            direction: Direction::Incoming,
            external: new.external,
            internal: new.internal,
            number: new.number,
            contact: new.contact,
            trunk: new.trunk,
            node: new.node,
        },
        CallFact::LegEnded {
            leg: LegId::FIRST,
            cause,
        },
        CallFact::Ended { cause },
    ];
    if let Err(error) = shared
        .ledger
        .append(company.tenant, new.id, clock::now(), facts)
        .await
    {
        tracing::error!(%error, "a refused call could not be stored");
    }
    refuse(incoming, line::refusal(cause)).await;
}

/// What the caller gets; `None` means that the number leads nowhere.
pub(crate) async fn route(shared: &Shared, number: &Number) -> Option<Flow> {
    match number.route? {
        Route::Flow(id) => stored_flow(shared, number, id).await,
        Route::Group(group) => Some(group_flow(group)),
        Route::Conference(id) => Some(conference::flow(RoomId(id))),
        Route::Agent(_) | Route::Fax(_) => {
            tracing::warn!(
                number.id = number.id.0,
                "numbers lead to flows, groups and conference rooms only, in this version"
            );
            None
        }
    }
}

async fn stored_flow(shared: &Shared, number: &Number, id: FlowId) -> Option<Flow> {
    let stored = match shared.db.flow(number.tenant, id).await {
        Ok(stored) => stored?,
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                flow.id = id.0,
                "a call flow could not be loaded"
            );
            return None;
        }
    };
    match serde_json::from_value::<Flow>(stored.flow) {
        Ok(flow) => Some(Flow { id, ..flow }),
        Err(error) => {
            tracing::error!(%error, flow.id = id.0, "a stored call flow can't be read; its callers hear the announcement");
            None
        }
    }
}

/// A number that leads straight to a group: its queue, then a mailbox.
pub(crate) fn group_flow(group: GroupId) -> Flow {
    let queue = Step::Queue(Queue {
        name: String::new(),
        group,
        max_wait_seconds: 120,
        music: Prompt::music(),
        announcement: None,
        announce_every_seconds: 30,
        on_no_agents: Some("voicemail".to_owned()),
        on_timeout: Some("voicemail".to_owned()),
    });
    let voicemail = Step::Voicemail(Voicemail {
        name: String::new(),
        prompt: Prompt::speech(
            "Nobody can take your call right now. Please leave a message after the tone.",
            "en",
        ),
        max_seconds: 120,
    });
    let steps = [
        ("queue".to_owned(), queue),
        ("voicemail".to_owned(), voicemail),
    ]
    .into();
    Flow {
        id: FlowId(0),
        start: "queue".to_owned(),
        steps,
    }
}
