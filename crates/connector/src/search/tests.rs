use std::path::PathBuf;

use serde_json::Value;

use super::{Index, eval};
use crate::Manifest;

fn cloudtalk() -> (Manifest, Index) {
    let manifest = Manifest::parse(crate::builtin::manifests()[0].1).unwrap();
    let index = Index::build(manifest.actions.iter().map(crate::Action::search_doc));
    (manifest, index)
}

#[track_caller]
fn assert_first(intent: &str, key: &str) {
    let (manifest, index) = cloudtalk();
    let hits = index.search(intent, 5);
    let found: Vec<_> = hits
        .iter()
        .map(|hit| manifest.actions[hit.doc].key.as_str())
        .collect();
    assert_eq!(found.first(), Some(&key), "{intent}: {found:?}");
}

#[test]
fn plain_requests_find_their_action() {
    assert_first("send a text message", "send-sms");
    assert_first("download the recording of a call", "get-call-recording");
    assert_first("list recent calls", "list-calls");
    assert_first("find a contact by phone number", "list-contacts");
    assert_first("remove a contact", "delete-contact");
    assert_first("label a customer", "add-tags-to-contact");
}

#[test]
fn an_identifier_asks_for_one_and_a_plural_for_many() {
    assert_first("call 123", "get-call");
    assert_first("show calls", "list-calls");
    assert_first("contact with id 5", "get-contact");
    assert_first("contacts", "list-contacts");
}

#[test]
fn misspelt_and_foreign_requests_are_understood() {
    assert_first("sned sms mesage", "send-sms");
    assert_first("updte contat", "update-contact");
    assert_first("Kontakt löschen", "delete-contact");
    assert_first("crear un contacto nuevo", "create-contact");
    assert_first("发短信", "send-sms");
}

#[test]
fn verbs_in_two_halves_and_with_pronouns_are_understood() {
    assert_first(
        "Leg bitte auf der Stelle einen neuen Kontakt an",
        "create-contact",
    );
    assert_first("einen neuen Kontakt anzulegen", "create-contact");
    assert_first("Mándale un mensaje de texto", "send-sms");
    assert_first("bórrame ese contacto", "delete-contact");
    assert_first("efface le contact", "delete-contact");
}

#[test]
fn expressions_of_daily_work_are_understood() {
    assert_first("who rang this morning?", "list-calls");
    assert_first("shoot Anna an SMS", "send-sms");
    assert_first("let me hear it", "get-call-recording");
    assert_first("take down her number", "create-contact");
}

#[test]
fn unknown_names_are_no_slips() {
    // "Dave" is one letter from "date" and "save".
    let (manifest, index) = cloudtalk();
    let hits = index.search("text Dave", 5);
    let keys: Vec<_> = hits
        .iter()
        .map(|hit| manifest.actions[hit.doc].key.as_str())
        .collect();
    assert_eq!(keys.first(), Some(&"send-sms"), "{keys:?}");
}

#[test]
fn nothing_to_do_with_anything_finds_nothing_and_odd_text_is_harmless() {
    let (_, index) = cloudtalk();
    for intent in ["", "   ", "xqzzv wqpl", "!!!", "\u{0}", "的的的", "ß", "🙂"] {
        let _ = index.search(intent, 5);
    }
    assert!(index.search("xqzzv", 5).is_empty());
    assert!(index.search(&"call ".repeat(100_000), 5).len() <= 5);
    assert!(
        Index::build(std::iter::empty())
            .search("call", 5)
            .is_empty()
    );
}

fn lines<T: serde::de::DeserializeOwned>(path: PathBuf) -> Option<Vec<T>> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

fn measured(folder: &std::path::Path) -> Option<eval::Report> {
    let actions: Vec<eval::RawAction> = lines(folder.join("actions.jsonl"))?;
    let intents: Vec<eval::LabelledIntent> = lines(folder.join("intents.jsonl"))?;
    Some(eval::evaluate(&actions, &intents, || {
        std::time::Duration::ZERO
    }))
}

/// Interfaces of sixteen kinds of business software in their raw form, and intents in our words.
#[test]
fn requests_in_other_words_find_actions_of_other_apps() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/search");
    for set in ["talk", "trade", "teams", "papers"] {
        let report = measured(&folder.join(set)).unwrap();
        let misses = &report.misses;
        let (app, all) = (report.app, report.all);
        assert!(
            app.first >= 0.6 && app.fifth >= 0.84 && app.mrr >= 0.7,
            "{set}: {app:?} {misses:#?}"
        );
        assert!(all.first >= 0.5 && all.fifth >= 0.8, "{set}: {all:?}");
        let found = |kinds: &[&str]| {
            let figures = || kinds.iter().filter_map(|kind| report.kinds.get(*kind));
            let count: f64 = figures().map(|kind| kind.count as f64).sum();
            let found: f64 = figures().map(|kind| kind.fifth * kind.count as f64).sum();
            found / count
        };
        assert!(found(&["typo"]) >= 0.95, "{set}: {misses:#?}");
        assert!(
            found(&["de", "es", "fr", "zh"]) >= 0.85,
            "{set}: {misses:#?}"
        );
        assert!(report.doubted <= 0.1, "{set}: {}", report.doubted);
    }
}

