//! Reads the messages of a request. Order is kept: nothing is merged or moved between messages.

use serde_json::Value;

use super::super::{parts, response};
use crate::Wire;
use crate::ir::{Document, Message, Part, Role, Source, Text, ToolResult};
use crate::wire::BadRequest;
use crate::wire::fields::Fields;
use crate::wire::json::Json;

/// Takes `messages`, at least one.
pub(super) fn messages(fields: &mut Fields<'_>) -> Result<Vec<Message>, BadRequest> {
    let at = fields.path().field("messages");
    let Some(list) = fields.list("messages")? else {
        return Err(fields.missing("messages", "a list of messages"));
    };
    if list.is_empty() {
        return Err(BadRequest::at("messages", "`messages` is an empty list, expected at least one message"));
    }
    list.into_iter()
        .enumerate()
        .map(|(index, value)| {
            let at = at.item(index);
            message(Fields::of(value, &at)?)
        })
        .collect()
}

fn message(mut fields: Fields<'_>) -> Result<Message, BadRequest> {
    let word = fields.required_text("role")?;
    let (role, parts) = match word.as_str() {
        "system" => (Role::System, said(&mut fields)?),
        "developer" => (Role::Developer, said(&mut fields)?),
        "user" => (Role::User, said(&mut fields)?),
        "assistant" => (Role::Assistant, assistant(&mut fields)?),
        "tool" => (Role::Tool, vec![tool_result(&mut fields)?]),
        _ => {
            let expected = "\"system\", \"user\", \"assistant\" or \"tool\"";
            return Err(fields.wrong("role", &Value::String(word), expected));
        }
    };
    Ok(Message { role, name: None, parts, extra: fields.extra(Wire::Cohere) })
}

/// The content of a message that must have some.
fn said(fields: &mut Fields<'_>) -> Result<Vec<Part>, BadRequest> {
    let at = fields.path().field("content");
    match fields.take_json("content") {
        Some(value) => parts::content(value, &at),
        None => Err(fields.missing("content", "a string or a list of content parts")),
    }
}

fn assistant(fields: &mut Fields<'_>) -> Result<Vec<Part>, BadRequest> {
    let at = fields.path().field("content");
    let mut found = match fields.take_json("content") {
        None => Vec::new(),
        Some(Json::Value(Value::String(text))) if text.is_empty() => Vec::new(),
        Some(value) => parts::content(value, &at)?,
    };
    let plan = response::plan(fields, &mut found)?;
    response::cite(fields, &mut found, plan)?;
    let at = fields.path().field("tool_calls");
    for (index, value) in fields.list("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
        found.push(Part::ToolCall(parts::call(value, &at.item(index), true)?));
    }
    Ok(found)
}

/// A document of a result is the JSON of its data: what the other wires' models can read as well.
fn tool_result(fields: &mut Fields<'_>) -> Result<Part, BadRequest> {
    let call_id = fields.required_text("tool_call_id")?;
    let at = fields.path().field("content");
    let found = match fields.take_json("content") {
        None => Vec::new(),
        Some(Json::Value(Value::String(text))) if text.is_empty() => Vec::new(),
        Some(value) => parts::content(value, &at)?,
    };
    let as_text = |part| match part {
        Part::Document(document) => Part::Text(document_text(document)),
        other => other,
    };
    let parts = found.into_iter().map(as_text).collect();
    Ok(Part::ToolResult(ToolResult {
        call_id,
        parts,
        is_error: None,
        cache: None,
        extra: Default::default(),
    }))
}

fn document_text(document: Document) -> Text {
    let text = match document.source {
        Source::Text { media_type, text } if media_type == "text/plain" => {
            serde_json::json!({"text": text}).to_string()
        }
        Source::Text { text, .. } => text,
        // A decoder of this wire makes no others.
        _ => String::new(),
    };
    let mut extra = document.extra;
    if let Some(id) = document.name {
        extra.wire = Some(Wire::Cohere);
        extra.fields.insert("id".to_owned(), id.into());
    }
    Text { text, extra, ..Text::default() }
}
