//! The service's handle: starting, stopping and looking at the phone system.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, RwLock},
    time::Duration,
};

use calls::{acd::Fact, call::Input};
use media::MediaEngine;
use model::{AgentId, AgentState, Availability, HangupCause, TenantId};
use sip::{SipEvent, SipStack};
use store::{Db, StoreError, ledger::Ledger};
use tokio::sync::{Mutex, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock,
    company::Company,
    desk::{AgentStates, Desk},
    prompts::Prompts,
    reception,
    recordings::Recordings,
    switchboard::Switchboard,
};

/// What the phone system is built from.
pub struct Parts {
    pub db: Db,
    pub ledger: Ledger,
    pub sip: SipStack,
    pub sip_events: mpsc::Receiver<SipEvent>,
    pub media: MediaEngine,
    pub prompts: Prompts,
    pub recordings: Recordings,
    /// The name of this server in facts.
    pub node: String,
    /// Decides what groups that ring by chance do.
    pub seed: u64,
}

/// The phone system. Cheap to clone.
#[derive(Clone)]
pub struct Phone {
    shared: Arc<Shared>,
    calls: TaskTracker,
    desks: TaskTracker,
    stop: CancellationToken,
}

/// What every call needs.
pub(crate) struct Shared {
    pub(crate) db: Db,
    pub(crate) ledger: Ledger,
    pub(crate) sip: SipStack,
    pub(crate) media: MediaEngine,
    pub(crate) prompts: Prompts,
    pub(crate) recordings: Recordings,
    pub(crate) switchboard: Switchboard,
    pub(crate) node: String,
    companies: RwLock<HashMap<TenantId, Arc<Company>>>,
    /// Held while a company is loaded, so that no two desks open for one.
    loading: Mutex<()>,
    states: AgentStates,
    desks: TaskTracker,
    stop: CancellationToken,
    seed: u64,
}

impl Shared {
    /// The company, loaded when it is met first.
    pub(crate) async fn company(&self, tenant: TenantId) -> Result<Arc<Company>, StoreError> {
        match self.known(tenant) {
            Some(company) => Ok(company),
            None => self.load(tenant, false).await,
        }
    }

    fn known(&self, tenant: TenantId) -> Option<Arc<Company>> {
        self.companies
            .read()
            .expect("no holder panics")
            .get(&tenant)
            .cloned()
    }

    async fn load(&self, tenant: TenantId, again: bool) -> Result<Arc<Company>, StoreError> {
        let _one_at_a_time = self.loading.lock().await;
        let before = self.known(tenant);
        if let (Some(company), false) = (&before, again) {
            return Ok(Arc::clone(company));
        }
        let desk = match &before {
            Some(company) => company.desk.clone(),
            None => {
                let seed = self.seed ^ tenant.0.unsigned_abs();
                Desk::open(
                    seed,
                    self.switchboard.clone(),
                    Arc::clone(&self.states),
                    &self.desks,
                    self.stop.clone(),
                )
            }
        };
        let registered =
            |username: &str| u32::try_from(self.sip.bindings(username).len()).unwrap_or(u32::MAX);
        let company =
            Arc::new(Company::load(&self.db, tenant, desk, before.as_deref(), registered).await?);
        self.companies
            .write()
            .expect("no holder panics")
            .insert(tenant, Arc::clone(&company));
        Ok(company)
    }

    async fn devices_changed(&self, username: &str, bindings: usize) {
        let agent = match self.db.agent_by_sip_username(username).await {
            Ok(Some((agent, _))) => agent,
            Ok(None) => return,
            Err(error) => {
                return tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a device's agent could not be looked up"
                );
            }
        };
        match self.company(agent.tenant).await {
            Ok(company) => {
                let registered = u32::try_from(bindings).unwrap_or(u32::MAX);
                tracing::info!(agent.id = agent.id.0, registered, "devices changed");
                company
                    .desk
                    .tell(Fact::DevicesChanged {
                        agent: agent.id,
                        registered,
                    })
                    .await;
            }
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "a company could not be loaded"
            ),
        }
    }
}

impl Phone {
    /// Starts taking calls.
    ///
    /// # Errors
    /// When the companies can't be loaded.
    pub async fn start(parts: Parts) -> Result<Self, StoreError> {
        let stop = CancellationToken::new();
        let desks = TaskTracker::new();
        let shared = Arc::new(Shared {
            db: parts.db,
            ledger: parts.ledger,
            sip: parts.sip,
            media: parts.media,
            prompts: parts.prompts,
            recordings: parts.recordings,
            switchboard: Switchboard::default(),
            node: parts.node,
            companies: RwLock::default(),
            loading: Mutex::new(()),
            states: AgentStates::default(),
            desks: desks.clone(),
            stop: stop.clone(),
            seed: parts.seed,
        });
        for tenant in shared.db.tenants().await? {
            shared.company(tenant.id).await?;
        }
        let phone = Self {
            shared,
            calls: TaskTracker::new(),
            desks,
            stop,
        };
        phone.desks.spawn(phone.clone().receive(parts.sip_events));
        Ok(phone)
    }

