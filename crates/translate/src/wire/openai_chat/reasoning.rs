//! Reasoning on assistant messages: the three spellings in use, read and written.
//!
//! A signature is worth nothing without the exact text it signs, so blocks are never merged here and
//! never trimmed. When a message carries both the structured list and the plain string, the string is
//! the list's text once more.

use std::borrow::Cow;

use serde_json::Value;

use super::fields::{Fields, Path, write_extra};
use crate::Wire;
use crate::ir::{Extra, Part, Signature, Thinking};
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
    let mut block = None;
    for (index, value) in list.into_iter().enumerate() {
        let (part, number) = detail(value, &path.item(index))?;
        if let Some(part) = join_signature(part, &mut parts, number.is_some() && number == block) {
            parts.push(part);
        }
        block = number;
    }
    let blocks = thinking_blocks(message)?;
    if parts.is_empty() {
        parts = blocks;
    }
    join_text(&mut parts, text);
    Ok(parts)
}

/// Claude's own blocks, as LiteLLM's callers send them back. Beside `reasoning_details` they say the same
/// once more.
fn thinking_blocks(message: &mut Fields<'_>) -> Result<Vec<Part>, BadRequest> {
    if !message.peek("thinking_blocks").is_some_and(Value::is_array) {
        return Ok(Vec::new());
    }
    let path = message.path().field("thinking_blocks");
    let list = message.list("thinking_blocks")?.unwrap_or_default();
    let mut parts = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let path = path.item(index);
        let mut fields = Fields::of(value, &path)?;
        let kind = fields.required_text("type")?;
        parts.push(match kind.as_str() {
            "thinking" => {
                let text = fields.text("thinking")?.unwrap_or_default();
                fields.take("cache_control");
                thinking(fields, text)?
            }
            "redacted_thinking" => {
                let data = fields.required_text("data")?;
                fields.take("cache_control");
                Part::RedactedThinking { data, extra: fields.extra(Wire::OpenAiChat) }
            }
            _ => {
                let found = Value::String(kind);
                return Err(fields.wrong("type", &found, "\"thinking\" or \"redacted_thinking\""));
            }
        });
    }
    Ok(parts)
}

/// The `reasoning_details` list of these parts, in their order. `marked`: for a caller, to whom another
/// maker's signature goes with its mark; a host of many makers' models gets each maker's own.
pub(super) fn details(parts: &[Part], marked: bool) -> Vec<Node<'_>> {
    let mut list = Vec::new();
    let mut index = 0;
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Thinking(thinking) => {
                let call = match parts.get(at + 1) {
                    Some(Part::ToolCall(call)) if !call.id.is_empty() => Some(call.id.as_str()),
                    _ => None,
                };
                block(thinking, call, (index, marked), &mut list);
            }
            Part::RedactedThinking { data, extra } => list.push(encrypted_entry(data, extra, index)),
            Part::Opaque { value, .. } if is_detail(part) => list.push(value.into()),
            _ => continue,
        }
        index += 1;
    }
    list
}

/// The entries of one block of a stream: its text whole, with what signs it.
pub(super) fn signed_entries(text: String, signature: &Signature, index: u32) -> Vec<Node<'static>> {
    let thinking = Thinking { text, signature: Some(signature.clone()), ..Thinking::default() };
    let mut list = Vec::with_capacity(2);
    block(&thinking, None, (u64::from(index), true), &mut list);
    list.into_iter().map(|node| serde_json::to_value(&node).unwrap_or_default().into()).collect()
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

/// The maker that a `format` names; `None` for one whose signatures no other wire has.
pub(super) fn maker(format: &str) -> Option<Wire> {
    let known = |(name, _): &&(&str, Wire)| format.starts_with(name.trim_end_matches("-v1"));
    FORMATS.iter().find(known).map(|(_, wire)| *wire)
}

/// The `format` of a maker's entries.
pub(super) fn format_of(by: Wire) -> Option<&'static str> {
    FORMATS.iter().find(|(_, wire)| *wire == by).map(|(name, _)| *name)
}

/// A signature with the maker that its mark or its entry's `format` names.
pub(super) fn signed(text: String, format: &str) -> Signature {
    let read = Signature::read(Wire::OpenAiChat, text);
    match maker(format) {
        Some(by) if read.by == Wire::OpenAiChat.signer() => Signature { by, text: read.text },
        _ => read,
    }
}

/// The maker of encrypted data; `None` where it is of no use to any other wire. An unmarked entry is taken as
/// Claude's, whose encrypted reasoning is portable among its hosts.
pub(super) fn sealed(data: &str, format: &str) -> Option<Signature> {
    let signature = signed(data.to_owned(), format);
    let known = format.is_empty() || maker(format).is_some() || signature.text != data;
    known.then_some(signature)
}

/// OpenRouter's names of the makers' formats.
const FORMATS: [(&str, Wire); 4] = [
    ("anthropic-claude-v1", Wire::Anthropic),
    ("google-gemini-v1", Wire::Gemini),
    ("openai-responses-v1", Wire::OpenAiResponses),
    ("azure-openai-responses-v1", Wire::OpenAiResponses),
];

