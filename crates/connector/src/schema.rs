//! Checking what a caller gives against a JSON Schema.
//!
//! Remote references are never followed and patterns run in linear time, so a schema from an unknown document
//! can do no harm. Members the schema does not name are ignored: callers send more than one version knows.

use std::sync::Arc;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Number, Value};

/// How deep values are converted and schemas are followed.
const MAX_DEPTH: usize = 32;
/// More problems than this help nobody.
const MAX_PROBLEMS: usize = 20;

/// One thing wrong with the input.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct InputProblem {
    /// Where, as `contact.emails[0]`; empty for the input as a whole.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// The input does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; "))]
pub struct InputError {
    /// All problems, in document order.
    pub problems: Vec<InputProblem>,
}

/// A schema made ready for checking.
#[derive(Clone)]
pub struct Schema {
    source: Value,
    validator: Arc<Validator>,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Schema").field(&self.source).finish()
    }
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// Why it is no usable schema.
    pub fn compile(source: &Value) -> Result<Self, String> {
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex())
            .offline()
            .build(source)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            source: source.clone(),
            validator: Arc::new(validator),
        })
    }

    /// The schema as written.
    #[must_use]
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Checks `input` and returns it with harmless conversions done: `"5"` becomes 5 where only a number fits,
    /// 5 becomes `"5"` where only text fits, and a member given under one of its `aliases` gets its own name.
    /// No input counts as `{}`.
    ///
    /// # Errors
    /// All problems together.
    pub fn check(&self, input: &Value) -> Result<Value, InputError> {
        let given = if input.is_null() {
            Value::Object(Map::new())
        } else {
            input.clone()
        };
        let input = convert(&self.source, given, 0);
        let mut problems: Vec<InputProblem> = Vec::new();
        for error in self.validator.iter_errors(&input) {
            collect(&error, &mut problems);
            if problems.len() >= MAX_PROBLEMS {
                break;
            }
        }
        if problems.is_empty() {
            Ok(input)
        } else {
            Err(InputError { problems })
        }
    }
}

/// Checks `input` against `schema`; see [`Schema::check`]. Keep a [`Schema`] where the same one is used again.
///
/// # Errors
/// All problems together; a schema that is unusable counts as one.
pub fn check_input(schema: &Value, input: &Value) -> Result<Value, InputError> {
    let schema = Schema::compile(schema).map_err(|reason| InputError {
        problems: vec![InputProblem {
            field: String::new(),
            message: format!("the input schema is unusable: {reason}"),
        }],
    })?;
    schema.check(input)
}

fn collect(error: &ValidationError<'_>, problems: &mut Vec<InputProblem>) {
    let path = field_path(error.instance_path());
    let (field, message) = match error.kind() {
        ValidationErrorKind::AdditionalProperties { .. }
        | ValidationErrorKind::UnevaluatedProperties { .. } => return,
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let field = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            };
            let message = format!("{field} is required");
            (field, message)
        }
        ValidationErrorKind::Type { kind } => {
            let message = format!(
                "{} must be {}, not {}",
                subject(&path),
                wanted(kind),
                found(error.instance())
            );
            (path, message)
        }
        ValidationErrorKind::Enum { options } => {
            let choices = options.as_array().map(|all| {
                all.iter()
                    .map(Value::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            });
            let message = format!(
                "{} must be one of {}",
                subject(&path),
                choices.unwrap_or_default()
            );
            (path, message)
        }
        // The value itself may be a secret, so it is not repeated.
        _ => {
            let message = format!("{}: {}", subject(&path), error.masked_with("the value"));
            (path, message)
        }
    };
    problems.push(InputProblem { field, message });
}

fn subject(path: &str) -> &str {
    if path.is_empty() { "input" } else { path }
}

fn wanted(kind: &TypeKind) -> String {
    let article = |name: &str| match name {
        "integer" | "array" | "object" => format!("an {name}"),
        "null" => name.to_owned(),
        other => format!("a {other}"),
    };
    match kind {
        TypeKind::Single(one) => article(one.as_str()),
        TypeKind::Multiple(many) => many
            .iter()
            .map(|one| article(one.as_str()))
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn field_path(location: &Location) -> String {
    let mut path = String::new();
    for segment in location {
        match segment {
            LocationSegment::Property(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&name);
            }
            LocationSegment::Index(at) => path.push_str(&format!("[{at}]")),
        }
    }
    path
}

fn convert(schema: &Value, value: Value, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return value;
    }
    match value {
        Value::Object(members) => Value::Object(convert_members(schema, members, depth)),
        Value::Array(items) => match schema.get("items") {
            Some(item) => Value::Array(
                items
                    .into_iter()
                    .map(|value| convert(item, value, depth + 1))
                    .collect(),
            ),
            None => Value::Array(items),
        },
        scalar => convert_scalar(schema, scalar),
    }
}

fn convert_members(
    schema: &Value,
    mut members: Map<String, Value>,
    depth: usize,
) -> Map<String, Value> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return members;
    };
    for (name, property) in properties {
        if !members.contains_key(name) {
            let aliases = property
                .get("aliases")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let found = aliases
                .filter_map(Value::as_str)
                .find_map(|alias| members.get(alias))
                .cloned();
            members.extend(found.map(|value| (name.clone(), value)));
        }
        if let Some(value) = members.get_mut(name) {
            *value = convert(property, value.take(), depth + 1);
        }
    }
    members
}

