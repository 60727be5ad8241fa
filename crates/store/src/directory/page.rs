//! One page of a list and the count of all.

use sea_orm::{
    ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, QuerySelect, Select, SqlErr,
};

use crate::StoreError;

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows on a page.
    pub limit: u64,
    /// Counted from 1.
    pub number: u64,
}

impl Page {
    /// Everything, for lists that are small by nature.
    pub const ALL: Page = Page {
        limit: 100_000,
        number: 1,
    };

    fn offset(self) -> u64 {
        // SQL offsets are signed.
        const HIGHEST: u64 = i64::MAX as u64;
        self.number
            .saturating_sub(1)
            .saturating_mul(self.limit)
            .min(HIGHEST)
    }
}

/// Rows of a page, and how many there are on all pages.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    pub rows: Vec<T>,
    pub total: u64,
}

impl<T> Listed<T> {
    pub(super) fn map<U>(self, f: impl FnMut(T) -> U) -> Listed<U> {
        Listed {
            rows: self.rows.into_iter().map(f).collect(),
            total: self.total,
        }
    }
}

/// Runs an ordered select for one page. Counting comes before ordering matters to the engine.
pub(super) async fn list<E, M>(
    conn: &impl ConnectionTrait,
    select: Select<E>,
    page: Page,
) -> Result<Listed<M>, StoreError>
where
    E: EntityTrait<Model = M>,
    M: FromQueryResult + Sized + Send + Sync,
{
    let total = select.clone().count(conn).await?;
    let rows = select
        .limit(page.limit)
        .offset(page.offset())
        .all(conn)
        .await?;
    Ok(Listed { rows, total })
}

/// Names the field when the engine says that a value is taken; `fields` pairs a part of the
/// engine's message (index or column) with our word for it.
pub(crate) fn taken(error: sea_orm::DbErr, fields: &[(&str, &'static str)]) -> StoreError {
    if let Some(SqlErr::UniqueConstraintViolation(message)) = error.sql_err() {
        for (part, what) in fields {
            if message.contains(part) {
                return StoreError::Duplicate { what };
            }
        }
    }
    error.into()
}
