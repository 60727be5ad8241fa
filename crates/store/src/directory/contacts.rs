//! The address book.

use std::collections::HashMap;

use model::{AgentId, ContactId, PhoneNumber, TagId, TenantId, Timestamp};
use sea_orm::{
    ActiveValue::Set,
    DatabaseTransaction, QueryOrder, TransactionTrait,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait, Func, LikeExpr, Query, SimpleExpr},
};

use super::{
    AttributeId, ContactKind, Listed, Page, Tag,
    entity::{
        attribute, attribute_value, contact, contact_email, contact_number, contact_tag,
        contact_url, tag,
    },
    page::list,
    tags,
};
use crate::{Db, StoreError, from_ms, to_ms};

/// The fixed fields of a contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactFields {
    pub name: String,
    pub title: String,
    pub company: String,
    pub industry: String,
    pub website: String,
    pub address: String,
    pub city: String,
    pub zip: Option<String>,
    pub state: String,
    /// Of the API's table of countries.
    pub country_id: Option<u16>,
    pub favorite_agent: Option<AgentId>,
    pub kind: ContactKind,
}

/// Somebody in the address book, with all that belongs to him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub id: ContactId,
    pub fields: ContactFields,
    pub numbers: Vec<PhoneNumber>,
    pub emails: Vec<String>,
    pub tags: Vec<Tag>,
    pub attributes: Vec<AttributeValue>,
    pub urls: Vec<ExternalUrl>,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
}

/// What an attribute says of a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeValue {
    pub attribute: AttributeId,
    pub title: String,
    pub value: String,
}

/// A link to the contact in another system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalUrl {
    pub name: String,
    pub url: String,
}

/// A contact to be. Tags are named; missing ones are made.
#[derive(Clone, Debug, Default)]
pub struct NewContact {
    pub fields: ContactFields,
    pub numbers: Vec<PhoneNumber>,
    pub emails: Vec<String>,
    pub tags: Vec<String>,
    pub attributes: Vec<(AttributeId, String)>,
    pub urls: Vec<ExternalUrl>,
}

/// Changes to a contact. Absent parts stay, given sets replace the former ones.
#[derive(Clone, Debug, Default)]
pub struct ContactPatch {
    pub fields: Option<ContactFields>,
    pub numbers: Option<Vec<PhoneNumber>>,
    pub emails: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
    pub attributes: Option<Vec<(AttributeId, String)>>,
    pub urls: Option<Vec<ExternalUrl>>,
}

/// Which contacts to list.
#[derive(Clone, Debug, Default)]
pub struct ContactFilter {
    pub country_id: Option<i64>,
    pub tag: Option<TagId>,
    pub industry: Option<String>,
    /// In the name, an address, or a number in any spelling.
    pub keyword: Option<String>,
}

/// `column LIKE %text%` without regard to case.
pub(super) fn contains_lower(column: impl ColumnTrait, text: &str) -> SimpleExpr {
    Expr::expr(Func::lower(Expr::col(column))).like(pattern(&text.to_lowercase()))
}

fn pattern(text: &str) -> LikeExpr {
    let mut escaped = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    LikeExpr::new(format!("%{escaped}%")).escape('\\')
}

/// A keyword that can only be a number is looked for by its digits.
fn search_key(keyword: &str) -> String {
    let keyword = keyword.trim();
    let phone_like = keyword
        .chars()
        .all(|c| c.is_ascii_digit() || "+ -.()".contains(c));
    let digits: String = keyword.chars().filter(char::is_ascii_digit).collect();
    if phone_like && !digits.is_empty() {
        digits
    } else {
        keyword.to_lowercase()
    }
}

fn search_text(name: &str, numbers: &[PhoneNumber], emails: &[String]) -> String {
    let mut text = name.to_lowercase();
    for part in numbers
        .iter()
        .map(PhoneNumber::as_str)
        .chain(emails.iter().map(String::as_str))
    {
        text.push('\n');
        text.push_str(&part.to_lowercase());
    }
    text
}

fn fields_of(row: &contact::Model) -> ContactFields {
    ContactFields {
        name: row.name.clone(),
        title: row.title.clone(),
        company: row.company.clone(),
        industry: row.industry.clone(),
        website: row.website.clone(),
        address: row.address.clone(),
        city: row.city.clone(),
        zip: row.zip.clone(),
        state: row.state.clone(),
        country_id: row.country_id.and_then(|id| u16::try_from(id).ok()),
        favorite_agent: row.favorite_agent.map(AgentId),
        kind: ContactKind::stored(&row.kind),
    }
}

