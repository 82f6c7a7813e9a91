//! Tools whose input is free text (`custom`), which no other wire has: there each becomes a function with one
//! string parameter, and a call of it becomes a custom call again on the way back.
//!
//! What makes a call custom is its tool's name alone, so nothing needs to be marked in the conversation.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::OWN;
use crate::ir::{Extra, Request, Tool};
use crate::wire::BadRequest;
use crate::wire::fields::Fields;

/// The one parameter of the function.
const INPUT: &str = "input";
/// Where the tool as it was written stays, among the leftovers of the function.
const WHOLE: &str = "custom";

/// Reads a tool definition of type `custom`.
pub(super) fn tool(mut fields: Fields<'_>) -> Result<Tool, BadRequest> {
    let name = fields.required_text("name")?;
    let given = fields.text("description")?;
    let mut whole = Map::new();
    whole.insert("type".to_owned(), json!("custom"));
    whole.insert("name".to_owned(), json!(name));
    if let Some(given) = &given {
        whole.insert("description".to_owned(), json!(given));
    }
    fields.take("type");
    whole.extend(fields.rest());
    let description = description(given, whole.get("format"));
    let parameters = json!({
        "type": "object",
        "properties": {INPUT: {"type": "string", "description": "The input of the tool, as plain text."}},
        "required": [INPUT],
        "additionalProperties": false,
    });
    let extra = Extra::of(OWN, Map::from_iter([(WHOLE.to_owned(), Value::Object(whole))]));
    Ok(Tool::Function { name, description, parameters: Some(parameters), strict: None, cache: None, extra })
}

/// The tool as it was written, when the function stands for a custom one.
pub(super) fn whole(extra: &Extra) -> Option<&Value> {
    extra.for_wire(OWN)?.get(WHOLE)
}

/// The names of the custom tools of a request.
pub(super) fn names(request: &Request) -> Vec<&str> {
    let name = |tool: &'_ Tool| match tool {
        Tool::Function { extra, .. } => whole(extra).is_some(),
        Tool::Opaque { .. } => false,
    };
    let tools = request.tools.iter().filter(|tool| name(tool));
    tools
        .filter_map(|tool| match tool {
            Tool::Function { name, .. } => Some(name.as_str()),
            Tool::Opaque { .. } => None,
        })
        .collect()
}

/// The names of the custom tools of a request as [`super::echo_of`] kept it.
pub(super) fn names_of(request: &Map<String, Value>) -> Vec<String> {
    let tools = request.get("tools").and_then(Value::as_array);
    let customs = tools.into_iter().flatten().filter(|tool| is_one(tool));
    customs.filter_map(|tool| tool.get("name")?.as_str().map(str::to_owned)).collect()
}

/// A tool of this kind, as it is written.
pub(super) fn is_one(tool: &Value) -> bool {
    tool.get("type").and_then(Value::as_str) == Some("custom")
}

/// The free text as the arguments of the function.
pub(super) fn wrap(input: &str) -> String {
    json!({INPUT: input}).to_string()
}

/// What stands before the text in [`wrap`], for streams.
pub(super) const OPENING: &str = "{\"input\":\"";
/// What stands behind it.
pub(super) const CLOSING: &str = "\"}";

/// A piece of the text as it stands between [`OPENING`] and [`CLOSING`].
pub(super) fn escaped(piece: &str) -> String {
    let quoted = Value::from(piece).to_string();
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}

/// The free text in a function's arguments. A model that missed the form means what it wrote: a lone string
/// whatever its name, else the text itself.
pub(super) fn unwrap(arguments: &str) -> Cow<'_, str> {
    match serde_json::from_str::<Value>(arguments) {
        Ok(Value::String(text)) => text.into(),
        Ok(Value::Object(mut map)) => match map.remove(INPUT) {
            Some(Value::String(text)) => text.into(),
            _ => match <[_; 1]>::try_from(map.into_iter().collect::<Vec<_>>()) {
                Ok([(_, Value::String(text))]) => text.into(),
                _ => arguments.into(),
            },
        },
        Err(_) => cut(arguments).map_or_else(|| arguments.into(), Cow::Owned),
        _ => arguments.into(),
    }
}

/// The text so far in arguments of the form that were cut off; `None` for text of another form.
fn cut(arguments: &str) -> Option<String> {
    let inner = arguments.trim_start().strip_prefix('{')?.trim_start();
    let named = inner.strip_prefix("\"input\"")?.trim_start();
    let text = named.strip_prefix(':')?.trim_start().strip_prefix('"')?;
    // What was cut may have been an escape: the longest is that of a pair of surrogates.
    let ends = text.char_indices().rev().map(|(at, _)| at).take(12);
    let read = |end: usize| serde_json::from_str(&format!("\"{}\"", text.get(..end)?)).ok();
    std::iter::once(text.len()).chain(ends).find_map(read)
}

/// A grammar cannot be enforced elsewhere: the model is told of it.
fn description(given: Option<String>, format: Option<&Value>) -> Option<String> {
    let text = |name: &str| format.and_then(|format| format.get(name)).and_then(Value::as_str);
    let Some(definition) = text("definition") else { return given };
    let syntax = text("syntax").unwrap_or("given");
    let rule = format!("`{INPUT}` must follow this {syntax} grammar:\n{definition}");
    Some(given.map_or_else(|| rule.clone(), |given| format!("{given}\n\n{rule}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_as_arguments_whole_and_in_pieces() {
        let text = "*** Begin Patch\n+\"é\\\u{1}🦀\"\n";
        assert_eq!(unwrap(&wrap(text)), text);
        let pieces: String = text.chars().map(|c| escaped(&c.to_string())).collect();
        assert_eq!(format!("{OPENING}{pieces}{CLOSING}"), wrap(text));
    }

    #[test]
    fn a_call_that_was_cut_became_its_own_arguments_as_text() {
        for (arguments, text) in [
            ("{\"input\":\"*** Begin Patch\\n+a", "*** Begin Patch\n+a"),
            (" { \"input\" : \"a\\", "a"),
            ("{\"input\":\"a\\ud83e\\udd", "a"),
            ("{\"input\":\"a\\\\", "a\\"),
            ("{\"input\":\"", ""),
            ("{ not json", "{ not json"),
        ] {
            assert_eq!(unwrap(arguments), text, "{arguments}");
        }
    }

    #[test]
    fn a_model_that_missed_the_form_is_understood() {
        for (arguments, text) in [
            ("\"ls\"", "ls"),
            ("{\"patch\":\"x\"}", "x"),
            ("{\"input\":3}", "{\"input\":3}"),
            ("*** Begin", "*** Begin"),
            ("{\"a\":\"x\",\"b\":\"y\"}", "{\"a\":\"x\",\"b\":\"y\"}"),
            ("", ""),
        ] {
            assert_eq!(unwrap(arguments), text, "{arguments}");
        }
    }
}
