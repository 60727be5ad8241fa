//! What a company has: agents, groups, numbers, flows, contacts and everything hung on them.
//!
//! Each file owns a noun: its struct, its `New…`, its filter and the queries on [`Db`](crate::Db).
//! Every query names the tenant, except the three that find it: a number that is called
//! ([`number_by_e164`](crate::Db::number_by_e164)), a device that registers
//! ([`agent_by_sip_username`](crate::Db::agent_by_sip_username)) and a key that is shown
//! ([`api_key`](crate::Db::api_key)).
//!
//! To add a noun: a row in `entity.rs`, a table in a new migration, a file like `groups.rs`.
//! SQLite has one writer, so a transaction writes before it reads.

mod activities;
mod agents;
mod api_keys;
mod attributes;
mod bindings;
mod blacklist;
mod call_labels;
mod campaigns;
mod contacts;
mod entity;
mod flows;
mod groups;
mod messages;
mod migration;
mod notes;
mod numbers;
mod page;
mod tags;
#[cfg(test)]
mod tests;
mod words;

pub use activities::{Activity, ActivityFilter, ActivityPatch, NewActivity};
pub use agents::{Agent, AgentFilter, AgentPatch, NewAgent, SipSecrets};
pub use api_keys::{ApiKey, NewApiKey};
pub use attributes::Attribute;
pub use bindings::Binding;
pub use blacklist::{BlacklistEntry, BlacklistFilter};
pub use call_labels::{CallLabels, CallNote, CallRating};
pub use campaigns::{Campaign, CampaignButton, CampaignSettings, NewCampaign};
pub use contacts::{
    AttributeValue, Contact, ContactFields, ContactFilter, ContactPatch, ExternalUrl, NewContact,
};
pub use flows::{Flow, NewFlow};
pub use groups::{Group, GroupFilter, NewGroup};
pub use messages::{Message, MessageFilter, NewMessage};
pub use notes::{Note, NoteFilter, NotePatch};
pub use numbers::{NewNumber, Number, NumberFilter, NumberPatch, Route};
pub(crate) use page::taken;
pub use page::{Listed, Page};
pub use tags::Tag;
pub use words::{
    ActivityKind, AgentRole, BlacklistKind, ButtonKind, ContactKind, MessageDirection, MessageState,
};

use sea_orm_migration::prelude::*;

pub(crate) fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(migration::CreateDirectory)]
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);
    )*};
}

ids! {
    /// A line in a contact's timeline.
    ActivityId;
    /// A definition of a contact attribute.
    AttributeId;
    /// An entry of the blacklist.
    BlacklistId;
    /// An outbound campaign.
    CampaignId;
    /// A text message.
    MessageId;
    /// A note on a contact.
    NoteId;
}
