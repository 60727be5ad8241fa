//! How well search works, measured on labelled intents.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::{Doc, FITS, Hit, Index, search_all, text_for_embedding};

/// An action as a description of an interface gives it.
#[derive(Debug, Clone, Deserialize)]
pub struct RawAction {
    /// Names it in [`LabelledIntent::expected`].
    pub id: String,
    /// The app it belongs to.
    pub app: String,
    /// Key within the app.
    #[serde(default, deserialize_with = "or_default")]
    pub key: String,
    /// Name or operation id.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// Description.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// HTTP method.
    #[serde(default, deserialize_with = "or_default")]
    pub method: String,
    /// Path template.
    #[serde(default, deserialize_with = "or_default")]
    pub path: String,
    /// Parameter names.
    #[serde(default, deserialize_with = "or_default")]
    pub parameters: Vec<String>,
}

/// An intent and the actions that would do.
#[derive(Debug, Clone, Deserialize)]
pub struct LabelledIntent {
    /// Its name.
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    /// The connection's app; none to look in all.
    #[serde(default, deserialize_with = "or_default")]
    pub app: Option<String>,
    /// How it is worded.
    #[serde(default, deserialize_with = "or_default")]
    pub kind: String,
    /// What somebody said.
    pub intent: String,
    /// Right answers; none where nothing fits.
    #[serde(default, deserialize_with = "or_default")]
    pub expected: Vec<String>,
}

/// Recall and mean reciprocal rank.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Figures {
    /// Intents measured.
    pub count: usize,
    /// Share of intents with a right action first.
    #[serde(rename = "recall@1")]
    pub first: f64,
    /// Share with one among the first five.
    #[serde(rename = "recall@5")]
    pub fifth: f64,
    /// Mean of one over the place of the first right action.
    pub mrr: f64,
}

/// Milliseconds a search took.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Latency {
    /// The middle one.
    pub p50: f64,
    /// One of a hundred takes longer.
    pub p99: f64,
}

/// An intent without a right action among the first five.
#[derive(Debug, Clone, Serialize)]
pub struct Miss {
    /// What was said.
    pub intent: String,
    /// What would have been right.
    pub expected: Vec<String>,
    /// What came.
    pub found: Vec<String>,
}

/// Intents that nothing fits, and what became of them.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Negatives {
    /// Intents measured.
    pub count: usize,
    /// Found nothing at all.
    pub nothing: usize,
    /// Found something, and said that it does not fit well.
    pub doubted: usize,
}

/// What was measured.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Search inside the app an intent names.
    pub app: Figures,
    /// Search over all apps.
    pub all: Figures,
    /// Inside one app, by how the intent is worded.
    pub kinds: BTreeMap<String, Figures>,
    /// Inside one app, by app.
    pub apps: BTreeMap<String, Figures>,
    /// All searches of the run.
    pub latency_ms: Latency,
    /// Intents nothing fits.
    pub negatives: Negatives,
    /// Share of the other intents whose search said that nothing fits well.
    pub doubted: f64,
    /// Inside one app.
    #[serde(skip)]
    pub misses: Vec<Miss>,
}

/// A member that is `null` says as little as one that is missing.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    source: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(source)?.unwrap_or_default())
}

/// Finds the places of up to `limit` actions in some of the indexes; see [`search_all`].
pub type Search<'a> = dyn FnMut(&[&Index], &str, usize) -> Vec<(usize, Hit)> + 'a;

/// Makes a text's vector.
pub type Embed<'a> = dyn Fn(&str) -> Vec<f32> + 'a;

const LOOKED_AT: usize = 50;

/// The same action as the index takes it.
impl From<&RawAction> for Doc {
    fn from(raw: &RawAction) -> Self {
        Self {
            key: raw.key.clone(),
            title: raw.name.clone(),
            description: raw.description.clone(),
            search_terms: Vec::new(),
            method: raw.method.clone(),
            path: raw.path.clone(),
            parameters: raw.parameters.clone(),
        }
    }
}

/// Searches for each intent inside its app and over all apps. `clock` gives the time since some moment.
#[must_use]
pub fn evaluate(
    actions: &[RawAction],
    intents: &[LabelledIntent],
    clock: impl FnMut() -> Duration,
) -> Report {
    evaluate_with(
        actions,
        intents,
        clock,
        None,
        &mut |indexes, intent, limit| search_all(indexes, intent, None, limit),
    )
}

