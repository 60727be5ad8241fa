//! `blacklist/…`

use axum::response::Response;
use model::PhoneNumber;
use serde_json::json;
use store::{
    StoreError,
    directory::{BlacklistFilter, BlacklistId, BlacklistKind},
};

use super::{Asked, found};
use crate::{
    error::{BAD_TYPE, CoreError, Problems, REQUIRED},
    reply,
};

pub(super) async fn index(asked: Asked<'_>) -> Result<Response, CoreError> {
    let context = asked.context;
    let query = &context.query;
    let page = query.page();
    let filter = BlacklistFilter {
        id: query.id("id").map(BlacklistId),
        country_code: query
            .get("country_code")
            .map(|code| code.trim_start_matches('+').to_owned()),
        kind: query.get("type").map(str::to_owned),
        number: query.number("public_number"),
    };
    let entries = context
        .db()
        .blacklist(context.tenant, &filter, page)
        .await?;
    Ok(reply::list(entries, page, |entry| {
        json!({"Blacklist": {
            "id": entry.id.0.to_string(),
            "type": entry.kind.as_str(),
            "public_number": entry.e164,
            "created": context.date(entry.created_at),
            "modified": context.date(entry.modified_at),
        }})
    }))
}

pub(super) async fn add(asked: Asked<'_>) -> Result<Response, CoreError> {
    let (kind, number) = read(&asked)?;
    let context = asked.context;
    let id = context
        .db()
        .add_blacklisted(context.tenant, kind, &number, context.now)
        .await
        .map_err(taken)?;
    Ok(reply::created(id.0))
}

pub(super) async fn edit(asked: Asked<'_>) -> Result<Response, CoreError> {
    let (kind, number) = read(&asked)?;
    let context = asked.context;
    let changed = context
        .db()
        .edit_blacklisted(
            context.tenant,
            BlacklistId(asked.id),
            kind,
            &number,
            context.now,
        )
        .await;
    found(changed.map_err(taken)?)?;
    Ok(reply::done())
}

pub(super) async fn delete(asked: Asked<'_>) -> Result<Response, CoreError> {
    found(
        asked
            .context
            .db()
            .delete_blacklisted(asked.context.tenant, BlacklistId(asked.id))
            .await?,
    )?;
    Ok(reply::done())
}

fn read(asked: &Asked<'_>) -> Result<(BlacklistKind, PhoneNumber), CoreError> {
    let mut problems = Problems::default();
    let word = asked.fields.text("type").unwrap_or_default();
    let kind = BlacklistKind::parse(word.trim());
    if word.trim().is_empty() {
        problems.add("type", REQUIRED);
    } else if kind.is_none() {
        problems.add("type", BAD_TYPE);
    }
    let number = asked.fields.phone("public_number", &mut problems);
    problems.finish()?;
    match (kind, number) {
        (Some(kind), Some(number)) => Ok((kind, number)),
        _ => Err(CoreError::Malformed),
    }
}

fn taken(error: StoreError) -> CoreError {
    match error {
        StoreError::Duplicate { .. } => Problems::one(
            "public_number",
            "Number has already been used. Please select different one.",
        ),
        other => other.into(),
    }
}