fn row_of(fields: ContactFields) -> contact::ActiveModel {
    contact::ActiveModel {
        name: Set(fields.name),
        title: Set(fields.title),
        company: Set(fields.company),
        industry: Set(fields.industry),
        website: Set(fields.website),
        address: Set(fields.address),
        city: Set(fields.city),
        zip: Set(fields.zip),
        state: Set(fields.state),
        country_id: Set(fields.country_id.map(i32::from)),
        favorite_agent: Set(fields.favorite_agent.map(|id| id.0)),
        kind: Set(fields.kind.as_str().to_owned()),
        ..Default::default()
    }
}

impl Db {
    /// One page of a company's contacts, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn contacts(
        &self,
        tenant: TenantId,
        filter: &ContactFilter,
        page: Page,
    ) -> Result<Listed<Contact>, StoreError> {
        use contact::Column;
        let mut select = contact::Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .order_by_asc(Column::Id);
        if let Some(country) = filter.country_id {
            select = select.filter(Column::CountryId.eq(country));
        }
        if let Some(industry) = &filter.industry {
            select = select.filter(
                Expr::expr(Func::lower(Expr::col(Column::Industry))).eq(industry.to_lowercase()),
            );
        }
        if let Some(tag) = filter.tag {
            let tagged = Query::select()
                .column(contact_tag::Column::ContactId)
                .from(contact_tag::Entity)
                .and_where(contact_tag::Column::TagId.eq(tag.0))
                .to_owned();
            select = select.filter(Column::Id.in_subquery(tagged));
        }
        if let Some(keyword) = &filter.keyword {
            select = select.filter(Expr::col(Column::Search).like(pattern(&search_key(keyword))));
        }
        let page = list(&self.conn, select, page).await?;
        Ok(Listed {
            total: page.total,
            rows: self.with_parts(tenant, page.rows).await?,
        })
    }

    /// The contact with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn contact(
        &self,
        tenant: TenantId,
        id: ContactId,
    ) -> Result<Option<Contact>, StoreError> {
        Ok(self.contacts_by_ids(tenant, &[id]).await?.pop())
    }

    /// The contacts with these ids, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn contacts_by_ids(
        &self,
        tenant: TenantId,
        ids: &[ContactId],
    ) -> Result<Vec<Contact>, StoreError> {
        let rows = contact::Entity::find()
            .filter(contact::Column::TenantId.eq(tenant.0))
            .filter(contact::Column::Id.is_in(ids.iter().map(|id| id.0)))
            .order_by_asc(contact::Column::Id)
            .all(&self.conn)
            .await?;
        self.with_parts(tenant, rows).await
    }

    /// Who has this number; the newest of several.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn contact_by_number(
        &self,
        tenant: TenantId,
        number: &PhoneNumber,
    ) -> Result<Option<ContactId>, StoreError> {
        let row = contact_number::Entity::find()
            .filter(contact_number::Column::TenantId.eq(tenant.0))
            .filter(contact_number::Column::E164.eq(number.as_str()))
            .order_by_desc(contact_number::Column::ContactId)
            .one(&self.conn)
            .await?;
        Ok(row.map(|row| ContactId(row.contact_id)))
    }

    /// Adds a contact.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_contact(
        &self,
        tenant: TenantId,
        new: NewContact,
        now: Timestamp,
    ) -> Result<ContactId, StoreError> {
        let transaction = self.conn.begin().await?;
        let row = contact::ActiveModel {
            tenant_id: Set(tenant.0),
            search: Set(search_text(&new.fields.name, &new.numbers, &new.emails)),
            created_at: Set(to_ms(now)),
            modified_at: Set(to_ms(now)),
            ..row_of(new.fields)
        };
        let contact = Owner {
            transaction: &transaction,
            tenant,
            id: row.insert(&transaction).await?.id,
        };
        contact.set_numbers(&new.numbers).await?;
        contact.set_emails(&new.emails).await?;
        contact.set_tags(&new.tags).await?;
        contact.set_attributes(&new.attributes).await?;
        contact.set_urls(&new.urls).await?;
        let id = ContactId(contact.id);
        transaction.commit().await?;
        Ok(id)
    }

    /// Changes a contact; `false` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn edit_contact(
        &self,
        tenant: TenantId,
        id: ContactId,
        patch: ContactPatch,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let transaction = self.conn.begin().await?;
        let mut row = patch.fields.map(row_of).unwrap_or_default();
        row.modified_at = Set(to_ms(now));
        let contact = Owner {
            transaction: &transaction,
            tenant,
            id: id.0,
        };
        if !contact.change(row).await? {
            return Ok(false);
        }
        if let Some(numbers) = &patch.numbers {
            contact.set_numbers(numbers).await?;
        }
        if let Some(emails) = &patch.emails {
            contact.set_emails(emails).await?;
        }
        if let Some(tags) = &patch.tags {
            contact.set_tags(tags).await?;
        }
        if let Some(attributes) = &patch.attributes {
            contact.set_attributes(attributes).await?;
        }
        if let Some(urls) = &patch.urls {
            contact.set_urls(urls).await?;
        }
        contact.refresh_search().await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Removes a contact with its notes and activities. Calls keep their number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_contact(
        &self,
        tenant: TenantId,
        id: ContactId,
    ) -> Result<bool, StoreError> {
        let gone = contact::Entity::delete_many()
            .filter(contact::Column::TenantId.eq(tenant.0))
            .filter(contact::Column::Id.eq(id.0))
            .exec(&self.conn)
            .await?;
        Ok(gone.rows_affected > 0)
    }

    /// Adds tags to a contact, made where missing; `None` when there is no such contact.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_tags_to_contact(
        &self,
        tenant: TenantId,
        id: ContactId,
        names: &[String],
        now: Timestamp,
    ) -> Result<Option<Vec<Tag>>, StoreError> {
        let transaction = self.conn.begin().await?;
        let contact = Owner {
            transaction: &transaction,
            tenant,
            id: id.0,
        };
        if !contact.touch(now).await? {
            return Ok(None);
        }
        let tags = contact.add_tags(names).await?;
        transaction.commit().await?;
        Ok(Some(tags))
    }

    /// Takes tags off a contact and gives those that it wore; `None` when there is no such contact.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_tags_from_contact(
        &self,
        tenant: TenantId,
        id: ContactId,
        names: &[String],
        now: Timestamp,
    ) -> Result<Option<Vec<Tag>>, StoreError> {
        let transaction = self.conn.begin().await?;
        let contact = Owner {
            transaction: &transaction,
            tenant,
            id: id.0,
        };
        if !contact.touch(now).await? {
            return Ok(None);
        }
        let keys: Vec<String> = names.iter().map(|name| tags::key(name)).collect();
        let mut removed = Vec::new();
        for tag in tags::by_keys(&transaction, tenant, &keys).await? {
            let gone = contact_tag::Entity::delete_by_id((id.0, tag.id.0))
                .exec(&transaction)
                .await?;
            if gone.rows_affected > 0 {
                removed.push(tag);
            }
        }
        transaction.commit().await?;
        Ok(Some(removed))
    }

    /// Adds the parts that live in tables of their own, one query a table.
    async fn with_parts(
        &self,
        tenant: TenantId,
        rows: Vec<contact::Model>,
    ) -> Result<Vec<Contact>, StoreError> {
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let mut numbers = self.numbers_of(&ids).await?;
        let mut emails = self.emails_of(&ids).await?;
        let mut tags = self.tags_of(tenant, &ids).await?;
        let mut attributes = self.attributes_of(tenant, &ids).await?;
        let mut urls = self.urls_of(&ids).await?;
        let contact = |row: contact::Model| Contact {
            id: ContactId(row.id),
            fields: fields_of(&row),
            numbers: numbers.remove(&row.id).unwrap_or_default(),
            emails: emails.remove(&row.id).unwrap_or_default(),
            tags: tags.remove(&row.id).unwrap_or_default(),
            attributes: attributes.remove(&row.id).unwrap_or_default(),
            urls: urls.remove(&row.id).unwrap_or_default(),
            created_at: from_ms(row.created_at),
            modified_at: from_ms(row.modified_at),
        };
        Ok(rows.into_iter().map(contact).collect())
    }

    async fn numbers_of(&self, ids: &[i64]) -> Result<HashMap<i64, Vec<PhoneNumber>>, StoreError> {
        let rows = contact_number::Entity::find()
            .filter(contact_number::Column::ContactId.is_in(ids.iter().copied()))
            .order_by_asc(contact_number::Column::Id)
            .all(&self.conn)
            .await?;
        Ok(by_contact(rows.into_iter().filter_map(|row| {
            Some((row.contact_id, PhoneNumber::parse(&row.e164).ok()?))
        })))
    }

    async fn emails_of(&self, ids: &[i64]) -> Result<HashMap<i64, Vec<String>>, StoreError> {
        let rows = contact_email::Entity::find()
            .filter(contact_email::Column::ContactId.is_in(ids.iter().copied()))
            .order_by_asc(contact_email::Column::Id)
            .all(&self.conn)
            .await?;
        Ok(by_contact(
            rows.into_iter().map(|row| (row.contact_id, row.email)),
        ))
    }

    async fn tags_of(
        &self,
        tenant: TenantId,
        ids: &[i64],
    ) -> Result<HashMap<i64, Vec<Tag>>, StoreError> {
        let links = contact_tag::Entity::find()
            .filter(contact_tag::Column::ContactId.is_in(ids.iter().copied()))
            .order_by_asc(contact_tag::Column::TagId)
            .all(&self.conn)
            .await?;
        let names: HashMap<i64, String> = tag::Entity::find()
            .filter(tag::Column::TenantId.eq(tenant.0))
            .filter(tag::Column::Id.is_in(links.iter().map(|link| link.tag_id)))
            .all(&self.conn)
            .await?
            .into_iter()
            .map(|tag| (tag.id, tag.name))
            .collect();
        Ok(by_contact(links.into_iter().filter_map(|link| {
            let name = names.get(&link.tag_id)?.clone();
            Some((
                link.contact_id,
                Tag {
                    id: TagId(link.tag_id),
                    name,
                },
            ))
        })))
    }

    async fn attributes_of(
        &self,
        tenant: TenantId,
        ids: &[i64],
    ) -> Result<HashMap<i64, Vec<AttributeValue>>, StoreError> {
        let values = attribute_value::Entity::find()
            .filter(attribute_value::Column::ContactId.is_in(ids.iter().copied()))
            .order_by_asc(attribute_value::Column::AttributeId)
            .all(&self.conn)
            .await?;
        if values.is_empty() {
            return Ok(HashMap::new());
        }
        let titles: HashMap<AttributeId, String> = self
            .attributes(tenant)
            .await?
            .into_iter()
            .map(|attribute| (attribute.id, attribute.title))
            .collect();
        Ok(by_contact(values.into_iter().map(|row| {
            let attribute = AttributeId(row.attribute_id);
            let title = titles.get(&attribute).cloned().unwrap_or_default();
            (
                row.contact_id,
                AttributeValue {
                    attribute,
                    title,
                    value: row.value,
                },
            )
        })))
    }

    async fn urls_of(&self, ids: &[i64]) -> Result<HashMap<i64, Vec<ExternalUrl>>, StoreError> {
        let rows = contact_url::Entity::find()
            .filter(contact_url::Column::ContactId.is_in(ids.iter().copied()))
            .order_by_asc(contact_url::Column::Id)
            .all(&self.conn)
            .await?;
        Ok(by_contact(rows.into_iter().map(|row| {
            (
                row.contact_id,
                ExternalUrl {
                    name: row.name,
                    url: row.url,
                },
            )
        })))
    }
}

