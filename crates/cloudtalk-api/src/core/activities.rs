//! `activity/…`

use axum::response::Response;
use model::{ContactId, Timestamp};
use serde_json::json;
use store::directory::{ActivityFilter, ActivityId, ActivityKind, ActivityPatch, NewActivity};

use super::{Asked, found, notes::known_contact};
use crate::{
    context::Context,
    dates::{self, Bound},
    error::{BAD_TYPE, CoreError, Problems, REQUIRED},
    reply,
};

const TEXT_LIMIT: usize = 255;
const LONG_LIMIT: usize = 10_000;
const URL_LIMIT: usize = 2000;

pub(super) async fn index(asked: Asked<'_>) -> Result<Response, CoreError> {
    let context = asked.context;
    let query = &context.query;
    let page = query.page();
    let mut problems = Problems::default();
    let filter = ActivityFilter {
        contact: query.id("contact_id").map(ContactId),
        kind: query.get("type").map(str::to_owned),
        from: super::calls::bound(context, "date_from", Bound::From, &mut problems),
        to: super::calls::bound(context, "date_to", Bound::To, &mut problems),
    };
    problems.finish()?;
    let activities = context
        .db()
        .activities(context.tenant, &filter, page)
        .await?;
    Ok(reply::list(activities, page, |activity| {
        json!({"ContactActivity": {
            "id": activity.id.0.to_string(),
            "contact_id": activity.contact.to_string(),
            "type": activity.kind.as_str(),
            "name": activity.name,
            "description": activity.description,
            "activity_author": activity.author,
            "external_id": activity.external_id,
            "external_url": activity.external_url,
            "activity_date": context.date(activity.activity_at),
            "created": context.date(activity.created_at),
        }})
    }))
}

pub(super) async fn add(asked: Asked<'_>) -> Result<Response, CoreError> {
    let context = asked.context;
    let contact = known_contact(context, ContactId(asked.id)).await?;
    let mut problems = Problems::default();
    for name in ["type", "name"] {
        if !asked.fields.has(name) {
            problems.add(name, REQUIRED);
        }
    }
    let sent = read(&asked, &mut problems);
    problems.finish()?;
    let new = NewActivity {
        kind: sent.kind.unwrap_or_default(),
        name: sent.name.unwrap_or_default(),
        description: sent.description.unwrap_or_default(),
        author: sent.author.unwrap_or_default(),
        external_id: sent.external_id.unwrap_or_default(),
        external_url: sent.external_url.unwrap_or_default(),
        activity_at: sent.activity_at.unwrap_or(context.now),
    };
    let id = context
        .db()
        .add_activity(context.tenant, contact, new, context.now)
        .await?;
    Ok(reply::created(id.0))
}

pub(super) async fn edit(asked: Asked<'_>) -> Result<Response, CoreError> {
    let context = asked.context;
    let mut problems = Problems::default();
    let mut patch = read(&asked, &mut problems);
    patch.contact = asked
        .fields
        .integer("contact_id", &mut problems)
        .flatten()
        .map(ContactId);
    problems.finish()?;
    if let Some(contact) = patch.contact {
        known_contact(context, contact).await?;
    }
    found(
        context
            .db()
            .edit_activity(context.tenant, ActivityId(asked.id), patch)
            .await?,
    )?;
    Ok(reply::done())
}

pub(super) async fn delete(asked: Asked<'_>) -> Result<Response, CoreError> {
    found(
        asked
            .context
            .db()
            .delete_activity(asked.context.tenant, ActivityId(asked.id))
            .await?,
    )?;
    Ok(reply::done())
}

fn read(asked: &Asked<'_>, problems: &mut Problems) -> ActivityPatch {
    let fields = &asked.fields;
    let kind = fields
        .not_empty("type", TEXT_LIMIT, problems)
        .and_then(|word| {
            let kind = ActivityKind::parse(&word);
            if kind.is_none() && !word.is_empty() {
                problems.add("type", BAD_TYPE);
            }
            kind
        });
    ActivityPatch {
        contact: None,
        kind,
        name: fields.not_empty("name", TEXT_LIMIT, problems),
        description: fields.limited("description", LONG_LIMIT, problems),
        author: fields.limited("activity_author", TEXT_LIMIT, problems),
        external_id: fields.limited("external_id", TEXT_LIMIT, problems),
        external_url: fields.limited("external_url", URL_LIMIT, problems),
        activity_at: date(asked.context, fields.text("activity_date"), problems),
    }
}

fn date(context: &Context, text: Option<String>, problems: &mut Problems) -> Option<Timestamp> {
    let text = text.filter(|text| !text.trim().is_empty())?;
    let at = dates::parse(&text, &context.zone, Bound::From);
    if at.is_none() {
        problems.add("activity_date", "Please supply a valid date.");
    }
    at
}
