//! Client transactions (RFC 3261 §17.1).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until};

use super::{Transactions, wire};
use crate::ident;
use crate::net::Flow;
use crate::trunk::Authenticator;
use crate::wire::{Headers, Method, Request, Response};

/// What a client transaction tells its owner.
#[derive(Debug)]
pub(crate) enum ClientEvent {
    Response(Box<Response>),
    /// A challenge was answered: the request is on its way again in this form.
    Resent {
        request: Box<Request>,
        branch: String,
    },
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
    /// What answers digest challenges. The request then comes again with the
    /// next CSeq number, which its owner must leave free.
    pub proof: Option<Arc<Authenticator>>,
}

/// How often one request is sent because of challenges.
const PROOFS: u32 = 3;

impl Transactions {
    /// Sends a request and keeps at it; false when too many are running.
    pub fn send(self: &Arc<Self>, mut outgoing: Outgoing) -> bool {
        let Some(permit) = self.permit() else {
            return false;
        };
        if let Some(proof) = &outgoing.proof {
            proof.prove(&mut outgoing.request);
        }
        let (mut key, mut incoming) = self.expect(&outgoing);
        let transactions = Arc::clone(self);
        self.tasks.spawn(async move {
            let stop = transactions.stop.clone();
            let mut permit = Some(permit);
            for tried in 1.. {
                let run = Run {
                    transactions: &transactions,
                    outgoing: &mut outgoing,
                    incoming,
                    may_prove: tried < PROOFS,
                };
                let again = tokio::select! {
                    () = stop.cancelled() => false,
                    again = run.go(&mut permit) => again,
                };
                if !again {
                    transactions.tables().client.remove(&key);
                    return;
                }
                (key, incoming) = transactions.expect(&outgoing);
            }
        });
        true
    }

    /// Where the responses to a request will come.
    fn expect(&self, outgoing: &Outgoing) -> (String, mpsc::Receiver<Response>) {
        let key = format!("{} {}", outgoing.branch, outgoing.request.method);
        let (responses, incoming) = mpsc::channel(16);
        self.tables().client.insert(key.clone(), responses);
        (key, incoming)
    }
}

struct Run<'a> {
    transactions: &'a Arc<Transactions>,
    outgoing: &'a mut Outgoing,
    incoming: mpsc::Receiver<Response>,
    /// Whether a challenge may still be answered.
    may_prove: bool,
}

impl Run<'_> {
    /// Sees the request through; true when it is to be sent again with a proof.
    async fn go(mut self, permit: &mut Option<OwnedSemaphorePermit>) -> bool {
        let timers = self.transactions.timers;
        let invite = self.outgoing.request.method == Method::Invite;
        let reliable = self.outgoing.flow.is_reliable();
        let bytes = wire(&self.outgoing.request);
        if !self.outgoing.flow.send(bytes.clone()) {
            self.tell(ClientEvent::Unreachable).await;
            return false;
        }
        let started = Instant::now();
        let (mut interval, mut next) = (timers.t1, started + timers.t1);
        let give_up = started + timers.give_up();
        let mut proceeding = false;
        let last = loop {
            let repeats = !(reliable || invite && proceeding);
            tokio::select! {
                response = self.incoming.recv() => {
                    let Some(response) = response else { return false };
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
                    return false;
                }
                () = self.outgoing.events.closed(), if !invite => return false,
            }
        };
        if self.prove(&last).await {
            return true;
        }
        *permit = None;
        self.complete(
            last,
            if reliable {
                Duration::ZERO
            } else {
                timers.give_up()
            },
        )
        .await;
        false
    }

    /// Prepares the request anew if its refusal is a challenge that can be met.
    async fn prove(&mut self, refusal: &Response) -> bool {
        let Some(proof) = self.outgoing.proof.clone().filter(|_| self.may_prove) else {
            return false;
        };
        let challenged =
            matches!(refusal.status, 401 | 407) && proof.take_note(&self.outgoing.request, refusal);
        if !challenged {
            return false;
        }
        self.leave(refusal);
        let branch = ident::branch();
        let request = &mut self.outgoing.request;
        let cseq = format!("{} {}", request.cseq() + 1, request.method);
        request.headers.set_first("CSeq", cseq);
        request
            .headers
            .set_first("Via", self.outgoing.flow.via(&branch));
        proof.prove(request);
        let request = Box::new(request.clone());
        self.outgoing.branch.clone_from(&branch);
        self.tell(ClientEvent::Resent { request, branch }).await;
        true
    }

    /// Ends this round of the request. The refusal of an INVITE is acknowledged
    /// as often as it comes again.
    fn leave(&mut self, refusal: &Response) {
        let method = self.outgoing.request.method;
        let key = format!("{} {method}", self.outgoing.branch);
        let flow = self.outgoing.flow.clone();
        let ack = (method == Method::Invite).then(|| self.acknowledgement(refusal));
        if let Some(ack) = &ack {
            flow.send(ack.clone());
        }
        let Some(ack) = ack.filter(|_| !flow.is_reliable()) else {
            self.transactions.tables().client.remove(&key);
            return;
        };
        let (_, none) = mpsc::channel(1);
        let mut incoming = std::mem::replace(&mut self.incoming, none);
        let transactions = Arc::clone(self.transactions);
        let until = Instant::now() + transactions.timers.give_up();
        self.transactions.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = transactions.stop.cancelled() => break,
                    () = sleep_until(until) => break,
                    response = incoming.recv() => match response {
                        Some(_) => flow.send(ack.clone()),
                        None => break,
                    },
                };
            }
            transactions.tables().client.remove(&key);
        });
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
