//! Sounds that companies uploaded; the audio lies in the data folder.

use sea_orm_migration::{prelude::*, schema::*};

pub(super) struct CreateSounds;

impl MigrationName for CreateSounds {
    fn name(&self) -> &'static str {
        "m038_sounds"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateSounds {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("sounds")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(string("name"))
            .col(big_integer("duration_ms"))
            .col(big_integer("created_at"))
            .index(
                Index::create()
                    .name("sounds_name")
                    .col("tenant_id")
                    .col("name")
                    .unique(),
            )
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("sounds").to_owned())
            .await
    }
}
