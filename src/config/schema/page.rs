//! The schema as a page for people: `docs/config.md`.

use std::fmt::Write as _;

use serde_json::Value;

use super::{definition, schema};

const HEAD: &str = "\
# Configuration

<!-- Generated from the doc comments of src/config/raw. Run the tests with BIFROST_BLESS=1 to renew. -->

One file, `--config FILE` or `config.json`, `config.yaml`, `config.yml` in the app directory
(`$XDG_CONFIG_HOME/bifrost`, else `~/.config/bifrost`). JSON may have comments and trailing commas; YAML
has the same fields. Without a file the providers whose key is in the environment are used.

Text values under `server`, `client`, `providers`, `fallbacks`, `routing` and the `config` of plugins may be references:

| Written | Means |
|---|---|
| `env.NAME`, `$NAME`, `os.environ/NAME` | the environment variable, as the whole value |
| `${NAME}` | the environment variable, anywhere in the value |
| `file:PATH` | the file's content without its last line break; relative to the configuration file |

A provider key whose variable is not set is disabled with a warning; in any other field that is an error.
`bifrost check FILE` reports every problem with its line and column and says what would be served.
";

/// The reference page in Markdown.
#[must_use]
pub fn page() -> String {
    let root = schema();
    let mut out = HEAD.to_owned();
    section(&mut out, "The file", &root, &root);
    let definitions = root.get("$defs").and_then(Value::as_object);
    for (name, object) in definitions.into_iter().flatten() {
        if object.get("properties").is_some() {
            section(&mut out, name, object, &root);
        }
    }
    out
}

fn section(out: &mut String, name: &str, object: &Value, root: &Value) {
    let _ = write!(out, "\n## {name}\n\n");
    if let Some(text) = object.get("description").and_then(Value::as_str) {
        let _ = write!(out, "{}\n\n", one_line(text));
    }
    out.push_str("| Field | Type | Default | |\n|---|---|---|---|\n");
    let required: Vec<&str> = object
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (field, shape) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let text = shape.get("description").and_then(Value::as_str).unwrap_or_default();
        let default = match shape.get("default") {
            _ if required.contains(&field.as_str()) => "required".to_owned(),
            Some(Value::Null) | None => String::new(),
            Some(Value::Object(_)) => String::new(),
            Some(value) => format!("`{value}`"),
        };
        let kind = kind(shape, root);
        let _ = writeln!(out, "| `{field}` | {kind}{} | {default} | {} |", range(shape), one_line(text));
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn range(shape: &Value) -> String {
    let part = |name: &str| shape.get(name).map(ToString::to_string);
    match (part("minimum"), part("maximum")) {
        (Some(low), Some(high)) => format!(", {low} to {high}"),
        (Some(low), None) if low != "0" => format!(", at least {low}"),
        (None, Some(high)) => format!(", at most {high}"),
        _ => String::new(),
    }
}

/// A field's type in words, with a link to the object it holds.
fn kind(shape: &Value, root: &Value) -> String {
    if let Some(reference) = shape.get("$ref").and_then(Value::as_str) {
        return referenced(reference, root);
    }
    if let Some(branches) = shape.get("anyOf").or_else(|| shape.get("oneOf")).and_then(Value::as_array) {
        let kinds: Vec<String> = branches.iter().map(|b| kind(b, root)).filter(|k| k != "null").collect();
        return kinds.join(" or ");
    }
    if let Some(constant) = shape.get("const") {
        return format!("`{constant}`");
    }
    let types: Vec<&str> = match shape.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect(),
        _ => return "anything".to_owned(),
    };
    let words = types.iter().map(|name| match *name {
        "array" => shape.get("items").map_or("list".to_owned(), |i| format!("list of {}", kind(i, root))),
        "object" => match shape.get("additionalProperties") {
            Some(inner @ Value::Object(_)) => format!("map of {}", kind(inner, root)),
            _ => "object".to_owned(),
        },
        other => other.to_owned(),
    });
    words.collect::<Vec<_>>().join(" or ")
}

fn referenced(reference: &str, root: &Value) -> String {
    let name = reference.rsplit('/').next().unwrap_or_default();
    match definition(root, reference) {
        Some(inner) if inner.get("properties").is_some() => format!("[{name}](#{})", name.to_lowercase()),
        Some(inner) => kind(inner, root),
        None => name.to_owned(),
    }
}
