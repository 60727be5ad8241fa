//! Rows of the ledger's tables.

pub(super) mod event {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "call_events")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub tenant_id: i64,
        pub call_id: i64,
        pub seq: i32,
        pub at: i64,
        #[sea_orm(column_type = "Text")]
        pub fact: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod call {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "calls")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub tenant_id: i64,
        pub uuid: String,
        pub direction: String,
        pub external: Option<String>,
        pub internal: Option<String>,
        pub number_id: Option<i64>,
        pub contact_id: Option<i64>,
        pub agent_id: Option<i64>,
        pub status: String,
        pub started_at: i64,
        pub ended_at: Option<i64>,
        #[sea_orm(column_type = "Text")]
        pub record: String,
        pub trunk_id: Option<i64>,
        pub talking_ms: i64,
        pub cost_micros: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod share {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "trunk_shares")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub call_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub trunk_id: i64,
        pub tenant_id: i64,
        pub until: i64,
        pub talking_ms: i64,
        pub cost_micros: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod recording {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "recordings")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub tenant_id: i64,
        pub call_id: i64,
        pub file: String,
        pub created_at: i64,
        pub deleted_at: Option<i64>,
        pub kind: String,
        pub is_local: bool,
        pub archived_at: Option<i64>,
        pub archive: Option<String>,
        pub archive_key: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub data_key: Option<String>,
        pub attempts: i32,
        pub try_at: Option<i64>,
        #[sea_orm(column_type = "Text", nullable)]
        pub problem: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub peaks: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
