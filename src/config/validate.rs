//! Unknown fields, wrong types, bad choices and out-of-range numbers: all of them, each with its place.
//!
//! A walker over the generated schema rather than a schema engine: it knows the constructs our types
//! make and nothing else, and its messages are for people (see docs/decisions/0002-config-validation.md).
//! It says nothing about meaning; that is `compile`'s.

use serde_json::{Map, Value};

use super::document::{At, Document};
use super::problem::{Problem, child, did_you_mean};
use super::schema::definition;

/// A problem with the exact pointer of its field.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) pointer: String,
    pub(super) problem: Problem,
}

/// Every structural problem of the document.
#[must_use]
pub(super) fn validate(document: &Document, schema: &Value) -> Vec<Found> {
    let mut walker = Walker { document, root: schema, problems: Vec::new() };
    walker.value(&document.root, schema, "");
    walker.problems
}

/// Every structural problem of a document that is one entity: `shape` is its part of the schema `root`.
#[must_use]
pub(super) fn validate_as(document: &Document, root: &Value, shape: &Value) -> Vec<Found> {
    let mut walker = Walker { document, root, problems: Vec::new() };
    walker.value(&document.root, shape, "");
    walker.problems
}

/// Every structural problem of a value that stands at `pointer` of the document: `shape` is its part of the schema `root`.
#[must_use]
pub(super) fn validate_part(
    document: &Document,
    (root, shape): (&Value, &Value),
    (value, pointer): (&Value, &str),
) -> Vec<Found> {
    let mut walker = Walker { document, root, problems: Vec::new() };
    walker.value(value, shape, pointer);
    walker.problems
}

struct Walker<'a> {
    document: &'a Document,
    root: &'a Value,
    problems: Vec<Found>,
}

impl<'a> Walker<'a> {
    fn value(&mut self, value: &Value, shape: &'a Value, pointer: &str) {
        let shape = self.followed(shape);
        if let Some(branches) = shape.get("anyOf").or_else(|| shape.get("oneOf")).and_then(Value::as_array) {
            return self.branches(value, branches, pointer);
        }
        if !accepts(shape, value) {
            return self.wrong_type(value, &types(shape), pointer);
        }
        self.choice(value, shape, pointer);
        self.range(value, shape, pointer);
        match value {
            Value::Object(map) => self.object(map, shape, pointer),
            Value::Array(items) => {
                let Some(inner) = shape.get("items") else { return };
                for (index, item) in items.iter().enumerate() {
                    self.value(item, inner, &child(pointer, &index.to_string()));
                }
            }
            _ => {}
        }
    }