fn kind_of(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// The part, and the number of the block it belongs to.
fn detail(value: Json<'_>, path: &Path<'_>) -> Result<(Part, Option<u64>), BadRequest> {
    let mut fields = Fields::of(value, path)?;
    let kind = detail_kind(&mut fields);
    let number = fields.peek("index").and_then(Value::as_u64);
    let part = match kind.as_str() {
        "reasoning.text" => {
            fields.take("type");
            let text = fields.text("text")?.unwrap_or_default();
            thinking(fields, text)?
        }
        "reasoning.summary" => {
            let text = fields.text("summary")?.unwrap_or_default();
            thinking(fields, text)?
        }
        "reasoning.encrypted" => encrypted(fields)?,
        _ => Part::Opaque { wire: Wire::OpenAiChat, value: Value::Object(fields.rest()) },
    };
    Ok((part, number))
}

/// Claude's is a block of its own; of other makers the data is the signature of reasoning.
fn encrypted(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    let format = fields.peek("format").and_then(Value::as_str).unwrap_or_default().to_owned();
    let data = match fields.peek("data") {
        Some(Value::String(data)) => data.clone(),
        _ => fields.required_text("data")?,
    };
    let Some(signature) = sealed(&data, &format) else {
        return Ok(Part::Opaque { wire: Wire::OpenAiChat, value: Value::Object(fields.rest()) });
    };
    for name in ["type", "index", "data"] {
        fields.take(name);
    }
    let by = signature.by;
    let extra = left(fields, Some(by));
    if by == Wire::Anthropic {
        return Ok(Part::RedactedThinking { data: signature.text, extra });
    }
    Ok(Part::Thinking(Thinking { text: String::new(), signature: Some(signature), extra }))
}

fn thinking(mut fields: Fields<'_>, text: String) -> Result<Part, BadRequest> {
    let format = fields.peek("format").and_then(Value::as_str).unwrap_or_default().to_owned();
    let signature = fields.text("signature")?.filter(|text| !text.is_empty());
    let signature = signature.map(|text| signed(text, &format));
    fields.take("index");
    let extra = left(fields, signature.as_ref().map(|signature| signature.by));
    Ok(Part::Thinking(Thinking { text, signature, extra }))
}

/// What is left of an entry. The `format` is told by the signature's maker.
fn left(fields: Fields<'_>, by: Option<Wire>) -> Extra {
    let mut rest = fields.rest();
    let told = by.and_then(format_of);
    rest.retain(|name, value| {
        !(value.is_null() || (name == "format" && told.is_some() && value.as_str() == told))
    });
    Extra::of(Wire::OpenAiChat, rest)
}

/// The signature of an entry without text belongs to the text before it where both are of one block. What
/// comes back is a part of its own.
fn join_signature(part: Part, parts: &mut [Part], same_block: bool) -> Option<Part> {
    match (part, parts.last_mut()) {
        (Part::Thinking(seal), Some(Part::Thinking(open)))
            if same_block && open.signature.is_none() && seal.text.is_empty() && seal.signature.is_some() =>
        {
            let told = seal.signature.as_ref().and_then(|signature| format_of(signature.by));
            open.extra.fields.retain(|name, value| name != "format" || value.as_str() != told);
            open.signature = seal.signature;
            let mut fields = std::mem::take(&mut open.extra.fields);
            for (name, value) in seal.extra.fields {
                fields.entry(name).or_insert(value);
            }
            open.extra = Extra::of(Wire::OpenAiChat, fields);
            None
        }
        (part, _) => Some(part),
    }
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

/// One block. Claude's signature stands beside its text; other makers' in an entry of its own, which names
/// the call it signs.
fn block<'p>(
    thinking: &'p Thinking,
    call: Option<&'p str>,
    (index, marked): (u64, bool),
    list: &mut Vec<Node<'p>>,
) {
    let own = thinking.extra.for_wire(Wire::OpenAiChat);
    let signature = thinking.signature.as_ref();
    let foreign = signature.filter(|signature| signature.by != Wire::Anthropic);
    let summary = own.and_then(|fields| fields.get("type")).and_then(Value::as_str)
        == Some("reasoning.summary")
        || foreign.is_some_and(|signature| signature.by == Wire::OpenAiResponses);
    let (kind, field) = if summary { ("reasoning.summary", "summary") } else { ("reasoning.text", "text") };
    let format = signature.and_then(|signature| format_of(signature.by));
    let named = own.is_some_and(|fields| fields.contains_key("format"));
    let format = format.filter(|_| !named);
    if foreign.is_none() || !thinking.text.is_empty() {
        let mut map = Object::typed(kind).with(field, thinking.text.as_str());
        if foreign.is_none() {
            map.put_some("signature", signature.map(|signature| signature.text.as_str()));
        }
        map.put_some("format", format);
        // Another wire's leftovers are reported where the message is written.
        write_extra(&mut map, &thinking.extra, &Path::Body, &mut Losses::default());
        map.set("index", index);
        list.push(map.into());
    }
    let Some(seal) = foreign else { return };
    let data: Cow<'p, str> = if marked { seal.written(Wire::OpenAiChat) } else { seal.text.as_str().into() };
    let mut map = Object::typed("reasoning.encrypted").with("data", data);
    map.put_some("format", format);
    if thinking.text.is_empty() {
        write_extra(&mut map, &thinking.extra, &Path::Body, &mut Losses::default());
    }
    if seal.by == Wire::Gemini
        && let Some(id) = call
    {
        map.set("id", id);
    }
    map.set("index", index);
    list.push(map.into());
}

fn encrypted_entry<'p>(data: &'p str, extra: &'p Extra, index: u64) -> Node<'p> {
    let mut map = Object::typed("reasoning.encrypted").with("data", data);
    if extra.for_wire(Wire::OpenAiChat).is_none_or(|fields| !fields.contains_key("format")) {
        map.put_some("format", format_of(Wire::Anthropic));
    }
    write_extra(&mut map, extra, &Path::Body, &mut Losses::default());
    map.set("index", index);
    map.into()
}