fn convert_scalar(schema: &Value, value: Value) -> Value {
    let wants = |name: &str| match schema.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(many)) => many.iter().any(|one| one == name),
        _ => false,
    };
    match &value {
        Value::String(text) if !wants("string") => {
            let number = text.trim();
            if wants("integer")
                && let Ok(whole) = number.parse::<i64>()
            {
                return whole.into();
            }
            if wants("number")
                && let Some(number) = number.parse::<f64>().ok().and_then(Number::from_f64)
            {
                return number.into();
            }
            match number {
                "true" if wants("boolean") => true.into(),
                "false" if wants("boolean") => false.into(),
                _ => value,
            }
        }
        Value::Number(number) if wants("string") && !wants("number") && !wants("integer") => {
            number.to_string().into()
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["id"],
            "additionalProperties": false,
            "properties": {
                "id": {"type": ["string", "integer"], "aliases": ["call_id"]},
                "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
                "ratio": {"type": "number"},
                "on": {"type": "boolean"},
                "zip": {"type": "string"},
                "kind": {"enum": ["missed", "answered"]},
                "emails": {"type": "array", "items": {"type": "object", "required": ["email"], "properties": {"email": {"type": "string", "minLength": 3}}}}
            }
        })
    }

    fn problem(input: &Value) -> InputProblem {
        let error = check_input(&schema(), input).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{error}");
        error.problems[0].clone()
    }

    #[test]
    fn a_missing_field_is_named() {
        assert_eq!(
            problem(&json!({})),
            InputProblem {
                field: "id".into(),
                message: "id is required".into()
            }
        );
        assert_eq!(problem(&Value::Null).field, "id");
        assert_eq!(
            problem(&json!({"id": 1, "emails": [{"email": "a@b"}, {}]})).field,
            "emails[1].email"
        );
    }

    #[test]
    fn a_wrong_type_says_what_fits() {
        assert_eq!(
            problem(&json!({"id": 1, "limit": "many"})).message,
            "limit must be an integer, not a string"
        );
        let id = problem(&json!({"id": []})).message;
        assert!(
            id.contains("a string") && id.contains("an integer") && id.ends_with("not an array"),
            "{id}"
        );
        assert_eq!(
            problem(&json!({"id": 1, "kind": "lost"})).message,
            "kind must be one of \"missed\", \"answered\""
        );
        assert_eq!(problem(&json!([])).field, "");
    }

    #[test]
    fn a_refused_value_is_not_repeated() {
        let problem = problem(&json!({"id": 1, "emails": [{"email": "s3"}]}));
        assert_eq!(problem.field, "emails[0].email");
        assert!(!problem.message.contains("s3"), "{}", problem.message);
        assert!(
            check_input(&schema(), &json!({"id": 1, "limit": 0}))
                .unwrap_err()
                .to_string()
                .contains("limit")
        );
    }

    #[test]
    fn unknown_members_are_let_through() {
        assert_eq!(
            check_input(&schema(), &json!({"id": "1", "new": true})).unwrap(),
            json!({"id": "1", "new": true})
        );
    }

    #[test]
    fn harmless_conversions_are_done_and_no_others() {
        let given = json!({"id": "007", "limit": " 5", "ratio": "0.5", "on": "true", "zip": 81101});
        let made = check_input(&schema(), &given).unwrap();
        assert_eq!(
            made,
            json!({"id": "007", "limit": 5, "ratio": 0.5, "on": true, "zip": "81101"})
        );
        for bad in [
            json!("5x"),
            json!(""),
            json!("1e3"),
            json!("0x10"),
            json!(1.5),
            json!(true),
        ] {
            assert_eq!(problem(&json!({"id": 1, "limit": bad})).field, "limit");
        }
        assert!(check_input(&schema(), &json!({"id": 1, "ratio": "NaN"})).is_err());
    }

    #[test]
    fn an_alias_counts_as_the_member_itself() {
        assert_eq!(
            check_input(&schema(), &json!({"call_id": 5})).unwrap()["id"],
            json!(5)
        );
        assert_eq!(
            check_input(&schema(), &json!({"call_id": 5, "id": 6})).unwrap()["id"],
            json!(6)
        );
    }

    #[test]
    fn remote_references_and_broken_schemas_do_not_compile() {
        for reference in [
            "http://169.254.169.254/x.json",
            "file:///etc/passwd",
            "https://example.test/s.json",
        ] {
            assert!(
                Schema::compile(&json!({"$ref": reference})).is_err(),
                "{reference}"
            );
        }
        assert!(Schema::compile(&json!({"type": "wrong"})).is_err());
        assert!(Schema::compile(&json!({"pattern": "("})).is_err());
    }

    #[test]
    fn an_evil_pattern_takes_no_time() {
        let schema = Schema::compile(
            &json!({"type": "object", "properties": {"x": {"pattern": "^(a+)+$"}}}),
        )
        .unwrap();
        assert!(
            schema
                .check(&json!({"x": format!("{}!", "a".repeat(50_000))}))
                .is_err()
        );
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_fine() {
        let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}});
        assert!(check_input(&schema, &json!({"next": {"next": {"n": 1}}})).is_ok());
        assert!(check_input(&schema, &json!({"next": {"next": {"n": "x"}}})).is_err());
    }
}
