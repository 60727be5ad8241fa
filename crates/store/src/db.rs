//! The connection: SQLite tuned for one writer and many readers, or PostgreSQL.

use std::path::Path;

use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use sea_orm_migration::prelude::*;

use crate::StoreError;

/// A pool of connections with the schema in place. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    pub(crate) conn: DatabaseConnection,
}

impl Db {
    /// Opens the database at a URL (`sqlite://…` or `postgres://…`) and brings its schema up to date.
    ///
    /// # Errors
    /// When it can't be reached or a migration fails.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let mut options = ConnectOptions::new(url);
        options.sqlx_logging(false).max_connections(8);
        options.map_sqlx_sqlite_opts(|options| {
            options
                .create_if_missing(true)
                .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
                .synchronous(sqlx::sqlite::SqliteSynchronous::Normal)
                .busy_timeout(std::time::Duration::from_secs(5))
                .foreign_keys(true)
                // KiB, for each of the connections above.
                .pragma("cache_size", "-8192")
                .pragma("mmap_size", "67108864")
        });
        let conn = Database::connect(options).await?;
        Migrator::up(&conn, None).await?;
        Ok(Self { conn })
    }

    /// Opens or creates the SQLite file of an embedded installation.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub async fn open_file(path: &Path) -> Result<Self, StoreError> {
        Self::open(&format!("sqlite://{}?mode=rwc", path.display())).await
    }

    /// The raw connection, for transactions across this crate's modules.
    #[must_use]
    pub fn connection(&self) -> &DatabaseConnection {
        &self.conn
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.conn.ping().await?)
    }
}

struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut list = crate::company::migrations();
        list.extend(crate::directory::migrations());
        list.extend(crate::ledger::migrations());
        list.extend(crate::accounts::migrations());
        list.extend(crate::gateway::migrations());
        list.extend(crate::trunks::migrations());
        list.extend(crate::recordings::migrations());
        list.extend(crate::rooms::migrations());
        list
    }
}
