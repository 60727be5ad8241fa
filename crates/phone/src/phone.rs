//! The service's handle: starting, stopping and looking at the phone system.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, RwLock},
    time::Duration,
};

use calls::{acd::Fact, call::Input, fraud::Scope};
use media::MediaEngine;
use model::{AgentId, AgentState, Availability, CallId, HangupCause, MonitorMode, TenantId};
use sip::{Binding, SipEvent, SipStack, Transport};
use store::{Db, StoreError, ledger::Ledger};
use tokio::sync::{Mutex, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    audio::AudioPolicy,
    clock,
    company::Company,
    conference::OpenRooms,
    desk::{AgentStates, Desk},
    listener_audio::{self, ListenerSrtp},
    outgoing::{self, NotPlaced, OutgoingSettings, StopView},
    prompts::Prompts,
    quality, reception,
    recordings::Recordings,
    sounds::Sounds,
    switchboard::Switchboard,
    trunks::Trunks,
};
use vault::KeyRing;

/// What the phone system is built from.
pub struct Parts {
    pub db: Db,
    pub ledger: Ledger,
    pub sip: SipStack,
    pub sip_events: mpsc::Receiver<SipEvent>,
    pub media: MediaEngine,
    /// What is allowed of the audio of devices.
    pub audio: AudioPolicy,
    /// Listeners at which audio is encrypted otherwise.
    pub listeners: Vec<ListenerSrtp>,
    pub prompts: Prompts,
    pub recordings: Recordings,
    /// The name of this server in facts.
    pub node: String,
    /// Decides what groups that ring by chance do.
    pub seed: u64,
    /// Seals the passwords of trunks.
    pub keys: Arc<KeyRing>,
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
    pub(crate) audio: AudioPolicy,
    listeners: Vec<ListenerSrtp>,
    pub(crate) prompts: Prompts,
    pub(crate) recordings: Recordings,
    pub(crate) switchboard: Switchboard,
    pub(crate) trunks: Arc<Trunks>,
    pub(crate) rooms: OpenRooms,
    pub(crate) node: String,
    companies: RwLock<HashMap<TenantId, Arc<Company>>>,
    /// Held while a company is loaded, so that no two desks open for one.
    loading: Mutex<()>,
    /// How often each company has been said to have changed.
    changes: std::sync::Mutex<HashMap<TenantId, u64>>,
    states: AgentStates,
    /// Calls that run.
    pub(crate) calls: TaskTracker,
    desks: TaskTracker,
    stop: CancellationToken,
    seed: u64,
}

impl Shared {
    /// The company, loaded when it is met first.
    pub(crate) async fn company(&self, tenant: TenantId) -> Result<Arc<Company>, StoreError> {
        match self.known(tenant) {
            Some(company) => Ok(company),
            None => self.load(tenant, self.changes_of(tenant)).await,
        }
    }

    /// The company as it is after a change that is in the database by now.
    async fn changed(&self, tenant: TenantId) -> Result<Arc<Company>, StoreError> {
        let change = {
            let mut changes = self.changes.lock().expect("no holder panics");
            let count = changes.entry(tenant).or_default();
            *count += 1;
            *count
        };
        self.load(tenant, change).await
    }

    fn changes_of(&self, tenant: TenantId) -> u64 {
        let changes = self.changes.lock().expect("no holder panics");
        changes.get(&tenant).copied().unwrap_or_default()
    }

    /// What is allowed of the audio of who calls at a listener.
    pub(crate) fn audio_at(&self, listener: (Transport, SocketAddr)) -> AudioPolicy {
        listener_audio::at(self.audio, &self.listeners, listener)
    }

    /// What is allowed of the audio of devices that ring together.
    pub(crate) fn audio_towards(&self, bindings: &[Binding]) -> AudioPolicy {
        listener_audio::towards(self.audio, &self.listeners, bindings)
    }

    /// Whether an agent talks, or is about to.
    pub(crate) fn agent_in_call(&self, agent: AgentId) -> bool {
        let states = self.states.read().expect("no holder panics");
        matches!(
            states.get(&agent),
            Some(AgentState::OnCall | AgentState::Ringing)
        )
    }

