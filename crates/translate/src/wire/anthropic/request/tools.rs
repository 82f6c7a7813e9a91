//! Tools and the choice among them.

use serde_json::Value;

use super::cache::Marks;
use crate::ir::{Request, Tool, ToolChoice};
use crate::loss::Losses;
use crate::provider::ModelRules;
use crate::wire::anthropic::Wire;
use crate::wire::anthropic::types::Place;
use crate::wire::anthropic::write::{NO_TWIN, keep_extra};
use crate::wire::fields::Path;
use crate::wire::tool_names::LEFT_OUT;
use crate::wire::tool_schema;
use crate::wire::tree::{Node, Object};

/// This wire.
const OWN: Wire = Wire::Anthropic;

/// The `tools` array; empty when the request has none that this wire knows.
pub(super) fn tools<'a>(
    request: &'a Request,
    rules: &ModelRules,
    marks: &mut Marks,
    losses: &mut Losses,
) -> Vec<Node<'a>> {
    let list = Place::Root.field("tools");
    let paths = Path::Body.field("tools");
    let mut written = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        let place = list.item(index);
        if !request.may_call(tool) {
            losses.report(place.to_string(), LEFT_OUT);
            continue;
        }
        match tool {
            Tool::Opaque { wire: Wire::Anthropic, value } => written.push(value.into()),
            Tool::Opaque { value, .. } if is_dated(value) => written.push(value.into()),
            Tool::Opaque { .. } => losses.report(place.to_string(), NO_TWIN),
            Tool::Function { name, description, parameters, strict, cache, extra } => {
                let mut object = Object::new().with("name", name.as_str());
                object.put_some("description", description.as_deref());
                let path = paths.item(index);
                let schema = tool_schema::object(parameters.as_ref(), &path.field("parameters"), OWN, losses);
                let can = (rules.structured_output, OWN);
                let (schema, strict) = tool_schema::closed_if_strict(schema, *strict, can, &path, losses);
                object.put("input_schema", schema);
                object.put_some("strict", strict);
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
        Some(choice) if thinking && choice.forces() => {
            losses.report("tool_choice", "a call cannot be forced while reasoning: sent as auto");
            Object::typed("auto")
        }
        Some(ToolChoice::Required | ToolChoice::Among { required: true, .. }) => Object::typed("any"),
        Some(ToolChoice::Among { .. }) => Object::typed("auto"),
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
