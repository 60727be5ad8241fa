//! Everything that can be wrong with a manifest, found before it is used.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value};

use super::{Action, AuthKind, AuthOption, BaseUrl, FORMAT, Manifest, OAuth2, Request};
use crate::formula::{self, Step};
use crate::request::{METHODS, header_name_problem, parse_base, placeholders};
use crate::schema::Schema;

/// A manifest larger than this is not a manifest.
pub(super) const MAX_TEXT: usize = 8 * 1024 * 1024;
const MAX_ACTIONS: usize = 20_000;
/// Descriptions reach language models; a page of text has no business there.
const MAX_DESCRIPTION: usize = 2_000;

pub(super) fn problems(manifest: &Manifest) -> Vec<String> {
    let mut found = Vec::new();
    head(manifest, &mut found);
    bases(manifest, &mut found);
    let mut keys = HashSet::new();
    for option in &manifest.auth {
        let place = format!("auth {}", option.key);
        if !is_key(&option.key) || !keys.insert(&option.key) {
            found.push(format!(
                "{place}: key must be lower case words joined by dashes and unique"
            ));
        }
        auth(option, &place, &mut found);
    }
    request(manifest, &manifest.test, None, "test", &mut found);
    let mut keys = HashSet::new();
    for action in &manifest.actions {
        let place = format!("action {}", action.key);
        if !is_key(&action.key) || !keys.insert(&action.key) {
            found.push(format!(
                "{place}: key must be lower case words joined by dashes and unique"
            ));
        }
        check_action(manifest, action, &place, &mut found);
    }
    found
}

fn head(manifest: &Manifest, found: &mut Vec<String>) {
    if manifest.format != FORMAT {
        found.push(format!(
            "format is \"{}\", this version reads \"{FORMAT}\"",
            manifest.format
        ));
    }
    if !is_key(&manifest.key) {
        found.push("key must be lower case words joined by dashes".to_owned());
    }
    if !is_uuid(&manifest.uuid) {
        found.push("uuid must be a UUID".to_owned());
    }
    text("name", &manifest.name, true, found);
    text("description", &manifest.description, false, found);
    let version: Vec<_> = manifest.version.split('.').collect();
    if version.len() != 3 || version.iter().any(|part| part.parse::<u32>().is_err()) {
        found.push("version must look like 1.0.0".to_owned());
    }
    if manifest.domains.is_empty() {
        found.push("domains must name at least one".to_owned());
    }
    for domain in &manifest.domains {
        let plain = domain.split('.').all(|label| {
            !label.is_empty()
                && label.chars().all(|letter| {
                    letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-'
                })
        });
        if !plain {
            found.push(format!(
                "domain \"{domain}\" must be a plain lower case name"
            ));
        }
    }
    if manifest.auth.is_empty() {
        found.push("auth must hold at least one way to sign in".to_owned());
    }
    if manifest.actions.len() > MAX_ACTIONS {
        found.push(format!("there are more than {MAX_ACTIONS} actions"));
    }
    let statuses = manifest
        .retry
        .statuses
        .iter()
        .chain(&manifest.errors.unauthorized_statuses);
    for status in statuses.filter(|status| !(400..600).contains(*status)) {
        found.push(format!("status {status} is not an error status"));
    }
    for name in manifest
        .retry
        .after_header
        .iter()
        .chain(&manifest.retry.reset_header)
    {
        found.extend(
            header_name_problem(name).map(|reason| format!("retry: header {name}: {reason}")),
        );
    }
    for message in &manifest.errors.messages {
        found.extend(
            formula::check(message, &["output"], &mut |_| {})
                .into_iter()
                .map(|reason| format!("errors: {reason}")),
        );
    }
}

fn bases(manifest: &Manifest, found: &mut Vec<String>) {
    let named = manifest
        .bases
        .iter()
        .map(|(name, base)| (format!("bases.{name}"), base));
    for (place, base) in std::iter::once(("baseUrl".to_owned(), &manifest.base_url)).chain(named) {
        base_url(manifest, base, &place, found);
    }
}

fn base_url(manifest: &Manifest, base: &BaseUrl, place: &str, found: &mut Vec<String>) {
    if let Err(reason) = parse_base(&base.default) {
        found.push(format!("{place}: default: {reason}"));
    }
    if let Some(parameter) = &base.parameter
        && !manifest
            .auth
            .iter()
            .any(|option| has_property(&option.input_schema, parameter))
    {
        found.push(format!(
            "{place}: no way to sign in has a field {parameter}"
        ));
    }
}

fn auth(option: &AuthOption, place: &str, found: &mut Vec<String>) {
    text(
        &format!("{place}: description"),
        &option.description,
        false,
        found,
    );
    let apply = &option.apply;
    match (option.kind, &option.oauth2) {
        (AuthKind::ClientCredentials, Some(_)) => {
            found.push(format!("{place}: oauth2 settings need type oauth2"));
        }
        (AuthKind::OAuth2, None) => {
            found.push(format!("{place}: type oauth2 needs oauth2 settings"));
        }
        (AuthKind::OAuth2, Some(settings)) => oauth2(settings, place, found),
        (AuthKind::ClientCredentials, None) => {}
    }
    let basic = apply
        .basic
        .iter()
        .flat_map(|basic| [&basic.username, &basic.password]);
    let placed: Vec<&Value> = basic
        .chain(&apply.bearer)
        .chain(apply.headers.values())
        .chain(apply.query.values())
        .collect();
    if option.kind == AuthKind::ClientCredentials && placed.is_empty() {
        found.push(format!("{place}: apply must say where the credential goes"));
    }
    // The fields of an OAuth credential come from the provider, not from the form.
    let schema = (option.kind == AuthKind::ClientCredentials).then_some(&option.input_schema);
    for value in placed {
        formulas(value, &["credentials"], schema, place, found);
    }
    header_names(&apply.headers, place, found);
}