    fn followed(&self, shape: &'a Value) -> &'a Value {
        let mut shape = shape;
        // Our types refer at most twice in a row; the bound is for a schema that refers to itself.
        for _ in 0..8 {
            match shape.get("$ref").and_then(Value::as_str).and_then(|r| definition(self.root, r)) {
                Some(next) => shape = next,
                None => break,
            }
        }
        shape
    }

    /// Alternatives differ by type, or are the values of a choice.
    fn branches(&mut self, value: &Value, branches: &'a [Value], pointer: &str) {
        let followed: Vec<&'a Value> = branches.iter().map(|b| self.followed(b)).collect();
        let choices: Vec<&str> = followed.iter().flat_map(|b| choices(b)).collect();
        let fitting: Vec<&'a Value> = followed.iter().copied().filter(|b| accepts(b, value)).collect();
        match (fitting.as_slice(), value) {
            ([], _) => {
                let expected: Vec<&str> = followed.iter().flat_map(|b| types(b)).collect();
                self.wrong_type(value, &expected, pointer);
            }
            (_, Value::String(text)) if !choices.is_empty() => self.chosen(text, &choices, pointer),
            ([first, ..], _) => self.value(value, first, pointer),
        }
    }

    fn wrong_type(&mut self, value: &Value, expected: &[&str], pointer: &str) {
        let mut words: Vec<&str> =
            expected.iter().filter(|t| **t != "null").map(|t| expected_word(t)).collect();
        words.dedup();
        let message = format!("found {}, expected {}", found_word(value), words.join(" or "));
        let problem = self.document.problem(pointer, At::Value, message);
        let problem = match (value, expected) {
            (Value::String(text), [kind, ..]) if text.parse::<f64>().is_ok() && is_number(kind) => {
                problem.suggest("remove the quotes")
            }
            (Value::String(text), ["boolean", ..]) if matches!(text.as_str(), "true" | "false") => {
                problem.suggest("remove the quotes")
            }
            (Value::Number(_) | Value::Bool(_), ["string", ..]) => problem.suggest("put it in quotes"),
            (Value::String(_) | Value::Object(_), ["array", ..]) => problem.suggest("put it in [ ]"),
            _ => problem,
        };
        self.push(pointer, problem);
    }

    fn choice(&mut self, value: &Value, shape: &Value, pointer: &str) {
        let choices = choices(shape);
        if let (Value::String(text), false) = (value, choices.is_empty()) {
            self.chosen(text, &choices, pointer);
        }
    }

    fn chosen(&mut self, text: &str, choices: &[&str], pointer: &str) {
        if choices.contains(&text) {
            return;
        }
        let list: Vec<String> = choices.iter().map(|c| format!("{c:?}")).collect();
        let message = format!("{text:?} is not one of {}", list.join(", "));
        let problem = self.document.problem(pointer, At::Value, message);
        let problem = match did_you_mean(text, choices.iter().copied()) {
            Some(near) => problem.suggest(format!("did you mean {near:?}?")),
            None => problem,
        };
        self.push(pointer, problem);
    }

    fn range(&mut self, value: &Value, shape: &Value, pointer: &str) {
        let Some(number) = value.as_f64() else { return };
        let low = shape.get("minimum").filter(|low| low.as_f64().is_some_and(|l| number < l));
        let high = shape.get("maximum").filter(|high| high.as_f64().is_some_and(|h| number > h));
        let message = match (low, high) {
            (Some(low), _) => format!("{value} is too small, the least is {low}"),
            (_, Some(high)) => format!("{value} is too large, the most is {high}"),
            _ => return,
        };
        self.push(pointer, self.document.problem(pointer, At::Value, message));
    }

    fn object(&mut self, map: &Map<String, Value>, shape: &'a Value, pointer: &str) {
        let known = shape.get("properties").and_then(Value::as_object);
        let others = shape.get("additionalProperties");
        for (name, value) in map {
            let pointer = child(pointer, name);
            match (known.and_then(|k| k.get(name)), others) {
                (Some(inner), _) | (None, Some(inner @ Value::Object(_))) => {
                    self.value(value, inner, &pointer)
                }
                (None, Some(Value::Bool(false))) => self.unknown(name, known, &pointer),
                _ => {}
            }
        }
        for name in
            shape.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            if !map.contains_key(name) {
                let message = format!("the field {name:?} is missing");
                self.push(pointer, self.document.problem(pointer, At::Value, message));
            }
        }
    }

    fn unknown(&mut self, name: &str, known: Option<&Map<String, Value>>, pointer: &str) {
        let names: Vec<&str> = known.into_iter().flat_map(|k| k.keys().map(String::as_str)).collect();
        let problem = self.document.problem(pointer, At::Name, "unknown field");
        let problem = match did_you_mean(name, names.iter().copied()) {
            Some(near) => problem.suggest(format!("did you mean {near:?}?")),
            None if names.len() <= 12 => problem.suggest(format!("known here: {}", names.join(", "))),
            None => problem.suggest("see docs/config.md"),
        };
        self.push(pointer, problem);
    }

    fn push(&mut self, pointer: &str, problem: Problem) {
        self.problems.push(Found { pointer: pointer.to_owned(), problem });
    }
}

fn types(shape: &Value) -> Vec<&str> {
    match shape.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => shape.get("const").map(|_| vec!["string"]).unwrap_or_default(),
    }
}

fn choices(shape: &Value) -> Vec<&str> {
    let listed = shape.get("enum").and_then(Value::as_array).into_iter().flatten();
    listed.chain(shape.get("const")).filter_map(Value::as_str).collect()
}

/// The value's type is among the shape's; a shape without a type takes anything.
fn accepts(shape: &Value, value: &Value) -> bool {
    let types = types(shape);
    types.is_empty()
        || types.iter().any(|name| match *name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => false,
        })
}

fn is_number(kind: &str) -> bool {
    matches!(kind, "number" | "integer")
}

fn expected_word(kind: &str) -> &str {
    match kind {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text",
        "array" => "a list",
        "object" => "an object",
        other => other,
    }
}

fn found_word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(n) if n.is_f64() => "a number with a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
