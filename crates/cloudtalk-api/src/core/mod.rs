//! The core API: paths that end in `.json`, answers in `responseData`.

mod activities;
pub(crate) mod agents;
mod blacklist;
mod calls;
mod campaigns;
mod contact_fields;
mod contacts;
mod groups;
mod messages;
mod notes;
mod numbers;
mod recordings;
mod tags;

use axum::response::Response;
use http::Method;
use serde_json::{Value, json};

use crate::{body::Fields, context::Context, countries::COUNTRIES, error::CoreError, reply};

macro_rules! operations {
    ($($name:ident $method:ident $path:literal => $handler:expr;)*) => {
        /// What can be asked of the core.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Operation { $($name,)* }

        const PATHS: &[(Operation, &str)] = &[$((Operation::$name, $path),)*];

        impl Operation {
            /// Each path has one verb.
            pub(crate) fn method(self) -> Method {
                match self { $(Self::$name => Method::$method,)* }
            }
        }

        /// Does what is asked. `id` is 0 where the path has none.
        pub(crate) async fn run(context: &Context, operation: Operation, id: i64, fields: Fields) -> Result<Response, CoreError> {
            match operation { $(Operation::$name => $handler(Asked { context, id, fields }).await,)* }
        }
    };
}

/// A request as handlers get it.
pub(crate) struct Asked<'a> {
    pub context: &'a Context,
    /// From the path; 0 where it has none.
    pub id: i64,
    pub fields: Fields,
}

operations! {
    AgentsIndex GET "agents/index" => agents::index;
    AgentsAdd PUT "agents/add" => agents::add;
    AgentsEdit POST "agents/edit/{}" => agents::edit;
    AgentsDelete DELETE "agents/delete/{}" => agents::delete;
    GroupsIndex GET "groups/index" => groups::index;
    GroupsAdd PUT "groups/add" => groups::add;
    GroupsDelete DELETE "groups/delete/{}" => groups::delete;
    ContactsIndex GET "contacts/index" => contacts::index;
    ContactsShow GET "contacts/show/{}" => contacts::show;
    ContactsAdd PUT "contacts/add" => contacts::add;
    ContactsEdit POST "contacts/edit/{}" => contacts::edit;
    ContactsDelete DELETE "contacts/delete/{}" => contacts::delete;
    ContactsAttributes GET "contacts/attributes" => contacts::attributes;
    ContactsAddTags PUT "contacts/addTags/{}" => contacts::add_tags;
    ContactsRemoveTags DELETE "contacts/removeTags/{}" => contacts::remove_tags;
    NotesIndex GET "notes/index" => notes::index;
    NotesAdd PUT "notes/add/{}" => notes::add;
    NotesEdit POST "notes/edit/{}" => notes::edit;
    NotesDelete DELETE "notes/delete/{}" => notes::delete;
    ActivityIndex GET "activity/index" => activities::index;
    ActivityAdd PUT "activity/add/{}" => activities::add;
    ActivityEdit POST "activity/edit/{}" => activities::edit;
    ActivityDelete DELETE "activity/delete/{}" => activities::delete;
    NumbersIndex GET "numbers/index" => numbers::index;
    NumbersEdit POST "numbers/edit/{}" => numbers::edit;
    NumbersClear DELETE "numbers/clear/{}" => numbers::clear;
    CountriesIndex GET "countries/index" => countries_index;
    BlacklistIndex GET "blacklist/index" => blacklist::index;
    BlacklistAdd PUT "blacklist/add" => blacklist::add;
    BlacklistEdit POST "blacklist/edit/{}" => blacklist::edit;
    BlacklistDelete DELETE "blacklist/delete/{}" => blacklist::delete;
    TagsIndex GET "tags/index" => tags::index;
    TagsAdd PUT "tags/add" => tags::add;
    TagsEdit POST "tags/edit/{}" => tags::edit;
    TagsDelete DELETE "tags/delete/{}" => tags::delete;
    CampaignsIndex GET "campaigns/index" => campaigns::index;
    CampaignsDelete DELETE "campaigns/delete/{}" => campaigns::delete;
    CallsIndex GET "calls/index" => calls::index;
    CallsCreate POST "calls/create" => calls::create;
    CallsRecording GET "calls/recording/{}" => recordings::download;
    RecordingsDelete DELETE "recordings/delete/{}" => recordings::delete;
    SmsSend POST "sms/send" => messages::send;
}

/// The operation of a path, and the id in it.
pub(crate) fn find(path: &str) -> Option<(Operation, Option<String>)> {
    let path = path.strip_prefix("/api/")?.strip_suffix(".json")?;
    for (operation, pattern) in PATHS {
        match pattern.strip_suffix("{}") {
            None if *pattern == path => return Some((*operation, None)),
            Some(prefix) => match path.strip_prefix(prefix) {
                Some(id) if !id.is_empty() && !id.contains('/') => {
                    return Some((*operation, Some(id.to_owned())));
                }
                _ => {}
            },
            None => {}
        }
    }
    None
}

async fn countries_index(_: Asked<'_>) -> Result<Response, CoreError> {
    let country = |country: &crate::countries::Country| {
        json!({"Country": {
            "id": country.id.to_string(),
            "name": country.name,
            "country_code": country.alpha2,
            "iso3": country.alpha3,
            "calling_code": country.calling_code,
        }})
    };
    Ok(reply::data(Value::Array(
        COUNTRIES.iter().map(country).collect(),
    )))
}

/// A change that found nothing to change.
fn found(changed: bool) -> Result<(), CoreError> {
    if changed {
        Ok(())
    } else {
        Err(CoreError::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_to_the_letter() {
        assert_eq!(
            find("/api/agents/index.json"),
            Some((Operation::AgentsIndex, None))
        );
        assert_eq!(
            find("/api/contacts/addTags/7.json"),
            Some((Operation::ContactsAddTags, Some("7".into())))
        );
        assert_eq!(
            find("/api/agents/edit/x.json"),
            Some((Operation::AgentsEdit, Some("x".into())))
        );
        for unknown in [
            "/api/agents/index",
            "/api/agents/index.json/",
            "/api/agents/edit/.json",
            "/api/agents/edit/1/2.json",
            "/api/Agents/index.json",
            "/api/.json",
            "/agents/index.json",
        ] {
            assert_eq!(find(unknown), None, "{unknown}");
        }
    }
}
