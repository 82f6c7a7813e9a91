//! A caller's JSON schema, cut to what the strict kind of structured output takes: closed objects, `anyOf`
//! instead of `oneOf`, and bounds as words in the description, since they are refused as keywords. Anthropic's
//! own API and Bedrock's take the same. Must not know where the schema will stand.

use serde_json::{Map, Value};

use super::Wire;
use super::fields::Path;
use crate::loss::Losses;

/// Bounds the API refuses. The model still reads them in the description.
const BOUNDS: [&str; 12] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "minItems",
];

const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// Keywords whose value is one schema, a list of schemas, or a schema per name.
const ONE: [&str; 5] = ["items", "not", "if", "then", "else"];
const MANY: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
const NAMED: [&str; 4] = ["properties", "$defs", "definitions", "patternProperties"];

/// The schema to send to `wire`. Adapting twice changes nothing.
pub(crate) fn closed(schema: &Value, path: &Path<'_>, wire: Wire, losses: &mut Losses) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut out = Map::with_capacity(fields.len() + 1);
    let mut words = Vec::new();
    for (key, value) in fields {
        let here = path.field(key);
        if is_refused(key, value) {
            losses.report(here.to_string(), format!("{} takes it as a description only", wire.name()));
            words.push(format!("{key}: {}", plain(value)));
            continue;
        }
        let rewritten = key == "oneOf" && !fields.contains_key("anyOf");
        let name = if rewritten { "anyOf" } else { key };
        out.insert(name.to_owned(), inner((key, value), &here, wire, losses));
    }
    close(&mut out, path, wire, losses);
    describe(&mut out, &words);
    Value::Object(out)
}

/// Adds to the description what cannot be said in keywords.
pub(crate) fn describe(fields: &mut Map<String, Value>, words: &[String]) {
    if words.is_empty() {
        return;
    }
    let words = words.join(", ");
    let text = match fields.get("description").and_then(Value::as_str) {
        Some(text) if !text.is_empty() => format!("{text} ({words})"),
        _ => words,
    };
    fields.insert("description".to_owned(), Value::String(text));
}

/// A keyword's value as words.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn inner((key, value): (&str, &Value), here: &Path<'_>, wire: Wire, losses: &mut Losses) -> Value {
    match value {
        Value::Object(named) if NAMED.contains(&key) => {
            let adapt = |(name, schema): (&String, &Value)| {
                (name.clone(), closed(schema, &here.field(name), wire, losses))
            };
            Value::Object(named.iter().map(adapt).collect())
        }
        Value::Array(list) if MANY.contains(&key) || key == "items" => {
            let mut adapt = |(index, schema)| closed(schema, &here.item(index), wire, losses);
            Value::Array(list.iter().enumerate().map(&mut adapt).collect())
        }
        Value::Object(_) if ONE.contains(&key) => closed(value, here, wire, losses),
        _ => value.clone(),
    }
}

fn is_refused(key: &str, value: &Value) -> bool {
    match key {
        "minItems" => value.as_f64().is_none_or(|least| least > 1.0),
        "format" => value.as_str().is_some_and(|format| !FORMATS.contains(&format)),
        _ => BOUNDS.contains(&key),
    }
}

/// Every object must forbid what it does not name.
fn close(fields: &mut Map<String, Value>, path: &Path<'_>, wire: Wire, losses: &mut Losses) {
    let is_object = match fields.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => fields.contains_key("properties"),
    };
    if !is_object {
        return;
    }
    let before = fields.insert("additionalProperties".to_owned(), Value::Bool(false));
    if before.is_some_and(|before| before != Value::Bool(false)) {
        let path = path.field("additionalProperties").to_string();
        losses.report(path, format!("objects are closed in structured output of {}", wire.name()));
    }
}
