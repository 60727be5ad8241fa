//! Who takes whom: one [`Acd`] hands a company's waiting callers to its agents.
//!
//! - The longest-waiting caller comes first, within a group and across groups.
//! - An agent rings for one caller at a time, however many groups he is in.
//! - Eligible is a member who is online (or idle where the group includes idle agents), has a
//!   registered device, and neither rings, talks nor works after a call.
//! - An agent who did not take a caller is offered him again only after everybody else who is free,
//!   and not within [`RETRY_PAUSE`]. One whose device failed gets nobody within that time.
//! - When nobody in the group is online the caller is let go at once; when all are busy he waits.
//!
//! A fact about an agent or a group that was never set changes nothing: set agents first, then their
//! devices, then groups, then callers.
//!
//! The driver feeds [`Fact`]s, carries out [`Output`]s in order and calls [`Acd::on_time`] at
//! [`Acd::next_deadline`].

use jiff::SignedDuration;
use model::{
    AgentId, AgentState, Availability, CallId, GroupId, OfferEnd, RingStrategy, Timestamp,
};

mod choose;
mod machine;
#[cfg(test)]
mod tests;

pub use machine::Acd;

/// How long an agent who did not take a caller is left alone by that caller.
pub const RETRY_PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// An offer of which the call says nothing is taken back this long after its ring time, and is over
/// this long after that.
pub const OFFER_GRACE: SignedDuration = SignedDuration::from_secs(10);

/// One ring of one agent for one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OfferId(pub u64);

/// A group as its settings say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its row.
    pub id: GroupId,
    /// For the reasons of offers.
    pub name: String,
    /// Whom to ring first.
    pub strategy: RingStrategy,
    /// How long one agent's phone rings.
    pub ring_seconds: u32,
    /// Overrides the agents' own after-call time.
    pub wrap_up_seconds: Option<u32>,
    /// Whether agents who are idle are rung too.
    pub rings_idle: bool,
    /// Its agents, in the order of round robin.
    pub members: Vec<AgentId>,
}

/// An agent as his settings say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// His row.
    pub id: AgentId,
    /// For the facts of calls.
    pub name: String,
    /// What he chose in the status switch.
    pub availability: Availability,
    /// After-call time; 0 is off.
    pub wrap_up_seconds: u32,
}

/// A decision: ring this agent for this caller now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its identity, never used twice by one [`Acd`].
    pub offer: OfferId,
    /// The caller.
    pub call: CallId,
    /// The queue he waits in.
    pub group: GroupId,
    /// The agent.
    pub agent: AgentId,
    /// His name.
    pub agent_name: String,
    /// How long to ring.
    pub ring_for: SignedDuration,
    /// His after-call time, should he take it.
    pub wrap_up_seconds: u32,
    /// Why he, in words for a supervisor.
    pub why: String,
}

/// Something that became true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A group exists, with these settings.
    GroupSet(Group),
    /// A group is gone. Its callers are let go.
    GroupRemoved(GroupId),
    /// An agent exists, with these settings.
    AgentSet(Agent),
    /// An agent is gone.
    AgentRemoved(AgentId),
    /// He turned his status switch.
    AvailabilityChanged {
        /// Who.
        agent: AgentId,
        /// To what.
        availability: Availability,
    },
    /// His devices came or went.
    DevicesChanged {
        /// Whose.
        agent: AgentId,
        /// How many are registered now.
        registered: u32,
    },
    /// He is in a call that did not come through a queue, until [`Fact::ConversationEnded`] or
    /// [`Fact::CallGone`]. Phones that ring for him are silenced.
    AgentBusy {
        /// Who.
        agent: AgentId,
        /// In which call.
        call: CallId,
    },
    /// A caller waits.
    CallerJoined {
        /// Who.
        call: CallId,
        /// For which group.
        group: GroupId,
        /// Since when, by the call's own facts: that, not the order in which such facts arrive here,
        /// is his place in the line. A time ahead counts as now.
        since: Timestamp,
    },
    /// He doesn't any more. His offers end with it.
    CallerLeft {
        /// Who.
        call: CallId,
    },
    /// An agent took an offer. The caller no longer waits.
    OfferAnswered {
        /// Which.
        offer: OfferId,
    },
    /// An offer came to nothing.
    OfferEnded {
        /// Which.
        offer: OfferId,
        /// Why.
        reason: OfferEnd,
    },
    /// The conversation that followed an offer, or that he had past the queues, is over.
    ConversationEnded {
        /// With whom.
        call: CallId,
        /// Who.
        agent: AgentId,
        /// After-call time; 0 frees him at once.
        wrap_up_seconds: u32,
    },
    /// He is done with his after-call work before its time.
    WrapUpDone(AgentId),
    /// The call is over and forgotten: whatever still hangs on it is freed.
    CallGone(CallId),
}

/// Something for the driver to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Tell the call ([`crate::call::Input::Offered`]).
    Offer(Offer),
    /// Tell the call to stop ringing ([`crate::call::Input::OfferWithdrawn`]). The call says how it
    /// came out, since the agent may have answered meanwhile: [`Fact::OfferEnded`] or
    /// [`Fact::OfferAnswered`].
    WithdrawOffer {
        /// Which.
        offer: OfferId,
        /// Whose.
        call: CallId,
        /// Why.
        reason: OfferEnd,
    },
    /// Tell the call that nobody is online; it was let go
    /// ([`crate::call::Input::QueueExhausted`]).
    NobodyOnline {
        /// Whose.
        call: CallId,
        /// Where.
        group: GroupId,
    },
    /// Tell the call that the agent is done with it ([`crate::call::Input::WrapUpEnded`]).
    WrapUpEnded {
        /// Who.
        agent: AgentId,
        /// With what.
        call: CallId,
    },
    /// What boards show of an agent changed.
    AgentState {
        /// Who.
        agent: AgentId,
        /// To what.
        state: AgentState,
    },
}
