//! Client transactions (RFC 3261 §17.1).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until};

use super::{Transactions, wire};
use crate::net::Flow;
use crate::wire::{Headers, Method, Request, Response};

/// What a client transaction tells its owner.
#[derive(Debug)]
pub(crate) enum ClientEvent {
    Response(Box<Response>),
    /// Nothing came back in time.
    TimedOut,
    /// The connection is gone.
    Unreachable,
}

/// A request on its way, and whom its events go to.
pub(crate) struct Outgoing {
    pub request: Request,
    /// The branch of its top Via.
    pub branch: String,
    pub flow: Flow,
    /// Given back with each event, so that one receiver serves several requests.
    pub index: usize,
    pub events: mpsc::Sender<(usize, ClientEvent)>,
}

impl Transactions {
    /// Sends a request and keeps at it; false when too many are running.
    pub fn send(self: &Arc<Self>, outgoing: Outgoing) -> bool {
        let Some(permit) = self.permit() else {
            return false;
        };
        let key = format!("{} {}", outgoing.branch, outgoing.request.method);
        let (responses, incoming) = mpsc::channel(16);
        self.tables().client.insert(key.clone(), responses);
        let transactions = Arc::clone(self);
        self.tasks.spawn(async move {
            let stop = transactions.stop.clone();
            let run = Run {
                transactions: &transactions,
                outgoing,
                incoming,
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = run.go(permit) => {}
            }
            transactions.tables().client.remove(&key);
        });
        true
    }
}

struct Run<'a> {
    transactions: &'a Transactions,
    outgoing: Outgoing,
    incoming: mpsc::Receiver<Response>,
}

impl Run<'_> {
    async fn go(mut self, permit: OwnedSemaphorePermit) {
        let timers = self.transactions.timers;
        let invite = self.outgoing.request.method == Method::Invite;
        let reliable = self.outgoing.flow.is_reliable();
        let bytes = wire(&self.outgoing.request);
        if !self.outgoing.flow.send(bytes.clone()) {
            self.tell(ClientEvent::Unreachable).await;
            return;
        }
        let started = Instant::now();
        let (mut interval, mut next) = (timers.t1, started + timers.t1);
        let give_up = started + timers.give_up();
        let mut proceeding = false;
        let last = loop {
            let repeats = !(reliable || invite && proceeding);
            tokio::select! {
                response = self.incoming.recv() => {
                    let Some(response) = response else { return };
                    if response.status >= 200 {
                        break response;
                    }
                    proceeding = true;
                    self.tell(ClientEvent::Response(Box::new(response))).await;
                }
                () = sleep_until(next), if repeats => {
                    self.outgoing.flow.send(bytes.clone());
                    // Timer A doubles without end, timer E up to T2.
                    interval = if proceeding { timers.t2() } else { interval * 2 };
                    if !invite {
                        interval = interval.min(timers.t2());
                    }
                    next = Instant::now() + interval;
                }
                // Timers B and F; a ringing INVITE is its owner's to end.
                () = sleep_until(give_up), if !(invite && proceeding) => {
                    self.tell(ClientEvent::TimedOut).await;
                    return;
                }
            }
        };
        drop(permit);
        self.complete(
            last,
            if reliable {
                Duration::ZERO
            } else {
                timers.give_up()
            },
        )
        .await;
    }

    /// Timers D, K and M: what comes again is acknowledged again.
    async fn complete(mut self, last: Response, refusals_for: Duration) {
        let invite = self.outgoing.request.method == Method::Invite;
        if !invite {
            self.tell(ClientEvent::Response(Box::new(last))).await;
            return;
        }
        let refused = last.status >= 300;
        let ack = refused.then(|| self.acknowledgement(&last));
        if let Some(ack) = &ack {
            self.outgoing.flow.send(ack.clone());
        }
        self.tell(ClientEvent::Response(Box::new(last))).await;
        let linger = if refused {
            refusals_for
        } else {
            self.transactions.timers.give_up()
        };
        let until = Instant::now() + linger;
        loop {
            let response = tokio::select! {
                () = sleep_until(until) => return,
                response = self.incoming.recv() => response,
            };
            let Some(response) = response else { return };
            match (&ack, response.status) {
                (Some(ack), 300..) => {
                    self.outgoing.flow.send(ack.clone());
                }
                // A 2xx, from this or another fork, is the owner's to acknowledge.
                (_, 200..300) => self.tell(ClientEvent::Response(Box::new(response))).await,
                _ => {}
            }
        }
    }

    /// RFC 3261 §17.1.1.3.
    fn acknowledgement(&self, refusal: &Response) -> Bytes {
        let invite = &self.outgoing.request;
        let mut headers = Headers::default();
        for name in ["Via", "Route", "Max-Forwards", "From"] {
            for value in invite.headers.all(name) {
                headers.push(name, value);
            }
        }
        headers.push("To", refusal.headers.get("To").unwrap_or_default());
        headers.push("Call-ID", invite.call_id());
        headers.push("CSeq", format!("{} ACK", invite.cseq()));
        let ack = Request {
            headers,
            ..Request::new(Method::Ack, invite.uri.clone())
        };
        wire(&ack)
    }

    async fn tell(&self, event: ClientEvent) {
        // An owner that left wants to know nothing more.
        let _ = self
            .outgoing
            .events
            .send((self.outgoing.index, event))
            .await;
    }
}
