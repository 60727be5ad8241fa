//! What a call needs to know of its company, loaded once and again when it changes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use calls::{acd, call::GroupInfo};
use model::{AgentId, GroupId, TenantId};
use store::{Db, StoreError};

use crate::desk::Desk;

/// A company as its calls see it. Calls in progress keep the one they began with.
pub(crate) struct Company {
    pub(crate) tenant: TenantId,
    pub(crate) desk: Desk,
    pub(crate) groups: Arc<BTreeMap<GroupId, GroupInfo>>,
    usernames: HashMap<AgentId, String>,
}

impl Company {
    /// The name under which an agent's devices register.
    pub(crate) fn username(&self, agent: AgentId) -> Option<String> {
        self.usernames.get(&agent).cloned()
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
        let mut members: HashMap<GroupId, Vec<AgentId>> = HashMap::new();
        for (group, agent) in db.memberships(tenant).await? {
            members.entry(group).or_default().push(agent);
        }
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
            usernames,
        })
    }
}
