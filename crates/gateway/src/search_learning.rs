//! Learning from use: an action that was run after an intent rises for similar intents, where the workspace
//! wants that. What is kept are counts by word, not what somebody wrote.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use connector::search::{Words, key_words};
use serde::{Deserialize, Serialize};
use store::gateway::WorkspaceId;

use crate::{Caller, CatalogAction, FoundAction, Gateway, GatewayError};

const SETTING: &str = "search";
/// A run later than this has some other reason.
const LINKED: Duration = Duration::from_secs(600);
/// How far down a list the run action may have been.
const SHOWN: usize = 20;
const MOST_REMEMBERED: usize = 10_000;
const MOST_WORD_LISTS: usize = 64;
const LONGEST_WORDS: usize = 20_000;
/// What an action gains that is always run after these words.
const MOST_GAIN: f32 = 0.6;
/// Runs after which more make no difference.
const ENOUGH_RUNS: f32 = 8.0;

/// How a workspace wants to search.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SearchSettings {
    /// Learn from what is run after a search.
    pub learn: bool,
    /// The workspace's own words; see [`Words::read`].
    pub words: String,
}

/// Intents and word lists in memory.
#[derive(Default)]
pub(crate) struct SearchMemory {
    recent: Mutex<HashMap<(i64, i64), Recent>>,
    words: Mutex<HashMap<String, Arc<Words>>>,
}

struct Recent {
    words: Vec<String>,
    shown: Vec<String>,
    at: Instant,
}

impl SearchMemory {
    fn remember(&self, caller: &Caller, words: Vec<String>, found: &[FoundAction]) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= MOST_REMEMBERED {
            recent.retain(|_, recent| recent.at.elapsed() < LINKED);
        }
        if recent.len() < MOST_REMEMBERED {
            let shown = found.iter().take(SHOWN);
            let shown = shown
                .map(|found| found.action.action().id.clone())
                .collect();
            let at = Instant::now();
            recent.insert(key(caller), Recent { words, shown, at });
        }
    }

    /// The words that led the caller to an action; each search teaches once.
    fn led_to(&self, caller: &Caller, action: &str) -> Option<Vec<String>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let known = recent.get(&key(caller))?;
        let linked = known.at.elapsed() < LINKED && known.shown.iter().any(|id| id == action);
        let words = linked.then(|| known.words.clone())?;
        recent.remove(&key(caller));
        Some(words)
    }

    fn words(&self, lines: &str) -> Option<Arc<Words>> {
        if lines.trim().is_empty() {
            return None;
        }
        let mut known = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_WORD_LISTS && !known.contains_key(lines) {
            known.clear();
        }
        let words = known.entry(lines.to_owned());
        Some(
            words
                .or_insert_with(|| Arc::new(Words::read(lines)))
                .clone(),
        )
    }
}

fn key(caller: &Caller) -> (i64, i64) {
    let customer = caller.customer.as_ref();
    (
        caller.workspace.id.0,
        customer.map_or(0, |customer| customer.id.0),
    )
}

impl Gateway {
    /// How a workspace wants to search.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn search_settings(&self, caller: &Caller) -> Result<SearchSettings, GatewayError> {
        let stored = self
            .inner
            .db
            .gateway_setting(caller.workspace.id, SETTING)
            .await?;
        // What an older or newer version wrote is better ignored than refused.
        Ok(stored
            .and_then(|value| serde_json::from_value(value).ok())
            .unwrap_or_default())
    }

    /// Changes how a workspace searches. Whoever turns learning off has what was learnt forgotten.
    ///
    /// # Errors
    /// When the caller is no manager, the word list is too long or the database fails.
    pub async fn set_search_settings(
        &self,
        caller: &Caller,
        settings: &SearchSettings,
    ) -> Result<(), GatewayError> {
        caller.require_admin()?;
        if settings.words.len() > LONGEST_WORDS {
            return Err(GatewayError::field(
                "words",
                format!("words may have at most {LONGEST_WORDS} bytes"),
            ));
        }
        let workspace: WorkspaceId = caller.workspace.id;
        if !settings.learn {
            self.inner.db.forget_search_uses(workspace).await?;
        }
        let value = serde_json::to_value(settings).unwrap_or_default();
        self.inner
            .db
            .set_gateway_setting(workspace, SETTING, &value)
            .await?;
        Ok(())
    }

    pub(crate) fn words_of(&self, settings: &SearchSettings) -> Option<Arc<Words>> {
        self.inner.search_memory.words(&settings.words)
    }

    /// Raises what was run after such words before, and keeps the list in mind for the run that may follow.
    pub(crate) async fn learn_ranking(
        &self,
        caller: &Caller,
        intent: &str,
        found: &mut [FoundAction],
    ) -> Result<(), GatewayError> {
        let words = key_words(intent);
        if words.is_empty() {
            return Ok(());
        }
        let mut runs: HashMap<String, (f32, i64)> = HashMap::new();
        for used in self
            .inner
            .db
            .search_uses(caller.workspace.id, &words)
            .await?
        {
            let known = runs.entry(used.action_id).or_default();
            // Counts are far below what f32 holds exactly.
            known.0 += (used.uses as f32 / ENOUGH_RUNS).min(1.0) / words.len() as f32;
            known.1 = known.1.max(used.uses);
        }
        for found in found.iter_mut() {
            if let Some((share, uses)) = runs.get(&found.action.action().id) {
                found.score = found.score.map(|score| score * (1.0 + MOST_GAIN * share));
                found.learned_runs = Some(*uses);
            }
        }
        found.sort_by(|a, b| b.score.unwrap_or(0.0).total_cmp(&a.score.unwrap_or(0.0)));
        self.inner.search_memory.remember(caller, words, found);
        Ok(())
    }

    /// Counts a run for the words that led to it. A failure costs a count and no more.
    pub(crate) async fn learn_from_run(&self, caller: &Caller, action: &CatalogAction) {
        let id = &action.action().id;
        if let Some(words) = self.inner.search_memory.led_to(caller, id) {
            let counted = self
                .inner
                .db
                .count_search_use(caller.workspace.id, &words, id)
                .await;
            if let Err(error) = counted {
                tracing::warn!(workspace.id = %caller.workspace.public_id, %error, "a run was not counted for search");
            }
        }
    }
}
