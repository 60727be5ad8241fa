//! Rows of the gateway's tables.

macro_rules! no_relations {
    () => {
        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}
    };
}

pub(super) mod workspace {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "workspaces")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub public_id: String,
        pub tenant_id: i64,
        pub key: String,
        pub name: String,
        pub default_tenant_key: String,
        #[sea_orm(column_type = "Text")]
        pub wrapped_key: String,
        #[sea_orm(column_type = "Text")]
        pub sealed_secret: String,
        pub created_at: i64,
    }

    no_relations!();
}

pub(super) mod customer {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "gateway_customers")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub public_id: String,
        pub workspace_id: i64,
        pub internal_id: String,
        pub name: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub fields: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub wrapped_key: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub sealed_credentials: Option<String>,
        pub created_at: i64,
        pub last_active_at: i64,
    }

    no_relations!();
}

pub(super) mod personal_token {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "personal_tokens")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub public_id: String,
        pub workspace_id: i64,
        pub customer_id: Option<i64>,
        pub is_admin: bool,
        pub name: String,
        pub sha256: String,
        pub created_at: i64,
        pub expires_at: Option<i64>,
        pub revoked_at: Option<i64>,
    }

    no_relations!();
}

pub(super) mod setting {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "gateway_settings")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub workspace_id: i64,
        pub name: String,
        #[sea_orm(column_type = "Text")]
        pub value: String,
    }

    no_relations!();
}

pub(super) mod search_use {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "search_uses")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub workspace_id: i64,
        pub word: String,
        pub action_id: String,
        pub uses: i64,
    }

    no_relations!();
}

pub(super) mod connection {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "connections")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub public_id: String,
        pub workspace_id: i64,
        pub customer_id: i64,
        pub name: String,
        pub key: Option<String>,
        pub connector_key: Option<String>,
        pub connector_version: Option<String>,
        pub app_domain: String,
        pub state: String,
        pub auth_option: Option<String>,
        #[sea_orm(column_type = "Text")]
        pub parameters: String,
        #[sea_orm(column_type = "Text")]
        pub input: String,
        #[sea_orm(column_type = "Text")]
        pub meta: String,
        #[sea_orm(column_type = "Text", nullable)]
        pub sealed_credential: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub client_action: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub error: Option<String>,
        pub connected: bool,
        pub revision: i64,
        pub created_at: i64,
        pub updated_at: i64,
        pub last_active_at: Option<i64>,
        pub archived_at: Option<i64>,
    }

    no_relations!();
}

pub(super) mod connection_log {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "connection_logs")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub workspace_id: i64,
        pub customer_id: i64,
        pub connection_id: i64,
        pub at: i64,
        pub kind: String,
        #[sea_orm(column_type = "Text")]
        pub message: String,
    }

    no_relations!();
}

pub(super) mod connection_request {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "connection_requests")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub public_id: String,
        pub workspace_id: i64,
        pub customer_id: i64,
        pub connection_id: i64,
        pub status: String,
        #[sea_orm(column_type = "Text")]
        pub options: String,
        #[sea_orm(column_type = "Text", nullable)]
        pub error: Option<String>,
        pub created_at: i64,
        pub updated_at: i64,
    }

    no_relations!();
}

pub(super) mod action_run {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "action_runs")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub public_id: String,
        pub workspace_id: i64,
        pub customer_id: i64,
        pub connection_id: Option<i64>,
        pub action_id: String,
        pub action_key: String,
        pub name: String,
        pub connector_key: Option<String>,
        pub status: String,
        #[sea_orm(column_type = "Text", nullable)]
        pub input: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub output: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub error: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub details: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub meta: Option<String>,
        pub started_at: i64,
        pub duration_ms: i64,
    }

    no_relations!();
}
