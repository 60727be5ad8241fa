//! Tables of the directory.

use sea_orm_migration::{prelude::*, schema::*};

pub(super) struct CreateDirectory;

impl MigrationName for CreateDirectory {
    fn name(&self) -> &'static str {
        "m005_directory"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateDirectory {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        for (name, table, columns, unique) in INDEXES {
            let mut index = Index::create().name(*name).table(*table).to_owned();
            for column in *columns {
                index.col(*column);
            }
            if *unique {
                index.unique();
            }
            manager.create_index(index).await?;
        }
        // What a deleted agent held can be given to the next one. Both engines know partial indexes.
        for statement in [
            "CREATE UNIQUE INDEX agents_email ON agents (email) WHERE deleted_at IS NULL",
            "CREATE UNIQUE INDEX agents_extension ON agents (tenant_id, extension) WHERE deleted_at IS NULL",
            "CREATE UNIQUE INDEX agents_sip_username ON agents (sip_username) WHERE deleted_at IS NULL",
        ] {
            manager
                .get_connection()
                .execute_unprepared(statement)
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables()
            .iter()
            .rev()
            .filter_map(|table| table.get_table_name().cloned())
        {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

/// Removes the child with its parent.
fn owned_by(
    child: &'static str,
    column: &'static str,
    parent: &'static str,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(child, column)
        .to(parent, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

fn pair(table: &'static str, first: &'static str, second: &'static str) -> IndexCreateStatement {
    Index::create()
        .table(table)
        .col(first)
        .col(second)
        .primary()
        .to_owned()
}

/// Name, table, columns, unique.
const INDEXES: &[(&str, &str, &[&str], bool)] = &[
    ("agents_tenant", "agents", &["tenant_id", "id"], false),
    ("numbers_e164", "numbers", &["e164"], true),
    ("numbers_tenant", "numbers", &["tenant_id", "id"], false),
    ("groups_tenant", "groups", &["tenant_id", "id"], false),
    (
        "group_members_tenant",
        "group_members",
        &["tenant_id"],
        false,
    ),
    ("group_members_agent", "group_members", &["agent_id"], false),
    ("flows_tenant", "flows", &["tenant_id", "id"], false),
    ("contacts_tenant", "contacts", &["tenant_id", "id"], false),
    (
        "contact_numbers_e164",
        "contact_numbers",
        &["tenant_id", "e164"],
        false,
    ),
    (
        "contact_numbers_contact",
        "contact_numbers",
        &["contact_id"],
        false,
    ),
    (
        "contact_emails_contact",
        "contact_emails",
        &["contact_id"],
        false,
    ),
    ("tags_name", "tags", &["tenant_id", "name_key"], true),
    ("contact_tags_tag", "contact_tags", &["tag_id"], false),
    ("call_tags_tag", "call_tags", &["tag_id"], false),
    ("call_notes_call", "call_notes", &["call_id"], false),
    ("call_ratings_call", "call_ratings", &["call_id"], false),
    (
        "contact_attributes_tenant",
        "contact_attributes",
        &["tenant_id", "id"],
        false,
    ),
    (
        "contact_urls_contact",
        "contact_urls",
        &["contact_id"],
        false,
    ),
    (
        "activities_contact",
        "activities",
        &["tenant_id", "contact_id"],
        false,
    ),
    (
        "contact_notes_contact",
        "contact_notes",
        &["tenant_id", "contact_id"],
        false,
    ),
    ("campaigns_tenant", "campaigns", &["tenant_id", "id"], false),
    (
        "campaign_buttons_campaign",
        "campaign_buttons",
        &["campaign_id"],
        false,
    ),
    ("blacklist_e164", "blacklist", &["tenant_id", "e164"], true),
    ("api_keys_key_id", "api_keys", &["key_id"], true),
    ("messages_tenant", "messages", &["tenant_id", "id"], false),
    (
        "sip_bindings_username",
        "sip_bindings",
        &["username", "instance"],
        true,
    ),
    (
        "sip_bindings_expiry",
        "sip_bindings",
        &["expires_at"],
        false,
    ),
];

fn tables() -> Vec<TableCreateStatement> {
    let mut tables = people();
    tables.extend(address_book());
    tables.extend(work());
    tables
}

fn people() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table("agents")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(string("first_name"))
            .col(string("last_name"))
            .col(string("email"))
            .col(integer("extension"))
            .col(string("sip_username"))
            .col(text("password_hash"))
            .col(string("sip_ha1_md5"))
            .col(string("sip_ha1_sha256"))
            .col(string("language"))
            .col(string("role"))
            .col(string("availability"))
            .col(boolean("status_outbound"))
            .col(integer_null("daily_price_limit"))
            .col(big_integer_null("number_id"))
            .col(integer("wrap_up_seconds"))
            .col(big_integer("created_at"))
            .col(big_integer_null("deleted_at"))
            .to_owned(),
        Table::create()
            .table("numbers")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(string("e164"))
            .col(string("country_code"))
            .col(string("area_code"))
            .col(string("internal_name"))
            .col(boolean("is_redirected"))
            .col(boolean("sms_enabled"))
            .col(integer_null("connected_to"))
            .col(big_integer_null("source_id"))
            .col(big_integer_null("trunk_id"))
            .col(big_integer("created_at"))
            .to_owned(),
        Table::create()
            .table("agent_numbers")
            .col(big_integer("agent_id"))
            .col(big_integer("number_id"))
            .col(big_integer("tenant_id"))
            .primary_key(&mut pair("agent_numbers", "agent_id", "number_id"))
            .foreign_key(&mut owned_by("agent_numbers", "agent_id", "agents"))
            .foreign_key(&mut owned_by("agent_numbers", "number_id", "numbers"))
            .to_owned(),
        Table::create()
            .table("groups")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(string("internal_name"))
            .col(integer_null("extension"))
            .col(string("strategy"))
            .col(integer("ring_seconds"))
            .col(integer_null("wrap_up_seconds"))
            .col(boolean("rings_idle"))
            .col(big_integer("created_at"))
            .to_owned(),
        Table::create()
            .table("group_members")
            .col(big_integer("group_id"))
            .col(big_integer("agent_id"))
            .col(big_integer("tenant_id"))
            .primary_key(&mut pair("group_members", "group_id", "agent_id"))
            .foreign_key(&mut owned_by("group_members", "group_id", "groups"))
            .foreign_key(&mut owned_by("group_members", "agent_id", "agents"))
            .to_owned(),
        Table::create()
            .table("flows")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(string("name"))
            .col(text("flow"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .to_owned(),
        Table::create()
            .table("sip_bindings")
            .col(big_pk_auto("id"))
            .col(string("username"))
            .col(string("instance"))
            .col(text("binding"))
            .col(big_integer("expires_at"))
            .to_owned(),
    ]
}

fn address_book() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table("contacts")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(string("name"))
            .col(string("title"))
            .col(string("company"))
            .col(string("industry"))
            .col(string("website"))
            .col(string("address"))
            .col(string("city"))
            .col(string_null("zip"))
            .col(string("state"))
            .col(integer_null("country_id"))
            .col(big_integer_null("favorite_agent"))
            .col(string("kind"))
            .col(text("search"))
            .col(big_integer("created_at"))
            .col(big_integer("modified_at"))
            .to_owned(),
        Table::create()
            .table("contact_numbers")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(big_integer("contact_id"))
            .col(string("e164"))
            .foreign_key(&mut owned_by("contact_numbers", "contact_id", "contacts"))
            .to_owned(),
        Table::create()
            .table("contact_emails")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(big_integer("contact_id"))
            .col(string("email"))
            .foreign_key(&mut owned_by("contact_emails", "contact_id", "contacts"))
            .to_owned(),
        Table::create()
            .table("tags")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(string("name"))
            .col(string("name_key"))
            .to_owned(),
        Table::create()
            .table("contact_tags")
            .col(big_integer("contact_id"))
            .col(big_integer("tag_id"))
            .col(big_integer("tenant_id"))
            .primary_key(&mut pair("contact_tags", "contact_id", "tag_id"))
            .foreign_key(&mut owned_by("contact_tags", "contact_id", "contacts"))
            .foreign_key(&mut owned_by("contact_tags", "tag_id", "tags"))
            .to_owned(),
        Table::create()
            .table("contact_attributes")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(string("title"))
            .to_owned(),
        Table::create()
            .table("contact_attribute_values")
            .col(big_integer("contact_id"))
            .col(big_integer("attribute_id"))
            .col(big_integer("tenant_id"))
            .col(string("value"))
            .primary_key(&mut pair(
                "contact_attribute_values",
                "contact_id",
                "attribute_id",
            ))
            .foreign_key(&mut owned_by(
                "contact_attribute_values",
                "contact_id",
                "contacts",
            ))
            .foreign_key(&mut owned_by(
                "contact_attribute_values",
                "attribute_id",
                "contact_attributes",
            ))
            .to_owned(),
        Table::create()
            .table("contact_urls")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(big_integer("contact_id"))
            .col(string("name"))
            .col(text("url"))
            .foreign_key(&mut owned_by("contact_urls", "contact_id", "contacts"))
            .to_owned(),
        Table::create()
            .table("activities")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(big_integer("contact_id"))
            .col(string("kind"))
            .col(string("name"))
            .col(text("description"))
            .col(string("author"))
            .col(string("external_id"))
            .col(text("external_url"))
            .col(big_integer("activity_at"))
            .col(big_integer("created_at"))
            .foreign_key(&mut owned_by("activities", "contact_id", "contacts"))
            .to_owned(),
        Table::create()
            .table("contact_notes")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(big_integer("contact_id"))
            .col(big_integer_null("agent_id"))
            .col(text("note"))
            .col(big_integer("created_at"))
            .foreign_key(&mut owned_by("contact_notes", "contact_id", "contacts"))
            .to_owned(),
    ]
}

fn work() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table("call_tags")
            .col(big_integer("call_id"))
            .col(big_integer("tag_id"))
            .col(big_integer("tenant_id"))
            .primary_key(&mut pair("call_tags", "call_id", "tag_id"))
            .foreign_key(&mut owned_by("call_tags", "tag_id", "tags"))
            .to_owned(),
        Table::create()
            .table("call_notes")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(big_integer("call_id"))
            .col(text("note"))
            .col(big_integer("created_at"))
            .to_owned(),
        Table::create()
            .table("call_ratings")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(big_integer("call_id"))
            .col(string("kind"))
            .col(integer("rating"))
            .to_owned(),
        Table::create()
            .table("campaigns")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(string("name"))
            .col(boolean("active"))
            .col(text("settings"))
            .col(big_integer("created_at"))
            .to_owned(),
        Table::create()
            .table("campaign_buttons")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(big_integer("campaign_id"))
            .col(string("title"))
            .col(string("kind"))
            .col(string("color"))
            .col(string("description"))
            .foreign_key(&mut owned_by(
                "campaign_buttons",
                "campaign_id",
                "campaigns",
            ))
            .to_owned(),
        Table::create()
            .table("campaign_tags")
            .col(big_integer("campaign_id"))
            .col(big_integer("tag_id"))
            .col(big_integer("tenant_id"))
            .primary_key(&mut pair("campaign_tags", "campaign_id", "tag_id"))
            .foreign_key(&mut owned_by("campaign_tags", "campaign_id", "campaigns"))
            .foreign_key(&mut owned_by("campaign_tags", "tag_id", "tags"))
            .to_owned(),
        Table::create()
            .table("campaign_agents")
            .col(big_integer("campaign_id"))
            .col(big_integer("agent_id"))
            .col(big_integer("tenant_id"))
            .primary_key(&mut pair("campaign_agents", "campaign_id", "agent_id"))
            .foreign_key(&mut owned_by("campaign_agents", "campaign_id", "campaigns"))
            .foreign_key(&mut owned_by("campaign_agents", "agent_id", "agents"))
            .to_owned(),
        Table::create()
            .table("campaign_groups")
            .col(big_integer("campaign_id"))
            .col(big_integer("group_id"))
            .col(big_integer("tenant_id"))
            .primary_key(&mut pair("campaign_groups", "campaign_id", "group_id"))
            .foreign_key(&mut owned_by("campaign_groups", "campaign_id", "campaigns"))
            .foreign_key(&mut owned_by("campaign_groups", "group_id", "groups"))
            .to_owned(),
        Table::create()
            .table("blacklist")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(string("kind"))
            .col(string("e164"))
            .col(string("country_code"))
            .col(big_integer("created_at"))
            .col(big_integer("modified_at"))
            .to_owned(),
        Table::create()
            .table("api_keys")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(string("key_id"))
            .col(string("secret_sha256"))
            .col(string("name"))
            .col(big_integer("created_at"))
            .col(big_integer_null("revoked_at"))
            .to_owned(),
        Table::create()
            .table("messages")
            .col(big_pk_auto("id"))
            .col(big_integer("tenant_id"))
            .col(string("direction"))
            .col(string("sender"))
            .col(string("recipient"))
            .col(text("text"))
            .col(string("state"))
            .col(string_null("reason"))
            .col(big_integer_null("contact_id"))
            .col(big_integer("created_at"))
            .to_owned(),
    ]
}