fn oauth2(settings: &OAuth2, place: &str, found: &mut Vec<String>) {
    for uri in [&settings.authorize_uri, &settings.token_uri] {
        if let Err(reason) = parse_base(uri) {
            found.push(format!("{place}: oauth2: {reason}"));
        }
    }
}

fn check_action(manifest: &Manifest, action: &Action, place: &str, found: &mut Vec<String>) {
    text(&format!("{place}: name"), &action.name, true, found);
    text(
        &format!("{place}: description"),
        &action.description,
        true,
        found,
    );
    for term in &action.search_terms {
        text(&format!("{place}: search term"), term, true, found);
    }
    if action.input_schema.get("type") != Some(&Value::from("object")) {
        found.push(format!("{place}: inputSchema must be of type object"));
    }
    if let Err(reason) = Schema::compile(&action.output_schema) {
        found.push(format!("{place}: outputSchema: {reason}"));
    }
    request(
        manifest,
        &action.request,
        Some(&action.input_schema),
        place,
        found,
    );
    let answers = ["output", "input"];
    if let Some(value) = &action.output_mapping {
        formulas(value, &answers, None, place, found);
    }
    for rule in &action.failures {
        formulas(&rule.when, &answers, None, place, found);
        formulas(&rule.message, &answers, None, place, found);
    }
}

fn request(
    manifest: &Manifest,
    request: &Request,
    input: Option<&Value>,
    place: &str,
    found: &mut Vec<String>,
) {
    if !METHODS.contains(&request.method.as_str()) {
        found.push(format!(
            "{place}: method {} is none of {}",
            request.method,
            METHODS.join(", ")
        ));
    }
    if !request.path.starts_with('/')
        || request.path.contains(['?', '#', '\\'])
        || request.path.contains("//")
    {
        found.push(format!(
            "{place}: path must start with one slash and hold no query"
        ));
    }
    if request
        .path
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        found.push(format!("{place}: path must not climb"));
    }
    if let Some(name) = request
        .base
        .as_ref()
        .filter(|name| !manifest.bases.contains_key(*name))
    {
        found.push(format!("{place}: there is no base {name}"));
    }
    match placeholders(&request.path) {
        Ok(names) => {
            let names: BTreeSet<_> = names.into_iter().collect();
            let given: BTreeSet<_> = request.path_parameters.keys().map(String::as_str).collect();
            for name in names.symmetric_difference(&given) {
                found.push(format!(
                    "{place}: path and pathParameters disagree about {name}"
                ));
            }
        }
        Err(reason) => found.push(format!("{place}: path: {reason}")),
    }
    header_names(&request.headers, place, found);
    let roots: &[&str] = if input.is_some() { &["input"] } else { &[] };
    let maps = [&request.path_parameters, &request.query, &request.headers];
    for value in maps.into_iter().flat_map(Map::values).chain(&request.data) {
        formulas(value, roots, input, place, found);
    }
}

/// Checks formulas; with a schema, also that what they take from its root is a property of it.
fn formulas(
    value: &Value,
    roots: &[&str],
    schema: Option<&Value>,
    place: &str,
    found: &mut Vec<String>,
) {
    let mut missing = Vec::new();
    let reasons = formula::check(value, roots, &mut |locator| {
        if let (Some(schema), Some(Step::Member(name))) = (schema, locator.steps.first())
            && locator.root != "item"
            && !has_property(schema, name)
        {
            missing.push(format!(
                "$.{}.{name} is not in the inputSchema",
                locator.root
            ));
        }
    });
    found.extend(
        reasons
            .into_iter()
            .chain(missing)
            .map(|reason| format!("{place}: {reason}")),
    );
}

fn header_names(headers: &Map<String, Value>, place: &str, found: &mut Vec<String>) {
    for name in headers.keys() {
        found.extend(
            header_name_problem(name).map(|reason| format!("{place}: header {name}: {reason}")),
        );
    }
}

fn has_property(schema: &Value, name: &str) -> bool {
    schema
        .get("properties")
        .and_then(|all| all.get(name))
        .is_some()
}

/// Names and descriptions are shown to people and models: no control characters, no endless text.
fn text(what: &str, text: &str, required: bool, found: &mut Vec<String>) {
    if required && text.trim().is_empty() {
        found.push(format!("{what} is empty"));
    }
    if text.chars().count() > MAX_DESCRIPTION {
        found.push(format!(
            "{what} is longer than {MAX_DESCRIPTION} characters"
        ));
    }
    if text
        .chars()
        .any(|letter| letter.is_control() && letter != '\n')
    {
        found.push(format!("{what} holds control characters"));
    }
}

fn is_key(key: &str) -> bool {
    let plain =
        |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    (1..=100).contains(&key.len())
        && key.bytes().all(plain)
        && !key.starts_with('-')
        && !key.ends_with('-')
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12]
        && text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}
