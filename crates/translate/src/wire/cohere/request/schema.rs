//! A caller's JSON schema, cut to what the vendor's structured output takes
//! (docs.cohere.com/docs/structured-outputs): no `allOf`, `oneOf`, `not`, no bounds of numbers, lengths or
//! lists, four formats, no anchors in patterns. Bounds become words in the description.

use serde_json::{Map, Value};

use crate::loss::Losses;
use crate::wire::fields::Path;
use crate::wire::schema::{describe, plain};

/// Refused as keywords. The model still reads them in the description.
const BOUNDS: [&str; 11] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "not",
];

const FORMATS: [&str; 4] = ["date-time", "uuid", "date", "time"];

/// Keywords whose value is one schema, a list of schemas, or a schema per name.
const ONE: [&str; 2] = ["items", "additionalProperties"];
const MANY: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
const NAMED: [&str; 4] = ["properties", "$defs", "definitions", "patternProperties"];

/// The schema to send. Adapting twice changes nothing.
pub(super) fn adapted(schema: &Value, path: &Path<'_>, losses: &mut Losses) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut out = Map::with_capacity(fields.len() + 1);
    let mut words = Vec::new();
    for (key, value) in fields {
        let here = path.field(key);
        if is_refused(key, value) {
            losses.report(here.to_string(), "cohere takes it as a description only");
            words.push(format!("{key}: {}", plain(value)));
        } else if key == "pattern" {
            out.insert(key.clone(), pattern(value, &here, losses));
        } else if key == "oneOf" && !fields.contains_key("anyOf") {
            losses.report(here.to_string(), "sent as anyOf");
            out.insert("anyOf".to_owned(), inner(key, value, &here, losses));
        } else if key == "allOf" {
            all_of(value, &here, &mut out, losses);
        } else {
            out.insert(key.clone(), inner(key, value, &here, losses));
        }
    }
    describe(&mut out, &words);
    Value::Object(out)
}

fn inner(key: &str, value: &Value, here: &Path<'_>, losses: &mut Losses) -> Value {
    match value {
        Value::Object(named) if NAMED.contains(&key) => {
            let adapt = |(name, schema): (&String, &Value)| {
                (name.clone(), adapted(schema, &here.field(name), losses))
            };
            Value::Object(named.iter().map(adapt).collect())
        }
        Value::Array(list) if MANY.contains(&key) || key == "items" => {
            let mut adapt = |(index, schema)| adapted(schema, &here.item(index), losses);
            Value::Array(list.iter().enumerate().map(&mut adapt).collect())
        }
        Value::Object(_) if ONE.contains(&key) => adapted(value, here, losses),
        _ => value.clone(),
    }
}

fn is_refused(key: &str, value: &Value) -> bool {
    match key {
        "format" => value.as_str().is_some_and(|format| !FORMATS.contains(&format)),
        "pattern" => value.as_str().is_some_and(|pattern| pattern.contains("(?=") || pattern.contains("(?!")),
        _ => BOUNDS.contains(&key),
    }
}

/// The whole value is matched there: anchors at the ends say nothing more and are refused.
fn pattern(value: &Value, here: &Path<'_>, losses: &mut Losses) -> Value {
    let Some(text) = value.as_str() else { return value.clone() };
    let bare = text.strip_prefix('^').unwrap_or(text);
    let bare = bare.strip_suffix('$').filter(|bare| !bare.ends_with('\\')).unwrap_or(bare);
    if bare.len() != text.len() {
        losses.report(here.to_string(), "sent without its anchors");
    }
    bare.into()
}

/// The parts are joined: their properties and required names are added, other fields when they are new.
fn all_of(value: &Value, here: &Path<'_>, out: &mut Map<String, Value>, losses: &mut Losses) {
    losses.report(here.to_string(), "joined into one schema");
    for (index, part) in value.as_array().into_iter().flatten().enumerate() {
        let Value::Object(fields) = adapted(part, &here.item(index), losses) else { continue };
        for (key, value) in fields {
            match (out.get_mut(&key), value) {
                (None, value) => drop(out.insert(key, value)),
                (Some(Value::Object(known)), Value::Object(more)) => {
                    for (name, schema) in more {
                        known.entry(name).or_insert(schema);
                    }
                }
                (Some(Value::Array(known)), Value::Array(more)) if key == "required" => {
                    more.into_iter().for_each(|name| {
                        if !known.contains(&name) {
                            known.push(name);
                        }
                    });
                }
                (Some(_), _) => {}
            }
        }
    }
}
