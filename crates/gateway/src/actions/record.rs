//! Records of runs.

use std::time::Duration;

use model::Timestamp;
use serde_json::{Value, json};
use store::gateway::{Connection, NewActionRun, PageOf, Reach, RunFilter, RunStatus};

use super::{Details, Page, RecordedRun, RunOutcome, RunQuery};
use crate::{Caller, CatalogAction, Gateway, GatewayError, ids, redact::Secrets};

/// Base64 longer than this is not kept; its content type and size are.
const LARGEST_BINARY: usize = 1024;

/// A run to be recorded.
pub(super) struct Record<'a> {
    pub connection: &'a Connection,
    pub action: &'a CatalogAction,
    pub input: &'a Value,
    pub meta: Option<Value>,
    pub started_at: Timestamp,
    pub duration: Duration,
    pub details: Option<Details>,
    pub secrets: &'a Secrets,
}

impl Gateway {
    /// Records a run and hands its result on with the record's id.
    pub(super) async fn keep(
        &self,
        record: Record<'_>,
        result: Result<Value, GatewayError>,
    ) -> Result<RunOutcome, GatewayError> {
        let action_run_id = ids::public_id();
        let action = record.action.action();
        let (status, output, error) = match &result {
            Ok(output) => (
                RunStatus::Success,
                Some(record.secrets.clean(&without_bytes(output))),
                None,
            ),
            Err(error) => (
                RunStatus::Error,
                None,
                Some(record.secrets.clean(&error.body())),
            ),
        };
        let duration_ms = i64::try_from(record.duration.as_millis()).unwrap_or(i64::MAX);
        let row = NewActionRun {
            public_id: action_run_id.clone(),
            workspace: record.connection.workspace,
            customer: record.connection.customer,
            connection: Some(record.connection.id),
            action_id: action.id.clone(),
            action_key: action.key.clone(),
            name: action.name.clone(),
            connector_key: Some(record.action.connector.manifest.key.clone()),
            status,
            input: Some(record.secrets.clean(record.input)),
            output,
            error,
            details: record
                .details
                .as_ref()
                .map(|details| record.secrets.clean(details)),
            meta: record.meta.as_ref().map(|meta| record.secrets.clean(meta)),
            started_at: record.started_at,
            duration_ms,
        };
        let db = &self.inner.db;
        db.record_action_run(row).await?;
        db.connection_used(
            record.connection.reach(),
            record.connection.id,
            store::now(),
        )
        .await?;
        tracing::info!(
            action_run.id = %action_run_id,
            action.key = %action.key,
            connection.id = %record.connection.public_id,
            status = status.as_str(),
            duration_ms,
            "action ran"
        );
        match result {
            Ok(output) => Ok(RunOutcome {
                output,
                action_run_id,
            }),
            Err(mut error) => {
                error.message = record.secrets.clean_text(&error.message);
                error.action_run_id = Some(action_run_id);
                Err(error)
            }
        }
    }

    /// A page of runs, newest first.
    ///
    /// # Errors
    /// When the cursor is none of ours.
    pub async fn list_runs(
        &self,
        caller: &Caller,
        query: &RunQuery,
    ) -> Result<Page<RecordedRun>, GatewayError> {
        let mut reach = caller.reach();
        if let Some(tenant) = &query.tenant {
            let Some(customer) = self.inner.db.customer(reach, tenant).await? else {
                return Ok(Page::empty());
            };
            reach = Reach::customer(caller.workspace.id, customer.id);
        }
        let mut filter = RunFilter {
            action: query.action.clone(),
            status: query.status,
            from: query.from,
            to: query.to,
            ..Default::default()
        };
        if let Some(selector) = &query.connection {
            filter.connection = Some(self.connection(caller, selector).await?.id);
        }
        if let Some(name) = &query.integration {
            let Some(connector) = self
                .inner
                .catalog
                .integration(&caller.workspace.public_id, name)
            else {
                return Ok(Page::empty());
            };
            filter.connector_key = Some(connector.manifest.key.clone());
        }
        let page = PageOf {
            after: Page::<RecordedRun>::position(query.cursor.as_deref())?,
            limit: query.limit as u64 + 1,
        };
        let page = Page::of(
            self.inner.db.action_runs(reach, &filter, page).await?,
            query.limit,
            |run| run.id.0,
        );
        let mut items = Vec::with_capacity(page.items.len());
        for run in page.items {
            items.push(self.named_run(caller, run).await?);
        }
        Ok(Page {
            items,
            cursor: page.cursor,
        })
    }

    /// One run.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn run_record(
        &self,
        caller: &Caller,
        run_id: &str,
    ) -> Result<RecordedRun, GatewayError> {
        let run = self.inner.db.action_run(caller.reach(), run_id).await?;
        self.named_run(
            caller,
            run.ok_or_else(|| GatewayError::not_found("action run", run_id))?,
        )
        .await
    }

    async fn named_run(
        &self,
        caller: &Caller,
        run: store::gateway::ActionRun,
    ) -> Result<RecordedRun, GatewayError> {
        let db = &self.inner.db;
        let reach = Reach::customer(run.workspace, run.customer);
        let connection = match run.connection {
            Some(id) => db.connection_by_id(reach, id).await?,
            None => None,
        };
        let tenant = db.customer_by_id(run.workspace, run.customer).await?;
        let connector = run
            .connector_key
            .as_deref()
            .and_then(|key| self.inner.catalog.connector(key));
        Ok(RecordedRun {
            connection_id: connection.map(|connection| connection.public_id),
            tenant_id: tenant.map(|tenant| tenant.public_id).unwrap_or_default(),
            integration_id: connector
                .map(|connector| connector.integration_id(&caller.workspace.public_id)),
            run,
        })
    }
}

/// Bytes an action gave back are not for the record: a recording is personal, and large.
fn without_bytes(output: &Value) -> Value {
    let long = |member: &str| {
        output
            .get(member)
            .and_then(Value::as_str)
            .is_some_and(|text| text.len() > LARGEST_BINARY)
    };
    let (Some(content_type), true) = (
        output.get("contentType"),
        long("base64") || long("data") || long("content"),
    ) else {
        return output.clone();
    };
    json!({ "contentType": content_type, "size": output.get("size"), "omitted": true })
}
