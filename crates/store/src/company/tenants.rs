//! Reading and writing companies.

use model::{TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, entity::prelude::*};

use crate::{Db, StoreError, from_ms, to_ms};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "tenants")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub name: String,
        pub time_zone: String,
        pub country_code: String,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A company.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    /// IANA name, such as `Europe/Bratislava`.
    pub time_zone: String,
    /// ISO 3166 alpha-2, such as `SK`.
    pub country_code: String,
    pub created_at: Timestamp,
}

/// A company to be.
#[derive(Clone, Debug)]
pub struct NewTenant {
    pub name: String,
    pub time_zone: String,
    pub country_code: String,
}

impl From<entity::Model> for Tenant {
    fn from(row: entity::Model) -> Self {
        Self {
            id: TenantId(row.id),
            name: row.name,
            time_zone: row.time_zone,
            country_code: row.country_code,
            created_at: from_ms(row.created_at),
        }
    }
}

impl Db {
    /// Creates a company.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_tenant(
        &self,
        new: NewTenant,
        now: Timestamp,
    ) -> Result<Tenant, StoreError> {
        let row = entity::ActiveModel {
            name: Set(new.name),
            time_zone: Set(new.time_zone),
            country_code: Set(new.country_code),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        Ok(row.insert(&self.conn).await?.into())
    }

    /// The company with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        Ok(entity::Entity::find_by_id(id.0)
            .one(&self.conn)
            .await?
            .map(Into::into))
    }

    /// All companies, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        use sea_orm::QueryOrder;
        let rows = entity::Entity::find()
            .order_by_asc(entity::Column::Id)
            .all(&self.conn)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_company_reads_back_as_written() {
        let dir = tempfile::tempdir().expect("temp dir");
        let db = Db::open_file(&dir.path().join("t.db")).await.expect("open");
        let new = NewTenant {
            name: "Acme".into(),
            time_zone: "Europe/Bratislava".into(),
            country_code: "SK".into(),
        };
        let made = db.create_tenant(new, crate::now()).await.expect("create");
        assert_eq!(db.tenant(made.id).await.expect("read"), Some(made));
    }
}
