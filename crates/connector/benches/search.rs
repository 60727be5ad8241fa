//! How long search takes and how much memory its index needs: `cargo bench -p connector --bench search`.

#![expect(clippy::print_stdout, reason = "the figures")]

use std::{
    collections::{HashMap, HashSet},
    hint::black_box,
    time::{Duration, Instant},
};

use connector::{
    Doc, Index,
    search::{Meaning, StaticModel, search_hybrid, text_for_embedding},
};

const VERBS: [(&str, &str); 6] = [
    ("list", "GET"),
    ("get", "GET"),
    ("create", "POST"),
    ("update", "PATCH"),
    ("delete", "DELETE"),
    ("archive", "POST"),
];
const NOUNS: [&str; 50] = [
    "account",
    "activity",
    "address",
    "agent",
    "appointment",
    "article",
    "asset",
    "attachment",
    "booking",
    "branch",
    "campaign",
    "card",
    "cart",
    "category",
    "channel",
    "comment",
    "company",
    "contact",
    "contract",
    "coupon",
    "customer",
    "deal",
    "department",
    "device",
    "document",
    "domain",
    "employee",
    "event",
    "expense",
    "file",
    "folder",
    "form",
    "group",
    "invoice",
    "issue",
    "label",
    "lead",
    "location",
    "meeting",
    "message",
    "milestone",
    "note",
    "order",
    "payment",
    "product",
    "project",
    "refund",
    "report",
    "shipment",
    "ticket",
];
const PARTS: [&str; 50] = [
    "",
    "history",
    "member",
    "setting",
    "permission",
    "template",
    "field",
    "status",
    "note",
    "tag",
    "attachment",
    "comment",
    "owner",
    "draft",
    "export",
    "import",
    "batch",
    "summary",
    "rule",
    "version",
    "link",
    "subscription",
    "schedule",
    "quota",
    "alias",
    "policy",
    "session",
    "token",
    "webhook",
    "report",
    "metric",
    "limit",
    "locale",
    "translation",
    "preview",
    "thumbnail",
    "signature",
    "review",
    "rating",
    "question",
    "answer",
    "step",
    "stage",
    "relation",
    "reminder",
    "alert",
    "incident",
    "backup",
    "snapshot",
    "lock",
];
const INTENTS: [&str; 12] = [
    "give a client his money back",
    "who signed the contract",
    "remove a comment",
    "lst shipmnts",
    "show me all invoices from last month",
    "store a new lead for acme",
    "what is the status of order 1234",
    "Rechnung stornieren",
    "crear un contacto nuevo",
    "ajouter une étiquette",
    "删除文件",
    "invite a colleague to the project and let him edit documents",
];

fn main() {
    let model = model();
    println!(
        "actions   apps  built in  memory per 1,000   words p50   p99       hybrid p50  p99       own model p50  p99       plain BM25 p50  words/plain"
    );
    for (count, apps) in [(1_200, 1), (15_000, 1), (15_000, 100)] {
        measure(count, apps, &model);
    }
}

