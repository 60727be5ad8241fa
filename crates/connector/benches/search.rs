//! How long search takes and how much memory its index needs: `cargo bench -p connector --bench search`.

#![expect(clippy::print_stdout, reason = "the figures")]

use std::{hint::black_box, time::Instant};

use connector::{
    Doc, Index,
    search::{Words, search_all},
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
    println!("actions  built in  memory per 1,000   p50      p99");
    for (count, apps) in [(1_200, 1), (15_000, 1), (15_000, 100)] {
        measure(count, apps);
    }
}

fn measure(count: usize, apps: usize) {
    // The shipped lexicon is read once in a process, before any index is built.
    black_box(Index::build(std::iter::once(doc(0))).search("contact", 1));
    let start = Instant::now();
    let each = count / apps;
    let indexes: Vec<Index> = (0..apps)
        .map(|app| Index::build((0..each).map(|at| doc(app * each + at))))
        .collect();
    let built = start.elapsed();
    let all: Vec<&Index> = indexes.iter().collect();
    let mut took = Vec::new();
    for _ in 0..20 {
        for intent in INTENTS {
            let start = Instant::now();
            black_box(search_all(&all, intent, None::<&Words>, 10));
            took.push(start.elapsed());
        }
    }
    took.sort_unstable();
    let size: usize = indexes.iter().map(Index::size).sum();
    println!(
        "{count:>7}  {:>5} ms  {:>10} KiB   {:>6.3} ms  {:>6.3} ms  ({apps} apps)",
        built.as_millis(),
        size / 1024 * 1000 / count,
        took[took.len() / 2].as_secs_f64() * 1000.0,
        took[took.len() * 99 / 100].as_secs_f64() * 1000.0,
    );
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
