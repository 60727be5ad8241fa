//! Server transactions (RFC 3261 §17.2).

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::{Transactions, merged_key};
use crate::Reason;
use crate::ident;
use crate::net::Flow;
use crate::wire::{Method, Request, Response};

pub(crate) struct ServerTx {
    key: Arc<str>,
    pub merged_key: Option<Arc<str>>,
    /// What only the transaction of an INVITE has; many thousand others are remembered at once.
    invite: Option<Box<Invitation>>,
    flow: Flow,
    /// The tag every response of ours carries.
    pub to_tag: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct Invitation {
    acknowledged: CancellationToken,
    cancelled: CancellationToken,
    cancel_reason: OnceLock<Option<Reason>>,
}

struct State {
    last: Option<Bytes>,
    status: u16,
    /// Held while the transaction counts as running.
    permit: Option<OwnedSemaphorePermit>,
}

impl ServerTx {
    pub fn new(key: Arc<str>, request: &Request, flow: Flow, permit: OwnedSemaphorePermit) -> Self {
        Self {
            key,
            merged_key: merged_key(request).map(Into::into),
            invite: (request.method == Method::Invite).then(Box::default),
            flow,
            to_tag: request.to_tag().unwrap_or_else(ident::tag),
            state: Mutex::new(State {
                last: None,
                status: 0,
                permit: Some(permit),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the request is being answered, or started a call.
    pub fn is_served(&self) -> bool {
        let until = if self.invite.is_some() { 300 } else { 200 };
        self.state().status < until
    }

    /// The request came again: so does its answer. A 2xx to INVITE is repeated
    /// by its dialog instead (RFC 6026 §7.1).
    pub fn repeat(&self) {
        let state = self.state();
        if self.invite.is_some() && (200..300).contains(&state.status) {
            return;
        }
        if let Some(last) = &state.last {
            self.flow.send(last.clone());
        }
    }

    /// An ACK came on this branch; false when it is not for a refusal.
    pub fn acknowledge(&self) -> bool {
        let refused = self.state().status >= 300;
        if let Some(invite) = self.invite.as_ref().filter(|_| refused) {
            invite.acknowledged.cancel();
        }
        refused
    }

    /// A CANCEL came: its owner learns of it unless it has answered already.
    pub fn cancel(&self, reason: Option<Reason>) {
        let Some(invite) = &self.invite else { return };
        if self.state().status < 200 {
            let _ = invite.cancel_reason.set(reason);
            invite.cancelled.cancel();
        }
    }
}

/// The owner's end of a server transaction. Dropped without a final response,
/// it answers 500: no request is ever met with silence.
pub(crate) struct ServerHandle {
    tx: Arc<ServerTx>,
    transactions: Arc<Transactions>,
    /// What a response copies from its request.
    fallback: Option<Response>,
}

impl ServerHandle {
    pub fn new(tx: Arc<ServerTx>, transactions: Arc<Transactions>) -> Self {
        Self {
            tx,
            transactions,
            fallback: None,
        }
    }

    /// The answer given should the owner vanish.
    pub fn with_fallback(mut self, request: &Request) -> Self {
        self.fallback = Some(request.response(500, &self.tx.to_tag));
        self
    }

    pub fn to_tag(&self) -> &str {
        &self.tx.to_tag
    }

    /// Until a CANCEL comes; gives its reason. Only an INVITE can be cancelled.
    pub async fn cancelled(&self) -> Option<Reason> {
        let Some(invite) = &self.tx.invite else {
            return std::future::pending().await;
        };
        invite.cancelled.cancelled().await;
        invite.cancel_reason.get().cloned().flatten()
    }

    /// Sends a response. After a final one, further ones have no effect.
    pub fn respond(&self, response: &Response) {
        let bytes = Bytes::from(response.to_bytes());
        {
            let mut state = self.tx.state();
            if state.status >= 200 {
                return;
            }
            state.status = response.status;
            state.last = Some(bytes.clone());
            if response.status >= 200 {
                state.permit = None;
            }
        }
        self.tx.flow.send(bytes.clone());
        if response.status < 200 {
            return;
        }
        // Timers H and J: over a connection only the ACK is still to come.
        if self.tx.flow.is_reliable() && self.tx.invite.is_none() {
            self.transactions.forget(&self.tx.key);
        } else {
            self.transactions.linger(Arc::clone(&self.tx.key));
        }
        if self.tx.invite.is_some() && response.status >= 300 && !self.tx.flow.is_reliable() {
            self.repeat_until_acknowledged(bytes);
        }
    }

    /// Timers G and H.
    fn repeat_until_acknowledged(&self, bytes: Bytes) {
        let tx = Arc::clone(&self.tx);
        let acknowledged = tx.invite.as_ref().map(|invite| invite.acknowledged.clone());
        let acknowledged = acknowledged.unwrap_or_default();
        let (timers, stop) = (self.transactions.timers, self.transactions.stop.clone());
        self.transactions.tasks.spawn(async move {
            let give_up = tokio::time::sleep(timers.give_up());
            tokio::pin!(give_up);
            let mut interval = timers.t1;
            loop {
                tokio::select! {
                    () = acknowledged.cancelled() => return,
                    () = stop.cancelled() => return,
                    () = &mut give_up => return,
                    () = tokio::time::sleep(interval) => {
                        tx.flow.send(bytes.clone());
                        interval = (interval * 2).min(timers.t2());
                    }
                }
            }
        });
    }

    /// The way responses go, for a dialog that repeats its own 2xx.
    pub fn flow(&self) -> Flow {
        self.tx.flow.clone()
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        if let Some(fallback) = self.fallback.take() {
            self.respond(&fallback);
        }
    }
}
