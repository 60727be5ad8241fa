//! Newtypes over database keys, so that an agent's id can't be passed where a group's is due.

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map($name)
            }
        }
    )*};
}

ids! {
    /// An isolated company. Every query carries one.
    TenantId;
    /// A person who signs in to the console.
    UserId;
    /// Somebody who takes calls.
    AgentId;
    /// A public E.164 number that a company owns.
    NumberId;
    /// A team of agents behind one queue.
    GroupId;
    /// A conference room.
    RoomId;
    /// A call flow.
    FlowId;
    /// A carrier connection.
    TrunkId;
    /// A call: everything from first ring to last hang-up that shares one purpose.
    CallId;
    /// A recording or voicemail on disk.
    RecordingId;
    /// Somebody in the address book.
    ContactId;
    /// A label on contacts and calls.
    TagId;
}
