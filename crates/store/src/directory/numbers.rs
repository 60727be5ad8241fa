//! Public numbers and where their calls go.

use model::{AgentId, FlowId, GroupId, NumberId, PhoneNumber, TenantId, Timestamp, TrunkId};
use sea_orm::{ActiveValue::Set, QueryOrder, entity::prelude::*};

use super::{
    Listed, Page,
    entity::number::{self, ActiveModel, Column, Entity},
    page::{list, taken},
};
use crate::{Db, StoreError, from_ms, to_ms};

/// Where a call to a number goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Group(GroupId),
    Agent(AgentId),
    Conference(i64),
    Fax(i64),
    Flow(FlowId),
}

impl Route {
    /// The interface's code (`connected_to`) and the target's id (`source_id`).
    #[must_use]
    pub fn code(self) -> (u8, i64) {
        match self {
            Self::Group(id) => (0, id.0),
            Self::Agent(id) => (1, id.0),
            Self::Conference(id) => (2, id),
            Self::Fax(id) => (3, id),
            Self::Flow(id) => (4, id.0),
        }
    }

    /// The route of a code and a target.
    #[must_use]
    pub fn from_code(code: i64, source: i64) -> Option<Self> {
        Some(match code {
            0 => Self::Group(GroupId(source)),
            1 => Self::Agent(AgentId(source)),
            2 => Self::Conference(source),
            3 => Self::Fax(source),
            4 => Self::Flow(FlowId(source)),
            _ => return None,
        })
    }
}

/// A public number that a company owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    pub id: NumberId,
    pub tenant: TenantId,
    /// With `+`; unique in the installation.
    pub e164: String,
    /// Calling code, such as `421`.
    pub country_code: String,
    /// Without leading zero; may be empty.
    pub area_code: String,
    pub internal_name: String,
    /// An outside number is forwarded to it.
    pub is_redirected: bool,
    /// May send and receive text messages.
    pub sms_enabled: bool,
    /// Absent: the number is free, its callers hear an announcement.
    pub route: Option<Route>,
    pub trunk: Option<TrunkId>,
    pub created_at: Timestamp,
}

/// A number to be.
#[derive(Clone, Debug)]
pub struct NewNumber {
    pub number: PhoneNumber,
    pub area_code: String,
    pub internal_name: String,
    pub is_redirected: bool,
    pub sms_enabled: bool,
    pub route: Option<Route>,
    pub trunk: Option<TrunkId>,
}

/// Changes to a number; absent fields stay.
#[derive(Clone, Debug, Default)]
pub struct NumberPatch {
    pub internal_name: Option<String>,
    pub route: Option<Option<Route>>,
    pub sms_enabled: Option<bool>,
}

/// Which numbers to list.
#[derive(Clone, Debug, Default)]
pub struct NumberFilter {
    pub id: Option<NumberId>,
    pub country_code: Option<String>,
    pub area_code: Option<String>,
    pub connected_to: Option<i64>,
    pub is_free: Option<bool>,
}

impl From<number::Model> for Number {
    fn from(row: number::Model) -> Self {
        let route = row
            .connected_to
            .and_then(|code| Route::from_code(i64::from(code), row.source_id.unwrap_or_default()));
        Self {
            id: NumberId(row.id),
            tenant: TenantId(row.tenant_id),
            e164: row.e164,
            country_code: row.country_code,
            area_code: row.area_code,
            internal_name: row.internal_name,
            is_redirected: row.is_redirected,
            sms_enabled: row.sms_enabled,
            route,
            trunk: row.trunk_id.map(TrunkId),
            created_at: from_ms(row.created_at),
        }
    }
}

fn set_route(row: &mut ActiveModel, route: Option<Route>) {
    let code = route.map(Route::code);
    row.connected_to = Set(code.map(|(code, _)| i32::from(code)));
    row.source_id = Set(code.map(|(_, source)| source));
}

impl Db {
    /// One page of a company's numbers, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn numbers(
        &self,
        tenant: TenantId,
        filter: &NumberFilter,
        page: Page,
    ) -> Result<Listed<Number>, StoreError> {
        let mut select = Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .order_by_asc(Column::Id);
        if let Some(id) = filter.id {
            select = select.filter(Column::Id.eq(id.0));
        }
        if let Some(code) = &filter.country_code {
            select = select.filter(Column::CountryCode.eq(code.as_str()));
        }
        if let Some(code) = &filter.area_code {
            select = select.filter(Column::AreaCode.eq(code.as_str()));
        }
        if let Some(code) = filter.connected_to {
            select = select.filter(Column::ConnectedTo.eq(code));
        }
        if let Some(free) = filter.is_free {
            select = select.filter(if free {
                Column::ConnectedTo.is_null()
            } else {
                Column::ConnectedTo.is_not_null()
            });
        }
        Ok(list(&self.conn, select, page).await?.map(Into::into))
    }

    /// The number with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn number(
        &self,
        tenant: TenantId,
        id: NumberId,
    ) -> Result<Option<Number>, StoreError> {
        let row = Entity::find_by_id(id.0)
            .filter(Column::TenantId.eq(tenant.0))
            .one(&self.conn)
            .await?;
        Ok(row.map(Into::into))
    }

    /// Whose number this is, in the whole installation: how an incoming call finds its company.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn number_by_e164(&self, number: &PhoneNumber) -> Result<Option<Number>, StoreError> {
        let row = Entity::find()
            .filter(Column::E164.eq(number.as_str()))
            .one(&self.conn)
            .await?;
        Ok(row.map(Into::into))
    }

    /// Adds a number.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when some company of the installation has it.
    pub async fn add_number(
        &self,
        tenant: TenantId,
        new: NewNumber,
        now: Timestamp,
    ) -> Result<NumberId, StoreError> {
        let country_code = new
            .number
            .calling_code()
            .map(|code| code.to_string())
            .unwrap_or_default();
        let mut row = ActiveModel {
            tenant_id: Set(tenant.0),
            e164: Set(new.number.as_str().to_owned()),
            country_code: Set(country_code),
            area_code: Set(new.area_code),
            internal_name: Set(new.internal_name),
            is_redirected: Set(new.is_redirected),
            sms_enabled: Set(new.sms_enabled),
            trunk_id: Set(new.trunk.map(|id| id.0)),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        set_route(&mut row, new.route);
        match row.insert(&self.conn).await {
            Ok(row) => Ok(NumberId(row.id)),
            Err(error) => Err(taken(error, &[("e164", "number")])),
        }
    }

    /// Changes a number; `false` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn edit_number(
        &self,
        tenant: TenantId,
        id: NumberId,
        patch: NumberPatch,
    ) -> Result<bool, StoreError> {
        let mut row = ActiveModel {
            tenant_id: Set(tenant.0),
            ..Default::default()
        };
        if let Some(name) = patch.internal_name {
            row.internal_name = Set(name);
        }
        if let Some(enabled) = patch.sms_enabled {
            row.sms_enabled = Set(enabled);
        }
        if let Some(route) = patch.route {
            set_route(&mut row, route);
        }
        let changed = Entity::update_many()
            .set(row)
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(changed.rows_affected > 0)
    }
}
