//! `/action-run-logs`.

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use gateway::{Gateway, GatewayError, RunQuery, RunStatus};
use serde_json::Value;

use crate::{ApiError, Auth, MembraneApi, params::Params, views};

type Answer = Result<axum::Json<Value>, ApiError>;

pub(crate) fn routes() -> Router<MembraneApi> {
    Router::new()
        .route("/action-run-logs", get(list))
        .route("/action-run-logs/{id}", get(read))
        .route("/action-run-logs/{id}/details", get(read_details))
}

async fn list(State(gateway): State<Gateway>, Auth(caller): Auth, params: Params) -> Answer {
    let status = match params.get("status") {
        None => None,
        Some("success") => Some(RunStatus::Success),
        Some("error") => Some(RunStatus::Error),
        Some(_) => {
            return Err(
                GatewayError::field("status", "status must be \"success\" or \"error\"").into(),
            );
        }
    };
    let query = RunQuery {
        action: params.text("actionId"),
        connection: params.text("connectionId"),
        integration: params
            .text("integrationId")
            .or_else(|| params.text("integrationKey")),
        tenant: params.text("tenantId").or_else(|| params.text("userId")),
        status,
        from: params.instant("from")?,
        to: params.instant("to")?,
        cursor: params.text("cursor"),
        limit: params.page_limit()?,
    };
    let page = gateway.list_runs(&caller, &query).await?;
    Ok(axum::Json(views::page(page, |run| views::run(&run, false))))
}

async fn read(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(id): Path<String>,
    params: Params,
) -> Answer {
    let details = params.flag("details") == Some(true);
    Ok(axum::Json(views::run(
        &gateway.run_record(&caller, &id).await?,
        details,
    )))
}

async fn read_details(
    State(gateway): State<Gateway>,
    Auth(caller): Auth,
    Path(id): Path<String>,
) -> Answer {
    Ok(axum::Json(views::run(
        &gateway.run_record(&caller, &id).await?,
        true,
    )))
}
