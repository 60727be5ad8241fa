//! `groups/…`: despite their names, add and delete change membership.

use axum::response::Response;
use model::{AgentId, GroupId};
use serde_json::json;
use store::directory::GroupFilter;

use super::{Asked, found};
use crate::{
    error::{CoreError, Problems, REQUIRED},
    reply,
};

const UNKNOWN: &str = "Please supply a valid value.";

pub(super) async fn index(asked: Asked<'_>) -> Result<Response, CoreError> {
    let query = &asked.context.query;
    let page = query.page();
    let filter = GroupFilter {
        id: query.id("id").map(GroupId),
    };
    let groups = asked
        .context
        .db()
        .groups(asked.context.tenant, &filter, page)
        .await?;
    Ok(reply::list(
        groups,
        page,
        |group| json!({"Group": {"id": group.id.to_string(), "internal_name": group.internal_name}}),
    ))
}

pub(super) async fn add(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Asked {
        context, fields, ..
    } = asked;
    let (db, tenant) = (context.db(), context.tenant);
    let mut problems = Problems::default();
    let mut id = |name: &str| {
        let id = fields.integer(name, &mut problems).flatten();
        if id.is_none() {
            problems.add(name, REQUIRED);
        }
        id.unwrap_or(-1)
    };
    let (group, agent) = (GroupId(id("group_id")), AgentId(id("agent_id")));
    problems.finish()?;
    let mut problems = Problems::default();
    if db.group(tenant, group).await?.is_none() {
        problems.add("group_id", UNKNOWN);
    }
    if db
        .agent(tenant, agent)
        .await?
        .is_none_or(|agent| agent.deleted_at.is_some())
    {
        problems.add("agent_id", UNKNOWN);
    }
    problems.finish()?;
    db.add_member(tenant, group, agent).await?;
    context.state.hooks.directory_changed(tenant);
    Ok(reply::data(
        json!({"status": 200, "data": {"message": "Agent added successfully."}}),
    ))
}

pub(super) async fn delete(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Asked {
        context,
        fields,
        id,
    } = asked;
    let mut problems = Problems::default();
    // Many HTTP stacks drop the body of a DELETE.
    let group = fields
        .integer("group_id", &mut problems)
        .flatten()
        .or_else(|| context.query.id("group_id"));
    if group.is_none() {
        problems.add("group_id", REQUIRED);
    }
    problems.finish()?;
    found(
        context
            .db()
            .remove_member(context.tenant, GroupId(group.unwrap_or(-1)), AgentId(id))
            .await?,
    )?;
    context.state.hooks.directory_changed(context.tenant);
    Ok(reply::data(
        json!({"status": 200, "data": {"message": "Agent deleted successfully."}}),
    ))
}
