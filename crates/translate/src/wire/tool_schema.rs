//! The schema of a tool's arguments as providers take it: one object at the top, and closed where calls must
//! follow it. A schema that is refused costs the whole request, so what cannot be said is told as a loss.
//! Must not know where the tool will stand.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::Wire;
use super::fields::Path;
use super::schema::closed;
use crate::loss::Losses;

/// Keywords that split a schema into several.
const BRANCHES: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// More branches than this are not followed: a schema can refer to itself.
const MOST_BRANCHES: usize = 256;
/// Keywords that OpenAI's strict kind of schema does not have.
const NOT_STRICT: [&str; 10] = [
    "allOf",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "not",
    "oneOf",
    "patternProperties",
    "then",
    "unevaluatedProperties",
];

/// A schema with `type: object` at its top, for APIs that insist; one that is absent takes no arguments.
pub(crate) fn object<'a>(
    parameters: Option<&'a Value>,
    path: &Path<'_>,
    wire: Wire,
    losses: &mut Losses,
) -> Cow<'a, Value> {
    let none = || json!({"type": "object", "properties": {}});
    let Some(schema) = parameters else { return Cow::Owned(none()) };
    let Value::Object(fields) = schema else {
        losses.report(path.to_string(), "a schema is an object: sent without arguments");
        return Cow::Owned(none());
    };
    let flat = flat(schema, path, wire, losses);
    match fields.get("type") {
        Some(Value::String(kind)) if kind == "object" => return flat,
        Some(_) => {
            let reason = format!("the arguments of a tool are an object on {}", wire.name());
            losses.report(path.field("type").to_string(), reason);
        }
        None => {}
    }
    Cow::Owned(typed(flat.as_object().into_iter().flatten()))
}

/// The schema with one object at its top: branches there become one, with the properties of all, of which
/// those are required that every choice requires.
pub(crate) fn flat<'a>(
    schema: &'a Value,
    path: &Path<'_>,
    wire: Wire,
    losses: &mut Losses,
) -> Cow<'a, Value> {
    let refused: &[&str] = match wire {
        Wire::OpenAiChat | Wire::OpenAiResponses => &["enum", "not"],
        _ => &[],
    };
    let Value::Object(fields) = schema else { return Cow::Borrowed(schema) };
    let is_split = BRANCHES.iter().any(|key| fields.contains_key(*key));
    if !is_split && !refused.iter().any(|key| fields.contains_key(*key)) {
        return Cow::Borrowed(schema);
    }
    let gone = |key: &str| BRANCHES.contains(&key) || refused.contains(&key);
    for key in fields.keys().filter(|key| gone(key)) {
        let reason = match BRANCHES.contains(&key.as_str()) {
            true => format!("{} takes one object: the branches were merged", wire.name()),
            false => format!("{} does not take it at the top of a schema", wire.name()),
        };
        losses.report(path.field(key).to_string(), reason);
    }
    let anew = |key: &str| is_split && matches!(key, "properties" | "required");
    let mut out = typed(fields.iter().filter(|(key, _)| !gone(key) && !anew(key)));
    if let Some(out) = out.as_object_mut().filter(|_| is_split) {
        let shape = Merge { root: schema, left: MOST_BRANCHES }.shape(fields);
        out.insert("properties".to_owned(), Value::Object(shape.properties));
        if !shape.required.is_empty() {
            out.insert("required".to_owned(), shape.required.into());
        }
        if shape.closed {
            out.entry("additionalProperties").or_insert(Value::Bool(false));
        }
    }
    Cow::Owned(out)
}

/// The schema and `strict` for an API that holds calls to closed schemas (Anthropic's and Bedrock's), if the
/// model can.
pub(crate) fn closed_if_strict<'a>(
    schema: Cow<'a, Value>,
    strict: Option<bool>,
    (can, wire): (bool, Wire),
    path: &Path<'_>,
    losses: &mut Losses,
) -> (Cow<'a, Value>, Option<bool>) {
    match strict {
        Some(_) if !can => {
            if strict == Some(true) {
                losses.report(path.field("strict").to_string(), "this model takes no strict tools");
            }
            (schema, None)
        }
        Some(true) => {
            let adapted = closed(&schema, &path.field("parameters"), wire, losses);
            (Cow::Owned(adapted), strict)
        }
        _ => (schema, strict),
    }
}

/// `strict` for OpenAI's wires, which refuse it with a schema that leaves anything open.
pub(crate) fn strict_if_closed(
    schema: Option<&Value>,
    strict: Option<bool>,
    path: &Path<'_>,
    losses: &mut Losses,
) -> Option<bool> {
    if strict == Some(true) && !schema.is_some_and(is_strict) {
        let reason = "left out: strict tools want every object closed and every property required";
        losses.report(path.field("strict").to_string(), reason);
        return None;
    }
    strict
}

