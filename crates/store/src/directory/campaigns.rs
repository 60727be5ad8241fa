//! Outbound campaigns: who is called (by tag), by whom, and how a call can end.

use std::collections::HashMap;

use model::{AgentId, GroupId, NumberId, TagId, TenantId, Timestamp};
use sea_orm::{
    ActiveValue::Set, DatabaseTransaction, QueryOrder, TransactionTrait, entity::prelude::*,
};
use serde::{Deserialize, Serialize};

use super::{
    ButtonKind, CampaignId, Listed, Page,
    entity::{campaign, campaign_agent, campaign_button, campaign_group, campaign_tag},
    page::list,
};
use crate::{Db, StoreError, to_ms};

/// How a campaign dials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CampaignSettings {
    /// `YYYY-MM-DD`, in company time.
    pub start_date: Option<String>,
    /// `HH:MM:SS`.
    pub start_time: Option<String>,
    pub answer_wait_seconds: u32,
    pub dials_next_by_itself: bool,
    pub after_call_seconds: u32,
    pub is_recording: bool,
    pub is_predictive: bool,
    pub number: Option<NumberId>,
    pub attempts: u32,
    pub attempts_interval_hours: u32,
}

impl Default for CampaignSettings {
    fn default() -> Self {
        Self {
            start_date: None,
            start_time: None,
            answer_wait_seconds: 45,
            dials_next_by_itself: false,
            after_call_seconds: 5,
            is_recording: false,
            is_predictive: false,
            number: None,
            attempts: 1,
            attempts_interval_hours: 18,
        }
    }
}

/// One way a campaign call can end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignButton {
    /// 0 for a button to be.
    pub id: i64,
    pub title: String,
    pub kind: ButtonKind,
    pub color: String,
    pub description: String,
}

/// A campaign. Tags, agents and groups must be the company's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    pub id: CampaignId,
    pub name: String,
    pub active: bool,
    pub settings: CampaignSettings,
    pub buttons: Vec<CampaignButton>,
    pub tags: Vec<TagId>,
    pub agents: Vec<AgentId>,
    pub groups: Vec<GroupId>,
}

/// A campaign to be.
#[derive(Clone, Debug, Default)]
pub struct NewCampaign {
    pub name: String,
    pub active: bool,
    pub settings: CampaignSettings,
    pub buttons: Vec<CampaignButton>,
    pub tags: Vec<TagId>,
    pub agents: Vec<AgentId>,
    pub groups: Vec<GroupId>,
}

impl Db {
    /// One page of a company's campaigns, by id.
    ///
    /// # Errors
    /// When the database fails or stored settings are unreadable.
    pub async fn campaigns(
        &self,
        tenant: TenantId,
        id: Option<CampaignId>,
        page: Page,
    ) -> Result<Listed<Campaign>, StoreError> {
        let mut select = campaign::Entity::find()
            .filter(campaign::Column::TenantId.eq(tenant.0))
            .order_by_asc(campaign::Column::Id);
        if let Some(id) = id {
            select = select.filter(campaign::Column::Id.eq(id.0));
        }
        let page = list(&self.conn, select, page).await?;
        Ok(Listed {
            total: page.total,
            rows: self.with_links(page.rows).await?,
        })
    }

