//! Items of a conversation into messages and parts: the same in requests and in answers.
//!
//! Names of items (`id`) and their `status` say nothing outside the provider's store; answers are sent back by
//! every client, so they are taken out here rather than reported once per item.

use serde_json::Value;

use super::reasoning::{self, Side};
use super::{OWN, custom, parts};
use crate::ir::{Extra, Part, ToolCall, ToolResult};
use crate::wire::BadRequest;
use crate::wire::fields::Fields;
use crate::wire::json::Json;

/// What an item is.
pub(super) enum Item {
    /// A message, with the role as written and its leftovers.
    Message { role: String, parts: Vec<Part>, extra: Extra },
    /// What the model did besides speaking: reasoning, calls, tools of the provider's.
    Did(Vec<Part>),
    /// What the caller's tool answered.
    Result(Part),
}

/// Reads one item.
pub(super) fn read(mut fields: Fields<'_>, side: Side) -> Result<Item, BadRequest> {
    let kind = match fields.peek("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(other) => return Err(fields.wrong("type", other, "a string")),
        None if fields.peek("role").is_some() => "message".to_owned(),
        None => return Err(fields.missing("type", "the kind of item, such as \"message\"")),
    };
    match kind.as_str() {
        "message" => message(fields),
        "reasoning" => {
            fields.take("type");
            reasoning::read(fields, side).map(Item::Did)
        }
        "function_call" | "custom_tool_call" => {
            fields.take("type");
            call(fields, side, kind == "custom_tool_call").map(|call| Item::Did(vec![call]))
        }
        "function_call_output" | "custom_tool_call_output" => {
            fields.take("type");
            result(fields).map(Item::Result)
        }
        "item_reference" => {
            let path = fields.path().to_string();
            let message = format!(
                "`{path}` refers to an item that a provider keeps; the gateway keeps no conversation, expected the item itself"
            );
            Err(BadRequest::at(path, message))
        }
        _ => Ok(opaque(&kind, fields)),
    }
}

fn message(mut fields: Fields<'_>) -> Result<Item, BadRequest> {
    for name in ["type", "id", "status"] {
        fields.take(name);
    }
    let role = fields.required_text("role")?;
    let at = fields.path().field("content");
    let parts = match fields.take_json("content") {
        // What the model said may be nothing; everybody else must say something.
        None if role == "assistant" => Vec::new(),
        None => return Err(fields.missing("content", "a string or a list of content parts")),
        Some(Json::Value(Value::String(text))) if text.is_empty() && role == "assistant" => Vec::new(),
        Some(value) => parts::content(value, &at)?,
    };
    Ok(Item::Message { role, parts, extra: fields.extra(OWN) })
}

fn call(mut fields: Fields<'_>, side: Side, is_custom: bool) -> Result<Part, BadRequest> {
    for name in ["id", "status"] {
        fields.take(name);
    }
    let id = match side {
        Side::Caller => fields.required_text("call_id")?,
        Side::Provider => fields.text("call_id")?.unwrap_or_default(),
    };
    let name = fields.required_text("name")?;
    let arguments = if is_custom {
        custom::wrap(&fields.text("input")?.unwrap_or_default())
    } else {
        arguments(&mut fields, side)?
    };
    Ok(Part::ToolCall(ToolCall { id, name, arguments, cache: None, extra: fields.extra(OWN) }))
}

fn arguments(fields: &mut Fields<'_>, side: Side) -> Result<String, BadRequest> {
    match fields.take("arguments") {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text),
        Some(other) if side == Side::Provider => Ok(other.to_string()),
        Some(other) => Err(fields.wrong("arguments", &other, "a string of JSON text")),
    }
}

fn result(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    for name in ["id", "status"] {
        fields.take(name);
    }
    let call_id = fields.required_text("call_id")?;
    let at = fields.path().field("output");
    let parts = match fields.take_json("output") {
        None => Vec::new(),
        Some(Json::Value(Value::String(text))) if text.is_empty() => Vec::new(),
        Some(value) => parts::content(value, &at)?,
    };
    let extra = fields.extra(OWN);
    Ok(Part::ToolResult(ToolResult { call_id, parts, is_error: None, cache: None, extra }))
}

/// Whatever the provider runs itself, and what of the caller's only this wire knows.
fn opaque(kind: &str, fields: Fields<'_>) -> Item {
    let part = Part::Opaque { wire: OWN, value: Value::Object(fields.rest()) };
    if kind.ends_with("_output") { Item::Result(part) } else { Item::Did(vec![part]) }
}
