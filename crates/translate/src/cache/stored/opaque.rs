//! Parts that one wire alone knows: as they came in a stream, and as a whole.
//!
//! A stream gives the beginning of such a block and pieces of it. Two rules put them together, on both wires that
//! stream them (Anthropic, Bedrock): `input_json_delta` adds to the JSON text of `input`, and text adds to the text of
//! its name. The pieces are kept beside the whole, so that a replay on the same wire is what came.

use serde_json::{Map, Value};

/// How an opaque part came.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Streamed {
    /// Where it stands in the answer.
    pub(super) choice: usize,
    pub(super) part: usize,
    /// Its beginning.
    pub(super) start: Value,
    pub(super) deltas: Vec<Value>,
}

/// The whole block.
pub(super) fn folded(streamed: &Streamed) -> Value {
    let Value::Object(mut block) = streamed.start.clone() else { return streamed.start.clone() };
    let mut input = String::new();
    for delta in streamed.deltas.iter().filter_map(Value::as_object) {
        match delta.get("partial_json").and_then(Value::as_str) {
            Some(fragment) => input.push_str(fragment),
            None => merge(&mut block, delta),
        }
    }
    if let Ok(input) = serde_json::from_str::<Value>(&input) {
        block.insert("input".to_owned(), input);
    }
    Value::Object(block)
}

fn merge(block: &mut Map<String, Value>, delta: &Map<String, Value>) {
    for (name, more) in delta.iter().filter(|(name, _)| *name != "type") {
        match (block.get_mut(name), more) {
            (Some(Value::String(text)), Value::String(more)) => text.push_str(more),
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more.iter().cloned()),
            _ => drop(block.insert(name.clone(), more.clone())),
        }
    }
}

/// A whole block as a stream gives it: input of tools comes behind the beginning.
pub(super) fn unfolded(block: &Value) -> (Value, Vec<Value>) {
    let is_call = block.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("tool_use"));
    let input =
        block.get("input").filter(|input| is_call && input.as_object().is_some_and(|map| !map.is_empty()));
    let (Some(input), Some(members)) = (input, block.as_object()) else { return (block.clone(), Vec::new()) };
    let mut start = members.clone();
    start.insert("input".to_owned(), Value::Object(Map::new()));
    let delta = serde_json::json!({"type": "input_json_delta", "partial_json": input.to_string()});
    (Value::Object(start), vec![delta])
}