/// Every object is closed and requires all it names.
fn is_strict(schema: &Value) -> bool {
    let Value::Object(fields) = schema else { return false };
    if NOT_STRICT.iter().any(|key| fields.contains_key(*key)) {
        return false;
    }
    let properties = fields.get("properties").and_then(Value::as_object);
    let is_object = properties.is_some() || is_kind(fields, "object") == Some(true);
    if is_object {
        let required = fields.get("required").and_then(Value::as_array);
        let needs = |name: &String| required.is_some_and(|list| list.iter().any(|one| one == name));
        let all = properties.is_none_or(|properties| properties.keys().all(needs));
        if !all || fields.get("additionalProperties") != Some(&Value::Bool(false)) {
            return false;
        }
    }
    let named = ["properties", "$defs", "definitions"].iter().filter_map(|key| fields.get(*key)?.as_object());
    let listed = ["anyOf", "prefixItems"].iter().filter_map(|key| fields.get(*key)?.as_array());
    named.flat_map(Map::values).all(is_strict)
        && listed.flatten().all(is_strict)
        && fields.get("items").is_none_or(is_strict)
}

/// Whether the schema is of the type; `None` when it does not say.
fn is_kind(fields: &Map<String, Value>, kind: &str) -> Option<bool> {
    match fields.get("type")? {
        Value::String(one) => Some(one == kind),
        Value::Array(several) => Some(several.iter().any(|one| one == kind)),
        _ => None,
    }
}

fn typed<'a>(fields: impl Iterator<Item = (&'a String, &'a Value)>) -> Value {
    let mut object = Map::new();
    object.insert("type".to_owned(), "object".into());
    let rest = fields.filter(|(key, _)| key.as_str() != "type");
    object.extend(rest.map(|(key, value)| (key.clone(), value.clone())));
    Value::Object(object)
}

/// What a schema says of an object.
#[derive(Default)]
struct Shape {
    properties: Map<String, Value>,
    required: Vec<String>,
    /// Nothing but the properties may be there.
    closed: bool,
}

struct Merge<'a> {
    root: &'a Value,
    /// Branches that may still be followed.
    left: usize,
}

impl<'a> Merge<'a> {
    fn shape(&mut self, fields: &'a Map<String, Value>) -> Shape {
        let own = fields.get("properties").and_then(Value::as_object);
        let required = fields.get("required").and_then(Value::as_array).into_iter().flatten();
        let mut shape = Shape {
            properties: own.cloned().unwrap_or_default(),
            required: required.filter_map(|name| name.as_str().map(str::to_owned)).collect(),
            closed: fields.get("additionalProperties") == Some(&Value::Bool(false)),
        };
        for key in BRANCHES {
            let Some(list) = fields.get(key).and_then(Value::as_array) else { continue };
            let branches: Vec<Shape> = list.iter().filter_map(|branch| self.branch(branch)).collect();
            shape.closed |= !branches.is_empty() && branches.iter().all(|branch| branch.closed);
            let everywhere = |name: &String| branches.iter().all(|branch| branch.required.contains(name));
            let names = branches.iter().flat_map(|branch| &branch.required);
            for name in names.filter(|name| key == "allOf" || everywhere(name)) {
                if !shape.required.contains(name) {
                    shape.required.push(name.clone());
                }
            }
            for (name, property) in branches.into_iter().flat_map(|branch| branch.properties) {
                let joined = match shape.properties.get(&name) {
                    Some(known) if *known != property => both(known, &property, key),
                    _ => property,
                };
                shape.properties.insert(name, joined);
            }
        }
        shape
    }

    /// The object of a branch; `None` for one that is none: arguments are objects.
    fn branch(&mut self, schema: &'a Value) -> Option<Shape> {
        self.left = self.left.checked_sub(1)?;
        let fields = schema.as_object()?;
        if let Some(place) = fields.get("$ref").and_then(Value::as_str) {
            let target = self.root.pointer(place.strip_prefix('#')?)?;
            return self.branch(target);
        }
        (is_kind(fields, "object") != Some(false)).then(|| self.shape(fields))
    }
}

/// One property of two branches. Words of a closed list are joined to one list, which models follow best.
fn both(one: &Value, other: &Value, key: &str) -> Value {
    if key != "allOf"
        && let (Some(mut words), Some(more)) = (words(one), words(other))
    {
        more.into_iter().for_each(|word| {
            if !words.contains(&word) {
                words.push(word);
            }
        });
        let kind = one.get("type").filter(|kind| other.get("type") == Some(kind));
        let mut joined = Map::new();
        joined.extend(kind.map(|kind| ("type".to_owned(), kind.clone())));
        joined.insert("enum".to_owned(), words.into());
        return Value::Object(joined);
    }
    let key = if key == "allOf" { key } else { "anyOf" };
    let mut list = match one.as_object().filter(|fields| fields.len() == 1) {
        Some(fields) => fields.get(key).and_then(Value::as_array).cloned().unwrap_or_default(),
        None => Vec::new(),
    };
    if list.is_empty() {
        list.push(one.clone());
    }
    if !list.contains(other) {
        list.push(other.clone());
    }
    json!({key: list})
}

/// The values of a schema that is nothing but a list of them.
fn words(schema: &Value) -> Option<Vec<Value>> {
    let fields = schema.as_object()?;
    if fields.keys().any(|key| !matches!(key.as_str(), "const" | "enum" | "type")) {
        return None;
    }
    match (fields.get("const"), fields.get("enum").and_then(Value::as_array)) {
        (Some(word), None) => Some(vec![word.clone()]),
        (None, Some(words)) => Some(words.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
