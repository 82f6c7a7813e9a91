//! Tools and their choice. The wire knows no named choice, no `auto`, and one strictness for all tools.

use serde_json::Value;

use super::super::types::NO_COUNTERPART;
use crate::Wire;
use crate::ir::{Request, Tool, ToolChoice};
use crate::loss::Losses;
use crate::wire::fields::{Path, write_extra};
use crate::wire::tool_names::LEFT_OUT;
use crate::wire::tree::{Node, Object};

/// Writes `tools`, `strict_tools` and `tool_choice`; true when there are tools.
pub(super) fn write<'a>(body: &mut Object<'a>, request: &'a Request, losses: &mut Losses) -> bool {
    let wanted = match &request.tool_choice {
        Some(ToolChoice::Named(name)) => Some(name.as_str()),
        _ => None,
    };
    let known = request.tools.iter().any(|tool| Some(name_of(tool)) == wanted);
    let at = Path::Body.field("tools");
    let mut list: Vec<Node<'a>> = Vec::with_capacity(request.tools.len());
    for (index, one) in request.tools.iter().enumerate() {
        if known && Some(name_of(one)) != wanted {
            losses.report(at.item(index).to_string(), "left out: another tool must be called");
        } else if !request.may_call(one) {
            losses.report(at.item(index).to_string(), LEFT_OUT);
        } else {
            list.extend(tool(one, &at.item(index), losses));
        }
    }
    if list.is_empty() {
        if request.tool_choice.is_some() {
            losses.report("tool_choice", "there are no tools to choose from");
        }
        return false;
    }
    body.put("tools", list);
    if strict(request, losses) {
        body.put("strict_tools", true);
    }
    if let Some(word) = choice(request, known, losses) {
        body.put("tool_choice", word);
    }
    if request.parallel_tool_calls == Some(false) {
        losses.report("parallel_tool_calls", "parallel calls cannot be forbidden on cohere");
    }
    true
}

fn name_of(tool: &Tool) -> &str {
    match tool {
        Tool::Function { name, .. } => name,
        Tool::Opaque { .. } => "",
    }
}

fn tool<'a>(tool: &'a Tool, path: &Path<'_>, losses: &mut Losses) -> Option<Node<'a>> {
    let (name, description, parameters, cache, extra) = match tool {
        Tool::Function { name, description, parameters, cache, extra, .. } => {
            (name, description, parameters, cache, extra)
        }
        Tool::Opaque { wire: Wire::Cohere, value } => return Some(value.into()),
        Tool::Opaque { value, .. } => {
            let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
            losses.report(path.to_string(), format!("the tool type {kind:?} {NO_COUNTERPART}"));
            return None;
        }
    };
    if cache.is_some() {
        losses.report(path.field("cache_control").to_string(), "this provider takes no cache marks");
    }
    let mut function = Object::new().with("name", name.as_str());
    function.put_some("description", description.as_deref());
    let open = || Object::typed("object").with("properties", Object::new()).into();
    function.put("parameters", parameters.as_ref().map_or_else(open, Node::from));
    let mut object = Object::typed("function").with("function", function);
    write_extra(&mut object, extra, path, Wire::Cohere, losses);
    Some(object.into())
}

/// One strict tool makes all strict, unless one of them has no required parameter: that is refused.
fn strict(request: &Request, losses: &mut Losses) -> bool {
    let is_strict = |tool: &Tool| matches!(tool, Tool::Function { strict: Some(true), .. });
    if !request.tools.iter().any(is_strict) {
        return false;
    }
    if request.tools.iter().any(|tool| !requires(tool)) {
        losses.report("strict_tools", "left out: a tool without a required parameter is refused with it");
        return false;
    }
    if !request.tools.iter().all(is_strict) {
        losses.report("tools[].strict", "strictness is for all tools on cohere: all are strict");
    }
    true
}

fn requires(tool: &Tool) -> bool {
    let Tool::Function { parameters, .. } = tool else { return true };
    let required = parameters.as_ref().and_then(|schema| schema.get("required")).and_then(Value::as_array);
    required.is_some_and(|names| !names.is_empty())
}

fn choice(request: &Request, known: bool, losses: &mut Losses) -> Option<&'static str> {
    match request.tool_choice.as_ref()? {
        // What the wire does without a choice.
        ToolChoice::Auto => None,
        ToolChoice::None => Some("NONE"),
        // Of several, the others were left out.
        ToolChoice::Among { required: false, .. } => None,
        ToolChoice::Required | ToolChoice::Among { .. } => Some("REQUIRED"),
        ToolChoice::Named(_) if known => {
            losses.report("tool_choice", "a named tool cannot be chosen on cohere: only that tool was sent");
            Some("REQUIRED")
        }
        ToolChoice::Named(name) => {
            losses.report("tool_choice", format!("there is no tool {name:?}: any tool must be called"));
            Some("REQUIRED")
        }
        ToolChoice::Opaque { .. } => {
            losses.report("tool_choice", NO_COUNTERPART);
            None
        }
    }
}
