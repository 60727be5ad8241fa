//! Where each recording lies, what companies set about them, and receipts of what was deleted.

use sea_orm_migration::{prelude::*, schema::*};

pub(super) struct KeepRecordings;

impl MigrationName for KeepRecordings {
    fn name(&self) -> &'static str {
        "m037_recordings"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for KeepRecordings {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        let columns = [
            string("kind").default("conversation").to_owned(),
            // Whether the plain file is, or may be, in the recordings folder.
            boolean("is_local").default(true).to_owned(),
            big_integer_null("archived_at"),
            string_null("archive"),
            string_null("archive_key"),
            text_null("data_key"),
            integer("attempts").default(0).to_owned(),
            big_integer_null("try_at"),
            text_null("problem"),
            text_null("peaks"),
        ];
        for mut column in columns {
            let table = Table::alter()
                .table("recordings")
                .add_column(&mut column)
                .to_owned();
            manager.alter_table(table).await?;
        }
        let messages = Query::update()
            .table("recordings")
            .value("kind", "voicemail")
            .and_where(Expr::col("file").like("%-voicemail.wav"))
            .to_owned();
        manager.execute(messages).await?;
        for (name, columns) in [
            ("recordings_local", ["is_local", "try_at"].as_slice()),
            ("recordings_age", &["tenant_id", "kind", "created_at"]),
        ] {
            let mut index = Index::create().name(name).table("recordings").to_owned();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        let settings = Table::create()
            .table("recording_settings")
            .col(big_integer("tenant_id").primary_key())
            .col(boolean("incoming"))
            .col(boolean("outgoing"))
            .col(boolean("internal"))
            .col(boolean("agents_may_switch"))
            .col(string("pause_mode"))
            .col(integer_null("conversation_days"))
            .col(integer_null("voicemail_days"))
            .to_owned();
        manager.create_table(settings).await?;
        let numbers = Table::create()
            .table("number_recording")
            .col(big_integer("number_id").primary_key())
            .col(big_integer("tenant_id"))
            .col(boolean("record"))
            .to_owned();
        manager.create_table(numbers).await?;
        let agents = Table::create()
            .table("agent_recording")
            .col(big_integer("agent_id").primary_key())
            .col(big_integer("tenant_id"))
            .col(boolean_null("record"))
            .col(boolean_null("may_switch"))
            .to_owned();
        manager.create_table(agents).await?;
        let receipts = Table::create()
            .table("recording_receipts")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(big_integer("recording_id"))
            .col(big_integer("call_id"))
            .col(string("kind"))
            .col(big_integer("recorded_at"))
            .col(big_integer("deleted_at"))
            .col(string("rule"))
            .to_owned();
        manager.create_table(receipts).await?;
        manager
            .create_index(
                Index::create()
                    .name("recording_receipts_tenant")
                    .table("recording_receipts")
                    .col("tenant_id")
                    .col("deleted_at")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            "recording_receipts",
            "agent_recording",
            "number_recording",
            "recording_settings",
        ] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        for index in ["recordings_local", "recordings_age"] {
            manager
                .drop_index(Index::drop().name(index).table("recordings").to_owned())
                .await?;
        }
        for column in [
            "kind",
            "is_local",
            "archived_at",
            "archive",
            "archive_key",
            "data_key",
            "attempts",
            "try_at",
            "problem",
            "peaks",
        ] {
            let table = Table::alter()
                .table("recordings")
                .drop_column(column)
                .to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
