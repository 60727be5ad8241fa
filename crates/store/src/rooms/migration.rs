//! Conference rooms of companies.

use sea_orm_migration::{prelude::*, schema::*};

pub(super) struct CreateRooms;

impl MigrationName for CreateRooms {
    fn name(&self) -> &'static str {
        "m039_conference_rooms"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateRooms {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("conference_rooms")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(string("name"))
            .col(big_integer("extension"))
            .col(string_null("pin"))
            .col(big_integer("created_at"))
            .index(
                Index::create()
                    .name("conference_rooms_extension")
                    .col("tenant_id")
                    .col("extension")
                    .unique(),
            )
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("conference_rooms").to_owned())
            .await
    }
}