    /// Adds a campaign.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_campaign(
        &self,
        tenant: TenantId,
        new: NewCampaign,
        now: Timestamp,
    ) -> Result<CampaignId, StoreError> {
        let transaction = self.conn.begin().await?;
        let row = campaign::ActiveModel {
            tenant_id: Set(tenant.0),
            name: Set(new.name.clone()),
            active: Set(new.active),
            settings: Set(settings_text(&new.settings)?),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        let id = row.insert(&transaction).await?.id;
        link(&transaction, tenant, id, &new).await?;
        transaction.commit().await?;
        Ok(CampaignId(id))
    }

    /// Removes a campaign.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_campaign(
        &self,
        tenant: TenantId,
        id: CampaignId,
    ) -> Result<bool, StoreError> {
        let gone = campaign::Entity::delete_many()
            .filter(campaign::Column::TenantId.eq(tenant.0))
            .filter(campaign::Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(gone.rows_affected > 0)
    }

    async fn with_links(&self, rows: Vec<campaign::Model>) -> Result<Vec<Campaign>, StoreError> {
        let ids = || rows.iter().map(|row| row.id);
        let buttons = campaign_button::Entity::find()
            .filter(campaign_button::Column::CampaignId.is_in(ids()))
            .order_by_asc(campaign_button::Column::Id)
            .all(&self.conn)
            .await?;
        let tags = campaign_tag::Entity::find()
            .filter(campaign_tag::Column::CampaignId.is_in(ids()))
            .all(&self.conn)
            .await?;
        let agents = campaign_agent::Entity::find()
            .filter(campaign_agent::Column::CampaignId.is_in(ids()))
            .all(&self.conn)
            .await?;
        let groups = campaign_group::Entity::find()
            .filter(campaign_group::Column::CampaignId.is_in(ids()))
            .all(&self.conn)
            .await?;

        let mut campaigns: Vec<Campaign> = rows
            .into_iter()
            .map(campaign_of)
            .collect::<Result<_, _>>()?;
        let places: HashMap<i64, usize> = campaigns
            .iter()
            .enumerate()
            .map(|(place, campaign)| (campaign.id.0, place))
            .collect();
        for row in buttons {
            let Some(place) = places.get(&row.campaign_id) else {
                continue;
            };
            campaigns[*place].buttons.push(CampaignButton {
                id: row.id,
                title: row.title,
                kind: ButtonKind::stored(&row.kind),
                color: row.color,
                description: row.description,
            });
        }
        for row in tags {
            if let Some(place) = places.get(&row.campaign_id) {
                campaigns[*place].tags.push(TagId(row.tag_id));
            }
        }
        for row in agents {
            if let Some(place) = places.get(&row.campaign_id) {
                campaigns[*place].agents.push(AgentId(row.agent_id));
            }
        }
        for row in groups {
            if let Some(place) = places.get(&row.campaign_id) {
                campaigns[*place].groups.push(GroupId(row.group_id));
            }
        }
        Ok(campaigns)
    }
}

fn settings_text(settings: &CampaignSettings) -> Result<String, StoreError> {
    serde_json::to_string(settings).map_err(|source| StoreError::Corrupt {
        what: "campaign settings",
        source,
    })
}

fn campaign_of(row: campaign::Model) -> Result<Campaign, StoreError> {
    let settings = serde_json::from_str(&row.settings).map_err(|source| StoreError::Corrupt {
        what: "campaign settings",
        source,
    })?;
    Ok(Campaign {
        id: CampaignId(row.id),
        name: row.name,
        active: row.active,
        settings,
        buttons: Vec::new(),
        tags: Vec::new(),
        agents: Vec::new(),
        groups: Vec::new(),
    })
}

async fn link(
    transaction: &DatabaseTransaction,
    tenant: TenantId,
    id: i64,
    new: &NewCampaign,
) -> Result<(), StoreError> {
    let tenant_id = tenant.0;
    for button in &new.buttons {
        let row = campaign_button::ActiveModel {
            tenant_id: Set(tenant_id),
            campaign_id: Set(id),
            title: Set(button.title.clone()),
            kind: Set(button.kind.as_str().to_owned()),
            color: Set(button.color.clone()),
            description: Set(button.description.clone()),
            ..Default::default()
        };
        row.insert(transaction).await?;
    }
    for tag in &new.tags {
        let row = campaign_tag::ActiveModel {
            campaign_id: Set(id),
            tag_id: Set(tag.0),
            tenant_id: Set(tenant_id),
        };
        campaign_tag::Entity::insert(row)
            .on_conflict_do_nothing()
            .exec_without_returning(transaction)
            .await?;
    }
    for agent in &new.agents {
        let row = campaign_agent::ActiveModel {
            campaign_id: Set(id),
            agent_id: Set(agent.0),
            tenant_id: Set(tenant_id),
        };
        campaign_agent::Entity::insert(row)
            .on_conflict_do_nothing()
            .exec_without_returning(transaction)
            .await?;
    }
    for group in &new.groups {
        let row = campaign_group::ActiveModel {
            campaign_id: Set(id),
            group_id: Set(group.0),
            tenant_id: Set(tenant_id),
        };
        campaign_group::Entity::insert(row)
            .on_conflict_do_nothing()
            .exec_without_returning(transaction)
            .await?;
    }
    Ok(())
}
