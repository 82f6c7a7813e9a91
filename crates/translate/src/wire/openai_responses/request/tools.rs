//! Tools and how they are chosen. Functions are flat on this wire.

use serde_json::{Map, Value, json};

use super::super::client_tools::{self, Client};
use super::super::{NO_COUNTERPART, OWN, custom, namespace, parts};
use crate::ir::{Extra, Request, Tool, ToolChoice};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::fields::{self, Fields, Path, wrong};
use crate::wire::json::Json;
use crate::wire::openai_chat::{CLIENT_TOOLS, allowed};
use crate::wire::tool_schema;
use crate::wire::tree::{Node, Object};

/// Takes `tools`.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Vec<Tool>, BadRequest> {
    let at = fields.path().field("tools");
    let list = fields.list("tools")?.unwrap_or_default();
    let mut tools = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let at = at.item(index);
        let fields = Fields::of(value, &at)?;
        match fields.peek("type").and_then(Value::as_str) {
            Some(namespace::KIND) => tools.extend(namespace::read(fields, member)?),
            _ => tools.push(tool(fields)?),
        }
    }
    Ok(tools)
}

/// Tools that a search found: one, or those of a group; none of what cannot be read.
pub(super) fn found(value: Value) -> Vec<Tool> {
    let Ok(fields) = Fields::of(value, &Path::Body) else { return Vec::new() };
    match fields.peek("type").and_then(Value::as_str) {
        Some(namespace::KIND) => namespace::read(fields, member).unwrap_or_default(),
        _ => tool(fields).into_iter().filter(|tool| matches!(tool, Tool::Function { .. })).collect(),
    }
}

fn member(value: Json<'_>, path: &Path<'_>) -> Result<Tool, BadRequest> {
    Fields::of(value, path).and_then(tool)
}

fn tool(fields: Fields<'_>) -> Result<Tool, BadRequest> {
    match fields.peek("type") {
        Some(Value::String(kind)) => match kind.as_str() {
            "function" => function(fields),
            "custom" => custom::tool(fields),
            _ => {
                let value = Value::Object(fields.rest());
                Ok(match Client::of(&value) {
                    Some(client) => client.function(value),
                    None => Tool::Opaque { wire: OWN, value },
                })
            }
        },
        Some(other) => Err(fields.wrong("type", other, "a string")),
        None => Err(fields.missing("type", "the kind of tool, such as \"function\"")),
    }
}

/// `strict` left out means that the provider decides: on this wire it makes schemas strict where it can. It
/// stays left out, for to insist elsewhere would refuse what is taken here.
fn function(mut fields: Fields<'_>) -> Result<Tool, BadRequest> {
    fields.take("type");
    let at = fields.path().field("function");
    if let Some(nested) = fields.take("function") {
        let expected = "nothing: the members of a function stand beside its type on this endpoint";
        return Err(wrong(&at, &nested, expected));
    }
    let name = fields.required_text("name")?;
    let description = fields.text("description")?;
    let parameters = fields.take("parameters");
    if let Some(other) = parameters.as_ref().filter(|value| !value.is_object()) {
        return Err(fields.wrong("parameters", other, "a JSON schema object"));
    }
    let strict = fields.flag("strict")?;
    let cache = fields.take("cache_control").map(|raw| crate::ir::CacheMark { raw });
    Ok(Tool::Function { name, description, parameters, strict, cache, extra: fields.extra(OWN) })
}

/// Takes `tool_choice`.
pub(super) fn read_choice(fields: &mut Fields<'_>) -> Result<Option<ToolChoice>, BadRequest> {
    let at = fields.path().field("tool_choice");
    let Some(value) = fields.take("tool_choice") else { return Ok(None) };
    match value {
        Value::String(word) => match word.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" => Ok(Some(ToolChoice::Required)),
            _ => {
                let expected = "\"auto\", \"none\", \"required\" or an object";
                Err(wrong(&at, &Value::String(word), expected))
            }
        },
        Value::Object(map) => choice_object(map, &at).map(Some),
        other => Err(wrong(&at, &other, "a string or an object")),
    }
}

fn choice_object(map: Map<String, Value>, path: &Path<'_>) -> Result<ToolChoice, BadRequest> {
    match map.get("type").and_then(Value::as_str) {
        Some("function" | "custom") => {
            Fields::of(Value::Object(map), path)?.required_text("name").map(ToolChoice::Named)
        }
        Some("allowed_tools") => {
            let map = Value::Object(map);
            Ok(allowed(&map).unwrap_or(ToolChoice::Opaque { wire: OWN, value: map }))
        }
        _ => Ok(ToolChoice::Opaque { wire: OWN, value: Value::Object(map) }),
    }
}

