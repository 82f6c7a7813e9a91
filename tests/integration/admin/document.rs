//! `/openapi.json` against the gateway that serves it: every operation is there, every answer has the shape that it says.

use serde_json::{Value, json};

use super::{ask, done, plain};
use crate::support::client::Response;
use crate::support::gateway::Gateway;

/// What does not fit, with its place.
fn misfits(document: &Value, shape: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = shape["$ref"].as_str() {
        let target = document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return misfits(document, target, value, at);
    }
    let mut found = Vec::new();
    for part in shape["allOf"].as_array().into_iter().flatten() {
        found.extend(misfits(document, part, value, at));
    }
    for choice in ["anyOf", "oneOf"] {
        let Some(branches) = shape[choice].as_array() else { continue };
        if branches.iter().all(|branch| !misfits(document, branch, value, at).is_empty()) {
            found.push(format!("{at}: {value} fits none of {choice}"));
        }
    }
    let types: Vec<&str> = match &shape["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|kind| is(kind, value)) {
        found.push(format!("{at}: {value} is no {types:?}"));
    }
    if let Some(allowed) = shape["enum"].as_array()
        && !allowed.contains(value)
    {
        found.push(format!("{at}: {value} is not among {allowed:?}"));
    }
    if let (Some(least), Some(number)) = (shape["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        found.push(format!("{at}: {number} is below {least}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if shape["items"].is_object() {
            found.extend(misfits(document, &shape["items"], item, &format!("{at}[{index}]")));
        }
    }
    for name in shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(name).is_none() {
            found.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        match (shape["properties"].get(name), &shape["additionalProperties"]) {
            (Some(shape), _) => found.extend(misfits(document, shape, inner, &format!("{at}.{name}"))),
            (None, Value::Bool(false)) => found.push(format!("{at}: nobody knows {name}")),
            (None, more @ Value::Object(_)) => {
                found.extend(misfits(document, more, inner, &format!("{at}.{name}")));
            }
            (None, _) => {}
        }
    }
    found
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("an unknown type {other}"),
    }
}

/// An answer as the document has it for this operation.
fn fits(document: &Value, (method, path): (&str, &str), answer: &Response) {
    let operation = &document["paths"][path][method.to_lowercase()];
    let responses = &operation["responses"];
    let status = answer.status().to_string();
    let shape = if responses[&status].is_object() { &responses[&status] } else { &responses["default"] };
    let shape = shape["content"]
        .as_object()
        .and_then(|kinds| kinds.values().next())
        .unwrap_or_else(|| panic!("{method} {path} tells no shape for {status}"));
    let found = misfits(document, &shape["schema"], &answer.json(), "");
    assert!(found.is_empty(), "{method} {path} ({status}): {found:#?}\n{}", answer.text());
}

/// A stream of events: see `events`.
fn is_endless(operation: &Value) -> bool {
    operation["responses"]["200"]["content"]["text/event-stream"].is_object()
}

/// Its answer is for another program than one that reads JSON.
fn is_no_json(operation: &Value) -> bool {
    let content = operation["responses"]["200"]["content"].as_object();
    content.is_some_and(|content| !content.contains_key("application/json"))
}

