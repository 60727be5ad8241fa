//! Formulas: values that are computed from what a caller gave, what a connection holds or what an app answered.
//!
//! A formula is an object with exactly one member whose name starts with `$`; everything else stands for itself.
//!
//! | formula | gives |
//! |---|---|
//! | `{"$var": "$.input.a.b[0]"}` | the value there |
//! | `{"$concat": [..]}` | its parts as one text; missing parts are left out |
//! | `{"$firstNotEmpty": [..]}` | the first part that is there and not `""`, `[]`, `{}` or `null` |
//! | `{"$firstGiven": [..]}` | the first part that is there, be it empty |
//! | `{"$case": {"cases": [{"when": F, "equals": F, "value": F}], "default": F}}` | the first case that holds |
//! | `{"$tpl": "call {{$.input.id}}"}` | text with values filled in |
//! | `{"$iterate": {"source": F, "item": F}}` | the item formula for each element, which is `$.item` |
//! | `{"$plain": V}` | `V` as it stands |
//!
//! A member or element whose formula gives nothing is removed.

use serde_json::{Map, Value};

/// How deep formulas may nest.
const MAX_DEPTH: usize = 32;
/// How many values one evaluation may make. Text counts by its length.
const MAX_WORK: usize = 4 * 1024 * 1024;

/// Why a formula could not be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormulaError(pub String);

/// What formulas can refer to. A root that is `None` has no values.
#[derive(Clone, Copy, Default)]
pub struct Scope<'a> {
    /// `$.input`: what the caller gave.
    pub input: Option<&'a Value>,
    /// `$.credentials`: what the connection signs in with.
    pub credentials: Option<&'a Value>,
    /// `$.output`: what the app answered.
    pub output: Option<&'a Value>,
    /// `$.item`: the element at hand inside `$iterate`.
    pub item: Option<&'a Value>,
}

/// Computes `template`. `None` means that there is nothing there.
///
/// # Errors
/// When the template is malformed, nests too deep or would become too large.
pub fn evaluate(template: &Value, scope: &Scope<'_>) -> Result<Option<Value>, FormulaError> {
    Evaluation { work: 0 }.value(template, scope, 0)
}

/// Reports what is wrong with a template before it is ever used, and every locator in it to `seen`.
pub fn check(template: &Value, roots: &[&str], seen: &mut impl FnMut(&Locator)) -> Vec<String> {
    let mut check = Check {
        roots,
        seen,
        problems: Vec::new(),
    };
    check.value(template, 0, false);
    check.problems
}

/// A parsed `$.input.a[0]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locator {
    /// The part after `$.`: `input`.
    pub root: String,
    /// The way from there.
    pub steps: Vec<Step>,
}

/// One step of a locator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An object member.
    Member(String),
    /// An array element.
    Element(usize),
}

impl Locator {
    /// Reads `$.root.member[0]["odd name"]`.
    ///
    /// # Errors
    /// When it is written differently.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        let malformed =
            || FormulaError(format!("\"{text}\" is not a locator such as $.input.name"));
        let rest = text.trim().strip_prefix("$.").ok_or_else(malformed)?;
        let root_end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (root, mut rest) = rest.split_at(root_end);
        if root.is_empty() {
            return Err(malformed());
        }
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(member) = rest.strip_prefix('.') {
                let end = member.find(['.', '[']).unwrap_or(member.len());
                if end == 0 {
                    return Err(malformed());
                }
                steps.push(Step::Member(member[..end].to_owned()));
                rest = &member[end..];
            } else {
                let (inside, after) = rest
                    .strip_prefix('[')
                    .and_then(|rest| rest.split_once(']'))
                    .ok_or_else(malformed)?;
                steps.push(
                    match inside
                        .strip_prefix('"')
                        .and_then(|name| name.strip_suffix('"'))
                    {
                        Some(name) => Step::Member(name.to_owned()),
                        None => Step::Element(inside.parse().map_err(|_| malformed())?),
                    },
                );
                rest = after;
            }
        }
        Ok(Self {
            root: root.to_owned(),
            steps,
        })
    }

    fn find<'a>(&self, scope: &Scope<'a>) -> Option<&'a Value> {
        let root = match self.root.as_str() {
            "input" => scope.input,
            "credentials" => scope.credentials,
            "output" => scope.output,
            "item" => scope.item,
            _ => None,
        }?;
        self.steps.iter().try_fold(root, |value, step| match step {
            Step::Member(name) => value.get(name),
            Step::Element(at) => value.get(at),
        })
    }
}

