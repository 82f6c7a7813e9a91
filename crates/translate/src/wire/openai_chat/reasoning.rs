//! Reasoning on assistant messages: the three spellings in use, read and written.
//!
//! A signature is worth nothing without the exact text it signs, so blocks are never merged here and
//! never trimmed. When a message carries both the structured list and the plain string, the string is
//! the list's text once more.

use serde_json::Value;

use super::fields::{Fields, Path, write_extra};
use crate::Wire;
use crate::ir::{Extra, Part, Thinking};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::json::Json;
use crate::wire::tree::{Node, Object};

/// Takes `reasoning_details`, `reasoning_content` and `reasoning` out of a message.
pub(super) fn take(message: &mut Fields<'_>) -> Result<Vec<Part>, BadRequest> {
    let list = message.list("reasoning_details")?.unwrap_or_default();
    let content = message.text("reasoning_content")?;
    let plain = match message.peek("reasoning") {
        Some(Value::String(_)) => message.text("reasoning")?,
        _ => None,
    };
    let text = content.filter(|text| !text.is_empty()).or(plain).unwrap_or_default();
    let path = message.path().field("reasoning_details");
    let mut parts = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        parts.push(detail(value, &path.item(index))?);
    }
    join_text(&mut parts, text);
    Ok(parts)
}

/// The `reasoning_details` list of these parts, in their order.
pub(super) fn details<'p>(parts: impl Iterator<Item = &'p Part>) -> Vec<Node<'p>> {
    let mut list = Vec::new();
    for part in parts {
        let entry = match part {
            Part::Thinking(thinking) => text_entry(thinking, list.len()),
            Part::RedactedThinking { data, extra } => encrypted_entry(data, extra, list.len()),
            Part::Opaque { value, .. } if is_detail(part) => value.into(),
            _ => continue,
        };
        list.push(entry);
    }
    list
}

/// The text of all thinking parts; blocks are set apart by a line break.
pub(super) fn text<'p>(parts: impl Iterator<Item = &'p Part>) -> String {
    let texts: Vec<&str> = parts
        .filter_map(|part| match part {
            Part::Thinking(thinking) if !thinking.text.is_empty() => Some(thinking.text.as_str()),
            _ => None,
        })
        .collect();
    texts.join("\n")
}

/// An entry of `reasoning_details` that only this wire understands.
pub(super) fn is_detail(part: &Part) -> bool {
    let Part::Opaque { wire: Wire::OpenAiChat, value } = part else { return false };
    kind_of(value).starts_with("reasoning.")
}

/// Reports the leftovers of another wire: [`details`] writes those of this one.
pub(super) fn report_foreign(extra: &Extra, path: &Path<'_>, losses: &mut Losses) {
    if extra.for_wire(Wire::OpenAiChat).is_none() {
        write_extra(&mut Object::new(), extra, path, losses);
    }
}

/// True when `reasoning_content` alone would lose something: a signature, a boundary, encrypted data.
pub(super) fn needs_details(parts: &[Part]) -> bool {
    let mut plain = 0;
    for part in parts {
        match part {
            Part::Thinking(thinking) => {
                if thinking.signature.is_some() || thinking.extra.for_wire(Wire::OpenAiChat).is_some() {
                    return true;
                }
                plain += 1;
            }
            Part::RedactedThinking { .. } => return true,
            _ if is_detail(part) => return true,
            _ => {}
        }
    }
    plain > 1
}

/// The entry's type. One that lacks it is known by its members; any other gets a name of the family,
/// so that it stays in this list when it is written back.
fn detail_kind(fields: &mut Fields<'_>) -> String {
    if let Some(Value::String(kind)) = fields.peek("type")
        && kind.starts_with("reasoning.")
    {
        return kind.clone();
    }
    let known =
        [("text", "reasoning.text"), ("data", "reasoning.encrypted"), ("summary", "reasoning.summary")];
    let kind = known.iter().find(|(member, _)| fields.peek(member).is_some_and(Value::is_string));
    let kind = kind.map_or("reasoning.unknown", |(_, kind)| *kind);
    fields.put("type", kind.into());
    kind.to_owned()
}

/// Encrypted reasoning is portable only among hosts of Claude: an unmarked entry is taken as such,
/// another maker's (`openai-responses-v1`, `google-gemini-v1`) stays opaque.
pub(super) fn is_claude_format(format: &str) -> bool {
    format.is_empty() || format.starts_with("anthropic")
}

fn kind_of(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn detail(value: Json<'_>, path: &Path<'_>) -> Result<Part, BadRequest> {
    let mut fields = Fields::of(value, path)?;
    let kind = detail_kind(&mut fields);
    match kind.as_str() {
        "reasoning.text" => {
            fields.take("type");
            let text = fields.text("text")?.unwrap_or_default();
            thinking(fields, text)
        }
        "reasoning.summary" => {
            let text = fields.text("summary")?.unwrap_or_default();
            thinking(fields, text)
        }
        "reasoning.encrypted" if is_claude(&fields) => {
            let data = fields.required_text("data")?;
            fields.take("type");
            fields.take("index");
            let mut rest = fields.rest();
            rest.retain(|_, value| !value.is_null());
            Ok(Part::RedactedThinking { data, extra: Extra::of(Wire::OpenAiChat, rest) })
        }
        _ => Ok(Part::Opaque { wire: Wire::OpenAiChat, value: Value::Object(fields.rest()) }),
    }
}

fn is_claude(fields: &Fields<'_>) -> bool {
    fields.peek("format").and_then(Value::as_str).is_none_or(is_claude_format)
}

fn thinking(mut fields: Fields<'_>, text: String) -> Result<Part, BadRequest> {
    let signature = fields.text("signature")?;
    fields.take("index");
    let mut rest = fields.rest();
    rest.retain(|_, value| !value.is_null());
    Ok(Part::Thinking(Thinking { text, signature, extra: Extra::of(Wire::OpenAiChat, rest) }))
}

/// Puts the plain text where the list has none.
fn join_text(parts: &mut Vec<Part>, text: String) {
    if text.is_empty() {
        return;
    }
    let mut blocks = parts.iter_mut().filter_map(|part| match part {
        Part::Thinking(thinking) => Some(thinking),
        _ => None,
    });
    match (blocks.next(), blocks.next()) {
        (None, _) => parts.insert(0, Part::Thinking(Thinking { text, ..Thinking::default() })),
        // A client that collected a stream may hold the text in one field, its signature in the other.
        (Some(only), None) if only.text.is_empty() => only.text = text,
        _ => {}
    }
}

fn text_entry(thinking: &Thinking, index: usize) -> Node<'_> {
    let own = thinking.extra.for_wire(Wire::OpenAiChat);
    let summary =
        own.and_then(|fields| fields.get("type")).and_then(Value::as_str) == Some("reasoning.summary");
    let (kind, field) = if summary { ("reasoning.summary", "summary") } else { ("reasoning.text", "text") };
    let mut map = Object::typed(kind).with(field, thinking.text.as_str());
    map.put_some("signature", thinking.signature.as_deref());
    // Another wire's leftovers are reported where the message is written.
    write_extra(&mut map, &thinking.extra, &Path::Body, &mut Losses::default());
    map.set("index", index as u64);
    map.into()
}

fn encrypted_entry<'p>(data: &'p str, extra: &'p Extra, index: usize) -> Node<'p> {
    let mut map = Object::typed("reasoning.encrypted").with("data", data);
    write_extra(&mut map, extra, &Path::Body, &mut Losses::default());
    map.set("index", index as u64);
    map.into()
}
