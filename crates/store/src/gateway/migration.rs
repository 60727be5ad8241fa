//! Tables of the gateway.

use sea_orm_migration::{prelude::*, schema::*};

pub(super) struct CreateGateway;

impl MigrationName for CreateGateway {
    fn name(&self) -> &'static str {
        "m030_gateway"
    }
}

const TABLES: [&str; 8] = [
    "gateway_settings",
    "personal_tokens",
    "action_runs",
    "connection_logs",
    "connection_requests",
    "connections",
    "gateway_customers",
    "workspaces",
];

#[async_trait::async_trait]
impl MigrationTrait for CreateGateway {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_owners(manager).await?;
        create_connections(manager).await?;
        create_runs(manager).await?;
        for (name, table, columns) in [
            (
                "connections_owner",
                "connections",
                ["workspace_id", "customer_id", "id"],
            ),
            (
                "connection_logs_connection",
                "connection_logs",
                ["workspace_id", "connection_id", "id"],
            ),
            (
                "action_runs_owner",
                "action_runs",
                ["workspace_id", "customer_id", "id"],
            ),
        ] {
            let mut index = Index::create().name(name).table(table).to_owned();
            for column in columns {
                index.col(column);
            }
            manager.create_index(index).await?;
        }
        let unique = Index::create()
            .name("gateway_customers_internal")
            .table("gateway_customers")
            .col("workspace_id")
            .col("internal_id")
            .unique()
            .to_owned();
        manager.create_index(unique).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

async fn create_owners(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("workspaces")
                .col(big_pk_auto("id"))
                .col(string_uniq("public_id"))
                .col(big_integer_uniq("tenant_id"))
                .col(string_uniq("key"))
                .col(string("name"))
                .col(string("default_tenant_key"))
                .col(text("wrapped_key"))
                .col(text("sealed_secret"))
                .col(big_integer("created_at"))
                .to_owned(),
        )
        .await?;
    manager
        .create_table(
            Table::create()
                .table("gateway_customers")
                .col(big_pk_auto("id"))
                .col(string_uniq("public_id"))
                .col(big_integer("workspace_id"))
                .col(string("internal_id"))
                .col(string_null("name"))
                .col(text_null("fields"))
                .col(text_null("wrapped_key"))
                .col(text_null("sealed_credentials"))
                .col(big_integer("created_at"))
                .col(big_integer("last_active_at"))
                .to_owned(),
        )
        .await?;
    manager
        .create_table(
            Table::create()
                .table("personal_tokens")
                .col(big_pk_auto("id"))
                .col(string_uniq("public_id"))
                .col(big_integer("workspace_id"))
                .col(big_integer_null("customer_id"))
                .col(boolean("is_admin"))
                .col(string("name"))
                .col(string_uniq("sha256"))
                .col(big_integer("created_at"))
                .col(big_integer_null("expires_at"))
                .col(big_integer_null("revoked_at"))
                .to_owned(),
        )
        .await?;
    manager
        .create_table(
            Table::create()
                .table("gateway_settings")
                .col(big_pk_auto("id"))
                .col(big_integer("workspace_id"))
                .col(string("name"))
                .col(text("value"))
                .index(
                    Index::create()
                        .name("gateway_settings_name")
                        .col("workspace_id")
                        .col("name")
                        .unique(),
                )
                .to_owned(),
        )
        .await
}

async fn create_connections(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("connections")
                .col(big_pk_auto("id"))
                .col(string_uniq("public_id"))
                .col(big_integer("workspace_id"))
                .col(big_integer("customer_id"))
                .col(string("name"))
                .col(string_null("key"))
                .col(string_null("connector_key"))
                .col(string_null("connector_version"))
                .col(string("app_domain"))
                .col(string("state"))
                .col(string_null("auth_option"))
                .col(text("parameters"))
                .col(text("input"))
                .col(text("meta"))
                .col(text_null("sealed_credential"))
                .col(text_null("client_action"))
                .col(text_null("error"))
                .col(boolean("connected"))
                .col(big_integer("revision"))
                .col(big_integer("created_at"))
                .col(big_integer("updated_at"))
                .col(big_integer_null("last_active_at"))
                .col(big_integer_null("archived_at"))
                .to_owned(),
        )
        .await?;
    manager
        .create_table(
            Table::create()
                .table("connection_logs")
                .col(big_pk_auto("id"))
                .col(big_integer("workspace_id"))
                .col(big_integer("customer_id"))
                .col(big_integer("connection_id"))
                .col(big_integer("at"))
                .col(string("kind"))
                .col(text("message"))
                .to_owned(),
        )
        .await?;
    manager
        .create_table(
            Table::create()
                .table("connection_requests")
                .col(big_pk_auto("id"))
                .col(string_uniq("public_id"))
                .col(big_integer("workspace_id"))
                .col(big_integer("customer_id"))
                .col(big_integer("connection_id"))
                .col(string("status"))
                .col(text("options"))
                .col(text_null("error"))
                .col(big_integer("created_at"))
                .col(big_integer("updated_at"))
                .to_owned(),
        )
        .await
}

async fn create_runs(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("action_runs")
                .col(big_pk_auto("id"))
                .col(string_uniq("public_id"))
                .col(big_integer("workspace_id"))
                .col(big_integer("customer_id"))
                .col(big_integer_null("connection_id"))
                .col(string("action_id"))
                .col(string("action_key"))
                .col(string("name"))
                .col(string_null("connector_key"))
                .col(string("status"))
                .col(text_null("input"))
                .col(text_null("output"))
                .col(text_null("error"))
                .col(text_null("details"))
                .col(text_null("meta"))
                .col(big_integer("started_at"))
                .col(big_integer("duration_ms"))
                .to_owned(),
        )
        .await
}
