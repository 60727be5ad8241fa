//! Agents: who takes calls, on which device, under which number.

use std::collections::HashMap;

use model::{AgentId, Availability, NumberId, PhoneNumber, TenantId, Timestamp};
use sea_orm::{
    ActiveValue::Set, QueryOrder, QuerySelect, TransactionTrait, entity::prelude::*,
    sea_query::Query,
};

use super::{
    AgentRole, Listed, Page,
    entity::{agent, agent_number, member, number},
    page::{list, taken},
    words::{availability, availability_text},
};
use crate::{Db, StoreError, from_ms, to_ms};

/// The lowest and highest extension an agent can have.
const EXTENSIONS: std::ops::RangeInclusive<i32> = 1000..=9999;

/// Somebody who takes calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    pub id: AgentId,
    pub tenant: TenantId,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    /// 1000 to 9999, unique in the company, fixed at creation.
    pub extension: u16,
    /// The user of his device's digest; unique in the installation.
    pub sip_username: String,
    pub language: String,
    pub role: AgentRole,
    pub availability: Availability,
    /// May call out.
    pub status_outbound: bool,
    /// Currency units a day; absent means the company's default.
    pub daily_price_limit: Option<u16>,
    /// Shown to those he calls.
    pub default_number: Option<NumberId>,
    /// What else he may show, the default one included.
    pub associated_numbers: Vec<NumberId>,
    pub wrap_up_seconds: u32,
    pub created_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

impl Agent {
    /// First and last name.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
            .trim()
            .to_owned()
    }
}

/// What a registrar needs to check a digest (RFC 8760): `H(username:realm:password)` in hex.
#[derive(Clone, PartialEq, Eq)]
pub struct SipSecrets {
    pub ha1_md5: String,
    pub ha1_sha256: String,
}

impl std::fmt::Debug for SipSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SipSecrets(…)")
    }
}

/// An agent to be.
#[derive(Clone)]
pub struct NewAgent {
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub extension: u16,
    pub sip_username: String,
    /// An argon2id string, or empty when he signs in through a console user.
    pub password_hash: String,
    pub sip: SipSecrets,
    pub language: String,
    pub role: AgentRole,
    pub availability: Availability,
    pub status_outbound: bool,
    pub daily_price_limit: Option<u16>,
    pub default_number: Option<NumberId>,
    pub wrap_up_seconds: u32,
}

/// Changes to an agent; absent fields stay.
#[derive(Clone, Debug, Default)]
pub struct AgentPatch {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub status_outbound: Option<bool>,
    pub daily_price_limit: Option<Option<u16>>,
    pub default_number: Option<Option<NumberId>>,
    pub wrap_up_seconds: Option<u32>,
    pub language: Option<String>,
}

/// Which agents to list.
#[derive(Clone, Debug, Default)]
pub struct AgentFilter {
    pub id: Option<AgentId>,
    pub associated_number: Option<String>,
    pub extension: Option<u16>,
}

/// The engines name an index or its columns in their messages.
const UNIQUE: &[(&str, &str)] = &[
    ("email", "email"),
    ("extension", "extension"),
    ("sip_username", "sip_username"),
];

fn agent_of(row: agent::Model, mut associated: Vec<NumberId>) -> Agent {
    let default_number = row.number_id.map(NumberId);
    if let Some(number) = default_number
        && !associated.contains(&number)
    {
        associated.insert(0, number);
    }
    Agent {
        id: AgentId(row.id),
        tenant: TenantId(row.tenant_id),
        first_name: row.first_name,
        last_name: row.last_name,
        email: row.email,
        extension: u16::try_from(row.extension).unwrap_or_default(),
        sip_username: row.sip_username,
        language: row.language,
        role: AgentRole::stored(&row.role),
        availability: availability(&row.availability),
        status_outbound: row.status_outbound,
        daily_price_limit: row
            .daily_price_limit
            .and_then(|limit| u16::try_from(limit).ok()),
        default_number,
        associated_numbers: associated,
        wrap_up_seconds: u32::try_from(row.wrap_up_seconds).unwrap_or_default(),
        created_at: from_ms(row.created_at),
        deleted_at: row.deleted_at.map(from_ms),
    }
}