/// Writes tools, the choice among them and whether they may be called at once.
pub(super) fn write<'a>(body: &mut Object<'a>, request: &'a Request, losses: &mut Losses) {
    let at = Path::Body.field("tools");
    let list = write_list(&request.tools, &at, losses);
    if list.is_empty() {
        // Both are refused without tools.
        if request.tool_choice.is_some() {
            losses.report("tool_choice", "there are no tools to choose from");
        }
        if request.parallel_tool_calls.is_some() {
            losses.report("parallel_tool_calls", "there are no tools to call");
        }
        return;
    }
    body.put("tools", list);
    body.put_some("tool_choice", write_choice(request, losses));
    body.put_some("parallel_tool_calls", request.parallel_tool_calls);
}

/// Members of one group that stand together are one entry.
fn write_list<'a>(tools: &'a [Tool], at: &Path<'_>, losses: &mut Losses) -> Vec<Node<'a>> {
    let mut list = Vec::with_capacity(tools.len());
    let mut first = 0;
    for run in tools.chunk_by(is_same_group) {
        let mut written = Vec::with_capacity(run.len());
        for (index, one) in (first..).zip(run) {
            written.extend(write_tool(one, &at.item(index), losses));
        }
        first += run.len();
        match run.first().and_then(|one| Some((namespace::of(one)?.0, one))) {
            Some((group, one)) => {
                let mut object = Object::typed(namespace::KIND).with("name", group);
                if let Some(rest) = namespace::rest_of(one) {
                    object.adopt(rest);
                }
                list.push(object.with("tools", written).into());
            }
            None => list.append(&mut written),
        }
    }
    list
}

fn is_same_group(one: &Tool, next: &Tool) -> bool {
    let groups = (namespace::of(one), namespace::of(next));
    matches!(groups, (Some((one, _)), Some((next, _))) if one == next)
}

fn write_choice<'a>(request: &'a Request, losses: &mut Losses) -> Option<Node<'a>> {
    Some(match request.tool_choice.as_ref()? {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => chosen(request, name).into(),
        ToolChoice::Among { required, names } => {
            let list: Vec<Node<'a>> = names.iter().map(|name| chosen(request, name).into()).collect();
            let mode = if *required { "required" } else { "auto" };
            Object::typed("allowed_tools").with("mode", mode).with("tools", list).into()
        }
        ToolChoice::Opaque { wire, value } if *wire == OWN => value.into(),
        ToolChoice::Opaque { .. } => {
            losses.report("tool_choice", NO_COUNTERPART);
            return None;
        }
    })
}

fn chosen<'a>(request: &Request, name: &'a str) -> Object<'a> {
    let kind = if custom::names(request).contains(&name) { "custom" } else { "function" };
    Object::typed(kind).with("name", name)
}

fn write_tool<'a>(tool: &'a Tool, path: &Path<'_>, losses: &mut Losses) -> Option<Node<'a>> {
    match tool {
        Tool::Function { cache, extra, .. } => {
            parts::lose_mark(cache.as_ref(), path, losses);
            match custom::whole(extra).or_else(|| client_tools::whole(extra)) {
                Some(Value::Null) => None,
                Some(whole) => Some(whole.into()),
                None => write_function(tool, extra, path, losses).map(Node::from),
            }
        }
        Tool::Opaque { wire, value } if *wire == OWN => Some(value.into()),
        Tool::Opaque { value, .. } => client_tool(value, path, losses).map(Node::from),
    }
}

/// `strict` is always said: left out it means true here and false everywhere else.
fn write_function<'a>(
    tool: &'a Tool,
    extra: &'a Extra,
    path: &Path<'_>,
    losses: &mut Losses,
) -> Option<Object<'a>> {
    let Tool::Function { name, description, parameters, strict, .. } = tool else { return None };
    let open = || Object::typed("object").with("properties", Object::new()).into();
    let grouped = namespace::of(tool);
    let name = grouped.map_or(name.as_str(), |(_, own)| own);
    let mut map = Object::typed("function").with("name", name);
    map.put_some("description", description.as_deref());
    let at = path.field("parameters");
    let schema = parameters.as_ref().map(|schema| tool_schema::flat(schema, &at, OWN, losses));
    let strict = tool_schema::strict_if_closed(schema.as_deref(), *strict, path, losses);
    map.put("parameters", schema.map_or_else(open, Node::from));
    map.put("strict", strict.unwrap_or(false));
    match grouped {
        Some(_) => namespace::own(extra).for_each(|(name, value)| map.adopt_one(name, value)),
        None => fields::write_extra(&mut map, extra, path, OWN, losses),
    }
    Some(map)
}

/// A tool of Anthropic's that the caller runs itself becomes a function; others cannot go.
fn client_tool(value: &Value, path: &Path<'_>, losses: &mut Losses) -> Option<Value> {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    let name = value.get("name").and_then(Value::as_str);
    let Some(name) = name.filter(|_| CLIENT_TOOLS.iter().any(|prefix| kind.starts_with(prefix))) else {
        losses.report(path.to_string(), format!("the tool type {kind:?} {NO_COUNTERPART}"));
        return None;
    };
    losses.report(path.to_string(), format!("the schema of {kind:?} is implied: sent as an open function"));
    let parameters = json!({"type": "object", "properties": {}, "additionalProperties": true});
    Some(json!({"type": "function", "name": name, "parameters": parameters, "strict": false}))
}