/// Name and argument when `value` is a formula.
fn as_formula(value: &Value) -> Option<(&str, &Value)> {
    let (name, argument) = value
        .as_object()
        .filter(|object| object.len() == 1)?
        .iter()
        .next()?;
    name.starts_with('$').then_some((name.as_str(), argument))
}

/// A value as text inside other text; objects and arrays have none.
pub(crate) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Text around `{{locator}}` places.
fn template_parts(text: &str) -> Result<Vec<(&str, Option<Locator>)>, FormulaError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (locator, after) = after
            .split_once("}}")
            .ok_or_else(|| FormulaError(format!("$tpl: {{{{ is never closed in \"{text}\"")))?;
        parts.push((before, Some(Locator::parse(locator)?)));
        rest = after;
    }
    parts.push((rest, None));
    Ok(parts)
}

struct Evaluation {
    work: usize,
}

type Evaluated = Result<Option<Value>, FormulaError>;

impl Evaluation {
    fn spend(&mut self, work: usize) -> Result<(), FormulaError> {
        self.work = self.work.saturating_add(work);
        if self.work > MAX_WORK {
            Err(FormulaError("the formula's result is too large".to_owned()))
        } else {
            Ok(())
        }
    }

    /// Copies a value that is already there, at the price of its size.
    fn copy(&mut self, value: &Value) -> Evaluated {
        self.spend(weight(value))?;
        Ok(Some(value.clone()))
    }

    fn value(&mut self, template: &Value, scope: &Scope<'_>, depth: usize) -> Evaluated {
        if depth > MAX_DEPTH {
            return Err(FormulaError(format!(
                "formulas nest deeper than {MAX_DEPTH}"
            )));
        }
        self.spend(1)?;
        if let Some((name, argument)) = as_formula(template) {
            return self.formula(name, argument, scope, depth + 1);
        }
        match template {
            Value::Array(items) => {
                let mut built = Vec::with_capacity(items.len());
                for item in items {
                    built.extend(self.value(item, scope, depth + 1)?);
                }
                Ok(Some(Value::Array(built)))
            }
            Value::Object(members) => {
                let mut built = Map::new();
                for (name, member) in members {
                    if let Some(value) = self.value(member, scope, depth + 1)? {
                        built.insert(name.clone(), value);
                    }
                }
                Ok(Some(Value::Object(built)))
            }
            plain => self.copy(plain),
        }
    }

    fn formula(
        &mut self,
        name: &str,
        argument: &Value,
        scope: &Scope<'_>,
        depth: usize,
    ) -> Evaluated {
        match name {
            "$var" => match Locator::parse(text_argument(name, argument)?)?.find(scope) {
                Some(value) => self.copy(value),
                None => Ok(None),
            },
            "$plain" => self.copy(argument),
            "$concat" => self.concat(list_argument(name, argument)?, scope, depth),
            "$firstNotEmpty" | "$firstGiven" => {
                let counts = |value: &Value| {
                    if name == "$firstGiven" {
                        !value.is_null()
                    } else {
                        !is_empty(value)
                    }
                };
                for part in list_argument(name, argument)? {
                    if let Some(value) = self.value(part, scope, depth)?.filter(counts) {
                        return Ok(Some(value));
                    }
                }
                Ok(None)
            }
            "$tpl" => self.template(text_argument(name, argument)?, scope),
            "$case" => self.case(argument, scope, depth),
            "$iterate" => self.iterate(argument, scope, depth),
            other => Err(FormulaError(format!("unknown formula {other}"))),
        }
    }

    fn concat(&mut self, parts: &[Value], scope: &Scope<'_>, depth: usize) -> Evaluated {
        let mut joined = None::<String>;
        for part in parts {
            if let Some(text) = self
                .value(part, scope, depth)?
                .as_ref()
                .and_then(scalar_text)
            {
                joined.get_or_insert_default().push_str(&text);
            }
        }
        Ok(joined.map(Value::String))
    }

    fn template(&mut self, text: &str, scope: &Scope<'_>) -> Evaluated {
        let mut filled = String::new();
        for (before, locator) in template_parts(text)? {
            filled.push_str(before);
            if let Some(text) = locator
                .and_then(|locator| locator.find(scope))
                .and_then(scalar_text)
            {
                self.spend(text.len())?;
                filled.push_str(&text);
            }
        }
        Ok(Some(Value::String(filled)))
    }

