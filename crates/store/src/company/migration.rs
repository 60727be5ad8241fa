//! The tenants table.

use sea_orm_migration::{prelude::*, schema::*};

pub(super) struct CreateTenants;

impl MigrationName for CreateTenants {
    fn name(&self) -> &'static str {
        "m001_company_tenants"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateTenants {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("tenants")
                    .col(big_pk_auto("id"))
                    .col(string("name"))
                    .col(string("time_zone"))
                    .col(string("country_code"))
                    .col(big_integer("created_at"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("tenants").to_owned())
            .await
    }
}
