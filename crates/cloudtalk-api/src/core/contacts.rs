//! `contacts/…`

use axum::response::Response;
use model::{ContactId, TagId};
use serde_json::{Map, Value, json};
use store::directory::{Contact, ContactFields, ContactFilter, ContactPatch, NewContact, Tag};

use super::{
    Asked,
    contact_fields::{fixed, sets},
    found, tags,
};
use crate::{
    context::Context,
    error::{CoreError, Problems, REQUIRED},
    reply,
};

pub(super) async fn index(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Context { query, tenant, .. } = asked.context;
    let page = query.page();
    let filter = ContactFilter {
        country_id: query.id("country_id"),
        tag: query.id("tag_id").map(TagId),
        industry: query.get("industry").map(str::to_owned),
        keyword: query.get("keyword").map(str::to_owned),
    };
    let contacts = asked.context.db().contacts(*tenant, &filter, page).await?;
    Ok(reply::list(contacts, page, |contact| item(&contact)))
}

/// In lists the first number and address are single objects, and absent when there is none.
fn item(contact: &Contact) -> Value {
    let mut item = Map::new();
    let own = json!({
        "id": contact.id.to_string(),
        "name": contact.fields.name,
        "company": contact.fields.company,
        "contact_numbers": contact.numbers,
        "contact_emails": contact.emails,
    });
    item.insert("Contact".into(), own);
    if let Some(number) = contact.numbers.first() {
        item.insert("ContactNumber".into(), json!({"public_number": number}));
    }
    if let Some(email) = contact.emails.first() {
        item.insert("ContactEmail".into(), json!({"email": email}));
    }
    Value::Object(item)
}

pub(super) async fn show(asked: Asked<'_>) -> Result<Response, CoreError> {
    let context = asked.context;
    let contact = context
        .db()
        .contact(context.tenant, ContactId(asked.id))
        .await?
        .ok_or(CoreError::NotFound)?;
    Ok(reply::data(whole(context, &contact)))
}

fn whole(context: &Context, contact: &Contact) -> Value {
    let id = contact.id.to_string();
    let ContactFields {
        name,
        title,
        company,
        industry,
        website,
        address,
        city,
        zip,
        state,
        country_id,
        favorite_agent,
        kind,
    } = &contact.fields;
    let tags: Vec<Value> = contact
        .tags
        .iter()
        .map(|tag| json!({"name": tag.name}))
        .collect();
    let urls: Vec<Value> = contact
        .urls
        .iter()
        .map(|url| json!({"name": url.name, "url": url.url}))
        .collect();
    let attributes: Vec<Value> = contact
        .attributes
        .iter()
        .map(|value| json!({"attribute_id": value.attribute.0.to_string(), "title": value.title, "value": value.value}))
        .collect();
    json!({
        "Contact": {
            "id": id,
            "name": name,
            "title": title,
            "company": company,
            "industry": industry,
            "website": website,
            "address": address,
            "city": city,
            "zip": zip,
            "state": state,
            "country_id": country_id.map(|id| id.to_string()),
            "favorite_agent": favorite_agent.map(|id| id.to_string()),
            "type": kind.as_str(),
            "created": context.date(contact.created_at),
            "modified": context.date(contact.modified_at),
        },
        "ContactEmail": contact.emails.iter().map(|email| json!({"email": email, "contact_id": id})).collect::<Vec<_>>(),
        "ContactNumber": contact.numbers.iter().map(|number| json!({"public_number": number, "contact_id": id})).collect::<Vec<_>>(),
        // Traffic says the one, the document the other.
        "Tag": tags,
        "ContactsTag": tags,
        "ExternalUrl": if urls.is_empty() { Value::Null } else { Value::Array(urls) },
        "ContactAttribute": attributes,
    })
}

