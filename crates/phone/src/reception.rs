//! Where calls come in: finds whose number was dialled and what the caller gets, then lets the call run by itself.

use std::sync::Arc;

use calls::{
    call::{Call, NewCall},
    flow::{Flow, Prompt, Queue, Step, Voicemail},
};
use model::{CallFact, Direction, FlowId, GroupId, HangupCause, LegId, PhoneNumber};
use sip::IncomingCall;
use store::directory::{Number, Route};

use crate::{clock, company::Company, driver, line, phone::Shared};

/// Takes in one call.
pub(crate) async fn receive(shared: Arc<Shared>, incoming: IncomingCall) {
    if incoming.replaces.is_some() {
        // Calls are passed on by REFER; nobody takes the place of a leg by himself.
        refuse(&incoming, 603).await;
        return;
    }
    if incoming.from_device.is_some() {
        // Phones can take calls only; placing them needs outbound trunks.
        tracing::info!(to = %incoming.to_user, "a registered phone tried to call out");
        refuse(&incoming, 403).await;
        return;
    }
    let number = match PhoneNumber::parse(&incoming.to_user) {
        Ok(number) => shared.db.number_by_e164(&number).await,
        Err(_) => Ok(None),
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
    match shared.company(number.tenant).await {
        Ok(company) => admit(shared, company, number, incoming).await,
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a company could not be loaded"
            );
            refuse(&incoming, 503).await;
        }
    }
}

async fn refuse(incoming: &IncomingCall, status: u16) {
    // A caller that is gone needs no answer.
    let _ = incoming.leg.handle().reject(status, None).await;
}

async fn admit(shared: Arc<Shared>, company: Arc<Company>, number: Number, incoming: IncomingCall) {
    let external = PhoneNumber::parse(&incoming.from.user).ok();
    let new = describe(&shared, &company, &number, external).await;
    if is_blacklisted(&shared, &new, &number).await {
        return turn_away(&shared, &company, new, &incoming).await;
    }
    let now = clock::now();
    let call = new.id;
    let (machine, outputs) = match route(&shared, &number).await {
        Some(flow) => Call::incoming(new, Arc::new(flow), now),
        None => Call::not_routed(
            new,
            Prompt::speech(
                "The number you have dialled is not in service. Goodbye.",
                "en",
            ),
            now,
        ),
    };
    let IncomingCall { leg, offer, .. } = incoming;
    driver::run(
        shared,
        driver::Start {
            company,
            call,
            machine,
            outputs,
            leg,
            offer,
        },
    )
    .await;
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
        external,
        internal: PhoneNumber::parse(&number.e164).ok(),
        number: Some(number.id),
        contact,
        trunk: number.trunk,
        node: shared.node.clone(),
        groups: Arc::clone(&company.groups),
        record_conversation: true,
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
async fn route(shared: &Shared, number: &Number) -> Option<Flow> {
    match number.route? {
        Route::Flow(id) => stored_flow(shared, number, id).await,
        Route::Group(group) => Some(group_flow(group)),
        Route::Agent(_) | Route::Conference(_) | Route::Fax(_) => {
            tracing::warn!(
                number.id = number.id.0,
                "numbers lead to flows and groups only, in this version"
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
fn group_flow(group: GroupId) -> Flow {
    let queue = Step::Queue(Queue {
        name: String::new(),
        group,
        max_wait_seconds: 120,
        music: Prompt::music(),
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
