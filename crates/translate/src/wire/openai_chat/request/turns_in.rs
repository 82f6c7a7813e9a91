//! Reads the messages of a request.
//!
//! Every role of the wire, the deprecated `function` among them, and what its relatives put on
//! assistant messages. Order is kept: nothing is merged, split or moved between messages.

use serde_json::Value;

use super::super::fields::{Fields, Path, wrong};
use super::super::parts::{content, mark_of, take_mark};
use super::super::response::images;
use super::super::{call_signature, reasoning};
use crate::Wire;
use crate::ir::{Message, Part, Role, Signature, ToolCall, ToolResult};
use crate::wire::json::Json;
use crate::wire::{BadRequest, ids};

/// Takes `messages`, at least one.
pub(super) fn messages(fields: &mut Fields<'_>) -> Result<Vec<Message>, BadRequest> {
    let at = fields.path().field("messages");
    let Some(list) = fields.list("messages")? else {
        return Err(fields.missing("messages", "a list of messages"));
    };
    if list.is_empty() {
        return Err(BadRequest::at("messages", "`messages` is an empty list, expected at least one message"));
    }
    let mut messages = Vec::with_capacity(list.len());
    let mut legacy = Legacy::default();
    for (index, value) in list.into_iter().enumerate() {
        let at = at.item(index);
        legacy.position = index;
        messages.push(message(Fields::of(value, &at)?, &mut legacy)?);
    }
    if let Some((message, _, id)) = ids::orphan(&messages) {
        let (at, found) = (at.item(message), Value::String(id.to_owned()));
        return Err(wrong(&at.field("tool_call_id"), &found, "the id of a tool call in a message before it"));
    }
    Ok(messages)
}

/// `function_call` has no id: one is made from its position, and the next `function` message answers it.
#[derive(Default)]
struct Legacy {
    position: usize,
    open: Option<String>,
}

impl Legacy {
    fn id(&self) -> String {
        format!("call_fn_{}", self.position)
    }
}

fn message(mut fields: Fields<'_>, legacy: &mut Legacy) -> Result<Message, BadRequest> {
    let word = fields.required_text("role")?;
    let name = fields.text("name")?;
    let (role, parts) = match word.as_str() {
        "system" => (Role::System, said(&mut fields)?),
        "developer" => (Role::Developer, said(&mut fields)?),
        "user" => (Role::User, said(&mut fields)?),
        "assistant" => (Role::Assistant, assistant(&mut fields, legacy)?),
        "tool" => {
            let call_id = fields.required_text("tool_call_id")?;
            (Role::Tool, vec![tool_result(&mut fields, call_id)?])
        }
        "function" => {
            let Some(call_id) = legacy.open.take() else {
                let at = fields.path().to_string();
                let message =
                    format!("`{at}` is the result of a function, expected a `function_call` before it");
                return Err(BadRequest::at(at, message));
            };
            (Role::Tool, vec![tool_result(&mut fields, call_id)?])
        }
        _ => {
            let expected = "\"system\", \"developer\", \"user\", \"assistant\" or \"tool\"";
            return Err(fields.wrong("role", &Value::String(word), expected));
        }
    };
    Ok(Message { role, name, parts, extra: fields.extra(Wire::OpenAiChat) })
}

/// The content of a message that must have some.
fn said(fields: &mut Fields<'_>) -> Result<Vec<Part>, BadRequest> {
    let at = fields.path().field("content");
    let Some(value) = fields.take_json("content") else {
        return Err(fields.missing("content", "a string or a list of content parts"));
    };
    let mut parts = content(value, &at)?;
    mark_last(fields, &mut parts);
    Ok(parts)
}

/// A mark on the message stands for one behind its last part.
fn mark_last(fields: &mut Fields<'_>, parts: &mut [Part]) {
    let Some(mark) = take_mark(fields) else { return };
    match parts.last_mut().and_then(mark_of) {
        Some(slot @ None) => *slot = Some(mark),
        _ => fields.put("cache_control", mark.raw),
    }
}

fn assistant(fields: &mut Fields<'_>, legacy: &mut Legacy) -> Result<Vec<Part>, BadRequest> {
    let mut parts = reasoning::take(fields)?;
    let at = fields.path().field("content");
    match fields.take_json("content") {
        None => {}
        Some(Json::Value(Value::String(text))) if text.is_empty() => {}
        Some(value) => parts.extend(content(value, &at)?),
    }
    if let Some(refusal) = fields.text("refusal")? {
        parts.push(Part::Refusal(refusal));
    }
    let before = parts.len();
    images(fields, &mut parts);
    let drawn = parts.len() - before;
    let at = fields.path().field("tool_calls");
    let list = fields.list("tool_calls")?.unwrap_or_default();
    let calls = list.into_iter().enumerate().map(|(index, value)| tool_call(value, &at.item(index)));
    call_signature::push_calls(&mut parts, calls.collect::<Result<_, _>>()?);
    let at = fields.path().field("function_call");
    if let Some(value) = fields.take_json("function_call") {
        legacy.open = Some(legacy.id());
        parts.push(Part::ToolCall(function(Fields::of(value, &at)?, legacy.id())?));
    }
    call_signature::settle(&mut parts, drawn);
    mark_last(fields, &mut parts);
    Ok(parts)
}

fn tool_call(value: Json<'_>, path: &Path<'_>) -> Result<(Part, Option<Signature>), BadRequest> {
    let mut fields = Fields::of(value, path)?;
    match fields.peek("type") {
        None => {}
        Some(Value::String(kind)) if kind == "custom" => {
            let value = Value::Object(fields.rest());
            return Ok((Part::Opaque { wire: Wire::OpenAiChat, value }, None));
        }
        // A relative's own kind of function (Moonshot's `builtin_function`) keeps its name.
        Some(Value::String(kind)) if kind != "function" => {}
        Some(Value::String(_)) => drop(fields.take("type")),
        Some(other) => return Err(fields.wrong("type", other, "\"function\" or \"custom\"")),
    }
    let id = fields.required_text("id")?;
    let cache = take_mark(&mut fields);
    let signature = call_signature::take(&mut fields);
    let at = path.field("function");
    let Some(value) = fields.take_json("function") else {
        return Err(fields.missing("function", "an object with name and arguments"));
    };
    let mut call = function(Fields::of(value, &at)?, id)?;
    fields.keep_nested("function", std::mem::take(&mut call.extra.fields));
    call.cache = cache;
    call.extra = fields.extra(Wire::OpenAiChat);
    Ok((Part::ToolCall(call), signature))
}

fn function(mut fields: Fields<'_>, id: String) -> Result<ToolCall, BadRequest> {
    let name = fields.required_text("name")?;
    let arguments = match fields.take("arguments") {
        None => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => return Err(fields.wrong("arguments", &other, "a string of JSON text")),
    };
    Ok(ToolCall { id, name, arguments, cache: None, extra: fields.extra(Wire::OpenAiChat) })
}

fn tool_result(fields: &mut Fields<'_>, call_id: String) -> Result<Part, BadRequest> {
    let at = fields.path().field("content");
    let mut parts = match fields.take_json("content") {
        None => Vec::new(),
        Some(Json::Value(Value::String(text))) if text.is_empty() => Vec::new(),
        Some(value) => content(value, &at)?,
    };
    // A mark on the last piece of a result is a mark behind the result.
    let inner = parts.last_mut().and_then(mark_of).and_then(Option::take);
    let cache = take_mark(fields).or(inner);
    Ok(Part::ToolResult(ToolResult { call_id, parts, is_error: None, cache, extra: Default::default() }))
}
