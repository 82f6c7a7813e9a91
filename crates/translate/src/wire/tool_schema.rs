//! The schema of a tool's arguments as providers take it: one object at the top, and closed where calls must
//! follow it. A schema that is refused costs the whole request, so what cannot be said is told as a loss.
//! Must not know where the tool will stand.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::Wire;
use super::fields::Path;
use super::schema::closed;
use crate::loss::Losses;

/// Keywords that split a schema into several.
const BRANCHES: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// More branches than this are not followed: a schema can refer to itself.
const MOST_BRANCHES: usize = 256;
/// So much is copied out of branches, in about bytes: several can refer to the same.
const MOST_COPIED: usize = 16 * 1024 * 1024;
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
        let shape = Merge { root: schema, left: MOST_BRANCHES, room: MOST_COPIED }.shape(fields);
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
        let required = fields.get("required").and_then(Value::as_array).into_iter().flatten();
        let required: HashSet<&str> = required.filter_map(Value::as_str).collect();
        let all = properties
            .is_none_or(|properties| properties.keys().all(|name| required.contains(name.as_str())));
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
    /// What may still be copied out of them, in about bytes.
    room: usize,
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
            // The same twice in one list says nothing more.
            let mut followed = HashSet::new();
            let new =
                list.iter().filter(|branch| reference(branch).is_none_or(|place| followed.insert(place)));
            let branches: Vec<Shape> = new.filter_map(|branch| self.branch(branch)).collect();
            shape.closed |= !branches.is_empty() && branches.iter().all(|branch| branch.closed);
            require(&mut shape.required, &branches, key);
            join(&mut shape.properties, branches, key);
        }
        shape
    }

    /// The object of a branch; `None` for one that is none: arguments are objects.
    fn branch(&mut self, schema: &'a Value) -> Option<Shape> {
        self.left = self.left.checked_sub(1)?;
        let fields = schema.as_object()?;
        if let Some(place) = reference(schema) {
            let target = self.root.pointer(place.strip_prefix('#')?)?;
            return self.branch(target);
        }
        if is_kind(fields, "object") == Some(false) {
            return None;
        }
        for key in ["properties", "required"] {
            fields.get(key).map_or(Some(()), |value| spend(value, &mut self.room))?;
        }
        Some(self.shape(fields))
    }
}

/// Where a schema that only refers to another says that one is.
fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref").and_then(Value::as_str)
}

/// Takes what a copy of `value` needs off `room`; `None` when that is too little.
fn spend(value: &Value, room: &mut usize) -> Option<()> {
    let own = size_of::<Value>() + value.as_str().map_or(0, str::len);
    *room = room.checked_sub(own)?;
    match value {
        Value::Array(list) => list.iter().try_for_each(|one| spend(one, room)),
        Value::Object(fields) => fields.iter().try_for_each(|(name, one)| {
            *room = room.checked_sub(size_of::<String>() + name.len())?;
            spend(one, room)
        }),
        _ => Some(()),
    }
}

/// Adds the names that branches require: all of parts that all hold, of choices those that each requires.
fn require(required: &mut Vec<String>, branches: &[Shape], key: &str) {
    let mut by: HashMap<&str, usize> = HashMap::new();
    for branch in branches {
        let names: HashSet<&str> = branch.required.iter().map(String::as_str).collect();
        names.into_iter().for_each(|name| *by.entry(name).or_default() += 1);
    }
    let known: Vec<String> = std::mem::take(required);
    let mut seen: HashSet<&str> = known.iter().map(String::as_str).collect();
    let names = branches.iter().flat_map(|branch| &branch.required).map(String::as_str);
    let held = names.filter(|name| key == "allOf" || by.get(name) == Some(&branches.len()));
    let new: Vec<String> = held.filter(|name| seen.insert(name)).map(str::to_owned).collect();
    *required = known.into_iter().chain(new).collect();
}

/// Adds the properties of branches. One that several have is joined once, from all of them.
fn join(properties: &mut Map<String, Value>, branches: Vec<Shape>, key: &str) {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut several: Vec<(String, Vec<Value>)> = Vec::new();
    for (name, property) in branches.into_iter().flat_map(|branch| branch.properties) {
        match places.get(&name).and_then(|place| several.get_mut(*place)) {
            Some((_, forms)) => forms.push(property),
            None => {
                places.insert(name.clone(), several.len());
                several.push((name, vec![property]));
            }
        }
    }
    for (name, forms) in several {
        let known = properties.get_mut(&name).map(Value::take);
        let joined = one_of(known.into_iter().chain(forms).collect(), key);
        properties.insert(name, joined);
    }
}

/// One property of several branches. Words of a closed list are joined to one list, which models follow best.
fn one_of(forms: Vec<Value>, key: &str) -> Value {
    let mut forms = distinct(forms).into_iter().peekable();
    let Some(mut first) = forms.next() else { return Value::Bool(true) };
    if key != "allOf"
        && let Some(mut all) = words(&first)
    {
        let mut kind = first.get("type").cloned();
        let mut joined = false;
        while let Some((form, more)) = forms.peek().and_then(|form| Some((form, words(form)?))) {
            kind = kind.filter(|kind| form.get("type") == Some(kind));
            all.extend(more);
            joined = true;
            forms.next();
        }
        if joined {
            let kind = kind.map(|kind| ("type".to_owned(), kind));
            let list = ("enum".to_owned(), distinct(all).into());
            first = Value::Object(kind.into_iter().chain([list]).collect());
        }
    }
    if forms.peek().is_none() {
        return first;
    }
    let key = if key == "allOf" { key } else { "anyOf" };
    let inner =
        first.as_object_mut().filter(|fields| fields.len() == 1).and_then(|fields| fields.get_mut(key));
    let mut list = match inner {
        Some(Value::Array(list)) => std::mem::take(list),
        _ => Vec::new(),
    };
    if list.is_empty() {
        list.push(first);
    }
    list.extend(forms);
    json!({key: distinct(list)})
}

/// Each value once, in order.
fn distinct(list: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::with_capacity(list.len());
    let new: Vec<bool> = list.iter().map(|value| seen.insert(value)).collect();
    list.into_iter().zip(new).filter_map(|(value, new)| new.then_some(value)).collect()
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
