//! The echo test of a phone: it dials an extension, hears itself, and is told how well that went.

use std::{collections::BTreeMap, sync::Arc};

use calls::{
    call::{Call, NewCall},
    flow::{Echo, Flow, Prompt, Step},
};
use model::{Direction, FlowId};
use sip::IncomingCall;

use crate::{
    audio::{self, NOT_ACCEPTABLE, Role, Terms},
    clock, driver,
    phone::Shared,
    reception,
};

/// What a phone dials for it.
const EXTENSIONS: [&str; 2] = ["*43", "echo"];
/// How long one hears oneself.
const SECONDS: u32 = 20;

/// Whether a phone dialled the echo test.
pub(crate) fn is_dialled(to: &str) -> bool {
    EXTENSIONS.contains(&to)
}

/// Runs the test as a call of the phone's company. A phone that nobody knows any more is refused.
pub(crate) async fn run(shared: Arc<Shared>, username: &str, incoming: IncomingCall) {
    let found = match shared.db.agent_by_sip_username(username).await {
        Ok(Some((agent, _))) => shared.company(agent.tenant).await,
        Ok(None) => {
            let _ = incoming.leg.handle().reject(403, None).await;
            return;
        }
        Err(error) => Err(error),
    };
    let company = match found {
        Ok(company) => company,
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the echo test could not be begun"
            );
            let _ = incoming.leg.handle().reject(503, None).await;
            return;
        }
    };
    let private = audio::is_private(&incoming);
    let terms = match Terms::of_devices(shared.audio, Role::Answers, private) {
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
        agent: None,
        external: None,
        internal: None,
        number: None,
        contact: None,
        trunk: None,
        node: shared.node.clone(),
        groups: Arc::clone(&company.groups),
        recording: Arc::default(),
    };
    let call = new.id;
    let (machine, outputs) = Call::incoming(new, Arc::new(flow()), clock::now());
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
    driver::run(shared, start).await;
}

fn flow() -> Flow {
    let echo = Step::Echo(Echo {
        name: String::new(),
        prompt: Prompt::echo(),
        seconds: SECONDS,
        next: None,
    });
    Flow {
        id: FlowId(0),
        start: "echo".to_owned(),
        steps: BTreeMap::from([("echo".to_owned(), echo)]),
    }
}
