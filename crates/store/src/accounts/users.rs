//! People who sign in.

use model::{TenantId, Timestamp, UserId};
use sea_orm::{ActiveValue::Set, QueryOrder, QuerySelect, SqlErr, entity::prelude::*};

use crate::{Db, StoreError, from_ms, to_ms};

pub(super) mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "users")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub tenant_id: i64,
        #[sea_orm(unique)]
        pub email: String,
        pub name: String,
        pub role: super::Role,
        pub password_hash: String,
        pub created_at: i64,
        pub disabled_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What a person may do in the console, from most to least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::None)")]
pub enum Role {
    #[sea_orm(string_value = "owner")]
    Owner,
    #[sea_orm(string_value = "admin")]
    Admin,
    #[sea_orm(string_value = "supervisor")]
    Supervisor,
    #[sea_orm(string_value = "analyst")]
    Analyst,
    #[sea_orm(string_value = "agent")]
    Agent,
}

impl Role {
    /// The word of the interfaces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Supervisor => "supervisor",
            Self::Analyst => "analyst",
            Self::Agent => "agent",
        }
    }
}

/// A person who signs in. The password's hash stays behind [`Db::password_hash_by_email`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub tenant: TenantId,
    /// Lower case; unique in the whole installation.
    pub email: String,
    pub name: String,
    pub role: Role,
    pub created_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
}

/// A person to be.
#[derive(Clone)]
pub struct NewUser {
    pub tenant: TenantId,
    pub email: String,
    pub name: String,
    pub role: Role,
    /// An argon2id string.
    pub password_hash: String,
}

impl From<entity::Model> for User {
    fn from(row: entity::Model) -> Self {
        Self {
            id: UserId(row.id),
            tenant: TenantId(row.tenant_id),
            email: row.email,
            name: row.name,
            role: row.role,
            created_at: from_ms(row.created_at),
            disabled_at: row.disabled_at.map(from_ms),
        }
    }
}

impl Db {
    /// Adds a person. The address is lower-cased here, so that no caller can forget it.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the address is taken.
    pub async fn create_user(&self, new: NewUser, now: Timestamp) -> Result<User, StoreError> {
        let row = entity::ActiveModel {
            tenant_id: Set(new.tenant.0),
            email: Set(new.email.trim().to_lowercase()),
            name: Set(new.name),
            role: Set(new.role),
            password_hash: Set(new.password_hash),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        match row.insert(&self.conn).await {
            Ok(row) => Ok(row.into()),
            Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
                Err(StoreError::Duplicate { what: "email" })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The person with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(entity::Entity::find_by_id(id.0)
            .one(&self.conn)
            .await?
            .map(Into::into))
    }

    /// Everybody of a company, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn users(&self, tenant: TenantId) -> Result<Vec<User>, StoreError> {
        let rows = entity::Entity::find()
            .filter(entity::Column::TenantId.eq(tenant.0))
            .order_by_asc(entity::Column::Name)
            .order_by_asc(entity::Column::Id)
            .all(&self.conn)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Whether anybody can sign in at all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn any_user(&self) -> Result<bool, StoreError> {
        let first: Option<i64> = entity::Entity::find()
            .select_only()
            .column(entity::Column::Id)
            .limit(1)
            .into_tuple()
            .one(&self.conn)
            .await?;
        Ok(first.is_some())
    }

    /// The person with this address, and the hash to check his password against.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn password_hash_by_email(
        &self,
        email: &str,
    ) -> Result<Option<(User, String)>, StoreError> {
        let row = entity::Entity::find()
            .filter(entity::Column::Email.eq(email.trim().to_lowercase()))
            .one(&self.conn)
            .await?;
        Ok(row.map(|row| {
            let hash = row.password_hash.clone();
            (row.into(), hash)
        }))
    }

    /// Replaces a person's password hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_password_hash(
        &self,
        user: UserId,
        password_hash: &str,
    ) -> Result<(), StoreError> {
        entity::Entity::update_many()
            .col_expr(entity::Column::PasswordHash, Expr::value(password_hash))
            .filter(entity::Column::Id.eq(user.0))
            .exec(&self.conn)
            .await?;
        Ok(())
    }

    /// Stops a person from signing in, or lets him again. His sessions and grants stop counting at once,
    /// because they are looked up together with him.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_user_disabled(
        &self,
        user: UserId,
        at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        entity::Entity::update_many()
            .col_expr(entity::Column::DisabledAt, Expr::value(at.map(to_ms)))
            .filter(entity::Column::Id.eq(user.0))
            .exec(&self.conn)
            .await?;
        Ok(())
    }
}
