//! `numbers/…`

use axum::response::Response;
use model::NumberId;
use serde_json::json;
use store::directory::{Number, NumberFilter, NumberPatch, Route};

use super::{Asked, found};
use crate::{
    context::Context,
    error::{BAD_TYPE, CoreError, Problems, REQUIRED},
    reply,
};

const NAME_LIMIT: usize = 255;

pub(super) async fn index(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Context { query, tenant, .. } = asked.context;
    let page = query.page();
    let filter = NumberFilter {
        id: query.id("id").map(NumberId),
        country_code: query
            .get("country_code")
            .map(|code| code.trim_start_matches('+').to_owned()),
        area_code: query
            .get("area_code")
            .map(|code| code.trim_start_matches('0').to_owned()),
        connected_to: query.id("connected_to"),
        is_free: query
            .get("is_free")
            .map(|flag| matches!(flag, "1" | "true")),
    };
    let numbers = asked.context.db().numbers(*tenant, &filter, page).await?;
    Ok(reply::list(numbers, page, |number| {
        let code = number.route.map(Route::code);
        json!({"CallNumber": {
            "id": number.id.to_string(),
            "country_code": number.country_code,
            "area_code": number.area_code,
            "internal_name": number.internal_name,
            "caller_id_e164": number.e164,
            "is_redirected": number.is_redirected,
            "connected_to": code.map(|(code, _)| code.to_string()),
            "source_id": code.map(|(_, source)| source.to_string()),
        }})
    }))
}

pub(super) async fn edit(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Asked {
        context,
        fields,
        id,
    } = &asked;
    let number = context
        .db()
        .number(context.tenant, NumberId(*id))
        .await?
        .ok_or(CoreError::NotFound)?;
    let mut problems = Problems::default();
    let internal_name = fields.limited("internal_name", NAME_LIMIT, &mut problems);
    let route = route(&asked, &number, &mut problems).await?;
    problems.finish()?;
    let patch = NumberPatch {
        internal_name,
        route: route.map(Some),
        ..Default::default()
    };
    found(
        context
            .db()
            .edit_number(context.tenant, number.id, patch)
            .await?,
    )?;
    context.state.hooks.directory_changed(context.tenant);
    Ok(reply::done())
}

/// Kind and target may come alone: the other half stays as it is.
async fn route(
    asked: &Asked<'_>,
    number: &Number,
    problems: &mut Problems,
) -> Result<Option<Route>, CoreError> {
    let fields = &asked.fields;
    let kind = fields
        .text("connected_to")
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    let source = fields.integer("source_id", problems).flatten();
    let former = number.route.map(Route::code);
    if kind.is_none() && source.is_none() {
        return Ok(None);
    }
    let Some(kind) = kind.map_or(former.map(|(code, _)| i64::from(code)), |text| {
        Some(text.parse().unwrap_or(-1))
    }) else {
        problems.add("connected_to", REQUIRED);
        return Ok(None);
    };
    let kept = former
        .filter(|(code, _)| i64::from(*code) == kind)
        .map(|(_, source)| source);
    let Some(route) = Route::from_code(kind, source.or(kept).unwrap_or_default()) else {
        problems.add("type", BAD_TYPE);
        return Ok(None);
    };
    if !exists(asked.context, route).await? {
        problems.add("source_id", "Please supply a valid value.");
    }
    Ok(Some(route))
}

/// There are no fax machines to connect to.
async fn exists(context: &Context, route: Route) -> Result<bool, CoreError> {
    let (db, tenant) = (context.db(), context.tenant);
    Ok(match route {
        Route::Group(id) => db.group(tenant, id).await?.is_some(),
        Route::Agent(id) => db
            .agent(tenant, id)
            .await?
            .is_some_and(|agent| agent.deleted_at.is_none()),
        Route::Flow(id) => db.flow(tenant, id).await?.is_some(),
        Route::Conference(id) => db.rooms(tenant).await?.iter().any(|room| room.id.0 == id),
        Route::Fax(_) => false,
    })
}

pub(super) async fn clear(asked: Asked<'_>) -> Result<Response, CoreError> {
    let context = asked.context;
    let patch = NumberPatch {
        route: Some(None),
        ..Default::default()
    };
    found(
        context
            .db()
            .edit_number(context.tenant, NumberId(asked.id), patch)
            .await?,
    )?;
    context.state.hooks.directory_changed(context.tenant);
    Ok(reply::done())
}