    fn known(&self, tenant: TenantId) -> Option<Arc<Company>> {
        self.companies
            .read()
            .expect("no holder panics")
            .get(&tenant)
            .cloned()
    }

    /// The company, with at least so many of its changes. Of many that come at once, as when agents are brought in by the
    /// hundred, one reading shows all.
    async fn load(&self, tenant: TenantId, with: u64) -> Result<Arc<Company>, StoreError> {
        let _one_at_a_time = self.loading.lock().await;
        let before = self.known(tenant);
        if let Some(company) = before.as_ref().filter(|company| company.changes >= with) {
            return Ok(Arc::clone(company));
        }
        let changes = self.changes_of(tenant);
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
        let mut company =
            Company::load(&self.db, tenant, desk, before.as_deref(), registered).await?;
        company.changes = changes;
        let company = Arc::new(company);
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
        let (calls, desks) = (TaskTracker::new(), TaskTracker::new());
        let trunks = Trunks::open(parts.db.clone(), parts.keys, parts.sip.clone()).await?;
        let shared = Arc::new(Shared {
            db: parts.db,
            trunks,
            ledger: parts.ledger,
            sip: parts.sip,
            media: parts.media,
            audio: parts.audio,
            listeners: parts.listeners,
            prompts: parts.prompts,
            recordings: parts.recordings,
            switchboard: Switchboard::default(),
            rooms: OpenRooms::default(),
            node: parts.node,
            companies: RwLock::default(),
            loading: Mutex::new(()),
            changes: std::sync::Mutex::default(),
            states: AgentStates::default(),
            calls: calls.clone(),
            desks: desks.clone(),
            stop: stop.clone(),
            seed: parts.seed,
        });
        for tenant in shared.db.tenants().await? {
            shared.company(tenant.id).await?;
        }
        let phone = Self {
            shared,
            calls,
            desks,
            stop,
        };
        phone.desks.spawn(phone.clone().receive(parts.sip_events));
        let recordings = phone.shared.recordings.clone();
        phone.desks.spawn(recordings.keep(phone.stop.clone()));
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
                    self.shared.trunks.changed(&key, &status).await;
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
                    self.shared.prompts.prepare(tenant.id, &flow).await;
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

    /// How late audio has been lately, in words for the operator.
    #[must_use]
    pub fn punctuality(&self) -> String {
        quality::punctuality(&self.shared.media.health())
    }

    /// Whether audio has been so late lately that it is heard.
    #[must_use]
    pub fn is_late(&self) -> bool {
        quality::is_late(&self.shared.media.health())
    }

    pub(crate) fn open_rooms(&self) -> &OpenRooms {
        &self.shared.rooms
    }

    pub(crate) fn sip(&self) -> &SipStack {
        &self.shared.sip
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
        self.shared.changed(tenant).await.map(drop)
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

    /// The carriers of this installation.
    #[must_use]
    pub fn trunks(&self) -> &Arc<Trunks> {
        &self.shared.trunks
    }

    /// What a company set for its outgoing calls.
    ///
    /// # Errors
    /// When the company can't be read.
    pub async fn outgoing_settings(
        &self,
        tenant: TenantId,
    ) -> Result<OutgoingSettings, StoreError> {
        Ok(self.shared.company(tenant).await?.outgoing.clone())
    }

    /// Sets it, for calls that begin from now on.
    ///
    /// # Errors
    /// When it can't be stored; then what was set holds.
    pub async fn set_outgoing_settings(
        &self,
        tenant: TenantId,
        settings: &OutgoingSettings,
    ) -> Result<(), StoreError> {
        let value = serde_json::to_value(settings).unwrap_or_default();
        self.shared
            .db
            .save_outgoing_settings(tenant, &value)
            .await?;
        self.directory_changed(tenant).await
    }

    /// Whose outgoing calls are stopped, in one company or in all.
    ///
    /// # Errors
    /// When a company can't be read.
    pub async fn stops(&self, tenant: Option<TenantId>) -> Result<Vec<StopView>, StoreError> {
        let tenants = match tenant {
            Some(tenant) => vec![tenant],
            None => {
                let all = self.shared.db.tenants().await?;
                all.into_iter().map(|tenant| tenant.id).collect()
            }
        };
        let mut stops = Vec::new();
        for tenant in tenants {
            let company = self.shared.company(tenant).await?;
            let held = outgoing::lock(&company.guard).stops();
            stops.extend(held.into_iter().map(|stop| {
                let agent = match stop.scope {
                    Scope::Agent(agent) => Some(agent),
                    Scope::Company => None,
                };
                StopView {
                    tenant,
                    agent,
                    agent_name: agent.map(|agent| company.agent_name(agent)),
                    reason: stop.reason,
                    at: stop.at,
                }
            }));
        }
        Ok(stops)
    }

    /// Lets an agent, or a whole company, call out again; `false` when nobody had stopped it.
    ///
    /// # Errors
    /// When it can't be stored; then the stop holds.
    pub async fn release(
        &self,
        tenant: TenantId,
        agent: Option<AgentId>,
        by: &str,
    ) -> Result<bool, StoreError> {
        let company = self.shared.company(tenant).await?;
        self.shared
            .db
            .release_outgoing_stops(tenant, agent, by, clock::now())
            .await?;
        let scope = agent.map_or(Scope::Company, Scope::Agent);
        let released = outgoing::lock(&company.guard).release(scope);
        if released {
            tracing::warn!(tenant.id = tenant.0, agent.id = ?agent.map(|agent| agent.0), by, "outgoing calls are released");
        }
        Ok(released)
    }

    /// Rings an agent's phone, then whom he wants to talk to. Gives back once his phone is about to ring.
    ///
    /// # Errors
    /// Why the call was not begun.
    pub async fn click_to_call(
        &self,
        tenant: TenantId,
        agent: AgentId,
        number: &str,
    ) -> Result<CallId, NotPlaced> {
        let failed = |error: StoreError| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a call could not be prepared"
            );
            NotPlaced::Failed
        };
        let known = self.shared.db.agent(tenant, agent).await.map_err(failed)?;
        let agent = known
            .filter(|agent| agent.deleted_at.is_none())
            .ok_or(NotPlaced::UnknownAgent)?;
        let company = self.shared.company(tenant).await.map_err(failed)?;
        let shared = Arc::clone(&self.shared);
        let (call, run) =
            outgoing::click_to_call(shared, company, agent, number.to_owned()).await?;
        self.calls.spawn(run);
        Ok(call)
    }

