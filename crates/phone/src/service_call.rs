//! What a phone of ours gets that dials a service instead of somebody: the echo test, a conference room.

use std::sync::Arc;

use calls::{
    call::{Call, CallingAgent, NewCall},
    flow::Flow,
};
use model::Direction;
use sip::IncomingCall;
use store::directory::Agent;

use crate::{
    audio::{self, NOT_ACCEPTABLE, Role, Terms},
    clock,
    company::Company,
    conference, driver, echo_test,
    phone::Shared,
    reception,
};

/// What a phone can dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    EchoTest,
    /// The room with this extension.
    Room(u16),
}

impl Service {
    /// The service that was dialled, if it was one.
    pub(crate) fn dialled(to: &str) -> Option<Self> {
        if echo_test::is_dialled(to) {
            return Some(Self::EchoTest);
        }
        conference::dialled(to).map(Self::Room)
    }

    fn flow(self, company: &Company) -> Option<Flow> {
        match self {
            Self::EchoTest => Some(echo_test::flow()),
            Self::Room(extension) => company.rooms.at(extension).map(conference::flow),
        }
    }

    /// Who is in a conference is busy; a test keeps nobody from his customers.
    fn keeps_busy(self) -> bool {
        matches!(self, Self::Room(_))
    }
}

/// Runs the service as a call of the phone's company. A phone that nobody knows any more is refused.
pub(crate) async fn run(
    shared: Arc<Shared>,
    username: &str,
    service: Service,
    incoming: IncomingCall,
) {
    let agent = match shared.db.agent_by_sip_username(username).await {
        Ok(Some((agent, _))) => agent,
        Ok(None) => return reception::refuse(&incoming, 403).await,
        Err(error) => return reception::failed(&incoming, &error).await,
    };
    let company = match shared.company(agent.tenant).await {
        Ok(company) => company,
        Err(error) => return reception::failed(&incoming, &error).await,
    };
    let Some(flow) = service.flow(&company) else {
        return reception::refuse(&incoming, 404).await;
    };
    let private = audio::is_private(&incoming);
    let terms = match Terms::of_devices(shared.audio_at(incoming.listener), Role::Answers, private)
    {
        Ok(terms) => terms,
        Err(error) => {
            tracing::warn!(%error, "a phone's call was refused");
            return reception::refuse(&incoming, NOT_ACCEPTABLE).await;
        }
    };
    let new = NewCall {
        id: shared.ledger.new_call_id(),
        uuid: uuid::Uuid::now_v7().to_string(),
        direction: Direction::Internal,
        agent: service
            .keeps_busy()
            .then(|| calling(&agent, &incoming.to_user)),
        external: None,
        internal: None,
        number: None,
        contact: None,
        trunk: None,
        node: shared.node.clone(),
        groups: Arc::clone(&company.groups),
        rooms: Arc::clone(&company.rooms.infos),
        recording: Arc::new(company.recording(None)),
    };
    let call = new.id;
    let (machine, outputs) = Call::incoming(new, Arc::new(flow), clock::now());
    let IncomingCall { leg, offer, .. } = incoming;
    let start = driver::Start {
        company,
        call,
        machine,
        outputs,
        leg: Some(leg),
        offer,
        terms,
        watched: None,
        is_emergency: false,
    };
    driver::run(shared, start);
}

/// He has nothing to write down after a call to a service.
fn calling(agent: &Agent, dialled: &str) -> CallingAgent {
    CallingAgent {
        agent: agent.id,
        name: agent.full_name(),
        extension: agent.extension.to_string(),
        dialled: dialled.chars().take(40).collect(),
        wrap_up_seconds: 0,
    }
}
