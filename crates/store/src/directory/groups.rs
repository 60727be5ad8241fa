//! Groups and who is in them.

use model::{AgentId, GroupId, RingStrategy, TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};

use super::{
    Listed, Page,
    entity::{group, member},
    page::list,
    words::{strategy, strategy_text},
};
use crate::{Db, StoreError, from_ms, to_ms};

/// A team behind one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub id: GroupId,
    pub tenant: TenantId,
    pub internal_name: String,
    pub extension: Option<u16>,
    pub strategy: RingStrategy,
    /// How long one agent's phone rings.
    pub ring_seconds: u32,
    /// Instead of each agent's own wrap-up time.
    pub wrap_up_seconds: Option<u32>,
    /// Idle agents are rung too.
    pub rings_idle: bool,
    pub created_at: Timestamp,
}

/// A group to be.
#[derive(Clone, Debug)]
pub struct NewGroup {
    pub internal_name: String,
    pub extension: Option<u16>,
    pub strategy: RingStrategy,
    pub ring_seconds: u32,
    pub wrap_up_seconds: Option<u32>,
    pub rings_idle: bool,
}

/// Which groups to list.
#[derive(Clone, Debug, Default)]
pub struct GroupFilter {
    pub id: Option<GroupId>,
}

impl From<group::Model> for Group {
    fn from(row: group::Model) -> Self {
        let whole = |value: i32| u32::try_from(value).unwrap_or_default();
        Self {
            id: GroupId(row.id),
            tenant: TenantId(row.tenant_id),
            internal_name: row.internal_name,
            extension: row
                .extension
                .and_then(|extension| u16::try_from(extension).ok()),
            strategy: strategy(&row.strategy),
            ring_seconds: whole(row.ring_seconds),
            wrap_up_seconds: row.wrap_up_seconds.map(whole),
            rings_idle: row.rings_idle,
            created_at: from_ms(row.created_at),
        }
    }
}

fn fields(new: NewGroup) -> group::ActiveModel {
    let whole = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    group::ActiveModel {
        internal_name: Set(new.internal_name),
        extension: Set(new.extension.map(i32::from)),
        strategy: Set(strategy_text(new.strategy).to_owned()),
        ring_seconds: Set(whole(new.ring_seconds)),
        wrap_up_seconds: Set(new.wrap_up_seconds.map(whole)),
        rings_idle: Set(new.rings_idle),
        ..Default::default()
    }
}

impl Db {
    /// One page of a company's groups, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn groups(
        &self,
        tenant: TenantId,
        filter: &GroupFilter,
        page: Page,
    ) -> Result<Listed<Group>, StoreError> {
        let mut select = group::Entity::find()
            .filter(group::Column::TenantId.eq(tenant.0))
            .order_by_asc(group::Column::Id);
        if let Some(id) = filter.id {
            select = select.filter(group::Column::Id.eq(id.0));
        }
        Ok(list(&self.conn, select, page).await?.map(Into::into))
    }

    /// All groups of a company, for the queues.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn groups_of(&self, tenant: TenantId) -> Result<Vec<Group>, StoreError> {
        Ok(self
            .groups(tenant, &GroupFilter::default(), Page::ALL)
            .await?
            .rows)
    }

    /// The group with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn group(&self, tenant: TenantId, id: GroupId) -> Result<Option<Group>, StoreError> {
        let row = group::Entity::find_by_id(id.0)
            .filter(group::Column::TenantId.eq(tenant.0))
            .one(&self.conn)
            .await?;
        Ok(row.map(Into::into))
    }

    /// Adds a group.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_group(
        &self,
        tenant: TenantId,
        new: NewGroup,
        now: Timestamp,
    ) -> Result<GroupId, StoreError> {
        let row = group::ActiveModel {
            tenant_id: Set(tenant.0),
            created_at: Set(to_ms(now)),
            ..fields(new)
        };
        Ok(GroupId(row.insert(&self.conn).await?.id))
    }

    /// Replaces a group's settings; `false` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn edit_group(
        &self,
        tenant: TenantId,
        id: GroupId,
        new: NewGroup,
    ) -> Result<bool, StoreError> {
        let changed = group::Entity::update_many()
            .set(fields(new))
            .filter(group::Column::TenantId.eq(tenant.0))
            .filter(group::Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(changed.rows_affected > 0)
    }

    /// Removes a group and its memberships.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_group(&self, tenant: TenantId, id: GroupId) -> Result<bool, StoreError> {
        let gone = group::Entity::delete_many()
            .filter(group::Column::TenantId.eq(tenant.0))
            .filter(group::Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(gone.rows_affected > 0)
    }

    /// Puts an agent into a group. Doing it twice is doing it once. Both must be the company's: ask
    /// [`Db::group`] and [`Db::agent`] first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_member(
        &self,
        tenant: TenantId,
        group: GroupId,
        agent: AgentId,
    ) -> Result<(), StoreError> {
        let row = member::ActiveModel {
            group_id: Set(group.0),
            agent_id: Set(agent.0),
            tenant_id: Set(tenant.0),
        };
        member::Entity::insert(row)
            .on_conflict_do_nothing()
            .exec_without_returning(&self.conn)
            .await?;
        Ok(())
    }

    /// Takes an agent out of a group; `false` when he was not in it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_member(
        &self,
        tenant: TenantId,
        group: GroupId,
        agent: AgentId,
    ) -> Result<bool, StoreError> {
        let gone = member::Entity::delete_many()
            .filter(member::Column::TenantId.eq(tenant.0))
            .filter(member::Column::GroupId.eq(group.0))
            .filter(member::Column::AgentId.eq(agent.0))
            .exec(&self.conn)
            .await?;
        Ok(gone.rows_affected > 0)
    }

    /// Who is in which group of a company, by group and agent.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn memberships(
        &self,
        tenant: TenantId,
    ) -> Result<Vec<(GroupId, AgentId)>, StoreError> {
        let rows = member::Entity::find()
            .filter(member::Column::TenantId.eq(tenant.0))
            .order_by_asc(member::Column::GroupId)
            .order_by_asc(member::Column::AgentId)
            .all(&self.conn)
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| (GroupId(row.group_id), AgentId(row.agent_id)))
            .collect())
    }
}
