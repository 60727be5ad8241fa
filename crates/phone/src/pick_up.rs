//! Phones that pick up what rings elsewhere, or take a conversation over. They name the leg they want
//! (Replaces, RFC 3891), or dial a code and the extension that rings. Theirs are no calls of their
//! own: the call that has the leg decides.

use std::collections::VecDeque;

use calls::routing::Extension;
use model::AgentId;
use sip::{IncomingCall, Replacing};
use store::directory::Agent;

use crate::{
    company::Company,
    phone::Shared,
    reception::{failed, refuse},
    switchboard::{Message, Place},
};

/// What a phone dials before an extension.
const CODE: &str = "*8";
/// Nothing matches what was named (RFC 3891 §3), as far as the asker may know.
const NO_SUCH_CALL: u16 = 481;
/// Nobody but our own phones may ask.
const DECLINED: u16 = 603;
/// Nothing rings there.
const NOTHING_RINGS: u16 = 480;

/// A phone that wants the place of a leg.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) incoming: IncomingCall,
    pub(crate) agent: Agent,
    pub(crate) early_only: bool,
    /// Legs that would do as well.
    others: VecDeque<Place>,
    /// What it is told when it gets none, in place of the last one's reason.
    refusal: Option<u16>,
}

/// The extension of which a phone wants what rings there.
pub(crate) fn dialled(to: &str) -> Option<u16> {
    to.strip_prefix(CODE)?.parse().ok()
}

/// Takes the wish for a leg to the call that has it.
pub(crate) async fn named(shared: &Shared, incoming: IncomingCall, replacing: Replacing) {
    let Some(username) = &incoming.from_device else {
        tracing::info!("a carrier may not take the place of a leg");
        return refuse(&incoming, DECLINED).await;
    };
    let Some(agent) = asker(shared, username, &incoming).await else {
        return;
    };
    let place = shared.switchboard.place(&replacing.dialog);
    let asked = Asked {
        incoming,
        others: place
            .filter(|place| place.tenant == agent.tenant)
            .into_iter()
            .collect(),
        agent,
        early_only: replacing.early_only,
        refusal: None,
    };
    ask(shared, asked, NO_SUCH_CALL).await;
}

/// Takes the wish for what rings at an extension, the call that waits longest first.
pub(crate) async fn at_extension(
    shared: &Shared,
    username: &str,
    incoming: IncomingCall,
    extension: u16,
) {
    let Some(agent) = asker(shared, username, &incoming).await else {
        return;
    };
    let company = match shared.company(agent.tenant).await {
        Ok(company) => company,
        Err(error) => return failed(&incoming, &error).await,
    };
    let agents = agents_at(&company, extension);
    let asked = Asked {
        incoming,
        others: shared.switchboard.legs_of(agent.tenant, &agents),
        agent,
        early_only: true,
        refusal: Some(NOTHING_RINGS),
    };
    ask(shared, asked, NOTHING_RINGS).await;
}

fn agents_at(company: &Company, extension: u16) -> Vec<AgentId> {
    match company.dial_plan.extensions.get(&extension) {
        Some(Extension::Agent(agent)) => vec![*agent],
        Some(Extension::Group(group)) => company.members_of(*group),
        None => Vec::new(),
    }
}

async fn asker(shared: &Shared, username: &str, incoming: &IncomingCall) -> Option<Agent> {
    match shared.db.agent_by_sip_username(username).await {
        Ok(Some((agent, _))) => return Some(agent),
        // He was removed while his phone was registered.
        Ok(None) => refuse(incoming, 403).await,
        Err(error) => failed(incoming, &error).await,
    }
    None
}

/// Asks the call of the next leg that would do. `refusal`: why not, as the last one said.
pub(crate) async fn ask(shared: &Shared, mut asked: Asked, refusal: u16) {
    while let Some(place) = asked.others.pop_front() {
        let message = Message::Replace {
            leg: place.leg,
            asked: Box::new(asked),
        };
        match shared.switchboard.send(place.call, message) {
            // That call is over.
            Some(Message::Replace { asked: back, .. }) => asked = *back,
            _ => return,
        }
    }
    let status = asked.refusal.unwrap_or(refusal);
    tracing::info!(
        agent.id = asked.agent.id.0,
        status,
        "a phone may not take the place of another"
    );
    refuse(&asked.incoming, status).await;
}

#[cfg(test)]
mod tests {
    use super::dialled;

    #[test]
    fn a_code_and_an_extension_pick_up() {
        assert_eq!(dialled("*81001"), Some(1001));
        for other in ["*8", "*43", "81001", "*8x", "*8100100", "*8+1001 "] {
            assert_eq!(dialled(other), None, "{other}");
        }
    }
}
