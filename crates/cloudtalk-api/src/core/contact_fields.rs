//! Reading a contact from a body, for add and edit alike.

use std::collections::HashSet;

use model::{AgentId, PhoneNumber};
use store::directory::{AttributeId, ContactFields, ExternalUrl};

use super::tags;
use crate::{
    body::{Fields, is_email, phone_number},
    context::Context,
    countries,
    error::{BAD_EMAIL, CoreError, Problems, REQUIRED, bad_number, too_long},
};

const UNKNOWN: &str = "Please supply a valid value.";
const URLS: usize = 3;

/// The sets that a body names; absent ones are not to be touched.
#[derive(Default)]
pub(super) struct Sets {
    pub numbers: Option<Vec<PhoneNumber>>,
    pub emails: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
    pub attributes: Option<Vec<(AttributeId, String)>>,
    pub urls: Option<Vec<ExternalUrl>>,
}

/// Puts what was sent over what is there; empty texts clear.
pub(super) async fn fixed(
    context: &Context,
    fields: &Fields,
    into: &mut ContactFields,
    problems: &mut Problems,
) -> Result<(), CoreError> {
    if let Some(name) = fields.not_empty("name", 150, problems) {
        into.name = name;
    }
    for (name, limit, field) in [
        ("title", 255, &mut into.title),
        ("company", 100, &mut into.company),
        ("industry", 100, &mut into.industry),
        ("website", 100, &mut into.website),
        ("address", 255, &mut into.address),
        ("city", 255, &mut into.city),
        ("state", 255, &mut into.state),
    ] {
        if let Some(text) = fields.limited(name, limit, problems) {
            *field = text;
        }
    }
    if let Some(zip) = fields.limited("zip", 15, problems) {
        into.zip = Some(zip).filter(|zip| !zip.is_empty());
    }
    if let Some(id) = fields.integer("country_id", problems) {
        let country = id.and_then(countries::by_id);
        if id.is_some() && country.is_none() {
            problems.add("country_id", UNKNOWN);
        }
        into.country_id = country.map(|country| country.id);
    }
    if let Some(id) = fields.integer("favorite_agent", problems) {
        let id = id.map(AgentId);
        if let Some(id) = id
            && context
                .db()
                .agent(context.tenant, id)
                .await?
                .is_none_or(|agent| agent.deleted_at.is_some())
        {
            problems.add("favorite_agent", UNKNOWN);
        }
        into.favorite_agent = id;
    }
    Ok(())
}

/// The sets of a body. A set is all or nothing: one bad item and nothing is stored.
pub(super) async fn sets(
    context: &Context,
    fields: &Fields,
    problems: &mut Problems,
) -> Result<Sets, CoreError> {
    let numbers = fields
        .objects("ContactNumber", problems)
        .map(|items| numbers(&items, problems));
    let emails = fields
        .objects("ContactEmail", problems)
        .map(|items| emails(&items, problems));
    let tags = fields.objects("ContactsTag", problems).map(|items| {
        items
            .iter()
            .map(|item| item.required("name", tags::NAME_LIMIT, problems))
            .collect()
    });
    let attributes = match fields.objects("ContactAttribute", problems) {
        Some(items) => Some(attributes(context, &items, problems).await?),
        None => None,
    };
    let urls = fields
        .objects("ExternalUrl", problems)
        .map(|items| urls(&items, problems));
    Ok(Sets {
        numbers,
        emails,
        tags,
        attributes,
        urls,
    })
}

fn numbers(items: &[Fields], problems: &mut Problems) -> Vec<PhoneNumber> {
    let mut numbers = Vec::new();
    for item in items {
        let text = item.text("public_number").unwrap_or_default();
        match phone_number(&text) {
            Some(number) => numbers.push(number),
            None => problems.add("public_number", bad_number(&text)),
        }
    }
    numbers
}

fn emails(items: &[Fields], problems: &mut Problems) -> Vec<String> {
    let mut emails = Vec::new();
    for item in items {
        let text = item.text("email").unwrap_or_default().trim().to_owned();
        if is_email(&text) {
            emails.push(text);
        } else {
            problems.add("email", BAD_EMAIL);
        }
    }
    emails
}

/// The document says `attribute_id`, the PHP client's comments say `id`. An empty value is no value.
async fn attributes(
    context: &Context,
    items: &[Fields],
    problems: &mut Problems,
) -> Result<Vec<(AttributeId, String)>, CoreError> {
    let known: HashSet<AttributeId> = context
        .db()
        .attributes(context.tenant)
        .await?
        .into_iter()
        .map(|attribute| attribute.id)
        .collect();
    let mut values = Vec::new();
    for item in items {
        let name = if item.has("attribute_id") {
            "attribute_id"
        } else {
            "id"
        };
        let Some(id) = item.integer(name, problems).flatten().map(AttributeId) else {
            problems.add("attribute_id", REQUIRED);
            continue;
        };
        if !known.contains(&id) {
            problems.add("attribute_id", UNKNOWN);
        }
        let value = item.limited("value", 255, problems).unwrap_or_default();
        if !value.is_empty() {
            values.push((id, value));
        }
    }
    Ok(values)
}

fn urls(items: &[Fields], problems: &mut Problems) -> Vec<ExternalUrl> {
    if items.len() > URLS {
        problems.add("ExternalUrl", format!("Maximum count is {URLS}."));
    }
    let mut urls = Vec::new();
    for item in items {
        let name = item.text("name").unwrap_or_default().trim().to_owned();
        if name.chars().count() > 30 {
            problems.add("name", too_long(30));
        }
        let url = item.required("url", 2000, problems);
        urls.push(ExternalUrl { name, url });
    }
    urls
}
