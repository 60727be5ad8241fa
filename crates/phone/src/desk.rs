//! A company's ACD at work: one task owns the machine, so that no two callers can get one agent.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use calls::{
    acd::{Acd, Fact, Output},
    call::Input,
};
use model::{AgentId, AgentState};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{clock, switchboard::Switchboard};

/// Facts that wait for the machine. Callers wait when it is full; it never waits for them.
const MAILBOX: usize = 4096;

/// What agents do right now, for lists and boards. Readers see whole values, the desk alone writes.
pub(crate) type AgentStates = Arc<RwLock<HashMap<AgentId, AgentState>>>;

/// The way to a company's ACD. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    mailbox: mpsc::Sender<Fact>,
}

impl Desk {
    /// Starts the ACD of a company.
    pub(crate) fn open(
        seed: u64,
        switchboard: Switchboard,
        states: AgentStates,
        tracker: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (mailbox, inbox) = mpsc::channel(MAILBOX);
        let worker = Worker {
            acd: Acd::new(seed),
            switchboard,
            states,
        };
        tracker.spawn(worker.run(inbox, stop));
        Self { mailbox }
    }

    /// Tells the ACD something. Facts of one sender arrive in order.
    pub(crate) async fn tell(&self, fact: Fact) {
        if self.mailbox.send(fact).await.is_err() {
            tracing::debug!("the queue desk is closed; a fact came too late");
        }
    }
}

struct Worker {
    acd: Acd,
    switchboard: Switchboard,
    states: AgentStates,
}

impl Worker {
    async fn run(mut self, mut inbox: mpsc::Receiver<Fact>, stop: CancellationToken) {
        loop {
            let deadline = self.acd.next_deadline();
            let outputs = tokio::select! {
                fact = inbox.recv() => match fact {
                    Some(fact) => self.acd.handle(clock::now(), fact),
                    None => return,
                },
                () = clock::until(deadline) => self.acd.on_time(clock::now()),
                () = stop.cancelled() => return,
            };
            for output in outputs {
                self.carry_out(output);
            }
        }
    }

    fn carry_out(&self, output: Output) {
        match output {
            Output::Offer(offer) => {
                tracing::info!(call.id = offer.call.0, agent.id = offer.agent.0, why = %offer.why, "offer");
                self.switchboard.tell(offer.call, Input::Offered(offer));
            }
            Output::WithdrawOffer {
                offer,
                call,
                reason,
            } => self
                .switchboard
                .tell(call, Input::OfferWithdrawn { offer, reason }),
            Output::NobodyOnline { call, group } => {
                self.switchboard.tell(
                    call,
                    Input::QueueExhausted {
                        group,
                        outcome: model::QueueOutcome::NoAgentsOnline,
                    },
                );
            }
            Output::WrapUpEnded { agent, call } => {
                self.switchboard.tell(call, Input::WrapUpEnded { agent });
            }
            Output::AgentState { agent, state } => {
                tracing::debug!(agent.id = agent.0, ?state, "agent state");
                self.states
                    .write()
                    .expect("no holder panics")
                    .insert(agent, state);
            }
        }
    }
}