fn by_contact<T>(pairs: impl Iterator<Item = (i64, T)>) -> HashMap<i64, Vec<T>> {
    let mut map: HashMap<i64, Vec<T>> = HashMap::new();
    for (contact, item) in pairs {
        map.entry(contact).or_default().push(item);
    }
    map
}

/// A contact inside a transaction. `change` comes first: it proves that the contact is the
/// tenant's, and takes SQLite's write lock before anything is read.
struct Owner<'a> {
    transaction: &'a DatabaseTransaction,
    tenant: TenantId,
    id: i64,
}

impl Owner<'_> {
    async fn change(&self, row: contact::ActiveModel) -> Result<bool, StoreError> {
        let changed = contact::Entity::update_many()
            .set(row)
            .filter(contact::Column::TenantId.eq(self.tenant.0))
            .filter(contact::Column::Id.eq(self.id))
            .exec(self.transaction)
            .await?;
        Ok(changed.rows_affected > 0)
    }

    async fn touch(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.change(contact::ActiveModel {
            modified_at: Set(to_ms(now)),
            ..Default::default()
        })
        .await
    }

    async fn set_numbers(&self, numbers: &[PhoneNumber]) -> Result<(), StoreError> {
        use contact_number::{ActiveModel, Column, Entity};
        Entity::delete_many()
            .filter(Column::ContactId.eq(self.id))
            .exec(self.transaction)
            .await?;
        let rows: Vec<ActiveModel> = distinct(numbers)
            .map(|number| ActiveModel {
                tenant_id: Set(self.tenant.0),
                contact_id: Set(self.id),
                e164: Set(number.as_str().to_owned()),
                ..Default::default()
            })
            .collect();
        if !rows.is_empty() {
            Entity::insert_many(rows)
                .exec_without_returning(self.transaction)
                .await?;
        }
        Ok(())
    }

    async fn set_emails(&self, emails: &[String]) -> Result<(), StoreError> {
        use contact_email::{ActiveModel, Column, Entity};
        Entity::delete_many()
            .filter(Column::ContactId.eq(self.id))
            .exec(self.transaction)
            .await?;
        let rows: Vec<ActiveModel> = distinct(emails)
            .map(|email| ActiveModel {
                tenant_id: Set(self.tenant.0),
                contact_id: Set(self.id),
                email: Set(email.clone()),
                ..Default::default()
            })
            .collect();
        if !rows.is_empty() {
            Entity::insert_many(rows)
                .exec_without_returning(self.transaction)
                .await?;
        }
        Ok(())
    }

    async fn set_tags(&self, names: &[String]) -> Result<(), StoreError> {
        contact_tag::Entity::delete_many()
            .filter(contact_tag::Column::ContactId.eq(self.id))
            .exec(self.transaction)
            .await?;
        self.add_tags(names).await?;
        Ok(())
    }

    async fn add_tags(&self, names: &[String]) -> Result<Vec<Tag>, StoreError> {
        let tags = tags::ensure(self.transaction, self.tenant, names).await?;
        for tag in &tags {
            let row = contact_tag::ActiveModel {
                contact_id: Set(self.id),
                tag_id: Set(tag.id.0),
                tenant_id: Set(self.tenant.0),
            };
            contact_tag::Entity::insert(row)
                .on_conflict_do_nothing()
                .exec_without_returning(self.transaction)
                .await?;
        }
        Ok(tags)
    }

    /// Attributes of other companies are not there for this one.
    async fn set_attributes(&self, values: &[(AttributeId, String)]) -> Result<(), StoreError> {
        use attribute_value::{ActiveModel, Column, Entity};
        Entity::delete_many()
            .filter(Column::ContactId.eq(self.id))
            .exec(self.transaction)
            .await?;
        let known: Vec<i64> = attribute::Entity::find()
            .filter(attribute::Column::TenantId.eq(self.tenant.0))
            .all(self.transaction)
            .await?
            .into_iter()
            .map(|row| row.id)
            .collect();
        // The last value of an attribute that comes twice wins.
        let last: HashMap<i64, &String> = values.iter().map(|(id, value)| (id.0, value)).collect();
        let rows: Vec<ActiveModel> = known
            .into_iter()
            .filter_map(|id| {
                let value = (*last.get(&id)?).clone();
                Some(ActiveModel {
                    contact_id: Set(self.id),
                    attribute_id: Set(id),
                    tenant_id: Set(self.tenant.0),
                    value: Set(value),
                })
            })
            .collect();
        if !rows.is_empty() {
            Entity::insert_many(rows)
                .exec_without_returning(self.transaction)
                .await?;
        }
        Ok(())
    }

    async fn set_urls(&self, urls: &[ExternalUrl]) -> Result<(), StoreError> {
        use contact_url::{ActiveModel, Column, Entity};
        Entity::delete_many()
            .filter(Column::ContactId.eq(self.id))
            .exec(self.transaction)
            .await?;
        let rows: Vec<ActiveModel> = urls
            .iter()
            .map(|url| ActiveModel {
                tenant_id: Set(self.tenant.0),
                contact_id: Set(self.id),
                name: Set(url.name.clone()),
                url: Set(url.url.clone()),
                ..Default::default()
            })
            .collect();
        if !rows.is_empty() {
            Entity::insert_many(rows)
                .exec_without_returning(self.transaction)
                .await?;
        }
        Ok(())
    }

    async fn refresh_search(&self) -> Result<(), StoreError> {
        let Some(row) = contact::Entity::find_by_id(self.id)
            .one(self.transaction)
            .await?
        else {
            return Ok(());
        };
        let numbers =
            contact_number::Entity::find().filter(contact_number::Column::ContactId.eq(self.id));
        let numbers = numbers
            .all(self.transaction)
            .await?
            .into_iter()
            .filter_map(|row| PhoneNumber::parse(&row.e164).ok());
        let numbers: Vec<PhoneNumber> = numbers.collect();
        let emails =
            contact_email::Entity::find().filter(contact_email::Column::ContactId.eq(self.id));
        let emails: Vec<String> = emails
            .all(self.transaction)
            .await?
            .into_iter()
            .map(|row| row.email)
            .collect();
        let search = search_text(&row.name, &numbers, &emails);
        self.change(contact::ActiveModel {
            search: Set(search),
            ..Default::default()
        })
        .await?;
        Ok(())
    }
}

fn distinct<T: PartialEq>(items: &[T]) -> impl Iterator<Item = &T> {
    items
        .iter()
        .enumerate()
        .filter(|(place, item)| !items[..*place].contains(item))
        .map(|(_, item)| item)
}
