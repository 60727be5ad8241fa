//! What a call needs to know of its company, loaded once and again when it changes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use calls::{
    acd,
    call::GroupInfo,
    fraud::{Guard, Past, Scope, Stop},
    recording::{AgentRules, Policy, Switches},
    routing::{DialPlan, Extension},
};
use jiff::tz::TimeZone;
use model::{AgentId, GroupId, NumberId, PauseMode, PhoneNumber, TenantId};
use store::{
    Db, StoreError,
    directory::{NumberFilter, Page},
    recordings::RecordingSettings,
};

use crate::{
    clock, conference::CompanyRooms, desk::Desk, outgoing::OutgoingSettings, trunks::midnight,
};

/// A company as its calls see it. Calls in progress keep the one they began with.
pub(crate) struct Company {
    pub(crate) tenant: TenantId,
    pub(crate) desk: Desk,
    pub(crate) groups: Arc<BTreeMap<GroupId, GroupInfo>>,
    pub(crate) rooms: CompanyRooms,
    /// What its phones can dial.
    pub(crate) dial_plan: DialPlan,
    pub(crate) outgoing: OutgoingSettings,
    pub(crate) zone: TimeZone,
    /// The watch over its outgoing calls, the same for as long as the server runs.
    pub(crate) guard: Arc<Mutex<Guard>>,
    usernames: HashMap<AgentId, String>,
    names: HashMap<AgentId, String>,
    memberships: Vec<(GroupId, AgentId)>,
    recording: RecordingSettings,
    /// How many of its changes it shows.
    pub(crate) changes: u64,
}

impl Company {
    /// The name under which an agent's devices register.
    pub(crate) fn username(&self, agent: AgentId) -> Option<String> {
        self.usernames.get(&agent).cloned()
    }

    /// An agent's name, for facts.
    pub(crate) fn agent_name(&self, agent: AgentId) -> String {
        self.names.get(&agent).cloned().unwrap_or_default()
    }

    /// The agent whose devices register under a name.
    pub(crate) fn agent_named(&self, username: &str) -> Option<AgentId> {
        let mut all = self.usernames.iter();
        all.find(|(_, name)| name.as_str() == username)
            .map(|(agent, _)| *agent)
    }

    /// The groups an agent is in.
    pub(crate) fn groups_of(&self, agent: AgentId) -> Vec<GroupId> {
        let mine = self.memberships.iter().filter(|(_, who)| *who == agent);
        mine.map(|(group, _)| *group).collect()
    }

    /// The agents of a group.
    pub(crate) fn members_of(&self, group: GroupId) -> Vec<AgentId> {
        let members = self.memberships.iter().filter(|(of, _)| *of == group);
        members.map(|(_, agent)| *agent).collect()
    }

    /// Whether a number is of the company's own country.
    pub(crate) fn is_home(&self, number: &PhoneNumber) -> bool {
        number
            .country()
            .is_some_and(|country| country == self.dial_plan.country)
    }

    /// What decides about recordings of calls with one of its numbers.
    pub(crate) fn recording(&self, number: Option<NumberId>) -> Policy {
        let set = &self.recording;
        let agents = set.agents.iter().map(|(agent, rules)| {
            let rules = AgentRules {
                record: rules.record,
                may_switch: rules.may_switch,
            };
            (*agent, rules)
        });
        Policy {
            company: Switches {
                incoming: set.incoming,
                outgoing: set.outgoing,
                internal: set.internal,
            },
            number: number.and_then(|number| set.numbers.get(&number).copied()),
            agents: agents.collect(),
            agents_may_switch: set.agents_may_switch,
        }
    }

    /// What becomes of the time while recording is off.
    pub(crate) fn pause_mode(&self) -> PauseMode {
        self.recording.pause_mode
    }