pub(super) async fn add(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Asked {
        context, fields, ..
    } = asked;
    let mut problems = Problems::default();
    if !fields.has("name") {
        problems.add("name", REQUIRED);
    }
    let mut own = ContactFields::default();
    fixed(context, &fields, &mut own, &mut problems).await?;
    let sets = sets(context, &fields, &mut problems).await?;
    problems.finish()?;
    let new = NewContact {
        fields: own,
        numbers: sets.numbers.unwrap_or_default(),
        emails: sets.emails.unwrap_or_default(),
        tags: sets.tags.unwrap_or_default(),
        attributes: sets.attributes.unwrap_or_default(),
        urls: sets.urls.unwrap_or_default(),
    };
    let id = context
        .db()
        .add_contact(context.tenant, new, context.now)
        .await?;
    Ok(reply::created(id.0))
}

pub(super) async fn edit(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Asked {
        context,
        fields,
        id,
    } = asked;
    let (db, tenant, id) = (context.db(), context.tenant, ContactId(id));
    let mut own = db
        .contact(tenant, id)
        .await?
        .ok_or(CoreError::NotFound)?
        .fields;
    let mut problems = Problems::default();
    fixed(context, &fields, &mut own, &mut problems).await?;
    let sets = sets(context, &fields, &mut problems).await?;
    problems.finish()?;
    let patch = ContactPatch {
        fields: Some(own),
        numbers: sets.numbers,
        emails: sets.emails,
        tags: sets.tags,
        attributes: sets.attributes,
        urls: sets.urls,
    };
    found(db.edit_contact(tenant, id, patch, context.now).await?)?;
    Ok(reply::done())
}

pub(super) async fn delete(asked: Asked<'_>) -> Result<Response, CoreError> {
    found(
        asked
            .context
            .db()
            .delete_contact(asked.context.tenant, ContactId(asked.id))
            .await?,
    )?;
    Ok(reply::done())
}

pub(super) async fn attributes(asked: Asked<'_>) -> Result<Response, CoreError> {
    let attributes = asked.context.db().attributes(asked.context.tenant).await?;
    let item = |attribute: &store::directory::Attribute| json!({"ContactAttribute": {"id": attribute.id.0.to_string(), "title": attribute.title}});
    Ok(reply::data(attributes.iter().map(item).collect()))
}

pub(super) async fn add_tags(asked: Asked<'_>) -> Result<Response, CoreError> {
    let context = asked.context;
    let names = names(&asked, Vec::new());
    // Of two mistakes the contact's comes first: only then the tags are his.
    let id = super::notes::known_contact(context, ContactId(asked.id)).await?;
    let tags = context
        .db()
        .add_tags_to_contact(context.tenant, id, &names?, context.now)
        .await?
        .ok_or(CoreError::NotFound)?;
    // The spelling is part of the contract.
    Ok(tagged("Tags were sucessfully added.", &tags, id))
}

pub(super) async fn remove_tags(asked: Asked<'_>) -> Result<Response, CoreError> {
    let context = asked.context;
    let names = names(&asked, context.query.names("tags"));
    let id = super::notes::known_contact(context, ContactId(asked.id)).await?;
    let removed = context
        .db()
        .remove_tags_from_contact(context.tenant, id, &names?, context.now)
        .await?;
    Ok(tagged(
        "Tags were successfully removed.",
        &removed.ok_or(CoreError::NotFound)?,
        id,
    ))
}

/// Tag names of the body, else those given instead.
fn names(asked: &Asked<'_>, otherwise: Vec<String>) -> Result<Vec<String>, CoreError> {
    let names = if asked.fields.has("tags") {
        asked.fields.names("tags")
    } else {
        Some(otherwise)
    };
    match names {
        Some(names)
            if !names.is_empty()
                && names
                    .iter()
                    .all(|name| name.chars().count() <= tags::NAME_LIMIT) =>
        {
            Ok(names)
        }
        Some(names) if !names.is_empty() => Err(Problems::one(
            "tags",
            crate::error::too_long(tags::NAME_LIMIT),
        )),
        _ => Err(Problems::one("tags", REQUIRED)),
    }
}

fn tagged(message: &str, tags: &[Tag], contact: ContactId) -> Response {
    let tags: Vec<Value> = tags
        .iter()
        .map(|tag| json!({"id": tag.id.to_string(), "name": tag.name}))
        .collect();
    reply::data(
        json!({"status": 200, "message": message, "data": {"tags": tags, "contact_id": contact.to_string()}}),
    )
}
