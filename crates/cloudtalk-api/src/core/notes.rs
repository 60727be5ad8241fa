//! `notes/…`: notes on contacts.

use axum::response::Response;
use model::{AgentId, ContactId};
use serde_json::json;
use store::directory::{NoteFilter, NoteId, NotePatch};

use super::{Asked, found};
use crate::{
    context::Context,
    error::{CoreError, Problems, REQUIRED},
    reply,
};

pub(super) async fn index(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Context { query, tenant, .. } = asked.context;
    let page = query.page();
    let filter = NoteFilter {
        contact: query.id("contact_id").map(ContactId),
        agent: query.id("user_id").map(AgentId),
        keyword: query.get("keyword").map(str::to_owned),
    };
    let notes = asked.context.db().notes(*tenant, &filter, page).await?;
    Ok(reply::list(notes, page, |note| {
        json!({"ContactNote": {
            "id": note.id.0.to_string(),
            "contact_id": note.contact.to_string(),
            "user_id": note.agent.map(|id| id.to_string()),
            "note": note.note,
            "created": asked.context.date(note.created_at),
        }})
    }))
}

pub(super) async fn add(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Asked {
        context,
        fields,
        id,
    } = &asked;
    let contact = known_contact(context, ContactId(*id)).await?;
    let mut problems = Problems::default();
    let note = fields.text("note").unwrap_or_default();
    if note.trim().is_empty() {
        problems.add("note", REQUIRED);
    }
    let agent = author(&asked, &mut problems).await?;
    problems.finish()?;
    let id = context
        .db()
        .add_note(context.tenant, contact, agent.flatten(), &note, context.now)
        .await?;
    Ok(reply::created(id.0))
}

pub(super) async fn edit(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Asked {
        context,
        fields,
        id,
    } = &asked;
    let mut problems = Problems::default();
    let contact = fields
        .integer("contact_id", &mut problems)
        .flatten()
        .map(ContactId);
    let note = fields.text("note");
    if note.as_ref().is_some_and(|note| note.trim().is_empty()) {
        problems.add("note", REQUIRED);
    }
    let agent = author(&asked, &mut problems).await?;
    problems.finish()?;
    if let Some(contact) = contact {
        known_contact(context, contact).await?;
    }
    let patch = NotePatch {
        contact,
        agent,
        note,
    };
    found(
        context
            .db()
            .edit_note(context.tenant, NoteId(*id), patch)
            .await?,
    )?;
    Ok(reply::done())
}

pub(super) async fn delete(asked: Asked<'_>) -> Result<Response, CoreError> {
    found(
        asked
            .context
            .db()
            .delete_note(asked.context.tenant, NoteId(asked.id))
            .await?,
    )?;
    Ok(reply::done())
}

/// The contact, if it is the company's.
pub(super) async fn known_contact(
    context: &Context,
    id: ContactId,
) -> Result<ContactId, CoreError> {
    match context.db().contact(context.tenant, id).await? {
        Some(contact) => Ok(contact.id),
        None => Err(CoreError::NotFound),
    }
}

async fn author(
    asked: &Asked<'_>,
    problems: &mut Problems,
) -> Result<Option<Option<AgentId>>, CoreError> {
    let agent = asked
        .fields
        .integer("user_id", problems)
        .map(|id| id.map(AgentId));
    if let Some(Some(agent)) = agent
        && asked
            .context
            .db()
            .agent(asked.context.tenant, agent)
            .await?
            .is_none()
    {
        problems.add("user_id", "Please supply a valid value.");
    }
    Ok(agent)
}
