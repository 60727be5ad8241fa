//! Databases for tests: SQLite always, PostgreSQL too when a server is named.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::Db;

static SCHEMA: AtomicU32 = AtomicU32::new(0);

/// Empty databases, one of each engine at hand, with what keeps them alive.
pub(crate) async fn databases() -> Vec<(Db, tempfile::TempDir)> {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut all = vec![(
        Db::open_file(&dir.path().join("t.db")).await.expect("open"),
        dir,
    )];
    if let Ok(url) = std::env::var("TRUNKLINE_TEST_POSTGRES_URL") {
        let schema = format!(
            "t{}_{}",
            std::process::id(),
            SCHEMA.fetch_add(1, Ordering::Relaxed)
        );
        let admin = sea_orm::Database::connect(&url).await.expect("postgres");
        sea_orm::ConnectionTrait::execute_unprepared(&admin, &format!("CREATE SCHEMA {schema}"))
            .await
            .expect("schema");
        let joint = if url.contains('?') { '&' } else { '?' };
        let db = Db::open(&format!("{url}{joint}options[search_path]={schema}"))
            .await
            .expect("open");
        all.push((db, tempfile::tempdir().expect("temp dir")));
    }
    all
}
