//! Tables of carriers and of what is called through them.

use sea_orm_migration::{prelude::*, schema::*};

pub(super) struct CreateTrunks;

impl MigrationName for CreateTrunks {
    fn name(&self) -> &'static str {
        "m032_trunks"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateTrunks {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        for (name, table, columns) in [
            ("trunk_events_trunk", "trunk_events", ["trunk_id", "id"]),
            (
                "outgoing_stops_tenant",
                "outgoing_stops",
                ["tenant_id", "id"],
            ),
        ] {
            let mut index = Index::create().name(name).table(table).to_owned();
            for column in columns {
                index.col(column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            "outgoing_stops",
            "outgoing_settings",
            "trunk_events",
            "trunk_prices",
            "trunks",
        ] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

fn of_trunk(child: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(child, "trunk_id")
        .to("trunks", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

fn tables() -> [TableCreateStatement; 5] {
    [
        Table::create()
            .table("trunks")
            .col(big_pk_auto("id"))
            // Absent: shared by all companies of the installation.
            .col(big_integer_null("tenant_id"))
            .col(string("name").unique_key())
            .col(text("settings"))
            .col(text_null("wrapped_key"))
            .col(text_null("sealed_password"))
            .col(boolean("is_enabled"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .to_owned(),
        Table::create()
            .table("trunk_prices")
            .col(big_integer("trunk_id"))
            .col(string("prefix"))
            .col(big_integer("per_minute_micros"))
            .col(integer("step_seconds"))
            .primary_key(Index::create().col("trunk_id").col("prefix"))
            .foreign_key(&mut of_trunk("trunk_prices"))
            .to_owned(),
        Table::create()
            .table("trunk_events")
            .col(big_pk_auto("id"))
            .col(big_integer("trunk_id"))
            .col(big_integer("at"))
            .col(string("state"))
            .col(text("detail"))
            .foreign_key(&mut of_trunk("trunk_events"))
            .to_owned(),
        Table::create()
            .table("outgoing_settings")
            .col(big_integer("tenant_id").primary_key())
            .col(text("settings"))
            .to_owned(),
        Table::create()
            .table("outgoing_stops")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            // Absent: the whole company.
            .col(big_integer_null("agent_id"))
            .col(text("reason"))
            .col(big_integer("at"))
            .col(big_integer_null("released_at"))
            .col(string_null("released_by"))
            .to_owned(),
    ]
}

/// What calls cost, beside the rows that lists are made of: sums need no JSON.
pub(super) struct AddCallCosts;

impl MigrationName for AddCallCosts {
    fn name(&self) -> &'static str {
        "m033_call_costs"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AddCallCosts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column a statement.
        for column in [
            big_integer_null("trunk_id"),
            big_integer("talking_ms").default(0).take(),
            big_integer("cost_micros").default(0).take(),
        ] {
            let table = Table::alter().table("calls").add_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["cost_micros", "talking_ms", "trunk_id"] {
            let table = Table::alter().table("calls").drop_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}

/// What each call used of each trunk: legs go from one call to another, and not only outgoing calls have some.
pub(super) struct AddTrunkShares;

impl MigrationName for AddTrunkShares {
    fn name(&self) -> &'static str {
        "m040_trunk_shares"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AddTrunkShares {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("trunk_shares")
            .col(big_integer("call_id"))
            .col(big_integer("trunk_id"))
            .col(big_integer("tenant_id"))
            .col(big_integer("until"))
            .col(big_integer("talking_ms"))
            .col(big_integer("cost_micros"))
            .primary_key(Index::create().col("call_id").col("trunk_id"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("trunk_shares_until")
            .table("trunk_shares")
            .col("until")
            .to_owned();
        manager.create_index(index).await?;
        // What was used before counts as it did.
        let columns = [
            "call_id",
            "trunk_id",
            "tenant_id",
            "until",
            "talking_ms",
            "cost_micros",
        ];
        let before = Query::select()
            .columns(["id", "trunk_id", "tenant_id"])
            .expr(Expr::cust("coalesce(ended_at, started_at)"))
            .columns(["talking_ms", "cost_micros"])
            .from("calls")
            .and_where(Expr::col("trunk_id").is_not_null())
            .and_where(Expr::col("direction").eq("outgoing"))
            .to_owned();
        let mut copy = Query::insert()
            .into_table("trunk_shares")
            .columns(columns)
            .to_owned();
        copy.select_from(before)
            .map_err(|error| DbErr::Custom(error.to_string()))?;
        manager.execute(copy).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("trunk_shares").to_owned())
            .await
    }
}