    pub(crate) fn db(&self) -> &Db {
        &self.shared.db
    }

    /// Switches the recording of a running call on or off, as whoever has the right to asks. `false` when no such
    /// call is up, or it is no conversation.
    #[must_use]
    pub fn switch_recording(&self, tenant: TenantId, call: CallId, on: bool) -> bool {
        let input = Input::SwitchRecording { on };
        self.shared.switchboard.tell_of(tenant, call, input)
    }

    /// Lets a supervisor take part in a running conversation: his phone is rung. Again while he does changes how.
    /// `false` when no such call is up.
    #[must_use]
    pub fn monitor(
        &self,
        tenant: TenantId,
        call: CallId,
        supervisor: AgentId,
        mode: MonitorMode,
    ) -> bool {
        let input = Input::Monitor {
            agent: supervisor,
            mode,
        };
        self.shared.switchboard.tell_of(tenant, call, input)
    }

    /// Whether an agent may switch recording in his conversations.
    ///
    /// # Errors
    /// When the company can't be read.
    pub async fn may_switch_recording(
        &self,
        tenant: TenantId,
        agent: AgentId,
    ) -> Result<bool, StoreError> {
        let company = self.shared.company(tenant).await?;
        Ok(company.recording(None).may_switch(agent))
    }

    /// The sounds that companies uploaded.
    #[must_use]
    pub fn sounds(&self) -> &Sounds {
        self.shared.prompts.sounds()
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
    pub fn calls_of(&self, tenant: TenantId) -> Vec<CallId> {
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
    pub sounds: PathBuf,
}

impl Folders {
    /// The folders of an installation.
    #[must_use]
    pub fn below(data: &std::path::Path) -> Self {
        Self {
            recordings: data.join("recordings"),
            speech: data.join("cache").join("speech"),
            sounds: data.join("sounds"),
        }
    }
}