    async fn receive(self, mut events: mpsc::Receiver<SipEvent>) {
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = self.stop.cancelled() => return,
            };
            match event {
                Some(SipEvent::Incoming(incoming)) => {
                    self.calls
                        .spawn(reception::receive(Arc::clone(&self.shared), *incoming));
                }
                Some(
                    SipEvent::Registered { username, bindings }
                    | SipEvent::Unregistered { username, bindings },
                ) => {
                    self.shared.devices_changed(&username, bindings).await;
                }
                Some(SipEvent::TrunkChanged { key, status }) => {
                    tracing::info!(trunk.key = %key, ?status, "trunk changed");
                }
                None => return,
            }
        }
    }

    /// Speaks the prompts of all flows once, so that no caller waits for speech.
    pub async fn prepare_prompts(&self) {
        let tenants = self.shared.db.tenants().await.unwrap_or_default();
        for tenant in tenants {
            for flow in self.shared.db.flows(tenant.id).await.unwrap_or_default() {
                if let Ok(flow) = serde_json::from_value(flow.flow) {
                    self.shared.prompts.prepare(&flow).await;
                }
            }
        }
    }

    /// What an agent does right now.
    #[must_use]
    pub fn agent_state(&self, agent: AgentId) -> Option<AgentState> {
        self.shared
            .states
            .read()
            .expect("no holder panics")
            .get(&agent)
            .copied()
    }

    /// How many devices an agent has registered.
    #[must_use]
    pub fn devices(&self, username: &str) -> usize {
        self.shared.sip.bindings(username).len()
    }

    /// Agents, groups or memberships of a company changed: its queues learn of it before this returns.
    ///
    /// # Errors
    /// When the company can't be read; the queues go on with what they knew.
    pub async fn directory_changed(&self, tenant: TenantId) -> Result<(), StoreError> {
        self.shared.load(tenant, true).await.map(drop)
    }

    /// Turns an agent's status switch.
    ///
    /// # Errors
    /// When it can't be stored; then it isn't turned.
    pub async fn set_availability(
        &self,
        tenant: TenantId,
        agent: AgentId,
        to: Availability,
    ) -> Result<bool, StoreError> {
        let known = self.shared.db.set_availability(tenant, agent, to).await?;
        if known {
            let company = self.shared.company(tenant).await?;
            company
                .desk
                .tell(Fact::AvailabilityChanged {
                    agent,
                    availability: to,
                })
                .await;
        }
        Ok(known)
    }

    /// The recordings of this server.
    #[must_use]
    pub fn recordings(&self) -> &Recordings {
        &self.shared.recordings
    }

    /// The ledger, for those who listen to facts.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// How many calls are up.
    #[must_use]
    pub fn running_calls(&self) -> usize {
        self.shared.switchboard.len()
    }

    /// The calls of a company that are up.
    #[must_use]
    pub fn calls_of(&self, tenant: TenantId) -> Vec<model::CallId> {
        self.shared.switchboard.of(tenant)
    }

    /// Takes no new calls and lets the running ones end by themselves; how many are still up at the limit.
    /// Phones go on registering.
    pub async fn drain(&self, limit: Duration) -> usize {
        self.shared.sip.refuse_calls();
        self.calls.close();
        let _ = tokio::time::timeout(limit, self.calls.wait()).await;
        self.running_calls()
    }

    /// Ends every call with its facts stored, then signalling and audio, all within the limit.
    pub async fn shutdown(&self, limit: Duration) {
        let begun = clock::now();
        self.shared.switchboard.tell_all(&Input::End {
            cause: HangupCause::OperatorEnded,
        });
        self.calls.close();
        if tokio::time::timeout(limit, self.calls.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                calls = self.running_calls(),
                "calls did not end in time; the next start closes them"
            );
        }
        self.shared.sip.shutdown(Duration::from_secs(2)).await;
        self.stop.cancel();
        self.desks.close();
        self.desks.wait().await;
        // Waits for threads and the disk.
        let media = self.shared.media.clone();
        if tokio::task::spawn_blocking(move || media.shutdown())
            .await
            .is_err()
        {
            tracing::error!("the audio threads did not end in order");
        }
        tracing::info!(
            took_ms = clock::now().as_millisecond() - begun.as_millisecond(),
            "the phone system has stopped"
        );
    }
}

/// Where the phone system keeps its files below the data folder.
#[derive(Clone, Debug)]
pub struct Folders {
    pub recordings: PathBuf,
    pub speech: PathBuf,
}

impl Folders {
    /// The folders of an installation.
    #[must_use]
    pub fn below(data: &std::path::Path) -> Self {
        Self {
            recordings: data.join("recordings"),
            speech: data.join("cache").join("speech"),
        }
    }
}
