//! Which calls are up on this server, and the way to each.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use calls::call::Input;
use model::{AgentId, CallId, LegId, TenantId};
use sip::DialogId;
use tokio::sync::{mpsc, oneshot};

use crate::{driver::MovedLeg, pick_up::Asked};

/// Calls by id. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switchboard {
    calls: Arc<Mutex<HashMap<CallId, Line>>>,
    dialogs: Arc<Mutex<HashMap<DialogId, Place>>>,
}

/// Where a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) tenant: TenantId,
    pub(crate) call: CallId,
    pub(crate) leg: LegId,
    /// Whose phone; a leg to the outside has none.
    pub(crate) agent: Option<AgentId>,
}

/// What a call is told from outside its legs.
#[derive(Debug)]
pub(crate) enum Message {
    Input(Input),
    /// Another call takes the party that an agent on this leg talks with. Dropped when there is none.
    HandOver {
        leg: LegId,
        to: CallId,
        agent: AgentId,
        reply: oneshot::Sender<MovedLeg>,
    },
    /// A phone wants the place of this leg.
    Replace {
        leg: LegId,
        asked: Box<Asked>,
    },
}

#[derive(Debug)]
struct Line {
    tenant: TenantId,
    // What the ACD and the operator say to a call is bounded by what the call asked for, so this
    // needs no limit; what strangers send comes by the legs' own bounded channels.
    inbox: mpsc::UnboundedSender<Message>,
    dialogs: Vec<DialogId>,
}

impl Switchboard {
    /// Opens the way to a new call.
    pub(crate) fn open(&self, call: CallId, tenant: TenantId) -> mpsc::UnboundedReceiver<Message> {
        let (inbox, receiver) = mpsc::unbounded_channel();
        let line = Line {
            tenant,
            inbox,
            dialogs: Vec::new(),
        };
        self.lock().insert(call, line);
        receiver
    }

    /// The call is over.
    pub(crate) fn close(&self, call: CallId) {
        let line = self.lock().remove(&call);
        let mut dialogs = self.dialogs();
        for dialog in line.map(|line| line.dialogs).unwrap_or_default() {
            // A leg that was handed over is found where it is now.
            if dialogs.get(&dialog).is_some_and(|place| place.call == call) {
                dialogs.remove(&dialog);
            }
        }
    }

    /// A leg of a call is this dialog, and an agent's if one is named.
    pub(crate) fn is_at(
        &self,
        dialog: &DialogId,
        call: CallId,
        leg: LegId,
        agent: Option<AgentId>,
    ) {
        let tenant = {
            let mut calls = self.lock();
            let Some(line) = calls.get_mut(&call) else {
                return;
            };
            line.dialogs.push(dialog.clone());
            line.tenant
        };
        let place = Place {
            tenant,
            call,
            leg,
            agent,
        };
        self.dialogs().insert(dialog.clone(), place);
    }

    /// The legs of these agents' phones in calls of a company, the oldest call first; some may be over.
    pub(crate) fn legs_of(&self, tenant: TenantId, agents: &[AgentId]) -> VecDeque<Place> {
        let theirs = |place: &&Place| {
            place.tenant == tenant && place.agent.is_some_and(|agent| agents.contains(&agent))
        };
        let mut found: Vec<Place> = self.dialogs().values().filter(theirs).copied().collect();
        found.sort_by_key(|place| (place.call, place.leg));
        found.into()
    }

    /// Where a dialog's leg is.
    pub(crate) fn place(&self, dialog: &DialogId) -> Option<Place> {
        self.dialogs().get(dialog).copied()
    }

    /// Tells a call something. A call that is gone doesn't hear it, and need not.
    pub(crate) fn tell(&self, call: CallId, input: Input) {
        let _ = self.send(call, Message::Input(input));
    }

    /// As [`Self::tell`], for what is no input of the machine alone. Gives it back when the call is gone.
    pub(crate) fn send(&self, call: CallId, message: Message) -> Option<Message> {
        match self.lock().get(&call) {
            Some(line) => line.inbox.send(message).err().map(|unsent| unsent.0),
            None => Some(message),
        }
    }

    /// Tells a call of this company something; `false` when there is no such call.
    pub(crate) fn tell_of(&self, tenant: TenantId, call: CallId, input: Input) -> bool {
        match self.lock().get(&call).filter(|line| line.tenant == tenant) {
            Some(line) => line.inbox.send(Message::Input(input)).is_ok(),
            None => false,
        }
    }

    /// Tells every call something.
    pub(crate) fn tell_all(&self, input: &Input) {
        for line in self.lock().values() {
            let _ = line.inbox.send(Message::Input(input.clone()));
        }
    }

    /// How many calls are up.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// The calls of a company.
    pub(crate) fn of(&self, tenant: TenantId) -> Vec<CallId> {
        self.lock()
            .iter()
            .filter(|(_, line)| line.tenant == tenant)
            .map(|(id, _)| *id)
            .collect()
    }

    fn dialogs(&self) -> std::sync::MutexGuard<'_, HashMap<DialogId, Place>> {
        self.dialogs.lock().expect("no holder panics")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<CallId, Line>> {
        self.calls.lock().expect("no holder panics")
    }
}
