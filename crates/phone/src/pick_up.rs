//! Calls that want the place of another leg (RFC 3891): a phone picks up what rings elsewhere, or takes a
//! conversation over. They are no calls of their own; the call that has the leg decides.

use sip::{IncomingCall, Replacing};
use store::directory::Agent;

use crate::{
    phone::Shared,
    reception::{failed, refuse},
    switchboard::Message,
};

/// Nothing matches what was named (RFC 3891 §3), as far as the asker may know.
const NO_SUCH_CALL: u16 = 481;
/// Nobody but our own phones may ask.
const DECLINED: u16 = 603;

/// A phone that wants the place of a leg.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) incoming: IncomingCall,
    pub(crate) agent: Agent,
    pub(crate) early_only: bool,
}

/// Takes the wish to the call that has the leg.
pub(crate) async fn asked(shared: &Shared, incoming: IncomingCall, replacing: Replacing) {
    let Some(username) = &incoming.from_device else {
        tracing::info!("a carrier may not take the place of a leg");
        return refuse(&incoming, DECLINED).await;
    };
    let agent = match shared.db.agent_by_sip_username(username).await {
        Ok(Some((agent, _))) => agent,
        Ok(None) => return refuse(&incoming, 403).await,
        Err(error) => return failed(&incoming, &error).await,
    };
    let place = shared.switchboard.place(&replacing.dialog);
    let Some(place) = place.filter(|place| place.tenant == agent.tenant) else {
        return refuse(&incoming, NO_SUCH_CALL).await;
    };
    let asked = Asked {
        incoming,
        agent,
        early_only: replacing.early_only,
    };
    let message = Message::Replace {
        leg: place.leg,
        asked: Box::new(asked),
    };
    if let Some(Message::Replace { asked, .. }) = shared.switchboard.send(place.call, message) {
        refuse(&asked.incoming, NO_SUCH_CALL).await;
    }
}
