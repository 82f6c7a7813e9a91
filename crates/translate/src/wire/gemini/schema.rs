//! Schemas: the API's older form (a subset of OpenAPI, types in capitals) into JSON schema, and JSON schema
//! as the API's newer fields read it.
//!
//! The subset is listed at https://ai.google.dev/gemini-api/docs/structured-output: what it does not know is
//! ignored there, so only what would be refused or would lose its meaning is rewritten.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::spelling::camel;
use crate::loss::Losses;
use crate::wire::fields::Path;

/// The older form as JSON schema.
pub(super) fn from_openapi(schema: Value) -> Value {
    let Value::Object(map) = schema else { return schema };
    let mut out = Map::with_capacity(map.len());
    let mut nullable = false;
    for (name, value) in map {
        let name = if name.contains('_') { camel(&name) } else { name };
        let value = match (name.as_str(), value) {
            ("nullable", Value::Bool(flag)) => {
                nullable = flag;
                continue;
            }
            ("type", Value::String(word)) if word == "TYPE_UNSPECIFIED" => continue,
            ("type", Value::String(word)) => Value::String(word.to_ascii_lowercase()),
            // 64-bit numbers are strings in Google's JSON.
            (name, Value::String(text)) if COUNTS.contains(&name) => {
                text.parse::<u64>().map_or(Value::String(text), Value::from)
            }
            ("properties" | "$defs" | "defs", Value::Object(inner)) => {
                Value::Object(inner.into_iter().map(|(name, value)| (name, from_openapi(value))).collect())
            }
            ("anyOf" | "prefixItems", Value::Array(list)) => list.into_iter().map(from_openapi).collect(),
            ("items" | "additionalProperties", inner) => from_openapi(inner),
            (_, value) => value,
        };
        out.insert(name, value);
    }
    if nullable {
        allow_null(&mut out);
    }
    Value::Object(out)
}

const COUNTS: [&str; 6] =
    ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(list)) = schema.get_mut("enum") {
        list.push(Value::Null);
    }
    match schema.get_mut("type") {
        Some(kind) if kind.is_string() => *kind = json!([kind.take(), "null"]),
        _ => {
            if let Some(Value::Array(list)) = schema.get_mut("anyOf") {
                list.push(json!({"type": "null"}));
            }
        }
    }
}

/// JSON schema as the API reads it: `const` becomes an `enum` of one, `definitions` becomes `$defs`, and what
/// stands beside a `$ref` is left out, because that is refused.
pub(super) fn adapted<'a>(schema: &'a Value, path: &Path<'_>, losses: &mut Losses) -> Cow<'a, Value> {
    if !needs_rewriting(schema) {
        return Cow::Borrowed(schema);
    }
    let mut schema = schema.clone();
    rewrite(&mut schema, path, losses);
    Cow::Owned(schema)
}

/// A schema that takes no arguments: it is left out, as an object without properties was once refused.
pub(super) fn is_empty_object(schema: &Value) -> bool {
    const EMPTY: [&str; 4] = ["properties", "required", "$defs", "definitions"];
    let Value::Object(map) = schema else { return false };
    map.iter().all(|(name, value)| match name.as_str() {
        "type" => value == "object",
        "additionalProperties" => value == &Value::Bool(false),
        "$schema" => true,
        name if EMPTY.contains(&name) => {
            value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
        }
        _ => false,
    })
}

/// Looks at names only: a property of such a name costs a copy, no more.
fn needs_rewriting(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(name, value)| match name.as_str() {
            "const" | "definitions" => true,
            "$ref" => {
                map.keys().any(|name| !name.starts_with('$'))
                    || value.as_str().is_some_and(|to| to.starts_with(OLD_REF))
            }
            _ => needs_rewriting(value),
        }),
        Value::Array(list) => list.iter().any(needs_rewriting),
        _ => false,
    }
}

const OLD_REF: &str = "#/definitions/";

fn rewrite(schema: &mut Value, path: &Path<'_>, losses: &mut Losses) {
    let Value::Object(map) = schema else { return };
    if let Some(value) = map.shift_remove("const")
        && !map.contains_key("enum")
    {
        map.insert("enum".into(), json!([value]));
    }
    if let Some(definitions) = map.shift_remove("definitions") {
        match map.get_mut("$defs").and_then(Value::as_object_mut) {
            Some(known) => known.extend(definitions.as_object().cloned().unwrap_or_default()),
            None => drop(map.insert("$defs".into(), definitions)),
        }
    }
    if let Some(Value::String(to)) = map.get_mut("$ref") {
        if let Some(name) = to.strip_prefix(OLD_REF) {
            *to = format!("#/$defs/{name}");
        }
        map.retain(|name, _| {
            let kept = name.starts_with('$');
            if !kept {
                losses.report(path.field(name).to_string(), "gemini takes nothing beside a `$ref`");
            }
            kept
        });
    }
    for (name, value) in map.iter_mut() {
        let at = path.field(name);
        match (name.as_str(), value) {
            ("properties" | "$defs" | "patternProperties", Value::Object(inner)) => {
                inner.iter_mut().for_each(|(name, value)| rewrite(value, &at.field(name), losses));
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(list)) => {
                list.iter_mut()
                    .enumerate()
                    .for_each(|(index, value)| rewrite(value, &at.item(index), losses));
            }
            ("items" | "additionalProperties" | "not" | "if" | "then" | "else", value) => {
                rewrite(value, &at, losses);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_form_becomes_json_schema() {
        let given = json!({"type": "OBJECT", "nullable": true, "properties": {
            "type": {"type": "STRING", "enum": ["A"], "nullable": true},
            "n": {"type": "ARRAY", "items": {"type": "INTEGER"}, "min_items": "1"},
            "any_of": {"any_of": [{"type": "NUMBER"}], "nullable": true}},
            "required": ["type"], "property_ordering": ["type", "n"]});
        let expected = json!({"type": ["object", "null"], "properties": {
            "type": {"type": ["string", "null"], "enum": ["A", null]},
            "n": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
            "any_of": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
            "required": ["type"], "propertyOrdering": ["type", "n"]});
        assert_eq!(from_openapi(given), expected);
    }

    #[test]
    fn what_would_be_refused_is_rewritten_and_told() {
        let given = json!({"type": "object", "properties": {
            "const": {"const": "a"}, "x": {"$ref": "#/definitions/X", "description": "d"}},
            "definitions": {"X": {"type": "string"}}});
        let mut losses = Losses::default();
        let at = Path::Body.field("schema");
        let adapted = adapted(&given, &at, &mut losses).into_owned();
        let expected = json!({"type": "object", "properties": {
            "const": {"enum": ["a"]}, "x": {"$ref": "#/$defs/X"}}, "$defs": {"X": {"type": "string"}}});
        assert_eq!(adapted, expected);
        assert_eq!(losses.as_slice().len(), 1);
        assert_eq!(losses.as_slice()[0].path, "schema.properties.x.description");
    }

    #[test]
    fn a_plain_schema_is_not_copied() {
        let given = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "default": 1});
        assert!(matches!(adapted(&given, &Path::Body, &mut Losses::default()), Cow::Borrowed(_)));
        assert!(is_empty_object(&json!({"type": "object", "properties": {}})));
        assert!(!is_empty_object(&json!({"type": "object", "additionalProperties": true})));
        assert!(!is_empty_object(&json!({"type": "object", "description": "d"})));
    }
}
