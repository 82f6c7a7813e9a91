//! `toolConfig`: tools and the choice among them. The API refuses calls in the conversation without it, so
//! tools stay where the history needs them, and are made up where there are none.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::cache::Points;
use crate::ir::{Part, Request, Tool, ToolChoice};
use crate::loss::Losses;
use crate::provider::ModelRules;
use crate::wire::bedrock_converse::family::Family;
use crate::wire::bedrock_converse::types::{NO_TWIN, OWN};
use crate::wire::fields::{Path, write_extra};
use crate::wire::tool_names::LEFT_OUT;
use crate::wire::tool_schema;
use crate::wire::tree::{Node, Object};

/// The tools to write; empty when none are to be.
pub(super) fn tools<'a>(
    request: &'a Request,
    rules: &ModelRules,
    points: &mut Points,
    losses: &mut Losses,
) -> Vec<Node<'a>> {
    let called = called(request);
    if request.tool_choice == Some(ToolChoice::None) && !request.tools.is_empty() {
        if called.is_empty() {
            losses.report("tool_choice", "bedrock_converse has no choice `none`: sent without the tools");
            return Vec::new();
        }
        let reason = "bedrock_converse has no choice `none`: the tools stay, earlier calls need them";
        losses.report("tool_choice", reason);
    }
    let list = Path::Body.field("tools");
    let mut written = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        let path = list.item(index);
        if !request.may_call(tool) {
            losses.report(path.to_string(), LEFT_OUT);
            continue;
        }
        match tool {
            Tool::Opaque { wire, value } if *wire == OWN => written.push(value.into()),
            Tool::Opaque { .. } => losses.report(path.to_string(), NO_TWIN),
            Tool::Function { cache, .. } => {
                written.push(function(tool, rules, &path, losses));
                written.extend(points.of_tool(cache.as_ref(), &path, losses));
            }
        }
    }
    if written.is_empty() && !called.is_empty() {
        let reason =
            "bedrock_converse wants the tools of earlier calls: they were sent without their schemas";
        losses.report("tools", reason);
        written.extend(called.into_iter().map(stand_in));
    }
    written
}

fn function<'a>(tool: &'a Tool, rules: &ModelRules, path: &Path<'_>, losses: &mut Losses) -> Node<'a> {
    let Tool::Function { name, description, parameters, strict, extra, .. } = tool else {
        return Node::Null;
    };
    let mut spec = Object::new().with("name", name.as_str());
    spec.put_some("description", description.as_deref().filter(|text| !text.trim().is_empty()));
    let schema = tool_schema::object(parameters.as_ref(), &path.field("parameters"), OWN, losses);
    let can = (rules.structured_output, OWN);
    let (schema, strict) = tool_schema::closed_if_strict(schema, *strict, can, path, losses);
    spec.put("inputSchema", Object::new().with("json", schema));
    spec.put_some("strict", strict);
    write_extra(&mut spec, extra, path, OWN, losses);
    Object::new().with("toolSpec", spec).into()
}

/// The choice as Converse writes it, and, where only Claude's own can say it, that one beside.
pub(super) struct Choice<'a> {
    pub converse: Option<Object<'a>>,
    pub claude: Option<Object<'a>>,
}

/// The choice among the tools that were written.
pub(super) fn choice<'a>(
    request: &'a Request,
    has_tools: bool,
    family: Family,
    reasons: bool,
    losses: &mut Losses,
) -> Choice<'a> {
    if !has_tools {
        let free = matches!(request.tool_choice, None | Some(ToolChoice::None | ToolChoice::Auto));
        if !free {
            losses.report("tool_choice", "there is no tool to choose");
        }
        return Choice { converse: None, claude: None };
    }
    let among = match &request.tool_choice {
        // The others were left out.
        Some(ToolChoice::Among { required: true, .. }) => Some(&ToolChoice::Required),
        Some(ToolChoice::Among { .. }) => Some(&ToolChoice::Auto),
        choice => choice.as_ref(),
    };
    let wanted = match among {
        Some(ToolChoice::Required | ToolChoice::Named(_)) if reasons && family == Family::Claude => {
            losses.report("tool_choice", "a call cannot be forced while reasoning: sent as auto");
            Some(&ToolChoice::Auto)
        }
        Some(ToolChoice::Required) if !family.takes_any() => unforced(losses),
        Some(ToolChoice::Named(_)) if !family.takes_named() && family.takes_any() => {
            losses.report("tool_choice", "this model cannot be told which tool to call: sent as any");
            Some(&ToolChoice::Required)
        }
        Some(ToolChoice::Named(_)) if !family.takes_named() => unforced(losses),
        Some(ToolChoice::Opaque { .. }) => {
            losses.report("tool_choice", NO_TWIN);
            None
        }
        // Reported with the tools.
        Some(ToolChoice::None) => None,
        choice => choice,
    };
    let converse = wanted.map(|choice| match choice {
        ToolChoice::Required => Object::new().with("any", Object::new()),
        ToolChoice::Named(name) => Object::new().with("tool", Object::new().with("name", name.as_str())),
        _ => Object::new().with("auto", Object::new()),
    });
    Choice { converse, claude: one_call(request, wanted, family, losses) }
}

fn unforced<'a>(losses: &mut Losses) -> Option<&'a ToolChoice> {
    losses.report("tool_choice", "this model cannot be made to call a tool");
    None
}

/// `parallel_tool_calls: false`: a member of Claude's own choice.
fn one_call<'a>(
    request: &Request,
    wanted: Option<&'a ToolChoice>,
    family: Family,
    losses: &mut Losses,
) -> Option<Object<'a>> {
    if request.parallel_tool_calls != Some(false) {
        return None;
    }
    if family != Family::Claude {
        losses.report("parallel_tool_calls", "this model cannot be held to one call");
        return None;
    }
    let choice = match wanted {
        Some(ToolChoice::Required) => Object::typed("any"),
        Some(ToolChoice::Named(name)) => Object::typed("tool").with("name", name.as_str()),
        _ => Object::typed("auto"),
    };
    Some(choice.with("disable_parallel_tool_use", true))
}

/// The names of the tools that the conversation calls, each once. Results whose call is not there count
/// as calls of a tool without a name.
fn called(request: &Request) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let mut known: HashSet<&str> = HashSet::new();
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        let name = match part {
            Part::ToolCall(call) => call.name.as_str(),
            Part::ToolResult(_) if names.is_empty() => "tool",
            _ => continue,
        };
        if known.insert(name) {
            names.push(name);
        }
    }
    names
}

fn stand_in(name: &str) -> Node<'_> {
    let schema = Object::new().with("json", no_arguments());
    Object::new().with("toolSpec", Object::new().with("name", name).with("inputSchema", schema)).into()
}

fn no_arguments() -> Value {
    json!({"type": "object", "properties": {}})
}
