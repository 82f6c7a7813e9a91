//! What no provider can take, whatever its wire: told to the caller before anything is sent. Schemas that are
//! none, media whose bytes are none, JSON that is none. Must refuse nothing that some provider takes.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Why a body is no JSON, with its line and column. The parser's own words name neither the depth it reads to
/// nor what a lone surrogate is.
pub(super) fn no_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let (line, column) = (error.line(), error.column());
    if text.starts_with("recursion limit exceeded") {
        return format!("nested deeper than 128 levels at line {line} column {column}");
    }
    if text.contains("surrogate") || text.starts_with("unexpected end of hex escape") {
        return format!(
            "half of a surrogate pair (`\\ud800` to `\\udfff` must come in twos), which is no character, at \
             line {line} column {column}"
        );
    }
    text
}

/// Whether the text is base64, of the standard or the URL alphabet, broken into lines or not.
pub(super) fn is_base64(data: &str) -> bool {
    let data = data.trim_ascii_end().trim_end_matches('=');
    let (mut signs, mut fine) = (0_usize, true);
    for byte in data.bytes() {
        let sign = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
        signs += usize::from(sign);
        fine &= sign | byte.is_ascii_whitespace();
    }
    fine && signs > 0 && signs % 4 != 1
}

/// What is wrong with a schema.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Where in the schema: `.properties.a.type`; empty for the whole.
    pub path: String,
    /// What stands there and what was expected.
    pub complaint: String,
}

/// The first flaw that makes it no JSON schema. Keywords nobody knows are let through.
pub(super) fn schema_flaw(schema: &Value) -> Option<Flaw> {
    Check { root: schema, path: String::new() }.schema(schema).err()
}

const TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];
/// Keywords whose value is a schema; a list of schemas; a schema per name.
const ONE: [&str; 8] =
    ["additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"];
const MANY: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const NAMED: [&str; 4] = ["$defs", "definitions", "patternProperties", "properties"];

struct Check<'a> {
    root: &'a Value,
    path: String,
}

type Checked = Result<(), Flaw>;