    fn case(&mut self, argument: &Value, scope: &Scope<'_>, depth: usize) -> Evaluated {
        let cases = argument
            .get("cases")
            .and_then(Value::as_array)
            .ok_or_else(|| FormulaError("$case needs a list \"cases\"".to_owned()))?;
        for case in cases {
            let when = self.value(case.get("when").unwrap_or(&Value::Null), scope, depth)?;
            let holds = match case.get("equals") {
                Some(expected) => when == self.value(expected, scope, depth)?,
                None => when.is_some_and(|value| !is_empty(&value) && value != Value::Bool(false)),
            };
            if holds {
                return self.value(case.get("value").unwrap_or(&Value::Null), scope, depth);
            }
        }
        match argument.get("default") {
            Some(default) => self.value(default, scope, depth),
            None => Ok(None),
        }
    }

    fn iterate(&mut self, argument: &Value, scope: &Scope<'_>, depth: usize) -> Evaluated {
        let (Some(source), Some(item)) = (argument.get("source"), argument.get("item")) else {
            return Err(FormulaError(
                "$iterate needs \"source\" and \"item\"".to_owned(),
            ));
        };
        let elements = match self.value(source, scope, depth)? {
            Some(Value::Array(elements)) => elements,
            Some(Value::Null) | None => return Ok(None),
            Some(single) => vec![single],
        };
        let mut built = Vec::with_capacity(elements.len());
        for element in &elements {
            built.extend(self.value(
                item,
                &Scope {
                    item: Some(element),
                    ..*scope
                },
                depth,
            )?);
        }
        Ok(Some(Value::Array(built)))
    }
}

/// Recursion is safe: values come from the JSON reader, which limits their depth.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 1,
        Value::Array(items) => items.iter().map(weight).sum::<usize>() + 1,
        Value::Object(members) => {
            members
                .iter()
                .map(|(name, value)| name.len() + weight(value))
                .sum::<usize>()
                + 1
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

fn text_argument<'a>(name: &str, argument: &'a Value) -> Result<&'a str, FormulaError> {
    argument
        .as_str()
        .ok_or_else(|| FormulaError(format!("{name} needs a text")))
}

fn list_argument<'a>(name: &str, argument: &'a Value) -> Result<&'a [Value], FormulaError> {
    argument
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| FormulaError(format!("{name} needs a list")))
}

struct Check<'a, F> {
    roots: &'a [&'a str],
    seen: &'a mut F,
    problems: Vec<String>,
}

