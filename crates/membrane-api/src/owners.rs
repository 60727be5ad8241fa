//! Whose token it is: `/self`, `/account`, workspaces and tenants.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};
use gateway::{Caller, Gateway, GatewayError, NewPersonalToken, TokenSpec};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{ApiError, Auth, MembraneApi, body::Json, params::Params, views};

type Answer = Result<axum::Json<Value>, ApiError>;

pub(crate) fn routes() -> Router<MembraneApi> {
    Router::new()
        .route("/self", get(own).patch(patch_own))
        .route("/account", get(account))
        .route("/org-workspaces", get(workspaces))
        .route("/org-workspaces/{id}/access-token", post(access_token))
        .route("/customers", get(customers))
        .route("/customers/{selector}", get(customer))
}

async fn own(Auth(caller): Auth) -> Answer {
    Ok(axum::Json(own_view(&caller)))
}

/// The tenant's members at the top, and the same again where the SDK's types say they are.
fn own_view(caller: &Caller) -> Value {
    let workspace = views::workspace(&caller.workspace);
    let mut view = caller
        .customer
        .as_ref()
        .map_or_else(|| json!({}), views::customer);
    view["workspaceKey"] = caller.workspace.key.clone().into();
    view["isAdmin"] = caller.is_admin.into();
    view["user"] = caller
        .customer
        .as_ref()
        .map_or(Value::Null, views::customer);
    view["workspace"] = workspace;
    view
}

async fn patch_own(State(gateway): State<Gateway>, Auth(mut caller): Auth, body: Json) -> Answer {
    let mut members = body.members()?;
    let name = members.text("name")?;
    let fields = members.object("fields")?;
    let credentials = members.take("credentials");
    caller.customer = Some(
        gateway
            .update_self(
                &caller,
                name.as_deref(),
                fields.as_ref(),
                credentials.as_ref(),
            )
            .await?,
    );
    Ok(axum::Json(own_view(&caller)))
}

async fn account(Auth(caller): Auth) -> Answer {
    Ok(axum::Json(json!({
        "workspace": views::workspace(&caller.workspace),
        "hasWorkspaces": true,
        "isAdmin": caller.is_admin,
        "tenant": caller.customer.as_ref().map(views::customer),
        "testCustomer": caller.customer.as_ref().map(views::customer),
    })))
}

async fn workspaces(State(gateway): State<Gateway>, Auth(caller): Auth) -> Answer {
    let mut view = views::workspace(&caller.workspace);
    if caller.is_admin {
        view["secret"] = gateway
            .workspace_secret(&caller.workspace)?
            .expose_secret()
            .into();
    }
    Ok(axum::Json(json!({ "items": [view] })))
}

async fn access_token(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(id): Path<String>,
    body: Json,
) -> Answer {
    if id != caller.workspace.public_id && id != caller.workspace.key {
        return Err(GatewayError::not_found("workspace", &id).into());
    }
    let mut members = body.members()?;
    let is_admin = members.flag("isAdmin")?;
    let named = members.text("tenantKey")?;
    let by_id = members.text("tenantId")?;
    let tenant = match (named, by_id) {
        (Some(key), _) => Some(key),
        (None, Some(id)) => Some(gateway.customer(&caller, &id).await?.internal_id),
        (None, None) => None,
    };
    let spec = TokenSpec {
        name: members.text("name")?,
        fields: members.object("fields")?,
        expires_in: expires_in(members.take("expiresIn"))?,
        ..TokenSpec::default()
    };
    if members.flag("personal")? {
        // Ours: a token that is no JWT, kept as a hash here and so shown once.
        let own = caller.customer.as_ref().map(|own| own.internal_id.clone());
        let new = NewPersonalToken {
            name: spec.name.unwrap_or_else(|| "personal".to_owned()),
            tenant_key: if is_admin { None } else { tenant.or(own) },
            expires_in: spec.expires_in,
        };
        let (_, token) = gateway.create_personal_token(&caller, new).await?;
        return Ok(axum::Json(json!({ "token": token.expose_secret() })));
    }
    let token = gateway.derive_token(&caller, tenant, is_admin, spec)?;
    Ok(axum::Json(json!({ "token": token.expose_secret() })))
}

fn expires_in(value: Option<Value>) -> Result<Option<Duration>, GatewayError> {
    let Some(value) = value else { return Ok(None) };
    let seconds = value.as_u64().filter(|seconds| *seconds > 0);
    let seconds = seconds
        .ok_or_else(|| GatewayError::field("expiresIn", "expiresIn must be a number of seconds"))?;
    Ok(Some(Duration::from_secs(seconds)))
}

async fn customers(State(gateway): State<Gateway>, Auth(caller): Auth, params: Params) -> Answer {
    let page = gateway
        .list_customers(&caller, params.get("cursor"), params.page_limit()?)
        .await?;
    Ok(axum::Json(views::page(page, |row| views::customer(&row))))
}

async fn customer(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(selector): Path<String>,
) -> Answer {
    Ok(axum::Json(views::customer(
        &gateway.customer(&caller, &selector).await?,
    )))
}
