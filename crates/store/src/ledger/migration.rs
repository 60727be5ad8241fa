//! Events, call rows and recordings.

use sea_orm_migration::{prelude::*, schema::*};

pub(super) struct CreateLedger;

impl MigrationName for CreateLedger {
    fn name(&self) -> &'static str {
        "m010_ledger"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateLedger {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("call_events")
                    .col(big_pk_auto("id"))
                    .col(big_integer("tenant_id"))
                    .col(big_integer("call_id"))
                    .col(integer("seq"))
                    .col(big_integer("at"))
                    .col(text("fact"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("calls")
                    // Given by the ledger, not by the engine: the id is known before the first write.
                    .col(big_integer("id").primary_key())
                    .col(big_integer("tenant_id"))
                    .col(string("uuid"))
                    .col(string("direction"))
                    .col(string_null("external"))
                    .col(string_null("internal"))
                    .col(big_integer_null("number_id"))
                    .col(big_integer_null("contact_id"))
                    .col(big_integer_null("agent_id"))
                    .col(string("status"))
                    .col(big_integer("started_at"))
                    .col(big_integer_null("ended_at"))
                    .col(text("record"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("recordings")
                    .col(big_integer("id").primary_key())
                    .col(big_integer("tenant_id"))
                    .col(big_integer("call_id"))
                    .col(string("file"))
                    .col(big_integer("created_at"))
                    .col(big_integer_null("deleted_at"))
                    .to_owned(),
            )
            .await?;
        let unique = Index::create()
            .name("call_events_call_seq")
            .table("call_events")
            .col("call_id")
            .col("seq")
            .unique()
            .to_owned();
        manager.create_index(unique).await?;
        for (name, columns) in [
            (
                "calls_tenant_started",
                ["tenant_id", "started_at"].as_slice(),
            ),
            (
                "calls_tenant_external",
                &["tenant_id", "external", "started_at"],
            ),
            (
                "calls_tenant_agent",
                &["tenant_id", "agent_id", "started_at"],
            ),
            (
                "calls_tenant_contact",
                &["tenant_id", "contact_id", "started_at"],
            ),
            ("calls_ended", &["ended_at"]),
        ] {
            let mut index = Index::create().name(name).table("calls").to_owned();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        manager
            .create_index(
                Index::create()
                    .name("recordings_call")
                    .table("recordings")
                    .col("call_id")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["recordings", "calls", "call_events"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}
