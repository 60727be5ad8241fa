//! Which actions were run after which words, as plain counts. Kept only for workspaces that asked for it.

use sea_orm::{
    ActiveValue::Set,
    ExprTrait,
    entity::prelude::*,
    sea_query::{Expr, OnConflict},
};

use super::{WorkspaceId, entity::search_use as entity};
use crate::{Db, StoreError};

/// Rows a workspace may have: words are a stranger's to choose.
const MOST_ROWS: u64 = 20_000;

/// How often an action was run after a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchUse {
    pub word: String,
    pub action_id: String,
    pub uses: i64,
}

impl Db {
    /// Counts one run of an action for each of the words that led to it. When the workspace's share of the table
    /// is full, only what is known already is counted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_search_use(
        &self,
        workspace: WorkspaceId,
        words: &[String],
        action_id: &str,
    ) -> Result<(), StoreError> {
        let rows = entity::Entity::find()
            .filter(entity::Column::WorkspaceId.eq(workspace.0))
            .count(&self.conn)
            .await?;
        for word in words {
            let uses = Expr::col((entity::Entity, entity::Column::Uses)).add(1);
            if rows >= MOST_ROWS {
                entity::Entity::update_many()
                    .col_expr(entity::Column::Uses, uses)
                    .filter(entity::Column::WorkspaceId.eq(workspace.0))
                    .filter(entity::Column::Word.eq(word))
                    .filter(entity::Column::ActionId.eq(action_id))
                    .exec(&self.conn)
                    .await?;
                continue;
            }
            let row = entity::ActiveModel {
                workspace_id: Set(workspace.0),
                word: Set(word.clone()),
                action_id: Set(action_id.to_owned()),
                uses: Set(1),
                ..Default::default()
            };
            let known = OnConflict::columns([
                entity::Column::WorkspaceId,
                entity::Column::Word,
                entity::Column::ActionId,
            ])
            .value(entity::Column::Uses, uses)
            .to_owned();
            entity::Entity::insert(row)
                .on_conflict(known)
                .exec_without_returning(&self.conn)
                .await?;
        }
        Ok(())
    }

    /// What was run after any of these words.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn search_uses(
        &self,
        workspace: WorkspaceId,
        words: &[String],
    ) -> Result<Vec<SearchUse>, StoreError> {
        let rows = entity::Entity::find()
            .filter(entity::Column::WorkspaceId.eq(workspace.0))
            .filter(entity::Column::Word.is_in(words))
            .all(&self.conn)
            .await?;
        let uses = rows.into_iter().map(|row| SearchUse {
            word: row.word,
            action_id: row.action_id,
            uses: row.uses,
        });
        Ok(uses.collect())
    }

    /// Forgets all counts of a workspace.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_search_uses(&self, workspace: WorkspaceId) -> Result<(), StoreError> {
        entity::Entity::delete_many()
            .filter(entity::Column::WorkspaceId.eq(workspace.0))
            .exec(&self.conn)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn runs_are_counted_by_word_and_workspace_and_can_be_forgotten() {
        for (db, _dir) in crate::testing::databases().await {
            let (one, other) = (WorkspaceId(1), WorkspaceId(2));
            let words = ["money".to_owned(), "back".to_owned()];
            db.count_search_use(one, &words, "refund").await.unwrap();
            db.count_search_use(one, &words[..1], "refund")
                .await
                .unwrap();
            let uses = db.search_uses(one, &words[..1]).await.unwrap();
            let counted = SearchUse {
                word: "money".to_owned(),
                action_id: "refund".to_owned(),
                uses: 2,
            };
            assert_eq!(uses, [counted]);
            assert!(db.search_uses(other, &words).await.unwrap().is_empty());
            db.forget_search_uses(one).await.unwrap();
            assert!(db.search_uses(one, &words).await.unwrap().is_empty());
        }
    }
}
