//! Tools and the choice among them.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::cache::Marks;
use crate::ir::{Request, Tool, ToolChoice};
use crate::loss::Losses;
use crate::wire::anthropic::Wire;
use crate::wire::anthropic::types::Place;
use crate::wire::anthropic::write::{NO_TWIN, keep_extra};
use crate::wire::tree::{Node, Object};

/// The `tools` array; empty when the request has none that this wire knows.
pub(super) fn tools<'a>(request: &'a Request, marks: &mut Marks, losses: &mut Losses) -> Vec<Node<'a>> {
    let list = Place::Root.field("tools");
    let mut written = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        let place = list.item(index);
        match tool {
            Tool::Opaque { wire: Wire::Anthropic, value } => written.push(value.into()),
            Tool::Opaque { value, .. } if is_dated(value) => written.push(value.into()),
            Tool::Opaque { .. } => losses.report(place.to_string(), NO_TWIN),
            Tool::Function { name, description, parameters, strict, cache, extra } => {
                let mut object = Object::new().with("name", name.as_str());
                object.put_some("description", description.as_deref());
                object.put("input_schema", input_schema(parameters.as_ref(), &place, losses));
                object.put_some("strict", *strict);
                keep_extra(&mut object, extra, &place, losses);
                object.put_some("cache_control", marks.ahead(cache.as_ref(), &place, losses));
                written.push(object.into());
            }
        }
    }
    written
}

/// The `tool_choice` object. It is legal beside tools only, and must be `auto` or `none` while the
/// model reasons.
pub(super) fn choice<'a>(
    request: &'a Request,
    has_tools: bool,
    thinking: bool,
    losses: &mut Losses,
) -> Option<Node<'a>> {
    let single = request.parallel_tool_calls.map(|parallel| !parallel);
    if !has_tools {
        if request.tool_choice.as_ref().is_some_and(|choice| *choice != ToolChoice::None) {
            losses.report("tool_choice", "there is no tool to choose");
        }
        return None;
    }
    let object = match request.tool_choice.as_ref() {
        None if single != Some(true) => return None,
        None | Some(ToolChoice::Auto) => Object::typed("auto"),
        Some(ToolChoice::None) => return Some(Object::typed("none").into()),
        Some(ToolChoice::Required | ToolChoice::Named(_)) if thinking => {
            losses.report("tool_choice", "a call cannot be forced while reasoning: sent as auto");
            Object::typed("auto")
        }
        Some(ToolChoice::Required) => Object::typed("any"),
        Some(ToolChoice::Named(name)) => Object::typed("tool").with("name", name.as_str()),
        Some(ToolChoice::Opaque { wire: Wire::Anthropic, value }) => return Some(value.into()),
        Some(ToolChoice::Opaque { .. }) => {
            losses.report("tool_choice", NO_TWIN);
            Object::typed("auto")
        }
    };
    let mut object = object;
    object.put_some("disable_parallel_tool_use", single);
    Some(object.into())
}

/// The tools of this API end in the day they were made (`web_search_20250305`), no other wire's do: a caller
/// of another dialect who gives one means this API.
fn is_dated(tool: &Value) -> bool {
    let kind = tool.get("type").and_then(Value::as_str).unwrap_or_default();
    let day = kind.rsplit_once('_').map_or("", |(_, day)| day);
    day.len() == 8 && day.starts_with("20") && day.bytes().all(|byte| byte.is_ascii_digit())
}

/// The API wants an object schema; one that is absent takes no arguments.
fn input_schema<'a>(parameters: Option<&'a Value>, place: &Place<'_>, losses: &mut Losses) -> Cow<'a, Value> {
    let Some(schema) = parameters else { return Cow::Owned(no_arguments()) };
    let Value::Object(fields) = schema else {
        losses.report(place.field("parameters").to_string(), "a schema is an object: sent without arguments");
        return Cow::Owned(no_arguments());
    };
    match fields.get("type") {
        Some(Value::String(kind)) if kind == "object" => Cow::Borrowed(schema),
        found => {
            if found.is_some() {
                let path = place.field("parameters").field("type").to_string();
                losses.report(path, "the arguments of a tool are an object on anthropic");
            }
            Cow::Owned(as_object(fields))
        }
    }
}

fn as_object(fields: &Map<String, Value>) -> Value {
    let mut object = Map::with_capacity(fields.len() + 1);
    object.insert("type".to_owned(), Value::from("object"));
    let rest = fields.iter().filter(|(key, _)| key.as_str() != "type");
    object.extend(rest.map(|(key, value)| (key.clone(), value.clone())));
    Value::Object(object)
}

fn no_arguments() -> Value {
    json!({"type": "object", "properties": {}})
}
