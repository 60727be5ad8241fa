//! Table of what was run after a search.

use sea_orm_migration::{prelude::*, schema::*};

pub(super) struct CreateSearchUses;

impl MigrationName for CreateSearchUses {
    fn name(&self) -> &'static str {
        "m031_search_uses"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateSearchUses {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("search_uses")
            .col(big_pk_auto("id"))
            .col(big_integer("workspace_id"))
            .col(string("word"))
            .col(string("action_id"))
            .col(big_integer("uses"))
            .index(
                Index::create()
                    .name("search_uses_word")
                    .col("workspace_id")
                    .col("word")
                    .col("action_id")
                    .unique(),
            )
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("search_uses").to_owned())
            .await
    }
}
