//! `/openapi.json`: made from the handlers; shapes of the configuration come from its own schema.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;

use super::shape::{self, Make};
use crate::config::schema::schema;

/// What stands above the paths.
#[derive(OpenApi)]
#[openapi(info(
    title = "bifrost administration",
    description = "What is configured, who may use it, what was changed. Errors have one shape; `error.path` names the field.",
    license(name = "Apache-2.0", identifier = "Apache-2.0")
))]
struct Head;

/// A document without paths.
#[must_use]
pub fn head() -> Document {
    Head::openapi()
}

/// The document as it is sent.
#[must_use]
pub fn complete(document: &Document) -> String {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    name_operations(&mut document);
    describe(&mut document);
    let shapes = shapes();
    if let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") {
        schemas.extend(shapes);
    }
    secure(&mut document);
    document.to_string()
}

/// The document, to whoever asks: it tells nothing of this gateway but its version.
pub fn answer(document: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}

/// Operations by method and path: `getApiProviders`, `getApiProvidersByProvider`.
fn name_operations(document: &mut Value) {
    let Some(Value::Object(paths)) = document.get_mut("paths") else { return };
    for (path, item) in paths {
        let words: String = path.split('/').map(word).collect();
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            if let Some(operation) = operation.as_object_mut() {
                operation.insert("operationId".to_owned(), json!(format!("{method}{words}")));
            }
        }
    }
}

fn word(segment: &str) -> String {
    let name = segment.trim_matches(['{', '}']);
    let parts = name.split(['-', '_']).map(|part| {
        let mut chars = part.chars();
        chars
            .next()
            .map(|first| first.to_uppercase().collect::<String>() + chars.as_str())
            .unwrap_or_default()
    });
    let word: String = parts.collect();
    if segment.starts_with('{') { format!("By{word}") } else { word }
}

/// What every answer must have in this form of document.
fn describe(document: &mut Value) {
    let operations = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    let operations = operations.flat_map(|(_, item)| item.as_object_mut().into_iter().flatten());
    for (_, operation) in operations {
        let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
        for (status, response) in responses.into_iter().flatten() {
            let what = if status.starts_with('2') { "Done." } else { "Refused." };
            if let Some(response) = response.as_object_mut() {
                response.entry("description").or_insert_with(|| json!(what));
            }
        }
    }
}

/// How one shows who one is.
fn secure(document: &mut Value) {
    let schemes = json!({
        "bearer": { "type": "http", "scheme": "bearer" },
        "session": { "type": "apiKey", "in": "cookie", "name": "bifrost_session" },
    });
    if let Some(Value::Object(components)) = document.get_mut("components") {
        components.insert("securitySchemes".to_owned(), schemes);
    }
    if let Some(root) = document.as_object_mut() {
        root.insert("security".to_owned(), json!([{ "bearer": [] }, { "session": [] }]));
    }
}

/// Every type of the configuration, and the shapes that are made of them.
fn shapes() -> Map<String, Value> {
    let text = schema().to_string().replace("#/$defs/", "#/components/schemas/");
    let mut root: Value = serde_json::from_str(&text).unwrap_or_default();
    without_null_defaults(&mut root);
    let types = root.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut found = types.clone();
    for (name, make) in shape::ALL {
        let of = |name: &str| types.get(name).cloned().unwrap_or_default();
        let made = match make {
            Make::Plain(name) => of(name),
            Make::New(name) => named(of(name)),
            Make::Patch(name) => patch(of(name)),
            Make::Shown(name) => shown(of(name), &mut found, &types),
            Make::Answer(field, shape) => one(field, shape),
            Make::List(field, shape) => list(field, shape),
        };
        found.insert((*name).to_owned(), made);
    }
    found
}

/// That a field may be left out is said already: null is no number.
fn without_null_defaults(shape: &mut Value) {
    match shape {
        Value::Object(fields) => {
            fields.retain(|name, value| !(name == "default" && value.is_null()));
            fields.values_mut().for_each(without_null_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null_defaults),
        _ => {}
    }
}

/// With the name that stands beside it in the file.
fn named(mut shape: Value) -> Value {
    if let Some(Value::Object(properties)) = shape.get_mut("properties") {
        properties.insert("provider".to_owned(), json!({ "type": "string", "description": "Its name." }));
    }
    shape
}

/// Nothing must be there, and anything may be null.
fn patch(mut shape: Value) -> Value {
    let Some(fields) = shape.as_object_mut() else { return shape };
    fields.remove("required");
    for property in fields.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let (_, property) = property;
        *property = json!({ "anyOf": [property.take(), { "type": "null" }] });
    }
    shape
}

/// As answers have it: more than was written, and nothing that must be there. Types within are shown likewise.
fn shown(shape: Value, found: &mut Map<String, Value>, types: &Map<String, Value>) -> Value {
    let mut shape = shape;
    let mut within = Vec::new();
    loosened(&mut shape, &mut within);
    while let Some(name) = within.pop() {
        let shown = format!("{name}Shown");
        if let (false, Some(inner)) = (found.contains_key(&shown), types.get(&name)) {
            let mut inner = inner.clone();
            loosened(&mut inner, &mut within);
            found.insert(shown, inner);
        }
    }
    let more = [
        ("id", json!({ "type": "string" })),
        ("source", json!({ "type": "string", "enum": ["file", "store", "environment"] })),
        ("revision", json!({ "type": "integer", "minimum": 1 })),
        ("overrides_file", json!({ "type": "boolean" })),
        ("created_at", json!({ "type": "string" })),
    ];
    if let Some(Value::Object(properties)) = shape.get_mut("properties") {
        for (name, kind) in more {
            properties.entry(name).or_insert(kind);
        }
    }
    shape
}

fn loosened(shape: &mut Value, within: &mut Vec<String>) {
    match shape {
        Value::Object(fields) => {
            fields.remove("required");
            if fields.get("additionalProperties") == Some(&Value::Bool(false)) {
                fields.remove("additionalProperties");
            }
            if let Some(Value::String(reference)) = fields.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/components/schemas/").map(str::to_owned)
            {
                *reference = format!("#/components/schemas/{name}Shown");
                within.push(name);
            }
            fields.values_mut().for_each(|inner| loosened(inner, within));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| loosened(inner, within)),
        _ => {}
    }
}

fn one(field: &str, shape: &str) -> Value {
    json!({
        "type": "object",
        "required": [field],
        "properties": { "message": { "type": "string" }, field: reference(shape) },
    })
}

fn list(field: &str, shape: &str) -> Value {
    let number = json!({ "type": "integer", "minimum": 0 });
    json!({
        "type": "object",
        "required": [field, "count"],
        "properties": {
            field: { "type": "array", "items": reference(shape) },
            "count": number, "total_count": number, "offset": number, "limit": number,
        },
    })
}

fn reference(shape: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{shape}") })
}