impl<F: FnMut(&Locator)> Check<'_, F> {
    fn value(&mut self, template: &Value, depth: usize, in_item: bool) {
        if depth > MAX_DEPTH {
            self.problems
                .push(format!("formulas nest deeper than {MAX_DEPTH}"));
            return;
        }
        if let Some((name, argument)) = as_formula(template) {
            return self.formula(name, argument, depth + 1, in_item);
        }
        match template {
            Value::Array(items) => items
                .iter()
                .for_each(|item| self.value(item, depth + 1, in_item)),
            Value::Object(members) => members
                .values()
                .for_each(|member| self.value(member, depth + 1, in_item)),
            _ => {}
        }
    }

    fn formula(&mut self, name: &str, argument: &Value, depth: usize, in_item: bool) {
        let outcome = match name {
            "$plain" => Ok(()),
            "$var" => text_argument(name, argument)
                .and_then(Locator::parse)
                .map(|found| self.locator(&found, in_item)),
            "$tpl" => text_argument(name, argument)
                .and_then(template_parts)
                .map(|parts| {
                    parts
                        .iter()
                        .filter_map(|part| part.1.as_ref())
                        .for_each(|found| self.locator(found, in_item));
                }),
            "$concat" | "$firstNotEmpty" | "$firstGiven" => {
                list_argument(name, argument).map(|parts| {
                    parts
                        .iter()
                        .for_each(|part| self.value(part, depth, in_item));
                })
            }
            "$case" => {
                let cases = argument.get("cases").and_then(Value::as_array);
                let inner = cases.into_iter().flatten().chain(argument.get("default"));
                inner.for_each(|part| self.value(part, depth, in_item));
                cases
                    .map(|_| ())
                    .ok_or_else(|| FormulaError("$case needs a list \"cases\"".to_owned()))
            }
            "$iterate" => match (argument.get("source"), argument.get("item")) {
                (Some(source), Some(item)) => {
                    self.value(source, depth, in_item);
                    self.value(item, depth, true);
                    Ok(())
                }
                _ => Err(FormulaError(
                    "$iterate needs \"source\" and \"item\"".to_owned(),
                )),
            },
            other => Err(FormulaError(format!("unknown formula {other}"))),
        };
        self.problems.extend(outcome.err().map(|error| error.0));
    }

    fn locator(&mut self, locator: &Locator, in_item: bool) {
        let known =
            self.roots.contains(&locator.root.as_str()) || (in_item && locator.root == "item");
        if known {
            (self.seen)(locator);
        } else {
            self.problems.push(format!(
                "$.{} cannot be used here; there is {}",
                locator.root,
                self.roots.join(", ")
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn eval(template: &Value) -> Option<Value> {
        let input = json!({"id": 7, "name": "Ann", "empty": "", "tags": ["a", "b"], "deep": {"list": [{"x": 1}]}, "odd name": 2, "off": false});
        let credentials = json!({"key": "k"});
        let scope = Scope {
            input: Some(&input),
            credentials: Some(&credentials),
            ..Scope::default()
        };
        evaluate(template, &scope).unwrap()
    }

    #[test]
    fn variables_reach_into_objects_and_lists() {
        assert_eq!(
            eval(&json!({"$var": "$.input.deep.list[0].x"})),
            Some(json!(1))
        );
        assert_eq!(
            eval(&json!({"$var": "$.input[\"odd name\"]"})),
            Some(json!(2))
        );
        assert_eq!(
            eval(&json!({"$var": "$.credentials.key"})),
            Some(json!("k"))
        );
        assert_eq!(eval(&json!({"$var": "$.output.x"})), None);
    }

    #[test]
    fn what_is_missing_is_removed() {
        assert_eq!(
            eval(&json!({"a": {"$var": "$.input.none"}, "b": [{"$var": "$.input.none"}, 1]})),
            Some(json!({"b": [1]}))
        );
    }

    #[test]
    fn texts_are_joined_and_filled() {
        assert_eq!(
            eval(&json!({"$concat": ["n", {"$var": "$.input.id"}, {"$var": "$.input.none"}]})),
            Some(json!("n7"))
        );
        assert_eq!(eval(&json!({"$concat": [{"$var": "$.input.none"}]})), None);
        assert_eq!(
            eval(&json!({"$tpl": "{{$.input.name}}/{{ $.input.id }}{{$.input.none}}"})),
            Some(json!("Ann/7"))
        );
    }

    #[test]
    fn the_first_value_that_is_not_empty_wins() {
        let pick = json!({"$firstNotEmpty": [{"$var": "$.input.none"}, {"$var": "$.input.empty"}, {"$var": "$.input.off"}, 3]});
        assert_eq!(eval(&pick), Some(json!(false)));
        let given =
            json!({"$firstGiven": [{"$var": "$.input.none"}, {"$var": "$.input.empty"}, 3]});
        assert_eq!(eval(&given), Some(json!("")));
    }

    #[test]
    fn cases_compare_or_ask_for_a_value() {
        let case = |name: &str| json!({"$case": {"cases": [{"when": {"$var": name}, "equals": 7, "value": "seven"}, {"when": {"$var": name}, "value": "some"}], "default": "none"}});
        assert_eq!(eval(&case("$.input.id")), Some(json!("seven")));
        assert_eq!(eval(&case("$.input.name")), Some(json!("some")));
        assert_eq!(eval(&case("$.input.off")), Some(json!("none")));
    }

    #[test]
    fn lists_are_rebuilt_item_by_item() {
        let template = json!({"$iterate": {"source": {"$var": "$.input.tags"}, "item": {"name": {"$var": "$.item"}}}});
        assert_eq!(eval(&template), Some(json!([{"name": "a"}, {"name": "b"}])));
        assert_eq!(
            eval(&json!({"$iterate": {"source": {"$var": "$.input.none"}, "item": 1}})),
            None
        );
        assert_eq!(
            eval(&json!({"$plain": {"$var": "x"}})),
            Some(json!({"$var": "x"}))
        );
    }

    #[test]
    fn nesting_and_size_are_limited() {
        let deep = (0..200).fold(json!(1), |inner, _| json!({"$concat": [inner]}));
        assert!(evaluate(&deep, &Scope::default()).is_err());
        let input = json!({"list": vec!["x".repeat(1000); 100]});
        let all = json!({"$var": "$.input.list"});
        let square = json!({"$iterate": {"source": all, "item": all}});
        assert!(
            evaluate(
                &square,
                &Scope {
                    input: Some(&input),
                    ..Scope::default()
                }
            )
            .is_err()
        );
    }

    #[test]
    fn a_check_names_unknown_formulas_and_roots() {
        let problems = check(
            &json!([{"$eval": "1"}, {"$var": "$.credentials.x"}, {"$var": "input.x"}, {"$var": "$.item"}, {"$tpl": "{{x"}]),
            &["input"],
            &mut |_| {},
        );
        assert_eq!(problems.len(), 5, "{problems:?}");
    }
}
