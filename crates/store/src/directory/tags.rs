//! Tags: one namespace for contacts and calls, unique without regard to case.

use model::{TagId, TenantId};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};

use super::{
    Listed, Page,
    entity::tag::{self, ActiveModel, Column, Entity},
    page::{list, taken},
};
use crate::{Db, StoreError};

/// A label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub id: TagId,
    pub name: String,
}

impl From<tag::Model> for Tag {
    fn from(row: tag::Model) -> Self {
        Self {
            id: TagId(row.id),
            name: row.name,
        }
    }
}

const UNIQUE: &[(&str, &str)] = &[("name_key", "name"), ("tags_name", "name")];

pub(super) fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// The tags of these names, made where missing, in the order of their first mention.
pub(super) async fn ensure(
    conn: &impl ConnectionTrait,
    tenant: TenantId,
    names: &[String],
) -> Result<Vec<Tag>, StoreError> {
    let mut wanted: Vec<String> = Vec::new();
    for name in names.iter().filter(|name| !name.trim().is_empty()) {
        if wanted.contains(&key(name)) {
            continue;
        }
        wanted.push(key(name));
        let row = ActiveModel {
            tenant_id: Set(tenant.0),
            name: Set(name.trim().to_owned()),
            name_key: Set(key(name)),
            ..Default::default()
        };
        Entity::insert(row)
            .on_conflict_do_nothing_on([Column::TenantId, Column::NameKey])
            .exec_without_returning(conn)
            .await?;
    }
    by_keys(conn, tenant, &wanted).await
}

/// The tags of these keys, in their order; unknown ones are left out.
pub(super) async fn by_keys(
    conn: &impl ConnectionTrait,
    tenant: TenantId,
    keys: &[String],
) -> Result<Vec<Tag>, StoreError> {
    let rows = Entity::find()
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::NameKey.is_in(keys.iter().map(String::as_str)))
        .all(conn)
        .await?;
    let mut rows: Vec<(Option<usize>, Tag)> = rows
        .into_iter()
        .map(|row| (keys.iter().position(|key| *key == row.name_key), row.into()))
        .collect();
    rows.sort_by_key(|(place, _)| *place);
    Ok(rows.into_iter().map(|(_, tag)| tag).collect())
}

impl Db {
    /// One page of a company's tags, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tags(
        &self,
        tenant: TenantId,
        id: Option<TagId>,
        page: Page,
    ) -> Result<Listed<Tag>, StoreError> {
        let mut select = Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .order_by_asc(Column::Id);
        if let Some(id) = id {
            select = select.filter(Column::Id.eq(id.0));
        }
        Ok(list(&self.conn, select, page).await?.map(Into::into))
    }

    /// Adds a tag.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the name is taken in another case or the same.
    pub async fn add_tag(&self, tenant: TenantId, name: &str) -> Result<TagId, StoreError> {
        let row = ActiveModel {
            tenant_id: Set(tenant.0),
            name: Set(name.trim().to_owned()),
            name_key: Set(key(name)),
            ..Default::default()
        };
        match row.insert(&self.conn).await {
            Ok(row) => Ok(TagId(row.id)),
            Err(error) => Err(taken(error, UNIQUE)),
        }
    }

    /// Renames a tag; `false` when there is none.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when another tag has the name.
    pub async fn edit_tag(
        &self,
        tenant: TenantId,
        id: TagId,
        name: &str,
    ) -> Result<bool, StoreError> {
        let row = ActiveModel {
            name: Set(name.trim().to_owned()),
            name_key: Set(key(name)),
            ..Default::default()
        };
        let changed = Entity::update_many()
            .set(row)
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.eq(id.0))
            .exec(&self.conn)
            .await
            .map_err(|error| taken(error, UNIQUE))?;
        Ok(changed.rows_affected > 0)
    }

    /// Removes a tag from everything that wears it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_tag(&self, tenant: TenantId, id: TagId) -> Result<bool, StoreError> {
        let gone = Entity::delete_many()
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(gone.rows_affected > 0)
    }
}
