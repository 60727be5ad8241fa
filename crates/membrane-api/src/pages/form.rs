//! The sign-in form of a connector: fields out of its schema, values out of a submission.

use std::collections::{BTreeMap, HashMap};

use gateway::GatewayError;
use minijinja::{Value as Context, context};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

/// Prefix of the form's own fields, so that a field called `token` can't be mistaken for ours.
pub(super) const PREFIX: &str = "input.";

/// What somebody typed.
#[derive(Default)]
pub(crate) struct Typed {
    values: BTreeMap<String, String>,
    this_phone: bool,
}

impl Typed {
    pub(crate) fn of(fields: HashMap<String, String>) -> Self {
        let this_phone = fields
            .get("action")
            .is_some_and(|action| action == "this-phone");
        let values = fields.into_iter().filter_map(|(name, value)| {
            Some((
                name.strip_prefix(PREFIX)?.to_owned(),
                value.trim().to_owned(),
            ))
        });
        Self {
            values: values.collect(),
            this_phone,
        }
    }

    pub(crate) fn wants_this_phone(&self) -> bool {
        self.this_phone
    }

    /// The input as an object; fields left empty are not in it.
    pub(crate) fn input(&self) -> Value {
        let given = self.values.iter().filter(|(_, value)| !value.is_empty());
        Value::Object(
            given
                .map(|(name, value)| (name.clone(), Value::String(value.clone())))
                .collect::<Map<_, _>>(),
        )
    }
}

/// The fields of a schema as the template shows them, with what was typed and what was wrong. Secrets are never put back into a page.
pub(crate) fn fields(schema: &Value, typed: &Typed, error: Option<&GatewayError>) -> Vec<Context> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let text = |schema: &Value, member: &str| {
        schema
            .get(member)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let field = |(name, schema): (&String, &Value)| {
        let secret = schema.get("isSensitive") == Some(&Value::Bool(true));
        context! {
            id => format!("field-{name}"),
            name => format!("{PREFIX}{name}"),
            label => text(schema, "title").unwrap_or_else(|| name.clone()),
            help => text(schema, "description"),
            placeholder => text(schema, "default"),
            secret => secret,
            required => required.contains(&name.as_str()),
            value => if secret { String::new() } else { typed.values.get(name).cloned().unwrap_or_default() },
            problem => error.and_then(|error| problem_of(error, name)),
        }
    };
    properties.into_iter().flatten().map(field).collect()
}

fn problem_of(error: &GatewayError, name: &str) -> Option<String> {
    let problems = error.data.as_ref()?.get("problems")?.as_array()?;
    let own = problems
        .iter()
        .find(|problem| problem.get("field").and_then(Value::as_str) == Some(name))?;
    own.get("message")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

/// Compares two secrets in a time that depends on their lengths only.
pub(crate) fn same(a: &str, b: &str) -> bool {
    !a.is_empty() && bool::from(a.as_bytes().ct_eq(b.as_bytes()))
}
