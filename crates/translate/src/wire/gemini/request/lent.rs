//! Parameters of this wire in a request of another dialect: by their own names in either spelling, in the
//! `extra_body` that Google's OpenAI endpoint reads, or as OpenAI's `modalities`.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::ir::Extra;
use crate::wire::gemini::Wire;
use crate::wire::gemini::spelling::camel;

/// The parameters that callers of other dialects may use.
pub(super) const OWN: [&str; 7] = [
    "safetySettings",
    "cachedContent",
    "generationConfig",
    "labels",
    "toolConfig",
    "serviceTier",
    "modelArmorConfig",
];

/// OpenAI's request for a search before the answer.
pub(super) const SEARCH: &str = "web_search_options";

const CONFIG: &str = "generationConfig";

/// The leftovers with this wire's parameters where they belong.
pub(super) fn lent(extra: &Extra) -> Cow<'_, Extra> {
    let moves = |(name, value): (&String, &Value)| match name.as_str() {
        "modalities" => modalities(value).is_some(),
        "extra_body" => google(value).is_some(),
        SEARCH => true,
        name => name.contains('_') && OWN.contains(&camel(name).as_str()),
    };
    if extra.for_wire(Wire::Gemini).is_some() || !extra.fields.iter().any(moves) {
        return Cow::Borrowed(extra);
    }
    let mut fields = Map::with_capacity(extra.fields.len());
    for (name, value) in &extra.fields {
        let own = camel(name);
        match (name.as_str(), modalities(value), google(value)) {
            ("modalities", Some(list), _) => put(&mut fields, CONFIG, "responseModalities", list),
            ("extra_body", _, Some(google)) => google_body(&mut fields, google),
            // Sent as a tool.
            (SEARCH, _, _) => {}
            _ if OWN.contains(&own.as_str()) => join(&mut fields, own, named(value)),
            _ => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    Cow::Owned(Extra { wire: extra.wire, fields })
}

/// `["text","image"]` in this wire's words.
fn modalities(value: &Value) -> Option<Value> {
    let word = |word: &Value| word.as_str().map(|word| Value::from(word.to_ascii_uppercase()));
    let words: Option<Vec<Value>> = value.as_array()?.iter().map(word).collect();
    words.map(Value::Array)
}

fn google(value: &Value) -> Option<&Map<String, Value>> {
    let map = value.as_object()?;
    if map.len() == 1 { map.get("google")?.as_object() } else { None }
}

fn google_body(fields: &mut Map<String, Value>, google: &Map<String, Value>) {
    for (name, value) in google {
        let own = camel(name);
        match OWN.contains(&own.as_str()) {
            true => join(fields, own, named(value)),
            false => put(fields, CONFIG, &own, named(value)),
        }
    }
}

fn put(fields: &mut Map<String, Value>, object: &str, name: &str, value: Value) {
    let inner = Map::from_iter([(name.to_owned(), value)]);
    join(fields, object.to_owned(), Value::Object(inner));
}

fn join(fields: &mut Map<String, Value>, name: String, value: Value) {
    match (fields.get_mut(&name), value) {
        (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
        (_, value) => drop(fields.insert(name, value)),
    }
}

/// The members of configurations in camelCase: they are joined with what is written.
fn named(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(name, value)| (camel(name), named(value))).collect(),
        Value::Array(list) => list.iter().map(named).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn extra(fields: Value) -> Extra {
        Extra::of(Wire::OpenAiChat, fields.as_object().unwrap().clone())
    }

    #[test]
    fn parameters_are_found_wherever_callers_put_them() {
        let given = extra(json!({
            "store": true,
            "safety_settings": [{"category": "X", "threshold": "BLOCK_NONE"}],
            "modalities": ["text", "image"],
            "generation_config": {"speech_config": {"language_code": "de"}},
            "extra_body": {"google": {"thinking_config": {"include_thoughts": true}, "cached_content": "c/1"}},
        }));
        let expected = json!({
            "store": true,
            "safetySettings": [{"category": "X", "threshold": "BLOCK_NONE"}],
            "generationConfig": {
                "responseModalities": ["TEXT", "IMAGE"],
                "speechConfig": {"languageCode": "de"},
                "thinkingConfig": {"includeThoughts": true},
            },
            "cachedContent": "c/1",
        });
        assert_eq!(Value::Object(lent(&given).fields.clone()), expected);
    }

    #[test]
    fn nothing_is_copied_when_nothing_moves() {
        let given = extra(json!({"labels": {"team_name": "x"}, "verbosity": "low", "modalities": "text"}));
        assert!(matches!(lent(&given), Cow::Borrowed(_)));
    }
}