#[test]
fn what_nothing_fits_is_doubted_and_what_fits_is_not() {
    let (_, index) = cloudtalk();
    let best = |intent: &str| {
        index
            .search(intent, 1)
            .first()
            .map_or(0.0, |hit| hit.coverage)
    };
    assert!(best("send a text message") >= super::FITS);
    assert!(best("call 123") >= super::FITS);
    assert!(best("bake a chocolate cake with marzipan and a number") < super::FITS);
}

/// Recall over a labelled set that is not part of the product; skipped where it is absent.
#[test]
fn the_labelled_set_is_ranked_well_enough() {
    let shared = std::env::var_os("TRUNKLINE_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let Some(report) = measured(&shared.join("intent-search-dev")) else {
        return;
    };
    let misses = &report.misses;
    assert!(
        report.app.first >= 0.6 && report.app.fifth >= 0.9,
        "{:?} {misses:#?}",
        report.app
    );
    assert!(
        report.all.first >= 0.45 && report.all.fifth >= 0.8,
        "{:?}",
        report.all
    );
    assert!(report.apps["cloudtalk"].fifth >= 0.92, "{misses:#?}");
    assert!(report.kinds["typo"].fifth >= 0.95, "{misses:#?}");
}

/// A value that fits a schema's named types, for trying a request out.
fn sample(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    for name in ["const", "default", "example"] {
        if let Some(value) = schema.get(name) {
            return value.clone();
        }
    }
    if let Some(first) = ["anyOf", "oneOf"]
        .iter()
        .find_map(|name| schema[*name].as_array()?.first())
    {
        return sample(first);
    }
    let kind = schema["type"]
        .as_str()
        .or_else(|| schema["type"][0].as_str());
    match kind {
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(1.into()),
        Some("boolean") => true.into(),
        Some("array") => vec![sample(&schema["items"])].into(),
        Some("object") | None => {
            let wanted = schema["required"].as_array().cloned().unwrap_or_default();
            let members = wanted.iter().filter_map(Value::as_str);
            members
                .map(|name| (name.to_owned(), sample(&schema["properties"][name])))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        _ => {
            let candidates = [
                "+421900000001",
                "1",
                "a@example.com",
                "2026-01-01T00:00:00Z",
                "2026-01-01",
                "10:00",
                "https://example.com",
                "example",
            ];
            let fits = |text: &&&str| crate::check_input(schema, &Value::from(**text)).is_ok();
            (*candidates.iter().find(fits).unwrap_or(&"example")).into()
        }
    }
}

#[test]
fn whatever_search_returns_can_be_run() {
    for (key, text) in crate::builtin::manifests() {
        let manifest = Manifest::parse(text).unwrap();
        let index = Index::build(manifest.actions.iter().map(crate::Action::search_doc));
        let mut returned = std::collections::BTreeSet::new();
        for action in &manifest.actions {
            let hits = index.search(&action.name, 20);
            assert!(
                hits.iter()
                    .any(|hit| manifest.actions[hit.doc].id == action.id),
                "{key}: \"{}\" does not find its own action",
                action.name
            );
            returned.extend(hits.iter().map(|hit| hit.doc));
        }
        assert_eq!(returned.len(), manifest.actions.len());
        let option = &manifest.auth[0];
        let credentials = crate::Credentials::new(sample(&option.input_schema));
        for place in returned {
            let action = &manifest.actions[place];
            let input = crate::check_input(&action.input_schema, &sample(&action.input_schema))
                .unwrap_or_else(|error| panic!("{key}: {}: {error}", action.key));
            let parameters = Value::Object(serde_json::Map::new());
            let request =
                crate::prepare(&manifest, option, action, &input, &parameters, &credentials);
            assert!(
                request.is_ok(),
                "{key}: {}: {:?}",
                action.key,
                request.err()
            );
        }
    }
}

#[test]
fn evaluation_takes_lines_that_say_little() {
    let actions = [
        r#"{"id":"a.calls","app":"a","name":"List calls","parameters":null,"description":null}"#,
        r#"{"id":"b.posts","app":"b","method":"GET","path":"/posts"}"#,
    ];
    let actions = actions.map(|line| serde_json::from_str::<eval::RawAction>(line).unwrap());
    let intents = [
        r#"{"intent":"calls","expected":["a.calls"],"app":"a"}"#,
        r#"{"intent":"posts","expected":["b.posts"],"app":null,"kind":null}"#,
        r#"{"intent":"posts","expected":["b.posts"],"app":"unknown"}"#,
        r#"{"intent":"bake a cake","expected":null}"#,
    ];
    let intents = intents.map(|line| serde_json::from_str::<eval::LabelledIntent>(line).unwrap());
    let report = eval::evaluate(&actions, &intents, || std::time::Duration::ZERO);
    assert_eq!(
        (report.app.count, report.all.count, report.negatives.count),
        (1, 3, 1)
    );
    assert!((report.all.first - 1.0).abs() < f64::EPSILON);
    let json = serde_json::to_value(&report).unwrap();
    for name in [
        "/app/recall@1",
        "/all/recall@5",
        "/all/mrr",
        "/latency_ms/p50",
    ] {
        assert!(json.pointer(name).is_some_and(Value::is_number), "{name}");
    }
}
