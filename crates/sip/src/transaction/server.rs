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
    key: String,
    pub merged_key: Option<String>,
    invite: bool,
    flow: Flow,
    /// The tag every response of ours carries.
    pub to_tag: String,
    state: Mutex<State>,
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
    pub fn new(key: String, request: &Request, flow: Flow, permit: OwnedSemaphorePermit) -> Self {
        Self {
            key,
            merged_key: merged_key(request),
            invite: request.method == Method::Invite,
            flow,
            to_tag: request.to_tag().unwrap_or_else(ident::tag),
            state: Mutex::new(State {
                last: None,
                status: 0,
                permit: Some(permit),
            }),
            acknowledged: CancellationToken::new(),
            cancelled: CancellationToken::new(),
            cancel_reason: OnceLock::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the request is being answered, or started a call.
    pub fn is_served(&self) -> bool {
        let until = if self.invite { 300 } else { 200 };
        self.state().status < until
    }

    /// The request came again: so does its answer. A 2xx to INVITE is repeated
    /// by its dialog instead (RFC 6026 §7.1).
    pub fn repeat(&self) {
        let state = self.state();
        if self.invite && (200..300).contains(&state.status) {
            return;
        }
        if let Some(last) = &state.last {
            self.flow.send(last.clone());
        }
    }

    /// An ACK came on this branch; false when it is not for a refusal.
    pub fn acknowledge(&self) -> bool {
        let refused = self.state().status >= 300;
        if refused {
            self.acknowledged.cancel();
        }
        refused
    }

    /// A CANCEL came: its owner learns of it unless it has answered already.
    pub fn cancel(&self, reason: Option<Reason>) {
        if self.state().status < 200 {
            let _ = self.cancel_reason.set(reason);
            self.cancelled.cancel();
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

    /// Until a CANCEL comes; gives its reason.
    pub async fn cancelled(&self) -> Option<Reason> {
        self.tx.cancelled.cancelled().await;
        self.tx.cancel_reason.get().cloned().flatten()
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
        self.transactions.linger(self.tx.key.clone());
        if self.tx.invite && response.status >= 300 && !self.tx.flow.is_reliable() {
            self.repeat_until_acknowledged(bytes);
        }
    }

    /// Timers G and H.
    fn repeat_until_acknowledged(&self, bytes: Bytes) {
        let tx = Arc::clone(&self.tx);
        let (timers, stop) = (self.transactions.timers, self.transactions.stop.clone());
        self.transactions.tasks.spawn(async move {
            let give_up = tokio::time::sleep(timers.give_up());
            tokio::pin!(give_up);
            let mut interval = timers.t1;
            loop {
                tokio::select! {
                    () = tx.acknowledged.cancelled() => return,
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