/// As [`evaluate`], with another way to search, in indexes with the vectors that `embed` makes.
#[must_use]
pub fn evaluate_with(
    actions: &[RawAction],
    intents: &[LabelledIntent],
    mut clock: impl FnMut() -> Duration,
    embed: Option<&Embed<'_>>,
    search: &mut Search<'_>,
) -> Report {
    let names: BTreeSet<&str> = actions.iter().map(|action| action.app.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let own: Vec<Vec<&RawAction>> = names
        .iter()
        .map(|app| actions.iter().filter(|action| action.app == *app).collect())
        .collect();
    let indexes: Vec<Index> = names
        .iter()
        .zip(&own)
        .map(|(name, own)| {
            Index::build(own.iter().map(|action| Doc::from(*action))).of_app([*name])
        })
        .collect();
    if let Some(embed) = embed {
        for (index, own) in indexes.iter().zip(&own) {
            let texts = own
                .iter()
                .map(|action| text_for_embedding(&Doc::from(*action)));
            // One model makes vectors of one length, one for each action.
            let _ = index.set_meaning(texts.map(|text| embed(&text)).collect());
        }
    }
    let all: Vec<&Index> = indexes.iter().collect();
    let place_of: HashMap<&str, usize> = names
        .iter()
        .enumerate()
        .map(|(at, name)| (*name, at))
        .collect();
    let mut took = Vec::new();
    let mut run = |over: &[&Index], intent: &str| {
        let before = clock();
        let found = search(over, intent, LOOKED_AT);
        took.push(clock().saturating_sub(before).as_secs_f64() * 1000.0);
        found
    };
    let mut report = Report::default();
    let mut doubts = 0;
    let (mut in_app, mut over_all) = (Ranks::default(), Ranks::default());
    let (mut kinds, mut apps): (BTreeMap<String, Ranks>, BTreeMap<String, Ranks>) =
        Default::default();
    for intent in intents {
        let everywhere = run(&all, &intent.intent);
        let inside = intent
            .app
            .as_deref()
            .and_then(|app| place_of.get(app))
            .map(|at| run(&[all[*at]], &intent.intent));
        let looked_at = inside.as_ref().unwrap_or(&everywhere);
        let doubted = !looked_at.is_empty() && nothing_fits(looked_at);
        if intent.expected.is_empty() {
            report.negatives.count += 1;
            report.negatives.nothing += usize::from(looked_at.is_empty());
            report.negatives.doubted += usize::from(doubted);
            continue;
        }
        doubts += usize::from(doubted);
        // Inside one app its index is the only one, over all it has its place among them.
        let inside = inside.zip(intent.app.as_deref().and_then(|app| place_of.get(app)));
        let inside = inside.map(|(found, app)| {
            let id = |hit: &(usize, Hit)| own[*app][hit.1.doc].id.as_str();
            found.iter().map(id).collect::<Vec<_>>()
        });
        let everywhere: Vec<&str> = everywhere
            .iter()
            .map(|(at, hit)| own[*at][hit.doc].id.as_str())
            .collect();
        let rank = |found: &[&str]| {
            found
                .iter()
                .position(|id| intent.expected.iter().any(|right| right == id))
        };
        over_all.add(rank(&everywhere));
        let by_kind = kinds.entry(intent.kind.clone()).or_default();
        let Some(inside) = inside else {
            by_kind.add(rank(&everywhere));
            continue;
        };
        let at = rank(&inside);
        in_app.add(at);
        by_kind.add(at);
        apps.entry(intent.app.clone().unwrap_or_default())
            .or_default()
            .add(at);
        if at.is_none_or(|at| at >= 5) {
            report.misses.push(Miss {
                intent: intent.intent.clone(),
                expected: intent.expected.clone(),
                found: inside.iter().take(5).map(|id| (*id).to_owned()).collect(),
            });
        }
    }
    took.sort_by(f64::total_cmp);
    report.latency_ms = Latency {
        p50: quantile(&took, 0.5),
        p99: quantile(&took, 0.99),
    };
    report.doubted = doubts as f64 / over_all.0.len().max(1) as f64;
    report.app = in_app.figures();
    report.all = over_all.figures();
    report.kinds = kinds
        .into_iter()
        .map(|(kind, ranks)| (kind, ranks.figures()))
        .collect();
    report.apps = apps
        .into_iter()
        .map(|(app, ranks)| (app, ranks.figures()))
        .collect();
    report
}

/// Whether the best of what was found has too little of what was asked for.
fn nothing_fits(found: &[(usize, Hit)]) -> bool {
    found.iter().all(|(_, hit)| hit.coverage < FITS)
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or(0.0)
}

/// Places of the first right action; none where there was none.
#[derive(Default)]
struct Ranks(Vec<Option<usize>>);

impl Ranks {
    fn add(&mut self, rank: Option<usize>) {
        self.0.push(rank);
    }

    fn figures(&self) -> Figures {
        let count = self.0.len().max(1) as f64;
        let share =
            |most: usize| self.0.iter().flatten().filter(|at| **at < most).count() as f64 / count;
        let reciprocal: f64 = self
            .0
            .iter()
            .flatten()
            .map(|at| 1.0 / (at + 1) as f64)
            .sum();
        Figures {
            count: self.0.len(),
            first: share(1),
            fifth: share(5),
            mrr: reciprocal / count,
        }
    }
}
