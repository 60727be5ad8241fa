//! `campaigns/…`: reading and deleting.

use std::collections::HashMap;

use axum::response::Response;
use serde_json::{Value, json};
use store::directory::{AgentFilter, Campaign, CampaignId, GroupFilter, Page};

use super::{Asked, found};
use crate::{error::CoreError, reply};

pub(super) async fn index(asked: Asked<'_>) -> Result<Response, CoreError> {
    let context = asked.context;
    let (db, tenant, page) = (context.db(), context.tenant, context.query.page());
    let campaigns = db
        .campaigns(tenant, context.query.id("id").map(CampaignId), page)
        .await?;
    let tags = db.tags(tenant, None, Page::ALL).await?.rows;
    let agents = db
        .agents(tenant, &AgentFilter::default(), Page::ALL)
        .await?
        .rows;
    let groups = db
        .groups(tenant, &GroupFilter::default(), Page::ALL)
        .await?
        .rows;
    let names = Names {
        tags: tags.into_iter().map(|tag| (tag.id.0, tag.name)).collect(),
        agents: agents
            .into_iter()
            .map(|agent| (agent.id.0, agent.full_name()))
            .collect(),
        groups: groups
            .into_iter()
            .map(|group| (group.id.0, group.internal_name))
            .collect(),
    };
    Ok(reply::list(campaigns, page, |campaign| {
        item(&campaign, &names)
    }))
}

struct Names {
    tags: HashMap<i64, String>,
    agents: HashMap<i64, String>,
    groups: HashMap<i64, String>,
}

fn item(campaign: &Campaign, names: &Names) -> Value {
    let settings = &campaign.settings;
    let named =
        |ids: &mut dyn Iterator<Item = i64>, of: &HashMap<i64, String>, key: &str| -> Vec<Value> {
            ids.filter_map(|id| Some(json!({"id": id.to_string(), key: of.get(&id)?})))
                .collect()
        };
    let tags = named(
        &mut campaign.tags.iter().map(|id| id.0),
        &names.tags,
        "name",
    );
    let buttons: Vec<Value> = campaign
        .buttons
        .iter()
        .map(|button| {
            json!({
                "id": button.id.to_string(),
                "title": button.title,
                "type": button.kind.as_str(),
                "color": button.color,
                "description": button.description,
            })
        })
        .collect();
    json!({
        "Campaign": {
            "id": campaign.id.0.to_string(),
            "name": campaign.name,
            "status": if campaign.active { "active" } else { "inactive" },
            "has_schedule_date": settings.start_date.is_some(),
            "answer_wait_time": settings.answer_wait_seconds.to_string(),
            "after_call_dialing_auto": settings.dials_next_by_itself,
            "after_call_time": settings.after_call_seconds.to_string(),
            "is_recording": settings.is_recording,
            "is_predictive": settings.is_predictive,
            "attempts": settings.attempts.to_string(),
            "attempts_interval": settings.attempts_interval_hours.to_string(),
        },
        "Button": buttons,
        // The document calls it one way in its schema and the other in its example.
        "ContactsTag": tags,
        "Tag": tags,
        "Group": named(&mut campaign.groups.iter().map(|id| id.0), &names.groups, "internal_name"),
        "Agent": named(&mut campaign.agents.iter().map(|id| id.0), &names.agents, "fullname"),
    })
}

pub(super) async fn delete(asked: Asked<'_>) -> Result<Response, CoreError> {
    found(
        asked
            .context
            .db()
            .delete_campaign(asked.context.tenant, CampaignId(asked.id))
            .await?,
    )?;
    Ok(reply::done())
}
