//! Which calls are up on this server, and the way to each.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use calls::call::Input;
use model::{CallId, TenantId};
use tokio::sync::mpsc;

/// Calls by id. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switchboard {
    calls: Arc<Mutex<HashMap<CallId, Line>>>,
}

#[derive(Debug)]
struct Line {
    tenant: TenantId,
    // What the ACD and the operator say to a call is bounded by what the call asked for, so this
    // needs no limit; what strangers send comes by the legs' own bounded channels.
    inbox: mpsc::UnboundedSender<Input>,
}

impl Switchboard {
    /// Opens the way to a new call.
    pub(crate) fn open(&self, call: CallId, tenant: TenantId) -> mpsc::UnboundedReceiver<Input> {
        let (inbox, receiver) = mpsc::unbounded_channel();
        self.lock().insert(call, Line { tenant, inbox });
        receiver
    }

    /// The call is over.
    pub(crate) fn close(&self, call: CallId) {
        self.lock().remove(&call);
    }

    /// Tells a call something. A call that is gone doesn't hear it, and need not.
    pub(crate) fn tell(&self, call: CallId, input: Input) {
        if let Some(line) = self.lock().get(&call) {
            let _ = line.inbox.send(input);
        }
    }

    /// Tells every call something.
    pub(crate) fn tell_all(&self, input: &Input) {
        for line in self.lock().values() {
            let _ = line.inbox.send(input.clone());
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

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<CallId, Line>> {
        self.calls.lock().expect("no holder panics")
    }
}