impl Db {
    /// One page of a company's agents by id, deleted ones left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agents(
        &self,
        tenant: TenantId,
        filter: &AgentFilter,
        page: Page,
    ) -> Result<Listed<Agent>, StoreError> {
        let mut select = agent::Entity::find()
            .filter(agent::Column::TenantId.eq(tenant.0))
            .filter(agent::Column::DeletedAt.is_null())
            .order_by_asc(agent::Column::Id);
        if let Some(id) = filter.id {
            select = select.filter(agent::Column::Id.eq(id.0));
        }
        if let Some(extension) = filter.extension {
            select = select.filter(agent::Column::Extension.eq(i32::from(extension)));
        }
        if let Some(e164) = &filter.associated_number {
            select = select.filter(shows_number(tenant, e164));
        }
        let page = list(&self.conn, select, page).await?;
        Ok(Listed {
            total: page.total,
            rows: self.with_numbers(page.rows).await?,
        })
    }

    /// All agents of a company, for the queues.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agents_of(&self, tenant: TenantId) -> Result<Vec<Agent>, StoreError> {
        Ok(self
            .agents(tenant, &AgentFilter::default(), Page::ALL)
            .await?
            .rows)
    }

    /// The agent with this id, also when deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agent(&self, tenant: TenantId, id: AgentId) -> Result<Option<Agent>, StoreError> {
        Ok(self.agents_by_ids(tenant, &[id]).await?.pop())
    }

    /// The agents with these ids, deleted ones included.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agents_by_ids(
        &self,
        tenant: TenantId,
        ids: &[AgentId],
    ) -> Result<Vec<Agent>, StoreError> {
        let rows = agent::Entity::find()
            .filter(agent::Column::TenantId.eq(tenant.0))
            .filter(agent::Column::Id.is_in(ids.iter().map(|id| id.0)))
            .all(&self.conn)
            .await?;
        self.with_numbers(rows).await
    }

    /// Whose device registers under this name, with what checks its digest.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agent_by_sip_username(
        &self,
        username: &str,
    ) -> Result<Option<(Agent, SipSecrets)>, StoreError> {
        let row = agent::Entity::find()
            .filter(agent::Column::SipUsername.eq(username))
            .filter(agent::Column::DeletedAt.is_null())
            .one(&self.conn)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let secrets = SipSecrets {
            ha1_md5: row.sip_ha1_md5.clone(),
            ha1_sha256: row.sip_ha1_sha256.clone(),
        };
        Ok(self
            .with_numbers(vec![row])
            .await?
            .pop()
            .map(|agent| (agent, secrets)))
    }

    /// The agent who has this e-mail address, and the hash of his password.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agent_by_email(&self, email: &str) -> Result<Option<(Agent, String)>, StoreError> {
        let row = agent::Entity::find()
            .filter(agent::Column::Email.eq(email.trim().to_lowercase()))
            .filter(agent::Column::DeletedAt.is_null())
            .one(&self.conn)
            .await?;
        Ok(row.map(|row| {
            let hash = row.password_hash.clone();
            (agent_of(row, Vec::new()), hash)
        }))
    }

    /// The lowest extension that no agent of the company holds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_free_extension(&self, tenant: TenantId) -> Result<Option<u16>, StoreError> {
        let held: Vec<i32> = agent::Entity::find()
            .select_only()
            .column(agent::Column::Extension)
            .filter(agent::Column::TenantId.eq(tenant.0))
            .filter(agent::Column::DeletedAt.is_null())
            .into_tuple()
            .all(&self.conn)
            .await?;
        let held: std::collections::HashSet<i32> = held.into_iter().collect();
        Ok(EXTENSIONS
            .skip(1)
            .find(|extension| !held.contains(extension))
            .and_then(|free| u16::try_from(free).ok()))
    }

    /// How many agents a company has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_agents(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let live = agent::Entity::find()
            .filter(agent::Column::TenantId.eq(tenant.0))
            .filter(agent::Column::DeletedAt.is_null());
        Ok(live.count(&self.conn).await?)
    }

    /// Adds an agent.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] with `email`, `extension` or `sip_username`.
    pub async fn add_agent(
        &self,
        tenant: TenantId,
        new: NewAgent,
        now: Timestamp,
    ) -> Result<AgentId, StoreError> {
        let row = agent::ActiveModel {
            tenant_id: Set(tenant.0),
            first_name: Set(new.first_name),
            last_name: Set(new.last_name),
            email: Set(new.email.trim().to_lowercase()),
            extension: Set(i32::from(new.extension)),
            sip_username: Set(new.sip_username),
            password_hash: Set(new.password_hash),
            sip_ha1_md5: Set(new.sip.ha1_md5),
            sip_ha1_sha256: Set(new.sip.ha1_sha256),
            language: Set(new.language),
            role: Set(new.role.as_str().to_owned()),
            availability: Set(availability_text(new.availability).to_owned()),
            status_outbound: Set(new.status_outbound),
            daily_price_limit: Set(new.daily_price_limit.map(i32::from)),
            number_id: Set(new.default_number.map(|id| id.0)),
            wrap_up_seconds: Set(seconds(new.wrap_up_seconds)),
            created_at: Set(to_ms(now)),
            ..Default::default()
        };
        match row.insert(&self.conn).await {
            Ok(row) => Ok(AgentId(row.id)),
            Err(error) => Err(taken(error, UNIQUE)),
        }
    }

    /// Changes an agent; `false` when there is no such agent.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] with `email`.
    pub async fn edit_agent(
        &self,
        tenant: TenantId,
        id: AgentId,
        patch: AgentPatch,
    ) -> Result<bool, StoreError> {
        // The tenant is set to itself, so that an empty patch still finds the row.
        let mut row = agent::ActiveModel {
            tenant_id: Set(tenant.0),
            ..Default::default()
        };
        if let Some(name) = patch.first_name {
            row.first_name = Set(name);
        }
        if let Some(name) = patch.last_name {
            row.last_name = Set(name);
        }
        if let Some(email) = patch.email {
            row.email = Set(email.trim().to_lowercase());
        }
        if let Some(outbound) = patch.status_outbound {
            row.status_outbound = Set(outbound);
        }
        if let Some(limit) = patch.daily_price_limit {
            row.daily_price_limit = Set(limit.map(i32::from));
        }
        if let Some(number) = patch.default_number {
            row.number_id = Set(number.map(|id| id.0));
        }
        if let Some(wrap_up) = patch.wrap_up_seconds {
            row.wrap_up_seconds = Set(seconds(wrap_up));
        }
        if let Some(language) = patch.language {
            row.language = Set(language);
        }
        self.change_agent(tenant, id, row).await
    }

    /// Notes what an agent chose in the status switch.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_availability(
        &self,
        tenant: TenantId,
        id: AgentId,
        to: Availability,
    ) -> Result<bool, StoreError> {
        let row = agent::ActiveModel {
            availability: Set(availability_text(to).to_owned()),
            ..Default::default()
        };
        self.change_agent(tenant, id, row).await
    }

    /// Lets an agent show one more number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn associate_number(
        &self,
        tenant: TenantId,
        id: AgentId,
        number: NumberId,
    ) -> Result<(), StoreError> {
        let row = agent_number::ActiveModel {
            agent_id: Set(id.0),
            number_id: Set(number.0),
            tenant_id: Set(tenant.0),
        };
        agent_number::Entity::insert(row)
            .on_conflict_do_nothing()
            .exec_without_returning(&self.conn)
            .await?;
        Ok(())
    }

    /// Takes an agent away; his name stays for history, his groups, numbers and devices go.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_agent(
        &self,
        tenant: TenantId,
        id: AgentId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let transaction = self.conn.begin().await?;
        let changed = agent::Entity::update_many()
            .col_expr(agent::Column::DeletedAt, Expr::value(to_ms(now)))
            .col_expr(agent::Column::Availability, Expr::value("offline"))
            .filter(agent::Column::TenantId.eq(tenant.0))
            .filter(agent::Column::Id.eq(id.0))
            .filter(agent::Column::DeletedAt.is_null())
            .exec(&transaction)
            .await?;
        if changed.rows_affected == 0 {
            return Ok(false);
        }
        member::Entity::delete_many()
            .filter(member::Column::AgentId.eq(id.0))
            .exec(&transaction)
            .await?;
        agent_number::Entity::delete_many()
            .filter(agent_number::Column::AgentId.eq(id.0))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn change_agent(
        &self,
        tenant: TenantId,
        id: AgentId,
        row: agent::ActiveModel,
    ) -> Result<bool, StoreError> {
        let changed = agent::Entity::update_many()
            .set(row)
            .filter(agent::Column::TenantId.eq(tenant.0))
            .filter(agent::Column::Id.eq(id.0))
            .filter(agent::Column::DeletedAt.is_null())
            .exec(&self.conn)
            .await
            .map_err(|error| taken(error, UNIQUE))?;
        Ok(changed.rows_affected > 0)
    }

    async fn with_numbers(&self, rows: Vec<agent::Model>) -> Result<Vec<Agent>, StoreError> {
        let links = agent_number::Entity::find()
            .filter(agent_number::Column::AgentId.is_in(rows.iter().map(|row| row.id)))
            .order_by_asc(agent_number::Column::NumberId)
            .all(&self.conn)
            .await?;
        let mut by_agent: HashMap<i64, Vec<NumberId>> = HashMap::new();
        for link in links {
            by_agent
                .entry(link.agent_id)
                .or_default()
                .push(NumberId(link.number_id));
        }
        Ok(rows
            .into_iter()
            .map(|row| {
                let numbers = by_agent.remove(&row.id).unwrap_or_default();
                agent_of(row, numbers)
            })
            .collect())
    }
}

/// Agents whose default or associated number is this one.
fn shows_number(tenant: TenantId, e164: &str) -> sea_orm::Condition {
    let number = || {
        Query::select()
            .column(number::Column::Id)
            .from(number::Entity)
            .and_where(number::Column::TenantId.eq(tenant.0))
            .and_where(number::Column::E164.eq(e164))
            .to_owned()
    };
    let linked = Query::select()
        .column(agent_number::Column::AgentId)
        .from(agent_number::Entity)
        .and_where(agent_number::Column::NumberId.in_subquery(number()))
        .to_owned();
    sea_orm::Condition::any()
        .add(agent::Column::NumberId.in_subquery(number()))
        .add(agent::Column::Id.in_subquery(linked))
}

fn seconds(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// The number as filters compare it: E.164 with `+`, whatever the spelling.
#[must_use]
pub(super) fn e164_of(text: &str) -> String {
    PhoneNumber::parse(text).map_or_else(|_| text.to_owned(), |number| number.as_str().to_owned())
}
