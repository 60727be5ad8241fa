//! The tables of this module.

use sea_orm_migration::{prelude::*, schema::*};

pub(super) struct CreateAccounts;

impl MigrationName for CreateAccounts {
    fn name(&self) -> &'static str {
        "m001_accounts"
    }
}

/// `column` of the table points at `target`; rows go when their owner goes.
fn owned_by(column: &'static str, target: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from_col(column)
        .to(target, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for CreateAccounts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for mut table in [
            users(),
            sessions(),
            setup_links(),
            clients(),
            grants(),
            codes(),
            refresh_tokens(),
        ] {
            manager.create_table(table.take()).await?;
        }
        for (table, column) in [
            ("users", "tenant_id"),
            ("user_sessions", "user_id"),
            ("oauth_grants", "user_id"),
            ("oauth_codes", "expires_at"),
            ("oauth_refresh_tokens", "grant_id"),
        ] {
            let name = format!("ix_{table}_{column}");
            manager
                .create_index(
                    Index::create()
                        .name(name)
                        .table(table)
                        .col(column)
                        .to_owned(),
                )
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            "oauth_refresh_tokens",
            "oauth_codes",
            "oauth_grants",
            "oauth_clients",
            "setup_links",
            "user_sessions",
            "users",
        ] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(big_pk_auto("id"))
        .col(big_integer("tenant_id"))
        .col(string_uniq("email"))
        .col(string("name"))
        .col(string("role"))
        .col(string("password_hash"))
        .col(big_integer("created_at"))
        .col(big_integer_null("disabled_at"))
        .foreign_key(&mut owned_by("tenant_id", "tenants"))
        .to_owned()
}

fn sessions() -> TableCreateStatement {
    Table::create()
        .table("user_sessions")
        .col(string("token_hash").primary_key())
        .col(big_integer("user_id"))
        .col(big_integer("created_at"))
        .col(big_integer("last_seen_at"))
        .col(big_integer("expires_at"))
        .col(string("user_agent"))
        .foreign_key(&mut owned_by("user_id", "users"))
        .to_owned()
}

fn setup_links() -> TableCreateStatement {
    Table::create()
        .table("setup_links")
        .col(string("token_hash").primary_key())
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("used_at"))
        .to_owned()
}

fn clients() -> TableCreateStatement {
    Table::create()
        .table("oauth_clients")
        .col(string("client_id").primary_key())
        .col(string("name"))
        .col(text("redirect_uris"))
        .col(big_integer("created_at"))
        .to_owned()
}

fn grants() -> TableCreateStatement {
    Table::create()
        .table("oauth_grants")
        .col(big_pk_auto("id"))
        .col(big_integer("user_id"))
        .col(string("client_id"))
        .col(string("token_kind"))
        .col(string("client_name"))
        .col(big_integer("created_at"))
        .col(big_integer_null("revoked_at"))
        .foreign_key(&mut owned_by("user_id", "users"))
        .to_owned()
}

fn codes() -> TableCreateStatement {
    Table::create()
        .table("oauth_codes")
        .col(string("code_hash").primary_key())
        .col(big_integer("user_id"))
        .col(string("client_id"))
        .col(text("redirect_uri"))
        .col(string("code_challenge"))
        .col(string("token_kind"))
        .col(string("client_name"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("used_at"))
        .col(big_integer_null("grant_id"))
        .foreign_key(&mut owned_by("user_id", "users"))
        .to_owned()
}

fn refresh_tokens() -> TableCreateStatement {
    Table::create()
        .table("oauth_refresh_tokens")
        .col(string("token_hash").primary_key())
        .col(big_integer("grant_id"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("used_at"))
        .foreign_key(&mut owned_by("grant_id", "oauth_grants"))
        .to_owned()
}
