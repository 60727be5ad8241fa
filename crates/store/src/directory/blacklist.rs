//! Numbers that may not call us, or that we may not call.

use model::{Direction, PhoneNumber, TenantId, Timestamp};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};

use super::{
    BlacklistId, BlacklistKind, Listed, Page,
    entity::blacklist::{self, ActiveModel, Column, Entity},
    page::{list, taken},
};
use crate::{Db, StoreError, from_ms, to_ms};

/// One blocked number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlacklistEntry {
    pub id: BlacklistId,
    pub kind: BlacklistKind,
    /// With `+`.
    pub e164: String,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
}

/// Which entries to list. Texts are compared as they are: an unknown word matches nothing.
#[derive(Clone, Debug, Default)]
pub struct BlacklistFilter {
    pub id: Option<BlacklistId>,
    pub country_code: Option<String>,
    pub kind: Option<String>,
    pub number: Option<String>,
}

impl From<blacklist::Model> for BlacklistEntry {
    fn from(row: blacklist::Model) -> Self {
        Self {
            id: BlacklistId(row.id),
            kind: BlacklistKind::stored(&row.kind),
            e164: row.e164,
            created_at: from_ms(row.created_at),
            modified_at: from_ms(row.modified_at),
        }
    }
}

const UNIQUE: &[(&str, &str)] = &[("e164", "public_number")];

fn fields(kind: BlacklistKind, number: &PhoneNumber, now: Timestamp) -> ActiveModel {
    ActiveModel {
        kind: Set(kind.as_str().to_owned()),
        e164: Set(number.as_str().to_owned()),
        country_code: Set(number
            .calling_code()
            .map(|code| code.to_string())
            .unwrap_or_default()),
        modified_at: Set(to_ms(now)),
        ..Default::default()
    }
}

impl Db {
    /// One page of a company's blacklist, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn blacklist(
        &self,
        tenant: TenantId,
        filter: &BlacklistFilter,
        page: Page,
    ) -> Result<Listed<BlacklistEntry>, StoreError> {
        let mut select = Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .order_by_asc(Column::Id);
        if let Some(id) = filter.id {
            select = select.filter(Column::Id.eq(id.0));
        }
        if let Some(code) = &filter.country_code {
            select = select.filter(Column::CountryCode.eq(code.as_str()));
        }
        if let Some(kind) = &filter.kind {
            select = select.filter(Column::Kind.eq(kind.as_str()));
        }
        if let Some(number) = &filter.number {
            select = select.filter(Column::E164.eq(super::agents::e164_of(number)));
        }
        Ok(list(&self.conn, select, page).await?.map(Into::into))
    }

    /// Whether calls with this number are refused. A hidden number can't be on the list.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_blacklisted(
        &self,
        tenant: TenantId,
        number: &PhoneNumber,
        direction: Direction,
    ) -> Result<bool, StoreError> {
        let kinds = match direction {
            Direction::Incoming => [BlacklistKind::All, BlacklistKind::Incoming],
            Direction::Outgoing => [BlacklistKind::All, BlacklistKind::Outgoing],
            Direction::Internal => return Ok(false),
        };
        let found = Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::E164.eq(number.as_str()))
            .filter(Column::Kind.is_in(kinds.map(BlacklistKind::as_str)))
            .one(&self.conn)
            .await?;
        Ok(found.is_some())
    }

    /// Blocks a number.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when it is on the list already.
    pub async fn add_blacklisted(
        &self,
        tenant: TenantId,
        kind: BlacklistKind,
        number: &PhoneNumber,
        now: Timestamp,
    ) -> Result<BlacklistId, StoreError> {
        let row = ActiveModel {
            tenant_id: Set(tenant.0),
            created_at: Set(to_ms(now)),
            ..fields(kind, number, now)
        };
        match row.insert(&self.conn).await {
            Ok(row) => Ok(BlacklistId(row.id)),
            Err(error) => Err(taken(error, UNIQUE)),
        }
    }

    /// Changes an entry; `false` when there is none.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when another entry has the number.
    pub async fn edit_blacklisted(
        &self,
        tenant: TenantId,
        id: BlacklistId,
        kind: BlacklistKind,
        number: &PhoneNumber,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let changed = Entity::update_many()
            .set(fields(kind, number, now))
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.eq(id.0))
            .exec(&self.conn)
            .await
            .map_err(|error| taken(error, UNIQUE))?;
        Ok(changed.rows_affected > 0)
    }

    /// Lifts a block.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_blacklisted(
        &self,
        tenant: TenantId,
        id: BlacklistId,
    ) -> Result<bool, StoreError> {
        let gone = Entity::delete_many()
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(gone.rows_affected > 0)
    }
}