#[test]
fn the_checker_sees_what_does_not_fit() {
    let document = json!({"s": {"type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {"a": {"type": ["integer", "null"], "minimum": 1}}}});
    let shape = json!({"$ref": "#/s"});
    for (value, count) in [
        (json!({"a": 1}), 0),
        (json!({"a": null}), 0),
        (json!({"a": 0}), 1),
        (json!({"a": "1"}), 1),
        (json!({}), 1),
        (json!({"a": 1, "b": 2}), 1),
        (json!([]), 1),
    ] {
        assert_eq!(misfits(&document, &shape, &value, "").len(), count, "{value}");
    }
}

#[test]
fn every_operation_of_the_document_is_served() {
    let gateway = Gateway::start(&plain());
    let document = gateway.get("/openapi.json").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let (mut count, mut ids) = (0, std::collections::BTreeSet::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            count += 1;
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{operation}");
            assert!(
                !operation["summary"].as_str().unwrap_or_default().is_empty(),
                "{method} {path} has no summary"
            );
            if is_endless(operation) {
                continue;
            }
            let real = path.replace(['{', '}'], "").replace("revision", "0");
            let method: &'static str = method.to_uppercase().leak();
            let body = if method == "GET" { Value::Null } else { json!({}) };
            let answer = ask(&gateway, method, &real, &body);
            assert_ne!(answer.status(), 405, "{method} {path}");
            assert!(!answer.text().contains("no such path"), "{method} {path}: {}", answer.text());
        }
    }
    assert!(count > 40, "{count} operations");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list of what is made and asked")]
fn answers_have_the_shape_that_the_document_says() {
    let mut config = plain();
    config["governance"]["virtual_keys"] = json!([{"id": "fk", "name": "file key",
        "value": "sk-bf-0123456789abcdef0123456789", "provider_configs": [{"provider": "openai"}]}]);
    let gateway = Gateway::start(&config);
    let document = gateway.get("/openapi.json").json();
    let key = json!({"id": "vk", "name": "x", "team_id": "t1", "budget": {"max_limit": 10, "reset_duration": "1d"},
        "provider_configs": [{"provider": "openai", "weight": 0.5, "allowed_models": ["gpt-4o"]}]});
    let rule = json!({"id": "r", "name": "r", "cel_expression": "model == \"a\"", "targets": [{"model": "mock/echo"}]});
    for (path, body) in [
        (
            "/api/providers",
            json!({"provider": "groq", "keys": [{"name": "main", "id": "gk", "value": "gsk-0123456789abcdef"}]}),
        ),
        (
            "/api/governance/teams",
            json!({"id": "team", "name": "T", "budget": {"max_limit": 1.5, "reset_duration": "1d"}}),
        ),
        ("/api/governance/customers", json!({"id": "c", "name": "C"})),
        ("/api/governance/virtual-keys", key),
        (
            "/api/governance/model-configs",
            json!({"id": "mc", "model_name": "gpt-4o", "rate_limit": {"request_max_limit": 5}}),
        ),
        (
            "/api/governance/providers",
            json!({"name": "openai", "budget": {"max_limit": 5, "reset_duration": "1h"}}),
        ),
        ("/api/governance/routing-rules", rule),
    ] {
        let answer = ask(&gateway, "POST", path, &body);
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        fits(&document, ("POST", path), &answer);
    }
    done(&gateway, "PATCH", "/api/config", &json!({"client_config": {"drop_excess_requests": true}}));
    let names = [
        ("{provider}/keys/{key}", "groq/keys/gk"),
        ("{provider}", "groq"),
        ("teams/{id}", "teams/team"),
        ("customers/{id}", "customers/c"),
        ("virtual-keys/{id}", "virtual-keys/vk"),
        ("model-configs/{id}", "model-configs/mc"),
        ("governance/providers/{id}", "governance/providers/openai"),
        ("routing-rules/{id}", "routing-rules/r"),
        ("{revision}", "1"),
    ];
    let mut count = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let real = names.iter().fold(path.clone(), |path, (from, to)| path.replace(from, to));
        if item["get"].is_null()
            || is_endless(&item["get"])
            || is_no_json(&item["get"])
            || real.contains('{')
            || path.contains("/session")
            || path.contains("/oidc")
        {
            continue;
        }
        let answer = gateway.get(&real);
        assert_eq!(answer.status(), 200, "{real}: {}", answer.text());
        fits(&document, ("GET", path), &answer);
        count += 1;
    }
    assert!(count > 20, "{count} answers");
    fits(&document, ("GET", "/api/governance/teams/{id}"), &gateway.get("/api/governance/teams/none"));
    let wrong =
        ask(&gateway, "POST", "/api/governance/teams", &json!({"name": "x", "budget": {"max_limit": -1}}));
    fits(&document, ("POST", "/api/governance/teams"), &wrong);
}
