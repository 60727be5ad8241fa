//! Closed sets of words, stored as text.

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$first:meta])* $variant:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
        pub enum $name { $($(#[$first])* $variant,)* }

        impl $name {
            /// The word of tables and interfaces.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The meaning of a word.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }

            /// Columns hold nothing but what `as_str` gave; a row edited by hand reads as the default.
            pub(super) fn stored(text: &str) -> Self {
                Self::parse(text).unwrap_or_default()
            }
        }
    )*};
}

words! {
    /// What a person is in the phone system.
    AgentRole { #[default] Agent = "Agent", Admin = "Administrator", Supervisor = "Supervisor", Analyst = "Analyst", }
    /// A person we know, or one we would like to sell to.
    ContactKind { #[default] Contact = "contact", Lead = "lead", }
    /// Which calls the blacklist stops.
    BlacklistKind { #[default] All = "all", Incoming = "incoming", Outgoing = "outgoing", }
    /// What an activity is about.
    ActivityKind {
        Order = "order", Task = "task", Chat = "chat", Ticket = "ticket", #[default] Other = "other",
        Invoice = "invoice", Proforma = "proforma", Estimate = "estimate", Cancel = "cancel",
    }
    /// How a campaign call can end.
    ButtonKind {
        #[default] SuccessfulPositive = "successful_positive", SuccessfulNegative = "successful_negative",
        Rescheduled = "rescheduled", UnsuccessfulCallAgain = "unsuccessful_call_again",
        UnsuccessfulDoNotCall = "unsuccessful_do_not_call",
    }
    /// Seen from the company.
    MessageDirection { Incoming = "incoming", #[default] Outgoing = "outgoing", }
    /// How far a message has come.
    MessageState { #[default] Queued = "queued", Sent = "sent", Delivered = "delivered", Failed = "failed", Received = "received", }
}

use model::{Availability, RingStrategy};

pub(super) fn availability_text(availability: Availability) -> &'static str {
    match availability {
        Availability::Online => "online",
        Availability::Idle => "idle",
        Availability::Offline => "offline",
    }
}

pub(super) fn availability(text: &str) -> Availability {
    match text {
        "online" => Availability::Online,
        "idle" => Availability::Idle,
        _ => Availability::Offline,
    }
}

pub(super) fn strategy_text(strategy: RingStrategy) -> &'static str {
    match strategy {
        RingStrategy::RingAll => "ring_all",
        RingStrategy::RoundRobin => "round_robin",
        RingStrategy::Random => "random",
        RingStrategy::LongestIdle => "longest_idle",
    }
}

pub(super) fn strategy(text: &str) -> RingStrategy {
    match text {
        "ring_all" => RingStrategy::RingAll,
        "round_robin" => RingStrategy::RoundRobin,
        "random" => RingStrategy::Random,
        _ => RingStrategy::LongestIdle,
    }
}