    /// Reads a company and tells its desk what is new, changed and gone: agents, then their devices, then groups,
    /// so that nobody waits for a group whose agents are not known yet. `registered` counts a username's devices.
    pub(crate) async fn load(
        db: &Db,
        tenant: TenantId,
        desk: Desk,
        before: Option<&Company>,
        registered: impl Fn(&str) -> u32,
    ) -> Result<Self, StoreError> {
        let agents = db.agents_of(tenant).await?;
        let groups = db.groups_of(tenant).await?;
        let recording = db.recording_settings(tenant).await?;
        let mut members: HashMap<GroupId, Vec<AgentId>> = HashMap::new();
        let memberships = db.memberships(tenant).await?;
        for (group, agent) in &memberships {
            members.entry(*group).or_default().push(*agent);
        }
        let (dial_plan, zone) = dial_plan(db, tenant, &agents, &groups).await?;
        let rooms = CompanyRooms::load(db, tenant).await?;
        let outgoing = outgoing_settings(db, tenant).await?;
        let guard = match before {
            Some(before) => {
                crate::outgoing::lock(&before.guard)
                    .set_rules(outgoing.fraud.clone(), zone.clone());
                Arc::clone(&before.guard)
            }
            None => Arc::new(Mutex::new(watch(db, tenant, &outgoing, &zone).await?)),
        };
        for agent in &agents {
            let settings = acd::Agent {
                id: agent.id,
                name: agent.full_name(),
                availability: agent.availability,
                wrap_up_seconds: agent.wrap_up_seconds,
            };
            desk.tell(acd::Fact::AgentSet(settings)).await;
            desk.tell(acd::Fact::DevicesChanged {
                agent: agent.id,
                registered: registered(&agent.sip_username),
            })
            .await;
        }
        for group in &groups {
            let settings = acd::Group {
                id: group.id,
                name: group.internal_name.clone(),
                strategy: group.strategy,
                ring_seconds: group.ring_seconds,
                wrap_up_seconds: group.wrap_up_seconds,
                rings_idle: group.rings_idle,
                members: members.remove(&group.id).unwrap_or_default(),
            };
            desk.tell(acd::Fact::GroupSet(settings)).await;
        }
        let infos: BTreeMap<_, _> = groups
            .into_iter()
            .map(|group| {
                (
                    group.id,
                    GroupInfo {
                        name: group.internal_name,
                        strategy: group.strategy,
                    },
                )
            })
            .collect();
        let names = agents
            .iter()
            .map(|agent| (agent.id, agent.full_name()))
            .collect();
        let usernames: HashMap<_, _> = agents
            .into_iter()
            .map(|agent| (agent.id, agent.sip_username))
            .collect();
        if let Some(before) = before {
            for agent in before
                .usernames
                .keys()
                .filter(|agent| !usernames.contains_key(agent))
            {
                desk.tell(acd::Fact::AgentRemoved(*agent)).await;
            }
            for group in before
                .groups
                .keys()
                .filter(|group| !infos.contains_key(group))
            {
                desk.tell(acd::Fact::GroupRemoved(*group)).await;
            }
        }
        Ok(Self {
            tenant,
            desk,
            groups: Arc::new(infos),
            rooms,
            dial_plan,
            outgoing,
            zone,
            guard,
            usernames,
            names,
            memberships,
            recording,
            changes: 0,
        })
    }
}

async fn dial_plan(
    db: &Db,
    tenant: TenantId,
    agents: &[store::directory::Agent],
    groups: &[store::directory::Group],
) -> Result<(DialPlan, TimeZone), StoreError> {
    let company = db.tenant(tenant).await?;
    let zone = company
        .as_ref()
        .and_then(|company| TimeZone::get(&company.time_zone).ok())
        .unwrap_or(TimeZone::UTC);
    let of_groups = groups.iter().filter_map(|group| {
        let extension = group.extension?;
        Some((extension, Extension::Group(group.id)))
    });
    let of_agents = agents
        .iter()
        .map(|agent| (agent.extension, Extension::Agent(agent.id)));
    let numbers = db
        .numbers(tenant, &NumberFilter::default(), Page::ALL)
        .await?;
    let numbers = numbers
        .rows
        .into_iter()
        .filter_map(|number| Some((PhoneNumber::parse(&number.e164).ok()?, number.id)));
    let plan = DialPlan {
        country: company.map_or_else(String::new, |company| company.country_code),
        extensions: of_groups.chain(of_agents).collect(),
        numbers: numbers.collect(),
    };
    Ok((plan, zone))
}

async fn outgoing_settings(db: &Db, tenant: TenantId) -> Result<OutgoingSettings, StoreError> {
    let Some(stored) = db.outgoing_settings(tenant).await? else {
        return Ok(OutgoingSettings::default());
    };
    Ok(serde_json::from_value(stored).unwrap_or_else(|error| {
        tracing::error!(%error, tenant.id = tenant.0, "the settings of outgoing calls can't be read; the defaults hold");
        OutgoingSettings::default()
    }))
}

/// The watch over outgoing calls, as if it had run since midnight.
async fn watch(
    db: &Db,
    tenant: TenantId,
    outgoing: &OutgoingSettings,
    zone: &TimeZone,
) -> Result<Guard, StoreError> {
    let now = clock::now();
    let calls = db
        .outgoing_calls_since(tenant, midnight(zone, now))
        .await?
        .into_iter()
        .map(|call| Past {
            agent: call.agent,
            started_at: call.started_at,
            talked_ms: call.talking_ms,
            cost_micros: call.cost_micros,
        });
    let stops = db
        .outgoing_stops(tenant)
        .await?
        .into_iter()
        .map(|stop| Stop {
            scope: stop.agent.map_or(Scope::Company, Scope::Agent),
            reason: stop.reason,
            at: stop.at,
        });
    let mut guard = Guard::new(outgoing.fraud.clone(), zone.clone());
    guard.remember(now, &calls.collect::<Vec<_>>(), stops.collect());
    Ok(guard)
}