impl Check<'_> {
    fn schema(&mut self, schema: &Value) -> Checked {
        match schema {
            Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
                self.below(format_args!(".{key}"), |check| check.keyword(key, value, fields))
            }),
            Value::Bool(_) => Ok(()),
            other => self.flaw(other, "a schema"),
        }
    }

    fn keyword(&mut self, key: &str, value: &Value, fields: &Map<String, Value>) -> Checked {
        match (key, value) {
            ("type", Value::String(word)) => self.word(word),
            ("type", Value::Array(words)) if !words.is_empty() => {
                words.iter().try_for_each(|word| match word {
                    Value::String(word) => self.word(word),
                    other => self.flaw(other, "the name of a type"),
                })
            }
            ("type", other) => self.flaw(other, "the name of a type, or a list of such names"),
            ("required", Value::Array(names)) => {
                let other = names.iter().find(|name| !name.is_string());
                other.map_or(Ok(()), |other| self.flaw(other, "names of properties"))
            }
            // The fourth draft has a flag of this name in the property itself.
            ("required", Value::Bool(_)) => Ok(()),
            ("required", other) => self.flaw(other, "a list of names"),
            ("enum", Value::Array(values)) if !values.is_empty() => Ok(()),
            ("enum", other) => self.flaw(other, "a list of one or more values"),
            ("$ref", Value::String(place)) => self.reference(place),
            ("$ref", other) => self.flaw(other, "the place of a schema"),
            (key, Value::Array(list)) if MANY.contains(&key) || key == "items" => self.list(list),
            (key, other) if MANY.contains(&key) => self.flaw(other, "a list of schemas"),
            (key, Value::Object(named)) if NAMED.contains(&key) => {
                named.iter().try_for_each(|(name, schema)| {
                    self.below(format_args!(".{name}"), |check| check.schema(schema))
                })
            }
            (key, other) if NAMED.contains(&key) => self.flaw(other, "an object of schemas"),
            // A list of values may hold objects with any keys: only what is a schema is looked into.
            (key, value) if ONE.contains(&key) && !fields.contains_key("const") => self.schema(value),
            _ => Ok(()),
        }
    }

    fn list(&mut self, list: &[Value]) -> Checked {
        list.iter().enumerate().try_for_each(|(index, schema)| {
            self.below(format_args!("[{index}]"), |check| check.schema(schema))
        })
    }

    fn word(&self, word: &str) -> Checked {
        if TYPES.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            return Ok(());
        }
        self.flaw(&Value::from(word), "one of object, array, string, number, integer, boolean and null")
    }

    /// References into other documents are the provider's to refuse.
    fn reference(&self, place: &str) -> Checked {
        let found = match place.strip_prefix('#') {
            Some(pointer) if pointer.starts_with('/') => {
                self.root.pointer(pointer).is_some() || pointer.contains('%')
            }
            _ => true,
        };
        if found { Ok(()) } else { self.flaw(&Value::from(place), "the place of a schema inside this one") }
    }

    fn below(&mut self, step: std::fmt::Arguments<'_>, check: impl FnOnce(&mut Self) -> Checked) -> Checked {
        let before = self.path.len();
        // Text takes every write.
        let _written = self.path.write_fmt(step);
        let checked = check(self);
        self.path.truncate(before);
        checked
    }

    fn flaw(&self, found: &Value, expected: &str) -> Checked {
        let found = match found {
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
            Value::String(text) if text.len() > 40 => "a string".to_owned(),
            scalar => scalar.to_string(),
        };
        Err(Flaw { path: self.path.clone(), complaint: format!("is {found}, expected {expected}") })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn base64_is_told_from_other_text() {
        for data in ["iVBORw0KGgo=", "iV", "JVB", "a-_b", "aGVs\r\nbG8=\n", "AAAA"] {
            assert!(is_base64(data), "{data}");
        }
        for data in ["", "=", "a", "hello world!", "é", "aGVsbG8=aGVsbG8=", "%41%41"] {
            assert!(!is_base64(data), "{data}");
        }
    }

    #[test]
    fn schemas_that_some_provider_takes_pass() {
        for schema in [
            json!({}),
            json!(true),
            json!({"type": "OBJECT", "properties": {"type": {"type": ["string", "null"]}, "enum": {}}}),
            json!({"$defs": {"a/b": {"items": [true, {"enum": [1]}]}}, "properties": {"x": {"$ref": "#/$defs/a~1b"},
                "y": {"$ref": "#"}, "z": {"$ref": "https://x/y"}}, "required": ["x"], "x-own": {"type": 7}}),
            json!({"properties": {"a": {"required": true, "default": {"type": 5}, "examples": [{"enum": 3}]}}}),
        ] {
            assert_eq!(schema_flaw(&schema), None, "{schema}");
        }
    }

    #[test]
    fn flaws_are_named_by_their_place() {
        for (schema, path) in [
            (json!("object"), ""),
            (json!({"type": "objekt"}), ".type"),
            (json!({"type": 5}), ".type"),
            (json!({"properties": []}), ".properties"),
            (
                json!({"properties": {"a": {"type": "object", "properties": {"b": 7}}}}),
                ".properties.a.properties.b",
            ),
            (json!({"items": {"anyOf": [{}, "x"]}}), ".items.anyOf[1]"),
            (json!({"required": "a"}), ".required"),
            (json!({"properties": {"a": {"enum": []}}}), ".properties.a.enum"),
            (json!({"properties": {"a": {"$ref": "#/$defs/none"}}}), ".properties.a.$ref"),
        ] {
            assert_eq!(schema_flaw(&schema).map(|flaw| flaw.path).as_deref(), Some(path), "{schema}");
        }
    }
}
