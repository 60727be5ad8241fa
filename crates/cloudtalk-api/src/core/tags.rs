//! `tags/…`

use axum::response::Response;
use model::TagId;
use serde_json::json;
use store::StoreError;

use super::{Asked, found};
use crate::{
    error::{CoreError, Problems, TAG_TAKEN},
    reply,
};

pub(super) const NAME_LIMIT: usize = 1000;

pub(super) async fn index(asked: Asked<'_>) -> Result<Response, CoreError> {
    let query = &asked.context.query;
    let page = query.page();
    let tags = asked
        .context
        .db()
        .tags(asked.context.tenant, query.id("id").map(TagId), page)
        .await?;
    Ok(reply::list(
        tags,
        page,
        |tag| json!({"Tag": {"id": tag.id.to_string(), "name": tag.name}}),
    ))
}

pub(super) async fn add(asked: Asked<'_>) -> Result<Response, CoreError> {
    let name = name(&asked)?;
    let id = asked
        .context
        .db()
        .add_tag(asked.context.tenant, &name)
        .await
        .map_err(taken)?;
    Ok(reply::created(id.0))
}

pub(super) async fn edit(asked: Asked<'_>) -> Result<Response, CoreError> {
    let name = name(&asked)?;
    found(
        asked
            .context
            .db()
            .edit_tag(asked.context.tenant, TagId(asked.id), &name)
            .await
            .map_err(taken)?,
    )?;
    Ok(reply::done())
}

pub(super) async fn delete(asked: Asked<'_>) -> Result<Response, CoreError> {
    found(
        asked
            .context
            .db()
            .delete_tag(asked.context.tenant, TagId(asked.id))
            .await?,
    )?;
    Ok(reply::done())
}

fn name(asked: &Asked<'_>) -> Result<String, CoreError> {
    let mut problems = Problems::default();
    let name = asked.fields.required("name", NAME_LIMIT, &mut problems);
    problems.finish()?;
    Ok(name)
}

fn taken(error: StoreError) -> CoreError {
    match error {
        StoreError::Duplicate { .. } => Problems::one("name", TAG_TAKEN),
        other => other.into(),
    }
}