fn measure(count: usize, apps: usize, model: &StaticModel) {
    // The shipped lexicon is read once in a process, before any index is built.
    black_box(Index::build(std::iter::once(doc(0))).search("contact", 1));
    let start = Instant::now();
    let each = count / apps;
    let indexes: Vec<Index> = (0..apps)
        .map(|app| Index::build((0..each).map(|at| doc(app * each + at))))
        .collect();
    let built = start.elapsed();
    let all: Vec<&Index> = indexes.iter().collect();
    let size: usize = indexes.iter().map(Index::size).sum();
    let plain = Plain::build((0..count).map(doc));
    // Turn by turn, so that whatever else the machine does hits both alike.
    let (mut words, mut hybrid, mut scans) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..20 {
        for intent in INTENTS {
            hybrid.push(timed(|| {
                search_hybrid(&all, intent, None, Meaning::Bundled, 10)
            }));
            words.push(timed(|| {
                search_hybrid(&all, intent, None, Meaning::Words, 10)
            }));
            scans.push(timed(|| plain.search(intent, 10)));
        }
    }
    for (app, index) in indexes.iter().enumerate() {
        let texts = (0..each).map(|at| text_for_embedding(&doc(app * each + at)));
        index
            .set_meaning(texts.map(|text| model.embed(&text)).collect())
            .expect("one vector for each action");
    }
    let mut given = Vec::new();
    for _ in 0..20 {
        for intent in INTENTS {
            given.push(timed(|| {
                let meant = model.embed(intent);
                search_hybrid(&all, intent, None, Meaning::Vector(&meant), 10)
            }));
        }
    }
    let (words, hybrid, scans) = (sorted(words), sorted(hybrid), sorted(scans));
    let given = sorted(given);
    println!(
        "{count:>7}  {apps:>5}  {:>5} ms  {:>12} KiB  {:>8.3} ms {:>6.3} ms  {:>8.3} ms {:>6.3} ms  {:>9.3} ms {:>6.3} ms  {:>12.3} ms  {:>8.2}",
        built.as_millis(),
        size / 1024 * 1000 / count,
        quantile(&words, 0.5),
        quantile(&words, 0.99),
        quantile(&hybrid, 0.5),
        quantile(&hybrid, 0.99),
        quantile(&given, 0.5),
        quantile(&given, 0.99),
        quantile(&scans, 0.5),
        quantile(&words, 0.5) / quantile(&scans, 0.5),
    );
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

fn sorted(mut took: Vec<Duration>) -> Vec<Duration> {
    took.sort_unstable();
    took
}

/// In milliseconds.
fn quantile(sorted: &[Duration], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    sorted[at.min(sorted.len() - 1)].as_secs_f64() * 1000.0
}

/// The yardstick: Okapi BM25 over every action's words, nothing understood and nothing forgiven.
struct Plain {
    docs: Vec<HashMap<String, f32>>,
    rarity: HashMap<String, f32>,
}

impl Plain {
    fn build(docs: impl Iterator<Item = Doc>) -> Self {
        let counted = docs.map(|doc| {
            let mut counts: HashMap<String, f32> = HashMap::new();
            let text = format!(
                "{} {} {}",
                doc.title,
                doc.description,
                doc.parameters.join(" ")
            );
            for word in plain_words(&text) {
                *counts.entry(word).or_default() += 1.0;
            }
            counts
        });
        let docs: Vec<_> = counted.collect();
        let words: HashSet<&String> = docs.iter().flat_map(HashMap::keys).collect();
        let count = docs.len() as f32;
        let mut found: HashMap<&String, f32> = words.into_iter().map(|word| (word, 0.0)).collect();
        for word in docs.iter().flat_map(HashMap::keys) {
            if let Some(found) = found.get_mut(word) {
                *found += 1.0;
            }
        }
        let rarity = found
            .into_iter()
            .map(|(word, found)| {
                let rarity = (1.0 + (count - found + 0.5) / (found + 0.5)).ln();
                (word.clone(), rarity)
            })
            .collect();
        Self { docs, rarity }
    }

    fn search(&self, intent: &str, limit: usize) -> Vec<(usize, f32)> {
        let wanted: Vec<String> = plain_words(intent).collect();
        let mut found: Vec<(usize, f32)> = self
            .docs
            .iter()
            .map(|doc| {
                let score = |word: &String| {
                    let count = doc.get(word).copied().unwrap_or(0.0);
                    self.rarity.get(word).copied().unwrap_or(0.0) * count * 2.2 / (count + 1.2)
                };
                wanted.iter().map(score).sum()
            })
            .enumerate()
            .filter(|(_, score)| *score > 0.0)
            .collect();
        found.sort_by(|left, right| right.1.total_cmp(&left.1));
        found.truncate(limit);
        found
    }
}

fn plain_words(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// A static model of the usual size, 30,000 pieces of 256 values, with made-up values: what it says is
/// worthless, how long it takes is not.
fn model() -> StaticModel {
    const PIECES: usize = 30_000;
    const WIDTH: usize = 256;
    let mut vocab = serde_json::Map::new();
    let nouns = NOUNS.iter().chain(&PARTS).filter(|word| !word.is_empty());
    for word in nouns {
        vocab.insert((*word).to_owned(), vocab.len().into());
    }
    for letter in 'a'..='z' {
        vocab.insert(letter.to_string(), vocab.len().into());
        vocab.insert(format!("##{letter}"), vocab.len().into());
    }
    while vocab.len() < PIECES {
        vocab.insert(format!("piece{}", vocab.len()), vocab.len().into());
    }
    let tokenizer = serde_json::json!({ "model": { "type": "WordPiece", "vocab": vocab } });
    let mut state = 1_u32;
    let values = (0..PIECES * WIDTH).flat_map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f32::from((state >> 16) as u16) / 65_536.0 - 0.5).to_le_bytes()
    });
    let header = serde_json::json!({ "embeddings": {
        "dtype": "F32", "shape": [PIECES, WIDTH], "data_offsets": [0, PIECES * WIDTH * 4] } });
    let header = header.to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend(values);
    StaticModel::parse(&tokenizer.to_string(), &file).expect("a model")
}

/// Made-up actions: every one another combination of words.
fn doc(at: usize) -> Doc {
    let (verb, method) = VERBS[at % VERBS.len()];
    let noun = NOUNS[at / VERBS.len() % NOUNS.len()];
    let part = PARTS[at / VERBS.len() / NOUNS.len() % PARTS.len()];
    Doc {
        key: format!("{verb}-{noun}-{part}"),
        title: format!("{verb} {noun} {part}"),
        description: format!(
            "Use this to {verb} the {part} of a {noun} of your workspace, with all its details and owners"
        ),
        search_terms: Vec::new(),
        method: method.to_owned(),
        path: format!("/v1/{noun}s/{{id}}/{part}"),
        parameters: vec![
            format!("{noun}_id"),
            "limit".to_owned(),
            "page".to_owned(),
            format!("{part}_name"),
        ],
    }
}
